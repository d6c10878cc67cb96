/**
 * What was seen, in figures: the three gateways side by side, over the whole run and outage by outage. Requests are what a gateway
 * made, refused connections included.
 */
import { type Calls, changesOf, count, isDown, isHit, isWithin, quantile, type Wait, waitOf } from "./Measures.ts"
import type { BreakerChange, Busy, DeadService, Gateway, Operation, Phase, Recording, Service } from "./Recording.ts"
import { eachGateway, eachOperation, eachService, services } from "./Recording.ts"
import * as Verdict from "./Verdict.ts"
import { percent } from "./Words.ts"

/** How long callers waited until they had an answer, good or bad, or gave up. undefined: nobody called. */
export interface Waits {
  readonly p50: Wait | undefined
  readonly p95: Wait | undefined
  readonly p99: Wait | undefined
}

/** One outage, as one gateway lived through it. Times are in milliseconds. */
export interface Ordeal {
  /** Calls, due during the outage, of the operation that stands or falls with the service. */
  readonly calls: Calls
  /** Requests made to the service during the outage. */
  readonly requests: number
  /** From its beginning until the breaker was open. undefined: it was not. */
  readonly detected: number | undefined
  /** From its end until the service was used with success again, by a closed breaker. undefined: it was not. */
  readonly recovered: number | undefined
}

export interface Outage {
  /** Counted from one, in the order of their beginnings. */
  readonly number: number
  readonly phase: Phase
  readonly gateways: Readonly<Record<Gateway, Ordeal>>
}

/** Milliseconds: the middle and the worst of those seen. */
export interface Spread {
  readonly seen: number
  readonly median: number | undefined
  readonly worst: number | undefined
}

export interface Figures {
  readonly calls: Calls
  /** Those due while the service that they stand or fall with was down. */
  readonly hit: Calls
  readonly operations: Readonly<Record<Operation, Calls>>
  readonly waits: Waits
  /** Requests made to services while they were down. */
  readonly load: number
  readonly loads: Readonly<Record<Service, number>>
  readonly detected: Spread
  readonly recovered: Spread
  /** Requests that came to nothing. */
  readonly wasted: number
  /** All requests. */
  readonly requests: number
}

export interface Summary {
  readonly verdict: Verdict.Verdict
  readonly targets: ReadonlyArray<Verdict.Target>
  /** Processes that had too much to do for their figures to count. */
  readonly tooBusy: ReadonlyArray<Busy>
  readonly gateways: Readonly<Record<Gateway, Figures>>
  readonly outages: ReadonlyArray<Outage>
  readonly deadService: ReadonlyArray<DeadService>
}

export const make = (recording: Recording): Summary => {
  const phases = recording.phases
    .filter(({ at }) => !recording.interrupted || at < lastSeen(recording))
    .toSorted((a, b) => a.at - b.at)
  const outages = phases.map((phase, index): Outage => ({
    number: index + 1,
    phase,
    gateways: eachGateway((gateway) => ordealOf(recording, phase, gateway))
  }))
  return {
    ...Verdict.of(recording, outages),
    gateways: eachGateway((gateway) => figuresOf(recording, outages, gateway)),
    outages,
    deadService: recording.deadService
  }
}

const lastSeen = ({ attempts, calls }: Recording): number =>
  [...calls.map(({ due, ended }) => ended ?? due), ...attempts.map(({ at }) => at)].reduce(
    (last, at) => Math.max(last, at),
    0
  )

const ordealOf = (recording: Recording, phase: Phase, gateway: Gateway): Ordeal => {
  const { service } = phase
  const attempts = recording.attempts.filter((attempt) => attempt.gateway === gateway && attempt.service === service)
  const changes = changesOf(recording, gateway, service)
  const next = recording.phases
    .filter((other) => other.service === service && other.at >= phase.until)
    .reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY)
  const calls = recording.calls.filter((call) => call.gateway === gateway && isHit(phase, call))
  return {
    calls: count(recording, calls),
    requests: attempts.filter(({ at }) => isWithin(phase, at)).length,
    detected: detectedIn(phase, changes),
    recovered: recoveredAfter({ at: phase.until, until: next }, attempts, changes)
  }
}

const stateAt = (changes: ReadonlyArray<BreakerChange>, instant: number) =>
  changes.findLast(({ at }) => at <= instant)?.state ?? "Closed"

const detectedIn = (phase: Phase, changes: ReadonlyArray<BreakerChange>): number | undefined => {
  if (stateAt(changes, phase.at) === "Open") return 0
  const opened = changes.find(({ at, state }) => state === "Open" && isWithin(phase, at))
  return opened === undefined ? undefined : opened.at - phase.at
}

/** A gateway without a breaker is well as soon as a request succeeds, one with a breaker when it is closed too. */
const recoveredAfter = (
  healthy: Pick<Phase, "at" | "until">,
  attempts: Recording["attempts"],
  changes: ReadonlyArray<BreakerChange>
): number | undefined => {
  const succeeded = attempts
    .filter(({ at, ok }) => ok && isWithin(healthy, at))
    .reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY)
  const closed = stateAt(changes, healthy.at) === "Closed"
    ? healthy.at
    : changes.find(({ at, state }) => state === "Closed" && isWithin(healthy, at))?.at ?? Number.POSITIVE_INFINITY
  const recovered = Math.max(succeeded, closed) - healthy.at
  return Number.isFinite(recovered) ? recovered : undefined
}

const figuresOf = (recording: Recording, outages: ReadonlyArray<Outage>, gateway: Gateway): Figures => {
  const calls = recording.calls.filter((call) => call.gateway === gateway)
  const attempts = recording.attempts.filter((attempt) => attempt.gateway === gateway)
  const waits = calls.map((call) => waitOf(recording, call)).toSorted((a, b) => a.millis - b.millis)
  const load = (service: Service) =>
    attempts.filter(({ at, service: of }) => of === service && isDown(recording, service, at)).length
  const loads = eachService(load)
  const ordeals = outages.map((outage) => outage.gateways[gateway])
  const hit = calls.filter((call) => recording.phases.some((phase) => isHit(phase, call)))
  return {
    calls: count(recording, calls),
    hit: count(recording, hit),
    operations: eachOperation((operation) => count(recording, calls.filter((call) => call.operation === operation))),
    waits: { p50: quantile(waits, 0.5), p95: quantile(waits, 0.95), p99: quantile(waits, 0.99) },
    load: services.reduce((sum, service) => sum + loads[service], 0),
    loads,
    detected: spread(ordeals.map(({ detected }) => detected)),
    recovered: spread(ordeals.map(({ recovered }) => recovered)),
    wasted: attempts.filter(({ ok }) => !ok).length,
    requests: attempts.length
  }
}

const spread = (values: ReadonlyArray<number | undefined>): Spread => {
  const sorted = values.filter((value) => value !== undefined).toSorted((a, b) => a - b)
  return { seen: sorted.length, median: quantile(sorted, 0.5), worst: sorted.at(-1) }
}

/** A document for programs, under a heading that says what it is about: what there is no figure for is null. */
export const json = (summary: Summary, heading: Partial<Recording> = {}): string =>
  JSON.stringify({ ...heading, ...summary }, (_, value: unknown) => value === undefined ? null : value, 2)

/** The first thing to say. */
export const headline = ({ gateways: figures, outages }: Summary): string => {
  const { hit } = figures.resilient
  if (outages.length === 0) return "Nothing has failed."
  const share = (gateway: Gateway) => percent(figures[gateway].hit.answered, figures[gateway].hit.made)
  const times = outages.length === 1 ? "once" : outages.length === 2 ? "twice" : `${outages.length} times`
  return `Services failed ${times}. Of the ${hit.made} calls that needed them just then, effect-resilience answered ` +
    `${share("resilient")} in time, retries only ${share("retries")}, a plain client ${share("plain")}.`
}
