/**
 * Tells what happens, a line each, in the words of somebody who watches.
 *
 * It is a twentieth of a second late, on purpose: what comes from the events and
 * what comes from the calls is put in the order of time.
 */
import { Duration, Effect } from "effect"
import type { ResilienceEvent } from "effect-resilience"
import type { Entry, Journal } from "./Journal.ts"
import type { Line } from "./Output.ts"
import type { Protection } from "./Shop.ts"
import { plural, reason, time } from "./Words.ts"

export interface Narrator {
  /** Goes on until it is interrupted. */
  readonly follow: Effect.Effect<never>
  /** Tells what is left. */
  readonly finish: Effect.Effect<void>
}

const late = 50

export const make = (journal: Journal, protection: Protection, write: (line: Line) => void): Narrator => {
  let next = 0
  let held: ReadonlyArray<Entry> = []
  let refused = 0

  const flushRefused = (at: number) => {
    if (refused > 0) write({ at, subject: "refused", text: `${plural(refused, "call")} at once`, tone: "dim" })
    refused = 0
  }

  const tell = (entry: Entry) => {
    if (entry._tag === "Event" && entry.event._tag === "Refused") {
      refused++
      return
    }
    const line = lineOf(entry, protection)
    if (line === undefined) return
    // refusals are told together, up to the next change of the server or the breaker
    if (line.subject === "server" || line.subject === "breaker") flushRefused(entry.at)
    write(line)
  }

  const tellUntil = (now: number) => {
    held = [...held, ...journal.entries.slice(next)].toSorted((a, b) => a.at - b.at)
    next = journal.entries.length
    const due = held.filter(({ at }) => at <= now)
    held = held.slice(due.length)
    for (const entry of due) tell(entry)
  }

  return {
    follow: Effect.sync(() => tellUntil(journal.now() - late)).pipe(Effect.andThen(Effect.sleep(late)), Effect.forever),
    finish: Effect.sync(() => {
      tellUntil(Number.POSITIVE_INFINITY)
      flushRefused(journal.now())
    })
  }
}

const lineOf = (entry: Entry, protection: Protection): Line | undefined => {
  const { at } = entry
  switch (entry._tag) {
    case "Phase":
      return { at, subject: "server", text: entry.phase.says, tone: entry.phase.fault === undefined ? "good" : "bad" }
    case "Call": {
      const { attempts, operation, result } = entry.call
      // answers are counted, not told; a call that was refused has been told by its event
      if (result._tag === "Answered") {
        return result.isRight
          ? undefined
          : { at, subject: "WRONG", text: `${operation} was given a wrong answer`, tone: "bad" }
      }
      if (result.kind === "CircuitOpen") return undefined
      const tries = attempts > 1 ? ` after ${plural(attempts, "attempt")}` : ", and is not repeated"
      return { at, subject: "failed", text: `${operation}: ${reason(result.error)}${tries}`, tone: "plain" }
    }
    case "Event":
      return lineOfEvent(at, entry.event, protection)
  }
}

const lineOfEvent = (
  at: number,
  event: ResilienceEvent.ResilienceEvent,
  protection: Protection
): Line | undefined => {
  switch (event._tag) {
    case "CircuitOpened":
      return opened(at, event, protection)
    case "Retrying": {
      const { attempt, attempts, delay, operation } = event
      const text = `${operation}: ${reason(event.reason)}; attempt ${attempt + 1} of ${attempts} in ${
        time(Duration.toMillis(delay))
      }`
      return { at, subject: "retry", text, tone: "plain" }
    }
    case "CircuitHalfOpened":
      return { at, subject: "breaker", text: "half-open: one call may try", tone: "warn" }
    case "CircuitClosed":
      return { at, subject: "breaker", text: "closed again: that call was answered", tone: "good" }
    default:
      // what a call ends with is told when it has ended
      return undefined
  }
}

const opened = (
  at: number,
  { from, openFor, reason: error }: Extract<ResilienceEvent.ResilienceEvent, { readonly _tag: "CircuitOpened" }>,
  { circuitBreaker: { open, trip } }: Protection
): Line => {
  const millis = Duration.toMillis(openFor)
  const asked = millis > open + 1 ? ", as the service asked" : ""
  const why = from === "Closed" ? `after ${trip.failures} failures in a row, the last: ` : "that call failed: "
  const text = `${from === "Closed" ? "open" : "open again"} for ${time(millis)}${asked}; ${why}${reason(error)}`
  return { at, subject: "breaker", text, tone: "bad" }
}
