/** A real server on loopback that can be made faulty while it runs. */
import { Effect, Schedule } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/**
 * How a server behaves.
 *
 * - `healthy`: the service answers
 * - `refuse`: nobody listens on its port
 * - `hang`: requests are taken and never answered
 * - `status`: every answer has that status, and that `Retry-After`
 * - `reset`: the connection is reset when part of a good answer is out
 * - `malform`: answers have status 200 and a body that is cut off, or whole but of the wrong shape
 */
export type Mode =
  | { readonly kind: "healthy" }
  | { readonly kind: "refuse" }
  | { readonly kind: "hang" }
  | { readonly kind: "status"; readonly status: number; readonly retryAfter: string }
  | { readonly kind: "reset" }
  | { readonly kind: "malform" }

export interface FaultyServer {
  /** Where it lives, whether it listens or not. */
  readonly url: string
  readonly become: (mode: Mode) => Effect.Effect<void>
}

/** Starts a server in front of a service. It is gone, with all of its connections, when the scope ends. */
export const make = Effect.fnUntraced(function*(service: http.RequestListener) {
  let mode: Mode = { kind: "healthy" }
  let requests = 0
  const server = http.createServer((request, response) => {
    requests++
    // a client that gives up breaks its connection, and that is no error of the server's
    response.on("error", () => {})
    switch (mode.kind) {
      case "healthy":
        service(request, response)
        return
      case "refuse":
      case "reset":
        return breakOff(response)
      case "hang":
        return
      case "status":
        response.writeHead(mode.status, { "retry-after": mode.retryAfter }).end()
        return
      case "malform":
        response.writeHead(200, { "content-type": "application/json" })
        response.end(requests % 2 === 0 ? "{\"id\": \"1\", \"name\": \"Tea" : "{\"id\": 1, \"error\": null}")
    }
  })
  yield* Effect.acquireRelease(listen(server, 0), () => close(server))
  const { port } = server.address() as AddressInfo
  const become = (next: Mode): Effect.Effect<void> =>
    Effect.suspend(() => {
      mode = next
      if (next.kind === "refuse") return close(server)
      return server.listening ? Effect.void : listen(server, port)
    })
  return { url: `http://127.0.0.1:${port}`, become } satisfies FaultyServer
})

/** Half of a good answer, and a reset. */
const breakOff = (response: http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "application/json", "content-length": 1000 })
  response.write("{\"id\": \"1\", ", () => {
    // a moment, so that the client is in the middle of the body by then
    setTimeout(() => response.socket?.resetAndDestroy(), 5)
  })
}

const listen = (server: http.Server, port: number): Effect.Effect<void> =>
  Effect.callback<void, Error>((resume) => {
    const onError = (error: Error) => resume(Effect.fail(error))
    server.once("error", onError)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", onError)
      resume(Effect.void)
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
