/**
 * Resilience policies for Effect.
 *
 * @since 0.1.0
 */

export * as AdaptiveLimit from "./AdaptiveLimit.ts"

export * as Bulkhead from "./Bulkhead.ts"

export * as CacheFallback from "./CacheFallback.ts"

export * as Chaos from "./Chaos.ts"

export * as CircuitBreaker from "./CircuitBreaker.ts"

export * as Deadline from "./Deadline.ts"

export * as Fallback from "./Fallback.ts"

export * as Hedge from "./Hedge.ts"

export * as KeyedCircuitBreaker from "./KeyedCircuitBreaker.ts"

export * as Outcome from "./Outcome.ts"

export * as Pipeline from "./Pipeline.ts"

export * as Policy from "./Policy.ts"

export * as Profile from "./Profile.ts"

export * as RateLimit from "./RateLimit.ts"

export * as Replay from "./Replay.ts"

export * as Resilience from "./Resilience.ts"

export * as ResilienceConfig from "./ResilienceConfig.ts"

export * as ResilienceEvent from "./ResilienceEvent.ts"

export * as Retry from "./Retry.ts"

export * as RetryBudget from "./RetryBudget.ts"

export * as Streams from "./Streams.ts"

export * as Supervise from "./Supervise.ts"

export * as Throttle from "./Throttle.ts"

export * as Timeout from "./Timeout.ts"
