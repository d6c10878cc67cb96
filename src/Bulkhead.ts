/**
 * Lets only so many calls run at once, and makes some of the rest wait.
 *
 * One slow dependency then takes no more than its share of what all of them
 * need: connections, memory, the event loop. A call that finds no permit waits,
 * if the queue has a place for it; otherwise it fails at once with
 * {@link BulkheadFull}. First come is first served; where calls carry a `key`,
 * keys that wait take turns, so that one busy tenant does not stand in everybody
 * else's way.
 *
 * A permit is held exactly as long as the work runs, whatever its end. Whoever is
 * interrupted while it waits leaves no trace.
 *
 * The bulkhead stands inside retry and rate limit, so that no permit is held
 * while a call waits for its next attempt; the breaker and the attempt timeout
 * stand inside of it, so that waiting is not held against the dependency. The
 * total timeout stands outside and covers the wait.
 *
 * It does not find out how many calls are good for a dependency: see
 * `AdaptiveLimit`. Nor does it limit calls per second: see `RateLimit`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { integer, nonEmpty, onlyKeys } from "./internal/options.ts"
import { Permit, Permits, type Reason, resolveQueue } from "./internal/permits.ts"
import { refusal } from "./internal/refusals.ts"
import * as Outcome from "./Outcome.ts"

/**
 * What a bulkhead is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many calls may run at once: at least 1. */
  readonly concurrency: number
  /** How many more may wait: `Infinity` for any number. Default: 0. */
  readonly queue?: number | undefined
  /**
   * How long one may wait. Default: as long as it is let; a deadline or a total
   * timeout outside ends its wait in any case. Only together with `queue`.
   */
  readonly wait?: Duration.Input | undefined
}

/**
 * Options that have been checked. `wait` is in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly concurrency: number
  readonly queue: number
  readonly wait: number
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options): Settings => {
  onlyKeys("Bulkhead", options, ["concurrency", "queue", "wait"])
  return {
    concurrency: integer("Bulkhead", "concurrency", options.concurrency, 1),
    ...resolveQueue("Bulkhead", options)
  }
}

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** On whose behalf it is made. Keys that wait take turns; calls without one are a group of their own. */
  readonly key?: string | undefined
}

/**
 * What can be read off a bulkhead.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  readonly concurrency: number
  readonly queue: number
  /** Calls that hold a permit. */
  readonly inFlight: number
  /** Calls that wait for one. */
  readonly waiting: number
  /** Calls since it was made. */
  readonly calls: {
    readonly admitted: number
    /** Refused at once: there was no place to wait. */
    readonly queueFull: number
    /** Refused after their `wait`. */
    readonly waitedTooLong: number
    /** Interrupted while they waited. */
    readonly abandoned: number
  }
}

/**
 * A bulkhead with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bulkhead {
  readonly name: string
  /** Those that hold now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Runs an effect once it has a permit. Where there is none to be had, it fails
   * with `BulkheadFull`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions
  ) => Effect.Effect<A, E | BulkheadFull, R>
  /**
   * Changes the settings. Permits that are added go to those who wait, at once.
   * None is taken away: with fewer, the calls in flight finish first. Those who
   * wait keep their place and their time.
   */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
  /**
   * What its calls hold.
   *
   * @internal
   */
  readonly permits: Permits
  /**
   * The error of a call that gets no permit now.
   *
   * @internal
   */
  readonly refusal: (reason: Reason) => BulkheadFull
}

/**
 * Makes a bulkhead whose state belongs to whoever holds it. The options are
 * checked at once, and a bad one throws a `RangeError`.
 *
 * Make it once and use it for every call: one made per call limits nothing. Not
 * around work that calls through the same bulkhead again: with all permits in
 * such hands, each waits for the others.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const reports = yield* Bulkhead.make("reports", { concurrency: 2, queue: 1 })
 *   const report = Effect.as(Effect.sleep("10 millis"), "done").pipe(
 *     reports.protect,
 *     Effect.catchTag("BulkheadFull", () => Effect.succeed("refused"))
 *   )
 *   return yield* Effect.all([report, report, report, report], { concurrency: "unbounded" })
 * })
 *
 * console.log((await Effect.runPromise(program)).join(", ")) // => done, done, done, refused
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options: Options): Effect.Effect<Bulkhead> => {
  nonEmpty("Bulkhead", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a bulkhead from checked settings, at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (name: string, settings: Settings): Bulkhead => new State(name, settings)

// there is one rank of calls
const only = 0

class State implements Bulkhead {
  readonly name: string
  settings: Settings
  readonly permits: Permits
  readonly snapshot: Effect.Effect<Snapshot>

  constructor(name: string, settings: Settings) {
    this.name = name
    this.settings = settings
    this.permits = new Permits([settings.concurrency], settings)
    this.snapshot = Effect.sync(() => {
      const { counts, inFlight, waiting } = this.permits
      const { concurrency, queue } = this.settings
      return { name, concurrency, queue, inFlight, waiting, calls: { ...counts } }
    })
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions
  ): Effect.Effect<A, E | BulkheadFull, R> =>
    Effect.withFiber((fiber) => {
      const permit = new Permit(this.permits, fiber)
      // the finalizer is in place before there is anything to give back, so that no interrupt can fall in between
      return Effect.onExitPrimitive(
        Effect.suspend(() => permit.take(only) ? self : this.wait(permit, options?.key, self)),
        () => permit.leave()
      )
    })

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      this.settings = settings
      this.permits.queue = settings
      this.permits.allow([settings.concurrency])
      this.permits.serve(fiber)
      return Effect.void
    })

  private wait<A, E, R>(
    permit: Permit,
    key: string | undefined,
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | BulkheadFull, R> {
    const then = (reason: Reason | undefined): Effect.Effect<A, E | BulkheadFull, R> =>
      reason === undefined ? self : Effect.fail(this.refusal(reason))
    return permit.join(only, key) ? permit.turn(then) : then("queue")
  }

  readonly refusal = (reason: Reason): BulkheadFull => {
    const error = refusal(BulkheadFull, "BulkheadFull", this.name)
    error.reason = reason
    error.concurrency = this.settings.concurrency
    error.waiting = this.permits.waiting
    return error
  }
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The bulkhead had no permit for the call, and the work was not run. When there
 * will be one, nobody can know.
 *
 * @category errors
 * @since 0.1.0
 */
export class BulkheadFull extends Schema.TaggedError<BulkheadFull>()("BulkheadFull", {
  /** The name of the bulkhead. */
  policy: Schema.String,
  /** Whether there was no place left in the queue, or the call has waited there too long. */
  reason: Schema.Literals(["queue", "wait"]),
  /** How many calls may run at once. */
  concurrency: Schema.Int,
  /** How many others waited at that moment. */
  waiting: Schema.Int
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    const { concurrency, policy, reason, waiting } = this
    return reason === "wait"
      ? `${policy}: none of ${concurrency} permits came free in time`
      : `${policy}: no permit is free (${concurrency} in all), and no place in the queue (${waiting} waiting)`
  }
}
