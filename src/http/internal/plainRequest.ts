/** One plain request, from its path and values to what its answer says. */
import * as Effect from "effect/Effect"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import type * as Pipeline from "../../Pipeline.ts"
import type { CallOptions } from "../ServiceClient.ts"
import type { Connection } from "./connection.ts"
import * as operations from "./operations.ts"
import { isIdempotent } from "./replaySafety.ts"

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE"

/** What its services are is known of the type of the method that it is given to. */
type Codec = Schema.Codec<unknown, unknown>

interface Options extends CallOptions {
  readonly params?: Readonly<Record<string, string | number>> | undefined
  readonly query?: UrlParams.Input | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly payload?: unknown
  readonly payloadSchema?: Codec | undefined
  readonly success?: Codec | undefined
  readonly errors?: Readonly<Record<number, Codec>> | undefined
  readonly operation?: string | undefined
}

/** The methods of a client whose requests go through `client` and run under `pipeline`. */
export const methods = (
  service: string,
  client: Connection["client"],
  pipeline: Pipeline.Pipeline<Pipeline.PipelineError>,
  declared: Pipeline.Options
) => {
  const method = (verb: Method) => (path: string, options: Options = {}) => {
    const operation = options.operation ?? `${verb} ${path}`
    const exchange = Effect.suspend(() => perform(client, verb, path, options))
    return operations.answering(
      {
        service,
        operation,
        streams: false,
        declares: isGood,
        idempotent: declared.operations?.[operation]?.idempotent ?? isIdempotent(verb),
        keyed: false
      },
      () => exchange,
      pipeline
    )(options, options)
  }
  return { get: method("GET"), post: method("POST"), put: method("PUT"), patch: method("PATCH"), del: method("DELETE") }
}

const isGood = (status: number): boolean => status >= 200 && status < 300

const perform = (
  client: Connection["client"],
  verb: Method,
  path: string,
  options: Options
): Effect.Effect<unknown, unknown> => {
  const request = HttpClientRequest.make(verb)(filled(path, options.params ?? {}), {
    acceptJson: true,
    ...(options.query === undefined ? {} : { urlParams: options.query }),
    ...(options.headers === undefined ? {} : { headers: options.headers })
  })
  // the base url comes before it, and nothing of it may change the host or climb out of the path of that
  if (!/^\/[^?#\\\s]*$/.test(path) || hasDots(path)) return Effect.fail(invalidPath(request))
  const sendable = options.payloadSchema === undefined
    ? Effect.succeed(request)
    : Effect.map(
      Schema.encodeUnknownEffect(Schema.toCodecJson(options.payloadSchema))(options.payload),
      (json) => HttpClientRequest.bodyJsonUnsafe(request, json)
    )
  return Effect.flatMap(
    sendable,
    (request) => Effect.flatMap(client.execute(request), (response) => read(response, options))
  )
}

const hasDots = (path: string): boolean => path.split("/").some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))

const invalidPath = (request: HttpClientRequest.HttpClientRequest) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.InvalidUrlError({
      request,
      cause: undefined,
      description: "Expected a path that begins with a slash, without dot segments, query, fragment, space or backslash"
    })
  })

/** The path with its parameters, which stay within their segments. The messages are those of `HttpApiClient`. */
const filled = (path: string, params: Readonly<Record<string, string | number>>): string =>
  path.replace(/\/:([^/]+)/g, (_, name: string) => {
    const value = Object.hasOwn(params, name) ? params[name] : undefined
    if (value === undefined || value === "") throw new Error(`Missing path parameter: ${name}`)
    const text = encodeURIComponent(value)
    if (hasDots(text)) throw new Error(`Invalid path parameter: ${name}`)
    return `/${text}`
  })

const read = (
  response: HttpClientResponse.HttpClientResponse,
  { errors = {}, success }: Options
): Effect.Effect<unknown, unknown> => {
  if (isGood(response.status)) {
    return success === undefined
      ? Effect.void
      : decoded(response, success)
  }
  const other = Effect.fail(
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.StatusCodeError({ request: response.request, response })
    })
  )
  const error = errors[response.status]
  return error === undefined ? other : Effect.matchEffect(decoded(response, error), {
    // a body that is none of the declared ones can still be told by its status
    onFailure: () => other,
    onSuccess: Effect.fail
  })
}

const decoded = (response: HttpClientResponse.HttpClientResponse, schema: Codec) =>
  Effect.flatMap(response.json, Schema.decodeUnknownEffect(Schema.toCodecJson(schema)))
