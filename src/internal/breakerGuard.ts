/** What users hold of a breaker. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import type { Admission, CallOptions, CircuitBreaker, Guard, Settings } from "../CircuitBreaker.ts"
import { dueOf } from "./attempt.ts"
import { Call } from "./breakerCall.ts"
import type { OnlyCell, Place } from "./breakerCell.ts"
import type { Mode, Phase } from "./breakerPhase.ts"
import * as breakerSnapshot from "./breakerSnapshot.ts"
import type { CircuitOpen } from "./circuitOpen.ts"
import { oneOf } from "./options.ts"
import { outcomeTags } from "./outcomeTags.ts"

/** A breaker's guard, over the cell that calls go to. */
export class PlaceGuard implements Guard {
  readonly name: string
  readonly place: Place
  readonly snapshot: Effect.Effect<breakerSnapshot.Snapshot>
  readonly admit: Effect.Effect<Admission, CircuitOpen, Scope.Scope>
  readonly forceOpen: Effect.Effect<void, never, Scope.Scope>
  readonly forceClosed: Effect.Effect<void, never, Scope.Scope>
  readonly disable: Effect.Effect<void, never, Scope.Scope>
  readonly metricsOnly: Effect.Effect<void, never, Scope.Scope>
  readonly reset: Effect.Effect<void>

  constructor(place: Place) {
    this.name = place.shared.name
    this.place = place
    this.snapshot = Effect.clockWith((clock) => Effect.sync(() => breakerSnapshot.read(place.peek(), clock)))
    this.admit = admitTo(place)
    this.forceOpen = held(place, "forcedOpen")
    this.forceClosed = held(place, "forcedClosed")
    this.disable = held(place, "disabled")
    this.metricsOnly = held(place, "metricsOnly")
    this.reset = Effect.sync(() => place.peek().reset())
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ): Effect.Effect<A, E | CircuitOpen, R> => protectAt(this.place, self, options)

  readonly refusal = (clock: Clock.Clock): CircuitOpen | undefined => this.place.peek().refusal({ clock })

  readonly restore = (snapshot: breakerSnapshot.Snapshot): Effect.Effect<void> => {
    const { place } = this
    const checked = breakerSnapshot.checked(place, snapshot)
    return Effect.clockWith((clock) =>
      Effect.sync(() => breakerSnapshot.restore(place.take({ clock }), checked, clock))
    )
  }
}

/** A breaker that has one cell alone. */
export class OnlyGuard extends PlaceGuard implements CircuitBreaker {
  readonly phase: Ref.Ref<Phase>
  private readonly cell: OnlyCell

  constructor(cell: OnlyCell) {
    super(cell)
    this.cell = cell
    this.phase = cell.ref
  }

  get settings(): Settings {
    return this.cell.shared.plan.settings
  }

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.sync(() => {
      const { trip } = this.settings
      this.cell.shared.configure(settings)
      this.cell.refit(trip)
    })
}

/** Runs an effect if the breaker lets it through, and counts its outcome. */
export const protectAt = <A, E, R>(
  place: Place,
  self: Effect.Effect<A, E, R>,
  options: CallOptions<A, E> | undefined
): Effect.Effect<A, E | CircuitOpen, R> => {
  const due = dueOf("CircuitBreaker", options)
  return Effect.withFiber((fiber) => {
    const call = new Call<A, E>(place, fiber, options, due)
    const refusal = call.refusal()
    if (refusal !== undefined) return Effect.fail(refusal)
    // the finalizer is in place before the call is let through, so that no interrupt can fall in between
    return Effect.onExitPrimitive(
      Effect.suspend((): Effect.Effect<A, E | CircuitOpen, R> => {
        const refusal = call.enter()
        return refusal === undefined ? self : Effect.fail(refusal)
      }),
      (exit) => call.leave(exit)
    )
  })
}

const admitTo = (place: Place): Effect.Effect<Admission, CircuitOpen, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.withFiber((fiber) => {
        const call = new Call(place, fiber, undefined, Infinity)
        const refusal = call.enter()
        return refusal === undefined ? Effect.succeed(call) : Effect.fail(refusal)
      }),
      (call, exit) => Effect.sync(() => call.leave(exit))
    ),
    (call) => ({
      record: (outcome) => {
        oneOf("CircuitBreaker", "outcome._tag", outcome?._tag, outcomeTags)
        return Effect.sync(() => call.report(outcome))
      }
    })
  )

const held = (place: Place, mode: Mode): Effect.Effect<void, never, Scope.Scope> =>
  Effect.clockWith((clock) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const cell = place.take({ clock })
        cell.hold(mode, 1, { clock })
        return cell
      }),
      (cell) => Effect.sync(() => cell.hold(mode, -1, { clock }))
    ))
  )
