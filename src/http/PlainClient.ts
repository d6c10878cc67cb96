/**
 * A client of a service that has no `HttpApi`: plain requests whose bodies are
 * JSON, checked by schemas that are given with each, under the pipeline of the
 * service.
 *
 * All else is as with a `ServiceClient`: a call is the whole exchange, decoding
 * included; every request carries the request's id, the time that is left, and the
 * token; a payload that does not match never leaves, an answer that does not match
 * is not let through, and one that no schema describes is an error of the kind
 * that its status says.
 *
 * Where the service has more than a few operations, or streams, forms or headers
 * that matter, declare an `HttpApi` for it and use a `ServiceClient`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import { onlyKeys, within } from "../internal/options.ts"
import * as Pipeline from "../Pipeline.ts"
import * as Resilience from "../Resilience.ts"
import type { BaseUrl, Services } from "./BaseUrl.ts"
import { type Status, Statuses } from "./internal/clientStatus.ts"
import * as connections from "./internal/connection.ts"
import * as plain from "./internal/plainRequest.ts"
import { checkFaults, withFaults } from "./internal/scriptedFaults.ts"
import type { InternalToken } from "./InternalToken.ts"
import type { CallOptions, ConfigErrorOf, TestOptions } from "./ServiceClient.ts"
import type { ServiceError } from "./ServiceError.ts"

/**
 * The names of the parameters of a path: `id` and `task` of
 * `/plans/:id/tasks/:task`.
 *
 * @category models
 * @since 0.1.0
 */
export type ParamsOf<Path extends string> = Path extends `${string}/:${infer Rest}`
  ? Rest extends `${infer Name}/${infer After}` ? Name | ParamsOf<`/${After}`> : Rest
  : never

type ErrorsByStatus = Readonly<Record<number, Schema.Top>>

/**
 * What a request says besides its method and path.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request<
  Success extends Schema.Top,
  Errors extends ErrorsByStatus
> extends CallOptions {
  /** What the body of a good answer is, as JSON. Default: it is not looked at, and the call answers with nothing. */
  readonly success?: Success | undefined
  /** What the bodies of errors are, by status. Any other, and any that does not match, is a `Problem` by its status. */
  readonly errors?: Errors | undefined
  readonly query?: UrlParams.Input | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Names the call in events, errors and `operations` of the pipeline. Default: the method, a space, and the path as it is written. */
  readonly operation?: string | undefined
}

/**
 * What a request with a body says: a value, and the schema by which it becomes
 * JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sending<Payload extends Schema.Top> {
  readonly payload?: NoInfer<Payload["Type"]> | undefined
  readonly payloadSchema?: Payload | undefined
}

type Params<Path extends string> = string extends Path
  ? { readonly params?: Readonly<Record<string, string | number>> | undefined }
  : [ParamsOf<Path>] extends [never] ? { readonly params?: undefined }
  : { readonly params: { readonly [Name in ParamsOf<Path>]: string | number } }

/** Options can be left out where none is needed. */
type Rest<Path extends string, O> = [ParamsOf<Path>] extends [never] ? [options?: O & Params<Path>]
  : [options: O & Params<Path>]

type Answer<Success extends Schema.Top, Errors extends ErrorsByStatus, PE, R = never> = Effect.Effect<
  Success["Type"],
  SchemasOf<Errors>["Type"] | ServiceError | PE,
  Success["DecodingServices"] | SchemasOf<Errors>["DecodingServices"] | R
>

type SchemasOf<Errors extends ErrorsByStatus> = Extract<Errors[keyof Errors], Schema.Top>

/**
 * Asks for what a path names.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asking<PE> {
  <
    const Path extends string,
    Success extends Schema.Top = Schema.Void,
    const Errors extends ErrorsByStatus = readonly []
  >(
    path: Path,
    ...options: Rest<Path, Request<Success, Errors>>
  ): Answer<Success, Errors, PE>
}

/**
 * Does something to what a path names, with a payload or without.
 *
 * @category models
 * @since 0.1.0
 */
export interface Doing<PE> {
  <
    const Path extends string,
    Success extends Schema.Top = Schema.Void,
    const Errors extends ErrorsByStatus = readonly [],
    Payload extends Schema.Top = never
  >(
    path: Path,
    ...options: Rest<Path, Request<Success, Errors> & Sending<Payload>>
  ): Answer<Success, Errors, PE, Payload["EncodingServices"]>
}

/**
 * The methods of a plain client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client<PE> {
  readonly get: Asking<PE>
  readonly post: Doing<PE>
  readonly put: Doing<PE>
  readonly patch: Doing<PE>
  readonly del: Doing<PE>
}

/**
 * What a plain client is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Url extends BaseUrl,
  O extends Pipeline.Options,
  Token extends InternalToken | undefined = undefined
> {
  /** Where the service lives. */
  readonly baseUrl: Url
  /** The token that every request carries. Default: none. */
  readonly token?: Token
  /**
   * Bytes of a good answer's body at most, after decoding, unless it is a stream. A
   * larger one is `ResponseInvalid`. `Infinity` for no limit. Default: 32 MiB.
   */
  readonly maxBodySize?: number | undefined
  /** How it is protected. The name of the pipeline is that of the service. */
  readonly pipeline: O & Pipeline.OnlyKnownKeys<O>
}

/**
 * A plain client as a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<
  Self,
  Id extends string,
  Url extends BaseUrl,
  PE,
  Token extends InternalToken | undefined = undefined
> extends Context.ServiceClass<Self, Id, Client<PE>> {
  /** How the service is. A client that comes from none of the layers has none, and dies. */
  readonly status: Effect.Effect<Status, never, Self>
  /** The client over the program's `HttpClient`. It may be provided as often as one likes: the state is in `Resilience`. */
  readonly layer: Layer.Layer<
    Self,
    ConfigErrorOf<Url | Token>,
    HttpClient.HttpClient | Resilience.Resilience | Services<Url>
  >
  /**
   * The client over one that answers from memory, through the same pipeline, with a
   * `Resilience` of its own. Retries do not wait. A token from configuration is not
   * read: it is `test`. Faults are scripted by operation: `GET /plans/:id`.
   */
  readonly layerTest: (
    client: HttpClient.HttpClient,
    options?: TestOptions
  ) => Layer.Layer<Self | Resilience.Resilience>
}

/**
 * Declares a plain client of a service. Its options are checked here, and a bad
 * one throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { PlainClient } from "effect-resilience/http"
 *
 * const Forecast = Schema.Struct({ city: Schema.String, celsius: Schema.Finite })
 *
 * class Weather extends PlainClient.Service<Weather>()("Weather", {
 *   baseUrl: "http://weather.internal",
 *   pipeline: { totalTimeout: "5 seconds", retry: { times: 2 }, circuitBreaker: {} }
 * }) {}
 *
 * const upstream = HttpClient.make((request, url) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(
 *     request,
 *     Response.json({ city: decodeURIComponent(url.pathname.slice("/forecast/".length)), celsius: -4 })
 *   ))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const weather = yield* Weather
 *   const forecast = yield* weather.get("/forecast/:city", { params: { city: "Tromsø" }, success: Forecast })
 *   return `${forecast.city}: ${forecast.celsius}`
 * })
 *
 * // the first request meets a fault and is tried again
 * const faults = { "GET /forecast/:city": [{ kind: "status", status: 503 }] } as const
 * const shown = await program.pipe(Effect.provide(Weather.layerTest(upstream, { faults })), Effect.runPromise)
 * console.log(shown) // => Tromsø: -4
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<
  const Id extends string,
  Url extends BaseUrl,
  const O extends Pipeline.Options,
  Token extends InternalToken | undefined = undefined
>(
  id: Id,
  options: Options<Url, O, Token>
): ServiceClass<Self, Id, Url, Pipeline.ErrorOf<O>, Token> => {
  type Made = Client<Pipeline.ErrorOf<O>>
  const where = `PlainClient ${JSON.stringify(id)}`
  onlyKeys(where, options, ["baseUrl", "pipeline", "token", "maxBodySize"])
  const settings = within("PlainClient", () => Pipeline.settings(id, options.pipeline))
  const connection = connections.declare(where, options)
  const Tag = Context.Service<Self, Made>()(id)
  const statuses = new Statuses(where)

  const build = Effect.fnUntraced(function*({ client: httpClient, origin }: connections.Connection) {
    const resilience = yield* Resilience.Resilience
    const pipeline = yield* Pipeline.fromSettings(settings)
    const client = plain.methods(id, httpClient, pipeline, options.pipeline)
    statuses.keep(client, origin, pipeline, resilience)
    // the answers are what the schemas of each request say, and the errors those of an exchange and of the pipeline
    return client as Made
  })

  const layerTest = (client: HttpClient.HttpClient, { faults = {}, ...test }: TestOptions = {}) => {
    checkFaults(`${where}.layerTest`, faults)
    return Layer.effect(Tag, Effect.flatMap(connection.inMemory(withFaults(client, faults)), build)).pipe(
      Layer.provideMerge(Resilience.layerTest(test))
    )
  }

  return Object.assign(Tag, {
    status: Effect.flatMap(Tag, (client) => statuses.of(client)),
    // what finding the service needs is known of the type of its url alone
    layer: Layer.effect(Tag, Effect.flatMap(connection.live, build)) as ServiceClass<
      Self,
      Id,
      Url,
      Pipeline.ErrorOf<O>,
      Token
    >["layer"],
    layerTest
  })
}
