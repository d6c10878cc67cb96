/**
 * Ready-made options of pipelines, for what most programs call: HTTP services, a
 * language model, a database, a tool server. They are data: use one as it is, or
 * spread it and change what is known better.
 *
 * Each brings its classifier, since what an error says depends on who made it.
 * The numbers are starting points for a service of medium size, not measurements
 * of yours.
 *
 * @since 0.1.0
 */
import type { AiError } from "effect/ai/AiError"
import type { McpClientError } from "effect/ai/McpClientError"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import { isTagged } from "effect/Predicate"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import { statusOutcome } from "./internal/statusOutcome.ts"
import * as Outcome from "./Outcome.ts"
import type * as Pipeline from "./Pipeline.ts"

/** A classifier that looks at typed errors. */
const ofError = (judge: (error: unknown) => Outcome.Outcome | undefined): Outcome.Classifier => (exit) => {
  if (exit._tag === "Success" || Cause.hasDies(exit.cause)) return undefined
  const found = Cause.findError(exit.cause)
  return Result.isFailure(found) ? undefined : judge(found.success)
}

/**
 * For reading over HTTP: answers are wanted soon, and asking twice does no harm.
 *
 * Total timeout 10 seconds, attempts 3 seconds, 2 retries from 100 milliseconds
 * within a budget of a fifth of the calls, a breaker that opens for 30 seconds at
 * half of the last half minute's calls failing.
 *
 * @category profiles
 * @since 0.1.0
 */
export const httpRead = {
  totalTimeout: "10 seconds",
  retry: { times: 2, backoff: { kind: "exponential", base: "100 millis", cap: "2 seconds" } },
  retryBudget: { share: 0.2 },
  circuitBreaker: {
    trip: { kind: "rate", threshold: 0.5, minimumCalls: 20, window: { duration: "30 seconds" } },
    open: "30 seconds"
  },
  attemptTimeout: "3 seconds"
} as const satisfies Pipeline.Options

/**
 * For writing over HTTP: more patience, and nothing is sent twice unless the call
 * says `idempotent: true`; HTTP clients of this library say so by method and
 * `Idempotency-Key`.
 *
 * Total timeout 30 seconds, attempts 10 seconds, 2 retries from 500 milliseconds;
 * budget and breaker as for reading.
 *
 * @category profiles
 * @since 0.1.0
 */
export const httpWrite = {
  ...httpRead,
  totalTimeout: "30 seconds",
  retry: { times: 2, backoff: { kind: "exponential", base: "500 millis", cap: "4 seconds" } },
  attemptTimeout: "10 seconds",
  idempotent: false
} as const satisfies Pipeline.Options

// what the provider has answered with although it is well: trying again is no use, and no breaker should open
const answeredByModel: ReadonlySet<AiError["reason"]["_tag"]> = new Set([
  "QuotaExhaustedError",
  "AuthenticationError",
  "ContentPolicyError",
  "InvalidRequestError",
  "UnsupportedSchemaError",
  "InvalidToolResultError",
  "ToolResultEncodingError",
  "ToolConfigurationError",
  "ToolkitRequiredError",
  "InvalidUserInputError"
])

/**
 * What the errors of `effect/ai` language models say. A rate limit is overload; an
 * exhausted account, a refused prompt and a wrong request are answers; output that
 * does not fit is a failure that may go better another time.
 *
 * @category classifiers
 * @since 0.1.0
 */
export const classifyAiError: Outcome.Classifier = /*#__PURE__*/ ofError((error) => {
  if (!isTagged(error, "AiError")) return undefined
  // errors with that tag are those of `effect/ai`
  const { reason } = error as AiError
  if (reason._tag === "RateLimitError") return Outcome.overload({ retryAfter: reason.retryAfter })
  if (answeredByModel.has(reason._tag)) return Outcome.success
  // it has never left
  if (reason._tag === "NetworkError" && !reason.isRetryable) return Outcome.ignored
  return Outcome.failure({ retryable: reason.isRetryable })
})

/**
 * For a language model: slow answers are normal, rate limits are too, and answers
 * come as streams.
 *
 * Total timeout 5 minutes, attempts 90 seconds, 4 retries from 1 to 30 seconds, a
 * `retryAfter` of up to a minute; a breaker that opens for 30 seconds at half of
 * the last minute's calls failing; streams show a first element within 30 seconds
 * and never pause for longer.
 *
 * @category profiles
 * @since 0.1.0
 */
export const languageModel = {
  totalTimeout: "5 minutes",
  retry: {
    times: 4,
    backoff: { kind: "exponential", base: "1 second", cap: "30 seconds" },
    maxElapsed: "3 minutes",
    maxRetryAfter: "1 minute"
  },
  circuitBreaker: {
    trip: { kind: "rate", threshold: 0.5, minimumCalls: 10, window: { duration: "1 minute" } },
    open: "30 seconds"
  },
  attemptTimeout: "90 seconds",
  streams: { firstElement: "30 seconds", idle: "30 seconds" },
  classify: classifyAiError
} as const satisfies Pipeline.Options

// the database has said what is wrong with the statement, the data or the login
const answeredByDatabase: ReadonlySet<SqlError["reason"]["_tag"]> = new Set([
  "AuthenticationError",
  "AuthorizationError",
  "SqlSyntaxError",
  "UniqueViolation",
  "ConstraintError"
])

// others were in the way; the transaction has been rolled back
const contention: ReadonlySet<SqlError["reason"]["_tag"]> = new Set([
  "DeadlockError",
  "SerializationError",
  "LockTimeoutError"
])

/**
 * What the errors of `effect/sql` say. Constraints and syntax are answers; a
 * deadlock or a serialization conflict is overload, to be retried without blaming
 * the database; a lost connection or a statement that took too long is a failure.
 *
 * @category classifiers
 * @since 0.1.0
 */
export const classifySqlError: Outcome.Classifier = /*#__PURE__*/ ofError((error) => {
  if (!isTagged(error, "SqlError")) return undefined
  // errors with that tag are those of `effect/sql`
  const { reason } = error as SqlError
  if (answeredByDatabase.has(reason._tag)) return Outcome.success
  if (contention.has(reason._tag)) return Outcome.overload()
  return Outcome.failure({ retryable: reason.isRetryable })
})

/**
 * For a database close by: quick attempts, short waits, and a limit on what runs
 * at once. Protect whole transactions; what must not run twice, such as a write
 * whose commit may have got through, says `idempotent: false`.
 *
 * Total timeout 10 seconds, attempts 5 seconds, 3 retries from 50 milliseconds to
 * 1 second, 20 at once with 100 waiting; a breaker that opens for 10 seconds after
 * 5 failures in a row.
 *
 * @category profiles
 * @since 0.1.0
 */
export const database = {
  totalTimeout: "10 seconds",
  retry: { times: 3, backoff: { kind: "exponential", base: "50 millis", cap: "1 second" } },
  bulkhead: { concurrency: 20, queue: 100 },
  circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "10 seconds" },
  attemptTimeout: "5 seconds",
  classify: classifySqlError
} as const satisfies Pipeline.Options

// JSON-RPC 2.0: the server itself has failed; all other codes are about the request
const isServerFault = (code: number | undefined): boolean =>
  code === undefined || code === -32603 || (code <= -32000 && code >= -32019)

/**
 * What the errors of `effect/ai` MCP clients say. What the server answers about
 * the request or the tool is an answer; a broken connection, a timeout and the
 * server's own faults are failures; HTTP statuses count as everywhere.
 *
 * @category classifiers
 * @since 0.1.0
 */
export const classifyMcpError: Outcome.Classifier = /*#__PURE__*/ ofError((error) => {
  if (!isTagged(error, "McpClientError")) return undefined
  // errors with that tag are those of `effect/ai`
  const { reason } = error as McpClientError
  switch (reason._tag) {
    case "TransportError":
    case "TimeoutError":
    case "ClosedError":
      return Outcome.failure()
    case "HttpError": {
      const seconds = Number(reason.retryAfter ?? NaN)
      return statusOutcome(reason.status, seconds >= 0 ? Duration.seconds(seconds) : undefined)
    }
    case "ProtocolError":
      return isServerFault(reason.code) ? Outcome.failure() : Outcome.success
    case "ConfigurationError":
      return Outcome.ignored
    default:
      return Outcome.success
  }
})

/**
 * For a tool server (MCP): a tool may have effects, so nothing is run twice unless
 * the call says `idempotent: true`, as for tools that only read.
 *
 * Total timeout 2 minutes, attempts 1 minute, 2 retries from 500 milliseconds, 10
 * at once with 50 waiting; a breaker that opens for 30 seconds after 3 failures in
 * a row.
 *
 * @category profiles
 * @since 0.1.0
 */
export const toolServer = {
  totalTimeout: "2 minutes",
  retry: { times: 2, backoff: { kind: "exponential", base: "500 millis", cap: "5 seconds" } },
  bulkhead: { concurrency: 10, queue: 50 },
  circuitBreaker: { trip: { kind: "consecutive", failures: 3 }, open: "30 seconds" },
  attemptTimeout: "1 minute",
  classify: classifyMcpError,
  idempotent: false
} as const satisfies Pipeline.Options
