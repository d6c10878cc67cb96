/**
 * What a finished attempt says about the dependency.
 *
 * One classification is read by every policy, so that breaker, retry and the
 * others never disagree about one attempt:
 *
 * | outcome    | says                                           | breaker                       | retry                    |
 * | ---------- | ---------------------------------------------- | ----------------------------- | ------------------------ |
 * | `Success`  | the dependency answered                        | counts                        | no                       |
 * | `Failure`  | it did not answer, or wrongly                  | counts                        | if `retryable`           |
 * | `Overload` | it answered that it has too much to do         | never trips; closes half-open | by its `retryAfter`      |
 * | `Ignored`  | nothing: the attempt was interrupted, or never left | neither counts nor resets | no                       |
 *
 * Without a word from anybody a typed error is a retryable `Failure`, a defect a
 * `Failure` that is not retried, an interruption `Ignored`. An error class says
 * otherwise by carrying an outcome under {@link symbol}; a caller by
 * {@link annotate}; a policy's user by a {@link Classifier}, which goes first.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import { guarded } from "./internal/guarded.ts"
import { refuse, toMillis } from "./internal/options.ts"

/**
 * The key under which an error class carries its outcome.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Outcome } from "effect-resilience"
 *
 * class QuotaUsedUp extends Schema.TaggedError<QuotaUsedUp>()("QuotaUsedUp", {}) {
 *   // the dependency is well: no breaker opens, nothing is retried
 *   readonly [Outcome.symbol] = Outcome.success
 * }
 *
 * console.log(Outcome.fromError(new QuotaUsedUp())._tag) // => Success
 * ```
 *
 * @category symbols
 * @since 0.1.0
 */
export const symbol: unique symbol = Symbol.for("effect-resilience/Outcome")

/**
 * What a finished attempt says about the dependency.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = Success | Failure | Overload | Ignored

/**
 * The dependency answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Success {
  readonly _tag: "Success"
}

/**
 * The dependency did not answer, or answered wrongly.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly _tag: "Failure"
  /** Whether another attempt may fare better. */
  readonly retryable: boolean
  /** How long the dependency asked to be left alone. */
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * The dependency answered that it has too much to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Overload {
  readonly _tag: "Overload"
  /** How long the dependency asked to be left alone. */
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * The attempt says nothing about the dependency.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ignored {
  readonly _tag: "Ignored"
}

/**
 * Decides the outcome of an attempt; `undefined` leaves it to the default. One
 * that throws is treated as having said nothing, and none is asked about an
 * interruption. The clock serves wall times such as HTTP dates.
 *
 * @category models
 * @since 0.1.0
 */
export type Classifier<in A = unknown, in E = unknown> = (
  exit: Exit.Exit<A, E>,
  clock: Clock.Clock
) => Outcome | undefined

/**
 * What a policy that judges attempts is told about one of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface AttemptOptions<in A, in E> {
  /** Overrides what exits mean. */
  readonly classify?: Classifier<A, E> | undefined
  /**
   * The attempt timeout that stands inside. A call that an outer limit cuts short
   * of it is not held against the dependency; without it, one that is cut by an
   * outer timeout is.
   */
  readonly attemptTimeout?: Duration.Input | undefined
  /**
   * The policy name of the total timeout that stands outside. Where it is given, a
   * call that any other limit cuts short is not held against the dependency.
   */
  readonly totalTimeoutOf?: string | undefined
}

/**
 * The dependency answered.
 *
 * @category constructors
 * @since 0.1.0
 */
export const success: Outcome = { _tag: "Success" }

/**
 * The attempt says nothing about the dependency.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ignored: Outcome = { _tag: "Ignored" }

const waitOf = (constructor: string, retryAfter: Duration.Input | undefined): Duration.Duration | undefined =>
  retryAfter === undefined
    ? undefined
    : Duration.millis(
      toMillis(retryAfter) ?? refuse(`Outcome.${constructor}`, "retryAfter", "a duration of zero or more", retryAfter)
    )

/**
 * The dependency did not answer, or answered wrongly. `retryable` defaults to
 * `true`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failure = (options?: {
  readonly retryable?: boolean | undefined
  readonly retryAfter?: Duration.Input | undefined
}): Outcome => ({
  _tag: "Failure",
  retryable: options?.retryable ?? true,
  retryAfter: waitOf("failure", options?.retryAfter)
})

/**
 * The dependency answered that it has too much to do.
 *
 * @category constructors
 * @since 0.1.0
 */
export const overload = (options?: { readonly retryAfter?: Duration.Input | undefined }): Outcome => ({
  _tag: "Overload",
  retryAfter: waitOf("overload", options?.retryAfter)
})

const plainFailure = failure()
const finalFailure = failure({ retryable: false })

/**
 * How long the dependency asked to be left alone, if it did.
 *
 * @category accessors
 * @since 0.1.0
 */
export const retryAfter = (outcome: Outcome): Duration.Duration | undefined =>
  outcome._tag === "Failure" || outcome._tag === "Overload" ? outcome.retryAfter : undefined

/**
 * Whether the outcome allows another attempt. Whether the work may be repeated
 * is another question, and belongs to the operation.
 *
 * @category accessors
 * @since 0.1.0
 */
export const isRetryable = (outcome: Outcome): boolean =>
  outcome._tag === "Overload" || (outcome._tag === "Failure" && outcome.retryable)

const isOutcome = (u: unknown): u is Outcome => {
  if (!hasProperty(u, "_tag")) return false
  if (u._tag === "Success" || u._tag === "Ignored") return true
  return (u._tag === "Failure" || u._tag === "Overload") &&
    (!("retryAfter" in u) || u.retryAfter === undefined || Duration.isDuration(u.retryAfter))
}

const orNone = (u: unknown): Outcome | undefined => isOutcome(u) ? u : undefined

/**
 * The outcome that an error carries under {@link symbol}, if it does.
 *
 * @category accessors
 * @since 0.1.0
 */
export const carriedBy = (error: unknown): Outcome | undefined =>
  guarded(() => hasProperty(error, symbol) ? orNone(error[symbol]) : undefined)

/**
 * The outcome of a typed error: the one it carries under {@link symbol}, else a
 * retryable `Failure`.
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromError = (error: unknown): Outcome => carriedBy(error) ?? plainFailure

class Annotation extends Context.Service<Annotation, Outcome>()("effect-resilience/Outcome/Annotation") {}

/**
 * Says what the failures of an effect mean, without changing its errors. An
 * error that carries an outcome of its own keeps it.
 *
 * Use it where the knowledge is lost with the error, as a status and its headers
 * are when a response is decoded into an error class.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Outcome } from "effect-resilience"
 *
 * const lookup = Effect.fail("no such user").pipe(Outcome.annotate(() => Outcome.success))
 *
 * console.log(Outcome.fromExit(Effect.runSyncExit(lookup))._tag) // => Success
 * ```
 *
 * @category classifying
 * @since 0.1.0
 */
export const annotate: {
  <E>(f: (cause: Cause.Cause<E>) => Outcome): <A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, f: (cause: Cause.Cause<E>) => Outcome): Effect.Effect<A, E, R>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, f: (cause: Cause.Cause<E>) => Outcome): Effect.Effect<A, E, R> =>
    Effect.catchCause(self, (cause) => {
      const outcome = guarded(() => orNone(f(cause)))
      return Effect.failCause(
        outcome === undefined
          ? cause
          : Cause.annotate(cause, Context.make(Annotation, outcome), { overwrite: true })
      )
    })
)

/**
 * The outcome of a cause. A defect is a `Failure` that is not retried, whatever
 * failed beside it; then the first typed error decides; a cause of interruptions
 * alone is `Ignored`.
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromCause = (cause: Cause.Cause<unknown>): Outcome => {
  if (Cause.hasDies(cause)) return finalFailure
  const error = Cause.findError(cause)
  if (Result.isFailure(error)) return ignored
  return carriedBy(error.success) ?? Context.getOrUndefined(Cause.annotations(cause), Annotation) ?? plainFailure
}

/**
 * The outcome of an exit without a classifier.
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromExit = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  exit._tag === "Success" ? success : fromCause(exit.cause)

/**
 * Asks one classifier, and then another where the first leaves it, throws, or
 * answers with something that is no outcome.
 *
 * @category classifying
 * @since 0.1.0
 */
export const orElse = <A, E>(
  first: Classifier<A, E> | undefined,
  second: Classifier<A, E> | undefined
): Classifier<A, E> | undefined =>
  first === undefined || second === undefined
    ? first ?? second
    : (exit, clock) => asked(first, exit, clock) ?? asked(second, exit, clock)

/** What a classifier answers with, unless it throws. It is asked in every call: without a closure around it. */
const asked = <A, E>(
  classifier: Classifier<A, E>,
  exit: Exit.Exit<A, E>,
  clock: Clock.Clock
): Outcome | undefined => {
  try {
    return orNone(classifier(exit, clock))
  } catch {
    return undefined
  }
}

/**
 * The outcome of an exit by a classifier, or by default where the classifier
 * leaves it, throws, or answers with something that is no outcome.
 *
 * @category classifying
 * @since 0.1.0
 */
export const classify = <A, E>(
  exit: Exit.Exit<A, E>,
  classifier: Classifier<A, E> | undefined,
  clock: Clock.Clock
): Outcome =>
  classifier === undefined || (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause))
    ? fromExit(exit)
    : asked(classifier, exit, clock) ?? fromExit(exit)
