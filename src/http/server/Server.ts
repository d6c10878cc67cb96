/**
 * A well-behaved server: all of the middleware in the order that makes sense, in
 * one call.
 *
 * From the outside in: request id, errors as problems, drain, tokens, rate limits
 * by caller, deadline, limits of the body, load shedding, and again errors as
 * problems, so that load shedding sees what callers see. Request ids, errors,
 * drain, deadlines and the limits of the body are always there; the others where
 * they have options.
 *
 * Each is also a layer of its own: see `ServerRequestId`, `ServerErrors`, `Drain`,
 * `TokenCheck`, `CallerRateLimit`, `ServerDeadline`, `LoadShedding`, `BodyLimit`.
 * Of those that are installed one by one, the first stands outside.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import { isObject } from "effect/Predicate"
import { onlyKeys, refuse } from "../../internal/options.ts"
import * as BodyLimit from "./BodyLimit.ts"
import * as CallerRateLimit from "./CallerRateLimit.ts"
import * as Drain from "./Drain.ts"
import { type Except, exceptionOf, type Middleware, pathOf } from "./internal/middleware.ts"
import * as LoadShedding from "./LoadShedding.ts"
import * as ServerDeadline from "./ServerDeadline.ts"
import * as ServerErrors from "./ServerErrors.ts"
import * as ServerRequestId from "./ServerRequestId.ts"
import * as TokenCheck from "./TokenCheck.ts"

/**
 * What a server does beside its routes. All of it is optional. The options have the
 * names of the modules, without `Server`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The paths of health checks, exactly as they are asked for. They need no token,
   * have no rate limit, are never shed, and are answered while the server drains.
   * Default: `/health`, `/health/live`, `/health/ready`.
   */
  readonly health?: ReadonlyArray<string> | undefined
  readonly errors?: ServerErrors.Options | undefined
  readonly drain?: Drain.Options | undefined
  readonly deadline?: ServerDeadline.Options | undefined
  readonly bodyLimit?: BodyLimit.Options | undefined
  /** Default: no token is asked for. */
  readonly tokenCheck?: TokenCheck.Options | undefined
  /** Default: no limit. */
  readonly callerRateLimit?: CallerRateLimit.Options | undefined
  /** Default: nothing is shed. `{}` sheds with the defaults of `LoadShedding`. */
  readonly loadShedding?: LoadShedding.Options | undefined
}

const paths = (health: Options["health"] = ["/health", "/health/live", "/health/ready"]): ReadonlySet<string> =>
  Array.isArray(health) && health.every((path) => typeof path === "string" && path.startsWith("/"))
    ? new Set(health)
    : refuse("Server", "health", "paths that begin with a slash", health)

/**
 * All middleware for the routes that it is provided to. The options are checked at
 * once, and a bad one throws a `RangeError`.
 *
 * Provide it under the routes, and once for a server: it has the state of its
 * limits. It also provides `Drain`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Server } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add("GET", "/hello", Effect.succeed(HttpServerResponse.text("hello")))
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   routes.pipe(Layer.provide(Server.layer({ deadline: { max: "10 seconds" } }))),
 *   { disableLogger: true }
 * )
 *
 * const answer = await handler(
 *   new Request("http://localhost/hello", { method: "POST", headers: { "x-request-id": "r-1" } })
 * )
 * const { code, requestId } = JSON.parse(await answer.text())
 * console.log(answer.status, answer.headers.get("allow"), code, requestId) // => 405 GET, HEAD method_not_allowed r-1
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<HttpRouter.HttpRouter | Drain.Drain, never, HttpRouter.HttpRouter> => {
  onlyKeys("Server", options, [
    "health",
    "errors",
    "drain",
    "deadline",
    "bodyLimit",
    "tokenCheck",
    "callerRateLimit",
    "loadShedding"
  ])
  const health = paths(options.health)
  const sparing = <O extends { readonly except?: Except | undefined }>(part: string, of: O): O => {
    // what was given is not shown: it may be a token in the wrong place
    if (!isObject(of)) throw new RangeError(`Server: ${part} must be an object of options`)
    const isExcepted = exceptionOf(`Server: ${part}`, of.except)
    return {
      ...of,
      except: (request) => health.has(pathOf(request)) || isExcepted(request)
    }
  }
  const { callerRateLimit, errors = {}, loadShedding, tokenCheck } = options
  const parts = [
    Effect.succeed(ServerRequestId.middleware),
    Effect.succeed(ServerErrors.middleware(errors)),
    Drain.make(sparing("drain", options.drain ?? {})),
    tokenCheck !== undefined && Effect.succeed(TokenCheck.middleware(sparing("tokenCheck", tokenCheck))),
    callerRateLimit !== undefined && CallerRateLimit.make(sparing("callerRateLimit", callerRateLimit)),
    Effect.succeed(ServerDeadline.middleware(options.deadline)),
    Effect.succeed(BodyLimit.middleware(options.bodyLimit)),
    loadShedding !== undefined && LoadShedding.make(sparing("loadShedding", loadShedding))
  ].filter((part) => part !== false)
  const composed = (innermost: Middleware) =>
    Effect.map(
      Effect.all(parts),
      (outer): Middleware => (app) => outer.reduceRight((app, middleware) => middleware(app), innermost(app))
    )
  return ServerErrors.around(composed, errors).pipe(Layer.provideMerge(Drain.Drain.layer))
}
