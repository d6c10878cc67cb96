/**
 * A typed client of a service, under a pipeline, from the `HttpApi` that
 * describes the service.
 *
 * The pipeline goes around the whole generated method: encoding, exchange,
 * reading, decoding. So a request that does not match its schema never leaves, a
 * response that does not match is a failed call like any other, and the timeouts
 * cover the body.
 *
 * Every request carries the id of the request that is being worked on
 * (`RequestId`), the time that is left (`DeadlineHeader`), and the token of one's
 * own services where there is one (`InternalToken`). An answer that the API does
 * not describe is an error of the kind that its status says (`Problem`).
 *
 * An endpoint whose success is a stream, server-sent events among them, answers
 * with a `Stream`: permits and probes are held until it ends, and it is opened
 * again, where a retry may, until its first element. One that has other answers or
 * headers beside the stream is protected until its headers have come: no limit of
 * `streams` holds after that, so put `Streams.timeout` around what it answers with.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Sse from "effect/encoding/Sse"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Simplify } from "effect/Types"
import { oneOf, onlyKeys } from "../internal/options.ts"
import * as Pipeline from "../Pipeline.ts"
import * as Resilience from "../Resilience.ts"
import type { BaseUrl, Services } from "./BaseUrl.ts"
import type { Fault } from "./Fault.ts"
import { type Status, Statuses } from "./internal/clientStatus.ts"
import * as connections from "./internal/connection.ts"
import * as inMemory from "./internal/inMemory.ts"
import * as operations from "./internal/operations.ts"
import { checkFaults, withFaults } from "./internal/scriptedFaults.ts"
import type { InternalToken } from "./InternalToken.ts"
import type { ServiceError } from "./ServiceError.ts"

export {
  /**
   * The annotation of endpoints whose POST and PATCH requests carry a key.
   *
   * @category annotations
   * @since 0.1.0
   */
  IdempotencyKey
} from "./internal/idempotencyKey.ts"

export {
  /**
   * The annotation by which an endpoint, or a whole group, changes the pipeline.
   *
   * @category annotations
   * @since 0.1.0
   */
  OperationPipeline,
  /**
   * What an operation changes about the pipeline of its service.
   *
   * @category models
   * @since 0.1.0
   */
  type Overrides
} from "./OperationPipeline.ts"

export {
  /**
   * How a service is, as its client sees it: for monitoring. It holds no secrets.
   *
   * @category models
   * @since 0.1.0
   */
  Status
} from "./internal/clientStatus.ts"

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** Gives or takes leave to send the request again. Default: by its method and `idempotency-key`. */
  readonly idempotent?: boolean | undefined
  /**
   * Sends an `Idempotency-Key`, the same on every attempt: `true` makes one for
   * this call. A request that has one in its headers keeps that. Default: as the
   * annotation `IdempotencyKey` says.
   */
  readonly idempotencyKey?: boolean | string | undefined
}

/**
 * The method of one endpoint. It answers with an effect, or with a stream where
 * the endpoint has nothing else. Either fails with what the endpoint and its
 * middleware declare, with a `ServiceError`, and with what the pipeline adds: `PE`
 * to effects, `SE` to streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface Method<Endpoint extends HttpApiEndpoint.ConstraintRequest, PE, SE = PE> {
  (
    request: Simplify<
      HttpApiEndpoint.ClientRequest<
        Endpoint["~Params"],
        Endpoint["~Query"],
        Endpoint["~Payload"],
        Endpoint["~Headers"],
        "decoded-only"
      >
    >,
    options?: CallOptions
  ): [HttpApiClient.SuccessType<Endpoint["~Success"]>] extends [Stream.Stream<infer A, infer E>] ? Stream.Stream<
      A,
      | Exclude<E, Raw>
      | Declared<Endpoint>
      | ServiceError
      | SE,
      HttpApiEndpoint.ClientServices<Endpoint>
    >
    : Effect.Effect<
      Answer<HttpApiClient.SuccessType<Endpoint["~Success"]>>,
      Declared<Endpoint> | ServiceError | PE,
      HttpApiEndpoint.ClientServices<Endpoint>
    >
}

/** A stream that is one of several answers, or has headers beside it, ends with the same errors as any other. */
type Answer<A> = A extends Stream.Stream<infer B, infer E, infer R> ?
  Stream.Stream<B, Exclude<E, Raw> | ServiceError, R>
  : A extends HttpApiSchema.withHeaders<infer Body, infer Headers> ? HttpApiSchema.withHeaders<Answer<Body>, Headers>
  : A

type Raw = HttpClientError.HttpClientError | Schema.SchemaError | Sse.SseError | Sse.Retry

type Declared<Endpoint extends HttpApiEndpoint.ConstraintRequest> =
  | Endpoint["~Error"]["Type"]
  | HttpApiMiddleware.Error<Endpoint["~Middleware"]>
  | HttpApiMiddleware.ClientError<Endpoint["~Middleware"]>

type Methods<Endpoints, PE, SE> = {
  readonly [
    Endpoint in Extract<Endpoints, HttpApiEndpoint.ConstraintRequest> as Endpoint["identifier"]
  ]: Method<Endpoint, PE, SE>
}

/**
 * The methods of an API, by group and endpoint; those of top-level groups at the
 * root.
 *
 * @category models
 * @since 0.1.0
 */
export type Client<Groups extends HttpApiGroup.Constraint, PE, SE = PE> = Simplify<
  & {
    readonly [Group in Extract<Groups, { readonly topLevel: false }> as HttpApiGroup.Identifier<Group>]: Methods<
      HttpApiGroup.Endpoints<Group>,
      PE,
      SE
    >
  }
  & Methods<HttpApiGroup.Endpoints<Extract<Groups, { readonly topLevel: true }>>, PE, SE>
>

/**
 * What a service client is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  ApiId extends string,
  Groups extends HttpApiGroup.Constraint,
  Url extends BaseUrl,
  O extends Pipeline.Options,
  Token extends InternalToken | undefined = undefined
> {
  readonly api: HttpApi.HttpApi<ApiId, Groups>
  /** Where the service lives. */
  readonly baseUrl: Url
  /** The token that every request carries. Default: none. */
  readonly token?: Token
  /**
   * Bytes of a good answer's body at most, after decoding, unless it is a stream. A
   * larger one is `ResponseInvalid`. `Infinity` for no limit. Default: 32 MiB.
   */
  readonly maxBodySize?: number | undefined
  /**
   * How it is protected. The name of the pipeline is that of the service. Operations
   * that the API does not have are refused here, and where configuration names them,
   * when the layer is built.
   */
  readonly pipeline: O & Pipeline.OnlyKnownKeys<O>
}

/**
 * What a test may change about a service client.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestOptions extends Pick<Resilience.TestOptions, "circuitBreakers" | "delays" | "passThrough"> {
  /** What becomes of the requests of an operation (`plans.get`): one fault each, then none. */
  readonly faults?: Readonly<Record<string, ReadonlyArray<Fault>>> | undefined
}

/**
 * What reading the options may fail with.
 *
 * @internal
 */
export type ConfigErrorOf<Read> = [Extract<Read, Config.Config<unknown>>] extends [never] ? never : Config.ConfigError

/**
 * A service client as a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<
  Self,
  Id extends string,
  ApiId extends string,
  Groups extends HttpApiGroup.Constraint,
  Url extends BaseUrl,
  PE,
  SE = PE,
  Token extends InternalToken | undefined = undefined
> extends Context.ServiceClass<Self, Id, Client<Groups, PE, SE>> {
  readonly api: HttpApi.HttpApi<ApiId, Groups>
  /** How the service is. A client that comes from none of the layers has none, and dies. */
  readonly status: Effect.Effect<Status, never, Self>
  /** The client over the program's `HttpClient`. It may be provided as often as one likes: the state is in `Resilience`. */
  readonly layer: Layer.Layer<
    Self,
    ConfigErrorOf<Url | Token>,
    HttpClient.HttpClient | Resilience.Resilience | HttpApiGroup.MiddlewareClient<Groups> | Services<Url>
  >
  /**
   * The client over handlers in memory, through the same codecs and the same
   * pipeline, with a `Resilience` of its own. Retries do not wait. A token from
   * configuration is not read: it is `test`.
   */
  readonly layerTest: <E, R>(
    handlers: Layer.Layer<HttpApiGroup.ToService<ApiId, Groups>, E, R>,
    options?: TestOptions
  ) => Layer.Layer<
    Self | Resilience.Resilience,
    E,
    | Exclude<R, inMemory.Platform>
    | HttpApiGroup.MiddlewareClient<Groups>
    | HttpApiEndpoint.Middleware<HttpApiGroup.Endpoints<Groups>>
  >
}

/**
 * Declares a client of a service. Its options, and those of its operations, are
 * checked here, and a bad one throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { ServiceClient } from "effect-resilience/http"
 *
 * const PlanningApi = HttpApi.make("planning").add(
 *   HttpApiGroup.make("plans").add(
 *     HttpApiEndpoint.get("get", "/plans/:id", {
 *       params: { id: Schema.String },
 *       success: Schema.Struct({ id: Schema.String, title: Schema.String })
 *     })
 *   )
 * )
 *
 * class Planning extends ServiceClient.Service<Planning>()("Planning", {
 *   api: PlanningApi,
 *   baseUrl: "http://planning.internal",
 *   pipeline: { totalTimeout: "10 seconds", retry: { times: 3 }, circuitBreaker: {} }
 * }) {}
 *
 * const handlers = HttpApiBuilder.group(PlanningApi, "plans", (handlers) =>
 *   handlers.handle("get", ({ params }) => Effect.succeed({ id: params.id, title: "Move house" })))
 *
 * const program = Effect.flatMap(Planning, (planning) => planning.plans.get({ params: { id: "1" } }))
 *
 * // the first request meets a fault and is tried again
 * const plan = await program.pipe(
 *   Effect.provide(Planning.layerTest(handlers, { faults: { "plans.get": [{ kind: "status", status: 503 }] } })),
 *   Effect.runPromise
 * )
 *
 * console.log(plan.title) // => Move house
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<
  const Id extends string,
  ApiId extends string,
  Groups extends HttpApiGroup.Constraint,
  Url extends BaseUrl,
  const O extends Pipeline.Options,
  Token extends InternalToken | undefined = undefined
>(
  id: Id,
  options: Options<ApiId, Groups, Url, O, Token>
): ServiceClass<Self, Id, ApiId, Groups, Url, Pipeline.ErrorOf<O>, Pipeline.StreamErrorOf<O>, Token> => {
  type Declared = ServiceClass<
    Self,
    Id,
    ApiId,
    Groups,
    Url,
    Pipeline.ErrorOf<O>,
    Pipeline.StreamErrorOf<O>,
    Token
  >
  type Made = Client<Groups, Pipeline.ErrorOf<O>, Pipeline.StreamErrorOf<O>>
  const where = `ServiceClient ${JSON.stringify(id)}`
  onlyKeys(where, options, ["api", "baseUrl", "pipeline", "token", "maxBodySize"])
  const { api } = options
  const planned = operations.plan(id, api, options.pipeline)
  const connection = connections.declare(where, options)
  const Tag = Context.Service<Self, Made>()(id)
  const statuses = new Statuses(where)

  const build = Effect.fnUntraced(function*({ client: httpClient, origin }: connections.Connection) {
    const resilience = yield* Resilience.Resilience
    // configuration knows no types: what it says of operations that there are not would be of no use to anybody
    const tuned = resilience.tuning.get(id)?.operations
    yield* Effect.sync(() => operations.checkOperations(`${where}, as configured`, tuned, planned.operations))
    const generated = yield* HttpApiClient.makeWith(api, { httpClient })
    const pipeline = yield* Pipeline.fromSettings(planned.pipeline)
    const client = operations.methods(generated, planned.operations, pipeline)
    statuses.keep(client, origin, pipeline, resilience)
    // one method for each endpoint, with the errors of its attempts and of the pipeline, which is what Client says
    return client as Made
  })

  const layer = Layer.effect(Tag, Effect.flatMap(connection.live, build))
  const layerTest = (
    handlers: Layer.Layer<HttpApiGroup.ToService<ApiId, Groups>>,
    { faults = {}, ...test }: TestOptions = {}
  ) => {
    checkFaults(`${where}.layerTest`, faults, planned.operations.map(({ operation }) => operation))
    const breakers = [planned.pipeline, ...planned.pipeline.operations.values()].flatMap(({ circuitBreaker }) =>
      circuitBreaker === undefined ? [] : [circuitBreaker.name]
    )
    for (const name of Object.keys(test.circuitBreakers ?? {})) {
      oneOf(`${where}.layerTest`, "circuitBreakers", name, [...new Set(breakers)])
    }
    return Layer.effect(
      Tag,
      Effect.gen(function*() {
        const client = withFaults(yield* inMemory.client(api), faults)
        return yield* build(yield* connection.inMemory(client))
      })
    ).pipe(
      Layer.provide(handlers),
      Layer.provide(HttpServer.layerServices),
      Layer.provideMerge(Resilience.layerTest(test))
    )
  }

  return Object.assign(Tag, {
    api,
    status: Effect.flatMap(Tag, (client) => statuses.of(Object(client))),
    // TypeScript cannot reduce what layers need while the groups of the API are generic; ServiceClass writes it down
    layer: layer as unknown as Declared["layer"],
    layerTest: layerTest as unknown as Declared["layerTest"]
  })
}
