import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Fallback, Outcome, Pipeline, Resilience, type ResilienceEvent } from "../../src/index.ts"
import * as live from "../../src/internal/livePipeline.ts"
import { recordingTracer } from "../recordingTracer.ts"
import { Boom, boom, brief, drive, failing, listen, recorded, Says, start } from "../support.ts"

type CallEnded = ResilienceEvent.OfKind<"CallEnded">

/** The ends of calls, as a list that grows. */
const ends = Effect.gen(function*() {
  const told: Array<CallEnded> = []
  yield* (yield* Resilience.Resilience).listen(["CallEnded"], (event) => {
    told.push(event)
  })
  return told
})

/** What it says besides when and of whom. */
const said = ({ attempts, elapsed, outcome, reason, refusedBy }: CallEnded) => ({
  outcome,
  attempts,
  millis: Duration.toMillis(elapsed),
  ...(refusedBy === undefined ? {} : { refusedBy }),
  ...(reason === undefined ? {} : { reason: Schema.is(Boom)(reason) ? "Boom" : String(reason) })
})

const { traced } = recordingTracer()

type Within = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const ways: ReadonlyArray<readonly [string, boolean, Within]> = [
  ["in one pass", true, (self) => self],
  ["as composed", false, (self) => self],
  ["traced", true, traced]
]

describe.each(ways)("the end of a call, %s,", (_, fuses, within) => {
  const make = (options: Pipeline.Options) => live.make(Pipeline.settings("p", options), fuses)

  it.effect("is told once, after all attempts and waits", () =>
    Effect.gen(function*() {
      const told = yield* ends
      const { protect } = yield* make({
        totalTimeout: "1 minute",
        retry: { times: 2, backoff: { kind: "constant", delay: "3 seconds" }, jitter: "none" },
        attemptTimeout: "2 seconds"
      })
      const { work } = recorded((n) =>
        n === 1 ? boom : n === 2 ? Effect.never : Effect.as(Effect.sleep("1 second"), "a")
      )
      yield* drive(protect(work, { operation: "read" })).pipe(
        Effect.provideService(Resilience.CurrentRequestId, "r-1")
      )
      yield* drive(protect(failing().work))
      assert.deepStrictEqual(told.map(said), [
        { outcome: "Success", attempts: 3, millis: 9_000 },
        { outcome: "Failure", attempts: 3, millis: 6_000, reason: "Boom" }
      ])
      const [first, second] = told
      assert.deepInclude(first, { pipeline: "p", operation: "read", call: 1, requestId: "r-1", at: 9_000 })
      assert.deepInclude(second, { operation: "", call: 2 })
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("says which policy has refused it, and is counted as a refused call", () =>
    Effect.gen(function*() {
      const told = yield* ends
      const { counts, protect } = yield* make({
        bulkhead: { concurrency: 1, queue: 1, wait: "2 seconds" },
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
      })
      const busy = yield* start(protect(Effect.never))
      yield* drive(protect(Effect.void), "2 seconds")
      yield* Fiber.interrupt(busy)
      yield* Effect.exit(protect(boom))
      yield* Effect.exit(protect(Effect.void))
      assert.deepStrictEqual(
        told.map(({ attempts, elapsed, outcome, refusedBy }) => [
          outcome,
          attempts,
          Duration.toMillis(elapsed),
          refusedBy
        ]),
        [
          ["Ignored", 0, 2_000, "bulkhead"],
          ["Ignored", 1, 2_000, undefined],
          ["Failure", 1, 0, undefined],
          ["Ignored", 0, 0, "circuitBreaker"]
        ]
      )
      assert.deepInclude(yield* counts, { calls: 4, ignored: 3, refused: 2, refusedCalls: 2 })
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("tells of time limits, of defects and of interruption as attempts do", () =>
    Effect.gen(function*() {
      const told = yield* ends
      const { protect } = yield* make({ totalTimeout: "5 seconds" })
      yield* drive(protect(Effect.never))
      yield* Effect.exit(protect(Effect.die(new TypeError("a bug"))))
      const running = yield* start(protect(Effect.never))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(running)
      yield* Effect.exit(protect(Effect.fail(Says.of(Outcome.overload()))))
      assert.deepStrictEqual(told.map(({ outcome }) => outcome), ["Failure", "Failure", "Ignored", "Overload"])
      assert.deepStrictEqual(told.map(({ elapsed }) => Duration.toMillis(elapsed)), [5_000, 0, 1_000, 0])
      assert.deepInclude(told[0]?.reason, { _tag: "TimedOut", limit: "total" })
      assert.instanceOf(told[1]?.reason, TypeError)
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("does not speak of cache and fallback, which share its number", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true, calls: true })
      const pipeline = yield* make({ cache: { strategy: "cache-first", fresh: "1 minute" } })
      const cache = (key: string) => ({ key: [key], schema: Schema.String })
      yield* pipeline.protect(Effect.succeed("a"), { cache: cache("a") })
      yield* pipeline.protect(Effect.succeed("b"), { cache: cache("a") })
      yield* pipeline.protect(boom, { cache: cache("b"), fallback: Fallback.value("c") })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(events.map((event) => [event._tag, "call" in event ? event.call : 0]), [
        ["Attempted", 1],
        ["CallEnded", 1],
        ["CacheHit", 2],
        ["Attempted", 3],
        ["CallEnded", 3],
        ["FellBack", 3]
      ])
      assert.strictEqual((yield* pipeline.counts).calls, 2)
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("of a stream comes with the end of the stream", () =>
    Effect.gen(function*() {
      const told = yield* ends
      const pipeline = yield* make({
        retry: { times: 1, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" }
      })
      const { work } = recorded((n) => n === 1 ? boom : Effect.void)
      const stream = Stream.fromEffect(work).pipe(
        Stream.concat(Stream.fromEffect(Effect.sleep("10 seconds"))),
        (self) => pipeline.protectStream(self, { operation: "read" })
      )
      const reader = yield* start(Stream.runDrain(stream))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(told.length, 0)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(reader)
      assert.deepStrictEqual(told.map(said), [{ outcome: "Success", attempts: 2, millis: 11_000 }])
      assert.deepInclude(told[0], { operation: "read", call: 1 })
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("is of that call alone, where calls stand within others", () =>
    Effect.gen(function*() {
      const told = yield* ends
      const outer = yield* make({ retry: { times: 1 } })
      const inner = yield* live.make(Pipeline.settings("inner", {}), fuses)
      yield* outer.protect(inner.protect(Effect.void))
      assert.deepStrictEqual(told.map(({ attempts, call, pipeline }) => [pipeline, call, attempts]), [
        ["inner", 2, 1],
        ["p", 1, 1]
      ])
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("is not told where the call began before anybody listened", () =>
    Effect.gen(function*() {
      const { protect } = yield* make({})
      const early = yield* start(protect(Effect.sleep("1 second")))
      const told = yield* ends
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(early)
      yield* protect(Effect.void)
      assert.deepStrictEqual(told.map(({ call }) => call), [1])
    }).pipe(within, Effect.provide(Resilience.layer)))

  it.effect("reaches a listener that throws, and harms no call", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      let asked = 0
      yield* resilience.listen(["CallEnded", "Attempted", "CircuitOpened", "Retrying"], () => {
        asked++
        throw new Error("a bad listener")
      })
      const told = yield* ends
      const { counts, protect } = yield* make({
        retry: { times: 1, backoff: () => 0 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 3 } }
      })
      assert.strictEqual(yield* protect(Effect.succeed("a")), "a")
      assert.strictEqual(brief(yield* Effect.exit(protect(boom))), "Boom")
      assert.strictEqual(brief(yield* Effect.exit(protect(boom))), "Boom")
      assert.strictEqual(told.length, 3)
      assert.isAtLeast(asked, 8)
      assert.deepInclude(yield* counts, { calls: 3, success: 1, failure: 2 })
    }).pipe(within, Effect.provide(Resilience.layer)))
})

describe("events that nobody wants", () => {
  const options: Pipeline.Options = {
    bulkhead: { concurrency: 2 },
    circuitBreaker: { trip: { kind: "consecutive", failures: 5 } }
  }

  /** How often the clock is asked for by a call. */
  const readings = (kinds: ReadonlyArray<ResilienceEvent.Kind>) =>
    Effect.scoped(Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      yield* resilience.listen(kinds, () => {})
      const { protect } = yield* Pipeline.make("p", options)
      return yield* TestClock.testClockWith((clock) => {
        let asked = 0
        const counting = {
          ...clock,
          currentTimeMillisUnsafe: () => {
            asked++
            return clock.currentTimeMillisUnsafe()
          },
          monotonicTimeNanosUnsafe: () => {
            asked++
            return clock.monotonicTimeNanosUnsafe()
          }
        }
        return Effect.map(
          Effect.provideService(protect(Effect.void), Clock.Clock, counting),
          () => asked
        )
      })
    })).pipe(Effect.provide(Resilience.layer))

  it.effect("cost a call not even a look at the clock", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* readings([]), 0)
      assert.strictEqual(yield* readings(["CircuitOpened", "Reconfigured", "Retrying", "Refused"]), 0)
      assert.strictEqual(yield* readings(["CallEnded"]), 3)
      assert.strictEqual(yield* readings(["Attempted"]), 3)
    }))
})

describe("what has opened a breaker", () => {
  const opened = Effect.fnUntraced(function*() {
    const told: Array<ResilienceEvent.OfKind<"CircuitOpened">> = []
    yield* (yield* Resilience.Resilience).listen(["CircuitOpened"], (event) => {
      told.push(event)
    })
    return told
  })
  const slow = { kind: "slow", threshold: 1, minimumCalls: 1, slowerThan: "1 second", window: { calls: 1 } } as const
  const secret = { _tag: "Customer", name: "Alice", message: "card 4242" }

  it.effect("is that calls were slow, and never what they have answered", () =>
    Effect.gen(function*() {
      const told = yield* opened()
      const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip: slow, open: "10 seconds" } })
      const call = Effect.as(Effect.sleep("2 seconds"), secret)
      yield* drive(protect(call), "2 seconds")
      yield* TestClock.adjust("10 seconds")
      yield* drive(protect(call), "2 seconds")
      assert.deepStrictEqual(told.map(({ because, from }) => [from, because]), [["Closed", "slow"], [
        "HalfOpen",
        "slow"
      ]])
      assert.notInclude(JSON.stringify(told), "Alice")
      for (const event of told) assert.notProperty(event, "reason")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("is that calls have failed, with the error, but not with a result that counts as one", () =>
    Effect.gen(function*() {
      const told = yield* opened()
      const trip = { kind: "consecutive", failures: 1 } as const
      const wrong = yield* Pipeline.make("wrong", { circuitBreaker: { trip }, classify: () => Outcome.failure() })
      yield* wrong.protect(Effect.succeed(secret))
      const broken = yield* Pipeline.make("broken", { circuitBreaker: { trip: [slow, trip] } })
      yield* Effect.exit(broken.protect(boom))
      const late = yield* Pipeline.make("late", { circuitBreaker: { trip: slow } })
      yield* drive(Effect.exit(late.protect(Effect.andThen(Effect.sleep("2 seconds"), boom))), "2 seconds")
      assert.deepStrictEqual(
        told.map((
          { because, pipeline, reason }
        ) => [pipeline, because, brief(reason === undefined ? Exit.void : Exit.fail(reason))]),
        [["wrong", "failures", undefined], ["broken", "failures", "Boom"], ["late", "slow", "Boom"]]
      )
      assert.notInclude(JSON.stringify(told), "Alice")
    }).pipe(Effect.provide(Resilience.layer)))
})
