/**
 * What is noted of the exchange that belongs to one attempt, since a decoded
 * error has lost its status and headers; and what the attempt's failure is to
 * its caller.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Outcome from "../../Outcome.ts"
import * as HttpOutcome from "../HttpOutcome.ts"
import * as RetryAfter from "../RetryAfter.ts"
import * as ServiceError from "../ServiceError.ts"
import { holding } from "./heldBody.ts"

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

/** The exchange of one attempt. */
class Exchange {
  status: number | undefined
  retryAfter: Duration.Duration | undefined
  readonly of: Operation
  constructor(of: Operation) {
    this.of = of
  }
}

const CurrentExchange = Context.Reference<Exchange | undefined>("effect-resilience/http/CurrentExchange", {
  defaultValue: () => undefined
})

/** The operation of the attempt that is running. */
export const currentOperation: Effect.Effect<Operation | undefined> = Effect.map(
  CurrentExchange,
  (exchange) => exchange?.of
)

/** Notes status and `Retry-After` of each response for the attempt it belongs to, and reads its body. */
export const noting = <E, R>(
  client: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError, R> =>
  HttpClient.transformResponse(client, (response) =>
    Effect.withFiber((fiber) => {
      const exchange = fiber.getRef(CurrentExchange)
      const noted = Effect.map(response, (response) => {
        if (exchange !== undefined) {
          exchange.status = response.status
          exchange.retryAfter = RetryAfter.fromHeaders(response.headers, fiber.getRef(Clock.Clock))
        }
        return response
      })
      return holding(noted, (response) => exchange?.of.streams === true && response.status < 400)
    }))

/** A decoding error of the response. One of the request stays as it is, and is told from it by that. */
export const markResponseInvalid = <A, R>(decoding: Effect.Effect<A, unknown, R>): Effect.Effect<A, unknown, R> =>
  Effect.catch(decoding, (error) =>
    Schema.isSchemaError(error)
      ? Effect.flatMap(CurrentExchange, (exchange) =>
        Effect.fail(
          new ServiceError.ResponseInvalid({
            service: exchange?.of.service ?? "",
            operation: exchange?.of.operation ?? "",
            status: exchange?.status ?? 0,
            mismatches: ServiceError.mismatches(error)
          })
        ))
      : Effect.fail(error))

/**
 * Runs one attempt of a generated method: its failures become those of
 * `ServiceError` where the API declares none, and carry what the exchange said.
 */
export const attempt = <A, E, R>(
  method: Effect.Effect<A, E, R>,
  operation: Operation
): Effect.Effect<A, Exclude<E, HttpClientError.HttpClientError | Schema.SchemaError> | ServiceError.ServiceError, R> =>
  Effect.suspend(() => {
    const exchange = new Exchange(operation)
    return Effect.catchCause(
      Effect.provideService(method, CurrentExchange, exchange),
      (cause) => Effect.clockWith((clock) => fail(cause, exchange, clock))
    )
  })

const fail = <E>(
  cause: Cause.Cause<E>,
  exchange: Exchange,
  clock: Clock.Clock
): Effect.Effect<
  never,
  Exclude<E, HttpClientError.HttpClientError | Schema.SchemaError> | ServiceError.ServiceError
> => {
  type Declared = Exclude<E, HttpClientError.HttpClientError | Schema.SchemaError>
  const { operation, service } = exchange.of
  const found = Cause.findError(cause)
  if (Result.isFailure(found)) {
    const defect = Result.getOrUndefined(Cause.findDefect(cause))
    return isPathParameterError(defect)
      ? Effect.fail(
        new ServiceError.RequestInvalid({
          service,
          operation,
          mismatches: [new ServiceError.Mismatch({ path: ["params"], message: defect.message })]
        })
      )
      // without a typed error in it, the cause fits any error type
      : Effect.failCause(cause as Cause.Cause<never>)
  }
  const error: unknown = found.success
  if (Schema.isSchemaError(error)) {
    return Effect.fail(
      new ServiceError.RequestInvalid({ service, operation, mismatches: ServiceError.mismatches(error) })
    )
  }
  if (HttpClientError.isHttpClientError(error)) {
    const outcome = HttpOutcome.fromClientError(error, clock)
    return Outcome.annotate(Effect.fail(fromClientError(error, exchange.of, clock)), () => outcome)
  }
  // what the client and the codecs fail with has been dealt with above
  const declared = Effect.failCause(cause as Cause.Cause<Declared>)
  const { status } = exchange
  return status === undefined
    ? declared
    : Outcome.annotate(declared, () => HttpOutcome.fromStatus(status, exchange.retryAfter))
}

const fromClientError = (
  error: HttpClientError.HttpClientError,
  { declares, operation, service }: Operation,
  clock: Clock.Clock
): ServiceError.ServiceError => {
  const reason = error.reason
  switch (reason._tag) {
    case "EncodeError":
    case "InvalidUrlError":
      return new ServiceError.RequestInvalid({
        service,
        operation,
        mismatches: [new ServiceError.Mismatch({ path: [], message: reason.description ?? reason._tag })]
      })
    case "TransportError":
      return new ServiceError.ServiceUnavailable({ service, operation, reason: networkReason(reason) })
    case "StatusCodeError":
    case "DecodeError":
    case "EmptyBodyError": {
      const { status } = reason.response
      if (reason._tag === "StatusCodeError" || status >= 400 || !declares(status)) {
        const retryAfter = RetryAfter.fromHeaders(reason.response.headers, clock)
        return new ServiceError.UnexpectedStatus({
          service,
          operation,
          status,
          ...(retryAfter === undefined ? {} : { retryAfter })
        })
      }
      if (HttpOutcome.isBrokenOff(reason)) {
        return new ServiceError.ServiceUnavailable({ service, operation, reason: networkReason(reason) })
      }
      return new ServiceError.ResponseInvalid({
        service,
        operation,
        status,
        mismatches: [new ServiceError.Mismatch({ path: [], message: reason.description ?? "no body" })]
      })
    }
  }
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

// `HttpApiClient` throws a plain error for a path parameter that is missing, or would climb the path
const isPathParameterError = (defect: unknown): defect is Error =>
  defect instanceof Error && /^(Invalid|Missing) path parameter/.test(defect.message)
