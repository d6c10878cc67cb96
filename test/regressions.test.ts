import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, MutableRef } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Pipeline, Resilience, Retry, Timeout } from "../src/index.ts"
import { drive, present } from "./support.ts"

/** What went wrong once, and would be easy to get wrong again. */
describe("an error that cannot be read", () => {
  class Negative {
    get [Outcome.symbol](): Outcome.Outcome {
      // throws, as a constructor does that is given what a body said
      return Outcome.overload({ retryAfter: -1 })
    }
  }
  class Rubbish {
    readonly [Outcome.symbol] = { _tag: "Overload", retryAfter: "soon" }
  }
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  const hostile = new Proxy({}, {
    get: () => {
      throw new Error("get")
    },
    has: () => {
      throw new Error("has")
    },
    getPrototypeOf: () => {
      throw new Error("getPrototypeOf")
    }
  })

  for (
    const [name, make] of [
      ["whose outcome throws", () => new Negative()],
      ["whose outcome is none", () => new Rubbish()],
      ["that is a revoked proxy", revoked],
      ["that is a hostile proxy", () => hostile],
      ["that is null", () => null],
      ["that is undefined", () => undefined]
    ] as const
  ) {
    it.effect(`${name}: the caller gets it, and a half-open breaker gets its probe back`, () =>
      Effect.gen(function*() {
        const pipeline = yield* Pipeline.make("p", {
          circuitBreaker: { trip: { kind: "consecutive", failures: 1 }, open: "5 seconds" },
          attemptTimeout: "1 second"
        })
        const breaker = present(pipeline.circuitBreaker)
        const error = make()
        yield* Effect.exit(pipeline.protect(Effect.fail("down")))
        yield* TestClock.adjust("5 seconds")
        const exit = yield* Effect.exit(pipeline.protect(Effect.fail(error)))
        assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.some((reason) => Cause.isFailReason(reason)))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* pipeline.protect(Effect.succeed("well")), "well")
        assert.strictEqual(MutableRef.get(breaker.phase.ref)._tag, "Closed")
      }).pipe(Effect.provide(Resilience.layer)))
  }
})

describe("an attempt that is cut short", () => {
  const hang = Effect.fnUntraced(function*(
    options: Pipeline.Options,
    around: (self: Effect.Effect<never, unknown>) => Effect.Effect<never, unknown> = (self) => self
  ) {
    const pipeline = yield* Pipeline.make("p", { ...options, circuitBreaker: {} })
    const calls = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 10 }), () => Effect.exit(around(pipeline.protect(Effect.never))), {
        concurrency: "unbounded"
      })
    )
    yield* TestClock.adjust("1 hour")
    yield* Fiber.join(calls)
    return (yield* present(pipeline.circuitBreaker).snapshot).calls
  }, Effect.provide(Resilience.layer))

  it.effect("conformance 39: an infinite attempt timeout is none: a hang counts", () =>
    Effect.gen(function*() {
      const { failure, ignored } = yield* hang({ attemptTimeout: "Infinity", totalTimeout: "30 seconds" })
      assert.deepStrictEqual([failure, ignored], [10, 0])
    }))

  it.effect("conformance 39: an attempt timeout above the total timeout is the total timeout: a hang counts", () =>
    Effect.gen(function*() {
      const { failure, ignored } = yield* hang({ attemptTimeout: "1 minute", totalTimeout: "30 seconds" })
      assert.deepStrictEqual([failure, ignored], [10, 0])
    }))

  it.effect("by an outer timeout before its own total timeout says nothing about the dependency", () =>
    Effect.gen(function*() {
      const outer = yield* hang({ totalTimeout: "5 seconds" }, Timeout.total("10 millis"))
      assert.deepStrictEqual([outer.failure, outer.ignored], [0, 10])
      const own = yield* hang({ totalTimeout: "5 seconds" }, Timeout.total("10 seconds"))
      assert.deepStrictEqual([own.failure, own.ignored], [10, 0])
    }))

  it.effect("by an outer timeout, where there is no limit of its own, says that it hangs", () =>
    Effect.gen(function*() {
      const { failure, ignored } = yield* hang({}, Timeout.total("10 seconds"))
      assert.deepStrictEqual([failure, ignored], [10, 0])
    }))

  it.effect("by a caller who goes away is ignored, whatever a classifier would say", () =>
    Effect.gen(function*() {
      const { failure, ignored } = yield* hang(
        { classify: (exit) => Exit.isFailure(exit) ? Outcome.failure() : undefined },
        Effect.timeout("10 millis")
      )
      assert.deepStrictEqual([failure, ignored], [0, 10])
    }))
})

describe("clean-up", () => {
  it.effect("that calls a dependency because a limit has struck is run, and counts for what it is", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("cleaning", { attemptTimeout: "1 second", circuitBreaker: {} })
      let cleaned = 0
      const cleanUp = Effect.ignore(pipeline.protect(Effect.sync(() => cleaned++)))
      for (let call = 0; call < 6; call++) {
        const work = Effect.onInterrupt(Effect.never, () => cleanUp)
        const fiber = yield* Effect.forkChild(
          Effect.exit(call % 2 === 0 ? Timeout.total("1 second")(work) : Deadline.within("1 second")(work))
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
      }
      assert.strictEqual(cleaned, 6)
      assert.strictEqual((yield* present(pipeline.circuitBreaker).snapshot).calls.success, 6)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("a deadline that has passed", () => {
  it.effect("starts no fallback, though the limit of the first call has struck for it", () =>
    Effect.gen(function*() {
      const options = { attemptTimeout: "1 second", circuitBreaker: {} } as const
      const primary = yield* Pipeline.make("primary", options)
      const secondary = yield* Pipeline.make("secondary", options)
      let sent = 0
      yield* drive(
        primary.protect(Effect.never).pipe(
          Effect.catchTag(["TimedOut", "DeadlineExceeded"], () => secondary.protect(Effect.sync(() => sent++))),
          Deadline.within("5 millis")
        )
      )
      assert.strictEqual(sent, 0)
      assert.strictEqual((yield* present(secondary.circuitBreaker).snapshot).calls.failure, 0)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("does not keep clean-up from being retried", () =>
    Effect.gen(function*() {
      let attempts = 0
      const release = Effect.suspend(() => Effect.fail(++attempts))
      const cleanUp = Effect.exit(
        Retry.make({ times: 5, backoff: { kind: "constant", delay: "1 second" } })(release)
      )
      yield* drive(Effect.onInterrupt(Effect.never, () => cleanUp).pipe(Deadline.within("20 millis")))
      assert.strictEqual(attempts, 6)
    }))
})

describe("a window of long ago", () => {
  it.effect("is forgotten at once, however long the clock has gone on", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("old", {
        trip: { kind: "count", failures: 2, window: { duration: "10 millis" } }
      })
      for (let year = 0; year < 3; year++) {
        yield* Effect.exit(breaker.protect(Effect.fail("down")))
        yield* TestClock.adjust(Duration.days(365))
      }
      assert.strictEqual((yield* breaker.snapshot).state, "Closed")
    }))
})
