import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import { RequestId } from "../../src/http/index.ts"
import { Outcome, Pipeline, Resilience } from "../../src/index.ts"
import { LogLines } from "../../src/observability/index.ts"
import { assertRefused, boom, pauses, present, start } from "../support.ts"
import { hostileNames } from "./names.ts"

interface Logged {
  readonly level: string
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Logs into a list. */
const logging = (options: LogLines.Options = {}, level: "Debug" | "Info" = "Info", core = Resilience.layer) => {
  const logged: Array<Logged> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    logged.push({
      level: logLevel,
      text: Array.isArray(message) ? message.join(" ") : String(message),
      annotations: fiber.getRef(References.CurrentLogAnnotations)
    })
  })
  const layer = LogLines.layer(options).pipe(
    Layer.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, level))),
    Layer.provideMerge(core)
  )
  const lines = () => logged.map(({ level, text }) => `${level} ${text}`)
  return { layer, lines, logged }
}

const trip = { kind: "consecutive", failures: 1 } as const

describe("LogLines", () => {
  it.effect("A4, B6: follow a call from attempt to attempt, with the wait, the error and the outcome", () => {
    const { layer, lines, logged } = logging()
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("billing", {
        retry: { times: 2, backoff: { kind: "exponential", base: "500 millis", cap: "4 seconds" }, jitter: "none" }
      })
      yield* start(Effect.ignore(protect(boom, { operation: "POST /charges" })))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines(), [
        "Warn billing POST /charges: attempt 1 of 3 failed (Boom), next in 500ms",
        "Warn billing POST /charges: attempt 2 of 3 failed (Boom), next in 1s",
        "Error billing POST /charges: gave up after 3 attempts (Boom)"
      ])
      assert.deepStrictEqual(logged[0]?.annotations, {
        event: "Retrying",
        service: "billing",
        operation: "POST /charges",
        call: 1,
        attempt: 1,
        attempts: 3,
        waitMs: 500,
        error: "Boom"
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("B6: tell how a breaker changes, and who is refused until when", () => {
    const { layer, lines, logged } = logging()
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("git", {
        circuitBreaker: { trip, open: "90 seconds" }
      })
      const call = Effect.exit(protect(boom, { operation: "GET /refs" }))
      yield* call
      yield* TestClock.adjust("30 seconds")
      yield* call
      yield* TestClock.adjust("60 seconds")
      yield* protect(Effect.void)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(lines(), [
        "Error git: circuit breaker opened (Boom), next probe in 1m 30s",
        "Warn git GET /refs: attempt 1 failed after 0ms (Boom)",
        "Warn git GET /refs: refused by the circuit breaker, worth asking again in 1m",
        "Info git: circuit breaker half-open, first probe",
        "Info git: circuit breaker closed"
      ])
      assert.deepStrictEqual(logged.map(({ annotations }) => annotations["state"]), [
        "open",
        undefined,
        undefined,
        "half-open",
        "closed"
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("A4, A10: name the request on whose behalf a call was made, after every wait", () => {
    const { layer, logged } = logging()
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {
        retry: { times: 1 },
        totalTimeout: "1 minutes",
        hedge: { delay: 1 }
      })
      for (const id of ["req-1", "req-2"]) {
        yield* start(Effect.exit(RequestId.within(id)(protect(Effect.delay(boom, 10)))))
      }
      yield* start(Effect.exit(protect(boom)))
      yield* TestClock.adjust("10 seconds")
      const ids = (event: string) =>
        logged.filter(({ annotations }) => annotations["event"] === event).map(({ annotations }) =>
          annotations["requestId"]
        )
      assert.sameMembers(ids("Retrying"), ["req-1", "req-2", undefined])
      assert.sameMembers(ids("RetriesExhausted"), ["req-1", "req-2", undefined])
    }).pipe(Effect.provide(layer))
  })

  it.effect("show every attempt where debugging is on", () => {
    const { layer, lines } = logging({}, "Debug")
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", { retry: { times: 1 }, attemptTimeout: "1 seconds" })
      const call = yield* start(protect(Effect.sleep("250 millis"), { operation: "o" }))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.await(call)
      assert.deepStrictEqual(lines(), ["Debug p o: attempt 1 succeeded after 250ms"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("B6: are few while a dependency is down, and say how many were left out", () => {
    const { layer, lines, logged } = logging({ lines: 2, every: "10 seconds" })
    return Effect.gen(function*() {
      const down = yield* Pipeline.make("down", { circuitBreaker: { trip, open: "1 hours" } })
      const other = yield* Pipeline.make("other", { circuitBreaker: { trip, open: "1 hours" } })
      for (let n = 0; n < 1_000; n++) {
        yield* Effect.exit(down.protect(boom, { operation: `${n}` }))
        if (n % 50 === 0) yield* TestClock.adjust(1)
      }
      yield* Effect.exit(other.protect(boom))
      yield* TestClock.adjust(0)
      const before = lines().length
      // an opening and a failed attempt for each, and two refusals
      assert.strictEqual(before, 6)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines().slice(before), [
        "Warn down: 997 more of these in 10s, the last: down 999: refused by the circuit breaker, " +
        "worth asking again in 59m 59s 980ms"
      ])
      assert.strictEqual(logged.at(-1)?.annotations["leftOut"], 997)
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(lines().length, before + 1)
      // the next interval has lines of its own
      yield* Effect.exit(down.protect(boom))
      yield* TestClock.adjust(0)
      assert.strictEqual(lines().length, before + 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are few in a storm, and account for all of it: written, left out, or lost", () => {
    const { layer, logged } = logging({ lines: 5, every: "10 seconds" })
    const storm = 100_000
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      yield* Effect.sync(() => {
        for (let n = 0; n < storm; n++) {
          resilience.publish("Refused", (at) => ({
            _tag: "Refused",
            at,
            pipeline: "down",
            operation: "o",
            call: n,
            by: "bulkhead"
          }))
        }
      })
      yield* pauses(1_000)
      yield* TestClock.adjust("10 seconds")
      const leftOut = logged.map(({ annotations }) => Number(annotations["leftOut"] ?? 0))
      assert.isAtMost(logged.length, 7)
      assert.strictEqual(leftOut.reduce((sum, n) => sum + n, 0) + leftOut.filter((n) => n === 0).length, storm)
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(logged.length, leftOut.length)
    }).pipe(Effect.provide(layer))
  })

  it.effect("say how many events came faster than they were taken", () => {
    const { layer, lines } = logging({ every: "10 seconds" })
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      yield* Effect.sync(() => {
        for (let n = 0; n < 5_000; n++) {
          resilience.publish("Reconfigured", (at) => ({ _tag: "Reconfigured", at, pipeline: "p" }))
        }
      })
      yield* pauses(1_000)
      yield* TestClock.adjust("10 seconds")
      assert.include(lines(), "Warn 904 events came faster than they were taken, and were lost")
      const before = lines().length
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(lines().length, before)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are bounded however many names there are, and the rest is counted", () => {
    const { layer, lines } = logging({ lines: 1, every: "10 seconds" })
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      for (let n = 0; n < 10_500; n++) {
        yield* Effect.sync(() =>
          resilience.publish("Reconfigured", (at) => ({ _tag: "Reconfigured", at, pipeline: `p${n}` }))
        )
        if (n % 100 === 0) yield* pauses(2)
      }
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(lines().length, 10_001)
      assert.strictEqual(lines().at(-1), "Warn 500 more lines in 10s, of too many kinds to tell them apart")
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell all that has happened before the program ends", () => {
    const { layer, lines } = logging({ lines: Infinity })
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const resilience = yield* Resilience.Resilience
        yield* Effect.sync(() => {
          for (let n = 0; n < 3_000; n++) {
            resilience.publish("Reconfigured", (at) => ({ _tag: "Reconfigured", at, pipeline: "p" }))
          }
        })
      }).pipe(Effect.provide(layer))
      assert.strictEqual(lines().length, 3_000)
    })
  })

  it.effect("tell what was left out last when the program ends", () => {
    const { layer, lines } = logging({ lines: 1 })
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const { protect } = yield* Pipeline.make("p", {})
        for (let n = 0; n < 3; n++) yield* Effect.exit(protect(boom))
        yield* TestClock.adjust(0)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(lines(), [
        "Warn p: attempt 1 failed after 0ms (Boom)",
        "Warn p: 2 more of these in 10s, the last: p: attempt 1 failed after 0ms (Boom)"
      ])
    })
  })

  it.effect("B4: hold the kind of an error and nothing of its message, unless that is asked for", () => {
    const secret = new TypeError("https://user:hunter2@host/\nx-internal-token: hunter2")
    const quiet = logging()
    const open = logging({ messages: true })
    const fail = Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip } })
      yield* Effect.exit(protect(Effect.fail(secret), { fallback: () => Effect.void }))
      yield* TestClock.adjust(0)
    })
    return Effect.gen(function*() {
      yield* fail.pipe(Effect.provide(quiet.layer))
      assert.strictEqual(quiet.logged.length, 3)
      assert.notInclude(JSON.stringify(quiet.logged), "hunter2")
      yield* fail.pipe(Effect.provide(open.layer))
      assert.include(
        open.lines()[0],
        "opened (TypeError: https://user:hunter2@host/\\nx-internal-token: hunter2), next"
      )
    })
  })

  it.effect("B4: hold nothing of what a call has answered, though it was tried again for it", () => {
    const { layer, lines } = logging({ messages: true })
    const answer = Effect.succeed({ _tag: "Pending", message: "hunter2" })
    const retry = { times: 1, jitter: "none" } as const
    return Effect.gen(function*() {
      const kinds: Array<string> = []
      const resilience = yield* Resilience.Resilience
      yield* resilience.listen(["Retrying", "RetriesExhausted", "RetryDeclined"], ({ _tag, isAnswer }) => {
        kinds.push(`${_tag} ${isAnswer}`)
      })
      const p = yield* Pipeline.make("p", { retry })
      yield* start(Effect.exit(p.protect(answer, { retryIf: () => true })))
      yield* TestClock.adjust("10 seconds")
      const q = yield* Pipeline.make("q", { retry, retryBudget: { minimum: 0, share: 0 } })
      yield* start(Effect.exit(q.protect(answer, { classify: () => Outcome.failure() })))
      yield* start(Effect.exit(q.protect(boom)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(kinds, [
        "Retrying true",
        "RetriesExhausted true",
        "RetryDeclined true",
        "RetryDeclined undefined"
      ])
      assert.include(lines(), "Error p: gave up after 2 attempts (Pending)")
      const c = yield* Pipeline.make("c", {
        cache: { strategy: "service-first", fresh: "1 second", stale: "1 hour" }
      })
      const cache = { key: [1], schema: Schema.Struct({ _tag: Schema.String, message: Schema.String }) }
      yield* c.protect(answer, { cache })
      yield* TestClock.adjust("2 seconds")
      yield* c.protect(answer, { cache, classify: () => Outcome.failure() })
      yield* TestClock.adjust(0)
      assert.include(lines(), "Warn c: the cached value could not be refreshed (Pending), and is kept")
      assert.include(lines(), "Info c: answered from the cache, 2s old and stale (Pending)")
      assert.notInclude(lines().join(), "hunter2")
    }).pipe(Effect.provide(layer))
  })

  it.effect("stay one line each, whatever the names are", () => {
    const { layer, logged } = logging()
    return Effect.gen(function*() {
      for (const name of hostileNames) {
        const { protect } = yield* Pipeline.make(name, { keyedCircuitBreaker: { trip } })
        yield* Effect.exit(protect(boom, { operation: name, key: name }))
        yield* TestClock.adjust(0)
      }
      assert.strictEqual(logged.length, 2 * hostileNames.length)
      for (const { annotations, text } of logged) {
        for (const value of [text, ...Object.values(annotations)]) {
          assert.notMatch(String(value), /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
        }
        assert.isBelow(text.length, 800)
      }
      assert.include(present(logged[4]).text, "line\\nbreak\\r\\nfake=\"1\" level=INFO\\ttab")
      assert.include(present(logged[10]).text, "x".repeat(200) + "…")
    }).pipe(Effect.provide(layer))
  })

  it.effect("do not end with a logger that breaks, and change no call", () => {
    let lines = 0
    const logger = Logger.make(() => {
      lines++
      throw new Error("the disk is full")
    })
    const layer = LogLines.layer().pipe(Layer.provide(Logger.layer([logger])), Layer.provideMerge(Resilience.layer))
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      for (let n = 0; n < 3; n++) {
        assert.strictEqual((yield* Effect.flip(protect(boom)))._tag, "Boom")
        yield* TestClock.adjust(0)
      }
      assert.strictEqual(lines, 3)
    }).pipe(Effect.provide(layer))
  })

  it("have words for every event", () => {
    const of = { at: 0, pipeline: "p" }
    const ofCall = { ...of, operation: "o", call: 1 }
    const reason = new TypeError("no")
    const second = Duration.seconds(1)
    const words = (event: Parameters<typeof LogLines.lineOf>[0]) => {
      const { level, text } = LogLines.lineOf(event)
      return `${level} ${text}`
    }
    assert.deepStrictEqual(
      [
        words({ _tag: "Attempted", ...ofCall, attempt: 2, outcome: "Overload", elapsed: second, reason }),
        words({ _tag: "Attempted", ...ofCall, attempt: 2, outcome: "Ignored", elapsed: second }),
        words({ _tag: "RetryDeclined", ...ofCall, attempt: 1, because: "budget", reason }),
        words({ _tag: "Hedged", ...ofCall, hedge: 1 }),
        words({ _tag: "HedgeWon", ...ofCall, hedge: 1 }),
        words({ _tag: "Refused", ...ofCall, by: "rateLimit" }),
        words({ _tag: "TimedOut", ...ofCall, limit: "total" }),
        words({ _tag: "FellBack", ...ofCall, reason }),
        words({ _tag: "CacheHit", ...ofCall, age: second, isStale: false }),
        words({ _tag: "CacheHit", ...ofCall, age: second, isStale: true, reason }),
        words({ _tag: "CacheRefreshFailed", ...ofCall, reason }),
        words({ _tag: "ChaosInjected", ...ofCall, fault: "latency" }),
        words({
          _tag: "CircuitOpened",
          ...of,
          key: "k",
          from: "HalfOpen",
          openFor: second,
          because: "failures",
          reason
        }),
        words({ _tag: "CircuitOpened", ...of, from: "Closed", openFor: second, because: "slow" }),
        words({ _tag: "CircuitOpened", ...of, from: "HalfOpen", openFor: second, because: "slow", reason }),
        words({ _tag: "CallEnded", ...ofCall, attempts: 1, outcome: "Success", elapsed: second }),
        words({ _tag: "CallEnded", ...ofCall, attempts: 3, outcome: "Failure", elapsed: second, reason }),
        words({ _tag: "CallEnded", ...ofCall, attempts: 2, outcome: "Overload", elapsed: second, reason }),
        words({ _tag: "CallEnded", ...ofCall, attempts: 1, outcome: "Ignored", elapsed: second, reason }),
        words({
          _tag: "CallEnded",
          ...ofCall,
          attempts: 0,
          outcome: "Ignored",
          elapsed: second,
          refusedBy: "bulkhead",
          reason
        }),
        words({ _tag: "CircuitForced", ...of, mode: "disabled" }),
        words({ _tag: "CircuitReleased", ...of, state: "Open" }),
        words({ _tag: "CircuitReset", ...of }),
        words({ _tag: "CircuitRestored", ...of, state: "Closed" }),
        words({ _tag: "CircuitThresholdPassed", ...of }),
        words({ _tag: "Reconfigured", ...of })
      ],
      [
        "Debug p o: attempt 2 met an overload after 1s (TypeError)",
        "Debug p o: attempt 2 was cut short after 1s",
        "Warn p o: attempt 1 failed (TypeError), not tried again: the retry budget is empty",
        "Debug p o: hedge 1 started",
        "Debug p o: hedge 1 answered first",
        "Warn p o: refused by the rate limit",
        "Warn p o: timed out: the call has had its time",
        "Warn p o: answered by the fallback (TypeError)",
        "Debug p o: answered from the cache, 1s old",
        "Info p o: answered from the cache, 1s old and stale (TypeError)",
        "Warn p o: the cached value could not be refreshed (TypeError), and is kept",
        "Info p o: chaos injected: latency",
        "Error p [k]: circuit breaker opened again, a probe has failed (TypeError), next probe in 1s",
        "Error p: circuit breaker opened, calls are slow, next probe in 1s",
        "Error p: circuit breaker opened again, a probe was slow (TypeError), next probe in 1s",
        "Debug p o: call succeeded after 1s and 1 attempt",
        "Debug p o: call failed after 1s and 3 attempts (TypeError)",
        "Debug p o: call met an overload after 1s and 2 attempts (TypeError)",
        "Debug p o: call was cut short after 1s and 1 attempt",
        "Debug p o: call refused by the bulkhead after 1s",
        "Warn p: circuit breaker forced by hand: off",
        "Info p: circuit breaker no longer forced, and open",
        "Info p: circuit breaker reset by hand, and closed",
        "Info p: circuit breaker restored from a snapshot, and closed",
        "Warn p: circuit breaker would have opened, but only counts",
        "Info p: reconfigured"
      ]
    )
  })

  it("say for programs what they say for people, times to a thousandth of a millisecond", () => {
    const ofCall = { at: 0, pipeline: "p", operation: "o", call: 1 }
    const reason = new TypeError("no")
    const time = Duration.millis(19.870896)
    const further = (event: Parameters<typeof LogLines.lineOf>[0]) => {
      const { call: _, event: kind, operation: __, service: ___, ...further } = LogLines.lineOf(event).annotations
      return [kind, further]
    }
    assert.deepStrictEqual(
      [
        further({ _tag: "Refused", ...ofCall, by: "rateLimit", retryAfter: time }),
        further({ _tag: "Refused", ...ofCall, by: "bulkhead" }),
        further({ _tag: "TimedOut", ...ofCall, limit: "total" }),
        further({ _tag: "Hedged", ...ofCall, hedge: 1 }),
        further({ _tag: "HedgeWon", ...ofCall, hedge: 2 }),
        further({ _tag: "RetryDeclined", ...ofCall, attempt: 1, because: "budget", reason }),
        further({ _tag: "Retrying", ...ofCall, attempt: 1, attempts: 3, delay: time, reason }),
        further({ _tag: "CacheHit", ...ofCall, age: time, isStale: false }),
        further({ _tag: "ChaosInjected", ...ofCall, fault: "latency" }),
        further({ _tag: "CircuitOpened", ...ofCall, from: "Closed", openFor: time, because: "slow" }),
        further({
          _tag: "CallEnded",
          ...ofCall,
          attempts: 0,
          outcome: "Ignored",
          elapsed: time,
          refusedBy: "throttle"
        })
      ],
      [
        ["Refused", { policy: "rateLimit", retryAfterMs: 19.871 }],
        ["Refused", { policy: "bulkhead" }],
        ["TimedOut", { limit: "total" }],
        ["Hedged", { hedge: 1 }],
        ["HedgeWon", { hedge: 2 }],
        ["RetryDeclined", { attempt: 1, because: "budget", error: "TypeError" }],
        ["Retrying", { attempt: 1, attempts: 3, waitMs: 19.871, error: "TypeError" }],
        ["CacheHit", { ageMs: 19.871 }],
        ["ChaosInjected", { fault: "latency" }],
        ["CircuitOpened", { because: "slow", openMs: 19.871, state: "open" }],
        ["CallEnded", { attempts: 0, outcome: "Ignored", elapsedMs: 19.871, policy: "throttle" }]
      ]
    )
  })

  it("refuse bad options when the layer is made", () => {
    assertRefused([
      [() => LogLines.layer({ lines: 0 }), "LogLines.layer: lines must be an integer >= 1"],
      [() => LogLines.layer({ every: 0 }), "every must be a finite duration above zero"],
      [() => LogLines.layer({ level: "Info" } as never), "unknown option \"level\""]
    ])
  })
})
