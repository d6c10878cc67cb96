/**
 * Fallbacks: what to answer when the work has failed.
 *
 * A handler is a function from an error to an effect. The types say what it
 * leaves: an error that is handled is gone from them, one that is not stays.
 */
import { Console, Effect, Schema } from "effect"
import { CircuitBreaker, Fallback, Outcome } from "effect-resilience"

class Offline extends Schema.TaggedError<Offline>()("Offline", { model: Schema.String }) {}

/** Nothing is wrong with the service; the customer has to know. */
class QuotaUsedUp extends Schema.TaggedError<QuotaUsedUp>()("QuotaUsedUp", {}) {
  readonly [Outcome.symbol] = Outcome.success
}

const model = (name: string, isUp: boolean): Effect.Effect<string, Offline> =>
  isUp ? Effect.succeed(`an answer by ${name}`) : Effect.fail(new Offline({ model: name }))

const program = Effect.gen(function*() {
  // Fail open: a substitute.
  const suggestions = model("large", false).pipe(Fallback.orElse(Fallback.value("no suggestions")))
  yield* Console.log(`value: ${yield* suggestions}`)

  // Other providers, in order. What the chain leaves is what its last provider fails with.
  const answer = model("large", false).pipe(
    Fallback.orElse(Fallback.chain(
      Fallback.effect(model("medium", false)),
      Fallback.effect(model("small", true))
    ))
  )
  yield* Console.log(`chain: ${yield* answer}`)

  // Best effort: log and go on.
  const mail = model("mailer", false).pipe(
    Fallback.orElse((error) => Console.log(`best effort: ${error.model} is offline, going on`))
  )
  yield* mail

  // A breaker that is open answers from the fallback, at once; any other error stays in the type, and is passed on.
  const breaker = yield* CircuitBreaker.make("large", { trip: { kind: "consecutive", failures: 1 } })
  const guarded = breaker.protect(model("large", false)).pipe(
    Fallback.orElse(Fallback.on(["CircuitOpen"], Fallback.value("a stored answer")))
  )
  const first = yield* Effect.flip(guarded) // an Offline: the only error that is left
  yield* Console.log(`on: ${first._tag} is passed on, then ${yield* guarded}`)

  // What must not be masked is left alone.
  const metered: Effect.Effect<string, Offline | QuotaUsedUp> = Effect.fail(new QuotaUsedUp())
  const masked = metered.pipe(Fallback.orElse(Fallback.except(["QuotaUsedUp"], Fallback.value("a free answer"))))
  yield* Console.log(`except: ${(yield* Effect.flip(masked))._tag} is passed on`)
})

await Effect.runPromise(program)
