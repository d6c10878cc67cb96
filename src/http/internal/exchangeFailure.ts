/**
 * What the failure of an exchange is to its caller: one of `ServiceError` where the
 * API declares none, with what the exchange said.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpClientError from "effect/http/HttpClientError"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Outcome from "../../Outcome.ts"
import * as HttpOutcome from "../HttpOutcome.ts"
import * as Problem from "../Problem.ts"
import * as RequestId from "../RequestId.ts"
import * as RetryAfter from "../RetryAfter.ts"
import * as ServiceError from "../ServiceError.ts"
import { type Call, CurrentExchange, Exchange, requestInvalid, responseInvalid } from "./currentExchange.ts"
import { problemOf, received } from "./foreignError.ts"
import { cut, textSoFar } from "./heldBody.ts"
import { isTooLarge, networkCode } from "./networkCode.ts"

type Raw = HttpClientError.HttpClientError | Schema.SchemaError

/**
 * One attempt of a generated method, made anew for each: its failures become those of
 * `ServiceError` where the API declares none, and carry what the exchange said.
 */
export const attempt = <A, E, R>(
  method: Effect.Effect<A, E, R>,
  call: Call
): Effect.Effect<A, Exclude<E, Raw> | ServiceError.ServiceError, R> => {
  const exchange = new Exchange(call)
  const answer = attemptAs(method, exchange)
  return call.of.streams ? Effect.map(answer, (value) => withStream(value, exchange)) : answer
}

/** A stream that is one of several answers, or has headers beside it, ends with the same errors as any other. */
const withStream = <A>(answer: A, exchange: Exchange): A => {
  const body: unknown = hasProperty(answer, HttpApiSchema.WithHeadersValueTypeId) && "body" in answer
    ? answer.body
    : answer
  if (!Stream.isStream(body)) return answer
  const stream = translated(body, exchange)
  // of the type that it was, but for the errors, which `Method` says
  return (body === answer ? stream : { ...answer, body: stream }) as A
}

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
    return Stream.unwrap(Effect.map(opened, (stream) => translated(stream, exchange)))
  })

const translated = <A, E, R>(stream: Stream.Stream<A, E, R>, exchange: Exchange) =>
  Stream.catchCause(
    stream,
    (cause) => Stream.fromEffect(Effect.clockWith((clock) => failInStream(cause, exchange, clock)))
  )

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
  if (isTooDeep(Result.getOrUndefined(Cause.findDefect(cause)))) return Effect.fail(responseInvalid(exchange, tooDeep))
  if (Problem.isProblem(error)) received(error, exchange)
  // what the client and the codecs fail with has been dealt with above
  const declared = cause as Cause.Cause<Exclude<E, Raw | Sse.SseError | Sse.Retry>>
  if (!exchange.hasToldFailure) return Effect.failCause(declared)
  // what the service has died of, or what has interrupted it there, are no defect and no interruption here
  const found = Cause.findError(declared)
  return Result.isSuccess(found)
    ? Effect.fail(found.success)
    : Effect.fail(new ServiceError.ServiceUnavailable({ ...exchange.where, reason: "broken off by the service" }))
}

const fail = <E>(
  cause: Cause.Cause<E>,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<never, Exclude<E, Raw> | ServiceError.ServiceError> => {
  const found = Cause.findError(cause)
  if (Result.isFailure(found)) {
    const defect = Result.getOrUndefined(Cause.findDefect(cause))
    if (isTooDeep(defect)) return Effect.fail(invalid(exchange)(exchange, tooDeep))
    const wrong = pathParameterError(defect)
    return wrong === undefined
      // without a typed error in it, the cause fits any error type
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.fail(requestInvalid(exchange, wrong, ["params"]))
  }
  const error: unknown = found.success
  if (Schema.isSchemaError(error)) return Effect.fail(invalid(exchange)(exchange, error))
  if (HttpClientError.isHttpClientError(error)) return failByClient(error, exchange, clock)
  if (Problem.isProblem(error)) received(error, exchange)
  // what the client and the codecs fail with has been dealt with above
  const declared = Effect.failCause(cause as Cause.Cause<Exclude<E, Raw>>)
  const { status } = exchange
  return status === undefined
    ? declared
    : Outcome.annotate(declared, () => HttpOutcome.fromStatus(status, exchange.retryAfter))
}

/** Whose fault a mismatch is: all of a request is encoded before it is sent, and a response is decoded when it has come. */
const invalid = ({ status }: Exchange) => status === undefined ? requestInvalid : responseInvalid

const failByClient = (
  error: HttpClientError.HttpClientError,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<never, ServiceError.ServiceError> => {
  const { reason } = error
  const known = "response" in reason
    ? byResponse(reason, exchange, clock)
    : withoutResponse(reason, exchange)
  // a problem says itself what it means, and may know more than the headers did
  return "code" in known
    ? Effect.fail(known)
    : Outcome.annotate(Effect.fail(known), () => HttpOutcome.fromClientError(error, clock))
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
): ServiceError.ServiceError => {
  const { refusal, where } = exchange
  const { headers, status } = reason.response
  if (reason._tag === "StatusCodeError" || status >= 400 || !exchange.call.of.declares(status)) {
    const retryAfter = RetryAfter.fromHeaders(headers, clock)
    return (
      problemOf({
        status,
        body: refusal?.status === status ? textSoFar(refusal) : "",
        contentType: headers["content-type"] ?? "",
        retryAfter,
        requestId: RequestId.parse(headers[RequestId.header]) ?? where.requestId,
        service: where.service,
        operation: where.operation,
        redact: exchange.redact
      }) ?? new ServiceError.UnexpectedStatus({
        ...where,
        status,
        ...(retryAfter === undefined ? {} : { retryAfter })
      })
    )
  }
  return HttpOutcome.isBrokenOff(reason)
    ? new ServiceError.ServiceUnavailable({ ...where, reason: networkReason(reason) })
    : responseInvalid(
      exchange,
      reason.description ?? (isTooLarge(reason.cause) ? "Expected a smaller body" : "no body")
    )
}

const networkReason = (reason: { readonly cause?: unknown }): string => networkCode(reason.cause) ?? "no connection"

const tooDeep = "it is nested too deeply"

// what a schema that calls itself comes to with a body that is deeper than the stack
const isTooDeep = (defect: unknown): boolean => defect instanceof RangeError && /call stack/.test(defect.message)

/** What is wrong with a parameter of the path: `HttpApiClient` throws plain errors for it. */
const pathParameterError = (defect: unknown): string | undefined =>
  defect instanceof URIError
    ? "Expected well-formed Unicode"
    : defect instanceof Error && /^(Invalid|Missing) path parameter/.test(defect.message)
    ? defect.message
    : undefined
