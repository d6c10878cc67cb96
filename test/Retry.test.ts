import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Random, Schedule, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Retry, Timeout } from "../src/index.ts"
import * as arithmetic from "../src/internal/backoff.ts"
import {
  Boom,
  brief,
  drawing,
  drive,
  ended,
  errorOf,
  failing,
  manualClock,
  now,
  present,
  recorded,
  Says,
  start,
  waits
} from "./support.ts"

/** The waits of a retry whose work always fails. */
const waitsOf = Effect.fnUntraced(function*(options: Retry.Options, u = 0.5) {
  const { starts, work } = failing()
  yield* drive(work.pipe(Retry.make({ maxElapsed: "Infinity", ...options }), drawing(u)))
  return waits(starts)
})

/** The delays that a retry chooses, without waiting for them. */
const delaysOf = (options: Retry.Options, random: () => number) => {
  const delays: Array<number> = []
  const work = Effect.fail(new Boom({ n: 0 }))
  const watch = {
    policy: "test",
    sleeps: false,
    retrying: ({ delay }: Retry.Progress) => delays.push(Duration.toMillis(delay)),
    exhausted: () => {},
    willRefuse: () => false
  }
  return Effect.as(
    Effect.provideService(
      Effect.exit(Retry.run(work, Retry.settings({ maxElapsed: "Infinity", ...options }), undefined, watch)),
      Random.Random,
      { nextDoubleUnsafe: random, nextIntUnsafe: () => 0 }
    ),
    delays
  )
}

describe("Retry: delays", () => {
  it.effect("grow as their backoff says, up to the cap", () =>
    Effect.gen(function*() {
      const jitter = "none"
      const times = 6
      const table: ReadonlyArray<readonly [Retry.Backoff, ReadonlyArray<number>]> = [
        [{ kind: "constant", delay: 50 }, [50, 50, 50, 50, 50, 50]],
        [{ kind: "constant", delay: 50, cap: 20 }, [20, 20, 20, 20, 20, 20]],
        [{ kind: "linear", base: 100 }, [100, 200, 300, 400, 500, 600]],
        [{ kind: "linear", base: 100, increment: 50, cap: 225 }, [100, 150, 200, 225, 225, 225]],
        [{ kind: "exponential", base: 100, factor: 3 }, [100, 300, 900, 2_700, 8_100, 24_300]],
        [{ kind: "exponential", base: 100, factor: 1 }, [100, 100, 100, 100, 100, 100]],
        [{ kind: "exponential", base: 10_000 }, [10_000, 20_000, 30_000, 30_000, 30_000, 30_000]],
        [{ kind: "exponential", base: 40_000 }, [40_000, 40_000, 40_000, 40_000, 40_000, 40_000]],
        [{ kind: "fibonacci", base: 10 }, [10, 10, 20, 30, 50, 80]],
        [(retry) => retry * 7, [7, 14, 21, 28, 35, 42]],
        [Schedule.spaced("1 second"), [1_000, 1_000, 1_000, 1_000, 1_000, 1_000]]
      ]
      for (const [backoff, delays] of table) {
        assert.deepStrictEqual(yield* waitsOf({ times, backoff, jitter }), [...delays])
      }
    }))

  it.effect("are spread as their jitter says", () =>
    Effect.gen(function*() {
      const backoff = { kind: "constant", delay: 1_000 } as const
      const table: ReadonlyArray<readonly [Retry.Jitter, u: number, ReadonlyArray<number>]> = [
        ["none", 0.5, [1_000, 1_000, 1_000]],
        ["full", 0, [0, 0, 0]],
        ["full", 0.5, [500, 500, 500]],
        ["full", 1, [1_000, 1_000, 1_000]],
        ["equal", 0, [500, 500, 500]],
        ["equal", 0.5, [750, 750, 750]],
        ["equal", 1, [1_000, 1_000, 1_000]],
        ["decorrelated", 0, [1_000, 1_000, 1_000]],
        ["decorrelated", 0.5, [2_000, 3_500, 5_750]],
        ["decorrelated", 1, [3_000, 9_000, 27_000]],
        [{ factor: 0.5 }, 0, [500, 500, 500]],
        [{ factor: 0.5 }, 1, [1_500, 1_500, 1_500]],
        [{ factor: 0 }, 1, [1_000, 1_000, 1_000]],
        [{ factor: 1 }, 0, [0, 0, 0]]
      ]
      for (const [jitter, u, delays] of table) {
        assert.deepStrictEqual(yield* waitsOf({ times: 3, backoff, jitter }, u), [...delays])
      }
    }))

  it.effect("are capped after their jitter", () =>
    Effect.gen(function*() {
      const backoff = { kind: "constant", delay: 1_000, cap: 1_100 } as const
      assert.deepStrictEqual(yield* waitsOf({ times: 1, backoff, jitter: { factor: 0.25 } }, 1), [1_100])
      assert.deepStrictEqual(yield* waitsOf({ times: 2, backoff, jitter: "decorrelated" }, 1), [1_100, 1_100])
    }))

  it.effect("of a decorrelated backoff lie between its base and three times the delay before", () =>
    Effect.gen(function*() {
      const backoff = { kind: "decorrelated", base: 100, cap: 1_000 } as const
      assert.deepStrictEqual(yield* waitsOf({ times: 4, backoff }, 0), [100, 100, 100, 100])
      assert.deepStrictEqual(yield* waitsOf({ times: 4, backoff }, 0.5), [200, 350, 575, 912.5])
      assert.deepStrictEqual(yield* waitsOf({ times: 4, backoff }, 1), [300, 900, 1_000, 1_000])
    }))

  it.effect("with decorrelated jitter start from the first delay of a schedule or a function as well", () =>
    Effect.gen(function*() {
      const jitter = "decorrelated"
      assert.deepStrictEqual(yield* waitsOf({ times: 2, backoff: Schedule.spaced(100), jitter }), [200, 350])
      assert.deepStrictEqual(yield* waitsOf({ times: 2, backoff: () => 100, jitter }), [200, 350])
      assert.deepStrictEqual(yield* waitsOf({ times: 3, backoff: (retry) => 100 * retry, jitter }, 0), [100, 100, 100])
      const exponential = { kind: "exponential", base: 100 } as const
      assert.deepStrictEqual(yield* waitsOf({ times: 3, backoff: exponential, jitter }, 0), [100, 100, 100])
    }))

  it.effect("have full jitter by default, and none for a schedule or a function", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* waitsOf({}), [100, 200, 400])
      assert.deepStrictEqual(yield* waitsOf({ backoff: { kind: "constant", delay: 100 } }), [50, 50, 50])
      assert.deepStrictEqual(yield* waitsOf({ backoff: Schedule.exponential(100) }), [100, 200, 400])
      assert.deepStrictEqual(yield* waitsOf({ backoff: () => 100 }), [100, 100, 100])
    }))

  it.effect(
    "are finite, never negative and never above the cap, whatever their number and the draw",
    () =>
      Effect.gen(function*() {
        const huge = Number.MAX_VALUE
        const backoffs: ReadonlyArray<readonly [Retry.Backoff, cap: number]> = [
          [{ kind: "constant", delay: 3_000, cap: 5_000 }, 5_000],
          [{ kind: "constant", delay: huge }, huge],
          [{ kind: "linear", base: 100, increment: 1e305, cap: 5_000 }, 5_000],
          [{ kind: "exponential", base: 100, cap: 5_000 }, 5_000],
          [{ kind: "exponential", base: "1 nano", factor: 1e300, cap: 0.5 }, 0.5],
          [{ kind: "fibonacci", base: 100, cap: 5_000 }, 5_000],
          [{ kind: "decorrelated", base: 100, cap: 5_000 }, 5_000],
          [Schedule.exponential(100), huge],
          [Schedule.spaced(100), huge],
          [() => huge, huge],
          [(retry) => retry, huge]
        ]
        const jitters: ReadonlyArray<Retry.Jitter> = [
          "none",
          "full",
          "equal",
          "decorrelated",
          { factor: 0 },
          { factor: 0.3 },
          { factor: 1 }
        ]
        let n = 0
        const draws: ReadonlyArray<() => number> = [
          () => 0,
          () => 1,
          () => NaN,
          () => 2,
          () => -1,
          () => Infinity,
          () => Number.MIN_VALUE,
          // all of them in turn
          () => present([0, 1, 0.5, NaN, 0.999, 2, -1][n++ % 7])
        ]
        for (const [backoff, cap] of backoffs) {
          for (const jitter of jitters) {
            for (const draw of draws) {
              const delays = yield* delaysOf({ times: 2_000, backoff, jitter }, draw)
              // a schedule may come to its end where its delays are infinite
              if (!Schedule.isSchedule(backoff)) assert.strictEqual(delays.length, 2_000)
              const wrong = delays.findIndex((delay) => !(delay >= 0 && delay <= cap && Number.isFinite(delay)))
              if (wrong >= 0) {
                assert.fail(`${JSON.stringify({ backoff, jitter })}: retry ${wrong + 1} waits ${delays[wrong]}`)
              }
            }
          }
        }
      }),
    60_000
  )

  it("are numbers also where the formula has long left the range of numbers", () => {
    const backoffs: ReadonlyArray<Retry.Backoff> = [
      { kind: "linear", base: 100, increment: 1e306, cap: 5_000 },
      { kind: "exponential", base: 100, factor: 1e10, cap: 5_000 },
      { kind: "fibonacci", base: 100, cap: 5_000 },
      { kind: "decorrelated", base: 100, cap: 5_000 }
    ]
    for (const backoff of backoffs) {
      for (const jitter of ["none", "full", "equal", "decorrelated", { factor: 0.3 }, { factor: 1 }] as const) {
        const { cap, delays, spread } = Retry.settings({ backoff, jitter })
        if (delays.kind !== "formula") return assert.fail("it is a formula")
        for (const u of [0, 0.5, 1]) {
          let previous = 0
          for (let retry = 1; retry <= 2_000; retry++) {
            // `Duration` makes zero of NaN, and would hide it
            const draw = { base: delays.at(retry), spread, cap, u, previous, first: delays.at(1) }
            const own = arithmetic.delay({ ...draw, retryAfter: undefined })
            const asked = arithmetic.delay({ ...draw, retryAfter: 1_000 })
            if (!(own >= 0 && own <= cap && asked >= 1_000 && asked <= 1_000 + cap)) {
              assert.fail(`${JSON.stringify({ backoff, jitter, u })}: retry ${retry} waits ${own}, or ${asked}`)
            }
            previous = own
          }
        }
      }
    }
  })

  it.effect("go above the cap only for a retryAfter", () =>
    Effect.gen(function*() {
      const backoff = { kind: "constant", delay: 1_000, cap: 1_000 } as const
      const asked = recorded(() => Effect.fail(Says.of(Outcome.failure({ retryAfter: 5_000 }))))
      yield* drive(asked.work.pipe(Retry.make({ times: 2, backoff }), drawing(1)))
      assert.deepStrictEqual(waits(asked.starts), [6_000, 6_000])
    }))

  it.effect("fall back to the default backoff where a function throws or answers with no finite duration", () =>
    Effect.gen(function*() {
      const garbage: ReadonlyArray<unknown> = [NaN, -1, Infinity, "soon", undefined, null, { seconds: NaN }, [NaN, 1]]
      for (const value of garbage) {
        // garbage that the type does not allow
        const backoff = () => value as Duration.Input
        assert.deepStrictEqual(yield* waitsOf({ times: 2, backoff }), [200, 400], String(value))
      }
      const backoff = () => {
        throw new Error("bug")
      }
      const times = 8
      assert.deepStrictEqual(
        yield* waitsOf({ times, backoff }),
        [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]
      )
      assert.deepStrictEqual(yield* waitsOf({ times: 2, backoff: () => 0 }), [0, 0])
    }))

  it.effect("tell a function the number of the retry, from 1, and the reason", () =>
    Effect.gen(function*() {
      const told: Array<readonly [number, unknown]> = []
      const { work } = failing()
      const backoff = (retry: number, reason: unknown) => {
        told.push([retry, reason])
        return 1
      }
      yield* drive(work.pipe(Retry.make({ times: 2, backoff })))
      assert.deepStrictEqual(told, [[1, new Boom({ n: 1 })], [2, new Boom({ n: 2 })]])
    }))

  it.effect("end with their schedule, which is run anew for every call", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const retry = Retry.make({ times: 10, backoff: Schedule.spaced(100).pipe(Schedule.upTo({ times: 2 })) })
      for (let call = 1; call <= 2; call++) {
        const { exit } = yield* drive(work.pipe(retry))
        assert.strictEqual(starts.length, 3 * call)
        assert.strictEqual(brief(exit), "Boom")
      }
    }))

  it.effect("of a schedule that dies end the call with its last error", () =>
    Effect.gen(function*() {
      const backoff = Schedule.spaced(100).pipe(Schedule.map(() => {
        throw new Error("bug")
      }))
      const { exit } = yield* drive(failing().work.pipe(Retry.make({ backoff })))
      assert.strictEqual(brief(exit), "Boom")
    }))

  it.effect("of a schedule run on elapsed time, whatever is done to the wall clock", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) => Effect.fail(new Boom({ n })))
      const backoff = Schedule.max([Schedule.spaced("1 second"), Schedule.during("5 seconds")])
      const fiber = yield* start(Effect.exit(work.pipe(Retry.make({ times: 20, backoff }))))
      yield* TestClock.adjust("2 seconds")
      const before = starts.length
      yield* TestClock.setTime(-3_600_000)
      yield* TestClock.adjust("2 hours")
      yield* Fiber.join(fiber)
      assert.strictEqual(before, 3)
      assert.isAtMost(starts.length, 7)
    }))
})

describe("Retry: what is retried", () => {
  const options = { times: 3, backoff: { kind: "constant", delay: 100 }, jitter: "none" } as const
  const attempts = Effect.fnUntraced(function*<E>(error: Effect.Effect<never, E>, more: Retry.Options = {}) {
    const { starts, work } = recorded(() => error)
    const { exit } = yield* drive(work.pipe(Retry.make({ ...options, ...more })))
    return { count: starts.length, got: brief(exit) }
  })

  it.effect("a typed error that says nothing of itself, a retryable failure, an overload", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* attempts(Effect.fail("plain")), { count: 4, got: "plain" })
      for (const outcome of [Outcome.failure(), Outcome.overload()]) {
        assert.deepStrictEqual(yield* attempts(Effect.fail(Says.of(outcome))), { count: 4, got: "Says" })
      }
    }))

  it.effect("nothing else: no defect, no interruption, no ignored or successful outcome, no failure for good", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* attempts(Effect.die("bug")), { count: 1, got: "die" })
      assert.deepStrictEqual(yield* attempts(Effect.interrupt), { count: 1, got: "interrupt" })
      for (const outcome of [Outcome.ignored, Outcome.success, Outcome.failure({ retryable: false })]) {
        assert.deepStrictEqual(yield* attempts(Effect.fail(Says.of(outcome))), { count: 1, got: "Says" })
      }
    }))

  it.effect("no typed error beside a defect", () =>
    Effect.gen(function*() {
      const both = Effect.ensuring(Effect.fail("plain"), Effect.die("bug"))
      assert.strictEqual((yield* attempts(both)).count, 1)
    }))

  it.effect("an attempt's timeout, but not what a deadline or another retry has ended", () =>
    Effect.gen(function*() {
      const timedOut = new Timeout.TimedOut({ policy: "p", limit: "attempt", after: Duration.seconds(1) })
      const exceeded = new Deadline.DeadlineExceeded({ policy: "p" })
      const exhausted = new Retry.RetriesExhausted({
        policy: "p",
        attempts: 4,
        elapsed: Duration.seconds(1),
        lastError: "plain"
      })
      assert.strictEqual((yield* attempts(Effect.fail(timedOut))).count, 4)
      assert.strictEqual((yield* attempts(Effect.fail(exceeded))).count, 1)
      assert.strictEqual((yield* attempts(Effect.fail(exhausted))).count, 1)
    }))

  it.effect("no refusal of an open circuit", () =>
    Effect.gen(function*() {
      const refusal = new CircuitBreaker.CircuitOpen({ policy: "p", retryAfter: Duration.seconds(5) })
      assert.deepStrictEqual(yield* attempts(Effect.fail(refusal)), { count: 1, got: "CircuitOpen" })
    }))

  it.effect("with retryCircuitOpen a refusal too, after its retryAfter and always with jitter", () =>
    Effect.gen(function*() {
      for (const jitter of ["none", "full"] as const) {
        const breaker = yield* CircuitBreaker.make("p", { trip: { kind: "consecutive", failures: 1 }, open: 5_000 })
        yield* Effect.exit(breaker.protect(Effect.fail("down")))
        const began = yield* now
        const { starts, work } = recorded(() => Effect.succeed("answer"))
        const retry = Retry.make({ ...options, jitter, retryCircuitOpen: true })
        const { at, exit } = yield* drive(breaker.protect(work).pipe(retry, drawing(0.5)))
        assert.strictEqual(brief(exit), "answer")
        assert.strictEqual(at - began, 5_050)
        assert.strictEqual(starts.length, 1)
      }
    }))

  it.effect("with retryCircuitOpen a refusal without a retryAfter by the backoff, and one beyond the maximum not at all", () =>
    Effect.gen(function*() {
      const halfOpen = recorded(() => Effect.fail(new CircuitBreaker.CircuitOpen({ policy: "p" })))
      yield* drive(halfOpen.work.pipe(Retry.make({ ...options, retryCircuitOpen: true }), drawing(0.5)))
      assert.deepStrictEqual(waits(halfOpen.starts), [50, 50, 50])
      const retryAfter = Duration.seconds(31)
      const open = recorded(() => Effect.fail(new CircuitBreaker.CircuitOpen({ policy: "p", retryAfter })))
      yield* drive(open.work.pipe(Retry.make({ ...options, retryCircuitOpen: true })))
      assert.strictEqual(open.starts.length, 1)
    }))

  it.effect("what `while` lets pass, which is asked last and is told the reason", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const until = { ...options, while: (reason: unknown) => asked.push(reason) < 3 }
      assert.strictEqual((yield* attempts(Effect.fail("plain"), until)).count, 3)
      assert.deepStrictEqual(asked, ["plain", "plain", "plain"])
      assert.strictEqual((yield* attempts(Effect.die("bug"), until)).count, 1)
      assert.strictEqual(asked.length, 3)
    }))

  it.effect("nothing where `while` or `retryIf` throws", () =>
    Effect.gen(function*() {
      const throwing = () => {
        throw new Error("bug")
      }
      assert.deepStrictEqual(yield* attempts(Effect.fail("plain"), { while: throwing }), { count: 1, got: "plain" })
      const { starts, work } = recorded(Effect.succeed)
      const { exit } = yield* drive(Retry.retry(work, { ...options, retryIf: throwing }))
      assert.deepStrictEqual(exit, Exit.succeed(1))
      assert.strictEqual(starts.length, 1)
    }))

  it.effect("what a classifier says, instead of what the error says", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) => Effect.fail(n === 3 ? "final" as const : "again" as const))
      const { exit } = yield* drive(Retry.retry(work, {
        ...options,
        classify: (exit) => errorOf(exit) === "final" ? Outcome.success : undefined
      }))
      assert.deepStrictEqual(exit, Exit.fail("final"))
      assert.strictEqual(starts.length, 3)
    }))

  it.effect("a result that a classifier calls a failure, which is disposed like any other", () =>
    Effect.gen(function*() {
      const disposed: Array<number> = []
      const { exit } = yield* drive(
        recorded(Effect.succeed).work.pipe(Retry.retry({
          ...options,
          classify: (exit: Exit.Exit<number>) => Exit.isSuccess(exit) && exit.value < 3 ? Outcome.failure() : undefined,
          dispose: (n: number) => Effect.sync(() => disposed.push(n))
        }))
      )
      assert.deepStrictEqual(exit, Exit.succeed(3))
      assert.deepStrictEqual(disposed, [1, 2])
    }))

  it.effect("results by `retryIf`, while errors go on being retried as ever", () =>
    Effect.gen(function*() {
      const disposed: Array<string> = []
      const results: ReadonlyArray<Effect.Effect<string, Boom>> = [
        Effect.succeed("pending"),
        Effect.fail(new Boom({ n: 2 })),
        Effect.succeed("pending too"),
        Effect.succeed("ready")
      ]
      const { work } = recorded((n) => present(results[n - 1]))
      const { exit } = yield* drive(Retry.retry(work, {
        ...options,
        retryIf: (result) => result !== "ready",
        dispose: (result) => Effect.sync(() => disposed.push(result))
      }))
      assert.deepStrictEqual(exit, Exit.succeed("ready"))
      assert.deepStrictEqual(disposed, ["pending", "pending too"])
    }))

  it.effect("a result although its disposal fails", () =>
    Effect.gen(function*() {
      const disposals = [
        () => Effect.die("bug in a disposal"),
        (): Effect.Effect<void> => {
          throw new Error("bug in a disposal")
        }
      ]
      for (const dispose of disposals) {
        const { work } = recorded(Effect.succeed)
        const { exit } = yield* drive(Retry.retry(work, { ...options, retryIf: (n) => n < 2, dispose }))
        assert.deepStrictEqual(exit, Exit.succeed(2))
      }
    }))

  it.effect("a result that is retried is disposed once, also when the call is interrupted at a random instant", () =>
    Effect.gen(function*() {
      const random = yield* Random.Random
      const below = (n: number) => Math.floor(random.nextDoubleUnsafe() * n)
      const pauses = (n: number) => Effect.forEach(Array.from({ length: n }), () => Effect.yieldNow, { discard: true })
      let made = 0
      const wanted: Array<number> = []
      const disposed: Array<number> = []
      const options = { times: 1_000, backoff: { kind: "constant", delay: 1 }, maxElapsed: "Infinity" } as const
      const call = Effect.suspend(() =>
        Effect.andThen(pauses(below(3)), Effect.sync(() => ++made)).pipe(
          Retry.retry({
            ...options,
            retryIf: (n: number) => wanted.push(n) > 0,
            dispose: (n: number) => Effect.andThen(pauses(below(3)), Effect.sync(() => disposed.push(n)))
          }),
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 2 + below(6))
        )
      )
      for (let round = 0; round < 200; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.forkChild(call))
        for (const fiber of fibers) {
          yield* pauses(below(20))
          if (below(4) === 0) yield* TestClock.adjust(1)
          fiber.interruptUnsafe()
        }
        yield* Effect.forEach(fibers, Fiber.await)
      }
      assert.isAbove(disposed.length, 1_000)
      const inOrder = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)
      assert.deepStrictEqual(inOrder(disposed), inOrder(wanted))
      assert.strictEqual(new Set(disposed).size, disposed.length)
    }).pipe(Random.withSeed("dispose")))
})

describe("Retry: its end", () => {
  const constant = { backoff: { kind: "constant", delay: 1_000 }, jitter: "none" } as const

  it.effect("comes after three retries by default, with the last error as it was", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const { exit } = yield* drive(work.pipe(Retry.make()))
      assert.strictEqual(starts.length, 4)
      assert.deepStrictEqual(exit, Exit.fail(new Boom({ n: 4 })))
    }))

  it.effect("comes at once with no retries", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const { at, exit } = yield* drive(work.pipe(Retry.make({ times: 0 })))
      assert.deepStrictEqual(starts, [0])
      assert.strictEqual(at, 0)
      assert.strictEqual(brief(exit), "Boom")
    }))

  it.effect("comes with the first success", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) => n < 3 ? Effect.fail(new Boom({ n })) : Effect.succeed("answer"))
      const { at, exit } = yield* drive(work.pipe(Retry.make({ times: 5, ...constant })))
      assert.deepStrictEqual(exit, Exit.succeed("answer"))
      assert.deepStrictEqual(starts, [0, 1_000, 2_000])
      assert.strictEqual(at, 2_000)
    }))

  it.effect("is wrapped where that is asked for: attempts, elapsed time and the last error", () =>
    Effect.gen(function*() {
      const { work } = recorded((n) => Effect.andThen(Effect.sleep(250), Effect.fail(new Boom({ n }))))
      const { exit } = yield* drive(work.pipe(Retry.make({ times: 2, ...constant, onExhausted: "wrap" })))
      const error = errorOf(exit)
      assert.instanceOf(error, Retry.RetriesExhausted)
      assert.deepInclude(error, {
        policy: "Retry",
        attempts: 3,
        elapsed: Duration.millis(2_750),
        lastError: new Boom({ n: 3 })
      })
      assert.strictEqual(error.message, "Retry: gave up after 3 attempts in 2750 ms; the last failed with Boom")
    }))

  it.effect("is not wrapped where nothing was used up", () =>
    Effect.gen(function*() {
      const retry = Retry.make({ times: 2, ...constant, onExhausted: "wrap" })
      for (const outcome of [Outcome.ignored, Outcome.success, Outcome.failure({ retryable: false })]) {
        assert.strictEqual(brief((yield* drive(Effect.fail(Says.of(outcome)).pipe(retry))).exit), "Says")
      }
      assert.strictEqual(brief((yield* drive(Effect.die("bug").pipe(retry))).exit), "die")
      assert.strictEqual(brief((yield* drive(Effect.interrupt.pipe(retry))).exit), "interrupt")
      const unwanted = Retry.retry(Effect.succeed("pending"), { times: 2, onExhausted: "wrap", retryIf: () => true })
      assert.deepStrictEqual((yield* drive(unwanted)).exit, Exit.succeed("pending"))
    }))

  it.effect("comes when an attempt would start later than maxElapsed, and not a millisecond sooner", () =>
    Effect.gen(function*() {
      for (const [maxElapsed, attempts] of [[3_000, 4], [2_999, 3]] as const) {
        const { starts, work } = failing()
        const began = yield* now
        const { at, exit } = yield* ended(work.pipe(
          Retry.make({ times: 10, maxElapsed, ...constant, onExhausted: "wrap" })
        )).pipe(start, Effect.tap(TestClock.adjust("1 minute")), Effect.flatMap(Fiber.join))
        assert.strictEqual(starts.length, attempts)
        // the last wait is not begun
        assert.strictEqual(at - began, (attempts - 1) * 1_000)
        assert.strictEqual(brief(exit), "RetriesExhausted")
      }
    }))

  it.effect("comes after a minute by default", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      yield* drive(work.pipe(Retry.make({ times: 1_000, ...constant })))
      assert.strictEqual(starts.length, 61)
    }))

  it.effect("comes when no time would be left before the deadline, with the last error and unwrapped", () =>
    Effect.gen(function*() {
      for (const [deadline, attempts] of [[2_001, 3], [2_000, 2]] as const) {
        const { starts, work } = failing()
        const { exit } = yield* drive(work.pipe(
          Retry.make({ times: 10, ...constant, onExhausted: "wrap" }),
          Deadline.within(deadline)
        ))
        assert.strictEqual(starts.length, attempts)
        assert.strictEqual(brief(exit), "Boom")
      }
    }))

  it.effect("comes at once for a retryAfter without an end, however much is allowed", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded(() => Effect.fail(Says.of(Outcome.overload({ retryAfter: "Infinity" }))))
      const { exit } = yield* drive(work.pipe(Retry.make({ maxElapsed: "Infinity", maxRetryAfter: "Infinity" })))
      assert.strictEqual(starts.length, 1)
      assert.strictEqual(brief(exit), "Says")
    }))

  it.effect("comes at once when the caller interrupts a running attempt", () =>
    Effect.gen(function*() {
      let released = 0
      const { starts, work } = recorded(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => released++)))
      const fiber = yield* start(work.pipe(Retry.make()))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(starts.length, 1)
      assert.strictEqual(released, 1)
    }))

  it.effect("is reached over a hundred thousand attempts without growing the stack", () =>
    Effect.gen(function*() {
      let runs = 0
      const work = Effect.suspend(() => ++runs > 100_000 ? Effect.succeed(runs) : Effect.fail("again"))
      const delays = { times: Number.MAX_SAFE_INTEGER, backoff: () => 0 } as const
      assert.strictEqual(yield* work.pipe(Retry.make(delays)), 100_001)
      runs = 0
      const disposing = Effect.sync(() => ++runs).pipe(
        Retry.retry({ ...delays, retryIf: (n: number) => n < 100_000, dispose: () => Effect.void })
      )
      assert.strictEqual(yield* disposing, 100_000)
    }))
})

describe("Retry: time", () => {
  it.effect("a clock that wakes sleepers 0.9 ms early does not undercut a delay or a retryAfter", () =>
    Effect.gen(function*() {
      let sleeps = 0
      const early = manualClock((due) =>
        Effect.sync(() => {
          sleeps++
          early.wait(due > 0.9 ? due - 0.9 : due)
        })
      )
      const { starts, work } = recorded((n): Effect.Effect<never, Says | Boom> =>
        Effect.fail(n === 1 ? Says.of(Outcome.failure({ retryAfter: 2_000 })) : new Boom({ n }))
      )
      yield* Effect.exit(work.pipe(
        Retry.make({ times: 2, backoff: { kind: "constant", delay: 10 }, jitter: "none" }),
        Effect.provideService(Clock.Clock, early.clock)
      ))
      assert.deepStrictEqual(starts, [0, 2_000, 2_010])
      assert.strictEqual(sleeps, 4)
    }))

  it.effect("a wall clock set forward or back neither uses up maxElapsed nor refills it", () =>
    Effect.gen(function*() {
      const manual = manualClock()
      const { starts, work } = recorded((n) => {
        manual.setWall(n % 2 === 0 ? 0 : 86_400_000)
        manual.wait(300)
        return Effect.fail(n)
      })
      yield* Effect.exit(work.pipe(
        Retry.make({ times: 100, backoff: () => 0, maxElapsed: "1 second" }),
        Effect.provideService(Clock.Clock, manual.clock)
      ))
      assert.deepStrictEqual(starts, [0, 300, 600, 900])
    }))
})

describe("RetriesExhausted", () => {
  it("is a schema error that keeps its last error", () => {
    const error = new Retry.RetriesExhausted({
      policy: "quotes",
      attempts: 3,
      elapsed: Duration.seconds(2),
      lastError: new Error("connection reset")
    })
    const encoded = Schema.encodeSync(Retry.RetriesExhausted)(error)
    assert.deepInclude(encoded, { _tag: "RetriesExhausted", policy: "quotes", attempts: 3, elapsed: 2_000 })
    const decoded = Schema.decodeSync(Retry.RetriesExhausted)(encoded)
    assert.instanceOf(decoded, Retry.RetriesExhausted)
    assert.instanceOf(decoded.lastError, Error)
  })
})
