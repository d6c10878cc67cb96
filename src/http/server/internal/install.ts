/** Middleware as layers. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as Layer from "effect/Layer"
import type { Middleware } from "./middleware.ts"

/** Puts a middleware around all routes of a server. What is installed first stands outside. */
export const install = <R>(
  make: Effect.Effect<Middleware, never, R>
): Layer.Layer<never, never, HttpRouter.HttpRouter | R> =>
  HttpRouter.use((router) => Effect.flatMap(make, (middleware) => router.addGlobalMiddleware((app) => middleware(app))))
