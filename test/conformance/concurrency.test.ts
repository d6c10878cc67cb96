import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, type Exit, Fiber, Random, Scheduler } from "effect"
import * as AdaptiveLimit from "../../src/AdaptiveLimit.ts"
import * as Bulkhead from "../../src/Bulkhead.ts"
import * as Throttle from "../../src/Throttle.ts"
import { type Boom, boom, brief, drawing, draws, manualClock, present, start } from "../support.ts"

/** A clock that a test moves on, and that knows who still sleeps. */
const countingClock = () => {
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>()
  const manual = manualClock((millis) =>
    Effect.callback<void>((resume) => {
      const sleeper = { at: manual.now() + millis, wake: () => resume(Effect.void) }
      sleepers.add(sleeper)
      return Effect.sync(() => sleepers.delete(sleeper))
    })
  )
  return {
    clock: manual.clock,
    asleep: () => sleepers.size,
    wait: (millis: number) => {
      manual.wait(millis)
      for (const sleeper of sleepers) {
        if (sleeper.at > manual.now()) continue
        sleepers.delete(sleeper)
        sleeper.wake()
      }
    }
  }
}

describe("limits", () => {
  it.effect("conformance 32: AIMD goes from 20 to 21 on a success with enough in flight, from 30 to 27 on a drop", () =>
    Effect.gen(function*() {
      const limitOf = (limit: AdaptiveLimit.AdaptiveLimit) => Effect.map(limit.snapshot, ({ limit }) => limit)
      const growing = yield* AdaptiveLimit.make("growing", { algorithm: { kind: "aimd" }, initial: 20 })
      const others = yield* Effect.forEach(Array.from({ length: 8 }), () => start(growing.protect(Effect.never)))
      yield* growing.protect(Effect.void)
      assert.strictEqual(yield* limitOf(growing), 20, "nine in flight are too few")
      others.push(yield* start(growing.protect(Effect.never)))
      yield* growing.protect(Effect.void)
      assert.strictEqual(yield* limitOf(growing), 21)
      yield* Fiber.interruptAll(others)
      assert.strictEqual(yield* limitOf(growing), 21)

      const shrinking = yield* AdaptiveLimit.make("shrinking", { algorithm: { kind: "aimd" }, initial: 30 })
      yield* Effect.exit(shrinking.protect(boom))
      assert.strictEqual(yield* limitOf(shrinking), 27)
    }))

  it.effect("conformance 33: of 120 requests 90 accepted, with a target of .9, the next is refused with (120 - 90/.9)/121", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("quotes", { target: 0.9 })
      for (let n = 0; n < 120; n++) {
        yield* Effect.exit(throttle.protect(n % 4 === 0 ? boom : Effect.void)).pipe(drawing(1))
      }
      const expected = (120 - 90 / 0.9) / 121
      assert.deepInclude(yield* throttle.snapshot, { requests: 120, accepts: 90 })
      assert.approximately((yield* throttle.snapshot).probability, expected, 1e-12)
      assert.strictEqual(brief(yield* Effect.exit(throttle.protect(boom).pipe(drawing(expected)))), "Boom")
      // that one counts as well, and so does one that is refused
      const next = (121 - 90 / 0.9) / 122
      const refused = yield* Effect.exit(throttle.protect(boom).pipe(drawing(next - 1e-9)))
      assert.strictEqual(brief(refused), "Throttled")
      assert.deepInclude(yield* throttle.snapshot, { requests: 122, accepts: 90 })
    }))

  it.effect(
    "conformance 34: permits come back whole from waiters, timeouts and interrupts that race with releases, over 100,000 random steps",
    () => {
      const { asleep, clock, wait } = countingClock()
      return Effect.gen(function*() {
        const { below } = yield* draws
        const concurrency = 5
        const bulkhead = yield* Bulkhead.make("storm", { concurrency, queue: 12, wait: 20 })
        let running = 0
        let most = 0
        let entered = 0
        const work = Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++running)
          }),
          () => Effect.callback<number, Boom>((resume) => void endings.push(resume)),
          () => Effect.sync(() => running--)
        )
        const endings: Array<(effect: Effect.Effect<number, Boom>) => void> = []
        const results: ReadonlyArray<Effect.Effect<number, Boom>> = [Effect.succeed(1), boom, Effect.die("bug")]
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        const seen = new Map<unknown, number>()
        const see = (exit: Exit.Exit<unknown, unknown>) => seen.set(brief(exit), (seen.get(brief(exit)) ?? 0) + 1)
        for (let step = 0; step < 100_000; step++) {
          const what = below(10)
          if (what < 4) {
            const call = Effect.suspend(() => {
              entered++
              return bulkhead.protect(work, { key: below(2) === 0 ? undefined : `key ${below(3)}` })
            })
            // so few operations to a turn that an interruption falls between any two of them (with two nothing moves on)
            const fiber = yield* Effect.forkDetach(
              Effect.provideService(call, Scheduler.MaxOpsBeforeYield, 3 + below(4)),
              { startImmediately: below(2) === 0 }
            )
            fiber.addObserver(see)
            fibers.push(fiber)
          } else if (what < 7) endings.splice(below(endings.length), 1)[0]?.(present(results[below(results.length)]))
          else if (what === 7) fibers.splice(below(fibers.length), 1)[0]?.interruptUnsafe()
          else if (what === 8) wait(below(4))
          else yield* Effect.yieldNow
          if (step % 1_000 === 999) {
            for (const fiber of fibers.splice(0)) {
              if (below(2) === 0) fiber.interruptUnsafe()
              for (const end of endings.splice(0)) end(Effect.succeed(1))
              yield* Effect.yieldNow
            }
            wait(1_000)
            for (let n = 0; n < 60; n++) {
              for (const end of endings.splice(0)) end(Effect.succeed(1))
              yield* Effect.yieldNow
            }
            assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 0, waiting: 0 })
          }
        }
        assert.strictEqual(most, concurrency)
        assert.strictEqual(running, 0)
        assert.strictEqual(asleep(), 0)
        const { calls } = yield* bulkhead.snapshot
        // one that is interrupted before it has come to the bulkhead is counted by nobody
        assert.isAtMost(calls.admitted + calls.queueFull + calls.waitedTooLong + calls.abandoned, entered)
        for (const count of [calls.admitted, calls.queueFull, calls.waitedTooLong, calls.abandoned]) {
          assert.isAbove(count, 500)
        }
        for (const end of [1, "Boom", "die", "interrupt", "BulkheadFull"]) assert.isAbove(seen.get(end) ?? 0, 500)
        // and all permits are there
        const all = yield* Effect.forEach(
          Array.from({ length: concurrency }),
          () => start(bulkhead.protect(Effect.never))
        )
        assert.strictEqual((yield* bulkhead.snapshot).inFlight, concurrency)
        yield* Fiber.interruptAll(all)
      }).pipe(Effect.provideService(Clock.Clock, clock), Random.withSeed("storm"))
    },
    60_000
  )

  it.effect("conformance 34: service is in order of arrival, whoever goes away in between", () => {
    const { clock, wait } = countingClock()
    return Effect.gen(function*() {
      const { below } = yield* draws
      const bulkhead = yield* Bulkhead.make("line", { concurrency: 3, queue: 10, wait: 50 })
      const served: Array<number> = []
      const endings: Array<() => void> = []
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let step = 0; step < 20_000; step++) {
        const what = below(10)
        if (what < 4) {
          const work = Effect.callback<void>((resume) => {
            served.push(step)
            endings.push(() => resume(Effect.void))
          })
          fibers.push(yield* Effect.forkDetach(bulkhead.protect(work), { startImmediately: true }))
        } else if (what < 7) {
          for (let n = below(3); n >= 0; n--) endings.shift()?.()
          // whoever has got a permit is woken before somebody else comes
          yield* Effect.yieldNow
        } else if (what < 9) {
          fibers.splice(below(fibers.length), 1)[0]?.interruptUnsafe()
          yield* Effect.yieldNow
        } else wait(below(30))
      }
      assert.isAbove(served.length, 3_000)
      assert.deepStrictEqual(served, served.toSorted((a, b) => a - b))
      yield* Fiber.interruptAll(fibers)
    }).pipe(Effect.provideService(Clock.Clock, clock), Random.withSeed("line"))
  })

  it.effect("conformance 34: calls begin in the order in which they got their permits, whoever gave them", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("order", { concurrency: 2, queue: 2 })
      const ends: Array<() => void> = []
      const begun: Array<string> = []
      const holder = (before: Effect.Effect<unknown>) =>
        bulkhead.protect(Effect.andThen(
          before,
          Effect.callback<void>((resume) => void ends.push(() => resume(Effect.void)))
        ))
      const first = yield* start(holder(Effect.void))
      // what its fiber has scheduled earlier lets the second one's turn come earlier
      const second = yield* start(holder(Effect.forkDetach(Effect.void)))
      const waiters = yield* Effect.forEach(
        ["a", "b"],
        (name) => start(bulkhead.protect(Effect.sync(() => void begun.push(name))))
      )
      for (const end of ends) end()
      yield* Effect.forEach([first, second, ...waiters], Fiber.join)
      assert.deepStrictEqual(begun, ["a", "b"])
    }))

  it.effect("conformance 34: 20,000 queued waiters neither overflow the stack nor lose a permit", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("long", { concurrency: 2, queue: Infinity })
      const gate = yield* Deferred.make<void>()
      const holders = yield* Effect.forEach([1, 2], () => start(bulkhead.protect(Deferred.await(gate))))
      let served = 0
      const work = bulkhead.protect(Effect.sync(() => {
        served++
      }))
      const waiters = yield* Effect.forEach(Array.from({ length: 20_000 }), () => start(work))
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 2, waiting: 20_000 })
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach([...holders, ...waiters], Fiber.join, { discard: true })
      assert.strictEqual(served, 20_000)
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 0, waiting: 0 })
    }))
})
