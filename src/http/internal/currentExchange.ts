/**
 * The exchange of the attempt that is running, and what is noted of it: a decoded
 * error has lost its status and headers.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Schema from "effect/Schema"
import * as ServiceError from "../ServiceError.ts"
import { plainText } from "./plainText.ts"
import { redacting } from "./secrets.ts"

/** One operation of one service. */
export interface Operation {
  readonly service: string
  /** Group and endpoint: `plans.get`. */
  readonly operation: string
  /** Whether a good response is read as it comes. */
  readonly streams: boolean
  /** Whether the API says what an answer of that status is. */
  readonly declares: (status: number) => boolean
  /** Its path, with the names of its parameters. */
  readonly template?: string | undefined
  /** The types of content that a stream of that status can have; `undefined` where it is none, or is told by its type. */
  readonly streamTypes?: ((status: number) => ReadonlySet<string> | undefined) | undefined
}

/** What all attempts of one call have in common. */
export interface Call {
  readonly of: Operation
  readonly requestId: string
  /** What the request carries unless it has a key of its own. */
  readonly idempotencyKey: string | undefined
}

/** The exchange of one attempt. */
export class Exchange {
  status: number | undefined
  retryAfter: Duration.Duration | undefined
  /** An answer with the status of an error, whose body is in memory. */
  refusal: HttpClientResponse.HttpClientResponse | undefined
  /** An answer that is read as it comes, if it is found good. */
  unread: HttpClientResponse.HttpClientResponse | undefined
  /** Whether the service has told, in its events, that its stream has failed. */
  hasToldFailure = false
  requestId: string
  /** The tokens that have been sent. */
  readonly tokens: Array<string> = []
  readonly call: Call
  constructor(call: Call) {
    this.call = call
    this.requestId = call.requestId
  }
  /** Takes the tokens that have been sent out of what the service says. */
  get redact(): (text: string) => string {
    return redacting(this.tokens)
  }
  /** What every error says of its call. */
  get where() {
    const { operation, service } = this.call.of
    return { service, operation, requestId: this.requestId }
  }
}

export const CurrentExchange = Context.Reference<Exchange | undefined>("effect-resilience/http/CurrentExchange", {
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

const mismatchesOf = (
  { redact }: Exchange,
  wrong: Schema.SchemaError | string,
  path: ReadonlyArray<string> = []
) =>
  typeof wrong === "string"
    // it may quote a header
    ? [new ServiceError.Mismatch({ path, message: plainText(redact(wrong), 1000) })]
    : ServiceError.mismatches(wrong, redact)

/** That its request cannot be sent. */
export const requestInvalid = (exchange: Exchange, wrong: Schema.SchemaError | string, path?: ReadonlyArray<string>) =>
  new ServiceError.RequestInvalid({ ...exchange.where, mismatches: mismatchesOf(exchange, wrong, path) })

/** That its response is not what it should be. */
export const responseInvalid = (exchange: Exchange, wrong: Schema.SchemaError | string) =>
  new ServiceError.ResponseInvalid({
    ...exchange.where,
    status: exchange.status ?? 0,
    mismatches: mismatchesOf(exchange, wrong)
  })
