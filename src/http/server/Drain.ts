/**
 * Lets a server finish what it is working on before it stops.
 *
 * `drain` turns the readiness off, so that load balancers send no more, refuses
 * what still arrives with 503, `Retry-After` and `Connection: close`, and waits for
 * the requests in flight, up to a bound. A request is in flight until its answer,
 * a streamed body included, has been sent. Draining is final: what drains is about
 * to stop.
 *
 * It does not stop the server: call it first, then close the server's scope.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { millisOrZero, onlyKeys, positiveMillis } from "../../internal/options.ts"
import * as Problem from "../Problem.ts"
import { install } from "./internal/install.ts"
import { type Except, exceptionOf, type Middleware } from "./internal/middleware.ts"
import { refused } from "./internal/problemResponse.ts"

/**
 * What is refused while a server drains, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What `Retry-After` says: when another instance should be there. Default: 1 second. */
  readonly retryAfter?: Duration.Input | undefined
  /** Which requests are always let in, and not waited for, such as those of health checks. Default: none. */
  readonly except?: Except | undefined
}

/**
 * The requests in flight of a server, and whether it takes more.
 *
 * @category services
 * @since 0.1.0
 */
export class Drain extends Context.Service<Drain, {
  /** Whether it takes requests: from the start, until `drain` is called. */
  readonly isReady: Effect.Effect<boolean>
  readonly inFlight: Effect.Effect<number>
  /**
   * Takes no more requests, and waits for those in flight: at most `wait`, by
   * default 30 seconds. Answers with how many are still in flight then. It may be
   * called again, to wait again. A bad option throws a `RangeError`.
   */
  readonly drain: (options?: { readonly wait?: Duration.Input | undefined }) => Effect.Effect<number>
  /** Counts a request until its scope closes; `false` where it must be refused. */
  readonly admit: (scope: Scope.Scope) => Effect.Effect<boolean>
}>()("effect-resilience/http/Drain") {
  /**
   * One for a server. Provide the same to whatever asks for it.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<Drain> = Layer.sync(Drain, () => {
    let isReady = true
    let inFlight = 0
    const idle = Latch.makeUnsafe(true)
    const leave = Effect.sync(() => {
      inFlight--
      if (inFlight === 0) idle.openUnsafe()
    })
    return {
      isReady: Effect.sync(() => isReady),
      inFlight: Effect.sync(() => inFlight),
      drain: (options = {}) => {
        onlyKeys("Drain", options, ["wait"])
        const wait = millisOrZero("Drain", "wait", options.wait ?? "30 seconds", { infinite: true })
        return Effect.suspend(() => {
          isReady = false
          return idle.await.pipe(
            Effect.timeoutOption(wait),
            Effect.map(() => inFlight)
          )
        })
      },
      admit: (scope) =>
        Effect.suspend(() => {
          if (!isReady) return Effect.succeed(false)
          inFlight++
          idle.closeUnsafe()
          return Effect.as(Scope.addFinalizer(scope, leave), true)
        }).pipe(Effect.uninterruptible)
    }
  })
}

/**
 * A route for the readiness check of a load balancer: 200 while the server takes
 * requests, 503 when it drains. The path must be let in: `Server` does that for
 * its health checks, and `except` of the middleware for others.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerReadiness = (
  path: HttpRouter.PathInput = "/health/ready"
): Layer.Layer<never, never, HttpRouter.HttpRouter | Drain> =>
  HttpRouter.use((router) =>
    Effect.flatMap(Drain, ({ isReady }) =>
      router.add(
        "GET",
        path,
        Effect.map(isReady, (ready) => HttpServerResponse.jsonUnsafe({ ready }, { status: ready ? 200 : 503 }))
      ))
  )

/**
 * The middleware itself, for use without a router. A bad option throws a
 * `RangeError`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Middleware, never, Drain> => {
  onlyKeys("Drain", options, ["retryAfter", "except"])
  const isExcepted = exceptionOf("Drain", options.except)
  const retryAfter = positiveMillis("Drain", "retryAfter", options.retryAfter ?? "1 second") / 1000
  const closing = refused(new Problem.Unavailable({ retryAfter }), { connection: "close" })
  return Effect.map(
    Drain,
    ({ admit }): Middleware => (app) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        isExcepted(request)
          ? app
          : Effect.flatMap(Scope.Scope, (scope) => Effect.flatMap(admit(scope), (isIn) => isIn ? app : closing)))
  )
}

/**
 * Lets a server drain.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, never, HttpRouter.HttpRouter | Drain> =>
  install(make(options))
