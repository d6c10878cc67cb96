import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { Outcome, Retry, RetryBudget } from "../src/index.ts"
import { assertRefused, Boom, brief, draws, drive, failing, recorded, Says, start } from "./support.ts"

const deposits = (budget: RetryBudget.RetryBudget, calls: number) =>
  Effect.forEach(Array.from({ length: calls }), () => budget.deposit, { discard: true })

/** How many permits are given until one is refused. */
const exhaust = (budget: RetryBudget.RetryBudget) =>
  Effect.gen(function*() {
    let permits = 0
    while (yield* budget.withdraw) permits++
    return permits
  })

describe("RetryBudget", () => {
  it.effect("has ten permits and a fifth of the calls over ten seconds by default", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p")
      assert.deepStrictEqual(yield* budget.snapshot, { name: "p", calls: 0, spent: 0, left: 10, refused: 0 })
      yield* deposits(budget, 100)
      assert.deepStrictEqual(yield* budget.snapshot, { name: "p", calls: 100, spent: 0, left: 30, refused: 0 })
      assert.strictEqual(yield* exhaust(budget), 30)
      assert.deepStrictEqual(yield* budget.snapshot, { name: "p", calls: 100, spent: 30, left: 0, refused: 1 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* budget.snapshot, { name: "p", calls: 0, spent: 0, left: 10, refused: 1 })
    }))

  it.effect("slides: what is older than the window is forgotten, calls and permits alike", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0.5, minimum: 0, window: "10 seconds", buckets: 10 })
      for (let second = 0; second < 10; second++) {
        yield* deposits(budget, 4)
        yield* TestClock.adjust("1 second")
      }
      // of the ten buckets the first is forgotten by now
      assert.strictEqual((yield* budget.snapshot).left, 18)
      assert.strictEqual(yield* exhaust(budget), 18)
      yield* TestClock.adjust("5 seconds")
      // the permits count longer than most of the calls that they were given for
      assert.deepInclude(yield* budget.snapshot, { calls: 16, spent: 18, left: 0 })
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* budget.snapshot, { calls: 0, spent: 0, left: 0 })
    }))

  it.effect("gives a whole permit for each whole share, whatever a double makes of it", () =>
    Effect.gen(function*() {
      for (let percent = 0; percent <= 100; percent++) {
        const budget = yield* RetryBudget.make("p", { share: percent / 100, minimum: 0 })
        yield* deposits(budget, 100)
        assert.strictEqual(yield* exhaust(budget), percent)
      }
    }))

  it.effect("with neither a share nor a minimum gives none, and with a minimum alone gives that", () =>
    Effect.gen(function*() {
      const none = yield* RetryBudget.make("p", { share: 0, minimum: 0 })
      yield* deposits(none, 1_000)
      assert.strictEqual(yield* exhaust(none), 0)
      const few = yield* RetryBudget.make("p", { share: 0, minimum: 3 })
      yield* deposits(few, 1_000)
      assert.strictEqual(yield* exhaust(few), 3)
    }))

  it.effect("takes other settings at once, and keeps what it has counted", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0.5, minimum: 0 })
      yield* deposits(budget, 10)
      assert.strictEqual(yield* exhaust(budget), 5)
      const more = RetryBudget.settings({ share: 0.5, minimum: 2 })
      yield* budget.reconfigure(more)
      assert.strictEqual(budget.settings, more)
      assert.strictEqual(yield* exhaust(budget), 2)
      yield* budget.reconfigure(RetryBudget.settings({ share: 0.1, minimum: 0 }))
      assert.deepInclude(yield* budget.snapshot, { calls: 10, spent: 7, left: 0 })
      // another window counts from now
      yield* TestClock.adjust("5 seconds")
      yield* budget.reconfigure(RetryBudget.settings({ share: 1, minimum: 0, window: "20 seconds", buckets: 4 }))
      assert.deepInclude(yield* budget.snapshot, { calls: 10, spent: 7, left: 3 })
      yield* TestClock.adjust("14 seconds")
      assert.deepInclude(yield* budget.snapshot, { calls: 10, spent: 7, left: 3 })
      yield* TestClock.adjust("6 seconds")
      // but not what was too old before
      yield* budget.reconfigure(RetryBudget.settings({ window: "1 minute" }))
      assert.deepInclude(yield* budget.snapshot, { calls: 0, spent: 0, left: 10 })
    }))

  it("refuses what it cannot do, and says why", () => {
    const bad = (options: unknown) => () => RetryBudget.make("p", options as RetryBudget.Options)
    const table: ReadonlyArray<readonly [() => unknown, string]> = [
      [() => RetryBudget.make(""), "RetryBudget: name must be a non-empty string, got \"\""],
      [bad(5), "RetryBudget: options must be an object, got 5"],
      [bad({ shares: 1 }), "RetryBudget: unknown option \"shares\"; it takes share, minimum, window, buckets"],
      [bad({ share: -0.1 }), "RetryBudget: share must be a number from 0 to 1, got -0.1"],
      [bad({ share: 20 }), "RetryBudget: share must be a number from 0 to 1, got 20"],
      [bad({ share: NaN }), "RetryBudget: share must be a number from 0 to 1, got NaN"],
      [bad({ share: "0.2" }), "RetryBudget: share must be a number from 0 to 1, got \"0.2\""],
      [bad({ minimum: -1 }), "RetryBudget: minimum must be an integer >= 0, got -1"],
      [bad({ minimum: 1.5 }), "RetryBudget: minimum must be an integer >= 0, got 1.5"],
      [bad({ minimum: Infinity }), "RetryBudget: minimum must be an integer >= 0, got Infinity"],
      [bad({ window: 0 }), "RetryBudget: window must be a finite duration above zero, got 0"],
      [bad({ window: NaN }), "RetryBudget: window must be a finite duration above zero, got NaN"],
      [bad({ window: "Infinity" }), "RetryBudget: window must be a finite duration above zero, got \"Infinity\""],
      [bad({ window: "a while" }), "RetryBudget: window must be a finite duration above zero, got \"a while\""],
      [bad({ window: 5 }), "RetryBudget: window must be at least a millisecond for each of its 10 buckets, got 5"],
      [bad({ buckets: 0 }), "RetryBudget: buckets must be an integer from 1 to 10000, got 0"],
      [bad({ buckets: NaN }), "RetryBudget: buckets must be an integer from 1 to 10000, got NaN"]
    ]
    assertRefused(table)
  })
})

describe("RetryBudget: retries", () => {
  const atOnce = { times: 3, backoff: () => 0 } as const

  it.effect("spend from it, and end with the last error where it is empty, unwrapped", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 4 })
      const retry = Retry.make({ ...atOnce, onExhausted: "wrap", budget })
      const first = failing()
      assert.strictEqual(brief(yield* Effect.exit(retry(first.work))), "RetriesExhausted")
      assert.strictEqual(first.starts.length, 4)
      const second = failing()
      assert.strictEqual(brief(yield* Effect.exit(retry(second.work))), "Boom")
      assert.strictEqual(second.starts.length, 2)
      assert.deepInclude(yield* budget.snapshot, { calls: 2, spent: 4, left: 0, refused: 1 })
    }))

  it.effect("of one effect spend from it as well", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 2 })
      const { starts, work } = recorded(Effect.succeed)
      const result = yield* Retry.retry(work, { ...atOnce, budget, retryIf: () => true })
      assert.deepStrictEqual([result, starts.length], [3, 3])
    }))

  it.effect("end at once where it is empty: no wait is begun", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 0 })
      const { starts, work } = failing()
      const { at } = yield* drive(work.pipe(Retry.make({ backoff: { kind: "constant", delay: 1_000 }, budget })))
      assert.deepStrictEqual([starts, at], [[0], 0])
    }))

  it.effect("spend nothing where there is none: on success, on what is not retried, when all are used up", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 5 })
      const retry = Retry.make({ ...atOnce, maxRetryAfter: 10, budget })
      yield* retry(Effect.void)
      yield* Effect.exit(retry(Effect.die("bug")))
      yield* Effect.exit(retry(Effect.fail(Says.of(Outcome.ignored))))
      yield* Effect.exit(retry(Effect.fail(Says.of(Outcome.failure({ retryAfter: 11 })))))
      assert.deepInclude(yield* budget.snapshot, { calls: 4, spent: 0, refused: 0 })
      yield* Effect.exit(retry(failing().work))
      assert.deepInclude(yield* budget.snapshot, { calls: 5, spent: 3, refused: 0 })
    }))

  it.effect("give a permit back that was not used: the caller has left during the wait", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 1 })
      const waiting = failing().work.pipe(Retry.make({ backoff: { kind: "constant", delay: 5_000 }, budget }))
      const fiber = yield* start(waiting)
      assert.deepInclude(yield* budget.snapshot, { spent: 1, left: 0 })
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* budget.snapshot, { spent: 0, left: 1 })
      // but one that was used is spent, whatever becomes of the attempt
      const used = yield* start(
        Retry.make({ ...atOnce, budget })(recorded((n) => n === 1 ? Effect.fail(new Boom({ n })) : Effect.never).work)
      )
      yield* Fiber.interrupt(used)
      assert.deepInclude(yield* budget.snapshot, { spent: 1, left: 0 })
      // a permit that is given back after its part of the window has gone makes no more of them
      yield* TestClock.adjust("10 seconds")
      const slow = failing().work.pipe(
        Retry.make({ backoff: { kind: "constant", delay: 60_000 }, jitter: "none", budget })
      )
      const late = yield* start(slow)
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.interrupt(late)
      assert.deepInclude(yield* budget.snapshot, { spent: 0, left: 1 })
    }))

  it.effect("leave work in flight alone", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 1 })
      const retry = Retry.make({ ...atOnce, budget })
      const slow = recorded((n) => n === 1 ? Effect.fail(new Boom({ n })) : Effect.as(Effect.sleep("5 seconds"), n))
      const fiber = yield* start(retry(slow.work))
      yield* Effect.exit(retry(failing().work))
      yield* budget.reconfigure(RetryBudget.settings({ share: 0, minimum: 0 }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), 2)
    }))

  it.effect("amplify an outage by the share and no more, where plain retries multiply it", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0.2, minimum: 10 })
      const { starts, work } = failing()
      const call = Effect.exit(work.pipe(Retry.make({ ...atOnce, budget })))
      // a hundred calls a second, for a minute
      for (let second = 0; second < 60; second++) {
        for (let n = 0; n < 100; n++) yield* call
        yield* TestClock.adjust("1 second")
      }
      assert.isBelow(starts.length, 6_000 * 1.25)
      assert.isAbove(starts.length, 6_000 * 1.15)
    }))

  it.effect("neither lose nor gain a permit in 100,000 random steps with random interruptions", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      const done = { steps: 0 }
      const pauses = (n: number) =>
        Effect.forEach(Array.from({ length: n }), () => {
          done.steps++
          return Effect.yieldNow
        }, { discard: true })
      const budget = yield* RetryBudget.make("p", { share: 0.1, minimum: 50, window: "1000 days" })
      let calls = 0
      let attempts = 0
      let interrupted = 0
      let unseen = 0
      const call = Effect.suspend(() => {
        calls++
        let own = 0
        const work = Effect.suspend(() => {
          if (own++ > 0) attempts++
          return Effect.andThen(
            pauses(below(4)),
            below(3) === 0 ? Effect.succeed(own) : Effect.fail(new Boom({ n: own }))
          )
        })
        return work.pipe(
          Retry.retry({
            times: 5,
            backoff: () => below(3),
            budget,
            retryIf: (n: number) => n % 2 === 0,
            ...(below(2) === 0 ? { dispose: () => pauses(below(3)) } : {})
          }),
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + below(8))
        )
      })
      while (done.steps < 100_000) {
        const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.forkDetach(call))
        for (const fiber of fibers) {
          yield* pauses(below(10))
          if (below(3) === 0) yield* TestClock.adjust(1)
          if (below(2) === 0) fiber.interruptUnsafe()
        }
        for (let n = 0; n < 1_000 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); n++) {
          yield* TestClock.adjust(1)
          yield* pauses(5)
        }
        for (const fiber of fibers) if (Exit.hasInterrupts(yield* Fiber.await(fiber))) interrupted++
        const { calls: counted, left, spent } = yield* budget.snapshot
        // a call that is interrupted before it has begun is not counted
        assert.isAtMost(counted, calls)
        assert.isAtLeast(spent, attempts)
        // an attempt may be interrupted when it has begun, and its work has not
        unseen = spent - attempts
        assert.strictEqual(left, Math.max(0, Math.floor(50 + 0.1 * counted - spent + 1e-9)))
      }
      assert.isAtMost(unseen, attempts / 50)
      assert.isAbove(interrupted, 500)
      assert.isAbove(attempts, 200)
      assert.isAbove((yield* budget.snapshot).refused, 200)
    }).pipe(Random.withSeed("budget")))
})
