/** A service whose methods run under pipelines: the same interface for its callers. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { CallOptions, Pipeline, PipelineError } from "../Pipeline.ts"
import { OwnErrors } from "./ownErrors.ts"

interface Chosen {
  readonly pipeline: Pipeline<PipelineError> | Context.Key<unknown, Pipeline<PipelineError>>
  readonly mapError?: ((error: PipelineError) => unknown) | undefined
  readonly options?: ((...args: ReadonlyArray<unknown>) => CallOptions<unknown, unknown>) | undefined
}

export type Protections = Readonly<Record<string, Chosen | Chosen["pipeline"]>>

const isChosen = (protection: Chosen | Chosen["pipeline"]): protection is Chosen => "pipeline" in protection

export const protectService = <I, S extends object>(
  tag: Context.Key<I, S>,
  protections: Protections
): Layer.Layer<I, never, I> =>
  Layer.effect(
    tag,
    Effect.gen(function*() {
      const service = yield* tag
      const methods: Record<string, PropertyDescriptor> = {}
      for (const [name, protection] of Object.entries(protections)) {
        const { mapError, options, pipeline } = isChosen(protection) ? protection : { pipeline: protection }
        const protect = guard(
          name,
          // a pipeline that is a service is in the context, as the type of `Pipeline.protectService` says
          Context.isKey(pipeline) ? yield* (pipeline as Context.Key<I, Pipeline<PipelineError>>) : pipeline,
          mapError,
          options
        )
        const method: unknown = Reflect.get(service, name)
        methods[name] = {
          value: typeof method === "function"
            ? (...args: ReadonlyArray<unknown>) => protect(Reflect.apply(method, service, args), args)
            : protect(method, []),
          enumerable: true,
          configurable: true,
          writable: true
        }
      }
      return Object.create(Object.getPrototypeOf(service), {
        ...Object.getOwnPropertyDescriptors(service),
        ...methods
      })
    })
  )

/** Protects what a method answers with: an effect or a stream, and nothing else. */
const guard = (
  name: string,
  pipeline: Pipeline<PipelineError>,
  mapError: Chosen["mapError"],
  optionsOf: Chosen["options"]
) => {
  const own = new OwnErrors(pipeline.settings)
  const mapped = (error: unknown) => mapError !== undefined && own.has(error) ? mapError(error) : error
  return (answer: unknown, args: ReadonlyArray<unknown>): unknown => {
    const options = { operation: name, ...optionsOf?.(...args) }
    if (Effect.isEffect(answer)) return Effect.mapError(pipeline.protect(answer, options), mapped)
    if (Stream.isStream(answer)) return Stream.mapError(pipeline.protectStream(answer, options), mapped)
    return answer
  }
}
