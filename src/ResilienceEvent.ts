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

const ofCall = {
  ...common,
  /** The operation that the call named, or an empty string. */
  operation: Schema.String
}

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
  /** The error, the defect or the result that is retried. */
  reason: Schema.Defect()
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
  reason: Schema.Defect()
})

/**
 * A call was refused before its work ran.
 *
 * @category models
 * @since 0.1.0
 */
export const Refused = Schema.TaggedStruct("Refused", {
  ...ofCall,
  by: Schema.Literals(["circuitBreaker"]),
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
  limit: Schema.Literals(["attempt", "total", "deadline"])
})

/**
 * A breaker opened, and refuses calls for `openFor`.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitOpened = Schema.TaggedStruct("CircuitOpened", {
  ...common,
  /** Whether it was closed before, or a probe has failed. */
  from: Schema.Literals(["Closed", "HalfOpen"]),
  openFor: Schema.DurationFromMillis,
  /** The error, the defect or the result of the call that opened it. */
  reason: Schema.Defect()
})

/**
 * A breaker let its first probe through.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitHalfOpened = Schema.TaggedStruct("CircuitHalfOpened", common)

/**
 * A breaker closed: its probes have succeeded.
 *
 * @category models
 * @since 0.1.0
 */
export const CircuitClosed = Schema.TaggedStruct("CircuitClosed", common)

/**
 * What happens inside pipelines.
 *
 * @category models
 * @since 0.1.0
 */
export const ResilienceEvent = Schema.Union([
  Retrying,
  RetriesExhausted,
  Refused,
  TimedOut,
  CircuitOpened,
  CircuitHalfOpened,
  CircuitClosed
])

/**
 * What happens inside pipelines.
 *
 * @category models
 * @since 0.1.0
 */
export type ResilienceEvent = typeof ResilienceEvent.Type
