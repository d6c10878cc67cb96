/**
 * One limit on time, shared by `Timeout` and `Deadline`: the record that work
 * under a limit can see, and the race that enforces it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis, sleepUntil } from "./time.ts"

/** The soonest limit that the running work is under. */
export interface TimeLimit {
  /** When it strikes, in monotonic milliseconds. */
  readonly expiresAt: number
  /** What set it: a timeout of our own, or, where undefined, a deadline given by the caller. */
  readonly timeout:
    | { readonly policy: string; readonly limit: "attempt" | "total"; readonly millis: number }
    | undefined
  /** Set before the work is interrupted, so that a breaker under the limit can tell it from any other interruption. */
  hasStruck: boolean
  /**
   * Set when it has struck where it was set, and not only where it was inherited:
   * what runs under it from then on is clean-up, which has limits of its own.
   */
  isOver: boolean
}

export const Current = Context.Reference<TimeLimit | undefined>("effect-resilience/Deadline/Current", {
  defaultValue: () => undefined
})

/** The limit that a fiber is under, unless it is over. */
export const standing = (fiber: Fiber.Fiber<unknown, unknown>): TimeLimit | undefined => {
  const limit = fiber.getRef(Current)
  return limit?.isOver === true ? undefined : limit
}

/** The milliseconds that a fiber has left, from 0; infinite where there is no limit. */
export const millisLeft = (fiber: Fiber.Fiber<unknown, unknown>): number => {
  const expiresAt = fiber.getRef(Current)?.expiresAt ?? Infinity
  return expiresAt === Infinity ? Infinity : Math.max(0, expiresAt - monotonicMillis(fiber.getRef(Clock.Clock)))
}

/** Runs `self` in a fiber of its own, so that what it forks as children ends with it. */
export const inOwnFiber = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => Effect.raceAllFirst([self])

/**
 * Runs `self` for at most `millis`, or until the limit it is already under where
 * that is sooner; then interrupts it and fails with `exceeded`.
 *
 * Invariants: `Current` is always the soonest of all enclosing limits, so that
 * whoever strikes marks the record that the work inside can see; on a tie the
 * own limit is the one that struck; the work has a fiber of its own, so that
 * what it forked as children ends with it.
 */
export const limitTime = <A, E, R, PE>(
  self: Effect.Effect<A, E, R>,
  own: { readonly millis: number; readonly timeout: TimeLimit["timeout"] },
  exceeded: (limit: TimeLimit) => PE
): Effect.Effect<A, E | PE, R> =>
  Effect.withFiber<A, E | PE, R>((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const now = monotonicMillis(clock)
    const outer = standing(fiber)
    const inherits = outer !== undefined && outer.expiresAt < now + own.millis
    const limit = inherits
      ? outer
      : { expiresAt: now + own.millis, timeout: own.timeout, hasStruck: false, isOver: false }
    const strike = Effect.suspend(() => {
      limit.hasStruck = true
      if (!inherits) limit.isOver = true
      return Effect.fail(exceeded(limit))
    })
    if (limit.expiresAt <= now) return strike
    const work = inherits ? self : Effect.provideService(self, Current, limit)
    // an infinite limit needs no timer, but still shows the work that nothing sooner stands above it
    if (limit.expiresAt === Infinity) return inOwnFiber(work)
    return Effect.raceFirst(work, Effect.andThen(sleepUntil(clock, limit.expiresAt), strike))
  })
