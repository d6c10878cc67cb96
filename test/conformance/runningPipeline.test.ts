import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Pipeline, Resilience } from "../../src/index.ts"
import { Boom, brief, drive, failing, present, start } from "../support.ts"

const consecutive = (failures: number) => ({ trip: { kind: "consecutive", failures } }) as const

const snapshotOf = (name: string) =>
  Effect.gen(function*() {
    const { snapshots } = yield* Resilience.Resilience
    return present((yield* snapshots).find((_) => _.name === name))
  })

describe("a running pipeline", () => {
  it.effect("conformance 37: lets calls in flight finish under the old settings, and keeps the breaker's state", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        totalTimeout: "1 minute",
        retry: { times: 3, backoff: { kind: "constant", delay: "10 seconds" }, jitter: "none" },
        circuitBreaker: consecutive(10),
        attemptTimeout: "5 seconds"
      })
      // two failures are on record, and a third is on its way
      const { starts, work } = failing()
      const retried = yield* start(Effect.exit(pipeline.protect(work)))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(starts.length, 2)
      const hung = yield* start(Effect.exit(pipeline.protect(Effect.never, { idempotent: false })))

      yield* pipeline.reconfigure({ retry: false, circuitBreaker: consecutive(4), attemptTimeout: "1 second" })

      // the hung one has five seconds, not one
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(hung.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(brief(yield* Fiber.join(hung)), "TimedOut")
      // the retried one goes on, and its third failure is the fourth of the breaker
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(starts.length, 3)
      const snapshot = yield* present(pipeline.circuitBreaker).snapshot
      assert.strictEqual(snapshot.state, "Open")
      yield* Fiber.interrupt(retried)
      // new calls are not retried
      yield* TestClock.adjust("1 minutes")
      const once = failing()
      yield* drive(pipeline.protect(once.work))
      assert.strictEqual(once.starts.length, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 38: holds no permit during a backoff, so that retries starve nobody", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        bulkhead: { concurrency: 10 },
        retry: { times: 3, jitter: "none", backoff: { kind: "exponential", base: "1 second" } }
      })
      let n = 0
      const work = Effect.andThen(
        Effect.sleep("20 millis"),
        Effect.suspend(() => n++ % 20 === 0 ? Effect.fail(new Boom({ n })) : Effect.void)
      )
      const calls = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 1000 }, (_, call) => call),
          (call) => Effect.andThen(Effect.sleep(call * 10), Effect.exit(pipeline.protect(work))),
          { concurrency: "unbounded" }
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 minutes")
      const exits = yield* Fiber.join(calls)
      assert.isTrue(exits.every(Exit.isSuccess))
      const { bulkhead, pipeline: counts } = yield* snapshotOf("p")
      assert.strictEqual(bulkhead?.calls.queueFull, 0)
      assert.isAbove(present(counts).retries, 40)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 41: holds permit and probe until it stalls, and nothing is replayed", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 3, backoff: { kind: "constant", delay: "1 second" } },
        bulkhead: { concurrency: 1 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } },
        attemptTimeout: "5 seconds",
        streams: { idle: "2 seconds" }
      })
      let openings = 0
      const stream = Stream.suspend(() => {
        openings++
        return Stream.concat(Stream.make("a"), Stream.never)
      })
      const seen: Array<string> = []
      const fiber = yield* start(
        Effect.exit(Stream.runForEach(pipeline.protectStream(stream), (a) => Effect.sync(() => seen.push(a))))
      )
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(seen, ["a"])
      assert.strictEqual((yield* snapshotOf("p")).bulkhead?.inFlight, 1)
      assert.strictEqual(brief(yield* Effect.exit(pipeline.protect(Effect.void))), "BulkheadFull")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(brief(yield* Fiber.join(fiber)), "TimedOut")
      const { bulkhead, circuitBreaker } = yield* snapshotOf("p")
      assert.strictEqual(bulkhead?.inFlight, 0)
      assert.strictEqual(circuitBreaker?.state, "Open")
      assert.strictEqual(openings, 1)
    }).pipe(Effect.provide(Resilience.layer)))
})
