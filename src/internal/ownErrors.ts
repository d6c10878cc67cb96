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
import { guarded } from "./guarded.ts"
import { refusedBy } from "./refusals.ts"

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
type OwnError = InstanceType<typeof classes[number]>

export const isRejection = (error: OwnError | undefined): error is Rejection =>
  error !== undefined && guarded(() => error._tag in refusedBy) === true

/** Which pipeline has raised an error that may name another: whose limit has struck first. */
const raisedBy = new WeakMap<object, string>()

/** Looks for errors that the parts of these settings have added. */
export class OwnErrors {
  private readonly name: string
  private readonly names: ReadonlySet<string>

  constructor(settings: Settings, operation?: string) {
    const { adaptiveLimit, bulkhead, circuitBreaker, keyedCircuitBreaker, rateLimit, throttle } = settings
    const stated = [adaptiveLimit, bulkhead, circuitBreaker, keyedCircuitBreaker, rateLimit, throttle]
    this.name = settings.name
    const ofOperation = operation === undefined ? [] : [`${settings.name}/${operation}`]
    this.names = new Set([
      settings.name,
      ...ofOperation,
      ...stated.flatMap((part) => part === undefined ? [] : [part.name])
    ])
  }

  /** Notes an error of a timeout as one's own, whatever its name. */
  readonly raising = (error: TimedOut | DeadlineExceeded): void => {
    raisedBy.set(error, this.name)
  }

  /** Whether an error is one that the pipeline has added. */
  has(error: unknown): error is OwnError {
    return guarded(() => classes.some((Class) => error instanceof Class && this.isNamed(error))) === true
  }

  private isNamed(error: OwnError): boolean {
    return this.names.has(error.policy) || raisedBy.get(error) === this.name
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
