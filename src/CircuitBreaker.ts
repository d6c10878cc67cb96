/**
 * Stops calling a dependency that keeps failing, and finds out when it is well.
 *
 * - **Closed**: calls pass. Their outcomes are counted until a trip is met.
 * - **Open**: calls are refused at once with {@link CircuitOpen}, for as long as
 *   `open` says, or the dependency asked for by `retryAfter`.
 * - **Half-open**: from then on `concurrent` calls at a time are let through as
 *   probes. Their outcomes decide: closed, or open again.
 * - **Forced**: somebody overrides it by hand, in one of four ways; see {@link Mode}.
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
 * It is not for calls that cannot hurt the dependency, nor for limiting load.
 * Where one breaker would have to judge many dependencies, such as hosts or
 * tenants, take {@link keyed}.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Ref from "effect/Ref"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { OnlyCell, type Place, Shared } from "./internal/breakerCell.ts"
import { OnlyGuard } from "./internal/breakerGuard.ts"
import { closed, type Mode, type Phase } from "./internal/breakerPhase.ts"
import { resolve } from "./internal/breakerSettings.ts"
import type { Snapshot } from "./internal/breakerSnapshot.ts"
import type { CircuitOpen } from "./internal/circuitOpen.ts"
import { nonEmpty } from "./internal/options.ts"
import type * as Outcome from "./Outcome.ts"

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
 * - `consecutive`: after so many failures without a success between them. With
 *   `forgetAfter` they are forgotten when the last of them is that old; by default
 *   they never are
 * - `count`: at so many failures within the window
 * - `rate`: when at least `threshold` (above 0, at most 1) of the calls in the
 *   window failed, from `minimumCalls` on (default: 10, or the whole of a
 *   smaller window)
 * - `slow`: the same for calls that took longer than `slowerThan`, whether they
 *   failed or not. A call that was cut short counts here if it had lasted that
 *   long, even where nobody blames the dependency for its end; an overload does
 *   not. With an attempt timeout inside, `slowerThan` should be below it
 *
 * @category models
 * @since 0.1.0
 */
export type Trip =
  | { readonly kind: "consecutive"; readonly failures: number; readonly forgetAfter?: Duration.Input | undefined }
  | { readonly kind: "count"; readonly failures: number; readonly window: Window }
  | {
    readonly kind: "rate"
    readonly threshold: number
    readonly minimumCalls?: number | undefined
    readonly window: Window
  }
  | {
    readonly kind: "slow"
    readonly threshold: number
    readonly slowerThan: Duration.Input
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
  /**
   * Successes among them that close. Default: all of `calls`. It reopens as soon as
   * they cannot be reached. Where there is a trip for slow calls, a slow one counts
   * as a failure does.
   */
  readonly successes?: number | undefined
  /** Instead of `successes`: the share of failures at which it reopens, above 0 and at most 1. */
  readonly failureRate?: number | undefined
  /**
   * The longest it may stay half-open: it bounds probes that hang, whose results
   * count for nothing from then on. Default: for ever. It is noticed when somebody
   * looks, and is as if it had been at that moment.
   */
  readonly maxDuration?: Duration.Input | undefined
  /** Where it goes after `maxDuration`. Default: `"open"`. */
  readonly afterwards?: "open" | "closed" | undefined
}

/**
 * What a breaker is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * One trip, or several with a window each: it opens when any is met. At most one
   * may be of the kind `slow`. Default: 5 consecutive failures.
   */
  readonly trip?: Trip | ReadonlyArray<Trip> | undefined
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
 * A window that has been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type WindowSettings =
  | { readonly kind: "calls"; readonly size: number }
  | { readonly kind: "time"; readonly duration: number; readonly buckets: number }

/**
 * A trip that has been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type TripSettings =
  | { readonly kind: "consecutive"; readonly failures: number; readonly forgetAfter: number | undefined }
  | { readonly kind: "count"; readonly failures: number; readonly window: WindowSettings }
  | {
    readonly kind: "rate"
    readonly threshold: number
    readonly minimumCalls: number
    readonly window: WindowSettings
  }
  | {
    readonly kind: "slow"
    readonly threshold: number
    readonly minimumCalls: number
    readonly slowerThan: number
    readonly window: WindowSettings
  }

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly trip: ReadonlyArray<TripSettings>
  readonly open: number | Schedule.Schedule<unknown> | ((openings: number) => Duration.Input)
  readonly maxRetryAfter: number
  readonly halfOpen: {
    readonly concurrent: number
    readonly calls: number
    readonly successes: number
    readonly maxDuration: number | undefined
    readonly afterwards: "open" | "closed"
  }
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

export {
  closed,
  type Event,
  isAdmitted,
  type Mode,
  type Phase,
  type Summary,
  transition
} from "./internal/breakerPhase.ts"

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

/** Which breaker, and which call: an `exit` is not there where no call's end was the reason, or only its outcome is known. */
interface OfBreaker {
  /** The key, where the breaker has many. */
  readonly key: string | undefined
}

interface ByCall extends OfBreaker {
  /** How the call that caused it has ended; `undefined` where none did, or where only its outcome was recorded. */
  readonly exit: Exit.Exit<unknown, unknown> | undefined
}

/**
 * What has become of a breaker.
 *
 * - `Open`, `HalfOpen`, `Closed`: it moved by itself. Without an `exit` a
 *   half-open one has lasted too long
 * - `Forced`: a mode overrides it now, or another mode than before
 * - `Released`: none does any more, and it stands in `state` again
 * - `Reset`: somebody closed it
 * - `Restored`: it was put where a snapshot says
 * - `ThresholdPassed`: it would have opened, had it not been in the mode
 *   `metricsOnly`; told once for each time that it is put there
 *
 * @category models
 * @since 0.1.0
 */
export type Transition =
  | (ByCall & {
    readonly to: "Open"
    readonly from: "Closed" | "HalfOpen"
    /** How long it will stay open. */
    readonly openFor: Duration.Duration
    /** Whether failures opened it, or calls that were slow. */
    readonly because: "failures" | "slow"
  })
  | (OfBreaker & { readonly to: "HalfOpen"; readonly from: "Open" })
  | (ByCall & { readonly to: "Closed"; readonly from: "HalfOpen" })
  | (OfBreaker & { readonly to: "Forced"; readonly from: Phase["_tag"]; readonly mode: Mode })
  | (OfBreaker & { readonly to: "Released"; readonly from: Mode; readonly state: "Closed" | "Open" })
  | (OfBreaker & { readonly to: "Reset"; readonly from: Phase["_tag"] })
  | (OfBreaker & { readonly to: "Restored"; readonly from: Phase["_tag"]; readonly state: "Closed" | "Open" })
  | (ByCall & { readonly to: "ThresholdPassed" })

export { Snapshot } from "./internal/breakerSnapshot.ts"

/**
 * Leave to go ahead, for policies of one's own; see `admit`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admission {
  /**
   * Says how it went. What comes first counts, this or the end of the scope; the
   * second does nothing.
   */
  readonly record: (outcome: Outcome.Outcome) => Effect.Effect<void>
}

/**
 * What guards calls: a breaker, or one key of a breaker that has many.
 *
 * `forceOpen`, `forceClosed`, `disable` and `metricsOnly` override it until their
 * scope is closed; see {@link Mode} for what each of them means. They nest: each
 * mode holds until all who asked for it have let go, and where there are several
 * the strongest counts: force open, disable, force closed, metrics only. Calls
 * that were let through before a mode began or ended are counted when they end,
 * but change nothing. In the end the breaker stands where it stood, with an empty
 * window: an open one whose time has passed lets a probe through; one that was
 * half-open begins with its first probe.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard {
  readonly name: string
  /** What can be read off it now. */
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Runs an effect if the breaker lets it through, and counts its outcome.
   * Otherwise fails with `CircuitOpen`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ) => Effect.Effect<A, E | CircuitOpen, R>
  /**
   * Asks for leave, for policies of one's own: the call lasts until it is recorded,
   * or until the scope is closed. The exit of the scope is then its outcome: a
   * success, a failure by its error, or, where it was interrupted, ignored, which
   * gives a probe back.
   */
  readonly admit: Effect.Effect<Admission, CircuitOpen, Scope.Scope>
  /** Refuses all calls until the scope is closed, however long that takes. */
  readonly forceOpen: Effect.Effect<void, never, Scope.Scope>
  /** Lets all calls through until the scope is closed. */
  readonly forceClosed: Effect.Effect<void, never, Scope.Scope>
  /** Lets all calls through until the scope is closed, and records nothing of them. */
  readonly disable: Effect.Effect<void, never, Scope.Scope>
  /** Lets all calls through until the scope is closed, and says once when it would have opened. */
  readonly metricsOnly: Effect.Effect<void, never, Scope.Scope>
  /** Closes it, with an empty window. Its counters go on; so does what overrides it, over a closed breaker. */
  readonly reset: Effect.Effect<void>
  /**
   * Puts it where a snapshot of the same name and key says, and counts on from
   * there. The time since then has passed: an open breaker that is due takes its
   * next call as a probe. Windows start empty; what overrode it in another life
   * does so no more. A malformed snapshot throws a `RangeError`; JSON is to be read
   * by the schema {@link Snapshot}.
   */
  readonly restore: (snapshot: Snapshot) => Effect.Effect<void>
  /**
   * The refusal that a call would meet now, which is counted. Lets nothing through.
   *
   * @internal
   */
  readonly refusal: (clock: Clock.Clock) => CircuitOpen | undefined
  /**
   * Where its calls go.
   *
   * @internal
   */
  readonly place: Place
}

/**
 * A breaker with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitBreaker extends Guard {
  /** Its settings now. */
  readonly settings: Settings
  /** Where it stands. To be read; it is moved by the breaker alone. */
  readonly phase: Ref.Ref<Phase>
  /**
   * Changes the settings. It stands where it stood, and keeps its counters and what
   * is in the windows that are the same; calls in flight end as they would have.
   */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
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
 * `initial` says otherwise. `onTransition` is told of every change, at once; what
 * it throws is dropped.
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
): CircuitBreaker =>
  new OnlyGuard(new OnlyCell(new Shared(name, settings, options?.onTransition), options?.initial ?? closed))

export { make as keyed } from "./KeyedCircuitBreaker.ts"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

export { CircuitOpen } from "./internal/circuitOpen.ts"
