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
export const compose: {
  (): Policy<never>
  <A>(a: Adds<A>): Policy<A>
  <A, B>(a: Adds<A>, b: Adds<B>): Policy<A | B>
  <A, B, C>(a: Adds<A>, b: Adds<B>, c: Adds<C>): Policy<A | B | C>
  <A, B, C, D>(a: Adds<A>, b: Adds<B>, c: Adds<C>, d: Adds<D>): Policy<A | B | C | D>
  <A, B, C, D, E>(a: Adds<A>, b: Adds<B>, c: Adds<C>, d: Adds<D>, e: Adds<E>): Policy<A | B | C | D | E>
  <A, B, C, D, E, F>(
    a: Adds<A>,
    b: Adds<B>,
    c: Adds<C>,
    d: Adds<D>,
    e: Adds<E>,
    f: Adds<F>
  ): Policy<A | B | C | D | E | F>
  <PE>(...policies: ReadonlyArray<Policy<PE>>): Policy<PE>
} = (
  <PE>(...policies: ReadonlyArray<Policy<PE>>): Policy<PE> => <A, E, R>(self: Effect.Effect<A, E, R>) =>
    policies.reduceRight<Effect.Effect<A, E | PE, R>>((effect, policy) => policy(effect), self)
  // what `Adds` lets in are policies, although it looks at them with one effect alone
) as never

/**
 * What a policy adds to an effect that has no errors. The compiler reads the
 * errors of any generic function off this, which it cannot off `Policy<PE>`:
 * there it would find `unknown` in a breaker's or a pipeline's `protect`.
 */
type Adds<PE> = (self: Effect.Effect<never>) => Effect.Effect<never, PE>
