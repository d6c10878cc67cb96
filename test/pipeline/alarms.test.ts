import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Timeout } from "../../src/index.ts"

/** Timers that the process has. */
const timers = Effect.sync(() => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length)

const elapsed = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const startedAt = performance.now()
    return Effect.map(Effect.exit(self), (exit) => ({ exit, millis: performance.now() - startedAt }))
  })

describe("limits of one duration on the clock of the machine", () => {
  it.live("share one timer, which is gone with the last of them", () =>
    Effect.gen(function*() {
      const before = yield* timers
      const limited = Timeout.make({ duration: "1 minute", limit: "attempt" })(Effect.never)
      const calls = yield* Effect.forEach(Array.from({ length: 1_000 }), () =>
        Effect.forkChild(limited, { startImmediately: true }))
      assert.isAtMost((yield* timers) - before, 1)
      yield* Fiber.interruptAll(calls.slice(1))
      assert.strictEqual((yield* timers) - before, 1)
      yield* Fiber.interruptAll(calls)
      assert.strictEqual((yield* timers) - before, 0)
    }))

  it.live("share it also where one call begins as another ends, and leave none behind", () =>
    Effect.gen(function*() {
      const before = yield* timers
      const set = vi.spyOn(globalThis, "setTimeout")
      const limited = Timeout.make({ duration: "1 minute", limit: "attempt" })(Effect.promise(() => Promise.resolve()))
      yield* Effect.forEach(Array.from({ length: 100 }), () => limited)
      assert.lengthOf(set.mock.calls.filter(([, millis]) => millis !== undefined && millis > 50_000), 1)
      set.mockRestore()
      // what goes on where the last one has ended is a part of its last step
      yield* Effect.yieldNow
      assert.isAtMost((yield* timers) - before, 0)
    }))

  it.live("strike each in its time, whoever ends before", () =>
    Effect.gen(function*() {
      const limit = Timeout.make({ duration: 120, limit: "attempt" })
      const begin = <A>(work: Effect.Effect<A>) => Effect.forkChild(elapsed(limit(work)), { startImmediately: true })
      const first = yield* begin(Effect.never)
      yield* Effect.sleep(40)
      const quick = yield* begin(Effect.sleep(20))
      const second = yield* begin(Effect.never)
      yield* Effect.sleep(40)
      const cancelled = yield* begin(Effect.never)
      const third = yield* begin(Effect.never)
      yield* Fiber.interrupt(cancelled)
      assert.strictEqual((yield* Fiber.join(quick)).exit._tag, "Success")
      for (const struck of [first, second, third]) {
        const { exit, millis } = yield* Fiber.join(struck)
        assert.strictEqual(exit._tag, "Failure")
        assert.isAtLeast(millis, 119)
        assert.isAtMost(millis, 1_000)
      }
    }))

  it.live("that strike at once are no business of each other", () =>
    Effect.gen(function*() {
      const limited = Timeout.make({ duration: 20, limit: "attempt" })(Effect.never)
      const again = Effect.andThen(Effect.ignore(limited), Effect.ignore(limited))
      const startedAt = performance.now()
      yield* Effect.all(Array.from({ length: 100 }, () => again), { concurrency: "unbounded", discard: true })
      assert.isAtLeast(performance.now() - startedAt, 39)
    }))
})
