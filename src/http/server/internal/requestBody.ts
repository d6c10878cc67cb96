/** Requests whose body is read in another way than the platform reads it. */
import * as Effect from "effect/Effect"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"

type Request = HttpServerRequest.HttpServerRequest

type Body = Partial<Pick<Request, "arrayBuffer" | "text" | "json" | "urlParamsBody" | "stream">>

/**
 * The request with another body; also where a router changes its url. Everything
 * else stays the request's own: platforms read what they need off their own class.
 */
export const withBody = (request: Request, body: Body): Request =>
  Object.create(request, {
    ...Object.fromEntries(Object.entries(body).map(([name, value]) => [name, { value }])),
    modify: { value: (options: Parameters<Request["modify"]>[0]) => withBody(request.modify(options), body) }
  })

/**
 * Reads the whole body, and gives the request to those who come after, however they
 * read it: what a platform has read once it cannot give as a stream.
 */
export const held = (
  request: Request
): Effect.Effect<{ readonly bytes: Uint8Array; readonly request: Request }, HttpServerError.HttpServerError> =>
  Effect.map(request.arrayBuffer, (buffer) => {
    const bytes = new Uint8Array(buffer)
    const { arrayBuffer, json, text, urlParamsBody } = request
    return {
      bytes,
      request: withBody(request, { arrayBuffer, json, text, urlParamsBody, stream: Stream.make(bytes) })
    }
  })
