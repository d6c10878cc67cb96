/** The operations of an API: their names, and the pipeline that each of them runs under. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import { hasProperty } from "effect/Predicate"
import * as Stream from "effect/Stream"
import { onlyKeys, within } from "../../internal/options.ts"
import * as Pipeline from "../../Pipeline.ts"
import { OperationPipeline, type Overrides } from "../OperationPipeline.ts"
import type { CallOptions } from "../ServiceClient.ts"
import { attempt as runAttempt, type Operation as Exchanged } from "./exchange.ts"
import { holdsKey, isIdempotent } from "./replaySafety.ts"

/** One operation of one service, and how it is run. */
export interface Operation extends Exchanged {
  /** Its group, unless that is at the top level, and its endpoint. */
  readonly path: readonly [group: string, endpoint: string] | readonly [endpoint: string]
  /** Shared by all operations that change nothing. */
  readonly pipeline: Pipeline.Settings
  readonly idempotent: boolean
}

/** The operations of an API, each with its pipeline checked. */
export const plan = <ApiId extends string, Groups extends HttpApiGroup.Constraint>(
  service: string,
  api: HttpApi.HttpApi<ApiId, Groups>,
  base: Pipeline.Options
): ReadonlyArray<Operation> => {
  const shared = Pipeline.settings(service, base)
  const planned: Array<Operation> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint({ endpoint, errors, group, mergedAnnotations, successes }) {
      const path = group.topLevel
        ? [endpoint.identifier] as const
        : [group.identifier, endpoint.identifier] as const
      const operation = path.join(".")
      const { idempotent, ...overrides } = Context.getOrUndefined(mergedAnnotations, OperationPipeline) ?? {}
      const isChanged = Object.keys(overrides).length > 0
      const isStream = streams(endpoint)
      planned.push({
        service,
        operation,
        path,
        streams: isStream,
        declares: (status) => successes.has(status) || errors.has(status) || (isStream && status < 400),
        pipeline: isChanged ? override(service, operation, base, overrides) : shared,
        idempotent: idempotent ?? isIdempotent(endpoint.method)
      })
    }
  })
  return planned
}

const streams = (endpoint: HttpApiEndpoint.Top): boolean =>
  [...endpoint.success].some((schema) => {
    const body: unknown = HttpApiSchema.isWithHeaders(schema) ? schema.schema : schema
    // streams and upgraded connections: what carries a tag is no schema of a body
    return hasProperty(body, "_tag")
  })

const isThere = (part: unknown): boolean => part !== undefined && part !== false

/** The pipeline of an operation that changes something about its service's. */
const override = (
  service: string,
  operation: string,
  base: Pipeline.Options,
  overrides: Omit<Overrides, "idempotent">
): Pipeline.Settings => {
  const where = `ServiceClient ${JSON.stringify(service)}, operation ${JSON.stringify(operation)}`
  const { attemptTimeout, circuitBreaker, retry, totalTimeout } = overrides
  onlyKeys(where, overrides, ["totalTimeout", "retry", "circuitBreaker", "attemptTimeout", "idempotent"])
  for (const part of ["totalTimeout", "retry", "circuitBreaker", "attemptTimeout"] as const) {
    if (isThere(overrides[part]) && !isThere(base[part])) {
      throw new RangeError(`${where}: it cannot add ${part}, which the service's pipeline does not have`)
    }
  }
  if (retry && retry.onExhausted === "wrap" && !(base.retry && base.retry.onExhausted === "wrap")) {
    throw new RangeError(`${where}: it cannot add onExhausted "wrap", which the service's pipeline does not have`)
  }
  const settings = within(where, () =>
    Pipeline.settings(service, {
      ...base,
      ...(totalTimeout === undefined ? {} : { totalTimeout }),
      ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
      ...(retry === undefined ? {} : { retry: retry && { ...base.retry, ...retry } }),
      ...(circuitBreaker === undefined
        ? {}
        : { circuitBreaker: circuitBreaker && { ...base.circuitBreaker, ...circuitBreaker } })
    }))
  return circuitBreaker === undefined ? settings : { ...settings, breakerName: `${service}/${operation}` }
}

/** Whether a request of a generated method may be sent more than once. */
const mayBeSentAgain = (operation: Operation, request: unknown, options: CallOptions | undefined): boolean => {
  // the body of a stream can be read once
  if (Stream.isStream(own(request, "payload"))) return false
  return options?.idempotent ?? (operation.idempotent || holdsKey(Object(own(request, "headers"))))
}

/** Makes the pipeline of every operation. Operations with the same settings share one. */
export const pipelines = Effect.fnUntraced(function*(planned: ReadonlyArray<Operation>) {
  const made = new Map<Pipeline.Settings, Pipeline.Pipeline<Pipeline.PipelineError>>()
  for (const { pipeline } of planned) {
    if (!made.has(pipeline)) made.set(pipeline, yield* Pipeline.fromSettings(pipeline))
  }
  return made
})

/**
 * The generated client with every method under the pipeline of its operation, in
 * the same shape: by group and endpoint, top-level groups at the root.
 */
export const methods = (
  generated: unknown,
  planned: ReadonlyArray<Operation>,
  pipelines: ReadonlyMap<Pipeline.Settings, Pipeline.Pipeline<Pipeline.PipelineError>>
): object => {
  const root: Record<string, unknown> = {}
  for (const operation of planned) {
    const pipeline = pipelines.get(operation.pipeline)
    // `HttpApiClient` generates a method, of effects that fail with anything, for every endpoint that is reflected
    const method = operation.path.reduce(own, generated) as (request: unknown) => Effect.Effect<unknown, unknown>
    const [first, second] = operation.path
    const group = second === undefined ? root : own(root, first) ?? {}
    define(group, second ?? first, (request: unknown, options?: CallOptions) => {
      const attempt = Effect.suspend(() => runAttempt(method(request), operation))
      return pipeline === undefined ? attempt : pipeline.protect(attempt, {
        operation: operation.operation,
        idempotent: mayBeSentAgain(operation, request, options)
      })
    })
    if (second !== undefined) define(root, first, group)
  }
  return root
}

// an endpoint may be called anything, `__proto__` too
const own = (object: unknown, key: string): unknown =>
  Object.hasOwn(Object(object), key) ? Object(object)[key] : undefined

const define = (object: object, key: string, value: unknown): void => {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true })
}
