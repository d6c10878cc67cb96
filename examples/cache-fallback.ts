/**
 * Cached answers: what a service has said before, while it does not answer.
 *
 * The strategy decides who is asked, the cache or the service. The answer says
 * where it comes from, how old it is, and whether that is too old to be fresh.
 */
import { Console, Duration, Effect, Schema } from "effect"
import { CacheFallback } from "effect-resilience"
import { TestClock } from "effect/testing"

class Quote extends Schema.Class<Quote>("Quote")({ symbol: Schema.String, price: Schema.Number }) {}
class Offline extends Schema.TaggedError<Offline>()("Offline", {}) {}

const program = Effect.gen(function*() {
  let isUp = true
  let asked = 0
  const fetchQuote = (symbol: string) =>
    Effect.suspend(() => {
      asked++
      return isUp ? Effect.succeed(new Quote({ symbol, price: 40 + asked })) : Effect.fail(new Offline())
    })

  const show = ({ age, isStale, source, value }: CacheFallback.Answer<Quote>) =>
    Console.log(
      `${value.symbol} ${value.price}, from the ${source}, ${Duration.toSeconds(age)} s old${isStale ? ", stale" : ""}`
    )

  // Fresh for a minute; for ten more it may stand in while the service is down.
  const quotes = yield* CacheFallback.make("quotes", {
    strategy: "stale-if-error",
    fresh: "1 minute",
    stale: "10 minutes"
  })
  // The key names the operation and holds every argument. The schema writes the value down, and reads it again.
  const quote = (symbol: string) => quotes.get(fetchQuote(symbol), { key: ["quote", symbol], schema: Quote })

  yield* show(yield* quote("EFX"))
  yield* TestClock.adjust("30 seconds")
  yield* show(yield* quote("EFX"))

  // The service goes down.
  isUp = false
  yield* TestClock.adjust("5 minutes")
  yield* show(yield* quote("EFX"))
  yield* Console.log(`no value of another symbol: ${(yield* Effect.flip(quote("FX")))._tag}`)
  yield* TestClock.adjust("10 minutes")
  yield* Console.log(`too old to be used: ${(yield* Effect.flip(quote("EFX")))._tag}`)

  // A hundred callers at once are one lookup.
  isUp = true
  asked = 0
  yield* Effect.all(Array.from({ length: 100 }, () => quote("EFX")), { concurrency: "unbounded" })
  yield* Console.log(`lookups of 100 callers: ${asked}`)

  // A stale value is used at once, and renewed in the background for the next caller.
  yield* quotes.reconfigure(CacheFallback.settings({ strategy: "stale-while-revalidate", fresh: "1 minute" }))
  yield* TestClock.adjust("2 minutes")
  yield* show(yield* quote("EFX"))
  yield* show(yield* quote("EFX"))
})

// A test clock, so that minutes pass in no time.
await program.pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
