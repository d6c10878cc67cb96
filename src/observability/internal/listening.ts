/** Following the events of a `Resilience` for as long as a scope lasts. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { guarded } from "../../internal/guarded.ts"
import type { Resilience } from "../../Resilience.ts"
import type { ResilienceEvent } from "../../ResilienceEvent.ts"

/**
 * Hands every event on, in order, from the moment that this has returned. What
 * throws for one event is still there for the next.
 */
export const listening = (
  resilience: Resilience["Service"],
  on: (event: ResilienceEvent, clock: Clock.Clock) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Stream.runForEachArray(resilience.events, (events) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        for (const event of events) guarded(() => on(event, clock))
      })
    )).pipe(
      // only a listener that has begun misses nothing of what follows
      Effect.forkScoped({ startImmediately: true }),
      Effect.asVoid
    )
