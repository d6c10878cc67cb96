/** Whether the work of a call may still be repeated: what `Retry`, `Hedge` and `Replay.commit` share. */
import * as Context from "effect/Context"

/** One claimant: a retried call, or one of several attempts that run beside each other. */
export interface Replay {
  /** The one that it runs within. */
  readonly outer: Replay | undefined
  /** Makes it the one whose work must not be repeated; `false` where another attempt beside it has been faster. */
  readonly claim: () => boolean
}

export const Current = Context.Reference<Replay | undefined>("effect-resilience/Replay/Current", {
  defaultValue: () => undefined
})
