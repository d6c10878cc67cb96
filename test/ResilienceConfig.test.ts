import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Equal, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Pipeline, Resilience, ResilienceConfig } from "../src/index.ts"
import { Boom, brief, drive, ended, failing, listen, present, start } from "./support.ts"

// what is tried is data, of which the types know nothing
const json = (data: unknown): unknown => JSON.parse(JSON.stringify(data))

const fromEnvironment = (env: Record<string, string>) => ConfigProvider.fromEnv({ env })
const fromFile = (policies: unknown) => ConfigProvider.fromUnknown({ policies })
const over = (upper: ConfigProvider.ConfigProvider, lower: ConfigProvider.ConfigProvider) =>
  ConfigProvider.orElse(upper, lower)

const loadFrom = (provider: ConfigProvider.ConfigProvider, path?: string) =>
  Effect.provideService(ResilienceConfig.load(path), ConfigProvider.ConfigProvider, provider)

const configuredBy = (provider: ConfigProvider.ConfigProvider) =>
  Layer.provide(ResilienceConfig.layerConfig(), ConfigProvider.layer(provider))

/** All that is wrong: the messages by their paths. */
const problems = <A, R>(self: Effect.Effect<A, ResilienceConfig.ConfigInvalid, R>) =>
  Effect.map(Effect.flip(self), ({ problems }) => problems.map(({ message, path }) => [path, message]))

const problemsOf = (data: unknown) => problems(ResilienceConfig.decode(data))

const paths = <A, R>(self: Effect.Effect<A, ResilienceConfig.ConfigInvalid, R>) =>
  Effect.map(Effect.flip(self), ({ problems }) => problems.map(({ path }) => path))

const settingsOf = (tunings: ResilienceConfig.Pipelines, name: string) =>
  Pipeline.settings(name, present(tunings[name]))

/** Settings as plain values, so that those of formulas can be compared. */
const comparable = ({ operations, options: _, ...settings }: Pipeline.Settings): object => {
  const { retry } = settings
  const delays = retry?.delays.kind === "formula" ? [1, 2, 3, 4].map(retry.delays.at) : undefined
  return {
    ...settings,
    retry: retry === undefined
      ? undefined
      : { ...retry, delays, spread: [0, 0.4, 1].map((u) => retry.spread(100, u, 50, 20)) },
    operations: Array.from(operations, ([name, own]) => [name, comparable(own)])
  }
}

/** Every part, and most options, as one would write them in a file. */
const everything = {
  payments: {
    totalTimeout: "30 seconds",
    retry: {
      times: 4,
      maxElapsed: "1 minute",
      backoff: { kind: "exponential", base: "500 millis", factor: 3, cap: 4000 },
      jitter: { factor: 0.25 },
      maxRetryAfter: "10 seconds",
      retryOn: ["Busy", "TimedOut"],
      abortOn: ["Gone"],
      retryCircuitOpen: true,
      onExhausted: "wrap"
    },
    retryBudget: { share: 0.1, minimum: 5, window: "20 seconds", buckets: 20 },
    hedge: { hedges: 2, delay: { quantile: 0.9, initial: "2 seconds", samples: 100, minimum: 5 }, awaitLosers: true },
    throttle: { target: 0.9, window: "1 minute", minimumCalls: 20, maxProbability: 0.95 },
    rateLimit: {
      limits: {
        requests: { kind: "token-bucket", permits: 10, per: "1 second", burst: 20 },
        tokens: { kind: "sliding-window", permits: 1000.5, per: "1 minute" }
      },
      wait: "2 seconds",
      maxKeys: 50
    },
    bulkhead: { concurrency: 10, queue: 20, wait: "5 seconds" },
    circuitBreaker: {
      trip: [
        { kind: "consecutive", failures: 5, forgetAfter: "5 minutes" },
        { kind: "count", failures: 3, window: { calls: 10 } },
        { kind: "rate", threshold: 0.5, minimumCalls: 5, window: { duration: "10 seconds", buckets: 5 } },
        { kind: "slow", threshold: 0.5, slowerThan: "4 seconds", window: { calls: 20 } }
      ],
      open: "30 seconds",
      maxRetryAfter: "2 minutes",
      halfOpen: { concurrent: 2, calls: 4, successes: 3, maxDuration: "1 minute", afterwards: "closed" }
    },
    attemptTimeout: 2000,
    chaos: {
      enabled: false,
      latency: { rate: 0.5, delay: { min: 5, max: "1 second" } },
      failure: { rate: 0.1 },
      overload: { rate: 0.2, retryAfter: "1 second" },
      defect: { rate: 0.05 }
    },
    cache: { strategy: "stale-if-error", fresh: "1 minute", stale: "1 hour", capacity: 10, storeTimeout: 50 },
    streams: { firstElement: "10 seconds", idle: "5 seconds" },
    idempotent: false,
    operations: { refund: { retry: false, totalTimeout: "5 seconds" }, list: { idempotent: true } }
  },
  search: {
    retry: { backoff: { kind: "decorrelated", base: 100 }, jitter: "equal" },
    hedge: { delay: "100 millis" },
    rateLimit: { kind: "fixed-window", permits: 5, per: "1 second" },
    adaptiveLimit: {
      algorithm: { kind: "vegas", alpha: 2, beta: 4, probe: 10, samples: 5 },
      initial: 10,
      min: 2,
      max: 50,
      shares: { sheddable: 0.9, background: 0.3 },
      queue: 5,
      wait: 100
    },
    keyedCircuitBreaker: { open: "5 seconds", idle: "1 minute", maxKeys: 10 }
  }
} as const

/** The same, as variables of the environment. */
const asEnvironment = (data: unknown, name: string): ReadonlyArray<readonly [string, string]> =>
  typeof data === "object" && data !== null
    ? Object.entries(data).flatMap(([key, value]) => asEnvironment(value, `${name}_${key}`))
    : [[name, String(data)]]

describe("what is read", () => {
  it.effect("C7: the same data gives the same settings from code, JSON, the environment and a .env file", () =>
    Effect.gen(function*() {
      const variables = asEnvironment(everything, "policies")
      const dotEnv = variables.map(([name, value]) => `${name}="${value}"`).join("\n")
      const read = {
        decoded: yield* ResilienceConfig.decode(everything),
        json: yield* ResilienceConfig.decode(json(everything)),
        file: yield* loadFrom(fromFile(json(everything))),
        environment: yield* loadFrom(fromEnvironment(Object.fromEntries(variables))),
        dotEnv: yield* loadFrom(ConfigProvider.fromDotEnvContents(dotEnv))
      }
      for (const name of ["payments", "search"] as const) {
        const fromCode = comparable(Pipeline.settings(name, everything[name]))
        for (const [source, tunings] of Object.entries(read)) {
          assert.deepStrictEqual(comparable(settingsOf(tunings, name)), fromCode, `${name} from ${source}`)
        }
      }
      assert.deepStrictEqual(read.environment, read.decoded)
      assert.isTrue(Equal.equals(read.dotEnv, read.decoded))
    }))

  it.effect("numbers, durations and flags may be text, and are then what they say", () =>
    Effect.gen(function*() {
      const read = yield* ResilienceConfig.decode({
        a: {
          retry: { times: " 3 ", maxElapsed: "Infinity", jitter: { factor: ".5" }, retryOn: "Busy, Late" },
          attemptTimeout: "1e3",
          totalTimeout: " 10 seconds ",
          circuitBreaker: "false",
          bulkhead: { concurrency: 1, queue: "Infinity" },
          idempotent: "false"
        }
      })
      assert.deepStrictEqual<unknown>(read, {
        a: {
          retry: { times: 3, maxElapsed: Infinity, jitter: { factor: 0.5 }, retryOn: ["Busy", "Late"] },
          attemptTimeout: 1000,
          totalTimeout: "10 seconds",
          circuitBreaker: false,
          bulkhead: { concurrency: 1, queue: Infinity },
          idempotent: false
        }
      })
    }))

  it.effect("with nothing under the path, all is as declared", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* loadFrom(fromEnvironment({ HOME: "/root" })), {})
      assert.deepStrictEqual(yield* loadFrom(fromFile({})), {})
      assert.deepStrictEqual(yield* ResilienceConfig.decode({}), {})
      // of another program, perhaps
      assert.deepStrictEqual(yield* loadFrom(fromEnvironment({ POLICIES: "/etc/policies" })), {})
    }))

  it.effect("the path may be another one, as it is written in the environment", () =>
    Effect.gen(function*() {
      const tuning = { a: { attemptTimeout: 5 } }
      assert.deepStrictEqual(
        yield* loadFrom(fromEnvironment({ shop_limits_a_attemptTimeout: "5" }), "shop_limits"),
        tuning
      )
      assert.deepStrictEqual(
        yield* loadFrom(ConfigProvider.fromUnknown({ shop: { limits: tuning } }), "shop_limits"),
        tuning
      )
    }))

  it.effect("what is empty in the environment, or null in a file, is left out, and so is a block of nothing else", () =>
    Effect.gen(function*() {
      const read = yield* loadFrom(fromEnvironment({
        policies_a_retry_times: "",
        policies_a_attemptTimeout: "5",
        policies_b_retry_times: ""
      }))
      assert.deepStrictEqual(read, { a: { attemptTimeout: 5 } })
      assert.deepStrictEqual(yield* loadFrom(fromFile({ a: { retry: { times: null }, bulkhead: null } })), {})
      // which asks for a part as it is declared
      assert.deepStrictEqual(yield* loadFrom(fromFile({ a: { retry: {} } })), { a: { retry: {} } })
    }))

  it.effect("the schema is also one for other schemas, for writing, and for editors", () =>
    Effect.gen(function*() {
      const Settings = Schema.Struct({ port: Schema.Int, policies: ResilienceConfig.Pipelines })
      const read = yield* Schema.decodeUnknownEffect(Settings)({ port: 80, policies: json(everything) })
      assert.deepStrictEqual(read.policies, yield* ResilienceConfig.decode(everything))
      assert.deepStrictEqual(yield* Schema.encodeEffect(ResilienceConfig.Pipelines)(read.policies), read.policies)
      const { schema } = Schema.toJsonSchemaDocument(ResilienceConfig.Pipeline)
      assert.includeMembers(Object.keys(Object(schema["properties"])), ["retry", "circuitBreaker", "operations"])
    }))
})

describe("sources over each other", () => {
  const file = fromFile({
    payments: {
      retry: { times: 2, backoff: { kind: "exponential", base: "1 second", factor: 3 } },
      circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "1 minute" },
      rateLimit: { limits: { all: { kind: "fixed-window", permits: 5, per: 1000 } } }
    },
    billing: { retry: false, attemptTimeout: "5 seconds" }
  })

  it.effect("the environment is right over a file, value by value, and hides nothing beside it", () =>
    Effect.gen(function*() {
      const read = yield* loadFrom(over(
        fromEnvironment({
          policies_payments_circuitBreaker_trip_failures: "7",
          policies_payments_rateLimit_limits_all_permits: "9",
          policies_search_attemptTimeout: "3 seconds"
        }),
        file
      ))
      assert.deepStrictEqual<unknown>(read, {
        payments: {
          retry: { times: 2, backoff: { kind: "exponential", base: "1 second", factor: 3 } },
          circuitBreaker: { trip: { kind: "consecutive", failures: 7 }, open: "1 minute" },
          rateLimit: { limits: { all: { kind: "fixed-window", permits: 9, per: 1000 } } }
        },
        billing: { retry: false, attemptTimeout: "5 seconds" },
        search: { attemptTimeout: "3 seconds" }
      })
    }))

  it.effect("a part can be switched off over a block, and a block put over a part that is off", () =>
    Effect.gen(function*() {
      const read = yield* loadFrom(
        over(fromEnvironment({ policies_payments_circuitBreaker: "false", policies_billing_retry_times: "1" }), file)
      )
      assert.strictEqual(read["payments"]?.circuitBreaker, false)
      assert.deepStrictEqual(read["billing"], { retry: { times: 1 }, attemptTimeout: "5 seconds" })
    }))

  it.effect("a block of another kind takes the place of the whole block", () =>
    Effect.gen(function*() {
      const read = yield* loadFrom(over(
        fromEnvironment({
          policies_payments_retry_backoff_kind: "constant",
          policies_payments_retry_backoff_delay: "2 seconds"
        }),
        file
      ))
      assert.deepStrictEqual<unknown>(read["payments"]?.retry, {
        times: 2,
        backoff: { kind: "constant", delay: "2 seconds" }
      })
    }))

  it.effect("lists are laid over each other by place", () =>
    Effect.gen(function*() {
      const trips = fromFile({
        a: {
          circuitBreaker: {
            trip: [{ kind: "consecutive", failures: 5 }, { kind: "count", failures: 3, window: { calls: 10 } }]
          },
          retry: { retryOn: ["A", "B"] }
        }
      })
      const changed = yield* loadFrom(over(
        fromEnvironment({ policies_a_circuitBreaker_trip_1_window_calls: "20", policies_a_retry_retryOn: "C" }),
        trips
      ))
      assert.deepStrictEqual<unknown>(changed["a"], {
        circuitBreaker: {
          trip: [{ kind: "consecutive", failures: 5 }, { kind: "count", failures: 3, window: { calls: 20 } }]
        },
        retry: { retryOn: ["C"] }
      })
      const longer = yield* loadFrom(over(fromEnvironment({ policies_a_retry_retryOn_2: "C" }), trips))
      assert.deepStrictEqual(longer["a"]?.retry, { retryOn: ["A", "B", "C"] })
    }))

  it.effect("of three sources each says its part, also where they are nested, renamed and added by layers", () =>
    Effect.gen(function*() {
      const nested = ConfigProvider.fromUnknown({ app: { policies: { a: { attemptTimeout: 3, totalTimeout: 3 } } } })
        .pipe(
          ConfigProvider.nested("app")
        )
      const renamed = fromFile({ A: { idempotent: true } }).pipe(
        ConfigProvider.mapInput((path) => path.map((segment) => segment === "a" ? "A" : segment))
      )
      const read = ResilienceConfig.load().pipe(
        Effect.provide(
          ConfigProvider.layerAdd(nested).pipe(
            Layer.provideMerge(ConfigProvider.layerAdd(fromFile({ a: { attemptTimeout: 2, streams: { idle: 2 } } }))),
            Layer.provideMerge(ConfigProvider.layer(fromEnvironment({ policies_a_streams_idle: "1" })))
          )
        )
      )
      assert.deepStrictEqual(yield* read, { a: { streams: { idle: 1 }, attemptTimeout: 2, totalTimeout: 3 } })
      assert.deepStrictEqual(yield* loadFrom(over(fromEnvironment({ policies_a_attemptTimeout: "1" }), renamed)), {
        a: { attemptTimeout: 1 },
        A: { idempotent: true }
      })
    }))

  it.effect("random files over each other, read as one source or as two, say the same", () =>
    Effect.gen(function*() {
      const leaves = asEnvironment({ payments: everything.payments }, "policies")
      for (let seed = 1; seed <= 200; seed++) {
        // each variable is in the upper source, in the lower one, or in both
        let state = seed
        const upper: Record<string, string> = {}
        const lower: Record<string, string> = {}
        for (const [name, value] of leaves) {
          state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
          const place = Math.floor(state / 65_536) % 3
          if (place !== 0) upper[name] = value
          if (place !== 1) lower[name] = value
        }
        const both = yield* loadFrom(over(fromEnvironment(upper), fromEnvironment(lower)))
        assert.isTrue(Equal.equals(both, yield* loadFrom(fromEnvironment({ ...lower, ...upper }))), `seed ${seed}`)
      }
    }))
})

describe("what is wrong", () => {
  it.effect("all mistakes are found at once, each with its path", () =>
    Effect.gen(function*() {
      const found = yield* problemsOf({
        payments: {
          totalTimeout: "soon",
          retry: { times: -1, backoff: { kind: "exponental", base: 1 }, tries: 3 },
          circuitBreaker: {
            trip: { kind: "rate", threshold: 0.5, minimumCalls: 20, window: { calls: 10 } },
            halfOpen: { calls: 2, successes: 3 }
          },
          operations: { refund: { attemptTimeout: 0 } }
        },
        billing: { bulkhead: { concurrency: 1.5 }, adaptiveLimit: { min: 5, max: 3, queue: -1 } },
        search: { bulkhead: { concurrency: 1 }, adaptiveLimit: {} },
        plans: { atemptTimeout: 5 },
        orders: "off"
      })
      const parts =
        "totalTimeout, retry, retryBudget, hedge, throttle, rateLimit, bulkhead, adaptiveLimit, circuitBreaker, keyedCircuitBreaker, attemptTimeout, chaos, cache, streams, idempotent, operations"
      assert.sameDeepMembers(found, [
        ["payments.totalTimeout", "must be a duration above zero, got \"soon\"; write it like \"2 seconds\""],
        [
          "payments.retry.tries",
          "is not an option; there are times, maxElapsed, backoff, jitter, maxRetryAfter, retryOn, abortOn, retryCircuitOpen, onExhausted"
        ],
        ["payments.retry.times", "must be an integer >= 0, got -1"],
        [
          "payments.retry.backoff.kind",
          "must be one of constant, linear, exponential, fibonacci, decorrelated, got \"exponental\""
        ],
        ["payments.circuitBreaker.trip.minimumCalls", "must be at most the 10 calls of its window, got 20"],
        ["payments.circuitBreaker.halfOpen.successes", "must be at most the 2 calls that decide, got 3"],
        ["payments.operations.refund.attemptTimeout", "must be a duration above zero, got 0"],
        ["billing.bulkhead.concurrency", "must be an integer >= 1, got 1.5"],
        ["billing.adaptiveLimit.queue", "must be an integer >= 0, got -1"],
        // seen although the queue is wrong as well
        ["billing.adaptiveLimit.max", "must be an integer >= 5, got 3"],
        ["search.adaptiveLimit", "must be left out where bulkhead is given"],
        ["plans.atemptTimeout", `is not an option; there are ${parts}`],
        ["orders", "must be an object, got text"]
      ])
    }))

  it.effect("from a file or the environment, paths begin where the configuration does", () =>
    Effect.gen(function*() {
      const wrong = over(
        fromEnvironment({ policies_payments_retry_times: "-1", policies_payments_rety: "x" }),
        fromFile({ billing: { bulkhead: {} } })
      )
      assert.sameMembers(yield* paths(loadFrom(wrong)), [
        "policies.payments.rety",
        "policies.payments.retry.times",
        "policies.billing.bulkhead.concurrency"
      ])
    }))

  it.effect("unknown keys are refused at every depth, and what is under them is not shown", () =>
    Effect.gen(function*() {
      const secret = "hunter2"
      const error = yield* Effect.flip(ResilienceConfig.decode({
        a: {
          password: secret,
          retry: { secret, backoff: { kind: "constant", delay: 1, key: secret }, jitter: { factor: 0.1, key: secret } },
          circuitBreaker: {
            trip: { kind: "count", failures: 1, window: { calls: 5, key: { deep: secret } }, key: [secret] },
            halfOpen: { key: secret }
          },
          rateLimit: { limits: { x: { kind: "fixed-window", permits: 1, per: 1, key: secret } } },
          hedge: { delay: { quantile: 0.5, key: secret } },
          chaos: { latency: { rate: 0, delay: { min: 1, max: 2, key: secret } }, failure: { rate: 0, key: secret } },
          operations: { q: { key: secret, streams: { key: secret } } },
          // a value where a block belongs
          cache: secret
        },
        [secret.repeat(100)]: secret,
        "a b.c": { x: 1 }
      }))
      assert.sameMembers(error.problems.map(({ path }) => path), [
        "a.password",
        "a.retry.secret",
        "a.retry.backoff.key",
        "a.retry.jitter.key",
        "a.circuitBreaker.trip.window.key",
        "a.circuitBreaker.trip.key",
        "a.circuitBreaker.halfOpen.key",
        "a.rateLimit.limits.x.key",
        "a.hedge.delay.key",
        "a.chaos.latency.delay.key",
        "a.chaos.failure.key",
        "a.operations.q.key",
        "a.operations.q.streams.key",
        "a.cache",
        `["${secret.repeat(100).slice(0, 60)}..."]`,
        "[\"a b.c\"].x"
      ])
      for (const { message } of error.problems) assert.notInclude(message, secret)
    }))

  it.effect("a trip that does not say its kind is refused, and not guessed", () =>
    Effect.gen(function*() {
      const kinds = "it must be one of consecutive, count, rate, slow"
      assert.deepStrictEqual(
        yield* problems(loadFrom(fromEnvironment({ policies_a_circuitBreaker_trip_failures: "7" }))),
        [
          ["policies.a.circuitBreaker.trip.kind", `is missing; ${kinds}`]
        ]
      )
      assert.deepStrictEqual(yield* problemsOf({ a: { circuitBreaker: { trip: {} } } }), [
        ["a.circuitBreaker.trip.kind", `is missing; ${kinds}`]
      ])
      assert.deepStrictEqual(yield* problemsOf({ a: { circuitBreaker: { trip: [{ kind: "rate", threshold: 1 }] } } }), [
        ["a.circuitBreaker.trip[0].window", "is missing"]
      ])
      assert.deepStrictEqual(yield* problemsOf({ a: { rateLimit: { permits: 5, per: 1 } } }), [
        ["a.rateLimit.kind", "is missing; it must be one of token-bucket, sliding-window, fixed-window"]
      ])
      assert.deepStrictEqual(
        yield* problemsOf({
          a: { rateLimit: { limits: { x: { kind: "fixed-window", permits: 1, per: 1 } }, kind: "fixed-window" } }
        }),
        [
          ["a.rateLimit.kind", "is not an option; there are limits, wait, maxKeys"]
        ]
      )
    }))

  it.effect("what several options say together is looked at, as far as no declaration can mend it", () =>
    Effect.gen(function*() {
      const window = { duration: "1 minute" }
      assert.sameMembers(
        yield* paths(ResilienceConfig.decode({
          a: {
            circuitBreaker: {
              trip: [{ kind: "slow", threshold: 1, slowerThan: 1, window }, {
                kind: "slow",
                threshold: 1,
                slowerThan: 2,
                window
              }]
            }
          },
          b: { circuitBreaker: { trip: { kind: "count", failures: 11, window: { calls: 10 } } } },
          c: { circuitBreaker: { halfOpen: { successes: 1, failureRate: 0.5 } } },
          d: { circuitBreaker: { trip: { kind: "count", failures: 1, window: { duration: 5 } } } },
          e: { retryBudget: { window: 5, buckets: 10 } },
          f: { hedge: { delay: { quantile: 0.5, minimum: 10, maximum: 5 } } },
          g: { adaptiveLimit: { initial: 10, max: 5 } },
          h: {
            adaptiveLimit: {
              shares: { sheddable: 0.1, background: 0.2 },
              algorithm: { kind: "vegas", alpha: 9, beta: 2 }
            }
          },
          i: { cache: { strategy: "cache-first", fresh: 1, stale: 1 } },
          j: { chaos: { failure: { rate: 0.6 }, overload: { rate: 0.6 } } },
          k: { keyedCircuitBreaker: {}, circuitBreaker: {} },
          l: { rateLimit: { limits: {} } }
        })),
        [
          "a.circuitBreaker.trip",
          "b.circuitBreaker.trip.failures",
          "c.circuitBreaker.halfOpen.failureRate",
          "d.circuitBreaker.trip.window.duration",
          "e.retryBudget.window",
          "f.hedge.delay.maximum",
          "g.adaptiveLimit.initial",
          "h.adaptiveLimit.shares.background",
          "h.adaptiveLimit.algorithm.beta",
          "i.cache.stale",
          "j.chaos",
          "k.keyedCircuitBreaker",
          "l.rateLimit.limits"
        ]
      )
      // over a declaration with a queue, a larger maximum or fewer buckets these may be right
      yield* ResilienceConfig.decode({
        a: { bulkhead: { concurrency: 1, wait: 5 } },
        b: { adaptiveLimit: { initial: 300, wait: 5 } },
        c: { retryBudget: { window: 5 } },
        d: { adaptiveLimit: false, bulkhead: { concurrency: 1 } }
      })
    }))

  it.effect("every option that takes a number or a duration refuses what is none", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<unknown> = [
        NaN,
        "three",
        "",
        "NaN",
        "0x10",
        "1_000",
        true,
        null,
        undefined,
        [],
        [1],
        {},
        5n,
        -1,
        "-1",
        "-1 second"
      ]
      const leavesOf = (data: unknown, path: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
        typeof data === "object" && data !== null
          ? Object.entries(data).flatMap(([key, value]) => leavesOf(value, [...path, key]))
          : typeof data === "number" || (typeof data === "string" && /^\d+ /.test(data))
          ? [path]
          : []
      const replaced = (data: unknown, [key, ...path]: ReadonlyArray<string>, value: unknown): unknown =>
        key === undefined
          ? value
          : Array.isArray(data)
          ? data.map((inner, n) => String(n) === key ? replaced(inner, path, value) : inner)
          : { ...Object(data), [key]: replaced(Object(data)[key], path, value) }
      const leaves = leavesOf(everything, [])
      assert.isAbove(leaves.length, 60)
      for (const path of leaves) {
        for (const value of wrong) {
          const { message, problems } = yield* Effect.flip(ResilienceConfig.decode(replaced(everything, path, value)))
          const found = problems.map(({ path }) => path)
          // the words are those of the module
          assert.notInclude(message, "another value")
          const at = path.map((segment, n) =>
            /^\d+$/.test(segment) ? `[${segment}]` : n === 0 ? segment : `.${segment}`
          ).join("")
          assert.isAbove(found.length, 0, `${at} takes ${String(value)}`)
          for (const one of found) {
            assert.isTrue(one.startsWith(at) || at.startsWith(one), `${at} is reported at ${one}`)
          }
        }
      }
    }))

  it.effect("a bad block is never taken for an empty one", () =>
    Effect.gen(function*() {
      class Retrying {
        times = 3
      }
      const blocks: ReadonlyArray<unknown> = [
        null,
        undefined,
        true,
        "true",
        "",
        0,
        [],
        [{}],
        () => ({}),
        Symbol.iterator,
        new Map(),
        new Date(0),
        Object.create({ times: 3 })
      ]
      for (const block of [...blocks, new Retrying()]) {
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: { retry: block } })), ["a.retry"])
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: { operations: { q: { retry: block } } } })), [
          "a.operations.q.retry"
        ])
      }
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: { retry: Duration.seconds(5) } })), [
        "a.retry.value"
      ])
      // `false` is not for those
      for (const block of [...blocks, false]) {
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: block })), ["a"])
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode(block)), [""])
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: { operations: block } })), ["a.operations"])
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: { circuitBreaker: { halfOpen: block } } })), [
          "a.circuitBreaker.halfOpen"
        ])
      }
    }))

  it.effect("hostile data is refused, or is only what it says", () =>
    Effect.gen(function*() {
      const inherited: unknown = JSON.parse(
        `{ "__proto__": { "retry": { "times": 1 } }, "constructor": { "attemptTimeout": 5 }, "a": { "retry": { "__proto__": { "times": 9 } } } }`
      )
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode(inherited)), ["a.retry.__proto__"])
      const named: unknown = JSON.parse(
        `{ "__proto__": { "retry": { "times": 1 } }, "toString": { "attemptTimeout": 5 } }`
      )
      assert.deepStrictEqual(Object.keys(yield* ResilienceConfig.decode(named)), ["__proto__", "toString"])
      assert.deepStrictEqual(yield* loadFrom(fromFile(named)), yield* ResilienceConfig.decode(named))
      assert.isUndefined(Object(Object.prototype)["retry"])
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ "": {} })), ["[\"\"]"])

      let deep: unknown = 1
      for (let depth = 0; depth < 100_000; depth++) deep = { a: deep }
      const circle: Record<string, unknown> = {}
      circle["retry"] = circle
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode(deep)), ["a.a"])
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ b: { retry: deep } })), ["b.retry.a"])
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ b: { retry: { times: deep } } })), [
        "b.retry.times"
      ])
      assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ b: circle })), ["b.retry.retry"])
      assert.deepStrictEqual(yield* paths(loadFrom(fromFile(deep))), ["policies.a.a"])

      const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`key${n}`, n]))
      const error = yield* Effect.flip(ResilienceConfig.decode({ a: wide }))
      assert.strictEqual(error.problems.length, 20_000)
      assert.strictEqual(error.message.split("\n").length, 52)
      assert.include(error.message, "and 19950 more")
      assert.deepStrictEqual(
        yield* problems(loadFrom(fromEnvironment({ policies_a_circuitBreaker_trip_4294967294_kind: "rate" }))),
        [["policies.a.circuitBreaker.trip", "must be a list of at most 100, got one of 4294967295"]]
      )
      for (const huge of ["1e999", 1e308, Number.MAX_VALUE, "9".repeat(500)]) {
        assert.deepStrictEqual(yield* paths(ResilienceConfig.decode({ a: { retry: { times: huge } } })), [
          "a.retry.times"
        ])
      }
    }))

  it.effect("the environment is refused where it says two things, or says them in other capitals", () =>
    Effect.gen(function*() {
      const found = yield* problems(loadFrom(fromEnvironment({
        POLICIES_PAYMENTS_RETRY_TIMES: "3",
        policies_payments_retry: "false",
        policies_payments_retry_times: "3",
        policies_payments_circuitbreaker_open: "5"
      })))
      assert.deepStrictEqual(found.map(([path]) => path), [
        "POLICIES",
        "policies.payments.retry",
        "policies.payments.circuitbreaker"
      ])
      assert.deepStrictEqual(found[0]?.[1], "is written policies, and all below it as in JSON")
    }))

  it.effect("a source that cannot be read is a problem as well", () =>
    Effect.gen(function*() {
      const broken = ConfigProvider.make(() => Effect.fail(new ConfigProvider.SourceError({ message: "no such disk" })))
      assert.deepStrictEqual(yield* problems(loadFrom(over(fromFile({}), broken))), [
        ["policies", "cannot be read: no such disk"]
      ])
    }))

  it.effect("the message has a line for each problem, and the error is a schema's", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ResilienceConfig.decode({ a: { retry: { times: -1 }, hedge: 5 } }))
      assert.strictEqual(
        error.message,
        "ResilienceConfig: 2 problems\n  a.retry.times must be an integer >= 0, got -1\n  a.hedge must be an object or false, got 5"
      )
      const encoded = yield* Schema.encodeEffect(ResilienceConfig.ConfigInvalid)(error)
      const decoded = yield* Schema.decodeEffect(ResilienceConfig.ConfigInvalid)(encoded)
      assert.deepStrictEqual(decoded.problems, error.problems)
      assert.strictEqual(
        (yield* Effect.flip(ResilienceConfig.decode(null))).message,
        "ResilienceConfig: 1 problem\n  all of it must be an object, got null"
      )
    }))
})

describe("layers", () => {
  class Payments extends Pipeline.Service<Payments>()("payments", {
    retry: { times: 5, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" },
    circuitBreaker: { trip: { kind: "consecutive", failures: 50 } },
    attemptTimeout: "2 seconds"
  }) {}

  const tuned = (data: unknown) => Layer.provide(Payments.layer, ResilienceConfig.layer(data))

  it.effect("C7: policies that are chosen by configuration run as it says", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const call = Effect.flatMap(Payments, (payments) => payments.protect(work)).pipe(
        Effect.provide(tuned({ payments: { retry: { times: 2, backoff: { kind: "linear", base: 100 } } } }))
      )
      assert.strictEqual(brief((yield* drive(call)).exit), "Boom")
      assert.deepStrictEqual(starts, [0, 100, 300])
    }))

  it.effect("what configuration does not mention stays as declared, and what it switches off is gone", () =>
    Effect.gen(function*() {
      const { settings } = yield* Payments.pipe(
        Effect.provide(tuned({ payments: { circuitBreaker: false, retry: { times: 1 } } }))
      )
      assert.strictEqual(settings.retry?.times, 1)
      const { delays } = present(settings.retry)
      assert.deepStrictEqual(delays.kind === "formula" ? [1, 2, 3].map(delays.at) : [], [1000, 1000, 1000])
      assert.isUndefined(settings.circuitBreaker)
      assert.strictEqual(settings.attemptTimeout, 2000)
    }))

  it.effect("bad data fails the layer with one typed error", () =>
    Effect.gen(function*() {
      const built = Effect.provide(Effect.void, ResilienceConfig.layer({ payments: { retry: 5 } }))
      assert.deepStrictEqual(yield* paths(built), ["payments.retry"])
      const configured = Effect.provide(Effect.void, configuredBy(fromEnvironment({ policies_payments_retry: "5" })))
      assert.deepStrictEqual(yield* paths(configured), ["policies.payments.retry"])
    }))

  it.effect("names that no pipeline has are kept for later ones, and listed until then", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* ResilienceConfig.unclaimed, ["payments", "paymets"])
        yield* Pipeline.make("payments", { retry: {} })
        assert.deepStrictEqual(yield* ResilienceConfig.unclaimed, ["paymets"])
      }).pipe(
        Effect.provide(ResilienceConfig.layer({ payments: { retry: { times: 1 } }, paymets: { retry: { times: 1 } } }))
      )
      assert.deepStrictEqual(yield* Effect.provide(ResilienceConfig.unclaimed, Resilience.layer), [])
    }))
})

describe("B2: settings of each service from the environment, with defaults", () => {
  const service = (times: number, attemptTimeout: string, failures: number, open: string) => ({
    retry: { times },
    attemptTimeout,
    circuitBreaker: { trip: { kind: "consecutive", failures }, open }
  })
  const defaults = fromFile({
    vectorStore: service(3, "15 seconds", 5, "60 seconds"),
    fileSystem: service(3, "20 seconds", 5, "60 seconds"),
    billing: service(2, "5 seconds", 10, "30 seconds"),
    git: service(3, "30 seconds", 5, "90 seconds")
  })

  const numbers = (env: Record<string, string>) =>
    Effect.map(loadFrom(over(fromEnvironment(env), defaults)), (tunings) =>
      Object.fromEntries(
        Object.keys(tunings).map((name) => {
          const { attemptTimeout, circuitBreaker, retry } = settingsOf(tunings, name)
          const [trip] = circuitBreaker?.settings.trip ?? []
          return [name, [
            retry?.times,
            attemptTimeout,
            trip?.kind === "consecutive" ? trip.failures : undefined,
            circuitBreaker?.settings.open
          ]]
        })
      ))

  it.effect("B2: without any variables the defaults hold", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* numbers({}), {
        vectorStore: [3, 15_000, 5, 60_000],
        fileSystem: [3, 20_000, 5, 60_000],
        billing: [2, 5_000, 10, 30_000],
        git: [3, 30_000, 5, 90_000]
      })
    }))

  it.effect("B2: each variable changes one number", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* numbers({
          policies_vectorStore_retry_times: "1",
          policies_fileSystem_attemptTimeout: "25 seconds",
          policies_billing_circuitBreaker_trip_failures: "7",
          policies_git_circuitBreaker_open: "2 minutes",
          CHROMA_SERVER_URL: "http://chroma:8000"
        }),
        {
          vectorStore: [1, 15_000, 5, 60_000],
          fileSystem: [3, 25_000, 5, 60_000],
          billing: [2, 5_000, 7, 30_000],
          git: [3, 30_000, 5, 120_000]
        }
      )
    }))

  it.effect("B2: the defaults may also stand in code, and the environment tunes them", () =>
    Effect.gen(function*() {
      const billing = yield* Pipeline.make("billing", {
        retry: { times: 2 },
        attemptTimeout: "5 seconds",
        circuitBreaker: { trip: { kind: "consecutive", failures: 10 }, open: "30 seconds" }
      }).pipe(
        Effect.provide(configuredBy(fromEnvironment({ policies_billing_circuitBreaker_open: "45 seconds" })))
      )
      assert.strictEqual(billing.settings.circuitBreaker?.settings.open, 45_000)
      assert.deepStrictEqual(billing.settings.circuitBreaker?.settings.trip, [
        { kind: "consecutive", failures: 10, forgetAfter: undefined }
      ])
      assert.strictEqual(billing.settings.retry?.times, 2)
    }))
})

describe("reconfiguring", () => {
  const make = Effect.all({
    payments: Pipeline.make("payments", {
      retry: { times: 3, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" },
      circuitBreaker: { trip: { kind: "consecutive", failures: 2 } },
      bulkhead: { concurrency: 5, queue: 5 }
    }),
    search: Pipeline.make("search", { attemptTimeout: "2 seconds" })
  })

  it.effect("changes live pipelines by name; the breaker keeps its state, and a call in flight ends as it began", () =>
    Effect.gen(function*() {
      const { payments, search } = yield* make
      const breaker = present(payments.circuitBreaker)
      yield* Effect.exit(breaker.protect(Effect.fail(new Boom({ n: 1 }))))
      const events = yield* listen(yield* Resilience.Resilience)
      const { starts, work } = failing()
      const call = yield* start(ended(payments.protect(Effect.mapError(work, () => "gone" as const))))
      yield* ResilienceConfig.reconfigure(json({
        payments: { retry: { times: "0" }, bulkhead: { concurrency: 9 } },
        search: { attemptTimeout: false }
      }))
      assert.strictEqual(payments.settings.retry?.times, 0)
      assert.strictEqual(payments.settings.bulkhead?.settings.concurrency, 9)
      // laid over what is declared, option by option
      assert.strictEqual(payments.settings.bulkhead?.settings.queue, 5)
      assert.isUndefined(search.settings.attemptTimeout)
      assert.strictEqual(payments.circuitBreaker, breaker)
      assert.strictEqual((yield* breaker.snapshot).state, "Open")
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(call)
      assert.isAtLeast(starts.length, 1)
      assert.deepStrictEqual(events.filter(({ _tag }) => _tag === "Reconfigured").length, 2)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("lies over the declaration: what earlier data said about a pipeline holds no longer", () =>
    Effect.gen(function*() {
      const { payments, search } = yield* make
      yield* ResilienceConfig.reconfigure({ payments: { retry: { times: 1 } }, search: { attemptTimeout: 5 } })
      yield* ResilienceConfig.reconfigure({ payments: {} })
      assert.strictEqual(payments.settings.retry?.times, 3)
      // it was not named
      assert.strictEqual(search.settings.attemptTimeout, 5)
    }).pipe(Effect.provide(ResilienceConfig.layer({ payments: { retry: { times: 2 } } }))))

  it.effect("changes nothing if anything is wrong, and says all of it", () =>
    Effect.gen(function*() {
      const { payments, search } = yield* make
      const before = [payments.settings, search.settings]
      const found = yield* problems(ResilienceConfig.reconfigure({
        payments: {
          retry: { times: 1, onExhausted: "wrap" },
          hedge: {},
          cache: { strategy: "cache-first", fresh: 1 },
          bulkhead: { concurrency: 1, wait: 5 },
          operations: { refund: { hedge: {}, retry: { times: 9 } } }
        },
        search: { retry: {}, attemptTimeout: 5 },
        serach: { attemptTimeout: 5 }
      }))
      const cannot = (part: string) => `cannot add ${part}, which the pipeline does not have`
      assert.sameDeepMembers(found, [
        ["payments.retry", cannot("retry.onExhausted \"wrap\"")],
        ["payments.hedge", cannot("hedge")],
        ["payments.cache", cannot("cache")],
        ["payments.operations.refund.hedge", cannot("hedge")],
        ["search.retry", cannot("retry")],
        ["serach", "is not the name of any pipeline"]
      ])
      assert.deepStrictEqual(yield* paths(ResilienceConfig.reconfigure({ search: { attemptTimeout: -1 } })), [
        "search.attemptTimeout"
      ])
      assert.strictEqual(payments.settings, before[0])
      assert.strictEqual(search.settings, before[1])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("what only the declaration makes wrong is found as well", () =>
    Effect.gen(function*() {
      yield* Pipeline.make("limited", { adaptiveLimit: { max: 50 }, bulkhead: false })
      const { problems } = yield* Effect.flip(
        ResilienceConfig.reconfigure({ limited: { adaptiveLimit: { initial: 60 } } })
      )
      assert.deepStrictEqual(problems, [
        { path: "limited.adaptiveLimit.initial", message: "must be an integer from 1 to 50, got 60" }
      ])
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("pipelines from data alone", () => {
  it.effect("C7: combined policies run as a pipeline of the same options does", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const pipelines = yield* ResilienceConfig.pipelines(json({
        quotes: {
          totalTimeout: "1 minute",
          retry: { times: 2, backoff: { kind: "exponential", base: "1 second" }, jitter: "none", onExhausted: "wrap" },
          circuitBreaker: { trip: { kind: "consecutive", failures: 3 } },
          attemptTimeout: "2 seconds"
        }
      }))
      const quotes = present(pipelines.get("quotes"))
      assert.strictEqual(brief((yield* drive(quotes.protect(work), "10 seconds")).exit), "RetriesExhausted")
      assert.deepStrictEqual(starts, [0, 1000, 3000])
      assert.strictEqual(brief((yield* drive(quotes.protect(work), "1 seconds")).exit), "CircuitOpen")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("the same data finds the same pipelines, and they can be reconfigured", () =>
    Effect.gen(function*() {
      const data = { quotes: { totalTimeout: "10 seconds", retry: {} } }
      const first = present((yield* ResilienceConfig.pipelines(data)).get("quotes"))
      assert.strictEqual(present((yield* ResilienceConfig.pipelines(data)).get("quotes")), first)
      yield* ResilienceConfig.reconfigure({ quotes: { totalTimeout: "5 seconds", retry: { times: 1 } } })
      assert.strictEqual(first.settings.totalTimeout, 5000)
      assert.strictEqual(first.settings.retry?.times, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("what is wrong about whole pipelines is one typed error, and none is made", () =>
    Effect.gen(function*() {
      yield* Pipeline.make("taken", { retry: { times: 1 } })
      const found = yield* problems(ResilienceConfig.pipelines({
        limited: { bulkhead: { concurrency: 1, wait: 5 }, adaptiveLimit: false },
        adaptive: {
          adaptiveLimit: { initial: 300 },
          operations: { q: { retry: { times: 1 }, adaptiveLimit: { initial: 1 } } }
        },
        tuned: { attemptTimeout: 5 },
        taken: { retry: { times: 2 } },
        right: { attemptTimeout: 5 }
      }))
      assert.sameDeepMembers(found, [
        ["limited.bulkhead.queue", "must be given where wait is, got undefined"],
        ["adaptive.adaptiveLimit.initial", "must be an integer from 1 to 200, got 300"],
        ["adaptive.operations.q.retry", "cannot add retry, which the pipeline does not have"],
        ["tuned.retry", "cannot add retry, which the pipeline does not have"],
        ["taken", "is the name of another pipeline: retry.times 1, not 2"]
      ])
      const { pipelines } = yield* Resilience.Resilience
      assert.deepStrictEqual([...(yield* pipelines).keys()], ["taken"])
    }).pipe(Effect.provide(ResilienceConfig.layer({ tuned: { retry: {} } }))))
})
