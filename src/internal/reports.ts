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
import { Attempt } from "./attempt.ts"
import { Current } from "./call.ts"
import type { Counters } from "./counters.ts"
import { reasonOf } from "./exit.ts"
import { countOf } from "./outcomeTags.ts"
import { isRejection, type OwnErrors } from "./ownErrors.ts"
import { refusedBy } from "./refusals.ts"
import { monotonicMillis } from "./time.ts"

/** What is the same in all events of one kind of call. */
interface Common {
  readonly at: number
  readonly call: number
  readonly pipeline: string
  readonly operation: string
}

export class Reports {
  private readonly pipeline: string
  private readonly operation: string
  private readonly own: OwnErrors
  private readonly counters: Counters
  private readonly publish: Resilience.Resilience["Service"]["publish"]

  constructor(
    pipeline: string,
    operation: string,
    own: OwnErrors,
    counters: Counters,
    publish: Resilience.Resilience["Service"]["publish"]
  ) {
    this.pipeline = pipeline
    this.operation = operation
    this.own = own
    this.counters = counters
    this.publish = publish
  }

  private tell(event: (common: Common) => ResilienceEvent, by?: Fiber.Fiber<unknown, unknown>): void {
    const { operation, pipeline } = this
    this.publish((at, call) => event({ at, call, pipeline, operation }), by)
  }

  readonly retry: Omit<Retry.Watch, "policy" | "sleeps" | "willRefuse"> = {
    retrying: ({ attempt, attempts, delay, reason }) => {
      this.counters.retries++
      this.tell((common) => ({ _tag: "Retrying", ...common, attempt, attempts, delay, reason }))
    },
    declined: (because, { attempt, reason }) =>
      this.tell((common) => ({ _tag: "RetryDeclined", ...common, attempt, because, reason })),
    exhausted: ({ attempt, reason }) => {
      this.counters.exhausted++
      this.tell((common) => ({ _tag: "RetriesExhausted", ...common, attempts: attempt, reason }))
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
    const counted = Effect.onExitPrimitive(self, (exit) => {
      this.countAttempt(exit)
      return undefined
    })
    return Effect.withFiber((fiber) => {
      const running = fiber.getRef(Current)
      if (running === undefined) return counted
      const judging = new Attempt(fiber, judged, due)
      const startedAt = monotonicMillis(judging.clock)
      judging.begin()
      return Effect.onExitPrimitive(self, (exit) => {
        if (!this.countAttempt(exit)) return undefined
        const attempt = ++running.attempts
        const outcome = judging.outcome(exit)._tag
        const elapsed = Duration.millis(monotonicMillis(judging.clock) - startedAt)
        const reason = exit._tag === "Success" ? {} : { reason: reasonOf(exit) }
        this.tell((common) => ({ _tag: "Attempted", ...common, attempt, outcome, elapsed, ...reason }))
        return undefined
      })
    })
  }

  /** Counts an attempt, or a refusal; `false` where it was refused, and so has not been made. */
  private countAttempt(exit: Exit.Exit<unknown, unknown>): boolean {
    const error = exit._tag === "Failure" ? this.own.find(exit.cause) : undefined
    if (isRejection(error)) {
      this.refused(error)
      return false
    }
    this.counters.attempts++
    if (error?._tag === "TimedOut" && error.limit !== "total") this.attemptTimedOut(error.limit)
    return true
  }

  private refused(error: Rejection): void {
    this.counters.refused++
    const by = refusedBy[error._tag]
    const retryAfter = "retryAfter" in error && error.retryAfter !== undefined ? { retryAfter: error.retryAfter } : {}
    this.tell((common) => ({ _tag: "Refused", ...common, by, ...retryAfter }))
  }

  private attemptTimedOut(limit: "attempt" | "firstElement" | "idle"): void {
    this.counters.timedOut++
    this.tell((common) => ({ _tag: "TimedOut", ...common, limit }))
  }

  /** A whole call, without its cache and its fallback. */
  call<A, E, R>(
    self: Effect.Effect<A, E, R>,
    classify: Outcome.Classifier<A, E> | undefined
  ): Effect.Effect<A, E, R> {
    const { counters } = this
    return Effect.withFiber((fiber) =>
      Effect.onExitPrimitive(self, (exit) => {
        counters.calls++
        counters[countOf[Outcome.classify(exit, classify, fiber.getRef(Clock.Clock))._tag]]++
        const error = exit._tag === "Failure" ? this.own.find(exit.cause) : undefined
        if (error?._tag === "DeadlineExceeded" || (error?._tag === "TimedOut" && error.limit === "total")) {
          counters.timedOut++
          const limit = error._tag === "TimedOut" ? "total" : "deadline"
          this.tell((common) => ({ _tag: "TimedOut", ...common, limit }))
        }
        return undefined
      })
    )
  }
}
