import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Equal, Exit, Fiber, Random, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Deadline, Outcome, Timeout } from "../src/index.ts"
import * as Throttle from "../src/Throttle.ts"
import { type Boom, boom, brief, drawing, draws, drive, errorOf, manualClock, present, Says, start } from "./support.ts"

// what the types forbid, and what JavaScript, JSON and casts bring in all the same
const bad = (options: unknown) => () => Throttle.make("t", options as never)

/** Lets so many calls pass that end like this, whatever the throttle thinks of it. */
const feed = <E>(throttle: Throttle.Throttle, n: number, end: Effect.Effect<unknown, E>) =>
  Effect.repeat(Effect.exit(throttle.protect(end)), { times: n - 1 }).pipe(drawing(1), Effect.asVoid)

/** Whether it refuses a call, with that draw. */
const refuses = (throttle: Throttle.Throttle, u: number) =>
  Effect.map(
    Effect.exit(throttle.protect(Effect.fail(Says.of(Outcome.ignored)))).pipe(drawing(u)),
    (exit) => brief(exit) === "Throttled"
  )

describe("Throttle.protect", () => {
  it.effect("refuses nothing while the share of accepted calls is at least the target", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("well", { target: 0.75 })
      yield* feed(throttle, 30, Effect.void)
      yield* feed(throttle, 10, boom)
      assert.strictEqual((yield* throttle.snapshot).probability, 0)
      assert.strictEqual(yield* refuses(throttle, 0), false)
      yield* feed(throttle, 1, boom)
      assert.approximately((yield* throttle.snapshot).probability, 1 / 42, 1e-12)
      assert.strictEqual(yield* refuses(throttle, 0), true)
    }))

  it.effect("fails with the probability that it was refused with, and does not run the work", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("mail", {})
      yield* feed(throttle, 99, boom)
      let runs = 0
      const work = Effect.sync(() => ++runs)
      const error = errorOf(yield* Effect.exit(throttle.protect(work)).pipe(drawing(0.5)))
      assert.strictEqual(runs, 0)
      assert.deepInclude(error, { _tag: "Throttled", policy: "mail", probability: 0.99 })
      assert.strictEqual(
        error.message,
        "mail: refused, with a probability of 99 %, as the dependency refuses too many calls"
      )
      assert.notProperty(error, "retryAfter")
      assert.deepStrictEqual(Outcome.fromError(error), Outcome.ignored)
      assert.deepStrictEqual(yield* throttle.snapshot, {
        name: "mail",
        requests: 100,
        accepts: 0,
        probability: 100 / 101,
        calls: { success: 0, failure: 99, overload: 0, ignored: 0, refused: 1 }
      })
    }))

  it.effect("counts successes as accepted, failures, overloads and defects as not, and what is ignored not at all", () =>
    Effect.gen(function*() {
      const ends: ReadonlyArray<readonly [Effect.Effect<unknown, Boom | Says>, requests: number, accepts: number]> = [
        [Effect.void, 1, 1],
        [Effect.fail(Says.of(Outcome.success)), 1, 1],
        [boom, 1, 0],
        [Effect.fail(Says.of(Outcome.overload())), 1, 0],
        [Effect.die("bug"), 1, 0],
        [Effect.fail(Says.of(Outcome.ignored)), 0, 0],
        [Effect.interrupt, 0, 0]
      ]
      for (const [end, requests, accepts] of ends) {
        const throttle = yield* Throttle.make("ends")
        assert.deepStrictEqual<unknown>(yield* Effect.exit(throttle.protect(end)), yield* Effect.exit(end))
        assert.deepInclude(yield* throttle.snapshot, { requests, accepts })
      }
    }))

  it.effect("counts a call when it ends, so that slow ones do not pass for refused ones", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("slow")
      const calls = yield* Effect.forEach(
        Array.from({ length: 100 }),
        () => start(throttle.protect(Effect.sleep("1 minute")))
      )
      assert.deepInclude(yield* throttle.snapshot, { requests: 0, probability: 0 })
      yield* TestClock.adjust("1 minute")
      yield* Effect.forEach(calls, Fiber.join)
      assert.deepInclude(yield* throttle.snapshot, { requests: 100, accepts: 100, probability: 0 })
    }))

  it.effect("asks the classifier, whatever it does", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("classified")
      yield* Effect.exit(throttle.protect(boom, { classify: () => Outcome.success }))
      yield* throttle.protect(Effect.void, {
        classify: (exit) => Exit.isSuccess(exit) ? Outcome.overload() : undefined
      })
      const throwing = () => {
        throw new Error("bug in a classifier")
      }
      assert.strictEqual(brief(yield* Effect.exit(throttle.protect(boom, { classify: throwing }))), "Boom")
      assert.deepInclude((yield* throttle.snapshot).calls, { success: 1, overload: 1, failure: 1 })
    }))

  it.effect("judges what a limit outside cuts off as the breaker does", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("cut")
      yield* drive(throttle.protect(Effect.never).pipe(Timeout.total("1 second")))
      yield* drive(throttle.protect(Effect.never).pipe(Deadline.within("1 second")))
      yield* drive(throttle.protect(Effect.never, { attemptTimeout: "5 seconds" }).pipe(Timeout.total("1 second")))
      assert.deepInclude((yield* throttle.snapshot).calls, { failure: 1, ignored: 2 })
    }))

  it.effect("forgets what is older than its window, also while nothing is called", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("window", { window: "10 seconds" })
      yield* feed(throttle, 50, boom)
      yield* TestClock.adjust("5 seconds")
      yield* feed(throttle, 50, Effect.void)
      assert.deepInclude(yield* throttle.snapshot, { requests: 100, accepts: 50, probability: 0 })
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* throttle.snapshot, { requests: 50, accepts: 50 })
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* throttle.snapshot, { requests: 0, accepts: 0, probability: 0 })
    }))

  it.effect("forgets accepted calls before it decides", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("window", { window: "10 seconds" })
      yield* feed(throttle, 100, Effect.void)
      yield* TestClock.adjust("9 seconds")
      yield* feed(throttle, 20, boom)
      assert.strictEqual(yield* refuses(throttle, 0), false)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* refuses(throttle, 0.9), true)
    }))

  it.effect("refuses nothing until there are enough calls to tell", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("few", { minimumCalls: 5 })
      yield* feed(throttle, 4, boom)
      assert.strictEqual(yield* refuses(throttle, 0), false)
      yield* feed(throttle, 1, boom)
      assert.strictEqual(yield* refuses(throttle, 0.8), true)
    }))

  it.effect("never refuses with more than the highest probability", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("cap", { maxProbability: 0.9 })
      yield* feed(throttle, 1_000, boom)
      assert.strictEqual((yield* throttle.snapshot).probability, 0.9)
      assert.strictEqual(yield* refuses(throttle, 0.9), false)
      assert.strictEqual(yield* refuses(throttle, 0.899), true)
    }))

  it.effect("is safe with any draw: none refuses where nothing is to be refused, and no throttle refuses for ever", () =>
    Effect.gen(function*() {
      for (const u of [0, 1, NaN, -1, 2, Infinity, -Infinity]) {
        const well = yield* Throttle.make("well")
        yield* feed(well, 20, Effect.void)
        assert.strictEqual(yield* refuses(well, u), false, `${u}`)
        const down = yield* Throttle.make("down")
        yield* feed(down, 20, boom)
        assert.strictEqual(yield* refuses(down, u), u < 0.9, `${u}`)
        assert.isTrue(Number.isFinite((yield* down.snapshot).probability))
      }
    }))

  it.effect("sends a dependency little more than it can accept, and finds it well again", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("capacity", { window: "10 seconds" })
      let sent = 0
      let accepted = 0
      // ten calls in 100 milliseconds, of which the dependency accepts `capacity`
      const tick = (capacity: number) =>
        Effect.gen(function*() {
          let left = capacity
          for (let n = 0; n < 10; n++) {
            yield* Effect.exit(throttle.protect(Effect.suspend(() => {
              sent++
              if (left-- <= 0) return boom
              accepted++
              return Effect.void
            })))
          }
          yield* TestClock.adjust(100)
        })
      const run = Effect.fnUntraced(function*(ticks: number, capacity: number) {
        sent = accepted = 0
        for (let n = 0; n < ticks; n++) yield* tick(capacity)
        return { sent, accepted }
      })
      yield* run(200, 2)
      const over = yield* run(200, 2)
      // with a target of one half, twice of what is accepted is sent
      assert.isTrue(over.sent > 2 * over.accepted * 0.9 && over.sent < 2 * over.accepted * 1.15, JSON.stringify(over))
      assert.isAbove(over.accepted, 300)
      yield* run(200, 10)
      assert.deepStrictEqual(yield* run(100, 10), { sent: 1_000, accepted: 1_000 })
    }).pipe(Random.withSeed("capacity")))

  it.effect("counts each call once at most when calls are interrupted at random, over 30,000 calls", () => {
    const { clock, wait } = manualClock()
    return Effect.gen(function*() {
      const { below } = yield* draws
      const throttle = yield* Throttle.make("storm", { window: 1_000 })
      const ends = [Effect.void, boom, Effect.andThen(Effect.yieldNow, Effect.void), Effect.never, Effect.die("bug")]
      for (let round = 0; round < 1_000; round++) {
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let n = 0; n < 30; n++) {
          const call = Effect.suspend(() => throttle.protect(present(ends[below(ends.length)])))
          fibers.push(yield* Effect.forkDetach(Effect.provideService(call, Scheduler.MaxOpsBeforeYield, 3 + below(4))))
        }
        for (const fiber of fibers) {
          if (below(3) === 0) yield* Effect.yieldNow
          if (below(2) === 0) fiber.interruptUnsafe()
          // now and then the clock runs backward
          wait(below(10) - 1)
        }
        yield* Fiber.interruptAll(fibers)
        const { accepts, probability, requests } = yield* throttle.snapshot
        assert.isTrue(accepts >= 0 && accepts <= requests && probability >= 0 && probability < 1)
      }
      const { calls } = yield* throttle.snapshot
      const counted = calls.success + calls.failure + calls.ignored + calls.refused
      assert.isAtMost(counted, 30_000)
      for (const count of [calls.success, calls.failure, calls.ignored, calls.refused]) assert.isAbove(count, 100)
      wait(10_000)
      assert.deepInclude(yield* throttle.snapshot, { requests: 0, accepts: 0 })
    }).pipe(Effect.provideService(Clock.Clock, clock), Random.withSeed("storm"))
  })

  it("has an error that is a schema", () => {
    const error = new Throttle.Throttled({ policy: "t", probability: 0.25 })
    const encoded = Schema.encodeSync(Throttle.Throttled)(error)
    assert.deepStrictEqual(Schema.decodeSync(Throttle.Throttled)(encoded), error)
  })
})

describe("Throttle.reconfigure", () => {
  it.effect("keeps the counts, and starts anew with another window", () =>
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("tuned", { target: 0.5 })
      yield* feed(throttle, 30, Effect.void)
      yield* feed(throttle, 10, boom)
      assert.strictEqual((yield* throttle.snapshot).probability, 0)
      yield* throttle.reconfigure(Throttle.settings({ target: 0.9 }))
      assert.strictEqual(throttle.settings.target, 0.9)
      assert.approximately((yield* throttle.snapshot).probability, (40 - 30 / 0.9) / 41, 1e-12)
      yield* throttle.reconfigure(Throttle.settings({ target: 0.9, window: "1 minute" }))
      assert.deepInclude(yield* throttle.snapshot, { requests: 0, accepts: 0, probability: 0 })
      assert.strictEqual((yield* throttle.snapshot).calls.success, 30)
    }))
})

describe("Throttle.probability", () => {
  it("is the formula of the book, and never leaves its range", () => {
    const settings = Throttle.settings({ target: 0.5 })
    assert.strictEqual(Throttle.probability(settings, 0, 0), 0)
    assert.strictEqual(Throttle.probability(settings, 9, 0), 0)
    assert.strictEqual(Throttle.probability(settings, 10, 0), 10 / 11)
    assert.strictEqual(Throttle.probability(settings, 99, 12), 0.75)
    assert.strictEqual(Throttle.probability(settings, 100, 50), 0)
    assert.strictEqual(Throttle.probability(settings, 100, 100), 0)
    assert.strictEqual(Throttle.probability(Throttle.settings({ target: 1 }), 100, 99), 1 / 101)
    assert.isBelow(Throttle.probability(settings, 1e9, 0), 1)
  })
})

describe("Throttle.settings", () => {
  it("fills in what is left out, as plain data that can be compared", () => {
    const settings = { target: 0.5, window: 120_000, minimumCalls: 10, maxProbability: 1 }
    assert.deepStrictEqual(Throttle.settings(), settings)
    assert.isTrue(Equal.equals(Throttle.settings({ window: "2 minutes" }), settings))
  })

  it("refuses what cannot be meant", () => {
    const cases: ReadonlyArray<readonly [make: () => unknown, message: string]> = [
      [bad(5), "Throttle: options must be an object, got 5"],
      [bad({ k: 2 }), "Throttle: unknown option \"k\"; it takes target, window, minimumCalls, maxProbability"],
      [bad({ target: 0 }), "Throttle: target must be above 0 and at most 1, got 0"],
      [bad({ target: 1.5 }), "Throttle: target must be above 0 and at most 1, got 1.5"],
      [bad({ target: -1 }), "Throttle: target must be above 0 and at most 1, got -1"],
      [bad({ target: NaN }), "Throttle: target must be above 0 and at most 1, got NaN"],
      [bad({ target: "0.5" }), "Throttle: target must be above 0 and at most 1, got \"0.5\""],
      [bad({ target: null }), "Throttle: target must be above 0 and at most 1, got null"],
      [bad({ window: 0 }), "Throttle: window must be a finite duration above zero, got 0"],
      [bad({ window: "Infinity" }), "Throttle: window must be a finite duration above zero, got \"Infinity\""],
      [bad({ window: 9 }), "Throttle: window must be at least 10 milliseconds, got 9"],
      [bad({ minimumCalls: 0 }), "Throttle: minimumCalls must be an integer >= 1, got 0"],
      [bad({ minimumCalls: Infinity }), "Throttle: minimumCalls must be an integer >= 1, got Infinity"],
      [bad({ maxProbability: 0 }), "Throttle: maxProbability must be above 0 and at most 1, got 0"],
      [() => Throttle.make(""), "Throttle: name must be a non-empty string, got \"\""]
    ]
    for (const [make, message] of cases) {
      assert.throws(make, RangeError)
      assert.throws(make, message)
    }
  })
})
