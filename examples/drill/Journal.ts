/** What was seen, in one place and on one time: milliseconds since the start. */
import { type Clock, Effect } from "effect"
import type { ResilienceEvent } from "effect-resilience"
import type { Phase } from "./Scenario.ts"

/** One call, from the instant that it was due. */
export interface CallRecord {
  readonly operation: string
  /** When it had to start. Its latency counts from here, so that a late start is not forgotten. */
  readonly due: number
  /** When it did start. */
  readonly started: number
  readonly ended: number
  /** Requests that were sent for it. */
  readonly attempts: number
  readonly result:
    | { readonly _tag: "Answered"; readonly isRight: boolean }
    | { readonly _tag: "Failed"; readonly error: unknown; readonly kind: string }
}

export type Entry =
  | { readonly _tag: "Phase"; readonly at: number; readonly phase: Phase }
  | { readonly _tag: "Event"; readonly at: number; readonly event: ResilienceEvent.ResilienceEvent }
  | { readonly _tag: "Call"; readonly at: number; readonly call: CallRecord }

export interface Journal {
  readonly entries: ReadonlyArray<Entry>
  readonly now: () => number
  readonly phase: (phase: Phase) => void
  readonly event: (event: ResilienceEvent.ResilienceEvent) => void
  readonly call: (call: CallRecord) => void
}

/** An empty journal. Its time starts now. */
export const make: Effect.Effect<Journal> = Effect.clockWith((clock) =>
  Effect.sync(() => {
    const wall = clock.currentTimeMillisUnsafe()
    const monotonic = millis(clock)
    const entries: Array<Entry> = []
    const now = () => millis(clock) - monotonic
    return {
      entries,
      now,
      phase: (phase) => entries.push({ _tag: "Phase", at: now(), phase }),
      // events tell the time by the wall clock
      event: (event) => entries.push({ _tag: "Event", at: Math.max(0, event.at - wall), event }),
      call: (call) => entries.push({ _tag: "Call", at: call.ended, call })
    }
  })
)

const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
