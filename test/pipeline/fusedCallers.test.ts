import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { Pipeline, Resilience, Retry, Timeout } from "../../src/index.ts"

const make = Pipeline.make("p", {
  totalTimeout: "10 seconds",
  retry: { times: 1, backoff: { kind: "constant", delay: 3 }, jitter: "none" },
  bulkhead: { concurrency: 1, queue: 0 },
  circuitBreaker: {},
  attemptTimeout: "5 seconds"
}).pipe(Effect.provide(Resilience.layer))

describe("callers of calls that are one pass", () => {
  it.live("let other fibers have their turn, though no attempt ever suspends", () =>
    Effect.gen(function*() {
      const pipeline = yield* make
      const work = Effect.forEach(Array.from({ length: 300 }), () => Effect.void, { discard: true })
      const call = pipeline.protect(work)
      let turns = 0
      const other = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(Effect.sync(() => turns++), Effect.yieldNow), { disableYield: true })
      )
      for (let n = 0; n < 200; n++) yield* call
      yield* Fiber.interrupt(other)
      assert.isAbove(turns, 10)
    }))

  it("may run synchronously, also where an attempt yields", async () => {
    const pipeline = await Effect.runPromise(make)
    assert.strictEqual(Effect.runSync(pipeline.protect(Effect.as(Effect.yieldNow, 1))), 1)
    assert.strictEqual(Effect.runSync(Retry.make({ times: 1 })(Effect.as(Effect.yieldNow, 2))), 2)
    const long = Effect.as(Effect.forEach(Array.from({ length: 5000 }), () => Effect.void, { discard: true }), 3)
    assert.strictEqual(Effect.runSync(Timeout.attempt("1 second")(long)), 3)
  })

  it.live("are told of by a clock that does not wait, and still get their answer", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const eager: Clock.Clock = Object.assign(Object.create(clock), { sleep: () => Effect.void })
      const work = Effect.callback<number>((resume) => {
        setTimeout(() => resume(Effect.succeed(1)), 5)
      })
      assert.strictEqual(
        yield* Timeout.attempt("2 seconds")(work).pipe(Effect.provideService(Clock.Clock, eager)),
        1
      )
    }))

  it.live("and who observes them may throw without its being taken for the call's failure", () =>
    Effect.gen(function*() {
      const pipeline = yield* make
      const thrown: Array<unknown> = []
      const listeners = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      process.on("uncaughtException", (error) => thrown.push(error))
      const fiber = yield* Effect.forkDetach(pipeline.protect(Effect.sleep(5)))
      fiber.addObserver(() => {
        throw new Error("a bug of the observer")
      })
      yield* Effect.sleep(1).pipe(Effect.repeat({ until: () => thrown.length > 0 }), Effect.timeoutOption("5 seconds"))
      process.removeAllListeners("uncaughtException")
      for (const listener of listeners) process.on("uncaughtException", listener)
      assert.deepStrictEqual(thrown.map(String), ["Error: a bug of the observer"])
      assert.deepInclude(yield* pipeline.counts, { calls: 1, success: 1 })
    }))

  for (let nth = 1; nth <= 12; nth++) {
    it.live(`end, and give their permit back, where reading ${nth} of the clock throws`, () =>
      Effect.gen(function*() {
        const pipeline = yield* make
        const clock = yield* Clock.Clock
        let reading = 0
        const throwing: Clock.Clock = Object.assign(Object.create(clock), {
          monotonicTimeNanosUnsafe: () => {
            if (++reading === nth) throw new Error("the clock is broken")
            return clock.monotonicTimeNanosUnsafe()
          }
        })
        const failing = Effect.andThen(Effect.sleep(2), Effect.fail("no"))
        const exit = yield* pipeline.protect(failing).pipe(
          Effect.provideService(Clock.Clock, throwing),
          Effect.exit,
          Effect.timeout("5 seconds")
        )
        assert.strictEqual(exit._tag, "Failure")
        // the place is free again
        yield* pipeline.protect(Effect.void)
      }))
  }
})
