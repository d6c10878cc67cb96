import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Pipeline, Resilience } from "../../src/index.ts"
import { Recoveries } from "../../src/observability/index.ts"
import { boom, feed, manualClock, pauses, present } from "../support.ts"
import { hostileNames } from "./names.ts"

const seen = Recoveries.layer.pipe(Layer.provideMerge(Resilience.layer))

const trip = { kind: "consecutive", failures: 1 } as const

const settled = TestClock.adjust(0)

const recoveryOf = Effect.fnUntraced(function*(name: string, key?: string) {
  yield* settled
  return present(yield* (yield* Recoveries.Recoveries).get(name, key))
})

describe("Recoveries", () => {
  it.effect("B9: tells since when a breaker is open, when it tries again, and how long it took to recover", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip, open: "30 seconds" } })
      assert.deepInclude(yield* recoveryOf("billing"), { state: "Closed", openings: 0, recoveries: 0, timeline: [] })

      yield* Effect.ignore(protect(boom))
      assert.deepStrictEqual(yield* recoveryOf("billing"), {
        name: "billing",
        state: "Open",
        openSince: 1_000_000,
        nextProbe: 1_030_000,
        openings: 1,
        recoveries: 0,
        lastError: { kind: "Boom", at: 1_000_000 },
        timeline: [{ at: 1_000_000, to: "Open" }]
      })

      // the first probe fails, the second one does not: one outage of a minute
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(protect(Effect.die(new TypeError("no"))))
      assert.deepInclude(yield* recoveryOf("billing"), {
        openSince: 1_000_000,
        nextProbe: 1_060_000,
        openings: 2,
        lastError: { kind: "TypeError", at: 1_030_000 }
      })
      yield* TestClock.adjust("30 seconds")
      yield* protect(Effect.void)
      const recovered = yield* recoveryOf("billing")
      assert.deepInclude(recovered, { state: "Closed", openings: 2, recoveries: 1 })
      assert.deepStrictEqual(recovered.meanTimeToRecovery, Duration.minutes(1))
      assert.isFalse("openSince" in recovered || "nextProbe" in recovered)

      // another outage, of half a minute
      yield* Effect.ignore(protect(boom))
      yield* settled
      yield* TestClock.adjust("30 seconds")
      yield* protect(Effect.void)
      const twice = yield* recoveryOf("billing")
      assert.deepStrictEqual(twice.meanTimeToRecovery, Duration.seconds(45))
      assert.deepStrictEqual(
        twice.timeline.map(({ at, to }) => [(at - 1_000_000) / 1_000, to]),
        [
          [0, "Open"],
          [30, "HalfOpen"],
          [30, "Open"],
          [60, "HalfOpen"],
          [60, "Closed"],
          [60, "Open"],
          [90, "HalfOpen"],
          [
            90,
            "Closed"
          ]
        ]
      )
    }).pipe(Effect.provide(seen)))

  it.effect("measures the time to recovery by the monotonic clock, whoever sets the wall clock", () =>
    Effect.gen(function*() {
      const { clock, setWall, wait } = manualClock()
      const timed = Effect.gen(function*() {
        const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip, open: "10 seconds" } })
        yield* Effect.ignore(protect(boom))
        yield* pauses(10)
        wait(10_000)
        setWall(-5_000)
        yield* protect(Effect.void)
        yield* pauses(10)
        return present(yield* (yield* Recoveries.Recoveries).get("p"))
      })
      const { meanTimeToRecovery, timeline } = yield* timed.pipe(
        Effect.provide(seen),
        Effect.provideService(Clock.Clock, clock)
      )
      assert.deepStrictEqual(meanTimeToRecovery, Duration.seconds(10))
      assert.deepStrictEqual(timeline.map(({ at }) => at), [0, -5_000, -5_000])
    }))

  it.effect("measures from the last opening where the end of the outage before was not heard", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      yield* Pipeline.make("p", { circuitBreaker: { trip } })
      const opened = (from: "Closed" | "HalfOpen") =>
        Effect.sync(() =>
          resilience.publish("CircuitOpened", (at) => ({
            _tag: "CircuitOpened",
            at,
            pipeline: "p",
            from,
            openFor: Duration.seconds(30),
            because: "failures"
          }))
        )
      yield* opened("Closed")
      yield* TestClock.adjust("1 hours")
      yield* opened("Closed")
      yield* TestClock.adjust("30 seconds")
      yield* opened("HalfOpen")
      yield* TestClock.adjust("30 seconds")
      yield* Effect.sync(() =>
        resilience.publish("CircuitClosed", (at) => ({ _tag: "CircuitClosed", at, pipeline: "p" }))
      )
      assert.deepStrictEqual((yield* recoveryOf("p")).meanTimeToRecovery, Duration.minutes(1))
    }).pipe(Effect.provide(seen)))

  it.effect("does not count a reset as a recovery, nor its time", () =>
    Effect.gen(function*() {
      const { circuitBreaker, protect } = yield* Pipeline.make("p", { circuitBreaker: { trip, open: "10 seconds" } })
      yield* Effect.ignore(protect(boom))
      yield* settled
      yield* TestClock.adjust("5 seconds")
      yield* present(circuitBreaker).reset
      const reset = yield* recoveryOf("p")
      assert.deepInclude(reset, { state: "Closed", openings: 1, recoveries: 0 })
      assert.isUndefined(reset.meanTimeToRecovery)
      yield* Effect.ignore(protect(boom))
      yield* settled
      yield* TestClock.adjust("10 seconds")
      yield* protect(Effect.void)
      assert.deepStrictEqual((yield* recoveryOf("p")).meanTimeToRecovery, Duration.seconds(10))
    }).pipe(Effect.provide(seen)))

  it.effect("shows who is forced, and how, and goes on with what lies beneath", () =>
    Effect.gen(function*() {
      const { circuitBreaker } = yield* Pipeline.make("p", { circuitBreaker: { trip } })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* present(circuitBreaker).forceOpen
        assert.deepInclude(yield* recoveryOf("p"), { state: "Forced", mode: "forcedOpen" })
      }))
      const { state, timeline } = yield* recoveryOf("p")
      assert.strictEqual(state, "Closed")
      assert.deepStrictEqual(timeline.map(({ mode, to }) => [to, mode]), [["Forced", "forcedOpen"], [
        "Closed",
        undefined
      ]])
    }).pipe(Effect.provide(seen)))

  it.effect("keeps the last 200 changes", () =>
    Effect.gen(function*() {
      const { circuitBreaker } = yield* Pipeline.make("p", { circuitBreaker: { trip, open: 1 } })
      for (let n = 0; n < 150; n++) {
        yield* feed(present(circuitBreaker), "F")
        yield* TestClock.adjust(1)
        yield* feed(present(circuitBreaker), "S")
      }
      const { openings, recoveries, timeline } = yield* recoveryOf("p")
      assert.deepStrictEqual([openings, recoveries, timeline.length], [150, 150, 200])
      assert.deepInclude(timeline.at(-1), { to: "Closed" })
    }).pipe(Effect.provide(seen)))

  it.effect("A6: lists every breaker, those of operations too, and the keys to which something has happened", () =>
    Effect.gen(function*() {
      yield* Pipeline.make("a", { circuitBreaker: { trip }, operations: { pay: { circuitBreaker: { trip } } } })
      const { protect } = yield* Pipeline.make("b", { keyedCircuitBreaker: { trip } })
      yield* protect(Effect.void, { key: "well" })
      yield* Effect.ignore(protect(boom, { key: "ill" }))
      yield* settled
      const all = yield* (yield* Recoveries.Recoveries).all
      assert.deepStrictEqual(all.map(({ key, name, state }) => [name, key, state]), [
        ["a", undefined, "Closed"],
        ["a/pay", undefined, "Closed"],
        ["b", "ill", "Open"]
      ])
      assert.strictEqual((yield* recoveryOf("b", "well")).state, "Closed")
      const { get } = yield* Recoveries.Recoveries
      assert.isUndefined(yield* get("c"))
      assert.isUndefined(yield* get("a", "key"))
      assert.isUndefined(yield* get("b"))
    }).pipe(Effect.provide(seen)))

  it.effect("remembers at most 1,000 keys of a breaker, and forgets the closed ones first", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("b", { keyedCircuitBreaker: { trip, open: 1 } })
      const fail = (key: string) => Effect.ignore(protect(boom, { key }))
      yield* fail("closed again")
      yield* settled
      yield* TestClock.adjust(1)
      yield* protect(Effect.void, { key: "closed again" })
      for (let n = 0; n < 1_001; n++) {
        yield* fail(`${n}`)
        if (n % 100 === 0) yield* settled
      }
      yield* settled
      const keys = (yield* (yield* Recoveries.Recoveries).all).map(({ key }) => key)
      assert.strictEqual(keys.length, 1_000)
      assert.notInclude(keys, "closed again")
      assert.notInclude(keys, "0")
      assert.include(keys, "1000")
    }).pipe(Effect.provide(seen)))

  it.effect("names the kind of the last error of each pipeline, and nothing of its message", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      const { lastErrors } = yield* Recoveries.Recoveries
      const kindOf = (work: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function*() {
          yield* Effect.exit(protect(work))
          yield* settled
          return (yield* lastErrors).get("p")?.kind
        })
      assert.strictEqual(yield* kindOf(boom), "Boom")
      assert.strictEqual(yield* kindOf(Effect.fail("secret token")), "string")
      assert.strictEqual(yield* kindOf(Effect.fail(undefined)), "undefined")
      assert.strictEqual(yield* kindOf(Effect.fail({ _tag: "x".repeat(500) })), "x".repeat(100))
      assert.strictEqual(yield* kindOf(Effect.fail({ password: "secret" })), "unknown")
      const evil = new Proxy({}, {
        get: () => {
          throw new Error("do not look")
        }
      })
      assert.strictEqual(yield* kindOf(Effect.fail(evil)), "unknown")
      // a success leaves it
      assert.strictEqual(yield* kindOf(Effect.void), "unknown")
    }).pipe(Effect.provide(seen)))

  it.effect("keeps names as they are, whatever is in them, and is a schema", () =>
    Effect.gen(function*() {
      for (const name of hostileNames) {
        const { protect } = yield* Pipeline.make(name, { circuitBreaker: { trip } })
        yield* Effect.ignore(protect(boom))
      }
      yield* settled
      const all = yield* (yield* Recoveries.Recoveries).all
      assert.deepStrictEqual(all.map(({ name, state }) => [name, state]), hostileNames.map((name) => [name, "Open"]))
      const codec = Schema.toCodecJson(Schema.Array(Recoveries.Recovery))
      const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(codec)(all)))
      assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(json), all)
    }).pipe(Effect.provide(seen)))

  it.effect("reads a breaker that was open before anybody listened from the breaker itself", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const breaker = yield* resilience.part(
        "circuitBreaker",
        "p",
        CircuitBreaker.settings({ trip, open: "10 seconds" })
      )
      yield* feed(breaker, "F")
      const late = Layer.provide(Recoveries.layer, Layer.succeed(Resilience.Resilience, resilience))
      yield* Effect.gen(function*() {
        const { get } = yield* Recoveries.Recoveries
        assert.deepInclude(yield* get("p"), { state: "Open", openings: 1, openSince: 0, nextProbe: 10_000 })
        yield* TestClock.adjust("10 seconds")
        yield* feed(breaker, "S")
        yield* settled
        const recovered = present(yield* get("p"))
        assert.deepInclude(recovered, { state: "Closed", recoveries: 1 })
        // nobody knows when it began
        assert.isUndefined(recovered.meanTimeToRecovery)
      }).pipe(Effect.provide(late))
    }).pipe(Effect.provide(Resilience.layer)))
})
