/** Recordings of drills that never were: enough like real ones to be summed up and shown. */
import { operationOf } from "../../examples/drill/Names.ts"
import type {
  Attempt,
  BreakerChange,
  Call,
  Gateway,
  Operation,
  Phase,
  Recording
} from "../../examples/drill/Recording.ts"
import { gateways, services } from "../../examples/drill/Recording.ts"

export const phases: ReadonlyArray<Phase> = [
  { service: "vectorStore", at: 2000, until: 4500, fault: "refuse" },
  { service: "fileSystem", at: 5500, until: 7500, fault: "hang" },
  { service: "billing", at: 8500, until: 10_000, fault: "busy" },
  { service: "git", at: 10_500, until: 12_000, fault: "throttle" },
  { service: "vectorStore", at: 12_500, until: 15_500, fault: "slow" },
  { service: "billing", at: 13_500, until: 16_000, fault: "reset" },
  { service: "fileSystem", at: 17_000, until: 19_000, fault: "malformed" },
  { service: "git", at: 19_500, until: 22_000, fault: "flap" }
]

const deadlines = { chat: 1000, file: 1250, charge: 500, snapshot: 1500 }

/** Nothing has happened in it yet. */
export const empty: Recording = {
  scenario: "tour",
  seconds: 25,
  rate: 40,
  seed: 1,
  factor: 20,
  deadlines,
  phases: [],
  calls: [],
  attempts: [],
  changes: [],
  deadService: [],
  busy: [],
  interrupted: false
}

/** A generator of chance that gives the same at every run. */
const chance = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const shares: ReadonlyArray<readonly [Operation, number]> = [["chat", 0.5], ["file", 0.75], ["charge", 0.9], [
  "snapshot",
  1
]]

/** A whole tour, in which the toolkit's gateway does well and the others as they would. */
export const tour = (seed = 1): Recording => {
  const next = chance(seed)
  const calls: Array<Call> = []
  const attempts: Array<Attempt> = []
  const changes: Array<BreakerChange> = []
  for (const phase of phases) {
    if (phase.fault === "throttle") continue
    const { at, service, until } = phase
    const change = (at: number, state: BreakerChange["state"]) =>
      changes.push({ gateway: "resilient", service, at, state })
    change(at + 300, "Open")
    for (let probe = at + 1300; probe < until; probe += 1050) {
      change(probe, "HalfOpen")
      change(probe + 50, "Open")
    }
    change(until + 350, "HalfOpen")
    change(until + 400, "Closed")
  }
  let due = 0
  while ((due += -Math.log(1 - next()) * 25) < 25_000) {
    const draw = next()
    const operation = shares.find(([, share]) => draw < share)?.[0] ?? "chat"
    const quick = 4 + 12 * next() ** 2
    for (const gateway of gateways) attempts.push(...oneCall(gateway, operation, due, quick, next, calls))
  }
  return {
    ...empty,
    phases,
    calls,
    attempts,
    changes,
    deadService: [
      { gateway: "plain", fault: "hang", first: 1502, later: 1501, answeredBy: "error" },
      { gateway: "retries", fault: "hang", first: 4510, later: 4508, answeredBy: "error" },
      { gateway: "resilient", fault: "hang", first: 403, later: 2.4, answeredBy: "fallback" },
      { gateway: "retries", fault: "refuse", first: 4, later: 3, answeredBy: "error" },
      { gateway: "resilient", fault: "refuse", first: 352, later: 2.2, answeredBy: "fallback" }
    ],
    busy: [{ process: "conductor", loopDelayP99: 12.3 }, { process: "resilient gateway", loopDelayP99: 14 }]
  }
}

const oneCall = (
  gateway: Gateway,
  operation: Operation,
  due: number,
  quick: number,
  next: () => number,
  calls: Array<Call>
): ReadonlyArray<Attempt> => {
  const service = services.find((service) => operationOf[service] === operation) ?? "git"
  const phase = phases.find((phase) => phase.service === service && due >= phase.at && due < phase.until + 400)
  const isDown = phase !== undefined && (due < phase.until || gateway === "resilient")
  const add = (wait: number, status: number | undefined, source: Call["source"], code?: string) =>
    calls.push({
      gateway,
      operation,
      due,
      sent: due + 0.5,
      ended: status === undefined ? undefined : due + wait,
      status,
      code,
      source
    })
  const attempt = (after: number, ok: boolean): Attempt => ({ gateway, service, at: due + after, ok })
  if (!isDown || (phase.fault === "flap" && next() < 0.5)) {
    add(quick, 200, "service")
    return [attempt(0.5, true)]
  }
  const isStuck = phase.fault === "hang" || phase.fault === "slow"
  if (gateway === "plain") {
    add(quick, isStuck ? undefined : 500, undefined)
    return [attempt(0.5, false)]
  }
  if (gateway === "retries") {
    const isLucky = !isStuck && next() < 0.3
    add(3 * quick, isStuck ? undefined : isLucky ? 200 : 500, isLucky ? "service" : undefined)
    return [attempt(0.5, false), attempt(isStuck ? 400 : 10, false), attempt(isStuck ? 800 : 20, isLucky)]
  }
  const isKnown = due > phase.at + 300
  const wait = isKnown ? quick : 350 + 50 * next()
  if (operation === "charge") add(wait, 503, undefined, "circuit_open")
  else add(wait, 200, "fallback")
  if (due >= phase.until + 390) return [attempt(0.5, true)]
  return isKnown ? [] : [attempt(0.5, false), attempt(150, false)]
}
