import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as CacheFallback from "../../src/CacheFallback.ts"
import { brief, failing, recorded, start } from "../support.ts"

const entry = { key: ["latest", "EFX"], schema: Schema.Number }

describe("cache", () => {
  it.effect.each(["stale-while-revalidate", "stale-if-error"] as const)(
    "conformance 42: a failed refresh keeps the value, once per key, until its staleness bound (%s)",
    (strategy) =>
      Effect.gen(function*() {
        const cache = yield* CacheFallback.make("quotes", { strategy, fresh: "1 minute", stale: "10 minutes" })
        yield* cache.get(Effect.succeed(1), entry)
        const { starts, work } = recorded((n) => Effect.delay(Effect.fail(n), "1 second"))
        const call = cache.get(work, entry)

        // ten callers at once, again and again: each time one refresh, which fails
        for (let minute = 1; minute <= 10; minute++) {
          yield* TestClock.setTime(minute * 60_000)
          const callers = yield* Effect.forEach(Array.from({ length: 10 }), () => start(call))
          yield* TestClock.adjust("1 second")
          for (const caller of callers) {
            const { isStale, source, value } = yield* Fiber.join(caller)
            assert.deepStrictEqual({ isStale, source, value }, { isStale: true, source: "cache", value: 1 })
          }
          assert.strictEqual(starts.length, minute)
        }
        assert.strictEqual((yield* cache.snapshot).inFlight, 0)

        // fresh for 1 minute, stale for 10: then it is gone
        yield* TestClock.setTime(11 * 60_000 - 1)
        assert.strictEqual((yield* cache.get(Effect.fail("down"), entry)).value, 1)
        yield* TestClock.setTime(11 * 60_000)
        assert.strictEqual(yield* Effect.flip(cache.get(Effect.fail("down"), entry)), "down")
      })
  )

  it.effect("conformance 42: keys fail apart from each other", () =>
    Effect.gen(function*() {
      const cache = yield* CacheFallback.make("quotes", {
        strategy: "stale-while-revalidate",
        fresh: "1 minute",
        stale: "10 minutes"
      })
      const [a, b] = [{ ...entry, key: ["a"] }, { ...entry, key: ["b"] }]
      yield* cache.get(Effect.succeed(1), a)
      yield* cache.get(Effect.succeed(2), b)
      yield* TestClock.adjust("2 minutes")
      const { starts, work } = failing()
      yield* cache.get(work, a)
      yield* cache.get(Effect.succeed(3), b)
      assert.strictEqual(starts.length, 1)
      assert.deepStrictEqual([(yield* cache.get(work, a)).value, (yield* cache.get(work, b)).value], [1, 3])
      assert.strictEqual(starts.length, 2)
    }))

  it.effect("conformance 42: a refresh that succeeds after failures renews the value", () =>
    Effect.gen(function*() {
      const cache = yield* CacheFallback.make("quotes", {
        strategy: "stale-while-revalidate",
        fresh: "1 minute",
        stale: "10 minutes"
      })
      yield* cache.get(Effect.succeed(0), entry)
      yield* TestClock.adjust("2 minutes")
      const { work } = recorded((n) => (n < 3 ? Effect.fail("down") : Effect.succeed(n)))
      const values: Array<unknown> = []
      for (let call = 0; call < 4; call++) {
        values.push(brief(yield* Effect.exit(Effect.map(cache.get(work, entry), ({ value }) => value))))
      }
      assert.deepStrictEqual(values, [0, 0, 0, 3])
    }))
})
