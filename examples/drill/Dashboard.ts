/** The live dashboard of a gateway, from the gateway's own process. */
import { Context, Effect, Layer, Schema } from "effect"
import { Resilience } from "effect-resilience"
import { StatusPort } from "effect-resilience/node"
import { Dashboard, Recoveries, StatusServer } from "effect-resilience/observability"
import { HttpServer } from "effect/http"

class NoDashboard extends Schema.TaggedError<NoDashboard>()("NoDashboard", { message: Schema.String }) {}

/**
 * Serves it on loopback until the scope ends, and answers with its url. Whoever has the `Resilience` of a program can
 * watch its services: no line of the gateway's own knows of it. Control by hand is off, since no token is given for it.
 */
export const serve = Effect.fnUntraced(function*(port: number, resilience: Resilience.Resilience["Service"]) {
  const pages = Layer.mergeAll(StatusServer.layer(), Dashboard.layer({ title: "Outage drill" })).pipe(
    Layer.provide(Recoveries.layer)
  )
  const server = yield* StatusPort.layer(pages, { port }).pipe(
    Layer.provide(Layer.succeed(Resilience.Resilience, resilience)),
    Layer.build,
    // what a ServeError is about is in its cause
    Effect.mapError(({ cause }) =>
      new NoDashboard({ message: `no dashboard: ${cause instanceof Error ? cause.message : String(cause)}` })
    )
  )
  return `${HttpServer.formatAddress(Context.get(server, HttpServer.HttpServer).address)}/dashboard`
})
