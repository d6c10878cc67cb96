/**
 * What a breaker remembers of recent calls, for one of its trips. Each window is
 * private to one breaker and mutated in place; recording and summing up cost the
 * same however large it is.
 */
import * as Equal from "effect/Equal"
import type { Settings, TripSettings } from "../CircuitBreaker.ts"
import type { Summary } from "./breakerPhase.ts"
import { RotatingCounts } from "./rotatingCounts.ts"

/** Its summary is that of the last time it was recorded or rotated. */
export interface Window extends Summary {
  /** Adds a call that ended at `now`, in monotonic milliseconds. */
  record(against: boolean, now: number): void
  /** Forgets what is too old at `now`. */
  rotate(now: number): void
  clear(): void
}

/**
 * Remembers the failures since the last success: none of them where the last one
 * is `forgetAfter` milliseconds old.
 */
export class Streak implements Window {
  calls = 0
  private last = 0
  private readonly forgetAfter: number | undefined

  constructor(forgetAfter?: number) {
    this.forgetAfter = forgetAfter
  }

  get against(): number {
    return this.calls
  }

  record(against: boolean, now: number): void {
    if (!against) return this.clear()
    this.rotate(now)
    this.calls++
    this.last = now
  }

  rotate(now: number): void {
    if (this.forgetAfter !== undefined && now - this.last >= this.forgetAfter) this.clear()
  }

  clear(): void {
    this.calls = 0
  }
}

/** Remembers the last `size` calls in a ring, a bit for each. */
export class LastCalls implements Window {
  calls = 0
  against = 0
  private next = 0
  private readonly size: number
  // 32 bits to a number: up to some hundred calls it takes less memory than a typed array
  private readonly words: Array<number>

  constructor(size: number) {
    this.size = size
    this.words = Array.from({ length: Math.ceil(size / 32) }, () => 0)
  }

  record(against: boolean): void {
    const at = this.next >>> 5
    const bit = 1 << (this.next & 31)
    const word = this.words[at] ?? 0
    if (this.calls < this.size) this.calls++
    else if ((word & bit) !== 0) this.against--
    this.words[at] = against ? word | bit : word & ~bit
    if (against) this.against++
    this.next = this.next + 1 === this.size ? 0 : this.next + 1
  }

  rotate(): void {}

  clear(): void {
    // what is left in the ring is not read before it has been written again
    this.next = this.calls = this.against = 0
  }
}

/** Remembers the calls of the last `duration` milliseconds, in `buckets` equal parts: all, and those against. */
export class LastMillis extends RotatingCounts implements Window {
  get calls(): number {
    return this.first
  }

  get against(): number {
    return this.second
  }

  record(against: boolean, now: number): void {
    this.add(1, against ? 1 : 0, now)
  }
}

const make = (trip: TripSettings): Window => {
  if (trip.kind === "consecutive") return new Streak(trip.forgetAfter)
  const { window } = trip
  return window.kind === "calls" ? new LastCalls(window.size) : new LastMillis(window.duration, window.buckets)
}

/** An empty window for each trip. */
export const makeAll = (trips: Settings["trip"]): ReadonlyArray<Window> => trips.map(make)

/** Whether the windows of these trips hold the same. */
const holdSame = (a: TripSettings, b: TripSettings): boolean => {
  if (a.kind === "consecutive") return b.kind === "consecutive" && a.forgetAfter === b.forgetAfter
  if (b.kind === "consecutive" || !Equal.equals(a.window, b.window)) return false
  const slowerThan = a.kind === "slow" ? a.slowerThan : undefined
  return slowerThan === (b.kind === "slow" ? b.slowerThan : undefined)
}

/** The windows for other trips: those that are the same keep what they hold, the others are empty. */
export const refit = (
  windows: ReadonlyArray<Window>,
  had: Settings["trip"],
  wants: Settings["trip"]
): ReadonlyArray<Window> => {
  const left = new Set(windows)
  return wants.map((trip) => {
    const kept = windows.find((window, n) => {
      const before = had[n]
      return left.has(window) && before !== undefined && holdSame(before, trip)
    })
    if (kept === undefined) return make(trip)
    left.delete(kept)
    return kept
  })
}
