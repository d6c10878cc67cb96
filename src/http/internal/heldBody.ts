/**
 * Reads the body of a response within the attempt that asked for it, so that the
 * attempt's limits cover it, a body that breaks off is a failed attempt, and the
 * connection of a response that nobody reads comes back.
 */
import * as Bytes from "effect/Bytes"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import type * as Headers from "effect/http/Headers"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Deadline from "../../Deadline.ts"
import { integer } from "../../internal/options.ts"

/** Bytes of a good body at most, unless a client says otherwise. */
const defaultMaxBodySize = 32 * 1024 * 1024

/** Checks the limit on good bodies. */
export const checkedMaxBodySize = (where: string, bytes: number = defaultMaxBodySize): number =>
  bytes === Infinity ? bytes : integer(where, "maxBodySize", bytes, 1)

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
 * Exchanges with the body of their response in memory: one that is good up to
 * `maxBodySize`, beyond which the exchange fails. The body of an error status is
 * read up to a bound of its own, and what has come until then is kept: its status
 * is known already, and says more than the body. So is the body of a response that
 * the client itself has turned into an error.
 */
export const holding = (maxBodySize: number) => {
  const onSuccess = (response: HttpClientResponse.HttpClientResponse) => held(response, maxBodySize)
  return <E, R>(
    exchange: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, E | HttpClientError.HttpClientError, R> =>
    Effect.matchCauseEffect(exchange, { onFailure: drained, onSuccess })
}

/** The failure of an exchange, when the body of the response that it may hold has been read. */
export const drained = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E> => {
  const error = Result.getOrUndefined(Cause.findError(cause))
  return HttpClientError.isHttpClientError(error) && error.response !== undefined
    ? Effect.andThen(readSome(error.response), Effect.failCause(cause))
    : Effect.failCause(cause)
}

/** The response of an exchange with its body in memory. */
export const held = (
  response: HttpClientResponse.HttpClientResponse,
  maxBodySize: number,
  headers: Headers.Headers = response.headers
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  response.status < 400
    ? Effect.map(
      readWhole(response, headers, maxBodySize),
      (bytes) => new HeldResponse(response, headers, { bytes, isWhole: true })
    )
    : Effect.map(readSome(response), (body) => new HeldResponse(response, headers, body))

/** Gives the connection of a response back that nobody will read: its body is begun, and left at once. */
export const cut = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.raceFirst(Effect.ignoreCause(Stream.runDrain(response.stream)), Effect.yieldNow)

/** The bytes of a body, as far as they were read. */
interface Body {
  readonly bytes: ArrayBuffer
  readonly isWhole: boolean
}

const wrong = (response: HttpClientResponse.HttpClientResponse, description: string) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.DecodeError({ request: response.request, response, description })
  })

const readWhole = (
  response: HttpClientResponse.HttpClientResponse,
  headers: Headers.Headers,
  maxBodySize: number
): Effect.Effect<ArrayBuffer, HttpClientError.HttpClientError> =>
  // no client reads more than a header has announced, unless it decodes the body
  maxBodySize === Infinity || announcedSize(headers) <= maxBodySize
    ? response.arrayBuffer
    : Effect.suspend(() => {
      const chunks = new Chunks(maxBodySize + 1)
      return Effect.andThen(
        chunks.read(response),
        Effect.suspend(() =>
          chunks.isFull
            ? Effect.fail(wrong(response, `Expected a body of at most ${maxBodySize} bytes`))
            : Effect.succeed(chunks.joined)
        )
      )
    })

const announcedSize = (headers: Headers.Headers): number => {
  const length = headers["content-length"]
  return length !== undefined && /^\d+$/.test(length) && headers["content-encoding"] === undefined
    ? Number(length)
    : Infinity
}

const readSome = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<Body> =>
  Effect.suspend(() => {
    const chunks = new Chunks(errorBody.bytes)
    return timeForErrorBody.pipe(
      Effect.flatMap((duration) => Effect.timeout(chunks.read(response), duration)),
      // a body that breaks off, or that cannot be read any more, which some clients take for a defect
      Effect.exit,
      Effect.map((exit) => ({ bytes: chunks.joined, isWhole: exit._tag === "Success" && !chunks.isFull }))
    )
  })

/** What has come of a body, until there are so many bytes of it. */
class Chunks {
  private readonly all: Array<Uint8Array> = []
  private size = 0
  private readonly enough: number
  constructor(enough: number) {
    this.enough = enough
  }
  get isFull(): boolean {
    return this.size >= this.enough
  }
  get joined(): ArrayBuffer {
    return Bytes.concat(this.all).buffer
  }
  read(response: HttpClientResponse.HttpClientResponse): Effect.Effect<void, HttpClientError.HttpClientError> {
    const read = Stream.runDrain(Stream.takeUntil(response.stream, (chunk) => this.add(chunk)))
    return Effect.flatMap(Effect.exit(read), (exit) =>
      this.size > 0 ? exit : response.arrayBuffer.pipe(
        // the client itself may have read the body, to log it perhaps, and keeps it then
        Effect.map((bytes) => void this.add(new Uint8Array(bytes))),
        Effect.catchCause(() => exit)
      ))
  }
  private add(chunk: Uint8Array): boolean {
    this.all.push(chunk)
    this.size += chunk.byteLength
    return this.isFull
  }
}

/** The text of a body that is in memory, as far as it was read. */
export const textSoFar = (response: HttpClientResponse.HttpClientResponse): string =>
  response instanceof HeldResponse ? decoder.decode(response.bytes) : ""

/**
 * A response whose body is read from memory. Status, headers, cookies and the rest
 * are the original's, of which headers are asked for once: some clients make them
 * anew each time.
 */
class HeldResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId] = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId] = HttpClientResponse.TypeId
  readonly status: number
  readonly headers: Headers.Headers
  readonly bytes: ArrayBuffer
  private readonly isWhole: boolean
  private readonly source: HttpClientResponse.HttpClientResponse

  constructor(source: HttpClientResponse.HttpClientResponse, headers: Headers.Headers, { bytes, isWhole }: Body) {
    super()
    this.source = source
    this.status = source.status
    this.headers = headers
    this.bytes = bytes
    this.isWhole = isWhole
  }

  get request() {
    return this.source.request
  }
  get url() {
    return this.source.url
  }
  get cookies() {
    return this.source.cookies
  }
  get remoteAddress() {
    return this.source.remoteAddress
  }
  get upgrade() {
    return this.source.upgrade
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.HttpClientError> {
    // a part of a body must not pass for all of it
    return this.isWhole
      ? Effect.succeed(this.bytes)
      : Effect.fail(wrong(this.source, "The body was not read to its end"))
  }

  get text(): Effect.Effect<string, HttpClientError.HttpClientError> {
    return Effect.map(this.arrayBuffer, (bytes) => decoder.decode(bytes))
  }

  get json(): Effect.Effect<Schema.Json, HttpClientError.HttpClientError> {
    return Effect.flatMap(this.arrayBuffer, (bytes) => {
      try {
        // as the clients do it: nothing is null
        return Effect.succeed(bytes.byteLength === 0 ? null : JSON.parse(decoder.decode(bytes)))
      } catch (cause) {
        const { request, source: response } = this
        return Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.DecodeError({ request, response, cause })
          })
        )
      }
    })
  }

  get urlParamsBody() {
    return Effect.flatMap(this.arrayBuffer, (bytes) => this.web(bytes).urlParamsBody)
  }
  get formData() {
    return Effect.flatMap(this.arrayBuffer, (bytes) => this.web(bytes).formData)
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.HttpClientError> {
    return Stream.concat(
      this.bytes.byteLength === 0 ? Stream.empty : Stream.succeed(new Uint8Array(this.bytes)),
      this.isWhole ? Stream.empty : Stream.drain(Stream.fromEffect(this.arrayBuffer))
    )
  }

  private web(bytes: ArrayBuffer): HttpClientResponse.HttpClientResponse {
    return HttpClientResponse.fromWeb(this.request, toWeb(this, bytes))
  }

  // by reference: a comparison by structure would run every getter
  [Equal.symbol](that: Equal.Equal): boolean {
    return this === that
  }
  [Hash.symbol](): number {
    return Hash.random(this)
  }

  toJSON(): unknown {
    return this.source.toJSON()
  }
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const decoder = new TextDecoder()

const toWeb = (response: HttpClientResponse.HttpClientResponse, body: ArrayBuffer): Response => {
  const { headers, status } = response
  // a web response takes no other status, and no body with some; what is missing matters to error messages alone
  const isPlain = status >= 200 && status <= 599 && status !== 204 && status !== 205 && status !== 304
  return new Response(body, { headers, ...(isPlain ? { status } : {}) })
}
