/** What one kind of call tells about itself: counters always, events where somebody listens. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as CacheFallback from "../CacheFallback.ts"
import type * as Chaos from "../Chaos.ts"
import type * as Hedge from "../Hedge.ts"
import * as Outcome from "../Outcome.ts"
import type { Rejection } from "../Pipeline.ts"
import type * as Resilience from "../Resilience.ts"
import type { ResilienceEvent } from "../ResilienceEvent.ts"
import type * as Retry from "../Retry.ts"
import { Current } from "./call.ts"
import type { Counters } from "./counters.ts"
import { reasonOf } from "./exit.ts"
import { countOf } from "./outcomeTags.ts"
import { isRejection, type OwnErrors } from "./ownErrors.ts"
import { refusedBy } from "./refusals.ts"
import type { CallSpan } from "./spans.ts"
import { monotonicMillis } from "./time.ts"
import { watch, type Watched } from "./watched.ts"

/** What is the same in all events of one kind of call. */
interface Common {
  readonly at: number
  readonly call: number
  readonly pipeline: string
  readonly operation: string
}

export class Reports {
  readonly pipeline: string
  private readonly operation: string
  private readonly own: OwnErrors
  private readonly counters: Counters
  private readonly publish: Resilience.Resilience["Service"]["publish"]
  private readonly span: CallSpan | undefined

  /** `span` is the one of the call, where it is traced: then they are of that call alone. */
  constructor(
    pipeline: string,
    operation: string,
    own: OwnErrors,
    counters: Counters,
    publish: Resilience.Resilience["Service"]["publish"],
    span?: CallSpan
  ) {
    this.pipeline = pipeline
    this.operation = operation
    this.own = own
    this.counters = counters
    this.publish = publish
    this.span = span
  }

  private tell(event: (common: Common) => ResilienceEvent, by?: Fiber.Fiber<unknown, unknown>): void {
    const { operation, pipeline, span } = this
    if (span !== undefined) span.tell((call) => event({ ...call, pipeline, operation }))
    this.publish((at, call) => event({ at, call, pipeline, operation }), by)
  }

  readonly retry: Omit<Retry.Watch, "policy" | "sleeps" | "willRefuse"> = {
    retrying: ({ attempt, attempts, delay, reason }, caller) => {
      this.counters.retries++
      this.tell((common) => ({ _tag: "Retrying", ...common, attempt, attempts, delay, reason }), caller)
    },
    declined: (because, { attempt, reason }, caller) =>
      this.tell((common) => ({ _tag: "RetryDeclined", ...common, attempt, because, reason }), caller),
    exhausted: ({ attempt, reason }, caller) => {
      this.counters.exhausted++
      this.tell((common) => ({ _tag: "RetriesExhausted", ...common, attempts: attempt, reason }), caller)
    }
  }

  readonly hedge: Omit<Hedge.Watch, "willRefuse"> = {
    hedging: (hedge, caller) => {
      this.counters.hedges++
      this.tell((common) => ({ _tag: "Hedged", ...common, hedge }), caller)
    },
    won: (hedge, caller) => this.tell((common) => ({ _tag: "HedgeWon", ...common, hedge }), caller)
  }

  readonly cache: CacheFallback.Watch = {
    hit: (age, isStale, failure) => {
      this.counters.cacheHits++
      const reason = failure === undefined ? {} : { reason: failure }
      this.tell((common) => ({ _tag: "CacheHit", ...common, age, isStale, ...reason }))
    },
    refreshFailed: (reason) => this.tell((common) => ({ _tag: "CacheRefreshFailed", ...common, reason }))
  }

  readonly chaos: Chaos.Watch = {
    injected: (fault) => this.tell((common) => ({ _tag: "ChaosInjected", ...common, fault }))
  }

  readonly fellBack = (reason: unknown): void => {
    this.counters.fellBack++
    this.tell((common) => ({ _tag: "FellBack", ...common, reason }))
  }

  /** One attempt: refusals, its timeout, and, where somebody listens, how it ended. */
  attempt<A, E, R>(
    self: Effect.Effect<A, E, R>,
    judged: Outcome.AttemptOptions<A, E>,
    due: number
  ): Effect.Effect<A, E, R> {
    const reported = Effect.withFiber<A, E, R>((fiber) => {
      const watched = watch(fiber, judged, due)
      return Effect.onExitPrimitive(self, (exit) => {
        this.attempted(exit, watched, fiber)
        return undefined
      })
    })
    return this.span === undefined
      ? reported
      : this.span.attempt(reported, judged, due, (exit) => refuserOf(this.ownError(exit)))
  }

  private ownError(exit: Exit.Exit<unknown, unknown>) {
    return exit._tag === "Failure" ? this.own.find(exit.cause) : undefined
  }

  /** An attempt of that fiber's call has ended, or has been refused. */
  attempted<A, E>(
    exit: Exit.Exit<A, E>,
    watched: Watched<A, E> | undefined,
    fiber: Fiber.Fiber<unknown, unknown>
  ): void {
    const error = this.ownError(exit)
    if (isRejection(error)) return this.refused(error, fiber)
    this.counters.attempts++
    if (error?._tag === "TimedOut" && error.limit !== "total") this.attemptTimedOut(error.limit, fiber)
    const running = fiber.getRef(Current)
    if (watched === undefined || running === undefined) return
    const attempt = ++running.attempts
    const outcome = watched.attempt.outcome(exit)._tag
    const elapsed = Duration.millis(monotonicMillis(watched.attempt.clock) - watched.startedAt)
    const reason = exit._tag === "Success" ? {} : { reason: reasonOf(exit) }
    this.tell((common) => ({ _tag: "Attempted", ...common, attempt, outcome, elapsed, ...reason }), fiber)
  }

  private refused(error: Rejection, fiber: Fiber.Fiber<unknown, unknown>): void {
    this.counters.refused++
    const by = refusedBy[error._tag]
    const retryAfter = "retryAfter" in error && error.retryAfter !== undefined ? { retryAfter: error.retryAfter } : {}
    this.tell((common) => ({ _tag: "Refused", ...common, by, ...retryAfter }), fiber)
  }

  private attemptTimedOut(limit: "attempt" | "firstElement" | "idle", fiber: Fiber.Fiber<unknown, unknown>): void {
    this.counters.timedOut++
    this.tell((common) => ({ _tag: "TimedOut", ...common, limit }), fiber)
  }

  /** A whole call, without its cache and its fallback. */
  call<A, E, R>(
    self: Effect.Effect<A, E, R>,
    classify: Outcome.Classifier<A, E> | undefined
  ): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) =>
      Effect.onExitPrimitive(self, (exit) => {
        this.called(exit, classify, fiber)
        return undefined
      })
    )
  }

  /** The call of that fiber has ended. */
  called<A, E>(
    exit: Exit.Exit<A, E>,
    classify: Outcome.Classifier<A, E> | undefined,
    fiber: Fiber.Fiber<unknown, unknown>
  ): void {
    const { counters } = this
    counters.calls++
    const outcome = countOf[Outcome.classify(exit, classify, fiber.getRef(Clock.Clock))._tag]
    counters[outcome]++
    const error = this.ownError(exit)
    this.span?.called(exit, outcome, refuserOf(error))
    if (error?._tag === "DeadlineExceeded" || (error?._tag === "TimedOut" && error.limit === "total")) {
      counters.timedOut++
      const limit = error._tag === "TimedOut" ? "total" : "deadline"
      this.tell((common) => ({ _tag: "TimedOut", ...common, limit }), fiber)
    }
  }
}

/** Which policy has refused, if that is what an error says. */
const refuserOf = (error: ReturnType<OwnErrors["find"]>) => isRejection(error) ? refusedBy[error._tag] : undefined
