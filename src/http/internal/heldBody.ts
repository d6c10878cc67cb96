/**
 * Reads the body of a response within the attempt that asked for it, so that the
 * attempt's limits cover it, a body that breaks off is a failed attempt, and the
 * connection of a response that nobody reads comes back.
 */
import * as Bytes from "effect/Bytes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Deadline from "../../Deadline.ts"

/**
 * How much of an error's body is read, and for how long, before its connection is
 * cut. It is given half of what is left of the attempt at most: a body that stalls
 * must not turn an answer, which may say when to come back, into a timeout.
 */
const errorBody = { bytes: 1024 * 1024, duration: Duration.seconds(2) }

const timeForErrorBody = Effect.map(
  Deadline.remaining,
  Option.match({
    onNone: () => errorBody.duration,
    onSome: (left) => Duration.min(errorBody.duration, Duration.millis(Duration.toMillis(left) / 2))
  })
)

/**
 * An exchange with the body of its response in memory. The body of an error status
 * is read up to a bound, and what has come until then is kept: its status is
 * known already, and says more than the body. So is the body of a response that
 * the client itself has turned into an error. A response that is excepted is left
 * unread.
 */
export const holding = <E, R>(
  exchange: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
  except?: (response: HttpClientResponse.HttpClientResponse) => boolean
): Effect.Effect<HttpClientResponse.HttpClientResponse, E | HttpClientError.HttpClientError, R> =>
  exchange.pipe(
    Effect.tapError((error) =>
      HttpClientError.isHttpClientError(error) && error.response !== undefined ? readSome(error.response) : Effect.void
    ),
    Effect.flatMap((response) => except?.(response) === true ? Effect.succeed(response) : hold(response))
  )

/** Gives the connection of a response back that nobody will read: its body is begun, and left at once. */
export const cut = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.raceFirst(Effect.ignoreCause(Stream.runDrain(response.stream)), Effect.yieldNow)

const hold = (
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  Effect.map(response.status < 400 ? response.arrayBuffer : readSome(response), (body) => withBody(response, body))

const readSome = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<ArrayBuffer> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let size = 0
    const read = response.stream.pipe(
      Stream.takeUntil((chunk) => {
        chunks.push(chunk)
        size += chunk.byteLength
        return size >= errorBody.bytes
      }),
      Stream.runDrain,
      // a body that breaks off, or that cannot be read any more, which some clients take for a defect
      Effect.ignoreCause,
      // the client itself may have read it, to log it perhaps, and keeps it then
      Effect.andThen(
        Effect.suspend(() => size > 0 ? Effect.succeed(Bytes.concat(chunks).buffer) : response.arrayBuffer)
      )
    )
    return timeForErrorBody.pipe(
      Effect.flatMap((duration) => Effect.timeout(read, duration)),
      Effect.catchCause(() => Effect.succeed(Bytes.concat(chunks).buffer))
    )
  })

const withBody = (
  response: HttpClientResponse.HttpClientResponse,
  body: ArrayBuffer
): HttpClientResponse.HttpClientResponse => {
  let source: HttpClientResponse.HttpClientResponse | undefined
  const held = () => source ??= HttpClientResponse.fromWeb(response.request, toWeb(response, body))
  // Status, headers, cookies and the rest stay the original's; the body is read from memory. By reference, since a
  // comparison by structure would run every getter of the original.
  return Equal.byReferenceUnsafe(Object.create(response, {
    arrayBuffer: { value: Effect.succeed(body) },
    text: { get: () => Effect.sync(() => decoder.decode(body)) },
    // as the clients do it: nothing is null
    json: {
      get: () =>
        Effect.try({
          try: (): Schema.Json => body.byteLength === 0 ? null : JSON.parse(decoder.decode(body)),
          catch: (cause) =>
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.DecodeError({ request: response.request, response, cause })
            })
        })
    },
    urlParamsBody: { get: () => held().urlParamsBody },
    formData: { get: () => held().formData },
    stream: { get: () => body.byteLength === 0 ? Stream.empty : Stream.succeed(new Uint8Array(body)) }
  }))
}

const decoder = new TextDecoder()

const toWeb = (response: HttpClientResponse.HttpClientResponse, body: ArrayBuffer): Response => {
  const { headers, status } = response
  // a web response takes no other status, and no body with some; what is missing matters to error messages alone
  const isPlain = status >= 200 && status <= 599 && status !== 204 && status !== 205 && status !== 304
  return new Response(body, { headers, ...(isPlain ? { status } : {}) })
}
