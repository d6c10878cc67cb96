import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Queue, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Pipeline, Resilience, ResilienceEvent } from "../src/index.ts"
import { Boom, brief, feed, listen, present, start, stateOf } from "./support.ts"

const settings = CircuitBreaker.settings({ trip: { kind: "consecutive", failures: 1 }, open: "10 seconds" })

describe("Resilience", () => {
  it.effect("makes a breaker for the first who asks and gives the same to all others", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const first = yield* resilience.part("circuitBreaker", "a", settings)
      const again = yield* resilience.part(
        "circuitBreaker",
        "a",
        CircuitBreaker.settings({ trip: { kind: "consecutive", failures: 1 }, open: "10 seconds" })
      )
      const other = yield* resilience.part("circuitBreaker", "b", settings)
      assert.strictEqual(again, first)
      assert.notStrictEqual(other, first)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("makes one breaker for many who ask at once", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const ask = Effect.andThen(Effect.yieldNow, resilience.part("circuitBreaker", "a", settings))
      const breakers = yield* Effect.all(Array.from({ length: 100 }, () => ask), { concurrency: "unbounded" })
      assert.strictEqual(new Set(breakers).size, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("dies with a RangeError where a name is asked for with other settings", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      yield* resilience.part("circuitBreaker", "a", settings)
      const exit = yield* Effect.exit(resilience.part("circuitBreaker", "a", CircuitBreaker.settings()))
      assert.deepStrictEqual(
        exit,
        Exit.die(
          new RangeError(
            "Resilience: circuitBreaker \"a\" exists already, with other options: " +
              "trip.0.failures 1, not 5; open 10000, not 30000"
          )
        )
      )
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("A6: lists breakers and their snapshots in the order in which they were made", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      for (const name of ["c", "a", "b"]) yield* resilience.part("circuitBreaker", name, settings)
      yield* resilience.part("circuitBreaker", "a", settings)
      const breakers = yield* resilience.parts("circuitBreaker")
      assert.deepStrictEqual([...breakers.keys()], ["c", "a", "b"])
      yield* feed(present(breakers.get("a")), "F")
      const snapshots = yield* resilience.snapshots
      assert.deepStrictEqual(snapshots.map(({ circuitBreaker, name }) => [name, circuitBreaker?.state]), [
        ["c", "Closed"],
        ["a", "Open"],
        ["b", "Closed"]
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("hands out a list that later breakers do not change", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const before = yield* resilience.parts("circuitBreaker")
      yield* resilience.part("circuitBreaker", "a", settings)
      assert.strictEqual(before.size, 0)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("has state of its own in each layer that is built", () =>
    Effect.gen(function*() {
      const open = Effect.gen(function*() {
        const breaker = yield* (yield* Resilience.Resilience).part("circuitBreaker", "a", settings)
        const before = yield* stateOf(breaker)
        yield* feed(breaker, "F")
        return before
      })
      for (let n = 0; n < 2; n++) {
        assert.strictEqual(yield* open.pipe(Effect.provide(Layer.fresh(Resilience.layer))), "Closed")
      }
    }))
})

describe("Resilience: events", () => {
  const pipeline = Pipeline.make("p", { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } })

  it.effect("reach every listener, each from when it began to listen", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const { circuitBreaker } = yield* pipeline
      const early = yield* listen(resilience)
      yield* feed(present(circuitBreaker), "F")
      const late = yield* listen(resilience)
      yield* TestClock.adjust("30 seconds")
      yield* feed(present(circuitBreaker), "S")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(early.map(({ _tag }) => _tag), ["CircuitOpened", "CircuitHalfOpened", "CircuitClosed"])
      assert.deepStrictEqual(late.map(({ _tag }) => _tag), ["CircuitHalfOpened", "CircuitClosed"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("are not even made when nobody listens, and no longer when the last listener has gone", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      let made = 0
      const publish = Effect.sync(() =>
        resilience.publish("CircuitClosed", (at) => {
          made++
          return { _tag: "CircuitClosed", at, pipeline: "p" }
        })
      )
      yield* publish
      assert.strictEqual(made, 0)
      const listeners = yield* Effect.forEach([1, 2], () => start(Stream.runDrain(resilience.events)))
      yield* publish
      assert.strictEqual(made, 1)
      yield* Fiber.interrupt(present(listeners[0]))
      yield* publish
      assert.strictEqual(made, 2)
      yield* Fiber.interrupt(present(listeners[1]))
      yield* publish
      assert.strictEqual(made, 2)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("do not wait for a listener that is slow, which loses the oldest, and it alone", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const gate = yield* Queue.unbounded<void>()
      const quick = yield* listen(resilience)
      const seen: Array<number> = []
      const listener = yield* resilience.events.pipe(
        Stream.takeUntil(({ at }) => at === 4_999),
        Stream.runForEach(({ at }) => Effect.andThen(Queue.take(gate), Effect.sync(() => seen.push(at)))),
        start
      )
      const publish = Effect.sync(() =>
        resilience.publish("CircuitClosed", (at) => ({ _tag: "CircuitClosed", at, pipeline: "p" }))
      )
      for (let at = 0; at < 5_000; at++) {
        yield* publish
        yield* TestClock.adjust(1)
      }
      yield* Queue.offerAll(gate, Array.from({ length: 10_000 }, () => undefined))
      yield* Fiber.join(listener)
      assert.strictEqual(quick.length, 5_000)
      assert.isBelow(seen.length, 5_000)
      assert.isAtLeast(seen.length, 4_096)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("are counted where a subscriber has lost them, and for it alone", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const slow = yield* resilience.subscribe(["CircuitClosed"])
      const choosy = yield* resilience.subscribe(["CircuitClosed"], ({ at }) => at % 2 === 0)
      const publish = (from: number, to: number) =>
        Effect.sync(() => {
          for (let at = from; at < to; at++) {
            resilience.publish("CircuitClosed", () => ({ _tag: "CircuitClosed", at, pipeline: "p" }))
          }
        })
      yield* publish(0, 4_096)
      assert.deepStrictEqual([slow.lost, choosy.lost], [0, 0])
      yield* publish(4_096, 5_000)
      assert.deepStrictEqual([slow.lost, choosy.lost], [904, 0])
      const got = yield* Stream.runCollect(Stream.take(slow.events, 4_096))
      assert.deepStrictEqual([got[0]?.at, got.at(-1)?.at], [904, 4_999])
      assert.strictEqual((yield* Stream.runCollect(Stream.take(choosy.events, 2_500))).length, 2_500)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("come as chosen: of some kinds, to a stream that ends with its scope, or to a function at once", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const { circuitBreaker } = yield* pipeline
      const breaker = present(circuitBreaker)
      const told: Array<string> = []
      const read = yield* Effect.scoped(Effect.gen(function*() {
        yield* resilience.listen(["CircuitOpened", "CircuitReset"], ({ _tag, at }) => told.push(`${_tag} ${at}`))
        const { events } = yield* resilience.subscribe(["CircuitReset"])
        const read = yield* Effect.forkDetach(Stream.runCollect(events), { startImmediately: true })
        yield* feed(breaker, "F")
        assert.deepStrictEqual(told, ["CircuitOpened 0"])
        yield* breaker.reset
        return read
      }))
      yield* feed(breaker, "F")
      assert.deepStrictEqual(told, ["CircuitOpened 0", "CircuitReset 0"])
      assert.deepStrictEqual((yield* Fiber.join(read)).map(({ _tag }) => _tag), ["CircuitReset"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("are made of the kinds that somebody wants, and of no others", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const made: Array<string> = []
      const publish = Effect.sync(() => {
        resilience.publish("CircuitClosed", (at) => {
          made.push("CircuitClosed")
          return { _tag: "CircuitClosed", at, pipeline: "p" }
        })
        resilience.publish("Reconfigured", (at) => {
          made.push("Reconfigured")
          return { _tag: "Reconfigured", at, pipeline: "p" }
        })
      })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* resilience.listen(["Reconfigured"], () => {})
        yield* Effect.scoped(Effect.andThen(resilience.listen(["Reconfigured", "CircuitClosed"], () => {}), publish))
        yield* publish
      }))
      yield* publish
      assert.deepStrictEqual(made, ["CircuitClosed", "Reconfigured", "Reconfigured"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("of a kind that there is not are a mistake in the program", () =>
    Effect.gen(function*() {
      const { listen, subscribe } = yield* Resilience.Resilience
      const none: ReadonlyArray<never> = ["CircuitOpend" as never]
      assert.throws(() => listen(none, () => {}), RangeError, /kinds must be one of CallEnded, .*got "CircuitOpend"/)
      assert.throws(() => subscribe(none), RangeError)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("do not change a call's result where a listener fails", () =>
    Effect.gen(function*() {
      const { protect } = yield* pipeline
      yield* start(Effect.exit(Stream.runForEach((yield* Resilience.Resilience).events, () => Effect.die("bug"))))
      for (const expected of ["Boom", "CircuitOpen", "CircuitOpen"]) {
        assert.strictEqual(brief(yield* Effect.exit(protect(Effect.fail(new Boom({ n: 1 }))))), expected)
        yield* TestClock.adjust(0)
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it("are schemas, so that they can be sent elsewhere", () => {
    const events: ReadonlyArray<ResilienceEvent.ResilienceEvent> = [
      {
        _tag: "Retrying",
        at: 1,
        pipeline: "p",
        operation: "o",
        call: 1,
        attempt: 1,
        attempts: 4,
        delay: Duration.seconds(1),
        reason: new Boom({ n: 1 })
      },
      { _tag: "RetriesExhausted", at: 1, pipeline: "p", operation: "o", call: 1, attempts: 4, reason: "down" },
      {
        _tag: "Refused",
        at: 1,
        pipeline: "p",
        operation: "o",
        call: 1,
        by: "circuitBreaker",
        retryAfter: Duration.seconds(1)
      },
      { _tag: "Refused", at: 1, pipeline: "p", operation: "o", call: 1, by: "circuitBreaker" },
      { _tag: "TimedOut", at: 1, pipeline: "p", operation: "o", call: 1, limit: "deadline" },
      {
        _tag: "CircuitOpened",
        at: 1,
        pipeline: "p",
        from: "Closed",
        openFor: Duration.seconds(1),
        because: "failures",
        reason: "down"
      },
      { _tag: "CircuitHalfOpened", at: 1, pipeline: "p" },
      { _tag: "CircuitClosed", at: 1, pipeline: "p" }
    ]
    for (const event of events) {
      const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(ResilienceEvent.ResilienceEvent)(event)))
      const decoded = Schema.decodeUnknownSync(ResilienceEvent.ResilienceEvent)(json)
      assert.strictEqual(decoded._tag, event._tag)
      if (!("reason" in event)) assert.deepStrictEqual(decoded, event)
    }
  })
})

describe("Resilience.layerTest", () => {
  it.effect("starts breakers where they are wanted, and others closed", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const states: Array<string> = []
      for (const name of ["a", "b", "c", "d"]) {
        states.push(yield* stateOf(yield* resilience.part("circuitBreaker", name, settings)))
      }
      assert.deepStrictEqual(states, ["Open", "HalfOpen", "Closed", "Closed"])
    }).pipe(Effect.provide(Resilience.layerTest({ circuitBreakers: { a: "Open", b: "HalfOpen", c: "Closed" } }))))

  it.effect("lets a half-open breaker decide by its first probe", () =>
    Effect.gen(function*() {
      const breaker = yield* (yield* Resilience.Resilience).part("circuitBreaker", "b", settings)
      yield* feed(breaker, "F")
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2 })
    }).pipe(Effect.provide(Resilience.layerTest({ circuitBreakers: { b: "HalfOpen" } }))))

  it.effect("gives each pipeline its own faults", () =>
    Effect.gen(function*() {
      const a = yield* Pipeline.make("a", {})
      const b = yield* Pipeline.make("b", {})
      const got = yield* Effect.forEach(
        [a, b, a, b],
        ({ protect }) => Effect.map(Effect.exit(protect(Effect.succeed("answer"))), brief)
      )
      assert.deepStrictEqual(got, ["down", "answer", "answer", "answer"])
    }).pipe(Effect.provide(Resilience.layerTest({ faults: { a: [{ kind: "fail", error: "down" }] } }))))

  it.effect("leaves nothing of itself in the layer that is used outside tests", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Resilience.Resilience).test, undefined)
    }).pipe(Effect.provide(Resilience.layer)))
})
