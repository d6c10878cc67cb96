/** Servers on sockets of loopback, and what is written to them as it is. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Logger } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { connect } from "node:net"
import * as Drain from "../../../src/http/server/Drain.ts"
import * as Server from "../../../src/http/server/Server.ts"

/** Serves the routes behind `Server.layer` until the scope closes. */
export const listen = <A>(
  routes: Layer.Layer<A, never, HttpRouter.HttpRouter | HttpRouter.Request<"Error", unknown>>,
  options: Server.Options = {},
  logger: Layer.Layer<never> = Logger.layer([])
) =>
  Effect.gen(function*() {
    const node = createServer()
    const context = yield* Layer.build(
      HttpRouter.serve(routes.pipe(Layer.provideMerge(Server.layer(options))), { disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(() => node, { port: 0, gracefulShutdownTimeout: 100 })),
        Layer.provideMerge(logger)
      )
    )
    const { drain, inFlight } = yield* Drain.Drain.pipe(Effect.provide(context))
    const { port } = node.address() as AddressInfo
    const connections = Effect.callback<number>((resume) => {
      node.getConnections((_, count) => resume(Effect.succeed(count)))
    })
    return { drain, inFlight, connections, port, url: `http://localhost:${port}` }
  })

/** Writes to a socket as it is, and answers with all that came back until it was closed. */
export const raw = (port: number, request: string | Uint8Array, options: { readonly end: boolean }) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = connect(port, "localhost", () => {
      socket.write(request)
      if (options.end) setTimeout(() => socket.destroy(), 50)
    })
    socket.on("data", (data) => {
      answer += data.toString()
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })
