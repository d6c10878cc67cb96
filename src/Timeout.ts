/**
 * Limits how long an attempt, or a whole call, may take.
 *
 * The time counts from entry and covers every wait inside. When it is up the
 * work is interrupted, and its finalizers have run before `TimedOut` is raised.
 * An inherited deadline that is sooner takes the place of the timeout and fails
 * with `DeadlineExceeded`.
 *
 * Clean-up that runs because a limit has struck is not limited by it any more.
 * The limits of a stream are in `Streams`.
 *
 * Where a breaker stands under a timeout, a call cut by it counts as a failure:
 * the limit marks its record before it interrupts. A plain `Effect.timeout`
 * cannot be told from a caller who went away, and counts for nothing.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { DeadlineExceeded } from "./Deadline.ts"
import { Alarms } from "./internal/alarms.ts"
import { protect } from "./internal/fused.ts"
import { nonEmpty, oneOf, onlyKeys, positiveMillis } from "./internal/options.ts"
import { limitTime, type TimeLimit } from "./internal/timeLimit.ts"
import * as Outcome from "./Outcome.ts"
import type { Policy } from "./Policy.ts"

/**
 * What a timeout is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How long the work may take: above zero, `"Infinity"` for no limit. */
  readonly duration: Duration.Input
  /** What is limited: one attempt, inside a retry, or the whole call. */
  readonly limit: "attempt" | "total"
  /** The name in `TimedOut`. Default: `"Timeout"`. */
  readonly policy?: string | undefined
}

/**
 * Makes a timeout.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Policy<TimedOut | DeadlineExceeded> => {
  onlyKeys("Timeout", options, ["duration", "limit", "policy"])
  const millis = positiveMillis("Timeout", "duration", options.duration, { infinite: true })
  const { limit, policy = "Timeout" } = options
  oneOf("Timeout", "limit", limit, ["attempt", "total"])
  nonEmpty("Timeout", "policy", policy)
  const timeout = { policy, limit, millis }
  const plan = {
    attempt: { millis, timeout, alarms: new Alarms() },
    exceeded: (struck: TimeLimit) => errorOf(struck, policy)
  }
  // `errorOf` makes all errors that the plan adds
  return ((self) => protect(self, plan, {})) as Policy<TimedOut | DeadlineExceeded>
}

/** The error of a limit that has struck, raised by the pipeline or timeout of that name. */
const errorOf = (struck: TimeLimit, policy: string): TimedOut | DeadlineExceeded =>
  struck.timeout === undefined
    ? new DeadlineExceeded({ policy })
    : new TimedOut({
      policy: struck.timeout.policy,
      limit: struck.timeout.limit,
      after: Duration.millis(struck.timeout.millis)
    })

/**
 * Makes the error of a limit that has struck. It tells of each that it makes, which
 * may have another name than `policy`: that of an inherited limit that is sooner.
 *
 * @internal
 */
export const exceeding = (
  policy: string,
  raising: (error: TimedOut | DeadlineExceeded) => void
): (struck: TimeLimit) => TimedOut | DeadlineExceeded =>
(struck) => {
  const error = errorOf(struck, policy)
  raising(error)
  return error
}

/**
 * The timeout of checked options.
 *
 * @internal
 */
export const limiting = (
  timeout: { readonly policy: string; readonly limit: Options["limit"]; readonly millis: number },
  exceeded: (struck: TimeLimit) => TimedOut | DeadlineExceeded
): Policy<TimedOut | DeadlineExceeded> =>
(self) => limitTime(self, { millis: timeout.millis, timeout }, exceeded)

/**
 * Limits one attempt. It belongs inside a retry, next to the work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Timeout } from "effect-resilience"
 *
 * const error = await Effect.never.pipe(Timeout.attempt("10 millis"), Effect.flip, Effect.runPromise)
 *
 * console.log(error.message) // => Timeout: the attempt took longer than 10ms
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const attempt = (duration: Duration.Input): Policy<TimedOut | DeadlineExceeded> =>
  make({ duration, limit: "attempt" })

/**
 * Limits a whole call, the waits between its attempts included. It belongs
 * outside a retry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const total = (duration: Duration.Input): Policy<TimedOut | DeadlineExceeded> =>
  make({ duration, limit: "total" })

/**
 * The work took longer than its timeout, and was interrupted. `Streams.timeout`
 * fails with it as well.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  /** The pipeline whose limit it was, or `Timeout`, or `Streams`. */
  policy: Schema.String,
  /** What took too long: one attempt, the whole call, or, of a stream, its first element or a further one. */
  limit: Schema.Literals(["attempt", "total", "firstElement", "idle"]),
  /** The time that was allowed. */
  after: Schema.DurationFromMillis
}, { httpApiStatus: 504 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return timedOut
  }
  override get message(): string {
    return `${this.policy}: the ${limited[this.limit]} took longer than ${Duration.format(this.after)}`
  }
}

const limited = { attempt: "attempt", total: "call", firstElement: "first element", idle: "next element" }

const timedOut = Outcome.failure()
