/** Whether the toolkit's gateway kept what it promises, and whether the machine let it. */
import { changesOf, count, isAnswered, isRefused } from "./Measures.ts"
import { faultNames, serviceNames } from "./Names.ts"
import type { Busy, Call, Recording } from "./Recording.ts"
import type { Outage } from "./Summary.ts"
import { percent, time } from "./Words.ts"

/** `inconclusive`: a target was missed, but some process had too much to do for that to mean anything. */
export type Verdict = "passed" | "missed" | "inconclusive" | "interrupted"

export const exitCodes = {
  passed: 0,
  missed: 1,
  inconclusive: 3,
  interrupted: 130
} as const satisfies Record<Verdict, number>

export interface Target {
  /** What had to be. */
  readonly wanted: string
  /** What was. */
  readonly seen: string
  readonly held: boolean
}

/** A process whose event loop was late by more than this, at p99, was too busy to judge by. Milliseconds. */
export const mostLoopDelay = 50

/** A refusal by an open breaker takes no longer than this, at p99. Milliseconds. */
export const mostRefusalDelay = 50

export const of = (recording: Recording, outages: ReadonlyArray<Outage>): {
  readonly verdict: Verdict
  readonly targets: ReadonlyArray<Target>
  readonly tooBusy: ReadonlyArray<Busy>
} => {
  const tooBusy = recording.busy.filter(({ loopDelayP99 }) => loopDelayP99 > mostLoopDelay)
  const targets = [
    answered(recording, "chats", ["chat"], 99.9),
    answered(recording, "calls with a fallback (file, snapshot)", ["file", "snapshot"], 95),
    wellServed(recording),
    refusals(recording),
    detected(outages)
  ]
  const isMissed = targets.some(({ held }) => !held)
  return {
    verdict: recording.interrupted
      ? "interrupted"
      : !isMissed
      ? "passed"
      : tooBusy.length > 0
      ? "inconclusive"
      : "missed",
    targets,
    tooBusy
  }
}

const callsOf = ({ calls }: Recording, operations: ReadonlyArray<string>) =>
  calls.filter(({ gateway, operation }) => gateway === "resilient" && operations.includes(operation))

const answered = (recording: Recording, what: string, operations: ReadonlyArray<string>, least: number): Target => {
  const { answered, made } = count(recording, callsOf(recording, operations))
  return {
    wanted: `at least ${least} % of ${what} answered within their deadline`,
    seen: made === 0 ? "there were none" : `${percent(answered, made)} of ${made}`,
    // nothing has been shown by calls that were not made
    held: made > 0 && 100 * answered >= least * made
  }
}

/** A refusal serves well when there is a reason for it: one while all is well, its breaker included, is a failure. */
const wellServed = (recording: Recording): Target => {
  const least = 99.9
  const changes = changesOf(recording, "resilient", "billing")
  const reasons = [
    ...recording.phases.filter(({ service }) => service === "billing"),
    ...changes.flatMap(({ at, state }, n) =>
      state === "Closed" ? [] : [{ at, until: changes[n + 1]?.at ?? Number.POSITIVE_INFINITY }]
    )
  ]
  const hasReason = ({ due, ended = due }: Call) => reasons.some(({ at, until }) => at <= ended && until > due)
  const calls = callsOf(recording, ["charge"])
  const good =
    calls.filter((call) => isAnswered(recording, call) || (isRefused(recording, call) && hasReason(call))).length
  return {
    wanted:
      `at least ${least} % of charges answered, or refused for a reason by a typed problem, within their deadline`,
    seen: calls.length === 0 ? "there were none" : `${percent(good, calls.length)} of ${calls.length}`,
    held: calls.length > 0 && 100 * good >= least * calls.length
  }
}

/** Charges that came and went while the breaker was open. Those that had waited for a retry before are others. */
const refusals = (recording: Recording): Target => {
  const changes = changesOf(recording, "resilient", "billing")
  const open = changes.flatMap(({ at, state }, index) =>
    state === "Open" ? [{ at, until: changes[index + 1]?.at ?? Number.POSITIVE_INFINITY }] : []
  )
  const delays = callsOf(recording, ["charge"]).flatMap((call) => {
    const { ended, sent } = call
    return ended !== undefined && isRefused(recording, call) &&
        open.some(({ at, until }) => sent > at && ended <= until)
      ? [ended - sent]
      : []
  }).toSorted((a, b) => a - b)
  // of fewer than a hundred, the slowest one alone is not yet their p99
  const p99 = delays[Math.floor(0.99 * (delays.length - 1))]
  return {
    wanted: `refusals by an open breaker within ${mostRefusalDelay} ms at p99`,
    seen: p99 === undefined
      ? "there were none"
      : `${time(p99)} (${delays.length} refusals, the slowest ${time(delays.at(-1) ?? p99)})`,
    held: p99 === undefined || p99 <= mostRefusalDelay
  }
}

/**
 * A service that throttles is well, and no breaker opens for it: there the answer is to ask less than others do.
 */
export const isDetected = ({ gateways: { resilient, retries }, phase }: Outage): boolean =>
  resilient.detected !== undefined || (phase.fault === "throttle" && resilient.requests < retries.requests)

const detected = (outages: ReadonlyArray<Outage>): Target => {
  const missed = outages.filter((outage) => !isDetected(outage))
  const names = missed.map(({ number, phase }) =>
    `${number} (${serviceNames[phase.service]} ${faultNames[phase.fault]})`
  )
  return {
    wanted: "every outage detected: its breaker opened, or, at 429, fewer requests than with retries only",
    seen: missed.length === 0 ? `${outages.length} of ${outages.length}` : `not seen: ${names.join(", ")}`,
    held: missed.length === 0
  }
}
