/**
 * Timeouts belong to the dependency, a deadline to whoever waits.
 *
 * An attempt timeout and a total timeout bound a call; a deadline of the caller's
 * makes both shorter, and is not held against the dependency.
 */
import { Console, Effect } from "effect"
import { CircuitBreaker, Deadline, Policy, Retry, Timeout } from "effect-resilience"

const program = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make("quotes", { trip: { kind: "consecutive", failures: 3 } })

  // From the outside in. The breaker is told what an attempt may take.
  const quotes = Policy.compose(
    Timeout.total("200 millis"),
    Retry.make({ times: 1, backoff: { kind: "constant", delay: "10 millis" } }),
    (self) => breaker.protect(self, { attemptTimeout: "50 millis" }),
    Timeout.attempt("50 millis")
  )

  let begun = 0
  const hanging = Effect.andThen(Effect.sync(() => begun++), Effect.never)

  const late = yield* Effect.flip(quotes(hanging))
  yield* Console.log(`${late.message}, ${begun} times`)
  yield* Console.log(`failures: ${(yield* breaker.snapshot).calls.failure}`)

  // A caller in a hurry gives up sooner. The dependency had less time than it may need, so nothing is counted.
  const hurried = yield* Effect.flip(quotes(hanging).pipe(Deadline.within("20 millis")))
  yield* Console.log(hurried._tag)
  yield* Console.log(`failures: ${(yield* breaker.snapshot).calls.failure}`)

  // The work can ask how much time is left, for example to tell the server.
  const left = yield* Deadline.remaining.pipe(Deadline.within("1 minute"))
  yield* Console.log(`time is limited: ${left._tag === "Some"}`)
})

await Effect.runPromise(program)
