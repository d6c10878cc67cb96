import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Deadline, Outcome, Retry, Timeout } from "../../src/index.ts"
import { brief, drawing, drive, ended, errorOf, failing, now, recorded, Says, start, waits } from "../support.ts"

describe("retry", () => {
  it.effect.each(
    [
      { kind: "linear", delays: [1_000, 2_000, 3_000] },
      { kind: "exponential", delays: [1_000, 2_000, 4_000] }
    ] as const
  )("conformance 17: without jitter, base 1 s, $kind waits $delays", ({ delays, kind }) =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      yield* drive(work.pipe(Retry.make({ times: 3, backoff: { kind, base: "1 second" }, jitter: "none" })))
      assert.deepStrictEqual(waits(starts), [...delays])
    }))

  it.effect.each([
    { u: 0, delay: 750 },
    { u: 0.4, delay: 950 },
    { u: 0.6, delay: 1_050 },
    { u: 1, delay: 1_250 }
  ])(
    "conformance 18: factor jitter of 25 % on 1 s at U = $u waits $delay ms",
    ({ delay, u }) =>
      Effect.gen(function*() {
        const { starts, work } = failing()
        const retry = Retry.make({
          times: 1,
          backoff: { kind: "constant", delay: "1 second" },
          jitter: { factor: 0.25 }
        })
        yield* drive(work.pipe(retry, drawing(u)))
        assert.deepStrictEqual(waits(starts), [delay])
      })
  )

  it.effect("conformance 19: from 1 ms to at most 10 ms, six retries wait 1, 2, 4, 8, 10, 10", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      yield* drive(work.pipe(
        Retry.make({ times: 6, backoff: { kind: "exponential", base: "1 millis", cap: "10 millis" }, jitter: "none" })
      ))
      assert.deepStrictEqual(waits(starts), [1, 2, 4, 8, 10, 10])
    }))

  it.effect("conformance 20: interrupted during a delay it ends at once, after one execution", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const fiber = yield* start(ended(work.pipe(
        Retry.make({ times: 3, backoff: { kind: "constant", delay: "10 seconds" }, jitter: "none" })
      )))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* now, 3_000)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(starts, [0])
    }))

  it.effect("conformance 21: five retries on result make six results, of which the first five are disposed", () =>
    Effect.gen(function*() {
      const disposed: Array<number> = []
      const { work } = recorded((n) => Effect.succeed(n))
      const { exit } = yield* drive(Retry.retry(work, {
        times: 5,
        backoff: { kind: "constant", delay: "1 second" },
        retryIf: () => true,
        dispose: (n) => Effect.sync(() => disposed.push(n))
      }))
      assert.deepStrictEqual(exit, Exit.succeed(6))
      assert.deepStrictEqual(disposed, [1, 2, 3, 4, 5])
    }))

  it.effect("conformance 22: under a total timeout of 100 ms a delay of 1 s is not begun, and the call ends at once", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) => Effect.andThen(Effect.sleep("10 millis"), Effect.fail(n)))
      const { at, exit } = yield* drive(work.pipe(
        Retry.make({ times: 3, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" }),
        Timeout.total("100 millis")
      ))
      assert.deepStrictEqual(starts, [0])
      assert.deepStrictEqual(exit, Exit.fail(1))
      assert.strictEqual(at, 10)
    }))

  it.effect.each([
    { outcome: "failure", ask: Outcome.failure({ retryAfter: "2 seconds" }) },
    { outcome: "overload", ask: Outcome.overload({ retryAfter: "2 seconds" }) }
  ])(
    "conformance 23: a retryAfter of 2 s is never undercut: no attempt at 1,999 ms, one at 2,000 ($outcome)",
    ({ ask }) =>
      Effect.gen(function*() {
        const { starts, work } = recorded((n) => n === 1 ? Effect.fail(Says.of(ask)) : Effect.succeed("answer"))
        const fiber = yield* start(work.pipe(
          Retry.make({ times: 3, backoff: { kind: "constant", delay: "1 millis" } }),
          drawing(0)
        ))
        yield* TestClock.adjust(1_999)
        assert.deepStrictEqual(starts, [0])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(starts, [0, 2_000])
        assert.strictEqual(yield* Fiber.join(fiber), "answer")
      })
  )

  it.effect("conformance 23: jitter is added above a retryAfter, and a longer backoff stands", () =>
    Effect.gen(function*() {
      const asking = () => recorded(() => Effect.fail(Says.of(Outcome.failure({ retryAfter: "2 seconds" }))))
      const spread = asking()
      yield* drive(spread.work.pipe(
        Retry.make({ times: 1, backoff: { kind: "constant", delay: "1 second" }, jitter: "full" }),
        drawing(0.5)
      ))
      assert.deepStrictEqual(waits(spread.starts), [2_500])
      const longer = asking()
      yield* drive(longer.work.pipe(
        Retry.make({ times: 1, backoff: { kind: "constant", delay: "5 seconds" }, jitter: "none" })
      ))
      assert.deepStrictEqual(waits(longer.starts), [5_000])
    }))

  it.effect("conformance 23: a retryAfter of 3600 s under a deadline of 30 s ends the call at once with the last error", () =>
    Effect.gen(function*() {
      const last = Says.of(Outcome.overload({ retryAfter: "3600 seconds" }))
      const { starts, work } = recorded(() => Effect.andThen(Effect.sleep("1 second"), Effect.fail(last)))
      const { at, exit } = yield* drive(work.pipe(
        Retry.make({ times: 3, maxElapsed: "2 hours", maxRetryAfter: "2 hours" }),
        Deadline.within("30 seconds")
      ))
      assert.deepStrictEqual(starts, [0])
      assert.strictEqual(errorOf(exit), last)
      assert.strictEqual(at, 1_000)
    }))

  it.effect("conformance 23: one beyond maxRetryAfter ends the call at once with the last error and is never shortened", () =>
    Effect.gen(function*() {
      const options = { times: 3, maxElapsed: "1 hour", maxRetryAfter: "10 seconds", jitter: "none" } as const
      const last = Says.of(Outcome.failure({ retryAfter: 10_001 }))
      const beyond = recorded(() => Effect.fail(last))
      const { at, exit } = yield* drive(beyond.work.pipe(Retry.make({ ...options, onExhausted: "wrap" })))
      assert.deepStrictEqual(beyond.starts, [0])
      assert.strictEqual(errorOf(exit), last)
      assert.strictEqual(at, 0)

      const within = recorded((n) =>
        n === 1 ? Effect.fail(Says.of(Outcome.failure({ retryAfter: 10_000 }))) : Effect.succeed("answer")
      )
      const waited = yield* drive(within.work.pipe(Retry.make(options)))
      assert.deepStrictEqual(waits(within.starts), [10_000])
      assert.strictEqual(brief(waited.exit), "answer")
    }))

  it.effect("conformance 23: without options the longest retryAfter that is waited for is 30 s", () =>
    Effect.gen(function*() {
      for (const [seconds, attempts] of [[30, 4], [31, 1]] as const) {
        const { starts, work } = recorded(() =>
          Effect.fail(Says.of(Outcome.failure({ retryAfter: Duration.seconds(seconds) })))
        )
        yield* drive(work.pipe(Retry.make({ maxElapsed: "1 hour" })))
        assert.strictEqual(starts.length, attempts)
      }
    }))
})
