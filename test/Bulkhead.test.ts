import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Equal, Exit, Fiber, Random, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Bulkhead from "../src/Bulkhead.ts"
import { Deadline, Outcome, Timeout } from "../src/index.ts"
import { Permit, Permits } from "../src/internal/permits.ts"
import { Line, Link } from "../src/internal/waiters.ts"
import { Boom, brief, draws, drive, ended, errorOf, pauses, present, start } from "./support.ts"

// what the types forbid, and what JavaScript, JSON and casts bring in all the same
const bad = (options: unknown) => () => Bulkhead.make("b", options as never)

/** Calls that are let in and end when they are told to. */
const crowd = (bulkhead: Bulkhead.Bulkhead) => {
  const begun: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<string, Boom>>()
  return {
    begun,
    /** A call that begins now, as far as it gets. */
    call: (name: string, key?: string) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<string, Boom>()
        gates.set(name, gate)
        const work = Effect.andThen(Effect.sync(() => begun.push(name)), Deferred.await(gate))
        return yield* start(Effect.exit(bulkhead.protect(work, { key })))
      }),
    /** Ends a call, and lets whoever is next begin. */
    end: (name: string, exit: Exit.Exit<string, Boom> = Exit.succeed(name)) =>
      Effect.andThen(Deferred.done(present(gates.get(name)), exit), TestClock.adjust(0))
  }
}

describe("Bulkhead.protect", () => {
  it.effect("runs as many calls at once as it has permits, and refuses the rest at once where none may wait", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("reports", { concurrency: 2 })
      const { begun, call, end } = crowd(bulkhead)
      yield* call("a")
      yield* call("b")
      const refused = yield* ended(bulkhead.protect(Effect.void))
      assert.strictEqual(refused.at, 0)
      const error = errorOf(refused.exit)
      assert.deepInclude(error, {
        _tag: "BulkheadFull",
        policy: "reports",
        reason: "queue",
        concurrency: 2,
        waiting: 0
      })
      assert.strictEqual(
        error.message,
        "reports: no permit is free (2 in all), and no place in the queue (0 waiting)"
      )
      assert.deepStrictEqual(Outcome.fromError(error), Outcome.ignored)
      yield* end("a")
      yield* call("c")
      assert.deepStrictEqual(begun, ["a", "b", "c"])
      assert.deepStrictEqual(yield* bulkhead.snapshot, {
        name: "reports",
        concurrency: 2,
        queue: 0,
        inFlight: 2,
        waiting: 0,
        calls: { admitted: 3, queueFull: 1, waitedTooLong: 0, abandoned: 0 }
      })
    }))

  it.effect("serves those who wait in order of arrival, each at the moment that a permit comes free", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("line", { concurrency: 1, queue: 3 })
      const { begun, call, end } = crowd(bulkhead)
      for (const name of ["a", "b", "c", "d"]) yield* call(name)
      const fifth = yield* call("e")
      assert.strictEqual(brief(present(yield* Fiber.join(fifth))), "BulkheadFull")
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 1, waiting: 3 })
      for (const name of ["a", "b", "c", "d"]) {
        assert.strictEqual(begun.at(-1), name)
        yield* end(name)
      }
      assert.deepStrictEqual(begun, ["a", "b", "c", "d"])
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 0, waiting: 0 })
    }))

  it.effect("lets keys take turns, each in order of arrival", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("fair", { concurrency: 1, queue: Infinity })
      const { begun, call, end } = crowd(bulkhead)
      yield* call("first")
      for (const name of ["a1", "a2", "a3", "b1", "b2"]) yield* call(name, name[0])
      yield* call("none1")
      yield* call("c1", "c")
      yield* call("none2")
      yield* end("first")
      const order = ["a1", "b1", "none1", "c1", "a2", "b2", "none2"]
      for (const name of order) {
        assert.strictEqual(begun.at(-1), name)
        yield* end(name)
        // who comes back takes a turn behind all keys that wait already
        if (name === "c1") yield* call("c2", "c")
      }
      assert.deepStrictEqual(begun, ["first", ...order, "a3"])
      yield* end("a3")
      assert.strictEqual(begun.at(-1), "c2")
      yield* end("c2")
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 0, waiting: 0 })
    }))

  it.effect("refuses a call that has waited too long, at that moment", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("slow", { concurrency: 1, queue: 5, wait: "2 seconds" })
      yield* start(bulkhead.protect(Effect.never))
      const late = yield* start(ended(bulkhead.protect(Effect.void)))
      yield* TestClock.adjust(1_999)
      assert.strictEqual(late.pollUnsafe(), undefined)
      const later = yield* start(ended(bulkhead.protect(Effect.void)))
      yield* TestClock.adjust(1)
      const { at, exit } = yield* Fiber.join(late)
      assert.strictEqual(at, 2_000)
      const error = errorOf(exit)
      assert.deepInclude(error, { reason: "wait", waiting: 1 })
      assert.strictEqual(error.message, "slow: none of 1 permits came free in time")
      assert.strictEqual(later.pollUnsafe(), undefined)
      yield* Fiber.interrupt(later)
      assert.deepInclude((yield* bulkhead.snapshot).calls, { waitedTooLong: 1, abandoned: 1 })
    }))

  it.live("does so on the clock of the machine, with one timer for all, which is gone with the last of them", () =>
    Effect.gen(function*() {
      const timers = Effect.sync(() => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length)
      const before = yield* timers
      const bulkhead = yield* Bulkhead.make("live", { concurrency: 1, queue: 100, wait: 60 })
      const gate = yield* Deferred.make<void>()
      const holder = yield* start(bulkhead.protect(Deferred.await(gate)))
      const startedAt = performance.now()
      const served = yield* start(bulkhead.protect(Effect.never))
      const left = yield* start(bulkhead.protect(Effect.never))
      const late = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => start(Effect.flip(bulkhead.protect(Effect.void)))
      )
      assert.isAtMost((yield* timers) - before, 1)
      yield* Fiber.interrupt(left)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(holder)
      const errors = yield* Effect.forEach(late, Fiber.join)
      assert.isAtLeast(performance.now() - startedAt, 59)
      for (const error of errors) assert.deepInclude(error, { _tag: "BulkheadFull", reason: "wait" })
      assert.isUndefined(served.pollUnsafe())
      assert.deepInclude(yield* bulkhead.snapshot, {
        inFlight: 1,
        waiting: 0,
        calls: { admitted: 2, queueFull: 0, waitedTooLong: 20, abandoned: 1 }
      })
      yield* Fiber.interrupt(served)
      // this still runs in the last timer
      yield* Effect.yieldNow
      assert.isAtMost((yield* timers) - before, 0)
    }))

  it.effect("gives a permit that comes free at the last moment to the call, and not to nobody", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("tie", { concurrency: 1, queue: 1, wait: 100 })
      yield* start(bulkhead.protect(Effect.sleep(100)))
      const { at, exit } = yield* drive(bulkhead.protect(Effect.succeed("in")))
      assert.deepStrictEqual([exit, at], [Exit.succeed("in"), 100])
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 0, waiting: 0 })
    }))

  it.effect("forgets a waiter that is interrupted: its place is free, and the next ones move up", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("queue", { concurrency: 1, queue: 2 })
      const { begun, call, end } = crowd(bulkhead)
      yield* call("a")
      const b = yield* call("b")
      yield* call("c")
      yield* Fiber.interrupt(b)
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 1, waiting: 1 })
      yield* call("d")
      yield* end("a")
      yield* end("c")
      assert.deepStrictEqual(begun, ["a", "c", "d"])
      assert.deepInclude((yield* bulkhead.snapshot).calls, { admitted: 3, queueFull: 0, abandoned: 1 })
    }))

  it.effect("hands a permit on if its new holder is interrupted before it wakes", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("handed", { concurrency: 1, queue: 2 })
      const { begun, call } = crowd(bulkhead)
      const a = yield* call("a")
      const b = yield* call("b")
      yield* call("c")
      a.interruptUnsafe()
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 1, waiting: 1 })
      b.interruptUnsafe()
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 1, waiting: 0 })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(begun, ["a", "c"])
    }))

  it.effect("holds a permit for exactly as long as the work runs, its finalizers included, whatever its end", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("held", { concurrency: 1 })
      const inFlight = Effect.map(bulkhead.snapshot, ({ inFlight }) => inFlight)
      const ends = {
        success: Effect.succeed(1),
        error: Effect.fail(new Boom({ n: 1 })),
        defect: Effect.die("bug"),
        interruption: Effect.interrupt
      }
      for (const end of Object.values(ends)) {
        const seen: Array<number> = []
        const see = Effect.map(inFlight, (n) => void seen.push(n))
        const work = Effect.ensuring(Effect.andThen(see, end), Effect.andThen(Effect.yieldNow, see))
        assert.deepStrictEqual<unknown>(yield* Effect.exit(bulkhead.protect(work)), yield* Effect.exit(end))
        assert.deepStrictEqual(seen, [1, 1])
        assert.strictEqual(yield* inFlight, 0)
      }
    }))

  it.effect("does nothing until the effect is run, and each run is a call of its own", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("lazy", { concurrency: 1 })
      const call = bulkhead.protect(Effect.sleep(1))
      assert.strictEqual((yield* bulkhead.snapshot).calls.admitted, 0)
      assert.strictEqual((yield* drive(Effect.all([call, call]))).exit._tag, "Success")
      const both = yield* drive(Effect.all([call, call], { concurrency: 2 }))
      assert.strictEqual(brief(both.exit), "BulkheadFull")
    }))

  it.effect("lets a total timeout and a deadline outside end the wait", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("limited", { concurrency: 1, queue: 5, wait: "1 minute" })
      yield* start(bulkhead.protect(Effect.never))
      const timed = yield* drive(bulkhead.protect(Effect.void).pipe(Timeout.total("3 seconds")), "3 seconds")
      assert.strictEqual(brief(timed.exit), "TimedOut")
      const due = yield* drive(bulkhead.protect(Effect.void).pipe(Deadline.within("2 seconds")), "3 seconds")
      assert.strictEqual(brief(due.exit), "DeadlineExceeded")
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 1, waiting: 0 })
      assert.deepInclude((yield* bulkhead.snapshot).calls, { abandoned: 2, waitedTooLong: 0 })
    }))

  it.effect("keeps to the wait where the call cannot be interrupted", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("masked", { concurrency: 1, queue: 5, wait: "1 second" })
      const holder = yield* start(bulkhead.protect(Effect.never))
      const refused = yield* drive(Effect.uninterruptible(bulkhead.protect(Effect.void)), "1 seconds")
      assert.deepInclude(errorOf(refused.exit), { reason: "wait" })
      const served = yield* start(ended(Effect.uninterruptible(bulkhead.protect(Effect.succeed("in")))))
      yield* Fiber.interrupt(holder)
      // it need not wait for its own timer to end
      yield* TestClock.adjust(0)
      assert.deepStrictEqual((yield* Fiber.join(served)).exit, Exit.succeed("in"))
    }))

  it("needs no scheduler where there is a permit", () => {
    const bulkhead = Effect.runSync(Bulkhead.make("sync", { concurrency: 1 }))
    assert.strictEqual(Effect.runSync(bulkhead.protect(Effect.succeed(1))), 1)
    assert.strictEqual(
      Effect.runSync(bulkhead.protect(bulkhead.protect(Effect.void)).pipe(Effect.flip))._tag,
      "BulkheadFull"
    )
  })

  it.effect("serves a waiter that a synchronous run makes room for", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("mixed", { concurrency: 1, queue: 1 })
      let waiter: Fiber.Fiber<string, unknown> | undefined
      Effect.runSync(bulkhead.protect(Effect.sync(() => {
        waiter = Effect.runFork(bulkhead.protect(Effect.succeed("in")))
      })))
      assert.strictEqual(yield* Fiber.join(present(waiter)), "in")
    }))

  it.effect("wakes all that are due, also where the scheduler that was to wake the first has stopped", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("mixed", { concurrency: 2, queue: 2 })
      const [stopped, running] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const never = new Scheduler.MixedScheduler("async", () => () => {})
      Effect.runFork(bulkhead.protect(Deferred.await(stopped)), { scheduler: never })
      const second = yield* start(bulkhead.protect(Deferred.await(running)))
      const waiters = yield* Effect.forEach(["a", "b"], (name) => start(bulkhead.protect(Effect.succeed(name))))
      yield* Deferred.succeed(stopped, undefined)
      yield* Deferred.succeed(running, undefined)
      yield* Fiber.join(second)
      assert.deepStrictEqual(yield* Effect.forEach(waiters, Fiber.join), ["a", "b"])
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 0, waiting: 0 })
    }))

  it.effect("leaves other work its turns, however many wait for calls that are done at once", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("busy", { concurrency: 2, queue: Infinity })
      const gate = yield* Deferred.make<void>()
      const holders = yield* Effect.forEach([1, 2], () => start(bulkhead.protect(Deferred.await(gate))))
      let served = 0
      const work = bulkhead.protect(Effect.sync(() => void served++))
      const waiters = yield* Effect.forEach(Array.from({ length: 1_000 }), () => start(work))
      yield* Deferred.succeed(gate, undefined)
      yield* pauses(10)
      assert.isBelow(served, 100)
      yield* Effect.forEach([...holders, ...waiters], Fiber.join, { discard: true })
      assert.strictEqual(served, 1_000)
    }))

  it("has an error that is a schema, with a status", () => {
    const error = new Bulkhead.BulkheadFull({ policy: "b", reason: "wait", concurrency: 3, waiting: 2 })
    const encoded = Schema.encodeSync(Bulkhead.BulkheadFull)(error)
    assert.deepStrictEqual<unknown>(encoded, {
      _tag: "BulkheadFull",
      policy: "b",
      reason: "wait",
      concurrency: 3,
      waiting: 2
    })
    assert.deepStrictEqual(Schema.decodeSync(Bulkhead.BulkheadFull)(encoded), error)
  })
})

describe("Bulkhead.reconfigure", () => {
  const reconfigured = (bulkhead: Bulkhead.Bulkhead, options: Bulkhead.Options) =>
    Effect.andThen(bulkhead.reconfigure(Bulkhead.settings(options)), TestClock.adjust(0))

  it.effect("gives permits that are added to those who wait, at once", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("more", { concurrency: 1, queue: 10 })
      const { begun, call } = crowd(bulkhead)
      for (const name of ["a", "b", "c", "d"]) yield* call(name)
      yield* reconfigured(bulkhead, { concurrency: 3, queue: 10 })
      assert.deepStrictEqual(begun, ["a", "b", "c"])
      assert.deepInclude(yield* bulkhead.snapshot, { concurrency: 3, inFlight: 3, waiting: 1 })
      assert.deepStrictEqual(bulkhead.settings, { concurrency: 3, queue: 10, wait: Infinity })
    }))

  it.effect("takes no permit away: with fewer, some calls end before another begins", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("fewer", { concurrency: 3, queue: 10 })
      const { begun, call, end } = crowd(bulkhead)
      for (const name of ["a", "b", "c", "d", "e"]) yield* call(name)
      yield* reconfigured(bulkhead, { concurrency: 1, queue: 10 })
      yield* end("a")
      yield* end("b")
      assert.deepStrictEqual(begun, ["a", "b", "c"])
      assert.deepInclude(yield* bulkhead.snapshot, { inFlight: 1, waiting: 2 })
      yield* end("c")
      assert.deepStrictEqual(begun, ["a", "b", "c", "d"])
    }))

  it.effect("keeps those who wait in a queue that becomes shorter, and lets nobody else in", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("shorter", { concurrency: 1, queue: 3 })
      const { begun, call, end } = crowd(bulkhead)
      for (const name of ["a", "b", "c", "d"]) yield* call(name)
      yield* reconfigured(bulkhead, { concurrency: 1, queue: 1 })
      assert.strictEqual(brief(yield* Effect.exit(bulkhead.protect(Effect.void))), "BulkheadFull")
      for (const name of ["a", "b", "c"]) yield* end(name)
      assert.deepStrictEqual(begun, ["a", "b", "c", "d"])
    }))

  it.effect("leaves those who wait their time, and gives newcomers the new one", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make("time", { concurrency: 1, queue: 3, wait: "1 second" })
      yield* start(bulkhead.protect(Effect.never))
      const before = yield* start(ended(bulkhead.protect(Effect.void)))
      yield* reconfigured(bulkhead, { concurrency: 1, queue: 3, wait: "5 seconds" })
      const after = yield* start(ended(bulkhead.protect(Effect.void)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([(yield* Fiber.join(before)).at, (yield* Fiber.join(after)).at], [1_000, 5_000])
    }))
})

describe("Bulkhead.settings", () => {
  it("fills in what is left out, as plain data that can be compared", () => {
    assert.deepStrictEqual(Bulkhead.settings({ concurrency: 5 }), { concurrency: 5, queue: 0, wait: Infinity })
    const options: Bulkhead.Options = { concurrency: 5, queue: Infinity, wait: "2 seconds" }
    assert.deepStrictEqual(Bulkhead.settings(options), { concurrency: 5, queue: Infinity, wait: 2_000 })
    assert.isTrue(Equal.equals(Bulkhead.settings(options), Bulkhead.settings({ ...options, wait: 2_000 })))
    // a queue that is switched off needs no other wait
    assert.strictEqual(Bulkhead.settings({ concurrency: 5, queue: 0, wait: "2 seconds" }).queue, 0)
  })

  it("refuses what cannot be meant", () => {
    const cases: ReadonlyArray<readonly [make: () => unknown, message: string]> = [
      [bad(undefined), "Bulkhead: options must be an object, got undefined"],
      [bad(5), "Bulkhead: options must be an object, got 5"],
      [bad({}), "Bulkhead: concurrency must be an integer >= 1, got undefined"],
      [bad({ concurrency: 0 }), "Bulkhead: concurrency must be an integer >= 1, got 0"],
      [bad({ concurrency: -1 }), "Bulkhead: concurrency must be an integer >= 1, got -1"],
      [bad({ concurrency: 1.5 }), "Bulkhead: concurrency must be an integer >= 1, got 1.5"],
      [bad({ concurrency: NaN }), "Bulkhead: concurrency must be an integer >= 1, got NaN"],
      [bad({ concurrency: Infinity }), "Bulkhead: concurrency must be an integer >= 1, got Infinity"],
      [bad({ concurrency: "5" }), "Bulkhead: concurrency must be an integer >= 1, got \"5\""],
      [bad({ concurrency: 1, queue: -1 }), "Bulkhead: queue must be an integer >= 0, got -1"],
      [bad({ concurrency: 1, queue: NaN }), "Bulkhead: queue must be an integer >= 0, got NaN"],
      [bad({ concurrency: 1, queue: 0.5 }), "Bulkhead: queue must be an integer >= 0, got 0.5"],
      [bad({ concurrency: 1, queue: "5" }), "Bulkhead: queue must be an integer >= 0, got \"5\""],
      [bad({ concurrency: 1, queue: null }), "Bulkhead: queue must be an integer >= 0, got null"],
      [bad({ concurrency: 1, wait: 5 }), "Bulkhead: queue must be given where wait is, got undefined"],
      [bad({ concurrency: 1, queue: 1, wait: 0 }), "Bulkhead: wait must be a duration above zero, got 0"],
      [bad({ concurrency: 1, queue: 1, wait: -1 }), "Bulkhead: wait must be a duration above zero, got -1"],
      [bad({ concurrency: 1, queue: 1, wait: NaN }), "Bulkhead: wait must be a duration above zero, got NaN"],
      [bad({ concurrency: 1, queue: 1, wait: "soon" }), "Bulkhead: wait must be a duration above zero, got \"soon\""],
      [bad({ concurrency: 1, queues: 1 }), "Bulkhead: unknown option \"queues\"; it takes concurrency, queue, wait"],
      [() => Bulkhead.make("", { concurrency: 1 }), "Bulkhead: name must be a non-empty string, got \"\""]
    ]
    for (const [make, message] of cases) {
      assert.throws(make, RangeError)
      assert.throws(make, message)
    }
  })
})

describe("Permit", () => {
  it.effect("is given back once, however often it is given back", () =>
    Effect.withFiber((fiber) => {
      const permits = new Permits([2], { queue: 0, wait: Infinity })
      const kept = new Permit(permits, fiber)
      const returned = new Permit(permits, fiber)
      assert.isTrue(kept.take(0) && returned.take(0))
      assert.isFalse(new Permit(permits, fiber).take(0))
      for (const permit of [returned, returned]) permit.leave()
      assert.strictEqual(permits.inFlight, 1)
      return Effect.void
    }))
})

describe("Line", () => {
  class Node extends Link<Node> {
    readonly id: number
    readonly key: string | undefined
    constructor(id: number, key: string | undefined) {
      super()
      this.id = id
      this.key = key
    }
  }

  it.effect("agrees with a model that keeps arrays, over 20,000 random steps", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      const line = new Line<Node>()
      // keys in the order of their turns, and who waits under each
      let model: Array<{ readonly key: string | undefined; readonly nodes: Array<Node> }> = []
      for (let step = 0; step < 20_000; step++) {
        const what = below(20)
        if (what < 10) {
          const node = new Node(step, [undefined, "a", "b", "c"][below(4)])
          line.push(node, node.key)
          const group = model.find(({ key }) => key === node.key)
          if (group === undefined) model.push({ key: node.key, nodes: [node] })
          else group.nodes.push(node)
        } else if (what < 17) {
          const group = model.shift()
          assert.strictEqual(line.shift(), group?.nodes.shift())
          if (group !== undefined && group.nodes.length > 0) model.push(group)
        } else {
          const node = model.flatMap(({ nodes }) => nodes)[below(20)]
          if (node !== undefined) {
            line.remove(node, node.key)
            for (const { nodes } of model) if (nodes.includes(node)) nodes.splice(nodes.indexOf(node), 1)
            model = model.filter(({ nodes }) => nodes.length > 0)
          }
        }
        assert.strictEqual(line.last, model.at(-1)?.nodes.at(-1))
      }
    }).pipe(Random.withSeed("line")))
})
