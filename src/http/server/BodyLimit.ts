/**
 * Refuses bodies that would cost a server too much, or that nobody could have
 * meant.
 *
 * A body that is too large is answered with 413: by its `Content-Length` before it
 * is read, else as soon as it has become too large. Text and forms that are no UTF-8
 * and JSON that is nested too deeply are answered with 400.
 *
 * A handler that reads the body as a stream looks after its size itself, or its
 * schema does (`maxBytes` of the streams of `HttpApiSchema`), unless the length
 * was declared. How long a body may take is up to the server: see
 * `ServerDeadline`, and `requestTimeout` of `node:http`.
 *
 * It stands inside of all that refuses without a look at the body, and outside of
 * load shedding and `Idempotency`, which read bodies.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { guarded } from "../../internal/guarded.ts"
import { integer, onlyKeys } from "../../internal/options.ts"
import { install } from "./internal/install.ts"
import { type Except, exceptionOf, type Middleware } from "./internal/middleware.ts"
import { refusedWith } from "./internal/problemResponse.ts"
import { withBody } from "./internal/requestBody.ts"

/**
 * What is too much.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Bytes. Default: 1,048,576, one MiB. */
  readonly maxBytes?: number | undefined
  /** How deeply JSON may be nested. Default: 100. */
  readonly maxDepth?: number | undefined
  /** Which requests are not looked at, such as uploads. Default: none. */
  readonly except?: Except | undefined
}

const quote = 34
const backslash = 92

/** Whether the brackets and braces of a JSON text are nested more deeply than `max`. */
const isDeeper = (text: string, max: number): boolean => {
  let depth = 0
  let isString = false
  for (let n = 0; n < text.length; n++) {
    const code = text.charCodeAt(n)
    if (isString) {
      if (code === backslash) n++
      else if (code === quote) isString = false
    } else if (code === quote) isString = true
    else if (code === 91 || code === 123) {
      depth++
      if (depth > max) return true
    } else if (code === 93 || code === 125) depth--
  }
  return false
}

const unreadable = (request: HttpServerRequest.HttpServerRequest, description: string) =>
  new HttpServerError.HttpServerError({
    reason: new HttpServerError.RequestParseError({ request, reason: "Parse", description })
  })

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** The request, with a look at what is read as text. */
const looking = (
  request: HttpServerRequest.HttpServerRequest,
  maxDepth: number,
  scope: Scope.Scope
): HttpServerRequest.HttpServerRequest => {
  const type = request.headers["content-type"]
  const isJson = type === undefined || /json/i.test(type)
  // The reader ends with the request, and not with who waits for it: ending it cuts the connection, and with it the answer.
  const arrayBuffer = Effect.flatMap(Effect.forkIn(Effect.suspend(() => request.arrayBuffer), scope), Fiber.join)
  const text = Effect.flatMap(arrayBuffer, (bytes) => {
    const text = guarded(() => utf8.decode(bytes))
    if (text === undefined) return Effect.fail(unreadable(request, "The body is no UTF-8"))
    return isJson && isDeeper(text, maxDepth)
      ? Effect.fail(unreadable(request, "The body is nested too deeply"))
      : Effect.succeed(text)
  })
  const json = Effect.flatMap(text, (text) =>
    Effect.try({
      try: () => text === "" ? null : JSON.parse(text),
      catch: () => unreadable(request, "The body is no JSON")
    }))
  // a leading question mark belongs to the form, which `URLSearchParams` would drop
  const urlParamsBody = Effect.map(
    text,
    (text) => UrlParams.fromInput(new URLSearchParams(text.replace(/^\?/, "%3F")))
  )
  return withBody(request, { arrayBuffer, text, json, urlParamsBody })
}

/**
 * The middleware itself, for use without a router. A bad option throws a
 * `RangeError`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options = {}): Middleware => {
  onlyKeys("BodyLimit", options, ["maxBytes", "maxDepth", "except"])
  const maxBytes = integer("BodyLimit", "maxBytes", options.maxBytes ?? 1024 * 1024, 1)
  const maxDepth = integer("BodyLimit", "maxDepth", options.maxDepth ?? 100, 1)
  const isExcepted = exceptionOf("BodyLimit", options.except)
  const size = ByteSize.fromInputUnsafe(maxBytes)
  const tooLarge = refusedWith(413, { connection: "close" })
  return Effect.fnUntraced(function*<E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (isExcepted(request)) return yield* app
    if (Number(request.headers["content-length"]) > maxBytes) return yield* tooLarge
    return yield* app.pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, size),
      Effect.provideService(HttpServerRequest.HttpServerRequest, looking(request, maxDepth, yield* Scope.Scope))
    )
  })
}

/**
 * Limits the bodies that a server reads. A bad option throws a
 * `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { BodyLimit } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add("POST", "/notes", (request) =>
 *   Effect.map(request.json, (note) => HttpServerResponse.jsonUnsafe(note)))
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   routes.pipe(Layer.provide(BodyLimit.layer({ maxBytes: 1_000 }))),
 *   { disableLogger: true }
 * )
 *
 * const send = (body: string) => handler(new Request("http://localhost/notes", { method: "POST", body }))
 *
 * console.log((await send("[1]")).status) // => 200
 * console.log((await send(`["${"x".repeat(2_000)}"]`)).status) // => 413
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  install(Effect.succeed(middleware(options)))
