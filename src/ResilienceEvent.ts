/**
 * What happens inside pipelines, as data.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const common = {
  /** When, in milliseconds since the epoch, by the wall clock. */
  at: Schema.Number,
  /** The name of the pipeline, or of the breaker where an operation has its own. */
  pipeline: Schema.String
}

const ofBreaker = {
  ...common,
  /** The key, where the breaker has many. */
  key: Schema.optionalKey(Schema.String)
}

const ofCall = {
  ...common,
  /** The operation that the call named, or an empty string. */
  operation: Schema.String,
  /** A number that all events of one call share; zero where nobody was listening when it began. */
  call: Schema.Int,
  /** The id of the request on whose behalf the call was made, where there is one. */
  requestId: Schema.optionalKey(Schema.String)
}

/** Whether the reason is an answer, which may hold anything: tell its kind at most. Left out where it is none. */
const isAnswer = Schema.optionalKey(Schema.Boolean)

const whyFailed = {
  /** The error, the defect or the answer that was not good enough. */
  reason: Schema.Defect(),
  isAnswer
}

/** The policies that refuse. */
const Refuser = Schema.Literals(["circuitBreaker", "bulkhead", "rateLimit", "adaptiveLimit", "throttle"])

/**
 * A call has ended, after `elapsed`: all its attempts, the waits between them and
 * for limits, without its cache and its fallback, as `Pipeline.Counts` counts it.
 * What was interrupted is `Ignored`. The call of a stream ends with the stream. Of
 * policies that stand alone, without a pipeline, nothing is told.
 *
 * @category models
 * @since 0.1.0
 */
export const CallEnded = Schema.TaggedStruct("CallEnded", {
  ...ofCall,
  outcome: Schema.Literals(["Success", "Failure", "Overload", "Ignored"]),
  elapsed: Schema.DurationFromMillis,
  /** How many of its attempts have ended. Those that were refused do not count. */
  attempts: Schema.Int,
  /** Which policy has refused it, where it ended with that. */
  refusedBy: Schema.optionalKey(Refuser),
  /** The error or the defect, where there is one. */
  reason: Schema.optionalKey(Schema.Defect())
})

/**
 * An attempt has ended, after `elapsed`, its waits for limits included. One that
 * was refused is not told as an attempt, but by `Refused`.
 *
 * @category models
 * @since 0.1.0
 */
export const Attempted = Schema.TaggedStruct("Attempted", {
  ...ofCall,
  /** Which of the call's attempts it was, in the order in which they end, from 1. Hedges count. */
  attempt: Schema.Int,
  outcome: Schema.Literals(["Success", "Failure", "Overload", "Ignored"]),
  elapsed: Schema.DurationFromMillis,
  /** The error or the defect, where there is one. */
  reason: Schema.optionalKey(Schema.Defect())
})

/**
 * An attempt failed, and another one will be made after `delay`.
 *
 * @category models
 * @since 0.1.0
 */
export const Retrying = Schema.TaggedStruct("Retrying", {
  ...ofCall,
  /** The attempt that has just failed, from 1. */
  attempt: Schema.Int,
  /** How many there may be in all. */
  attempts: Schema.Int,
  delay: Schema.DurationFromMillis,
  ...whyFailed
})

/**
 * An attempt failed that would be retried, if it were not for the budget, a
 * `retryAfter` that is too long, the deadline, the open breaker, or work that has
 * committed itself.
 *
 * @category models
 * @since 0.1.0
 */
export const RetryDeclined = Schema.TaggedStruct("RetryDeclined", {
  ...ofCall,
  attempt: Schema.Int,
  because: Schema.Literals(["budget", "retryAfter", "deadline", "circuitBreaker", "committed"]),
  ...whyFailed
})

/**
 * All attempts of a call were used up.
 *
 * @category models
 * @since 0.1.0
 */
export const RetriesExhausted = Schema.TaggedStruct("RetriesExhausted", {
  ...ofCall,
  attempts: Schema.Int,
  ...whyFailed
})

/**
 * A further attempt was started beside one that was slow, or has failed.
 *
 * @category models
 * @since 0.1.0
 */
export const Hedged = Schema.TaggedStruct("Hedged", {
  ...ofCall,
  /** Which hedge of the call it is, from 1. */
  hedge: Schema.Int
})

/**
 * A hedge answered before the first attempt did.
 *
 * @category models
 * @since 0.1.0
 */
export const HedgeWon = Schema.TaggedStruct("HedgeWon", {
  ...ofCall,
  hedge: Schema.Int
})

/**
 * An attempt was refused before its work ran.
 *
 * @category models
 * @since 0.1.0
 */
export const Refused = Schema.TaggedStruct("Refused", {
  ...ofCall,
  by: Refuser,
  /** When it is worth asking again, where that is known. */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
})

/**
 * A time limit struck.
 *
 * @category models
 * @since 0.1.0
 */
export const TimedOut = Schema.TaggedStruct("TimedOut", {
  ...ofCall,
  limit: Schema.Literals(["attempt", "total", "deadline", "firstElement", "idle"])
})

/**
 * The fallback has answered in place of the call.
 *
 * @category models
 * @since 0.1.0
 */
export const FellBack = Schema.TaggedStruct("FellBack", {
  ...ofCall,
  /** The error in whose place it answered. */
  reason: Schema.Defect()
})

/**
 * A call was answered from the cache.
 *
 * @category models
 * @since 0.1.0
 */
export const CacheHit = Schema.TaggedStruct("CacheHit", {
  ...ofCall,
  age: Schema.DurationFromMillis,
  isStale: Schema.Boolean,
  /** The failure in whose place it answered, if there was one. */
  reason: Schema.optionalKey(Schema.Defect()),
  isAnswer
})

/**
 * A cached value could not be refreshed, and is kept.
 *
 * @category models
 * @since 0.1.0
 */
export const CacheRefreshFailed = Schema.TaggedStruct("CacheRefreshFailed", {
  ...ofCall,
  ...whyFailed
})

/**
 * A fault was injected on purpose.
 *
 * @category models
 * @since 0.1.0
 */
export const ChaosInjected = Schema.TaggedStruct("ChaosInjected", {
  ...ofCall,
  fault: Schema.Literals(["latency", "behavior", "failure", "overload", "defect", "result"])
})

/**
 * A breaker opened, and refuses calls for `openFor`.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitOpened = Schema.TaggedStruct("CircuitOpened", {
  ...ofBreaker,
  /** Whether it was closed before, or a probe has failed. */
  from: Schema.Literals(["Closed", "HalfOpen"]),
  openFor: Schema.DurationFromMillis,
  /** Whether failures opened it, or calls that were slow. */
  because: Schema.Literals(["failures", "slow"]),
  /** The error or the defect of the call that opened it, if it ended with one. What a call has answered is not told. */
  reason: Schema.optionalKey(Schema.Defect())
})

/**
 * A breaker let its first probe through.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitHalfOpened = Schema.TaggedStruct("CircuitHalfOpened", ofBreaker)

/**
 * A breaker closed: its probes have succeeded, or it was half-open for too long.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitClosed = Schema.TaggedStruct("CircuitClosed", ofBreaker)

/**
 * Somebody has put a breaker into a mode that overrides it.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitForced = Schema.TaggedStruct("CircuitForced", {
  ...ofBreaker,
  mode: Schema.Literals(["forcedOpen", "disabled", "forcedClosed", "metricsOnly"])
})

/**
 * Nothing overrides a breaker any more, and it stands in `state`.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitReleased = Schema.TaggedStruct("CircuitReleased", {
  ...ofBreaker,
  state: Schema.Literals(["Closed", "Open"])
})

/**
 * Somebody has closed a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitReset = Schema.TaggedStruct("CircuitReset", ofBreaker)

/**
 * A breaker was put where a snapshot says.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitRestored = Schema.TaggedStruct("CircuitRestored", {
  ...ofBreaker,
  state: Schema.Literals(["Closed", "Open"])
})

/**
 * A breaker that only counts would have opened.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitThresholdPassed = Schema.TaggedStruct("CircuitThresholdPassed", ofBreaker)

/**
 * The settings of a pipeline were changed while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export const Reconfigured = Schema.TaggedStruct("Reconfigured", common)

/**
 * What happens inside pipelines.
 *
 * @category models
 * @since 0.1.0
 */
export const ResilienceEvent = Schema.Union([
  CallEnded,
  Attempted,
  Retrying,
  RetryDeclined,
  RetriesExhausted,
  Hedged,
  HedgeWon,
  Refused,
  TimedOut,
  FellBack,
  CacheHit,
  CacheRefreshFailed,
  ChaosInjected,
  CircuitOpened,
  CircuitHalfOpened,
  CircuitClosed,
  CircuitForced,
  CircuitReleased,
  CircuitReset,
  CircuitRestored,
  CircuitThresholdPassed,
  Reconfigured
])

/**
 * What happens inside pipelines.
 *
 * @category models
 * @since 0.1.0
 */
export type ResilienceEvent = typeof ResilienceEvent.Type

/**
 * The kinds of events, as their tags name them.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = ResilienceEvent["_tag"]

/**
 * The events of some kinds.
 *
 * @category models
 * @since 0.1.0
 */
export type OfKind<K extends Kind> = Extract<ResilienceEvent, { readonly _tag: K }>
