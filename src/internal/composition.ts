/**
 * The straight composition of a pipeline: one policy around the other. It is the
 * definition of what a pipeline means. Where {@link isFused} says so, the fused path
 * takes its place, which means the same and costs less.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import * as Chaos from "../Chaos.ts"
import type { CircuitBreaker } from "../CircuitBreaker.ts"
import * as Fallback from "../Fallback.ts"
import * as Hedge from "../Hedge.ts"
import * as Outcome from "../Outcome.ts"
import type { CallOptions, PipelineError, Settings, StreamOptions } from "../Pipeline.ts"
import type { Policy } from "../Policy.ts"
import type * as Resilience from "../Resilience.ts"
import * as Retry from "../Retry.ts"
import * as Streams from "../Streams.ts"
import * as Timeout from "../Timeout.ts"
import { Alarms } from "./alarms.ts"
import { willRefuse as sureToRefuse } from "./breakerCell.ts"
import { Current } from "./call.ts"
import type { Counters } from "./counters.ts"
import * as fused from "./fused.ts"
import type { Level, Plan } from "./fusedTask.ts"
import { guarded } from "./guarded.ts"
import { flag, onlyKeys } from "./options.ts"
import { OwnErrors } from "./ownErrors.ts"
import { Reports } from "./reports.ts"
import { CallSpan, isTraced } from "./spans.ts"
import { inOwnFiber } from "./timeLimit.ts"
import { withFault } from "./withFault.ts"

/** The policies with a state that one composition uses. */
export type Parts = { readonly [K in keyof Resilience.Parts]: Resilience.Parts[K] | undefined }

type AnsweredOptions<A, E> = CallOptions<A, E> & {
  readonly fallback?: Fallback.Handler<E | PipelineError, unknown, unknown, unknown> | undefined
}

export interface Composition {
  readonly circuitBreaker: CircuitBreaker | undefined
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: AnsweredOptions<A, E>,
    traced: boolean
  ) => Effect.Effect<unknown, unknown, unknown>
  readonly protectStream: <A, E, R>(
    self: Stream.Stream<A, E, R>,
    options: StreamOptions<E>
  ) => Stream.Stream<A, E | PipelineError, R>
}

/**
 * Which calls are fused: those of pipelines that are made of total timeout, retry
 * with its budget, bulkhead, circuit breaker, keyed or not, and attempt timeout, of
 * which each may be missing. A fallback or a cache stands around a fused call.
 *
 * Left to the composition are calls that are traced, calls with a hedge, an
 * adaptive limit, a rate limit, a throttle, chaos or policies of one's own, calls
 * that dispose of results, and streams.
 */
const isFused = (settings: Settings, options: { readonly dispose?: unknown }): boolean => {
  const { adaptiveLimit, around, chaos, hedge, rateLimit, throttle } = settings
  const parts = [adaptiveLimit, around.call, around.attempt, around.work, chaos, hedge, rateLimit, throttle]
  return options.dispose === undefined && parts.every((part) => part === undefined)
}

const fusedLevel = (limit: "attempt" | "total", policy: string, millis: number | undefined): Level | undefined =>
  millis === undefined ? undefined : { millis, timeout: { policy, limit, millis }, alarms: new Alarms() }

const callOptions: ReadonlySet<string> = new Set<keyof CallOptions<unknown, unknown> | "fallback">([
  "operation",
  "idempotent",
  "key",
  "priority",
  "cost",
  "settle",
  "cache",
  "fallback",
  "classify",
  "retryIf",
  "dispose",
  "onRetry"
])

export const compose = (
  settings: Settings,
  parts: Parts,
  { listeners, test }: Resilience.Resilience["Service"],
  counters: Counters,
  fuses: boolean
): Composition => {
  const { attemptTimeout, chaos, name, retry, streams, totalTimeout } = settings
  const {
    adaptiveLimit,
    bulkhead,
    cache,
    circuitBreaker,
    hedge,
    keyedCircuitBreaker,
    rateLimit,
    retryBudget,
    throttle
  } = parts
  // what these add is in `ErrorOf` of the options, and is not known here
  const around = settings.around as { readonly [K in keyof typeof settings.around]: Policy<never> | undefined }
  const own = new OwnErrors(settings)
  const exceeded = Timeout.exceeding(name, own.raising)
  const timeout = (limit: "attempt" | "total", duration: number | undefined) =>
    duration === undefined ? undefined : Timeout.limiting({ policy: name, limit, millis: duration }, exceeded)
  const total = timeout("total", totalTimeout)
  const attemptTimed = timeout("attempt", attemptTimeout)

  // no attempt is given more than the total timeout
  const attemptDue = attemptTimeout === undefined ? undefined : Math.min(attemptTimeout, totalTimeout ?? Infinity)
  const judgedBy = <A, E>(
    classify: Outcome.Classifier<A, E> | undefined,
    due: number | undefined
  ): Outcome.AttemptOptions<A, E> => ({
    classify,
    attemptTimeout: due,
    totalTimeoutOf: totalTimeout === undefined ? undefined : name
  })
  const runsAgain = ({ idempotent }: { readonly idempotent?: boolean | undefined }): boolean =>
    idempotent === undefined ? settings.idempotent : flag("Pipeline.protect", "idempotent", idempotent)

  const classifierOf = <A, E>(options: CallOptions<A, E>) =>
    own.classifier(Outcome.orElse(options.classify, settings.classify))

  /** A call, with the number that its events share where somebody listens to what happens in calls. */
  const numbered = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const call = listeners.begin()
      // within another call it is not that one
      return call === fiber.getRef(Current) ? self : Effect.provideService(self, Current, call)
    })

  /**
   * A call without its cache and its fallback. The attempts of a stream have no
   * timeout: it limits the wait for the first element, within the work.
   */
  const call = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E>,
    classify: Outcome.Classifier<A, E | PipelineError> | undefined,
    reports: Reports,
    isStream: boolean
  ): Effect.Effect<A, E | PipelineError, R> => {
    const due = isStream ? undefined : attemptDue
    const judged = judgedBy(classify, due)
    // of calls without a key, all share one
    const breaker = circuitBreaker ?? keyedCircuitBreaker?.of(options.key ?? "")
    const willRefuse = (at: number): boolean => breaker !== undefined && sureToRefuse(breaker.place, at)

    let work: Effect.Effect<A, E | PipelineError, R> = test === undefined ? self : withFault(self, name, test)
    if (chaos !== undefined) work = Chaos.run(work, chaos, name, reports.chaos)
    if (around.work !== undefined) work = around.work(work)

    const admitted = (work: Effect.Effect<A, E | PipelineError, R>, ran?: () => boolean) => {
      let effect = attemptTimed === undefined || isStream ? inOwnFiber(work) : attemptTimed(work)
      if (breaker !== undefined) effect = breaker.protect(effect, judged)
      if (bulkhead !== undefined) effect = bulkhead.protect(effect, { key: options.key })
      if (adaptiveLimit !== undefined) effect = adaptiveLimit.protect(effect, { ...judged, priority: options.priority })
      if (rateLimit !== undefined) {
        const { cost, key, settle } = options
        effect = rateLimit.protect(effect, { cost, key, settle, ran })
      }
      if (throttle !== undefined) effect = throttle.protect(effect, judged)
      return effect
    }
    let attempt = rateLimit === undefined ? admitted(work) : Effect.suspend(() => {
      // what was taken for work that never began is given back
      let hasBegun = false
      const beginning = Effect.suspend(() => {
        hasBegun = true
        return work
      })
      return admitted(beginning, () => hasBegun)
    })
    if (breaker !== undefined) {
      const admissible = attempt
      // an open breaker is looked at before anything is spent or awaited
      attempt = Effect.withFiber((fiber) => {
        const refusal = breaker.refusal(fiber.getRef(Clock.Clock))
        return refusal === undefined ? admissible : Effect.fail(refusal)
      })
    }
    if (around.attempt !== undefined) attempt = around.attempt(attempt)
    attempt = reports.attempt(attempt, judged, due ?? Infinity)

    let effect = attempt
    if (runsAgain(options)) {
      const { dispose, onRetry, retryIf } = options
      if (hedge !== undefined) {
        effect = Hedge.run(effect, hedge, { classify, dispose, retryIf, budget: retryBudget }, {
          ...reports.hedge,
          willRefuse
        })
      }
      if (retry !== undefined) {
        effect = Retry.run(effect, retry, { classify, dispose, onRetry, retryIf }, {
          ...reports.retry(),
          policy: name,
          budget: retryBudget,
          sleeps: test === undefined || test.delays,
          willRefuse
        })
      }
    }
    if (total !== undefined) effect = total(effect)
    if (around.call !== undefined) effect = around.call(effect)
    return reports.call(effect, classify)
  }

  const plan: Plan = {
    total: fusedLevel("total", name, totalTimeout),
    attempt: fusedLevel("attempt", name, attemptTimeout),
    exceeded,
    bulkhead,
    retry,
    budget: retryBudget,
    sleeps: test === undefined || test.delays,
    counters,
    listeners
  }

  /** The same call in one pass. */
  const fusedCall = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E>,
    classify: Outcome.Classifier<A, E | PipelineError> | undefined,
    reports: () => Reports,
    numbers: boolean
  ): Effect.Effect<A, E | PipelineError, R> => {
    const work: Effect.Effect<A, E | PipelineError, R> = test === undefined ? self : withFault(self, name, test)
    const { key, onRetry, retryIf } = options
    return fused.protect(work, plan, {
      classify,
      retryIf,
      onRetry,
      retries: runsAgain(options),
      key,
      place: circuitBreaker?.place ?? keyedCircuitBreaker?.place(key ?? ""),
      judged: judgedBy(classify, attemptDue),
      due: attemptDue,
      reports,
      numbers
    })
  }

  const reportsOf = (operation = "", span?: CallSpan) => new Reports(name, operation, own, counters, listeners, span)

  /** A call with its cache and its fallback. */
  const answered = <A, E, R>(
    self: Effect.Effect<A, E | PipelineError, R>,
    options: AnsweredOptions<A, E>,
    classify: Outcome.Classifier<A, E | PipelineError> | undefined,
    reports: () => Reports
  ): Effect.Effect<unknown, unknown, unknown> => {
    const { cache: use, fallback } = options
    let effect = self
    if (cache !== undefined && use !== undefined) {
      const { key, onAnswer, schema, staleIf } = use
      // operations never share an entry, whatever their arguments
      const entry = { key: [options.operation ?? "", ...key], schema, staleIf, classify }
      const asking = cache.get(effect, entry, reports().cache)
      effect = Effect.map(asking, (answer) => {
        if (onAnswer !== undefined) guarded(() => onAnswer(answer))
        return answer.value
      })
    }
    return fallback === undefined
      ? effect
      : Fallback.run(effect, fallback, { classify, fellBack: (reason) => reports().fellBack(reason) })
  }

  return {
    circuitBreaker,
    protect(self, options, traced) {
      // of all ways to look at keys, the one that makes no list of them
      for (const key in options) {
        if (!callOptions.has(key)) onlyKeys("Pipeline.protect", options, [...callOptions])
      }
      const classify = classifierOf(options)
      if (traced) {
        return numbered(CallSpan.within(name, options.operation ?? "", (span) => {
          const reports = reportsOf(options.operation, span)
          return answered(call(self, options, classify, reports, false), options, classify, () => reports)
        }))
      }
      let made: Reports | undefined
      // what a call is named is asked for where there is something to tell
      const reports = () => made ??= reportsOf(options.operation)
      if (!fuses || !isFused(settings, options)) {
        return numbered(answered(call(self, options, classify, reports(), false), options, classify, reports))
      }
      const isAlone = options.fallback === undefined && (cache === undefined || options.cache === undefined)
      const effect = fusedCall(self, options, classify, reports, isAlone)
      // what stands around it belongs to the same call
      return isAlone ? effect : numbered(answered(effect, options, classify, reports))
    },
    protectStream<A, E, R>(self: Stream.Stream<A, E, R>, options: StreamOptions<E>) {
      const { operation } = options
      const reports = reportsOf(operation)
      const limited = Streams.timeout(self, {
        firstElement: streams.firstElement ?? attemptTimeout,
        idle: streams.idle,
        policy: name
      })
      // the limits of the stream are among the errors of the pipeline
      const limitedOptions = options as StreamOptions<E | Timeout.TimedOut>
      const classify = classifierOf(limitedOptions)
      const through = (effect: Effect.Effect<Streams.Streamed, E | Timeout.TimedOut, R>) => {
        const under = (reports: Reports) => call(effect, limitedOptions, classify, reports, true)
        return Effect.withFiber((fiber) =>
          numbered(
            isTraced(fiber)
              // it lasts as long as the stream
              ? CallSpan.within(name, operation ?? "", (span) => under(reportsOf(operation, span)))
              : under(reports)
          )
        )
      }
      return Streams.protect(limited, through)
    }
  }
}
