/**
 * What a circuit breaker must do, the slow way: the model keeps every result since
 * the last change and counts them all each time.
 */
import { Arbitrary, Schema } from "effect"
import type { CircuitBreaker, Outcome } from "../src/index.ts"
import { present } from "./support.ts"

export type Tag = Outcome.Outcome["_tag"]

/** A breaker of the tests, as plain as the model can read it: all times in milliseconds. */
export interface Spec {
  readonly trip: ReadonlyArray<Trip>
  readonly halfOpen:
    & { readonly concurrent: number; readonly calls: number }
    & ({ readonly successes: number } | { readonly failureRate: number })
    & { readonly maxDuration?: number; readonly afterwards?: "open" | "closed" }
}
type Trip =
  | { readonly kind: "consecutive"; readonly failures: number; readonly forgetAfter?: number }
  | { readonly kind: "count"; readonly failures: number; readonly window: Window }
  | { readonly kind: "rate"; readonly threshold: number; readonly minimumCalls: number; readonly window: Window }
  | {
    readonly kind: "slow"
    readonly threshold: number
    readonly minimumCalls: number
    readonly slowerThan: number
    readonly window: Window
  }
type Window = { readonly calls: number } | { readonly duration: number; readonly buckets: number }

export const openFor = (openings: number): number => 10 * (openings + 1)

/** The milliseconds past which a call is slow, where a trip asks. */
export const slowerThan = ({ trip }: Spec): number | undefined => trip.find((one) => one.kind === "slow")?.slowerThan

/** The strongest first. */
export const modes = ["forcedOpen", "disabled", "forcedClosed", "metricsOnly"] as const

interface Result {
  readonly at: number
  readonly outcome: Tag
  readonly slow: boolean
}

export const makeModel = ({ halfOpen, trip: trips }: Spec) => {
  let state: "Closed" | "Open" | "HalfOpen" = "Closed"
  let mode: CircuitBreaker.Mode | undefined
  let hasPassed = false
  let changes = 0
  let openings = 0
  let until = 0
  let halfOpenUntil = Infinity
  let results: Array<Result> = []
  const held: Array<CircuitBreaker.Mode> = []
  const running = new Map<number, number>()

  const changed = () => {
    changes++
    results = []
    hasPassed = false
  }
  const close = () => {
    state = "Closed"
    openings = 0
    changed()
  }
  const open = (at: number) => {
    until = at + openFor(openings)
    openings++
    state = "Open"
    changed()
  }
  const inFlight = () => [...running.values()].filter((admittedIn) => admittedIn === changes).length
  const isCounted = ({ outcome, slow }: Result) => outcome === "Success" || outcome === "Failure" || slow
  const isAgainst = ({ outcome, slow }: Result) => outcome === "Failure" || slow
  const failures = () => results.filter(isAgainst).length
  const successes = () =>
    results.filter((result) => !isAgainst(result) && (result.outcome === "Success" || result.outcome === "Overload"))
      .length

  /** The results that a trip looks at. */
  const inWindow = (trip: Trip, now: number) => {
    const counted = results.filter(({ outcome, slow }) =>
      outcome === "Success" || outcome === "Failure" || (trip.kind === "slow" && slow)
    )
    if (trip.kind === "consecutive") {
      const { forgetAfter = Infinity } = trip
      const streak = counted.slice(counted.findLastIndex(({ outcome }) => outcome === "Success") + 1)
      const forgotten = streak.findLastIndex(({ at }, n) => (streak[n + 1]?.at ?? now) - at >= forgetAfter)
      return streak.slice(forgotten + 1)
    }
    const { window } = trip
    if ("calls" in window) return counted.slice(-window.calls)
    const part = (at: number) => Math.floor(at / (window.duration / window.buckets))
    return counted.filter(({ at }) => part(now) - part(at) < window.buckets)
  }
  const summaries = (now: number): ReadonlyArray<CircuitBreaker.Summary> =>
    trips.map((trip) => {
      const looked = inWindow(trip, now)
      const against = looked.filter(({ outcome, slow }) => trip.kind === "slow" ? slow : outcome === "Failure")
      return { calls: looked.length, against: against.length }
    })
  const isMet = (seen: ReadonlyArray<CircuitBreaker.Summary>) =>
    trips.some((trip, n) => {
      const { against, calls } = present(seen[n])
      return trip.kind === "rate" || trip.kind === "slow"
        ? calls >= trip.minimumCalls && against / calls >= trip.threshold
        : against >= trip.failures
    })

  /** What time alone does. */
  const look = (now: number) => {
    if (mode !== undefined || state !== "HalfOpen" || now < halfOpenUntil) return
    if (halfOpen.afterwards === "closed") close()
    else open(halfOpenUntil)
  }
  const override = (now: number) => {
    look(now)
    const strongest = modes.find((one) => held.includes(one))
    if (strongest === mode) return
    if (mode === undefined && state === "HalfOpen") {
      state = "Open"
      until = now
    }
    mode = strongest
    changed()
  }

  return {
    read: () => ({
      state: mode === undefined ? state : "Forced",
      generation: changes,
      openings: state === "Closed" ? 0 : openings,
      ...(mode === undefined
        ? {
          ...(state === "Open" ? { until } : {}),
          ...(state === "HalfOpen"
            ? {
              inFlight: inFlight(),
              successes: successes(),
              failures: failures(),
              ...(halfOpenUntil === Infinity ? {} : { until: halfOpenUntil })
            }
            : {})
        }
        : { mode, thresholdPassed: hasPassed, beneath: { state, ...(state === "Open" ? { until } : {}) } })
    }),
    look,
    summaries,
    mode: () => mode,
    /** Whether a call is let through. */
    ask: (call: number, now: number): boolean => {
      look(now)
      if (mode === undefined && state === "Open" && now >= until) {
        state = "HalfOpen"
        halfOpenUntil = now + (halfOpen.maxDuration ?? Infinity)
        changed()
      }
      const admitted = mode === undefined
        ? state === "Closed" || (state === "HalfOpen" && inFlight() < halfOpen.concurrent)
        : mode !== "forcedOpen"
      if (admitted) running.set(call, changes)
      return admitted
    },
    /** Ends a call, and answers with what the windows held when it was decided on. */
    end: (call: number, outcome: Tag, slow: boolean, now: number): ReadonlyArray<CircuitBreaker.Summary> => {
      look(now)
      const admittedIn = running.get(call)
      running.delete(call)
      if (admittedIn !== changes || (mode !== undefined && mode !== "metricsOnly")) return []
      const result = { at: now, outcome, slow }
      results.push(result)
      const seen = summaries(now)
      const met = isCounted(result) && isMet(seen)
      if (mode !== undefined) hasPassed ||= met
      else if (state === "Closed") {
        if (met) open(now)
      } else {
        const { calls } = halfOpen
        const isLost = "successes" in halfOpen
          ? calls - failures() < halfOpen.successes
          : failures() / calls >= halfOpen.failureRate
        const isWon = "successes" in halfOpen
          ? successes() >= halfOpen.successes
          : (calls - successes()) / calls < halfOpen.failureRate
        if (isLost) open(now)
        else if (isWon) close()
      }
      return seen
    },
    hold: (one: CircuitBreaker.Mode, now: number) => {
      held.push(one)
      override(now)
    },
    /** Lets go of one of those that are held, by their place. */
    release: (n: number, now: number) => {
      held.splice(n, 1)
      override(now)
    },
    reset: (now: number) => {
      look(now)
      state = "Closed"
      openings = 0
      changed()
    }
  }
}

export const specs: ReadonlyArray<Spec> = [
  { trip: [{ kind: "consecutive", failures: 1 }], halfOpen: { concurrent: 1, calls: 1, successes: 1 } },
  {
    trip: [{ kind: "consecutive", failures: 3, forgetAfter: 30 }],
    halfOpen: { concurrent: 3, calls: 4, successes: 2, maxDuration: 6 }
  },
  {
    trip: [{ kind: "consecutive", failures: 2 }],
    halfOpen: { concurrent: 2, calls: 5, failureRate: 0.4, maxDuration: 7 }
  },
  {
    trip: [{ kind: "count", failures: 2, window: { calls: 3 } }],
    halfOpen: { concurrent: 2, calls: 3, successes: 3, maxDuration: 5, afterwards: "closed" }
  },
  {
    trip: [{ kind: "count", failures: 3, window: { duration: 50, buckets: 5 } }],
    halfOpen: { concurrent: 5, calls: 2, successes: 1 }
  },
  {
    trip: [{ kind: "rate", threshold: 0.5, minimumCalls: 4, window: { calls: 6 } }],
    halfOpen: { concurrent: 4, calls: 4, failureRate: 0.5 }
  },
  {
    trip: [{ kind: "rate", threshold: 1 / 3, minimumCalls: 3, window: { duration: 30, buckets: 7 } }],
    halfOpen: { concurrent: 1, calls: 3, failureRate: 1, maxDuration: 4, afterwards: "open" }
  },
  {
    trip: [{ kind: "rate", threshold: 0.25, minimumCalls: 1, window: { duration: 40, buckets: 1 } }],
    halfOpen: { concurrent: 2, calls: 2, successes: 2 }
  },
  {
    trip: [{ kind: "slow", threshold: 0.5, minimumCalls: 3, slowerThan: 20, window: { calls: 5 } }],
    halfOpen: { concurrent: 2, calls: 3, successes: 2 }
  },
  {
    trip: [
      { kind: "rate", threshold: 0.6, minimumCalls: 5, window: { calls: 10 } },
      { kind: "slow", threshold: 0.75, minimumCalls: 4, slowerThan: 15, window: { duration: 60, buckets: 6 } },
      { kind: "consecutive", failures: 4, forgetAfter: 20 }
    ],
    halfOpen: { concurrent: 3, calls: 4, failureRate: 0.5, maxDuration: 8 }
  }
]

export const outcomes = ["Success", "Failure", "Failure", "Overload", "Ignored"] as const

export interface Step {
  readonly kind: "ask" | "end" | "wait" | "hold" | "release" | "reset"
  readonly n: number
  readonly outcome: number
}

const kinds: ReadonlyArray<Step["kind"]> = [
  ...Array.from({ length: 14 }, () => "ask" as const),
  ...Array.from({ length: 14 }, () => "end" as const),
  ...Array.from({ length: 5 }, () => "wait" as const),
  "hold",
  "release",
  "release",
  "reset"
]

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** A spec, by its place in the list, and some fifty steps. */
export const scripts = Arbitrary.all({
  spec: Arbitrary.schema(upTo(specs.length - 1)),
  steps: Arbitrary.array(
    Arbitrary.map(
      Arbitrary.schema(
        Schema.Struct({ kind: upTo(kinds.length - 1), n: upTo(99), outcome: upTo(outcomes.length - 1) })
      ),
      ({ kind, n, outcome }): Step => ({ kind: present(kinds[kind]), n, outcome })
    ),
    { minLength: 50 }
  )
})

/** The fields of a phase, under the names that the model uses. */
export const readPhase = (phase: CircuitBreaker.Phase) => {
  const { _tag, ...rest } = phase
  if (phase._tag !== "Forced") return { state: _tag, openings: 0, ...rest }
  const { generation, mode, thresholdPassed } = phase
  const { _tag: state, generation: _, ...beneath } = { openings: 0, ...phase.beneath }
  const { openings, ...left } = beneath
  return { state: _tag, generation, openings, mode, thresholdPassed, beneath: { state, ...left } }
}
