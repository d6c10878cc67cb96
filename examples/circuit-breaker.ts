/**
 * A circuit breaker, used by itself: how it opens and closes, manual control, a
 * snapshot in JSON, and one breaker for each of many hosts.
 *
 * The time is a test clock, so that a minute takes no time.
 */
import { Console, Duration, Effect, Schema } from "effect"
import { CircuitBreaker } from "effect-resilience"
import { TestClock } from "effect/testing"

class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}

/** A service that is down, is well, or is well and slow. */
let health: "down" | "well" | "slow" = "down"
const quote = Effect.suspend(() => {
  switch (health) {
    case "down":
      return Effect.fail(new Unreachable())
    case "well":
      return Effect.succeed("a quote")
    case "slow":
      return Effect.as(TestClock.adjust("3 seconds"), "a quote, at last")
  }
})

const options = {
  trip: [
    // five failures in a row, which are forgotten after five minutes without another
    { kind: "consecutive", failures: 5, forgetAfter: "5 minutes" },
    // or half of the last four calls slower than two seconds
    { kind: "slow", threshold: 0.5, slowerThan: "2 seconds", minimumCalls: 4, window: { calls: 4 } }
  ],
  open: "60 seconds",
  // two successes close it, one call at a time; a probe that hangs is given up after a minute
  halfOpen: { calls: 2, maxDuration: "1 minute" }
} as const

const program = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make("quotes", options)
  const call = breaker.protect(quote).pipe(Effect.catch((error) => Effect.succeed(error._tag)))
  const say = (what: string) =>
    Effect.flatMap(breaker.snapshot, ({ mode, state }) => Console.log(`${what}: ${mode ?? state}`))

  yield* Console.log("-- it opens, and closes")
  for (let n = 0; n < 5; n++) yield* call
  yield* say("after five failures")
  yield* Console.log(`the next call: ${yield* call}`)
  yield* TestClock.adjust("60 seconds")
  health = "well"
  yield* Console.log(`a minute later: ${yield* call}`)
  yield* say("after one success")
  yield* call
  yield* say("after two")

  yield* Console.log("-- slow calls open it as well")
  health = "slow"
  for (let n = 0; n < 4; n++) yield* call
  yield* say("after four slow calls")
  health = "well"
  yield* breaker.reset
  yield* say("reset")

  yield* Console.log("-- maintenance: nobody is let through while the scope is open")
  yield* Effect.scoped(Effect.gen(function*() {
    yield* breaker.forceOpen
    yield* say("meanwhile")
    yield* Console.log(`a call: ${yield* call}`)
  }))
  yield* say("afterwards")

  yield* Console.log("-- a trial run: it only says when it would have opened")
  health = "down"
  const trial = CircuitBreaker.makeUnsafe("trial", CircuitBreaker.settings(options), {
    onTransition: ({ to }) => told.push(to)
  })
  const told: Array<string> = []
  yield* Effect.scoped(Effect.gen(function*() {
    yield* trial.metricsOnly
    for (let n = 0; n < 20; n++) yield* Effect.exit(trial.protect(quote))
  }))
  yield* Console.log(`told: ${told.join(", ")}`)

  yield* Console.log("-- a snapshot outlives the process")
  for (let n = 0; n < 5; n++) yield* call
  const json = JSON.stringify(Schema.encodeSync(CircuitBreaker.Snapshot)(yield* breaker.snapshot))
  yield* TestClock.adjust("10 seconds")
  const restarted = yield* CircuitBreaker.make("quotes", options)
  yield* restarted.restore(Schema.decodeUnknownSync(CircuitBreaker.Snapshot)(JSON.parse(json)))
  const { calls, retryAfter, state } = yield* restarted.snapshot
  yield* Console.log(
    `${state} for another ${Duration.format(retryAfter ?? Duration.zero)}, with ${calls.failure} failures so far`
  )

  yield* Console.log("-- one policy, many hosts")
  const hosts = yield* CircuitBreaker.keyed("hosts", { ...options, idle: "10 minutes" })
  for (let n = 0; n < 5; n++) yield* Effect.exit(hosts.protect(quote, { key: "a.internal" }))
  yield* Effect.exit(hosts.protect(quote, { key: "b.internal" }))
  for (const { calls, key, state } of yield* hosts.snapshot) {
    yield* Console.log(`${key}: ${state}, ${calls.failure} failed`)
  }
})

await Effect.runPromise(Effect.provide(Effect.scoped(program), TestClock.layer()))
