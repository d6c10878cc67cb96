/**
 * What one dead service costs one caller: how long he waits for an answer, if he has the patience. The traffic's callers
 * have not: they are gone at their deadline.
 */
import { Effect } from "effect"
import type { DeadService, Gateway, Phase } from "./Recording.ts"
import type { Answer, User } from "./Traffic.ts"

/** Seconds, undivided: the first caller comes when the service has just died. */
const firstAfter = 1

/** Seconds, undivided: the second comes when breakers, where there are any, have had the time to open. */
const laterAfter = 32

/** Seconds, undivided: three attempts of 30 s each, and a rest. */
const longest = 96

/** The phase to measure in: the first in which the service behind the chat hangs long enough. */
export const phaseFor = (phases: ReadonlyArray<Phase>, factor: number): Phase | undefined =>
  phases.find(({ at, fault, service, until }) =>
    service === "vectorStore" && fault === "hang" && until - at >= (laterAfter + longest) * 1000 / factor
  )

interface Asked extends Answer {
  readonly waited: number
}

const ask = Effect.fnUntraced(function*(user: User, now: () => number) {
  const sent = now()
  const answer = yield* user.ask("chat", 0)
  return { ...answer, waited: now() - sent } satisfies Asked
})

const row = (
  gateway: Gateway,
  fault: DeadService["fault"],
  first: Asked,
  later: Asked
): DeadService | undefined =>
  // without a status there was no answer
  first.status === undefined || later.status === undefined ? undefined : {
    gateway,
    fault,
    first: first.waited,
    later: later.waited,
    answeredBy: later.source === undefined ? "error" : "fallback"
  }

/**
 * The service hangs: it does so for all callers of the drill, and two more ask. Whoever has no answer when it is well
 * again is not heard of.
 */
export const hanging = Effect.fnUntraced(function*(options: {
  readonly phase: Phase
  readonly factor: number
  readonly gateway: Gateway
  readonly user: User
  readonly now: () => number
}) {
  const { factor, gateway, now, phase, user } = options
  const askAt = (after: number) =>
    Effect.andThen(Effect.sleep(Math.max(0, phase.at + after * 1000 / factor - now())), ask(user, now))
  return yield* Effect.all([askAt(firstAfter), askAt(laterAfter)], { concurrency: "unbounded" }).pipe(
    Effect.map(([first, later]) => row(gateway, "hang", first, later)),
    Effect.timeoutOrElse({
      duration: Math.max(0, phase.until - now()),
      orElse: () => Effect.succeed(undefined)
    })
  )
})

/** How many come between the first caller and the later one: enough failures for a breaker to open. */
const others = 5

/**
 * The service refuses connections. A gateway that is in use learns of that from all of its callers within moments, so
 * this asks one that has no other callers (see GatewayProcess.ts): there each caller pays for himself.
 */
export const refusing = Effect.fnUntraced(function*(options: {
  readonly gateway: Gateway
  readonly user: User
  readonly now: () => number
}) {
  const { gateway, now, user } = options
  const first = yield* ask(user, now)
  yield* Effect.all(Array.from({ length: others }, () => ask(user, now)), { concurrency: "unbounded" })
  return row(gateway, "refuse", first, yield* ask(user, now))
})
