/** What the server has said about all services, and what was sampled of it each second. */
import type * as Status from "../../../Status.ts"
import type { Details } from "./details.ts"
import type { View } from "./rows.ts"

/** The counters of one service at one second, by the server's clock in seconds. */
export interface Sample {
  readonly at: number
  readonly calls: number
  readonly success: number
  readonly failed: number
  readonly refused: number
  readonly retries: number
  readonly fellBack: number
  readonly latency: Status.ServiceState["latency"]
}

/** Each a second, but for shares. What is not known yet is not there. */
export interface Rates {
  readonly calls?: number
  readonly refused?: number
  readonly retries?: number
  readonly fellBack?: number
  /** The share of calls that succeeded, over half a minute: of few calls it would jump. */
  readonly success?: number
  /** The same of the last seconds. */
  readonly successNow?: number
}

export interface Service {
  known: Status.ServiceState
  samples: Array<Sample>
  rates: Rates
  /** What stands in the page. */
  view: View | undefined
  /** What stands below the row while it is open. */
  details: Details | undefined
  /** Whether something is to be drawn anew. */
  isDirty: boolean
}

export const services = new Map<string, Service>()

/** The server's clock against ours, in milliseconds. */
let skew = 0
/** When the server began to look, by its clock. */
let since = 0

export const serverNow = (): number => Date.now() + skew
export const lookedFrom = (): number => since
/** A time of the server, by the clock of this browser. */
export const ours = (at: number): number => at - skew

/** Takes in a frame, and answers with the services that are no more. */
export const take = (frame: Status.Frame): ReadonlyArray<Service> => {
  skew = frame.at - Date.now()
  const gone: Array<Service> = []
  if (frame.full) {
    // another server, or the same one anew: its counters have begun at 0
    if (frame.since !== since) { for (const service of services.values()) service.samples = [] }
    const names = new Set(frame.services.map(({ name }) => name))
    for (const [name, service] of services) {
      if (names.has(name)) continue
      services.delete(name)
      gone.push(service)
    }
  }
  since = frame.since
  for (const change of frame.services) {
    const service = services.get(change.name)
    // of a service that has not been told of before, all is told
    const known = { ...service?.known, ...change } as Status.ServiceState
    if (service === undefined) {
      services.set(change.name, {
        known,
        samples: [],
        rates: {},
        view: undefined,
        details: undefined,
        isDirty: true
      })
      continue
    }
    // of counters only those come that have changed
    const counts = change.counts && service.known.counts && !frame.full
      ? { ...service.known.counts, ...change.counts }
      : known.counts
    service.known = { ...known, counts }
    service.isDirty = true
  }
  return gone
}

/** Five minutes. */
const kept = 300

type Counter = "calls" | "success" | "refused" | "retries" | "fellBack"

/** How much a counter has grown a second, over the last seconds. */
const growth = ({ samples }: Service, counter: Counter, seconds: number): number => {
  const now = samples.at(-1)
  const then = samples.at(-1 - Math.min(seconds, samples.length - 1))
  return now === undefined || then === undefined
    ? 0
    : Math.max(0, now[counter] - then[counter]) / Math.max(1, now.at - then.at)
}

const ratesOf = (service: Service): Rates => {
  if (service.known.counts === null || service.samples.length < 2) return {}
  const share = (seconds: number) => {
    const calls = growth(service, "calls", seconds)
    return calls === 0 ? undefined : Math.min(1, growth(service, "success", seconds) / calls)
  }
  const success = share(30)
  const successNow = share(5)
  return {
    calls: growth(service, "calls", 5),
    refused: growth(service, "refused", 5),
    retries: growth(service, "retries", 5),
    fellBack: growth(service, "fellBack", 5),
    ...(success !== undefined && { success }),
    ...(successNow !== undefined && { successNow })
  }
}

/** Notes the counters of all services, once a second. */
export const sample = (): void => {
  const at = serverNow() / 1000
  for (const service of services.values()) {
    const { counts, latency } = service.known
    service.samples.push({
      at,
      calls: counts?.calls ?? 0,
      success: counts?.success ?? 0,
      failed: (counts?.failure ?? 0) + (counts?.overload ?? 0),
      refused: counts?.refusedCalls ?? 0,
      retries: counts?.retries ?? 0,
      fellBack: counts?.fellBack ?? 0,
      latency
    })
    if (service.samples.length > kept + 30) service.samples.splice(0, 30)
    const before = Object.values(service.rates).join()
    service.rates = ratesOf(service)
    if (Object.values(service.rates).join() !== before) service.isDirty = true
  }
}
