/** A program of its own: a server that drains on SIGTERM. It prints its port, and what has become of it. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Drain, Server } from "effect-resilience/http"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"

const routes = Layer.mergeAll(
  HttpRouter.add(
    "GET",
    "/slow",
    Console.log("working").pipe(
      Effect.andThen(Effect.sleep("700 millis")),
      Effect.as(HttpServerResponse.text("slow"))
    )
  ),
  Drain.layerReadiness()
)

const listening = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))

const app = Layer.mergeAll(Drain.layerOnStop({ wait: "10 seconds" }), listening).pipe(
  Layer.provide(
    HttpRouter.serve(routes.pipe(Layer.provideMerge(Server.layer())), { disableListenLog: true, disableLogger: true })
  ),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

NodeRuntime.runMain(
  Effect.ensuring(Layer.launch(app), Console.log("stopped")),
  { disableErrorReporting: true }
)
