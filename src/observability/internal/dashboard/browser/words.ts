/** States, numbers and times as a reader sees them. */
import type * as Status from "../../../Status.ts"
import { ours, serverNow, type Service } from "./known.ts"

export type Tone = "good" | "warn" | "bad" | "hand" | "none"

export interface Look {
  readonly tone: Tone
  readonly glyph: string
  readonly word: string
}

const looks = {
  Closed: { tone: "good", glyph: "✓", word: "Closed" },
  HalfOpen: { tone: "warn", glyph: "◐", word: "Half-open" },
  Open: { tone: "bad", glyph: "✕", word: "Open" },
  Forced: { tone: "hand", glyph: "■", word: "Held by hand" },
  forcedOpen: { tone: "bad", glyph: "■", word: "Forced open" },
  disabled: { tone: "hand", glyph: "■", word: "Disabled" },
  forcedClosed: { tone: "hand", glyph: "■", word: "Forced closed" },
  metricsOnly: { tone: "hand", glyph: "■", word: "Counts only" },
  none: { tone: "none", glyph: "–", word: "No breaker" }
} as const satisfies { readonly [State in string]: Look }

export const lookOf = ({ mode, state }: Pick<Status.ServiceState, "mode" | "state">): Look =>
  state === null ? looks.none : looks[state === "Forced" ? mode ?? state : state]

/** What calls meet, the worse the higher. */
export const ranks = { bad: 4, warn: 3, hand: 2, good: 1, none: 0 } as const satisfies { readonly [_ in Tone]: number }

export const stateWords = {
  Closed: "closed",
  HalfOpen: "half-open",
  Open: "open",
  Forced: "held by hand"
} as const satisfies { readonly [_ in Status.State]: string }

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 })

export const number = (value: number | null | undefined): string => {
  if (value === null || value === undefined) return "–"
  if (Math.abs(value) >= 10_000) return compact.format(value)
  if (value >= 100 || Number.isInteger(value)) return String(Math.round(value))
  return value >= 10 ? value.toFixed(1) : value.toPrecision(2)
}

export const rate = (value: number | undefined): string =>
  value === undefined ? "–" : value < 100 ? String(Math.round(value * 10) / 10) : number(value)

/** Rounded down: what is not all is never shown as all. */
export const percent = (value: number | undefined): string =>
  value === undefined ? "–" : value === 1 ? "100%" : `${(Math.floor(value * 1000) / 10).toFixed(1)}%`

/** A time of the server, as the reader's clock says it. */
export const clock = (at: number): string => new Date(ours(at)).toLocaleTimeString()

export const span = (length: number): string => {
  const seconds = Math.max(0, Math.round(length / 1000))
  if (length < 1000) return `${Math.max(0, Math.round(length))} ms`
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds % 86_400 / 3600)} h`
}

/** How long ago, at least a second: to the tenth nobody looks. */
export const ago = (at: number): string => span(Math.max(1000, serverNow() - at))

/** What stands below a service in trouble, or just out of it. */
export interface Story {
  /** Since when, and whether it is recovering. */
  readonly when: string
  /** What its callers get. */
  readonly users: string
  readonly cause: string
}

/** So long after it has closed again, a service is told to have recovered, in milliseconds. */
const recent = 300_000
/** One that has opened so often, in so many milliseconds, is told to open again and again. */
const often = 3
const oftenIn = 600_000

/** The changes at which it opened from closed: not those after a probe that failed. */
const openingsOf = ({ timeline }: Status.ServiceState) =>
  timeline.filter(({ state }, n) => state === "Open" && timeline[n - 1]?.state !== "HalfOpen")

const nowOf = ({ nextProbe, openSince, state, timeline }: Status.ServiceState): string => {
  const last = timeline.at(-1)
  if (state === "Forced") return last?.state === "Forced" ? `by hand since ${clock(last.at)} (${ago(last.at)})` : ""
  if (openSince === null) return ""
  const since = `since ${clock(openSince)} (${ago(openSince)})`
  if (state === "HalfOpen") return `${since}, a probe tries whether it has recovered`
  if (nextProbe === null) return since
  const left = nextProbe - serverNow()
  return `${since}, ${left > 0 ? `probe in ${span(Math.max(1000, left))}` : "the next call is a probe"}`
}

const whenOf = (known: Status.ServiceState): string => {
  const openings = openingsOf(known)
  const opened = openings.at(-1)
  const closed = known.timeline.at(-1)
  const parts: Array<string> = []
  if (known.state !== "Closed") parts.push(nowOf(known))
  else if (closed?.state === "Closed" && opened !== undefined && serverNow() - closed.at < recent) {
    parts.push(`recovered at ${clock(closed.at)}, after ${span(Math.max(1000, closed.at - opened.at))}`)
  }
  const lately = openings.filter(({ at }) => serverNow() - at < oftenIn).length
  if (lately >= often) parts.push(`opened ${lately} times in 10 min`)
  return parts.filter((part) => part !== "").join(", ")
}

const usersOf = ({ known, rates: { calls, fellBack = 0, refused = 0, successNow = 1 } }: Service): string => {
  if (successNow >= 0.99 && refused < 0.05) return calls === 0 && known.state === "Open" ? "nobody calls it now" : ""
  const parts: Array<string> = []
  if (successNow < 0.99) parts.push(`${Math.ceil((1 - successNow) * 100)}% of calls fail`)
  if (refused >= 0.05) parts.push(`${rate(refused)}/s refused`)
  // where there is none, the caller may have one of its own: nothing is said of it
  if (fellBack >= 0.05) parts.push(`${rate(fellBack)}/s answered by a fallback`)
  return parts.join(", ")
}

export const storyOf = (service: Service): Story => {
  const { known } = service
  const when = whenOf(known)
  const users = usersOf(service)
  const isTold = users !== "" || (known.state !== "Closed" && when !== "")
  return { when, users, cause: isTold && known.lastError !== null ? known.lastError.kind : "" }
}
