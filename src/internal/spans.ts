/**
 * Spans of calls and of their attempts, where the calling fiber has a tracer.
 *
 * A fiber has one where somebody has provided it: the default of Effect's `Tracer`
 * keeps spans that nobody sees. That is looked up once per call; everything else
 * here is for calls that are traced.
 *
 * Nothing that a span holds is taken from a value or from a message: names are
 * those that were declared, all else is a number or one of few words. That is why a
 * span does not end with the exit itself, whose error an exporter would print.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import type * as Outcome from "../Outcome.ts"
import type { ResilienceEvent } from "../ResilienceEvent.ts"
import { Attempt } from "./attempt.ts"
import { errorKind } from "./errorKind.ts"
import { reasonOf } from "./exit.ts"
import { guarded } from "./guarded.ts"
import { countOf } from "./outcomeTags.ts"
import type { refusedBy } from "./refusals.ts"

/** Whether somebody sees the spans of a fiber. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.tracer !== undefined && fiber.cache.tracerEnabled

type OutcomeName = typeof countOf[Outcome.Outcome["_tag"]]
type Policy = typeof refusedBy[keyof typeof refusedBy]

/** How a call has ended before its cache and its fallback. */
interface Judged {
  readonly exit: Exit.Exit<unknown, unknown>
  readonly outcome: OutcomeName
  readonly by: Policy | undefined
}

/** The attempt that is running, for what knows that it sends a request. */
const CurrentAttempt = Context.Reference<{ readonly span: Tracer.Span; readonly number: number } | undefined>(
  "effect-resilience/Spans/CurrentAttempt",
  { defaultValue: () => undefined }
)

/** A request is sent in a fiber that is traced: its attempt tells how often it was sent before. */
export const sending = (fiber: Fiber.Fiber<unknown, unknown>): void => {
  const attempt = fiber.getRef(CurrentAttempt)
  if (attempt !== undefined && attempt.number > 1) {
    attempt.span.attribute("http.request.resend_count", attempt.number - 1)
  }
}

/** What is known of a failure that may be told. Shaped like an error, which is what exporters look for. */
const failed = (kind: string) => ({ _tag: kind, name: kind, message: kind })

/** What kind of error it is, in the words of OpenTelemetry where it has no name. */
const errorType = (reason: unknown): string => {
  const kind = errorKind(reason)
  return kind === "unknown" ? "_OTHER" : kind
}

const isUnwanted = (outcome: OutcomeName | undefined): boolean => outcome === "failure" || outcome === "overload"

/** Ends a span as its effect has ended. `unwanted` is a result that was judged to be a failure. */
const end = (
  span: Tracer.Span,
  exit: Exit.Exit<unknown, unknown>,
  unwanted: boolean,
  at: bigint
): void => {
  if (exit._tag === "Success" && !unwanted) return span.end(at, Exit.void)
  if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return span.end(at, exit)
  // a result that is none has no kind
  const kind = exit._tag === "Success" ? "_OTHER" : errorType(reasonOf(exit))
  span.attribute("error.type", kind)
  const isDefect = exit._tag === "Failure" && !Cause.hasFails(exit.cause)
  span.end(at, isDefect ? Exit.die(failed(kind)) : Exit.fail(failed(kind)))
}

const longestName = 200

/** The span of one call, which its attempts are the children of. */
export class CallSpan {
  private readonly span: Tracer.Span
  private readonly name: string
  private readonly common: Readonly<Record<string, string>>
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private attempts = 0
  private judged: Judged | undefined

  private constructor(
    span: Tracer.Span,
    name: string,
    common: Readonly<Record<string, string>>,
    fiber: Fiber.Fiber<unknown, unknown>
  ) {
    this.span = span
    this.name = name
    this.common = common
    this.fiber = fiber
  }

  /** Runs a call within a span of its own. */
  static within<A, E, R>(
    pipeline: string,
    operation: string,
    call: (span: CallSpan) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    const common: Record<string, string> = { "resilience.pipeline": pipeline.slice(0, longestName) }
    if (operation !== "") common["resilience.operation"] = operation.slice(0, longestName)
    const name = common["resilience.operation"] ?? pipeline.slice(0, longestName)
    return Effect.withFiber((fiber) =>
      Effect.useSpan(name, { attributes: common }, (span) => {
        const of = new CallSpan(span, name, common, fiber)
        const self = Effect.provideService(call(of), Tracer.ParentSpan, span)
        // who ends it first has said how; what made it ends those that were interrupted before they began
        return Effect.onExitPrimitive(self, (exit) => {
          of.end(exit)
          return undefined
        })
      })
    )
  }

  /** Runs one of its attempts within a span of its own. */
  attempt<A, E, R>(
    self: Effect.Effect<A, E, R>,
    judged: Outcome.AttemptOptions<A, E>,
    due: number,
    refusal: (exit: Exit.Exit<A, E>) => Policy | undefined
  ): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const number = ++this.attempts
      const attributes = { ...this.common, "resilience.attempt": number }
      return Effect.useSpan(`${this.name} attempt`, { attributes }, (span) => {
        const attempt = new Attempt(fiber, judged, due)
        attempt.begin()
        const running = self.pipe(
          Effect.provideService(CurrentAttempt, { span, number }),
          Effect.provideService(Tracer.ParentSpan, span)
        )
        return Effect.onExitPrimitive(running, (exit) => {
          guarded(() => {
            const outcome = countOf[attempt.outcome(exit)._tag]
            judge(span, outcome, refusal(exit))
            end(span, exit, isUnwanted(outcome), this.now)
          })
          return undefined
        })
      })
    })
  }

  /** The call has ended, but for its cache and its fallback. What a cache asks for after that has no say. */
  called(exit: Exit.Exit<unknown, unknown>, outcome: OutcomeName, by: Policy | undefined): void {
    this.judged ??= { exit, outcome, by }
  }

  /** What happens within the call, as an event of its span. */
  tell(event: (common: { at: number; call: number }) => ResilienceEvent): void {
    guarded(() => {
      if (this.span.status._tag === "Ended") return
      const told = spanEvent(event({ at: 0, call: 0 }))
      if (told !== undefined) this.span.event(told.name, this.now, told.attributes)
    })
  }

  private end(exit: Exit.Exit<unknown, unknown>): void {
    guarded(() => {
      const { judged, span } = this
      if (judged !== undefined) judge(span, judged.outcome, judged.by)
      // what a cache or a fallback has answered in its place is no failure
      const isItsResult = judged?.exit._tag === "Success" && exit._tag === "Success" && judged.exit.value === exit.value
      end(span, exit, isItsResult && isUnwanted(judged.outcome), this.now)
    })
  }

  private get now(): bigint {
    return this.fiber.getRef(References.TracerTimingEnabled)
      ? this.fiber.getRef(Clock.Clock).currentTimeNanosUnsafe()
      : BigInt(0)
  }
}

const judge = (span: Tracer.Span, outcome: OutcomeName, by: Policy | undefined): void => {
  span.attribute("resilience.outcome", outcome)
  if (by !== undefined) span.attribute("resilience.refused_by", by)
}

/** What of an event stands on the span of its call: not what the spans of attempts say themselves. */
const spanEvent = (
  event: ResilienceEvent
): { readonly name: string; readonly attributes: Record<string, string | number | boolean> } | undefined => {
  const reason = "reason" in event ? { "error.type": errorType(event.reason) } : {}
  switch (event._tag) {
    case "Retrying": {
      const wait = Duration.toMillis(event.delay)
      const attributes = { "resilience.attempt": event.attempt, "resilience.wait_ms": wait, ...reason }
      return { name: "resilience.retry", attributes }
    }
    case "RetryDeclined": {
      const attributes = { "resilience.attempt": event.attempt, "resilience.because": event.because, ...reason }
      return { name: "resilience.retry_declined", attributes }
    }
    case "RetriesExhausted":
      return { name: "resilience.retries_exhausted", attributes: { "resilience.attempts": event.attempts, ...reason } }
    case "Hedged":
      return { name: "resilience.hedge", attributes: { "resilience.hedge": event.hedge } }
    case "HedgeWon":
      return { name: "resilience.hedge_won", attributes: { "resilience.hedge": event.hedge } }
    case "FellBack":
      return { name: "resilience.fallback", attributes: reason }
    case "CacheHit": {
      const age = Duration.toMillis(event.age)
      const attributes = { "resilience.age_ms": age, "resilience.stale": event.isStale, ...reason }
      return { name: "resilience.cache_hit", attributes }
    }
    case "CacheRefreshFailed":
      return { name: "resilience.cache_refresh_failed", attributes: reason }
    case "ChaosInjected":
      return { name: "resilience.chaos", attributes: { "resilience.fault": event.fault } }
    default:
      return undefined
  }
}
