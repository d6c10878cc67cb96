/** A clock that is moved by hand. Nobody sleeps by it. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface DrivenClock extends Clock.Clock {
  readonly advance: (millis: number) => void
}

export const drivenClock = (): DrivenClock => {
  let millis = 1e9
  const nanos = () => BigInt(Math.round(millis * 1e6))
  return {
    advance: (by) => {
      millis += by
    },
    currentTimeMillisUnsafe: () => millis,
    currentTimeMillis: Effect.sync(() => millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: () => Effect.never
  }
}
