/** The call of a pipeline that is running, for events: only set where somebody listens. */
import * as Context from "effect/Context"

interface Call {
  readonly id: number
  /** How many attempts have ended. */
  attempts: number
}

export const Current = Context.Reference<Call | undefined>("effect-resilience/Resilience/CurrentCall", {
  defaultValue: () => undefined
})
