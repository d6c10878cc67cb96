import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Random, Schedule, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Replay, Retry, RetryBudget, Timeout } from "../src/index.ts"
import * as arithmetic from "../src/internal/backoff.ts"
import {
  Boom,
  brief,
  drawing,
  draws,
  drive,
  ended,
  errorOf,
  failing,
  manualClock,
  now,
  pauses,
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
      const { below } = yield* draws
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
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + below(6))
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

describe("Retry: which errors", () => {
  class Unavailable extends Schema.TaggedError<Unavailable>()("ServiceUnavailable", { status: Schema.Int }) {}
  class Broken extends Schema.TaggedError<Broken>()("Broken", { status: Schema.Int }) {}
  const atOnce = { times: 3, backoff: () => 0 } as const
  const attempts = Effect.fnUntraced(function*<E>(error: Effect.Effect<never, E>, options: Retry.Options) {
    const { starts, work } = recorded(() => error)
    const exit = yield* Effect.exit(work.pipe(Retry.make({ ...atOnce, ...options })))
    assert.isTrue(Exit.isFailure(exit))
    return starts.length
  })

  it.effect("A1: base 0.5 s, cap 4 s, three retries for create, two for delete, only on 'service unavailable'", () =>
    Effect.gen(function*() {
      const backoff = { kind: "exponential", base: "500 millis", cap: "4 seconds" } as const
      const create = { times: 3, backoff, jitter: "none", retryOn: ["ServiceUnavailable"] } as const
      const unavailable = recorded(() => Effect.fail(new Unavailable({ status: 503 })))
      const { exit } = yield* drive(unavailable.work.pipe(Retry.make(create)))
      assert.strictEqual(brief(exit), "ServiceUnavailable")
      assert.deepStrictEqual(waits(unavailable.starts), [500, 1_000, 2_000])
      assert.deepStrictEqual(yield* waitsOf({ ...create, times: 6, retryOn: ["Boom"] }), [
        500,
        1_000,
        2_000,
        4_000,
        4_000,
        4_000
      ])
      const deleting = recorded(() => Effect.fail(new Unavailable({ status: 503 })))
      yield* drive(deleting.work.pipe(Retry.make({ ...create, times: 2 })))
      assert.strictEqual(deleting.starts.length, 3)
      const broken = recorded(() => Effect.fail(new Broken({ status: 500 })))
      yield* drive(broken.work.pipe(Retry.make(create)))
      assert.strictEqual(broken.starts.length, 1)
    }))

  it.effect("A3: exhausted retries are a typed error with attempts, elapsed time and the last error", () =>
    Effect.gen(function*() {
      const { work } = recorded((n) => Effect.fail(new Unavailable({ status: 500 + n })))
      const { exit } = yield* drive(work.pipe(Retry.make({
        times: 2,
        backoff: { kind: "constant", delay: "1 second" },
        jitter: "none",
        onExhausted: "wrap"
      })))
      const error = errorOf(exit)
      assert.instanceOf(error, Retry.RetriesExhausted)
      assert.strictEqual(error.attempts, 3)
      assert.deepStrictEqual(error.elapsed, Duration.seconds(2))
      assert.deepStrictEqual(error.lastError, new Unavailable({ status: 503 }))
    }))

  it.effect("D1: exponential, linear and constant, with jitter and a cap: three attempts, base 1 s, cap 60 s", () =>
    Effect.gen(function*() {
      const table = [
        ["exponential", [1_000, 2_000], [500, 1_000], [60_000, 60_000]],
        ["linear", [1_000, 2_000], [500, 1_000], [60_000, 60_000]],
        ["constant", [1_000, 1_000], [500, 500], [60_000, 60_000]]
      ] as const
      for (const [kind, plain, spread, capped] of table) {
        const backoff = (base: Duration.Input): Retry.Backoff =>
          kind === "constant" ? { kind, delay: base, cap: "60 seconds" } : { kind, base, cap: "60 seconds" }
        const options = { times: 2, backoff: backoff("1 second") }
        assert.deepStrictEqual(yield* waitsOf({ ...options, jitter: "none" }), [...plain])
        assert.deepStrictEqual(yield* waitsOf({ ...options, jitter: "full" }), [...spread])
        const long = { times: 2, backoff: backoff("2 minutes"), jitter: "none" } as const
        assert.deepStrictEqual(yield* waitsOf(long), [...capped])
      }
    }))

  it.effect("D2: listed, excluded, or by predicate: only 429, 503 and 504", () =>
    Effect.gen(function*() {
      const unavailable = Effect.fail(new Unavailable({ status: 503 }))
      const broken = Effect.fail(new Broken({ status: 500 }))
      for (const retryOn of [["ServiceUnavailable"], ["Other", "ServiceUnavailable"]]) {
        assert.strictEqual(yield* attempts(unavailable, { retryOn }), 4)
        assert.strictEqual(yield* attempts(broken, { retryOn }), 1)
      }
      assert.strictEqual(yield* attempts(unavailable, { abortOn: ["Broken"] }), 4)
      assert.strictEqual(yield* attempts(broken, { abortOn: ["Broken"] }), 1)
      const { starts, work } = recorded((n) => Effect.fail(new Broken({ status: [429, 503, 504, 500][n - 1] ?? 0 })))
      const retried = Retry.retry(work, {
        ...atOnce,
        times: 9,
        retryOn: ({ status }) => [429, 503, 504].includes(status)
      })
      assert.strictEqual(errorOf(yield* Effect.exit(retried)).status, 500)
      assert.strictEqual(starts.length, 4)
    }))

  it.effect("that are listed are retried although the dependency is well, and others are not although it is not", () =>
    Effect.gen(function*() {
      const missing = Effect.fail(Says.of(Outcome.success))
      assert.strictEqual(yield* attempts(missing, {}), 1)
      assert.strictEqual(yield* attempts(missing, { retryOn: ["Says"] }), 4)
      assert.strictEqual(
        yield* attempts(Effect.fail(Says.of(Outcome.failure({ retryable: false }))), { retryOn: ["Says"] }),
        4
      )
      assert.strictEqual(yield* attempts(Effect.fail("plain"), { retryOn: ["Says"] }), 1)
      assert.strictEqual(yield* attempts(Effect.fail("plain"), { retryOn: (error) => error === "plain" }), 4)
    }))

  it.effect("that are to end the call do so, also where they are listed or would be waited for", () =>
    Effect.gen(function*() {
      const refusal = new CircuitBreaker.CircuitOpen({ policy: "p" })
      assert.strictEqual(yield* attempts(Effect.fail(refusal), { retryCircuitOpen: true }), 4)
      assert.strictEqual(yield* attempts(Effect.fail(refusal), { retryCircuitOpen: true, abortOn: ["CircuitOpen"] }), 1)
      const boom = Effect.fail(new Boom({ n: 1 }))
      assert.strictEqual(yield* attempts(boom, { retryOn: ["Boom"], abortOn: ["Boom"] }), 1)
      assert.strictEqual(yield* attempts(boom, { abortOn: (error) => error instanceof Boom }), 1)
      assert.strictEqual(yield* attempts(boom, { retryOn: ["Boom"], while: () => false }), 1)
    }))

  it.effect("does not concern defects and interruptions, which stay what they are", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* attempts(Effect.die(new Boom({ n: 1 })), { retryOn: ["Boom"] }), 1)
      assert.strictEqual(yield* attempts(Effect.die("bug"), { retryOn: () => true }), 1)
      assert.strictEqual(yield* attempts(Effect.interrupt, { retryOn: () => true }), 1)
      const both = Effect.failCause(Cause.combine(Cause.fail("plain"), Cause.die("bug")))
      assert.strictEqual(yield* attempts(both, { retryOn: () => true }), 1)
      // a classifier may have a defect retried, which is on no list
      const { starts, work } = recorded((): Effect.Effect<never, Boom> => Effect.die("bug"))
      yield* Effect.exit(Retry.retry(work, {
        ...atOnce,
        retryOn: ["Boom"],
        classify: (exit) => Exit.hasDies(exit) ? Outcome.failure() : undefined
      }))
      assert.strictEqual(starts.length, 4)
    }))

  it.effect("may be anything, also what must not be asked", () =>
    Effect.gen(function*() {
      const hostile = new Proxy({}, {
        get: () => {
          throw new Error("do not ask")
        },
        has: () => {
          throw new Error("do not ask")
        },
        getPrototypeOf: () => {
          throw new Error("do not ask")
        }
      })
      const throwing = () => {
        throw new Error("bug")
      }
      for (const error of [hostile, null, undefined, 5, "tag", { _tag: 5 }]) {
        assert.strictEqual(yield* attempts(Effect.fail(error), { retryOn: ["Boom"], retryCircuitOpen: true }), 1)
        assert.strictEqual(yield* attempts(Effect.fail(error), { retryOn: throwing }), 1)
      }
    }))

  it.effect("of our own that are listed are retried after what they ask for, always with jitter", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("p", { trip: { kind: "consecutive", failures: 1 }, open: 5_000 })
      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      const { starts, work } = recorded(() => Effect.succeed("answer"))
      const retry = Retry.make({
        times: 1,
        backoff: { kind: "constant", delay: 100 },
        jitter: "none",
        retryOn: ["CircuitOpen"]
      })
      const { at, exit } = yield* drive(breaker.protect(work).pipe(retry, drawing(0.5)))
      assert.deepStrictEqual([brief(exit), at, starts.length], ["answer", 5_050, 1])
    }))

  it.effect("that refuse and are listed are, whoever they are from", () =>
    Effect.gen(function*() {
      class Full extends Schema.TaggedError<Full>()("Full", { retryAfter: Schema.optionalKey(Schema.Unknown) }) {
        readonly [Outcome.symbol] = Outcome.ignored
      }
      const options = { times: 1, backoff: { kind: "constant", delay: 100 }, jitter: "none" } as const
      const table: ReadonlyArray<readonly [unknown, number]> = [
        [Duration.seconds(5), 5_050],
        // no time that could be waited for
        ["5 seconds", 50],
        [undefined, 50]
      ]
      for (const [retryAfter, wait] of table) {
        const { starts, work } = recorded(() => Effect.fail(new Full({ retryAfter })))
        yield* drive(work.pipe(Retry.make({ ...options, retryOn: ["Full"] }), drawing(0.5)))
        assert.deepStrictEqual(waits(starts), [wait])
      }
      const tooLong = recorded(() => Effect.fail(new Full({ retryAfter: Duration.minutes(5) })))
      yield* drive(tooLong.work.pipe(Retry.make({ ...options, retryOn: ["Full"] })))
      assert.strictEqual(tooLong.starts.length, 1)
    }))

  it("refuses what are no errors, and says why", () => {
    const table: ReadonlyArray<readonly [unknown, string]> = [
      [{ retryOn: "Boom" }, "Retry: retryOn must be a list of tags or a function, got \"Boom\""],
      [{ retryOn: [503] }, "Retry: retryOn must be a list of tags or a function, got [503]"],
      [{ abortOn: {} }, "Retry: abortOn must be a list of tags or a function, got {  }"],
      [{ abortOn: null }, "Retry: abortOn must be a list of tags or a function, got null"],
      [{ onRetry: "log" }, "Retry: onRetry must be a function, got \"log\""],
      [{ budget: { share: 0.2 } }, "Retry: budget must be a budget that RetryBudget.make has made, got { share: 0.2 }"],
      [
        { budgets: 1 },
        "Retry: unknown option \"budgets\"; it takes times, maxElapsed, backoff, jitter, maxRetryAfter, "
        + "retryOn, abortOn, while, retryCircuitOpen, onExhausted, onRetry, budget"
      ]
    ]
    for (const [options, message] of table) {
      assert.throws(() => Retry.make(options as Retry.MakeOptions), RangeError, message)
      assert.throws(() => Retry.retry(Effect.void, options as Retry.EffectOptions<void, never>), RangeError)
    }
  })
})

describe("Retry: progress", () => {
  const constant = { times: 2, backoff: { kind: "constant", delay: 1_000 }, jitter: "none" } as const

  it.effect("is told before each wait: attempt, attempts, delay, reason, and when the next one will be", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const told: Array<unknown> = []
      const onRetry = (progress: Retry.Progress) =>
        Effect.map(now, (at) => told.push({ ...progress, at, delay: Duration.toMillis(progress.delay) }))
      const { work } = failing()
      const began = yield* now
      const fiber = yield* start(Effect.exit(work.pipe(Retry.make({ ...constant, onRetry }))))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        told,
        [1, 2].map((attempt) => ({
          attempt,
          attempts: 3,
          delay: 1_000,
          nextAt: 1_000_000 + 1_000 * attempt,
          reason: new Boom({ n: attempt }),
          at: began + 1_000 * (attempt - 1)
        }))
      )
    }))

  it.effect("is told in the context of the call", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const onRetry = () => Effect.map(Random.next, (u) => seen.push(u))
      yield* drive(failing().work.pipe(Retry.make({ ...constant, onRetry }), drawing(0.25)))
      assert.deepStrictEqual(seen, [0.25, 0.25])
    }))

  it.effect("can neither fail a call, nor hold it up, nor outlive a wait", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const listeners: ReadonlyArray<() => Effect.Effect<unknown>> = [
        () => Effect.die("bug in a listener"),
        () => {
          throw new Error("bug in a listener")
        },
        () => Effect.interrupt,
        () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)),
        () => Effect.onInterrupt(Effect.never, () => Effect.never),
        () => Effect.uninterruptible(Effect.never)
      ]
      for (const onRetry of listeners) {
        const { starts, work } = recorded((n) => n === 3 ? Effect.succeed(n) : Effect.fail(new Boom({ n })))
        const fiber = yield* start(Effect.exit(work.pipe(Retry.make({ ...constant, onRetry }))))
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.succeed(3))
        assert.deepStrictEqual(waits(starts), [1_000, 1_000])
      }
      assert.strictEqual(interrupted, 2)
    }))

  it.effect("ends when the caller leaves", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const onRetry = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      const fiber = yield* start(failing().work.pipe(Retry.make({ ...constant, onRetry })))
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(interrupted, 1)
    }))

  it.effect("of one call takes the place of the policy's, and is told of results as well", () =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      const settings = Retry.settings({ ...constant, onRetry: () => Effect.sync(() => told.push("policy")) })
      const call = {
        retryIf: () => true,
        onRetry: ({ reason }: Retry.Progress) => Effect.sync(() => told.push(reason))
      }
      yield* drive(Retry.run(recorded(Effect.succeed).work, settings, call))
      assert.deepStrictEqual(told, [1, 2])
      yield* drive(Retry.run(recorded(Effect.succeed).work, settings, { retryIf: () => true }))
      assert.deepStrictEqual(told, [1, 2, "policy", "policy"])
    }))
})

describe("Retry: what is declined", () => {
  const constant = {
    times: 3,
    backoff: { kind: "constant", delay: 1_000 },
    jitter: "none",
    maxRetryAfter: 500
  } as const

  /** What a watcher is told about one call. */
  const declined = Effect.fnUntraced(function*<E>(
    self: Effect.Effect<number, E>,
    options: Retry.Options = {},
    more: Partial<Retry.Watch> = {},
    call?: Retry.CallOptions<number, E>
  ) {
    const told: Array<unknown> = []
    const watch: Retry.Watch = {
      policy: "test",
      sleeps: false,
      retrying: () => {},
      exhausted: () => told.push("exhausted"),
      willRefuse: () => false,
      declined: (by, { attempt, attempts, reason }) => told.push([by, attempt, attempts, reason]),
      ...more
    }
    yield* Effect.exit(Retry.run(self, Retry.settings({ ...constant, ...options }), call, watch))
    return told
  })

  it.effect("is told with its cause: budget, retryAfter, deadline, circuitBreaker, committed", () =>
    Effect.gen(function*() {
      const fails = Effect.fail("down")
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 0 })
      assert.deepStrictEqual(yield* declined(fails, {}, { budget }), [["budget", 1, 4, "down"]])
      const asks = Says.of(Outcome.overload({ retryAfter: 501 }))
      assert.deepStrictEqual(yield* declined(Effect.fail(asks)), [["retryAfter", 1, 4, asks]])
      const within = Deadline.within(500)
      const told = yield* declined(fails).pipe(within)
      assert.deepStrictEqual(told, [["deadline", 1, 4, "down"]])
      assert.deepStrictEqual(
        yield* declined(fails, {}, { willRefuse: () => true }),
        [["circuitBreaker", 1, 4, "down"]]
      )
      const commits = recorded((n) => Effect.andThen(n === 2 ? Replay.commit : Effect.void, Effect.fail(n)))
      assert.deepStrictEqual(yield* declined(commits.work), [["committed", 2, 4, 2]])
    }))

  it.effect("is not told where nothing would be retried anyway, or all is used up", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 0 })
      const refusing = { budget, willRefuse: () => true }
      assert.deepStrictEqual(yield* declined(Effect.succeed(1), {}, refusing), [])
      assert.deepStrictEqual(yield* declined(Effect.die("bug"), {}, refusing), [])
      assert.deepStrictEqual(yield* declined(Effect.fail(Says.of(Outcome.ignored)), {}, refusing), [])
      assert.deepStrictEqual(yield* declined(Effect.fail("down"), { while: () => false }, refusing), [])
      assert.deepStrictEqual(yield* declined(Effect.fail("down"), { times: 0 }, refusing), ["exhausted"])
      assert.deepStrictEqual(yield* declined(Effect.fail("down"), { maxElapsed: 999 }, refusing), ["exhausted"])
    }))

  it.effect("costs the budget nothing for other causes", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 5 })
      yield* declined(Effect.fail("down"), {}, { budget, willRefuse: () => true })
      assert.deepInclude(yield* budget.snapshot, { calls: 1, spent: 0, refused: 0 })
    }))
})
