import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { Pipeline, Resilience } from "../../src/index.ts"
import { brief, listen, present, start } from "../support.ts"

describe("reconfiguring a pipeline", () => {
  it.effect("gives waiting calls the permits that were added", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { bulkhead: { concurrency: 1, queue: 10 } })
      const gate = yield* Deferred.make<void>()
      let running = 0
      const work = Effect.andThen(Effect.sync(() => running++), Deferred.await(gate))
      const calls = yield* Effect.forEach(Array.from({ length: 4 }), () => start(pipeline.protect(work)))
      assert.strictEqual(running, 1)
      yield* pipeline.reconfigure({ bulkhead: { concurrency: 3 } })
      yield* Effect.yieldNow
      assert.strictEqual(running, 3)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(calls)
      assert.strictEqual(running, 4)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("goes by what the pipeline was made with: an empty change undoes all others", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 3 }, bulkhead: { concurrency: 2 } })
      yield* pipeline.reconfigure({ retry: { times: 1 }, bulkhead: false })
      assert.strictEqual(pipeline.settings.retry?.times, 1)
      assert.strictEqual(pipeline.settings.bulkhead, undefined)
      yield* pipeline.reconfigure({})
      assert.strictEqual(pipeline.settings.retry?.times, 3)
      assert.strictEqual(pipeline.settings.bulkhead?.settings.concurrency, 2)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("refuses parts that the pipeline was not made with, and bad options, and changes nothing then", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 3 } })
      assert.throws(() => pipeline.reconfigure({ bulkhead: { concurrency: 1 } }), RangeError, "it cannot add bulkhead")
      assert.throws(
        () => pipeline.reconfigure({ retry: { times: -1 } }),
        RangeError,
        "times must be an integer >= 0, got -1"
      )
      assert.strictEqual(pipeline.settings.retry?.times, 3)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("reaches everybody who has made a pipeline of that name, and tells", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const events = yield* listen(resilience)
      const options = { retry: { times: 3 } } as const
      const one = yield* Pipeline.make("p", options)
      const other = yield* Pipeline.make("p", options)
      yield* present((yield* resilience.pipelines).get("p")).reconfigure({ retry: { times: 0 } })
      assert.deepStrictEqual([one.settings.retry?.times, other.settings.retry?.times], [0, 0])
      const later = yield* Pipeline.make("p", options)
      assert.strictEqual(later.settings.retry?.times, 0)
      yield* Effect.yieldNow
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Reconfigured"])
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("tuning", () => {
  it.effect("changes pipelines by name when they are made, operations too", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 3, jitter: "none" },
        attemptTimeout: "1 second",
        operations: { delete: { retry: { times: 2 } } }
      })
      assert.strictEqual(pipeline.settings.retry?.times, 5)
      assert.isUndefined(pipeline.settings.attemptTimeout)
      assert.strictEqual(pipeline.settings.operations.get("delete")?.retry?.times, 1)
      const other = yield* Pipeline.make("other", { retry: { times: 3 } })
      assert.strictEqual(other.settings.retry?.times, 3)
    }).pipe(Effect.provide(Resilience.layerTuned({
      p: { retry: { times: 5 }, attemptTimeout: false, operations: { delete: { retry: { times: 1 } } } }
    }))))

  it.effect("dies with a RangeError where it asks for a part that the pipeline does not have", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Pipeline.make("p", { retry: {} }))
      assert.strictEqual(brief(exit), "die")
      assert.include(String(exit), "it cannot add circuitBreaker")
    }).pipe(Effect.provide(Layer.fresh(Resilience.layerTuned({ p: { circuitBreaker: {} } })))))
})

describe("configuration", () => {
  it.effect("is replaced by a change, and added to by one that spreads it", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 3 }, attemptTimeout: "1 second" })
      assert.deepStrictEqual(pipeline.tuning, { retry: { times: 9 } })
      yield* pipeline.reconfigure({ ...pipeline.tuning, attemptTimeout: "5 seconds" })
      assert.deepStrictEqual([pipeline.settings.retry?.times, pipeline.settings.attemptTimeout], [9, 5_000])
      yield* pipeline.reconfigure({ attemptTimeout: "6 seconds" })
      assert.deepStrictEqual([pipeline.settings.retry?.times, pipeline.settings.attemptTimeout], [3, 6_000])
    }).pipe(Effect.provide(Resilience.layerTuned({ p: { retry: { times: 9 } } }))))
})

describe("a change", () => {
  it("lays options over those of a part, and replaces timeouts and rate limits", () => {
    const tuned = (declared: Pipeline.Options, tuning: Pipeline.Tuning) =>
      Effect.runSync(
        Effect.map(Pipeline.make("p", declared), ({ settings }) => settings).pipe(
          Effect.provide(Resilience.layerTuned({ p: tuning }))
        )
      )
    const timeouts = tuned({ totalTimeout: { minutes: 1 }, attemptTimeout: Duration.seconds(9) }, {
      totalTimeout: { seconds: 5 },
      attemptTimeout: Duration.seconds(2)
    })
    assert.deepStrictEqual([timeouts.totalTimeout, timeouts.attemptTimeout], [5_000, 2_000])
    const bulkhead = tuned({ bulkhead: { concurrency: 3, queue: 5 } }, { bulkhead: { concurrency: 4 } })
    assert.deepInclude(bulkhead.bulkhead?.settings, { concurrency: 4, queue: 5 })
    const limit = { kind: "token-bucket", permits: 1, per: "1 second", burst: 5 } as const
    const other = tuned({ rateLimit: limit }, { rateLimit: { kind: "fixed-window", permits: 2, per: "1 minute" } })
    assert.strictEqual(JSON.stringify(other.rateLimit?.settings.limits).includes("burst"), false)
  })
})
