/**
 * How a call is judged. It is answered when its answer was good (2xx) and came within the operation's deadline,
 * counted from the instant at which the call was due.
 */
import { operationOf } from "./Names.ts"
import type { BreakerChange, Call, Gateway, Phase, Recording, Service } from "./Recording.ts"

/** Whether an instant lies in a stretch of time, as that of an outage. */
export const isWithin = ({ at, until }: Pick<Phase, "at" | "until">, instant: number): boolean =>
  instant >= at && instant < until

/** Whether a service has a fault at an instant. */
export const isDown = ({ phases }: Recording, service: Service, at: number): boolean =>
  phases.some((phase) => phase.service === service && isWithin(phase, at))

/** Whether a call stands or falls with the service of an outage, and was due while it lasted. */
export const isHit = (phase: Phase, { due, operation }: Call): boolean =>
  operationOf[phase.service] === operation && isWithin(phase, due)

export interface Calls {
  readonly made: number
  readonly answered: number
  /** Among those answered: by a fallback. */
  readonly byFallback: number
  /** Not answered, but told why in time, by a problem with a stable code. */
  readonly refused: number
}

/** Milliseconds. */
export interface Wait {
  readonly millis: number
  /** Whether it ended without an answer: then it would have been this long, or longer. */
  readonly inVain: boolean
}

/** Whether the call was answered within its deadline. */
export const isAnswered = (recording: Recording, call: Call): boolean =>
  call.ended !== undefined && call.status !== undefined && call.status >= 200 && call.status < 300 &&
  call.ended - call.due <= recording.deadlines[call.operation]

/** Whether the caller was told in time, in a form that programs understand, that there is no answer. */
export const isRefused = (recording: Recording, call: Call): boolean =>
  call.ended !== undefined && call.code !== undefined && !isAnswered(recording, call) &&
  call.ended - call.due <= recording.deadlines[call.operation]

/** How long the caller waited for whatever came; a caller who gave up, for as long as the deadline at least. */
export const waitOf = (recording: Recording, { due, ended, operation }: Call): Wait =>
  ended === undefined
    ? { millis: recording.deadlines[operation], inVain: true }
    : { millis: Math.max(0, ended - due), inVain: false }

export const count = (recording: Recording, calls: ReadonlyArray<Call>): Calls => {
  const answered = calls.filter((call) => isAnswered(recording, call))
  return {
    made: calls.length,
    answered: answered.length,
    byFallback: answered.filter(({ source }) => source === "fallback").length,
    refused: calls.filter((call) => isRefused(recording, call)).length
  }
}

/** The value that a share `q` of the sorted values does not exceed. */
export const quantile = <A>(sorted: ReadonlyArray<A>, q: number): A | undefined =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]

/** The changes of one breaker, in the order of time. */
export const changesOf = (recording: Recording, gateway: Gateway, service: Service): ReadonlyArray<BreakerChange> =>
  recording.changes
    .filter((change) => change.gateway === gateway && change.service === service)
    .toSorted((a, b) => a.at - b.at)
