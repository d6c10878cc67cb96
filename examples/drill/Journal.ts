/** What is written down while a drill runs, and the time that it is written down in. */
import { type Clock, Effect } from "effect"
import type { Notice } from "./Messages.ts"
import type { Attempt, BreakerChange, Busy, Call, DeadService, Gateway, Recording } from "./Recording.ts"

/** A drill while it runs: what those who watch it, like the live view, may look at whenever they like. */
export interface Progress {
  /** What has been written down until now. Its arrays grow at their ends, nothing in them changes. */
  readonly recording: Recording
  /** Milliseconds since the start of the traffic; negative before it. */
  readonly now: () => number
}

export interface Journal extends Progress {
  /** The time starts, and so do the entries: what reaches the journal before is not written down. */
  readonly start: () => void
  /** The drill does not come to its end. */
  readonly interrupt: () => void
  readonly call: (call: Call) => void
  readonly dead: (measured: DeadService) => void
  readonly busy: (busy: Busy) => void
  readonly notice: (gateway: Gateway, notice: Notice) => void
}

/** The part of a recording that is known before the drill. */
export type Heading = Pick<Recording, "scenario" | "seconds" | "rate" | "seed" | "factor" | "deadlines" | "phases">

/** An empty journal. Its time has not started. */
export const make = (heading: Heading): Effect.Effect<Journal> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const calls: Array<Call> = []
      const attempts: Array<Attempt> = []
      const changes: Array<BreakerChange> = []
      const deadService: Array<DeadService> = []
      const busy: Array<Busy> = []
      const recording = { ...heading, calls, attempts, changes, deadService, busy, interrupted: false }
      let started: { readonly wall: number; readonly monotonic: number } | undefined

      /** Adds what happened since the start. The children tell the time by the wall clock. */
      const add = <A extends { readonly at: number }>(
        to: Array<A & { readonly gateway: Gateway }>,
        gateway: Gateway,
        entries: ReadonlyArray<A>
      ) => {
        if (started === undefined) return
        for (const entry of entries) {
          const at = entry.at - started.wall
          if (at >= 0) to.push({ ...entry, gateway, at })
        }
      }

      return {
        recording,
        interrupt: () => {
          recording.interrupted = true
        },
        now: () => started === undefined ? Number.NEGATIVE_INFINITY : millis(clock) - started.monotonic,
        start: () => {
          started = { wall: clock.currentTimeMillisUnsafe(), monotonic: millis(clock) }
        },
        call: (call) => calls.push(call),
        dead: (measured) => deadService.push(measured),
        busy: (process) => busy.push(process),
        notice: (gateway, notice) => {
          switch (notice._tag) {
            case "Attempts":
              return add(attempts, gateway, notice.attempts)
            case "Changes":
              return add(changes, gateway, notice.changes)
          }
        }
      }
    })
  )

const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
