/** The call of a pipeline that is running, for events: only set where somebody listens to what happens in calls. */
import * as Context from "effect/Context"

interface Call {
  readonly id: number
  /** How many attempts have ended. */
  attempts: number
}

export const Current = Context.Reference<Call | undefined>("effect-resilience/Resilience/CurrentCall", {
  defaultValue: () => undefined
})

/** On whose behalf it is made. */
export const CurrentRequestId = Context.Reference<string | undefined>("effect-resilience/Resilience/CurrentRequestId", {
  defaultValue: () => undefined
})
