/**
 * Stops calling a dependency that keeps failing, and finds out when it is well.
 *
 * - **Closed**: calls pass. Their outcomes are counted until the trip is met.
 * - **Open**: calls are refused at once with {@link CircuitOpen}, for as long as
 *   `open` says, or the dependency asked for by `retryAfter`.
 * - **Half-open**: from then on `concurrent` calls at a time are let through as
 *   probes. Their outcomes decide: closed, or open again.
 *
 * The phase is held in a `Ref` and moved by {@link transition}, a pure function.
 * There are no timers: the first call after the open time finds the breaker
 * half-open. Every phase has a generation, and a call that was admitted in an
 * earlier one changes nothing when it ends.
 *
 * What counts is decided by `Outcome`, not here: interrupted attempts and our own
 * refusals neither count nor reset a streak. The breaker stands inside retry, so
 * that it sees every attempt, and outside the attempt timeout.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as MutableRef from "effect/MutableRef"
import * as Ref from "effect/Ref"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Attempt, dueOf } from "./internal/attempt.ts"
import { resolve } from "./internal/breakerSettings.ts"
import * as breakerWindow from "./internal/breakerWindow.ts"
import { openTime } from "./internal/openTime.ts"
import { nonEmpty } from "./internal/options.ts"
import { monotonicMillis } from "./internal/time.ts"
import * as Outcome from "./Outcome.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * Which calls are looked at: the last `calls`, or those of the last `duration`,
 * counted in `buckets` equal parts (default 10).
 *
 * @category models
 * @since 0.1.0
 */
export type Window =
  | { readonly calls: number }
  | { readonly duration: Duration.Input; readonly buckets?: number | undefined }

/**
 * When a closed breaker opens.
 *
 * - `consecutive`: after so many failures without a success between them
 * - `count`: at so many failures within the window
 * - `rate`: when at least `threshold` (above 0, at most 1) of the calls in the
 *   window failed, from `minimumCalls` on (default: 10, or the whole of a
 *   smaller window)
 *
 * @category models
 * @since 0.1.0
 */
export type Trip =
  | { readonly kind: "consecutive"; readonly failures: number }
  | { readonly kind: "count"; readonly failures: number; readonly window: Window }
  | {
    readonly kind: "rate"
    readonly threshold: number
    readonly minimumCalls?: number | undefined
    readonly window: Window
  }

/**
 * How a half-open breaker finds out.
 *
 * @category models
 * @since 0.1.0
 */
export interface HalfOpen {
  /** Probes in flight at a time. Default: 1. */
  readonly concurrent?: number | undefined
  /** Results that decide. Default: 1. */
  readonly calls?: number | undefined
  /** Successes among them that close. Default: all of `calls`. It reopens as soon as they cannot be reached. */
  readonly successes?: number | undefined
  /** Instead of `successes`: the share of failures at which it reopens, above 0 and at most 1. */
  readonly failureRate?: number | undefined
}

/**
 * What a breaker is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: 5 consecutive failures. */
  readonly trip?: Trip | undefined
  /**
   * How long it stays open: a duration, the delays of a schedule, or a function
   * of the number of openings (from 0) since it was last closed. Default: 30
   * seconds. Where a function throws, or answers with no positive finite
   * duration, the default takes its place; a schedule that has ended keeps its
   * last delay.
   */
  readonly open?: Duration.Input | Schedule.Schedule<unknown> | ((openings: number) => Duration.Input) | undefined
  /** The most that a `retryAfter` can lengthen an opening to. Default: 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /** Default: one probe, whose result decides. */
  readonly halfOpen?: HalfOpen | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly trip:
    | { readonly kind: "failures"; readonly failures: number }
    | { readonly kind: "rate"; readonly threshold: number; readonly minimumCalls: number }
  readonly window:
    | { readonly kind: "streak" }
    | { readonly kind: "calls"; readonly size: number }
    | { readonly kind: "time"; readonly duration: number; readonly buckets: number }
  readonly open: number | Schedule.Schedule<unknown> | ((openings: number) => Duration.Input)
  readonly maxRetryAfter: number
  readonly halfOpen: { readonly concurrent: number; readonly calls: number; readonly successes: number }
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => resolve(options)

// -----------------------------------------------------------------------------
// phases
// -----------------------------------------------------------------------------

/**
 * Where a breaker stands. Times are monotonic milliseconds. `openings` counts the
 * openings since it was last closed, this one included.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase =
  | { readonly _tag: "Closed"; readonly generation: number }
  | { readonly _tag: "Open"; readonly generation: number; readonly openings: number; readonly until: number }
  | {
    readonly _tag: "HalfOpen"
    readonly generation: number
    readonly openings: number
    /** Probes that have been let through and not yet ended. */
    readonly inFlight: number
    readonly successes: number
    readonly failures: number
  }

/**
 * What happens to a breaker: a call asks to be let through, or a call that was
 * let through in `generation` has ended.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "Ask" }
  | {
    readonly _tag: "End"
    readonly generation: number
    readonly outcome: Outcome.Outcome["_tag"]
    /** How long, in milliseconds, to stay open after so many openings since it was last closed. */
    readonly openFor: (openings: number) => number
  }

/**
 * What a closed breaker's window holds, the call that has just ended included.
 *
 * @category models
 * @since 0.1.0
 */
export type Summary = breakerWindow.Summary

/**
 * The first phase of every breaker.
 *
 * @category constructors
 * @since 0.1.0
 */
export const closed: Phase = { _tag: "Closed", generation: 0 }

const hasTripped = (trip: Settings["trip"], summary: Summary): boolean =>
  trip.kind === "failures"
    ? summary.failures >= trip.failures
    : summary.calls >= trip.minimumCalls && summary.failures / summary.calls >= trip.threshold

const opened = (phase: Phase, now: number, openFor: (openings: number) => number): Phase => {
  const earlier = phase._tag === "Closed" ? 0 : phase.openings
  return { _tag: "Open", generation: phase.generation + 1, openings: earlier + 1, until: now + openFor(earlier) }
}

/**
 * Moves a breaker: from its phase, an event, what its window holds, and the time
 * in monotonic milliseconds, to its next phase, or the same one. Pure.
 *
 * `Ask` lets the call through if the next phase is closed, or is another
 * half-open than before; see {@link isAdmitted}.
 *
 * @category transitions
 * @since 0.1.0
 */
export const transition = (
  settings: Pick<Settings, "trip" | "halfOpen">,
  phase: Phase,
  event: Event,
  summary: Summary,
  now: number
): Phase => {
  if (event._tag === "Ask") {
    switch (phase._tag) {
      case "Closed":
        return phase
      case "Open":
        return now < phase.until ? phase : {
          _tag: "HalfOpen",
          generation: phase.generation + 1,
          openings: phase.openings,
          inFlight: 1,
          successes: 0,
          failures: 0
        }
      case "HalfOpen":
        return phase.inFlight < settings.halfOpen.concurrent ? { ...phase, inFlight: phase.inFlight + 1 } : phase
    }
  }
  if (event.generation !== phase.generation) return phase
  switch (phase._tag) {
    case "Closed":
      return (event.outcome === "Failure" || event.outcome === "Success") && hasTripped(settings.trip, summary)
        ? opened(phase, now, event.openFor)
        : phase
    case "Open":
      return phase
    case "HalfOpen": {
      const inFlight = phase.inFlight - 1
      if (event.outcome === "Ignored") return { ...phase, inFlight }
      if (event.outcome === "Failure") {
        const failures = phase.failures + 1
        return failures > settings.halfOpen.calls - settings.halfOpen.successes
          ? opened(phase, now, event.openFor)
          : { ...phase, inFlight, failures }
      }
      const successes = phase.successes + 1
      return successes >= settings.halfOpen.successes
        ? { _tag: "Closed", generation: phase.generation + 1 }
        : { ...phase, inFlight, successes }
    }
  }
}

/**
 * Whether `Ask` let a call through, from the phases before and after it.
 *
 * @category transitions
 * @since 0.1.0
 */
export const isAdmitted = (before: Phase, after: Phase): boolean => after._tag === "Closed" || after !== before

// -----------------------------------------------------------------------------
// breakers
// -----------------------------------------------------------------------------

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> extends Outcome.AttemptOptions<A, E> {}

/**
 * A phase change, and how the call that caused it has ended.
 *
 * @category models
 * @since 0.1.0
 */
export type Transition =
  | {
    readonly to: "Open"
    readonly from: "Closed" | "HalfOpen"
    /** How long it will stay open. */
    readonly openFor: Duration.Duration
    readonly exit: Exit.Exit<unknown, unknown>
  }
  | { readonly to: "HalfOpen"; readonly from: "Open" }
  | { readonly to: "Closed"; readonly from: "HalfOpen"; readonly exit: Exit.Exit<unknown, unknown> }

/**
 * What can be read off a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  readonly state: Phase["_tag"]
  /** What is left of the open time; zero when the next call will be a probe. Only while open. */
  readonly retryAfter: Duration.Duration | undefined
  /** Openings since it was last closed. */
  readonly openings: number
  /** Calls since it was made, by outcome, and those refused. */
  readonly calls: {
    readonly success: number
    readonly failure: number
    readonly overload: number
    readonly ignored: number
    readonly refused: number
  }
}

/**
 * A breaker with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitBreaker {
  readonly name: string
  readonly settings: Settings
  /** Where it stands. To be read; it is moved by calls alone. */
  readonly phase: Ref.Ref<Phase>
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Runs an effect if the breaker lets it through, and counts its outcome.
   * Otherwise fails with `CircuitOpen`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ) => Effect.Effect<A, E | CircuitOpen, R>
}

/**
 * Makes a breaker whose state belongs to whoever holds it.
 *
 * For a breaker that is shared by name, watched and listed, give the options to a
 * pipeline: its breaker belongs to `Resilience`. A breaker made per call, or in
 * a layer that is built per request, never opens.
 *
 * @example
 * ```ts
 * import { Effect, Ref } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make("quotes", { trip: { kind: "consecutive", failures: 2 } })
 *   const quote = breaker.protect(Effect.fail("connection refused"))
 *   yield* Effect.flip(quote)
 *   yield* Effect.flip(quote)
 *   console.log((yield* Ref.get(breaker.phase))._tag) // => Open
 *   return yield* Effect.flip(quote)
 * })
 *
 * console.log((await Effect.runPromise(program)) instanceof CircuitBreaker.CircuitOpen) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options?: Options): Effect.Effect<CircuitBreaker> => {
  nonEmpty("CircuitBreaker", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a breaker from checked settings, at once. It starts `closed`, unless
 * `initial` says otherwise. `onTransition` is told of every change between
 * closed, open and half-open, at once; it must not throw.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (
  name: string,
  settings: Settings,
  options?: {
    readonly initial?: Phase | undefined
    readonly onTransition?: ((transition: Transition) => void) | undefined
  }
): CircuitBreaker => new Breaker(name, settings, options?.initial ?? closed, options?.onTransition)

const makeWindow = (window: Settings["window"]): breakerWindow.Window => {
  switch (window.kind) {
    case "streak":
      return breakerWindow.streak()
    case "calls":
      return breakerWindow.lastCalls(window.size)
    case "time":
      return breakerWindow.lastMillis(window.duration, window.buckets)
  }
}

const noCalls: Summary = { calls: 0, failures: 0 }

class Breaker implements CircuitBreaker {
  readonly phase: Ref.Ref<Phase>
  readonly window: breakerWindow.Window
  readonly counts = { success: 0, failure: 0, overload: 0, ignored: 0, refused: 0 }
  readonly name: string
  readonly settings: Settings
  readonly onTransition: ((transition: Transition) => void) | undefined
  readonly snapshot: Effect.Effect<Snapshot>

  constructor(name: string, settings: Settings, initial: Phase, onTransition: Breaker["onTransition"]) {
    this.name = name
    this.settings = settings
    this.phase = Ref.makeUnsafe(initial)
    this.onTransition = onTransition
    this.window = makeWindow(settings.window)
    this.snapshot = Effect.clockWith((clock) => Effect.sync(() => this.read(clock)))
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ): Effect.Effect<A, E | CircuitOpen, R> => {
    const due = dueOf("CircuitBreaker", options)
    return Effect.withFiber((fiber) => {
      const call = new Call<A, E>(this, fiber, options, due)
      // the finalizer is in place before the call is let through, so that no interrupt can fall in between
      const entered = Effect.suspend((): Effect.Effect<A, E | CircuitOpen, R> => call.enter() ?? self)
      return Effect.onExitPrimitive(entered, call.leave)
    })
  }

  read(clock: Clock.Clock): Snapshot {
    const phase = MutableRef.get(this.phase.ref)
    return {
      name: this.name,
      state: phase._tag,
      retryAfter: phase._tag === "Open" ? remaining(phase.until, monotonicMillis(clock)) : undefined,
      openings: phase._tag === "Closed" ? 0 : phase.openings,
      calls: { ...this.counts }
    }
  }
}

// whole milliseconds, rounded up: who comes back then is not refused again
const remaining = (until: number, now: number): Duration.Duration =>
  Duration.millis(Math.ceil(Math.max(0, until - now)))

/** One call's way through a breaker: in by `enter`, out by `leave`, which is a no-op for one that was refused. */
class Call<A, E> extends Attempt<A, E> {
  readonly breaker: Breaker
  generation = -1

  constructor(
    breaker: Breaker,
    fiber: Fiber.Fiber<unknown, unknown>,
    options: CallOptions<A, E> | undefined,
    due: number
  ) {
    super(fiber, options, due)
    this.breaker = breaker
  }

  enter(): Effect.Effect<never, CircuitOpen> | undefined {
    const { breaker } = this
    const ref = breaker.phase.ref
    const before = MutableRef.get(ref)
    // a closed breaker lets everything through
    if (before._tag !== "Closed") {
      const now = monotonicMillis(this.clock)
      const after = transition(breaker.settings, before, ask, noCalls, now)
      if (!isAdmitted(before, after)) {
        breaker.counts.refused++
        return Effect.fail(
          new CircuitOpen({
            policy: breaker.name,
            ...(before._tag === "Open" ? { retryAfter: remaining(before.until, now) } : {})
          })
        )
      }
      MutableRef.set(ref, after)
      if (before._tag === "Open") breaker.onTransition?.({ to: "HalfOpen", from: "Open" })
    }
    this.generation = MutableRef.get(ref).generation
    this.begin()
    return undefined
  }

  readonly leave = (exit: Exit.Exit<A, E | CircuitOpen>): undefined => {
    if (this.generation < 0) return
    const { breaker } = this
    // `CircuitOpen` comes from `enter` alone, which leaves the generation below zero
    const outcome = this.outcome(exit as Exit.Exit<A, E>)
    breaker.counts[countOf[outcome._tag]]++
    const phase = MutableRef.get(breaker.phase.ref)
    // an open breaker has let nobody in
    if (phase.generation !== this.generation || phase._tag === "Open") return
    let summary = noCalls
    let now: number
    if (phase._tag === "Closed") {
      if (outcome._tag !== "Success" && outcome._tag !== "Failure") return
      if (outcome._tag === "Success" && breaker.settings.window.kind === "streak") {
        // a success can only end the streak, which needs no clock
        breaker.window.clear()
        return
      }
      now = monotonicMillis(this.clock)
      breaker.window.record(outcome._tag === "Failure", now)
      summary = breaker.window.summary(now)
    } else {
      now = monotonicMillis(this.clock)
    }
    const event: Event = {
      _tag: "End",
      generation: this.generation,
      outcome: outcome._tag,
      openFor: (openings) => openTime(breaker.settings, openings, outcome, this.fiber.context)
    }
    const next = transition(breaker.settings, phase, event, summary, now)
    MutableRef.set(breaker.phase.ref, next)
    if (next._tag === "Open") {
      breaker.onTransition?.({ to: "Open", from: phase._tag, openFor: Duration.millis(next.until - now), exit })
    } else if (next._tag === "Closed" && phase._tag === "HalfOpen") {
      breaker.window.clear()
      breaker.onTransition?.({ to: "Closed", from: "HalfOpen", exit })
    }
  }
}

const ask: Event = { _tag: "Ask" }
const countOf = { Success: "success", Failure: "failure", Overload: "overload", Ignored: "ignored" } as const

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The breaker refused the call, and the work was not run.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>()("CircuitOpen", {
  /** The name of the breaker. */
  policy: Schema.String,
  /** What is left of the open time. Absent while probes are under way, when nobody can know. */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    return this.retryAfter === undefined
      ? `${this.policy}: the circuit is half-open, and its probes are still under way`
      : `${this.policy}: the circuit is open, try again in ${Duration.format(this.retryAfter)}`
  }
}
