import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Equal, Exit, Fiber, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Chaos from "../src/Chaos.ts"
import * as CircuitBreaker from "../src/CircuitBreaker.ts"
import * as Outcome from "../src/Outcome.ts"
import * as Retry from "../src/Retry.ts"
import { Boom, brief, drawing, drive, ended, errorOf, manualClock, recorded, start, stateOf } from "./support.ts"

const everything = {
  latency: { rate: 0.3, delay: { min: 10, max: 30 } },
  behavior: { rate: 0.2, run: () => Effect.void },
  failure: { rate: 0.2 },
  overload: { rate: 0.1, retryAfter: "1 second" },
  defect: { rate: 0.1 }
} as const

/** What some calls in a row meet. */
const script = (calls: number, options: Chaos.Options) =>
  Effect.gen(function*() {
    const met: Array<ReadonlyArray<string>> = []
    for (let call = 0; call < calls; call++) {
      const faults: Array<string> = []
      const watch: Chaos.Watch = { injected: (what) => faults.push(what) }
      const from = yield* Clock.currentTimeMillis
      const { at } = yield* drive(Chaos.run(Effect.void, Chaos.settings(options), "script", watch), "60 seconds")
      met.push([...faults, String(Math.round((at - from) * 1e6) / 1e6)])
    }
    return met
  })

/** Draws these numbers, and then zeros. */
const drawingEach = (...numbers: ReadonlyArray<number>) => {
  const left = [...numbers]
  return Effect.provideService(Random.Random, { nextDoubleUnsafe: () => left.shift() ?? 0, nextIntUnsafe: () => 0 })
}

describe("Chaos", () => {
  it.effect("is the same script again for the same seed, and another one for another", () =>
    Effect.gen(function*() {
      const first = yield* script(300, everything).pipe(Random.withSeed("a"))
      const again = yield* script(300, everything).pipe(Random.withSeed("a"))
      const other = yield* script(300, everything).pipe(Random.withSeed("b"))
      assert.deepStrictEqual(again, first)
      assert.notDeepEqual(other, first)
    }))

  it.effect("meets calls at its rates: one fault at most, latency and behavior beside it", () =>
    Effect.gen(function*() {
      const calls = 5_000
      const met = yield* script(calls, everything).pipe(Random.withSeed("rates"))
      const share = (f: (faults: ReadonlyArray<string>) => boolean) => met.filter(f).length / calls
      const withIn = (fault: string) => share((faults) => faults.includes(fault))
      assert.approximately(withIn("latency"), 0.3, 0.02)
      assert.approximately(withIn("behavior"), 0.2, 0.02)
      assert.approximately(withIn("failure"), 0.2, 0.02)
      assert.approximately(withIn("overload"), 0.1, 0.02)
      assert.approximately(withIn("defect"), 0.1, 0.02)
      const ends = ["failure", "overload", "defect"]
      assert.strictEqual(share((faults) => faults.filter((fault) => ends.includes(fault)).length > 1), 0)
      assert.approximately(share((faults) => faults.includes("latency") && faults.includes("failure")), 0.06, 0.01)
      // the delays are spread over their range, and there are none without latency
      const delays = met.filter((faults) => faults.includes("latency")).map((faults) => Number(faults.at(-1)))
      assert.isAtLeast(Math.min(...delays), 10)
      assert.isAtMost(Math.max(...delays), 30)
      assert.approximately(delays.reduce((sum, delay) => sum + delay, 0) / delays.length, 20, 1)
      assert.isTrue(met.every((faults) => faults.includes("latency") || faults.at(-1) === "0"))
    }))

  it("is nothing at all where it is off", () => {
    const work = Effect.succeed("done")
    const off: ReadonlyArray<Chaos.Options<unknown>> = [
      {},
      { ...everything, enabled: false },
      { latency: { rate: 0, delay: 5 }, failure: { rate: 0 }, defect: { rate: 0 }, overload: { rate: 0 } },
      { behavior: { rate: 0, run: () => Effect.die("must not run") } },
      { latency: undefined, failure: undefined, enabled: undefined }
    ]
    for (const options of off) {
      assert.strictEqual<unknown>(Chaos.make(options)(work), work)
      assert.strictEqual<unknown>(Chaos.inject(work, options), work)
      assert.strictEqual(Chaos.run(work, Chaos.settings(options)), work)
    }
  })

  it.effect("leaves results, errors, defects and interruptions as they are where it does not strike", () =>
    Effect.gen(function*() {
      const chaos = Chaos.make({ ...everything, failure: { rate: 1e-12 } })
      const exits: ReadonlyArray<Exit.Exit<number, Boom>> = [
        Exit.succeed(1),
        Exit.fail(new Boom({ n: 1 })),
        Exit.die("bug"),
        Exit.interrupt(7)
      ]
      for (const exit of exits) {
        assert.deepStrictEqual<unknown>(yield* Effect.exit(chaos(exit)).pipe(drawing(0.9)), exit)
      }
    }))

  it.effect("can be turned on and off while calls are running", () =>
    Effect.gen(function*() {
      let isOn = false
      const call = Chaos.make({ enabled: () => isOn, failure: { rate: 1 } })(Effect.succeed("well"))
      assert.strictEqual(yield* call, "well")
      isOn = true
      assert.strictEqual(brief(yield* Effect.exit(call)), "ChaosInjected")
      isOn = false
      assert.strictEqual(yield* call, "well")
      const broken = Chaos.make({
        enabled: () => {
          throw new Error("a bug in a switch")
        },
        failure: { rate: 1 }
      })
      assert.strictEqual(yield* broken(Effect.succeed("well")), "well")
      // what the types do not allow
      const vague = Chaos.make({ enabled: (() => "yes") as unknown as () => boolean, failure: { rate: 1 } })
      assert.strictEqual(yield* vague(Effect.succeed("well")), "well")
    }))

  it.effect("always strikes at a rate of 1, and never at 0, whatever `Random` draws", () =>
    Effect.gen(function*() {
      for (const u of [0, 0.5, 1 - Number.EPSILON, 1, 2, Infinity, NaN, -1, -Infinity]) {
        const always = Chaos.make({ failure: { rate: 1 }, latency: { rate: 1, delay: { min: 10, max: 20 } } })
        const never = Chaos.make({ failure: { rate: 0 }, defect: { rate: 1e-300 }, latency: { rate: 0, delay: 50 } })
        const from = yield* Clock.currentTimeMillis
        const { at, exit } = yield* drive(always(Effect.void).pipe(drawing(u)), "60 seconds")
        assert.strictEqual(brief(exit), "ChaosInjected")
        assert.isAtLeast(at - from, 10)
        assert.isAtMost(at - from, 20)
        // zero, and what is taken for it, is the one draw that even the smallest rate is struck at
        assert.strictEqual(brief(yield* Effect.exit(never(Effect.void).pipe(drawing(u)))), u <= 0 ? "die" : undefined)
      }
    }))

  it.effect("shares the draw between its faults: each has its own stretch", () =>
    Effect.gen(function*() {
      const chaos = Chaos.make({
        failure: { rate: 0.25 },
        overload: { rate: 0.25 },
        defect: { rate: 0.25, defect: () => "bug" }
      })
      const at = (u: number) =>
        Effect.map(Effect.exit(chaos(Effect.succeed("well")).pipe(drawing(u))), (exit) => {
          const what = brief(exit)
          return what === "ChaosInjected" ? errorOf(exit).fault : what
        })
      const seen = yield* Effect.forEach([0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 1], at)
      assert.deepStrictEqual(seen, ["failure", "failure", "overload", "overload", "die", "die", "well", "well"])
    }))

  describe("latency", () => {
    it.effect("comes before the work, which then runs, or meets another fault", () =>
      Effect.gen(function*() {
        const { starts, work } = recorded(() => Effect.succeed("late"))
        const late = Chaos.make({ latency: { rate: 1, delay: "2 seconds" } })
        const { at, exit } = yield* drive(late(work), "60 seconds")
        assert.deepStrictEqual([brief(exit), at, starts], ["late", 2_000, [2_000]])
        const both = Chaos.make({ latency: { rate: 1, delay: "2 seconds" }, failure: { rate: 1 } })
        const failed = yield* start(ended(both(work)))
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual(failed.pollUnsafe(), undefined)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(brief((yield* Fiber.join(failed)).exit), "ChaosInjected")
        assert.strictEqual(starts.length, 1)
      }))

    it.effect("can be interrupted, and the work is not run", () =>
      Effect.gen(function*() {
        const { starts, work } = recorded(() => Effect.void)
        for (const delay of ["1 hour", "Infinity"] as const) {
          const fiber = yield* start(Chaos.make({ latency: { rate: 1, delay } })(work))
          yield* TestClock.adjust("30 minutes")
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(brief(yield* Fiber.await(fiber)), "interrupt")
        }
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(starts, [])
      }))

    it.effect("hangs where it has no end", () =>
      Effect.gen(function*() {
        const fiber = yield* start(Chaos.make({ latency: { rate: 1, delay: "Infinity" } })(Effect.void))
        yield* TestClock.adjust("3650 days")
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        yield* Fiber.interrupt(fiber)
      }))

    it.effect("is drawn evenly between its bounds, which it keeps", () =>
      Effect.gen(function*() {
        const chaos = Chaos.make({ latency: { rate: 1, delay: { min: 100, max: "300 millis" } } })
        for (const [u, delay] of [[0, 100], [0.5, 200], [0.75, 250], [1, 300], [NaN, 300], [-1, 100]] as const) {
          const from = yield* Clock.currentTimeMillis
          const { at } = yield* drive(chaos(Effect.void).pipe(drawingEach(0, u)), "60 seconds")
          assert.approximately(at - from, delay, 1e-6)
        }
        const same = Chaos.make({ latency: { rate: 1, delay: { min: 5, max: 5 } } })
        const from = yield* Clock.currentTimeMillis
        assert.strictEqual((yield* drive(same(Effect.void), "60 seconds")).at - from, 5)
      }))

    it.effect("is elapsed time, whoever sets the wall clock", () =>
      Effect.gen(function*() {
        const slept: Array<number> = []
        const { clock, setWall, wait } = manualClock((millis) =>
          Effect.sync(() => {
            slept.push(millis)
            setWall(-1e9)
            wait(millis)
          })
        )
        const late = Chaos.make({ latency: { rate: 1, delay: 50 } })
        yield* late(Effect.void).pipe(Effect.provideService(Clock.Clock, clock))
        assert.deepStrictEqual(slept, [50])
      }))
  })

  describe("faults", () => {
    it.effect("a failure is retryable, counts, and can be an error of one's own", () =>
      Effect.gen(function*() {
        const { starts, work } = recorded(() => Effect.void)
        const plain = errorOf(yield* Effect.exit(Chaos.make({ failure: { rate: 1 } })(work)))
        assert.instanceOf(plain, Chaos.ChaosInjected)
        assert.strictEqual(plain.message, "Chaos: a failure was injected")
        assert.deepStrictEqual(Outcome.fromError(plain), Outcome.failure())
        const own = Chaos.make({ failure: { rate: 1, error: () => new Boom({ n: 7 }) } })
        assert.strictEqual(errorOf(yield* Effect.exit(own(work))).n, 7)
        assert.deepStrictEqual(starts, [])
        // each call has an error of its own
        assert.notStrictEqual(
          errorOf(yield* Effect.exit(own(work))),
          errorOf(yield* Effect.exit(own(work)))
        )
        const breaker = yield* CircuitBreaker.make("outside", { trip: { kind: "consecutive", failures: 1 } })
        yield* Effect.exit(breaker.protect(Chaos.make({ failure: { rate: 1 } })(work)))
        assert.strictEqual(yield* stateOf(breaker), "Open")
      }))

    it.effect("an overload asks for its pause, and opens nothing", () =>
      Effect.gen(function*() {
        const busy = Chaos.make({ overload: { rate: 1, retryAfter: "3 seconds" } })
        const error = errorOf(yield* Effect.exit(busy(Effect.void)))
        assert.deepStrictEqual(Outcome.fromError(error), Outcome.overload({ retryAfter: "3 seconds" }))
        assert.strictEqual(error.message, "Chaos: an overload was injected")
        const silent = errorOf(yield* Effect.exit(Chaos.make({ overload: { rate: 1 } })(Effect.void)))
        assert.deepStrictEqual(Outcome.fromError(silent), Outcome.overload())
        const wire = Schema.encodeSync(Chaos.ChaosInjected)(error)
        assert.deepStrictEqual(wire, { _tag: "ChaosInjected", policy: "Chaos", fault: "overload", retryAfter: 3_000 })
        const breaker = yield* CircuitBreaker.make("outside", { trip: { kind: "consecutive", failures: 1 } })
        yield* Effect.exit(breaker.protect(busy(Effect.void)))
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      }))

    it.effect("a defect is a defect", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Chaos.make({ defect: { rate: 1 } })(Effect.void))
        assert.deepStrictEqual(exit, Exit.die(new Error("Chaos: a defect was injected")))
        const own = yield* Effect.exit(Chaos.make({ defect: { rate: 1, defect: () => "bug" } })(Effect.void))
        assert.deepStrictEqual(own, Exit.die("bug"))
      }))

    it.effect("a result takes the place of the work", () =>
      Effect.gen(function*() {
        const { starts, work } = recorded((n) => n > 99 ? Effect.fail(new Boom({ n })) : Effect.succeed(n))
        const stale = Chaos.inject(work, { result: { rate: 1, exit: () => Exit.succeed(-1) } })
        assert.strictEqual(yield* stale, -1)
        const failed = work.pipe(Chaos.inject({ result: { rate: 1, exit: () => Exit.fail(new Boom({ n: 3 })) } }))
        assert.strictEqual(errorOf(yield* Effect.exit(failed)).n, 3)
        assert.deepStrictEqual(starts, [])
        const sometimes = Chaos.inject(work, {
          failure: { rate: 0.5 },
          result: { rate: 0.5, exit: () => Exit.succeed(-1) }
        })
        assert.strictEqual(yield* sometimes.pipe(drawing(0.5)), -1)
        assert.strictEqual(brief(yield* Effect.exit(sometimes.pipe(drawing(0.49)))), "ChaosInjected")
      }))

    it.effect("behavior runs before the work, and what it dies with ends the call", () =>
      Effect.gen(function*() {
        const order: Array<string> = []
        const work = Effect.sync(() => order.push("work"))
        const restart = Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => order.push("behavior")))
        yield* drive(Chaos.make({ behavior: { rate: 1, run: () => restart } })(work), "60 seconds")
        assert.deepStrictEqual(order, ["behavior", "work"])
        const bad = Chaos.make({ behavior: { rate: 1, run: () => Effect.die("bug") } })
        assert.strictEqual(brief(yield* Effect.exit(bad(work))), "die")
        assert.strictEqual(order.length, 2)
      }))

    it.effect("what throws instead of answering is a defect", () =>
      Effect.gen(function*() {
        const broken = () => {
          throw new Error("a bug in an experiment")
        }
        const policies: ReadonlyArray<Chaos.Options<unknown> & Chaos.ResultOptions<void, never>> = [
          { failure: { rate: 1, error: broken } },
          { defect: { rate: 1, defect: broken } },
          { behavior: { rate: 1, run: broken } },
          { result: { rate: 1, exit: broken } }
        ]
        for (const options of policies) {
          assert.strictEqual(brief(yield* Effect.exit(Chaos.inject(Effect.void, options))), "die")
        }
      }))
  })

  it.effect("tells who watches what happens, when it happens", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const settings = Chaos.settings({
        latency: { rate: 1, delay: 10 },
        behavior: { rate: 1, run: () => Effect.sleep(10) },
        failure: { rate: 1 }
      })
      const call = Chaos.run(Effect.void, settings, "watched", { injected: (what) => told.push(what) })
      const fiber = yield* start(Effect.exit(call))
      assert.deepStrictEqual(told, ["latency"])
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(told, ["latency", "behavior"])
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(told, ["latency", "behavior", "failure"])
      const exit: Exit.Exit<unknown, unknown> = yield* Fiber.join(fiber)
      assert.strictEqual(String(errorOf(exit)), "ChaosInjected: watched: a failure was injected")
    }))

  it.effect("strikes each attempt of a retry outside of it anew", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded(() => Effect.succeed("at last"))
      const shaky = Chaos.make({ failure: { rate: 0.5 } })
      const call = work.pipe(shaky, Retry.make({ times: 5, backoff: { kind: "constant", delay: 10 }, jitter: "none" }))
      // two strikes, each followed by a draw for the jitter of its retry
      const { at, exit } = yield* drive(call.pipe(drawingEach(0.1, 0, 0.2, 0, 0.9)), "60 seconds")
      assert.deepStrictEqual([brief(exit), at, starts.length], ["at last", 20, 1])
    }))

  it("has settings that are plain data", () => {
    assert.deepStrictEqual(Chaos.settings({ ...everything, behavior: undefined }), {
      enabled: true,
      latency: { rate: 0.3, min: 10, max: 30 },
      behavior: undefined,
      faults: [
        { kind: "failure", rate: 0.2, error: undefined },
        { kind: "overload", rate: 0.1, retryAfter: 1_000 },
        { kind: "defect", rate: 0.1, defect: undefined }
      ]
    })
    assert.isTrue(Equal.equals(Chaos.settings(everything), Chaos.settings({ ...everything })))
    assert.isFalse(Equal.equals(Chaos.settings(everything), Chaos.settings({ ...everything, failure: { rate: 0.1 } })))
    assert.deepStrictEqual(Chaos.settings({ latency: { rate: 1, delay: Duration.seconds(2) } }).latency, {
      rate: 1,
      min: 2_000,
      max: 2_000
    })
  })

  const rate = "must be a number from 0 to 1"
  const bad: ReadonlyArray<readonly [unknown, string]> = [
    [undefined, "Chaos: options must be an object, got undefined"],
    [{ failures: { rate: 1 } }, "Chaos: unknown option \"failures\"; it takes enabled, latency"],
    [{ result: { rate: 1, exit: () => Exit.void } }, "Chaos: unknown option \"result\""],
    [{ enabled: "yes" }, "Chaos: enabled must be true, false or a function, got \"yes\""],
    [{ failure: true }, "Chaos.failure: options must be an object, got true"],
    [{ failure: {} }, `Chaos: failure.rate ${rate}, got undefined`],
    [{ failure: { rate: NaN } }, `Chaos: failure.rate ${rate}, got NaN`],
    [{ overload: { rate: -0.1 } }, `Chaos: overload.rate ${rate}, got -0.1`],
    [{ defect: { rate: 1.1 } }, `Chaos: defect.rate ${rate}, got 1.1`],
    [{ latency: { rate: "0.5", delay: 5 } }, `Chaos: latency.rate ${rate}, got "0.5"`],
    [{ behavior: { rate: Infinity, run: () => Effect.void } }, `Chaos: behavior.rate ${rate}, got Infinity`],
    [{ failure: { rate: 1, errors: () => 5 } }, "Chaos.failure: unknown option \"errors\"; it takes rate, error"],
    [{ failure: { rate: 0, error: 5 } }, "Chaos: failure.error must be a function, got 5"],
    [{ defect: { rate: 1, defect: "bug" } }, "Chaos: defect.defect must be a function, got \"bug\""],
    [{ behavior: { rate: 1 } }, "Chaos: behavior.run must be a function, got undefined"],
    [{ overload: { rate: 1, retryAfter: -1 } }, "Chaos: overload.retryAfter must be a finite duration of zero or more"],
    [{ overload: { rate: 1, retryAfter: "Infinity" } }, "Chaos: overload.retryAfter must be a finite duration"],
    [{ latency: { rate: 1 } }, "Chaos: latency.delay must be a duration above zero, got undefined"],
    [{ latency: { rate: 1, delay: 0 } }, "Chaos: latency.delay must be a duration above zero, got 0"],
    [{ latency: { rate: 1, delay: "5s" } }, "Chaos: latency.delay must be a duration above zero, got \"5s\"; write it"],
    [{ latency: { rate: 1, delay: NaN } }, "Chaos: latency.delay must be a duration above zero, got NaN"],
    [{ latency: { rate: 1, delay: { min: 5 } } }, "Chaos: latency.delay.max must be a finite duration above zero"],
    [{ latency: { rate: 1, delay: { max: 5 } } }, "Chaos: latency.delay.min must be a finite duration of zero or more"],
    [{ latency: { rate: 1, delay: { min: 5, max: 4 } } }, "Chaos: latency.delay.max must be at least its min, got 4"],
    [
      { latency: { rate: 1, delay: { min: 5, max: "Infinity" } } },
      "Chaos: latency.delay.max must be a finite duration"
    ],
    [{ latency: { rate: 1, delay: { min: 5, max: 6, mid: 5 } } }, "Chaos.latency.delay: unknown option \"mid\""],
    [
      { failure: { rate: 0.5 }, overload: { rate: 0.4 }, defect: { rate: 0.2 } },
      "Chaos: the sum of all rates but that of latency and behavior must be at most 1, got 1.1"
    ]
  ]
  it.each(bad.map(([options, message]) => ({ options, message })))("refuses: $message", ({ message, options }) => {
    // what the types do not allow
    const given = options as Chaos.Options
    assert.throws(() => Chaos.settings(given), RangeError, message)
    assert.throws(() => Chaos.make(given), RangeError, message)
  })

  it("refuses a result that is no function, and takes rates that add up to 1 but for rounding", () => {
    // what the types do not allow
    const result = { rate: 1, exit: Exit.void as never }
    assert.throws(() => Chaos.inject(Effect.void, { result }), RangeError, "Chaos: result.exit must be a function")
    Chaos.settings({ failure: { rate: 0.7 }, overload: { rate: 0.2 }, defect: { rate: 0.1 } })
    Chaos.settings({ failure: { rate: 1 }, overload: { rate: 0 }, latency: { rate: 1, delay: "1 nano" } })
  })
})
