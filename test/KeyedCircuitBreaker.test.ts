import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Random, Scheduler, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Outcome } from "../src/index.ts"
import * as KeyedCircuitBreaker from "../src/KeyedCircuitBreaker.ts"
import { type Boom, boom, brief, draws, errorOf, pauses, present, start } from "./support.ts"

const one = { trip: { kind: "consecutive", failures: 1 }, open: "5 seconds" } as const

type Keyed = KeyedCircuitBreaker.KeyedCircuitBreaker

/** Calls a key once. */
const call = (breakers: Keyed, key: string, work: Effect.Effect<void, Boom> = Effect.void) =>
  Effect.exit(breakers.protect(work, { key }))

const stateOf = (breakers: Keyed, key: string) => Effect.map(breakers.of(key).snapshot, ({ state }) => state)

/** Calls enough for the sweep to have come by all keys. */
const sweep = (breakers: Keyed) => Effect.forEach(Array.from({ length: 200 }), () => call(breakers, "busy"))

describe("KeyedCircuitBreaker", () => {
  it.effect("keeps keys apart, and says in a refusal which one it is", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed("hosts", one)
      yield* call(breakers, "a", boom)
      const refusal = errorOf(yield* call(breakers, "a"))
      assert.deepStrictEqual(Schema.encodeUnknownSync(CircuitBreaker.CircuitOpen)(refusal), {
        _tag: "CircuitOpen",
        policy: "hosts",
        key: "a",
        retryAfter: 5_000
      })
      assert.strictEqual((refusal as Error).message, "hosts \"a\": the circuit is open, try again in 5s")
      assert.isTrue(Exit.isSuccess(yield* call(breakers, "b")))
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Exit.isSuccess(yield* call(breakers, "a")))
    }))

  it.effect("takes any string as a key", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed("any", one)
      const keys = ["__proto__", "constructor", "toString", "hasOwnProperty", "", " ", "\u0000", "ключ", "a/b?c"]
      for (const key of keys) {
        assert.isTrue(Exit.isSuccess(yield* call(breakers, key)))
        yield* call(breakers, key, boom)
        assert.strictEqual(brief(yield* call(breakers, key)), "CircuitOpen")
      }
      assert.deepStrictEqual(yield* breakers.keys, keys)
    }))

  it.effect("does nothing until the effect is run", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed("lazy", one)
      const later = breakers.protect(Effect.void, { key: "a" })
      const view = breakers.of("b")
      assert.strictEqual(view.key, "b")
      assert.strictEqual(view.name, "lazy")
      assert.deepInclude(yield* view.snapshot, { name: "lazy", key: "b", state: "Closed" })
      assert.strictEqual(view.refusal(yield* Clock.Clock), undefined)
      assert.deepStrictEqual(yield* breakers.keys, [])
      yield* later
      assert.deepStrictEqual(yield* breakers.keys, ["a"])
    }))

  it.effect("a view of a key is the breaker of that key, also after it was dropped and made anew", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed("views", { ...one, idle: "1 minute" })
      const view = breakers.of("a")
      yield* Effect.exit(view.protect(boom))
      assert.strictEqual(brief(yield* call(breakers, "a")), "CircuitOpen")
      assert.strictEqual(brief(yield* Effect.exit(Effect.scoped(view.admit))), "CircuitOpen")
      yield* view.reset
      assert.isTrue(Exit.isSuccess(yield* call(breakers, "a")))
      yield* TestClock.adjust("1 hour")
      yield* sweep(breakers)
      yield* TestClock.adjust("1 hour")
      assert.notInclude(yield* breakers.keys, "a")
      yield* Effect.exit(view.protect(boom))
      assert.strictEqual(yield* stateOf(breakers, "a"), "Open")
      assert.deepInclude((yield* view.snapshot).calls, { failure: 1, success: 0 })
    }))

  it.effect("tells what becomes of which key", () =>
    Effect.gen(function*() {
      const told: Array<CircuitBreaker.Transition> = []
      const breakers = KeyedCircuitBreaker.makeUnsafe("told", KeyedCircuitBreaker.settings(one), {
        onTransition: (transition) => told.push(transition)
      })
      yield* call(breakers, "a", boom)
      yield* Effect.scoped(breakers.of("b").forceOpen)
      assert.deepStrictEqual(told.map(({ key, to }) => [key, to]), [["a", "Open"], ["b", "Forced"], ["b", "Released"]])
    }))

  describe("idle keys", () => {
    it.effect("are dropped when they have not been used for so long, and not before", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("idle", { idle: "1 minute" })
        yield* call(breakers, "once")
        yield* TestClock.adjust(59_999)
        assert.deepStrictEqual(yield* breakers.keys, ["once"])
        yield* TestClock.adjust(1)
        yield* call(breakers, "another")
        assert.deepStrictEqual(yield* breakers.keys, ["another"])
      }))

    it.effect("that are used again stay, and are dropped later", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("used", { idle: "1 minute" })
        yield* call(breakers, "a", boom)
        for (let minute = 0; minute < 5; minute++) {
          yield* TestClock.adjust(59_000)
          yield* call(breakers, "a")
          yield* call(breakers, `other ${minute}`)
        }
        assert.deepInclude((yield* breakers.of("a").snapshot).calls, { failure: 1, success: 5 })
        yield* TestClock.adjust("1 minute")
        yield* sweep(breakers)
        yield* TestClock.adjust("1 minute")
        yield* sweep(breakers)
        assert.deepStrictEqual(yield* breakers.keys, ["busy"])
      }))

    it.effect("count from their last use, not from their first", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("last use", { idle: "1 minute" })
        yield* call(breakers, "a", boom)
        yield* TestClock.adjust("59 seconds")
        yield* call(breakers, "a")
        for (let second = 0; second < 58; second++) {
          yield* sweep(breakers)
          yield* TestClock.adjust("1 second")
        }
        assert.deepInclude((yield* breakers.of("a").snapshot).calls, { failure: 1, success: 1 })
      }))

    it.effect("keep no window that has run empty", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("thin", {
          trip: { kind: "rate", threshold: 1, window: { duration: "10 seconds" } }
        })
        yield* call(breakers, "a", boom)
        yield* TestClock.adjust("9 seconds")
        yield* sweep(breakers)
        assert.isDefined(breakers.place("a").peek().windows)
        yield* TestClock.adjust("1 second")
        yield* sweep(breakers)
        assert.isUndefined(breakers.place("a").peek().windows)
        assert.deepInclude((yield* breakers.of("a").snapshot).calls, { failure: 1 })
      }))

    it.effect("are found by calls of keys that are there already, without any being made", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("found", { idle: "1 minute" })
        const many = Array.from({ length: 1_000 }, (_, n) => `key ${n}`)
        yield* Effect.forEach(many, (key) => call(breakers, key))
        yield* call(breakers, "busy")
        yield* TestClock.adjust("2 minutes")
        for (let n = 0; n < 2_000; n++) yield* call(breakers, "busy")
        assert.deepStrictEqual(yield* breakers.keys, ["busy"])
      }))

    it.effect("stay while they are open, half-open, forced or in flight", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("busy", {
          trip: { kind: "consecutive", failures: 1 },
          open: (openings) => openings === 0 ? "1 hour" : "1 day",
          idle: "1 minute"
        })
        yield* call(breakers, "open", boom)
        const running = yield* start(breakers.protect(Effect.never, { key: "running" }))
        const scope = yield* Scope.make()
        yield* Scope.provide(breakers.of("forced").disable, scope)
        yield* call(breakers, "idle")
        for (const _ of [1, 2, 3]) {
          yield* TestClock.adjust("10 minutes")
          yield* sweep(breakers)
        }
        assert.sameMembers([...(yield* breakers.keys)], ["open", "running", "forced", "busy"])

        yield* TestClock.adjust("30 minutes")
        // a probe that was given back: half-open, with nothing in flight
        yield* Effect.exit(breakers.protect(Effect.interrupt, { key: "open" }))
        yield* Fiber.interrupt(running)
        yield* Scope.close(scope, Exit.void)
        for (const _ of [1, 2, 3]) {
          yield* TestClock.adjust("10 minutes")
          yield* sweep(breakers)
        }
        assert.sameMembers([...(yield* breakers.keys)], ["open", "busy"])
        assert.strictEqual(yield* stateOf(breakers, "open"), "HalfOpen")
      }))

    it.effect("that are open are dropped when their time has passed", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("open", { ...one, idle: "1 second" })
        yield* call(breakers, "a", boom)
        yield* TestClock.adjust(4_999)
        yield* sweep(breakers)
        assert.include(yield* breakers.keys, "a")
        yield* TestClock.adjust("2 seconds")
        yield* sweep(breakers)
        assert.notInclude(yield* breakers.keys, "a")
      }))

    it.effect("that hang in a half-open phase are dropped when that has lasted too long", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("half-open", {
          ...one,
          halfOpen: { maxDuration: "10 seconds" },
          idle: "1 second"
        })
        yield* call(breakers, "a", boom)
        yield* TestClock.adjust("5 seconds")
        yield* Effect.exit(breakers.protect(Effect.interrupt, { key: "a" }))
        assert.strictEqual(yield* stateOf(breakers, "a"), "HalfOpen")
        yield* TestClock.adjust(14_999)
        yield* sweep(breakers)
        assert.include(yield* breakers.keys, "a")
        yield* TestClock.adjust(2_000)
        yield* sweep(breakers)
        assert.notInclude(yield* breakers.keys, "a")
      }))

    it.effect("are never dropped where idle is infinite", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("for ever", { idle: "Infinity" })
        yield* call(breakers, "a")
        yield* TestClock.adjust("365 days")
        yield* sweep(breakers)
        assert.include(yield* breakers.keys, "a")
      }))
  })

  describe("maxKeys", () => {
    it.effect("keeps the number of keys, and those that are in use", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("many", { maxKeys: 100 })
        for (let n = 0; n < 5_000; n++) {
          yield* call(breakers, `passing ${n}`)
          yield* call(breakers, `staying ${n % 10}`)
          assert.isAtMost((yield* breakers.keys).length, 100)
        }
        assert.deepInclude((yield* breakers.of("staying 3").snapshot).calls, { success: 500 })
      }))

    it.effect("is exceeded only where all keys must stay, and no call takes long for it", () =>
      Effect.gen(function*() {
        const breakers = yield* CircuitBreaker.keyed("full", { ...one, maxKeys: 10 })
        const keys = Array.from({ length: 50 }, (_, n) => `key ${n}`)
        yield* Effect.forEach(keys, (key) => call(breakers, key, boom))
        assert.deepStrictEqual(yield* breakers.keys, keys)
        yield* TestClock.adjust("5 seconds")
        yield* Effect.forEach(["x", "y", "z"], (key) => call(breakers, key))
        assert.isAtMost((yield* breakers.keys).length, 10)
      }))
  })

  it.effect("reconfigure changes the settings of all keys, which keep their states", () =>
    Effect.gen(function*() {
      const rate = { kind: "rate", threshold: 1, minimumCalls: 3, window: { calls: 5 } } as const
      const breakers = yield* CircuitBreaker.keyed("tuned", { trip: rate, maxKeys: 1_000 })
      yield* call(breakers, "a", boom)
      yield* call(breakers, "a", boom)
      yield* call(breakers, "b", boom)
      const wants = KeyedCircuitBreaker.settings({ trip: { ...rate, minimumCalls: 2 }, maxKeys: 2 })
      yield* breakers.reconfigure(wants)
      assert.strictEqual(breakers.settings, wants)
      yield* call(breakers, "b", boom)
      assert.strictEqual(yield* stateOf(breakers, "b"), "Open")
      assert.strictEqual(yield* stateOf(breakers, "a"), "Closed")
      yield* call(breakers, "c", boom)
      assert.strictEqual((yield* breakers.keys).length, 2)
    }))

  it.effect("snapshots of all keys survive JSON, and restore them", () =>
    Effect.gen(function*() {
      const All = Schema.Array(CircuitBreaker.Snapshot)
      const breakers = yield* CircuitBreaker.keyed("stored", one)
      yield* call(breakers, "a", boom)
      yield* call(breakers, "b")
      const text = JSON.stringify(Schema.encodeSync(All)(yield* breakers.snapshot))
      yield* TestClock.adjust("2 seconds")
      const restored = yield* CircuitBreaker.keyed("stored", one)
      yield* Effect.forEach(
        Schema.decodeUnknownSync(All)(JSON.parse(text)),
        (snapshot) => restored.of(present(snapshot.key)).restore(snapshot)
      )
      assert.deepInclude(yield* restored.of("a").snapshot, { state: "Open", retryAfter: Duration.seconds(3) })
      assert.deepInclude((yield* restored.of("b").snapshot).calls, { success: 1 })
      const [a] = yield* breakers.snapshot
      assert.throws(
        () => restored.of("b").restore(present(a)),
        RangeError,
        "CircuitBreaker: snapshot.key must be \"b\", got \"a\""
      )
    }))

  it.effect(
    "leaves no probe behind when 100,000 calls are interrupted at random instants",
    () =>
      Effect.gen(function*() {
        const { below } = yield* draws
        const breakers = yield* CircuitBreaker.keyed("storm", {
          trip: { kind: "consecutive", failures: 2 },
          open: "1 second",
          halfOpen: { concurrent: 2, calls: 3, successes: 2 },
          idle: "3 seconds",
          maxKeys: 12
        })
        const endings = [Effect.void, boom, Effect.never, Effect.die("bug"), Effect.void]
        const work = Effect.suspend(() => Effect.andThen(pauses(below(5)), present(endings[below(endings.length)])))
        const recorded = (key: string) =>
          Effect.scoped(Effect.gen(function*() {
            const admission = yield* breakers.of(key).admit
            if (below(2) === 0) yield* admission.record(Outcome.failure())
            yield* work
          }))
        const seen = new Set<string>()
        for (let round = 0; round < 2_000; round++) {
          const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () => {
            const key = `key ${below(2) === 0 ? below(5) : below(30)}`
            return Effect.forkChild(
              Effect.andThen(pauses(below(4)), below(4) === 0 ? recorded(key) : breakers.protect(work, { key })).pipe(
                Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + below(4))
              ),
              { startImmediately: below(2) === 0 }
            )
          })
          for (const fiber of fibers) {
            yield* pauses(below(2))
            if (below(2) === 0) fiber.interruptUnsafe()
          }
          yield* pauses(below(50))
          yield* Fiber.interruptAll(fibers)
          for (const { inFlight, key, state } of yield* breakers.snapshot) {
            seen.add(state)
            assert.strictEqual(inFlight, 0, key)
          }
          yield* TestClock.adjust("1 second")
        }
        assert.sameMembers([...seen], ["Closed", "Open", "HalfOpen"])
        // every key can still be probed, by two at a time
        for (let n = 0; n < 30; n++) {
          const guard = breakers.of(`key ${n}`)
          yield* guard.reset
          yield* Effect.exit(guard.protect(boom))
          yield* Effect.exit(guard.protect(boom))
          yield* TestClock.adjust("1 second")
          const probes = [yield* start(guard.protect(Effect.never)), yield* start(guard.protect(Effect.never))]
          assert.deepInclude(yield* guard.snapshot, { state: "HalfOpen", inFlight: 2 })
          assert.strictEqual(brief(yield* Effect.exit(guard.protect(Effect.void))), "CircuitOpen")
          yield* Fiber.interruptAll(probes)
        }
      }).pipe(Random.withSeed("keyed storm")),
    60_000
  )

  const cases: ReadonlyArray<readonly [make: () => unknown, message: string]> = [
    [() => CircuitBreaker.keyed(""), "KeyedCircuitBreaker: name must be a non-empty string, got \"\""],
    ...[0, -1, NaN, "soon", null].map((idle) =>
      [
        // what JavaScript brings in
        () => CircuitBreaker.keyed("k", { idle: idle as never }),
        "KeyedCircuitBreaker: idle must be a duration above zero, got "
      ] as const
    ),
    ...[0, -1, NaN, Infinity, 1.5, "5", null].map((maxKeys) =>
      [
        () => CircuitBreaker.keyed("k", { maxKeys: maxKeys as never }),
        "KeyedCircuitBreaker: maxKeys must be an integer >= 1, got "
      ] as const
    ),
    [
      () => CircuitBreaker.keyed("k", { idel: 1 } as never),
      "KeyedCircuitBreaker: unknown option \"idel\"; it takes trip, open, maxRetryAfter, halfOpen, idle, maxKeys"
    ],
    [() => CircuitBreaker.keyed("k", 5 as never), "KeyedCircuitBreaker: options must be an object, got 5"],
    [() => CircuitBreaker.keyed("k", { open: 0 }), "CircuitBreaker: open must be a finite duration above zero, got 0"],
    ...[undefined, null, 5, {}].flatMap((key) => {
      const breakers = KeyedCircuitBreaker.makeUnsafe("k", KeyedCircuitBreaker.settings())
      const message = "KeyedCircuitBreaker: key must be a string, got "
      return [
        [() => breakers.protect(Effect.void, { key: key as never }), message] as const,
        [() => breakers.of(key as never), message] as const
      ]
    }),
    [
      () =>
        KeyedCircuitBreaker.makeUnsafe("k", KeyedCircuitBreaker.settings()).protect(Effect.void, undefined as never),
      "KeyedCircuitBreaker: key must be a string, got undefined"
    ]
  ]
  it.each(cases.map(([make, message], n) => ({ make, message, n })))("refuses $n: $message", ({ make, message }) => {
    assert.throws(make, RangeError, message)
  })
})
