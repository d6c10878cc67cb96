/**
 * Chaos: faults on purpose, to see that what stands around them holds.
 *
 * Chance comes from Effect's `Random`, so that a seed replays the same faults: a
 * failure that was found once can be found again.
 */
import { Console, Effect, Random } from "effect"
import { Chaos, Retry, Timeout } from "effect-resilience"

const quote = Effect.succeed("a quote")

// Of ten calls about three fail, one is told to come back later, one dies, and every other one is late.
const chaos = Chaos.make({
  latency: { rate: 0.5, delay: { min: "1 millis", max: "3 millis" } },
  failure: { rate: 0.3 },
  overload: { rate: 0.1, retryAfter: "2 millis" },
  defect: { rate: 0.1 }
})

/** How the calls ended: `.` is a quote, `F` a failure, `O` an overload, `D` a defect. */
const calls = (call: Effect.Effect<string, { readonly fault: string } | { readonly _tag: string }>) =>
  call.pipe(
    Effect.as("."),
    Effect.catchDefect(() => Effect.succeed("D")),
    Effect.catch((error) => Effect.succeed("fault" in error ? (error.fault === "failure" ? "F" : "O") : error._tag)),
    Effect.replicateEffect(40),
    Effect.map((results) => results.join(""))
  )

const program = Effect.gen(function*() {
  // Innermost, next to the work: everything around takes it for the dependency's own doing.
  const bare = calls(chaos(quote))
  yield* Console.log(`monday   ${yield* bare.pipe(Random.withSeed("monday"))}`)
  yield* Console.log(`monday   ${yield* bare.pipe(Random.withSeed("monday"))}`)
  yield* Console.log(`tuesday  ${yield* bare.pipe(Random.withSeed("tuesday"))}`)

  const guarded = quote.pipe(
    Chaos.make({ failure: { rate: 0.3 }, overload: { rate: 0.1, retryAfter: "2 millis" } }),
    Timeout.attempt("1 second"),
    Retry.make({ times: 20, backoff: { kind: "constant", delay: "1 millis" } })
  )
  // Failures and overloads are retried, and nobody notices.
  yield* Console.log(`guarded  ${yield* calls(guarded).pipe(Random.withSeed("monday"))}`)

  // Where it is off, the policy is the identity: nothing is left of it.
  const off = Chaos.make({ enabled: false, failure: { rate: 1 } })
  yield* Console.log(`off      ${off(quote) === quote}`)
})

await Effect.runPromise(program)
