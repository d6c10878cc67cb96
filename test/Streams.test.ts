import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Option,
  Pull,
  Random,
  Scheduler,
  Semaphore,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Hedge, Retry, Streams, Timeout } from "../src/index.ts"
import { Boom, brief, draws, drive, errorOf, pauses, present, start } from "./support.ts"

const boom = new Boom({ n: 0 })

/** A stream that remembers its openings, its pulls, and how its scope was closed. */
const source = <A, E = never, R = never>(...parts: ReadonlyArray<Stream.Stream<A, E, R>>) => {
  const log = { opened: 0, pulled: 0, closed: [] as Array<unknown> }
  const stream = Stream.unwrap(
    Effect.acquireRelease(Effect.sync(() => log.opened++), (_, exit) => Effect.sync(() => log.closed.push(brief(exit))))
      .pipe(
        Effect.as(
          Stream.tap(
            parts.reduce<Stream.Stream<A, E, R>>(Stream.concat, Stream.empty),
            () => Effect.sync(() => log.pulled++)
          )
        )
      )
  )
  return { stream, log }
}

/** Elements, each after its own wait. */
const paced = (...waits: ReadonlyArray<number>) =>
  Stream.mapEffect(Stream.fromIterable(waits), (wait, n) => Effect.as(Effect.sleep(wait), n))

/** Runs a stream to its end, and keeps what it has delivered. */
const collect = <A, E, R>(self: Stream.Stream<A, E, R>) => {
  const elements: Array<A> = []
  return Effect.map(
    drive(Stream.runForEach(self, (element) => Effect.sync(() => elements.push(element)))),
    (end) => ({ ...end, elements })
  )
}

/** A policy that counts who holds it. */
const permit = () => {
  const held = { now: 0, most: 0, taken: 0, exits: [] as Array<unknown> }
  const protect = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        held.taken++
        held.most = Math.max(held.most, ++held.now)
      }),
      () => self,
      (_, exit) =>
        Effect.sync(() => {
          held.now--
          held.exits.push(Exit.isSuccess(exit) ? "success" : brief(exit))
        })
    )
  return { held, protect }
}

const calls = (breaker: CircuitBreaker.CircuitBreaker) => Effect.map(breaker.snapshot, (snapshot) => snapshot.calls)

describe("Streams.timeout", () => {
  it.effect("fails a stream that does not begin, when its finalizers have run", () =>
    Effect.gen(function*() {
      const { log, stream } = source(Stream.never)
      let closedAtFailure = 0
      const { at, elements, exit } = yield* collect(
        Streams.timeout(stream, { firstElement: "2 seconds", policy: "model" }).pipe(
          Stream.tapError(() => Effect.sync(() => closedAtFailure = log.closed.length))
        )
      )
      const error = errorOf(exit)
      assert.instanceOf(error, Timeout.TimedOut)
      assert.deepInclude(error, { policy: "model", limit: "firstElement", after: Duration.seconds(2) })
      assert.strictEqual(error.message, "model: the first element took longer than 2s")
      assert.strictEqual(at, 2_000)
      assert.deepStrictEqual(elements, [])
      assert.deepStrictEqual(log.closed, ["interrupt"])
      assert.strictEqual(closedAtFailure, 1)
    }))

  it.effect("waits for slow finalizers before it fails", () =>
    Effect.gen(function*() {
      const slow = Stream.ensuring(Stream.never, Effect.sleep("3 seconds"))
      const { at, exit } = yield* collect(Streams.timeout(slow, { idle: "1 second" }))
      assert.strictEqual(brief(exit), "TimedOut")
      assert.strictEqual(at, 4_000)
    }))

  it.effect("fails a stream that falls silent, and never ends it as a success", () =>
    Effect.gen(function*() {
      const { log, stream } = source(paced(100, 900), Stream.never)
      const { at, elements, exit } = yield* collect(Streams.timeout(stream, { idle: "1 second" }))
      assert.deepInclude(errorOf(exit), { policy: "Streams", limit: "idle", after: Duration.seconds(1) })
      assert.strictEqual(at, 2_000)
      assert.deepStrictEqual(elements, [0, 1])
      assert.deepStrictEqual(log.closed, ["interrupt"])
    }))

  it.effect("has separate limits for the first element and for the others", () =>
    Effect.gen(function*() {
      for (
        const [options, waits, limit] of [
          [{ firstElement: 5_000, idle: 1_000 }, [4_999, 999, 999], undefined],
          [{ firstElement: 5_000, idle: 1_000 }, [5_001], "firstElement"],
          [{ firstElement: 5_000, idle: 1_000 }, [4_999, 1_001], "idle"],
          [{ firstElement: 1_000, idle: 5_000 }, [999, 4_999, 4_999], undefined],
          [{ firstElement: 1_000, idle: 5_000 }, [1_001], "firstElement"],
          [{ firstElement: 1_000, idle: 5_000 }, [999, 5_001], "idle"],
          [{ firstElement: 1_000 }, [999, 50_000, 50_000], undefined],
          [{ firstElement: "Infinity", idle: 1_000 }, [50_000, 999], undefined],
          [{ firstElement: "Infinity", idle: 1_000 }, [50_000, 1_001], "idle"],
          // one that never begins is silent as well
          [{ idle: 1_000 }, [1_001], "firstElement"],
          [{}, [50_000, 50_000], undefined]
        ] as const
      ) {
        const { exit } = yield* collect(Streams.timeout(paced(...waits), options))
        const seen = Exit.isSuccess(exit) ? undefined : errorOf(exit).limit
        assert.strictEqual(seen, limit, `${JSON.stringify(options)} ${waits}`)
      }
    }))

  it.effect("lets an element win that comes at the same instant", () =>
    Effect.gen(function*() {
      const { elements, exit } = yield* collect(Streams.timeout(paced(1_000, 1_000, 1_000), { idle: 1_000 }))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(elements, [0, 1, 2])
    }))

  it.effect("counts time only while the consumer waits", () =>
    Effect.gen(function*() {
      const elements: Array<number> = []
      const slow = Stream.runForEach(Streams.timeout(paced(900, 900, 900), { idle: "1 second" }), (element) =>
        Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => elements.push(element))))
      const { at, exit } = yield* drive(slow)
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(elements, [0, 1, 2])
      assert.strictEqual(at, 3 * 60_900)
    }))

  it.effect("does not count while a pull is interrupted, but the first element must come in time all the same", () =>
    Effect.gen(function*() {
      const pull = yield* Stream.toPull(Streams.timeout(paced(100, 5_000), { idle: "1 second" }))
      const fiber = yield* start(pull)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [0])
      const interrupted = yield* start(pull)
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(interrupted)
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(yield* pull, [1])

      const never = yield* Stream.toPull(Streams.timeout(Stream.never, { firstElement: "1 second" }))
      const impatient = Effect.forever(Effect.timeoutOption(never, "300 millis"))
      const { at, exit } = yield* drive(impatient)
      assert.strictEqual(brief(exit), "TimedOut")
      assert.strictEqual(at, 10_600 + 1_000)
    }))

  it.effect("passes elements, failures, defects and ends on as they are", () =>
    Effect.gen(function*() {
      const options = { idle: "1 second" } as const
      const ended = yield* collect(Streams.timeout(Stream.range(1, 1_000), options))
      assert.strictEqual(ended.elements.length, 1_000)
      assert.isTrue(Exit.isSuccess(ended.exit))
      const failed = yield* collect(
        Streams.timeout(Stream.concat(Stream.make(1), Stream.fail(boom)), options)
      )
      assert.deepStrictEqual(failed.exit, Exit.fail(boom))
      assert.deepStrictEqual(failed.elements, [1])
      const died = yield* collect(Streams.timeout(Stream.die("bug"), options))
      assert.deepStrictEqual(died.exit, Exit.die("bug"))
    }))

  it.effect("tells of a finalizer that dies when the source is cut", () =>
    Effect.gen(function*() {
      const broken = Stream.ensuring(Stream.never, Effect.die("bug in a finalizer"))
      const { exit } = yield* collect(Streams.timeout(broken, { idle: "1 second" }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(errorOf(exit)._tag, "TimedOut")
    }))

  it.effect("cuts a source also where it cannot be interrupted at once", () =>
    Effect.gen(function*() {
      const stubborn = Stream.fromEffect(Effect.uninterruptible(Effect.sleep("5 seconds")))
      const { at, elements, exit } = yield* collect(Streams.timeout(stubborn, { idle: "1 second" }))
      assert.strictEqual(brief(exit), "TimedOut")
      assert.deepStrictEqual(elements, [])
      assert.strictEqual(at, 5_000)
    }))

  it.effect("ends the source when the consumer is interrupted, or has enough", () =>
    Effect.gen(function*() {
      const waiting = source(Stream.never)
      const fiber = yield* start(Stream.runDrain(Streams.timeout(waiting.stream, { idle: "1 second" })))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(waiting.log.closed, ["interrupt"])

      const enough = source(Stream.range(1, 100).pipe(Stream.rechunk(1)))
      const { elements } = yield* collect(Streams.timeout(enough.stream, { idle: "1 second" }).pipe(Stream.take(3)))
      assert.deepStrictEqual(elements, [1, 2, 3])
      assert.strictEqual(enough.log.pulled, 3)
      assert.deepStrictEqual(enough.log.closed, [undefined])
    }))

  it.effect("has one timer at a time, and leaves none behind", () =>
    Effect.gen(function*() {
      const real = yield* Clock.Clock
      const sleeps = { now: 0, most: 0, all: 0 }
      const counting: Clock.Clock = {
        ...real,
        currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe(),
        monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
        sleep: (duration) =>
          Effect.suspend(() => {
            sleeps.all++
            sleeps.most = Math.max(sleeps.most, ++sleeps.now)
            return Effect.ensuring(
              real.sleep(duration),
              Effect.sync(() => {
                sleeps.now--
              })
            )
          })
      }
      const gate = yield* Deferred.make<void>()
      const pauses = Stream.mapEffect(Stream.range(1, 1_000), () => Effect.yieldNow)
      const stream = Streams.timeout(Stream.concat(pauses, Stream.fromEffect(Deferred.await(gate))), {
        firstElement: "1 hour",
        idle: "1 minute"
      })
      const fiber = yield* start(Stream.runDrain(stream).pipe(Effect.provideService(Clock.Clock, counting)))
      yield* Effect.forEach(Array.from({ length: 1_100 }), () => Effect.yieldNow, { discard: true })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(sleeps.now, 0)
      assert.isAtMost(sleeps.most, 2)
      assert.isAtMost(sleeps.all, 4)
    }))

  it.effect("leaves a deadline in force, and shows it to the source", () =>
    Effect.gen(function*() {
      const seen: Array<Option.Option<Duration.Duration>> = []
      const asking = Stream.tap(Stream.fromEffect(Deadline.remaining), (left) => Effect.sync(() => seen.push(left)))
      const { log, stream } = source(Stream.concat(asking, Stream.never))
      const limited = Streams.timeout(stream, { firstElement: "1 second", idle: "1 minute" })
      const { at, exit } = yield* drive(Stream.runDrain(limited).pipe(Deadline.within("10 seconds")))
      assert.strictEqual(brief(exit), "DeadlineExceeded")
      assert.strictEqual(at, 10_000)
      assert.deepStrictEqual(log.closed, ["interrupt"])
      // the limit on the first element is not one on all that follows
      assert.deepStrictEqual(seen, [Option.some(Duration.seconds(10))])
      seen.length = 0
      yield* collect(Streams.timeout(Stream.take(asking, 1), { firstElement: "1 second" }))
      assert.deepStrictEqual(seen, [Option.none()])
    }))

  it.effect("counts against a breaker inside of it; a deadline and a consumer who goes away do not", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("model")
      const stalling = Streams.protect(Stream.concat(Stream.make(1), Stream.never), breaker.protect)
      const limited = Stream.runDrain(Streams.timeout(stalling, { idle: "10 seconds" }))
      assert.strictEqual(brief((yield* drive(limited)).exit), "TimedOut")
      assert.deepInclude(yield* calls(breaker), { failure: 1, ignored: 0 })

      const late = yield* drive(limited.pipe(Deadline.within("1 second")))
      assert.strictEqual(brief(late.exit), "DeadlineExceeded")
      assert.deepInclude(yield* calls(breaker), { failure: 1, ignored: 1 })

      const total = yield* drive(limited.pipe(Timeout.total("1 second")))
      assert.strictEqual(brief(total.exit), "TimedOut")
      assert.deepInclude(yield* calls(breaker), { failure: 2, ignored: 1 })

      const fiber = yield* start(limited)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* calls(breaker), { failure: 2, ignored: 2 })
    }))

  it.effect("gives the clean-up of a source that was cut its own time", () =>
    Effect.gen(function*() {
      let cleaned: unknown
      const cleanUp = Effect.sleep("2 seconds").pipe(
        Timeout.attempt("3 seconds"),
        Effect.exit,
        Effect.map((exit) => {
          cleaned = brief(exit)
        })
      )
      const limited = Streams.timeout(Stream.ensuring(Stream.never, cleanUp), { idle: "1 second" })
      const { at } = yield* drive(Stream.runDrain(limited).pipe(Timeout.total("1 minute")))
      assert.strictEqual(cleaned, undefined)
      assert.strictEqual(at, 3_000)
    }))

  it("refuses options that make no sense", () => {
    const refused = (options: object, message: string) =>
      assert.throws(() => Streams.timeout(Stream.empty, options), RangeError, message)
    refused({ idle: 0 }, "Streams.timeout: idle must be a duration above zero, got 0")
    refused({ idle: -1 }, "Streams.timeout: idle must be a duration above zero, got -1")
    refused({ idle: NaN }, "Streams.timeout: idle must be a duration above zero, got NaN")
    refused({ firstElement: "soon" }, "Streams.timeout: firstElement must be a duration above zero, got \"soon\"")
    refused({ firstElement: 0 }, "Streams.timeout: firstElement must be a duration above zero, got 0")
    refused({ policy: "" }, "Streams.timeout: policy must be a non-empty string")
    refused({ ilde: 5 }, "Streams.timeout: unknown option \"ilde\"; it takes firstElement, idle, policy")
    const unknown: object = { total: 1 }
    assert.throws(() => Streams.timeout(unknown)(Stream.empty), RangeError)
  })
})

describe("Streams.protect", () => {
  it.effect("passes elements on in order, and holds the policy from the opening to the end", () =>
    Effect.gen(function*() {
      const { held, protect } = permit()
      const { log, stream } = source(paced(100, 200, 300))
      const heldAt: Array<number> = []
      const { at, elements, exit } = yield* collect(
        Streams.protect(stream, protect).pipe(Stream.tap(() => Effect.sync(() => heldAt.push(held.now))))
      )
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(elements, [0, 1, 2])
      assert.deepStrictEqual(heldAt, [1, 1, 1])
      assert.deepStrictEqual(held, { now: 0, most: 1, taken: 1, exits: ["success"] })
      assert.deepStrictEqual(log, { opened: 1, pulled: 3, closed: [undefined] })
      assert.strictEqual(at, 600)
    }))

  it.effect("fails with what the policy says, before anything is opened", () =>
    Effect.gen(function*() {
      const { log, stream } = source(Stream.make(1))
      const { elements, exit } = yield* collect(Streams.protect(stream, () => Effect.fail("refused")))
      assert.strictEqual(brief(exit), "refused")
      assert.deepStrictEqual(elements, [])
      assert.strictEqual(log.opened, 0)
    }))

  it.effect("opens nothing and holds nothing until it is pulled", () =>
    Effect.gen(function*() {
      const { held, protect } = permit()
      const pull = yield* Stream.toPull(Streams.protect(Stream.make(1), protect))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(held.taken, 0)
      yield* pull
      assert.strictEqual(held.now, 1)
    }))

  it.effect("tells the policy of failures, defects and empty streams as they are", () =>
    Effect.gen(function*() {
      const { held, protect } = permit()
      const failed = yield* collect(Streams.protect(Stream.concat(Stream.make(1), Stream.fail(boom)), protect))
      assert.deepStrictEqual(failed.exit, Exit.fail(boom))
      assert.deepStrictEqual(failed.elements, [1])
      const died = yield* collect(Streams.protect(Stream.die("bug"), protect))
      assert.deepStrictEqual(died.exit, Exit.die("bug"))
      const empty = yield* collect(Streams.protect(Stream.empty, protect))
      assert.isTrue(Exit.isSuccess(empty.exit))
      assert.deepStrictEqual(held.exits, ["Boom", "die", "success"])
    }))

  it.effect("gives the permit back before the consumer learns of the end", () =>
    Effect.gen(function*() {
      const { held, protect } = permit()
      const failing = Streams.protect(Stream.concat(Stream.make(1), Stream.fail(boom)), protect)
      let heldAtFailure = -1
      yield* collect(failing.pipe(Stream.tapError(() => Effect.sync(() => heldAtFailure = held.now))))
      assert.strictEqual(heldAtFailure, 0)
      // so a stream that follows finds it free
      const semaphore = Semaphore.makeUnsafe(1)
      const one = Streams.protect(Stream.make(1, 2), semaphore.withPermits(1))
      const { elements } = yield* collect(Stream.concat(one, Stream.concat(one, one)))
      assert.deepStrictEqual(elements, [1, 2, 1, 2, 1, 2])
    }))

  it.effect("pulls nothing ahead of what the consumer asks for", () =>
    Effect.gen(function*() {
      const { log, stream } = source(Stream.range(1, 100).pipe(Stream.rechunk(1)))
      const pull = yield* Stream.toPull(Streams.protect(stream, permit().protect))
      for (let n = 1; n <= 5; n++) {
        assert.deepStrictEqual(yield* pull, [n])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(log.pulled, n)
      }
    }))

  it.effect("ends as a success when the consumer has enough, whose run ends after the source's finalizers", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("model")
      const { log, stream } = source(Stream.range(1, 100).pipe(Stream.rechunk(1)))
      const { at, elements, exit } = yield* collect(
        stream.pipe(
          Stream.ensuring(Effect.sleep("1 second")),
          Streams.protect(breaker.protect),
          Stream.take(2)
        )
      )
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(elements, [1, 2])
      assert.strictEqual(at, 1_000)
      assert.deepStrictEqual(log, { opened: 1, pulled: 2, closed: [undefined] })
      assert.deepInclude(yield* calls(breaker), { success: 1, ignored: 0 })
    }))

  it.effect("says nothing about the dependency when the consumer goes away while it waits", () =>
    Effect.gen(function*() {
      for (const parts of [[Stream.never], [Stream.make(1), Stream.never]]) {
        const breaker = yield* CircuitBreaker.make("model")
        const { log, stream } = source<number>(...parts)
        const fiber = yield* start(Stream.runDrain(Streams.protect(stream, breaker.protect)))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        assert.deepInclude(yield* calls(breaker), { success: 0, failure: 0, ignored: 1 })
        assert.deepStrictEqual(log.closed, ["interrupt"])
      }
    }))

  it.effect("was well when the consumer goes away with an element in its hands; its source learns how", () =>
    Effect.gen(function*() {
      const endings = { interrupt: Effect.never, Boom: Effect.fail(boom), die: Effect.die("bug") }
      for (const [name, ending] of Object.entries(endings)) {
        const breaker = yield* CircuitBreaker.make("model")
        const { log, stream } = source(Stream.make(1), Stream.make(2))
        const fiber = yield* start(Stream.runForEach(Streams.protect(stream, breaker.protect), () => ending))
        yield* TestClock.adjust("1 second")
        fiber.interruptUnsafe()
        assert.strictEqual(brief(yield* Fiber.await(fiber)), name)
        assert.deepInclude(yield* calls(breaker), { success: 1, failure: 0, ignored: 0 })
        assert.deepStrictEqual(log.closed, [name])
      }
    }))

  it.effect("a finalizer of the source that dies is told, also to a consumer who had enough", () =>
    Effect.gen(function*() {
      const broken = Stream.ensuring(Stream.range(1, 10).pipe(Stream.rechunk(1)), Effect.die("bug"))
      const { held, protect } = permit()
      const { exit } = yield* collect(Streams.protect(broken, protect).pipe(Stream.take(1)))
      assert.strictEqual(brief(exit), "die")
      assert.deepStrictEqual(held.exits, ["die"])
    }))

  it.effect("is opened again before its first element, and never after", () =>
    Effect.gen(function*() {
      let openings = 0
      const flaky = (fails: number, then: Stream.Stream<number, Boom>) =>
        Stream.suspend(() => ++openings <= fails ? Stream.fail(new Boom({ n: openings })) : then)
      const retry = Retry.make({ times: 5, backoff: { kind: "constant", delay: 100 }, jitter: "none" })

      const before = yield* collect(Streams.protect(flaky(2, Stream.make(1, 2)), retry))
      assert.deepStrictEqual(before.elements, [1, 2])
      assert.strictEqual(openings, 3)

      openings = 0
      const after = yield* collect(
        Streams.protect(flaky(1, Stream.concat(Stream.make(1), Stream.fail(boom))), retry)
      )
      assert.deepStrictEqual(after.elements, [1])
      assert.deepStrictEqual(after.exit, Exit.fail(boom))
      assert.strictEqual(openings, 2)
    }))

  it.effect("tells also a retry around its consumer that it has shown an effect", () =>
    Effect.gen(function*() {
      for (const [parts, openings] of [[[], 3], [[Stream.make(1)], 1]] as const) {
        const { log, stream } = source<number, Boom>(...parts, Stream.fail(boom))
        const collected = Stream.runCollect(Streams.protect(stream, (self) => self))
        const { exit } = yield* drive(collected.pipe(Retry.make({ times: 2 })))
        assert.strictEqual(brief(exit), "Boom")
        assert.strictEqual(log.opened, openings)
      }
    }))

  it.effect("is never replayed, even by a policy that knows nothing of replays", () =>
    Effect.gen(function*() {
      const policies = {
        "at once, with an end": <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.retry(self, { times: 3 }),
        "for ever": <A, E, R>(self: Effect.Effect<A, E, R>) =>
          Effect.retry(self, { while: () => Effect.as(Effect.sleep("1 second"), true) }),
        "again and again": <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => Effect.forever(self),
        "after a defect": <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.catchCause(self, () => self)
      }
      for (const [name, policy] of Object.entries(policies)) {
        const { held, protect } = permit()
        const { log, stream } = source(Stream.make(1), Stream.fail(boom))
        const { elements, exit } = yield* collect(Streams.protect(stream, (self) => policy(protect(self))))
        assert.deepStrictEqual(exit, Exit.fail(boom), name)
        assert.deepStrictEqual(elements, [1], name)
        assert.strictEqual(log.opened, 1, name)
        assert.deepStrictEqual(log.closed, ["Boom"], name)
        assert.strictEqual(held.now, 0, name)
      }
    }))

  it.effect("of attempts beside each other the first to have an element delivers, the other only ends", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      const racing = (first: Stream.Stream<string, Boom>, second: Stream.Stream<string, Boom>) => {
        let openings = 0
        const stream = Stream.suspend(() => {
          const n = ++openings
          return Stream.onExit(
            n === 1 ? first : second,
            (exit) => Effect.sync(() => closed.push(`${n} ${brief(exit)}`))
          )
        })
        const hedge = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.raceFirst(self, Effect.delay(self, 100))
        return collect(Streams.protect(stream, hedge))
      }
      const from = (name: string, ...waits: ReadonlyArray<number>) => Stream.map(paced(...waits), (n) => `${name}${n}`)

      const slow = yield* racing(from("a", 1_000, 1_000), from("b", 200, 300, 2_000))
      assert.deepStrictEqual(slow.elements, ["b0", "b1", "b2"])
      assert.deepStrictEqual(closed.toSorted(), ["1 interrupt", "2 undefined"])
      closed.length = 0
      const quick = yield* racing(from("a", 150, 1_000), from("b", 200, 300))
      assert.deepStrictEqual(quick.elements, ["a0", "a1"])
      assert.deepStrictEqual(closed.toSorted(), ["1 undefined", "2 interrupt"])
      closed.length = 0
      // one that finds nothing does not end what the other has begun
      const empty = yield* racing(from("a", 150, 1_000, 1_000), Stream.drain(from("b", 200)))
      assert.deepStrictEqual(empty.elements, ["a0", "a1", "a2"])
    }))

  it.effect("is hedged until its first element", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("model", { delay: 100 })
      const closed: Array<string> = []
      let openings = 0
      const stream = Stream.suspend(() => {
        const n = ++openings
        return Stream.onExit(n === 1 ? paced(1_000, 0) : paced(50, 2_000), (exit) =>
          Effect.sync(() => closed.push(`${n} ${brief(exit)}`)))
      })
      const { at, elements, exit } = yield* collect(Streams.protect(stream, hedge.protect))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(elements, [0, 1])
      assert.strictEqual(at, 2_150)
      // the other one was ended when this one began to deliver, and no further one was opened
      assert.deepStrictEqual(closed, ["1 interrupt", "2 undefined"])
      assert.strictEqual(openings, 2)
    }))

  it.effect("does not begin beside an attempt that has delivered, and ends as that one does", () =>
    Effect.gen(function*() {
      const { log, stream } = source(paced(100, 2_000), Stream.fail(boom))
      const hedge = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.race(self, Effect.delay(self, 1_000))
      const { at, elements, exit } = yield* collect(Streams.protect(stream, hedge))
      assert.strictEqual(brief(exit), "Boom")
      assert.deepStrictEqual(elements, [0, 1])
      assert.strictEqual(at, 2_100)
      assert.strictEqual(log.opened, 1)
    }))

  it.effect("takes no answer for the stream's end but its own", () =>
    Effect.gen(function*() {
      let earlier: Streams.Streamed | undefined
      const remembering = Streams.protect(Stream.make(1), (opening) =>
        Effect.tap(opening, (token) =>
          Effect.sync(() => {
            earlier = token
          })))
      yield* collect(remembering)
      const { log, stream } = source(Stream.make(1))
      const cached = yield* collect(Streams.protect(stream, () => Effect.succeed(present(earlier))))
      assert.strictEqual(brief(cached.exit), "die")
      assert.strictEqual(log.opened, 0)
      const thrown = yield* collect(Streams.protect(stream, (): Effect.Effect<Streams.Streamed> => {
        throw new Error("bug in a policy")
      }))
      assert.strictEqual(brief(thrown.exit), "die")
    }))

  it.effect("runs the source under the consumer's context, and that of the policy", () =>
    Effect.gen(function*() {
      class Model extends Context.Service<Model, string>()("Model") {}
      const asking = Stream.fromEffect(
        Effect.all([Model, Effect.map(Deadline.remaining, Option.getOrElse(() => Duration.zero))])
      )
      const { elements } = yield* collect(
        asking.pipe(
          Streams.protect(Timeout.total("5 seconds")),
          Stream.provideService(Model, "small")
        )
      )
      assert.deepStrictEqual(elements, [["small", Duration.seconds(5)]])
      const own = yield* collect(Streams.protect(asking, (opening) => Effect.provideService(opening, Model, "large")))
      assert.deepStrictEqual(own.elements, [["large", Duration.zero]])
      const inherited = yield* collect(
        Stream.fromEffect(
          Stream.runHead(Streams.protect(asking, (opening) => Effect.provideService(opening, Model, "large"))).pipe(
            Deadline.within("3 seconds")
          )
        )
      )
      assert.deepStrictEqual(inherited.elements, [Option.some(["large", Duration.seconds(3)])])
    }))

  it.effect("a pull that is interrupted loses nothing", () =>
    Effect.gen(function*() {
      const pull = yield* Stream.toPull(Streams.protect(paced(1_000, 1_000, 1_000), permit().protect))
      const elements: Array<number> = []
      const impatient = Effect.gen(function*() {
        while (true) {
          const chunk = yield* Effect.timeoutOption(pull, "300 millis")
          if (Option.isSome(chunk)) elements.push(...chunk.value)
        }
      })
      const { at } = yield* drive(Pull.catchDone(impatient, () => Effect.void))
      assert.deepStrictEqual(elements, [0, 1, 2])
      assert.isAtLeast(at, 3_000)

      // nor what comes while nobody pulls
      const later = yield* Stream.toPull(Streams.protect(paced(1_000, 1_000), permit().protect))
      const interrupted = yield* start(later)
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(interrupted)
      yield* TestClock.adjust(5_000)
      assert.deepStrictEqual(yield* later, [0])
      const second = yield* start(later)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(yield* Fiber.join(second), [1])
    }))

  it.effect("can be left while the policy waits for something after it has cut the stream", () =>
    Effect.gen(function*() {
      const cut = <A, E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.timeoutOrElse(self, { duration: "1 second", orElse: () => Effect.never })
      const { log, stream } = source(Stream.make(1), Stream.make(2))
      const fiber = yield* start(Stream.runForEach(Streams.protect(stream, cut), () => Effect.never))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(log.closed, ["interrupt"])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("keeps on saying how it has ended", () =>
    Effect.gen(function*() {
      const pull = yield* Stream.toPull(
        Streams.protect(Stream.concat(Stream.make(1), Stream.fail(boom)), (self) => self)
      )
      assert.deepStrictEqual(yield* pull, [1])
      for (let n = 0; n < 3; n++) assert.strictEqual(brief(yield* Effect.exit(pull)), "Boom")
    }))

  it.effect("ends what the source has forked as a child together with the source", () =>
    Effect.gen(function*() {
      let child: Fiber.Fiber<never> | undefined
      const forking = Stream.unwrap(
        Effect.map(Effect.forkChild(Effect.never), (fiber) => {
          child = fiber
          return Stream.range(1, 3).pipe(Stream.rechunk(1), Stream.tap(() => Effect.yieldNow))
        })
      )
      const pull = yield* Stream.toPull(Streams.protect(forking, (self) => self))
      yield* pull
      yield* pull
      assert.strictEqual(present(child).pollUnsafe(), undefined)
      yield* pull
      yield* Effect.exit(pull)
      assert.isDefined(present(child).pollUnsafe())
    }))

  it.effect("can be run many times, also at the same time, each with its own opening", () =>
    Effect.gen(function*() {
      const { log, stream } = source(paced(10, 10))
      const { held, protect } = permit()
      const runs = Effect.all(Array.from({ length: 5 }, () => Stream.runCollect(Streams.protect(stream, protect))), {
        concurrency: "unbounded"
      })
      const { exit } = yield* drive(runs)
      assert.deepStrictEqual(exit, Exit.succeed(Array.from({ length: 5 }, () => [0, 1])))
      assert.strictEqual(log.opened, 5)
      assert.deepInclude(held, { now: 0, most: 5 })
    }))

  it.effect("carries a million elements", () =>
    Effect.gen(function*() {
      const { protect } = permit()
      const stream = Stream.range(1, 1_000_000).pipe(
        Streams.timeout({ firstElement: "1 second", idle: "1 second" }),
        Streams.protect(protect)
      )
      assert.strictEqual(yield* Stream.runFold(stream, () => 0, (sum, n) => sum + n), 500_000_500_000)
      const singles = Stream.range(1, 50_000).pipe(
        Stream.rechunk(1),
        Streams.timeout({ idle: "1 second" }),
        Streams.protect(protect)
      )
      assert.strictEqual(yield* Stream.runCount(singles), 50_000)
    }))
})

describe("Streams under random scripts", () => {
  // what becomes of one opening, after so many elements
  const endings = ["end", "fail", "die", "stall"] as const

  it.effect("lose, repeat and leak nothing, whatever their source and their consumer do", () =>
    Effect.gen(function*() {
      const { below, pick } = yield* draws
      const seen = new Map<string, number>()
      const hedge = yield* Hedge.make("hedge", { delay: 3, hedges: 2, awaitLosers: true })
      const totals = { opened: 0, closed: 0, held: 0, fibers: new Set<Fiber.Fiber<unknown, unknown>>() }

      const run = Effect.gen(function*() {
        const maxOps = 3 + below(8)
        let openings = 0
        let delivering: number | undefined
        const got: Array<{ readonly opening: number; readonly n: number }> = []

        const source = Stream.unwrap(Effect.gen(function*() {
          const opening = openings++
          const chunks = below(5)
          const ending = pick(endings)
          const isSlow = below(2) === 0
          yield* Effect.acquireRelease(
            Effect.sync(() => totals.opened++),
            () => Effect.andThen(pauses(below(3)), Effect.sync(() => totals.closed++))
          )
          totals.fibers.add(yield* Effect.forkChild(Effect.never))
          let n = 0
          return Stream.fromPull(Effect.succeed(Effect.suspend((): Pull.Pull<readonly [Item, ...Array<Item>], Boom> => {
            const wait = isSlow ? pauses(below(4)) : Effect.void
            const next = Effect.suspend((): Pull.Pull<readonly [Item, ...Array<Item>], Boom> => {
              if (n < chunks * 2) {
                return Effect.succeed([{ opening, n: n++ }, { opening, n: n++ }] as const)
              }
              switch (ending) {
                case "end":
                  return Cause.done()
                case "fail":
                  return Effect.fail(boom)
                case "die":
                  return Effect.die("bug")
                case "stall":
                  return Effect.never
              }
            })
            return Effect.andThen(wait, next)
          })))
        }))

        const permit = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
          Effect.acquireUseRelease(Effect.sync(() => totals.held++), () => self, () => Effect.sync(() => totals.held--))
        const policy = pick([
          <A, E, R>(self: Effect.Effect<A, E, R>) => permit(self),
          <A, E, R>(self: Effect.Effect<A, E, R>) =>
            permit(self).pipe(Retry.make({ times: 2, backoff: { kind: "constant", delay: 5 }, jitter: "none" })),
          <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.retry(permit(self), { times: 1 }),
          <A, E, R>(self: Effect.Effect<A, E, R>) => hedge.protect(permit(self)),
          <A, E, R>(self: Effect.Effect<A, E, R>) => hedge.protect(Effect.retry(permit(self), { times: 1 })),
          <A, E, R>(self: Effect.Effect<A, E, R>) =>
            Effect.raceFirst(permit(self), Effect.andThen(pauses(below(4)), permit(self))),
          <A, E, R>(self: Effect.Effect<A, E, R>) =>
            Effect.retry(permit(self), { while: () => Effect.as(pauses(1), true) })
        ])
        const isLimited = below(2) === 0
        const limited = isLimited ? Streams.timeout(source, { firstElement: 20, idle: 10 }) : source
        const stream = Streams.protect(limited, policy)

        const take = below(3) === 0 ? below(6) : undefined
        const slowness = below(3)
        const consume = (take === undefined ? stream : Stream.take(stream, take)).pipe(
          Stream.runForEach((item) => {
            // all of one opening, none left out, none twice
            delivering ??= item.opening
            assert.strictEqual(item.opening, delivering)
            assert.strictEqual(item.n, got.length)
            got.push(item)
            return pauses(below(slowness + 1))
          })
        )
        const fiber = yield* Effect.forkChild(
          consume.pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, maxOps)),
          { startImmediately: below(2) === 0 }
        )
        const turns = below(3) === 0 ? below(30) : 60
        for (let turn = 0; turn < turns && fiber.pollUnsafe() === undefined; turn++) {
          yield* Effect.yieldNow
          // what waits for a timer
          if (turn % 10 === 9) yield* TestClock.adjust(pick([1, 10, 20]))
        }
        fiber.interruptUnsafe()
        const exit = yield* Fiber.await(fiber)
        const kind = `${brief(exit)}`
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
        assert.strictEqual(totals.closed, totals.opened)
        assert.strictEqual(totals.held, 0)
        for (const child of totals.fibers) assert.isDefined(child.pollUnsafe())
        totals.fibers.clear()
      })

      for (let n = 0; n < 20_000; n++) yield* run
      assert.sameMembers([...seen.keys()], ["undefined", "Boom", "die", "interrupt", "TimedOut"])
      for (const [kind, times] of seen) assert.isAbove(times, 100, kind)
    }).pipe(Random.withSeed("streams")), 60_000)
})

interface Item {
  readonly opening: number
  readonly n: number
}
