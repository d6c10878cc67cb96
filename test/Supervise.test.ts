import { assert, describe, it } from "@effect/vitest"
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Option,
  Random,
  Schedule,
  Scheduler,
  Schema,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Supervise } from "../src/index.ts"
import {
  Boom,
  brief,
  drawing,
  draws,
  drive,
  errorOf,
  failing,
  now,
  pauses,
  present,
  recorded,
  Says,
  start,
  waits
} from "./support.ts"

const steady = { backoff: { kind: "exponential", base: "1 second", cap: "8 seconds" }, jitter: "none" } as const

/** Which run a `Boom` comes from: deep equality looks at the message of an error alone. */
const failedAt = (exit: Exit.Exit<unknown, unknown>): unknown => {
  const error = errorOf(exit)
  return error instanceof Boom ? error.n : error
}

/** All that a supervisor says from now on, with the times relative to the test clock. */
const watch = Effect.fnUntraced(function*(supervisor: Supervise.Supervisor) {
  const states: Array<Supervise.State> = []
  yield* start(Stream.runForEach(supervisor.states, (state) => Effect.sync(() => states.push(state))))
  return states
})

const tags = (states: ReadonlyArray<Supervise.State>) => states.map(({ _tag }) => _tag)

describe("Supervise.make", () => {
  it("has defaults", () => {
    const settings = Supervise.settings()
    assert.deepInclude(settings, {
      healthyAfter: 30_000,
      times: Infinity,
      maxRetryAfter: 600_000,
      waitForRefusals: true
    })
    assert.strictEqual(settings.backoff.cap, 30_000)
    const { delays } = settings.backoff
    assert.deepStrictEqual(delays.kind === "formula" ? [1, 2, 3].map(delays.at) : [], [500, 1_000, 2_000])
  })

  it("refuses options that make no sense", () => {
    const refused = (options: object, message: string) =>
      assert.throws(() => Supervise.settings(options), RangeError, message)
    refused({ healthyAfter: -1 }, "Supervise: healthyAfter must be a duration of zero or more, got -1")
    refused({ healthyAfter: NaN }, "Supervise: healthyAfter")
    refused({ times: -1 }, "Supervise: times must be an integer >= 0, got -1")
    refused({ times: 1.5 }, "Supervise: times")
    refused({ times: "3" }, "Supervise: times")
    refused({ times: NaN }, "Supervise: times")
    refused({ maxRetryAfter: "a day" }, "Supervise: maxRetryAfter")
    refused({ waitForRefusals: "yes" }, "Supervise: waitForRefusals must be true or false")
    refused({ backoff: { kind: "quadratic" } }, "Supervise: Retry: backoff.kind must be one of")
    refused({ backoff: { kind: "constant", delay: 0 } }, "Supervise: Retry: backoff.delay")
    refused({ jitter: "some" }, "Supervise: Retry: jitter")
    refused({ time: 3 }, "Supervise: unknown option \"time\"")
    assert.throws(() => Supervise.make(""), RangeError, "Supervise: name must be a non-empty string")
    assert.throws(() => Supervise.make("feed", { times: -1 }), RangeError)
  })

  it.effect("refuses what is said about its work and makes no sense", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed")
      const options = (value: object) => value
      assert.throws(() => feed.keep(Effect.void, options({ onEnd: "stop" })), RangeError, "onEnd must be one of")
      assert.throws(() => feed.keep(Effect.void, options({ onend: "again" })), RangeError, "unknown option")
      assert.throws(() => feed.keep(Effect.void, options({ classify: 1 })), RangeError, "classify must be a function")
      assert.throws(() => feed.connect(Effect.void, () => Effect.void, options({ onEnd: "again" })), RangeError)
      assert.throws(() => feed.stream(() => Stream.empty, options({ from: 1 })), RangeError, "belong together")
      assert.throws(() => feed.stream(() => Stream.empty, options({ advance: () => 1 })), RangeError, "belong together")
      assert.throws(() => feed.stream(() => Stream.empty, options({ from: 1, advance: 2 })), RangeError, "a function")
    }))
})

describe("Supervise.keep", () => {
  it.effect("starts an effect again until it ends, after waits that grow to a cap", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { starts, work } = recorded((n) => n <= 6 ? Effect.fail(new Boom({ n })) : Effect.succeed("done"))
      const { exit } = yield* drive(feed.keep(work))
      assert.deepStrictEqual(exit, Exit.succeed("done"))
      assert.deepStrictEqual(waits(starts), [1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
    }))

  it.effect("spreads its waits out by default", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed")
      const { starts, work } = recorded((n) => n <= 4 ? Effect.fail(new Boom({ n })) : Effect.void)
      yield* drive(feed.keep(work).pipe(drawing(0.5)))
      assert.deepStrictEqual(waits(starts), [250, 500, 1_000, 2_000])
    }))

  it.effect("begins anew after a healthy time, and only then", () =>
    Effect.gen(function*() {
      const lives = [0, 0, 29_999, 30_000, 0, 45_000, 0]
      const feed = yield* Supervise.make("feed", steady)
      const { starts, work } = recorded((n) =>
        n > lives.length
          ? Effect.void
          : Effect.andThen(Effect.sleep(present(lives[n - 1])), Effect.fail(new Boom({ n })))
      )
      yield* drive(feed.keep(work))
      const pauses = waits(starts).map((wait, n) => wait - present(lives[n]))
      assert.deepStrictEqual(pauses, [1_000, 2_000, 4_000, 1_000, 2_000, 1_000, 2_000])
    }))

  it.effect("begins anew with schedules and with what its jitter remembers", () =>
    Effect.gen(function*() {
      const lives = [0, 0, 30_000, 0]
      const run = Effect.fnUntraced(function*(options: Supervise.Options, u: number) {
        const feed = yield* Supervise.make("feed", options)
        const { starts, work } = recorded((n) =>
          n > lives.length
            ? Effect.void
            : Effect.andThen(Effect.sleep(present(lives[n - 1])), Effect.fail(new Boom({ n })))
        )
        yield* drive(feed.keep(work).pipe(drawing(u)))
        return waits(starts).map((wait, n) => wait - present(lives[n]))
      })
      assert.deepStrictEqual(yield* run({ backoff: Schedule.exponential("1 second") }, 0), [1_000, 2_000, 1_000, 2_000])
      const growing = { backoff: { kind: "decorrelated", base: "1 second" } } as const
      assert.deepStrictEqual(yield* run(growing, 1), [3_000, 9_000, 3_000, 9_000])
      const computed = (_: number, reason: unknown) => reason instanceof Boom ? reason.n * 1_000 : 0
      assert.deepStrictEqual(
        yield* run({ backoff: computed, jitter: "decorrelated" }, 0),
        [1_000, 1_000, 3_000, 3_000]
      )
    }))

  it.effect("is woken early, also by whoever hears of the wait", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { starts, work } = failing()
      const fiber = yield* start(feed.keep(work))
      yield* TestClock.adjust(1_000)
      // two seconds to wait
      yield* TestClock.adjust(500)
      yield* feed.wake
      assert.deepStrictEqual(starts, [0, 1_000, 1_500])
      // a wake does not begin anew
      yield* TestClock.adjust(3_999)
      assert.strictEqual(starts.length, 3)
      yield* TestClock.adjust(1)
      assert.strictEqual(starts.length, 4)
      yield* Fiber.interrupt(fiber)

      const eager = yield* Supervise.make("eager", steady)
      yield* start(Stream.runForEach(eager.states, (state) => state._tag === "Down" ? eager.wake : Effect.void))
      const second = recorded((n) => n <= 5 ? Effect.fail(new Boom({ n })) : Effect.void)
      yield* drive(eager.keep(second.work))
      assert.deepStrictEqual(waits(second.starts), [0, 0, 0, 0, 0])
    }))

  it.effect("is not moved by a wake while it is up, or not in use", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      yield* feed.wake
      const { starts, work } = recorded((n) =>
        n === 1 ? Effect.andThen(Effect.sleep(5_000), Effect.fail(new Boom({ n }))) : Effect.never
      )
      const fiber = yield* start(feed.keep(work))
      yield* TestClock.adjust(1_000)
      yield* feed.wake
      yield* TestClock.adjust(4_999)
      assert.deepStrictEqual(starts, [0])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(starts, [0, 6_000])
      yield* Fiber.interrupt(fiber)
      yield* feed.wake
    }))

  it.effect("waits for what was asked for by retryAfter, also when it is woken; one that is too long ends it", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, maxRetryAfter: "1 minute" })
      const asking = (seconds: number) => Says.of(Outcome.overload({ retryAfter: `${seconds} seconds` }))
      const asked = [10, 60, 61]
      const { starts, work } = recorded((n) => Effect.fail(asking(present(asked[n - 1]))))
      const fiber = yield* start(Effect.exit(feed.keep(work)))
      yield* TestClock.adjust(5_000)
      yield* feed.wake
      assert.deepInclude(yield* feed.state, { _tag: "Down", delay: Duration.seconds(5), nextAt: 10_000 })
      yield* TestClock.adjust(4_999)
      assert.deepStrictEqual(starts, [0])
      yield* TestClock.adjust(60_001)
      assert.deepStrictEqual(starts, [0, 10_000, 70_000])
      assert.strictEqual(brief(yield* Fiber.join(fiber)), "Says")
      assert.strictEqual(yield* now, 70_000)

      const never = yield* Supervise.make("never", { maxRetryAfter: "Infinity" })
      const forGood = yield* drive(never.keep(Effect.fail(Says.of(Outcome.overload({ retryAfter: "Infinity" })))))
      assert.strictEqual(brief(forGood.exit), "Says")
    }))

  it.effect("ends with what is not retryable, with defects, and with interruption from within", () =>
    Effect.gen(function*() {
      const endings = {
        final: [Effect.fail(Says.of(Outcome.failure({ retryable: false }))), "Says"],
        well: [Effect.fail(Says.of(Outcome.success)), "Says"],
        ignored: [Effect.fail(Says.of(Outcome.ignored)), "Says"],
        defect: [Effect.die("bug"), "die"],
        interruption: [Effect.interrupt, "interrupt"]
      } as const
      for (const [name, [ending, seen]] of Object.entries(endings)) {
        const feed = yield* Supervise.make(name, steady)
        const { exit, at } = yield* drive(feed.keep<unknown, Says, never>(ending))
        assert.strictEqual(brief(exit), seen, name)
        assert.strictEqual(at % 86_400_000, 0, name)
        assert.strictEqual((yield* feed.state)._tag, "Ended")
      }
    }))

  it.effect("lets a classifier decide", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { starts, work } = failing()
      const { exit } = yield* drive(
        feed.keep(work, {
          classify: (exit) =>
            Exit.isFailure(exit) && errorOf(exit).n === 3 ? Outcome.failure({ retryable: false }) : undefined
        })
      )
      assert.strictEqual(brief(exit), "Boom")
      assert.deepStrictEqual(waits(starts), [1_000, 2_000])
    }))

  it.effect("waits for refusals of our own, for as long as they say", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("feed", {
        trip: { kind: "consecutive", failures: 2 },
        open: "20 seconds"
      })
      const feed = yield* Supervise.make("feed", steady)
      const { starts, work } = recorded((n) => n <= 2 ? Effect.fail(new Boom({ n })) : Effect.succeed("up"))
      const { at, exit } = yield* drive(feed.keep(breaker.protect(work)))
      assert.deepStrictEqual(exit, Exit.succeed("up"))
      // refused at 3 s, 18 s before the circuit is half-open
      assert.deepStrictEqual(starts, [0, 1_000, 21_000])
      assert.strictEqual(at, 21_000)

      const strict = yield* Supervise.make("strict", { ...steady, waitForRefusals: false })
      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      assert.strictEqual(brief((yield* drive(strict.keep(breaker.protect(Effect.void)))).exit), "CircuitOpen")
    }))

  it.effect("gives up after so many times in a row, with the last error", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, times: 2 })
      const { starts, work } = failing()
      const { exit } = yield* drive(feed.keep(work))
      assert.strictEqual(failedAt(exit), 3)
      assert.deepStrictEqual(waits(starts), [1_000, 2_000])

      // a healthy time is a new beginning
      const again = yield* Supervise.make("again", { ...steady, times: 2 })
      const lives = [0, 0, 30_000, 0, 0]
      const second = recorded((n) => Effect.andThen(Effect.sleep(present(lives[n - 1])), Effect.fail(new Boom({ n }))))
      assert.strictEqual(failedAt((yield* drive(again.keep(second.work))).exit), 5)

      const once = yield* Supervise.make("once", { ...steady, times: 0 })
      assert.strictEqual(failedAt((yield* drive(once.keep(failing().work))).exit), 1)
    }))

  it.effect("takes schedules and functions for its waits", () =>
    Effect.gen(function*() {
      const spaced = yield* Supervise.make("spaced", {
        backoff: Schedule.upTo(Schedule.spaced("3 seconds"), { times: 2 })
      })
      const first = failing()
      const { exit } = yield* drive(spaced.keep(first.work))
      assert.deepStrictEqual(waits(first.starts), [3_000, 3_000])
      assert.strictEqual(failedAt(exit), 3)

      const computed = yield* Supervise.make("computed", {
        times: 5,
        backoff: (retry, reason) => {
          if (retry === 2) throw new Error("bug in a backoff")
          return retry === 3 ? NaN : reason instanceof Boom ? reason.n * 100 : 0
        }
      })
      const second = failing()
      yield* drive(computed.keep(second.work))
      // its own backoff where the function does not answer
      assert.deepStrictEqual(waits(second.starts), [100, 1_000, 2_000, 400, 500])
    }))

  it.effect("starts again what has ended without an error, where it is told to", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, times: 2 })
      const { starts, work } = recorded((n) => Effect.succeed(n))
      const { exit } = yield* drive(feed.keep(work, { onEnd: "again" }))
      assert.deepStrictEqual(exit, Exit.succeed(3))
      assert.deepStrictEqual(waits(starts), [1_000, 2_000])
    }))

  it.effect("does not wait past a deadline", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { starts, work } = failing()
      const { at, exit } = yield* drive(feed.keep(work).pipe(Deadline.within("5 seconds")))
      assert.deepStrictEqual(starts, [0, 1_000, 3_000])
      assert.strictEqual(brief(exit), "Boom")
      assert.strictEqual(at, 3_000)
    }))

  it.effect("says where it stands", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const feed = yield* Supervise.make("feed", steady)
      assert.deepStrictEqual(yield* feed.state, { _tag: "Idle" })
      const states = yield* watch(feed)
      const { work } = recorded((n) =>
        n <= 2 ? Effect.andThen(Effect.sleep(500), Effect.fail(new Boom({ n }))) : Effect.succeed("done")
      )
      yield* drive(feed.keep(work))
      assert.deepStrictEqual(
        states.flatMap((state) => state._tag === "Down" ? [state.reason instanceof Boom && state.reason.n] : []),
        [1, 2]
      )
      assert.deepStrictEqual(states, [
        { _tag: "Idle" },
        { _tag: "Connecting", attempt: 1 },
        { _tag: "Up", since: 1_000_000 },
        { _tag: "Down", reason: new Boom({ n: 1 }), attempt: 1, delay: Duration.seconds(1), nextAt: 1_001_500 },
        { _tag: "Connecting", attempt: 2 },
        { _tag: "Up", since: 1_001_500 },
        { _tag: "Down", reason: new Boom({ n: 2 }), attempt: 2, delay: Duration.seconds(2), nextAt: 1_004_000 },
        { _tag: "Connecting", attempt: 3 },
        { _tag: "Up", since: 1_004_000 },
        { _tag: "Ended", exit: Exit.succeed("done") }
      ])
      assert.deepStrictEqual(yield* feed.state, { _tag: "Ended", exit: Exit.succeed("done") })
    }))

  it.effect("shows the present state first to those who come later", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const fiber = yield* start(feed.keep(Effect.never))
      assert.deepStrictEqual(tags(yield* watch(feed)), ["Up"])
      yield* Fiber.interrupt(fiber)
      const state = yield* feed.state
      assert.strictEqual(state._tag === "Ended" ? brief(state.exit) : state._tag, "interrupt")
    }))

  it.effect("keeps one thing alive at a time, and the next one after it", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const fiber = yield* start(feed.keep(Effect.never))
      const second = yield* Effect.exit(feed.keep(Effect.succeed(2)))
      assert.strictEqual(brief(second), "die")
      assert.strictEqual((yield* feed.state)._tag, "Up")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* feed.keep(Effect.succeed(3)), 3)
    }))

  it.effect("ends what its work has forked as a child together with each run", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, times: 2 })
      const children: Array<Fiber.Fiber<never>> = []
      const work = Effect.gen(function*() {
        children.push(yield* Effect.forkChild(Effect.never))
        yield* Effect.sleep(100)
        assert.strictEqual(children.filter((child) => child.pollUnsafe() === undefined).length, 1)
        return yield* Effect.fail(new Boom({ n: 0 }))
      })
      assert.strictEqual(brief((yield* drive(feed.keep(work))).exit), "Boom")
      assert.strictEqual(children.length, 3)
    }))

  it.effect("survives a clock that is set back, and a Random that answers nonsense", () =>
    Effect.gen(function*() {
      for (const u of [NaN, -1, 2, Infinity]) {
        const feed = yield* Supervise.make("feed", { ...steady, jitter: "full", times: 3 })
        const { starts, work } = failing()
        yield* drive(feed.keep(work).pipe(drawing(u)))
        assert.isTrue(waits(starts).every((wait) => wait >= 0 && wait <= 8_000), `${u}: ${waits(starts)}`)
      }
    }))
})

describe("Supervise.connect", () => {
  /** Connections that remember whether they are open, and can be lost. */
  const network = () => {
    const log: Array<string> = []
    let opened = 0
    const cuts: Array<Deferred.Deferred<void, Boom>> = []
    const open = Effect.acquireRelease(
      Effect.suspend(() => {
        const n = ++opened
        log.push(`open ${n}`)
        cuts.push(Deferred.makeUnsafe())
        return Effect.succeed({ n })
      }),
      ({ n }) => Effect.sync(() => log.push(`close ${n}`))
    )
    const lost = ({ n }: { readonly n: number }) => Deferred.await(present(cuts[n - 1]))
    const cut = (n: number) => Deferred.fail(present(cuts[n - 1]), new Boom({ n }))
    const hangUp = (n: number) => Deferred.succeed(present(cuts[n - 1]), undefined)
    return { open, lost, cut, hangUp, log }
  }

  it.effect("keeps a connection up for as long as the scope is open", () =>
    Effect.gen(function*() {
      const { cut, hangUp, log, lost, open } = network()
      const feed = yield* Supervise.make("feed", steady)
      const scope = yield* Scope.make()
      const connection = yield* feed.connect(open, lost).pipe(Scope.provide(scope))
      assert.deepStrictEqual(yield* connection.get, { n: 1 })
      yield* cut(1)
      assert.deepStrictEqual(log, ["open 1", "close 1"])
      // nobody is given a connection that is closed
      const waiting = yield* start(connection.get)
      assert.strictEqual(waiting.pollUnsafe(), undefined)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { n: 2 })
      // an end without an error is a loss as well
      yield* hangUp(2)
      assert.deepInclude(yield* feed.state, { _tag: "Down", reason: undefined, delay: Duration.seconds(2) })
      yield* TestClock.adjust(2_000)
      assert.deepStrictEqual(yield* connection.get, { n: 3 })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(log, ["open 1", "close 1", "open 2", "close 2", "open 3", "close 3"])
      assert.strictEqual(brief(yield* Effect.exit(connection.get)), "interrupt")
      assert.strictEqual((yield* feed.state)._tag, "Ended")
    }))

  it.effect("counts the time it takes to connect for nothing", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, healthyAfter: "10 seconds", times: 3 })
      const { starts, work } = recorded((n) => Effect.andThen(Effect.sleep("1 minute"), Effect.fail(new Boom({ n }))))
      const states = yield* watch(feed)
      const connection = yield* feed.connect(work, () => Effect.never)
      const { exit } = yield* drive(connection.ended)
      assert.strictEqual(failedAt(exit), 4)
      assert.deepStrictEqual(waits(starts), [61_000, 62_000, 64_000])
      assert.notInclude(tags(states), "Up")
      assert.strictEqual(brief(yield* Effect.exit(connection.get)), "Boom")
    }))

  it.effect("fails those who wait for it when it is given up", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, times: 1 })
      const connection = yield* feed.connect(failing().work, () => Effect.never)
      const waiting = yield* start(Effect.exit(connection.get))
      yield* TestClock.adjust(1_000)
      assert.strictEqual(failedAt(yield* Fiber.join(waiting)), 2)
      assert.strictEqual(failedAt(yield* Effect.exit(connection.ended)), 2)
    }))

  it.effect("is not kept up in a scope that is closed", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      const connection = yield* feed.connect(failing().work, () => Effect.never).pipe(Scope.provide(scope))
      assert.strictEqual(brief(yield* Effect.exit(connection.get)), "interrupt")
    }))

  it.effect("closes a connection although its loss is a defect", () =>
    Effect.gen(function*() {
      const { log, open } = network()
      const feed = yield* Supervise.make("feed", steady)
      const connection = yield* feed.connect(open, (): Effect.Effect<void> => {
        throw new Error("bug")
      })
      assert.strictEqual(brief(yield* Effect.exit(connection.get)), "die")
      assert.deepStrictEqual(log, ["open 1", "close 1"])
    }))
})

describe("Supervise.stream", () => {
  /** Numbered events, some at a time: each opening goes on after a number, and breaks off after so many. */
  const events = (perOpening: number) => {
    const openings: Array<unknown> = []
    let closed = 0
    const open = (after: number) => {
      openings.push(after)
      const numbers = Array.from({ length: perOpening }, (_, n) => after + n + 1)
      return Stream.fromIterable(numbers).pipe(
        Stream.rechunk(1),
        Stream.concat(Stream.fail(new Boom({ n: openings.length }))),
        Stream.ensuring(Effect.sync(() => closed++))
      )
    }
    return { open, openings, closed: () => closed }
  }

  it.effect("goes on after its last element", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { closed, open, openings } = events(3)
      const stream = feed.stream((last: Option.Option<number>) => open(Option.getOrElse(last, () => 0)))
      const { exit } = yield* drive(Stream.runCollect(Stream.take(stream, 8)))
      assert.deepStrictEqual(exit, Exit.succeed([1, 2, 3, 4, 5, 6, 7, 8]))
      assert.deepStrictEqual(openings, [0, 3, 6])
      assert.strictEqual(closed(), 3)
    }))

  it.effect("goes on from a cursor that its elements move", () =>
    Effect.gen(function*() {
      interface Event {
        readonly id?: string
        readonly data: number
      }
      const feed = yield* Supervise.make("feed", { ...steady, times: 2 })
      const asked: Array<Option.Option<string>> = []
      const stream = feed.stream((lastEventId: Option.Option<string>) => {
        asked.push(lastEventId)
        const first: ReadonlyArray<Event> = [{ id: "a", data: 1 }, { data: 2 }]
        return Stream.concat(
          asked.length === 1 ? Stream.fromIterable(first) : Stream.empty,
          Stream.fail(new Boom({ n: asked.length }))
        )
      }, {
        from: Option.none<string>(),
        advance: (lastEventId, event: Event) => event.id === undefined ? lastEventId : Option.some(event.id)
      })
      const { exit } = yield* drive(Stream.runDrain(stream))
      assert.strictEqual(brief(exit), "Boom")
      // the id of an event holds until another one comes
      assert.deepStrictEqual(asked, [Option.none(), Option.some("a"), Option.some("a")])
      // each run of the stream begins at the beginning
      yield* drive(Stream.runDrain(stream))
      assert.deepStrictEqual(asked[3], Option.none())
    }))

  it.effect("ends where it ends, or is opened again, as it is told", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const once = yield* drive(Stream.runCollect(feed.stream(() => Stream.make(1, 2))))
      assert.deepStrictEqual(once.exit, Exit.succeed([1, 2]))
      const again = feed.stream(
        (last: Option.Option<number>) => Stream.make(Option.getOrElse(last, () => 0) + 1),
        { onEnd: "again" }
      )
      const { exit } = yield* drive(Stream.runCollect(Stream.take(again, 4)))
      assert.deepStrictEqual(exit, Exit.succeed([1, 2, 3, 4]))
    }))

  it.effect("begins its waits anew when elements have flowed for the healthy time, silence not counted", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", { ...steady, healthyAfter: "10 seconds" })
      const opened: Array<number> = []
      const lives: ReadonlyArray<ReadonlyArray<number>> = [
        [],
        // a minute until the first element, and a minute of silence after the last one
        [60_000, 60_000],
        [0, 60_000],
        [0, 5_000, 5_000, 0],
        [],
        []
      ]
      const ended: Array<number> = []
      const stream = feed.stream(() =>
        Stream.unwrap(Effect.map(now, (at) => {
          opened.push(at)
          const life = present(lives[opened.length - 1])
          return Stream.fromIterable(life).pipe(
            Stream.mapEffect((wait, n) =>
              Effect.andThen(
                Effect.sleep(wait),
                n === life.length - 1 ? Effect.fail(new Boom({ n })) : Effect.succeed(n)
              )
            ),
            Stream.concat(Stream.fail(new Boom({ n: 0 }))),
            Stream.ensuring(Effect.map(now, (at) => ended.push(at)))
          )
        }))
      )
      const fiber = yield* start(Effect.exit(Stream.runDrain(stream)))
      yield* TestClock.adjust("10 minutes")
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(opened.slice(1).map((at, n) => at - present(ended[n])), [
        1_000,
        2_000,
        4_000,
        1_000,
        2_000,
        4_000
      ])
    }))

  it.effect("is up from its first element on", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const states = yield* watch(feed)
      const stream = feed.stream(() => Stream.fromEffect(Effect.as(Effect.sleep(100), 1)))
      yield* drive(Stream.runDrain(stream))
      assert.deepStrictEqual(tags(states), ["Idle", "Connecting", "Up", "Ended"])
      assert.deepInclude(states[2], { since: 100 })
    }))

  it.effect("closes what is open when the consumer goes away, and does not open it again", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { closed, open, openings } = events(100)
      const stream = feed.stream((last: Option.Option<number>) => open(Option.getOrElse(last, () => 0)), {
        onEnd: "again"
      })
      yield* drive(Stream.runDrain(Stream.take(stream, 5)))
      assert.strictEqual(openings.length, 1)
      assert.strictEqual(closed(), 1)
      assert.strictEqual((yield* feed.state)._tag, "Ended")

      // also while it waits
      const failing = feed.stream(() => Stream.fail(new Boom({ n: 0 })))
      const fiber = yield* start(Stream.runDrain(failing))
      yield* TestClock.adjust(100)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* feed.state)._tag, "Ended")
    }))

  it.effect("is woken while it waits", () =>
    Effect.gen(function*() {
      const feed = yield* Supervise.make("feed", steady)
      const { open, openings } = events(1)
      const stream = feed.stream((last: Option.Option<number>) => open(Option.getOrElse(last, () => 0)))
      const elements: Array<number> = []
      const fiber = yield* start(Stream.runForEach(stream, (n) => Effect.sync(() => elements.push(n))))
      assert.deepStrictEqual(elements, [1])
      yield* feed.wake
      yield* feed.wake
      assert.deepStrictEqual(elements, [1, 2, 3])
      assert.strictEqual(yield* now, 0)
      assert.deepStrictEqual(openings, [0, 1, 2])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("dies of a cursor that cannot be moved, and of an opening that throws", () =>
    Effect.gen(function*() {
      const bug = (): never => {
        throw new Error("bug")
      }
      const feed = yield* Supervise.make("feed", steady)
      const moving = feed.stream((_: number) => Stream.make(1), { from: 0, advance: bug })
      assert.strictEqual(brief((yield* drive(Stream.runDrain(moving))).exit), "die")
      assert.strictEqual(
        brief((yield* drive(Stream.runDrain(feed.stream((): Stream.Stream<never> => bug())))).exit),
        "die"
      )
    }))
})

describe("Supervise under random scripts", () => {
  it.effect("leaks no connection and no fiber, whenever it is interrupted or woken", () =>
    Effect.gen(function*() {
      const { below } = yield* draws
      const counts = { opened: 0, closed: 0, lives: 0, woken: 0 }
      const children = new Set<Fiber.Fiber<unknown, unknown>>()
      const seen = new Map<string, number>()

      const open = Effect.gen(function*() {
        yield* pauses(below(3))
        if (below(4) === 0) return yield* Effect.fail(new Boom({ n: 0 }))
        const opened = Effect.sync(() => {
          counts.opened++
          return counts.opened
        })
        return yield* Effect.acquireRelease(opened, () =>
          Effect.andThen(pauses(below(3)), Effect.sync(() => counts.closed++)))
      })
      const live = Effect.gen(function*() {
        counts.lives++
        children.add(yield* Effect.forkChild(Effect.never))
        yield* pauses(below(6))
        const ending = below(20)
        return yield* ending === 0
          ? Effect.die("bug")
          : ending === 1
          ? Effect.fail(Says.of(Outcome.success))
          : ending < 5
          ? Effect.sleep(5)
          : Effect.fail(new Boom({ n: 1 }))
      })

      for (let round = 0; round < 5_000; round++) {
        const feed = yield* Supervise.make("feed", {
          backoff: { kind: "constant", delay: 3 },
          jitter: below(2) === 0 ? "none" : "full",
          healthyAfter: 4
        })
        const forms = [
          feed.keep(Effect.scoped(Effect.andThen(open, live))),
          Effect.scoped(Effect.flatMap(
            feed.connect(open, () =>
              live),
            ({ ended, get }) => Effect.andThen(get, ended)
          )),
          Stream.runDrain(
            feed.stream(() =>
              Stream.scoped(Stream.fromEffect(open)).pipe(Stream.concat(Stream.drain(Stream.fromEffect(live))))
            )
          )
        ] as const
        const fiber = yield* Effect.forkChild(
          Effect.asVoid(present(forms[below(3)])).pipe(
            Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + below(8))
          ),
          { startImmediately: below(2) === 0 }
        )
        const turns = below(3) === 0 ? below(40) : 200
        for (let turn = 0; turn < turns && fiber.pollUnsafe() === undefined; turn++) {
          yield* Effect.yieldNow
          if (below(6) === 0) yield* TestClock.adjust(below(4))
          if (below(6) === 0) {
            counts.woken++
            yield* feed.wake
          }
        }
        fiber.interruptUnsafe()
        const kind = `${brief(yield* Fiber.await(fiber))}`
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
        assert.strictEqual(counts.closed, counts.opened)
        for (const child of children) assert.isDefined(child.pollUnsafe())
        children.clear()
        assert.include(["Ended", "Idle"], (yield* feed.state)._tag)
        // it can be used again
        assert.strictEqual(yield* feed.keep(Effect.succeed(1)), 1)
      }
      assert.isAbove(counts.lives, 10_000)
      assert.isAbove(counts.woken, 5_000)
      for (const kind of ["interrupt", "die", "Says"]) assert.isAbove(seen.get(kind) ?? 0, 50, kind)
    }).pipe(Random.withSeed("supervise")), 60_000)
})

describe("Supervise.pollUntil", () => {
  type Status = { readonly _tag: "Running"; readonly percent: number } | { readonly _tag: "Done"; readonly url: string }
  const isDone = (status: Status): status is Extract<Status, { _tag: "Done" }> => status._tag === "Done"

  it.effect("polls at once and then at its interval, until the answer is the right one", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n): Effect.Effect<Status> =>
        Effect.succeed(n < 4 ? { _tag: "Running", percent: n * 25 } : { _tag: "Done", url: "https://example.com" })
      )
      const { exit } = yield* drive(Supervise.pollUntil(work, { until: isDone, timeout: "1 minute" }))
      assert.deepStrictEqual(exit, Exit.succeed({ _tag: "Done", url: "https://example.com" }))
      assert.deepStrictEqual(starts, [0, 1_000, 2_000, 3_000])
    }))

  it.effect("fails when the next poll would come too late, with the last answer", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) => Effect.as(Effect.sleep(100), n))
      const polled = work.pipe(
        Supervise.pollUntil({
          until: () => false,
          interval: { kind: "exponential", base: "1 second", cap: "4 seconds" },
          timeout: "10 seconds",
          policy: "export"
        })
      )
      const { at, exit } = yield* drive(polled)
      assert.deepStrictEqual(waits(starts), [1_100, 2_100, 4_100])
      const error = errorOf(exit)
      assert.deepStrictEqual(
        error,
        new Supervise.PollTimedOut({ policy: "export", polls: 4, elapsed: Duration.millis(7_400), last: 4 })
      )
      assert.strictEqual(error.message, "export: gave up after 4 polls in 7s 400ms")
      assert.deepStrictEqual(Outcome.fromError(error), Outcome.ignored)
      assert.strictEqual(at, 7_400)
    }))

  it.effect("cuts a poll that hangs when the time is up", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("export")
      let cleaned = false
      const hanging = breaker.protect(
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            cleaned = true
          }))
      )
      const { at, exit } = yield* drive(Supervise.pollUntil(hanging, { until: () => true, timeout: "10 seconds" }))
      assert.deepInclude(errorOf(exit), { _tag: "PollTimedOut", polls: 0, elapsed: Duration.seconds(10) })
      assert.strictEqual(at, 10_000)
      assert.isTrue(cleaned)
      assert.strictEqual((yield* breaker.snapshot).calls.failure, 1)
    }))

  it.effect("forgives polls that fail, so many in a row", () =>
    Effect.gen(function*() {
      const script = ["F", "F", "S", "F", "F", "S", "D"]
      const { starts, work } = recorded((n) => {
        const letter = present(script[n - 1])
        return letter === "F" ? Effect.fail(new Boom({ n })) : Effect.succeed(letter)
      })
      const options = { until: (letter: string) => letter === "D", failures: 2, timeout: "1 minute" } as const
      const { exit } = yield* drive(Supervise.pollUntil(work, options))
      assert.deepStrictEqual(exit, Exit.succeed("D"))
      assert.strictEqual(starts.length, 7)

      const { at, exit: failed } = yield* drive(
        Supervise.pollUntil(failing().work, { until: () => true, timeout: "1 minute" })
      )
      assert.strictEqual(failedAt(failed), 4)
      assert.strictEqual(at % 86_400_000, 3_000)
      const { exit: strict } = yield* drive(
        Supervise.pollUntil(failing().work, { until: () => true, timeout: "1 minute", failures: 0 })
      )
      assert.strictEqual(failedAt(strict), 1)
    }))

  it.effect("ends at once with what is not retryable, and with defects", () =>
    Effect.gen(function*() {
      for (
        const [poll, seen] of [
          [Effect.fail(Says.of(Outcome.success)), "Says"],
          [Effect.fail(Says.of(Outcome.failure({ retryable: false }))), "Says"],
          [Effect.die("bug"), "die"]
        ] as const
      ) {
        const { starts, work } = recorded((): Effect.Effect<void, Says> => poll)
        const { exit } = yield* drive(Supervise.pollUntil(work, { until: () => true, timeout: "1 minute" }))
        assert.strictEqual(brief(exit), seen)
        assert.strictEqual(starts.length, 1)
      }
      const { exit } = yield* drive(
        Supervise.pollUntil(failing().work, {
          until: () => true,
          timeout: "1 minute",
          classify: () => Outcome.failure({ retryable: false })
        })
      )
      assert.strictEqual(failedAt(exit), 1)
    }))

  it.effect("waits as it was asked to, and says what the last poll failed with", () =>
    Effect.gen(function*() {
      const busy = Says.of(Outcome.overload({ retryAfter: "20 seconds" }))
      const { starts, work } = recorded((n) => n === 1 ? Effect.succeed("running") : Effect.fail(busy))
      const { exit } = yield* drive(
        Supervise.pollUntil(work, { until: () => false, timeout: "30 seconds", failures: 9 })
      )
      assert.deepStrictEqual(starts, [0, 1_000, 21_000])
      assert.deepInclude(errorOf(exit), { _tag: "PollTimedOut", polls: 3, last: "running", lastError: busy })
    }))

  it.effect("shrinks to a deadline that is sooner", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded(() => Effect.succeed(1))
      const polled = Supervise.pollUntil(work, { until: () => false, timeout: "1 minute" })
      const { at, exit } = yield* drive(polled.pipe(Deadline.within("2500 millis")))
      assert.deepStrictEqual(starts, [0, 1_000, 2_000])
      assert.strictEqual(brief(exit), "PollTimedOut")
      assert.strictEqual(at, 2_000)
    }))

  it.effect("takes a predicate that throws for a defect, and a schedule's end for its own", () =>
    Effect.gen(function*() {
      const { exit } = yield* drive(
        Supervise.pollUntil(Effect.void, {
          until: () => {
            throw new Error("bug")
          },
          timeout: "1 minute"
        })
      )
      assert.strictEqual(brief(exit), "die")
      const { starts, work } = recorded(Effect.succeed)
      const scheduled = yield* drive(
        Supervise.pollUntil(work, { until: () => false, interval: Schedule.recurs(2), timeout: "1 minute" })
      )
      assert.strictEqual(brief(scheduled.exit), "PollTimedOut")
      assert.strictEqual(starts.length, 3)
    }))

  it.effect("ends with its caller, and ends what a poll has forked", () =>
    Effect.gen(function*() {
      const children: Array<Fiber.Fiber<never>> = []
      const forking = Effect.map(Effect.forkChild(Effect.never), (child) => children.push(child))
      const fiber = yield* start(Supervise.pollUntil(forking, { until: () => false, timeout: "1 minute" }))
      yield* TestClock.adjust("2500 millis")
      assert.strictEqual(children.length, 3)
      assert.isTrue(children.every((child) => child.pollUnsafe() !== undefined))
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(children.length, 3)
    }))

  it("refuses options that make no sense", () => {
    const refused = (options: object, message: string) =>
      assert.throws(
        () => Supervise.pollUntil(Effect.void, { until: () => true, timeout: 1_000, ...options }),
        RangeError,
        message
      )
    refused({ until: true }, "Supervise.pollUntil: until must be a function")
    refused({ timeout: 0 }, "Supervise.pollUntil: timeout must be a finite duration above zero, got 0")
    refused({ timeout: "Infinity" }, "Supervise.pollUntil: timeout must be a finite duration")
    refused({ timeout: NaN }, "Supervise.pollUntil: timeout")
    refused({ failures: -1 }, "Supervise.pollUntil: failures must be an integer >= 0")
    refused({ failures: Infinity }, "Supervise.pollUntil: failures")
    refused({ interval: { kind: "constant", delay: -1 } }, "Supervise.pollUntil: Retry: backoff.delay")
    refused({ jitter: 3 }, "Supervise.pollUntil: Retry: jitter")
    refused({ policy: "" }, "Supervise.pollUntil: policy")
    refused({ every: 3 }, "Supervise.pollUntil: unknown option \"every\"")
  })

  it("fails with a schema error", () => {
    const error = new Supervise.PollTimedOut({
      policy: "export",
      polls: 2,
      elapsed: Duration.seconds(2),
      last: { n: 1 }
    })
    const encoded = Schema.encodeSync(Supervise.PollTimedOut)(error)
    assert.deepStrictEqual(encoded, {
      _tag: "PollTimedOut",
      policy: "export",
      polls: 2,
      elapsed: 2_000,
      last: { n: 1 }
    })
    assert.instanceOf(Schema.decodeUnknownSync(Supervise.PollTimedOut)(encoded), Supervise.PollTimedOut)
  })
})
