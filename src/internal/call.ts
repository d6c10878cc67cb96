/** The call of a pipeline that is running, for events: only set where somebody listens to what happens in calls. */
import * as Context from "effect/Context"

/** What the events of one call share. */
export interface Running {
  readonly id: number
  /** Whether somebody wants to know how it ends. */
  readonly isWatched: boolean
  /** How many attempts have ended. */
  attempts: number
}

/** Of a call that began while nobody listened. */
export const unheard: Running = { id: 0, isWatched: false, attempts: 0 }

export const Current = Context.Reference<Running>("effect-resilience/Resilience/CurrentCall", {
  defaultValue: () => unheard
})

/** On whose behalf it is made. */
export const CurrentRequestId = Context.Reference<string | undefined>("effect-resilience/Resilience/CurrentRequestId", {
  defaultValue: () => undefined
})
