import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Cause,
  Clock,
  Duration,
  Effect,
  Exit,
  Fiber,
  Random,
  Ref,
  Schedule,
  Scheduler,
  Schema,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Outcome } from "../src/index.ts"
import * as breakerWindow from "../src/internal/breakerWindow.ts"
import {
  makeModel,
  modes,
  openFor,
  outcomes,
  readPhase,
  scripts,
  slowerThan,
  specs,
  type Tag
} from "./circuitBreakerModel.ts"
import {
  admits,
  Boom,
  brief,
  draws,
  errorOf,
  feed,
  manualClock,
  pauses,
  present,
  Says,
  start,
  stateOf
} from "./support.ts"

/** A breaker that one failure has opened, and whose open time is over: the next call is its only probe. */
const dueForProbe = Effect.fnUntraced(function*(name: string) {
  const breaker = yield* CircuitBreaker.make(name, {
    trip: { kind: "consecutive", failures: 1 },
    open: "1 second"
  })
  yield* feed(breaker, "F")
  yield* TestClock.adjust("1 second")
  return breaker
})

const check = <A>(arbitrary: Arbitrary.Arbitrary<A>, runs: number, property: (value: A) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const result = yield* Arbitrary.checkEffect(
      arbitrary,
      // a failed assertion is a defect, which would end the search for a smaller script
      (value) => Effect.as(Effect.catchDefect(property(value), Effect.fail), true),
      { runs, seed: "effect-resilience" }
    )
    assert.strictEqual(Arbitrary.formatCheckFailure(result), undefined)
    assert.deepInclude(result, { _tag: "Passed", runs })
  })

const strongest = (held: ReadonlyArray<CircuitBreaker.Mode>) => modes.find((mode) => held.includes(mode))

describe("CircuitBreaker.transition", () => {
  it.effect("agrees with a model that counts everything anew, over 10,000 random scripts", () =>
    Effect.gen(function*() {
      const reached = {
        openings: 0,
        closings: 0,
        late: 0,
        refused: 0,
        slow: 0,
        expired: 0,
        forced: 0,
        released: 0,
        passed: 0
      }
      let compared = 0
      yield* check(scripts, 10_000, ({ spec, steps }) =>
        Effect.sync(() => {
          const settings = CircuitBreaker.settings(present(specs[spec]))
          const model = makeModel(present(specs[spec]))
          const asksForSlow = slowerThan(present(specs[spec])) !== undefined
          const running: Array<{ readonly call: number; readonly generation: number }> = []
          const held: Array<CircuitBreaker.Mode> = []
          let phase = CircuitBreaker.closed
          let now = 0
          const move = (event: CircuitBreaker.Event, seen: ReadonlyArray<CircuitBreaker.Summary> = []) => {
            phase = CircuitBreaker.transition(settings, phase, event, seen, now)
          }
          steps.forEach(({ kind, n, outcome }, call) => {
            const first = phase
            move({ _tag: "Look", openFor })
            model.look(now)
            const before = phase
            if (before !== first) reached.expired++
            if (kind === "wait") now += n / 2
            else if (kind === "ask") {
              move({ _tag: "Ask" })
              const admitted = CircuitBreaker.isAdmitted(before, phase)
              assert.strictEqual(admitted, model.ask(call, now))
              if (admitted) running.push({ call, generation: phase.generation })
              else reached.refused++
            } else if (kind === "end" && running.length > 0) {
              const { call, generation } = present(running.splice(n % running.length, 1)[0])
              const tag = present(outcomes[outcome])
              const slow = asksForSlow && tag !== "Overload" && n % 3 === 0
              if (generation !== before.generation) reached.late++
              if (slow) reached.slow++
              move({ _tag: "End", generation, outcome: tag, slow, openFor }, model.end(call, tag, slow, now))
            } else if (kind === "hold") {
              const mode = present(modes[n % modes.length])
              held.push(mode)
              model.hold(mode, now)
              move({ _tag: "Override", mode: strongest(held) })
            } else if (kind === "release" && held.length > 0) {
              held.splice(n % held.length, 1)
              model.release(n % (held.length + 1), now)
              move({ _tag: "Override", mode: strongest(held) })
            } else if (kind === "reset") {
              move({ _tag: "Reset" })
              model.reset(now)
            }
            assert.deepStrictEqual<unknown>(readPhase(phase), model.read())
            if (phase._tag === "Open" && before._tag !== "Open") reached.openings++
            if (phase._tag === "Closed" && before._tag === "HalfOpen") reached.closings++
            if (phase._tag === "Forced" && before._tag !== "Forced") reached.forced++
            if (phase._tag !== "Forced" && before._tag === "Forced") reached.released++
            if (phase._tag === "Forced" && phase.thresholdPassed && kind === "end") reached.passed++
            compared++
          })
        }))
      // what was compared was worth comparing
      assert.isAtLeast(compared, 500_000)
      for (const [what, count] of Object.entries(reached)) assert.isAbove(count, 500, what)
    }))

  it("is pure: it changes none of what it is given, and answers with the same phase where nothing changes", () => {
    const settings = CircuitBreaker.settings({ trip: { kind: "consecutive", failures: 2 } })
    const open: CircuitBreaker.Phase = Object.freeze({ _tag: "Open", generation: 3, openings: 1, until: 100 })
    const ask = Object.freeze({ _tag: "Ask" } as const)
    const noCalls = Object.freeze([Object.freeze({ calls: 0, against: 0 })])
    assert.strictEqual(CircuitBreaker.transition(settings, open, ask, noCalls, 99), open)
    assert.strictEqual(CircuitBreaker.isAdmitted(open, open), false)
    const halfOpen = CircuitBreaker.transition(settings, open, ask, noCalls, 100)
    assert.deepStrictEqual<unknown>(halfOpen, {
      _tag: "HalfOpen",
      generation: 4,
      openings: 1,
      inFlight: 1,
      successes: 0,
      failures: 0
    })
    assert.strictEqual(CircuitBreaker.isAdmitted(open, halfOpen), true)
    const late: CircuitBreaker.Event = { _tag: "End", generation: 3, outcome: "Failure", slow: false, openFor }
    assert.strictEqual(CircuitBreaker.transition(settings, halfOpen, late, noCalls, 100), halfOpen)
    assert.strictEqual(CircuitBreaker.transition(settings, halfOpen, { _tag: "Look", openFor }, [], 1e9), halfOpen)
    const release = Object.freeze({ _tag: "Override", mode: undefined } as const)
    assert.strictEqual(CircuitBreaker.transition(settings, open, release, [], 0), open)
    const forced = CircuitBreaker.transition(settings, open, { _tag: "Override", mode: "disabled" }, [], 0)
    assert.strictEqual(
      CircuitBreaker.transition(settings, forced, { _tag: "Override", mode: "disabled" }, [], 0),
      forced
    )
  })
})

describe("CircuitBreaker.protect", () => {
  it.effect(
    "agrees with the same model, with real calls that overlap, over 2,000 random scripts",
    () =>
      check(scripts, 2_000, ({ spec, steps }) => {
        const { clock, now, wait } = manualClock()
        return Effect.gen(function*() {
          const breaker = yield* CircuitBreaker.make("live", { ...present(specs[spec]), open: openFor })
          const model = makeModel(present(specs[spec]))
          const slowAfter = slowerThan(present(specs[spec])) ?? Infinity
          const handles: Record<CircuitBreaker.Mode, Effect.Effect<void, never, Scope.Scope>> = {
            forcedOpen: breaker.forceOpen,
            disabled: breaker.disable,
            forcedClosed: breaker.forceClosed,
            metricsOnly: breaker.metricsOnly
          }
          const held: Array<Scope.Closeable> = []
          const running: Array<{
            readonly call: number
            readonly end: (tag: Tag) => Effect.Effect<void>
            readonly isSlow: (tag: Tag, at: number) => boolean
          }> = []
          for (const [call, { kind, n, outcome }] of steps.entries()) {
            if (kind === "wait") wait(n / 2)
            else if (kind === "ask") {
              let resume: ((effect: Effect.Effect<void, Boom | Says>) => void) | undefined
              const fiber = yield* start(breaker.protect(Effect.callback<void, Boom | Says>((r) => {
                resume = r
              })))
              const refused = fiber.pollUnsafe()
              assert.strictEqual(refused === undefined, model.ask(call, now()))
              if (refused !== undefined) assert.strictEqual(brief(refused), "CircuitOpen")
              else {
                const began = now()
                const endings: Record<Tag, () => void> = {
                  Success: () => present(resume)(Effect.void),
                  Failure: () => present(resume)(n % 2 === 0 ? Effect.fail(new Boom({ n })) : Effect.die("bug")),
                  Overload: () => present(resume)(Effect.fail(Says.of(Outcome.overload()))),
                  Ignored: () =>
                    n % 2 === 0 ? present(resume)(Effect.fail(Says.of(Outcome.ignored))) : fiber.interruptUnsafe()
                }
                running.push({
                  call,
                  end: (tag) => Effect.andThen(Effect.sync(endings[tag]), Fiber.await(fiber)),
                  // what ended by itself and is to be ignored says nothing; what was cut short does
                  isSlow: (tag, at) =>
                    at - began > slowAfter &&
                    (tag === "Success" || tag === "Failure" || (tag === "Ignored" && n % 2 === 1))
                })
              }
            } else if (kind === "end" && running.length > 0) {
              const { call, end, isSlow } = present(running.splice(n % running.length, 1)[0])
              const tag = present(outcomes[outcome])
              yield* end(tag)
              model.end(call, tag, isSlow(tag, now()), now())
            } else if (kind === "hold") {
              const mode = present(modes[n % modes.length])
              const scope = yield* Scope.make()
              yield* Scope.provide(handles[mode], scope)
              held.push(scope)
              model.hold(mode, now())
            } else if (kind === "release" && held.length > 0) {
              yield* Scope.close(present(held.splice(n % held.length, 1)[0]), Exit.void)
              model.release(n % (held.length + 1), now())
            } else if (kind === "reset") {
              yield* breaker.reset
              model.reset(now())
            }
            const { inFlight, state, windows } = yield* breaker.snapshot
            model.look(now())
            assert.deepStrictEqual<unknown>(readPhase(yield* Ref.get(breaker.phase)), model.read())
            if (state === "Closed" || state === "Forced") {
              const seen = windows.map(({ against, calls }) => ({ calls, against }))
              assert.deepStrictEqual<unknown>(seen, model.summaries(now()))
            }
            // what a disabled breaker lets through is not remembered
            assert.isAtMost(inFlight, running.length)
          }
          yield* Effect.forEach(running, ({ end }) => end("Ignored"))
          assert.strictEqual((yield* breaker.snapshot).inFlight, 0)
        }).pipe(Effect.provideService(Clock.Clock, clock))
      }),
    60_000
  )

  it.effect("does nothing until the effect is run, and each run is a call of its own", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("lazy", { trip: { kind: "consecutive", failures: 2 } })
      const call = breaker.protect(Effect.fail(new Boom({ n: 1 })))
      assert.strictEqual((yield* breaker.snapshot).calls.failure, 0)
      yield* Effect.flip(call)
      yield* Effect.flip(call)
      assert.strictEqual((yield* breaker.snapshot).calls.failure, 2)
      assert.strictEqual((yield* Effect.flip(call))._tag, "CircuitOpen")
    }))

  it.effect("passes results, errors, defects and interruptions through as they are", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("as it is", { trip: { kind: "consecutive", failures: 100 } })
      const exits: ReadonlyArray<Exit.Exit<number, Boom>> = [
        Exit.succeed(1),
        Exit.fail(new Boom({ n: 1 })),
        Exit.die("bug"),
        Exit.interrupt(7)
      ]
      for (const exit of exits) assert.deepStrictEqual<unknown>(yield* Effect.exit(breaker.protect(exit)), exit)
    }))

  it.effect("counts a defect as a failure", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("defects", { trip: { kind: "consecutive", failures: 2 } })
      yield* Effect.exit(breaker.protect(Effect.die("bug")))
      yield* Effect.exit(breaker.protect(Effect.sync(() => {
        throw new Error("bug")
      })))
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("leaves an outcome to the default where the classifier throws or answers nonsense", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("classifier", { trip: { kind: "consecutive", failures: 2 } })
      const throwing = () => {
        throw new Error("bug in a classifier")
      }
      // nonsense that the type does not allow
      const nonsense = (() => ({ _tag: "Perhaps" })) as unknown as Outcome.Classifier
      const boom = new Boom({ n: 1 })
      assert.strictEqual(yield* breaker.protect(Effect.succeed("answer"), { classify: throwing }), "answer")
      assert.strictEqual(yield* Effect.flip(breaker.protect(Effect.fail(boom), { classify: throwing })), boom)
      assert.strictEqual(yield* Effect.flip(breaker.protect(Effect.fail(boom), { classify: nonsense })), boom)
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("lets a classifier override both ways", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("classifier", { trip: { kind: "consecutive", failures: 1 } })
      yield* Effect.exit(breaker.protect(Effect.fail("not found"), { classify: () => Outcome.success }))
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      const stale = yield* breaker.protect(Effect.succeed("stale"), {
        classify: (exit) => Exit.isSuccess(exit) && exit.value === "stale" ? Outcome.failure() : undefined
      })
      assert.strictEqual(stale, "stale")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("never opens for an overload, which counts as a success when half-open", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("overload", {
        trip: { kind: "rate", threshold: 0.1, minimumCalls: 1, window: { calls: 10 } },
        open: "5 seconds"
      })
      yield* feed(breaker, "OOOOOOOOOO OOOOOOOOOO")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* feed(breaker, "F")
      yield* TestClock.adjust("5 seconds")
      yield* feed(breaker, "O")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.strictEqual((yield* breaker.snapshot).calls.overload, 21)
    }))

  it.effect("does not end a streak for an overload or an ignored call", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("streak", { trip: { kind: "consecutive", failures: 3 } })
      yield* feed(breaker, "F I F O I")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* feed(breaker, "F")
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  it.effect("gets its probe back from an ignored call and lets the next one through", () =>
    Effect.gen(function*() {
      const breaker = yield* dueForProbe("probe")
      yield* feed(breaker, "IIII")
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 0, successes: 0, failures: 0 })
      yield* feed(breaker, "S")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("refuses while a probe hangs, and gets it back when the probe is interrupted", () =>
    Effect.gen(function*() {
      const breaker = yield* dueForProbe("hung")
      const probe = yield* start(breaker.protect(Effect.never))
      yield* TestClock.adjust("1 hour")
      const refusal = errorOf(yield* Effect.exit(breaker.protect(Effect.void)))
      assert.strictEqual(refusal.retryAfter, undefined)
      assert.strictEqual(refusal.message, "hung: the circuit is half-open, and its probes are still under way")
      yield* Fiber.interrupt(probe)
      assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 0 })
      assert.strictEqual(yield* admits(breaker), true)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("counts a probe's failure and opens again", () =>
    Effect.gen(function*() {
      const breaker = yield* dueForProbe("probe")
      yield* feed(breaker, "F")
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2, retryAfter: Duration.seconds(1) })
    }))

  it.effect("closes a half-open breaker by some successes of several calls, or by a rate of failures", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [CircuitBreaker.HalfOpen, script: string, state: string]> = [
        [{ calls: 5, successes: 2 }, "FFFS", "HalfOpen"],
        [{ calls: 5, successes: 2 }, "FFFSS", "Closed"],
        [{ calls: 5, successes: 2 }, "FFFF", "Open"],
        [{ calls: 3 }, "SS", "HalfOpen"],
        [{ calls: 3 }, "SSF", "Open"],
        [{ calls: 3 }, "SSS", "Closed"],
        [{ calls: 10, failureRate: 0.3 }, "FFSSSSSSS", "HalfOpen"],
        [{ calls: 10, failureRate: 0.3 }, "FFSSSSSSSS", "Closed"],
        [{ calls: 10, failureRate: 0.3 }, "FFF", "Open"],
        [{ calls: 3, failureRate: 1 }, "FF", "HalfOpen"],
        [{ calls: 3, failureRate: 1 }, "FFF", "Open"],
        [{ calls: 3, failureRate: 1 }, "FFS", "Closed"],
        // 0.07 * 100 is 7.000000000000001
        [{ calls: 100, failureRate: 0.07 }, "FFFFFF", "HalfOpen"],
        [{ calls: 100, failureRate: 0.07 }, "FFFFFFF", "Open"]
      ]
      for (const [halfOpen, script, state] of cases) {
        const breaker = yield* CircuitBreaker.make("half-open", {
          trip: { kind: "consecutive", failures: 1 },
          halfOpen
        })
        yield* feed(breaker, "F")
        yield* TestClock.adjust("30 seconds")
        yield* feed(breaker, script)
        assert.strictEqual(yield* stateOf(breaker), state, `${JSON.stringify(halfOpen)} after ${script}`)
      }
    }))

  it.effect("opens after five consecutive failures for 30 seconds where nothing is said", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("defaults")
      yield* feed(breaker, "FFFF")
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* feed(breaker, "F")
      yield* TestClock.adjust(29_999)
      assert.strictEqual(yield* admits(breaker), false)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* admits(breaker), true)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  it.effect("takes a rate from ten calls on where nothing is said, or from a whole smaller window", () =>
    Effect.gen(function*() {
      for (const [calls, minimum] of [[20, 10], [4, 4]] as const) {
        const breaker = yield* CircuitBreaker.make("rate", {
          trip: { kind: "rate", threshold: 0.5, window: { calls } }
        })
        yield* feed(breaker, "F".repeat(minimum - 1))
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        yield* feed(breaker, "F")
        assert.strictEqual(yield* stateOf(breaker), "Open")
      }
    }))

  it.effect("reports in a snapshot where it stands and what it has counted", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("snapshot", {
        trip: { kind: "consecutive", failures: 1 },
        open: "10 seconds"
      })
      assert.deepStrictEqual(yield* breaker.snapshot, {
        name: "snapshot",
        state: "Closed",
        retryAfter: undefined,
        openings: 0,
        takenAt: 0,
        inFlight: 0,
        windows: [{ trip: "consecutive", calls: 0, against: 0 }],
        calls: { success: 0, failure: 0, overload: 0, ignored: 0, refused: 0 },
        transitions: { opened: 0, halfOpened: 0, closed: 0, forced: 0 }
      })
      yield* feed(breaker, "SSOIF S")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* breaker.snapshot, {
        name: "snapshot",
        state: "Open",
        retryAfter: Duration.seconds(6),
        openings: 1,
        openSince: 0,
        takenAt: 4_000,
        inFlight: 0,
        windows: [{ trip: "consecutive", calls: 1, against: 1 }],
        calls: { success: 2, failure: 1, overload: 1, ignored: 1, refused: 1 },
        transitions: { opened: 1, halfOpened: 0, closed: 0, forced: 0 }
      })
      yield* TestClock.adjust("1 minute")
      // nothing moves a breaker but a call
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", retryAfter: Duration.zero })
      yield* feed(breaker, "I")
      assert.deepInclude(yield* breaker.snapshot, { state: "HalfOpen", retryAfter: undefined, openings: 1 })
      yield* feed(breaker, "S")
      assert.deepInclude(yield* breaker.snapshot, { state: "Closed", retryAfter: undefined, openings: 0 })
    }))

  it.effect("tells in a refusal what is truly left, in whole milliseconds and never too little", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("quotes", {
        trip: { kind: "consecutive", failures: 1 },
        open: "10 seconds"
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust(Duration.millis(2_500.5))
      const refusal = errorOf(yield* Effect.exit(breaker.protect(Effect.void)))
      assert.deepStrictEqual(refusal.retryAfter, Duration.millis(7_500))
      assert.strictEqual(refusal.policy, "quotes")
      assert.match(refusal.message, /^quotes: the circuit is open, try again in 7s/)
      assert.deepStrictEqual(Outcome.fromError(refusal), Outcome.ignored)
    }))

  it.effect(
    "leaves no probe behind when 100,000 calls are interrupted at random instants, modes coming and going",
    () =>
      Effect.gen(function*() {
        const { below } = yield* draws
        const breaker = yield* CircuitBreaker.make("storm", {
          trip: [
            { kind: "consecutive", failures: 3 },
            { kind: "slow", threshold: 1, slowerThan: "1 hour", window: { calls: 5 } }
          ],
          open: "1 second",
          halfOpen: { concurrent: 2, calls: 3, successes: 2 }
        })
        const endings = [Effect.void, Effect.fail(new Boom({ n: 0 })), Effect.never, Effect.die("bug"), Effect.void]
        const outcomes = [Outcome.success, Outcome.failure(), Outcome.ignored, Outcome.overload()]
        const work = Effect.suspend(() => Effect.andThen(pauses(below(5)), present(endings[below(endings.length)])))
        const admitted = Effect.scoped(Effect.gen(function*() {
          const admission = yield* breaker.admit
          if (below(2) === 0) yield* admission.record(present(outcomes[below(outcomes.length)]))
          yield* work
        }))
        const handles = [breaker.forceOpen, breaker.forceClosed, breaker.disable, breaker.metricsOnly]
        const held = Effect.scoped(
          Effect.suspend(() => Effect.andThen(present(handles[below(handles.length)]), pauses(below(20))))
        )
        const seen = new Set<string>()
        for (let round = 0; round < 2_000; round++) {
          const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () => {
            const draw = below(100)
            return Effect.forkChild(
              Effect.andThen(pauses(below(4)), draw === 0 ? held : draw < 25 ? admitted : breaker.protect(work)).pipe(
                // so few operations to a turn that an interruption falls between any two of them
                Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + below(4))
              ),
              { startImmediately: below(2) === 0 }
            )
          })
          for (const fiber of fibers) {
            yield* pauses(below(2))
            if (below(2) === 0) fiber.interruptUnsafe()
          }
          yield* pauses(below(100))
          yield* Fiber.interruptAll(fibers)
          const phase = yield* Ref.get(breaker.phase)
          seen.add(phase._tag)
          if (phase._tag === "HalfOpen") assert.strictEqual(phase.inFlight, 0)
          assert.strictEqual((yield* breaker.snapshot).inFlight, 0)
          yield* TestClock.adjust("1 second")
        }
        // whatever held it has let go
        assert.sameMembers([...seen], ["Closed", "Open", "HalfOpen"])
        const { calls, transitions } = yield* breaker.snapshot
        for (const count of [calls.ignored, calls.refused, transitions.forced, transitions.opened]) {
          assert.isAbove(count, 500)
        }
        yield* breaker.reset
        yield* feed(breaker, "FFF")
        yield* TestClock.adjust("1 second")
        yield* start(breaker.protect(Effect.never))
        yield* start(breaker.protect(Effect.never))
        assert.deepInclude(yield* Ref.get(breaker.phase), { _tag: "HalfOpen", inFlight: 2 })
        assert.strictEqual(yield* admits(breaker), false)
      }).pipe(Random.withSeed("storm")),
    60_000
  )

  it.effect("keeps what was admitted in an earlier phase from changing any later one", () =>
    Effect.gen(function*() {
      const endings = {
        success: Effect.void,
        failure: Effect.fail(new Boom({ n: 0 })),
        ignored: Effect.fail(Says.of(Outcome.ignored)),
        overload: Effect.fail(Says.of(Outcome.overload())),
        defect: Effect.die("bug")
      }
      for (const ending of Object.values(endings)) {
        const breaker = yield* CircuitBreaker.make("fenced", {
          trip: { kind: "consecutive", failures: 1 },
          open: "1 second",
          halfOpen: { concurrent: 4, calls: 3 }
        })
        const calls: Array<{ readonly end: () => void; readonly fiber: Fiber.Fiber<unknown, unknown> }> = []
        const admit = Effect.gen(function*() {
          let end = () => {}
          const fiber = yield* start(breaker.protect(Effect.callback<void, Boom | Says>((resume) => {
            end = () => resume(ending)
          })))
          assert.strictEqual(fiber.pollUnsafe(), undefined)
          calls.push({ fiber, end: () => end() })
        })
        // one late call for each phase that is still to come: open, half-open, open, half-open, closed
        yield* Effect.forEach([1, 2, 3, 4, 5], () => admit)
        const lateCall = Effect.gen(function*() {
          const before = yield* Ref.get(breaker.phase)
          const { end, fiber } = present(calls.shift())
          end()
          yield* Fiber.await(fiber)
          assert.strictEqual(yield* Ref.get(breaker.phase), before)
        })
        yield* feed(breaker, "F")
        yield* lateCall
        yield* TestClock.adjust("1 second")
        yield* feed(breaker, "S")
        yield* lateCall
        yield* feed(breaker, "F")
        assert.strictEqual(yield* stateOf(breaker), "Open")
        yield* lateCall
        yield* TestClock.adjust("1 second")
        yield* feed(breaker, "SS")
        assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
        yield* lateCall
        yield* feed(breaker, "S")
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        yield* lateCall
      }
    }))

  it.effect("starts a new streak and a new window when it closes", () =>
    Effect.gen(function*() {
      const trips: ReadonlyArray<CircuitBreaker.Trip> = [
        { kind: "consecutive", failures: 3 },
        { kind: "count", failures: 3, window: { calls: 5 } },
        { kind: "count", failures: 3, window: { duration: "1 hour" } },
        { kind: "rate", threshold: 0.6, minimumCalls: 3, window: { duration: "1 hour" } }
      ]
      for (const trip of trips) {
        const breaker = yield* CircuitBreaker.make("anew", { trip, open: "1 second" })
        yield* feed(breaker, "FFF")
        assert.strictEqual(yield* stateOf(breaker), "Open")
        yield* TestClock.adjust("1 second")
        yield* feed(breaker, "S FF")
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        yield* feed(breaker, "F")
        assert.strictEqual(yield* stateOf(breaker), "Open")
      }
    }))
})

describe("CircuitBreaker: how long it stays open", () => {
  /** What is left right after each of some consecutive openings. */
  const openTimes = Effect.fnUntraced(function*(
    options: CircuitBreaker.Options,
    openings: number,
    error: Boom | Says = new Boom({ n: 0 })
  ) {
    const breaker = yield* CircuitBreaker.make("open", { trip: { kind: "consecutive", failures: 1 }, ...options })
    const times: Array<number> = []
    for (let n = 0; n < openings; n++) {
      yield* Effect.exit(breaker.protect(Effect.fail(error)))
      const { openings, retryAfter } = yield* breaker.snapshot
      assert.strictEqual(openings, n + 1)
      times.push(Duration.toMillis(present(retryAfter)))
      yield* TestClock.adjust(present(retryAfter))
    }
    return times
  })

  it.effect("is the same each time for a duration", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* openTimes({ open: "5 seconds" }, 4), [5_000, 5_000, 5_000, 5_000])
    }))

  it.effect("is told the number of earlier openings where it is a function, from 0", () =>
    Effect.gen(function*() {
      const open = (openings: number) => Duration.seconds(openings + 1)
      assert.deepStrictEqual(yield* openTimes({ open }, 4), [1_000, 2_000, 3_000, 4_000])
    }))

  it.effect("starts anew from 0 after it was closed", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("anew", {
        trip: { kind: "consecutive", failures: 1 },
        open: (openings) => Duration.seconds(openings + 1)
      })
      yield* feed(breaker, "F")
      yield* TestClock.adjust("1 second")
      yield* feed(breaker, "F")
      assert.deepStrictEqual((yield* breaker.snapshot).retryAfter, Duration.seconds(2))
      yield* TestClock.adjust("2 seconds")
      yield* feed(breaker, "S F")
      assert.deepStrictEqual((yield* breaker.snapshot).retryAfter, Duration.seconds(1))
    }))

  it.effect("follows the delays of a schedule", () =>
    Effect.gen(function*() {
      const open = Schedule.exponential("1 second")
      assert.deepStrictEqual(yield* openTimes({ open }, 5), [1_000, 2_000, 4_000, 8_000, 16_000])
    }))

  it.effect("keeps the last delay of a schedule that has ended", () =>
    Effect.gen(function*() {
      const open = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 }))
      assert.deepStrictEqual(yield* openTimes({ open }, 6), [1_000, 2_000, 4_000, 4_000, 4_000, 4_000])
    }))

  it.effect("is 30 seconds where a function throws, or answers with no positive finite duration", () =>
    Effect.gen(function*() {
      const garbage: ReadonlyArray<unknown> = [
        NaN,
        -1,
        0,
        Infinity,
        -Infinity,
        "soon",
        undefined,
        null,
        {
          seconds: NaN
        },
        [1, NaN],
        "Infinity",
        "-5 seconds"
      ]
      for (const value of garbage) {
        // garbage that the type does not allow
        const open = () => value as Duration.Input
        assert.deepStrictEqual(yield* openTimes({ open }, 1), [30_000], String(value))
      }
      const throwing = () => {
        throw new Error("bug")
      }
      assert.deepStrictEqual(yield* openTimes({ open: throwing }, 2), [30_000, 30_000])
    }))

  it.effect("is lengthened by a retryAfter, to maxRetryAfter, and never shortened", () =>
    Effect.gen(function*() {
      const asking = (retryAfter: Duration.Input) => Says.of(Outcome.failure({ retryAfter }))
      const open = "10 seconds"
      assert.deepStrictEqual(yield* openTimes({ open }, 2, asking("60 seconds")), [60_000, 60_000])
      assert.deepStrictEqual(yield* openTimes({ open }, 2, asking("2 seconds")), [10_000, 10_000])
      assert.deepStrictEqual(yield* openTimes({ open }, 1, asking("1 day")), [300_000])
      assert.deepStrictEqual(yield* openTimes({ open }, 1, asking("Infinity")), [300_000])
      assert.deepStrictEqual(yield* openTimes({ open, maxRetryAfter: "20 seconds" }, 1, asking("1 day")), [20_000])
      assert.deepStrictEqual(yield* openTimes({ open, maxRetryAfter: 0 }, 1, asking("1 day")), [10_000])
    }))
})

describe("CircuitBreaker: windows", () => {
  /** Random calls with pauses between them, now and then a long one. */
  const calls = Effect.gen(function*() {
    const random = yield* Random.Random
    let at = 0
    return Array.from({ length: 2_000 }, () => {
      const draw = random.nextDoubleUnsafe()
      at += draw < 0.5 ? 0 : draw < 0.9 ? random.nextDoubleUnsafe() * 20 : random.nextDoubleUnsafe() * 300
      return { at, failed: random.nextDoubleUnsafe() < 0.4, cleared: random.nextDoubleUnsafe() < 0.005 }
    })
  })

  interface Entry {
    readonly at: number
    readonly failed: boolean
  }
  const summary = (window: breakerWindow.Window, now: number) => {
    window.rotate(now)
    return { calls: window.calls, against: window.against }
  }
  const agrees = Effect.fnUntraced(function*(
    window: breakerWindow.Window,
    looksAt: (history: ReadonlyArray<Entry>, now: number) => ReadonlyArray<Entry>
  ) {
    let history: ReadonlyArray<Entry> = []
    const expected = (now: number) => {
      const looked = looksAt(history, now)
      return { calls: looked.length, against: looked.filter(({ failed }) => failed).length }
    }
    for (const { at, cleared, failed } of yield* calls) {
      // what has been forgotten must be forgotten without a call as well
      assert.deepStrictEqual(summary(window, at), expected(at))
      if (cleared) {
        window.clear()
        history = []
      } else {
        window.record(failed, at)
        history = [...history, { at, failed }]
      }
      assert.deepStrictEqual(summary(window, at), expected(at))
    }
  })

  it.effect.each([1, 2, 7, 31, 32, 33, 64, 100])(
    "the last %i calls agree with a list",
    (size) => agrees(new breakerWindow.LastCalls(size), (history) => history.slice(-size)).pipe(Random.withSeed(size))
  )

  it.effect("the streak agrees with a list", () =>
    agrees(new breakerWindow.Streak(), (history) => history.slice(history.findLastIndex(({ failed }) => !failed) + 1))
      .pipe(
        Random.withSeed("streak")
      ))

  it.effect("a streak that forgets agrees with a list", () =>
    agrees(new breakerWindow.Streak(40), (history, now) => {
      const failures = history.slice(history.findLastIndex(({ failed }) => !failed) + 1)
      return failures.slice(failures.findLastIndex(({ at }, n) => (failures[n + 1]?.at ?? now) - at >= 40) + 1)
    }).pipe(Random.withSeed("forgetful")))

  it.effect.each([
    { duration: 100, buckets: 10 },
    { duration: 100, buckets: 1 },
    { duration: 100, buckets: 7 },
    { duration: 1_000, buckets: 3 },
    { duration: 10, buckets: 10 }
  ])("the last $duration ms in $buckets parts agree with a list, idle times included", ({ buckets, duration }) => {
    const part = (at: number) => Math.floor(at / (duration / buckets))
    return agrees(
      new breakerWindow.LastMillis(duration, buckets),
      (history, now) => history.filter(({ at }) => part(now) - part(at) < buckets)
    ).pipe(Random.withSeed(`${duration} ${buckets}`))
  })

  it.effect("a call is forgotten at the latest when the window's time has passed, at the earliest one part sooner", () =>
    Effect.gen(function*() {
      for (const { at } of yield* calls) {
        const window = new breakerWindow.LastMillis(100, 10)
        window.record(true, at)
        assert.strictEqual(summary(window, at + 89.999).calls, 1)
        assert.strictEqual(summary(window, at + 100.001).calls, 0)
      }
    }).pipe(Random.withSeed("forgotten")))

  it("a clock that starts below zero changes nothing", () => {
    const window = new breakerWindow.LastMillis(100, 10)
    window.record(true, -1_005)
    window.record(true, -950)
    assert.deepStrictEqual(summary(window, -950), { calls: 2, against: 2 })
    assert.deepStrictEqual(summary(window, -905), { calls: 1, against: 1 })
    assert.deepStrictEqual(summary(window, 0), { calls: 0, against: 0 })
  })
})

describe("CircuitOpen", () => {
  it("is a schema error with policy, retryAfter and status", () => {
    const error = new CircuitBreaker.CircuitOpen({ policy: "quotes", retryAfter: Duration.seconds(7) })
    const encoded = Schema.encodeSync(CircuitBreaker.CircuitOpen)(error)
    assert.deepStrictEqual(encoded, { _tag: "CircuitOpen", policy: "quotes", retryAfter: 7_000 })
    const decoded = Schema.decodeSync(CircuitBreaker.CircuitOpen)(encoded)
    assert.instanceOf(decoded, CircuitBreaker.CircuitOpen)
    assert.deepStrictEqual(Outcome.fromCause(Cause.fail(decoded)), Outcome.ignored)
  })
})
