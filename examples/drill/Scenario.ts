/**
 * The scripts: which service has which fault, and when, as data. Everything is
 * a share of the run's length, so that a longer drill is the same drill in slow motion.
 */
import type { Fault, Phase, Service } from "./Recording.ts"

/** The shortest and the longest drill, in seconds. */
export const shortest = 12
export const longest = 600

/** A stretch of time, in shares of the run's length, in which a service has a fault. */
interface Share {
  readonly service: Service
  readonly from: number
  readonly to: number
  readonly fault: Fault
}

const share = (service: Service, from: number, to: number, fault: Fault): Share => ({ service, from, to, fault })

/**
 * Breakers stay open for up to 14 % of the run (vector store, file system), 7 %
 * (billing) and 20 % (git): a service has as much time and more to be found well
 * before its next fault.
 */
const scripts = {
  /** Every fault on some service. Twice, two services are down at once. */
  tour: [
    // the longest: row B11 is measured in it
    share("vectorStore", 0.06, 0.36, "hang"),
    share("fileSystem", 0.16, 0.3, "slow"),
    share("git", 0.38, 0.56, "refuse"),
    share("billing", 0.4, 0.54, "busy"),
    share("vectorStore", 0.56, 0.64, "reset"),
    share("fileSystem", 0.6, 0.76, "flap"),
    share("billing", 0.66, 0.76, "throttle"),
    share("vectorStore", 0.8, 0.87, "malformed")
  ],
  /** Services that are gone: one swallows every request, others refuse connections. */
  dead: [
    share("vectorStore", 0.06, 0.4, "hang"),
    share("billing", 0.3, 0.5, "refuse"),
    share("fileSystem", 0.55, 0.8, "refuse")
  ],
  /** Services that still answer, but later than anybody waits. */
  slow: [
    share("vectorStore", 0.08, 0.3, "slow"),
    share("fileSystem", 0.24, 0.46, "slow"),
    share("billing", 0.5, 0.65, "slow"),
    share("git", 0.6, 0.8, "slow")
  ],
  /** Services that come and go. */
  flapping: [
    share("vectorStore", 0.08, 0.34, "flap"),
    share("billing", 0.3, 0.55, "flap"),
    share("fileSystem", 0.55, 0.84, "flap")
  ],
  /** Services that ask for less: 503 and 429 with Retry-After. */
  overload: [
    share("vectorStore", 0.08, 0.28, "busy"),
    share("billing", 0.2, 0.36, "throttle"),
    share("fileSystem", 0.42, 0.6, "busy"),
    share("billing", 0.54, 0.7, "busy"),
    share("git", 0.66, 0.82, "busy")
  ],
  /** Services that take requests, and break off or garble the answers. */
  partial: [
    share("vectorStore", 0.08, 0.28, "malformed"),
    share("fileSystem", 0.24, 0.42, "reset"),
    share("billing", 0.5, 0.64, "malformed"),
    share("git", 0.6, 0.78, "reset")
  ]
} satisfies Record<string, ReadonlyArray<Share>>

export type Name = keyof typeof scripts

export const isName = (name: string): name is Name => Object.hasOwn(scripts, name)

/** The names of all scripts, the default one first. */
export const names: ReadonlyArray<string> = Object.keys(scripts)

/** The phases of a script, in milliseconds, in the order in which they begin. */
export const phases = (name: Name, seconds: number): ReadonlyArray<Phase> =>
  scripts[name]
    .map(({ fault, from, service, to }) => ({
      service,
      at: Math.round(from * seconds * 1000),
      until: Math.round(to * seconds * 1000),
      fault
    }))
    .toSorted((a, b) => a.at - b.at)

/**
 * By what the times of the application (deadlines, timeouts, pauses, open times)
 * are divided, so that openings and recoveries fit into the run. More than 25
 * would leave deadlines too short to tell a miss from a hiccup of the machine.
 */
export const factor = (seconds: number): number => Math.max(1, Math.min(25, 440 / seconds))

/** The fewest calls a second at which enough of them meet each fault for a breaker to notice it. */
export const leastRate = (seconds: number): number => Math.max(1, Math.ceil(960 / seconds))
