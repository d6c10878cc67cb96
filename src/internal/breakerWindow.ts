/**
 * What a closed breaker remembers of recent calls. Each window is private to one
 * breaker and mutated in place; recording and summing up cost the same however
 * large it is.
 */
import { RotatingCounts } from "./rotatingCounts.ts"

/** The calls a trip decides on. */
export interface Summary {
  /** Calls in the window. */
  readonly calls: number
  /** Failures among them. */
  readonly failures: number
}

export interface Window {
  /** Adds a call that ended at `now`, in monotonic milliseconds. */
  readonly record: (failed: boolean, now: number) => void
  readonly summary: (now: number) => Summary
  readonly clear: () => void
}

/** Remembers the failures since the last success. */
export const streak = (): Window => {
  let length = 0
  return {
    record(failed) {
      length = failed ? length + 1 : 0
    },
    summary: () => ({ calls: length, failures: length }),
    clear() {
      length = 0
    }
  }
}

/** Remembers the last `size` calls in a ring. */
export const lastCalls = (size: number): Window => {
  const ring = new Uint8Array(size)
  let next = 0
  let calls = 0
  let failures = 0
  return {
    record(failed) {
      if (calls === size) failures -= ring[next] ?? 0
      else calls++
      ring[next] = failed ? 1 : 0
      if (failed) failures++
      next = next + 1 === size ? 0 : next + 1
    },
    summary: () => ({ calls, failures }),
    clear() {
      next = calls = failures = 0
    }
  }
}

/** Remembers the calls of the last `duration` milliseconds, in `buckets` equal parts. */
export const lastMillis = (duration: number, buckets: number): Window => {
  // calls, and failures among them
  const counts = new RotatingCounts(duration, buckets)
  return {
    record(failed, now) {
      counts.add(1, failed ? 1 : 0, now)
    },
    summary(now) {
      counts.rotate(now)
      return { calls: counts.first, failures: counts.second }
    },
    clear() {
      counts.clear()
    }
  }
}
