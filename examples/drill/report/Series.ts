/** What the page plots: the calls of a recording, gathered in slices of time. Times are in seconds. */
import { changesOf, isAnswered, isDown, quantile, waitOf } from "../Measures.ts"
import { serviceNames, shortFaultNames } from "../Names.ts"
import type { BreakerChange, Call, Gateway, Recording, Service } from "../Recording.ts"
import { eachGateway, services } from "../Recording.ts"
import type { Outage } from "../Summary.ts"

type Values = ReadonlyArray<number | null>

export interface Band {
  readonly number: number
  readonly name: string
  readonly service: Service
  readonly from: number
  readonly until: number
}

export interface Strip {
  readonly service: Service
  readonly name: string
  /** The states of the breaker of the toolkit's gateway, one after another. */
  readonly states: ReadonlyArray<
    { readonly from: number; readonly until: number; readonly state: BreakerChange["state"] }
  >
}

export interface Series {
  readonly seconds: number
  /** Where slices begin and end, one more than there are slices. */
  readonly edges: ReadonlyArray<number>
  /** Per cent of the calls due in the slice. */
  readonly answered: Readonly<Record<Gateway, Values>>
  /** Milliseconds: what 95 % of the calls due in the slice did not wait longer than. */
  readonly waits: Readonly<Record<Gateway, Values>>
  /** Requests a second to services while they were down. */
  readonly load: Readonly<Record<Gateway, Values>>
  readonly bands: ReadonlyArray<Band>
  readonly strips: ReadonlyArray<Strip>
}

export const make = (recording: Recording, outages: ReadonlyArray<Outage>): Series => {
  const { attempts, calls, seconds } = recording
  const edges = edgesOf(recording)
  const slices = edges.slice(1).map((until, index) => ({ from: edges[index] ?? 0, until }))
  const ofCalls = (value: (calls: ReadonlyArray<Call>) => number) =>
    eachGateway((gateway): Values => {
      const own = calls.filter((call) => call.gateway === gateway)
      return slices.map(({ from, until }) => {
        const due = own.filter((call) => call.due >= from && call.due < until)
        return due.length === 0 ? null : round(value(due))
      })
    })

  return {
    seconds,
    edges: edges.map((edge) => edge / 1000),
    answered: ofCalls((calls) => 100 * calls.filter((call) => isAnswered(recording, call)).length / calls.length),
    waits: ofCalls((calls) => {
      const waits = calls.map((call) => waitOf(recording, call).millis).toSorted((a, b) => a - b)
      return Math.max(1, quantile(waits, 0.95) ?? 1)
    }),
    load: eachGateway((gateway) => {
      const own = attempts.filter((attempt) =>
        attempt.gateway === gateway && isDown(recording, attempt.service, attempt.at)
      )
      return slices.map(({ from, until }) =>
        round(own.filter(({ at }) => at >= from && at < until).length * 1000 / (until - from))
      )
    }),
    bands: outages.map(({ number, phase: { at, fault, service, until } }) => ({
      number,
      name: shortFaultNames[fault],
      service,
      from: at / 1000,
      until: until / 1000
    })),
    strips: services.map((service) => ({
      service,
      name: serviceNames[service],
      states: statesOf(recording, service)
    }))
  }
}

/**
 * Some twenty calls make a share and a quantile worth plotting, and sixty slices are as many as a phone can show. An
 * outage begins and ends with a slice, so that nothing is drawn before its cause.
 */
const edgesOf = ({ calls, phases, seconds }: Recording): ReadonlyArray<number> => {
  const end = seconds * 1000
  const width = end / Math.max(8, Math.min(60, Math.floor(calls.length / 3 / 20)))
  const fixed = [0]
  for (const edge of phases.flatMap(({ at, until }) => [at, until]).toSorted((a, b) => a - b)) {
    if (edge - (fixed.at(-1) ?? 0) > 0.4 * width && end - edge > 0.4 * width) fixed.push(edge)
  }
  return [...fixed, end].flatMap((until, index) => {
    const from = fixed[index - 1]
    if (from === undefined) return [until]
    const parts = Math.max(1, Math.round((until - from) / width))
    return Array.from({ length: parts }, (_, part) => from + (until - from) * (part + 1) / parts)
  })
}

const statesOf = (recording: Recording, service: Service): Strip["states"] => {
  const changes = changesOf(recording, "resilient", service)
  const first = { at: 0, state: "Closed" } as const
  return [first, ...changes].map(({ at, state }, index) => ({
    from: Math.max(0, at / 1000),
    until: Math.max(0, (changes[index]?.at ?? recording.seconds * 1000) / 1000),
    state
  }))
}

const round = (value: number): number => Math.round(value * 100) / 100
