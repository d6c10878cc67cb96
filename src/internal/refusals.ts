/** Our own refusals: the errors of policies that have not let the work run. */
import * as Duration from "effect/Duration"
import { hasProperty } from "effect/Predicate"
import * as Outcome from "../Outcome.ts"
import { guarded } from "./guarded.ts"

/** Which policy refuses with which error. */
export const refusedBy = {
  CircuitOpen: "circuitBreaker",
  BulkheadFull: "bulkhead",
  RateLimited: "rateLimit",
  LimitExceeded: "adaptiveLimit",
  Throttled: "throttle"
} as const

/**
 * Begins a refusal without a stack, whose trace takes far longer to make than all
 * the rest: what refuses is known, and has to be quick under load. It is what the
 * constructor would make, once the further fields are set.
 */
export const refusal = <E extends { readonly _tag: keyof typeof refusedBy; readonly policy: string }>(
  Class: { readonly prototype: E },
  tag: E["_tag"],
  policy: string
): { -readonly [K in keyof E]: E[K] } => {
  const error = Object.create(Class.prototype)
  error._tag = tag
  error.policy = policy
  return error
}

/** Whether an error is a refusal, of whichever policy. */
export const isRefusal = (error: unknown): boolean =>
  // an error of the same name that came over the wire says something about the dependency, and is not ignored
  Outcome.carriedBy(error)?._tag === "Ignored" &&
  guarded(() =>
      hasProperty(error, "_tag") && typeof error._tag === "string" && Object.hasOwn(refusedBy, error._tag)
    ) ===
    true

/** The `retryAfter` of a refusal, whose outcome has none. */
export const statedRetryAfter = (error: unknown): Duration.Duration | undefined =>
  guarded(() =>
    hasProperty(error, "retryAfter") && Duration.isDuration(error.retryAfter) ? error.retryAfter : undefined
  )
