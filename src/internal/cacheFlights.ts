/**
 * One run of the work per key, shared by everybody who asks for the key
 * meanwhile.
 *
 * Invariants: the work runs in a fiber of its own, so that no caller's
 * interruption ends it for the others; a flight without anybody who waits is in
 * the background, or is being interrupted and can no longer be joined; who
 * leaves last has waited for its finalizers.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Current as CurrentReplay } from "./replay.ts"
import { Current as CurrentLimit } from "./timeLimit.ts"

/** What work may look at of the flight that it belongs to. */
export interface Course {
  /** Whether what it brings is out of date, because its key was dropped meanwhile. */
  readonly isObsolete: boolean
  /** Whether it goes on with nobody waiting. */
  readonly isBackground: boolean
  /** The flight whose work has asked for this one. */
  readonly within: Course | undefined
}

class Flight<T> implements Course {
  waiters = 0
  isObsolete = false
  isBackground: boolean
  readonly landed = Deferred.makeUnsafe<T>()
  readonly within: Course | undefined
  fiber: Fiber.Fiber<T> | undefined

  constructor(isBackground: boolean, within: Course | undefined) {
    this.isBackground = isBackground
    this.within = within
  }
}

/** The flight that the running work belongs to. */
const Within = Context.Reference<Course | undefined>("effect-resilience/CacheFallback/Within", {
  defaultValue: () => undefined
})

type Work<T, R> = (course: Course) => Effect.Effect<T, never, R>

export class Flights<T> {
  /** Those that can be joined. One that is not among them belongs to those who wait for it. */
  private readonly flights = new Map<string, Flight<T>>()

  get size(): number {
    return this.flights.size
  }

  /** Waits for the flight of this key, and starts it where there is none. */
  join<R>(key: string, work: Work<T, R>): Effect.Effect<T, never, R> {
    return Effect.withFiber<T, never, R>((fiber) => {
      let joined: Flight<T> | undefined
      // the finalizer is in place before the flight is joined, so that no interrupt can fall in between
      const wait = Effect.suspend((): Effect.Effect<T, never, R> => {
        const existing = this.flights.get(key)
        // work that asks for its own key would wait for itself
        if (existing !== undefined && isWithin(existing, fiber)) return work(existing)
        joined = existing ?? this.create(key, fiber, false)
        joined.waiters++
        if (existing === undefined) this.launch(key, fiber, joined, work)
        return Deferred.await(joined.landed)
      })
      return Effect.onExitPrimitive(wait, () => (joined === undefined ? undefined : this.leave(key, joined)))
    })
  }

  /** Starts the flight of this key in the background, unless it is under way. */
  start<R>(key: string, fiber: Fiber.Fiber<unknown, unknown>, work: Work<T, R>): void {
    if (!this.flights.has(key)) this.launch(key, fiber, this.create(key, fiber, true), work)
  }

  private create(key: string, fiber: Fiber.Fiber<unknown, unknown>, isBackground: boolean): Flight<T> {
    const flight = new Flight<T>(isBackground, fiber.getRef(Within))
    this.flights.set(key, flight)
    return flight
  }

  private launch<R>(key: string, fiber: Fiber.Fiber<unknown, unknown>, flight: Flight<T>, work: Work<T, R>): void {
    // one caller's deadline, and what it may not repeat, are no concern of the others; and the caller runs an effect
    // that needs R, so that its context has it
    const context = fiber.context.pipe(
      Context.add(CurrentLimit, undefined),
      Context.add(CurrentReplay, undefined),
      Context.add(Within, flight)
    ) as Context.Context<R>
    flight.fiber = Effect.runForkWith(context)(Effect.suspend(() => work(flight)))
    flight.fiber.addObserver((exit) => {
      this.forget(key, flight)
      Deferred.doneUnsafe(flight.landed, exit)
    })
    // it may have been given up by its own first steps
    if (flight.waiters === 0 && !flight.isBackground) flight.fiber.interruptUnsafe(fiber.id)
  }

  private leave(key: string, flight: Flight<T>): Effect.Effect<void> | undefined {
    flight.waiters--
    return flight.waiters > 0 || flight.isBackground || flight.fiber?.pollUnsafe() !== undefined
      ? undefined
      : this.abandon(key, flight)
  }

  private abandon(key: string, flight: Flight<T>): Effect.Effect<void> | undefined {
    flight.isObsolete = true
    this.forget(key, flight)
    return flight.fiber === undefined ? undefined : Fiber.interrupt(flight.fiber)
  }

  private forget(key: string, flight: Flight<T>): void {
    if (this.flights.get(key) === flight) this.flights.delete(key)
  }

  /** Ends a flight that nobody waits for; any other belongs to those who do from now on. */
  private release(key: string, flight: Flight<T>): Effect.Effect<void> {
    flight.isBackground = false
    return (flight.waiters === 0 ? this.abandon(key, flight) : undefined) ?? Effect.void
  }

  readonly releaseAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.flights], ([key, flight]) => this.release(key, flight), all)
  )

  /** Who asks for this key from now on starts another flight; what the one under way brings is for its waiters alone. */
  outdate(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const flight = this.flights.get(key)
      if (flight === undefined) return Effect.void
      flight.isObsolete = true
      this.forget(key, flight)
      return this.release(key, flight)
    })
  }

  readonly outdateAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.flights.keys()], (key) => this.outdate(key), all)
  )
}

const all = { concurrency: "unbounded", discard: true } as const

const isWithin = (flight: Course, fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  for (let within = fiber.getRef(Within); within !== undefined; within = within.within) {
    if (within === flight) return true
  }
  return false
}
