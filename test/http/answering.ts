/** A client that answers by a function and keeps what it was sent, for tests without sockets. */
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"

export interface Sent {
  readonly method: string
  readonly url: string
  readonly path: string
  /** Empty where it is a stream or a form. */
  readonly body: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

export const answering = (answer: (request: Sent, count: number) => Response | "refuse" | "hang") => {
  const sent: Array<Sent> = []
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      const seen = {
        method: request.method,
        url: url.toString(),
        path: url.pathname,
        body,
        headers: { ...request.headers }
      }
      sent.push(seen)
      const response = answer(seen, sent.length)
      if (response === "hang") return Effect.never
      return response === "refuse"
        ? Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({
              request,
              cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" })
            })
          })
        )
        : Effect.succeed(HttpClientResponse.fromWeb(request, response))
    })
  )
  return { sent, layer: Layer.succeed(HttpClient.HttpClient, client) }
}

export const json = (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } })
