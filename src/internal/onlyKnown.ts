/** Refusing, at compile time, keys that options do not have. */
import type * as Duration from "effect/Duration"
import type * as Schedule from "effect/Schedule"

// what is not an object of options
type Leaf =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | ReadonlyArray<unknown>
  | Duration.Duration
  | Schedule.Schedule<unknown, never, unknown, unknown>
  | ((...args: ReadonlyArray<never>) => unknown)

/** The members of a union of option objects that have the kind that `O` has. */
type OfKind<O, Shape> = O extends { readonly kind: infer Kind } ? Extract<Shape, { readonly kind: Kind }> : Shape

type KeyOf<Shape> = Shape extends Leaf ? never : keyof Shape

type ValueOf<Shape, K> = Shape extends unknown ? K extends keyof Shape ? Shape[K] : never : never

/**
 * `O` with `never` under every key that `Shape` has not, also further in. Where
 * options are inferred, the compiler does not look for keys too many by itself.
 */
export type OnlyKnown<O, Shape> = O extends Leaf ? O : {
  readonly [K in keyof O]: K extends KeyOf<OfKind<O, Shape>> ? OnlyKnown<O[K], ValueOf<OfKind<O, Shape>, K>> : never
}
