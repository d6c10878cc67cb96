/**
 * Who listens to which kinds of events. An event is made where somebody wants its
 * kind, and not otherwise.
 */
import * as Clock from "effect/Clock"
import * as Fiber from "effect/Fiber"
import type { Kind, OfKind, ResilienceEvent } from "../ResilienceEvent.ts"
import { Current, CurrentRequestId, type Running, unheard } from "./call.ts"

/** All kinds, and whether events of that kind are of a call, whose number they share. */
const isOfCall: { readonly [K in Kind]: boolean } = {
  CallEnded: true,
  Attempted: true,
  Retrying: true,
  RetryDeclined: true,
  RetriesExhausted: true,
  Hedged: true,
  HedgeWon: true,
  Refused: true,
  TimedOut: true,
  FellBack: true,
  CacheHit: true,
  CacheRefreshFailed: true,
  ChaosInjected: true,
  CircuitOpened: false,
  CircuitHalfOpened: false,
  CircuitClosed: false,
  CircuitForced: false,
  CircuitReleased: false,
  CircuitReset: false,
  CircuitRestored: false,
  CircuitThresholdPassed: false,
  Reconfigured: false
}

// its keys are the kinds, as its type says
export const kinds = Object.keys(isOfCall) as ReadonlyArray<Kind>

type Listener = (event: ResilienceEvent) => void

export class Listeners {
  /** Whether somebody wants to know how attempts end, or anything at all about calls. */
  attempts = false
  private calls = false
  /** What those have lost, in all, who read at their own pace. */
  lost = 0
  private readonly byKind = new Map<Kind, ReadonlyArray<Listener>>()
  private lastCall = 0

  /** What is returned ends it. */
  add<K extends Kind>(wanted: ReadonlyArray<K>, on: (event: OfKind<K>) => void): () => void {
    const own = new Set<Kind>(wanted)
    // it is only called with events of these kinds; as an object of its own, it can be told from others
    const listener: Listener = (event) => on(event as OfKind<K>)
    for (const kind of own) this.byKind.set(kind, [...this.byKind.get(kind) ?? [], listener])
    this.changed()
    return () => {
      for (const kind of own) {
        const left = this.byKind.get(kind)?.filter((other) => other !== listener) ?? []
        if (left.length > 0) this.byKind.set(kind, left)
        else this.byKind.delete(kind)
      }
      this.changed()
    }
  }

  private changed(): void {
    this.attempts = this.byKind.has("Attempted")
    this.calls = [...this.byKind.keys()].some((kind) => isOfCall[kind])
  }

  /** A call begins. */
  begin(): Running {
    return this.calls ? { id: ++this.lastCall, isWatched: this.byKind.has("CallEnded"), attempts: 0 } : unheard
  }

  tell<K extends Kind>(
    kind: K,
    event: (at: number, call: number) => OfKind<NoInfer<K>>,
    by: Fiber.Fiber<unknown, unknown> | undefined = Fiber.getCurrent(),
    call: Running | undefined = by?.getRef(Current)
  ): void {
    const listeners = this.byKind.get(kind)
    if (listeners === undefined || by === undefined || call === undefined) return
    const made: ResilienceEvent = event(by.getRef(Clock.Clock).currentTimeMillisUnsafe(), call.id)
    const requestId = by.getRef(CurrentRequestId)
    const told = requestId !== undefined && isOfCall[kind] ? { ...made, requestId } : made
    for (const listener of listeners) {
      try {
        listener(told)
      } catch {
        // it harms itself alone
      }
    }
  }
}
