/**
 * A drill while it runs: what happens, a line each as it comes, and on a terminal below them one line for each
 * service of the toolkit's gateway that is drawn anew ten times a second. Elsewhere there are the lines only.
 *
 * It writes nothing that outlives it: no cursor is hidden, no screen switched, so that a drill which is killed
 * leaves the terminal as it was.
 */
import { Effect } from "effect"
import process from "node:process"
import type { Progress } from "./Journal.ts"
import { count, isAnswered, isHit, isRefused, isWithin, quantile, waitOf } from "./Measures.ts"
import { faultNames, gatewayNames, operationOf, serviceNames, shortFaultNames } from "./Names.ts"
import { type Line, type Output, painter, type Tone } from "./Output.ts"
import {
  type BreakerChange,
  type Call,
  eachService,
  type Gateway,
  gateways,
  type Phase,
  type Service,
  services
} from "./Recording.ts"
import { percent, time } from "./Words.ts"

/** What Live needs of a stream: `process.stdout` is one. */
export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

export interface Live {
  /** Tells what is new, and draws. */
  readonly tick: () => void
  /** Tells what is left, and takes the live lines away. */
  readonly end: () => void
}

/**
 * What has happened is told a little late, on purpose: the processes report it late themselves, and what comes from
 * them and from the script is put in the order of time. Milliseconds.
 */
const late = 150

/** Over how long the live lines look back, in milliseconds. */
const window = 2000

export const make = (options: {
  readonly progress: Progress
  readonly output: Output
  readonly screen: Screen
}): Live => {
  const { output, progress, screen } = options
  const paint = painter(screen)
  const isLive = screen.isTTY === true && process.env["TERM"] !== "dumb"
  const news = newsOf(progress)
  const recent = recentOf(progress)
  let drawn: ReadonlyArray<string> = []

  const clear = () => {
    if (drawn.length === 0) return
    // a terminal that has become narrower has broken the lines that were drawn
    const columns = columnsOf(screen)
    const height = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0)
    screen.write(`\u001B[${height}A\r\u001B[J`)
    drawn = []
  }

  return {
    tick: () => {
      const now = progress.now()
      const lines = news(now - late)
      recent.take(now)
      clear()
      for (const line of lines) output.line(line)
      if (!isLive || now < 0) return
      const drawing = draw(progress, recent.seen, now, columnsOf(screen) - 1)
      drawn = drawing.map(({ text }) => text)
      screen.write(drawing.map(({ text, tone }) => `${paint(text, tone)}\n`).join(""))
    },
    end: () => {
      clear()
      for (const line of news(Number.POSITIVE_INFINITY)) output.line(line)
    }
  }
}

/** Draws ten times a second until it is interrupted, and then tells what is left. */
export const follow = (live: Live): Effect.Effect<never> =>
  Effect.sync(live.tick).pipe(
    Effect.andThen(Effect.sleep(100)),
    Effect.forever,
    Effect.ensuring(Effect.sync(live.end))
  )

/** A terminal that does not know its width says 0. */
const columnsOf = ({ columns }: Screen): number => columns || 80

/** What has happened since it was asked last, in the order of time. */
const newsOf = ({ recording }: Progress) => {
  let before = Number.NEGATIVE_INFINITY
  let nextChange = 0
  let held: ReadonlyArray<BreakerChange> = []
  const isNew = (at: number, now: number) => at > before && at <= now
  return (now: number): ReadonlyArray<Line> => {
    // a drill that was interrupted never came to its later outages
    const last = Number.isFinite(now) || !recording.interrupted ? now : before
    held = [...held, ...recording.changes.slice(nextChange)]
    nextChange = recording.changes.length
    const changes = held.filter(({ at }) => at <= now)
    held = held.filter(({ at }) => at > now)
    const lines = [
      ...recording.phases.flatMap((phase, index) => [
        ...(isNew(phase.at, last) ? [began(phase, index + 1)] : []),
        ...(isNew(phase.until, last) ? [ended(phase, index + 1)] : []),
        ...(isNew(judgedAt(recording, phase), last) ? judged(recording, phase, index + 1) : [])
      ]),
      ...changes.flatMap((change) => change.gateway === "resilient" ? [changed(recording.phases, change)] : [])
    ]
    before = last
    return lines.toSorted((a, b) => a.at - b.at)
  }
}

const began = (phase: Phase, number: number): Line => ({
  at: phase.at,
  subject: "outage",
  text: `${number}: ${serviceNames[phase.service]} ${faultNames[phase.fault]}`,
  tone: "bad"
})

const ended = (phase: Phase, number: number): Line => ({
  at: phase.until,
  subject: "well",
  text: `${number}: ${serviceNames[phase.service]} is well again after ${time(phase.until - phase.at)}`,
  tone: "good"
})

type Recorded = Progress["recording"]

/** When the last caller of an outage has had an answer, or has given up. */
const judgedAt = ({ deadlines }: Recorded, { service, until }: Phase): number =>
  until + 1.1 * deadlines[operationOf[service]]

const judged = (recording: Recorded, phase: Phase, number: number): ReadonlyArray<Line> => {
  const operation = operationOf[phase.service]
  const calls = recording.calls.filter((call) => isHit(phase, call))
  if (calls.length === 0) return []
  const shares = gateways.map((gateway) => {
    const { answered, made, refused } = count(recording, calls.filter((call) => call.gateway === gateway))
    const told = gateway === "resilient" && refused > 0 ? ` (${percent(answered + refused, made)} or told why not)` : ""
    return `${gatewayNames[gateway]} ${percent(answered, made)}${told}`
  })
  return [{
    at: judgedAt(recording, phase),
    subject: "result",
    text: `${number}: ${operation} was answered meanwhile: ${shares.join(", ")}`,
    tone: "plain"
  }]
}

const changed = (phases: ReadonlyArray<Phase>, { at, service, state }: BreakerChange): Line => {
  const name = serviceNames[service]
  const during = phases.find((phase) => phase.service === service && isWithin(phase, at))
  const after = phases.findLast((phase) => phase.service === service && at >= phase.until)
  switch (state) {
    case "Open":
      return {
        at,
        subject: "breaker",
        text: `${name}: open${during === undefined ? "" : `, ${time(at - during.at)} into the outage`}`,
        tone: "warn"
      }
    case "HalfOpen":
      return { at, subject: "breaker", text: `${name}: half-open, one request may try`, tone: "dim" }
    case "Closed":
      return {
        at,
        subject: "breaker",
        text: `${name}: closed${after === undefined ? "" : `, ${time(at - after.until)} after the outage`}`,
        tone: "good"
      }
  }
}

interface Recent {
  readonly calls: ReadonlyArray<Call>
  readonly requests: Readonly<Record<Service, number>>
  /** The most requests to any service, so that the bars can be compared. */
  readonly most: number
}

/** Calls that have come back, and requests that were made, within the window. */
const recentOf = ({ recording }: Progress) => {
  let nextCall = 0
  let calls: ReadonlyArray<{ readonly at: number; readonly call: Call }> = []
  let nextAttempt = 0
  let attempts: ReadonlyArray<{ readonly at: number; readonly service: Service }> = []
  let most = 1
  const seen: Recent = { calls: [], requests: eachService(() => 0), most }
  const recent = {
    seen,
    take: (now: number) => {
      const since = now - window
      calls = [...calls, ...recording.calls.slice(nextCall).map((call) => ({ at: now, call }))]
        .filter(({ at }) => at > since)
      nextCall = recording.calls.length
      attempts = [
        ...attempts,
        ...recording.attempts.slice(nextAttempt).filter(({ gateway }) => gateway === "resilient")
      ]
        .filter(({ at }) => at > since)
      nextAttempt = recording.attempts.length
      const requests = eachService((service) => attempts.filter((attempt) => attempt.service === service).length)
      most = Math.max(most, ...services.map((service) => requests[service]))
      recent.seen = { calls: calls.map(({ call }) => call), requests, most }
    }
  }
  return recent
}

interface Drawn {
  readonly text: string
  readonly tone: Tone
}

const draw = ({ recording }: Progress, recent: Recent, now: number, width: number): ReadonlyArray<Drawn> => {
  const total = recording.seconds * 1000
  const times = ` ${(Math.min(now, total) / 1000).toFixed(1).padStart(5)} of ${recording.seconds} s `
  const answered = (gateway: Gateway, calls: ReadonlyArray<Call>) => {
    const own = calls.filter((call) => call.gateway === gateway)
    return own.length === 0 ? "–" : percent(own.filter((call) => isAnswered(recording, call)).length, own.length)
  }
  const lines: ReadonlyArray<Drawn> = [
    { text: `${times}${bar(now / total, Math.max(4, Math.min(60, width - times.length)))}`, tone: "dim" },
    {
      text: ` answered just now: ${
        gateways.map((name) => `${gatewayNames[name]} ${answered(name, recent.calls)}`).join(", ")
      }`,
      tone: "plain"
    },
    ...services.map((service): Drawn => {
      const operation = operationOf[service]
      const own = recent.calls.filter((call) => call.gateway === "resilient" && call.operation === operation)
      const waits = own.map((call) => waitOf(recording, call).millis).toSorted((a, b) => a - b)
      const p95 = quantile(waits, 0.95)
      const fault = recording.phases.find((phase) => phase.service === service && isWithin(phase, now))
      const state = recording.changes.findLast((change) => change.gateway === "resilient" && change.service === service)
        ?.state ?? "Closed"
      const requests = recent.requests[service]
      const refused = own.filter((call) => isRefused(recording, call)).length
      const parts = [
        ` ${serviceNames[service].padEnd(13)}`,
        (fault === undefined ? "well" : shortFaultNames[fault.fault]).padEnd(9),
        states[state].text.padEnd(10),
        `${(requests * 1000 / Math.max(500, Math.min(window, now))).toFixed(0).padStart(4)}/s `,
        bar(requests / recent.most, 10),
        `  ${operation.padEnd(9)}${answered("resilient", own).padStart(7)}`,
        `  p95 ${p95 === undefined ? "–" : time(p95)}`,
        refused === 0 ? "" : `, ${percent(refused, own.length)} told why not`
      ]
      return { text: parts.join(""), tone: states[state].tone }
    })
  ]
  return lines.map(({ text, tone }) => ({ text: text.slice(0, width), tone }))
}

const states = {
  Closed: { text: "closed", tone: "plain" },
  HalfOpen: { text: "half-open", tone: "warn" },
  Open: { text: "OPEN", tone: "bad" }
} as const

const bar = (share: number, width: number): string => {
  const full = Math.round(Math.max(0, Math.min(1, share)) * width)
  return "█".repeat(full) + "░".repeat(width - full)
}
