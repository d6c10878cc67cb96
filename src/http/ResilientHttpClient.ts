/**
 * Any `HttpClient` under a pipeline.
 *
 * A call is the whole exchange, its body included: the body is read into memory
 * inside the attempt, so that the timeouts cover it, and one that breaks off is
 * a failed attempt. Responses count by their status, and a response that is
 * tried again is read or cut first, so that its connection comes back.
 *
 * Requests of idempotent methods (GET, HEAD, OPTIONS, PUT, DELETE, TRACE, QUERY)
 * may be retried; POST and PATCH only with an `Idempotency-Key`, or by leave. A body that cannot be read again, such as a
 * stream, is never sent twice.
 *
 * Of the body of an error status no more than 1 MiB is read, and for no longer than
 * 2 seconds. Where that was not all of it, `text`, `json` and the like fail with a
 * `DecodeError`; status and headers are there.
 *
 * Not for responses that do not fit into memory, or that are read as they come.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import { onlyKeys } from "../internal/options.ts"
import * as Outcome from "../Outcome.ts"
import * as Pipeline from "../Pipeline.ts"
import type * as Resilience from "../Resilience.ts"
import * as HttpOutcome from "./HttpOutcome.ts"
import { withSpan } from "./internal/exchangeSpan.ts"
import { checkedMaxBodySize, holding } from "./internal/heldBody.ts"
import { mayBeSentAgain } from "./internal/replaySafety.ts"

/**
 * What can be said about the requests of a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names a request in events. Default: its method, a space, and its url without query. */
  readonly operation?: ((request: HttpClientRequest.HttpClientRequest) => string) | undefined
  /**
   * Gives or takes leave to send a request again; `undefined` leaves it to its
   * method and key, as they are when the request reaches this client: what the
   * client inside adds to each attempt, a key of its own perhaps, is not seen.
   */
  readonly idempotent?: ((request: HttpClientRequest.HttpClientRequest) => boolean | undefined) | undefined
  /** What exits mean. It goes before the pipeline's own, and that before `HttpOutcome.classify`. */
  readonly classify?: Outcome.Classifier<HttpClientResponse.HttpClientResponse> | undefined
  /**
   * Bytes of a good body at most, after decoding. A larger one is an
   * `HttpClientError` whose reason is a `DecodeError`, which is not retried.
   * `Infinity` for no limit. Default: 32 MiB.
   */
  readonly maxBodySize?: number | undefined
}

// credentials and query may hold secrets
const defaultOperation = ({ method, url }: HttpClientRequest.HttpClientRequest): string => {
  const absolute = URL.parse(url)
  if (absolute !== null) return `${method} ${absolute.protocol}//${absolute.host}${absolute.pathname}`
  const relative = URL.parse(url, "http://base")
  return relative === null ? method : `${method} ${relative.pathname}`
}

/**
 * Puts a client under a pipeline. The errors of the client are those it had, and
 * those the pipeline adds.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { ResilientHttpClient } from "effect-resilience/http"
 *
 * let calls = 0
 * const flaky = HttpClient.make((request) =>
 *   Effect.sync(() => HttpClientResponse.fromWeb(request, new Response("hi", { status: ++calls < 3 ? 503 : 200 })))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const pipeline = yield* Pipeline.make("greetings", { retry: { times: 2 } })
 *   const client = ResilientHttpClient.make(flaky, pipeline)
 *   const response = yield* client.get("http://localhost/hello")
 *   return `${response.status} after ${calls} requests`
 * })
 *
 * console.log(await program.pipe(Effect.provide(Resilience.layerTest()), Effect.runPromise)) // => 200 after 3 requests
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <PE>(
    pipeline: Pipeline.Pipeline<PE, unknown>,
    options?: Options
  ): <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<
    E | PE | HttpClientError.HttpClientError,
    R
  >
  <E, R, PE>(
    client: HttpClient.HttpClient.With<E, R>,
    pipeline: Pipeline.Pipeline<PE, unknown>,
    options?: Options
  ): HttpClient.HttpClient.With<E | PE | HttpClientError.HttpClientError, R>
} = /*#__PURE__*/ dual(
  (args) => HttpClient.isHttpClient(args[0]),
  <E, R, PE>(
    client: HttpClient.HttpClient.With<E, R>,
    pipeline: Pipeline.Pipeline<PE, unknown>,
    options: Options = {}
  ): HttpClient.HttpClient.With<E | PE | HttpClientError.HttpClientError, R> =>
    under(client, protect(pipeline, options))
)

/**
 * A client whose every exchange, what the client itself does to its request
 * included, such as fetching a token, goes through `f`.
 */
const under = <E, R, E1, R1>(
  client: HttpClient.HttpClient.With<E, R>,
  f: (
    exchange: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, E1, R1>
): HttpClient.HttpClient.With<E1, R1> =>
  HttpClient.makeWith<never, never, E1, R1>(
    Effect.flatMap((request) => f(client.execute(request), request)),
    Effect.succeed
  )

/** One exchange under the pipeline. */
const protect = <PE>(pipeline: Pipeline.Pipeline<PE, unknown>, options: Options) => {
  onlyKeys("ResilientHttpClient", options, ["operation", "idempotent", "classify", "maxBodySize"])
  const reading = holding(checkedMaxBodySize("ResilientHttpClient", options.maxBodySize))
  const classify = Outcome.orElse(
    options.classify,
    Outcome.orElse<HttpClientResponse.HttpClientResponse, unknown>(pipeline.settings.classify, HttpOutcome.classify)
  )
  const operation = options.operation ?? defaultOperation
  return <E, R>(
    exchange: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
    request: HttpClientRequest.HttpClientRequest
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, E | PE | HttpClientError.HttpClientError, R> =>
    pipeline.protect(
      withSpan(reading(exchange)),
      new ExchangeOptions(request, operation, mayBeSentAgain(request, options.idempotent?.(request)), classify)
    )
}

/** What is said of the call of one exchange. Its name is made when it is asked for: most calls need none. */
class ExchangeOptions<E> {
  readonly idempotent: boolean
  readonly classify: Outcome.Classifier<HttpClientResponse.HttpClientResponse, E> | undefined
  // not among the keys, which are options
  readonly #request: HttpClientRequest.HttpClientRequest
  readonly #nameOf: NonNullable<Options["operation"]>

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    nameOf: NonNullable<Options["operation"]>,
    idempotent: boolean,
    classify: Outcome.Classifier<HttpClientResponse.HttpClientResponse, E> | undefined
  ) {
    this.idempotent = idempotent
    this.classify = classify
    this.#request = request
    this.#nameOf = nameOf
  }

  get operation(): string {
    return this.#nameOf(this.#request)
  }
}

/**
 * Puts the `HttpClient` of the program under a pipeline of that name. Code that
 * uses it sees a plain `HttpClient`: what the pipeline adds arrives as the cause
 * of a transport error, and still counts as what it is.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const O extends Pipeline.Options>(
  name: string,
  pipeline: O & Pipeline.OnlyKnownKeys<O>,
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | Resilience.Resilience> => {
  const made = Pipeline.fromSettings(Pipeline.settings(name, pipeline))
  return Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const protectExchange = protect(yield* made, options)
      return under(
        client,
        (exchange, request) =>
          Effect.mapError(
            protectExchange(exchange, request),
            (error) =>
              HttpClientError.isHttpClientError(error) ? error : new HttpClientError.HttpClientError({
                reason: new HttpClientError.TransportError({ request, cause: error, description: error.message })
              })
          )
      )
    })
  )
}
