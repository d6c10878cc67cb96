import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { Deadline, Outcome, Pipeline, Resilience, Retry, Timeout } from "../src/index.ts"
import {
  Boom,
  brief,
  drawing,
  drive,
  ended,
  errorOf,
  failing,
  feed,
  listen,
  now,
  present,
  recorded,
  start,
  stateOf
} from "./support.ts"

const constant = { backoff: { kind: "constant", delay: "1 second" }, jitter: "none" } as const

/** Opens at the first failure, for longer than a test lasts. */
const fragile = { trip: { kind: "consecutive", failures: 1 }, open: "100 days" } as const

/** The starts of a call's attempts, what its caller got and when, counted from its start. */
const play = Effect.fnUntraced(function*<A, E, R, PE>(
  pipeline: Pipeline.Pipeline<PE>,
  run: (n: number) => Effect.Effect<A, E, R>,
  options?: Pipeline.CallOptions<A, E>
) {
  const began = yield* now
  const { starts, work } = recorded(run)
  const { at, exit } = yield* drive(pipeline.protect(work, options))
  return { starts: starts.map((start) => start - began), got: brief(exit), at: at - began, exit }
})

const fails = (n: number) => Effect.fail(new Boom({ n }))

describe("Pipeline.make", () => {
  it.effect("without parts does nothing", () =>
    Effect.gen(function*() {
      for (
        const options of [{}, {
          totalTimeout: false,
          retry: false,
          circuitBreaker: false,
          attemptTimeout: false
        }] as const
      ) {
        const pipeline = yield* Pipeline.make("bare", options)
        assert.strictEqual(pipeline.circuitBreaker, undefined)
        const failed = yield* play(pipeline, fails)
        assert.deepStrictEqual(failed.exit, Exit.fail(new Boom({ n: 1 })))
        assert.deepStrictEqual(failed.starts, [0])
        const slow = yield* play(pipeline, () => Effect.as(Effect.sleep("1 hour"), "answer"))
        assert.strictEqual(slow.got, "answer")
      }
      const snapshots = yield* (yield* Resilience.Resilience).snapshots
      assert.deepStrictEqual(snapshots.flatMap((_) => Object.keys(_)), ["name", "pipeline"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("has each part alone", () =>
    Effect.gen(function*() {
      const total = yield* Pipeline.make("total", { totalTimeout: "3 seconds" })
      const hung = yield* play(total, () => Effect.never)
      assert.deepStrictEqual([hung.got, hung.at], ["TimedOut", 3_000])
      assert.deepInclude(errorOf(hung.exit), { policy: "total", limit: "total" })

      const attempt = yield* Pipeline.make("attempt", { attemptTimeout: "2 seconds" })
      const cut = yield* play(attempt, () => Effect.never)
      assert.deepStrictEqual([cut.got, cut.at], ["TimedOut", 2_000])
      assert.deepInclude(errorOf(cut.exit), { policy: "attempt", limit: "attempt" })

      const retry = yield* Pipeline.make("retry", { retry: { times: 2, ...constant } })
      assert.deepStrictEqual((yield* play(retry, fails)).starts, [0, 1_000, 2_000])

      const breaker = yield* Pipeline.make("breaker", { circuitBreaker: fragile })
      assert.strictEqual((yield* play(breaker, fails)).got, "Boom")
      const refused = yield* play(breaker, fails)
      assert.deepStrictEqual([refused.got, refused.starts], ["CircuitOpen", []])
      assert.deepInclude(errorOf(refused.exit), { policy: "breaker" })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("lets the total timeout cover attempts and waits", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { totalTimeout: "2500 millis", retry: { times: 9, ...constant } })
      const { at, got, starts } = yield* play(pipeline, (n) => n < 3 ? fails(n) : Effect.never)
      assert.deepStrictEqual({ at, got, starts }, { at: 2_500, got: "TimedOut", starts: [0, 1_000, 2_000] })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("retries attempts that were cut by the attempt timeout, each with its full time", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 2, ...constant }, attemptTimeout: "3 seconds" })
      const { at, got, starts } = yield* play(pipeline, () => Effect.never)
      assert.deepStrictEqual({ at, got, starts }, { at: 11_000, got: "TimedOut", starts: [0, 4_000, 8_000] })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("lets the breaker see every attempt, and ends with the last error where a retry would be refused", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 9, ...constant },
        circuitBreaker: { trip: { kind: "consecutive", failures: 3 }, open: "1 minute" }
      })
      const { at, got, starts } = yield* play(pipeline, fails)
      assert.deepStrictEqual({ at, got, starts }, { at: 2_000, got: "Boom", starts: [0, 1_000, 2_000] })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("refuses a retry whose circuit was opened by another call while it waited", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 9, ...constant },
        circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, open: "1 minute" }
      })
      const { starts, work } = recorded(fails)
      const waiting = yield* start(Effect.exit(pipeline.protect(work)))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(brief(yield* Effect.exit(pipeline.protect(fails(1)))), "Boom")
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(brief(yield* Fiber.join(waiting)), "CircuitOpen")
      assert.deepStrictEqual(starts, [0])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("retries where the circuit will be half-open by then", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 1, ...constant },
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 }, open: "1 second" }
      })
      const { got, starts } = yield* play(pipeline, (n) => n === 1 ? fails(n) : Effect.succeed("answer"))
      assert.deepStrictEqual({ got, starts }, { got: "answer", starts: [0, 1_000] })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("ends what an attempt has forked as a child with that attempt, also without an attempt timeout", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 1, ...constant } })
      const ended: Array<number> = []
      yield* play(pipeline, (n) =>
        Effect.never.pipe(
          Effect.onInterrupt(() => Effect.map(now, (at) => ended.push(at))),
          Effect.forkChild({ startImmediately: true }),
          Effect.andThen(fails(n))
        ))
      assert.deepStrictEqual(ended, [0, 1_000])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("waits for an open circuit where the retry is told to", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 9, ...constant, retryCircuitOpen: true },
        circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, open: "10 seconds" }
      })
      const call = play(pipeline, (n) => n < 3 ? fails(n) : Effect.succeed("answer"))
      const { got, starts } = yield* call.pipe(drawing(0.5))
      // refused at 2 s with 9 s left, plus half a second of jitter
      assert.deepStrictEqual({ got, starts }, { got: "answer", starts: [0, 1_000, 11_500] })
      assert.strictEqual(yield* stateOf(present(pipeline.circuitBreaker)), "Closed")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("does not blame the dependency for an attempt that the total timeout gave less than its due", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        totalTimeout: "5 seconds",
        retry: { times: 1, ...constant },
        circuitBreaker: {},
        attemptTimeout: "3 seconds"
      })
      yield* play(pipeline, () => Effect.never)
      assert.deepInclude((yield* present(pipeline.circuitBreaker).snapshot).calls, { failure: 1, ignored: 1 })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("never repeats work that is not idempotent", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 9, ...constant } })
      assert.strictEqual((yield* play(pipeline, fails, { idempotent: true })).starts.length, 10)
      assert.strictEqual((yield* play(pipeline, fails, { idempotent: false })).starts.length, 1)
      const result = yield* play(pipeline, Effect.succeed, { idempotent: false, retryIf: () => true })
      assert.strictEqual(result.starts.length, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("retries by result and disposes what it discards", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 9, ...constant }, circuitBreaker: {} })
      const disposed: Array<number> = []
      const { got } = yield* play(pipeline, Effect.succeed, {
        retryIf: (n) => n < 3,
        dispose: (n) => Effect.sync(() => disposed.push(n))
      })
      assert.strictEqual(got, 3)
      assert.deepStrictEqual(disposed, [1, 2])
      assert.deepInclude((yield* present(pipeline.circuitBreaker).snapshot).calls, { success: 3, failure: 0 })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("classifies alike for breaker and retry, and a call goes before its pipeline", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 1, ...constant },
        circuitBreaker: {},
        classify: (exit) => Exit.isFailure(exit) ? Outcome.success : undefined
      })
      assert.strictEqual((yield* play(pipeline, fails)).starts.length, 1)
      assert.deepInclude((yield* present(pipeline.circuitBreaker).snapshot).calls, { success: 1, failure: 0 })
      assert.strictEqual((yield* play(pipeline, fails, { classify: () => Outcome.failure() })).starts.length, 2)
      assert.deepInclude((yield* present(pipeline.circuitBreaker).snapshot).calls, { success: 1, failure: 2 })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("asks a classifier about the work alone, never about its own timeouts and refusals", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const pipeline = yield* Pipeline.make("p", {
        totalTimeout: "1 minute",
        retry: { times: 9, ...constant },
        circuitBreaker: { trip: { kind: "consecutive", failures: 3 }, open: "30 days" },
        attemptTimeout: "1 second",
        classify: (exit) => {
          asked.push(brief(exit))
          return Outcome.failure()
        }
      })
      const { got, starts } = yield* play(pipeline, (n) => n === 2 ? Effect.never : fails(n))
      assert.strictEqual(starts.length, 3)
      assert.strictEqual(got, "Boom")
      assert.strictEqual((yield* play(pipeline, fails)).got, "CircuitOpen")
      assert.deepStrictEqual([...new Set(asked)], ["Boom"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("wraps the last error in its own name where that is asked for", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("quotes", { retry: { times: 2, ...constant, onExhausted: "wrap" } })
      const { exit } = yield* play(pipeline, fails)
      const error = errorOf(exit)
      assert.instanceOf(error, Retry.RetriesExhausted)
      assert.deepInclude(error, {
        policy: "quotes",
        attempts: 3,
        elapsed: Duration.seconds(2),
        lastError: new Boom({ n: 3 })
      })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("fails with DeadlineExceeded where the caller's deadline is sooner than its timeouts", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { totalTimeout: "5 seconds", attemptTimeout: "2 seconds" })
      const { at, exit } = yield* drive(pipeline.protect(Effect.never).pipe(Deadline.within("1 second")))
      assert.strictEqual(brief(exit), "DeadlineExceeded")
      assert.strictEqual(at, 1_000)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("can be used point-free, as a policy, and nested in another", () =>
    Effect.gen(function*() {
      const inner = yield* Pipeline.make("inner", { retry: { times: 1, ...constant } })
      const outer = yield* Pipeline.make("outer", { totalTimeout: "10 seconds", retry: { times: 1, ...constant } })
      const { starts, work } = failing()
      yield* drive(work.pipe(inner.protect, outer.protect))
      assert.deepStrictEqual(starts, [0, 1_000, 2_000, 3_000])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("interrupts the work with its caller", () =>
    Effect.gen(function*() {
      let released = 0
      const pipeline = yield* Pipeline.make("p", {
        totalTimeout: "1 hour",
        retry: {},
        circuitBreaker: fragile,
        attemptTimeout: "1 hour"
      })
      const work = Effect.onInterrupt(Effect.never, () => Effect.sync(() => released++))
      const fiber = yield* start(ended(pipeline.protect(work)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(released, 1)
      assert.deepInclude(yield* present(pipeline.circuitBreaker).snapshot, { state: "Closed" })
      assert.strictEqual((yield* present(pipeline.circuitBreaker).snapshot).calls.ignored, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("passes services through to the work", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { totalTimeout: "1 second", retry: {}, attemptTimeout: "1 second" })
      class Greeting extends Pipeline.Service<Greeting>()("greeting", {}) {}
      const name = Effect.map(Greeting, ({ name }) => name)
      assert.strictEqual(yield* pipeline.protect(name).pipe(Effect.provide(Greeting.layer)), "greeting")
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("Pipeline: state", () => {
  const options = { circuitBreaker: fragile } as const

  it.effect("is shared by pipelines of one name, and never between names", () =>
    Effect.gen(function*() {
      const first = yield* Pipeline.make("one", options)
      const second = yield* Pipeline.make("one", options)
      const other = yield* Pipeline.make("two", options)
      assert.strictEqual(first.circuitBreaker, second.circuitBreaker)
      assert.notStrictEqual(first.circuitBreaker, other.circuitBreaker)
      yield* play(first, fails)
      assert.strictEqual((yield* play(second, fails)).got, "CircuitOpen")
      assert.strictEqual((yield* play(other, fails)).got, "Boom")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("may be asked for with options that say the same in other words", () =>
    Effect.gen(function*() {
      const first = yield* Pipeline.make("one", { circuitBreaker: {} })
      const second = yield* Pipeline.make("one", {
        circuitBreaker: {
          trip: { kind: "consecutive", failures: 5 },
          open: Duration.seconds(30),
          halfOpen: { calls: 1 }
        }
      })
      assert.strictEqual(first.circuitBreaker, second.circuitBreaker)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("may be asked for again with the same function or schedule", () =>
    Effect.gen(function*() {
      const withSchedule = { circuitBreaker: { open: Schedule.exponential("1 second") } }
      const withFunction = { circuitBreaker: { open: (n: number) => Duration.seconds(n + 1) } }
      for (const [name, options] of [["schedule", withSchedule], ["function", withFunction]] as const) {
        const first = yield* Pipeline.make(name, options)
        const second = yield* Pipeline.make(name, options)
        assert.strictEqual(first.circuitBreaker, second.circuitBreaker)
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("leaves the other parts to each pipeline of the name", () =>
    Effect.gen(function*() {
      const patient = yield* Pipeline.make("one", { ...options, attemptTimeout: "1 minute" })
      const hasty = yield* Pipeline.make("one", { ...options, attemptTimeout: "1 second" })
      assert.strictEqual((yield* play(patient, () => Effect.sleep("30 seconds"))).got, undefined)
      assert.strictEqual((yield* play(hasty, () => Effect.sleep("30 seconds"))).got, "TimedOut")
      assert.strictEqual((yield* play(patient, () => Effect.void)).got, "CircuitOpen")
    }).pipe(Effect.provide(Resilience.layer)))
})

class Quotes extends Pipeline.Service<Quotes>()("quotes", {
  totalTimeout: "1 minute",
  retry: { times: 2, ...constant },
  circuitBreaker: { trip: { kind: "consecutive", failures: 3 }, open: "10 seconds" },
  attemptTimeout: "2 seconds"
}) {}

describe("Pipeline.Service", () => {
  it.effect("keeps its state in Resilience, however often its layer is provided", () =>
    Effect.gen(function*() {
      const call = Effect.flatMap(Quotes, (quotes) => quotes.protect(Effect.fail("down"))).pipe(
        Effect.provide(Quotes.layer)
      )
      const first = yield* drive(call, "3 seconds")
      assert.strictEqual(brief(first.exit), "down")
      const second = yield* drive(call, "3 seconds")
      assert.strictEqual(brief(second.exit), "CircuitOpen")
      const snapshots = yield* (yield* Resilience.Resilience).snapshots
      assert.deepStrictEqual(snapshots.map(({ circuitBreaker, name }) => [name, circuitBreaker?.state]), [[
        "quotes",
        "Open"
      ]])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("in a test does not wait between attempts, unless told to", () =>
    Effect.gen(function*() {
      const { starts, work } = failing()
      const call = Effect.flatMap(Quotes, (quotes) => Effect.exit(quotes.protect(work)))
      assert.strictEqual(brief(yield* call.pipe(Effect.provide(Quotes.layerTest()))), "Boom")
      assert.deepStrictEqual(starts, [0, 0, 0])
      yield* drive(call.pipe(Effect.provide(Quotes.layerTest({ delays: true }))))
      assert.deepStrictEqual(starts.slice(3), [0, 1_000, 2_000])
    }))

  it.effect("in a test starts its breaker in the state that is asked for", () =>
    Effect.gen(function*() {
      const call = Effect.flatMap(Quotes, (quotes) => Effect.exit(quotes.protect(Effect.succeed("answer"))))
      const state = Effect.flatMap(Quotes, ({ circuitBreaker }) => stateOf(present(circuitBreaker)))
      for (const asked of ["Closed", "Open", "HalfOpen"] as const) {
        const layer = Quotes.layerTest({ circuitBreaker: asked })
        assert.strictEqual(yield* state.pipe(Effect.provide(layer)), asked)
        const got = brief(yield* call.pipe(Effect.provide(layer)))
        assert.strictEqual(got, asked === "Open" ? "CircuitOpen" : "answer")
      }
    }))

  it.effect("in a test has an open breaker that stays open for its full time", () =>
    Effect.gen(function*() {
      const { circuitBreaker } = yield* Quotes
      assert.deepInclude(yield* present(circuitBreaker).snapshot, { openings: 1, retryAfter: Duration.seconds(10) })
      yield* TestClock.adjust(9_999)
      yield* feed(present(circuitBreaker), "S")
      assert.strictEqual(yield* stateOf(present(circuitBreaker)), "Open")
      yield* TestClock.adjust(1)
      yield* feed(present(circuitBreaker), "S")
      assert.strictEqual(yield* stateOf(present(circuitBreaker)), "Closed")
    }).pipe(Effect.provide(Quotes.layerTest({ circuitBreaker: "Open" }))))

  it.effect("in a test meets scripted faults, one an attempt, and then the work itself", () =>
    Effect.gen(function*() {
      const quotes = yield* Quotes
      const { starts, work } = recorded(Effect.succeed)
      const call = quotes.protect(work)
      // fail, hang until the attempt timeout, then the work
      const first = yield* drive(call)
      assert.deepStrictEqual(first, { exit: Exit.succeed(1), at: 2_000 })
      const second = yield* drive(call)
      assert.strictEqual(brief(second.exit), "die")
      const third = yield* drive(call)
      assert.deepStrictEqual(third.exit, Exit.succeed(2))
      assert.strictEqual(starts.length, 2)
      assert.deepInclude((yield* present(quotes.circuitBreaker).snapshot).calls, { success: 2, failure: 3 })
    }).pipe(Effect.provide(Quotes.layerTest({
      faults: [{ kind: "fail", error: new Boom({ n: 0 }) }, { kind: "hang" }, { kind: "pass" }, {
        kind: "die",
        defect: "bug"
      }]
    }))))

  it.effect("in a test can be made to do nothing at all", () =>
    Effect.gen(function*() {
      const quotes = yield* Quotes
      const { starts, work } = failing()
      for (let call = 1; call <= 10; call++) {
        assert.strictEqual((yield* Effect.flip(quotes.protect(work)))._tag, "Boom")
        assert.strictEqual(starts.length, call)
      }
    }).pipe(Effect.provide(Quotes.layerTest({ passThrough: true, circuitBreaker: "Open" }))))

  it.effect("in a test has state and faults of its own each time", () =>
    Effect.gen(function*() {
      const layer = Quotes.layerTest({ faults: [{ kind: "die", defect: "bug" }] })
      const call = Effect.flatMap(Quotes, (quotes) => Effect.exit(quotes.protect(Effect.succeed("answer"))))
      for (let n = 0; n < 2; n++) {
        assert.strictEqual(brief(yield* call.pipe(Effect.provide(layer))), "die")
      }
    }))
})

describe("Pipeline: events", () => {
  it.effect("tell a failing call from its first retry to its recovery, in order", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const quotes = yield* Pipeline.make("quotes", {
        totalTimeout: "5 seconds",
        retry: { times: 2, ...constant },
        circuitBreaker: { trip: { kind: "consecutive", failures: 4 }, open: "10 seconds" },
        attemptTimeout: "2 seconds"
      })
      const events = yield* listen(resilience)
      const call = (work: Effect.Effect<unknown, Boom>) =>
        drive(quotes.protect(work, { operation: "latest" }), "6 seconds")
      const boom = new Boom({ n: 1 })
      const of = (call: number) => ({ pipeline: "quotes", operation: "latest", call })

      yield* call(Effect.fail(boom))
      assert.deepStrictEqual(events.splice(0), [
        { _tag: "Retrying", at: 0, ...of(1), attempt: 1, attempts: 3, delay: Duration.seconds(1), reason: boom },
        { _tag: "Retrying", at: 1_000, ...of(1), attempt: 2, attempts: 3, delay: Duration.seconds(1), reason: boom },
        { _tag: "RetriesExhausted", at: 2_000, ...of(1), attempts: 3, reason: boom }
      ])

      // the fourth failure in a row is a hung attempt, at 8 s
      yield* call(Effect.never)
      const timedOut = new Timeout.TimedOut({ policy: "quotes", limit: "attempt", after: Duration.seconds(2) })
      assert.deepStrictEqual(events.splice(0), [
        {
          _tag: "CircuitOpened",
          at: 8_000,
          pipeline: "quotes",
          from: "Closed",
          openFor: Duration.seconds(10),
          because: "failures",
          reason: timedOut
        },
        { _tag: "TimedOut", at: 8_000, ...of(2), limit: "attempt" },
        { _tag: "RetryDeclined", at: 8_000, ...of(2), attempt: 1, because: "circuitBreaker", reason: timedOut }
      ])

      yield* call(Effect.void)
      assert.deepStrictEqual(events.splice(0), [
        { _tag: "Refused", at: 12_000, ...of(3), by: "circuitBreaker", retryAfter: Duration.seconds(6) }
      ])
      yield* call(Effect.fail(boom))
      assert.deepStrictEqual(events.splice(0), [
        { _tag: "CircuitHalfOpened", at: 18_000, pipeline: "quotes" },
        {
          _tag: "CircuitOpened",
          at: 18_000,
          pipeline: "quotes",
          from: "HalfOpen",
          openFor: Duration.seconds(10),
          because: "failures",
          reason: boom
        },
        { _tag: "RetryDeclined", at: 18_000, ...of(4), attempt: 1, because: "circuitBreaker", reason: boom }
      ])
      yield* TestClock.adjust("10 seconds")
      yield* call(Effect.void)
      assert.deepStrictEqual(events.splice(0), [
        { _tag: "CircuitHalfOpened", at: 34_000, pipeline: "quotes" },
        { _tag: "CircuitClosed", at: 34_000, pipeline: "quotes" }
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("tell of total timeouts and deadlines once", () =>
    Effect.gen(function*() {
      const total = yield* Pipeline.make("total", { totalTimeout: "1 second", retry: {}, attemptTimeout: "1 minute" })
      const events = yield* listen(yield* Resilience.Resilience)
      yield* drive(total.protect(Effect.never), "2 seconds")
      yield* drive(total.protect(Effect.never).pipe(Deadline.within("500 millis")), "2 seconds")
      const of = { pipeline: "total", operation: "" }
      assert.deepStrictEqual(events, [
        { _tag: "TimedOut", at: 1_000, ...of, call: 1, limit: "total" },
        { _tag: "TimedOut", at: 2_500, ...of, call: 2, limit: "deadline" }
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("of two nested pipelines are told by the one that they happen to", () =>
    Effect.gen(function*() {
      const inner = yield* Pipeline.make("inner", { attemptTimeout: "1 second" })
      const outer = yield* Pipeline.make("outer", { totalTimeout: "1 minute", circuitBreaker: {} })
      const events = yield* listen(yield* Resilience.Resilience)
      yield* drive(Effect.never.pipe(inner.protect, outer.protect), "2 seconds")
      assert.deepStrictEqual(events, [
        { _tag: "TimedOut", at: 1_000, pipeline: "inner", operation: "", call: 2, limit: "attempt" }
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("are not told by a retry that is told to keep to one attempt", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", { retry: { times: 3, ...constant } })
      const events = yield* listen(yield* Resilience.Resilience)
      yield* drive(pipeline.protect(Effect.fail("down"), { idempotent: false }), "9 seconds")
      assert.deepStrictEqual(events, [])
    }).pipe(Effect.provide(Resilience.layer)))
})
