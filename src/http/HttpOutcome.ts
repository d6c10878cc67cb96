/**
 * What an HTTP exchange says about the service behind it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import { statusOutcome } from "../internal/statusOutcome.ts"
import * as Outcome from "../Outcome.ts"
import { isTooLarge } from "./internal/networkCode.ts"
import * as RetryAfter from "./RetryAfter.ts"

/**
 * The outcome of a status: 408 and 5xx are failures, retryable but for 501; 429
 * is overload, and so is a 409 that says when to come back, as for a request with an
 * `Idempotency-Key` that is still being worked on; everything else, all other 4xx
 * included, is the answer of a service that is well.
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromStatus: (status: number, retryAfter?: Duration.Duration | undefined) => Outcome.Outcome = statusOutcome

/**
 * The outcome of a response, by its status and `Retry-After`.
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromResponse = (
  response: HttpClientResponse.HttpClientResponse,
  clock: Clock.Clock
): Outcome.Outcome => {
  const { status } = response
  // of a good status, the headers say nothing more, and some clients make them anew each time
  return status < 400 ? fromStatus(status) : fromStatus(status, RetryAfter.fromHeaders(response.headers, clock))
}

/**
 * Whether an error in reading a body means that the body broke off, rather than
 * that it came whole and was wrong, or was larger than it may be.
 *
 * @internal
 */
export const isBrokenOff = (reason: HttpClientError.HttpClientErrorReason): boolean =>
  reason._tag === "DecodeError" && reason.cause !== undefined && !(reason.cause instanceof SyntaxError) &&
  !isTooLarge(reason.cause)

/**
 * The outcome of an error of Effect's HTTP client. What was never sent says
 * nothing; a request that got no answer failed, unless the cause of it says
 * otherwise, as a refusal by a policy further in does; a response counts by its
 * status; and one with a good status whose body is wrong, or too large, is a
 * failure, retryable where the body broke off.
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromClientError = (error: HttpClientError.HttpClientError, clock: Clock.Clock): Outcome.Outcome => {
  const reason = error.reason
  switch (reason._tag) {
    case "TransportError":
      return Outcome.carriedBy(reason.cause) ?? Outcome.failure()
    case "EncodeError":
    case "InvalidUrlError":
      return Outcome.ignored
    case "StatusCodeError":
    case "DecodeError":
    case "EmptyBodyError": {
      const outcome = fromResponse(reason.response, clock)
      return outcome._tag === "Success" && reason._tag !== "StatusCodeError" && reason.response.status < 400
        ? Outcome.failure({ retryable: isBrokenOff(reason) })
        : outcome
    }
  }
}

/**
 * Classifies exits of an HTTP client: its responses by status, its errors by
 * {@link fromClientError}. Everything else is left to the default.
 *
 * @category classifying
 * @since 0.1.0
 */
export const classify: Outcome.Classifier<HttpClientResponse.HttpClientResponse> = (exit, clock) => {
  if (exit._tag === "Success") return fromResponse(exit.value, clock)
  const error = Cause.findError(exit.cause)
  return Result.isSuccess(error) && HttpClientError.isHttpClientError(error.success) && !Cause.hasDies(exit.cause)
    ? fromClientError(error.success, clock)
    : undefined
}
