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
import type { Kind, OfKind } from "../ResilienceEvent.ts"
import type * as Retry from "../Retry.ts"
import { Current, type Running, unheard } from "./call.ts"
import type { Counters } from "./counters.ts"
import { reasonOf } from "./exit.ts"
import type { Listeners } from "./listeners.ts"
import { countOf } from "./outcomeTags.ts"
import { isRejection, type OwnErrors } from "./ownErrors.ts"
import { refusedBy } from "./refusals.ts"
import type { CallSpan } from "./spans.ts"
import { monotonicMillis } from "./time.ts"
import { Watched } from "./watched.ts"

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
  private readonly listeners: Listeners
  private readonly span: CallSpan | undefined

  /** `span` is the one of the call, where it is traced: then they are of that call alone. */
  constructor(
    pipeline: string,
    operation: string,
    own: OwnErrors,
    counters: Counters,
    listeners: Listeners,
    span?: CallSpan
  ) {
    this.pipeline = pipeline
    this.operation = operation
    this.own = own
    this.counters = counters
    this.listeners = listeners
    this.span = span
  }

  private tell<K extends Kind>(
    kind: K,
    event: (common: Common) => OfKind<NoInfer<K>>,
    by?: Fiber.Fiber<unknown, unknown>,
    running?: Running
  ): void {
    const { operation, pipeline, span } = this
    if (span !== undefined) span.tell((call) => event({ ...call, pipeline, operation }))
    this.listeners.tell(kind, (at, call) => event({ at, call, pipeline, operation }), by, running)
  }

  /** What watches retries: those of one call, or of whichever the fibers run in. */
  retry(call?: Running): Omit<Retry.Watch, "policy" | "sleeps" | "willRefuse"> {
    return {
      retrying: ({ attempt, attempts, delay, isAnswer, reason }, caller) => {
        this.counters.retries++
        this.tell(
          "Retrying",
          (common) => ({ _tag: "Retrying", ...common, attempt, attempts, delay, ...why(reason, isAnswer) }),
          caller,
          call
        )
      },
      declined: (because, { attempt, isAnswer, reason }, caller) =>
        this.tell(
          "RetryDeclined",
          (common) => ({ _tag: "RetryDeclined", ...common, attempt, because, ...why(reason, isAnswer) }),
          caller,
          call
        ),
      exhausted: ({ attempt, isAnswer, reason }, caller) => {
        this.counters.exhausted++
        this.tell(
          "RetriesExhausted",
          (common) => ({ _tag: "RetriesExhausted", ...common, attempts: attempt, ...why(reason, isAnswer) }),
          caller,
          call
        )
      }
    }
  }

  readonly hedge: Omit<Hedge.Watch, "willRefuse"> = {
    hedging: (hedge, caller) => {
      this.counters.hedges++
      this.tell("Hedged", (common) => ({ _tag: "Hedged", ...common, hedge }), caller)
    },
    won: (hedge, caller) => this.tell("HedgeWon", (common) => ({ _tag: "HedgeWon", ...common, hedge }), caller)
  }

  readonly cache: CacheFallback.Watch = {
    hit: (age, isStale, failed) => {
      this.counters.cacheHits++
      this.tell("CacheHit", (common) => ({ _tag: "CacheHit", ...common, age, isStale, ...failed }))
    },
    refreshFailed: (failed) =>
      this.tell("CacheRefreshFailed", (common) => ({ _tag: "CacheRefreshFailed", ...common, ...failed }))
  }

  readonly chaos: Chaos.Watch = {
    injected: (fault) => this.tell("ChaosInjected", (common) => ({ _tag: "ChaosInjected", ...common, fault }))
  }

  readonly fellBack = (reason: unknown): void => {
    this.counters.fellBack++
    this.tell("FellBack", (common) => ({ _tag: "FellBack", ...common, reason }))
  }

  /** One attempt: refusals, its timeout, and, where somebody listens, how it ended. */
  attempt<A, E, R>(
    self: Effect.Effect<A, E, R>,
    judged: Outcome.AttemptOptions<A, E>,
    due: number
  ): Effect.Effect<A, E, R> {
    const reported = Effect.withFiber<A, E, R>((fiber) => {
      const watched = this.listeners.attempts ? new Watched(fiber, judged, due) : undefined
      return Effect.onExitPrimitive(self, (exit) => {
        this.attempted(exit, watched, fiber, fiber.getRef(Current))
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
    fiber: Fiber.Fiber<unknown, unknown>,
    running: Running
  ): void {
    const error = this.ownError(exit)
    if (isRejection(error)) return this.refused(error, fiber, running)
    this.counters.attempts++
    if (error?._tag === "TimedOut" && error.limit !== "total") this.attemptTimedOut(error.limit, fiber, running)
    if (running === unheard) return
    running.attempts++
    if (watched !== undefined) this.attemptEnded(exit, watched, fiber, running)
  }

  private attemptEnded<A, E>(
    exit: Exit.Exit<A, E>,
    watched: Watched<A, E>,
    fiber: Fiber.Fiber<unknown, unknown>,
    running: Running
  ): void {
    const { operation, pipeline } = this
    const attempt = running.attempts
    const outcome = watched.outcome(exit)._tag
    const elapsed = Duration.millis(monotonicMillis(watched.clock) - watched.since)
    this.listeners.tell(
      "Attempted",
      (at, call) => {
        const event = { _tag: "Attempted" as const, at, pipeline, operation, call, attempt, outcome, elapsed }
        return exit._tag === "Success" ? event : { ...event, reason: reasonOf(exit) }
      },
      fiber,
      running
    )
  }

  private refused(error: Rejection, fiber: Fiber.Fiber<unknown, unknown>, running: Running): void {
    this.counters.refused++
    const by = refusedBy[error._tag]
    const retryAfter = "retryAfter" in error && error.retryAfter !== undefined ? { retryAfter: error.retryAfter } : {}
    this.tell("Refused", (common) => ({ _tag: "Refused", ...common, by, ...retryAfter }), fiber, running)
  }

  private attemptTimedOut(
    limit: "attempt" | "firstElement" | "idle",
    fiber: Fiber.Fiber<unknown, unknown>,
    running: Running
  ): void {
    this.counters.timedOut++
    this.tell("TimedOut", (common) => ({ _tag: "TimedOut", ...common, limit }), fiber, running)
  }

  /** A whole call, without its cache and its fallback. */
  call<A, E, R>(
    self: Effect.Effect<A, E, R>,
    classify: Outcome.Classifier<A, E> | undefined
  ): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const since = fiber.getRef(Current).isWatched ? monotonicMillis(fiber.getRef(Clock.Clock)) : undefined
      return Effect.onExitPrimitive(self, (exit) => {
        this.called(exit, classify, fiber, since, fiber.getRef(Current))
        return undefined
      })
    })
  }

  /** The call of that fiber has ended, which began at `since` where somebody listens to that, in monotonic milliseconds. */
  called<A, E>(
    exit: Exit.Exit<A, E>,
    classify: Outcome.Classifier<A, E> | undefined,
    fiber: Fiber.Fiber<unknown, unknown>,
    since: number | undefined,
    running: Running
  ): void {
    const { counters } = this
    counters.calls++
    const clock = fiber.getRef(Clock.Clock)
    const error = this.ownError(exit)
    const refuser = refuserOf(error)
    // whatever a classifier makes of it: the dependency was not asked
    const outcome = refuser === undefined ? Outcome.classify(exit, classify, clock)._tag : "Ignored"
    counters[countOf[outcome]]++
    if (refuser !== undefined) counters.refusedCalls++
    this.span?.called(exit, countOf[outcome], refuser)
    if (error?._tag === "DeadlineExceeded" || (error?._tag === "TimedOut" && error.limit === "total")) {
      counters.timedOut++
      const limit = error._tag === "TimedOut" ? "total" : "deadline"
      this.tell("TimedOut", (common) => ({ _tag: "TimedOut", ...common, limit }), fiber, running)
    }
    // who begins to listen while a call is under way is not told of it
    if (since === undefined) return
    const { operation, pipeline } = this
    const { attempts } = running
    const elapsed = Duration.millis(monotonicMillis(clock) - since)
    this.listeners.tell(
      "CallEnded",
      (at, call) => {
        const event = { _tag: "CallEnded" as const, at, pipeline, operation, call, outcome, elapsed, attempts }
        if (exit._tag === "Success") return event
        return { ...event, ...(refuser === undefined ? {} : { refusedBy: refuser }), reason: reasonOf(exit) }
      },
      fiber,
      running
    )
  }
}

const why = (reason: unknown, isAnswer: true | undefined) => isAnswer ? { reason, isAnswer } : { reason }

/** Which policy has refused, if that is what an error says. */
const refuserOf = (error: ReturnType<OwnErrors["find"]>) => isRejection(error) ? refusedBy[error._tag] : undefined
