/**
 * A port of its own for what one's own people and programs look at: status API,
 * dashboard, metrics.
 *
 * It listens on loopback alone unless it is told otherwise, since what is served there
 * asks nobody for a token unless one is configured. On loopback, a request must be for
 * `localhost`, for an address, or for a name of `allowedHosts`: so no page from elsewhere
 * reads it by a name of its own that it has made to point here (DNS rebinding). What
 * goes wrong is answered as a `Problem`. `/` leads to the dashboard, where that is served
 * and the routes have nothing there.
 *
 * When it ends, it waits a tenth of a second for answers that are under way, and cuts
 * the streams of changes.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { isIP } from "node:net"
import * as Problem from "../http/Problem.ts"
import { type Middleware, pathOf } from "../http/server/internal/middleware.ts"
import { refused } from "../http/server/internal/problemResponse.ts"
import * as ServerErrors from "../http/server/ServerErrors.ts"
import { guarded } from "../internal/guarded.ts"
import { integer, nonEmpty, onlyKeys, positiveMillis, refuse } from "../internal/options.ts"
import { Landing } from "../observability/internal/landing.ts"

/**
 * Where to listen.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** 0 for any that is free. */
  readonly port: number
  /** The address, or `0.0.0.0` for all there are. Default: `127.0.0.1`. */
  readonly host?: string | undefined
  /**
   * The names, without ports, by which it may be asked for beside `localhost`: those of a
   * proxy in front of it, for example. Where it listens on more than loopback, leaving
   * them out allows any.
   */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /**
   * So long may nothing move on a connection before it is cut, in milliseconds: a client
   * that never reads is let go. Streams of changes say something every 5 seconds.
   * Default: 1 minute.
   */
  readonly idleTimeout?: Duration.Input | undefined
}

/**
 * What a port provides, to its routes too: its server, and the services of Node.
 *
 * @category models
 * @since 0.1.0
 */
export type Provided =
  | HttpServer.HttpServer
  | NodeServices.NodeServices
  | HttpPlatform.HttpPlatform
  | Etag.Generator

/**
 * What routes need that have `R`: all that the port does not provide, such as
 * `Resilience`.
 *
 * @category models
 * @since 0.1.0
 */
export type Needed<R> = Exclude<
  | HttpRouter.Request.Without<R>
  | Exclude<HttpRouter.Request.Only<"Requires" | "GlobalRequires", R>, HttpRouter.GlobalProvided>,
  HttpRouter.HttpRouter | Provided
>

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|::1)$/i.test(host)

const nameOf = (name: unknown): string =>
  typeof name === "string" && /^[\w-]+(\.[\w-]+)*$/.test(name)
    ? name.toLowerCase()
    : refuse("StatusPort", "allowedHosts", "names of hosts, without ports", name)

/** The name, or the address, that a request is for; `undefined` where it says none. */
const askedFor = (host: string | undefined): string | undefined =>
  host === undefined || /[@/?#\\]/.test(host)
    ? undefined
    : guarded(() => new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, "").replace(/\.$/, ""))

const isNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

/** Sends whoever asks for `/`, where there is nothing, to the page that there is. */
const leading = (landing: { readonly path: string | undefined }): Middleware => (app) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const { path } = landing
    // relative, for proxies that put something before the path
    return path === undefined || pathOf(request) !== "/" || !["GET", "HEAD"].includes(request.method)
      ? app
      : Effect.catchIf(app, isNotFound, () => Effect.succeed(HttpServerResponse.redirect(path.slice(1))))
  })

const misdirected = refused(
  new Problem.Forbidden({ detail: "this server is not asked for by that name: see allowedHosts of StatusPort" })
)

/** Refuses what is for another host. An address is no name that somebody could make to point here. */
const forNames = (names: ReadonlySet<string>): Middleware => (app) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const host = askedFor(headers["host"])
    return host !== undefined && (isIP(host) !== 0 || /(^|\.)localhost$/.test(host) || names.has(host))
      ? app
      : misdirected
  })

/**
 * Serves routes on a port of its own. A bad option throws a `RangeError`; a port that
 * is taken fails with a `ServeError`.
 *
 * It provides the `HttpServer`, which knows its address.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpServer } from "effect/http"
 * import { Resilience } from "effect-resilience"
 * import { StatusPort } from "effect-resilience/node"
 * import { Dashboard, Recoveries, StatusServer } from "effect-resilience/observability"
 *
 * const seen = Layer.mergeAll(StatusServer.layer(), Dashboard.layer()).pipe(Layer.provide(Recoveries.layer))
 * const port = StatusPort.layer(seen, { port: 0 }).pipe(Layer.provide(Resilience.layer))
 *
 * const program = Effect.gen(function*() {
 *   const { address } = yield* HttpServer.HttpServer
 *   const url = HttpServer.formatAddress(address)
 *   const page = yield* Effect.promise(() => fetch(url + "/dashboard"))
 *   console.log(url.startsWith("http://127.0.0.1:"), page.status) // => true 200
 *   yield* Effect.promise(() => page.text())
 * })
 *
 * await program.pipe(Effect.provide(port), Effect.runPromise)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R>(
  routes: Layer.Layer<A, E, R>,
  options: Options
): Layer.Layer<A | Provided, HttpRouter.Request.Without<E> | HttpServerError.ServeError, Needed<R>> => {
  onlyKeys("StatusPort", options, ["port", "host", "allowedHosts", "idleTimeout"])
  const port = integer("StatusPort", "port", options.port, 0, 65_535)
  const host = options.host === undefined ? "127.0.0.1" : nonEmpty("StatusPort", "host", options.host)
  const { allowedHosts } = options
  if (allowedHosts !== undefined && !Array.isArray(allowedHosts)) {
    refuse("StatusPort", "allowedHosts", "an array of names", allowedHosts)
  }
  const names = new Set((allowedHosts ?? []).map(nameOf))
  const idle = positiveMillis("StatusPort", "idleTimeout", options.idleTimeout ?? "1 minute")
  const checked: Middleware = allowedHosts !== undefined || isLoopback(host) ? forNames(names) : (app) => app
  const around = ServerErrors.around((errors) =>
    Effect.map(Landing, (landing): Middleware => {
      const led: Middleware = landing === undefined ? (app) => app : leading(landing)
      return (app) => errors(checked(led(app)))
    }), {})
  const led = Layer.provide(Layer.provide(routes, around), Layer.sync(Landing, () => ({ path: undefined })))
  const served = HttpRouter.serve(led, { disableLogger: true, disableListenLog: true }).pipe(
    // those who follow the changes would be waited for
    Layer.provideMerge(
      NodeHttpServer.layer(() => createServer().setTimeout(idle), {
        port,
        host,
        gracefulShutdownTimeout: "100 millis"
      })
    )
  )
  // what is taken away from the needs one after the other, which the compiler does not follow for any `R`, is taken
  // away at once in the type
  return served as Layer.Layer<A | Provided, HttpRouter.Request.Without<E> | HttpServerError.ServeError, Needed<R>>
}
