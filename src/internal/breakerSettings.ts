/** Checks the options of a circuit breaker. */
import * as Schedule from "effect/Schedule"
import type { HalfOpen, Options, Settings, Trip, Window } from "../CircuitBreaker.ts"
import { defaultOpen, scheduledOpenTime } from "./openTime.ts"
import { integer, millisOrZero, onlyKeys, positiveMillis, refuse, share } from "./options.ts"

const module_ = "CircuitBreaker"
/** A window keeps a byte for each call, or two numbers for each bucket. */
const maxSlots = 1_000_000

const resolveWindow = (window: Window): Exclude<Settings["window"], { readonly kind: "streak" }> => {
  if (typeof window !== "object" || window === null) {
    return refuse(module_, "trip.window", "{ calls } or { duration }", window)
  }
  if ("calls" in window) {
    onlyKeys("CircuitBreaker.trip.window", window, ["calls"])
    return { kind: "calls", size: integer(module_, "trip.window.calls", window.calls, 1, maxSlots) }
  }
  onlyKeys("CircuitBreaker.trip.window", window, ["duration", "buckets"])
  const { buckets: parts = 10 } = window
  const buckets = integer(module_, "trip.window.buckets", parts, 1, maxSlots)
  const duration = positiveMillis(module_, "trip.window.duration", window.duration)
  // finer parts than the clock's are of no use, and would be counted one by one
  if (duration < buckets) {
    refuse(
      module_,
      "trip.window.duration",
      `at least a millisecond for each of its ${buckets} buckets`,
      window.duration
    )
  }
  return { kind: "time", duration, buckets }
}

const resolveTrip = (trip: Trip): Pick<Settings, "trip" | "window"> => {
  switch (trip?.kind) {
    case "consecutive":
      onlyKeys("CircuitBreaker.trip", trip, ["kind", "failures"])
      return {
        trip: { kind: "failures", failures: integer(module_, "trip.failures", trip.failures, 1) },
        window: { kind: "streak" }
      }
    case "count": {
      onlyKeys("CircuitBreaker.trip", trip, ["kind", "failures", "window"])
      const window = resolveWindow(trip.window)
      const failures = integer(module_, "trip.failures", trip.failures, 1)
      if (window.kind === "calls" && failures > window.size) {
        refuse(module_, "trip.failures", `at most the ${window.size} calls of its window`, failures)
      }
      return { trip: { kind: "failures", failures }, window }
    }
    case "rate": {
      onlyKeys("CircuitBreaker.trip", trip, ["kind", "threshold", "minimumCalls", "window"])
      const window = resolveWindow(trip.window)
      const size = window.kind === "calls" ? window.size : Infinity
      const minimumCalls = integer(module_, "trip.minimumCalls", trip.minimumCalls ?? Math.min(10, size), 1)
      if (minimumCalls > size) {
        refuse(module_, "trip.minimumCalls", `at most the ${size} calls of its window`, minimumCalls)
      }
      return {
        trip: { kind: "rate", threshold: share(module_, "trip.threshold", trip.threshold), minimumCalls },
        window
      }
    }
  }
  return refuse(module_, "trip.kind", "consecutive, count or rate", trip)
}

const resolveHalfOpen = (halfOpen: HalfOpen): Settings["halfOpen"] => {
  onlyKeys("CircuitBreaker.halfOpen", halfOpen, ["concurrent", "calls", "successes", "failureRate"])
  const concurrent = integer(module_, "halfOpen.concurrent", halfOpen.concurrent ?? 1, 1)
  const calls = integer(module_, "halfOpen.calls", halfOpen.calls ?? 1, 1)
  if (halfOpen.failureRate !== undefined) {
    if (halfOpen.successes !== undefined) {
      refuse(module_, "halfOpen.failureRate", "left out where successes is given", halfOpen.failureRate)
    }
    const rate = share(module_, "halfOpen.failureRate", halfOpen.failureRate)
    // the fewest failures that reach the rate: 0.07 * 100 is a little above 7, and yet 7 / 100 is 0.07
    const most = Math.ceil(rate * calls)
    const failures = (most - 1) / calls >= rate ? most - 1 : most
    return { concurrent, calls, successes: calls - failures + 1 }
  }
  const successes = integer(module_, "halfOpen.successes", halfOpen.successes ?? calls, 1)
  if (successes > calls) refuse(module_, "halfOpen.successes", `at most the ${calls} calls that decide`, successes)
  return { concurrent, calls, successes }
}

const resolveOpen = (open: NonNullable<Options["open"]>): Settings["open"] => {
  if (typeof open === "function") return open
  if (!Schedule.isSchedule(open)) return positiveMillis(module_, "open", open)
  if (scheduledOpenTime(open, 0) === undefined) {
    refuse(module_, "open", "a schedule with at least one delay, run without waiting", "a schedule without")
  }
  return open
}

export const resolve = (options: Options): Settings => {
  onlyKeys(module_, options, ["trip", "open", "maxRetryAfter", "halfOpen"])
  const {
    halfOpen = {},
    maxRetryAfter = 300_000,
    open = defaultOpen,
    trip = { kind: "consecutive", failures: 5 }
  } = options
  return {
    ...resolveTrip(trip),
    open: resolveOpen(open),
    maxRetryAfter: millisOrZero(module_, "maxRetryAfter", maxRetryAfter),
    halfOpen: resolveHalfOpen(halfOpen)
  }
}
