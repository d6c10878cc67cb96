/**
 * Lets a server finish what it is working on before it stops.
 *
 * `drain` turns the readiness off, so that load balancers send no more, refuses
 * what still arrives with 503, `Retry-After` and `Connection: close`, and waits for
 * the requests in flight, up to a bound. A request is in flight until its answer,
 * a streamed body included, has been sent. Draining is final: what drains is about
 * to stop.
 *
 * It does not stop the server: call it first, then close the server's scope, or let
 * `layerOnStop` do so.
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
      drain: (options) => {
        const wait = waitOf(options)
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
 * Lets a server drain. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Deferred, Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Drain } from "effect-resilience/http"
 *
 * const found = Deferred.makeUnsafe<Drain.Drain["Service"]>()
 * const routes = Layer.mergeAll(
 *   HttpRouter.add("GET", "/hello", Effect.succeed(HttpServerResponse.text("hello"))),
 *   Layer.effectDiscard(Effect.flatMap(Drain.Drain, (drain) => Deferred.succeed(found, drain)))
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   routes.pipe(Layer.provide(Drain.layer()), Layer.provide(Drain.Drain.layer)),
 *   { disableLogger: true }
 * )
 *
 * const ask = () => handler(new Request("http://localhost/hello"))
 *
 * console.log((await ask()).status) // => 200
 * const drain = await Effect.runPromise(Deferred.await(found))
 * console.log(await Effect.runPromise(drain.drain({ wait: "5 seconds" }))) // => 0
 * const refused = await ask()
 * console.log(refused.status, refused.headers.get("connection")) // => 503 close
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, never, HttpRouter.HttpRouter | Drain> =>
  install(make(options))

/**
 * Drains when the program stops, before its server does. It is built last, on top
 * of the served routes, so that it is the first to be taken down. A bad option
 * throws a `RangeError`.
 *
 * Give whoever stops the program more time than `wait` (default: 30 seconds), such
 * as the `terminationGracePeriodSeconds` of a pod.
 *
 * @example
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Drain, Server } from "effect-resilience/http"
 * import { createServer } from "node:http"
 *
 * const routes = HttpRouter.add("GET", "/hello", Effect.succeed(HttpServerResponse.text("hello")))
 *
 * const app = Drain.layerOnStop({ wait: "20 seconds" }).pipe(
 *   Layer.provide(
 *     HttpRouter.serve(routes.pipe(Layer.provideMerge(Server.layer())), { disableListenLog: true })
 *   ),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 0 }))
 * )
 *
 * // in earnest `NodeRuntime.runMain(Layer.launch(app))`, which SIGTERM and SIGINT stop
 * await Effect.runPromise(Effect.timeoutOption(Layer.launch(app), "50 millis"))
 * console.log("drained, and stopped") // => drained, and stopped
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOnStop = (
  options?: { readonly wait?: Duration.Input | undefined }
): Layer.Layer<never, never, Drain> => {
  waitOf(options)
  return Layer.effectDiscard(
    Effect.flatMap(Drain, ({ drain }) => Effect.addFinalizer(() => drain(options)))
  )
}

const waitOf = (options: { readonly wait?: Duration.Input | undefined } = {}): number => {
  onlyKeys("Drain", options, ["wait"])
  return millisOrZero("Drain", "wait", options.wait ?? "30 seconds", { infinite: true })
}
