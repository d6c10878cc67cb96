/**
 * An adaptive limit: how many calls at once a dependency can bear, found out.
 *
 * The dependency answers up to 12 calls at a time and turns others away. Nobody
 * has told the limit. It starts far too high, comes down, keeps close to what is
 * accepted, and sheds the less important calls first.
 */
import { Console, Effect, Schema } from "effect"
import { AdaptiveLimit, Outcome } from "effect-resilience"

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {
  // What an error says about the dependency: this one has too much to do.
  readonly [Outcome.symbol] = Outcome.overload()
}

const program = Effect.gen(function*() {
  // A limit has state, so it is made once and then used for every call.
  const search = yield* AdaptiveLimit.make("search", { algorithm: { kind: "aimd" }, initial: 100 })

  let inFlight = 0
  const query = Effect.suspend(() => {
    if (inFlight >= 12) return Effect.fail(new Busy())
    inFlight++
    return Effect.ensuring(Effect.sleep("5 millis"), Effect.sync(() => inFlight--))
  })

  // Rounds of 40 calls at once, some more important than others.
  const round = (priority: AdaptiveLimit.Priority, calls: number) =>
    Effect.forEach(
      Array.from({ length: calls }),
      () => Effect.exit(search.protect(query, { priority })),
      { concurrency: "unbounded", discard: true }
    )

  yield* Console.log(`the limit starts at ${(yield* search.snapshot).limit}`)
  for (let n = 0; n < 30; n++) {
    yield* Effect.all([round("critical", 20), round("background", 20)], { concurrency: "unbounded" })
  }
  const { calls, limit } = yield* search.snapshot
  yield* Console.log(`it has come down below 30: ${limit < 30}`)
  const { background, critical } = calls.refused
  yield* Console.log(`background calls were shed more often than critical ones: ${background > critical}`)

  // A share of the limit is all that background calls may use, even when nothing else runs.
  yield* search.reconfigure(AdaptiveLimit.settings({ algorithm: { kind: "aimd" }, min: 10, max: 10 }))
  const held = yield* Effect.forEach(
    Array.from({ length: 8 }),
    () =>
      Effect.forkChild(Effect.exit(search.protect(Effect.never, { priority: "background" })), {
        startImmediately: true
      })
  )
  const refused = held.filter((fiber) => fiber.pollUnsafe() !== undefined).length
  yield* Console.log(`of 8 background calls under a limit of 10, ${refused} are refused`)
})

await Effect.runPromise(program)
