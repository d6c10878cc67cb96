/** A server of node:http for tests with real sockets: it answers by a function, and counts what it gets. */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Schedule, type Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** The clients over real sockets, by name. */
export const clients = [
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["fetch", FetchHttpClient.layer]
] as const

export interface TestServer {
  readonly url: string
  /** The requests it got, in order. */
  readonly requests: ReadonlyArray<{ readonly method: string; readonly headers: IncomingMessage["headers"] }>
  readonly answer: (listener: RequestListener) => void
  readonly connections: Effect.Effect<number>
}

export const make: Effect.Effect<TestServer, never, Scope.Scope> = Effect.gen(function*() {
  const requests: Array<TestServer["requests"][number]> = []
  let listener: RequestListener = (_, response) => {
    response.end()
  }
  const server = createServer((request, response) => {
    requests.push({ method: request.method ?? "", headers: request.headers })
    // a client that goes away in the middle is what these tests are about
    response.on("error", () => {})
    listener(request, response)
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (next) => {
      listener = next
    },
    connections: Effect.callback<number>((resume) => {
      server.getConnections((_, count) => resume(Effect.succeed(count)))
    })
  }
})

export const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

/** Waits until `effect` answers `true`, and dies after fifteen seconds. */
export const eventually = (effect: Effect.Effect<boolean>): Effect.Effect<void> =>
  effect.pipe(
    Effect.repeat({ until: (done) => done, schedule: Schedule.spaced("10 millis") }),
    // a pool keeps a connection that was never used for some seconds
    Effect.timeout("15 seconds"),
    Effect.orDie,
    Effect.asVoid
  )
