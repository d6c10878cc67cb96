/**
 * One exchange of a service client: what its request carries, what is noted of it
 * for the attempt that it belongs to, since a decoded error has lost its status
 * and headers; and what the attempt's failure is to its caller.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Deadline from "../../Deadline.ts"
import * as Outcome from "../../Outcome.ts"
import * as DeadlineHeader from "../DeadlineHeader.ts"
import * as HttpOutcome from "../HttpOutcome.ts"
import * as Problem from "../Problem.ts"
import * as RequestId from "../RequestId.ts"
import * as RetryAfter from "../RetryAfter.ts"
import * as ServiceError from "../ServiceError.ts"
import { withoutRetryFields } from "./eventStream.ts"
import { problemOf } from "./foreignError.ts"
import { cut, holding } from "./heldBody.ts"
import * as idempotencyKey from "./idempotencyKey.ts"
import { comingFrom } from "./origin.ts"
import { holdsKey, isRereadable } from "./replaySafety.ts"
import type { TokenKeeper } from "./tokenKeeper.ts"

/** One operation of one service. */
export interface Operation {
  readonly service: string
  /** Group and endpoint: `plans.get`. */
  readonly operation: string
  /** Whether a good response is read as it comes. */
  readonly streams: boolean
  /** Whether the API says what an answer of that status is. */
  readonly declares: (status: number) => boolean
}

/** What all attempts of one call have in common. */
export interface Call {
  readonly of: Operation
  readonly requestId: string
  /** What the request carries unless it has a key of its own. */
  readonly idempotencyKey: string | undefined
}

/** The exchange of one attempt. */
class Exchange {
  status: number | undefined
  retryAfter: Duration.Duration | undefined
  /** An answer with the status of an error, whose body is in memory. */
  refusal: HttpClientResponse.HttpClientResponse | undefined
  /** An answer that is read as it comes, if it is found good. */
  unread: HttpClientResponse.HttpClientResponse | undefined
  requestId: string
  /** The tokens that have been sent. */
  readonly tokens: Array<string> = []
  readonly call: Call
  constructor(call: Call) {
    this.call = call
    this.requestId = call.requestId
  }
  /** What every error says of its call. */
  get where() {
    const { operation, service } = this.call.of
    return { service, operation, requestId: this.requestId }
  }
}

const CurrentExchange = Context.Reference<Exchange | undefined>("effect-resilience/http/CurrentExchange", {
  defaultValue: () => undefined
})

/** Fails the attempt that is running before anything is sent. */
export const unavailable = (reason: string): Effect.Effect<never, ServiceError.ServiceUnavailable> =>
  Effect.flatMap(CurrentExchange, (exchange) =>
    Effect.fail(
      new ServiceError.ServiceUnavailable({
        ...(exchange?.where ?? { service: "unknown", operation: "unknown" }),
        reason
      })
    ))

/** The operation of the attempt that is running. */
export const currentOperation: Effect.Effect<Operation | undefined> = Effect.map(
  CurrentExchange,
  (exchange) => exchange?.call.of
)

type Exchanging<E, R> = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>

/**
 * The client below the generated one. Its requests carry the id of the current
 * request, the time that is left, the call's idempotency key and the token; status
 * and `Retry-After` of each response are noted for the attempt that it belongs to,
 * and its body is read.
 */
export const noting = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  token: TokenKeeper | undefined
): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError | ServiceError.ServiceUnavailable, R> =>
  HttpClient.makeWith<
    never,
    never,
    E | HttpClientError.HttpClientError | ServiceError.ServiceUnavailable,
    R
  >(
    Effect.flatMap((request) =>
      Effect.flatMap(CurrentExchange, (exchange) => {
        // a middleware of the API may send requests of its own, outside of any attempt
        if (exchange === undefined) return holding(client.execute(request))
        const send = sending(client, exchange)
        return Effect.flatMap(
          carrying(request, exchange),
          (request) => token === undefined ? send(request) : withToken(request, exchange, token, send)
        )
      })
    ),
    Effect.succeed
  )

const sending = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  exchange: Exchange
): Exchanging<E | HttpClientError.HttpClientError, R> =>
(request) =>
  Effect.withFiber((fiber) => {
    const noted = Effect.map(client.execute(request), (response) => {
      exchange.status = response.status
      exchange.retryAfter = RetryAfter.fromHeaders(response.headers, fiber.getRef(Clock.Clock))
      return response
    })
    const held = holding(noted, (response) => exchange.call.of.streams && response.status < 400)
    return Effect.map(held, (response) => {
      exchange.refusal = response.status < 400 ? undefined : response
      if (!exchange.call.of.streams || response.status >= 400) return response
      exchange.unread = response
      return withoutRetryFields(response)
    })
  })

/** The request with what it carries beside what its API says. */
const carrying = (
  request: HttpClientRequest.HttpClientRequest,
  exchange: Exchange
): Effect.Effect<HttpClientRequest.HttpClientRequest> =>
  Effect.map(Deadline.remaining, (remaining) => {
    const own = request.headers[RequestId.header]
    exchange.requestId = RequestId.parse(own) ?? exchange.requestId
    const left = Option.isSome(remaining) ? DeadlineHeader.encode(remaining.value) : undefined
    const key = holdsKey(request.headers) ? undefined : exchange.call.idempotencyKey
    return HttpClientRequest.setHeaders(request, {
      [RequestId.header]: exchange.requestId,
      ...(left === undefined ? {} : { [DeadlineHeader.header]: left }),
      ...(key === undefined ? {} : { [idempotencyKey.header]: key })
    })
  })

/** Sends a request with the token, and once more with a new one where that is refused. */
const withToken = <E, R>(
  request: HttpClientRequest.HttpClientRequest,
  exchange: Exchange,
  keeper: TokenKeeper,
  send: Exchanging<E, R>
): Effect.Effect<HttpClientResponse.HttpClientResponse, E | ServiceError.ServiceUnavailable, R> => {
  const sendWith = (token: string) => {
    exchange.tokens.push(token)
    return Effect.updateContext(
      send(HttpClientRequest.setHeader(request, keeper.header, token)),
      (context: Context.Context<R>) =>
        context.pipe(
          // spans show the headers that are not among these names
          Context.add(Headers.CurrentRedactedNames, [
            ...Context.get(context, Headers.CurrentRedactedNames),
            keeper.header
          ]),
          // `fetch` would take the header to any host
          Context.add(FetchHttpClient.RequestInit, {
            ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
            redirect: "manual"
          })
        )
    )
  }
  type Sent = Effect.Effect<HttpClientResponse.HttpClientResponse, E | ServiceError.ServiceUnavailable, R>
  return Effect.flatMap(keeper.current, (token): Sent => {
    if (token === undefined) {
      // nothing was sent, so nothing is known of the service
      return Outcome.annotate(unavailable("no token"), () => Outcome.ignored)
    }
    return Effect.flatMap(
      sendWith(token),
      (response) =>
        response.status !== 401 || !isRereadable(request.body) ? Effect.succeed(response) : Effect.flatMap(
          keeper.renewed(token),
          (renewed) => renewed === undefined ? Effect.succeed(response) : sendWith(renewed)
        )
    )
  })
}

/** A decoding error of the response. One of the request stays as it is, and is told from it by that. */
export const markResponseInvalid = <A, R>(decoding: Effect.Effect<A, unknown, R>): Effect.Effect<A, unknown, R> =>
  Effect.catch(decoding, (error) =>
    Schema.isSchemaError(error)
      ? Effect.flatMap(
        CurrentExchange,
        (exchange) => Effect.fail(exchange === undefined ? error : responseInvalid(exchange, error))
      )
      : Effect.fail(error))

const mismatchesOf = (wrong: Schema.SchemaError | string, path: ReadonlyArray<string> = []) =>
  typeof wrong === "string" ? [new ServiceError.Mismatch({ path, message: wrong })] : ServiceError.mismatches(wrong)

const requestInvalid = ({ where }: Exchange, wrong: Schema.SchemaError | string, path?: ReadonlyArray<string>) =>
  new ServiceError.RequestInvalid({ ...where, mismatches: mismatchesOf(wrong, path) })

const responseInvalid = ({ status = 0, where }: Exchange, wrong: Schema.SchemaError | string) =>
  new ServiceError.ResponseInvalid({ ...where, status, mismatches: mismatchesOf(wrong) })

type Raw = HttpClientError.HttpClientError | Schema.SchemaError

/**
 * Runs one attempt of a generated method: its failures become those of
 * `ServiceError` where the API declares none, and carry what the exchange said.
 */
export const attempt = <A, E, R>(
  method: Effect.Effect<A, E, R>,
  call: Call
): Effect.Effect<A, Exclude<E, Raw> | ServiceError.ServiceError, R> =>
  Effect.suspend(() => attemptAs(method, new Exchange(call)))

const attemptAs = <A, E, R>(
  method: Effect.Effect<A, E, R>,
  exchange: Exchange
): Effect.Effect<A, Exclude<E, Raw> | ServiceError.ServiceError, R> =>
  Effect.catchCause(
    Effect.provideService(method, CurrentExchange, exchange),
    (cause) => {
      const failing = Effect.clockWith((clock) => fail(cause, exchange, clock))
      return exchange.unread === undefined ? failing : Effect.andThen(cut(exchange.unread), failing)
    }
  )

/** The same of a method that answers with a stream: the attempt lasts until its end. */
export const attemptStream = <A, E2, E>(
  method: Effect.Effect<Stream.Stream<A, E2>, E>,
  call: Call
): Stream.Stream<A, Exclude<E, Raw> | Exclude<E2, Raw | Sse.SseError | Sse.Retry> | ServiceError.ServiceError> =>
  Stream.suspend(() => {
    const exchange = new Exchange(call)
    const opened = RequestId.within(call.requestId)(attemptAs(method, exchange))
    return Stream.unwrap(Effect.map(opened, (stream) =>
      Stream.catchCause(
        stream,
        (cause) => Stream.fromEffect(Effect.clockWith((clock) => failInStream(cause, exchange, clock)))
      )))
  })

/** What ends a stream after its response has been found good. */
const failInStream = <E>(
  cause: Cause.Cause<E>,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<never, Exclude<E, Raw | Sse.SseError | Sse.Retry> | ServiceError.ServiceError> => {
  const error: unknown = Result.getOrUndefined(Cause.findError(cause))
  if (Schema.isSchemaError(error)) return Effect.fail(responseInvalid(exchange, error))
  if (error instanceof Sse.SseError) return Effect.fail(responseInvalid(exchange, "Expected a shorter event"))
  if (HttpClientError.isHttpClientError(error)) return failByClient(error, exchange, clock)
  // what the client and the codecs fail with has been dealt with above
  return Effect.failCause(cause as Cause.Cause<Exclude<E, Raw | Sse.SseError | Sse.Retry>>)
}

const fail = <E>(
  cause: Cause.Cause<E>,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<never, Exclude<E, Raw> | ServiceError.ServiceError> => {
  const found = Cause.findError(cause)
  if (Result.isFailure(found)) {
    const defect = Result.getOrUndefined(Cause.findDefect(cause))
    if (exchange.status !== undefined && isTooDeep(defect)) {
      return Effect.fail(responseInvalid(exchange, "it is nested too deeply"))
    }
    return isPathParameterError(defect)
      ? Effect.fail(requestInvalid(exchange, defect.message, ["params"]))
      // without a typed error in it, the cause fits any error type
      : Effect.failCause(cause as Cause.Cause<never>)
  }
  const error: unknown = found.success
  if (Schema.isSchemaError(error)) return Effect.fail(requestInvalid(exchange, error))
  if (HttpClientError.isHttpClientError(error)) return failByClient(error, exchange, clock)
  if (Problem.isProblem(error)) comingFrom(error, exchange.where)
  // what the client and the codecs fail with has been dealt with above
  const declared = Effect.failCause(cause as Cause.Cause<Exclude<E, Raw>>)
  const { status } = exchange
  return status === undefined
    ? declared
    : Outcome.annotate(declared, () => HttpOutcome.fromStatus(status, exchange.retryAfter))
}

const failByClient = (
  error: HttpClientError.HttpClientError,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<never, ServiceError.ServiceError> => {
  const { reason } = error
  const known = "response" in reason
    ? byResponse(reason, exchange, clock)
    : Effect.succeed(withoutResponse(reason, exchange))
  return Effect.flatMap(known, (known): Effect.Effect<never, ServiceError.ServiceError> =>
    // a problem says itself what it means, and may know more than the headers did
    "code" in known
      ? Effect.fail(known)
      : Outcome.annotate(Effect.fail(known), () => HttpOutcome.fromClientError(error, clock)))
}

type Reason = HttpClientError.HttpClientErrorReason

const withoutResponse = (
  reason: Exclude<Reason, HttpClientError.ResponseError>,
  exchange: Exchange
): ServiceError.ServiceError =>
  reason._tag === "TransportError"
    ? new ServiceError.ServiceUnavailable({ ...exchange.where, reason: networkReason(reason) })
    : requestInvalid(exchange, reason.description ?? reason._tag)

const byResponse = (
  reason: HttpClientError.ResponseError,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<ServiceError.ServiceError> => {
  const { refusal, where } = exchange
  const { headers, status } = reason.response
  if (reason._tag === "StatusCodeError" || status >= 400 || !exchange.call.of.declares(status)) {
    const retryAfter = RetryAfter.fromHeaders(headers, clock)
    const body = refusal?.status === status ? Effect.orElseSucceed(refusal.text, () => "") : Effect.succeed("")
    return Effect.map(body, (body) =>
      problemOf({
        status,
        body,
        contentType: headers["content-type"] ?? "",
        retryAfter,
        requestId: RequestId.parse(headers[RequestId.header]) ?? where.requestId,
        service: where.service,
        operation: where.operation,
        // also without the scheme that may stand before it
        secrets: exchange.tokens.flatMap((token) => [token, ...token.split(" ").filter((part) => part.length > 8)])
      }) ?? new ServiceError.UnexpectedStatus({
        ...where,
        status,
        ...(retryAfter === undefined ? {} : { retryAfter })
      }))
  }
  return Effect.succeed(
    HttpOutcome.isBrokenOff(reason)
      ? new ServiceError.ServiceUnavailable({ ...where, reason: networkReason(reason) })
      : responseInvalid(exchange, reason.description ?? "no body")
  )
}

/** The code of a network error. Its message is not for showing: it may quote a url with credentials, or a header. */
const networkReason = (reason: { readonly cause?: unknown }): string => {
  // fetch wraps the error that has the code, once or twice
  let cause: unknown = reason.cause
  for (let depth = 0; depth < 3 && hasProperty(cause, "cause") && !hasProperty(cause, "code"); depth++) {
    cause = cause.cause
  }
  return hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : "no connection"
}

// what a schema that calls itself comes to with a body that is deeper than the stack
const isTooDeep = (defect: unknown): boolean => defect instanceof RangeError && /call stack/.test(defect.message)

// `HttpApiClient` throws a plain error for a path parameter that is missing, or would climb the path
const isPathParameterError = (defect: unknown): defect is Error =>
  defect instanceof Error && /^(Invalid|Missing) path parameter/.test(defect.message)
