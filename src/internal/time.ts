/**
 * Elapsed time in milliseconds, read from the monotonic clock: setting the wall
 * clock neither lengthens nor shortens anything.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Monotonic milliseconds, with fractions. Only differences of two readings mean anything. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

// A remainder below this is rounding, not time: sleeping it could go on for ever on a clock of whole nanoseconds.
const resolution = 0.001

/** Whether the time has come. */
export const isDue = (at: number, now: number): boolean => at - now < resolution

/** What is left, in whole milliseconds, rounded up: who comes back then is not refused again. */
export const remaining = (until: number, now: number): Duration.Duration =>
  Duration.millis(Math.ceil(Math.max(0, until - now)))

/**
 * Sleeps until the monotonic clock reads `at`. Real timers wake up to a
 * millisecond early, so the clock is read again and a shortfall is slept.
 */
export const sleepUntil = (clock: Clock.Clock, at: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const now = monotonicMillis(clock)
    return isDue(at, now)
      ? Effect.void
      : Effect.flatMap(clock.sleep(Duration.millis(at - now)), () => sleepUntil(clock, at))
  })
