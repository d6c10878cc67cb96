/** Whether a retried call goes on after an attempt, and when: what `Retry` and the fused path share. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { CallOptions, Declined, ErrorSelection, Failed, Progress, Settings, Watch } from "../Retry.ts"
import type { RetryBudget } from "../RetryBudget.ts"
import * as backoff from "./backoff.ts"
import { CircuitOpen } from "./circuitOpen.ts"
import { Delays } from "./delays.ts"
import { reasonIn, reasonOf } from "./exit.ts"
import { guarded, holds } from "./guarded.ts"
import { statedRetryAfter } from "./refusals.ts"
import { RetriesExhausted } from "./retriesExhausted.ts"
import { defaultBackoff } from "./retrySettings.ts"
import { monotonicMillis } from "./time.ts"
import type { TimeLimit } from "./timeLimit.ts"

/** The wait before the next attempt in milliseconds, or why there is none. */
export type Wait = number | "stop" | "exhausted"

const otherwise = backoff.doubling(defaultBackoff)

/** One retried call. */
export class Course<A, E> {
  /** Whether a permit of the budget has been spent on an attempt that has not begun yet. */
  holdsPermit = false
  private readonly settings: Settings
  private readonly call: CallOptions<A, E> | undefined
  private readonly watch: Watch | undefined
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly clock: Clock.Clock
  private readonly limit: TimeLimit | undefined
  private readonly budget: RetryBudget | undefined
  private readonly startedAt: number
  private attempt = 1
  private delays: Delays | undefined

  constructor(
    settings: Settings,
    call: CallOptions<A, E> | undefined,
    watch: Watch | undefined,
    fiber: Fiber.Fiber<unknown, unknown>,
    clock: Clock.Clock,
    limit: TimeLimit | undefined,
    budget: RetryBudget | undefined,
    startedAt: number
  ) {
    this.settings = settings
    this.call = call
    this.watch = watch
    this.fiber = fiber
    this.clock = clock
    this.limit = limit
    this.budget = budget
    this.startedAt = startedAt
  }

  /** What comes after an attempt that has ended so. Only a schedule has to be run to know. */
  decide(exit: Exit.Exit<A, E>, isCommitted: boolean): Wait | Effect.Effect<Wait> {
    const { attempt, call, clock, settings } = this
    const outcome = Outcome.classify(exit, call?.classify, clock)
    const reason = reasonOf(exit)
    if (!this.isWanted(exit, outcome, reason)) return "stop"
    if (settings.while !== undefined && !holds(settings.while, reason)) return "stop"
    // it ends the call, and whoever set it tells so
    if (this.limit?.hasStruck === true) return "stop"
    if (isCommitted) return this.decline("committed", exit)
    if (attempt > settings.times) return "exhausted"
    const isRefusal = outcome._tag === "Ignored" || isCircuitOpen(reason)
    const asked = Outcome.retryAfter(outcome) ?? (isRefusal ? statedRetryAfter(reason) : undefined)
    const retryAfter = asked === undefined ? undefined : Duration.toMillis(asked)
    if (retryAfter !== undefined && (retryAfter > settings.maxRetryAfter || retryAfter === Infinity)) {
      return this.decline("retryAfter", exit)
    }
    // who is refused together must not return together
    const spread = isRefusal && settings.spread === backoff.none ? backoff.full : settings.spread
    const delays = this.delays ??= new Delays(settings, otherwise)
    const delay = delays.next(this.fiber, reason, retryAfter, spread)
    return typeof delay === "number"
      ? this.weigh(delay, exit)
      : Effect.map(delay, (delay) => delay === undefined ? "exhausted" : this.weigh(delay, exit))
  }

  private weigh(delay: number, exit: Exit.Exit<A, E>): Wait {
    const { clock, limit, settings } = this
    const now = monotonicMillis(clock)
    if (now + delay - this.startedAt > settings.maxElapsed) return "exhausted"
    // no time would be left for an attempt, or it would not be made
    if (limit !== undefined && now + delay >= limit.expiresAt) return this.decline("deadline", exit)
    if (!settings.retryCircuitOpen && this.watch?.willRefuse(now + delay) === true) {
      return this.decline("circuitBreaker", exit)
    }
    if (this.budget !== undefined) {
      if (!this.budget.withdrawAt(now)) return this.decline("budget", exit)
      this.holdsPermit = true
    }
    return delay
  }

  private isWanted(exit: Exit.Exit<A, E>, outcome: Outcome.Outcome, reason: unknown): boolean {
    if (exit._tag === "Success") {
      const { retryIf } = this.call ?? {}
      return Outcome.isRetryable(outcome) || (retryIf !== undefined && holds(retryIf, exit.value))
    }
    const { abortOn, retryCircuitOpen, retryOn } = this.settings
    if (abortOn === undefined && retryOn === undefined && !retryCircuitOpen) return Outcome.isRetryable(outcome)
    const error = Cause.hasDies(exit.cause) ? undefined : Cause.findError(exit.cause)
    if (error === undefined || Result.isFailure(error)) return Outcome.isRetryable(outcome)
    if (abortOn !== undefined && selects(abortOn, error.success)) return false
    if (retryCircuitOpen && isCircuitOpen(reason)) return true
    return retryOn === undefined ? Outcome.isRetryable(outcome) : selects(retryOn, error.success)
  }

  private failed(exit: Exit.Exit<A, E>): Failed {
    return { attempt: this.attempt, attempts: this.settings.times + 1, ...reasonIn(exit) }
  }

  private decline(by: Declined, exit: Exit.Exit<A, E>): Wait {
    this.watch?.declined?.(by, this.failed(exit), this.fiber)
    return "stop"
  }

  /** How the call ends that is not retried any more. */
  finish(exit: Exit.Exit<A, E>, wait: "stop" | "exhausted"): Exit.Exit<A, E | RetriesExhausted> {
    if (wait === "stop") return exit
    const { settings, watch } = this
    watch?.exhausted(this.failed(exit), this.fiber)
    return !settings.wraps || exit._tag === "Success" || !Cause.hasFails(exit.cause) ? exit : Exit.fail(
      new RetriesExhausted({
        policy: watch?.policy ?? "Retry",
        attempts: this.attempt,
        elapsed: Duration.millis(monotonicMillis(this.clock) - this.startedAt),
        lastError: reasonOf(exit)
      })
    )
  }

  /** Another attempt is made after that wait. Returns what is to run beside it. */
  goOn(exit: Exit.Exit<A, E>, delay: number): Effect.Effect<unknown> | undefined {
    const progress: Progress = {
      ...this.failed(exit),
      delay: Duration.millis(delay),
      nextAt: this.clock.currentTimeMillisUnsafe() + delay
    }
    this.watch?.retrying(progress, this.fiber)
    this.attempt++
    const onRetry = this.call?.onRetry ?? this.settings.onRetry
    return onRetry === undefined
      ? undefined
      : Effect.ignoreCause(Effect.suspend(() => onRetry(progress)), { log: true })
  }
}

const isCircuitOpen = (reason: unknown): boolean => guarded(() => reason instanceof CircuitOpen) === true

const selects = (errors: ErrorSelection, error: unknown): boolean =>
  typeof errors === "function"
    ? holds(errors, error)
    : guarded(() => hasProperty(error, "_tag") && typeof error._tag === "string" && errors.includes(error._tag)) ===
      true
