/** A service whose methods run under pipelines: the same interface for its callers. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { CallOptions, Pipeline, PipelineError } from "../Pipeline.ts"
import { onlyKeys } from "./options.ts"
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
      const methods = new Map<PropertyKey, unknown>()
      for (const [name, protection] of Object.entries(protections)) {
        if (isChosen(protection)) {
          onlyKeys(`Pipeline.protectService: ${name}`, protection, ["pipeline", "mapError", "options"])
        }
        const chosen: Chosen = isChosen(protection) ? protection : { pipeline: protection }
        const { pipeline } = chosen
        // a pipeline that is a service is in the context, as the type of `Pipeline.protectService` says
        const made = Context.isKey(pipeline) ? yield* (pipeline as Context.Key<I, Pipeline<PipelineError>>) : pipeline
        const protect = guard(name, made, chosen)
        const method: unknown = Reflect.get(service, name)
        methods.set(
          name,
          typeof method === "function"
            ? (...args: ReadonlyArray<unknown>) => protect(Reflect.apply(method, service, args), args)
            : protect(method, [])
        )
      }
      return over(service, methods)
    })
  )

/** Protects what a method answers with: an effect or a stream, and nothing else. */
const guard = (name: string, pipeline: Pipeline<PipelineError>, { mapError, options: optionsOf }: Chosen) => {
  const mapping = (operation: string | undefined) => (error: unknown) =>
    mapError !== undefined && new OwnErrors(pipeline.settings, operation).has(error) ? mapError(error) : error
  return (answer: unknown, args: ReadonlyArray<unknown>): unknown => {
    // made when the answer is run, so that options that throw are a defect of the call
    const options = () => ({ operation: name, ...optionsOf?.(...args) })
    if (Effect.isEffect(answer)) {
      return Effect.suspend(() => {
        const chosen = options()
        return Effect.mapError(pipeline.protect(answer, chosen), mapping(chosen.operation))
      })
    }
    if (Stream.isStream(answer)) {
      return Stream.suspend(() => {
        const chosen = options()
        return Stream.mapError(pipeline.protectStream(answer, chosen), mapping(chosen.operation))
      })
    }
    return answer
  }
}

/**
 * The service with some methods in place of its own. All others run on the service
 * itself, which may be an instance with private fields, or a proxy. What stands for
 * it has no properties of its own, so that a frozen service binds it to nothing.
 */
const over = <S extends object>(service: S, methods: ReadonlyMap<PropertyKey, unknown>): S => {
  const bound = new WeakMap<object, unknown>()
  const get = (key: PropertyKey): unknown => {
    if (methods.has(key)) return methods.get(key)
    const value: unknown = Reflect.get(service, key)
    // what is a property of the service itself needs no `this`, and may have properties
    if (typeof value !== "function" || key === "constructor" || Object.hasOwn(service, key)) return value
    const known = bound.get(value)
    if (known !== undefined) return known
    const made: unknown = value.bind(service)
    bound.set(value, made)
    return made
  }
  return new Proxy<S>(Object.create(Object.getPrototypeOf(service)), {
    get: (_, key) => get(key),
    set: (_, key, value) => Reflect.set(service, key, value),
    has: (_, key) => Reflect.has(service, key),
    ownKeys: () => Reflect.ownKeys(service),
    getOwnPropertyDescriptor: (_, key) => {
      const own = Reflect.getOwnPropertyDescriptor(service, key)
      return own && { value: get(key), writable: true, enumerable: own.enumerable === true, configurable: true }
    }
  })
}
