import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Pipeline, Resilience, type ResilienceEvent } from "../../src/index.ts"
import { brief, drive, listen } from "../support.ts"

class ModelError extends Schema.TaggedError<ModelError>()("ModelError", { reason: Schema.String }) {}

class Model extends Context.Service<Model, {
  readonly name: string
  readonly ask: (question: string) => Effect.Effect<string, ModelError>
  readonly tell: (question: string) => Stream.Stream<string, ModelError>
  readonly version: Effect.Effect<number, ModelError>
  readonly echo: <A>(a: A) => Effect.Effect<A, ModelError>
}>()("Model") {}

/** A model whose methods fail so many times, and remember on what they were called. */
class Flaky {
  readonly name = "flaky"
  failures: number
  readonly calls: Array<string> = []
  constructor(failures: number) {
    this.failures = failures
  }
  private answer<A>(method: string, a: A) {
    return Effect.suspend(() => {
      this.calls.push(method)
      return this.failures-- > 0 ? Effect.fail(new ModelError({ reason: method })) : Effect.succeed(a)
    })
  }
  ask(question: string) {
    return this.answer("ask", `${question}!`)
  }
  tell(question: string) {
    return Stream.unwrap(this.answer("tell", Stream.make(question, "!")))
  }
  get version() {
    return this.answer("version", 1)
  }
  echo<A>(a: A) {
    return this.answer("echo", a)
  }
}

class Patient extends Pipeline.Service<Patient>()("patient", {
  retry: { times: 3 },
  circuitBreaker: { trip: { kind: "consecutive", failures: 3 } }
}) {}

class Remembering extends Pipeline.Service<Remembering>()("remembering", {
  cache: { strategy: "cache-first", fresh: "1 minute" }
}) {}

const asked = new Set<string>()

const mapError = (error: Pipeline.PipelineError) => new ModelError({ reason: error._tag })

const Safe = Pipeline.protectService(Model, {
  ask: { pipeline: Patient, mapError },
  tell: { pipeline: Patient, mapError, options: () => ({ operation: "telling" }) },
  version: { pipeline: Patient, mapError },
  echo: { pipeline: Patient, mapError, options: () => ({ idempotent: false }) }
})

const over = (model: Flaky) =>
  Safe.pipe(
    Layer.provide(Layer.succeed(Model, model)),
    Layer.provide(Patient.layer),
    Layer.provideMerge(Resilience.layerTest())
  )

describe("Pipeline.protectService", () => {
  it.effect("protects effects, streams and plain effects, and leaves the rest as it is", () =>
    Effect.gen(function*() {
      const model = yield* Model
      assert.strictEqual(yield* model.ask("why"), "why!")
      assert.deepStrictEqual(yield* Stream.runCollect(model.tell("how")), ["how", "!"])
      assert.strictEqual(yield* model.version, 1)
      assert.strictEqual(model.name, "flaky")
    }).pipe(Effect.provide(over(new Flaky(2)))))

  it.effect("gives each call its own errors, mapped to those that callers know", () => {
    const model = new Flaky(Infinity)
    return Effect.gen(function*() {
      const { ask, echo } = yield* Model
      assert.deepStrictEqual(yield* Effect.flip(ask("why")), new ModelError({ reason: "ask" }))
      assert.strictEqual(model.calls.length, 3)
      assert.deepStrictEqual(yield* Effect.flip(echo(1)), new ModelError({ reason: "CircuitOpen" }))
    }).pipe(Effect.provide(over(model)))
  })

  it.effect("names operations after methods, and takes options from their arguments", () => {
    const model = new Flaky(1)
    return Effect.gen(function*() {
      const events: ReadonlyArray<ResilienceEvent.ResilienceEvent> = yield* listen(yield* Resilience.Resilience, {
        attempts: true
      })
      const { ask, echo, tell } = yield* Model
      const { exit } = yield* drive(Effect.exit(echo("once")))
      assert.strictEqual(model.calls.length, 1)
      assert.strictEqual(brief(exit), exit._tag === "Success" ? exit.value : undefined)
      yield* ask("why")
      yield* Stream.runDrain(tell("how"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(events.flatMap((_) => _._tag === "Attempted" ? [_.operation] : []), [
        "echo",
        "ask",
        "telling"
      ])
    }).pipe(Effect.provide(over(model)))
  })

  it.effect("answers from a cache and by a fallback, as the options of a method say", () =>
    Effect.gen(function*() {
      const model = yield* Model
      assert.strictEqual(yield* model.ask("why"), "why!")
      assert.strictEqual(yield* model.ask("why"), "why!")
      assert.strictEqual(yield* model.ask("how"), "I do not know")
    }).pipe(Effect.provide(
      Pipeline.protectService(Model, {
        ask: {
          pipeline: Remembering,
          mapError,
          options: (question) => ({
            cache: { key: [question], schema: Schema.String },
            fallback: () => Effect.succeed("I do not know")
          })
        }
      }).pipe(
        Layer.provide(Layer.succeed(Model, {
          ...new Flaky(0),
          ask: (question) =>
            question === "why" && !asked.has(question)
              ? Effect.sync(() => asked.add(question) && `${question}!`)
              : Effect.fail(new ModelError({ reason: "down" })),
          tell: () => Stream.empty,
          version: Effect.succeed(1),
          echo: Effect.succeed
        })),
        Layer.provide(Remembering.layer),
        Layer.provide(Resilience.layerTest())
      )
    )))

  it.effect("refuses options of a method that there are not", () =>
    Effect.gen(function*() {
      const misspelt = { ask: { pipeline: Patient, mapError, option: () => ({}) } }
      const layer = Pipeline.protectService(Model, misspelt).pipe(
        Layer.provide(Layer.succeed(Model, new Flaky(0))),
        Layer.provide(Patient.layerTest())
      )
      const exit = yield* Effect.exit(Effect.provide(Model, layer))
      assert.include(String(exit), "Pipeline.protectService: ask: unknown option \"option\"")
    }))
})
