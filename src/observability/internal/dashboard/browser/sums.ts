/** What all services come to, and what the title and a screen reader say of it. */
import { byId, make, mark, write } from "./elements.ts"
import { services } from "./known.ts"
import { lookOf, percent, rate } from "./words.ts"

interface Totals {
  bad: number
  warn: number
  hand: number
  good: number
  none: number
  calls: number
  refused: number
  /** Calls a second that succeed, and calls a second of services of which that is known. */
  succeeded: number
  judged: number
}

interface Sum {
  readonly label: string
  readonly text: (totals: Totals) => string
  readonly tone?: (totals: Totals) => "" | "bad" | "warn" | "hand"
}

const sums = ([
  { label: "Services", text: () => String(services.size) },
  { label: "Open", text: ({ bad }) => String(bad), tone: ({ bad }) => bad > 0 ? "bad" : "" },
  { label: "Half-open", text: ({ warn }) => String(warn), tone: ({ warn }) => warn > 0 ? "warn" : "" },
  { label: "By hand", text: ({ hand }) => String(hand), tone: ({ hand }) => hand > 0 ? "hand" : "" },
  { label: "Requests/s", text: ({ calls }) => rate(calls) },
  { label: "Refused/s", text: ({ refused }) => rate(refused), tone: ({ refused }) => refused > 0.05 ? "bad" : "" },
  {
    label: "Success",
    text: ({ judged, succeeded }) => percent(judged === 0 ? undefined : succeeded / judged),
    tone: ({ judged, succeeded }) => judged > 0 && succeeded / judged < 0.99 ? "bad" : ""
  }
] satisfies ReadonlyArray<Sum>).map((sum: Sum) => {
  const value = make("dd")
  const box = make("div", "", make("dt", "", sum.label), value)
  byId("sums").append(box)
  return { ...sum, box, value }
})

const heading = document.title
let said = ""

export const drawSums = (isLive: boolean): void => {
  const totals: Totals = {
    bad: 0,
    warn: 0,
    hand: 0,
    good: 0,
    none: 0,
    calls: 0,
    refused: 0,
    succeeded: 0,
    judged: 0
  }
  for (const { known, rates: { calls = 0, refused = 0, success } } of services.values()) {
    totals[lookOf(known).tone]++
    totals.calls += calls
    totals.refused += refused
    if (success === undefined) continue
    totals.succeeded += success * calls
    totals.judged += calls
  }
  for (const { box, text, tone, value } of sums) {
    write(value, text(totals))
    if (tone !== undefined) mark(box, "on", tone(totals))
  }
  const { bad, hand, warn } = totals
  said = `${bad} open, ${warn} half-open, ${hand} held by hand, of ${services.size} services`
  const title = `${isLive ? bad > 0 ? `(${bad}) ` : "" : "(not live) "}${heading}`
  if (document.title !== title) document.title = title
}

// not more often than one can listen
setInterval(() => {
  if (services.size > 0) write(byId("said"), said)
}, 4_000)
