/** The changes of breakers as events. */
import type { Listener } from "./breakerCell.ts"
import { reasonOf } from "./exit.ts"
import type { Listeners } from "./listeners.ts"

/** Tells those who listen of the changes of a breaker of that name. */
export const breakerEvents = (listeners: Listeners, pipeline: string): Listener => (transition, by) => {
  const common = (at: number) => ({ at, pipeline, ...(transition.key === undefined ? {} : { key: transition.key }) })
  switch (transition.to) {
    case "Open": {
      const { because, exit, from, openFor } = transition
      const reason = exit?._tag === "Failure" ? { reason: reasonOf(exit) } : {}
      return listeners.tell(
        "CircuitOpened",
        (at) => ({ _tag: "CircuitOpened", ...common(at), from, openFor, because, ...reason }),
        by
      )
    }
    case "HalfOpen":
      return listeners.tell("CircuitHalfOpened", (at) => ({ _tag: "CircuitHalfOpened", ...common(at) }), by)
    case "Closed":
      return listeners.tell("CircuitClosed", (at) => ({ _tag: "CircuitClosed", ...common(at) }), by)
    case "Forced": {
      const { mode } = transition
      return listeners.tell("CircuitForced", (at) => ({ _tag: "CircuitForced", ...common(at), mode }), by)
    }
    case "Released": {
      const { state } = transition
      return listeners.tell("CircuitReleased", (at) => ({ _tag: "CircuitReleased", ...common(at), state }), by)
    }
    case "Reset":
      return listeners.tell("CircuitReset", (at) => ({ _tag: "CircuitReset", ...common(at) }), by)
    case "Restored": {
      const { state } = transition
      return listeners.tell("CircuitRestored", (at) => ({ _tag: "CircuitRestored", ...common(at), state }), by)
    }
    case "ThresholdPassed":
      return listeners.tell("CircuitThresholdPassed", (at) => ({ _tag: "CircuitThresholdPassed", ...common(at) }), by)
  }
}
