/**
 * What retries and hedges together may add to the load.
 *
 * Every call is counted when it starts, and every further attempt spends a
 * permit. Over a sliding window there are
 *
 *     minimum + share * calls - spent
 *
 * permits, which is the budget of Finagle (`RetryBudget`) with a window in place
 * of its bucket that leaks. While a dependency is well, hardly a permit is spent,
 * and each call that fails may be tried again. When everything fails, the load
 * grows by `share` at most, where plain retries would multiply it.
 *
 * An empty budget stops new attempts, never work in flight. One budget belongs to
 * one dependency: `Retry` and `Hedge` take it as an option. It says nothing about
 * first attempts; to turn those away is up to a breaker, a throttle or a limit.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { integer, nonEmpty, onlyKeys, positiveMillis, rate, refuse } from "./internal/options.ts"
import { RotatingCounts } from "./internal/rotatingCounts.ts"
import { monotonicMillis } from "./internal/time.ts"

/**
 * What a budget is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Further attempts for each call of the window, from 0 to 1. Default: 0.2. */
  readonly share?: number | undefined
  /** Further attempts that every window has, also where there are few calls: zero or more. Default: 10. */
  readonly minimum?: number | undefined
  /** How far back calls and attempts count. Default: 10 seconds. */
  readonly window?: Duration.Input | undefined
  /** The equal parts of the window, in which it moves on. Default: 10. */
  readonly buckets?: number | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly share: number
  readonly minimum: number
  readonly window: number
  readonly buckets: number
}

/** A window keeps two numbers for each bucket. */
const maxBuckets = 10_000

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => {
  onlyKeys("RetryBudget", options, ["share", "minimum", "window", "buckets"])
  const { buckets: parts = 10, minimum = 10, share = 0.2 } = options
  const buckets = integer("RetryBudget", "buckets", parts, 1, maxBuckets)
  const window = positiveMillis("RetryBudget", "window", options.window ?? 10_000)
  if (window < buckets) {
    refuse("RetryBudget", "window", `at least a millisecond for each of its ${buckets} buckets`, options.window)
  }
  return {
    share: rate("RetryBudget", "share", share),
    minimum: integer("RetryBudget", "minimum", minimum, 0),
    window,
    buckets
  }
}

/**
 * What can be read off a budget.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  /** Calls in the window. */
  readonly calls: number
  /** Further attempts in the window. */
  readonly spent: number
  /** Further attempts that may be made now. */
  readonly left: number
  /** Further attempts that were not made for want of a permit, since the budget was made. */
  readonly refused: number
}

/**
 * A budget with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryBudget {
  readonly name: string
  /** What holds now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /** Changes the settings. What the window holds stays, as if it had just come where the window changes. */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
  /** Counts a call. `Retry` and `Hedge` do it themselves; this is for attempts of one's own making. */
  readonly deposit: Effect.Effect<void>
  /** Spends a permit, if there is one: whether a further attempt may be made. */
  readonly withdraw: Effect.Effect<boolean>
  /**
   * Counts a call at a time in monotonic milliseconds.
   *
   * @internal
   */
  readonly depositAt: (now: number) => void
  /**
   * Spends a permit at a time in monotonic milliseconds.
   *
   * @internal
   */
  readonly withdrawAt: (now: number) => boolean
  /**
   * Gives a permit back whose attempt was not made.
   *
   * @internal
   */
  readonly refundAt: (now: number) => void
}

/**
 * Makes a budget whose state belongs to whoever holds it.
 *
 * It is made once for a dependency and shared by all calls to it: a budget per
 * call is always full. A pipeline makes its own, from its options.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry, RetryBudget } from "effect-resilience"
 *
 * let requests = 0
 * const down = Effect.suspend(() => Effect.fail(`request ${++requests} failed`))
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* RetryBudget.make("quotes", { share: 0.1, minimum: 5 })
 *   const retry = Retry.make({ times: 3, backoff: { kind: "constant", delay: "1 millis" }, budget })
 *   // without the budget there would be 400 requests
 *   yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.ignore(retry(down)))
 * })
 * await Effect.runPromise(program)
 *
 * console.log(requests) // => 115
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options?: Options): Effect.Effect<RetryBudget> => {
  nonEmpty("RetryBudget", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a budget from checked settings, at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (name: string, settings: Settings): RetryBudget => new Budget(name, settings)

/**
 * Returns `value` if it is a budget, or left out.
 *
 * @internal
 */
export const optionalBudget = (module: string, value: RetryBudget | undefined): RetryBudget | undefined =>
  value === undefined || value instanceof Budget
    ? value
    : refuse(module, "budget", "a budget that RetryBudget.make has made", value)

// a share of calls is rarely a number that a double can hold: 0.29 * 100 is a little below 29
const rounding = 1e-9

class Budget implements RetryBudget {
  readonly name: string
  settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  readonly deposit: Effect.Effect<void>
  readonly withdraw: Effect.Effect<boolean>
  /** Calls, and permits spent. */
  private counts: RotatingCounts
  private refused = 0

  constructor(name: string, settings: Settings) {
    this.name = name
    this.settings = settings
    this.counts = new RotatingCounts(settings.window, settings.buckets)
    this.snapshot = this.at((now) => this.read(now))
    this.deposit = this.at((now) => this.depositAt(now))
    this.withdraw = this.at((now) => this.withdrawAt(now))
  }

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    this.at((now) => {
      const { buckets, window } = this.settings
      if (settings.window !== window || settings.buckets !== buckets) {
        this.counts.rotate(now)
        const { first, second } = this.counts
        this.counts = new RotatingCounts(settings.window, settings.buckets)
        this.counts.add(first, second, now)
      }
      this.settings = settings
    })

  readonly depositAt = (now: number): void => this.counts.add(1, 0, now)

  readonly withdrawAt = (now: number): boolean => {
    if (this.left(now) < 1) {
      this.refused++
      return false
    }
    this.counts.add(0, 1, now)
    return true
  }

  // it is taken off the newest part of the window, so the one that it was spent in may be forgotten sooner
  readonly refundAt = (now: number): void => this.counts.add(0, -1, now)

  private left(now: number): number {
    this.counts.rotate(now)
    const { minimum, share } = this.settings
    return minimum + share * this.counts.first - Math.max(0, this.counts.second) + rounding
  }

  private read(now: number): Snapshot {
    const left = Math.max(0, Math.floor(this.left(now)))
    return {
      name: this.name,
      calls: this.counts.first,
      spent: Math.max(0, this.counts.second),
      left,
      refused: this.refused
    }
  }

  private at<A>(f: (now: number) => A): Effect.Effect<A> {
    return Effect.clockWith((clock: Clock.Clock) => Effect.sync(() => f(monotonicMillis(clock))))
  }
}
