/** The timeline of one service as a strip of colours. */
import type * as Status from "../../../Status.ts"
import { lookedFrom, serverNow } from "./known.ts"
import { span, stateWords } from "./words.ts"

/** How much of the past a strip shows, in milliseconds. */
let past = 60_000

export const setPast = (millis: number): void => {
  past = millis
}
export const getPast = (): number => past
export const pastWords = (): string => past < 3_600_000 ? `${past / 60_000} min` : "hour"

const colors = {
  Closed: "var(--strip-good)",
  HalfOpen: "var(--strip-warn)",
  Open: "var(--strip-bad)",
  Forced: "var(--strip-hand)"
} as const satisfies { readonly [_ in Status.State]: string }

/** From when to when, as shares of the strip. */
interface Piece {
  readonly state: Status.State
  readonly start: number
  readonly end: number
}

const piecesOf = ({ state, timeline }: Status.ServiceState, now: number): ReadonlyArray<Piece> => {
  const from = now - past
  const [first] = timeline
  // before its first change a breaker was closed
  const changes = first === undefined
    ? [{ at: 0, state }]
    : [{ at: 0, state: first.state === "Closed" ? null : "Closed" as const }, ...timeline]
  return changes.flatMap((change, n) => {
    const start = Math.max(from, lookedFrom(), change.at)
    const end = Math.min(now, changes[n + 1]?.at ?? now)
    return end > start && change.state !== null
      ? [{ state: change.state, start: (start - from) / past, end: (end - from) / past }]
      : []
  })
}

const toPercent = (share: number): string => `${(share * 100).toFixed(2)}%`

const drawn = new WeakMap<Element, string>()

export const drawStrip = (strip: HTMLElement, known: Status.ServiceState): void => {
  if (known.state === null) return
  const pieces = piecesOf(known, serverNow())
  // what was open for a moment is to be seen all the same: it begins earlier, in place of what was before
  const begins = pieces.map(({ end, start, state }) =>
    state === "Open" ? Math.max(0, Math.min(start, end - 0.006)) : start
  )
  const stops = pieces.map(({ end, state }, n) =>
    `${colors[state]} ${toPercent(begins[n] ?? 0)} ${toPercent(Math.min(end, begins[n + 1] ?? end))}`
  )
  const [begin = 0] = begins
  const unseen = begin > 0.001 ? [`var(--strip-none) 0 ${toPercent(begin)}`] : []
  const gradient = [...unseen, ...stops].join(", ")
  if (drawn.get(strip) !== gradient) {
    drawn.set(strip, gradient)
    strip.style.backgroundImage = gradient === "" ? "none" : `linear-gradient(to right, ${gradient})`
  }
  const lengths = new Map<Status.State, number>()
  for (const { end, start, state } of pieces) lengths.set(state, (lengths.get(state) ?? 0) + (end - start) * past)
  const told = [...lengths].map(([state, length]) => {
    if (length > past - 1000) return stateWords[state]
    return `${stateWords[state]} for ${length >= 60_000 ? `${Math.round(length / 60_000)} min` : span(length)}`
  })
  const label = `the last ${pastWords()}: ${told.join(", ")}`
  if (strip.ariaLabel !== label) strip.ariaLabel = label
}

export const makeStrip = (strip: HTMLElement): HTMLElement => {
  strip.setAttribute("role", "img")
  return strip
}
