/**
 * Tries again what failed and may succeed another time.
 *
 * Only outcomes that allow it are retried (see `Outcome`), and a retry always
 * has an end: `times`, `maxElapsed` and the deadline bound it, whichever comes
 * first. What the dependency asks for by `retryAfter` is a floor: it is never
 * undercut, and where it is too long to wait for the call ends at once.
 *
 * Retry stands outside breaker and attempt timeout, inside the total timeout.
 * It does not know whether the work may be repeated; its user does, or the work
 * itself, by `Replay.commit`. What all retries together may add to the load is up
 * to a `RetryBudget`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import type * as Schedule from "effect/Schedule"
import type * as backoff from "./internal/backoff.ts"
import * as fused from "./internal/fused.ts"
import { running } from "./internal/guarded.ts"
import type { OnlyKnown } from "./internal/onlyKnown.ts"
import * as replay from "./internal/replay.ts"
import type { RetriesExhausted } from "./internal/retriesExhausted.ts"
import { Course, type Wait } from "./internal/retryCourse.ts"
import { resolve } from "./internal/retrySettings.ts"
import { monotonicMillis, sleepUntil } from "./internal/time.ts"
import { inOwnFiber, standing } from "./internal/timeLimit.ts"
import type * as Outcome from "./Outcome.ts"
import type { Policy } from "./Policy.ts"
import { optionalBudget, type RetryBudget } from "./RetryBudget.ts"

/**
 * How delays grow from retry to retry. `cap` bounds a delay after its jitter.
 *
 * - `constant`: `delay` each time; no cap by default
 * - `linear`: `base + increment * (n - 1)`; `increment` defaults to `base`
 * - `exponential`: `base * factor ^ (n - 1)`; `factor` defaults to 2
 * - `fibonacci`: `base` times 1, 1, 2, 3, 5, ...
 * - `decorrelated`: `U(base, 3 * previous delay)`
 * - a `Schedule`: its delays, for as long as it goes on. It runs on elapsed time,
 *   so one that asks for times of the day, such as `Schedule.cron`, is not for this
 * - a function of the retry's number, from 1, and the error or result that is
 *   retried; where it throws, or answers with no finite duration, the default
 *   backoff takes its place
 *
 * The default cap is 30 seconds, or `base` where that is longer.
 *
 * @category models
 * @since 0.1.0
 */
export type Backoff =
  | { readonly kind: "constant"; readonly delay: Duration.Input; readonly cap?: Duration.Input | undefined }
  | {
    readonly kind: "linear"
    readonly base: Duration.Input
    readonly increment?: Duration.Input | undefined
    readonly cap?: Duration.Input | undefined
  }
  | {
    readonly kind: "exponential"
    readonly base: Duration.Input
    readonly factor?: number | undefined
    readonly cap?: Duration.Input | undefined
  }
  | { readonly kind: "fibonacci"; readonly base: Duration.Input; readonly cap?: Duration.Input | undefined }
  | { readonly kind: "decorrelated"; readonly base: Duration.Input; readonly cap?: Duration.Input | undefined }
  | Schedule.Schedule<unknown>
  | ((retry: number, reason: unknown) => Duration.Input)

/**
 * How delays are spread out, so that callers that failed together do not return
 * together.
 *
 * - `none`: not at all
 * - `full`: `U(0, delay)`
 * - `equal`: `delay / 2 + U(0, delay / 2)`
 * - `decorrelated`: `U(first delay, 3 * previous delay)`
 * - `factor`: `delay * U(1 - factor, 1 + factor)`
 *
 * @category models
 * @since 0.1.0
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated" | { readonly factor: number }

/**
 * Some of the errors that may come: those with one of these tags, or those that a
 * predicate holds for.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorSelection = ReadonlyArray<string> | ((error: unknown) => boolean)

/**
 * What a retry is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Retries after the first attempt. Default: 3. */
  readonly times?: number | undefined
  /** No attempt starts later than this after the first. Default: 1 minute. */
  readonly maxElapsed?: Duration.Input | undefined
  /** Default: exponential from 200 milliseconds to 10 seconds. */
  readonly backoff?: Backoff | undefined
  /** Default: `"full"`; `"none"` where the backoff is a schedule or a function. */
  readonly jitter?: Jitter | undefined
  /** The longest `retryAfter` that is waited for; a longer one ends the call at once. Default: 30 seconds. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /**
   * The errors that are retried, and no others. Default: those whose outcome
   * allows it. It knows better than the outcome, which all policies see: by it, an
   * answer such as "not found yet" is retried although the dependency is well, and
   * a refusal of our own after its `retryAfter`. Defects are not asked about.
   */
  readonly retryOn?: ErrorSelection | undefined
  /** Errors that end the call at once, whatever else is said about them. */
  readonly abortOn?: ErrorSelection | undefined
  /** Looked at last: whether to go on after this error, or this result. */
  readonly while?: ((reason: unknown) => boolean) | undefined
  /** Whether to wait for an open circuit as well, always with jitter. Default: `false`. */
  readonly retryCircuitOpen?: boolean | undefined
  /** What a call fails with when `times` or `maxElapsed` is used up: its last error, or `RetriesExhausted`. */
  readonly onExhausted?: "lastError" | "wrap" | undefined
  /**
   * Told of every retry when its wait begins, for logs and user interfaces. It
   * runs beside the wait, and is interrupted with it: it can neither fail a call
   * nor hold it up. What it dies with is logged.
   */
  readonly onRetry?: ((progress: Progress) => Effect.Effect<unknown>) | undefined
}

/**
 * The options of a retry that stands alone, and not in a pipeline.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions extends Options {
  /**
   * What this and other retries and hedges may spend together. Where it is empty,
   * a call ends with its last error.
   */
  readonly budget?: RetryBudget | undefined
}

/**
 * The error that retrying with these options adds.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<O> = O extends object
  ? "onExhausted" extends keyof O ? "wrap" extends O["onExhausted"] ? RetriesExhausted : never : never
  : never

/**
 * What one call says about its retries.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> {
  /** Overrides what exits mean. */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /** Results to retry although the dependency is well, such as "not ready yet". */
  readonly retryIf?: ((result: A) => boolean) | undefined
  /**
   * Gives back what a discarded result holds. It is run for every result that is
   * retried, and cannot be interrupted: it must come to an end. Where it fails,
   * that is logged.
   */
  readonly dispose?: ((result: A) => Effect.Effect<void>) | undefined
  /** Takes the place of the `onRetry` of the policy. */
  readonly onRetry?: ((progress: Progress) => Effect.Effect<unknown>) | undefined
}

type TagOf<E> = E extends { readonly _tag: infer Tag extends string } ? Tag : never

/**
 * All that {@link retry} takes: the options of a retry and of a call, and which
 * errors of this one effect are meant.
 *
 * @category models
 * @since 0.1.0
 */
export interface EffectOptions<A, E> extends Omit<MakeOptions, "retryOn" | "abortOn">, CallOptions<A, E> {
  /** The errors that are retried, and no others, by tag or predicate. Default: those whose outcome allows it. */
  readonly retryOn?: ErrorsOf<E> | undefined
  /** Errors that end the call at once, by tag or predicate. */
  readonly abortOn?: ErrorsOf<E> | undefined
}

// any string, so that options of another place fit; `KnownTags` refuses those that are written here and mean nothing
type ErrorsOf<E> = ReadonlyArray<TagOf<E> | (string & {})> | ((error: E) => boolean)

/** Refuses, at compile time, keys that `Known` does not have, and tags that no error has. */
type OnlyMeant<O, Known, E = unknown> = {
  readonly [K in keyof O]: K extends "retryOn" | "abortOn" ? KnownTags<O[K], E>
    // not looked into
    : K extends "budget" ? O[K]
    : K extends keyof Known ? OnlyKnown<O[K], Known[K]>
    : never
}

type KnownTags<Errors, E> = Errors extends ReadonlyArray<infer Tag>
  ? string extends Tag ? Errors : unknown extends E ? Errors : ReadonlyArray<TagOf<E>>
  : Errors

/**
 * A retry that is about to be waited for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** The attempt that has just failed, from 1. */
  readonly attempt: number
  /** How many attempts there may be in all. */
  readonly attempts: number
  /** The wait until the next one. */
  readonly delay: Duration.Duration
  /** When that will be, in milliseconds since the epoch, by the wall clock. */
  readonly nextAt: number
  /** The error, the defect or the result that is retried. */
  readonly reason: unknown
  /** Whether it is a result. Left out where it is none. */
  readonly isAnswer?: true
}

type FunctionBackoff = (retry: number, reason: unknown) => Duration.Input

/** Where delays before jitter come from. */
type DelaySource =
  | { readonly kind: "formula"; readonly at: backoff.BaseDelay }
  | { readonly kind: "schedule"; readonly schedule: Schedule.Schedule<unknown> }
  | { readonly kind: "function"; readonly at: FunctionBackoff }

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly times: number
  readonly maxElapsed: number
  readonly maxRetryAfter: number
  readonly delays: DelaySource
  readonly spread: backoff.Spread
  readonly cap: number
  readonly retryOn: ErrorSelection | undefined
  readonly abortOn: ErrorSelection | undefined
  readonly while: ((reason: unknown) => boolean) | undefined
  readonly retryCircuitOpen: boolean
  readonly wraps: boolean
  readonly onRetry: ((progress: Progress) => Effect.Effect<unknown>) | undefined
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => resolve(options)

/**
 * Makes a retry for effects that may be repeated.
 *
 * Not for work with side effects that must happen once, and not around another
 * retry: their attempts multiply.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry } from "effect-resilience"
 *
 * let calls = 0
 * const flaky = Effect.suspend(() => ++calls < 3 ? Effect.fail("not yet") : Effect.succeed(`call ${calls}`))
 * const retried = flaky.pipe(Retry.make({ times: 5, backoff: { kind: "constant", delay: "1 millis" } }))
 *
 * console.log(await Effect.runPromise(retried)) // => call 3
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  (): Policy<never>
  <const O extends MakeOptions>(options: O & OnlyMeant<O, MakeOptions>): Policy<ErrorOf<O>>
} = (options: MakeOptions = {}) => {
  const resolved = resolve(options, ["budget"])
  const plan = { retry: resolved, budget: optionalBudget("Retry", options.budget) }
  // it adds RetriesExhausted only where the settings wrap, which is what ErrorOf<O> says
  return ((self) => fused.protect(self, plan, {})) as Policy<never>
}

/**
 * Retries one effect, with what only it can say: which results to retry, how to
 * give back those that are discarded, what its exits mean.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry } from "effect-resilience"
 *
 * let calls = 0
 * const status = Effect.sync(() => ++calls < 3 ? "pending" : "ready")
 * const ready = Retry.retry(status, {
 *   times: 5,
 *   backoff: { kind: "constant", delay: "1 millis" },
 *   retryIf: (result) => result === "pending"
 * })
 *
 * console.log(await Effect.runPromise(ready)) // => ready
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry: {
  <A, E, const O extends EffectOptions<A, E>>(
    options: O & OnlyMeant<O, EffectOptions<A, E>, E>
  ): <R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ErrorOf<O>, R>
  <A, E, R, const O extends EffectOptions<A, E>>(
    self: Effect.Effect<A, E, R>,
    options: O & OnlyMeant<O, EffectOptions<A, E>, E>
  ): Effect.Effect<A, E | ErrorOf<O>, R>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, options: EffectOptions<A, E>) => {
    // predicates of errors are asked about the errors of `self` alone
    const resolved = resolve(options as Options, ["budget", "classify", "retryIf", "dispose"])
    const { classify, dispose, retryIf } = options
    const budget = optionalBudget("Retry", options.budget)
    return dispose === undefined
      ? fused.protect(self, { retry: resolved, budget }, { classify, retryIf })
      : run(inOwnFiber(self), resolved, { budget, classify, dispose, retryIf })
  }
)

/**
 * An attempt that has failed, and how many there may be in all.
 *
 * @internal
 */
export type Failed = Pick<Progress, "attempt" | "attempts" | "reason" | "isAnswer">

/**
 * What watches a retry from outside. Its functions are synchronous and must not
 * throw.
 *
 * @internal
 */
export interface Watch {
  /** The name in `RetriesExhausted`. */
  readonly policy: string
  readonly budget?: RetryBudget | undefined
  /** Called before each wait. */
  readonly retrying: (progress: Progress, caller: Fiber.Fiber<unknown, unknown>) => void
  /** Called when `times` or `maxElapsed` is used up. */
  readonly exhausted: (failed: Failed, caller: Fiber.Fiber<unknown, unknown>) => void
  /** Called when a failure would be retried, if it were not for this. */
  readonly declined?: ((by: Declined, failed: Failed, caller: Fiber.Fiber<unknown, unknown>) => void) | undefined
  /** Whether waits are really slept. */
  readonly sleeps: boolean
  /** Whether an attempt at that time, in monotonic milliseconds, is sure to be refused. */
  readonly willRefuse: (at: number) => boolean
}

/**
 * Why a failure is not retried that otherwise would be: the budget is empty, its
 * `retryAfter` is too long, the deadline comes sooner than the next attempt, the
 * breaker is open beyond the wait, or the work has committed itself.
 *
 * @internal
 */
export type Declined = "budget" | "retryAfter" | "deadline" | "circuitBreaker" | "committed"

/**
 * Runs an effect under checked settings.
 *
 * @internal
 */
export const run = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  settings: Settings,
  call?: CallOptions<A, E> & Pick<MakeOptions, "budget">,
  watch?: Watch
): Effect.Effect<A, E | RetriesExhausted, R> =>
  Effect.withFiber((fiber) => new Run(self, settings, call, watch, fiber).begin())

/** One call with its attempts. */
class Run<A, E, R> implements replay.Replay {
  readonly outer: replay.Replay | undefined
  countedIn: RetryBudget | undefined
  private readonly self: Effect.Effect<A, E, R>
  private readonly call: CallOptions<A, E> | undefined
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly clock: Clock.Clock
  private readonly budget: RetryBudget | undefined
  private readonly sleeps: boolean
  private readonly startedAt: number
  private readonly course: Course<A, E>
  /** What the call, and its attempts, run in. */
  private readonly context: Context.Context<never>
  private readonly attemptContext: Context.Context<never>
  private isCommitted = false

  constructor(
    self: Effect.Effect<A, E, R>,
    settings: Settings,
    call: (CallOptions<A, E> & Pick<MakeOptions, "budget">) | undefined,
    watch: Watch | undefined,
    fiber: Fiber.Fiber<unknown, unknown>
  ) {
    this.self = self
    this.call = call
    this.fiber = fiber
    this.clock = fiber.getRef(Clock.Clock)
    this.budget = watch?.budget ?? call?.budget
    this.sleeps = watch?.sleeps !== false
    this.startedAt = monotonicMillis(this.clock)
    const { budget, clock, startedAt } = this
    this.course = new Course(settings, call, watch, fiber, clock, standing(fiber), budget, startedAt)
    this.context = fiber.context
    this.outer = fiber.getRef(replay.Current)
    this.attemptContext = Context.add(this.context, replay.Current, this)
  }

  claim(): boolean {
    this.isCommitted = true
    return true
  }

  begin(): Effect.Effect<A, E | RetriesExhausted, R> {
    const { budget } = this
    if (budget === undefined) return this.next
    replay.count(budget, this.outer, this.startedAt)
    return Effect.onExitPrimitive(this.next, () => {
      this.fiber.setContext(this.context)
      if (this.course.holdsPermit) budget.refundAt(monotonicMillis(this.clock))
      return undefined
    })
  }

  /**
   * Begins an attempt. Its context is set by hand, and the handlers of its exit set
   * the former one again: the finalizer that `Effect.provideService` adds would cost
   * as much as all the rest. An interruption skips the handlers. The call is over
   * then, and what its fiber still does finds a claim that changes nothing; only a
   * budget would be told less than it should, and with one there is a finalizer.
   */
  private readonly enter = (): Effect.Effect<A, E, R> => {
    this.course.holdsPermit = false
    this.countedIn = this.budget
    this.fiber.setContext(this.attemptContext)
    return this.self
  }

  private get next(): Effect.Effect<A, E | RetriesExhausted, R> {
    const dispose = this.call?.dispose
    return dispose === undefined
      ? Effect.matchCauseEffect(Effect.suspend(this.enter), {
        onSuccess: (result) => {
          this.fiber.setContext(this.context)
          const exit = Exit.succeed(result)
          return this.call?.retryIf === undefined && this.call?.classify === undefined ? exit : this.goOn(exit)
        },
        onFailure: (cause) => {
          this.fiber.setContext(this.context)
          return this.goOn(Exit.failCause(cause))
        }
      })
      : this.nextDisposing(dispose)
  }

  private goOn(exit: Exit.Exit<A, E>): Effect.Effect<A, E | RetriesExhausted, R> {
    return Effect.flatMap(
      this.decide(exit),
      (wait) => typeof wait === "number" ? this.again(exit, wait) : this.course.finish(exit, wait)
    )
  }

  private decide(exit: Exit.Exit<A, E>): Effect.Effect<Wait> {
    const wait = this.course.decide(exit, this.isCommitted)
    return Effect.isEffect(wait) ? wait : Effect.succeed(wait)
  }

  // no interrupt may fall between a result and its disposal
  private nextDisposing(dispose: (result: A) => Effect.Effect<void>): Effect.Effect<A, E | RetriesExhausted, R> {
    const goOn = (exit: Exit.Exit<A, E>): Effect.Effect<Effect.Effect<A, E | RetriesExhausted, R>> => {
      this.fiber.setContext(this.context)
      return Effect.flatMap(this.decide(exit), (wait) => {
        if (typeof wait !== "number") return Effect.succeed(this.course.finish(exit, wait))
        const again = Effect.suspend(() => this.again(exit, wait))
        return exit._tag === "Failure"
          ? Effect.succeed(again)
          : Effect.as(Effect.ignoreCause(running(() => dispose(exit.value)), { log: true }), again)
      })
    }
    return Effect.flatten(
      Effect.uninterruptibleMask((restore) =>
        Effect.matchCauseEffect(Effect.suspend(() => restore(this.enter())), {
          onSuccess: (result) => goOn(Exit.succeed(result)),
          onFailure: (cause) => goOn(Exit.failCause(cause))
        })
      )
    )
  }

  private again(exit: Exit.Exit<A, E>, delay: number): Effect.Effect<A, E | RetriesExhausted, R> {
    const { clock } = this
    const listener = this.course.goOn(exit, delay)
    const wait = this.sleeps ? sleepUntil(clock, monotonicMillis(clock) + delay) : Effect.void
    return Effect.andThen(listener === undefined ? wait : beside(wait, listener), Effect.suspend(() => this.next))
  }
}

/** Runs `self`, and as much of `that` as comes to its end meanwhile. Of `that`, nothing reaches `self`. */
const beside = (self: Effect.Effect<void>, that: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    let listener: Fiber.Fiber<unknown> | undefined
    return Effect.onExitPrimitive(
      Effect.suspend(() => {
        listener = Effect.runForkWith(fiber.context)(that)
        return self
      }),
      // its end is not waited for
      () => {
        listener?.interruptUnsafe(fiber.id)
        return undefined
      }
    )
  })

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

export { RetriesExhausted } from "./internal/retriesExhausted.ts"
