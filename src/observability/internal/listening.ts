/** Taking note of the events of a `Resilience` for as long as a scope lasts. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Resilience } from "../../Resilience.ts"
import type { Kind, OfKind } from "../../ResilienceEvent.ts"

/**
 * Hands on every event of these kinds, in order, from the moment that this has
 * returned: within the call that it tells of, so it must be short. What throws for
 * one event is still there for the next.
 */
export const listening = <const K extends Kind>(
  resilience: Resilience["Service"],
  kinds: ReadonlyArray<K>,
  on: (event: OfKind<K>, clock: Clock.Clock) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Clock.Clock, (clock) => resilience.listen(kinds, (event) => on(event, clock)))
