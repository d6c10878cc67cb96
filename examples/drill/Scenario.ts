/**
 * The script: what becomes of the service, and when, as data. Everything is
 * measured in one unit, so that a longer drill is the same drill in slow motion.
 */
import type { Mode } from "./FaultyServer.ts"

/** The shortest and the longest drill, in seconds. */
export const shortest = 5
export const longest = 600

/** A stretch of time in which the server behaves in one way. */
export interface Phase {
  /** When it begins, in milliseconds since the start. */
  readonly at: number
  /** The fault, in one word; `undefined` while the server is healthy. */
  readonly fault: string | undefined
  readonly mode: Mode
  /** The server in this phase, in words. */
  readonly says: string
  /** The error that callers must have met by its end. */
  readonly expected: string | undefined
}

export interface Scenario {
  /** The unit, in milliseconds. Every wait of the client is a multiple of it, too. */
  readonly unit: number
  /** What `Retry-After` asks for. The header knows whole seconds only. */
  readonly askedSeconds: number
  readonly phases: ReadonlyArray<Phase>
  /** When the traffic ends, in milliseconds. */
  readonly end: number
}

interface Outage extends Pick<Phase, "mode" | "says"> {
  readonly fault: string
  readonly expected: string
  /** How long it lasts, and how long the server is healthy after it, in units. */
  readonly lasts: number
  readonly healthy: number
}

// Long enough, each, that the breaker opens in it, and that it closes well before the next: see Shop.ts for its times.
const outages = (askedSeconds: number): ReadonlyArray<Outage> => [
  {
    fault: "refusing",
    mode: { kind: "refuse" },
    says: "now refuses connections",
    expected: "ServiceUnavailable",
    lasts: 3.5,
    healthy: 4
  },
  {
    fault: "hanging",
    mode: { kind: "hang" },
    says: "now hangs: it takes requests and never answers",
    expected: "TimedOut",
    lasts: 5.5,
    healthy: 7
  },
  {
    fault: "overwhelmed",
    mode: { kind: "status", status: 503, retryAfter: String(askedSeconds) },
    says: `now answers 503, Retry-After: ${askedSeconds}`,
    expected: "Unavailable",
    lasts: 3.5,
    // and the rest that it asks for, which is added below
    healthy: 1
  },
  {
    fault: "resetting",
    mode: { kind: "reset" },
    says: "now resets connections in the middle of the body",
    expected: "ServiceUnavailable",
    lasts: 3,
    healthy: 3.5
  },
  {
    fault: "malformed",
    mode: { kind: "malform" },
    says: "now answers 200 with broken or mismatching JSON",
    expected: "ResponseInvalid",
    lasts: 3,
    healthy: 4
  }
]

const prelude = 2

export const make = (seconds: number): Scenario => {
  const askedSeconds = Math.max(1, Math.round(seconds / 10))
  const script = outages(askedSeconds)
  const units = script.reduce((sum, { healthy, lasts }) => sum + lasts + healthy, prelude)
  // what the service asks for cannot be scaled below a second, so the rest shares what is left
  const unit = (seconds - askedSeconds) * 1000 / units
  const healthy = { fault: undefined, mode: { kind: "healthy" }, expected: undefined } as const
  const phases: Array<Phase> = [{ ...healthy, at: 0, says: "is healthy" }]
  let at = prelude * unit
  for (const { healthy: rest, lasts, ...phase } of script) {
    phases.push({ ...phase, at })
    at += lasts * unit
    phases.push({ ...healthy, at, says: "is healthy again" })
    at += rest * unit + (phase.mode.kind === "status" ? askedSeconds * 1000 : 0)
  }
  return { unit, askedSeconds, phases, end: seconds * 1000 }
}

/** The fewest calls a second at which enough of them meet each fault for the breaker to open. */
export const leastRate = (seconds: number): number => Math.max(1, Math.ceil(3500 / make(seconds).unit))
