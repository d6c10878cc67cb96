/**
 * Lets only so many calls run at once, and finds out how many are good.
 *
 * The limit follows from what the calls meet, as congestion control does for
 * packets: it grows while calls succeed and are no slower than usual, and shrinks
 * when they are dropped or wait in the dependency's own queue. See
 * {@link Algorithm} for the ways to tell. Calls above the limit wait, if there is
 * a queue, or fail at once with {@link LimitExceeded}.
 *
 * What is a success or a drop is decided by `Outcome`: a success gives its
 * latency, failures and overloads are drops, and what is ignored says nothing.
 * Latency is the time that the work takes, without its wait for a permit.
 *
 * Lower priorities are shed first: they may use only a share of the limit, they
 * are served last, and where the queue is full the newest of the lowest priority
 * makes room for a higher one.
 *
 * It takes the place of a bulkhead: inside retry and rate limit, outside the
 * breaker and the attempt timeout. Use a `Bulkhead` where the right number is
 * known, such as the size of a connection pool, or where calls are few: a limit
 * is found from tens of calls, not from one a minute.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { Attempt, dueOf } from "./internal/attempt.ts"
import * as limitAlgorithms from "./internal/limitAlgorithms.ts"
import { resolve } from "./internal/limitSettings.ts"
import { nonEmpty, oneOf } from "./internal/options.ts"
import { countOf } from "./internal/outcomeTags.ts"
import { Permit, Permits, type Reason } from "./internal/permits.ts"
import { refusal } from "./internal/refusals.ts"
import { monotonicMillis } from "./internal/time.ts"
import * as Outcome from "./Outcome.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * How the limit follows from what calls meet. The formulas are those of Netflix's
 * concurrency-limits.
 *
 * - `aimd`: from drops alone. After a success that began with at least half of the
 *   limit in flight the limit is `limit + 1`; after a drop it is the smaller of
 *   `limit - 1` and `limit * ratio`, rounded down. `ratio` is from 0.5 to below 1,
 *   by default 0.9. A success that took longer than `timeout` is a drop; by
 *   default none is. For dependencies that say when they have too much to do.
 * - `vegas`: from the queue that the latency betrays, `limit * (1 - least latency /
 *   latency)`. With steps of `max(1, floor(log10(limit)))`, the limit grows by
 *   `beta` steps while the queue is at most one step, by one step while it is
 *   below `alpha` steps, and shrinks by one step above `beta` steps and at each
 *   drop. `alpha` defaults to 3, `beta` to 6. The least latency is measured anew
 *   after `probe` rounds (default 30), with half of the limit for one round. For
 *   latencies that vary little: where they vary much, the least one is no measure.
 * - `gradient2`: from latency against its long average. Per round the limit moves
 *   by `smoothing` (above 0, at most 1, default 0.2) towards `limit * gradient +
 *   queueSize`, where the gradient is `long average / latency`, from 0.5 to 1.
 *   `queueSize` (default 4) is the room for a queue, and `longWindow` (default 600)
 *   the length of the long average in rounds. A drop counts as a call with the
 *   gradient 0.5. The limit never settles below twice the `queueSize`. Under load
 *   that never ebbs the average follows the latency, and the limit slowly drifts
 *   up to its `max`.
 *
 * Vegas and gradient change the limit once in a round, of as many calls as the
 * limit, at least `samples` (default 10).
 *
 * @category models
 * @since 0.1.0
 */
export type Algorithm =
  | { readonly kind: "aimd"; readonly ratio?: number | undefined; readonly timeout?: Duration.Input | undefined }
  | {
    readonly kind: "vegas"
    readonly alpha?: number | undefined
    readonly beta?: number | undefined
    readonly probe?: number | undefined
    readonly samples?: number | undefined
  }
  | {
    readonly kind: "gradient2"
    readonly smoothing?: number | undefined
    readonly queueSize?: number | undefined
    readonly longWindow?: number | undefined
    readonly samples?: number | undefined
  }

/**
 * What is shed last and first, when not all can be served: `critical` calls may
 * use the whole limit, `sheddable` and `background` ones only shares of it.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = "critical" | "sheddable" | "background"

/**
 * What an adaptive limit is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `gradient2`. */
  readonly algorithm?: Algorithm | undefined
  /** The limit to begin with. Default: 20, or the nearest within the bounds. */
  readonly initial?: number | undefined
  /** The limit is never below this. Default: 1. */
  readonly min?: number | undefined
  /** The limit is never above this. Default: 200. */
  readonly max?: number | undefined
  /**
   * A call of that priority is let in while fewer calls, of all priorities, are in
   * flight than this share of the limit; at least one may always be. Above 0 and
   * at most 1. Defaults: `sheddable` 0.8, `background` 0.5; no lower priority may
   * have more than a higher one.
   */
  readonly shares?: { readonly sheddable?: number | undefined; readonly background?: number | undefined } | undefined
  /** How many calls may wait: `Infinity` for any number. Default: 0. */
  readonly queue?: number | undefined
  /**
   * How long one may wait. Default: as long as it is let; a deadline or a total
   * timeout outside ends its wait in any case. Only together with `queue`.
   */
  readonly wait?: Duration.Input | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly algorithm:
    | { readonly kind: "aimd"; readonly ratio: number; readonly timeout: number }
    | {
      readonly kind: "vegas"
      readonly alpha: number
      readonly beta: number
      readonly probe: number
      readonly samples: number
    }
    | {
      readonly kind: "gradient2"
      readonly smoothing: number
      readonly queueSize: number
      readonly longWindow: number
      readonly samples: number
    }
  readonly initial: number
  readonly min: number
  readonly max: number
  readonly shares: { readonly sheddable: number; readonly background: number }
  readonly queue: number
  readonly wait: number
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => resolve(options)

// -----------------------------------------------------------------------------
// limits
// -----------------------------------------------------------------------------

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> extends Outcome.AttemptOptions<A, E> {
  /** Default: `"critical"`, which may use the whole limit. */
  readonly priority?: Priority | undefined
}

/**
 * What can be read off a limit. Latencies are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  readonly limit: number
  /** Calls that hold a permit. */
  readonly inFlight: number
  /** Calls that wait for one. */
  readonly waiting: number
  /** What the limit follows from. */
  readonly estimates: {
    /** The limit before it is rounded down. */
    readonly limit: number
    /** The average latency of the last round; absent before the first, and with `aimd`. */
    readonly latency: number | undefined
    /** What it is compared with: the least latency, or its long average. */
    readonly baseline: number | undefined
  }
  /** Calls since it was made: those that ran, by outcome, those refused, by priority, and those interrupted in the queue. */
  readonly calls: {
    readonly success: number
    readonly failure: number
    readonly overload: number
    readonly ignored: number
    readonly refused: { readonly [P in Priority]: number }
    readonly abandoned: number
  }
}

/**
 * A limit with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdaptiveLimit {
  readonly name: string
  /** Those that hold now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Runs an effect once it has a permit, and learns from its outcome. Where there
   * is none to be had, it fails with `LimitExceeded`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ) => Effect.Effect<A, E | LimitExceeded, R>
  /**
   * Changes the settings. The limit stays where it is, within the new bounds; what
   * has been learnt about latency is kept unless the algorithm is another. Calls in
   * flight finish, and those who wait keep their place and their time.
   */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
}

/**
 * Makes a limit whose state belongs to whoever holds it. The options are checked
 * at once, and a bad one throws a `RangeError`.
 *
 * Make it once and use it for every call: one made per call limits nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { AdaptiveLimit } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const search = yield* AdaptiveLimit.make("search", { algorithm: { kind: "aimd" }, initial: 30 })
 *   const overloaded = Effect.fail("too many requests")
 *   yield* Effect.exit(search.protect(overloaded))
 *   console.log((yield* search.snapshot).limit) // => 27
 *   yield* Effect.all(Array.from({ length: 14 }, () => search.protect(Effect.sleep("10 millis"))), {
 *     concurrency: "unbounded"
 *   })
 *   console.log((yield* search.snapshot).limit) // => 28
 * })
 *
 * await Effect.runPromise(program)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options?: Options): Effect.Effect<AdaptiveLimit> => {
  nonEmpty("AdaptiveLimit", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a limit from checked settings, at once. `onChange` is told of every change
 * of the limit, at once; it must not throw.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (
  name: string,
  settings: Settings,
  options?: { readonly onChange?: ((change: { readonly from: number; readonly to: number }) => void) | undefined }
): AdaptiveLimit => new State(name, settings, options?.onChange)

/** By rank. */
const priorities: ReadonlyArray<Priority> = ["critical", "sheddable", "background"]

class State implements AdaptiveLimit {
  readonly name: string
  settings: Settings
  readonly permits: Permits
  algorithm: limitAlgorithms.Algorithm
  readonly counts = { success: 0, failure: 0, overload: 0, ignored: 0 }
  private readonly refused = { critical: 0, sheddable: 0, background: 0 }
  private readonly onChange: ((change: { readonly from: number; readonly to: number }) => void) | undefined
  /** As the permits have been told. */
  limit: number
  readonly snapshot: Effect.Effect<Snapshot>

  constructor(name: string, settings: Settings, onChange: State["onChange"]) {
    this.name = name
    this.settings = settings
    this.onChange = onChange
    this.algorithm = limitAlgorithms.make(settings, settings.initial)
    this.limit = this.algorithm.limit
    this.permits = new Permits(this.allowances(), settings)
    this.snapshot = Effect.sync(() => {
      const { counts, inFlight, waiting } = this.permits
      return {
        name,
        limit: this.limit,
        inFlight,
        waiting,
        estimates: this.algorithm.estimates,
        calls: { ...this.counts, refused: { ...this.refused }, abandoned: counts.abandoned }
      }
    })
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ): Effect.Effect<A, E | LimitExceeded, R> => {
    const due = dueOf("AdaptiveLimit", options)
    const priority = oneOf("AdaptiveLimit", "priority", options?.priority ?? "critical", priorities)
    return Effect.withFiber((fiber) => {
      const call = new Call<A, E>(this, fiber, options, due)
      // the finalizer is in place before there is anything to give back, so that no interrupt can fall in between
      return Effect.onExitPrimitive(Effect.suspend(() => call.enter(priority, self)), call.leave)
    })
  }

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      const { algorithm, limit } = this
      const isTheSame = Equal.equals(this.settings.algorithm, settings.algorithm)
      this.settings = settings
      this.permits.queue = settings
      algorithm.bound(settings.min, settings.max)
      // calls that began under the other algorithm still tell that one, which nobody asks any more
      if (!isTheSame) this.algorithm = limitAlgorithms.make(settings, algorithm.limit)
      this.limit = this.algorithm.limit
      this.permits.allow(this.allowances())
      this.permits.serve(fiber)
      this.tell(limit)
      return Effect.void
    })

  refuse(reason: Reason, priority: Priority): LimitExceeded {
    this.refused[priority]++
    const error = refusal(LimitExceeded, "LimitExceeded", this.name)
    error.reason = reason
    error.priority = priority
    error.limit = this.limit
    return error
  }

  /** Takes over the algorithm's limit. */
  follow(): void {
    if (this.limit === this.algorithm.limit) return
    this.limit = this.algorithm.limit
    this.permits.allow(this.allowances())
  }

  /** Tells of a change, if there is one. */
  tell(from: number): void {
    if (from !== this.limit) this.onChange?.({ from, to: this.limit })
  }

  private allowances(): ReadonlyArray<number> {
    const { background, sheddable } = this.settings.shares
    const of = (share: number) => Math.max(1, Math.floor(this.limit * share + rounding))
    return [this.limit, of(sheddable), of(background)]
  }
}

// 0.29 * 100 is a little below 29
const rounding = 1e-9

/** One call's way through a limit: in by `enter`, out by `leave`, which learns nothing from one that has not begun. */
class Call<A, E> extends Attempt<A, E> {
  private readonly owner: State
  private readonly permit: Permit
  private algorithm: limitAlgorithms.Algorithm | undefined = undefined
  private round = 0
  private inFlight = 0
  private beganAt = 0

  constructor(
    owner: State,
    fiber: Fiber.Fiber<unknown, unknown>,
    options: CallOptions<A, E> | undefined,
    due: number
  ) {
    super(fiber, options, due)
    this.owner = owner
    this.permit = new Permit(owner.permits, fiber)
  }

  enter<R>(priority: Priority, self: Effect.Effect<A, E, R>): Effect.Effect<A, E | LimitExceeded, R> {
    const rank = priorities.indexOf(priority)
    const then = (reason: Reason | undefined): Effect.Effect<A, E | LimitExceeded, R> => {
      if (reason !== undefined) return Effect.fail(this.owner.refuse(reason, priority))
      this.start()
      return self
    }
    if (this.permit.take(rank)) return then(undefined)
    return this.permit.join(rank, undefined) ? this.permit.turn(then) : then("queue")
  }

  private start(): void {
    const { algorithm, permits } = this.owner
    this.algorithm = algorithm
    this.round = algorithm.round
    this.inFlight = permits.inFlight
    if (algorithm.usesLatency) this.beganAt = monotonicMillis(this.clock)
    this.begin()
  }

  readonly leave = (exit: Exit.Exit<A, E | LimitExceeded>): undefined => {
    const { algorithm, owner, permit } = this
    if (algorithm === undefined) return permit.leave()
    // `LimitExceeded` of this limit comes before the start alone
    const outcome = this.outcome(exit as Exit.Exit<A, E>)
    owner.counts[countOf[outcome._tag]]++
    const { limit } = owner
    if (outcome._tag !== "Ignored") {
      algorithm.record(outcome._tag === "Success" ? this.latency(algorithm) : undefined, this.inFlight, this.round)
      owner.follow()
    }
    // the permit goes on under the new limit
    permit.leave()
    owner.tell(limit)
  }

  private latency({ usesLatency }: limitAlgorithms.Algorithm): number {
    return usesLatency ? monotonicMillis(this.clock) - this.beganAt : 0
  }
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The limit had no permit for the call, and the work was not run. When there will
 * be one, nobody can know.
 *
 * @category errors
 * @since 0.1.0
 */
export class LimitExceeded extends Schema.TaggedError<LimitExceeded>()("LimitExceeded", {
  /** The name of the limit. */
  policy: Schema.String,
  /** Whether there was no place left in the queue (or a higher priority has taken it), or the call has waited there too long. */
  reason: Schema.Literals(["queue", "wait"]),
  priority: Schema.Literals(["critical", "sheddable", "background"]),
  /** How many calls might run at once at that moment. */
  limit: Schema.Int
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    const { limit, policy, priority, reason } = this
    return reason === "wait"
      ? `${policy}: no permit came free in time for a ${priority} call, with a limit of ${limit}`
      : `${policy}: a ${priority} call too many for the limit of ${limit}`
  }
}
