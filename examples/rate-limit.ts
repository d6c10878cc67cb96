/**
 * Rate limits: how many calls may start in a given time, and what else they may spend.
 *
 * A quota of requests and of tokens, as those of a language model: calls are let
 * in by an estimate and settled by what they have really used. Time is a test
 * clock's, so that a minute passes at once.
 */
import { Clock, Console, Duration, Effect, Fiber } from "effect"
import { RateLimit } from "effect-resilience"
import { TestClock } from "effect/testing"

const seconds = Effect.map(Clock.currentTimeMillis, (millis) => `at ${millis / 1_000} s`)

const evenly = Effect.gen(function*() {
  // One call every half second: with a burst of 1 they are spaced evenly. Each waits for up to two seconds.
  const search = yield* RateLimit.make("search", {
    kind: "token-bucket",
    permits: 2,
    per: "1 second",
    burst: 1,
    wait: "2 seconds"
  })
  const call = (n: number) =>
    Effect.andThen(seconds, (at) => Console.log(`search ${n} starts ${at}`)).pipe(
      search.protect,
      // Who would have to wait longer is told at once, and has cost nothing.
      Effect.catchTag("RateLimited", ({ message }) => Console.log(`search ${n}: ${message}`))
    )
  const calls = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5, 6], call, { concurrency: "unbounded" }))
  yield* TestClock.adjust("2 seconds")
  yield* Fiber.join(calls)
})

const byQuota = Effect.gen(function*() {
  // Both are taken, or none of them.
  const model = yield* RateLimit.make("model", {
    limits: {
      requests: { kind: "sliding-window", permits: 100, per: "1 minute" },
      tokens: { kind: "token-bucket", permits: 60_000, per: "1 minute" }
    }
  })
  const ask = (prompt: string, used: number) =>
    model.protect(Effect.succeed({ text: `about ${prompt}`, used }), {
      key: "tenant 1", // each tenant has limits of its own
      cost: { tokens: 40_000 }, // the most that this may take
      settle: (exit) => exit._tag === "Success" ? { tokens: exit.value.used } : undefined
    })
  const left = Effect.flatMap(model.left("tenant 1"), (left) => Console.log(JSON.stringify(left)))

  yield* Console.log((yield* ask("limits", 1_500)).text)
  yield* left // the estimate is settled: 1,500 tokens are gone, not 40,000
  yield* ask("everything", 70_000)
  yield* left // this one took more than there was, which is a debt

  const error = yield* Effect.flip(ask("the rest", 100))
  yield* Console.log(error.message)
  yield* TestClock.adjust(error.retryAfter ?? Duration.zero)
  yield* Console.log(`${(yield* ask("the rest", 100)).text}, ${yield* seconds}`)
})

await Effect.runPromise(Effect.andThen(evenly, byQuota).pipe(Effect.provide(TestClock.layer())))
