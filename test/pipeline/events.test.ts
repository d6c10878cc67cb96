import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Fallback, Outcome, Pipeline, Resilience, ResilienceEvent } from "../../src/index.ts"
import { brief, drive, failing, listen, recorded, Says, start } from "../support.ts"

/** Tags of events, with what tells them apart. */
const told = (events: ReadonlyArray<ResilienceEvent.ResilienceEvent>) =>
  events.map((event) => {
    switch (event._tag) {
      case "Attempted":
        return `Attempted ${event.attempt} ${event.outcome}`
      case "Refused":
        return `Refused ${event.by}`
      case "TimedOut":
        return `TimedOut ${event.limit}`
      case "RetryDeclined":
        return `RetryDeclined ${event.because}`
      case "CacheHit":
        return `CacheHit ${event.isStale ? "stale" : "fresh"}`
      case "ChaosInjected":
        return `ChaosInjected ${event.fault}`
    }
    return event._tag
  })

describe("events", () => {
  it.effect("tell attempts, retries and their end, under one number for each call", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true })
      const pipeline = yield* Pipeline.make("p", {
        retry: { times: 1, backoff: { kind: "constant", delay: "1 second" } },
        attemptTimeout: "1 second"
      })
      yield* drive(pipeline.protect(failing().work, { operation: "read" }))
      yield* drive(pipeline.protect(Effect.never, { operation: "hang" }))
      assert.deepStrictEqual(told(events), [
        "Attempted 1 Failure",
        "Retrying",
        "Attempted 2 Failure",
        "RetriesExhausted",
        "TimedOut attempt",
        "Attempted 1 Failure",
        "Retrying",
        "TimedOut attempt",
        "Attempted 2 Failure",
        "RetriesExhausted"
      ])
      const calls = events.map((event) => "call" in event ? [event.call, event.operation] : [])
      assert.deepStrictEqual(new Set(calls.map((_) => _.join(" "))), new Set(["1 read", "2 hang"]))
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("tell refusals by each part", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true })
      const bulkhead = yield* Pipeline.make("bulkhead", { bulkhead: { concurrency: 1 } })
      yield* start(bulkhead.protect(Effect.never))
      yield* Effect.exit(bulkhead.protect(Effect.void))
      const rateLimit = yield* Pipeline.make("rate limit", {
        rateLimit: { kind: "token-bucket", permits: 1, per: "1 hour" }
      })
      yield* rateLimit.protect(Effect.void)
      yield* Effect.exit(rateLimit.protect(Effect.void))
      const adaptive = yield* Pipeline.make("adaptive", { adaptiveLimit: { initial: 1, min: 1, max: 1 } })
      yield* start(adaptive.protect(Effect.never))
      yield* Effect.exit(adaptive.protect(Effect.void))
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(told(events).filter((_) => _.startsWith("Refused")), [
        "Refused bulkhead",
        "Refused rateLimit",
        "Refused adaptiveLimit"
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("tell hedges and who has won", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true })
      const pipeline = yield* Pipeline.make("p", { hedge: { delay: "1 second" } })
      const { work } = recorded((n) => n === 1 ? Effect.never : Effect.succeed("answer"))
      const { exit } = yield* drive(pipeline.protect(work))
      assert.strictEqual(brief(exit), "answer")
      assert.sameMembers(told(events), ["Hedged", "Attempted 1 Success", "HedgeWon", "Attempted 2 Ignored"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("tell fallbacks, cache hits, stale hits and failed refreshes", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true })
      const pipeline = yield* Pipeline.make("p", {
        cache: { strategy: "stale-if-error", fresh: "1 second", stale: "1 minute" }
      })
      let isDown = false
      const work = Effect.suspend(() => isDown ? Effect.fail("down") : Effect.succeed("answer"))
      const call = pipeline.protect(work, {
        cache: { key: ["a"], schema: Schema.String },
        fallback: Fallback.value("default")
      })
      yield* call
      isDown = true
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* call, "answer")
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* call, "default")
      yield* TestClock.adjust("1 seconds")
      assert.includeMembers(told(events), ["CacheHit stale", "CacheRefreshFailed", "FellBack"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("tell chaos, and why a retry was declined", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true })
      const chaos = yield* Pipeline.make("chaos", { chaos: { failure: { rate: 1 } } })
      yield* Effect.exit(chaos.protect(Effect.void))
      const patient = yield* Pipeline.make("patient", { retry: { maxRetryAfter: "1 second" } })
      yield* Effect.exit(patient.protect(Effect.fail(Says.of(Outcome.overload({ retryAfter: "1 hour" })))))
      const budget = yield* Pipeline.make("budget", { retry: {}, retryBudget: { share: 0.1, minimum: 0 } })
      yield* Effect.exit(budget.protect(Effect.fail("down")))
      yield* TestClock.adjust("1 seconds")
      const seen = told(events).filter((_) => !_.startsWith("Attempted"))
      assert.deepStrictEqual(seen, ["ChaosInjected failure", "RetryDeclined retryAfter", "RetryDeclined budget"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("can be written as JSON and read back", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true })
      const pipeline = yield* Pipeline.make("p", {
        totalTimeout: "1 minute",
        retry: { times: 1, backoff: { kind: "constant", delay: "1 second" } },
        circuitBreaker: { trip: { kind: "consecutive", failures: 2 } }
      })
      yield* drive(pipeline.protect(failing().work))
      yield* Effect.exit(pipeline.protect(Effect.void))
      yield* Effect.exit(Stream.runDrain(pipeline.protectStream(Stream.make(1))))
      yield* TestClock.adjust("1 seconds")
      const json = Schema.toCodecJson(ResilienceEvent.ResilienceEvent)
      for (const event of events) {
        const text = JSON.stringify(yield* Schema.encodeEffect(json)(event))
        const read = yield* Schema.decodeUnknownEffect(json)(JSON.parse(text))
        assert.strictEqual(read._tag, event._tag)
      }
      assert.isAbove(events.length, 5)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("cost a call nothing but time where a listener throws or is slow", () =>
    Effect.gen(function*() {
      const { events } = yield* Resilience.Resilience
      yield* start(Stream.runForEach(events, () => Effect.die(new Error("a bad listener"))))
      yield* start(Stream.runForEach(events, () => Effect.never))
      const pipeline = yield* Pipeline.make("p", { retry: {}, circuitBreaker: {} })
      for (let n = 0; n < 10_000; n++) assert.strictEqual(yield* pipeline.protect(Effect.succeed(n)), n)
    }).pipe(Effect.provide(Resilience.layer)))
})
