/**
 * Hedging: not waiting for a slow attempt alone.
 *
 * Replicas of a service are fast, and now and then one of them is slow. A second
 * attempt, started where the first is slower than usual, answers in its place.
 */
import { Console, Duration, Effect } from "effect"
import { Hedge, Replay, RetryBudget } from "effect-resilience"

/** Answers at once, but each tenth request would take a minute. */
const makeReplicas = () => {
  const replicas = { requests: 0, aborted: 0 }
  const ask = Effect.suspend(() =>
    ++replicas.requests % 10 === 0
      ? Effect.onInterrupt(Effect.as(Effect.sleep("1 minute"), "late"), () => Effect.sync(() => replicas.aborted++))
      : Effect.succeed("answer")
  )
  return { replicas, ask }
}

const program = Effect.gen(function*() {
  yield* Console.log("-- a fixed delay")
  const { ask, replicas } = makeReplicas()
  const hedge = yield* Hedge.make("quotes", { delay: "20 millis" })
  const [took] = yield* Effect.timed(Effect.forEach(Array.from({ length: 50 }), () => hedge.protect(ask)))
  const { calls, hedges, won } = yield* hedge.snapshot
  yield* Console.log(`${calls} calls, ${hedges} hedges, of which ${won} have won`)
  yield* Console.log(`${replicas.requests} requests, ${replicas.aborted} aborted`)
  yield* Console.log(Duration.toMillis(took) < 30_000 ? "no call has waited a minute" : "some call has waited")

  yield* Console.log("-- no hedge without a permit")
  const budget = yield* RetryBudget.make("quotes", { share: 0, minimum: 2 })
  const careful = yield* Hedge.make("quotes", { delay: "5 millis", hedges: 5, budget })
  const slow = Effect.as(Effect.sleep("100 millis"), "answer")
  yield* careful.protect(slow)
  yield* Console.log(`${(yield* careful.snapshot).hedges} hedges of 5`)

  yield* Console.log("-- work that has begun to act goes on alone")
  let started = 0
  const order = Effect.gen(function*() {
    const attempt = ++started
    yield* Effect.sleep(attempt === 1 ? "1 minute" : "10 millis")
    yield* Replay.commit
    yield* Console.log(`attempt ${attempt} places the order`)
    yield* Effect.sleep("60 millis")
    return `ordered by attempt ${attempt}`
  })
  const brisk = yield* Hedge.make("orders", { delay: "20 millis" })
  yield* Console.log(yield* brisk.protect(order))

  yield* Console.log("-- the delay may follow the latencies that are seen")
  const following = yield* Hedge.make("quotes", {
    delay: { quantile: 0.95, initial: "1 second", minimumSamples: 20, minimum: "50 millis" }
  })
  const quote = Effect.succeed("answer")
  for (const calls of [0, 20]) {
    yield* Effect.forEach(Array.from({ length: calls }), () => following.protect(quote))
    const { delay } = yield* following.snapshot
    yield* Console.log(`after ${calls} quick answers: ${Duration.format(delay)}`)
  }
})

await Effect.runPromise(program)
