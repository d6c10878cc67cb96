/**
 * A throttle: refuse calls here that would be refused there.
 *
 * A mail service accepts a third of what it is sent. A throttle learns that and
 * refuses the better part of the rest itself, by chance, so that the service is
 * left in peace. Once it accepts everything, so does the throttle, little by
 * little.
 */
import { Console, Effect, Random, Schema } from "effect"
import { Outcome, Throttle } from "effect-resilience"

class TooMany extends Schema.TaggedError<TooMany>()("TooMany", {}) {
  // What an error says about the dependency: this one has too much to do.
  readonly [Outcome.symbol] = Outcome.overload()
}

const program = Effect.gen(function*() {
  // A throttle has state, so it is made once and then used for every call.
  // With a target of 0.5 it sends about twice as much as is accepted.
  const mail = yield* Throttle.make("mail", { target: 0.5 })

  // The service accepts some calls of every three.
  let sent = 0
  const send = (accepts: number) =>
    mail.protect(Effect.suspend(() => ++sent % 3 < accepts ? Effect.void : Effect.fail(new TooMany())))

  const share = (part: number) => `${Math.round(part * 100)} %`

  const calls = Effect.fnUntraced(function*(what: string, accepts: number, made: number) {
    const before = sent
    for (let n = 0; n < made; n++) yield* Effect.exit(send(accepts))
    const { probability } = yield* mail.snapshot
    yield* Console.log(
      `${what}: ${sent - before} of ${made} calls are sent, the next is refused with ${share(probability)}`
    )
  })

  yield* calls("all are accepted", 3, 100)
  yield* calls("a third is accepted", 1, 1_000)
  yield* calls("a third is accepted", 1, 1_000)
  yield* calls("all are accepted", 3, 1_000)
  yield* calls("all are accepted", 3, 1_000)

  const { calls: counted } = yield* mail.snapshot
  yield* Console.log(`${counted.overload} calls were refused there, ${counted.refused} were refused here`)

  // The formula by itself: of 120 calls 90 were accepted.
  const probability = Throttle.probability(Throttle.settings({ target: 0.9 }), 120, 90)
  yield* Console.log(`with a target of 0.9 the next one would be refused with ${share(probability)}`)
})

// With a seed, chance is the same every time.
await program.pipe(Random.withSeed("mail"), Effect.runPromise)
