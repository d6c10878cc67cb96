/**
 * The kinds of failure that services tell each other, as RFC 9457 problems.
 *
 * Each is an error class that any `HttpApi` can declare, with a status, a stable
 * `code`, and on the wire `application/problem+json` with the members `code`,
 * `requestId`, `retryAfter` (seconds) and `errors`. Each says by its outcome what
 * it means to breakers, retries and limits.
 *
 * | class               | status | code                  |
 * | ------------------- | ------ | --------------------- |
 * | `BadRequest`        | 400    | `bad_request`         |
 * | `Unauthenticated`   | 401    | `unauthenticated`     |
 * | `Forbidden`         | 403    | `forbidden`           |
 * | `NotFound`          | 404    | `not_found`           |
 * | `Conflict`          | 409    | `conflict`            |
 * | `RequestInProgress` | 409    | `request_in_progress` |
 * | `ValidationFailed`  | 422    | `validation_failed`   |
 * | `RateLimited`       | 429    | `rate_limited`        |
 * | `Internal`          | 500    | `internal`            |
 * | `DatabaseFailed`    | 500    | `database_failed`     |
 * | `Unavailable`       | 503    | `unavailable`         |
 * | `CircuitBroken`     | 503    | `circuit_open`        |
 * | `UpstreamTimeout`   | 504    | `timeout`             |
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"
import * as Outcome from "../Outcome.ts"
import * as HttpOutcome from "./HttpOutcome.ts"
import * as origin from "./internal/origin.ts"

/**
 * What is wrong with one field of a request.
 *
 * @category models
 * @since 0.1.0
 */
export const FieldError = Schema.Struct({
  /** The way to it, from the outside in, joined by dots; empty for the whole. */
  field: Schema.String,
  message: Schema.String,
  /** How to mend it. */
  hint: Schema.optionalKey(Schema.String)
})

/**
 * What is wrong with one field of a request.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldError = typeof FieldError.Type

/** The members that every kind has beside those of RFC 9457. */
const members = <const Code extends string>(code: Code) => ({
  /** Which kind it is, for programs. It does not change. */
  code: Schema.tag(code),
  /** The request that it was the answer to. */
  requestId: Schema.optionalKey(Schema.String),
  /** When it is worth asking again, in seconds. */
  retryAfter: Schema.optionalKey(Schema.Number),
  /** What is wrong, field by field. */
  errors: Schema.optionalKey(Schema.Array(FieldError))
})

/** An error class with what all kinds share: the members, and the outcome of its status. */
const kind = <Self>() =>
<const Tag extends string, const Code extends string, const Status extends number>(
  tag: Tag,
  code: Code,
  status: Status,
  title: string
) => {
  const type = `urn:effect-resilience:problem:${code}` as const
  const Kind = HttpApiError.Problem<Self, { readonly [Outcome.symbol]: Outcome.Outcome }>()(
    tag,
    { type, status, title },
    members(code)
  )
  Object.defineProperty(Object(Kind).prototype, Outcome.symbol, { get: outcomeOf })
  return Kind
}

function outcomeOf(this: { readonly status: number; readonly retryAfter?: number | undefined }): Outcome.Outcome {
  const { retryAfter, status } = this
  return HttpOutcome.fromStatus(
    status,
    retryAfter !== undefined && retryAfter >= 0 ? Duration.seconds(retryAfter) : undefined
  )
}

/**
 * The request cannot be understood.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadRequest
  extends kind<BadRequest>()("BadRequest", "bad_request", 400, "The request cannot be understood")
{}

/**
 * The caller has not said who it is, or not credibly.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthenticated
  extends kind<Unauthenticated>()("Unauthenticated", "unauthenticated", 401, "Not authenticated")
{}

/**
 * The caller is known, and may not do this.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forbidden extends kind<Forbidden>()("Forbidden", "forbidden", 403, "The caller may not do this") {}

/**
 * What the request is about does not exist.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotFound extends kind<NotFound>()("NotFound", "not_found", 404, "Not found") {}

/**
 * The request conflicts with the state of what it is about.
 *
 * @category errors
 * @since 0.1.0
 */
export class Conflict
  extends kind<Conflict>()("Conflict", "conflict", 409, "The request conflicts with what is there")
{}

/**
 * The same request, by its `Idempotency-Key`, is being carried out: with its
 * `retryAfter` it says when to ask for the answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestInProgress extends kind<RequestInProgress>()(
  "RequestInProgress",
  "request_in_progress",
  409,
  "The same request is being carried out"
) {}

/**
 * The request can be understood, and its values are not valid: see `errors`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ValidationFailed
  extends kind<ValidationFailed>()("ValidationFailed", "validation_failed", 422, "The request is not valid")
{}

/**
 * The caller has sent too many requests. It is no refusal of our own, which is `RateLimit.RateLimited`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited
  extends kind<RateLimited>()("RateLimited", "rate_limited", 429, "There are too many requests")
{}

/**
 * The service has failed in a way that it had not foreseen.
 *
 * @category errors
 * @since 0.1.0
 */
export class Internal extends kind<Internal>()("Internal", "internal", 500, "The service has failed") {}

/**
 * The service could not use its database.
 *
 * @category errors
 * @since 0.1.0
 */
export class DatabaseFailed
  extends kind<DatabaseFailed>()("DatabaseFailed", "database_failed", 500, "The database has failed")
{}

/**
 * The service cannot answer now.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable
  extends kind<Unavailable>()("Unavailable", "unavailable", 503, "The service is not available")
{}

/**
 * The service does not call another one that it needs, because that keeps failing.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitBroken
  extends kind<CircuitBroken>()("CircuitBroken", "circuit_open", 503, "A service that is needed keeps failing")
{}

/**
 * The service, or one that it needs, took too long.
 *
 * @category errors
 * @since 0.1.0
 */
export class UpstreamTimeout
  extends kind<UpstreamTimeout>()("UpstreamTimeout", "timeout", 504, "There was no answer in time")
{}

/**
 * All kinds, by their code.
 *
 * @category errors
 * @since 0.1.0
 */
export const kinds = {
  bad_request: BadRequest,
  unauthenticated: Unauthenticated,
  forbidden: Forbidden,
  not_found: NotFound,
  conflict: Conflict,
  request_in_progress: RequestInProgress,
  validation_failed: ValidationFailed,
  rate_limited: RateLimited,
  internal: Internal,
  database_failed: DatabaseFailed,
  unavailable: Unavailable,
  circuit_open: CircuitBroken,
  timeout: UpstreamTimeout
} as const

/**
 * A failure of one of the kinds.
 *
 * @category errors
 * @since 0.1.0
 */
export type Problem = InstanceType<typeof kinds[keyof typeof kinds]>

const classes = Object.values(kinds)

/**
 * Whether something is a failure of one of the kinds.
 *
 * @category guards
 * @since 0.1.0
 */
export const isProblem = (error: unknown): error is Problem => classes.some((Kind) => error instanceof Kind)

/**
 * Where a problem comes from that the client of a service has read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Origin {
  readonly service: string
  readonly operation: string
  /** What the service calls it, where that is the code of no kind. */
  readonly code?: string | undefined
}

/**
 * Where a problem comes from: `undefined` for one of our own. Its message begins
 * with service and operation.
 *
 * A server does not show its callers what another service has told it: see
 * `ServerErrors`.
 *
 * @category getters
 * @since 0.1.0
 */
export const originOf = (problem: Problem): Origin | undefined => origin.of(problem)
