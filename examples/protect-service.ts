/**
 * A language model under protection, and nobody who uses it has to change.
 *
 * The program is written against Effect's `LanguageModel`. A layer puts two of its
 * methods under a pipeline: rate limits are waited out, slips of the model are
 * tried again, an exhausted account is not, and a stream that falls silent fails.
 */
import { Console, Effect, Layer, Stream } from "effect"
import { Pipeline, Profile, Resilience } from "effect-resilience"
import { AiError, LanguageModel } from "effect/ai"

// The options of `Profile.languageModel`, with shorter times.
class Llm extends Pipeline.Service<Llm>()("llm", {
  ...Profile.languageModel,
  retry: { times: 3, backoff: { kind: "exponential", base: "10 millis" } },
  streams: { firstElement: "1 second", idle: "50 millis" }
}) {}

// Callers know `AiError`, so what the pipeline adds is told as one.
const mapError = (error: Pipeline.PipelineError) =>
  new AiError.AiError({
    module: "Llm",
    method: error._tag,
    reason: new AiError.InternalProviderError({ description: error.message })
  })

const Safe = Pipeline.protectService(LanguageModel.LanguageModel, {
  generateText: { pipeline: Llm, mapError },
  streamText: { pipeline: Llm, mapError }
})

// A provider that is busy at first, then answers, and at last has no more credit. Its streams fall silent.
const failing = (reason: AiError.AiErrorReason) =>
  Effect.fail(new AiError.AiError({ module: "Provider", method: "generateText", reason }))

let requests = 0
const Provider = Layer.effect(
  LanguageModel.LanguageModel,
  LanguageModel.make({
    generateText: () =>
      Effect.suspend(() => {
        requests++
        if (requests === 1) return failing(new AiError.RateLimitError({}))
        if (requests === 2) return failing(new AiError.InternalProviderError({ description: "overloaded" }))
        if (requests === 3) return Effect.succeed([{ type: "text", text: "A circuit breaker is a switch." }])
        return failing(new AiError.QuotaExhaustedError({}))
      }),
    streamText: () =>
      Stream.concat(
        Stream.make({ type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: "A bulk" }),
        Stream.never
      )
  })
)

// The program knows nothing of all this.
const program = Effect.gen(function*() {
  const model = yield* LanguageModel.LanguageModel
  const answer = yield* model.generateText({ prompt: "What is a circuit breaker?" })
  yield* Console.log(`${answer.text} (request ${requests})`)

  const exhausted = yield* Effect.flip(model.generateText({ prompt: "And a bulkhead?" }))
  yield* Console.log(`${exhausted.reason._tag} (request ${requests}, not repeated)`)

  const silent = yield* model.streamText({ prompt: "And a bulkhead?" }).pipe(
    Stream.runForEach((part) => part.type === "text-delta" ? Console.log(part.delta) : Effect.void),
    Effect.flip
  )
  yield* Console.log(silent.reason.message)
})

const Model = Safe.pipe(Layer.provide(Provider), Layer.provide(Llm.layer), Layer.provide(Resilience.layer))

await Effect.runPromise(Effect.provide(program, Model))
