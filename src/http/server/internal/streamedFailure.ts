/** Answers that are streams: when one fails it is logged, and its callers learn no more of it than of any failure. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { hasProperty } from "effect/Predicate"
import * as Stream from "effect/Stream"
import { guarded } from "../../../internal/guarded.ts"

// the last event of a stream of an `HttpApi` that has failed: its data is the cause, defects with their messages
const begin = "event: effect/http-api/stream/failure\ndata: "
const beginBytes = new TextEncoder().encode(begin)
const hidden = { _tag: "Die", defect: { name: "Error", message: "The service has failed" } }

const isFailure = (chunk: Uint8Array): boolean =>
  chunk.length > beginBytes.length && beginBytes.every((byte, n) => chunk[n] === byte)

const isDefect = (reason: unknown): reason is { readonly defect: unknown } =>
  hasProperty(reason, "_tag") && reason._tag === "Die" && hasProperty(reason, "defect")

/** The reasons of the cause in an event; as Effect writes them they are one line of JSON. */
const reasonsOf = (event: Uint8Array): ReadonlyArray<unknown> => {
  const reasons = guarded((): unknown => JSON.parse(new TextDecoder().decode(event).slice(begin.length)))
  return Array.isArray(reasons) ? reasons : [hidden]
}

const isEventStream = (contentType: string): boolean => /^text\/event-stream\b/i.test(contentType)

const watched = new WeakSet<object>()

/**
 * The answer, whose stream is watched: once, by whoever comes first. An error that a
 * stream of events declares goes to the callers as it is.
 */
export const watching = (
  response: HttpServerResponse.HttpServerResponse,
  showsDefects: boolean,
  log: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  if (body._tag !== "Stream" || watched.has(body)) return response
  const stream = Stream.suspend(() => {
    const defects: Array<unknown> = []
    const scrub = (chunk: Uint8Array): Uint8Array => {
      if (!isFailure(chunk)) return chunk
      const reasons = reasonsOf(chunk)
      defects.push(...reasons.filter(isDefect).map(({ defect }) => defect))
      const shown = showsDefects ? reasons : reasons.map((reason) => isDefect(reason) ? hidden : reason)
      return new TextEncoder().encode(`${begin}${JSON.stringify(shown)}\n\n`)
    }
    return body.stream.pipe(
      (self) => isEventStream(body.contentType) ? Stream.map(self, scrub) : self,
      Stream.tapCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : log(cause)),
      Stream.ensuring(Effect.suspend(() => defects.length === 0 ? Effect.void : log(Cause.die(defects[0]))))
    )
  })
  const shown = HttpBody.stream(stream, body.contentType, body.contentLength)
  watched.add(shown)
  // also a content type that is not the body's own stays
  return HttpServerResponse.setHeaders(HttpServerResponse.setBody(response, shown), response.headers)
}
