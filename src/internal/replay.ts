/** Whether the work of a call may still be repeated: what `Retry`, `Hedge` and `Replay.commit` share. */
import * as Context from "effect/Context"
import type { RetryBudget } from "../RetryBudget.ts"

/** One claimant: a retried call, or one of several attempts that run beside each other. */
export interface Replay {
  /** The one that it runs within. */
  readonly outer: Replay | undefined
  /** Makes it the one whose work must not be repeated; `false` where another attempt beside it has been faster. */
  readonly claim: () => boolean
  /** The budget that has counted this attempt, until a policy further in takes that for its own. */
  countedIn: RetryBudget | undefined
}

export const Current = Context.Reference<Replay | undefined>("effect-resilience/Replay/Current", {
  defaultValue: () => undefined
})

/** Counts a call in its budget, once for all policies around it that spend from the same. */
export const count = (budget: RetryBudget, outer: Replay | undefined, now: number): void => {
  if (outer?.countedIn === budget) outer.countedIn = undefined
  else budget.depositAt(now)
}
