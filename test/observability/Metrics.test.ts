import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Metric, Random, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, KeyedCircuitBreaker, Outcome, Pipeline, Resilience } from "../../src/index.ts"
import { Metrics } from "../../src/observability/index.ts"
import { assertRefused, boom, draws, drive, pauses, present, recorded, start } from "../support.ts"
import { fresh } from "./freshRegistry.ts"
import { hostileNames } from "./names.ts"
import { parsePrometheus, sample } from "./prometheusText.ts"

const trip = { kind: "consecutive", failures: 1 } as const

const measured = (options: Metrics.Options = {}) =>
  Metrics.layer(options).pipe(Layer.provideMerge(Resilience.layerTest()))

const scrape = Effect.gen(function*() {
  yield* TestClock.adjust(0)
  return parsePrometheus(yield* (yield* Metrics.Metrics).prometheus())
})

describe("Metrics", () => {
  it.effect("D7: counts calls by outcome, attempts, retries and fallbacks of each pipeline", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("quotes", { retry: { times: 1 } })
      yield* protect(Effect.void)
      yield* Effect.ignore(protect(boom, { operation: "latest" }))
      yield* protect(boom, { fallback: () => Effect.succeed("old") })
      const text = yield* scrape
      const of = (name: string, labels = {}) => sample(text, name, { pipeline: "quotes", ...labels })
      assert.strictEqual(of("resilience_calls_total", { outcome: "success" }), 1)
      assert.strictEqual(of("resilience_calls_total", { outcome: "failure" }), 2)
      assert.strictEqual(of("resilience_attempts_total"), 5)
      assert.strictEqual(of("resilience_retries_total"), 2)
      assert.strictEqual(of("resilience_retries_exhausted_total"), 2)
      assert.strictEqual(of("resilience_fallbacks_total"), 1)
      assert.strictEqual(sample(text, "resilience_pipelines", {}), 1)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("C2: tells of each breaker its state, its changes, its calls by outcome, refused and slow", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("quotes", {
        circuitBreaker: {
          trip: [trip, { kind: "slow", threshold: 1, slowerThan: "1 seconds", window: { calls: 10 } }],
          open: "10 seconds"
        },
        operations: { pay: { circuitBreaker: { trip } } }
      })
      const slow = yield* start(protect(Effect.sleep("2 seconds")))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.await(slow)
      yield* Effect.ignore(protect(boom))
      yield* Effect.ignore(protect(boom))
      const open = yield* scrape
      const of = (text: typeof open, name: string, labels = {}) => sample(text, name, { pipeline: "quotes", ...labels })
      const stateOf = (text: typeof open) =>
        ["closed", "open", "half_open", "forced"].map((state) =>
          of(text, "resilience_circuit_breaker_state", { state })
        )
      assert.deepStrictEqual(stateOf(open), [0, 1, 0, 0])
      assert.strictEqual(of(open, "resilience_circuit_breaker_transitions_total", { to: "open" }), 1)
      assert.strictEqual(of(open, "resilience_circuit_breaker_calls_total", { outcome: "failure" }), 1)
      assert.strictEqual(of(open, "resilience_refusals_total", { policy: "circuit_breaker" }), 1)
      assert.strictEqual(of(open, "resilience_circuit_breaker_slow_calls_total"), 1)
      // the breaker of an operation has the labels of both
      assert.strictEqual(of(open, "resilience_circuit_breaker_state", { operation: "pay", state: "closed" }), 1)

      yield* TestClock.adjust("10 seconds")
      yield* protect(Effect.void)
      const closed = yield* scrape
      assert.deepStrictEqual(stateOf(closed), [1, 0, 0, 0])
      assert.strictEqual(of(closed, "resilience_circuit_breaker_transitions_total", { to: "half_open" }), 1)
      assert.strictEqual(of(closed, "resilience_circuit_breaker_transitions_total", { to: "closed" }), 1)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("reads limits, budgets, hedges and caches while they are in use", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {
        retry: { times: 3 },
        retryBudget: { minimum: 2, share: 0.1 },
        hedge: { delay: "1 seconds" },
        throttle: {},
        rateLimit: { kind: "fixed-window", permits: 10, per: "1 days" },
        bulkhead: { concurrency: 2, queue: 5 },
        cache: { strategy: "cache-first", fresh: "1 hours" }
      })
      const lookup = (n: number) =>
        protect(n === 0 ? Effect.die("not asked") : Effect.succeed(n), {
          cache: { key: [1], schema: Schema.Number }
        })
      yield* lookup(1)
      yield* lookup(0)
      for (let n = 0; n < 3; n++) yield* start(protect(Effect.never, { idempotent: false }))
      yield* TestClock.adjust(0)
      const text = yield* scrape
      const of = (name: string, labels = {}) => sample(text, name, { pipeline: "p", ...labels })
      assert.strictEqual(of("resilience_in_flight_calls", { policy: "bulkhead" }), 2)
      assert.strictEqual(of("resilience_queued_calls", { policy: "bulkhead" }), 1)
      assert.strictEqual(of("resilience_concurrency_limit", { policy: "bulkhead" }), 2)
      assert.strictEqual(of("resilience_cache_answers_total", { result: "fresh" }), 1)
      assert.strictEqual(of("resilience_cache_answers_total", { result: "none" }), 1)
      assert.strictEqual(of("resilience_cache_entries"), 1)
      assert.strictEqual(of("resilience_retry_budget_left"), 2)
      assert.strictEqual(of("resilience_hedges_total"), 0)
      assert.strictEqual(of("resilience_hedges_won_total"), 0)
      assert.strictEqual(of("resilience_hedge_delay_seconds"), 1)
      assert.strictEqual(of("resilience_throttle_probability_ratio"), 0)
      const [permits] = text.samples.filter(({ name }) => name === "resilience_rate_limit_permits_left")
      assert.strictEqual(present(permits).value, 6)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("sums the keys of a breaker, and its totals never fall when keys are dropped", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("hosts", {
        keyedCircuitBreaker: { trip, open: "1 seconds", idle: "10 seconds" }
      })
      for (let n = 0; n < 5; n++) yield* protect(Effect.void, { key: `host ${n}` })
      yield* Effect.ignore(protect(boom, { key: "host 0" }))
      const of = (text: Effect.Success<typeof scrape>, name: string, labels = {}) =>
        sample(text, name, { pipeline: "hosts", ...labels })
      const before = yield* scrape
      assert.strictEqual(of(before, "resilience_circuit_breaker_keys", { state: "closed" }), 4)
      assert.strictEqual(of(before, "resilience_circuit_breaker_keys", { state: "open" }), 1)
      assert.strictEqual(of(before, "resilience_circuit_breaker_calls_total", { outcome: "success" }), 5)
      yield* TestClock.adjust("1 hours")
      const after = yield* scrape
      assert.strictEqual(of(after, "resilience_circuit_breaker_keys", { state: "closed" }), 0)
      assert.strictEqual(of(after, "resilience_circuit_breaker_calls_total", { outcome: "success" }), 5)
      yield* protect(Effect.void, { key: "host 1" })
      assert.strictEqual(of(yield* scrape, "resilience_circuit_breaker_calls_total", { outcome: "success" }), 6)
      assert.isFalse(JSON.stringify(after.samples).includes("host 1"))
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("keeps latency histograms in seconds, by operation and outcome", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", { attemptTimeout: "1 minutes" })
      for (const seconds of [1, 2, 200]) {
        const call = yield* start(Effect.exit(protect(Effect.sleep(seconds * 100), { operation: "latest" })))
        yield* TestClock.adjust(seconds * 100)
        yield* Fiber.await(call)
      }
      yield* Effect.ignore(protect(boom))
      const text = yield* scrape
      const name = "resilience_attempt_duration_seconds"
      const of = (suffix: string, labels = {}) =>
        sample(text, `${name}${suffix}`, { pipeline: "p", operation: "latest", outcome: "success", ...labels })
      assert.deepStrictEqual(
        ["0.1", "0.25", "10", "+Inf"].map((le) => of("_bucket", { le })),
        [1, 2, 2, 3]
      )
      assert.strictEqual(of("_count"), 3)
      assert.approximately(present(of("_sum")), 20.3, 1e-9)
      assert.strictEqual(sample(text, `${name}_count`, { pipeline: "p", outcome: "failure" }), 1)
      assert.strictEqual(text.types.get(name), "histogram")
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("keeps those of calls beside those of attempts, as many as calls are counted; those refused apart from those given up", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {
        retry: { times: 1 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 2 } }
      })
      const { work } = recorded((n) =>
        Effect.andThen(Effect.sleep("2 seconds"), n === 1 ? boom : Effect.succeed("answer"))
      )
      yield* drive(protect(work, { operation: "read" }))
      yield* Effect.ignore(protect(boom))
      for (let n = 0; n < 3; n++) yield* Effect.ignore(protect(Effect.void))
      // whoever calls it may count all errors as failures
      yield* Effect.ignore(protect(Effect.void, { classify: () => Outcome.failure() }))
      const other = yield* Pipeline.make("q", {})
      const givenUp = yield* start(other.protect(Effect.never))
      yield* Fiber.interrupt(givenUp)
      const text = yield* scrape
      const of = (name: string, labels: Readonly<Record<string, string>>) =>
        sample(text, `resilience_${name}`, { pipeline: "p", ...labels })
      const read = { operation: "read", outcome: "success" }
      assert.deepStrictEqual(
        [of("call_duration_seconds_count", read), of("call_duration_seconds_sum", read)],
        [1, 4]
      )
      assert.deepStrictEqual(
        [of("attempt_duration_seconds_count", read), of("attempt_duration_seconds_sum", read)],
        [1, 2]
      )
      assert.strictEqual(of("call_duration_seconds_count", { outcome: "failure" }), 1)
      assert.strictEqual(of("call_duration_seconds_count", { outcome: "refused" }), 4)
      assert.deepStrictEqual(
        ["success", "failure", "overload", "ignored", "refused"].map((outcome) => of("calls_total", { outcome })),
        [1, 1, 0, 0, 4]
      )
      assert.strictEqual(sample(text, "resilience_calls_total", { pipeline: "q", outcome: "ignored" }), 1)
      const sum = (name: string) =>
        text.samples.filter((sample) => sample.name === `resilience_${name}`).reduce((sum, { value }) => sum + value, 0)
      assert.strictEqual(sum("call_duration_seconds_count"), sum("calls_total"))
      assert.strictEqual(sum("attempt_duration_seconds_count"), sum("attempts_total"))
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("leaves out the histograms that nobody wants", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      yield* protect(Effect.void)
      const text = yield* scrape
      assert.isTrue(text.types.has("resilience_call_duration_seconds"))
      assert.isFalse(text.types.has("resilience_attempt_duration_seconds"))
    }).pipe(Effect.provide(measured({ latencies: "calls" })), fresh))

  it.effect("puts operations that are too many, and pipelines that nobody has made, under one label", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const { protect } = yield* Pipeline.make("p", { operations: { declared: {} } })
      for (let n = 0; n < 1_000; n++) {
        yield* protect(Effect.void, { operation: `/users/${n}` })
        if (n % 100 === 0) yield* TestClock.adjust(0)
      }
      yield* protect(Effect.void, { operation: "declared" })
      yield* Effect.sync(() =>
        resilience.publish("Attempted", (at) => ({
          _tag: "Attempted",
          at,
          call: 0,
          pipeline: "made up",
          operation: "o",
          attempt: 1,
          outcome: "Success",
          elapsed: "1 seconds" as never
        }))
      )
      const text = yield* scrape
      const counts = text.samples.filter(({ name }) => name === "resilience_attempt_duration_seconds_count")
      assert.deepStrictEqual(counts.map(({ labels, value }) => [labels["pipeline"], labels["operation"], value]), [
        ["p", "/users/0", 1],
        ["p", "/users/1", 1],
        ["p", "other", 998],
        ["p", "declared", 1],
        ["other", undefined, 1]
      ])
    }).pipe(Effect.provide(measured({ maxOperations: 2 })), fresh))

  it.effect("shows what is made later in the next export, whoever exports, and drops what is gone", () =>
    Effect.gen(function*() {
      const names = Effect.map(
        Metric.snapshot,
        (all) => new Set(all.flatMap(({ attributes }) => attributes?.["pipeline"] ?? []))
      )
      assert.deepStrictEqual([...yield* names], [])
      const late = yield* Pipeline.make("late", {
        rateLimit: { limits: { a: { kind: "fixed-window", permits: 1, per: "1 seconds" } } }
      })
      assert.deepStrictEqual([...yield* names], ["late"])
      const ofParts = yield* Pipeline.make("parts", {
        circuitBreaker: { trip },
        bulkhead: { concurrency: 2 },
        operations: { pay: { circuitBreaker: { trip } } }
      })
      yield* ofParts.protect(Effect.void, { operation: "pay" })
      const first = yield* Metric.snapshot
      const second = yield* Metric.snapshot
      const told = (all: typeof first) =>
        all.map(({ attributes, id, state }) => JSON.stringify([id, attributes, state])).toSorted()
      assert.deepStrictEqual(told(first), told(second))
      assert.isTrue(
        first.some(({ attributes, id }) =>
          id === "resilience_circuit_breaker_state" && attributes?.["operation"] === "pay"
        )
      )
      yield* Pipeline.make("later", {})
      assert.strictEqual(sample(yield* scrape, "resilience_attempts_total", { pipeline: "later" }), 0)

      const limits = Effect.map(scrape, ({ samples }) => samples.flatMap(({ labels }) => labels["limit"] ?? []))
      assert.deepStrictEqual(yield* limits, ["a", "a"])
      const b = { kind: "fixed-window", permits: 1, per: "1 seconds" } as const
      yield* late.reconfigure({ rateLimit: { limits: { b } } })
      assert.deepStrictEqual(yield* limits, ["b", "b"])
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("reads by the clock of the program, whoever exports", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("hosts", { keyedCircuitBreaker: { trip, idle: 1 } })
      yield* protect(Effect.void, { key: "a" })
      yield* Metric.snapshot
      const keys = (yield* Metric.snapshot).filter(({ id }) => id === "resilience_circuit_breaker_keys")
      assert.deepStrictEqual(keys.map(({ state }) => state), [{ value: 1 }, { value: 0 }, { value: 0 }, { value: 0 }])
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("leaves nothing in the registry when its layer is closed", () =>
    Effect.gen(function*() {
      const registry = yield* Metric.MetricRegistry
      yield* Effect.gen(function*() {
        const { protect } = yield* Pipeline.make("p", { circuitBreaker: {} })
        yield* protect(Effect.void)
        yield* scrape
        assert.isAbove(registry.size, 10)
      }).pipe(Effect.provide(measured()))
      assert.strictEqual(registry.size, 0)
    }).pipe(fresh))

  it.effect("tells of no call and of no attempt without latency histograms", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      let made = 0
      yield* Effect.sync(() =>
        resilience.publish("CircuitClosed", (at) => {
          made++
          return { _tag: "CircuitClosed", at, pipeline: "p" }
        })
      )
      assert.strictEqual(made, 0)
      const { protect } = yield* Pipeline.make("p", {})
      yield* protect(Effect.void)
      const text = yield* scrape
      assert.strictEqual(sample(text, "resilience_attempts_total", { pipeline: "p" }), 1)
      assert.isFalse(text.types.has("resilience_attempt_duration_seconds"))
      assert.isFalse(text.types.has("resilience_call_duration_seconds"))
    }).pipe(Effect.provide(measured({ latencies: false })), fresh))

  it.effect("keeps hostile names inside their labels", () =>
    Effect.gen(function*() {
      for (const name of hostileNames) {
        const { protect } = yield* Pipeline.make(name, { circuitBreaker: { trip } })
        yield* Effect.ignore(protect(boom, { operation: name }))
      }
      const text = yield* scrape
      for (const name of hostileNames) {
        assert.strictEqual(sample(text, "resilience_circuit_breaker_state", { pipeline: name, state: "open" }), 1)
        assert.strictEqual(
          sample(text, "resilience_attempt_duration_seconds_count", {
            pipeline: name,
            operation: name,
            outcome: "failure"
          }),
          1
        )
      }
      assert.strictEqual(new Set(text.samples.map(({ labels }) => labels["pipeline"])).size, hostileNames.length + 1)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("can be scraped while pipelines are made, run and are reconfigured", () =>
    Effect.gen(function*() {
      const pipelines = yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => n), (n) =>
        Pipeline.make(`p${n}`, {
          circuitBreaker: { trip },
          bulkhead: { concurrency: 5 },
          rateLimit: { kind: "fixed-window", permits: 1_000, per: "1 seconds" },
          operations: { o: {} }
        }))
      const churn = Effect.forEach(pipelines, (pipeline, n) =>
        Effect.gen(function*() {
          for (let round = 1; round <= 20; round++) {
            yield* pipeline.reconfigure({
              bulkhead: { concurrency: round },
              circuitBreaker: round % 2 === 0 ? false : { trip: { kind: "consecutive", failures: round } },
              operations: { [`o${n % 3}`]: { circuitBreaker: { trip } } }
            })
            yield* Effect.exit(pipeline.protect(round % 3 === 0 ? boom : Effect.void, { operation: `o${n % 3}` }))
            yield* Effect.yieldNow
          }
        }), { concurrency: "unbounded" })
      const scraping = Effect.gen(function*() {
        let last = new Map<string, number>()
        for (let n = 0; n < 100; n++) {
          const text = parsePrometheus(yield* (yield* Metrics.Metrics).prometheus())
          assert.strictEqual(sample(text, "resilience_pipelines", {}), 20)
          const counters = new Map<string, number>()
          for (const { labels, name, value } of text.samples) {
            if (!name.endsWith("_total")) continue
            const key = name + JSON.stringify(labels)
            assert.isFalse(counters.has(key), `twice: ${key}`)
            counters.set(key, value)
          }
          for (const [key, value] of last) assert.isAtLeast(counters.get(key) ?? 0, value, key)
          last = counters
          yield* pauses(3)
        }
        return last
      })
      yield* Effect.all([churn, scraping], { concurrency: "unbounded" })
      const text = yield* scrape
      for (let n = 0; n < 20; n++) {
        assert.strictEqual(sample(text, "resilience_concurrency_limit", { pipeline: `p${n}`, policy: "bulkhead" }), 20)
      }
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("answers with the last reading where a policy breaks under the one who reads", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      yield* protect(Effect.void)
      const resilience = yield* Resilience.Resilience
      let broken = false
      const fragile = Resilience.Resilience.of({
        ...resilience,
        snapshots: Effect.suspend(() => broken ? Effect.die("bug") : resilience.snapshots)
      })
      yield* Effect.gen(function*() {
        broken = true
        yield* protect(Effect.void)
        assert.strictEqual(sample(yield* scrape, "resilience_attempts_total", { pipeline: "p" }), 1)
        broken = false
        assert.strictEqual(sample(yield* scrape, "resilience_attempts_total", { pipeline: "p" }), 2)
      }).pipe(Effect.provide(Layer.provide(Metrics.layer(), Layer.succeed(Resilience.Resilience, fragile))))
    }).pipe(Effect.provide(Resilience.layer), fresh))

  it.effect("has counters that never fall and histograms that agree with themselves, whatever is done to pipelines", () =>
    Effect.gen(function*() {
      const { below, pick } = yield* draws
      const limits = { x: { kind: "fixed-window", permits: 5, per: "1 seconds" } } as const
      const p = yield* Pipeline.make("p", {
        circuitBreaker: { trip, open: "2 seconds" },
        bulkhead: { concurrency: 2, queue: 1 },
        retry: { times: 1 },
        retryBudget: { minimum: 1, share: 0.1 },
        throttle: {},
        rateLimit: { limits },
        hedge: { delay: "1 seconds" },
        operations: { o: { circuitBreaker: { trip: { kind: "consecutive", failures: 2 } } } }
      })
      const keyed = yield* Pipeline.make("keyed", {
        keyedCircuitBreaker: { trip, open: "1 seconds", idle: "3 seconds", maxKeys: 5 },
        adaptiveLimit: {}
      })
      const breaker = present(p.circuitBreaker)
      const work: ReadonlyArray<Effect.Effect<void, unknown>> = [
        boom,
        Effect.void,
        Effect.sleep("2 seconds"),
        Effect.timeout(Effect.never, "3 seconds")
      ]
      const tunings: ReadonlyArray<Pipeline.Tuning> = [
        {},
        { retry: false },
        { throttle: false, circuitBreaker: false },
        { bulkhead: { concurrency: 1 }, hedge: { delay: "2 seconds" } },
        { rateLimit: { limits: { x: { ...limits.x, permits: 3 } } } }
      ]
      const step = Effect.suspend((): Effect.Effect<unknown> => {
        switch (below(12)) {
          case 0:
            return breaker.reset
          case 1:
            return Effect.flatMap(
              breaker.snapshot,
              (was) => Effect.andThen(TestClock.adjust(500), breaker.restore(was))
            )
          case 2:
            return p.reconfigure(pick(tunings))
          case 3:
            return Effect.scoped(pick([breaker.forceOpen, breaker.disable]))
          case 4:
          case 5:
            return start(Effect.exit(keyed.protect(pick(work), { key: `${below(20)}` })))
          case 6:
          case 7:
          case 8:
            return TestClock.adjust(below(1_500))
        }
        return start(Effect.exit(p.protect(pick(work), { operation: pick(["o", "other", "third"]), idempotent: true })))
      })
      let last = new Map<string, number>()
      for (let round = 0; round < 150; round++) {
        for (let n = 0; n < 10; n++) yield* step
        const { samples } = parsePrometheus(yield* (yield* Metrics.Metrics).prometheus())
        const now = new Map(samples.map(({ labels, name, value }) => [name + JSON.stringify(labels), value]))
        assert.strictEqual(now.size, samples.length)
        for (const [key, value] of last) {
          if (/_(total|count|sum|bucket)\{/.test(key)) assert.isAtLeast(present(now.get(key)), value, key)
        }
        let upTo = 0
        for (const { labels: { le, ...labels }, name, value } of samples) {
          if (!name.endsWith("_bucket")) continue
          upTo = le === "0.005" ? value : Math.max(upTo, value)
          assert.strictEqual(value, upTo)
          if (le !== "+Inf") continue
          assert.strictEqual(now.get(name.replace("_bucket", "_count") + JSON.stringify(labels)), value)
          assert.isAtLeast(present(now.get(name.replace("_bucket", "_sum") + JSON.stringify(labels))), 0)
        }
        last = now
      }
      assert.isAbove(last.size, 100)
    }).pipe(Effect.provide(measured()), fresh, Random.withSeed("metrics")))

  it.effect("tells names apart that no encoding can hold", () =>
    Effect.gen(function*() {
      for (const name of ["half \uD83D", "half \uDE80"]) {
        const { protect } = yield* Pipeline.make(name, {})
        yield* protect(Effect.void, { operation: name })
      }
      yield* TestClock.adjust(0)
      const text = yield* (yield* Metrics.Metrics).prometheus()
      assert.strictEqual(Buffer.from(text).toString(), text)
      for (const pipeline of ["half \\ud83d", "half \\ude80"]) {
        const labels = { pipeline, operation: pipeline, outcome: "success" }
        assert.strictEqual(sample(parsePrometheus(text), "resilience_attempt_duration_seconds_count", labels), 1)
      }
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("counts all pipelines of one name together, whatever their options are", () =>
    Effect.gen(function*() {
      const one = yield* Pipeline.make("p", {})
      const other = yield* Pipeline.make("p", { retry: { times: 1 } })
      yield* one.protect(Effect.void)
      for (let n = 0; n < 2; n++) yield* other.protect(Effect.void)
      const labels = { pipeline: "p", outcome: "success" }
      const text = yield* scrape
      assert.strictEqual(sample(text, "resilience_calls_total", labels), 3)
      assert.strictEqual(sample(text, "resilience_attempt_duration_seconds_count", labels), 3)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("counts a pipeline by itself that has the name of another's operation", () =>
    Effect.gen(function*() {
      const quotes = yield* Pipeline.make("quotes", {
        circuitBreaker: {},
        operations: { pay: { circuitBreaker: { trip } } }
      })
      const { protect } = yield* Pipeline.make("quotes/pay", {})
      yield* protect(Effect.void)
      yield* quotes.protect(Effect.void, { operation: "pay" })
      const text = yield* scrape
      assert.strictEqual(sample(text, "resilience_attempts_total", { pipeline: "quotes/pay" }), 1)
      assert.strictEqual(sample(text, "resilience_attempts_total", { pipeline: "quotes" }), 1)
      const breaker = { pipeline: "quotes", operation: "pay", state: "closed" }
      assert.strictEqual(sample(text, "resilience_circuit_breaker_state", breaker), 1)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("sums what two policies of one name count alike", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const one = yield* resilience.part("circuitBreaker", "p", CircuitBreaker.settings({ trip }))
      const keyed = yield* resilience.part("keyedCircuitBreaker", "p", KeyedCircuitBreaker.settings({ trip }))
      yield* one.protect(Effect.void)
      for (const key of ["a", "b"]) yield* keyed.protect(Effect.void, { key })
      const labels = { pipeline: "p", outcome: "success" }
      assert.strictEqual(sample(yield* scrape, "resilience_circuit_breaker_calls_total", labels), 3)
      assert.strictEqual(sample(yield* scrape, "resilience_circuit_breaker_calls_total", labels), 3)
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("takes no operation that is very long, and no time that is none, from whoever tells of them", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const { protect } = yield* Pipeline.make("p", {})
      yield* protect(Effect.void, { operation: "o".repeat(501) })
      yield* Effect.sync(() => {
        for (const [millis, outcome] of [[Infinity, "Success"], [1, "Made up"]] as const) {
          resilience.publish("Attempted", (at) => ({
            _tag: "Attempted",
            at,
            call: 0,
            pipeline: "p",
            operation: "made up",
            attempt: 1,
            outcome: outcome as "Success",
            elapsed: millis as never
          }))
        }
      })
      const counts = (yield* scrape).samples.filter(({ name }) => name === "resilience_attempt_duration_seconds_count")
      assert.deepStrictEqual(counts.map(({ labels }) => labels["operation"]), ["other"])
    }).pipe(Effect.provide(measured()), fresh))

  it.effect("writes the metrics of the program, too, with its attributes, and names by its wish", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metric.counter("my.jobs"), 3)
      yield* Pipeline.make("p", {})
      const { prometheus } = yield* Metrics.Metrics
      const plain = parsePrometheus(yield* prometheus())
      assert.strictEqual(sample(plain, "my_jobs", { "the_region": "eu" }), 3)
      assert.strictEqual(sample(plain, "resilience_attempts_total", { pipeline: "p", "the_region": "eu" }), 0)
      const named = parsePrometheus(
        yield* prometheus({ prefix: "my-app", metricNameMapper: (name) => name.replace("resilience", "2.res") })
      )
      assert.strictEqual(sample(named, "my_app_my_jobs", { "the_region": "eu" }), 3)
      assert.strictEqual(sample(named, "my_app__2_res_pipelines", {}), 1)
      assert.strictEqual(sample(named, "my_app__2_res_attempts_total", { pipeline: "p", "the_region": "eu" }), 0)
    }).pipe(
      Effect.provide(measured()),
      Effect.provideService(Metric.CurrentMetricAttributes, { "the region": "eu" }),
      fresh
    ))

  it.effect("tells of each series once where there are two layers, and goes on with the one that stays", () =>
    Effect.gen(function*() {
      const registry = yield* Metric.MetricRegistry
      const { protect } = yield* Pipeline.make("p", {})
      yield* protect(Effect.void)
      const attempts = (text: Effect.Success<typeof scrape>) =>
        sample(text, "resilience_attempts_total", { pipeline: "p" })
      const count = { pipeline: "p", outcome: "success" }
      yield* Effect.gen(function*() {
        const { prometheus } = yield* Metrics.Metrics
        const before = registry.size
        yield* Effect.gen(function*() {
          yield* protect(Effect.void)
          assert.strictEqual(attempts(yield* scrape), 2)
          assert.strictEqual(sample(yield* scrape, "resilience_pipelines", {}), 1)
          assert.strictEqual(attempts(parsePrometheus(yield* prometheus())), 2)
        }).pipe(Effect.provide(Layer.fresh(Metrics.layer())))
        yield* protect(Effect.void)
        assert.strictEqual(attempts(yield* scrape), 3)
        assert.strictEqual(sample(yield* scrape, "resilience_attempt_duration_seconds_count", count), 2)
        assert.isAtLeast(registry.size, before)
        const calls = (yield* Metric.snapshot).find(({ id }) => id === "resilience_attempts_total")
        assert.deepStrictEqual(calls?.state, { count: 3, incremental: true })
      }).pipe(Effect.provide(Metrics.layer()))
      assert.strictEqual(registry.size, 0)
    }).pipe(Effect.provide(Resilience.layer), fresh))

  it.effect("hands a series on when the first of two layers is closed", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      yield* Layer.buildWithScope(Layer.fresh(Metrics.layer()), first)
      const context = yield* Layer.buildWithScope(Layer.fresh(Metrics.layer()), second)
      yield* Scope.close(first, Exit.void)
      yield* protect(Effect.void)
      const exported = Effect.map(Metric.snapshot, (all) => all.find(({ id }) => id === "resilience_attempts_total"))
      assert.deepStrictEqual((yield* exported)?.state, { count: 1, incremental: true })
      assert.strictEqual(
        sample(yield* Effect.provide(scrape, context), "resilience_attempts_total", { pipeline: "p" }),
        1
      )
      yield* Scope.close(second, Exit.void)
      assert.strictEqual((yield* Metric.MetricRegistry).size, 0)
    }).pipe(Effect.provide(Resilience.layer), fresh))

  it.effect("shows two Resiliences in one registry, both as they are now", () =>
    Effect.gen(function*() {
      const other = Layer.fresh(Metrics.layer()).pipe(Layer.provideMerge(Layer.fresh(Resilience.layer)))
      const a = yield* Pipeline.make("a", {})
      const read = Effect.map(Metric.snapshot, (all) =>
        all.flatMap(({ attributes, id, state }) =>
          id === "resilience_attempts_total" ? [[attributes?.["pipeline"], state]] : []
        ))
      yield* Effect.gen(function*() {
        const b = yield* Pipeline.make("b", {})
        yield* read
        yield* a.protect(Effect.void)
        yield* b.protect(Effect.void)
        const state = { count: 1, incremental: true }
        assert.deepStrictEqual(yield* read, [["a", state], ["b", state]])
        assert.strictEqual(sample(yield* scrape, "resilience_pipelines", {}), 2)
      }).pipe(Effect.provide(other))
      yield* a.protect(Effect.void)
      yield* read
      assert.deepStrictEqual(yield* read, [["a", { count: 2, incremental: true }]])
    }).pipe(Effect.provide(measured()), fresh))

  it.effect(
    "lets calls go on while it is read, twice at once and by an exporter besides",
    () =>
      Effect.gen(function*() {
        const pipelines = yield* Effect.forEach(
          Array.from({ length: 500 }, (_, n) => n),
          (n) => Pipeline.make(`p${n}`, { bulkhead: { concurrency: 2 }, keyedCircuitBreaker: {} })
        )
        let turns = 0
        const calling = yield* start(Effect.forever(Effect.gen(function*() {
          yield* present(pipelines[turns++ % pipelines.length]).protect(Effect.void, { key: "k" })
          yield* Effect.yieldNow
        })))
        const { prometheus } = yield* Metrics.Metrics
        const reads = yield* Effect.all([prometheus(), prometheus(), Effect.andThen(pauses(5), Metric.snapshot)], {
          concurrency: "unbounded"
        })
        assert.isAbove(turns, 20)
        yield* Fiber.interrupt(calling)
        const [first, second] = [parsePrometheus(reads[0]), parsePrometheus(reads[1])]
        const after = new Map(second.samples.map(({ labels, name, value }) => [name + JSON.stringify(labels), value]))
        assert.strictEqual(after.size, second.samples.length)
        for (const { labels, name, value } of first.samples) {
          if (name.endsWith("_total")) assert.isAtLeast(present(after.get(name + JSON.stringify(labels))), value)
        }
        let attempts = 0
        for (const { name, value } of (yield* scrape).samples) {
          if (name === "resilience_attempts_total") attempts += value
        }
        assert.strictEqual(attempts, turns)
      }).pipe(Effect.provide(measured()), fresh),
    20_000
  )

  it.effect("counts the events that came too fast for whoever listens", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      // one that is slow, besides the one who keeps the histograms
      yield* start(Stream.runForEach(resilience.events, () => Effect.sleep("1 days")))
      const publish = (events: number) =>
        Effect.sync(() => {
          for (let n = 0; n < events; n++) {
            resilience.publish("CircuitClosed", (at) => ({ _tag: "CircuitClosed", at, pipeline: "p" }))
          }
        })
      yield* publish(4_000)
      assert.strictEqual(sample(yield* scrape, "resilience_events_lost_total", {}), 0)
      yield* publish(10_000)
      // the first are in its hands
      assert.strictEqual(sample(yield* scrape, "resilience_events_lost_total", {}), 10_000 - 4_096)
      assert.strictEqual(yield* resilience.lost, 10_000 - 4_096)
    }).pipe(Effect.provide(measured()), fresh))

  it("refuses bad options when the layer is made", () => {
    assertRefused([
      [() => Metrics.layer({ boundaries: [] }), "boundaries must be finite numbers above zero that rise"],
      [() => Metrics.layer({ boundaries: [1, 1] }), "boundaries"],
      [() => Metrics.layer({ boundaries: [0.1, Infinity] }), "boundaries"],
      [() => Metrics.layer({ maxOperations: -1 }), "maxOperations must be an integer >= 0"],
      [() => Metrics.layer({ latency: true } as never), "unknown option \"latency\""],
      [() => Metrics.layerRoute({ route: "/m" } as never), "Metrics.layerRoute: unknown option \"route\""],
      [
        () => Metrics.layerRoute({ path: "metrics" as never }),
        "path must be a path that begins with /, got \"metrics\""
      ],
      [() => Metrics.layerRoute({ prefix: 1 as never }), "prefix must be a non-empty string, got 1"],
      [() => Metrics.layerRoute({ metricNameMapper: "m" as never }), "metricNameMapper must be a function, got \"m\""]
    ])
  })
})
