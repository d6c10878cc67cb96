/**
 * A port of its own for what one's own people and programs look at: status API,
 * dashboard, metrics.
 *
 * It listens on loopback alone unless it is told otherwise, since what is served there
 * asks nobody for a token. When it ends, it waits a tenth of a second for answers that
 * are under way, and cuts the streams of changes.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { integer, nonEmpty, onlyKeys } from "../internal/options.ts"

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
}

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
export const layer = <A, E, R>(routes: Layer.Layer<A, E, R>, options: Options) => {
  onlyKeys("StatusPort", options, ["port", "host"])
  const port = integer("StatusPort", "port", options.port, 0, 65_535)
  const host = options.host === undefined ? "127.0.0.1" : nonEmpty("StatusPort", "host", options.host)
  return HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    // those who follow the changes would be waited for
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port, host, gracefulShutdownTimeout: "100 millis" }))
  )
}
