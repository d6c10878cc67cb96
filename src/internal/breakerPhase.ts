/** Where a breaker stands, and the pure function that moves it. */
import type { Settings, TripSettings } from "../CircuitBreaker.ts"
import type * as Outcome from "../Outcome.ts"

/**
 * What overrides a breaker, the strongest first.
 *
 * | mode           | lets through | counts outcomes | looks at its window                          |
 * | -------------- | ------------ | --------------- | -------------------------------------------- |
 * | `forcedOpen`   | nothing      | refusals        | no                                           |
 * | `disabled`     | everything   | no              | no                                           |
 * | `forcedClosed` | everything   | yes             | no                                           |
 * | `metricsOnly`  | everything   | yes             | yes, and says once that its trip has been met |
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "forcedOpen" | "disabled" | "forcedClosed" | "metricsOnly"

interface Closed {
  readonly _tag: "Closed"
  readonly generation: number
}

interface Open {
  readonly _tag: "Open"
  readonly generation: number
  readonly openings: number
  readonly until: number
}

interface HalfOpen {
  readonly _tag: "HalfOpen"
  readonly generation: number
  readonly openings: number
  /** Probes that have been let through and not yet ended. */
  readonly inFlight: number
  readonly successes: number
  /** Failures and slow calls. */
  readonly failures: number
  /** When it has lasted too long; absent where it may last for ever. */
  readonly until?: number
}

/** What a mode can lie over. */
export type Standing = Closed | Open

interface Forced {
  readonly _tag: "Forced"
  readonly generation: number
  readonly mode: Mode
  /** Whether the trip has been met in the mode `metricsOnly`. */
  readonly thresholdPassed: boolean
  /** Where it will stand when it is released. */
  readonly beneath: Standing
}

/**
 * Where a breaker stands. Times are monotonic milliseconds. `openings` counts the
 * openings since it was last closed, this one included.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = Closed | Open | HalfOpen | Forced

/**
 * What happens to a breaker:
 *
 * - `Look`: somebody looks, and time alone may have moved it. It comes before
 *   each of the others
 * - `Ask`: a call asks to be let through
 * - `End`: a call that was let through in `generation` has ended
 * - `Override`: a mode overrides it, or, where it is `undefined`, none does any more
 * - `Reset`: it is to be closed
 *
 * `openFor` says how long, in milliseconds, to stay open after so many openings
 * since it was last closed.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "Look"; readonly openFor: (openings: number) => number }
  | { readonly _tag: "Ask" }
  | {
    readonly _tag: "End"
    readonly generation: number
    readonly outcome: Outcome.Outcome["_tag"]
    /** Whether it counts as slow, which it can also where it is ignored. */
    readonly slow: boolean
    readonly openFor: (openings: number) => number
  }
  | { readonly _tag: "Override"; readonly mode: Mode | undefined }
  | { readonly _tag: "Reset" }

/**
 * What the window of one trip holds, the call that has just ended included.
 *
 * @category models
 * @since 0.1.0
 */
export interface Summary {
  /** Calls in the window. */
  readonly calls: number
  /** Those that speak against the dependency: failures, or, for a trip of the kind `slow`, slow calls. */
  readonly against: number
}

/**
 * The first phase of every breaker.
 *
 * @category constructors
 * @since 0.1.0
 */
export const closed: Phase = { _tag: "Closed", generation: 0 }

const isMet = (trip: TripSettings, { against, calls }: Summary): boolean =>
  trip.kind === "rate" || trip.kind === "slow"
    ? calls >= trip.minimumCalls && against / calls >= trip.threshold
    : against >= trip.failures

/** Whether one of these trips is met, of those that do not look at slow calls where `exceptSlow` is set. */
export const isAnyMet = (
  trips: Settings["trip"],
  summaries: ReadonlyArray<Summary>,
  exceptSlow: boolean = false
): boolean => {
  for (let n = 0; n < trips.length; n++) {
    const trip = trips[n]
    const summary = summaries[n]
    if (trip === undefined || summary === undefined || (exceptSlow && trip.kind === "slow")) continue
    if (isMet(trip, summary)) return true
  }
  return false
}

const opened = (phase: Closed | HalfOpen, at: number, openFor: (openings: number) => number): Phase => {
  const earlier = phase._tag === "Closed" ? 0 : phase.openings
  return { _tag: "Open", generation: phase.generation + 1, openings: earlier + 1, until: at + openFor(earlier) }
}

const closedAfter = ({ generation }: Phase): Closed => ({ _tag: "Closed", generation: generation + 1 })

const ended = (
  { halfOpen, trip }: Pick<Settings, "trip" | "halfOpen">,
  phase: Phase,
  event: Event & { readonly _tag: "End" },
  summaries: ReadonlyArray<Summary>,
  now: number
): Phase => {
  if (event.generation !== phase.generation) return phase
  const isCounted = event.outcome === "Failure" || event.outcome === "Success" || event.slow
  switch (phase._tag) {
    case "Closed":
      return isCounted && isAnyMet(trip, summaries) ? opened(phase, now, event.openFor) : phase
    case "Open":
      return phase
    case "HalfOpen": {
      const inFlight = phase.inFlight - 1
      if (event.outcome === "Failure" || event.slow) {
        const failures = phase.failures + 1
        return failures > halfOpen.calls - halfOpen.successes
          ? opened(phase, now, event.openFor)
          : { ...phase, inFlight, failures }
      }
      if (event.outcome === "Ignored") return { ...phase, inFlight }
      const successes = phase.successes + 1
      return successes >= halfOpen.successes ? closedAfter(phase) : { ...phase, inFlight, successes }
    }
    case "Forced":
      return phase.mode === "metricsOnly" && !phase.thresholdPassed && isCounted && isAnyMet(trip, summaries)
        ? { ...phase, thresholdPassed: true }
        : phase
  }
}

const asked = ({ halfOpen }: Pick<Settings, "halfOpen">, phase: Phase, now: number): Phase => {
  switch (phase._tag) {
    case "Closed":
    case "Forced":
      return phase
    case "Open":
      return now < phase.until ? phase : {
        _tag: "HalfOpen",
        generation: phase.generation + 1,
        openings: phase.openings,
        inFlight: 1,
        successes: 0,
        failures: 0,
        ...(halfOpen.maxDuration === undefined ? {} : { until: now + halfOpen.maxDuration })
      }
    case "HalfOpen":
      return phase.inFlight < halfOpen.concurrent ? { ...phase, inFlight: phase.inFlight + 1 } : phase
  }
}

const overridden = (phase: Phase, mode: Mode | undefined, now: number): Phase => {
  const generation = phase.generation + 1
  if (phase._tag === "Forced") {
    if (phase.mode === mode) return phase
    return mode === undefined
      ? { ...phase.beneath, generation }
      : { ...phase, generation, mode, thresholdPassed: false }
  }
  if (mode === undefined) return phase
  const beneath: Standing = phase._tag === "HalfOpen"
    // its probes are lost: what comes first when it is released is another
    ? { _tag: "Open", generation: phase.generation, openings: phase.openings, until: now }
    : phase
  return { _tag: "Forced", generation, mode, thresholdPassed: false, beneath }
}

/**
 * Moves a breaker: from its phase, an event, what the windows of its trips hold,
 * and the time in monotonic milliseconds, to its next phase, or the same one.
 * Pure.
 *
 * `Ask` lets the call through where {@link isAdmitted} says so. A half-open
 * breaker that has lasted too long is left by `Look` as of the moment at which it
 * had: whether somebody looked then makes no difference. Where a mode overrides
 * it, what lies beneath does not move; half-open becomes open until now.
 *
 * @category transitions
 * @since 0.1.0
 */
export const transition = (
  settings: Pick<Settings, "trip" | "halfOpen">,
  phase: Phase,
  event: Event,
  summaries: ReadonlyArray<Summary>,
  now: number
): Phase => {
  switch (event._tag) {
    case "Look":
      if (phase._tag !== "HalfOpen" || phase.until === undefined || now < phase.until) return phase
      return settings.halfOpen.afterwards === "open"
        ? opened(phase, phase.until, event.openFor)
        : closedAfter(phase)
    case "Ask":
      return asked(settings, phase, now)
    case "End":
      return ended(settings, phase, event, summaries, now)
    case "Override":
      return overridden(phase, event.mode, now)
    case "Reset":
      return phase._tag === "Forced"
        ? { ...phase, generation: phase.generation + 1, thresholdPassed: false, beneath: closedAfter(phase.beneath) }
        : closedAfter(phase)
  }
}

/**
 * Whether `Ask` let a call through, from the phases before and after it.
 *
 * @category transitions
 * @since 0.1.0
 */
export const isAdmitted = (before: Phase, after: Phase): boolean => {
  switch (after._tag) {
    case "Closed":
      return true
    case "Forced":
      return after.mode !== "forcedOpen"
    default:
      return after !== before
  }
}
