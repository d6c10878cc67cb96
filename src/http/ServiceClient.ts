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
 * headers beside the stream is protected until its headers have come.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Sse from "effect/encoding/Sse"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Stream from "effect/Stream"
import type { Simplify } from "effect/Types"
import { oneOf, onlyKeys, refuse } from "../internal/options.ts"
import * as Pipeline from "../Pipeline.ts"
import * as Resilience from "../Resilience.ts"
import { type Fault, kinds as faultKinds } from "./Fault.ts"
import * as exchange from "./internal/exchange.ts"
import * as inMemory from "./internal/inMemory.ts"
import * as operations from "./internal/operations.ts"
import { checkedSource, isToken, TokenKeeper } from "./internal/tokenKeeper.ts"
import type { InternalToken, Source } from "./InternalToken.ts"
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
      | Exclude<E, HttpClientError.HttpClientError | Schema.SchemaError | Sse.SseError>
      | Declared<Endpoint>
      | ServiceError
      | SE,
      HttpApiEndpoint.ClientServices<Endpoint>
    >
    : Effect.Effect<
      HttpApiClient.SuccessType<Endpoint["~Success"]>,
      Declared<Endpoint> | ServiceError | PE,
      HttpApiEndpoint.ClientServices<Endpoint>
    >
}

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
  /** How it is protected. The name of the pipeline is that of the service. */
  readonly pipeline: O & Pipeline.OnlyKnownKeys<O>
}

/**
 * Where a service lives: an absolute url with http or https, or the configuration
 * that says so. It may have a path, which comes before those of the API; it has
 * no credentials, query or fragment.
 *
 * @category models
 * @since 0.1.0
 */
export type BaseUrl = URL | string | Config.Config<URL>

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
 * How a service is, as its client sees it: for monitoring. It holds no secrets.
 *
 * @category models
 * @since 0.1.0
 */
export const Status = Schema.Struct({
  name: Schema.String,
  /** The origin of its base url: `https://planning.internal`. */
  baseUrl: Schema.String,
  /** The state of each breaker: the service's, by its name, and those of operations that have their own. */
  circuitBreakers: Schema.Record(Schema.String, Schema.Literals(["Closed", "Open", "HalfOpen", "Forced"])),
  /** What its calls have come to since the pipeline was made, as `Pipeline.Counts` says. */
  counts: Schema.Record(Schema.String, Schema.Int)
})

/**
 * How a service is, as its client sees it: for monitoring. It holds no secrets.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = typeof Status.Type

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
    [Extract<Url | Token, Config.Config<unknown>>] extends [never] ? never : Config.ConfigError,
    HttpClient.HttpClient | Resilience.Resilience | HttpApiGroup.MiddlewareClient<Groups>
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
  onlyKeys(where, options, ["api", "baseUrl", "pipeline", "token"])
  const { api } = options
  const planned = operations.plan(id, api, options.pipeline)
  const baseUrl = checkedUrl(where, options.baseUrl)
  const token = checkedToken(where, options.token)
  const Tag = Context.Service<Self, Made>()(id)
  const statuses = new WeakMap<object, Effect.Effect<Status>>()
  // one for each owner of state, so that a layer that is provided anew for every request does not read the token anew
  const keepers = new WeakMap<object, TokenKeeper>()

  const build = Effect.fnUntraced(
    function*(httpClient: HttpClient.HttpClient, baseUrl: URL, source: Source | undefined) {
      const resilience = yield* Resilience.Resilience
      let keeper = source === token ? keepers.get(resilience) : undefined
      if (keeper === undefined && source !== undefined) {
        keeper = new TokenKeeper(source)
        // configuration is read by each layer anyway, and may have changed
        if (source === token) keepers.set(resilience, keeper)
      }
      const generated = yield* HttpApiClient.makeWith(api, {
        httpClient: exchange.noting(httpClient, keeper),
        baseUrl,
        transformResponse: exchange.markResponseInvalid
      })
      const pipeline = yield* Pipeline.fromSettings(planned.pipeline)
      const client = operations.methods(generated, planned.operations, pipeline)
      statuses.set(client, statusOf(baseUrl, pipeline, resilience))
      // one method for each endpoint, with the errors of its attempts and of the pipeline, which is what Client says
      return client as Made
    }
  )

  const layer = Layer.effect(
    Tag,
    Effect.gen(function*() {
      const httpClient = yield* HttpClient.HttpClient
      const url = Config.isConfig(baseUrl) ? yield* baseUrl : baseUrl
      return yield* build(httpClient, url, Config.isConfig(token) ? yield* token : token)
    })
  )
  const layerTest = (
    handlers: Layer.Layer<HttpApiGroup.ToService<ApiId, Groups>>,
    { faults = {}, ...test }: TestOptions = {}
  ) => {
    const known = planned.operations.map(({ operation }) => operation)
    for (const [operation, scripted] of Object.entries(faults)) {
      oneOf(`${where}.layerTest`, "faults", operation, known)
      for (const { kind } of scripted) oneOf(`${where}.layerTest`, `faults.${operation}.kind`, kind, faultKinds)
    }
    const breakers = [planned.pipeline, ...planned.pipeline.operations.values()].flatMap(({ circuitBreaker }) =>
      circuitBreaker === undefined ? [] : [circuitBreaker.name]
    )
    for (const name of Object.keys(test.circuitBreakers ?? {})) {
      oneOf(`${where}.layerTest`, "circuitBreakers", name, [...new Set(breakers)])
    }
    return Layer.effect(
      Tag,
      Effect.flatMap(
        inMemory.client(api, faults),
        (client) =>
          build(client, inMemory.url, Config.isConfig(token) ? { get: Effect.succeed(Redacted.make("test")) } : token)
      )
    ).pipe(
      Layer.provide(handlers),
      Layer.provide(HttpServer.layerServices),
      Layer.provideMerge(Resilience.layerTest(test))
    )
  }

  return Object.assign(Tag, {
    api,
    status: Effect.flatMap(
      Tag,
      (client) =>
        statuses.get(Object(client)) ??
          Effect.die(new Error(`${where}: status is known of clients that its layers make`))
    ),
    // TypeScript cannot reduce what layers need while the groups of the API are generic; ServiceClass writes it down
    layer: layer as unknown as Declared["layer"],
    layerTest: layerTest as unknown as Declared["layerTest"]
  })
}

const urlMustBe = "an absolute url with http or https, without credentials, query or fragment"

const isBaseUrl = ({ href, password, protocol, username }: URL): boolean =>
  (protocol === "http:" || protocol === "https:") && `${username}${password}` === "" && !/[?#]/.test(href)

const checkedUrl = (where: string, baseUrl: BaseUrl): URL | Config.Config<URL> => {
  if (Config.isConfig(baseUrl)) {
    return Config.mapEffect(baseUrl, (url) =>
      isBaseUrl(url) ? Effect.succeed(url) : Effect.fail(
        new Config.ConfigError(
          new Schema.SchemaError(new SchemaIssue.InvalidValue({ message: `Expected ${urlMustBe}` }, url.origin))
        )
      ))
  }
  const url = baseUrl instanceof URL ? baseUrl : URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  // the value may hold a password, so nothing is shown of one that is a url
  return url !== undefined && isBaseUrl(url) ? url : refuse(where, "baseUrl", urlMustBe, url?.origin ?? baseUrl)
}

const tokenMustBe = "1 to 8192 printable ASCII characters, with no space at either end"

/** Where the token comes from. Nothing is shown of a bad one. */
const checkedToken = (
  where: string,
  token: InternalToken | undefined
): Source | Config.Config<Source> | undefined => {
  const fixed = (token: Redacted.Redacted): Source => ({ get: Effect.succeed(token) })
  if (token === undefined) return undefined
  if (Config.isConfig(token)) {
    return Config.mapEffect(token, (token) =>
      isToken(token) ? Effect.succeed(fixed(token)) : Effect.fail(
        new Config.ConfigError(
          new Schema.SchemaError(new SchemaIssue.InvalidValue({ message: `Expected a token: ${tokenMustBe}` }))
        )
      ))
  }
  if (!Redacted.isRedacted(token)) return checkedSource(where, token)
  if (!isToken(token)) throw new RangeError(`${where}: token must be ${tokenMustBe}`)
  return fixed(token)
}

const statusOf = (
  baseUrl: URL,
  pipeline: Pipeline.Pipeline<unknown, unknown>,
  resilience: Resilience.Resilience["Service"]
): Effect.Effect<Status> =>
  Effect.gen(function*() {
    const { name, settings } = pipeline
    const breakers = yield* resilience.parts("circuitBreaker")
    const circuitBreakers: Record<string, Status["circuitBreakers"][string]> = {}
    for (const { circuitBreaker } of [settings, ...settings.operations.values()]) {
      const breaker = circuitBreaker === undefined ? undefined : breakers.get(circuitBreaker.name)
      if (breaker !== undefined) circuitBreakers[breaker.name] = (yield* breaker.snapshot).state
    }
    return { name, baseUrl: baseUrl.origin, circuitBreakers, counts: { ...yield* pipeline.counts } }
  })
