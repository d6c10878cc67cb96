/**
 * The errors of a call to a service, besides those its API declares and those a
 * pipeline adds.
 *
 * An answer with the status of an error that the API does not declare, or whose
 * body does not match, is a `Problem` of the kind that has this status, whatever
 * its body is. It holds what the service says about it, as plain text and cut to
 * length: `code`, `detail`, `errors`, `requestId`, `retryAfter`. The errors of this
 * module hold no body, header or value. All of them may be logged.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Outcome from "../Outcome.ts"
import * as HttpOutcome from "./HttpOutcome.ts"
import { plainText } from "./internal/plainText.ts"
import { foundIn } from "./internal/schemaIssues.ts"
import type { Problem } from "./Problem.ts"

/**
 * One thing that did not match its schema, and where.
 *
 * @category models
 * @since 0.1.0
 */
export class Mismatch extends Schema.Class<Mismatch>("effect-resilience/ServiceError/Mismatch")({
  /** The way to it, from the outside in: `["items", "3", "title"]`. Empty for the whole. */
  path: Schema.Array(Schema.String),
  message: Schema.String
}) {
  override toString(): string {
    return this.path.length === 0 ? this.message : `${this.path.join(".")}: ${this.message}`
  }
}

/** So much of a path is shown, whose parts may be keys of a body. */
const most = { parts: 50, characters: 200 }

/**
 * What a schema error found, without the values: the first hundred. The keys on the
 * way to it are shown without control characters, and cut to 200 characters each and
 * 50 in a row. `redact` takes secrets out of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const mismatches = (
  error: Schema.SchemaError,
  redact: (text: string) => string = (text) => text
): ReadonlyArray<Mismatch> =>
  foundIn(error.issue, redact).map(({ message, path }) =>
    new Mismatch({
      path: path.slice(0, most.parts).map((part) => plainText(part, most.characters)),
      message: redact(message)
    })
  )

const call = {
  /** The service that was called. */
  service: Schema.String,
  /** The operation, by group and endpoint: `plans.get`. */
  operation: Schema.String,
  /** The request that was being worked on. */
  requestId: Schema.optionalKey(Schema.String)
}

/**
 * The request does not match its schema, and never left.
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestInvalid extends Schema.TaggedError<RequestInvalid>()("RequestInvalid", {
  ...call,
  mismatches: Schema.Array(Mismatch)
}, { httpApiStatus: 400 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    return `${this.service} ${this.operation}: the request is invalid: ${this.mismatches.join("; ")}`
  }
}

/**
 * The response does not match its schema. Nothing of it was let through.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponseInvalid extends Schema.TaggedError<ResponseInvalid>()("ResponseInvalid", {
  ...call,
  /** The status of the response. */
  status: Schema.Int,
  mismatches: Schema.Array(Mismatch)
}, { httpApiStatus: 502 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return invalid
  }
  override get message(): string {
    return `${this.service} ${this.operation}: the response (${this.status}) is invalid: ${this.mismatches.join("; ")}`
  }
}

// the same service would send the same again
const invalid = Outcome.failure({ retryable: false })

/**
 * There was no answer, or it broke off: refused, reset, unknown host. Or there was
 * no token to ask with, and nothing was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>()("ServiceUnavailable", {
  ...call,
  /**
   * The network's code for it, such as `ECONNREFUSED`, or `no connection` where there
   * is none; `broken off by the service` where that has told that its stream has
   * failed; `no token`, `no address`.
   */
  reason: Schema.String
}, { httpApiStatus: 503 }) {
  override get message(): string {
    return `${this.service} ${this.operation}: no answer: ${this.reason}`
  }
}

/**
 * The service answered with a status that its API does not declare, and that no
 * kind of `Problem` has: 204, 302, 418, 502.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnexpectedStatus extends Schema.TaggedError<UnexpectedStatus>()("UnexpectedStatus", {
  ...call,
  status: Schema.Int,
  /** How long the service asked to be left alone. */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}, { httpApiStatus: 502 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return HttpOutcome.fromStatus(this.status, this.retryAfter)
  }
  override get message(): string {
    const wait = this.retryAfter === undefined ? "" : `, and asked for ${Duration.format(this.retryAfter)} of rest`
    return `${this.service} ${this.operation}: the service answered ${this.status}${wait}`
  }
}

/**
 * What a call to a service can fail with, besides what its API declares and what
 * its pipeline adds.
 *
 * @category errors
 * @since 0.1.0
 */
export type ServiceError = RequestInvalid | ResponseInvalid | ServiceUnavailable | UnexpectedStatus | Problem
