/** One row for each service. */
import { make, mark, write } from "./elements.ts"
import type { Service } from "./known.ts"
import { drawStrip, makeStrip } from "./strip.ts"
import { lookOf, number, percent, rate, storyOf } from "./words.ts"

/** The elements of one row. */
export interface View {
  readonly item: HTMLLIElement
  readonly button: HTMLButtonElement
  readonly state: HTMLElement
  readonly glyph: HTMLElement
  readonly word: HTMLElement
  readonly strip: HTMLElement
  readonly numbers: ReadonlyArray<HTMLElement>
  readonly story: HTMLElement
  readonly when: HTMLElement
  readonly users: HTMLElement
  readonly cause: HTMLElement
}

interface Column {
  readonly label: string
  /** For those who hear it. */
  readonly spoken: string
  readonly text: (service: Service) => string
  readonly tone?: (service: Service) => "" | "warn" | "bad"
}

const columns: ReadonlyArray<Column> = [
  { label: "Req/s", spoken: "requests a second", text: ({ rates }) => rate(rates.calls) },
  {
    label: "Success",
    spoken: "Success",
    text: ({ rates }) => percent(rates.success),
    tone: ({ rates: { success = 1 } }) => success >= 0.99 ? "" : success < 0.9 ? "bad" : "warn"
  },
  {
    label: "Refused/s",
    spoken: "refused a second",
    text: ({ rates }) => rate(rates.refused),
    tone: ({ rates: { refused = 0 } }) => refused > 0.05 ? "bad" : ""
  },
  { label: "p50", spoken: "p50", text: ({ known }) => number(known.latency?.p50) },
  { label: "p95", spoken: "p95", text: ({ known }) => number(known.latency?.p95) },
  { label: "p99", spoken: "p99", text: ({ known }) => number(known.latency?.p99) },
  { label: "Retries/s", spoken: "retries a second", text: ({ rates }) => rate(rates.retries) },
  {
    label: "In flight",
    spoken: "In flight",
    text: ({ known: { load } }) =>
      load === null ? "–" : load.limit === null ? String(load.inFlight) : `${load.inFlight}/${number(load.limit)}`
  }
]

const cellOf = ({ label, spoken }: Column) => {
  const value = make("span")
  const small = make("small", "", label)
  small.ariaHidden = "true"
  return { value, cell: make("span", "num", make("span", "hidden", `${spoken}: `), small, value) }
}

let made = 0
const byItem = new WeakMap<Element, Service>()

/** The service whose row, or what is below it, an element stands in. */
export const serviceAt = (element: Element): Service | undefined => {
  const item = element.closest("#rows > li")
  return item === null ? undefined : byItem.get(item)
}

export const viewOf = (service: Service): View => {
  if (service.view !== undefined) return service.view
  const { name } = service.known
  const title = make("bdi", "name", name)
  title.title = name
  const glyph = make("span")
  glyph.ariaHidden = "true"
  const word = make("span", "word")
  const state = make("span", "state", glyph, word)
  const strip = makeStrip(make("span", "strip"))
  const cells = columns.map(cellOf)
  const when = make("span", "when")
  const users = make("span", "users")
  const cause = make("bdi", "cause")
  const story = make("span", "story", when, users, cause)
  const button = make(
    "button",
    "row",
    make("span", "title", title, state),
    strip,
    ...cells.map(({ cell }) => cell),
    story
  )
  button.type = "button"
  button.ariaExpanded = "false"
  const item = make("li", "", button)
  item.id = `service-${made++}`
  byItem.set(item, service)
  const numbers = cells.map(({ value }) => value)
  service.view = { item, button, state, glyph, word, strip, numbers, story, when, users, cause }
  drawStrip(strip, service.known)
  return service.view
}

export const drawRow = (service: Service): void => {
  const { known } = service
  const view = viewOf(service)
  const { glyph, tone, word } = lookOf(known)
  mark(view.item, "tone", tone)
  mark(view.item, "state", known.state ?? "none")
  mark(view.state, "tone", tone)
  write(view.glyph, glyph)
  write(view.word, word)
  columns.forEach(({ text, tone }, n) => {
    const cell = view.numbers[n]
    if (cell === undefined) return
    write(cell, text(service))
    if (tone !== undefined) mark(cell, "tone", tone(service))
  })
  const { cause, users, when } = storyOf(service)
  write(view.when, when)
  write(view.users, users)
  write(view.cause, cause)
  service.isDirty = false
}
