/** What gateways, services and faults are called where people read of them. */
import type { Fault, Gateway, Operation, Service } from "./Recording.ts"

export const gatewayNames: Readonly<Record<Gateway, string>> = {
  plain: "plain client",
  retries: "retries only",
  resilient: "effect-resilience"
}

export const serviceNames: Readonly<Record<Service, string>> = {
  vectorStore: "vector store",
  fileSystem: "file system",
  billing: "billing",
  git: "git"
}

/** The operation that stands or falls with a service. */
export const operationOf: Readonly<Record<Service, Operation>> = {
  vectorStore: "chat",
  fileSystem: "file",
  billing: "charge",
  git: "snapshot"
}

/** What a service does when it has the fault, as the end of a sentence that begins with its name. */
export const faultNames: Readonly<Record<Fault, string>> = {
  refuse: "refuses connections",
  hang: "hangs",
  slow: "is slow",
  busy: "answers 503",
  throttle: "answers 429",
  reset: "resets connections",
  malformed: "sends broken JSON",
  flap: "flaps"
}

/** The same in a word, where there is no room. */
export const shortFaultNames: Readonly<Record<Fault, string>> = {
  refuse: "refuses",
  hang: "hangs",
  slow: "slow",
  busy: "503",
  throttle: "429",
  reset: "resets",
  malformed: "bad JSON",
  flap: "flaps"
}
