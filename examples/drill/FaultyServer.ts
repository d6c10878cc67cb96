/** A real server on loopback that can be made faulty while it runs. */
import { Clock, Effect, Schedule } from "effect"
import * as http from "node:http"
import { operationOf } from "./Names.ts"
import type { Fault, Service } from "./Recording.ts"
import { deadlines } from "./Settings.ts"

export interface FaultyServer {
  /** Where it lives, whether it listens or not. */
  readonly url: string
  /** Gives it a fault, or takes it away. */
  readonly become: (fault: Fault | undefined) => Effect.Effect<void>
}

/** How long faults make their callers wait. */
export interface Times {
  /** How late a slow answer is, in milliseconds. */
  readonly slow: number
  /** How long a flapping service is down, and then up, in milliseconds. */
  readonly flap: { readonly down: number; readonly up: number }
  /** What `Retry-After` asks for. The header knows whole seconds only. */
  readonly retryAfter: number
}

/** The times of a service's faults, divided by the factor. */
export const times = (service: Service, factor: number): Times => ({
  // a little later than users wait: for them it is as bad as no answer, although no request ever fails
  slow: 1.2 * deadlines(factor)[operationOf[service]],
  flap: { down: 30_000 / factor, up: 15_000 / factor },
  retryAfter: Math.max(1, Math.round(20 / factor))
})

/**
 * Starts a server in front of a service. It is gone, with all of its connections, when the scope ends.
 *
 * - `refuse`: nobody listens on its port
 * - `hang`: requests are taken and never answered
 * - `slow`: the service answers, too late to be of use
 * - `busy`, `throttle`: every answer is 503, or 429, with `Retry-After`
 * - `reset`: the connection is reset when part of a good answer is out
 * - `malformed`: answers have status 200 and a body that is cut off, or whole but of the wrong shape
 * - `flap`: connections break before any answer; then all is well; and so on
 */
export const make = Effect.fnUntraced(function*(options: {
  readonly service: http.RequestListener
  readonly times: Times
  /** Told of every request, before anything is done about it. */
  readonly onArrival?: () => void
}) {
  const { onArrival, service, times } = options
  const clock = yield* Clock.Clock
  let fault: Fault | undefined
  let since = 0
  let requests = 0

  const isDown = (): boolean =>
    (clock.currentTimeMillisUnsafe() - since) % (times.flap.down + times.flap.up) < times.flap.down

  const server = http.createServer((request, response) => {
    requests++
    onArrival?.()
    // a client that gives up breaks its connection, and that is no error of the server's
    response.on("error", () => {})
    switch (fault) {
      case undefined:
        service(request, response)
        return
      case "hang":
        return
      case "slow": {
        const timer = setTimeout(() => service(request, response), times.slow)
        response.on("close", () => clearTimeout(timer))
        return
      }
      case "busy":
        return askForRest(503, response, times.retryAfter)
      case "throttle":
        return askForRest(429, response, times.retryAfter)
      case "malformed":
        response.writeHead(200, { "content-type": "application/json" })
        response.end(requests % 2 === 0 ? "{\"passages\": [\"What the man" : "{\"id\": 1, \"error\": null}")
        return
      case "flap":
        if (isDown()) request.socket.resetAndDestroy()
        else service(request, response)
        return
      // a request that was on its way when the port was closed
      case "refuse":
      case "reset":
        breakOff(response)
    }
  })
  // clients keep their connections for longer than a drill lasts: one that the server closes is the fault's doing
  server.keepAliveTimeout = 0
  const port = yield* Effect.acquireRelease(listen(server, 0), () => close(server))

  const become = (next: Fault | undefined): Effect.Effect<void> =>
    Effect.suspend(() => {
      fault = next
      since = clock.currentTimeMillisUnsafe()
      if (next === "refuse") return close(server)
      return server.listening ? Effect.void : Effect.asVoid(listen(server, port))
    })
  return { url: `http://127.0.0.1:${port}`, become } satisfies FaultyServer
})

const askForRest = (status: number, response: http.ServerResponse, retryAfter: number): void => {
  response.writeHead(status, { "retry-after": String(retryAfter) }).end()
}

/** Half of a good answer, and a reset. */
const breakOff = (response: http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "application/json", "content-length": 1000 })
  response.write("{\"passages\": [\"What the man", () => {
    // a moment, so that the client is in the middle of the body by then
    setTimeout(() => response.socket?.resetAndDestroy(), 5)
  })
}

const listen = (server: http.Server, port: number): Effect.Effect<number> =>
  Effect.callback<number, Error>((resume) => {
    const onError = (error: Error) => resume(Effect.fail(error))
    server.once("error", onError)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", onError)
      const address = server.address()
      // a server that listens on a port has an address that is no text
      resume(Effect.succeed(address === null || typeof address === "string" ? port : address.port))
    })
  }).pipe(
    // while nobody listened, the system may have lent the port to somebody for an outgoing connection
    Effect.retry({ times: 40, schedule: Schedule.spaced("25 millis") }),
    Effect.orDie
  )

const close = (server: http.Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
