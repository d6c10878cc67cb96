/** What all server middleware shares. */
import type * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import { holds } from "../../../internal/guarded.ts"
import { optionalFunction } from "../../../internal/options.ts"

/**
 * Wraps the whole of a server, as `HttpRouter.middleware(..., { global: true })`
 * takes it.
 *
 * The router calls it in an uninterruptible region, and each route opens its own.
 * What waits in a middleware is therefore made interruptible by it, and what it
 * wraps is not: `Effect.interruptible(waiting(Effect.uninterruptible(app)))`.
 */
export type Middleware = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E,
  R | HttpServerRequest.HttpServerRequest | Scope.Scope
>

/** Whether a request is left alone by a middleware. */
export type Except = (request: HttpServerRequest.HttpServerRequest) => boolean

/** Checks the option `except`. A function that throws has said no. */
export const exceptionOf = (module: string, except: Except | undefined): Except => {
  optionalFunction(module, "except", except)
  return (request) => except !== undefined && holds(except, request)
}

/** The path of a request, without its query. */
export const pathOf = ({ url }: { readonly url: string }): string => {
  const end = url.search(/[?#;]/)
  return end < 0 ? url : url.slice(0, end)
}
