/**
 * Tells what happens, a line each, in the words of somebody who watches.
 *
 * It is a twentieth of a second late, on purpose: what comes from the events and
 * what comes from the calls is put in the order of time, and an opening is told
 * together with the error that caused it.
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
// what an attempt causes comes to light within moments of it, in the same turn of the event loop
const together = 10

export const make = (journal: Journal, protection: Protection, write: (line: Line) => void): Narrator => {
  let next = 0
  let held: ReadonlyArray<Entry> = []
  let refused = 0

  const flushRefused = (at: number) => {
    if (refused > 0) write({ at, subject: "refused", text: `${plural(refused, "call")} at once`, tone: "dim" })
    refused = 0
  }

  const tell = (entry: Entry, failures: ReadonlyArray<Failure>) => {
    if (entry._tag === "Event" && entry.event._tag === "Refused") {
      refused++
      return
    }
    const line = entry._tag === "Event" && entry.event._tag === "CircuitOpened"
      ? opened(entry.at, entry.event, causeOf(entry.at, failures), protection)
      : lineOf(entry)
    if (line === undefined) return
    // refusals are told together, up to the next change of the server or the breaker
    if (line.subject === "server" || line.subject === "breaker") flushRefused(entry.at)
    write(line)
  }

  const tellUntil = (now: number) => {
    held = [...held, ...journal.entries.slice(next)].toSorted((a, b) => a.at - b.at)
    next = journal.entries.length
    const failures = held.flatMap(failureOf)
    const due = held.filter(({ at }) => at <= now)
    held = held.slice(due.length)
    for (const entry of due) tell(entry, failures)
  }

  return {
    follow: Effect.sync(() => tellUntil(journal.now() - late)).pipe(Effect.andThen(Effect.sleep(late)), Effect.forever),
    finish: Effect.sync(() => {
      tellUntil(Number.POSITIVE_INFINITY)
      flushRefused(journal.now())
    })
  }
}

const lineOf = (entry: Entry): Line | undefined => {
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
      return lineOfEvent(at, entry.event)
  }
}

const lineOfEvent = (at: number, event: ResilienceEvent.ResilienceEvent): Line | undefined => {
  switch (event._tag) {
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
  { from, openFor }: Extract<ResilienceEvent.ResilienceEvent, { readonly _tag: "CircuitOpened" }>,
  cause: string | undefined,
  { circuitBreaker: { open, trip } }: Protection
): Line => {
  const millis = Duration.toMillis(openFor)
  const asked = millis > open + 1 ? ", as the service asked" : ""
  const why = from === "Closed" ? `after ${trip.failures} failures in a row` : "that call failed"
  const last = cause === undefined ? "" : from === "Closed" ? `, the last: ${cause}` : `: ${cause}`
  const text = `${from === "Closed" ? "open" : "open again"} for ${time(millis)}${asked}; ${why}${last}`
  return { at, subject: "breaker", text, tone: "bad" }
}

interface Failure {
  readonly at: number
  readonly reason: string
}

const failureOf = (entry: Entry): ReadonlyArray<Failure> => {
  const { at } = entry
  if (entry._tag === "Call" && entry.call.result._tag === "Failed" && entry.call.result.kind !== "CircuitOpen") {
    return [{ at, reason: reason(entry.call.result.error) }]
  }
  return entry._tag === "Event" && entry.event._tag === "Retrying" ? [{ at, reason: reason(entry.event.reason) }] : []
}

/** The opening itself does not say which error it was; the failure next to it in time does. */
const causeOf = (at: number, failures: ReadonlyArray<Failure>): string | undefined => {
  const distance = (failure: Failure) => Math.abs(failure.at - at)
  const [nearest] = failures.toSorted((a, b) => distance(a) - distance(b))
  return nearest !== undefined && distance(nearest) <= together ? nearest.reason : undefined
}
