import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Ref, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Outcome, Timeout } from "../../src/index.ts"
import { admits, Boom, boom, brief, errorOf, feed, start, stateOf } from "../support.ts"

/** Runs a call of a given length. */
const takes = Effect.fnUntraced(function*(breaker: CircuitBreaker.CircuitBreaker, millis: number) {
  const fiber = yield* start(Effect.exit(breaker.protect(Effect.sleep(millis))))
  yield* TestClock.adjust(millis)
  yield* Fiber.join(fiber)
})

/** A call that is let through now and ends when its handle says so. */
const pending = Effect.fnUntraced(function*(breaker: CircuitBreaker.CircuitBreaker) {
  const result = yield* Deferred.make<void, Boom>()
  const fiber = yield* start(Effect.exit(breaker.protect(Deferred.await(result))))
  return {
    fiber,
    succeed: Effect.andThen(Deferred.succeed(result, undefined), Fiber.join(fiber)),
    fail: Effect.andThen(Deferred.fail(result, new Boom({ n: 0 })), Fiber.join(fiber))
  }
})

describe("breaker", () => {
  it.effect("conformance 1: three consecutive failures open, and a success between them starts the count anew", () =>
    Effect.gen(function*() {
      const options = { trip: { kind: "consecutive", failures: 3 } } as const
      const straight = yield* CircuitBreaker.make("straight", options)
      yield* feed(straight, "FF")
      assert.strictEqual(yield* stateOf(straight), "Closed")
      yield* feed(straight, "F")
      assert.strictEqual(yield* stateOf(straight), "Open")

      const broken = yield* CircuitBreaker.make("broken", options)
      yield* feed(broken, "FF S FF")
      assert.strictEqual(yield* stateOf(broken), "Closed")
      yield* feed(broken, "F")
      assert.strictEqual(yield* stateOf(broken), "Open")
    }))

  it.effect("conformance 2: two failures in the last three calls open, three of four alternating never", () =>
    Effect.gen(function*() {
      const twoOfThree = yield* CircuitBreaker.make("2 of 3", {
        trip: { kind: "count", failures: 2, window: { calls: 3 } }
      })
      yield* feed(twoOfThree, "FS")
      assert.strictEqual(yield* stateOf(twoOfThree), "Closed")
      yield* feed(twoOfThree, "F")
      assert.strictEqual(yield* stateOf(twoOfThree), "Open")

      const threeOfFour = yield* CircuitBreaker.make("3 of 4", {
        trip: { kind: "count", failures: 3, window: { calls: 4 } }
      })
      yield* feed(threeOfFour, "FS".repeat(10))
      assert.strictEqual(yield* stateOf(threeOfFour), "Closed")
      assert.deepStrictEqual((yield* threeOfFour.snapshot).calls, {
        success: 10,
        failure: 10,
        overload: 0,
        ignored: 0,
        refused: 0
      })
    }))

  it.effect.each([
    { calls: 10, failures: 1, state: "Open" },
    { calls: 9, failures: 1, state: "Closed" },
    { calls: 10, failures: 0, state: "Closed" }
  ])(
    "conformance 3: a rate of 10 % from 10 calls on: $failures of $calls failed, $state",
    ({ calls, failures, state }) =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make("rate", {
          trip: { kind: "rate", threshold: 0.1, minimumCalls: 10, window: { duration: "1 minute" } }
        })
        yield* feed(breaker, "F".repeat(failures) + "S".repeat(calls - failures))
        assert.strictEqual(yield* stateOf(breaker), state)
      })
  )

  it.effect("conformance 4: after exactly 10 s of idling a window of 10 s counts nothing", () =>
    Effect.gen(function*() {
      // with the ten successes still counted, one failure would be 1 of 11, and with one of them 1 of 2
      const breaker = yield* CircuitBreaker.make("idle", {
        trip: { kind: "rate", threshold: 1, minimumCalls: 1, window: { duration: "10 seconds" } }
      })
      const control = yield* CircuitBreaker.make("a moment earlier", {
        trip: { kind: "rate", threshold: 1, minimumCalls: 1, window: { duration: "10 seconds" } }
      })
      for (let second = 0; second < 10; second++) {
        if (second > 0) yield* TestClock.adjust("1 second")
        yield* feed(breaker, "S")
        yield* feed(control, "S")
      }
      yield* TestClock.adjust(9_999)
      yield* feed(control, "F")
      assert.strictEqual(yield* stateOf(control), "Closed")
      yield* TestClock.adjust(1)
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("conformance 5: 50 % from five calls on: F F F S is too few, and a fifth call that succeeds opens", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("rate", {
        trip: { kind: "rate", threshold: 0.5, minimumCalls: 5, window: { calls: 10 } }
      })
      yield* feed(breaker, "FFFS")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("conformance 6: slow over 4 s, 50 % from five calls on: 5 s, 5 s, 0.1 s, 0.1 s, 5 s opens at 60 %", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("slow", {
        trip: { kind: "slow", threshold: 0.5, slowerThan: "4 seconds", minimumCalls: 5, window: { calls: 10 } }
      })
      for (const millis of [5_000, 5_000, 100, 100]) {
        yield* takes(breaker, millis)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      }
      yield* takes(breaker, 5_000)
      const { state, windows } = yield* breaker.snapshot
      assert.strictEqual(state, "Open")
      assert.deepStrictEqual(windows, [{ trip: "slow", calls: 5, against: 3 }])
    }))

  it.effect("conformance 7: four half-open results at 50 %: S S F F opens again, F S S S closes with an empty window", () =>
    Effect.gen(function*() {
      const options = {
        trip: { kind: "rate", threshold: 0.5, minimumCalls: 2, window: { calls: 4 } },
        open: "5 seconds",
        halfOpen: { calls: 4, failureRate: 0.5 }
      } as const
      const failed = yield* CircuitBreaker.make("S S F F", options)
      yield* feed(failed, "FF")
      yield* TestClock.adjust("5 seconds")
      yield* feed(failed, "SSF")
      assert.strictEqual(yield* stateOf(failed), "HalfOpen")
      yield* feed(failed, "F")
      assert.strictEqual(yield* stateOf(failed), "Open")
      assert.strictEqual((yield* failed.snapshot).openings, 2)

      const recovered = yield* CircuitBreaker.make("F S S S", options)
      yield* feed(recovered, "FF")
      yield* TestClock.adjust("5 seconds")
      yield* feed(recovered, "FSS")
      assert.strictEqual(yield* stateOf(recovered), "HalfOpen")
      yield* feed(recovered, "S")
      assert.strictEqual(yield* stateOf(recovered), "Closed")
      // one failure alone is below the minimum only if nothing is left in the window
      yield* feed(recovered, "F")
      assert.strictEqual(yield* stateOf(recovered), "Closed")
      yield* feed(recovered, "F")
      assert.strictEqual(yield* stateOf(recovered), "Open")
    }))

  it.effect("conformance 7: it opens again at the second failure, when closing has become impossible", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("F F", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds",
        halfOpen: { calls: 4, failureRate: 0.5 }
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("5 seconds")
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("conformance 8: open for 5 s, it refuses at 3 s and at 4,999 ms, and lets a probe through at 5,000", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("5 s", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      const refusal = Effect.map(
        Effect.exit(breaker.protect(Effect.die("the work must not run"))),
        (exit) => {
          const error = errorOf(exit)
          return error.retryAfter === undefined ? undefined : Duration.toMillis(error.retryAfter)
        }
      )
      yield* feed(breaker, "F")
      assert.strictEqual(yield* refusal, 5_000)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* refusal, 2_000)
      yield* TestClock.adjust(1_999)
      assert.strictEqual(yield* refusal, 1)
      yield* TestClock.adjust(1)
      const probe = yield* pending(breaker)
      assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
      yield* probe.succeed
      assert.strictEqual(yield* stateOf(breaker), "Closed")

      yield* feed(breaker, "F")
      yield* TestClock.adjust("6 seconds")
      yield* pending(breaker)
      assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
    }))

  it.effect("conformance 9: forced open outlasts the wait", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("forced", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      yield* feed(breaker, "F")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* breaker.forceOpen
        yield* TestClock.adjust("1 hour")
        const refusal = errorOf(yield* Effect.exit(breaker.protect(Effect.die("must not run"))))
        assert.strictEqual(refusal.retryAfter, undefined)
        assert.deepInclude(yield* breaker.snapshot, { state: "Forced", mode: "forcedOpen", retryAfter: undefined })
      }))
      // and the wait itself is over
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("conformance 9: disabled records nothing", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("disabled", { trip: { kind: "consecutive", failures: 2 } })
      yield* feed(breaker, "F")
      const before = yield* breaker.snapshot
      yield* Effect.scoped(Effect.andThen(breaker.disable, feed(breaker, "FFFFF S O I")))
      const { calls, state } = yield* breaker.snapshot
      assert.strictEqual(state, "Closed")
      assert.deepStrictEqual(calls, before.calls)
    }))

  it.effect("conformance 9: metrics only never moves, and says once that a threshold was passed", () =>
    Effect.gen(function*() {
      const told: Array<CircuitBreaker.Transition> = []
      const breaker = CircuitBreaker.makeUnsafe(
        "metrics",
        CircuitBreaker.settings({ trip: { kind: "consecutive", failures: 3 } }),
        { onTransition: (transition) => told.push(transition) }
      )
      yield* Effect.scoped(Effect.gen(function*() {
        yield* breaker.metricsOnly
        yield* feed(breaker, "FF")
        assert.deepStrictEqual(told.map(({ to }) => to), ["Forced"])
        yield* feed(breaker, "FFFFFFFFFF S FFFFF")
        assert.deepInclude(yield* breaker.snapshot, { state: "Forced", mode: "metricsOnly" })
        assert.deepStrictEqual(told.map(({ to }) => to), ["Forced", "ThresholdPassed"])
        assert.deepInclude((yield* breaker.snapshot).calls, { failure: 17, success: 1, refused: 0 })
      }))
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      // put there again, it says so again
      yield* Effect.scoped(Effect.andThen(breaker.metricsOnly, feed(breaker, "FFF")))
      assert.deepStrictEqual(told.map(({ to }) => to), [
        "Forced",
        "ThresholdPassed",
        "Released",
        "Forced",
        "ThresholdPassed",
        "Released"
      ])
    }))

  it.effect.each(
    [
      { afterwards: "open", state: "Open", admitted: false },
      { afterwards: "closed", state: "Closed", admitted: true }
    ] as const
  )(
    "conformance 10: half-open for longer than its maximum, it goes where it was told: $afterwards",
    ({ admitted, afterwards, state }) =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make("hung", {
          trip: { kind: "consecutive", failures: 1 },
          open: "5 seconds",
          halfOpen: { maxDuration: "10 seconds", afterwards }
        })
        yield* feed(breaker, "F")
        yield* TestClock.adjust("5 seconds")
        const hung = yield* pending(breaker)
        yield* TestClock.adjust(9_999)
        assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* admits(breaker), admitted)
        assert.strictEqual(yield* stateOf(breaker), state)
        // what hung is late, and its place has come back
        const before = yield* Ref.get(breaker.phase)
        yield* hung.fail
        assert.strictEqual(yield* Ref.get(breaker.phase), before)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* admits(breaker), true)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      })
  )

  it.effect("conformance 11: two force-open handles: open until both are released, and one event", () =>
    Effect.gen(function*() {
      const told: Array<CircuitBreaker.Transition> = []
      const breaker = CircuitBreaker.makeUnsafe("handles", CircuitBreaker.settings(), {
        onTransition: (transition) => told.push(transition)
      })
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      yield* Scope.provide(breaker.forceOpen, first)
      yield* Scope.provide(breaker.forceOpen, second)
      assert.strictEqual(yield* admits(breaker), false)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(yield* admits(breaker), false)
      assert.deepStrictEqual(told, [{ to: "Forced", from: "Closed", mode: "forcedOpen", key: undefined }])
      yield* Scope.close(second, Exit.void)
      assert.strictEqual(yield* admits(breaker), true)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepStrictEqual(told.slice(1), [{ to: "Released", from: "forcedOpen", state: "Closed", key: undefined }])
    }))

  it.effect("conformance 12: with three probes allowed at once and three in flight, five more calls are refused", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("three", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds",
        halfOpen: { concurrent: 3, calls: 3 }
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("5 seconds")
      const probes = yield* Effect.forEach([1, 2, 3], () => pending(breaker))
      const more = yield* Effect.forEach(
        [1, 2, 3, 4, 5],
        () => Effect.exit(breaker.protect(Effect.die("must not run")))
      )
      assert.deepStrictEqual(more.map(brief), more.map(() => "CircuitOpen"))
      // nobody can know when the probes will end
      assert.deepStrictEqual(more.map((exit) => errorOf(exit).retryAfter), more.map(() => undefined))
      assert.strictEqual((yield* breaker.snapshot).calls.refused, 5)
      yield* Effect.forEach(probes, (probe) => probe.succeed)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect.each(["succeed", "fail"] as const)(
    "conformance 13: a call admitted while closed that ends while open, or half-open, changes nothing: it %ss",
    (end) =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make("late", {
          trip: { kind: "consecutive", failures: 1 },
          open: "5 seconds",
          halfOpen: { concurrent: 2, calls: 2 }
        })
        const whileOpen = yield* pending(breaker)
        const whileHalfOpen = yield* pending(breaker)
        const whileClosed = yield* pending(breaker)
        yield* feed(breaker, "F")

        const open = yield* Ref.get(breaker.phase)
        assert.strictEqual(open._tag, "Open")
        yield* whileOpen[end]
        assert.strictEqual(yield* Ref.get(breaker.phase), open)

        yield* TestClock.adjust("5 seconds")
        const first = yield* pending(breaker)
        const second = yield* pending(breaker)
        const halfOpen = yield* Ref.get(breaker.phase)
        assert.deepInclude(halfOpen, { _tag: "HalfOpen", inFlight: 2 })
        yield* whileHalfOpen[end]
        assert.strictEqual(yield* Ref.get(breaker.phase), halfOpen)

        yield* first.succeed
        yield* second.succeed
        const closed = yield* Ref.get(breaker.phase)
        assert.strictEqual(closed._tag, "Closed")
        yield* whileClosed[end]
        assert.strictEqual(yield* Ref.get(breaker.phase), closed)
      })
  )

  it.effect("conformance 14: restored as open past its time, the next call is a probe", () =>
    Effect.gen(function*() {
      const options = { trip: { kind: "consecutive", failures: 1 }, open: "5 seconds" } as const
      const before = yield* CircuitBreaker.make("restored", options)
      yield* feed(before, "F")
      yield* TestClock.adjust("2 seconds")
      const text = JSON.stringify(Schema.encodeSync(CircuitBreaker.Snapshot)(yield* before.snapshot))
      const restored = Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make("restored", options)
        yield* breaker.restore(Schema.decodeUnknownSync(CircuitBreaker.Snapshot)(JSON.parse(text)))
        return breaker
      })

      const early = yield* restored
      assert.deepInclude(yield* early.snapshot, { state: "Open", retryAfter: Duration.seconds(3) })
      assert.strictEqual(yield* admits(early), false)

      yield* TestClock.adjust("1 hour")
      const late = yield* restored
      assert.deepInclude(yield* late.snapshot, { state: "Open", openings: 1, retryAfter: Duration.zero })
      const probe = yield* pending(late)
      assert.strictEqual(yield* stateOf(late), "HalfOpen")
      assert.strictEqual(yield* admits(late), false)
      yield* probe.succeed
      assert.strictEqual(yield* stateOf(late), "Closed")
    }))

  it.effect("conformance 15: of 100 concurrent calls at the end of the open time one is let through", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("herd", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      yield* feed(breaker, "F")
      let runs = 0
      const call = Effect.sleep("5 seconds").pipe(
        Effect.andThen(breaker.protect(Effect.andThen(Effect.sync(() => runs++), Effect.sleep("1 second")))),
        Effect.exit
      )
      const fiber = yield* start(Effect.all(Array.from({ length: 100 }, () => call), { concurrency: "unbounded" }))
      yield* TestClock.adjust(4_999)
      assert.strictEqual(runs, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(runs, 1)
      yield* TestClock.adjust("1 second")
      const exits = yield* Fiber.join(fiber)
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      assert.strictEqual(exits.filter((exit) => brief(exit) === "CircuitOpen").length, 99)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("conformance 16: refusals of a breaker inside neither count nor reset a streak", () =>
    Effect.gen(function*() {
      const outer = yield* CircuitBreaker.make("outer", { trip: { kind: "consecutive", failures: 3 } })
      const inner = yield* CircuitBreaker.make("inner", { trip: { kind: "consecutive", failures: 1 } })
      yield* feed(inner, "F")
      yield* feed(outer, "FF")
      const refused = outer.protect(inner.protect(Effect.void))
      for (let n = 0; n < 10; n++) {
        assert.strictEqual(errorOf(yield* Effect.exit(refused)).policy, "inner")
        assert.strictEqual(yield* stateOf(outer), "Closed")
      }
      assert.strictEqual((yield* outer.snapshot).calls.ignored, 10)
      yield* Effect.exit(outer.protect(boom))
      assert.strictEqual(yield* stateOf(outer), "Open")
    }))

  it.effect("conformance 16: a refusal inside a half-open breaker gives its probe back and decides nothing", () =>
    Effect.gen(function*() {
      const outer = yield* CircuitBreaker.make("outer", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      const inner = yield* CircuitBreaker.make("inner", { trip: { kind: "consecutive", failures: 1 } })
      yield* feed(inner, "F")
      yield* feed(outer, "F")
      yield* TestClock.adjust("5 seconds")
      yield* Effect.exit(outer.protect(inner.protect(Effect.void)))
      assert.deepInclude(yield* Ref.get(outer.phase), { _tag: "HalfOpen", inFlight: 0, successes: 0, failures: 0 })
      yield* feed(outer, "S")
      assert.strictEqual(yield* stateOf(outer), "Closed")
    }))

  it.effect("conformance 40: with the clock set back an hour, a 5 s opening still ends after 5 s", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("clock", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      yield* TestClock.adjust("2 hours")
      yield* feed(breaker, "F")
      yield* TestClock.adjust("1 second")
      yield* TestClock.setTime(Duration.toMillis("1 hour"))
      assert.deepStrictEqual((yield* breaker.snapshot).retryAfter, Duration.seconds(4))
      yield* TestClock.adjust(3_999)
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Open")
      yield* TestClock.adjust(1)
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("A5: failures, recovery time, and failure counts that are forgotten: critical services and others", () =>
    Effect.gen(function*() {
      const kinds = [
        { failures: 5, open: 60, callTimeout: "30 seconds" },
        { failures: 5, open: 30, callTimeout: "5 seconds" },
        { failures: 3, open: 60, callTimeout: "10 seconds" }
      ] as const
      for (const { callTimeout, failures, open } of kinds) {
        const breaker = yield* CircuitBreaker.make("service", {
          trip: { kind: "consecutive", failures, forgetAfter: "300 seconds" },
          open: open * 1_000
        })
        yield* feed(breaker, "F".repeat(failures - 1))
        yield* TestClock.adjust("300 seconds")
        // the counts are forgotten: it takes as many as at first
        yield* feed(breaker, "F".repeat(failures - 1))
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        yield* TestClock.adjust("260 seconds")
        // a call that takes longer than its timeout is a failure, and the last one that was missing
        const call = yield* start(Effect.exit(breaker.protect(Timeout.attempt(callTimeout)(Effect.never))))
        yield* TestClock.adjust(callTimeout)
        assert.strictEqual(brief(yield* Fiber.join(call)), "TimedOut")
        assert.strictEqual(yield* stateOf(breaker), "Open")
        yield* TestClock.adjust(open * 1_000 - 1)
        assert.strictEqual(yield* admits(breaker), false)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* admits(breaker), true)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      }
    }))

  it.effect("C2: breakers for many services, with counts and timings", () =>
    Effect.gen(function*() {
      const services = yield* CircuitBreaker.keyed("services", {
        trip: [
          { kind: "consecutive", failures: 2 },
          { kind: "slow", threshold: 1, slowerThan: "10 seconds", window: { calls: 10 } }
        ]
      })
      const call = (key: string, millis: number, ending: Effect.Effect<void, Boom> = Effect.void) =>
        Effect.gen(function*() {
          const work = Effect.andThen(Effect.sleep(millis), ending)
          const fiber = yield* start(Effect.exit(services.protect(work, { key })))
          yield* TestClock.adjust(millis)
          yield* Fiber.join(fiber)
        })
      yield* call("llm", 100)
      yield* call("llm", 300)
      yield* call("database", 20, boom)
      yield* call("database", 20, boom)
      yield* call("database", 20)
      const read = (yield* services.snapshot).map(({ calls, key, state, timing }) => ({ key, state, calls, timing }))
      const none = { success: 0, failure: 0, overload: 0, ignored: 0, refused: 0 }
      const took = (calls: number, total: number, longest: number) => ({
        calls,
        slow: 0,
        total: Duration.millis(total),
        longest: Duration.millis(longest)
      })
      assert.deepStrictEqual(read, [
        { key: "llm", state: "Closed", calls: { ...none, success: 2 }, timing: took(2, 400, 300) },
        { key: "database", state: "Open", calls: { ...none, failure: 2, refused: 1 }, timing: took(2, 40, 20) }
      ])
    }))

  it.effect("C3: half-open with a limited number of trial calls", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("trials", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds",
        halfOpen: { concurrent: 2, calls: 3 }
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("5 seconds")
      const trials = [yield* pending(breaker), yield* pending(breaker)]
      assert.strictEqual(yield* admits(breaker), false)
      yield* Effect.forEach(trials, (trial) => trial.succeed)
      assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("D3: 5 failures in 60 s open, 30 s of recovery, 2 successes close, some errors do not count, a fallback", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("tool", {
        trip: { kind: "count", failures: 5, window: { duration: "60 seconds", buckets: 60 } },
        open: "30 seconds",
        halfOpen: { calls: 2 }
      })
      const uncounted = breaker.protect(Effect.fail("no such user"), {
        classify: (exit) => Exit.isFailure(exit) ? Outcome.success : undefined
      })
      // four old ones, and as many as one likes that do not count
      yield* feed(breaker, "F S F S F S F")
      for (let n = 0; n < 20; n++) yield* Effect.exit(uncounted)
      yield* TestClock.adjust("60 seconds")
      yield* feed(breaker, "F S F S F S F")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* TestClock.adjust("59 seconds")
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Open")
      const answer = yield* breaker.protect(Effect.succeed("fresh")).pipe(
        Effect.catchTag("CircuitOpen", () => Effect.succeed("from the fallback"))
      )
      assert.strictEqual(answer, "from the fallback")
      yield* TestClock.adjust(29_999)
      assert.strictEqual(yield* admits(breaker), false)
      yield* TestClock.adjust(1)
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("D4: statistics of one breaker, or of all", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed("tools", {
        trip: { kind: "consecutive", failures: 2 },
        open: "5 seconds"
      })
      const search = breakers.of("search")
      yield* Effect.forEach([boom, boom, Effect.void], (work) => Effect.exit(search.protect(work)))
      yield* breakers.protect(Effect.void, { key: "files" })
      yield* TestClock.adjust("6 seconds")
      yield* search.protect(Effect.void)
      const { calls, openings, state, transitions } = yield* search.snapshot
      assert.strictEqual(state, "Closed")
      assert.strictEqual(openings, 0)
      assert.deepStrictEqual(calls, { success: 1, failure: 2, overload: 0, ignored: 0, refused: 1 })
      assert.deepStrictEqual(transitions, { opened: 1, halfOpened: 1, closed: 1, forced: 0 })
      const all = yield* breakers.snapshot
      assert.deepStrictEqual(all.map(({ calls, key, name }) => [name, key, calls.success]), [
        ["tools", "search", 1],
        ["tools", "files", 1]
      ])
    }))
})
