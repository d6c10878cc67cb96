/** The operations of an API: their names, and the pipeline that each of them runs under. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import { hasProperty } from "effect/Predicate"
import * as Stream from "effect/Stream"
import { within } from "../../internal/options.ts"
import * as Pipeline from "../../Pipeline.ts"
import { OperationPipeline, type Overrides } from "../OperationPipeline.ts"
import type { CallOptions } from "../ServiceClient.ts"
import { attempt as runAttempt, type Operation as Exchanged } from "./exchange.ts"
import { holdsKey, isIdempotent } from "./replaySafety.ts"

/** One operation of one service. */
export interface Operation extends Exchanged {
  /** Its group, unless that is at the top level, and its endpoint. */
  readonly path: readonly [group: string, endpoint: string] | readonly [endpoint: string]
  readonly idempotent: boolean
}

/** The operations of an API, and the settings of the pipeline that they run under. */
export interface Plan {
  readonly operations: ReadonlyArray<Operation>
  readonly pipeline: Pipeline.Settings
}

export const plan = <ApiId extends string, Groups extends HttpApiGroup.Constraint>(
  service: string,
  api: HttpApi.HttpApi<ApiId, Groups>,
  base: Pipeline.Options
): Plan => {
  const planned: Array<Operation> = []
  const annotated: Array<readonly [operation: string, Overrides]> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint({ endpoint, errors, group, mergedAnnotations, successes }) {
      const path = group.topLevel
        ? [endpoint.identifier] as const
        : [group.identifier, endpoint.identifier] as const
      const operation = path.join(".")
      const overrides = Context.getOrUndefined(mergedAnnotations, OperationPipeline)
      if (overrides !== undefined) annotated.push([operation, overrides])
      const isStream = streams(endpoint)
      planned.push({
        service,
        operation,
        path,
        streams: isStream,
        declares: (status) => successes.has(status) || errors.has(status) || (isStream && status < 400),
        idempotent: overrides?.idempotent ?? isIdempotent(endpoint.method)
      })
    }
  })
  const pipeline = within(
    `ServiceClient`,
    () => Pipeline.settings(service, { ...base, operations: { ...Object.fromEntries(annotated), ...base.operations } })
  )
  return { operations: planned, pipeline }
}

const streams = (endpoint: HttpApiEndpoint.Top): boolean =>
  [...endpoint.success].some((schema) => {
    const body: unknown = HttpApiSchema.isWithHeaders(schema) ? schema.schema : schema
    // streams and upgraded connections: what carries a tag is no schema of a body
    return hasProperty(body, "_tag")
  })

/** Whether a request of a generated method may be sent more than once. */
const mayBeSentAgain = (operation: Operation, request: unknown, options: CallOptions | undefined): boolean => {
  // the body of a stream can be read once
  if (Stream.isStream(own(request, "payload"))) return false
  return options?.idempotent ?? (operation.idempotent || holdsKey(Object(own(request, "headers"))))
}

/**
 * The generated client with every method under the pipeline of its service, in
 * the same shape: by group and endpoint, top-level groups at the root.
 */
export const methods = (
  generated: unknown,
  planned: ReadonlyArray<Operation>,
  pipeline: Pipeline.Pipeline<Pipeline.PipelineError>
): object => {
  const root: Record<string, unknown> = {}
  for (const operation of planned) {
    // `HttpApiClient` generates a method, of effects that fail with anything, for every endpoint that is reflected
    const method = operation.path.reduce(own, generated) as (request: unknown) => Effect.Effect<unknown, unknown>
    const [first, second] = operation.path
    const group = second === undefined ? root : own(root, first) ?? {}
    define(group, second ?? first, (request: unknown, options?: CallOptions) => {
      const attempt = Effect.suspend(() => runAttempt(method(request), operation))
      return pipeline.protect(attempt, {
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
