import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Ref, Schema, Stream } from "effect"
import { Fallback, Outcome, Pipeline, type Policy, Resilience, Retry } from "../../src/index.ts"
import { brief, drive, failing, present, recorded, Says, start } from "../support.ts"

const snapshotOf = (name: string) =>
  Effect.gen(function*() {
    const { snapshots } = yield* Resilience.Resilience
    return present((yield* snapshots).find((_) => _.name === name))
  })

describe("the order of a pipeline", () => {
  it.effect("looks at an open breaker before anything is spent or awaited", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        throttle: {},
        rateLimit: { kind: "token-bucket", permits: 10, per: "1 hour" },
        bulkhead: { concurrency: 1, queue: 10 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
      })
      yield* Effect.exit(pipeline.protect(Effect.fail("down")))
      // the only permit is taken by a call that was let in before
      const before = yield* snapshotOf("p")
      const exit = yield* Effect.exit(pipeline.protect(Effect.succeed("answer")))
      assert.strictEqual(brief(exit), "CircuitOpen")
      const after = yield* snapshotOf("p")
      assert.deepStrictEqual(after.rateLimit, before.rateLimit)
      assert.deepStrictEqual(after.throttle, before.throttle)
      assert.deepStrictEqual(after.bulkhead, before.bulkhead)
      assert.strictEqual(after.circuitBreaker?.calls.refused, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("decides after the waits whether a breaker lets a call through", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        bulkhead: { concurrency: 1, queue: 10 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
      })
      const gate = yield* Deferred.make<void, string>()
      const first = yield* start(Effect.exit(pipeline.protect(Deferred.await(gate))))
      let ran = false
      const second = yield* start(Effect.exit(pipeline.protect(Effect.sync(() => {
        ran = true
      }))))
      yield* Deferred.fail(gate, "down")
      assert.strictEqual(brief(yield* Fiber.join(first)), "down")
      assert.strictEqual(brief(yield* Fiber.join(second)), "CircuitOpen")
      assert.isFalse(ran)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("gives back what the rate limit took for work that a bulkhead refused", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        rateLimit: { kind: "token-bucket", permits: 2, per: "1 hour" },
        bulkhead: { concurrency: 1 }
      })
      const hung = yield* start(pipeline.protect(Effect.never))
      for (let n = 0; n < 10; n++) {
        assert.strictEqual(brief(yield* Effect.exit(pipeline.protect(Effect.void))), "BulkheadFull")
      }
      yield* Fiber.interrupt(hung)
      assert.strictEqual(yield* pipeline.protect(Effect.succeed("answer")), "answer")
      // the hung one and this one have run
      assert.strictEqual(brief(yield* Effect.exit(pipeline.protect(Effect.void))), "RateLimited")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("refuses a bulkhead and an adaptive limit together", () =>
    Effect.sync(() => {
      assert.throws(
        () => Pipeline.settings("p", { bulkhead: { concurrency: 1 }, adaptiveLimit: {} }),
        RangeError,
        /adaptiveLimit must be left out where bulkhead is given/
      )
    }))

  it.effect("puts policies of one's own at their places", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const noting = (name: string): Policy.Policy<never> => (self) =>
        Effect.suspend(() => {
          order.push(name)
          return self
        })
      const pipeline = yield* Pipeline.make("p", {
        totalTimeout: "10 seconds",
        retry: { times: 1, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" },
        attemptTimeout: "1 second",
        around: { call: noting("call"), attempt: noting("attempt"), work: noting("work") }
      })
      const { exit } = yield* drive(pipeline.protect(failing().work))
      assert.strictEqual(brief(exit), "Boom")
      assert.deepStrictEqual(order, ["call", "attempt", "work", "attempt", "work"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("neither retries nor hedges what is not idempotent, by call and by pipeline", () =>
    Effect.gen(function*() {
      const options = { retry: { times: 3 }, hedge: { delay: "1 second", hedges: 2 } } as const
      const pipeline = yield* Pipeline.make("p", options)
      const writes = yield* Pipeline.make("writes", { ...options, idempotent: false })
      const slow = recorded(() => Effect.sleep("10 seconds"))
      yield* drive(pipeline.protect(slow.work, { idempotent: false }))
      assert.strictEqual(slow.starts.length, 1)
      const failed = failing()
      yield* drive(writes.protect(failed.work))
      assert.strictEqual(failed.starts.length, 1)
      yield* drive(writes.protect(failed.work, { idempotent: true }))
      assert.isAbove(failed.starts.length, 2)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("a call", () => {
  it.effect("refuses options that there are not", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: {} })
      const misspelt = { idempotnt: false } as { idempotent?: boolean }
      const exit = yield* Effect.exit(pipeline.protect(Effect.void, misspelt))
      assert.include(String(exit), "Pipeline.protect: unknown option \"idempotnt\"")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("can watch its own retries", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 2, jitter: "none" } })
      const waits: Array<string> = []
      yield* drive(pipeline.protect(failing().work, {
        onRetry: ({ attempt, attempts, nextAt }) =>
          Effect.sync(() => waits.push(`${attempt} of ${attempts}, again at ${nextAt}`))
      }))
      assert.deepStrictEqual(waits, ["1 of 3, again at 200", "2 of 3, again at 600"])
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("a budget", () => {
  it.effect("is shared by retries and hedges", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 10, backoff: { kind: "constant", delay: "10 millis" }, jitter: "none" },
        retryBudget: { share: 0.5, minimum: 0 },
        hedge: { delay: "100 millis", hedges: 1 }
      })
      // ten calls earn five
      for (let n = 0; n < 10; n++) yield* pipeline.protect(Effect.void)
      const slow = recorded((n) => Effect.sleep(n % 2 === 1 ? "1 second" : "10 millis"))
      yield* drive(pipeline.protect(slow.work), "2 seconds")
      assert.strictEqual(slow.starts.length, 2)
      const failed = failing()
      yield* drive(pipeline.protect(failed.work), "2 seconds")
      const { pipeline: counts, retryBudget } = yield* snapshotOf("p")
      assert.strictEqual(present(counts).hedges + present(counts).retries, present(retryBudget).spent)
      // 12 calls earn 6 in all
      assert.strictEqual(present(retryBudget).spent, 6)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("a fallback", () => {
  it.effect("answers in place of the call, after everything else has been tried", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 2, backoff: { kind: "constant", delay: "1 second" } },
        circuitBreaker: { trip: { kind: "consecutive", failures: 3 } }
      })
      const { starts, work } = failing()
      const call = pipeline.protect(work, { fallback: Fallback.value("default") })
      assert.strictEqual(brief((yield* drive(call, "3 seconds")).exit), "default")
      assert.strictEqual(starts.length, 3)
      assert.strictEqual(brief((yield* drive(call, "3 seconds")).exit), "default")
      assert.strictEqual(starts.length, 3)
      const { pipeline: counts } = yield* snapshotOf("p")
      assert.strictEqual(counts?.fellBack, 2)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("leaves alone what it does not handle", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { circuitBreaker: {} })
      const exhausted = Says.of(Outcome.success)
      const call = pipeline.protect(Effect.fail(exhausted), {
        fallback: Fallback.on(["CircuitOpen"], Fallback.value("default"))
      })
      assert.strictEqual(yield* Effect.flip(call), exhausted)
      const { pipeline: counts } = yield* snapshotOf("p")
      assert.strictEqual(counts?.fellBack, 0)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("a cache", () => {
  it.effect("answers for calls that name a key, and says so", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { cache: { strategy: "cache-first", fresh: "1 minute" } })
      const answers: Array<string> = []
      const quote = recorded((n) => Effect.succeed(`quote ${n}`))
      const call = (key: string) =>
        pipeline.protect(quote.work, {
          cache: {
            key: ["quote", key],
            schema: Schema.String,
            onAnswer: ({ source, value }) => answers.push(`${value} from ${source}`)
          }
        })
      assert.strictEqual(yield* call("EUR"), "quote 1")
      assert.strictEqual(yield* call("EUR"), "quote 1")
      assert.strictEqual(yield* call("USD"), "quote 2")
      assert.strictEqual(yield* pipeline.protect(quote.work), "quote 3")
      assert.deepStrictEqual(answers, ["quote 1 from service", "quote 1 from cache", "quote 2 from service"])
      const { pipeline: counts } = yield* snapshotOf("p")
      assert.deepStrictEqual([counts?.calls, counts?.cacheHits], [3, 1])
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("A2: operations", () => {
  const options = {
    totalTimeout: "1 minute",
    retry: { times: 3, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" },
    circuitBreaker: { trip: { kind: "consecutive", failures: 100 } },
    operations: {
      delete: { retry: { times: 2 } },
      generate: { retry: { times: 1 }, circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } },
      send: { retry: false, idempotent: false }
    }
  } as const

  it.effect("have retries of their own, chosen by the operation and not at every call", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("projects", options)
      const attempts = Effect.fnUntraced(function*(operation: string) {
        const { starts, work } = failing()
        yield* drive(pipeline.protect(work, { operation }))
        return starts.length
      })
      assert.strictEqual(yield* attempts("create"), 4)
      assert.strictEqual(yield* attempts("delete"), 3)
      assert.strictEqual(yield* attempts("send"), 1)
      assert.strictEqual(yield* attempts("constructor"), 4)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("share all state but that of the parts they change", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("projects", options)
      yield* drive(pipeline.protect(failing().work, { operation: "generate" }), "3 seconds")
      const breakers = yield* (yield* Resilience.Resilience).parts("circuitBreaker")
      assert.deepStrictEqual([...breakers.keys()], ["projects", "projects/generate"])
      const refused = yield* Effect.exit(pipeline.protect(Effect.void, { operation: "generate" }))
      assert.strictEqual(brief(refused), "CircuitOpen")
      assert.strictEqual(brief(yield* Effect.exit(pipeline.protect(Effect.void, { operation: "create" }))), undefined)
    }).pipe(Effect.provide(Resilience.layer)))

  it("cannot add what the pipeline does not have", () => {
    assert.throws(
      () => Pipeline.settings("p", { operations: { delete: { retry: {} } } }),
      RangeError,
      "Pipeline \"p\": operation \"delete\": it cannot add retry, which the pipeline does not have"
    )
    assert.throws(
      () => Pipeline.settings("p", { retry: {}, operations: { delete: { retry: { onExhausted: "wrap" } } } }),
      RangeError,
      "it cannot add retry.onExhausted \"wrap\""
    )
  })
})

describe("a stream", () => {
  it.effect("is opened again where it fails before its first element, and its attempts wait as long as an attempt may", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 3, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" },
        attemptTimeout: "5 seconds"
      })
      let openings = 0
      const stream = Stream.suspend(() => ++openings < 3 ? Stream.never : Stream.make("a", "b"))
      const { at, exit } = yield* drive(Stream.runCollect(pipeline.protectStream(stream)))
      assert.deepStrictEqual(brief(exit), ["a", "b"])
      assert.strictEqual(openings, 3)
      assert.strictEqual(at, 12_000)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("protection of a part that is not needed", () => {
  it.effect("never retries a call that has no retry, and adds nothing where there is nothing", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {})
      const error = yield* Effect.flip(pipeline.protect(Effect.fail("down")))
      assert.strictEqual(error, "down")
      const ref = yield* Ref.make(0)
      yield* pipeline.protect(Ref.update(ref, (n) => n + 1))
      assert.strictEqual(yield* Ref.get(ref), 1)
      assert.instanceOf(Retry.make, Function)
    }).pipe(Effect.provide(Resilience.layer)))
})
