/**
 * A pipeline as a service, used by name.
 *
 * The policies are data; their state belongs to `Resilience`, which is provided
 * once. Whoever uses the pipeline of that name meets the same breaker.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { Pipeline, Resilience } from "effect-resilience"

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

class Quotes extends Pipeline.Service<Quotes>()("quotes", {
  totalTimeout: "5 seconds",
  retry: { times: 1, backoff: { kind: "constant", delay: "10 millis" } },
  circuitBreaker: { trip: { kind: "consecutive", failures: 4 }, open: "100 millis" },
  attemptTimeout: "1 second"
}) {}

let isWell = false
const fetchQuote = Effect.suspend(() => isWell ? Effect.succeed("a quote") : Effect.fail(new Refused()))

/** What the rest of the program calls. Its errors: Refused, CircuitOpen, TimedOut, DeadlineExceeded. */
const quote = Effect.flatMap(Quotes, (quotes) => quotes.protect(fetchQuote, { operation: "latest" })).pipe(
  Effect.catchTags({
    Refused: () => Effect.succeed("no quote: the service refuses"),
    CircuitOpen: () => Effect.succeed("no quote: nobody was even asked")
  })
)

const program = Effect.gen(function*() {
  const { listen } = yield* Resilience.Resilience
  yield* listen(
    [
      "Attempted",
      "Retrying",
      "RetriesExhausted",
      "Refused",
      "CircuitOpened",
      "CircuitHalfOpened",
      "CircuitClosed"
    ],
    (event) => console.log(`  (${event._tag})`)
  )

  for (let call = 1; call <= 3; call++) yield* Console.log(yield* quote)
  isWell = true
  yield* Effect.sleep("150 millis")
  yield* Console.log(yield* quote)
})

await Effect.runPromise(
  program.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Quotes.layer, Resilience.layer)))
)
