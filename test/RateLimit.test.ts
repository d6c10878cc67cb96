import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Equal, Exit, Fiber, Random, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as CircuitBreaker from "../src/CircuitBreaker.ts"
import * as Deadline from "../src/Deadline.ts"
import * as Outcome from "../src/Outcome.ts"
import * as RateLimit from "../src/RateLimit.ts"
import { Boom, brief, draws, ended, errorOf, manualClock, pauses, present, recorded, Says, start } from "./support.ts"

/** Whether a call is let through at once. */
const admits = (limit: RateLimit.RateLimit, options?: RateLimit.CallOptions<void, never>) =>
  Effect.map(Effect.exit(limit.protect(Effect.void, options)), Exit.isSuccess)

/** How many of some calls at once are let through. */
const admitted = (limit: RateLimit.RateLimit, calls: number, options?: RateLimit.CallOptions<void, never>) =>
  Effect.map(
    Effect.forEach(Array.from({ length: calls }), () => admits(limit, options)),
    (passed) => passed.filter((pass) => pass).length
  )

const retryAfter = (error: RateLimit.RateLimited) =>
  error.retryAfter === undefined ? undefined : Duration.toMillis(error.retryAfter)

/** Calls that end when they are told to, in order. */
const pending = Effect.fnUntraced(function*<E>(
  limit: RateLimit.RateLimit,
  options?: RateLimit.CallOptions<void, E>
) {
  let resume: ((effect: Effect.Effect<void, E>) => void) | undefined
  const fiber = yield* start(limit.protect(
    Effect.callback<void, E>((r) => {
      resume = r
    }),
    options
  ))
  return {
    fiber,
    isRunning: () => resume !== undefined,
    end: (effect: Effect.Effect<void, E> = Effect.void) =>
      Effect.andThen(Effect.sync(() => present(resume)(effect)), Fiber.await(fiber))
  }
})

const bucket = { kind: "token-bucket", permits: 10, per: "10 seconds" } as const
const sliding = { kind: "sliding-window", permits: 10, per: "10 seconds" } as const
const fixed = { kind: "fixed-window", permits: 10, per: "10 seconds" } as const

describe("RateLimit: token bucket", () => {
  it.effect("lets its burst through at once and then as much as flows in", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("bucket", bucket)
      assert.strictEqual(yield* admitted(limit, 20), 10)
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* admits(limit), false)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* admitted(limit, 20), 1)
      yield* TestClock.adjust("3500 millis")
      assert.strictEqual(yield* admitted(limit, 20), 3)
      // the half that is left over is not lost
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* admitted(limit, 20), 1)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* admitted(limit, 20), 10)
    }))

  it.effect("holds as much as its burst, be it less or more than flows in at a time", () =>
    Effect.gen(function*() {
      const small = yield* RateLimit.make("small", { ...bucket, burst: 2 })
      assert.strictEqual(yield* admitted(small, 20), 2)
      const large = yield* RateLimit.make("large", { ...bucket, burst: 25 })
      assert.strictEqual(yield* admitted(large, 30), 25)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* admitted(small, 20), 2)
      assert.strictEqual(yield* admitted(large, 30), 10)
    }))

  it.effect("takes fractions, of permits and of costs", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("dollars", { kind: "token-bucket", permits: 0.5, per: "1 second", burst: 1 })
      assert.strictEqual(yield* admitted(limit, 20, { cost: 0.1 }), 10)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* admitted(limit, 20, { cost: 0.1 }), 5)
    }))

  it.effect("neither gains nor loses permits by rounding, over a long time", () =>
    Effect.gen(function*() {
      const { clock, wait } = manualClock()
      yield* Effect.gen(function*() {
        // a third of a second is no number of nanoseconds
        const limit = yield* RateLimit.make("thirds", { kind: "token-bucket", permits: 3, per: "1 second", burst: 1 })
        let passed = 0
        for (let ms = 0; ms < 200_000; ms += 2) {
          if (yield* admits(limit)) passed++
          wait(2)
        }
        // it is asked every 2 ms, and so is at most 2 ms late each time
        assert.isAtMost(passed, 601)
        assert.isAtLeast(passed, Math.floor(200_000 / 336))
      }).pipe(Effect.provideService(Clock.Clock, clock))
    }))

  it.effect("keeps its rate exactly where calls wait, however odd it is", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("sevenths", {
        kind: "token-bucket",
        permits: 7,
        per: "1 second",
        burst: 1,
        wait: "Infinity"
      })
      const calls = yield* Effect.forEach(
        Array.from({ length: 701 }),
        () => start(ended(limit.protect(Effect.void)))
      )
      yield* TestClock.adjust("200 seconds")
      const last = yield* Fiber.join(present(calls[700]))
      assert.approximately(last.at, 100_000, 0.01)
    }))

  it.effect("is as exact after ten years, and with a billion permits a millisecond", () =>
    Effect.gen(function*() {
      const { clock, wait } = manualClock()
      wait(Duration.toMillis(Duration.days(3_652)))
      yield* Effect.gen(function*() {
        const fast = yield* RateLimit.make("fast", { kind: "token-bucket", permits: 1e9, per: "1 millis" })
        const smooth = yield* RateLimit.make("smooth", { kind: "token-bucket", permits: 1, per: "1 millis", burst: 1 })
        for (let ms = 0; ms < 2_000; ms++) {
          assert.strictEqual(yield* admitted(fast, 3, { cost: 1e9 }), 1)
          assert.strictEqual(yield* admitted(smooth, 3), 1)
          wait(1)
        }
        // single permits are not lost beside a billion
        assert.strictEqual(yield* admits(fast, { cost: 1e9 - 1 }), true)
        assert.strictEqual(yield* admitted(fast, 3), 1)
      }).pipe(Effect.provideService(Clock.Clock, clock))
    }))
})

describe("RateLimit: sliding window", () => {
  it.effect("gives a permit back exactly when it leaves the window", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("window", sliding)
      for (let n = 0; n < 10; n++) {
        assert.strictEqual(yield* admits(limit), true)
        yield* TestClock.adjust(100)
      }
      const refusal = yield* Effect.flip(limit.protect(Effect.void))
      assert.strictEqual(retryAfter(refusal), 9_000)
      yield* TestClock.adjust(8_999)
      assert.strictEqual(yield* admits(limit), false)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* admitted(limit, 5), 1)
      yield* TestClock.adjust(99)
      assert.strictEqual(yield* admits(limit), false)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* admitted(limit, 5), 1)
    }))

  it.effect("counts costs, whole ones and fractions", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("window", sliding)
      assert.strictEqual(yield* admits(limit, { cost: 7 }), true)
      assert.strictEqual(retryAfter(yield* Effect.flip(limit.protect(Effect.void, { cost: 4 }))), 10_000)
      assert.strictEqual(yield* admitted(limit, 40, { cost: 0.1 }), 30)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* admits(limit, { cost: 10 }), true)
    }))

  it.effect("remembers a bounded number of takings, and still never lets too many through", () =>
    Effect.gen(function*() {
      const { clock, now, wait } = manualClock()
      const permits = 20_000
      const limit = yield* RateLimit.make("large", { kind: "sliding-window", permits, per: "10 seconds" })
      const at: Array<number> = []
      yield* Effect.gen(function*() {
        // about five times what is allowed
        for (let n = 0; n < 200_000; n++) {
          if (yield* admits(limit)) at.push(now())
          if (n % 10 === 0) wait(1)
        }
      }).pipe(Effect.provideService(Clock.Clock, clock))
      let first = 0
      at.forEach((time, n) => {
        while (present(at[first]) <= time - 10_000) first++
        assert.isAtMost(n - first + 1, permits)
      })
      // two windows full, less what sharing entries holds back
      assert.isAtLeast(at.length, 2 * permits - 100)
    }))
})

describe("RateLimit: fixed window", () => {
  it.effect("opens a window with the first call, and the next one with the first call after its end", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("fixed", fixed)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* admitted(limit, 20), 10)
      yield* TestClock.adjust(9_999)
      assert.strictEqual(retryAfter(yield* Effect.flip(limit.protect(Effect.void))), 1)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(yield* admitted(limit, 4), 4)
      yield* TestClock.adjust(9_999)
      assert.strictEqual(yield* admitted(limit, 20), 6)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* admitted(limit, 20), 10)
    }))

  it.effect("serves the queue window by window", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("fixed", { ...fixed, wait: "Infinity" })
      const calls = yield* Effect.forEach(
        [6, 6, 4, 3, 10, 1],
        (cost) => start(ended(limit.protect(Effect.void, { cost })))
      )
      yield* TestClock.adjust("1 day")
      const started = yield* Effect.forEach(calls, Fiber.join)
      assert.deepStrictEqual(started.map(({ at }) => at), [0, 10_000, 10_000, 20_000, 30_000, 40_000])
    }))
})

describe("RateLimit: waiting", () => {
  it.effect("fails at once by default, and says when it is worth asking again", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("quotes", { ...bucket, burst: 1 })
      yield* limit.protect(Effect.void)
      yield* TestClock.adjust(Duration.millis(250.5))
      const refusal = yield* Effect.flip(limit.protect(Effect.die("must not run")))
      assert.deepStrictEqual({ ...refusal }, { ...refusal, policy: "quotes", limit: "permits" })
      assert.strictEqual(retryAfter(refusal), 750)
      assert.strictEqual(refusal.message, "quotes: too few permits left, try again in 750ms")
      assert.deepStrictEqual(Outcome.fromError(refusal), Outcome.ignored)
      assert.instanceOf(refusal, RateLimit.RateLimited)
      const wire = Schema.encodeSync(RateLimit.RateLimited)(refusal)
      assert.deepStrictEqual(wire, { _tag: "RateLimited", policy: "quotes", limit: "permits", retryAfter: 750 })
    }))

  it.effect("is in order of arrival, and a cheap call does not overtake an expensive one", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("order", { ...bucket, wait: "Infinity" })
      const order: Array<number> = []
      const costs = [10, 3, 10, 1, 5]
      yield* Effect.forEach(costs, (cost, n) => start(limit.protect(Effect.sync(() => order.push(n)), { cost })))
      assert.deepStrictEqual(order, [0])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(order, [0, 1])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(order, [0, 1])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, [0, 1, 2])
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4])
    }))

  it.effect("moves up those behind a call that goes away, and costs it nothing", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("smooth", {
        kind: "token-bucket",
        permits: 1,
        per: "1 second",
        burst: 1,
        wait: "3 seconds"
      })
      const calls = yield* Effect.forEach([0, 1, 2, 3], () => start(ended(limit.protect(Effect.void))))
      assert.strictEqual(yield* admits(limit), false)
      // the first and one in the middle
      yield* Fiber.interrupt(present(calls[1]))
      yield* Fiber.interrupt(present(calls[2]))
      const behind = yield* start(ended(limit.protect(Effect.void)))
      const last = yield* start(ended(limit.protect(Effect.void)))
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(
        (yield* Effect.forEach([present(calls[0]), present(calls[3]), behind, last], Fiber.join)).map(({ at }) => at),
        [0, 1_000, 2_000, 3_000]
      )
      assert.deepStrictEqual((yield* limit.snapshot).calls, {
        admitted: 4,
        refused: 1,
        abandoned: 2,
        refunded: 0,
        settled: 0
      })
    }))

  it.effect("is refused at once where it would last too long, by `wait` or by a deadline", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("smooth", {
        kind: "token-bucket",
        permits: 1,
        per: "1 second",
        burst: 1,
        wait: "10 seconds"
      })
      yield* limit.protect(Effect.void)
      const within = (millis: number) => start(ended(Deadline.within(millis)(limit.protect(Effect.void))))
      const late = yield* Fiber.join(yield* within(1_000))
      assert.strictEqual(brief(late.exit), "RateLimited")
      assert.strictEqual(late.at, 0)
      const inTime = yield* within(1_001)
      const behind = yield* Fiber.join(yield* within(1_999))
      assert.strictEqual(brief(behind.exit), "RateLimited")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(inTime)).at, 1_000)
    }))

  it.effect("ends when permits come back that were taken for nothing", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const limit = yield* RateLimit.make("refund", { ...kind, wait: "Infinity" })
        const holder = yield* pending<Says>(limit, { cost: 10, ran: () => false })
        const order: Array<number> = []
        const waiting = yield* Effect.forEach(
          [1, 2, 3],
          (n) => start(limit.protect(Effect.sync(() => order.push(n)), { cost: 4 }))
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(order, [])
        yield* holder.end()
        yield* Fiber.join(present(waiting[1]))
        assert.deepStrictEqual(order, [1, 2])
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(order, [1, 2, 3])
      }
    }))

  it.effect("makes up for late timers where that makes no window too full", () =>
    Effect.gen(function*() {
      const started = Effect.fnUntraced(function*(kind: RateLimit.LimitOptions, calls: number) {
        // each timer is 3 ms late
        const { clock, now, wait } = manualClock((millis) => Effect.sync(() => wait(millis + 3)))
        const limit = yield* RateLimit.make("late", { ...kind, wait: "Infinity" })
        const starts: Array<number> = []
        const call = limit.protect(Effect.sync(() => starts.push(now())))
        yield* Effect.forEach(Array.from({ length: calls }), () => call, { concurrency: "unbounded" }).pipe(
          Effect.provideService(Clock.Clock, clock)
        )
        return starts
      })
      // spaced evenly, on the whole: only the last one shows how late a timer is
      assert.deepStrictEqual(
        yield* started({ kind: "token-bucket", permits: 1, per: 10, burst: 1 }, 5),
        [0, 13, 23, 33, 43]
      )
      assert.deepStrictEqual(yield* started({ kind: "sliding-window", permits: 1, per: 10 }, 5), [0, 13, 26, 39, 52])
      assert.deepStrictEqual(
        yield* started({ kind: "fixed-window", permits: 2, per: 10 }, 6),
        [0, 0, 13, 13, 26, 26]
      )
    }))

  it.effect("serves whoever was due before anything else happens, also where its timer is late", () =>
    Effect.gen(function*() {
      const smooth = { ...bucket, permits: 1, per: "1 second", burst: 1, wait: "1 minute" } as const
      const events = [
        (limit: RateLimit.RateLimit, holder: { readonly end: () => Effect.Effect<unknown> }) =>
          Effect.andThen(holder.end(), limit.snapshot),
        (limit: RateLimit.RateLimit) => limit.reconfigure(RateLimit.settings({ ...smooth, per: "1 hour" })),
        (limit: RateLimit.RateLimit) => start(limit.protect(Effect.void))
      ]
      for (const event of events) {
        const { clock, wait } = manualClock()
        yield* Effect.gen(function*() {
          const limit = yield* RateLimit.make("late", smooth)
          const holder = yield* pending<never>(limit, { settle: () => 30 })
          const due = yield* start(limit.protect(Effect.succeed("served")))
          wait(1_500)
          yield* event(limit, holder)
          assert.strictEqual(yield* Fiber.join(due), "served")
          // what has flown in since it was due is not lost, and is half a permit
          assert.include([0.5, -28.5], (yield* limit.left())["permits"])
        }).pipe(Effect.provideService(Clock.Clock, clock))
      }
    }))

  it.effect("is not forgotten by one who becomes first while it is about to wait", () =>
    Effect.gen(function*() {
      for (const operations of [3, 4, 5, 6]) {
        for (let turns = 0; turns < 30; turns++) {
          const limit = yield* RateLimit.make("about to wait", { ...bucket, burst: 1, wait: "Infinity" })
          yield* limit.protect(Effect.void)
          const ahead = yield* start(limit.protect(Effect.void))
          const behind = yield* start(
            Effect.provideService(limit.protect(Effect.void), Scheduler.MaxOpsBeforeYield, operations)
          )
          yield* pauses(turns)
          ahead.interruptUnsafe()
          yield* pauses(100)
          yield* TestClock.adjust("1 second")
          yield* pauses(100)
          assert.isDefined(behind.pollUnsafe(), `${operations} operations at a time, after ${turns} turns`)
        }
      }
    }))

  it.effect("gives back what a call was handed that is interrupted before it can begin", () =>
    Effect.gen(function*() {
      const limit: RateLimit.RateLimit = yield* RateLimit.make("handed over", { ...bucket, wait: "Infinity" })
      let resume: (() => void) | undefined
      yield* start(limit.protect(
        Effect.callback<void>((r) => {
          resume = () => r(Effect.void)
        }),
        { cost: 10, ran: () => false }
      ))
      const waiting = yield* start(limit.protect(Effect.die("must not run"), { cost: 4 }))
      present(resume)()
      // it has its permits, and its fiber is to be woken
      assert.deepInclude((yield* limit.snapshot).calls, { admitted: 2 })
      waiting.interruptUnsafe()
      assert.strictEqual(brief(yield* Fiber.await(waiting)), "interrupt")
      assert.deepStrictEqual(yield* limit.left(), { permits: 10 })
      assert.deepInclude((yield* limit.snapshot).calls, { refunded: 2, abandoned: 0 })
    }))

  it.effect("is not disturbed by somebody who sets the wall clock", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const { clock, setWall, wait } = manualClock()
        yield* Effect.gen(function*() {
          const limit = yield* RateLimit.make("wall", kind)
          yield* admitted(limit, 10)
          setWall(3_600_000)
          assert.strictEqual(yield* admits(limit), false)
          setWall(-3_600_000)
          wait(9_999)
          if (kind.kind !== "token-bucket") assert.strictEqual(yield* admits(limit), false)
          wait(1)
          assert.strictEqual(yield* admitted(limit, 20), 10)
        }).pipe(Effect.provideService(Clock.Clock, clock))
      }
    }))

  it.effect("serves 20,000 at once, and 20,000 who go away at once", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("crowd", {
        kind: "fixed-window",
        permits: 20_000,
        per: "1 second",
        wait: "Infinity"
      })
      yield* admits(limit, { cost: 20_000 })
      const order: Array<number> = []
      const crowd = yield* Effect.forEach(
        Array.from({ length: 20_000 }, (_, n) => n),
        (n) => start(limit.protect(Effect.sync(() => order.push(n))))
      )
      const gone = yield* Effect.forEach(Array.from({ length: 20_000 }), () => start(limit.protect(Effect.void)))
      assert.strictEqual((yield* limit.snapshot).waiting, 40_000)
      yield* Fiber.interruptAll(gone)
      assert.strictEqual((yield* limit.snapshot).waiting, 20_000)
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach(crowd, Fiber.join)
      assert.deepStrictEqual(order, Array.from({ length: 20_000 }, (_, n) => n))
    }))
})

describe("RateLimit: several limits", () => {
  it.effect("are taken together or not at all", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("model", {
        limits: {
          requests: { kind: "sliding-window", permits: 3, per: "1 minute" },
          tokens: { kind: "token-bucket", permits: 1_000, per: "1 minute" }
        }
      })
      assert.strictEqual(yield* admits(limit, { cost: { tokens: 600 } }), true)
      const refusal = yield* Effect.flip(limit.protect(Effect.void, { cost: { tokens: 600 } }))
      assert.deepStrictEqual([refusal.limit, retryAfter(refusal)], ["tokens", 12_000])
      assert.deepStrictEqual(yield* limit.left(), { requests: 2, tokens: 400 })
      assert.strictEqual(yield* admitted(limit, 5, { cost: { tokens: 10 } }), 2)
      assert.strictEqual((yield* Effect.flip(limit.protect(Effect.void))).limit, "requests")
      assert.deepStrictEqual(yield* limit.left(), { requests: 0, tokens: 380 })
    }))

  it.effect("make a call wait for the last of them, and nobody behind it passes", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("model", {
        limits: {
          requests: { kind: "token-bucket", permits: 1, per: "1 second", burst: 2 },
          tokens: { kind: "fixed-window", permits: 100, per: "10 seconds" }
        },
        wait: "Infinity"
      })
      const calls = yield* Effect.forEach(
        [100, 50, 0, 0, 0, 60],
        (tokens) => start(ended(limit.protect(Effect.void, { cost: { tokens } })))
      )
      yield* TestClock.adjust("1 day")
      const at = (yield* Effect.forEach(calls, Fiber.join)).map((call) => call.at)
      // the bucket is full by the time of the second one, and is not drawn from before its turn
      assert.deepStrictEqual(at, [0, 10_000, 10_000, 11_000, 12_000, 20_000])
    }))

  it.effect("draw from a bucket when it is a call's turn, and not from when its other permits were there", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("blocked", {
        limits: { bucket: { ...bucket, burst: 2, permits: 1, per: "1 second" }, fixed: { ...fixed, permits: 4 } },
        wait: "Infinity"
      })
      yield* admits(limit, { cost: { bucket: 2, fixed: 2 } })
      const ahead = yield* start(limit.protect(Effect.void, { cost: { fixed: 4 } }))
      const calls = yield* Effect.forEach([0, 1, 2], () => start(limit.protect(Effect.void, { cost: { fixed: 0 } })))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(ahead)
      yield* TestClock.adjust(0)
      // five permits would have flown in, had there been room for them
      assert.strictEqual(calls.filter((fiber) => fiber.pollUnsafe() !== undefined).length, 2)
    }))

  it.effect("refuse at once who would wait too long because somebody in the queue has gone", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("windows", {
        limits: {
          window: { kind: "fixed-window", permits: 2, per: "10 seconds" },
          slow: { kind: "token-bucket", permits: 1, per: "1 second", burst: 40 },
          gate: { kind: "token-bucket", permits: 1, per: "10 seconds", burst: 1 }
        },
        wait: "32 seconds"
      })
      const none = { window: 0, slow: 0, gate: 0 }
      yield* admits(limit, { cost: { ...none, slow: 40, gate: 1 } })
      const call = (cost: RateLimit.Cost<"window" | "slow" | "gate">) =>
        start(ended(limit.protect(Effect.void, { cost })))
      const first = yield* call({ ...none, gate: 1 })
      const gone = yield* call({ ...none, gate: 1 })
      // opens a window at 20 s, that the next one at 29 s is still within; the last one has the window after it, at 30 s
      const opens = yield* call({ ...none, window: 1 })
      const within = yield* call({ ...none, window: 1, slow: 29 })
      const last = yield* call({ ...none, window: 2 })
      yield* TestClock.adjust("5 seconds")
      // the window opens at 10 s now, the next one comes too late for it, and the window that it opens ends at 39 s
      yield* Fiber.interrupt(gone)
      yield* TestClock.adjust("1 minute")
      const results = yield* Effect.forEach([first, opens, within, last], Fiber.join)
      assert.deepStrictEqual(
        results.map(({ at, exit }) => [brief(exit), at]),
        [[undefined, 10_000], [undefined, 10_000], [undefined, 29_000], ["RateLimited", 5_000]]
      )
    }))

  it.effect("are planned anew for each queue", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("anew", {
        limits: { requests: bucket, tokens: { ...bucket, permits: 100 } },
        wait: "2 seconds"
      })
      const holder = yield* pending<never>(limit, {
        cost: { requests: 10 },
        settle: () => ({ requests: 0, tokens: 2 })
      })
      const waiting = yield* start(limit.protect(Effect.void))
      // less of one and more of the other: whoever waits is served, and then nobody waits any more
      yield* holder.end()
      yield* Fiber.join(waiting)
      assert.strictEqual(yield* admits(limit, { cost: { requests: 9 } }), true)
      yield* start(limit.protect(Effect.void))
      yield* start(limit.protect(Effect.void))
      assert.strictEqual(retryAfter(yield* Effect.flip(limit.protect(Effect.void))), 3_000)
    }))

  it.effect("are refunded and settled each by its own name", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("model", {
        limits: {
          requests: { ...fixed, permits: 5 },
          tokens: { ...bucket, permits: 1_000 },
          dollars: { ...sliding, permits: 2 }
        }
      })
      yield* limit.protect(Effect.succeed({ tokens: 250 }), {
        cost: { tokens: 800, dollars: 0.5 },
        settle: (exit) => ({ tokens: Exit.isSuccess(exit) ? exit.value.tokens : undefined, dollars: 0.75 })
      })
      assert.deepStrictEqual(yield* limit.left(), { requests: 4, tokens: 750, dollars: 1.25 })
      yield* limit.protect(Effect.void, { cost: { tokens: 700, dollars: 1 }, ran: () => false })
      assert.deepStrictEqual(yield* limit.left(), { requests: 4, tokens: 750, dollars: 1.25 })
      const { calls, limits } = yield* limit.snapshot
      assert.deepInclude(calls, { admitted: 2, settled: 1, refunded: 1 })
      assert.deepStrictEqual(limits, {
        requests: { left: 4, spent: 1, refused: 0 },
        tokens: { left: 750, spent: 250, refused: 0 },
        dollars: { left: 1.25, spent: 0.75, refused: 0 }
      })
    }))
})

describe("RateLimit: costs", () => {
  it.effect("of nothing pass, also where nothing is left and others wait", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("free", { ...bucket, wait: "Infinity" })
      yield* admits(limit, { cost: 10 })
      yield* start(limit.protect(Effect.void))
      assert.strictEqual(yield* admits(limit, { cost: 0 }), true)
    }))

  it.effect("above what there can ever be are refused at once, and nobody is told to come back", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const limit = yield* RateLimit.make("small", { ...kind, wait: "Infinity" })
        const refusal = yield* Effect.flip(limit.protect(Effect.void, { cost: 10.1 }))
        assert.strictEqual(refusal.retryAfter, undefined)
        assert.strictEqual(refusal.message, "small: the call costs more permits than there can ever be")
        assert.strictEqual(yield* admits(limit, { cost: 10 }), true)
        assert.strictEqual(brief(yield* Effect.exit(limit.protect(Effect.void, { cost: 11 }))), "RateLimited")
      }
    }))

  it.effect("that cannot be meant are refused when the call is made", () =>
    Effect.gen(function*() {
      const limit: RateLimit.RateLimit = yield* RateLimit.make("strict", {
        limits: { requests: bucket, tokens: bucket }
      })
      const number = "must be a finite number of zero or more"
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [NaN, `RateLimit: cost ${number}, got NaN`],
        [-1, `RateLimit: cost ${number}, got -1`],
        [Infinity, `RateLimit: cost ${number}, got Infinity`],
        ["5", `RateLimit: cost ${number}, got "5"`],
        [null, `RateLimit: cost ${number}, got null`],
        [{ tokens: NaN }, `RateLimit: cost.tokens ${number}, got NaN`],
        [{ tokens: "many" }, `RateLimit: cost.tokens ${number}, got "many"`],
        [{ token: 1 }, `RateLimit.cost: unknown option "token"; it takes requests, tokens`],
        [[1], "RateLimit.cost: options must be an object, got [1]"]
      ]
      for (const [cost, message] of cases) {
        // what the types do not allow
        assert.throws(() => limit.protect(Effect.void, { cost: cost as number }), RangeError, message)
      }
      assert.throws(
        () => limit.protect(Effect.void, { settle: 5 as never }),
        RangeError,
        "RateLimit: settle must be a function, got 5"
      )
      assert.throws(
        () => limit.protect(Effect.void, { ran: true as never }),
        RangeError,
        "RateLimit: ran must be a function, got true"
      )
    }))

  it.effect("are settled: less is given back, more is a debt that later calls wait for", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const limit = yield* RateLimit.make("settled", kind)
        assert.strictEqual(yield* admits(limit, { cost: 9, settle: () => 2 }), true)
        assert.deepStrictEqual(yield* limit.left(), { permits: 8 })
        assert.strictEqual(yield* admits(limit, { cost: 1, settle: () => 13 }), true)
        assert.deepStrictEqual(yield* limit.left(), { permits: -5 })
        // in debt, there is nothing for nothing
        assert.strictEqual(yield* admits(limit, { cost: 0 }), false)
        const until = retryAfter(yield* Effect.flip(limit.protect(Effect.void)))
        assert.strictEqual(
          until,
          { "token-bucket": 6_000, "sliding-window": 10_000, "fixed-window": 10_000 }[kind.kind]
        )
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(
          yield* admitted(limit, 20),
          { "token-bucket": 5, "sliding-window": 10, "fixed-window": 5 }[kind.kind]
        )
      }
    }))

  it.effect("settled upwards refuse those who wait and would now wait too long", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("debt", { ...bucket, wait: "4 seconds" })
      const holder = yield* pending<never>(limit, { cost: 10, settle: () => 12 })
      const calls = yield* Effect.forEach([1, 2, 3], () => start(ended(limit.protect(Effect.void))))
      yield* TestClock.adjust("500 millis")
      yield* holder.end()
      yield* TestClock.adjust("1 day")
      const results = yield* Effect.forEach(calls, Fiber.join)
      assert.deepStrictEqual(
        results.map(({ at, exit }) => [brief(exit), at]),
        [[undefined, 3_000], [undefined, 4_000], ["RateLimited", 500]]
      )
      assert.strictEqual(retryAfter(present(results.map(({ exit }) => exit)[2]).pipe(errorOf)), 4_500)
    }))

  it.effect("stay as estimated where the settlement throws, or is no cost", () =>
    Effect.gen(function*() {
      const limit: RateLimit.RateLimit = yield* RateLimit.make("estimate", {
        limits: { requests: bucket, tokens: { ...bucket, permits: 100 } }
      })
      const answers: ReadonlyArray<() => unknown> = [
        () => undefined,
        () => NaN,
        () => -5,
        () => "7",
        () => null,
        () => ({ tokens: -1, requests: Infinity }),
        () => ({ others: 3 }),
        () => {
          throw new Error("a bug in a settlement")
        }
      ]
      for (const [n, answer] of answers.entries()) {
        // what the types do not allow
        assert.strictEqual(
          yield* limit.protect(Effect.succeed("answer"), { cost: { tokens: 10 }, settle: answer as () => number }),
          "answer"
        )
        const { requests, tokens } = yield* limit.left()
        assert.deepStrictEqual([requests, tokens], [9 - n, 90 - 10 * n])
      }
    }))

  it.effect("are asked of failures as well, and not of work that never ran", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("exits", bucket)
      const seen: Array<unknown> = []
      const settle = (exit: Exit.Exit<unknown, unknown>) => {
        seen.push(brief(exit))
        return 1
      }
      yield* Effect.exit(limit.protect(Effect.fail(new Boom({ n: 1 })), { cost: 3, settle }))
      yield* Effect.exit(limit.protect(Effect.die("bug"), { cost: 3, settle }))
      yield* Fiber.interrupt(yield* start(limit.protect(Effect.never, { cost: 3, settle })))
      yield* Effect.exit(limit.protect(Effect.void, { cost: 3, settle, ran: () => false }))
      assert.deepStrictEqual(seen, ["Boom", "die", "interrupt"])
      assert.deepStrictEqual(yield* limit.left(), { permits: 7 })
    }))
})

describe("RateLimit: giving back", () => {
  it.effect("what was taken for work that a policy inside refused", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("outer", bucket)
      const inner = yield* RateLimit.make("inner", { ...bucket, permits: 1, burst: 1 })
      const breaker = yield* CircuitBreaker.make("inner", { trip: { kind: "consecutive", failures: 1 } })
      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      yield* Effect.exit(limit.protect(breaker.protect(Effect.void)))
      yield* limit.protect(inner.protect(Effect.void))
      yield* Effect.exit(limit.protect(inner.protect(Effect.void)))
      assert.deepStrictEqual(yield* limit.left(), { permits: 9 })
      assert.strictEqual((yield* limit.snapshot).calls.refunded, 2)
    }))

  it.effect("but not for an error of the same name that says something about the dependency", () =>
    Effect.gen(function*() {
      class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {}) {
        readonly [Outcome.symbol] = Outcome.overload()
      }
      const limit = yield* RateLimit.make("outer", bucket)
      yield* Effect.exit(limit.protect(Effect.fail(new RateLimited())))
      yield* Effect.exit(limit.protect(Effect.fail({ _tag: "CircuitOpen" })))
      yield* Effect.exit(limit.protect(Effect.fail(Says.of(Outcome.ignored))))
      yield* Effect.exit(limit.protect(Effect.fail(new Deadline.DeadlineExceeded({ policy: "deadline" }))))
      assert.deepStrictEqual(yield* limit.left(), { permits: 6 })
    }))

  it.effect("only where `ran` says so, if it is given", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("ran", bucket)
      const refusal = Effect.fail(new RateLimit.RateLimited({ policy: "inside", limit: "permits" }))
      yield* Effect.exit(limit.protect(refusal, { ran: () => true }))
      yield* Effect.exit(limit.protect(Effect.void, {
        ran: () => {
          throw new Error("a bug")
        }
      }))
      assert.deepStrictEqual(yield* limit.left(), { permits: 8 })
      yield* limit.protect(Effect.void, { ran: () => false })
      assert.deepStrictEqual(yield* limit.left(), { permits: 8 })
    }))

  it.effect("no more than time has not given back already", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const limit = yield* RateLimit.make("late", kind)
        const holder = yield* pending<never>(limit, { cost: 5, ran: () => false })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* admitted(limit, 20), 10)
        yield* holder.end()
        assert.strictEqual(yield* admits(limit), false)
      }
    }))

  it.effect("leaves a bucket as if the calls had never been there", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("nearly full", bucket)
      const holders = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => pending<never>(limit, { ran: () => false })
      )
      // 9.9 permits have flown in: without the ten there would be 10, with them there are 0.1 less
      yield* TestClock.adjust(9_900)
      assert.strictEqual(yield* admitted(limit, 20), 9)
      for (const { end } of holders) yield* end()
      assert.approximately(present((yield* limit.left())["permits"]), 1, 1e-9)
    }))
})

describe("RateLimit: keys", () => {
  it.effect("have limits of their own, whatever strings they are", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("tenants", { ...bucket, burst: 2 })
      for (const key of ["a", "", "__proto__", "constructor", "a\0b", undefined, "undefined"]) {
        assert.strictEqual(yield* admitted(limit, 5, { key }), 2, String(key))
        assert.deepStrictEqual(yield* limit.left(key), { permits: 0 })
      }
      assert.strictEqual((yield* limit.snapshot).keys, 6)
    }))

  it.effect("do not wait for each other", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("tenants", { ...bucket, burst: 1, wait: "Infinity" })
      const call = (key: string) => start(ended(limit.protect(Effect.void, { key })))
      const calls = yield* Effect.forEach(["a", "a", "a", "b", "b"], call)
      yield* TestClock.adjust("1 minute")
      const at = (yield* Effect.forEach(calls, Fiber.join)).map((call) => call.at)
      assert.deepStrictEqual(at, [0, 1_000, 2_000, 0, 1_000])
    }))

  it.effect("are forgotten when they are as good as new, and no sooner", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const limit = yield* RateLimit.make("many", kind)
        for (let n = 0; n < 1_000; n++) yield* admits(limit, { key: `first ${n}` })
        assert.strictEqual((yield* limit.snapshot).keys, 1_000)
        const holder = yield* pending<never>(limit, { key: "held", settle: () => 8 })
        yield* TestClock.adjust("10 seconds")
        // looking at others as they come
        for (let n = 0; n < 1_500; n++) yield* admits(limit, { key: "one", cost: 0 })
        assert.strictEqual((yield* limit.snapshot).keys, 2)
        // what is settled late is not lost
        yield* holder.end()
        assert.deepStrictEqual(
          yield* limit.left("held"),
          { permits: 3 }
        )
      }
    }))

  it.effect("are as good as new also after costs that no sum is exact of", () =>
    Effect.gen(function*() {
      for (const kind of [bucket, sliding, fixed]) {
        const { clock, wait } = manualClock()
        yield* Effect.gen(function*() {
          const limit = yield* RateLimit.make("fractions", { ...kind, per: "1 second" })
          for (let n = 0; n < 10_000; n++) {
            yield* admits(limit, { key: "key", cost: 1 / (1 + n % 7) })
            wait(50)
          }
          wait(1_000)
          assert.deepStrictEqual(yield* limit.left("key"), { permits: 10 })
          for (let n = 0; n < 3; n++) yield* admits(limit, { key: "another", cost: 0 })
          assert.strictEqual((yield* limit.snapshot).keys, 1)
        }).pipe(Effect.provideService(Clock.Clock, clock))
      }
    }))

  it.effect("take bounded room while new ones keep coming", () =>
    Effect.gen(function*() {
      const { clock, wait } = manualClock()
      yield* Effect.gen(function*() {
        const limit = yield* RateLimit.make("stream of keys", { ...bucket, per: "1 second" })
        let most = 0
        for (let n = 0; n < 50_000; n++) {
          yield* admits(limit, { key: `key ${n}` })
          wait(1)
          if (n % 100 === 0) most = Math.max(most, (yield* limit.snapshot).keys)
        }
        // each key is as good as new after 100 ms, and so 100 are alive at a time
        assert.isAtMost(most, 250)

        const full = yield* RateLimit.make("never good as new", { ...bucket, per: "1 day", maxKeys: 100 })
        yield* admitted(full, 10, { key: "busy" })
        const holder = yield* pending<never>(full, { key: "under way", cost: 10 })
        for (let n = 0; n < 5_000; n++) {
          yield* admits(full, { key: `key ${n}` })
          if (n % 10 === 0) assert.strictEqual(yield* admits(full, { key: "busy" }), false)
          assert.isAtMost((yield* full.snapshot).keys, 102)
        }
        assert.strictEqual(yield* admits(full, { key: "under way" }), false)
        yield* holder.end()
      }).pipe(Effect.provideService(Clock.Clock, clock))
    }))
})

describe("RateLimit: snapshot and settings", () => {
  it.effect("C6: token bucket and sliding window, per service, with metrics", () =>
    Effect.gen(function*() {
      const planning = yield* RateLimit.make("planning", { ...bucket, wait: "2 seconds" })
      const model = yield* RateLimit.make("model", {
        limits: { requests: sliding, tokens: { ...bucket, permits: 100 } }
      })
      yield* admitted(planning, 10)
      yield* Effect.forEach([1, 2, 3], () => start(Effect.exit(planning.protect(Effect.void))))
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* planning.snapshot, {
        name: "planning",
        waiting: 2,
        keys: 0,
        calls: { admitted: 10, refused: 1, abandoned: 0, refunded: 0, settled: 0 },
        limits: { permits: { left: 0.5, spent: 10, refused: 1 } }
      })
      yield* TestClock.adjust("1500 millis")
      assert.deepInclude(yield* planning.snapshot, { waiting: 0 })
      assert.deepInclude((yield* planning.snapshot).calls, { admitted: 12 })

      yield* model.protect(Effect.void, { cost: { tokens: 60 }, settle: () => ({ tokens: 45 }) })
      yield* Effect.exit(model.protect(Effect.void, { cost: { tokens: 60 } }))
      yield* admits(model, { key: "a tenant" })
      assert.deepStrictEqual(yield* model.snapshot, {
        name: "model",
        waiting: 0,
        keys: 1,
        calls: { admitted: 2, refused: 1, abandoned: 0, refunded: 0, settled: 1 },
        limits: { requests: { left: 9, spent: 2, refused: 0 }, tokens: { left: 55, spent: 46, refused: 1 } }
      })
    }))

  it.effect("passes results, errors, defects and interruptions through as they are", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("as it is", bucket)
      const exits: ReadonlyArray<Exit.Exit<number, Boom>> = [
        Exit.succeed(1),
        Exit.fail(new Boom({ n: 1 })),
        Exit.die("bug"),
        Exit.interrupt(7)
      ]
      for (const exit of exits) assert.deepStrictEqual<unknown>(yield* Effect.exit(limit.protect(exit)), exit)
    }))

  it.effect("does nothing until the effect is run, and each run is a call of its own", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("lazy", bucket)
      const { starts, work } = recorded(() => Effect.void)
      const call = limit.protect(work)
      assert.deepStrictEqual(yield* limit.left(), { permits: 10 })
      yield* Effect.forEach(Array.from({ length: 12 }), () => Effect.exit(call))
      assert.strictEqual(starts.length, 10)
    }))

  it.effect("goes on under other settings: what is spent stays spent, up to the whole of the new limit", () =>
    Effect.gen(function*() {
      const change = (kind: RateLimit.LimitOptions, permits: number) => RateLimit.settings({ ...kind, permits })
      for (const kind of [bucket, sliding, fixed]) {
        const limit = yield* RateLimit.make("live", kind)
        yield* admitted(limit, 6)
        yield* limit.reconfigure(change(kind, 20))
        assert.deepStrictEqual(limit.settings, change(kind, 20))
        assert.deepStrictEqual(yield* limit.left(), { permits: 14 })
        yield* limit.reconfigure(change(kind, 4))
        assert.strictEqual(yield* admits(limit), false)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* admitted(limit, 10), 4)
      }
      // another kind takes over what is spent
      const limit = yield* RateLimit.make("kinds", bucket)
      yield* admitted(limit, 6)
      for (const kind of [sliding, fixed, bucket]) {
        yield* limit.reconfigure(RateLimit.settings(kind))
        assert.deepStrictEqual(yield* limit.left(), { permits: 4 })
      }
    }))

  it.effect("keeps a debt that is owed under former settings", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("debt", bucket)
      yield* admits(limit, { cost: 10, settle: () => 14 })
      yield* limit.reconfigure(RateLimit.settings({ ...bucket, permits: 5 }))
      assert.deepStrictEqual(yield* limit.left(), { permits: -4 })
    }))

  it.effect("serves those who wait by the new settings, and refuses who would now wait too long", () =>
    Effect.gen(function*() {
      const smooth = { kind: "token-bucket", permits: 1, burst: 1, wait: "10 seconds" } as const
      const limit = yield* RateLimit.make("live", { ...smooth, per: "1 second" })
      const calls = yield* Effect.forEach(
        Array.from({ length: 6 }),
        () => start(ended(limit.protect(Effect.void)))
      )
      yield* TestClock.adjust("1500 millis")
      // one every 4 s: the call of 2 s is half way, and then has 2 s to go
      yield* limit.reconfigure(RateLimit.settings({ ...smooth, per: "4 seconds" }))
      yield* TestClock.adjust("1 day")
      const results = yield* Effect.forEach(calls, Fiber.join)
      assert.deepStrictEqual(
        results.map(({ at, exit }) => [brief(exit), at]),
        [
          [undefined, 0],
          [undefined, 1_000],
          [undefined, 3_500],
          [undefined, 7_500],
          ["RateLimited", 1_500],
          ["RateLimited", 1_500]
        ]
      )
      // and faster: who waits is served at once
      const slow = yield* RateLimit.make("slow", { ...smooth, per: "1 minute", wait: "Infinity" })
      yield* slow.protect(Effect.void)
      const waiting = yield* start(slow.protect(Effect.succeed("served")))
      yield* TestClock.adjust("30 seconds")
      yield* slow.reconfigure(
        RateLimit.settings({ kind: "fixed-window", permits: 5, per: "1 second", wait: "Infinity" })
      )
      assert.strictEqual(yield* Fiber.join(waiting), "served")
    }))

  it.effect("adds, drops and keeps limits by name, while calls are under way", () =>
    Effect.gen(function*() {
      const limit: RateLimit.RateLimit = yield* RateLimit.make("names", {
        limits: { requests: { ...bucket, permits: 5 }, tokens: { ...bucket, permits: 100 } },
        wait: "Infinity"
      })
      const holder = yield* pending<never>(limit, {
        cost: { tokens: 100 },
        settle: () => ({ tokens: 10, requests: 3 })
      })
      const waiting = yield* start(limit.protect(Effect.succeed("served"), { cost: { tokens: 50 } }))
      yield* limit.reconfigure(RateLimit.settings({
        limits: { dollars: { ...fixed, permits: 3 }, requests: { ...bucket, permits: 5 } }
      }))
      // the tokens that it waited for are no limit any more
      assert.strictEqual(yield* Fiber.join(waiting), "served")
      assert.deepStrictEqual(yield* limit.left(), { dollars: 2, requests: 3 })
      yield* holder.end()
      assert.deepStrictEqual(yield* limit.left(), { dollars: 2, requests: 1 })
      // who still names a limit that is gone is not mistaken, and who names another is
      assert.strictEqual(yield* admits(limit, { cost: { tokens: 1, requests: 0, dollars: 0 } }), true)
      assert.throws(() => limit.protect(Effect.void, { cost: { token: 1 } }), RangeError)
      // and one that can never be served is not left waiting
      const hopeless = yield* start(Effect.exit(limit.protect(Effect.void, { cost: { requests: 4 } })))
      yield* limit.reconfigure(RateLimit.settings({ limits: { requests: { ...bucket, permits: 2 } }, wait: "1 day" }))
      assert.strictEqual(brief(yield* Fiber.join(hopeless)), "RateLimited")
    }))

  it("has settings that can be compared", () => {
    const one = RateLimit.settings({ limits: { a: bucket, b: sliding }, wait: "1 second" })
    const other = RateLimit.settings({
      wait: 1_000,
      limits: { b: { ...sliding, per: 10_000 }, a: { ...bucket, burst: 10 } },
      maxKeys: undefined
    })
    assert.isTrue(Equal.equals(one, other))
    assert.isFalse(Equal.equals(one, RateLimit.settings({ limits: { a: bucket, b: fixed }, wait: "1 second" })))
    assert.deepStrictEqual(RateLimit.settings({ kind: "token-bucket", permits: 0.5, per: "1 second" }), {
      limits: { permits: { kind: "token-bucket", permits: 0.5, per: 1_000, burst: 1 } },
      wait: 0,
      maxKeys: 100_000
    })
    const names = JSON.parse(`{ "limits": { "__proto__": { "kind": "fixed-window", "permits": 1, "per": 1 } } }`)
    assert.deepStrictEqual(Object.keys(RateLimit.settings(names).limits), ["__proto__"])
  })

  const above = "must be a finite number above 0"
  const bad: ReadonlyArray<readonly [unknown, string]> = [
    [undefined, "RateLimit: options must be an object, got undefined"],
    [[], "RateLimit: options must be an object, got []"],
    [{}, "RateLimit: kind must be one of token-bucket, sliding-window, fixed-window, got undefined"],
    [{ kind: "leaky" }, "RateLimit: kind must be one of token-bucket, sliding-window, fixed-window, got \"leaky\""],
    [{ ...bucket, permits: 0 }, `RateLimit: permits ${above}, got 0`],
    [{ ...bucket, permits: -1 }, `RateLimit: permits ${above}, got -1`],
    [{ ...sliding, permits: NaN }, `RateLimit: permits ${above}, got NaN`],
    [{ ...fixed, permits: Infinity }, `RateLimit: permits ${above}, got Infinity`],
    [{ ...fixed, permits: "10" }, `RateLimit: permits ${above}, got "10"`],
    [{ ...bucket, per: 0 }, "RateLimit: per must be a finite duration above zero, got 0"],
    [{ ...bucket, per: "Infinity" }, "RateLimit: per must be a finite duration above zero, got \"Infinity\""],
    [{ ...bucket, per: "10s" }, "RateLimit: per must be a finite duration above zero, got \"10s\"; write it like"],
    [{ kind: "fixed-window", permits: 1 }, "RateLimit: per must be a finite duration above zero, got undefined"],
    [{ ...bucket, burst: 0 }, `RateLimit: burst ${above}, got 0`],
    [{ ...bucket, burst: NaN }, `RateLimit: burst ${above}, got NaN`],
    [{ ...sliding, burst: 5 }, "RateLimit: unknown option \"burst\"; it takes kind, permits, per, wait, maxKeys"],
    [{ ...bucket, perr: 5 }, "RateLimit: unknown option \"perr\""],
    [{ ...bucket, wait: -1 }, "RateLimit: wait must be a duration of zero or more, got -1"],
    [{ ...bucket, wait: NaN }, "RateLimit: wait must be a duration of zero or more, got NaN"],
    [{ ...bucket, maxKeys: 0 }, "RateLimit: maxKeys must be an integer >= 1, got 0"],
    [{ ...bucket, maxKeys: 1.5 }, "RateLimit: maxKeys must be an integer >= 1, got 1.5"],
    [{ limits: {} }, "RateLimit: limits must be an object with at least one limit, got {  }"],
    [{ limits: [bucket] }, "RateLimit: limits must be an object with at least one limit"],
    [{ limits: null }, "RateLimit: limits must be an object with at least one limit, got null"],
    [{ limits: { a: bucket }, permits: 5 }, "RateLimit: unknown option \"permits\"; it takes limits, wait, maxKeys"],
    [{ limits: { a: 5 } }, "RateLimit: limits.a must be a limit with a kind, got 5"],
    [{ limits: { a: { ...bucket, permits: 0 } } }, `RateLimit: limits.a.permits ${above}, got 0`],
    [{ limits: { a: { ...bucket, wait: 5 } } }, "RateLimit.limits.a: unknown option \"wait\"; it takes kind"]
  ]
  it.each(bad.map(([options, message]) => ({ options, message })))("refuses: $message", ({ message, options }) => {
    // what the types do not allow
    assert.throws(() => RateLimit.settings(options as RateLimit.Options), RangeError, message)
    assert.throws(() => RateLimit.make("bad", options as RateLimit.Options), RangeError, message)
  })
  it("refuses a name that is none", () => {
    assert.throws(() => RateLimit.make("", bucket), RangeError, "RateLimit: name must be a non-empty string, got \"\"")
  })
})

/** What was taken, or, by number, given back. */
interface Taken {
  readonly at: number
  cost: number
  readonly of?: number
}

/** What a limit must do, the slow way: it keeps all that was ever taken, and counts it anew each time. */
const makeModel = (
  settings: RateLimit.LimitSettings,
  taken: Array<Taken> = []
) => {
  const missing = (now: number): number => {
    const { per, permits } = settings
    switch (settings.kind) {
      case "token-bucket": {
        let missing = 0
        let last = 0
        for (const { at, cost } of taken) {
          missing = Math.max(0, missing - (at - last) * permits / per) + cost
          last = at
        }
        return Math.max(0, missing - (now - last) * permits / per)
      }
      case "sliding-window":
        return taken.reduce((sum, { at, cost }) => at + per > now ? sum + cost : sum, 0)
      case "fixed-window": {
        let since = 0
        let spent = 0
        const turn = (at: number) => {
          while (spent > 0 && at >= since + per) {
            since += per
            spent = Math.max(0, spent - permits)
          }
        }
        const windows: Array<number> = []
        for (const { at, cost, of } of taken) {
          turn(at)
          // what comes back after its window is of no use
          if (of !== undefined) spent -= windows[of] === since ? Math.min(cost, spent) : 0
          else {
            if (spent === 0) since = at
            spent += cost
          }
          windows.push(since)
        }
        turn(now)
        return spent
      }
    }
  }
  return {
    copy: () => makeModel(settings, taken.map((entry) => ({ ...entry }))),
    left: (now: number) => (settings.kind === "token-bucket" ? settings.burst : settings.permits) - missing(now),
    /** Answers with the number of what was taken. */
    take: (cost: number, at: number) => taken.push({ at, cost }) - 1,
    giveBack: (cost: number, of: number, at: number) => {
      if (settings.kind === "fixed-window") taken.push({ at, cost, of })
      // as if it had never been taken
      else present(taken[of]).cost -= cost
    }
  }
}

type Model = ReturnType<typeof makeModel>

/** Who waits in a model's queue, on whole milliseconds. */
interface Waiting {
  readonly call: number
  readonly costs: ReadonlyArray<number>
  readonly latest: number
}

/** What a queue must do, the slow way: whenever anything happens, it tries every millisecond that is to come. */
const makeQueue = (limits: ReadonlyArray<Model>, wait: number) => {
  let queue: Array<Waiting> = []
  let now = 0
  const ends = new Map<number, readonly [what: string, at: number]>()
  const held = new Map<number, ReadonlyArray<{ readonly cost: number; readonly taken: number }>>()

  const firstTime = (models: ReadonlyArray<Model>, costs: ReadonlyArray<number>, from: number, until: number) => {
    for (let at = from; at <= until; at++) {
      if (models.every((model, n) => model.left(at) >= present(costs[n]) - 1e-6)) return at
    }
    return Infinity
  }
  /** When everybody is served, and then one more; who has to wait too long is left out. */
  const plan = (callers: ReadonlyArray<Waiting>) => {
    const models = limits.map((model) => model.copy())
    let from = now
    return callers.filter(({ costs, latest }) => {
      const at = firstTime(models, costs, from, latest)
      if (at === Infinity) return false
      models.forEach((model, n) => model.take(present(costs[n]), at))
      from = at
      return true
    })
  }
  const serve = (until: number) => {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const at = firstTime(limits, first.costs, now, until)
      if (at === Infinity) return
      queue.shift()
      now = at
      ends.set(first.call, ["admitted", at])
      const { call, costs } = first
      held.set(call, costs.map((cost, n) => ({ cost, taken: present(limits[n]).take(cost, at) })))
    }
  }
  /** Whoever would have to wait too long now is refused. */
  const refuse = () => {
    serve(now)
    const served = plan(queue)
    for (const caller of queue) if (!served.includes(caller)) ends.set(caller.call, ["RateLimited", now])
    queue = served
    serve(now)
  }
  return {
    ends,
    running: () => [...held.keys()],
    waiting: () => queue.map(({ call }) => call),
    adjust: (millis: number) => {
      const until = now + millis
      serve(until)
      now = until
    },
    ask: (call: number, costs: ReadonlyArray<number>) => {
      // who takes nothing is not in anybody's way
      if (costs.every((cost) => cost === 0) && firstTime(limits, costs, now, now) === now) {
        ends.set(call, ["admitted", now])
        held.set(call, limits.map((model) => ({ cost: 0, taken: model.take(0, now) })))
        return
      }
      const caller = { call, costs, latest: Math.min(now + wait, now + 2_000) }
      if (plan([...queue, caller]).includes(caller)) queue.push(caller)
      else ends.set(call, ["RateLimited", now])
      serve(now)
    },
    leave: (call: number) => {
      queue = queue.filter((caller) => caller.call !== call)
      ends.set(call, ["interrupt", now])
      refuse()
    },
    end: (call: number, real: ReadonlyArray<number>) => {
      present(held.get(call)).forEach(({ cost, taken }, n) => {
        const more = present(real[n]) - cost
        if (more < 0) present(limits[n]).giveBack(-more, taken, now)
        if (more > 0) present(limits[n]).take(more, now)
      })
      held.delete(call)
      refuse()
    }
  }
}

describe("RateLimit: random runs", () => {
  it.effect("agrees with a model that tries every millisecond, over queues that calls join, leave and are refused from", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      const reached = { admitted: 0, waited: 0, RateLimited: 0, evicted: 0, interrupt: 0 }
      const kinds: ReadonlyArray<Readonly<Record<string, RateLimit.LimitOptions>>> = [
        { smooth: { kind: "token-bucket", permits: 1, per: 5, burst: 1 } },
        { bucket: { kind: "token-bucket", permits: 1, per: 3, burst: 6 } },
        { sliding: { kind: "sliding-window", permits: 5, per: 20 } },
        { fixed: { kind: "fixed-window", permits: 4, per: 15 } },
        {
          bucket: { kind: "token-bucket", permits: 1, per: 2, burst: 4 },
          sliding: { kind: "sliding-window", permits: 6, per: 25 },
          fixed: { kind: "fixed-window", permits: 8, per: 21 }
        }
      ]
      for (let run = 0; run < 400; run++) {
        const wait = present([12, 30, 60, Infinity][below(4)])
        const limit: RateLimit.RateLimit = yield* RateLimit.make("queue", {
          limits: present(kinds[run % kinds.length]),
          wait
        })
        const names = Object.keys(limit.settings.limits)
        const settings = Object.values(limit.settings.limits)
        const model = makeQueue(settings.map((setting) => makeModel(setting)), wait)
        const origin = yield* Clock.currentTimeMillis
        const calls: Array<
          {
            readonly fiber: Fiber.Fiber<unknown, unknown>
            readonly end: (real: ReadonlyArray<number>) => Effect.Effect<void>
          }
        > = []
        const ends = new Map<number, readonly [what: unknown, at: number]>()
        for (let step = 0; step < 60; step++) {
          const kind = below(10)
          const running = model.running()
          const waiting = model.waiting()
          if (kind < 3) {
            const millis = below(8)
            model.adjust(millis)
            yield* TestClock.adjust(millis)
          } else if (kind < 7) {
            const call = calls.length
            const costs = settings.map((setting) =>
              below(4) === 0
                ? 1 + below(setting.kind === "token-bucket" ? setting.burst : setting.permits)
                : below(6) === 0
                ? 0
                : 1
            )
            let real = costs
            let resume = () => {}
            const at = (what: unknown) =>
              Effect.map(Clock.currentTimeMillis, (now) => ends.set(call, [what, now - origin]))
            const work = Effect.andThen(
              at("admitted"),
              Effect.callback<void>((r) => {
                resume = () => r(Effect.void)
              })
            )
            const named = (list: ReadonlyArray<number>) =>
              Object.fromEntries(names.map((name, n) => [name, present(list[n])]))
            const fiber = yield* start(
              Effect.onExit(
                limit.protect(work, { cost: named(costs), settle: () => named(real) }),
                (exit) => ends.has(call) ? Effect.void : at(brief(exit))
              )
            )
            calls.push({
              fiber,
              end: (given) => {
                real = [...given]
                resume()
                return Effect.asVoid(Fiber.await(fiber))
              }
            })
            model.ask(call, costs)
          } else if (kind < 9 && running.length > 0) {
            const call = present(running[below(running.length)])
            const real = settings.map(() => below(5))
            const refused = model.ends.size
            model.end(call, real)
            reached.evicted += model.ends.size - refused
            yield* present(calls[call]).end(real)
          } else if (waiting.length > 0) {
            const call = present(waiting[below(waiting.length)])
            model.leave(call)
            yield* Fiber.interrupt(present(calls[call]).fiber)
          }
          // whoever was woken gets as far as it can
          yield* TestClock.adjust(0)
          const inOrder = (ends: ReadonlyMap<number, unknown>) => [...ends].toSorted(([a], [b]) => a - b)
          assert.deepStrictEqual(inOrder(ends), inOrder(model.ends))
          assert.strictEqual((yield* limit.snapshot).waiting, model.waiting().length)
        }
        for (const [what] of model.ends.values()) {
          if (what === "admitted" || what === "RateLimited" || what === "interrupt") reached[what]++
        }
        reached.waited += [...model.ends].length
        yield* Fiber.interruptAll(calls.map(({ fiber }) => fiber))
      }
      for (const count of Object.values(reached)) assert.isAtLeast(count, 100)
    }).pipe(Random.withSeed("queue")))

  it.effect("agrees with a model that counts everything anew, over calls that are refunded and settled late", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      const reached = { admitted: 0, refused: 0, refunded: 0, settled: 0, debts: 0 }
      const kinds: ReadonlyArray<RateLimit.LimitOptions> = [
        { kind: "token-bucket", permits: 10, per: 100 },
        { kind: "token-bucket", permits: 3, per: 64, burst: 1 },
        { kind: "token-bucket", permits: 1, per: 7, burst: 30 },
        { kind: "sliding-window", permits: 10, per: 100 },
        { kind: "sliding-window", permits: 1, per: 5 },
        { kind: "sliding-window", permits: 1_000, per: 3_000 },
        { kind: "fixed-window", permits: 5, per: 40 }
      ]
      for (let run = 0; run < 600; run++) {
        const options = present(kinds[run % kinds.length])
        const { clock, now, wait } = manualClock()
        yield* Effect.gen(function*() {
          const limit = yield* RateLimit.make("model", options)
          const settings = present(limit.settings.limits["permits"])
          const most = settings.kind === "token-bucket" ? settings.burst : settings.permits
          const model = makeModel(settings)
          const running: Array<{ readonly cost: number; readonly end: (real: number) => Effect.Effect<void> }> = []
          for (let step = 0; step < 170; step++) {
            const left = model.left(now())
            assert.approximately(present((yield* limit.left())["permits"]), left, 1e-6)
            const kind = below(10)
            if (kind < 3) wait(below(3) === 0 ? below(50) : below(4))
            else if (kind < 7 || running.length === 0) {
              const cost = Math.min(most, below(4) === 0 ? 1 + below(most) : 1)
              let resume: ((effect: Effect.Effect<void>) => void) | undefined
              let real = cost
              const fiber = yield* start(limit.protect(
                Effect.callback<void>((r) => {
                  resume = r
                }),
                { cost, settle: () => real, ran: () => real !== 0 }
              ))
              const isAdmitted = resume !== undefined
              if (Math.abs(left - cost) > 1e-6) assert.strictEqual(isAdmitted, left > cost)
              if (!isAdmitted) reached.refused++
              else {
                reached.admitted++
                const taken = model.take(cost, now())
                running.push({
                  cost,
                  end: (chosen) => {
                    real = chosen
                    if (chosen < cost) model.giveBack(cost - chosen, taken, now())
                    if (chosen > cost) model.take(chosen - cost, now())
                    present(resume)(Effect.void)
                    return Effect.asVoid(Fiber.await(fiber))
                  }
                })
              }
            } else {
              const { cost, end } = present(running.splice(below(running.length), 1)[0])
              const real = below(3) === 0 ? 0 : below(5) === 0 ? cost + below(5) : below(cost + 1)
              reached[real === 0 ? "refunded" : real > cost ? "debts" : "settled"]++
              yield* end(real)
            }
          }
        }).pipe(Effect.provideService(Clock.Clock, clock))
      }
      for (const count of Object.values(reached)) assert.isAtLeast(count, 1_000)
    }).pipe(Random.withSeed("model")))

  it.effect("leaks nothing when calls are interrupted at random instants, over 100,000 random steps", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      const limit: RateLimit.RateLimit = yield* RateLimit.make("storm", {
        limits: {
          bucket: { kind: "token-bucket", permits: 20, per: 100, burst: 10 },
          sliding: { kind: "sliding-window", permits: 20, per: 100 },
          fixed: { kind: "fixed-window", permits: 30, per: 130 }
        },
        wait: 200
      })
      // fibers that yield so often are a few turns behind the clock
      const calm = Effect.gen(function*() {
        for (let turn = 0; turn < 30; turn++) {
          yield* TestClock.adjust(50)
          yield* pauses(100)
        }
        assert.strictEqual((yield* limit.snapshot).waiting, 0)
      })
      const keys = [undefined, "a", "b"]
      const ran: Array<string | undefined> = []
      let calls = 0
      for (let round = 0; round < 800; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () => {
          const key = keys[below(3)]
          const cost = below(3)
          const neverRuns = below(8) === 0
          const work = neverRuns
            ? Effect.fail(new RateLimit.RateLimited({ policy: "inside", limit: "permits" }))
            : Effect.andThen(Effect.sync(() => ran.push(key)), pauses(below(4)))
          calls++
          return Effect.forkChild(
            Effect.andThen(
              pauses(below(3)),
              limit.protect(work, { key, cost, settle: below(6) === 0 ? () => Math.max(0, cost - 1) : undefined })
            ).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + below(4))),
            { startImmediately: below(2) === 0 }
          )
        })
        for (const fiber of fibers) {
          if (below(8) === 0) yield* Effect.yieldNow
          if (below(3) === 0) fiber.interruptUnsafe()
        }
        yield* TestClock.adjust(below(60))
        if (below(10) === 0) yield* Fiber.interruptAll(fibers)
        // nobody is left waiting for others to come by
        if (below(20) === 0) yield* calm
      }
      assert.strictEqual(calls, 40_000)
      yield* calm
      yield* TestClock.adjust("1 day")
      const { calls: counted, limits, waiting } = yield* limit.snapshot
      assert.strictEqual(waiting, 0)
      // everybody has left in one of these ways, but for those who were interrupted before they had asked
      assert.isAtMost(counted.admitted + counted.refused + counted.abandoned, calls)
      for (const count of Object.values(counted)) assert.isAbove(count, 1_000)
      assert.strictEqual(present(limits["sliding"]).spent, present(limits["bucket"]).spent)
      for (const key of keys) {
        assert.deepStrictEqual(yield* limit.left(key), { bucket: 10, sliding: 20, fixed: 30 })
        assert.isAbove(ran.filter((run) => run === key).length, 1_000)
      }
      // as good as new: it gives exactly what a fresh one gives
      assert.strictEqual(
        yield* Effect.map(
          Effect.forEach(Array.from({ length: 30 }), () => start(limit.protect(Effect.void))),
          (fibers) =>
            fibers.filter((fiber) => fiber.pollUnsafe() !== undefined && Exit.isSuccess(present(fiber.pollUnsafe())))
              .length
        ),
        10
      )
    }).pipe(Random.withSeed("storm")))
})
