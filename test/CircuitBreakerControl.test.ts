import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Equal, Exit, Fiber, Ref, Result, Schedule, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Timeout } from "../src/index.ts"
import { admits, Boom, boom, errorOf, feed, manualClock, present, Says, start, stateOf } from "./support.ts"

/** A breaker that tells what becomes of it. */
const watched = (options: CircuitBreaker.Options) => {
  const told: Array<CircuitBreaker.Transition> = []
  const breaker = CircuitBreaker.makeUnsafe("watched", CircuitBreaker.settings(options), {
    onTransition: (transition) => told.push(transition)
  })
  return { breaker, told }
}

/** What a function throws. */
const thrownBy = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  return undefined
}

/** A handle that is held until `release`. */
const hold = Effect.fnUntraced(function*(mode: Effect.Effect<void, never, Scope.Scope>) {
  const scope = yield* Scope.make()
  yield* Scope.provide(mode, scope)
  return { release: Scope.close(scope, Exit.void) }
})

/** Work of a given length. */
const lasting = (millis: number, then: Effect.Effect<void, Boom | Says> = Effect.void) =>
  Effect.andThen(Effect.sleep(millis), then)

/** Runs calls of a given length, one after another. */
const takes = (breaker: CircuitBreaker.CircuitBreaker, ...lengths: ReadonlyArray<number>) =>
  Effect.forEach(lengths, (millis) =>
    Effect.gen(function*() {
      const fiber = yield* start(Effect.exit(breaker.protect(lasting(millis))))
      yield* TestClock.adjust(millis)
      yield* Fiber.join(fiber)
    }), { discard: true })

describe("CircuitBreaker: slow calls", () => {
  const slow = {
    kind: "slow",
    threshold: 0.5,
    slowerThan: "1 second",
    minimumCalls: 2,
    window: { calls: 4 }
  } as const

  it.effect("are those that take longer than the threshold, and not those that take as long", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("edge", { trip: slow })
      yield* takes(breaker, 1_000, 1_000, 1_000, 1_000)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* takes(breaker, 1_001, 1_001)
      assert.strictEqual(yield* stateOf(breaker), "Open")
      assert.deepStrictEqual((yield* breaker.snapshot).timing, {
        calls: 6,
        slow: 2,
        total: Duration.millis(6_002),
        longest: Duration.millis(1_001)
      })
    }))

  it.effect("open a breaker whether they fail or not, and failures that are quick do not", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("failures", { trip: slow })
      yield* feed(breaker, "FFFFFF")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      for (const _ of [1, 2]) {
        const call = yield* start(Effect.exit(breaker.protect(lasting(2_000, boom))))
        yield* TestClock.adjust(2_000)
        yield* Fiber.join(call)
      }
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("with a rate of failures beside it, either opens it, each by its own window", () =>
    Effect.gen(function*() {
      const trip = [
        { kind: "rate", threshold: 0.5, minimumCalls: 4, window: { calls: 10 } },
        { kind: "slow", threshold: 1, slowerThan: "1 second", minimumCalls: 2, window: { calls: 2 } }
      ] as const
      const failing = yield* CircuitBreaker.make("failing", { trip })
      yield* feed(failing, "FSFS")
      assert.strictEqual(yield* stateOf(failing), "Open")

      const slowing = yield* CircuitBreaker.make("slowing", { trip })
      yield* feed(slowing, "SSS")
      yield* takes(slowing, 2_000)
      assert.strictEqual(yield* stateOf(slowing), "Closed")
      yield* takes(slowing, 2_000)
      assert.strictEqual(yield* stateOf(slowing), "Open")
      assert.deepStrictEqual((yield* slowing.snapshot).windows, [
        { trip: "rate", calls: 5, against: 0 },
        { trip: "slow", calls: 2, against: 2 }
      ])
    }))

  it.effect("count where they were cut short past the threshold, although nobody is to blame", () =>
    Effect.gen(function*() {
      const cut: Record<string, (breaker: CircuitBreaker.CircuitBreaker) => Effect.Effect<unknown, unknown>> = {
        "a caller's deadline": (breaker) =>
          breaker.protect(Effect.never, { attemptTimeout: "1 minute" }).pipe(Deadline.within("2 seconds")),
        // the attempt timeout shrinks to the deadline, and says so by an error of its own
        "a deadline that an attempt timeout has met": (breaker) =>
          breaker.protect(Timeout.attempt("1 minute")(Effect.never), { attemptTimeout: "1 minute" }).pipe(
            Deadline.within("2 seconds")
          ),
        "a caller who went away": (breaker) => Effect.timeout(breaker.protect(Effect.never), "2 seconds")
      }
      for (const [who, call] of Object.entries(cut)) {
        const breaker = yield* CircuitBreaker.make(who, {
          trip: [slow, { kind: "rate", threshold: 0.1, minimumCalls: 1, window: { calls: 10 } }]
        })
        for (const _ of [1, 2]) {
          const fiber = yield* start(Effect.exit(call(breaker)))
          yield* TestClock.adjust("2 seconds")
          yield* Fiber.join(fiber)
        }
        const { calls, state, windows } = yield* breaker.snapshot
        assert.deepInclude(calls, { ignored: 2, failure: 0 }, who)
        assert.strictEqual(state, "Open", who)
        assert.deepStrictEqual(windows.map(({ calls }) => calls), [2, 0], who)
      }
    }))

  it.effect("do not count where they were cut short before it", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("patient", { trip: { ...slow, minimumCalls: 1 } })
      const call = yield* start(
        Effect.exit(breaker.protect(Effect.never, { attemptTimeout: "1 minute" }).pipe(Deadline.within("1 second")))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(call)
      assert.deepInclude(yield* breaker.snapshot, { windows: [{ trip: "slow", calls: 0, against: 0 }] })
    }))

  it.effect("are not those that say nothing, nor overloads, however long they took", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("nothing", { trip: { ...slow, minimumCalls: 1 } })
      for (const outcome of [Outcome.ignored, Outcome.overload()]) {
        const fiber = yield* start(Effect.exit(breaker.protect(lasting(10_000, Effect.fail(Says.of(outcome))))))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
      }
      const { state, timing, windows } = yield* breaker.snapshot
      assert.strictEqual(state, "Closed")
      assert.strictEqual(present(timing).slow, 0)
      assert.deepStrictEqual(windows, [{ trip: "slow", calls: 0, against: 0 }])
    }))

  it.effect("count against closing when half-open, as failures do", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("half-open", {
        trip: [slow, { kind: "consecutive", failures: 1 }],
        open: "1 second",
        halfOpen: { calls: 2, successes: 1 }
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("1 second")
      yield* takes(breaker, 2_000)
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", failures: 1, successes: 0 })
      yield* takes(breaker, 2_000)
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("where a probe that hangs is cut short by its caller, that is an answer", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("hanging", {
        trip: [slow, { kind: "consecutive", failures: 1 }],
        open: "1 second"
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("1 second")
      const probe = yield* start(breaker.protect(Effect.never))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.interrupt(probe)
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("the clock is read at entry only where a trip asks for them", () =>
    Effect.gen(function*() {
      const { clock } = manualClock()
      let readings = 0
      const counting: Clock.Clock = {
        ...clock,
        monotonicTimeNanosUnsafe: () => {
          readings++
          return clock.monotonicTimeNanosUnsafe()
        }
      }
      const readingsOf = Effect.fnUntraced(function*(trip: CircuitBreaker.Options["trip"], letters: string) {
        const breaker = yield* CircuitBreaker.make("readings", { trip })
        readings = 0
        yield* Effect.provideService(feed(breaker, letters), Clock.Clock, counting)
        return readings
      })
      const window = { duration: "1 minute" } as const
      assert.strictEqual(yield* readingsOf({ kind: "consecutive", failures: 5 }, "SFSF"), 0)
      assert.strictEqual(yield* readingsOf({ kind: "rate", threshold: 1, window: { calls: 10 } }, "SFSF"), 0)
      assert.strictEqual(yield* readingsOf({ kind: "consecutive", failures: 5, forgetAfter: "1 minute" }, "SFSF"), 2)
      assert.strictEqual(yield* readingsOf({ kind: "rate", threshold: 1, window }, "SFSF"), 4)
      assert.strictEqual(yield* readingsOf({ kind: "slow", threshold: 1, slowerThan: 1, window }, "SFSF"), 8)
    }))
})

describe("CircuitBreaker: consecutive failures that are forgotten", () => {
  it.effect("are forgotten when the last of them is so old, each failure keeping those before it", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("forgetful", {
        trip: { kind: "consecutive", failures: 4, forgetAfter: "10 seconds" }
      })
      const length = Effect.map(breaker.snapshot, ({ windows }) => present(windows[0]).calls)
      yield* feed(breaker, "F")
      yield* TestClock.adjust(9_999)
      yield* feed(breaker, "F")
      yield* TestClock.adjust(9_999)
      yield* feed(breaker, "F")
      assert.strictEqual(yield* length, 3)
      yield* TestClock.adjust(10_000)
      assert.strictEqual(yield* length, 0)
      yield* feed(breaker, "FFF")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("are not where nothing is said", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("unforgiving", { trip: { kind: "consecutive", failures: 2 } })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("365 days")
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))
})

describe("CircuitBreaker: a half-open phase that lasts too long", () => {
  const hung = Effect.fnUntraced(function*(halfOpen: CircuitBreaker.HalfOpen, open: CircuitBreaker.Options["open"]) {
    const { breaker, told } = watched({ trip: { kind: "consecutive", failures: 1 }, open, halfOpen })
    yield* feed(breaker, "F")
    yield* TestClock.adjust("5 seconds")
    const result = yield* Deferred.make<void>()
    const probe = yield* start(Effect.exit(breaker.protect(Deferred.await(result))))
    assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 1 })
    told.length = 0
    return { breaker, told, probe, end: Effect.andThen(Deferred.succeed(result, undefined), Fiber.join(probe)) }
  })

  it.effect("is open from the moment on at which it had, whoever notices and when", () =>
    Effect.gen(function*() {
      const { breaker, told } = yield* hung({ maxDuration: "10 seconds" }, "5 seconds")
      yield* TestClock.adjust("12 seconds")
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2, retryAfter: Duration.seconds(3) })
      assert.deepStrictEqual(told, [
        {
          to: "Open",
          from: "HalfOpen",
          openFor: Duration.seconds(5),
          because: "failures",
          exit: undefined,
          key: undefined
        }
      ])
    }))

  it.effect("lets a probe through at once where its open time has passed as well", () =>
    Effect.gen(function*() {
      const { breaker, end, told } = yield* hung({ maxDuration: "10 seconds" }, "5 seconds")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* admits(breaker), true)
      assert.deepStrictEqual(told.map(({ to }) => to), ["Open", "HalfOpen", "Closed"])
      // what hung ends late, and changes nothing
      const before = yield* Ref.get(breaker.phase)
      yield* end
      assert.strictEqual(yield* Ref.get(breaker.phase), before)
    }))

  it.effect("does not count a probe that ends too late, although nobody had noticed until then", () =>
    Effect.gen(function*() {
      const { breaker, end } = yield* hung({ maxDuration: "10 seconds" }, "5 seconds")
      yield* TestClock.adjust("10 seconds")
      yield* end
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2 })
      const inTime = yield* hung({ maxDuration: "10 seconds" }, "5 seconds")
      yield* TestClock.adjust(9_999)
      yield* inTime.end
      assert.strictEqual(yield* stateOf(inTime.breaker), "Closed")
    }))

  it.effect("follows the schedule of openings", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("5 seconds")
      const { breaker } = yield* hung({ maxDuration: "10 seconds" }, schedule)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* breaker.snapshot).retryAfter, Duration.seconds(10))
    }))

  it.effect("refuses before anything is spent", () =>
    Effect.gen(function*() {
      const { breaker } = yield* hung({ maxDuration: "10 seconds" }, "5 seconds")
      const clock = yield* Clock.Clock
      assert.strictEqual(breaker.refusal(clock)?.retryAfter, undefined)
      assert.instanceOf(breaker.refusal(clock), CircuitBreaker.CircuitOpen)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(breaker.refusal(clock)?.retryAfter, Duration.seconds(5))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(breaker.refusal(clock), undefined)
      // it has only looked
      assert.strictEqual(yield* stateOf(breaker), "Open")
      assert.strictEqual((yield* breaker.snapshot).calls.refused, 3)
    }))
})

describe("CircuitBreaker: manual control", () => {
  const options = { trip: { kind: "consecutive", failures: 2 }, open: "5 seconds" } as const

  it.effect("force open refuses everything, and says neither until when nor that probes are under way", () =>
    Effect.gen(function*() {
      const { breaker } = watched(options)
      const handle = yield* hold(breaker.forceOpen)
      const refusal = errorOf(yield* Effect.exit(breaker.protect(Effect.die("must not run"))))
      assert.strictEqual(refusal.message, "watched: the circuit is held open by hand")
      assert.deepStrictEqual(Schema.encodeSync(CircuitBreaker.CircuitOpen)(refusal), {
        _tag: "CircuitOpen",
        policy: "watched",
        isForced: true
      })
      assert.deepStrictEqual(breaker.refusal(yield* Clock.Clock), refusal)
      assert.deepInclude(yield* breaker.snapshot, {
        state: "Forced",
        mode: "forcedOpen",
        retryAfter: undefined,
        openings: 0
      })
      assert.strictEqual((yield* breaker.snapshot).calls.refused, 2)
      yield* handle.release
      assert.strictEqual(yield* admits(breaker), true)
    }))

  it.effect("force closed lets everything through and counts it, but looks at no window", () =>
    Effect.gen(function*() {
      const { breaker, told } = watched(options)
      const handle = yield* hold(breaker.forceClosed)
      yield* feed(breaker, "FFFFFF S")
      assert.deepInclude(yield* breaker.snapshot, { state: "Forced", mode: "forcedClosed" })
      assert.deepInclude((yield* breaker.snapshot).calls, { failure: 6, success: 1 })
      yield* handle.release
      // no failure of before is left
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepStrictEqual(told, [
        { to: "Forced", from: "Closed", mode: "forcedClosed", key: undefined },
        { to: "Released", from: "forcedClosed", state: "Closed", key: undefined }
      ])
    }))

  it.effect("an open breaker stands where it stood when it is released, and time has passed for it", () =>
    Effect.gen(function*() {
      const { breaker } = watched(options)
      yield* feed(breaker, "FF")
      yield* TestClock.adjust("1 second")
      const forced = yield* hold(breaker.forceClosed)
      assert.strictEqual(yield* admits(breaker), true)
      assert.deepStrictEqual((yield* breaker.snapshot).beneath, { state: "Open", retryAfter: Duration.seconds(4) })
      yield* TestClock.adjust("1 second")
      yield* forced.release
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 1, retryAfter: Duration.seconds(3) })

      const again = yield* hold(breaker.forceOpen)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* admits(breaker), false)
      yield* again.release
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("a half-open breaker begins with its first probe when it is released, and earlier ones change nothing", () =>
    Effect.gen(function*() {
      const { breaker } = watched(options)
      yield* feed(breaker, "FF")
      yield* TestClock.adjust("5 seconds")
      const probe = yield* start(breaker.protect(Effect.never))
      const handle = yield* hold(breaker.disable)
      assert.deepStrictEqual((yield* breaker.snapshot).beneath, { state: "Open", retryAfter: Duration.zero })
      yield* handle.release
      assert.strictEqual(yield* stateOf(breaker), "Open")
      const second = yield* start(breaker.protect(Effect.never))
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 1 })
      yield* Fiber.interrupt(probe)
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 1 })
      yield* Fiber.interrupt(second)
    }))

  it.effect("the strongest of several modes counts: force open, disable, force closed, metrics only", () =>
    Effect.gen(function*() {
      const { breaker, told } = watched(options)
      const modeNow = Effect.map(breaker.snapshot, ({ mode, state }) => mode ?? state)
      const metrics = yield* hold(breaker.metricsOnly)
      assert.strictEqual(yield* modeNow, "metricsOnly")
      const closed = yield* hold(breaker.forceClosed)
      assert.strictEqual(yield* modeNow, "forcedClosed")
      const open = yield* hold(breaker.forceOpen)
      assert.strictEqual(yield* modeNow, "forcedOpen")
      const disabled = yield* hold(breaker.disable)
      assert.strictEqual(yield* modeNow, "forcedOpen")
      yield* open.release
      assert.strictEqual(yield* modeNow, "disabled")
      yield* metrics.release
      assert.strictEqual(yield* modeNow, "disabled")
      yield* disabled.release
      assert.strictEqual(yield* modeNow, "forcedClosed")
      yield* closed.release
      assert.strictEqual(yield* modeNow, "Closed")
      assert.deepStrictEqual(told.map((one) => one.to === "Forced" ? one.mode : one.to), [
        "metricsOnly",
        "forcedClosed",
        "forcedOpen",
        "disabled",
        "forcedClosed",
        "Released"
      ])
    }))

  it.effect("what was let through before a mode is counted when it ends, and changes nothing", () =>
    Effect.gen(function*() {
      const { breaker } = watched(options)
      const call = yield* start(breaker.protect(Effect.andThen(Effect.sleep(1_000), boom)))
      const other = yield* start(breaker.protect(Effect.andThen(Effect.sleep(1_000), boom)))
      const handle = yield* hold(breaker.disable)
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(call)
      yield* Fiber.await(other)
      yield* handle.release
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepInclude((yield* breaker.snapshot).calls, { failure: 2 })
      assert.deepInclude(present((yield* breaker.snapshot).windows[0]), { calls: 0 })
    }))

  it.effect("what a disabled breaker let through is not counted when it ends after that", () =>
    Effect.gen(function*() {
      const { breaker } = watched({ trip: { kind: "consecutive", failures: 1 } })
      const handle = yield* hold(breaker.disable)
      const call = yield* start(breaker.protect(Effect.andThen(Effect.sleep(1_000), boom)))
      yield* handle.release
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(call)
      const { calls, state } = yield* breaker.snapshot
      assert.strictEqual(state, "Closed")
      assert.deepStrictEqual(calls, { success: 0, failure: 0, overload: 0, ignored: 0, refused: 0 })
    }))

  it.effect("a handle that is interrupted while it is taken is not left behind", () =>
    Effect.gen(function*() {
      const { breaker } = watched(options)
      for (let n = 0; n < 50; n++) {
        const fiber = yield* start(Effect.scoped(Effect.andThen(breaker.forceOpen, Effect.never)))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      }
    }))

  it.effect("reset closes with an empty window, keeps the counters, and makes what is in flight late", () =>
    Effect.gen(function*() {
      const { breaker, told } = watched(options)
      const late = yield* start(breaker.protect(Effect.andThen(Effect.sleep(1_000), boom)))
      yield* feed(breaker, "FF")
      yield* breaker.reset
      const snapshot = yield* breaker.snapshot
      assert.deepInclude(snapshot, { state: "Closed", openings: 0, inFlight: 1 })
      assert.notProperty(snapshot, "openSince")
      assert.deepInclude(snapshot.calls, { failure: 2 })
      yield* feed(breaker, "F")
      yield* breaker.reset
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(late)
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepStrictEqual(told.map(({ to }) => to), ["Open", "Reset", "Reset"])
      assert.deepStrictEqual(told[1], { to: "Reset", from: "Open", key: undefined })
    }))

  it.effect("reset leaves what overrides it, over a closed breaker", () =>
    Effect.gen(function*() {
      const { breaker } = watched(options)
      yield* feed(breaker, "FF")
      const handle = yield* hold(breaker.forceOpen)
      yield* breaker.reset
      assert.strictEqual(yield* admits(breaker), false)
      assert.deepInclude(yield* breaker.snapshot, {
        state: "Forced",
        mode: "forcedOpen",
        beneath: { state: "Closed", retryAfter: undefined }
      })
      yield* handle.release
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("tells of everything that becomes of it, with the call that was the reason", () =>
    Effect.gen(function*() {
      const { breaker, told } = watched(options)
      yield* feed(breaker, "FF")
      yield* TestClock.adjust("5 seconds")
      yield* feed(breaker, "S")
      const failure = Exit.fail(new Boom({ n: 0 }))
      assert.deepStrictEqual<unknown>(told, [
        {
          to: "Open",
          from: "Closed",
          openFor: Duration.seconds(5),
          because: "failures",
          exit: failure,
          key: undefined
        },
        { to: "HalfOpen", from: "Open", key: undefined },
        { to: "Closed", from: "HalfOpen", exit: Exit.void, key: undefined }
      ])
      assert.deepStrictEqual((yield* breaker.snapshot).transitions, { opened: 1, halfOpened: 1, closed: 1, forced: 0 })
    }))

  it.effect("a listener that throws changes nothing", () =>
    Effect.gen(function*() {
      const breaker = CircuitBreaker.makeUnsafe("throwing", CircuitBreaker.settings({ ...options }), {
        onTransition: () => {
          throw new Error("bug in a listener")
        }
      })
      yield* feed(breaker, "FF")
      assert.strictEqual(yield* stateOf(breaker), "Open")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* breaker.protect(Effect.succeed("answer")), "answer")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* Effect.scoped(breaker.forceOpen)
      yield* breaker.reset
      assert.deepInclude(yield* breaker.snapshot, { state: "Closed", inFlight: 0 })
    }))
})

describe("CircuitBreaker.admit", () => {
  const due = Effect.gen(function*() {
    const { breaker } = watched({ trip: { kind: "consecutive", failures: 1 }, open: "5 seconds" })
    yield* feed(breaker, "F")
    yield* TestClock.adjust("5 seconds")
    return breaker
  })

  it.effect("the exit of the scope is the outcome of the call", () =>
    Effect.gen(function*() {
      const breaker = yield* due
      const refused = Effect.scoped(Effect.andThen(breaker.admit, Effect.andThen(breaker.admit, Effect.void)))
      assert.instanceOf(yield* Effect.flip(refused), CircuitBreaker.CircuitOpen)
      // its error was a refusal of our own, which says nothing
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 0 })
      yield* Effect.exit(Effect.scoped(Effect.andThen(breaker.admit, boom)))
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2 })
      yield* TestClock.adjust("5 seconds")
      yield* Effect.scoped(breaker.admit)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepInclude((yield* breaker.snapshot).calls, { failure: 2, ignored: 1, success: 1, refused: 1 })
    }))

  it.effect("an interrupted one gives its probe back", () =>
    Effect.gen(function*() {
      const breaker = yield* due
      const fiber = yield* start(Effect.scoped(Effect.andThen(breaker.admit, Effect.never)))
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 1 })
      assert.strictEqual(yield* admits(breaker), false)
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 0 })
    }))

  it.effect("what is recorded counts at once and once, whatever comes after", () =>
    Effect.gen(function*() {
      const breaker = yield* due
      yield* Effect.scoped(Effect.gen(function*() {
        const admission = yield* breaker.admit
        yield* admission.record(Outcome.failure({ retryAfter: "1 minute" }))
        assert.deepInclude(yield* breaker.snapshot, { state: "Open", retryAfter: Duration.minutes(1), inFlight: 0 })
        yield* admission.record(Outcome.success)
      }))
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2 })
      assert.deepInclude((yield* breaker.snapshot).calls, { failure: 2, success: 0 })
    }))

  it.effect("into a scope that is closed already it is over at once", () =>
    Effect.gen(function*() {
      const breaker = yield* due
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.interrupt())
      yield* Effect.exit(Scope.provide(breaker.admit, scope))
      assert.strictEqual((yield* breaker.snapshot).inFlight, 0)
      assert.strictEqual(yield* admits(breaker), true)
    }))

  it.effect("refuses what is no outcome", () =>
    Effect.gen(function*() {
      const { breaker } = watched({})
      yield* Effect.scoped(Effect.gen(function*() {
        const admission = yield* breaker.admit
        // what JavaScript brings in
        for (const garbage of [{ _tag: "Perhaps" }, undefined, null, "Success"]) {
          assert.throws(
            () => admission.record(garbage as never),
            RangeError,
            "CircuitBreaker: outcome._tag must be one of"
          )
        }
      }))
    }))
})

describe("CircuitBreaker: snapshots", () => {
  const options = { trip: { kind: "consecutive", failures: 1 }, open: "60 seconds" } as const
  /** What is left of a snapshot when it has been text. */
  const throughJson = (snapshot: CircuitBreaker.Snapshot): CircuitBreaker.Snapshot =>
    Schema.decodeUnknownSync(CircuitBreaker.Snapshot)(
      JSON.parse(JSON.stringify(Schema.encodeSync(CircuitBreaker.Snapshot)(snapshot)))
    )
  /** A snapshot of a breaker that has opened, and what it was made from. */
  const opened = Effect.gen(function*() {
    const breaker = yield* CircuitBreaker.make("stored", options)
    yield* feed(breaker, "SSOIF S")
    return { breaker, snapshot: throughJson(yield* breaker.snapshot) }
  })

  it.effect("survive JSON, in every phase and mode", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("stored", {
        ...options,
        trip: [options.trip, { kind: "slow", threshold: 1, slowerThan: 10, window: { duration: 1_000 } }]
      })
      const survives = Effect.gen(function*() {
        const snapshot = yield* breaker.snapshot
        // a key that is `undefined` is not there any more
        assert.deepEqual(JSON.parse(JSON.stringify(throughJson(snapshot))), JSON.parse(JSON.stringify(snapshot)))
        return snapshot.state
      })
      assert.strictEqual(yield* survives, "Closed")
      yield* feed(breaker, "F")
      yield* TestClock.adjust(Duration.millis(1_500.5))
      assert.strictEqual(yield* survives, "Open")
      const handle = yield* hold(breaker.forceOpen)
      assert.strictEqual(yield* survives, "Forced")
      yield* handle.release
      yield* TestClock.adjust("1 minute")
      yield* feed(breaker, "I")
      assert.strictEqual(yield* survives, "HalfOpen")
    }))

  it.effect("restore where it stood and what it had counted, less the time that has passed by the wall clock", () =>
    Effect.gen(function*() {
      const { snapshot } = yield* opened
      yield* TestClock.adjust("20 seconds")
      const breaker = yield* CircuitBreaker.make("stored", options)
      yield* breaker.restore(snapshot)
      assert.deepStrictEqual(yield* breaker.snapshot, {
        name: "stored",
        state: "Open",
        retryAfter: Duration.seconds(40),
        openings: 1,
        openSince: 0,
        takenAt: 20_000,
        inFlight: 0,
        windows: [{ trip: "consecutive", calls: 0, against: 0 }],
        calls: { success: 2, failure: 1, overload: 1, ignored: 1, refused: 1 },
        transitions: { opened: 1, halfOpened: 0, closed: 0, forced: 0 }
      })
    }))

  it.effect("restore a half-open breaker as one that begins with its first probe", () =>
    Effect.gen(function*() {
      const { breaker } = yield* opened
      yield* TestClock.adjust("60 seconds")
      yield* feed(breaker, "I")
      const snapshot = throughJson(yield* breaker.snapshot)
      assert.strictEqual(snapshot.state, "HalfOpen")
      const restored = yield* CircuitBreaker.make("stored", { ...options, open: (openings) => 1_000 * (openings + 1) })
      yield* restored.restore(snapshot)
      yield* feed(restored, "F")
      assert.deepInclude(yield* restored.snapshot, { state: "Open", openings: 2, retryAfter: Duration.seconds(2) })
    }))

  it.effect("restore what lay beneath a mode, and not the mode, whose holders are gone", () =>
    Effect.gen(function*() {
      const { breaker } = yield* opened
      yield* hold(breaker.forceClosed)
      const snapshot = throughJson(yield* breaker.snapshot)
      assert.deepInclude(snapshot, { state: "Forced", mode: "forcedClosed", openings: 1 })
      const restored = yield* CircuitBreaker.make("stored", options)
      yield* restored.restore(snapshot)
      assert.deepInclude(yield* restored.snapshot, { state: "Open", retryAfter: Duration.seconds(60) })
    }))

  it.effect("restore beneath a mode that is in force", () =>
    Effect.gen(function*() {
      const { snapshot } = yield* opened
      const breaker = yield* CircuitBreaker.make("stored", options)
      const handle = yield* hold(breaker.disable)
      yield* breaker.restore(snapshot)
      assert.deepInclude(yield* breaker.snapshot, { state: "Forced", mode: "disabled" })
      yield* handle.release
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", retryAfter: Duration.seconds(60) })
    }))

  it.effect("make calls that are in flight late", () =>
    Effect.gen(function*() {
      const { breaker: source } = yield* opened
      yield* source.reset
      const snapshot = yield* source.snapshot
      const breaker = yield* CircuitBreaker.make("stored", options)
      const call = yield* start(breaker.protect(Effect.andThen(Effect.sleep(1_000), boom)))
      yield* breaker.restore(snapshot)
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(call)
      assert.deepInclude(yield* breaker.snapshot, { state: "Closed", inFlight: 0 })
    }))

  it.effect("neither open a breaker for longer than was left, nor for ever, where the wall clock was set back", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 day")
      const { snapshot } = yield* opened
      yield* TestClock.setTime(0)
      const breaker = yield* CircuitBreaker.make("stored", options)
      yield* breaker.restore(snapshot)
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", retryAfter: Duration.seconds(60) })
    }))

  it.effect("tell that a breaker was restored", () =>
    Effect.gen(function*() {
      const { breaker, told } = watched(options)
      yield* breaker.restore({ ...(yield* opened).snapshot, name: "watched" })
      assert.deepStrictEqual(told, [{ to: "Restored", from: "Closed", state: "Open", key: undefined }])
    }))

  it.effect("are refused where they are malformed, or of another breaker", () =>
    Effect.gen(function*() {
      const { breaker, snapshot } = yield* opened
      const json = Schema.encodeSync(CircuitBreaker.Snapshot)(snapshot)
      const bad: ReadonlyArray<readonly [Record<string, unknown>, string]> = [
        [{ state: "Ajar" }, "at [\"state\"]"],
        [{ state: "Forced" }, "a mode, and what lies beneath it"],
        [{ mode: "forcedOpen" }, "a mode, and what lies beneath it"],
        [{ retryAfter: undefined }, "a retryAfter while it is open"],
        [{ retryAfter: -1 }, "a finite duration of zero or more"],
        [{ retryAfter: "soon" }, "retryAfter"],
        [{ openings: -1 }, "openings"],
        [{ openings: 1.5 }, "openings"],
        [{ takenAt: NaN }, "takenAt"],
        [{ calls: { ...json.calls, failure: -1 } }, "failure"],
        [{ calls: undefined }, "calls"],
        [{ windows: "none" }, "windows"]
      ]
      for (const [change, message] of bad) {
        const decoded = Schema.decodeUnknownResult(CircuitBreaker.Snapshot)({ ...json, ...change })
        assert.isTrue(Result.isFailure(decoded), JSON.stringify(change))
        if (Result.isFailure(decoded)) assert.include(decoded.failure.message, message)
      }
      const refusals: ReadonlyArray<readonly [unknown, string]> = [
        [undefined, "CircuitBreaker: snapshot must be one of a breaker: "],
        [{ ...snapshot, openings: NaN }, "CircuitBreaker: snapshot must be one of a breaker: "],
        // a duration as it stands in JSON has not been decoded
        [json, "CircuitBreaker: snapshot must be one of a breaker: "],
        [{ ...snapshot, name: "other" }, "CircuitBreaker: snapshot.name must be \"stored\", got \"other\""],
        [{ ...snapshot, key: "a" }, "CircuitBreaker: snapshot.key must be undefined, got \"a\""]
      ]
      for (const [garbage, message] of refusals) {
        // what JavaScript brings in
        const thrown = thrownBy(() => breaker.restore(garbage as never))
        assert.instanceOf(thrown, RangeError)
        assert.include(String(thrown), message)
      }
    }))
})

describe("CircuitBreaker.reconfigure", () => {
  const rate = { kind: "rate", threshold: 0.5, minimumCalls: 4, window: { calls: 10 } } as const

  it.effect("keeps the phase, the counters, and the windows that are the same", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("tuned", { trip: rate, open: "5 seconds" })
      yield* feed(breaker, "FFF")
      const wants = CircuitBreaker.settings({
        trip: [
          { kind: "slow", threshold: 1, slowerThan: "1 second", window: { calls: 10 } },
          { ...rate, threshold: 1, minimumCalls: 5 },
          { kind: "count", failures: 9, window: { calls: 10 } }
        ],
        open: "1 minute"
      })
      yield* breaker.reconfigure(wants)
      assert.strictEqual(breaker.settings, wants)
      // the second of two windows that are the same starts empty, and no call is counted twice
      assert.deepStrictEqual((yield* breaker.snapshot).windows, [
        { trip: "slow", calls: 0, against: 0 },
        { trip: "rate", calls: 3, against: 3 },
        { trip: "count", calls: 0, against: 0 }
      ])
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* feed(breaker, "F")
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", retryAfter: Duration.minutes(1) })
      assert.deepInclude((yield* breaker.snapshot).calls, { failure: 5 })
    }))

  it.effect("leaves an opening as long as it was, and probes where they are", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("tuned", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds",
        halfOpen: { concurrent: 2, calls: 2 }
      })
      yield* feed(breaker, "F")
      yield* breaker.reconfigure(CircuitBreaker.settings({ open: "1 hour" }))
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", retryAfter: Duration.seconds(5) })
      yield* breaker.reconfigure(CircuitBreaker.settings({ halfOpen: { concurrent: 2, calls: 2 } }))
      yield* TestClock.adjust("5 seconds")
      const probes = yield* Effect.forEach([1, 2], () => start(breaker.protect(Effect.sleep("1 second"))))
      yield* breaker.reconfigure(CircuitBreaker.settings({ halfOpen: { concurrent: 1, calls: 2 } }))
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 2 })
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach(probes, Fiber.join)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("a call that began before slow calls were asked for, or ends after, is not slow", () =>
    Effect.gen(function*() {
      const slow = CircuitBreaker.settings({
        trip: { kind: "slow", threshold: 0.1, slowerThan: 1, minimumCalls: 1, window: { calls: 10 } }
      })
      const breaker = yield* CircuitBreaker.make("tuned", {})
      const before = yield* start(breaker.protect(Effect.sleep("1 second")))
      yield* breaker.reconfigure(slow)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(before)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      const after = yield* start(breaker.protect(Effect.sleep("1 second")))
      yield* breaker.reconfigure(CircuitBreaker.settings())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(after)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepInclude((yield* breaker.snapshot).calls, { success: 2 })
    }))
})

describe("CircuitBreaker: options", () => {
  const window = { calls: 10 }
  const cases: ReadonlyArray<readonly [options: unknown, message: string]> = [
    [{ trip: [] }, "CircuitBreaker: trip must be a trip, or a list of at least one, got []"],
    [{ trip: [undefined] }, "CircuitBreaker: trip[0].kind must be consecutive, count, rate or slow, got undefined"],
    [{ trip: ["slow"] }, "CircuitBreaker: trip[0].kind must be consecutive, count, rate or slow, got \"slow\""],
    [
      { trip: [{ kind: "consecutive", failures: 1 }, { kind: "consecutive", failures: 0 }] },
      "CircuitBreaker: trip[1].failures must be an integer >= 1, got 0"
    ],
    [
      { trip: [{ kind: "rate", threshold: 1, window: { calls: 0 } }] },
      "CircuitBreaker: trip[0].window.calls must be an integer from 1 to 1000000, got 0"
    ],
    [
      { trip: [{ kind: "rate", threshold: 1, window: { cals: 1 } }] },
      "CircuitBreaker.trip[0].window: unknown option \"cals\"; it takes duration, buckets"
    ],
    [
      {
        trip: [
          { kind: "slow", threshold: 1, slowerThan: 1, window },
          { kind: "slow", threshold: 1, slowerThan: 2, window }
        ]
      },
      "CircuitBreaker: trip must be a list with at most one trip of the kind slow, got [{ kind: \"slow\""
    ],
    ...[0, -1, NaN, "Infinity", "soon", undefined, null, {}].map((slowerThan) =>
      [
        { trip: { kind: "slow", threshold: 1, slowerThan, window } },
        "CircuitBreaker: trip.slowerThan must be a finite duration above zero, got "
      ] as const
    ),
    ...[0, -0.1, 1.1, NaN, Infinity, "0.5", undefined, null].map((threshold) =>
      [
        { trip: { kind: "slow", threshold, slowerThan: 1, window } },
        "CircuitBreaker: trip.threshold must be above 0 and at most 1, got "
      ] as const
    ),
    [
      { trip: { kind: "slow", threshold: 1, slowerThan: 1, minimumCalls: 11, window } },
      "CircuitBreaker: trip.minimumCalls must be at most the 10 calls of its window, got 11"
    ],
    [
      { trip: { kind: "slow", threshold: 1, slowerThan: 1 } },
      "CircuitBreaker: trip.window must be { calls } or { duration }, got undefined"
    ],
    [
      { trip: { kind: "slow", threshold: 1, slowerthan: 1, window } },
      "CircuitBreaker.trip: unknown option \"slowerthan\"; it takes kind, threshold, slowerThan, minimumCalls, window"
    ],
    ...[0, -1, NaN, "Infinity", "soon", null].map((forgetAfter) =>
      [
        { trip: { kind: "consecutive", failures: 1, forgetAfter } },
        "CircuitBreaker: trip.forgetAfter must be a finite duration above zero, got "
      ] as const
    ),
    [
      { trip: { kind: "count", failures: 1, window, forgetAfter: 1 } },
      "CircuitBreaker.trip: unknown option \"forgetAfter\""
    ],
    ...[0, -1, NaN, "Infinity", "soon", null].map((maxDuration) =>
      [
        { halfOpen: { maxDuration } },
        "CircuitBreaker: halfOpen.maxDuration must be a finite duration above zero, got "
      ] as const
    ),
    [
      { halfOpen: { maxDuration: 1, afterwards: "ajar" } },
      "CircuitBreaker: halfOpen.afterwards must be one of open, closed, got \"ajar\""
    ],
    [
      { halfOpen: { afterwards: "closed" } },
      "CircuitBreaker: halfOpen.afterwards must be left out where maxDuration is, got \"closed\""
    ],
    [{ halfOpen: { maxDuraton: 1 } }, "CircuitBreaker.halfOpen: unknown option \"maxDuraton\""]
  ]

  it.each(cases.map(([options, message]) => ({ options, message })))("$options: $message", ({ message, options }) => {
    // what JavaScript brings in
    const thrown = thrownBy(() => CircuitBreaker.make("b", options as never))
    assert.instanceOf(thrown, RangeError)
    assert.include(String(thrown), message)
  })

  it("of the same values give equal settings", () => {
    const options: CircuitBreaker.Options = {
      trip: [
        { kind: "consecutive", failures: 3, forgetAfter: "5 minutes" },
        { kind: "slow", threshold: 0.5, slowerThan: "2 seconds", window: { duration: "1 minute" } }
      ],
      halfOpen: { maxDuration: "1 minute", afterwards: "closed" }
    }
    assert.isTrue(Equal.equals(CircuitBreaker.settings(options), CircuitBreaker.settings(structuredClone(options))))
    assert.deepStrictEqual(CircuitBreaker.settings(options), {
      trip: [
        { kind: "consecutive", failures: 3, forgetAfter: 300_000 },
        {
          kind: "slow",
          threshold: 0.5,
          minimumCalls: 10,
          slowerThan: 2_000,
          window: { kind: "time", duration: 60_000, buckets: 10 }
        }
      ],
      open: 30_000,
      maxRetryAfter: 300_000,
      halfOpen: { concurrent: 1, calls: 1, successes: 1, maxDuration: 60_000, afterwards: "closed" }
    })
  })
})
