import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Hedge, Retry, RetryBudget } from "../../src/index.ts"
import { Boom, drive, errorOf, recorded, start } from "../support.ts"

describe("hedge, budget", () => {
  it.effect("conformance 25: with a delay of 10 ms and at most 2, a primary of 100 ms makes two hedges start", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: "10 millis", hedges: 2 })
      const { starts, work } = recorded((n) => Effect.as(Effect.sleep("100 millis"), n))
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual(starts, [0, 10, 20])
      assert.deepStrictEqual(exit, Exit.succeed(1))
      assert.strictEqual(at, 100)
    }))

  it.effect("conformance 26: where all fail, the call fails with the primary's error", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: "10 millis", hedges: 2 })
      // the primary is the last to fail
      const { starts, work } = recorded((n) =>
        Effect.andThen(Effect.sleep(Duration.millis(100 - 20 * n)), Effect.fail(new Boom({ n })))
      )
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual(starts, [0, 10, 20])
      assert.deepStrictEqual(errorOf(exit), new Boom({ n: 1 }))
      assert.strictEqual(at, 80)
      // and the first
      const quick = recorded((n) => Effect.andThen(Effect.sleep(Duration.millis(n)), Effect.fail(new Boom({ n }))))
      assert.deepStrictEqual(errorOf((yield* drive(hedge.protect(quick.work))).exit), new Boom({ n: 1 }))
      assert.strictEqual(quick.starts.length, 3)
    }))

  it.effect("conformance 26: a caller's interruption reaches every attempt", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: "10 millis", hedges: 2 })
      const interrupted: Array<number> = []
      const { starts, work } = recorded((n) =>
        // clean-up takes its time, and is waited for
        Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.sleep(n), Effect.sync(() => interrupted.push(n))))
      )
      const fiber = yield* start(hedge.protect(work))
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(starts.length, 3)
      fiber.interruptUnsafe()
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("2 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(interrupted, [1, 2, 3])
    }))

  it.effect("conformance 27: with 50 % and no minimum over 10 s, ten calls give five permits, and ten seconds later none", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0.5, minimum: 0, window: "10 seconds" })
      for (let call = 0; call < 10; call++) yield* budget.deposit
      const permits = Effect.forEach(Array.from({ length: 10 }), () => budget.withdraw)
      assert.deepStrictEqual(yield* permits, [true, true, true, true, true, false, false, false, false, false])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* permits, Array.from({ length: 10 }, () => false))
      assert.deepInclude(yield* budget.snapshot, { calls: 0, spent: 0, left: 0 })
    }))

  it.effect("conformance 27: the same by calls that fail: five retries, then none", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0.5, minimum: 0, window: "10 seconds" })
      const retry = Retry.make({ times: 1, backoff: () => 0, budget })
      const { starts, work } = recorded((n) => Effect.fail(new Boom({ n })))
      for (let call = 0; call < 10; call++) yield* Effect.exit(retry(work))
      assert.strictEqual(starts.length, 15)
      yield* TestClock.adjust("10 seconds")
      yield* Effect.exit(retry(work))
      assert.strictEqual(starts.length, 16)
    }))
})
