/** What was seen, in figures, and whether it was all that had to be seen. */
import type { ResilienceEvent } from "effect-resilience"
import type { CallRecord, Journal } from "./Journal.ts"
import type { Output } from "./Output.ts"
import type { Phase } from "./Scenario.ts"
import { plural, time } from "./Words.ts"

/** What was seen of one outage. Times are in milliseconds. */
export interface FaultSummary {
  readonly fault: string
  /** When it began and when it ended, since the start. */
  readonly began: number
  readonly ended: number
  /** From its beginning until the breaker opened. */
  readonly detected: number | undefined
  /** From the server's return until the breaker closed. */
  readonly recovered: number | undefined
  readonly openings: number
  readonly halfOpenings: number
  /** Calls and retries that met the open breaker. */
  readonly refused: number
  /** What calls that started in it have failed with, by the error's tag. */
  readonly errors: Readonly<Record<string, number>>
}

export interface Summary {
  readonly calls: {
    readonly made: number
    readonly answered: number
    /** Among those answered. */
    readonly answeredAfterRetry: number
    /** Refused by the breaker without a request. */
    readonly refused: number
    readonly failed: number
    /** Among those failed: they were to be retried, and met an open breaker. */
    readonly refusedOnRetry: number
    /** Answers that were not the answer to the call. */
    readonly wrong: number
    readonly unfinished: number
  }
  readonly retries: number
  /** Of the answers, in milliseconds from the instant at which the call was due. */
  readonly latency: Quantiles
  /** Of the refusals, in milliseconds from the call. */
  readonly refusal: Quantiles
  readonly faults: ReadonlyArray<FaultSummary>
  /** What had to be seen, and was not. */
  readonly missing: ReadonlyArray<string>
}

interface Quantiles {
  readonly p50: number | undefined
  readonly p95: number | undefined
  readonly p99: number | undefined
  readonly max: number | undefined
}

/** `script` and `due` say what there had to be: the phases, and the number of calls. */
export const make = (journal: Pick<Journal, "entries">, script: ReadonlyArray<Phase>, due: number): Summary => {
  const calls = journal.entries.flatMap((entry) => entry._tag === "Call" ? [entry.call] : [])
  const events = journal.entries.flatMap((entry) => entry._tag === "Event" ? [entry] : [])
  const phases = journal.entries.flatMap((entry) => entry._tag === "Phase" ? [entry] : [])

  const answered = calls.filter(({ result }) => result._tag === "Answered")
  const refused = calls.filter(wasRefused)
  const failed = calls.filter((call) => call.result._tag === "Failed" && !wasRefused(call))
  const retries = events.filter(({ event }) => event._tag === "Retrying").length
  const wrong = answered.filter(({ result }) => result._tag === "Answered" && !result.isRight).length

  const missing: Array<string> = []
  const faults: Array<FaultSummary> = []
  for (const [index, { at: began, phase }] of phases.entries()) {
    if (phase.fault === undefined) continue
    const ended = phases[index + 1]?.at ?? Number.POSITIVE_INFINITY
    const next = phases[index + 2]?.at ?? Number.POSITIVE_INFINITY
    const summary = faultSummary(phase.fault, { began, ended, next }, events, calls)
    faults.push(summary)
    missing.push(...missingOf(phase, summary))
  }

  for (const { at, says } of script.slice(phases.length)) {
    missing.push(`the server at ${time(at)}: it ${says}`)
  }

  const lastClosed = events.findLast(({ event }) => event._tag === "CircuitClosed")?.at ?? 0
  const lastHealthy = Math.max(lastClosed, phases.at(-1)?.at ?? 0)
  const afterwards = calls.filter(({ started }) => started > lastHealthy + grain)
  const unanswered = afterwards.filter(({ result }) => result._tag !== "Answered").length
  if (afterwards.length === 0) missing.push("a call after the last recovery")
  if (unanswered > 0) {
    missing.push(`answers to all calls after the last recovery: ${unanswered} of ${afterwards.length} had none`)
  }
  if (retries === 0) missing.push("a retry")
  if (refused.length === 0) missing.push("a refusal")
  if (wrong > 0) missing.push(`right answers only: ${wrong} were wrong`)
  if (calls.length < due) missing.push(`an end of every call: ${due - calls.length} had none`)

  return {
    calls: {
      made: due,
      answered: answered.length,
      answeredAfterRetry: answered.filter(({ attempts }) => attempts > 1).length,
      refused: refused.length,
      failed: failed.length,
      refusedOnRetry: failed.filter(({ result }) => result._tag === "Failed" && result.kind === "CircuitOpen").length,
      wrong,
      unfinished: due - calls.length
    },
    retries,
    latency: quantiles(answered.map(({ due, ended }) => ended - due)),
    refusal: quantiles(refused.map(({ ended, started }) => ended - started)),
    faults,
    missing
  }
}

const wasRefused = ({ attempts, result }: CallRecord): boolean =>
  result._tag === "Failed" && result.kind === "CircuitOpen" && attempts === 0

/** The events' clock counts whole milliseconds, the calls' finer: what is nearer than this cannot be put in order. */
const grain = 2

interface Timed {
  readonly at: number
  readonly event: ResilienceEvent.ResilienceEvent
}

const faultSummary = (
  fault: string,
  { began, ended, next }: { readonly began: number; readonly ended: number; readonly next: number },
  events: ReadonlyArray<Timed>,
  calls: ReadonlyArray<CallRecord>
): FaultSummary => {
  const within = events.filter(({ at }) => at >= began - grain && at < next)
  const opened = within.find(({ at, event }) => event._tag === "CircuitOpened" && event.from === "Closed" && at < ended)
  const closed = within.find(({ at, event }) => event._tag === "CircuitClosed" && at >= ended - grain)
  const errors: Record<string, number> = {}
  for (const { result, started } of calls) {
    if (result._tag === "Answered" || started < began || started >= ended) continue
    errors[result.kind] = (errors[result.kind] ?? 0) + 1
  }
  return {
    fault,
    began,
    ended,
    detected: opened === undefined ? undefined : Math.max(0, opened.at - began),
    recovered: closed === undefined ? undefined : Math.max(0, closed.at - ended),
    openings: within.filter(({ event }) => event._tag === "CircuitOpened").length,
    halfOpenings: within.filter(({ event }) => event._tag === "CircuitHalfOpened").length,
    refused: within.filter(({ event }) => event._tag === "Refused").length,
    errors
  }
}

const missingOf = (phase: Phase, summary: FaultSummary): ReadonlyArray<string> => {
  const { detected, errors, fault, halfOpenings, recovered } = summary
  const missing: Array<string> = []
  if (detected === undefined) missing.push(`${fault}: the breaker opening`)
  if (halfOpenings === 0) missing.push(`${fault}: the breaker half-open`)
  if (recovered === undefined) missing.push(`${fault}: the breaker closing again`)
  if (phase.expected !== undefined && errors[phase.expected] === undefined) {
    missing.push(`${fault}: a call that fails with ${phase.expected}`)
  }
  return missing
}

const quantiles = (millis: ReadonlyArray<number>): Quantiles => {
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

/** Prints the figures. The verdict comes last, and not at all if the drill was not finished. */
export const print = (summary: Summary, output: Output, isFinished: boolean): void => {
  const { calls, faults, latency, missing, refusal, retries } = summary
  const row = (name: string, text: string) => output.print(`  ${name.padEnd(11)}${text}`)
  const maybe = (millis: number | undefined) => millis === undefined ? "none" : time(millis)

  output.print("\nWhat the callers saw")
  row("calls", String(calls.made))
  row("answered", `${calls.answered}, ${calls.answeredAfterRetry} of them after a retry`)
  row("refused", `${calls.refused} at once, within ${maybe(refusal.p99)} (p99)`)
  row("failed", `${calls.failed}, ${calls.refusedOnRetry} of them when a retry met the open breaker`)
  if (calls.unfinished > 0) row("unfinished", String(calls.unfinished))
  row("retries", String(retries))
  row(
    "answers in",
    `p50 ${maybe(latency.p50)}   p95 ${maybe(latency.p95)}   p99 ${maybe(latency.p99)}   max ${maybe(latency.max)}`
  )

  output.print(
    `\n  ${["fault", "detected in", "recovered in", "refused", "errors of its calls"].map(column).join("")}`
  )
  for (const { detected, errors, fault, recovered, refused } of faults) {
    const kinds = Object.entries(errors).filter(([kind]) => kind !== "CircuitOpen")
    const texts = [
      fault,
      maybe(detected),
      maybe(recovered),
      String(refused),
      kinds.map((kind) => kind.join(" ")).join(", ")
    ]
    output.print(`  ${texts.map(column).join("")}`)
  }
  output.print(
    "\n  Answers are timed from the instant at which the call was due, refusals from the call itself.",
    "dim"
  )
  output.print(
    "  Detected: from the start of the fault until the breaker opened. Recovered: from the server's health until it closed.",
    "dim"
  )

  if (!isFinished) return
  output.print("")
  if (missing.length === 0) {
    output.print(
      `Passed: in each of ${plural(faults.length, "outage")} the breaker opened, half-opened and closed again, ` +
        "and no wrong answer got through.",
      "good"
    )
    return
  }
  output.print("FAILED. Not seen:", "bad")
  for (const what of missing) output.print(`  - ${what}`, "bad")
}

const widths = [13, 14, 14, 9, 0]
const column = (text: string, index: number): string => text.padEnd(widths[index] ?? 0)
