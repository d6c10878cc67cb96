/** Exact equality of types, checked by the compiler alone. */

/** `true` only where neither type can be told from the other, `any` and optionality included. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Fails to compile where it is not given `true`. */
export type Expect<T extends true> = T

export type IsAny<T> = 0 extends 1 & T ? true : false

export type Not<T extends boolean> = T extends true ? false : true
