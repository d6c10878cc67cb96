/**
 * What the processes of a drill say to each other, over the channel that `fork` makes.
 *
 * The conductor (main.ts) forks, for each of the three gateways, first the
 * process of its back ends and then the gateway itself:
 *
 *     fork("BackEndsProcess.ts", [], { env: { ...env, DRILL_GATEWAY, DRILL_FACTOR, INTERNAL_TOKEN, DRILL_DASHBOARD } })
 *     fork("GatewayProcess.ts", [], { env: { ...env, the same four, CHROMA_SERVER_URL and its like } })
 *
 * Each listens on free ports of 127.0.0.1, then says `Ready`. A child ends by
 * itself, at once and without a word, when the channel disconnects: that is how
 * no process outlives the conductor, however it died (Child.ts). A child ignores SIGINT
 * and SIGTERM of the terminal: the conductor ends it by disconnecting.
 *
 * Times in messages: milliseconds since 1970 by Effect's Clock (the processes
 * share a machine, and so its clock). The conductor turns them into those of a
 * Recording.
 */
import type { Attempt, BreakerChange, Fault, Gateway, Service } from "./Recording.ts"

/** The entry of the process of one gateway's four back ends, in this folder. */
export const backEndsEntry = "BackEndsProcess.ts"

/** The entry of a gateway's process, in this folder. */
export const gatewayEntry = "GatewayProcess.ts"

/** The environment of a child, besides that of the conductor. A gateway gets the urls and B2's settings too. */
export interface ChildEnvironment {
  readonly DRILL_GATEWAY: Gateway
  /** By what all times of the application are divided. */
  readonly DRILL_FACTOR: string
  readonly INTERNAL_TOKEN: string
  /** The port on which a gateway shows its dashboard, 0 for one that is free. `none`: it shows none. */
  readonly DRILL_DASHBOARD: string
}

/** Where a gateway finds each service. */
export const urlVariables = {
  vectorStore: "CHROMA_SERVER_URL",
  fileSystem: "FILESYSTEM_SERVER_URL",
  billing: "BILLING_SERVER_URL",
  git: "GIT_SERVER_URL"
} as const satisfies Record<Service, string>

/** From the conductor to a child. */
export type Command =
  /** Back ends only. From now on the service has that fault; undefined: it is well again. */
  | { readonly _tag: "Become"; readonly service: Service; readonly fault: Fault | undefined }
  /** The traffic starts: measure the delay of the event loop from here on, what was before does not count. */
  | { readonly _tag: "Started" }
  /** The traffic has ended: send what is still held back, and then `Busy`. Ends with the channel. */
  | { readonly _tag: "Stopped" }

/** A gateway's record, as it knows it: which gateway that is, the conductor adds. */
type Own<Record> = Omit<Record, "gateway">

/** From a child to the conductor. */
export type Notice =
  /** It listens. For back ends one url for each service. */
  | { readonly _tag: "BackEndsReady"; readonly urls: Readonly<Record<Service, string>> }
  /**
   * `lonelyUrl`: the same gateway once more, without other callers, and in front of services that refuse connections.
   * `dashboardUrl`: the page that shows how it sees its services, where there is one.
   */
  | {
    readonly _tag: "GatewayReady"
    readonly url: string
    readonly lonelyUrl: string
    readonly dashboardUrl: string | undefined
  }
  /** Any number at once: collect for a moment. */
  | { readonly _tag: "Attempts"; readonly attempts: ReadonlyArray<Own<Attempt>> }
  | { readonly _tag: "Changes"; readonly changes: ReadonlyArray<Own<BreakerChange>> }
  /** Milliseconds: p99 of the delay of the event loop (LoopDelay.ts) since `Started`. */
  | { readonly _tag: "Busy"; readonly loopDelayP99: number }
  /** It could not start, in words for the one who runs the drill; the child exits by itself after it. */
  | { readonly _tag: "Failed"; readonly message: string }
