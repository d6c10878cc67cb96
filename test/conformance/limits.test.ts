import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import * as RateLimit from "../../src/RateLimit.ts"
import { brief, draws, ended, errorOf, present, start } from "../support.ts"

describe("rate limit", () => {
  it.effect("conformance 29: 1 per 500 ms: seven at once wait up to 3,000 ms; at 800 ms, three more up to 3,700", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("smooth", {
        kind: "token-bucket",
        permits: 1,
        per: "500 millis",
        burst: 1,
        wait: "1 minute"
      })
      const call = start(ended(limit.protect(Effect.void)))
      const first = yield* Effect.forEach(Array.from({ length: 7 }), () => call)
      yield* TestClock.adjust("800 millis")
      const then = yield* Effect.forEach(Array.from({ length: 3 }), () => call)
      assert.strictEqual((yield* limit.snapshot).waiting, 8)
      yield* TestClock.adjust("1 minute")
      const started = (yield* Effect.forEach([...first, ...then], Fiber.join)).map(({ at }) => at)
      assert.deepStrictEqual(started.slice(0, 7), [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000])
      assert.deepStrictEqual(started.slice(7), [3_500, 4_000, 4_500])
      assert.deepStrictEqual(started.slice(7).map((at) => at - 800), [2_700, 3_200, 3_700])
    }))

  it.effect("conformance 30: 1 per 250 ms, wait at most 250: 0, at most 250, then refused, at the cost of no permit", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("short", {
        kind: "token-bucket",
        permits: 1,
        per: "250 millis",
        burst: 1,
        wait: "250 millis"
      })
      const call = start(ended(limit.protect(Effect.void)))
      const [first, second, third] = yield* Effect.forEach([1, 2, 3], () => call)
      const refused = yield* Fiber.join(present(third))
      assert.strictEqual(refused.at, 0)
      assert.strictEqual(brief(refused.exit), "RateLimited")
      assert.deepStrictEqual(errorOf(refused.exit).retryAfter, Duration.millis(500))
      yield* TestClock.adjust("250 millis")
      assert.strictEqual((yield* Fiber.join(present(first))).at, 0)
      assert.strictEqual((yield* Fiber.join(present(second))).at, 250)
      // the permit of 500 ms is there for the next one
      yield* TestClock.adjust("250 millis")
      const next = yield* Fiber.join(yield* call)
      assert.deepStrictEqual([brief(next.exit), next.at], [undefined, 500])
      assert.deepInclude((yield* limit.snapshot).calls, { admitted: 3, refused: 1 })
    }))

  it.effect("conformance 31: ten per 10 s in a sliding window: never eleven, around every instant of a random run", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      for (const wait of [0, 4_000, "Infinity"] as const) {
        const limit = yield* RateLimit.make("window", { kind: "sliding-window", permits: 10, per: "10 seconds", wait })
        const starts: Array<number> = []
        const calls: Array<Fiber.Fiber<unknown, unknown>> = []
        let now = 0
        for (let n = 0; n < 3_000; n++) {
          const step = below(3) === 0 ? below(4_000) / 4 : 0
          yield* TestClock.adjust(Duration.millis(step))
          now += step
          const work = Effect.map(
            TestClock.testClockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe())),
            (at) => starts.push(at)
          )
          const fiber = yield* start(limit.protect(work))
          calls.push(fiber)
          if (below(4) === 0) present(calls[below(calls.length)]).interruptUnsafe()
        }
        yield* TestClock.adjust("1 days")
        yield* Fiber.interruptAll(calls)
        starts.sort((a, b) => a - b)
        // a window that holds too many holds them also when it is moved on to begin at the first of them
        starts.forEach((at, n) => {
          const within = starts.slice(n).findIndex((other) => other >= at + 10_000)
          assert.isAtMost(within === -1 ? starts.length - n : within, 10)
        })
        assert.isAtLeast(starts.length, 400)
      }
    }).pipe(Random.withSeed("window")))
})
