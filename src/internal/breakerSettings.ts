/** Checks the options of a circuit breaker. */
import * as Schedule from "effect/Schedule"
import type { HalfOpen, Options, Settings, Trip, TripSettings, Window, WindowSettings } from "../CircuitBreaker.ts"
import { defaultOpen, scheduledOpenTime } from "./openTime.ts"
import { integer, millisOrZero, oneOf, onlyKeys, positiveMillis, refuse, share } from "./options.ts"

const module_ = "CircuitBreaker"
/** A window keeps a bit for each call, or two numbers for each bucket. */
const maxSlots = 1_000_000

const resolveWindow = (where: string, window: Window): WindowSettings => {
  if (typeof window !== "object" || window === null) return refuse(module_, where, "{ calls } or { duration }", window)
  if ("calls" in window) {
    onlyKeys(`${module_}.${where}`, window, ["calls"])
    return { kind: "calls", size: integer(module_, `${where}.calls`, window.calls, 1, maxSlots) }
  }
  onlyKeys(`${module_}.${where}`, window, ["duration", "buckets"])
  const { buckets: parts = 10 } = window
  const buckets = integer(module_, `${where}.buckets`, parts, 1, maxSlots)
  const duration = positiveMillis(module_, `${where}.duration`, window.duration)
  // finer parts than the clock's are of no use, and would be counted one by one
  if (duration < buckets) {
    refuse(module_, `${where}.duration`, `at least a millisecond for each of its ${buckets} buckets`, window.duration)
  }
  return { kind: "time", duration, buckets }
}

const resolveRate = (where: string, trip: Trip & { readonly kind: "rate" | "slow" }) => {
  const window = resolveWindow(`${where}.window`, trip.window)
  const size = window.kind === "calls" ? window.size : Infinity
  const minimumCalls = integer(module_, `${where}.minimumCalls`, trip.minimumCalls ?? Math.min(10, size), 1)
  if (minimumCalls > size) {
    refuse(module_, `${where}.minimumCalls`, `at most the ${size} calls of its window`, minimumCalls)
  }
  return { threshold: share(module_, `${where}.threshold`, trip.threshold), minimumCalls, window }
}

const resolveTrip = (where: string, trip: Trip): TripSettings => {
  const only = (...keys: ReadonlyArray<string>) => onlyKeys(`${module_}.${where}`, trip, ["kind", ...keys])
  switch (trip?.kind) {
    case "consecutive": {
      only("failures", "forgetAfter")
      const failures = integer(module_, `${where}.failures`, trip.failures, 1)
      const forgetAfter = trip.forgetAfter === undefined
        ? undefined
        : positiveMillis(module_, `${where}.forgetAfter`, trip.forgetAfter)
      return { kind: "consecutive", failures, forgetAfter }
    }
    case "count": {
      only("failures", "window")
      const window = resolveWindow(`${where}.window`, trip.window)
      const failures = integer(module_, `${where}.failures`, trip.failures, 1)
      if (window.kind === "calls" && failures > window.size) {
        refuse(module_, `${where}.failures`, `at most the ${window.size} calls of its window`, failures)
      }
      return { kind: "count", failures, window }
    }
    case "rate":
      only("threshold", "minimumCalls", "window")
      return { kind: "rate", ...resolveRate(where, trip) }
    case "slow":
      only("threshold", "slowerThan", "minimumCalls", "window")
      return {
        kind: "slow",
        slowerThan: positiveMillis(module_, `${where}.slowerThan`, trip.slowerThan),
        ...resolveRate(where, trip)
      }
  }
  return refuse(module_, `${where}.kind`, "consecutive, count, rate or slow", trip)
}

const isList = (trip: Trip | ReadonlyArray<Trip>): trip is ReadonlyArray<Trip> => Array.isArray(trip)

const resolveTrips = (trip: NonNullable<Options["trip"]>): Settings["trip"] => {
  if (!isList(trip)) return [resolveTrip("trip", trip)]
  if (trip.length === 0) refuse(module_, "trip", "a trip, or a list of at least one", trip)
  const trips = trip.map((one, n) => resolveTrip(`trip[${n}]`, one))
  // what is slow must mean the same in every window, for probes and for the counters
  if (trips.filter(({ kind }) => kind === "slow").length > 1) {
    refuse(module_, "trip", "a list with at most one trip of the kind slow", trip)
  }
  return trips
}

const resolveHalfOpen = (halfOpen: HalfOpen): Settings["halfOpen"] => {
  onlyKeys(`${module_}.halfOpen`, halfOpen, [
    "concurrent",
    "calls",
    "successes",
    "failureRate",
    "maxDuration",
    "afterwards"
  ])
  const concurrent = integer(module_, "halfOpen.concurrent", halfOpen.concurrent ?? 1, 1)
  const calls = integer(module_, "halfOpen.calls", halfOpen.calls ?? 1, 1)
  const maxDuration = halfOpen.maxDuration === undefined
    ? undefined
    : positiveMillis(module_, "halfOpen.maxDuration", halfOpen.maxDuration)
  const { afterwards = "open" } = halfOpen
  oneOf(module_, "halfOpen.afterwards", afterwards, ["open", "closed"])
  if (halfOpen.afterwards !== undefined && maxDuration === undefined) {
    refuse(module_, "halfOpen.afterwards", "left out where maxDuration is", afterwards)
  }
  return { concurrent, calls, successes: resolveSuccesses(halfOpen, calls), maxDuration, afterwards }
}

const resolveSuccesses = (halfOpen: HalfOpen, calls: number): number => {
  if (halfOpen.failureRate !== undefined) {
    if (halfOpen.successes !== undefined) {
      refuse(module_, "halfOpen.failureRate", "left out where successes is given", halfOpen.failureRate)
    }
    const rate = share(module_, "halfOpen.failureRate", halfOpen.failureRate)
    // the fewest failures that reach the rate: 0.07 * 100 is a little above 7, and yet 7 / 100 is 0.07
    const most = Math.ceil(rate * calls)
    const failures = (most - 1) / calls >= rate ? most - 1 : most
    return calls - failures + 1
  }
  const successes = integer(module_, "halfOpen.successes", halfOpen.successes ?? calls, 1)
  if (successes > calls) refuse(module_, "halfOpen.successes", `at most the ${calls} calls that decide`, successes)
  return successes
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
    trip: resolveTrips(trip),
    open: resolveOpen(open),
    maxRetryAfter: millisOrZero(module_, "maxRetryAfter", maxRetryAfter),
    halfOpen: resolveHalfOpen(halfOpen)
  }
}
