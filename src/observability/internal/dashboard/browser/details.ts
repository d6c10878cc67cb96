/** What is shown below the row of a service that somebody has opened. */
import { breakerWords, makeControl } from "./control.ts"
import { make, write } from "./elements.ts"
import { serverNow, type Service } from "./known.ts"
import { addPlots, type Plots } from "./plots.ts"
import type { View } from "./rows.ts"
import { drawStrip, getPast, makeStrip, pastWords } from "./strip.ts"
import { ago, clock, lookOf, number, span, stateWords } from "./words.ts"

export interface Details {
  readonly panel: HTMLElement
  readonly facts: ReadonlyArray<HTMLElement>
  readonly strip: HTMLElement
  readonly begin: HTMLElement
  readonly log: HTMLElement
  readonly breakers: HTMLElement
  readonly breakerList: HTMLElement
  readonly plots: Plots
  /** What the lists were made from. */
  changesShown: string
  breakersShown: string
}

type Fact = readonly [label: string, text: (known: Service["known"]) => string]

const counted = (label: string, counter: keyof NonNullable<Service["known"]["counts"]>): Fact => [
  label,
  ({ counts }) => counts === null ? "–" : counts[counter].toLocaleString()
]

const probeOf = (nextProbe: number): string =>
  nextProbe <= serverNow()
    ? "with the next call"
    : `${clock(nextProbe)} (in ${span(Math.max(1000, nextProbe - serverNow()))})`

const facts: ReadonlyArray<Fact> = [
  ["Open since", ({ openSince }) => openSince === null ? "–" : `${clock(openSince)} (${ago(openSince)})`],
  ["Next probe", ({ nextProbe }) => nextProbe === null ? "–" : probeOf(nextProbe)],
  ["Openings", ({ recovery }) => String(recovery.openings)],
  ["Recoveries", ({ recovery }) => String(recovery.recoveries)],
  [
    "Mean time to recovery",
    ({ recovery: { meanTimeToRecovery } }) => meanTimeToRecovery === null ? "–" : span(meanTimeToRecovery)
  ],
  ["Last error", ({ lastError }) => lastError?.kind ?? "–"],
  ["Last error at", ({ lastError }) => lastError === null ? "–" : clock(lastError.at)],
  ["In flight, limit", ({ load }) => load === null ? "no limit" : `${load.inFlight} of ${load.limit ?? "any number"}`],
  ["Waiting", ({ load }) => load === null ? "–" : String(load.waiting)],
  counted("Calls", "calls"),
  counted("Refused", "refusedCalls"),
  counted("Retries", "retries"),
  counted("Timed out", "timedOut"),
  counted("Fallbacks", "fellBack"),
  counted("Cache hits", "cacheHits"),
  ["Retry budget left", ({ budgetLeft }) => budgetLeft === null ? "–" : number(Math.floor(budgetLeft))]
]

const tones = [["good", "closed"], ["warn", "half-open"], ["bad", "open"], ["hand", "held by hand"]] as const

export const drawDetails = ({ known }: Service, details: Details): void => {
  facts.forEach(([, text], n) => {
    const value = details.facts[n]
    if (value !== undefined) write(value, text(known))
  })
  drawStrip(details.strip, known)
  write(details.begin, `${getPast() < 3_600_000 ? "" : "1 "}${pastWords()} ago`)
  const changes = known.timeline.slice(-12).toReversed()
  const told = JSON.stringify(changes)
  if (details.changesShown !== told) {
    details.changesShown = told
    details.log.replaceChildren(...changes.map(({ at, state }) => {
      const time = make("time", "", clock(at))
      time.dateTime = new Date(at).toISOString()
      return make("li", "", time, ` ${stateWords[state]}`)
    }))
    if (changes.length === 0) details.log.replaceChildren(make("li", "", "none that was seen"))
  }
  details.breakers.hidden = known.breakerCount < 2 && known.breakers[0]?.key === null
  const { length } = known.breakers
  const states = known.breakers.map((breaker) => [breakerWords(breaker), lookOf(breaker).word] as const)
  const shown = JSON.stringify([states, known.breakerCount])
  if (details.breakersShown !== shown) {
    details.breakersShown = shown
    // a name may turn the direction of writing: not of what stands beside it
    details.breakerList.replaceChildren(
      ...states.map(([name, word]) => make("li", "", make("bdi", "", name), `: ${word}`))
    )
    if (known.breakerCount > length) {
      details.breakerList.append(make("li", "", `and ${known.breakerCount - length} more`))
    }
  }
}

const open = (service: Service, { button, item }: View, api: string): Details => {
  const { name } = service.known
  const full = make("bdi", "full", name)
  // the row shows two lines of it
  full.hidden = name.length < 40 && !name.includes("\n")
  const values = facts.map(() => make("dd"))
  const pairs = facts.map(([label], n) => make("div", "", make("dt", "", label), values[n] ?? ""))
  const strip = makeStrip(make("span", "strip"))
  const begin = make("span")
  const log = make("ol", "log")
  const breakerList = make("ol", "log")
  const breakers = make("section", "", make("h2", "", "Breakers"), breakerList)
  const figures = make("div", "plots")
  const panel = make(
    "div",
    "more",
    full,
    make("dl", "facts", ...pairs),
    figures,
    make(
      "section",
      "bar",
      make("h2", "", "States"),
      strip,
      make("div", "ends", begin, make("span", "", "now")),
      make("ul", "key", ...tones.map(([tone, word]) => make("li", "", make("i", tone), word)))
    ),
    make("section", "", make("h2", "", "Last changes"), log),
    breakers
  )
  if (service.known.breakerCount > 0) panel.append(makeControl(service, `${api}/control`))
  panel.id = `${item.id}-more`
  button.setAttribute("aria-controls", panel.id)
  item.append(panel)
  button.ariaExpanded = "true"
  const plots = addPlots(service, figures)
  return {
    panel,
    facts: values,
    strip,
    begin,
    log,
    breakers,
    breakerList,
    plots,
    changesShown: "",
    breakersShown: ""
  }
}

/** Opens what is below a row, or closes it. */
export const toggle = (service: Service, view: View, api: string): void => {
  if (service.details === undefined) {
    service.details = open(service, view, api)
    drawDetails(service, service.details)
    return
  }
  service.details.plots.remove()
  service.details.panel.remove()
  service.details = undefined
  view.button.ariaExpanded = "false"
}
