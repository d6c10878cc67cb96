/**
 * Lets in only callers that show one of the tokens that a server knows.
 *
 * For calls between services of one's own. Each token has the name of who holds
 * it, which is the `Caller` while the request is worked on; several names may have
 * tokens at once, so that one can be changed while both are in use. What a caller
 * shows is compared in a time that says nothing about how much of it was right.
 *
 * It is no place for the tokens of users, which are looked up and expire: use
 * `HttpApiSecurity`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as Layer from "effect/Layer"
import { isObject } from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import { onlyKeys } from "../../internal/options.ts"
import { isHeaderName } from "../internal/headerText.ts"
import * as InternalToken from "../InternalToken.ts"
import * as Problem from "../Problem.ts"
import { install } from "./internal/install.ts"
import { knownTokens } from "./internal/knownTokens.ts"
import { type Except, exceptionOf, type Middleware } from "./internal/middleware.ts"
import { refused } from "./internal/problemResponse.ts"

/**
 * Who may call.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The tokens, by the name of who holds them. At least one; 1 to 8,192 printable ASCII characters each. */
  readonly tokens: { readonly [Name in string]: Redacted.Redacted<string> }
  /** The header that holds the token: alone, or in `authorization` with the scheme `Bearer`. Default: `InternalToken.header`. */
  readonly header?: string | undefined
  /** Which requests need no token, such as those of health checks. Default: none. */
  readonly except?: Except | undefined
}

/**
 * The name of the token that the caller of the current request has shown;
 * `undefined` where none was asked for.
 *
 * @category references
 * @since 0.1.0
 */
export const Caller: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "effect-resilience/http/TokenCheck/Caller",
  { defaultValue: () => undefined }
)

/**
 * Compares in a time that depends on the length of `shown` alone: the known token
 * is read around in a circle, and nothing ends the loop early.
 */
const isSame = (shown: string, known: string): boolean => {
  let different = shown.length ^ known.length
  for (let n = 0; n < shown.length; n++) different |= shown.charCodeAt(n) ^ known.charCodeAt(n % known.length)
  return different === 0
}

/**
 * The middleware itself, for use without a router. A bad option throws a
 * `RangeError`, which never shows a token.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options): Middleware => {
  // not by `onlyKeys`, which shows what it was given
  if (!isObject(options)) throw new RangeError("TokenCheck: options must be an object")
  onlyKeys("TokenCheck", options, ["tokens", "header", "except"])
  const accepted = knownTokens("TokenCheck", "tokens", options.tokens)
  const isExcepted = exceptionOf("TokenCheck", options.except)
  if (options.header !== undefined && !isHeaderName(options.header)) {
    throw new RangeError("TokenCheck: header must be the name of a header")
  }
  const header = options.header?.toLowerCase() ?? InternalToken.header
  const isBearer = header === "authorization"
  const unknown = refused(new Problem.Unauthenticated({}), isBearer ? { "www-authenticate": "Bearer" } : {})
  const shownBy = (request: HttpServerRequest.HttpServerRequest): string | undefined => {
    const value = request.headers[header]
    return isBearer ? /^bearer +(.*)$/i.exec(value ?? "")?.[1] : value
  }
  return (app) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (isExcepted(request)) return app
      const shown = shownBy(request)
      if (shown === undefined) return unknown
      let caller: string | undefined
      // all are compared, so that the time does not say which it was
      for (const [name, token] of accepted) {
        if (isSame(shown, token)) caller = name
      }
      return caller === undefined ? unknown : Effect.provideService(app, Caller, caller)
    })
}

/**
 * Asks every caller of a server for a token. A bad option throws a
 * `RangeError`, which never shows a token.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { TokenCheck } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add(
 *   "GET",
 *   "/who",
 *   Effect.map(TokenCheck.Caller, (caller) => HttpServerResponse.text(`you are ${caller}`))
 * )
 * const check = TokenCheck.layer({
 *   tokens: { billing: Redacted.make("the-token-of-billing"), shop: Redacted.make("the-token-of-the-shop") }
 * })
 * const { dispose, handler } = HttpRouter.toWebHandler(routes.pipe(Layer.provide(check)), { disableLogger: true })
 *
 * const ask = (token: string) =>
 *   handler(new Request("http://localhost/who", { headers: { "x-internal-token": token } }))
 *
 * console.log(await (await ask("the-token-of-the-shop")).text()) // => you are shop
 * console.log((await ask("guessed")).status) // => 401
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  install(Effect.succeed(middleware(options)))
