/**
 * Streams under protection: an answer that arrives word by word.
 *
 * A stream is opened again until its first element has come, and never after. One
 * that falls silent fails, and its failure is the breaker's to see.
 */
import { Console, Effect, Schema, Stream } from "effect"
import { CircuitBreaker, Policy, Retry, Streams } from "effect-resilience"

class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}

// A model that cannot be reached at first, answers then, and falls silent in its third answer.
const answers = [
  Stream.fail(new Unreachable()),
  Stream.make("It", "depends."),
  Stream.concat(Stream.make("Let", "me"), Stream.never)
]
let openings = 0
const model = Stream.suspend(() => answers[openings++] ?? Stream.empty)

const program = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make("model", {
    trip: { kind: "count", failures: 2, window: { calls: 10 } },
    open: "1 minute"
  })

  const ask = model.pipe(
    // next to the source: how long to wait for the first word, and for each further one
    Streams.timeout({ firstElement: "5 seconds", idle: "50 millis" }),
    // around it: held from the opening to the end
    Streams.protect(
      Policy.compose(
        Retry.make({ times: 2, backoff: { kind: "constant", delay: "10 millis" } }),
        breaker.protect
      )
    ),
    Stream.runForEach((word) => Console.log(`  ${word}`)),
    Effect.catch((error) => Console.log(`  ${error._tag}`))
  )

  yield* Console.log("the first attempt fails before it has said anything, and is retried:")
  yield* ask
  yield* Console.log("this one falls silent after two words, and is not:")
  yield* ask
  yield* Console.log("two failures have opened the circuit:")
  yield* ask
  yield* Console.log(`the model was asked ${openings} times`)
})

await Effect.runPromise(program)
