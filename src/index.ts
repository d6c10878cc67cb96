/**
 * Resilience policies for Effect.
 *
 * @since 0.1.0
 */

export * as CircuitBreaker from "./CircuitBreaker.ts"

export * as Deadline from "./Deadline.ts"

export * as Outcome from "./Outcome.ts"

export * as Pipeline from "./Pipeline.ts"

export * as Policy from "./Policy.ts"

export * as Resilience from "./Resilience.ts"

export * as ResilienceEvent from "./ResilienceEvent.ts"

export * as Retry from "./Retry.ts"

export * as Timeout from "./Timeout.ts"
