/** Telling the errors that a pipeline has added itself from those of the work. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { LimitExceeded } from "../AdaptiveLimit.ts"
import { BulkheadFull } from "../Bulkhead.ts"
import { ChaosInjected } from "../Chaos.ts"
import { CircuitOpen } from "../CircuitBreaker.ts"
import { DeadlineExceeded } from "../Deadline.ts"
import type * as Outcome from "../Outcome.ts"
import type { PipelineError, Rejection, Settings } from "../Pipeline.ts"
import { RateLimited } from "../RateLimit.ts"
import { RetriesExhausted } from "../Retry.ts"
import { Throttled } from "../Throttle.ts"
import { TimedOut } from "../Timeout.ts"

const classes = [
  CircuitOpen,
  BulkheadFull,
  RateLimited,
  LimitExceeded,
  Throttled,
  TimedOut,
  DeadlineExceeded,
  RetriesExhausted,
  ChaosInjected
] as const

/** An error that the parts of a pipeline add. */
export type OwnError = InstanceType<typeof classes[number]>

/** Which part refuses with which error. */
export const refusedBy = {
  CircuitOpen: "circuitBreaker",
  BulkheadFull: "bulkhead",
  RateLimited: "rateLimit",
  LimitExceeded: "adaptiveLimit",
  Throttled: "throttle"
} as const

export const isRejection = (error: OwnError | undefined): error is Rejection =>
  error !== undefined && error._tag in refusedBy

/** Looks for errors that the parts of these settings have added. */
export class OwnErrors {
  private readonly names: ReadonlySet<string>

  constructor(settings: Settings) {
    const { adaptiveLimit, bulkhead, circuitBreaker, keyedCircuitBreaker, rateLimit, throttle } = settings
    const stated = [adaptiveLimit, bulkhead, circuitBreaker, keyedCircuitBreaker, rateLimit, throttle]
    this.names = new Set([settings.name, ...stated.flatMap((part) => part === undefined ? [] : [part.name])])
  }

  /** Whether an error is one that the pipeline has added. */
  has(error: unknown): error is OwnError {
    try {
      for (const Class of classes) {
        if (error instanceof Class) return this.names.has(error.policy)
      }
      return false
    } catch {
      // an error may be anything, even a proxy that must not be asked
      return false
    }
  }

  /** The error of that kind that a cause ends with. */
  find(cause: Cause.Cause<unknown>): OwnError | undefined {
    const found = Cause.findError(cause)
    return Result.isSuccess(found) && this.has(found.success) ? found.success : undefined
  }

  /** A classifier of the work alone: what the pipeline itself adds says what it is. */
  classifier<A, E>(
    classify: Outcome.Classifier<A, E> | undefined
  ): Outcome.Classifier<A, E | PipelineError> | undefined {
    return classify === undefined ?
      undefined :
      (exit, clock) =>
        exit._tag === "Failure" && this.find(exit.cause) !== undefined
          ? undefined
          // the errors of the pipeline have just been ruled out
          : classify(exit as Exit.Exit<A, E>, clock)
  }
}
