/**
 * Gives every request an id: the caller's, if it is one, or a new one.
 *
 * The id is the current one of `RequestId` while the request is worked on, so that
 * `ServiceClient`s carry it on. It stands on every line that is logged, the access
 * log's included, on the server's span and those inside, and in the response
 * header. `ServerErrors` puts it into problems.
 *
 * It stands outside of all other middleware.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as RequestId from "../RequestId.ts"
import { install } from "./internal/install.ts"
import type { Middleware } from "./internal/middleware.ts"

/**
 * The middleware itself, for use without a router.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware: Middleware = (app) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const id = RequestId.parse(request.headers[RequestId.header]) ?? (yield* RequestId.make)
    return yield* Effect.withFiber<
      HttpServerResponse.HttpServerResponse,
      Effect.Error<typeof app>,
      Effect.Services<typeof app>
    >((fiber) => {
      // A handler that runs before the response is sent also meets the answers to failures and defects.
      HttpEffect.appendPreResponseHandlerUnsafe(
        fiber.context,
        (_, response) => Effect.succeed(HttpServerResponse.setHeader(response, RequestId.header, id))
      )
      // Not undone here: the access log is written after this, and the server itself restores the context.
      const annotations = fiber.getRef(References.CurrentLogAnnotations)
      fiber.setContext(
        Context.add(fiber.context, References.CurrentLogAnnotations, { ...annotations, [RequestId.annotation]: id })
      )
      return Effect.annotateCurrentSpan(RequestId.annotation, id).pipe(
        Effect.andThen(RequestId.within(id)(app))
      )
    })
  })

/**
 * Gives every request of a server an id.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { RequestId, ServerRequestId } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add(
 *   "GET",
 *   "/id",
 *   Effect.map(RequestId.Current, (id) => HttpServerResponse.text(String(id)))
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   routes.pipe(Layer.provide(ServerRequestId.layer)),
 *   { disableLogger: true }
 * )
 *
 * const answer = await handler(new Request("http://localhost/id", { headers: { "x-request-id": "r-1" } }))
 * console.log(await answer.text(), answer.headers.get("x-request-id")) // => r-1 r-1
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = install(Effect.succeed(middleware))
