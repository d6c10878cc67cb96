/**
 * Asking what may throw, which must not change a call's result: functions of the
 * user's, and errors, which may be anything, even a proxy that must not be asked.
 */
import * as Effect from "effect/Effect"

/** What `f` answers with; `undefined` where it throws. */
export const guarded = <A>(f: () => A): A | undefined => {
  try {
    return f()
  } catch {
    return undefined
  }
}

/** Runs what `f` answers with. Where that is no effect, which plain JavaScript may give, it dies as a call should. */
export const running = <A, E, R>(f: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const effect = f()
    return Effect.isEffect(effect) ? effect : Effect.die(new TypeError("a function has answered with no effect"))
  })

/** Whether a predicate holds. One that throws has said no. */
export const holds = <A>(predicate: (a: A) => boolean, a: A): boolean => guarded(() => predicate(a)) === true
