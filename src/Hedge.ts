/**
 * Does not wait for a slow attempt alone: starts another one beside it, and takes
 * the answer that comes first.
 *
 * A further attempt, a hedge, starts when the latest one has run for `delay`: a
 * fixed time, or a quantile of recent latencies (Dean, Barroso: "The Tail at
 * Scale", CACM 2013). With the 95th percentile one call in twenty is hedged, and
 * those are the slow ones.
 *
 * - The first answer wins. The other attempts are interrupted before it is handed
 *   over, and what they still bring is disposed of.
 * - A failure that may be retried starts the next hedge at once. One that asks for
 *   time by its `retryAfter`, one that is not to be retried, and a refusal of our
 *   own start none, neither then nor later: nothing is urged on who wants rest.
 * - Where all attempts fail, the call fails with the error of the first.
 * - No hedge is started that the deadline leaves no time for, nor without a permit
 *   where a `RetryBudget` is given.
 *
 * Only for work that may run more than once, also at the same time. Work that can
 * tell its point of no return says so by `Replay.commit`: it goes on alone then.
 *
 * Hedging stands inside retry, and outside of everything that concerns one
 * attempt: throttle, limits, breaker, attempt timeout. It is of no use against a
 * dependency that is slow for everybody; an attempt timeout and a breaker are.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { HedgedCall } from "./internal/hedgedCall.ts"
import { resolve } from "./internal/hedgeSettings.ts"
import { HedgeState } from "./internal/hedgeState.ts"
import { nonEmpty } from "./internal/options.ts"
import type * as Outcome from "./Outcome.ts"
import { optionalBudget, type RetryBudget } from "./RetryBudget.ts"

/**
 * A delay that follows the latency of first attempts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Quantile {
  /** The share of first attempts that answer sooner, above 0 and below 1, such as 0.95. */
  readonly quantile: number
  /** The delay until there are enough samples. Default: 1 second. */
  readonly initial?: Duration.Input | undefined
  /** How many of the latest answers are looked at, at most 65,535. Default: 1,000. */
  readonly samples?: number | undefined
  /** How many are enough. Default: `1 / (1 - quantile)`, which is 20 for 0.95. */
  readonly minimumSamples?: number | undefined
  /** The shortest delay, whatever the latencies are. Default: 1 millisecond. */
  readonly minimum?: Duration.Input | undefined
  /** The longest delay, whatever the latencies are. Default: none. */
  readonly maximum?: Duration.Input | undefined
}

/**
 * What a hedge is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Further attempts of a call at most, from 0, which is not to hedge, to 100. Default: 1. */
  readonly hedges?: number | undefined
  /**
   * How long the latest attempt has to have run before another one starts beside
   * it. Zero starts all at once; `"Infinity"` only starts one after a failure.
   * Default: the 95th percentile of recent latencies.
   */
  readonly delay?: Duration.Input | Quantile | undefined
  /**
   * Whether a call waits until the attempts that have lost have cleaned up: for
   * work that uses what belongs to its caller, such as a connection that is closed
   * when the call has returned. Default: `false`; clean-up that takes its time goes
   * on behind the call.
   */
  readonly awaitLosers?: boolean | undefined
}

/**
 * The options of a hedge that stands alone, and not in a pipeline.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions extends Options {
  /** What this and other hedges and retries may spend together. An empty one starts no hedge. */
  readonly budget?: RetryBudget | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly hedges: number
  readonly delay: number | {
    readonly quantile: number
    readonly initial: number
    readonly samples: number
    readonly minimumSamples: number
    readonly minimum: number
    readonly maximum: number
  }
  readonly awaitLosers: boolean
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => resolve(options)

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> {
  /** Overrides what exits mean: which of them win, and which start the next hedge. */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /**
   * Results that another attempt may better, although the dependency is well, such
   * as "not ready yet". They do not win while another attempt runs, and start none.
   */
  readonly retryIf?: ((result: A) => boolean) | undefined
  /**
   * Gives back what a discarded result holds. It is run for every result but the
   * one that is returned. It must come to an end; where it fails, that is logged.
   */
  readonly dispose?: ((result: A) => Effect.Effect<void>) | undefined
}

/**
 * What can be read off a hedge.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  /** Calls since it was made. */
  readonly calls: number
  /** Hedges that were started. */
  readonly hedges: number
  /** Hedges that have answered before the attempts beside them. */
  readonly won: number
  /** What the next call waits before it starts a hedge. */
  readonly delay: Duration.Duration
}

/**
 * A hedge with its state: recent latencies, and counters.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hedge {
  readonly name: string
  /** What holds now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /** Changes the settings. Latencies are kept, unless another quantile or number of them is asked for. */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
  /**
   * Runs an effect, and again beside itself where it is slow. Each attempt has a
   * fiber of its own.
   */
  readonly protect: <A, E, R>(self: Effect.Effect<A, E, R>, options?: CallOptions<A, E>) => Effect.Effect<A, E, R>
  /** @internal */
  readonly state: HedgeState
}

/**
 * Makes a hedge whose state belongs to whoever holds it.
 *
 * Not for work that must run once, and not without a budget around what may be
 * slow for everybody at a time: each call adds its hedges to the load then.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Hedge } from "effect-resilience"
 *
 * let calls = 0
 * const quote = Effect.suspend(() => ++calls === 1 ? Effect.never : Effect.succeed(`answer ${calls}`))
 *
 * const program = Effect.gen(function*() {
 *   const hedge = yield* Hedge.make("quotes", { delay: "10 millis" })
 *   console.log(yield* hedge.protect(quote)) // => answer 2
 *   const { hedges, won } = yield* hedge.snapshot
 *   console.log(hedges, won) // => 1 1
 * })
 * await Effect.runPromise(program)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options: MakeOptions = {}): Effect.Effect<Hedge> => {
  nonEmpty("Hedge", "name", name)
  const resolved = resolve(options, ["budget"])
  const budget = optionalBudget("Hedge", options.budget)
  return Effect.sync(() => new Hedging(name, resolved, budget))
}

/**
 * Makes a hedge from checked settings, at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (name: string, settings: Settings): Hedge => new Hedging(name, settings, undefined)

class Hedging implements Hedge {
  readonly name: string
  readonly state: HedgeState
  readonly snapshot: Effect.Effect<Snapshot>
  private readonly budget: RetryBudget | undefined

  constructor(name: string, settings: Settings, budget: RetryBudget | undefined) {
    this.name = name
    this.state = new HedgeState(settings)
    this.budget = budget
    this.snapshot = Effect.sync(() => {
      const { calls, delay, started, won } = this.state
      return { name, calls, hedges: started, won, delay: Duration.millis(delay) }
    })
  }

  get settings(): Settings {
    return this.state.settings
  }

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.sync(() => this.state.reconfigure(settings))

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ): Effect.Effect<A, E, R> => run(self, this, { ...options, budget: this.budget })
}

/**
 * What watches a hedge from outside. Its functions are synchronous and must not
 * throw. Hedges of a call are counted from 1.
 *
 * @internal
 */
export interface Watch {
  /** Called when a hedge is about to start, which may be in no fiber. */
  readonly hedging: (hedge: number, caller: Fiber.Fiber<unknown, unknown>) => void
  /** Called when a hedge has won, before the call goes on. */
  readonly won: (hedge: number, caller: Fiber.Fiber<unknown, unknown>) => void
  /** Whether an attempt at that time, in monotonic milliseconds, is sure to be refused. */
  readonly willRefuse: (at: number) => boolean
}

/** @internal */
export interface RunOptions<in A, in E> extends CallOptions<A, E>, Pick<MakeOptions, "budget"> {}

/**
 * Runs an effect under a hedge. Its budget is the one that the call names.
 *
 * @internal
 */
export const run = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  hedge: Hedge,
  call?: RunOptions<A, E>,
  watch?: Watch
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const hedged = new HedgedCall(self, hedge.state, call, watch, fiber)
    return Effect.onExitPrimitive(Effect.suspend(hedged.begin), hedged.end)
  })
