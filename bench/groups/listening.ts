/** What a call of the five costs besides where somebody listens to events. */
import { Resilience, type ResilienceEvent } from "effect-resilience"
import { Metrics, Recoveries } from "effect-resilience/observability"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { answers, suspends } from "../check.ts"
import { bareEffect, immediate, measured } from "../subject.ts"
import { ourFive } from "./five.ts"
import { type Group, prepare } from "./group.ts"

const told = (...kinds: ReadonlyArray<ResilienceEvent.Kind>) =>
  Layer.effectDiscard(Effect.flatMap(Resilience.Resilience, ({ listen }) => listen(kinds, () => {})))

const read = (...kinds: ReadonlyArray<ResilienceEvent.Kind>) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { events } = yield* (yield* Resilience.Resilience).subscribe(kinds)
    yield* Effect.forkScoped(Stream.runDrain(events), { startImmediately: true })
  }))

const subjects = [
  ourFive("nobody listens", Layer.empty),
  ourFive("to breakers", told("CircuitOpened", "CircuitHalfOpened", "CircuitClosed")),
  ourFive("to what goes wrong in calls", told("Retrying", "RetriesExhausted", "Refused", "TimedOut")),
  ourFive("to ends of calls", told("CallEnded")),
  ourFive("to ends of attempts", told("Attempted")),
  ourFive("a stream of ends of calls", read("CallEnded")),
  ourFive("Metrics", Metrics.layer()),
  ourFive("Metrics and Recoveries", Layer.merge(Metrics.layer(), Recoveries.layer))
]

export const listening: Group = {
  name: "listening",
  title: "the same five where somebody listens to what happens",
  cases: () => {
    suspends(immediate, false)
    return prepare([bareEffect, ...subjects], async (subject) => {
      const call = await subject.protect(immediate, measured)
      await answers(subject, call)
      return { loop: call.loop, checkAgain: () => answers(subject, call) }
    })
  }
}
