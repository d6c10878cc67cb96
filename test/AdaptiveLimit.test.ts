import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Equal, Fiber, Random, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as AdaptiveLimit from "../src/AdaptiveLimit.ts"
import { Deadline, Outcome, Timeout } from "../src/index.ts"
import * as limitAlgorithms from "../src/internal/limitAlgorithms.ts"
import { type Boom, boom, brief, draws, drive, errorOf, manualClock, present, Says, start } from "./support.ts"

// what the types forbid, and what JavaScript, JSON and casts bring in all the same
const bad = (options: unknown) => () => AdaptiveLimit.make("l", options as never)

const aimd = { kind: "aimd" } as const
const limitOf = (limit: AdaptiveLimit.AdaptiveLimit) => Effect.map(limit.snapshot, ({ limit }) => limit)

/** Calls that are let in and end when they are told to. */
const crowd = (limit: AdaptiveLimit.AdaptiveLimit) => {
  const begun: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<void, Boom>>()
  return {
    begun,
    /** A call that begins now, as far as it gets. */
    call: (name: string, priority?: AdaptiveLimit.Priority) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void, Boom>()
        gates.set(name, gate)
        const work = Effect.andThen(Effect.sync(() => begun.push(name)), Deferred.await(gate))
        return yield* start(Effect.exit(limit.protect(work, { priority })))
      }),
    /** Ends a call, and lets whoever is next begin. */
    end: (name: string) => Effect.andThen(Deferred.succeed(present(gates.get(name)), undefined), TestClock.adjust(0))
  }
}

describe("AdaptiveLimit.protect", () => {
  it.effect("lets as many calls in as the limit, and refuses the rest at once where none may wait", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("search", { algorithm: aimd, initial: 2 })
      const { begun, call, end } = crowd(limit)
      yield* call("a")
      yield* call("b")
      const error = errorOf(yield* Effect.exit(limit.protect(Effect.void)))
      assert.deepInclude(error, {
        _tag: "LimitExceeded",
        policy: "search",
        reason: "queue",
        priority: "critical",
        limit: 2
      })
      assert.strictEqual(error.message, "search: a critical call too many for the limit of 2")
      assert.deepStrictEqual(Outcome.fromError(error), Outcome.ignored)
      // a success with two in flight: now there are three permits
      yield* end("a")
      yield* call("c")
      yield* call("d")
      assert.deepStrictEqual(begun, ["a", "b", "c", "d"])
      assert.deepStrictEqual(yield* limit.snapshot, {
        name: "search",
        limit: 3,
        inFlight: 3,
        waiting: 0,
        estimates: { limit: 3, latency: undefined, baseline: undefined },
        calls: {
          success: 1,
          failure: 0,
          overload: 0,
          ignored: 0,
          refused: { critical: 1, sheddable: 0, background: 0 },
          abandoned: 0
        }
      })
    }))

  it.effect("takes failures, overloads and defects for drops, and learns nothing from what is ignored", () =>
    Effect.gen(function*() {
      const ends: ReadonlyArray<readonly [Effect.Effect<unknown, Boom | Says>, limit: number]> = [
        [Effect.void, 20],
        [boom, 18],
        [Effect.fail(Says.of(Outcome.overload())), 18],
        [Effect.die("bug"), 18],
        [Effect.fail(Says.of(Outcome.ignored)), 20],
        [Effect.fail(Says.of(Outcome.success)), 20],
        [Effect.interrupt, 20]
      ]
      for (const [end, expected] of ends) {
        const limit = yield* AdaptiveLimit.make("ends", { algorithm: aimd, initial: 20 })
        assert.deepStrictEqual<unknown>(yield* Effect.exit(limit.protect(end)), yield* Effect.exit(end))
        assert.strictEqual(yield* limitOf(limit), expected)
        assert.strictEqual((yield* limit.snapshot).inFlight, 0)
      }
    }))

  it.effect("asks the classifier, whatever it does", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("classified", { algorithm: aimd, initial: 20 })
      yield* Effect.exit(limit.protect(boom, { classify: () => Outcome.success }))
      assert.strictEqual(yield* limitOf(limit), 20)
      assert.strictEqual(yield* limit.protect(Effect.succeed("stale"), { classify: () => Outcome.failure() }), "stale")
      assert.strictEqual(yield* limitOf(limit), 18)
      const throwing = () => {
        throw new Error("bug in a classifier")
      }
      assert.strictEqual(brief(yield* Effect.exit(limit.protect(boom, { classify: throwing }))), "Boom")
      assert.strictEqual(yield* limitOf(limit), 16)
      assert.strictEqual((yield* limit.snapshot).inFlight, 0)
    }))

  it.effect("takes an attempt that a total timeout cuts off for a drop, and one cut by a caller's deadline for nothing", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("cut", { algorithm: aimd, initial: 20 })
      yield* drive(limit.protect(Effect.never).pipe(Timeout.total("1 second")))
      assert.strictEqual(yield* limitOf(limit), 18)
      yield* drive(limit.protect(Effect.never).pipe(Deadline.within("1 second")))
      assert.strictEqual(yield* limitOf(limit), 18)
      const short = limit.protect(Effect.never, { attemptTimeout: "5 seconds" }).pipe(Timeout.total("1 second"))
      yield* drive(short)
      assert.strictEqual(yield* limitOf(limit), 18)
      assert.deepInclude((yield* limit.snapshot).calls, { failure: 1, ignored: 2 })
    }))

  it.effect("does not blame the dependency for a call that was still waiting for its permit", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("waiting", { algorithm: aimd, initial: 1, queue: 1 })
      yield* start(limit.protect(Effect.never))
      const { exit } = yield* drive(limit.protect(Effect.void).pipe(Timeout.total("1 second")))
      assert.strictEqual(brief(exit), "TimedOut")
      assert.deepInclude((yield* limit.snapshot).calls, { failure: 0, ignored: 0, abandoned: 1 })
    }))

  it.effect("measures how long the work takes, not how long it waits", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("latency", {
        algorithm: { kind: "gradient2", samples: 2, smoothing: 0.5 },
        initial: 1,
        max: 1,
        queue: 10
      })
      const call = limit.protect(Effect.sleep(40))
      yield* drive(Effect.all([call, call, call, call], { concurrency: "unbounded" }))
      const { estimates } = yield* limit.snapshot
      assert.deepStrictEqual(estimates, { limit: 1, latency: 40, baseline: 40 })
    }))

  it.effect("takes a success slower than its timeout for a drop, with aimd", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("slow", { algorithm: { kind: "aimd", timeout: "1 second" }, initial: 20 })
      yield* drive(limit.protect(Effect.sleep(1_000)))
      assert.strictEqual(yield* limitOf(limit), 20)
      yield* drive(limit.protect(Effect.sleep(1_001)))
      assert.strictEqual(yield* limitOf(limit), 18)
    }))

  it.effect("sheds lower priorities first: they may use only a share of the limit, but at least one permit", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("shares", { algorithm: aimd, initial: 10, max: 10 })
      const hold = (n: number, priority: AdaptiveLimit.Priority) =>
        Effect.forEach(Array.from({ length: n }), () => start(limit.protect(Effect.never, { priority })))
      const refused = (priority: AdaptiveLimit.Priority) =>
        Effect.map(Effect.exit(limit.protect(Effect.void, { priority })), (exit) => brief(exit) === "LimitExceeded")
      const held = yield* hold(4, "critical")
      assert.strictEqual(yield* refused("background"), false)
      held.push(...yield* hold(1, "background"))
      assert.strictEqual(yield* refused("background"), true)
      held.push(...yield* hold(3, "sheddable"))
      assert.strictEqual(yield* refused("sheddable"), true)
      held.push(...yield* hold(2, "critical"))
      assert.strictEqual(yield* refused("critical"), true)
      const { calls, inFlight } = yield* limit.snapshot
      assert.strictEqual(inFlight, 10)
      assert.deepStrictEqual(calls.refused, { critical: 1, sheddable: 1, background: 1 })
      yield* Fiber.interruptAll(held)

      const one = yield* AdaptiveLimit.make("one", { algorithm: aimd, initial: 1, shares: { background: 0.01 } })
      assert.strictEqual(yield* one.protect(Effect.succeed("in"), { priority: "background" }), "in")
    }))

  it.effect("reads a share of a limit as a person does: 0.29 of 100 is 29", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("cents", { initial: 100, shares: { sheddable: 0.29 } })
      const call = limit.protect(Effect.never, { priority: "sheddable" })
      for (let n = 0; n < 40; n++) yield* start(Effect.exit(call))
      assert.strictEqual((yield* limit.snapshot).inFlight, 29)
    }))

  it.effect("serves the highest priority first, then in order of arrival", () =>
    Effect.gen(function*() {
      const shares = { sheddable: 1, background: 1 }
      const limit = yield* AdaptiveLimit.make("line", { algorithm: aimd, initial: 1, max: 1, queue: 10, shares })
      const { begun, call, end } = crowd(limit)
      yield* call("first")
      for (const name of ["b1", "b2"]) yield* call(name, "background")
      for (const name of ["s1", "s2"]) yield* call(name, "sheddable")
      for (const name of ["c1", "c2"]) yield* call(name, "critical")
      const order = ["first", "c1", "c2", "s1", "s2", "b1", "b2"]
      for (const name of order) yield* end(name)
      assert.deepStrictEqual(begun, order)
      assert.deepInclude(yield* limit.snapshot, { inFlight: 0, waiting: 0 })
    }))

  it.effect("keeps what is reserved for higher priorities free while lower ones wait", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("reserve", { algorithm: aimd, initial: 4, max: 4, queue: 10 })
      const { begun, call, end } = crowd(limit)
      for (const name of ["b1", "b2", "b3"]) yield* call(name, "background")
      assert.deepInclude(yield* limit.snapshot, { inFlight: 2, waiting: 1 })
      yield* call("c1")
      yield* end("b1")
      // two are in flight, and background may have no third
      assert.deepStrictEqual(begun, ["b1", "b2", "c1"])
      yield* end("c1")
      assert.deepStrictEqual(begun, ["b1", "b2", "c1", "b3"])
    }))

  it.effect("makes room in a full queue for a higher priority, by the newest call of the lowest", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("full", { algorithm: aimd, initial: 1, max: 1, queue: 3 })
      const { begun, call, end } = crowd(limit)
      yield* call("first")
      yield* call("b1", "background")
      const newest = yield* call("b2", "background")
      const sheddable = yield* call("s1", "sheddable")
      yield* call("c1")
      yield* TestClock.adjust(0)
      const error = errorOf(yield* Fiber.join(newest))
      assert.deepInclude(error, { _tag: "LimitExceeded", reason: "queue", priority: "background" })
      assert.strictEqual(sheddable.pollUnsafe(), undefined)
      yield* call("c2")
      yield* call("c3")
      assert.strictEqual(brief(yield* Fiber.join(sheddable)), "LimitExceeded")
      // none of a lower priority is left
      assert.strictEqual(brief(yield* Effect.exit(limit.protect(Effect.void))), "LimitExceeded")
      for (const name of ["first", "c1", "c2", "c3"]) yield* end(name)
      assert.deepStrictEqual(begun, ["first", "c1", "c2", "c3"])
      assert.deepStrictEqual((yield* limit.snapshot).calls.refused, { critical: 1, sheddable: 1, background: 2 })
    }))

  it.effect("refuses a call that has waited too long", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("late", { algorithm: aimd, initial: 1, queue: 3, wait: "1 second" })
      yield* start(limit.protect(Effect.never))
      const { at, exit } = yield* drive(limit.protect(Effect.void))
      const error = errorOf(exit)
      assert.deepInclude(error, { reason: "wait", limit: 1 })
      assert.strictEqual(at, 1_000)
      assert.strictEqual(
        error.message,
        "late: no permit came free in time for a critical call, with a limit of 1"
      )
    }))

  it.effect("hands what a success adds to those who wait, and tells of each change", () =>
    Effect.gen(function*() {
      const changes: Array<{ readonly from: number; readonly to: number }> = []
      const limit = AdaptiveLimit.makeUnsafe(
        "growth",
        AdaptiveLimit.settings({ algorithm: aimd, initial: 1, queue: 5 }),
        { onChange: (change) => changes.push(change) }
      )
      const { begun, call, end } = crowd(limit)
      for (const name of ["a", "b", "c", "d"]) yield* call(name)
      yield* end("a")
      assert.deepStrictEqual(begun, ["a", "b", "c"])
      yield* Effect.exit(limit.protect(boom)).pipe(start)
      yield* end("b")
      assert.deepStrictEqual(changes, [{ from: 1, to: 2 }, { from: 2, to: 3 }, { from: 3, to: 2 }])
    }))

  it.effect("gives its permit back although a listener throws", () =>
    Effect.gen(function*() {
      const limit = AdaptiveLimit.makeUnsafe("listener", AdaptiveLimit.settings({ algorithm: aimd }), {
        onChange: () => {
          throw new Error("bug in a listener")
        }
      })
      yield* Effect.exit(limit.protect(boom))
      assert.strictEqual((yield* limit.snapshot).inFlight, 0)
    }))

  it("has an error that is a schema", () => {
    const error = new AdaptiveLimit.LimitExceeded({ policy: "l", reason: "wait", priority: "background", limit: 3 })
    const encoded = Schema.encodeSync(AdaptiveLimit.LimitExceeded)(error)
    assert.deepStrictEqual(Schema.decodeSync(AdaptiveLimit.LimitExceeded)(encoded), error)
  })

  it("refuses a priority that there is not, when the call is made", () => {
    const limit = AdaptiveLimit.makeUnsafe("l", AdaptiveLimit.settings())
    assert.throws(
      () => limit.protect(Effect.void, { priority: "urgent" as never }),
      "AdaptiveLimit: priority must be one of critical, sheddable, background, got \"urgent\""
    )
  })

  it.effect("leaves no permit and no waiter behind when calls are interrupted at random, over 100,000 steps", () => {
    const { clock, wait } = manualClock()
    return Effect.gen(function*() {
      const { below } = yield* draws
      const algorithms: ReadonlyArray<AdaptiveLimit.Algorithm> = [aimd, { kind: "vegas", probe: 3 }, {
        kind: "gradient2"
      }]
      const priorities = ["critical", "sheddable", "background"] as const
      for (const algorithm of algorithms) {
        const limit = yield* AdaptiveLimit.make("storm", { algorithm, initial: 5, min: 2, max: 9, queue: 6 })
        let running = 0
        let most = 0
        const endings: Array<(effect: Effect.Effect<number, Boom>) => void> = []
        const work = Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++running)
          }),
          () => Effect.callback<number, Boom>((resume) => void endings.push(resume)),
          () => Effect.sync(() => running--)
        )
        const results: ReadonlyArray<Effect.Effect<number, Boom>> = [Effect.succeed(1), boom, Effect.succeed(2)]
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let step = 0; step < 34_000; step++) {
          const what = below(10)
          if (what < 4) {
            const call = Effect.suspend(() => limit.protect(work, { priority: present(priorities[below(3)]) }))
            fibers.push(
              // so few operations to a turn that an interruption falls between any two of them
              yield* Effect.forkDetach(Effect.provideService(call, Scheduler.MaxOpsBeforeYield, 3 + below(4)), {
                startImmediately: below(2) === 0
              })
            )
          } else if (what < 7) endings.splice(below(endings.length), 1)[0]?.(present(results[below(3)]))
          else if (what === 7) fibers.splice(-1 - below(10), 1)[0]?.interruptUnsafe()
          // now and then the clock runs backward
          else if (what === 8) wait(below(20) - 1)
          else yield* Effect.yieldNow
          const now = yield* limit.snapshot
          assert.isTrue(Number.isInteger(now.limit) && now.limit >= 2 && now.limit <= 9, `limit ${now.limit}`)
          assert.isTrue(now.inFlight >= 0 && now.waiting >= 0 && now.waiting <= 6)
        }
        for (const fiber of fibers) fiber.interruptUnsafe()
        yield* Effect.forEach(fibers, Fiber.await, { discard: true })
        for (let n = 0; n < 20; n++) {
          for (const end of endings.splice(0)) end(Effect.succeed(1))
          yield* Effect.yieldNow
        }
        assert.deepInclude(yield* limit.snapshot, { inFlight: 0, waiting: 0 })
        assert.strictEqual(running, 0)
        assert.isAtMost(most, 9)
        const { calls } = yield* limit.snapshot
        for (const count of [calls.success, calls.failure, calls.abandoned, calls.refused.background]) {
          assert.isAbove(count, 200)
        }
        assert.isAbove(calls.ignored, 20)
      }
    }).pipe(Effect.provideService(Clock.Clock, clock), Random.withSeed("storm"))
  }, 30_000)
})

describe("AdaptiveLimit.reconfigure", () => {
  it.effect("keeps the limit within the new bounds, and serves those who wait", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("bounds", { algorithm: aimd, initial: 1, max: 1, queue: 5 })
      const { begun, call } = crowd(limit)
      for (const name of ["a", "b", "c"]) yield* call(name)
      yield* limit.reconfigure(AdaptiveLimit.settings({ algorithm: aimd, min: 2, max: 5, queue: 5 }))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(begun, ["a", "b"])
      assert.strictEqual(yield* limitOf(limit), 2)
      yield* limit.reconfigure(AdaptiveLimit.settings({ algorithm: aimd, max: 1, queue: 5 }))
      assert.deepInclude(yield* limit.snapshot, { limit: 1, inFlight: 2, waiting: 1 })
    }))

  it.effect("keeps what has been learnt, unless the algorithm is another", () =>
    Effect.gen(function*() {
      const options = { algorithm: { kind: "vegas", samples: 1 }, initial: 3, max: 10 } as const
      const limit = yield* AdaptiveLimit.make("learnt", options)
      const call = limit.protect(Effect.sleep(10))
      yield* drive(Effect.all([call, call, call], { concurrency: "unbounded" }))
      const before = yield* limit.snapshot
      assert.strictEqual(before.estimates.baseline, 10)
      yield* limit.reconfigure(AdaptiveLimit.settings({ ...options, max: 20 }))
      assert.deepStrictEqual((yield* limit.snapshot).estimates, before.estimates)
      const late = yield* start(call)
      yield* limit.reconfigure(AdaptiveLimit.settings({ algorithm: { kind: "gradient2" } }))
      assert.deepInclude(yield* limit.snapshot, {
        limit: before.limit,
        estimates: { limit: before.limit, latency: undefined, baseline: undefined }
      })
      yield* drive(Fiber.join(late))
      assert.deepInclude(yield* limit.snapshot, { limit: before.limit, inFlight: 0 })
    }))
})

describe("AdaptiveLimit algorithms", () => {
  /** A dependency with so many workers, each of which takes `base` milliseconds for a call, and a queue before them. */
  interface Server {
    readonly workers: number
    readonly base: number
    /** Answers at once that it has too much to do, with more than so many calls. */
    readonly accepts?: number
  }

  /** As many calls as the limit allows, all the time, for so many milliseconds. Answers with the limits of the second half. */
  const load = (
    algorithm: limitAlgorithms.Algorithm,
    { accepts = Infinity, base, workers }: Server,
    millis: number
  ) => {
    let now = 0
    const free = Array.from({ length: workers }, () => 0)
    const calls: Array<{ began: number; ends: number; inFlight: number; round: number }> = []
    const limits: Array<number> = []
    while (now < millis) {
      while (calls.length < algorithm.limit) {
        const worker = free.indexOf(Math.min(...free))
        const inFlight = calls.length + 1
        const ends = inFlight > accepts ? now + 1 : Math.max(now, present(free[worker])) + base
        if (inFlight <= accepts) free[worker] = ends
        calls.push({ began: now, ends, inFlight, round: algorithm.round })
      }
      const next = calls.reduce((a, b) => a.ends <= b.ends ? a : b)
      calls.splice(calls.indexOf(next), 1)
      now = next.ends
      algorithm.record(next.inFlight > accepts ? undefined : now - next.began, next.inFlight, next.round)
      if (now > millis / 2) limits.push(algorithm.limit)
    }
    return limits.reduce((sum, limit) => sum + limit) / limits.length
  }

  const make = (algorithm: AdaptiveLimit.Algorithm, options: AdaptiveLimit.Options = {}) => {
    const settings = AdaptiveLimit.settings({ ...options, algorithm })
    return limitAlgorithms.make(settings, settings.initial)
  }

  it("vegas finds how many workers a server has, and follows when it gets more, fewer, or slower ones", () => {
    const algorithm = make({ kind: "vegas" })
    const servers: ReadonlyArray<readonly [Server, least: number, most: number]> = [
      [{ workers: 20, base: 10 }, 18, 28],
      [{ workers: 60, base: 10 }, 55, 70],
      [{ workers: 10, base: 10 }, 9, 20],
      [{ workers: 10, base: 40 }, 9, 20],
      [{ workers: 20, base: 10 }, 18, 28]
    ]
    for (const [server, least, most] of servers) {
      const average = load(algorithm, server, 20_000)
      assert.isTrue(average >= least && average <= most, `${average} for ${server.workers} workers of ${server.base}`)
    }
  })

  it("gradient2 finds a limit that keeps all workers of a server busy, without a long queue, and follows", () => {
    const algorithm = make({ kind: "gradient2" })
    const servers: ReadonlyArray<readonly [Server, least: number, most: number]> = [
      [{ workers: 20, base: 10 }, 20, 36],
      [{ workers: 50, base: 10 }, 50, 85],
      [{ workers: 10, base: 10 }, 10, 32],
      [{ workers: 10, base: 40 }, 8, 20]
    ]
    for (const [server, least, most] of servers) {
      const average = load(algorithm, server, 10_000)
      assert.isTrue(average >= least && average <= most, `${average} for ${server.workers} workers of ${server.base}`)
    }
  })

  it("aimd stays near what a server accepts, and grows again when it accepts more", () => {
    const algorithm = make(aimd)
    const narrow = load(algorithm, { workers: 200, base: 10, accepts: 40 }, 3_000)
    assert.isTrue(narrow > 15 && narrow < 60, `${narrow}`)
    assert.strictEqual(load(algorithm, { workers: 200, base: 10 }, 1_000), 200)
  })

  it("aimd with a timeout stays below what makes a server slower than that", () => {
    const algorithm = make({ kind: "aimd", timeout: 30 })
    const average = load(algorithm, { workers: 20, base: 10 }, 10_000)
    assert.isTrue(average > 15 && average < 60, `${average}`)
  })

  it("vegas and gradient2 shrink for a server that fails fast, and grow again", () => {
    for (const kind of ["vegas", "gradient2"] as const) {
      const algorithm = make({ kind })
      load(algorithm, { workers: 150, base: 10 }, 3_000)
      assert.isAbove(algorithm.limit, 90)
      const narrow = load(algorithm, { workers: 150, base: 10, accepts: 40 }, 3_000)
      assert.isTrue(narrow > 15 && narrow < 50, `${kind}: ${narrow}`)
      load(algorithm, { workers: 150, base: 10, accepts: 0 }, 1_000)
      assert.isAtMost(algorithm.limit, 8)
      load(algorithm, { workers: 150, base: 10 }, 3_000)
      assert.isAbove(algorithm.limit, 90)
    }
  })

  it("none grows while less than half of its limit is used", () => {
    for (const kind of ["aimd", "vegas", "gradient2"] as const) {
      const algorithm = make({ kind })
      for (let n = 0; n < 1_000; n++) algorithm.record(10, 9, algorithm.round)
      assert.strictEqual(algorithm.limit, 20)
      for (let n = 0; n < 1_000; n++) algorithm.record(10, algorithm.limit, algorithm.round)
      assert.isAbove(algorithm.limit, 40)
    }
  })

  it("gradient2 leaves a limit that is not used alone, however slow its calls, unless they are dropped", () => {
    const algorithm = make({ kind: "gradient2" })
    const feed = (latency: number | undefined, n: number) => {
      for (let call = 0; call < n; call++) algorithm.record(latency, 9, algorithm.round)
    }
    feed(10, 100)
    feed(100, 200)
    assert.strictEqual(algorithm.estimates.limit, 20)
    feed(undefined, 20)
    assert.isBelow(algorithm.estimates.limit, 20)
    const { limit } = algorithm.estimates
    // one in ten: what they take off is less than the room for a queue, and yet it does not grow
    for (let round = 0; round < 5; round++) {
      feed(undefined, 1)
      feed(10, 19)
    }
    assert.isAtMost(algorithm.estimates.limit, limit)
  })

  it("gradient2 lets go of a baseline that has become too high", () => {
    const algorithm = make({ kind: "gradient2", samples: 1 }, { max: 1 })
    const baselineAfter = (latency: number, n: number) => {
      for (let call = 0; call < n; call++) algorithm.record(latency, 1, algorithm.round)
      return present(algorithm.estimates.baseline)
    }
    assert.approximately(baselineAfter(1_000, 100), 1_000, 1e-9)
    // by its average alone it would take about 700 rounds
    assert.isBelow(baselineAfter(100, 30), 200)
  })

  it("vegas does what its formula says, round by round", () => {
    const algorithm = make({ kind: "vegas", samples: 1 }, { initial: 20 })
    const round = (latency: number) => {
      for (const { round } = algorithm; algorithm.round === round;) algorithm.record(latency, algorithm.limit, round)
      return algorithm.limit
    }
    assert.strictEqual(round(100), 26, "no queue: beta steps more")
    assert.strictEqual(round(108), 27, "26 * (1 - 100 / 108) = 1.9: between one step and alpha: one more")
    assert.strictEqual(round(120), 27, "27 * (1 - 100 / 120) = 4.5: between alpha and beta: stays")
    assert.strictEqual(round(150), 26, "27 * (1 - 100 / 150) = 9: above beta: one less")
    algorithm.record(undefined, 1, -1)
    assert.strictEqual(algorithm.limit, 25, "a drop: one less")
    assert.deepStrictEqual(algorithm.estimates, { limit: 25, latency: 150, baseline: 100 })
  })

  it("vegas measures its baseline anew, with half of the limit for a round", () => {
    const algorithm = make({ kind: "vegas", samples: 1, probe: 2 }, { initial: 20, max: 20 })
    const round = (latency: number) => {
      for (const { round } = algorithm; algorithm.round === round;) algorithm.record(latency, 1, round)
      return algorithm.limit
    }
    assert.deepStrictEqual([round(100), round(300), round(200)], [20, 10, 20])
    assert.strictEqual(algorithm.estimates.baseline, 200)
  })

  it("gradient2 does what its formula says, round by round", () => {
    const algorithm = make({ kind: "gradient2", samples: 1, smoothing: 0.5, queueSize: 4 }, { initial: 20 })
    const round = (...latencies: ReadonlyArray<number | undefined>) => {
      let n = 0
      for (const { round } = algorithm; algorithm.round === round; n++) {
        algorithm.record(latencies[n % latencies.length], algorithm.limit, round)
      }
      return algorithm.estimates.limit
    }
    assert.strictEqual(round(100), 22, "(20 + (20 * 1 + 4)) / 2")
    assert.strictEqual(round(200), 22 * 0.5 + (22 * 0.75 + 4) * 0.5, "the average is 150: a gradient of 0.75")
    const before = algorithm.estimates.limit
    // of 20 calls 10 are dropped, and the others are no slower than the average
    assert.strictEqual(algorithm.limit % 2, 1)
    assert.isBelow(round(100, undefined), before)
    assert.strictEqual(algorithm.estimates.latency, 100)
  })

  it.effect("never leave their bounds, nor are anything but whole numbers, whatever latencies come", () =>
    Effect.gen(function*() {
      const random = yield* Random.Random
      const draw = () => random.nextDoubleUnsafe()
      const latencies = [0, -1, -1e300, 1e300, Infinity, -Infinity, NaN, 5e-324, Number.MAX_VALUE, 10, 1_000, undefined]
      const algorithms: ReadonlyArray<AdaptiveLimit.Algorithm> = [
        aimd,
        { kind: "aimd", ratio: 0.5, timeout: 1 },
        { kind: "vegas" },
        { kind: "vegas", samples: 1, probe: 1, alpha: 1, beta: 1e300 },
        { kind: "gradient2" },
        { kind: "gradient2", samples: 1, smoothing: 1, queueSize: 1e300, longWindow: 1 }
      ]
      for (const options of algorithms) {
        for (const [min, max] of [[1, 200], [1, 1], [7, 13], [1, Number.MAX_SAFE_INTEGER]] as const) {
          const algorithm = make(options, { min, max })
          for (let n = 0; n < 5_000; n++) {
            const latency = draw() < 0.5 ? latencies[Math.floor(draw() * latencies.length)] : draw() * 100
            algorithm.record(latency, Math.ceil(draw() * algorithm.limit), algorithm.round - (draw() < 0.1 ? 1 : 0))
            const { limit } = algorithm
            assert.isTrue(Number.isSafeInteger(limit) && limit >= min && limit <= max, `${options.kind}: ${limit}`)
          }
          const { baseline, latency } = algorithm.estimates
          for (const value of [baseline, latency]) assert.isTrue(value === undefined || (value > 0 && value <= 1e9))
        }
      }
    }).pipe(Random.withSeed("latencies")))

  it.effect("follow a real load: a server that gets slower with every call beyond its workers", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { algorithm: { kind: "vegas" }, initial: 60, max: 100 })
      let busy = 0
      let workers = 20
      const work = Effect.suspend(() => {
        busy++
        return Effect.ensuring(Effect.sleep(10 * Math.max(1, busy / workers)), Effect.sync(() => busy--))
      })
      const client = Effect.forever(Effect.catch(limit.protect(work), () => Effect.sleep(10)))
      const clients = yield* Effect.forEach(Array.from({ length: 70 }), () => start(client))
      yield* TestClock.adjust("3 seconds")
      const first = yield* limitOf(limit)
      assert.isTrue(first >= 10 && first <= 35, `${first}`)
      workers = 50
      yield* TestClock.adjust("3 seconds")
      const second = yield* limitOf(limit)
      assert.isTrue(second > first && second >= 25 && second <= 75, `${second}`)
      yield* Fiber.interruptAll(clients)
      assert.deepInclude(yield* limit.snapshot, { inFlight: 0, waiting: 0 })
    }))
})

describe("AdaptiveLimit.settings", () => {
  it("fills in what is left out, as plain data that can be compared", () => {
    assert.deepStrictEqual(AdaptiveLimit.settings(), {
      algorithm: { kind: "gradient2", smoothing: 0.2, queueSize: 4, longWindow: 600, samples: 10 },
      initial: 20,
      min: 1,
      max: 200,
      shares: { sheddable: 0.8, background: 0.5 },
      queue: 0,
      wait: Infinity
    })
    assert.deepStrictEqual(AdaptiveLimit.settings({ algorithm: aimd }).algorithm, {
      kind: "aimd",
      ratio: 0.9,
      timeout: Infinity
    })
    assert.deepStrictEqual(AdaptiveLimit.settings({ algorithm: { kind: "vegas" } }).algorithm, {
      kind: "vegas",
      alpha: 3,
      beta: 6,
      probe: 30,
      samples: 10
    })
    assert.deepInclude(AdaptiveLimit.settings({ min: 50 }), { initial: 50, max: 200 })
    assert.deepInclude(AdaptiveLimit.settings({ max: 10 }), { initial: 10, min: 1 })
    assert.deepInclude(AdaptiveLimit.settings({ min: 500 }), { initial: 500, max: 500 })
    assert.deepStrictEqual(AdaptiveLimit.settings({ shares: { sheddable: 0.3 } }).shares, {
      sheddable: 0.3,
      background: 0.3
    })
    assert.isTrue(Equal.equals(AdaptiveLimit.settings({ queue: 1 }), AdaptiveLimit.settings({ queue: 1 })))
  })

  it("refuses what cannot be meant", () => {
    const cases: ReadonlyArray<readonly [make: () => unknown, message: string]> = [
      [bad(5), "AdaptiveLimit: options must be an object, got 5"],
      [bad({ limit: 5 }), "AdaptiveLimit: unknown option \"limit\"; it takes algorithm, initial, min, max"],
      [bad({ algorithm: "aimd" }), "AdaptiveLimit: algorithm.kind must be aimd, vegas or gradient2, got \"aimd\""],
      [bad({ algorithm: null }), "AdaptiveLimit: algorithm.kind must be aimd, vegas or gradient2, got null"],
      [bad({ algorithm: { kind: "cubic" } }), "AdaptiveLimit: algorithm.kind must be aimd, vegas or gradient2"],
      [bad({ algorithm: { kind: "aimd", alpha: 1 } }), "AdaptiveLimit.algorithm: unknown option \"alpha\""],
      [bad({ algorithm: { kind: "aimd", ratio: 1 } }), "algorithm.ratio must be from 0.5 to below 1, got 1"],
      [bad({ algorithm: { kind: "aimd", ratio: 0.4 } }), "algorithm.ratio must be from 0.5 to below 1, got 0.4"],
      [bad({ algorithm: { kind: "aimd", ratio: NaN } }), "algorithm.ratio must be from 0.5 to below 1, got NaN"],
      [bad({ algorithm: { kind: "aimd", ratio: "0.9" } }), "algorithm.ratio must be from 0.5 to below 1, got \"0.9\""],
      [bad({ algorithm: { kind: "aimd", timeout: 0 } }), "algorithm.timeout must be a duration above zero, got 0"],
      [bad({ algorithm: { kind: "vegas", alpha: 0 } }), "algorithm.alpha must be a number >= 1, got 0"],
      [bad({ algorithm: { kind: "vegas", beta: 2 } }), "algorithm.beta must be a number of at least alpha, 3, got 2"],
      [bad({ algorithm: { kind: "vegas", beta: Infinity } }), "algorithm.beta must be a number of at least alpha"],
      [bad({ algorithm: { kind: "vegas", probe: 0 } }), "algorithm.probe must be an integer >= 1, got 0"],
      [bad({ algorithm: { kind: "vegas", samples: 1.5 } }), "algorithm.samples must be an integer >= 1, got 1.5"],
      [bad({ algorithm: { kind: "gradient2", smoothing: 0 } }), "algorithm.smoothing must be above 0 and at most 1"],
      [
        bad({ algorithm: { kind: "gradient2", queueSize: -1 } }),
        "algorithm.queueSize must be a number above 0, got -1"
      ],
      [bad({ algorithm: { kind: "gradient2", longWindow: 0 } }), "algorithm.longWindow must be an integer >= 1, got 0"],
      [bad({ algorithm: { kind: "gradient2", samples: null } }), "algorithm.samples must be an integer >= 1, got null"],
      [bad({ min: 0 }), "AdaptiveLimit: min must be an integer >= 1, got 0"],
      [bad({ min: null }), "AdaptiveLimit: min must be an integer >= 1, got null"],
      [bad({ max: Infinity }), "AdaptiveLimit: max must be an integer >= 1, got Infinity"],
      [bad({ min: 5, max: 4 }), "AdaptiveLimit: max must be an integer >= 5, got 4"],
      [bad({ initial: 201 }), "AdaptiveLimit: initial must be an integer from 1 to 200, got 201"],
      [bad({ initial: NaN }), "AdaptiveLimit: initial must be an integer from 1 to 200, got NaN"],
      [bad({ shares: { sheddable: 0 } }), "AdaptiveLimit: shares.sheddable must be above 0 and at most 1, got 0"],
      [bad({ shares: { background: 0.9 } }), "shares.background must be at most that of sheddable, 0.8, got 0.9"],
      [bad({ shares: { critical: 1 } }), "AdaptiveLimit.shares: unknown option \"critical\""],
      [bad({ shares: null }), "AdaptiveLimit.shares: options must be an object, got null"],
      [bad({ queue: -1 }), "AdaptiveLimit: queue must be an integer >= 0, got -1"],
      [bad({ wait: 5 }), "AdaptiveLimit: queue must be given where wait is, got undefined"],
      [() => AdaptiveLimit.make(""), "AdaptiveLimit: name must be a non-empty string, got \"\""]
    ]
    for (const [make, message] of cases) {
      assert.throws(make, RangeError)
      assert.throws(make, message)
    }
  })
})
