/** What a drill writes down, and all that is shown of it afterwards. While it runs: Progress.ts. */
export const gateways = ["plain", "retries", "resilient"] as const
export type Gateway = typeof gateways[number]
export const services = ["vectorStore", "fileSystem", "billing", "git"] as const
export type Service = typeof services[number]
export const operations = ["chat", "file", "charge", "snapshot"] as const
export type Operation = typeof operations[number]
export type Fault = "refuse" | "hang" | "slow" | "busy" | "throttle" | "reset" | "malformed" | "flap"

/** All times: milliseconds since the start of the traffic. */
export interface Phase {
  readonly service: Service
  readonly at: number
  readonly until: number
  readonly fault: Fault
}

export interface Call {
  readonly gateway: Gateway
  readonly operation: Operation
  readonly due: number
  readonly sent: number
  /** undefined: nobody has answered in time */
  readonly ended: number | undefined
  readonly status: number | undefined
  /** the stable code of a problem body, if the answer was one */
  readonly code: string | undefined
  /** where the answer came from */
  readonly source: "service" | "fallback" | undefined
}

/** A request that reached a back end (or tried to connect: a refused connection is seen by the gateway only). */
export interface Arrival {
  readonly gateway: Gateway
  readonly service: Service
  readonly at: number
  readonly fault: Fault | undefined
}

export interface BreakerChange {
  readonly gateway: Gateway
  readonly service: Service
  readonly at: number
  readonly state: "Closed" | "Open" | "HalfOpen"
}

/** An attempt, as the gateway made it, refused connections included. */
export interface Attempt {
  readonly gateway: Gateway
  readonly service: Service
  readonly at: number
  readonly ok: boolean
}

export interface Busy {
  readonly process: string
  readonly loopDelayP99: number
}

/** Row B11: one call to a dead service, undivided factor applied: how long until the caller had an answer. */
export interface DeadService {
  readonly gateway: Gateway
  readonly first: number
  readonly later: number
  readonly answeredBy: "error" | "fallback"
}

export interface Recording {
  readonly scenario: string
  readonly seconds: number
  readonly rate: number
  readonly seed: number
  readonly factor: number
  readonly deadlines: Readonly<Record<Operation, number>>
  readonly phases: ReadonlyArray<Phase>
  readonly calls: ReadonlyArray<Call>
  readonly arrivals: ReadonlyArray<Arrival>
  readonly attempts: ReadonlyArray<Attempt>
  readonly changes: ReadonlyArray<BreakerChange>
  readonly deadService: ReadonlyArray<DeadService>
  readonly busy: ReadonlyArray<Busy>
  readonly interrupted: boolean
}
