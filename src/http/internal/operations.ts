/** The operations of an API: their names, and the pipeline that each of them runs under. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import { hasProperty } from "effect/Predicate"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as Stream from "effect/Stream"
import { oneOf, within } from "../../internal/options.ts"
import * as Pipeline from "../../Pipeline.ts"
import { OperationPipeline, type Overrides } from "../OperationPipeline.ts"
import * as RequestId from "../RequestId.ts"
import type { CallOptions } from "../ServiceClient.ts"
import * as ServiceError from "../ServiceError.ts"
import type * as current from "./currentExchange.ts"
import * as failures from "./exchangeFailure.ts"
import { withSpan } from "./exchangeSpan.ts"
import { mediaType } from "./headerText.ts"
import { IdempotencyKey, isKey } from "./idempotencyKey.ts"
import { byPath, type OperationPath, own, pathOf } from "./operationPath.ts"
import { holdsKey, isIdempotent } from "./replaySafety.ts"

/** One operation of one service. */
export interface Operation extends current.Operation {
  readonly idempotent: boolean
  /** Whether its calls carry a key, made once for each. */
  readonly keyed: boolean
}

/** One endpoint of an API. */
interface Endpoint extends Operation {
  /** Its group, unless that is at the top level, and its endpoint. */
  readonly path: OperationPath
  /** Whether a good response is a stream, and nothing else. */
  readonly answersWithStream: boolean
}

/** The operations of an API, and the settings of the pipeline that they run under. */
export interface Plan {
  readonly operations: ReadonlyArray<Endpoint>
  readonly pipeline: Pipeline.Settings
}

export const plan = <ApiId extends string, Groups extends HttpApiGroup.Constraint>(
  service: string,
  api: HttpApi.HttpApi<ApiId, Groups>,
  base: Pipeline.Options
): Plan => {
  const planned: Array<Endpoint> = []
  const annotated: Array<readonly [operation: string, Overrides]> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint({ endpoint, errors, group, mergedAnnotations, successes }) {
      const path = pathOf(group, endpoint)
      const operation = path.join(".")
      const overrides = Context.getOrUndefined(mergedAnnotations, OperationPipeline)
      if (overrides !== undefined) annotated.push([operation, overrides])
      // streams and upgraded connections: what carries a tag is no schema of a body
      const streams = [...endpoint.success].filter((success) => hasProperty(bodyOf(success), "_tag"))
      const types = streamTypesOf(streams)
      planned.push({
        service,
        operation,
        path,
        template: endpoint.path,
        streams: streams.length > 0,
        declares: (status) => successes.has(status) || errors.has(status) || types.has(status),
        // where there are other answers of that status, `HttpApiClient` tells them by their types
        streamTypes: (status) => successes.has(status) || status === 101 ? undefined : types.get(status),
        idempotent: overrides?.idempotent ?? isIdempotent(endpoint.method),
        keyed: !isIdempotent(endpoint.method) && Context.get(mergedAnnotations, IdempotencyKey),
        answersWithStream: [...endpoint.success].every(isStreamSchema) && endpoint.success.size > 0
      })
    }
  })
  const pipeline = within(
    `ServiceClient`,
    () => Pipeline.settings(service, { ...base, operations: { ...Object.fromEntries(annotated), ...base.operations } })
  )
  checkOperations(`ServiceClient ${JSON.stringify(service)}`, base.operations, planned)
  return { operations: planned, pipeline }
}

/** Refuses what is said of operations that there are not. */
export const checkOperations = (
  where: string,
  operations: object | undefined,
  planned: ReadonlyArray<Endpoint>
): void => {
  const names = planned.map(({ operation }) => operation)
  for (const name of Object.keys(operations ?? {})) oneOf(where, "the name of an operation", name, names)
}

const bodyOf = (success: Schema.Top): Schema.Top => HttpApiSchema.isWithHeaders(success) ? success.schema : success

/** The types of content that streams have, by status. */
const streamTypesOf = (streams: ReadonlyArray<Schema.Top>): ReadonlyMap<number, ReadonlySet<string>> => {
  const types = new Map<number, Set<string>>()
  for (const stream of streams) {
    const body = bodyOf(stream)
    const declared = hasProperty(body, "contentTypes") && Array.isArray(body.contentTypes)
      ? body.contentTypes
      : undefined
    // an upgraded connection has none
    const status = declared === undefined ? 101 : statusOf(stream) ?? statusOf(body) ?? 200
    const all = types.get(status) ?? new Set()
    for (const type of declared ?? []) all.add(mediaType(String(type)))
    types.set(status, all)
  }
  return types
}

const statusOf = ({ ast }: Schema.Top): number | undefined => SchemaAST.resolveAt<number>("httpApiStatus")(ast)

const isStreamSchema = (schema: unknown): boolean =>
  hasProperty(schema, "_tag") && typeof schema._tag === "string" && schema._tag.startsWith("Stream")

/** Whether a request of a generated method may be sent more than once. */
const mayBeSentAgain = (operation: Operation, request: unknown, options: CallOptions, key: string | undefined) => {
  // the body of a stream can be read once
  if (Stream.isStream(own(request, "payload"))) return false
  return options.idempotent ??
    (operation.idempotent || key !== undefined || holdsKey(Object(own(request, "headers"))))
}

/** What all attempts of a call have in common: the current request's id, or a new one, and a key. */
const begin = (
  operation: Operation,
  { idempotencyKey = operation.keyed }: CallOptions,
  fiber: Fiber.Fiber<unknown, unknown>
): Result.Result<current.Call, ServiceError.RequestInvalid> => {
  const newId = () => RequestId.makeWith(fiber.getRef(Random.Random))
  const requestId = RequestId.parse(fiber.getRef(RequestId.Current)) ?? newId()
  if (typeof idempotencyKey === "string" && !isKey(idempotencyKey)) {
    return Result.fail(
      new ServiceError.RequestInvalid({
        service: operation.service,
        operation: operation.operation,
        requestId,
        mismatches: [
          new ServiceError.Mismatch({
            path: ["idempotencyKey"],
            message: "Expected 1 to 255 printable ASCII characters without spaces"
          })
        ]
      })
    )
  }
  const key = idempotencyKey === true ? newId() : idempotencyKey === false ? undefined : idempotencyKey
  return Result.succeed({ of: operation, requestId, idempotencyKey: key })
}

/**
 * The generated client with every method under the pipeline of its service, in
 * the same shape: by group and endpoint, top-level groups at the root.
 */
export const methods = (
  generated: unknown,
  planned: ReadonlyArray<Endpoint>,
  pipeline: Pipeline.Pipeline<Pipeline.PipelineError>
): object =>
  byPath(planned.map((operation) => {
    // `HttpApiClient` generates a method, of effects that fail with anything, for every endpoint that is reflected
    const method = operation.path.reduce(own, generated) as (request: unknown) => Effect.Effect<unknown, unknown>
    return [operation.path, (operation.answersWithStream ? streaming : answering)(operation, method, pipeline)]
  }))

type Guarded = (
  operation: Operation,
  method: (request: unknown) => Effect.Effect<unknown, unknown>,
  pipeline: Pipeline.Pipeline<Pipeline.PipelineError>
) => (request: unknown, options?: CallOptions) => unknown

/** A method of effects under the pipeline. */
export const answering: Guarded = (operation, method, pipeline) => (request, options = {}) =>
  Effect.withFiber((fiber) => {
    const begun = begin(operation, options, fiber)
    if (Result.isFailure(begun)) return Effect.fail(begun.failure)
    const call = begun.success
    const answer = pipeline.protect(withSpan(Effect.suspend(() => failures.attempt(method(request), call))), {
      operation: operation.operation,
      idempotent: mayBeSentAgain(operation, request, options, call.idempotencyKey)
    })
    return Effect.updateContext(answer, RequestId.adding(call.requestId))
  })

const streaming: Guarded = (operation, method, pipeline) => (request, options = {}) =>
  Stream.unwrap(Effect.withFiber((fiber) => {
    const begun = begin(operation, options, fiber)
    if (Result.isFailure(begun)) return Effect.fail(begun.failure)
    const call = begun.success
    // `HttpApiClient` answers with a stream where no success is anything else
    const open = withSpan(
      Effect.suspend(() => method(request) as Effect.Effect<Stream.Stream<unknown, unknown>, unknown>)
    )
    return Effect.succeed(pipeline.protectStream(failures.attemptStream(open, call), {
      operation: operation.operation,
      idempotent: mayBeSentAgain(operation, request, options, call.idempotencyKey)
    }))
  }))
