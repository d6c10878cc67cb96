/** Where the entries of a cache are: in memory, or in a store outside. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { hasProperty } from "effect/Predicate"
import type { Store, StoredEntry } from "../CacheFallback.ts"
import { monotonicMillis, sleepUntil } from "./time.ts"

/** A value as text, and when it came, in monotonic milliseconds. */
export interface Held {
  readonly text: string
  readonly at: number
}

/** None of it fails, and none of it takes long. */
export interface Shelf {
  /** To be run at once. */
  readonly get: (key: string) => Effect.Effect<Held | undefined>
  /** Keeps a value that has come now, for at least `millis`, unless it has become unwanted by then. */
  readonly set: (key: string, text: string, millis: number, isWanted: () => boolean) => Effect.Effect<void>
  readonly remove: (key: string) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
  /** How many it holds, where that is known. */
  readonly size: number | undefined
  readonly evictions: number
  /** Reads and writes that came to nothing. */
  readonly failures: number
  /** The most entries, and the most milliseconds to wait for a store outside. */
  bound(capacity: number, timeout: number): void
}

/** In memory; what was used the longest time ago makes room. */
export class Memory implements Shelf {
  evictions = 0
  readonly failures = 0
  private capacity: number
  // in the order of their last use
  private readonly entries = new Map<string, Held>()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.entries.size
  }

  bound(capacity: number): void {
    this.capacity = capacity
    this.makeRoom()
  }

  readonly get = (key: string): Effect.Effect<Held | undefined> => {
    const held = this.entries.get(key)
    if (held !== undefined) {
      this.entries.delete(key)
      this.entries.set(key, held)
    }
    return Exit.succeed(held)
  }

  readonly set = (key: string, text: string, _millis: number, isWanted: () => boolean): Effect.Effect<void> =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        if (!isWanted()) return
        this.entries.delete(key)
        this.entries.set(key, { text, at: monotonicMillis(clock) })
        this.makeRoom()
      })
    )

  readonly remove = (key: string): Effect.Effect<void> =>
    Effect.sync(() => {
      this.entries.delete(key)
    })

  readonly clear: Effect.Effect<void> = Effect.sync(() => this.entries.clear())

  private makeRoom(): void {
    for (const key of this.entries.keys()) {
      if (this.entries.size <= this.capacity) return
      this.entries.delete(key)
      this.evictions++
    }
  }
}

/**
 * A store outside, which may fail, hang, or hold anything.
 *
 * Its operations run in fibers of their own, so that one that cannot be
 * interrupted holds nobody up. While one that is over its time has not ended,
 * no other is begun: a hanging store costs its timeout once, and not once a call.
 */
export class Outside implements Shelf {
  readonly size = undefined
  readonly evictions = 0
  failures = 0
  private hanging = 0
  private timeout: number
  private readonly store: Store

  constructor(store: Store, timeout: number) {
    this.store = store
    this.timeout = timeout
  }

  bound(_capacity: number, timeout: number): void {
    this.timeout = timeout
  }

  readonly get = (key: string): Effect.Effect<Held | undefined> =>
    Effect.flatMap(this.attempt(() => this.store.get(key)), (entry) =>
      Effect.clockWith((clock) => {
        if (!isStored(entry)) return Effect.undefined
        // a wall clock may have been set, and that of another machine may be ahead
        const age = Math.max(0, clock.currentTimeMillisUnsafe() - entry.at)
        return Effect.succeed({ text: entry.text, at: monotonicMillis(clock) - age })
      }))

  readonly set = (key: string, text: string, millis: number, isWanted: () => boolean): Effect.Effect<void> =>
    Effect.clockWith((clock) => {
      if (!isWanted()) return Effect.void
      const entry: StoredEntry = { text, at: clock.currentTimeMillisUnsafe() }
      return Effect.flatMap(
        this.attempt(() => this.store.set(key, entry, Duration.millis(Math.ceil(millis)))),
        // it may have been dropped on its way, and before it arrived
        () => (isWanted() ? Effect.void : this.remove(key))
      )
    })

  readonly remove = (key: string): Effect.Effect<void> => Effect.asVoid(this.attempt(() => this.store.remove(key)))

  readonly clear: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(this.attempt(() => this.store.clear)))

  /** What an operation answers with; `undefined` where it fails or is over its time. */
  private attempt<A>(operation: () => Effect.Effect<A, unknown>): Effect.Effect<A | undefined> {
    return Effect.withFiber((fiber) => {
      if (this.hanging > 0) {
        this.failures++
        return Effect.undefined
      }
      const running = Effect.runForkWith(fiber.context)(Effect.suspend(operation))
      return Effect.map(this.ended(running, fiber), (exit) => {
        if (exit?._tag === "Success") return exit.value
        this.failures++
        return undefined
      })
    })
  }

  /** How an operation ends; `undefined` where it is over its time. */
  private ended<A>(
    running: Fiber.Fiber<A, unknown>,
    caller: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<Exit.Exit<A, unknown> | undefined> {
    const exit = running.pollUnsafe()
    if (exit !== undefined) return Effect.succeed(exit)
    const clock = caller.getRef(Clock.Clock)
    const isOver = Effect.map(sleepUntil(clock, monotonicMillis(clock) + this.timeout), () => {
      running.interruptUnsafe(caller.id)
      if (running.pollUnsafe() === undefined) {
        this.hanging++
        running.addObserver(() => this.hanging--)
      }
      return undefined
    })
    return Effect.onInterrupt(
      Effect.raceFirst(Fiber.await(running), isOver),
      () => Effect.sync(() => running.interruptUnsafe(caller.id))
    )
  }
}

const isStored = (entry: unknown): entry is StoredEntry =>
  hasProperty(entry, "text") && typeof entry.text === "string" &&
  hasProperty(entry, "at") && typeof entry.at === "number" && Number.isFinite(entry.at)
