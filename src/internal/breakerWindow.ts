/**
 * What a closed breaker remembers of recent calls. Each window is private to one
 * breaker and mutated in place; recording and summing up cost the same however
 * large it is.
 */

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

/**
 * Remembers the calls of the last `duration` milliseconds, in `buckets` equal
 * parts. A call is forgotten with its part: at the latest `duration` after it
 * ended, and at the earliest one part sooner. The parts rotate by elapsed time,
 * also when there are no calls.
 */
export const lastMillis = (duration: number, buckets: number): Window => {
  const width = duration / buckets
  const calls = new Uint32Array(buckets)
  const failures = new Uint32Array(buckets)
  let totalCalls = 0
  let totalFailures = 0
  let newest = -Infinity

  // the parts are numbered from the clock's origin, which may lie ahead
  const slotOf = (part: number): number => part - Math.floor(part / buckets) * buckets

  const clear = () => {
    calls.fill(0)
    failures.fill(0)
    totalCalls = totalFailures = 0
  }

  const rotate = (now: number): number => {
    const part = Math.floor(now / width)
    if (part - newest >= buckets) clear()
    else {
      for (let stale = newest + 1; stale <= part; stale++) {
        const slot = slotOf(stale)
        totalCalls -= calls[slot] ?? 0
        totalFailures -= failures[slot] ?? 0
        calls[slot] = failures[slot] = 0
      }
    }
    if (part > newest) newest = part
    return slotOf(newest)
  }

  return {
    record(failed, now) {
      const slot = rotate(now)
      calls[slot] = (calls[slot] ?? 0) + 1
      totalCalls++
      if (failed) {
        failures[slot] = (failures[slot] ?? 0) + 1
        totalFailures++
      }
    },
    summary(now) {
      rotate(now)
      return { calls: totalCalls, failures: totalFailures }
    },
    clear
  }
}
