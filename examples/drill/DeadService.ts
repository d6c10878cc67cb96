/**
 * What one dead service costs one caller: how long he waits for an answer, if he
 * has the patience. The traffic's callers have not: they are gone at their deadline.
 */
import { Effect } from "effect"
import type { DeadService, Gateway, Phase } from "./Recording.ts"
import type { User } from "./Traffic.ts"

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

/** Asks a gateway twice while the service is dead. Whoever has no answer when it is well again is not heard of. */
export const measure = Effect.fnUntraced(function*(options: {
  readonly phase: Phase
  readonly factor: number
  readonly gateway: Gateway
  readonly user: User
  readonly now: () => number
}) {
  const { factor, gateway, now, phase, user } = options
  const ask = Effect.fnUntraced(function*(after: number) {
    yield* Effect.sleep(Math.max(0, phase.at + after * 1000 / factor - now()))
    const sent = now()
    const { source, status } = yield* user.ask("chat", 0)
    return { waited: now() - sent, source, status }
  })
  const [first, later] = yield* Effect.all([ask(firstAfter), ask(laterAfter)], { concurrency: "unbounded" }).pipe(
    Effect.timeoutOrElse({
      duration: Math.max(0, phase.until - now()),
      orElse: () => Effect.succeed([undefined, undefined] as const)
    })
  )
  if (first?.status === undefined || later?.status === undefined) return undefined
  const answeredBy = first.source === undefined ? "error" : "fallback"
  return { gateway, first: first.waited, later: later.waited, answeredBy } satisfies DeadService
})
