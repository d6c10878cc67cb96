/** One of the three gateways on a port of its own, and what is seen of it from outside of its code. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Exit, Layer } from "effect"
import { Resilience, type ResilienceEvent } from "effect-resilience"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as plain from "./gateways/plain.ts"
import * as resilient from "./gateways/resilient.ts"
import * as retries from "./gateways/retries.ts"
import type { Call } from "./gateways/unprotected.ts"
import { type Attempt, type BreakerChange, type Gateway, type Service, services } from "./Recording.ts"
import type { Settings } from "./Settings.ts"

/** Who is told what a gateway does. */
export interface Watcher {
  readonly onAttempt: (attempt: Omit<Attempt, "gateway">) => void
  readonly onChange: (change: Omit<BreakerChange, "gateway">) => void
}

const isService = (name: string): name is Service => services.some((service) => service === name)

/** What the toolkit tells of itself. Each client has the name of its service, and so have its pipeline and its breaker. */
const kinds = ["Attempted", "CircuitOpened", "CircuitHalfOpened", "CircuitClosed"] as const

const heard = ({ onAttempt, onChange }: Watcher) => (event: ResilienceEvent.OfKind<typeof kinds[number]>): void => {
  const { at, pipeline: service } = event
  if (!isService(service)) return
  switch (event._tag) {
    case "Attempted":
      // it is told of when it has ended
      return onAttempt({ service, at: at - Duration.toMillis(event.elapsed), ok: event.outcome === "Success" })
    case "CircuitOpened":
      return onChange({ service, at, state: "Open" })
    case "CircuitHalfOpened":
      return onChange({ service, at, state: "HalfOpen" })
    case "CircuitClosed":
      return onChange({ service, at, state: "Closed" })
  }
}

/** The same for a gateway that tells nothing of itself. */
const watching = ({ onAttempt }: Watcher): Call => (service, request) =>
  Effect.clockWith((clock) =>
    Effect.suspend(() => {
      const at = clock.currentTimeMillisUnsafe()
      return Effect.onExit(request, (exit) => Effect.sync(() => onAttempt({ service, at, ok: Exit.isSuccess(exit) })))
    })
  )

const application = (gateway: Gateway, settings: Settings, watcher: Watcher) => {
  switch (gateway) {
    case "plain":
      return plain.gateway(settings, watching(watcher))
    case "retries":
      return retries.gateway(settings, watching(watcher))
    case "resilient":
      return resilient.gateway(settings)
  }
}

/** Serves a gateway on loopback until the scope ends. Answers with its url, and the owner of its breakers. */
export const serve = Effect.fnUntraced(function*(gateway: Gateway, settings: Settings, watcher: Watcher) {
  // all three have what only the toolkit's needs, so that nothing else is different about them
  const context = yield* Layer.build(Layer.merge(Resilience.layer, NodeHttpClient.layerUndici))
  const resilience = Context.get(context, Resilience.Resilience)
  yield* resilience.listen(kinds, heard(watcher))
  const server = yield* HttpRouter.serve(application(gateway, settings, watcher), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(Layer.succeedContext(context)),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
    Layer.build
  )
  return { url: HttpServer.formatAddress(Context.get(server, HttpServer.HttpServer).address), resilience }
})
