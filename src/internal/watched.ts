/** What is remembered of an attempt only while somebody wants to know how attempts end. */
import type * as Fiber from "effect/Fiber"
import type * as Outcome from "../Outcome.ts"
import { Attempt } from "./attempt.ts"
import type { Listeners } from "./listeners.ts"
import { monotonicMillis } from "./time.ts"
import type { TimeLimit } from "./timeLimit.ts"

/** An attempt that somebody listens to. */
export interface Watched<A, E> {
  readonly attempt: Attempt<A, E>
  /** In monotonic milliseconds. */
  readonly startedAt: number
}

/** An attempt of that fiber's call begins. */
export const watch = <A, E>(
  listeners: Listeners,
  fiber: Fiber.Fiber<unknown, unknown>,
  judged: Outcome.AttemptOptions<A, E>,
  due: number,
  limit?: TimeLimit | undefined
): Watched<A, E> | undefined => {
  if (!listeners.attempts) return undefined
  const attempt = new Attempt(fiber, judged, due, limit)
  const startedAt = monotonicMillis(attempt.clock)
  attempt.begin(startedAt)
  return { attempt, startedAt }
}
