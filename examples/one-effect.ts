/**
 * Policies around one effect.
 *
 * No service, no layer: a retry, a breaker and a timeout are functions from
 * effect to effect, and stand in the order in which they are written.
 */
import { Console, Effect, Ref, Schema } from "effect"
import { CircuitBreaker, Retry, Timeout } from "effect-resilience"

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const program = Effect.gen(function*() {
  const calls = yield* Ref.make(0)

  // Something that fails twice, hangs once, and then is well.
  const quote = Effect.flatMap(
    Ref.updateAndGet(calls, (n) => n + 1),
    (call) =>
      call <= 2 ? Effect.fail(new Busy()) : call === 3 ? Effect.never : Effect.succeed(`a quote, at call ${call}`)
  )

  // A breaker has state, so it is made once and then used for every call.
  const breaker = yield* CircuitBreaker.make("quotes", { trip: { kind: "consecutive", failures: 5 } })

  const protectedQuote = quote.pipe(
    Timeout.attempt("50 millis"), // next to the work: each attempt has this long
    breaker.protect, // sees every attempt
    Retry.make({ times: 3, backoff: { kind: "exponential", base: "10 millis", cap: "100 millis" } }),
    Timeout.total("2 seconds") // outermost: covers the waits as well
  )

  yield* Console.log(yield* protectedQuote)

  const { calls: counted, state } = yield* breaker.snapshot
  yield* Console.log(`${counted.failure} failures, ${counted.success} success, the circuit is ${state}`)
})

await Effect.runPromise(program)
