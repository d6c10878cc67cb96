/**
 * The arithmetic of delays between attempts. All in milliseconds, all pure: the
 * random draw `u` in `[0, 1]` is given.
 */

/** A delay before jitter and cap, from the number of the retry (from 1). */
export type BaseDelay = (retry: number) => number

export const constant = (delay: number): BaseDelay => () => delay

export const linear = (base: number, increment: number): BaseDelay => (retry) => base + increment * (retry - 1)

export const exponential = (base: number, factor: number): BaseDelay => (retry) => base * Math.pow(factor, retry - 1)

/** An exponential one that doubles, capped: what stands in for a delay that is none. */
export const doubling = ({ base, cap }: { readonly base: number; readonly cap: number }): BaseDelay => {
  const delay = exponential(base, 2)
  return (retry) => Math.min(cap, delay(retry))
}

export const fibonacci = (base: number): BaseDelay => (retry) => {
  let current = 1
  let next = 1
  // past the range of a double both are infinite, and the cap decides
  for (let n = 1; n < retry && Number.isFinite(current); n++) [current, next] = [next, current + next]
  return base * current
}

/** How a delay is spread out: `u` is the draw, `previous` the delay before this one, `first` the first before jitter. */
export type Spread = (delay: number, u: number, previous: number, first: number) => number

export const none: Spread = (delay) => delay

/** Full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): `U(0, delay)`. */
export const full: Spread = (delay, u) => u === 0 ? 0 : delay * u

/** Equal jitter (same source): `delay / 2 + U(0, delay / 2)`. */
export const equal: Spread = (delay, u) => delay / 2 + (u === 0 ? 0 : (delay / 2) * u)

/** A band around the delay: `delay * U(1 - factor, 1 + factor)`. */
export const factor = (factor: number): Spread => (delay, u) => {
  const scale = 1 - factor + 2 * factor * u
  return scale === 0 ? 0 : delay * scale
}

/** Decorrelated jitter (same source): `U(first, 3 * previous)`; the first delay lies in `U(first, 3 * first)`. */
export const decorrelated: Spread = (_delay, u, previous, first) => {
  const width = 3 * Math.max(first, previous) - first
  return first + (u === 0 ? 0 : width * u)
}

/**
 * The delay before a retry: spread, then capped, and never less than
 * `retryAfter`. Above a `retryAfter` only the part of the spread that the draw
 * adds is kept, so that callers told the same time do not return together.
 */
export const delay = (options: {
  readonly base: number
  readonly spread: Spread
  readonly cap: number
  readonly u: number
  readonly previous: number
  readonly first: number
  readonly retryAfter: number | undefined
}): number => {
  const { base, cap, first, previous, retryAfter, spread, u } = options
  const own = Math.min(cap, spread(base, u, previous, first))
  if (retryAfter === undefined) return own
  const added = Math.min(cap, spread(base, u, previous, first) - spread(base, 0, previous, first))
  return Math.max(own, retryAfter + (Number.isNaN(added) ? 0 : added))
}
