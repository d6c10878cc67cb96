/** What a drill writes down, and all that is shown of it afterwards. While it runs: Journal.ts. */
export const gateways = ["plain", "retries", "resilient"] as const
export type Gateway = typeof gateways[number]
export const services = ["vectorStore", "fileSystem", "billing", "git"] as const
export type Service = typeof services[number]
export const operations = ["chat", "file", "charge", "snapshot"] as const
export type Operation = typeof operations[number]
export type Fault = "refuse" | "hang" | "slow" | "busy" | "throttle" | "reset" | "malformed" | "flap"

export const eachGateway = <A>(f: (gateway: Gateway) => A): Record<Gateway, A> => ({
  plain: f("plain"),
  retries: f("retries"),
  resilient: f("resilient")
})

export const eachService = <A>(f: (service: Service) => A): Record<Service, A> => ({
  vectorStore: f("vectorStore"),
  fileSystem: f("fileSystem"),
  billing: f("billing"),
  git: f("git")
})

export const eachOperation = <A>(f: (operation: Operation) => A): Record<Operation, A> => ({
  chat: f("chat"),
  file: f("file"),
  charge: f("charge"),
  snapshot: f("snapshot")
})

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

/**
 * Row B11: how long callers of a gateway waited for a chat while the vector store was dead. Milliseconds of the drill:
 * times the factor, they are those of production.
 */
export interface DeadService {
  readonly gateway: Gateway
  /** How it was dead. */
  readonly fault: "hang" | "refuse"
  /** Just after its death. */
  readonly first: number
  /** When breakers, where there are any, had had the time to open. */
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
  readonly attempts: ReadonlyArray<Attempt>
  readonly changes: ReadonlyArray<BreakerChange>
  readonly deadService: ReadonlyArray<DeadService>
  readonly busy: ReadonlyArray<Busy>
  readonly interrupted: boolean
}
