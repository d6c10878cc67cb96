/**
 * The end of a drill in words: what there is to say first, a column for each gateway, the two rows about a dead
 * service, and the verdict. The figures are rows of text here, for the terminal and for the page alike.
 */
import type { Calls, Wait } from "./Measures.ts"
import { gatewayNames, serviceNames, shortFaultNames } from "./Names.ts"
import type { Tone } from "./Output.ts"
import { type Gateway, gateways, operations, type Recording, services } from "./Recording.ts"
import { type Figures, headline, type Spread, type Summary } from "./Summary.ts"
import { mostRefusalDelay } from "./Verdict.ts"
import { percent, time } from "./Words.ts"

export interface Row {
  readonly name: string
  /** Whether it is a part of the row above it. */
  readonly isPart: boolean
  readonly texts: Readonly<Record<Gateway, string>>
}

/** The three gateways, figure by figure. */
export const rows = (summary: Summary): ReadonlyArray<Row> => {
  const row = (name: string, text: (figures: Figures, gateway: Gateway) => string, isPart = false): Row => ({
    name,
    isPart,
    texts: {
      plain: text(summary.gateways.plain, "plain"),
      retries: text(summary.gateways.retries, "retries"),
      resilient: text(summary.gateways.resilient, "resilient")
    }
  })
  const part = (name: string, text: (figures: Figures, gateway: Gateway) => string) => row(name, text, true)
  const isDown = services.filter((service) => summary.outages.some(({ phase }) => phase.service === service))
  return [
    row("answered while down", ({ hit }) => share(hit)),
    row("answered overall", ({ calls }) => share(calls)),
    ...operations.map((operation) => part(operation, ({ operations }) => share(operations[operation]))),
    part(
      "charge, or told why not",
      ({ operations: { charge } }) => percent(charge.answered + charge.refused, charge.made)
    ),
    part("refused while well", ({ calls, hit }) => String(calls.refused - hit.refused)),
    row("callers waited, p50", ({ waits }) => waited(waits.p50)),
    part("p95", ({ waits }) => waited(waits.p95)),
    part("p99", ({ waits }) => waited(waits.p99)),
    row("requests while down", ({ load }) => String(load)),
    ...isDown.map((service) => part(serviceNames[service], ({ loads }) => String(loads[service]))),
    row("wasted requests", ({ requests, wasted }) => `${wasted} of ${requests}`),
    row("time to detect (worst)", ({ detected }) => spread(detected)),
    part("outages", ({ detected }) => `${detected.seen} of ${summary.outages.length}`),
    row("time to recover (worst)", ({ recovered }) => spread(recovered)),
    part("outages", ({ recovered }) => `${recovered.seen} of ${summary.outages.length}`)
  ]
}

const share = ({ answered, made }: Calls): string => percent(answered, made)

const waited = (wait: Wait | undefined): string =>
  wait === undefined ? "none" : `${wait.inVain ? "over " : ""}${time(wait.millis)}`

/** The middle one, and the worst. */
const spread = ({ median, worst }: Spread): string =>
  median === undefined || worst === undefined ? "never" : `${time(median)} (${time(worst)})`

/** What the words of the rows mean. */
export const notes: ReadonlyArray<string> = [
  "Down: while the service that an operation stands or falls with had a fault. Answered: a good answer within the " +
  "operation's deadline, from the service or from a fallback.",
  "Charges have no fallback, on purpose: while the breaker of billing is open they are refused, at once and with the " +
  "reason. Refused while well: between the end of an outage and the breaker's next try.",
  "Waits count from the instant at which a call was due, until an answer, an error, or the caller gave up.",
  "Detect: until the breaker was open. Recover: from the end of the fault until a request succeeded, and the breaker " +
  "was closed; an open one finds out only at its next try. The middle and the worst of the outages in which that was " +
  "seen. No breaker opens at 429: that service is well and asks for less.",
  "Wasted: requests that came to nothing.",
  "A dead service: first when it has just died, later when breakers have had the time to open. Waits are multiplied by " +
  "the factor, and so is what the machine itself takes, which was never divided: 7 s of retries read as a little more."
]

export interface DeadRow {
  readonly name: string
  readonly first: string
  readonly later: string
}

/** Before and after: what one caller of a dead service gets, in the times before they were divided. */
export const deadRows = ({ deadService }: Pick<Summary, "deadService">, factor: number): ReadonlyArray<DeadRow> =>
  (["hang", "refuse"] as const).flatMap((fault) =>
    (["retries", "resilient"] as const).flatMap((gateway) =>
      deadService.filter((row) => row.gateway === gateway && row.fault === fault).map(
        ({ answeredBy, first, later }) => {
          // what takes no time is our own work, which was never divided
          const waited = (millis: number) =>
            `${answeredBy} ${millis <= mostRefusalDelay ? "at once" : `after ${time(millis * factor)}`}`
          return {
            name: `${shortFaultNames[fault]}: ${gatewayNames[gateway]}`,
            first: waited(first),
            later: waited(later)
          }
        }
      )
    )
  )

export const deadTitle = "A dead service behind a timeout of 30 s, before and after"

/** By what the application's times are divided. */
export const factorText = (factor: number): string => String(Number(factor.toFixed(2)))

export const verdictText = ({ targets, tooBusy, verdict }: Summary): string => {
  const missed = targets.filter(({ held }) => !held).length
  switch (verdict) {
    case "passed":
      return `Passed: effect-resilience kept all of its ${targets.length} targets.`
    case "missed":
      return `Missed: effect-resilience did not keep ${missed} of its ${targets.length} targets.`
    case "inconclusive":
      return `Inconclusive: ${missed} of ${targets.length} targets were not kept, but this machine was too busy to judge: ` +
        `${tooBusy.map(({ loopDelayP99, process }) => `${process} was ${time(loopDelayP99)} late`).join(", ")} (p99).`
    case "interrupted":
      return "Interrupted: the figures are those of the part that was seen, and there is no verdict."
  }
}

export interface Said {
  readonly text: string
  readonly tone: Tone
}

/** All that is printed at the end, a line each, none longer than `width` (at least 80). */
export const lines = (summary: Summary, recording: Recording, width = 80): ReadonlyArray<Said> => {
  const most = Math.max(80, Math.min(120, width))
  const said = (tone: Tone, text: string, indent = "", first = indent): ReadonlyArray<Said> =>
    wrap(text, most - indent.length).map((line, index) => ({ text: `${index === 0 ? first : indent}${line}`, tone }))
  const cell = (text: string) => text.padStart(18)
  const columns = (name: string, text: (gateway: Gateway) => string) =>
    `${name.padEnd(25)}${gateways.map((gateway) => cell(text(gateway))).join("")}`
  const dead = deadRows(summary, recording.factor)
  const { factor, rate, scenario, seconds, seed } = recording
  const empty: Said = { text: "", tone: "plain" }
  return [
    ...said("good", headline(summary)),
    empty,
    { text: columns("", (gateway) => gatewayNames[gateway]), tone: "plain" },
    ...rows(summary).map(({ isPart, name, texts }): Said => ({
      text: columns(isPart ? `  ${name}` : name, (gateway) => texts[gateway]),
      tone: isPart ? "dim" : "plain"
    })),
    empty,
    ...(dead.length === 0 ? [] : [
      { text: `${deadTitle}, times undivided:`, tone: "plain" } satisfies Said,
      ...[{ name: "", first: "first call", later: "later calls" }, ...dead].map(({ first, later, name }): Said => ({
        text: `  ${name.padEnd(28)}${first.padStart(25)}${later.padStart(25)}`,
        tone: "plain"
      })),
      empty
    ]),
    ...notes.flatMap((note) => said("dim", note, "  ")),
    ...said(
      "dim",
      `Scenario ${scenario}, ${seconds} s, ${rate} calls a second to each gateway, seed ${seed}; the application's ` +
        `times divided by ${factorText(factor)}.`,
      "  "
    ),
    empty,
    ...summary.targets.flatMap(({ held, seen, wanted }) =>
      said(held ? "dim" : "bad", `${wanted}: ${seen}`, " ".repeat(8), held ? "kept    " : "MISSED  ")
    ),
    ...said(
      summary.verdict === "passed" ? "good" : summary.verdict === "missed" ? "bad" : "warn",
      verdictText(summary)
    )
  ]
}

const wrap = (text: string, width: number): ReadonlyArray<string> =>
  text.split(" ").reduce<ReadonlyArray<string>>((lines, word) => {
    const last = lines.at(-1)
    return last === undefined || last.length + 1 + word.length > width
      ? [...lines, word]
      : [...lines.slice(0, -1), `${last} ${word}`]
  }, [])
