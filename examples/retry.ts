/**
 * What a retry can be told: which errors, how often, how long between, what to
 * do with results that are no answer yet, and whom to keep informed.
 */
import { Console, Duration, Effect, Schema } from "effect"
import { Outcome, Replay, Retry } from "effect-resilience"

class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>()("ServiceUnavailable", {}) {}

class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {}) {
  // an answer: the service is well, and no retry would change it
  readonly [Outcome.symbol] = Outcome.success
}

class Busy extends Schema.TaggedError<Busy>()("Busy", { retryAfter: Schema.DurationFromMillis }) {
  get [Outcome.symbol]() {
    return Outcome.overload({ retryAfter: this.retryAfter })
  }
}

/** Goes through these, one for each call. */
const script = <A, E>(...steps: ReadonlyArray<Effect.Effect<A, E>>) => {
  let call = 0
  return Effect.suspend(() => steps[call++] ?? Effect.die("the script has ended"))
}

const quickly = { kind: "exponential", base: "5 millis", cap: "40 millis" } as const

const program = Effect.gen(function*() {
  yield* Console.log("-- once more, and again, with progress for whoever waits")
  const create = script(
    Effect.fail(new ServiceUnavailable()),
    Effect.fail(new ServiceUnavailable()),
    Effect.succeed("created")
  )
  const created = yield* create.pipe(
    Retry.make({
      times: 3,
      backoff: quickly,
      onRetry: ({ attempt, attempts, reason }) => Console.log(`attempt ${attempt} of ${attempts}: ${reason}`)
    })
  )
  yield* Console.log(created)

  yield* Console.log("-- an answer is no reason to retry, unless it is listed")
  const lookup = () => script(Effect.fail(new NotFound()), Effect.succeed("found"))
  const missing = yield* Effect.flip(Retry.retry(lookup(), { backoff: quickly }))
  yield* Console.log(missing._tag)
  yield* Console.log(yield* Retry.retry(lookup(), { backoff: quickly, retryOn: ["NotFound"] }))

  yield* Console.log("-- what the service asks for is never undercut")
  const busy = script(Effect.fail(new Busy({ retryAfter: Duration.millis(50) })), Effect.succeed("served"))
  const [took, served] = yield* Effect.timed(busy.pipe(Retry.make({ backoff: quickly })))
  yield* Console.log(`${served}, ${Duration.toMillis(took) >= 50 ? "not before 50 ms" : "too soon"}`)

  yield* Console.log("-- a result may be retried as well, and given back")
  const opened = script(Effect.succeed("connection 1, stale"), Effect.succeed("connection 2"))
  const connection = yield* Retry.retry(opened, {
    backoff: quickly,
    retryIf: (name) => name.endsWith("stale"),
    dispose: (name) => Console.log(`closed ${name}`)
  })
  yield* Console.log(connection)

  yield* Console.log("-- a typed error where all attempts are used up")
  const down = Effect.fail(new ServiceUnavailable())
  const exhausted = yield* Effect.flip(Retry.retry(down, { times: 2, backoff: quickly, onExhausted: "wrap" }))
  yield* Console.log(exhausted._tag, exhausted._tag === "RetriesExhausted" ? exhausted.attempts : "")

  yield* Console.log("-- work that has done something does not run again")
  const pay = Effect.gen(function*() {
    yield* Console.log("paying")
    yield* Replay.commit
    return yield* new ServiceUnavailable()
  })
  const unpaid = yield* Effect.flip(pay.pipe(Retry.make({ times: 5, backoff: quickly })))
  yield* Console.log(unpaid._tag)
})

await Effect.runPromise(program)
