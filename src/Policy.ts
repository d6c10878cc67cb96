/**
 * The shape of a policy that is generic in success and error: it may add errors
 * of its own, `PE`, and changes nothing else about the effects it wraps.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"

/**
 * A function that protects any effect and adds the errors `PE`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy<out PE> {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | PE, R>
}

/**
 * Composes policies, the outermost first: the first one meets the call first and
 * the result last.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Policy, Retry, Timeout } from "effect-resilience"
 *
 * const patient = Policy.compose(
 *   Timeout.total("10 seconds"),
 *   Retry.make({ times: 2 }),
 *   Timeout.attempt("2 seconds")
 * )
 *
 * console.log(await Effect.runPromise(patient(Effect.succeed("hello")))) // => hello
 * ```
 *
 * @category combining
 * @since 0.1.0
 */
export const compose = <const PEs extends ReadonlyArray<unknown>>(
  ...policies: { readonly [K in keyof PEs]: Policy<PEs[K]> }
): Policy<PEs[number]> =>
<A, E, R>(self: Effect.Effect<A, E, R>) =>
  // each step adds one member of the union, which the fold cannot say step by step
  (policies as ReadonlyArray<Policy<PEs[number]>>).reduceRight<Effect.Effect<A, E | PEs[number], R>>(
    (effect, policy) => policy(effect),
    self
  )
