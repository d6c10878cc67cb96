/** How long a circuit breaker stays open, in milliseconds. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { Settings } from "../CircuitBreaker.ts"
import * as Outcome from "../Outcome.ts"
import { answeredMillis } from "./options.ts"

export const defaultOpen = 30_000

/**
 * How long to stay open when `outcome` has opened a breaker, after so many
 * openings since it was last closed.
 */
export const openTime = (
  { maxRetryAfter, open }: Pick<Settings, "maxRetryAfter" | "open">,
  openings: number,
  outcome: Outcome.Outcome,
  context: Context.Context<never>
): number => {
  const own = typeof open === "number"
    ? open
    : typeof open === "function"
    // zero is no time to stay open
    ? answeredMillis(() => open(openings)) || defaultOpen
    : scheduledOpenTime(open, openings, context) ?? defaultOpen
  const asked = Outcome.retryAfter(outcome)
  return asked === undefined ? own : Math.max(own, Math.min(Duration.toMillis(asked), maxRetryAfter))
}

/**
 * The delay of a schedule's step number `openings`, from 0, or of its last step
 * before. The steps are replayed on a time of their own, in which every delay has
 * passed in full. `undefined` where there is none, or a step waits.
 */
export const scheduledOpenTime = (
  schedule: Schedule.Schedule<unknown>,
  openings: number,
  context: Context.Context<never> = Context.empty()
): number | undefined => {
  const replay = Effect.gen(function*() {
    const step = yield* Schedule.toStep(schedule)
    let now = 0
    let delay: number | undefined
    for (let opening = 0; opening <= openings; opening++) {
      const next = yield* Effect.exit(step(now, opening))
      if (Exit.isFailure(next)) break
      const millis = Duration.toMillis(next.value[1])
      if (!Number.isFinite(millis)) break
      delay = millis
      now += millis
    }
    return delay
  })
  const exit = Effect.runSyncExitWith(context)(replay)
  return Exit.isSuccess(exit) && exit.value !== undefined && exit.value > 0 ? exit.value : undefined
}
