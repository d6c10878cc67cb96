/**
 * Refuses some of the calls itself when the dependency refuses many.
 *
 * A dependency that has too much to do spends its time on turning calls away. A
 * throttle compares the calls that it was asked for with those that the
 * dependency accepted, and refuses as many as it takes, by chance, that the
 * dependency is sent little more than it can accept. The rest goes on reaching
 * it, so there is nothing to probe, and a recovery is noticed as it happens.
 *
 * The probability of a refusal is (Google, "Site Reliability Engineering",
 * chapter 21, "Handling Overload", client-side throttling):
 *
 *     max(0, (requests - accepts / target) / (requests + 1))
 *
 * over a sliding window, where `requests` counts the calls refused here as well.
 * The book's K is `1 / target`. Calls are counted when they end, so that slow
 * ones do not pass for refused ones while they run.
 *
 * What is accepted is decided by `Outcome`: successes are, failures and overloads
 * are not, and what is ignored is not counted.
 *
 * The throttle is the outermost of the policies around one attempt, so that a
 * refusal costs nothing else. It works beside a breaker, which stops all calls at
 * once when nothing works any more; a throttle sheds only the part that is too
 * much. It needs many calls to be fair: see `minimumCalls`.
 *
 * Where the dependency itself sheds by criticality, use one throttle for each:
 * the book keeps their statistics apart as well.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { Attempt, dueOf } from "./internal/attempt.ts"
import { integer, nonEmpty, onlyKeys, positiveMillis, refuse, share } from "./internal/options.ts"
import { countOf } from "./internal/outcomeTags.ts"
import { refusal } from "./internal/refusals.ts"
import { RotatingCounts } from "./internal/rotatingCounts.ts"
import { monotonicMillis } from "./internal/time.ts"
import * as Outcome from "./Outcome.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * What a throttle is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The share of accepted calls from which on none is refused: above 0, at most 1. Default: 0.5. */
  readonly target?: number | undefined
  /** Over how long calls are counted: at least 10 milliseconds; they are forgotten by its tenths. Default: 2 minutes. */
  readonly window?: Duration.Input | undefined
  /** With fewer calls in the window none is refused. Default: 10. */
  readonly minimumCalls?: number | undefined
  /**
   * The most that the probability of a refusal can be: above 0, at most 1. Default:
   * 1. Where a dependency can be down for longer than the window, a little less
   * (0.9) lets it be found well sooner.
   */
  readonly maxProbability?: number | undefined
}

/**
 * Options that have been checked. `window` is in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly target: number
  readonly window: number
  readonly minimumCalls: number
  readonly maxProbability: number
}

const parts = 10

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => {
  onlyKeys("Throttle", options, ["target", "window", "minimumCalls", "maxProbability"])
  const { maxProbability = 1, minimumCalls = 10, target = 0.5, window = 120_000 } = options
  const millis = positiveMillis("Throttle", "window", window)
  // finer parts than the clock's are of no use
  if (millis < parts) refuse("Throttle", "window", `at least ${parts} milliseconds`, window)
  return {
    target: share("Throttle", "target", target),
    window: millis,
    minimumCalls: integer("Throttle", "minimumCalls", minimumCalls, 1),
    maxProbability: share("Throttle", "maxProbability", maxProbability)
  }
}

/**
 * The probability that the next call is refused, from the calls in the window
 * and those of them that were accepted. Pure.
 *
 * @example
 * ```ts
 * import { Throttle } from "effect-resilience"
 *
 * const settings = Throttle.settings({ target: 0.5 })
 *
 * console.log(Throttle.probability(settings, 99, 50)) // => 0
 * console.log(Throttle.probability(settings, 99, 12)) // => 0.75
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const probability = (settings: Settings, requests: number, accepts: number): number =>
  requests < settings.minimumCalls
    ? 0
    : Math.min(settings.maxProbability, Math.max(0, (requests - accepts / settings.target) / (requests + 1)))

// -----------------------------------------------------------------------------
// throttles
// -----------------------------------------------------------------------------

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> extends Outcome.AttemptOptions<A, E> {}

/**
 * What can be read off a throttle.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  /** Calls in the window, those refused here included. */
  readonly requests: number
  /** Those of them that the dependency accepted. */
  readonly accepts: number
  /** The probability that the next call is refused. */
  readonly probability: number
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
 * A throttle with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Throttle {
  readonly name: string
  /** Those that hold now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Runs an effect, unless chance has it refused, and counts its outcome. A call
   * that is refused fails with `Throttled`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ) => Effect.Effect<A, E | Throttled, R>
  /** Changes the settings. With another window the counts start anew. */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
}

/**
 * Makes a throttle whose state belongs to whoever holds it. The options are
 * checked at once, and a bad one throws a `RangeError`.
 *
 * Make it once and use it for every call: one made per call never refuses any.
 *
 * @example
 * ```ts
 * import { Effect, Random } from "effect"
 * import { Throttle } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const mail = yield* Throttle.make("mail", { target: 0.9, minimumCalls: 20 })
 *   const send = mail.protect(Effect.fail("too many requests"))
 *   for (let n = 0; n < 20; n++) yield* Effect.exit(send)
 *   console.log((yield* mail.snapshot).probability.toFixed(2)) // => 0.95
 *   return yield* Effect.flip(send)
 * }).pipe(Random.withSeed("an example"))
 *
 * console.log((await Effect.runPromise(program)) instanceof Throttle.Throttled) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options?: Options): Effect.Effect<Throttle> => {
  nonEmpty("Throttle", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a throttle from checked settings, at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (name: string, settings: Settings): Throttle => new State(name, settings)

class State implements Throttle {
  readonly name: string
  settings: Settings
  /** Requests, and accepts among them. */
  window: RotatingCounts
  readonly counts = { success: 0, failure: 0, overload: 0, ignored: 0, refused: 0 }
  readonly snapshot: Effect.Effect<Snapshot>

  constructor(name: string, settings: Settings) {
    this.name = name
    this.settings = settings
    this.window = new RotatingCounts(settings.window, parts)
    this.snapshot = Effect.clockWith((clock) =>
      Effect.sync(() => {
        this.window.rotate(monotonicMillis(clock))
        const { first: requests, second: accepts } = this.window
        const chance = probability(this.settings, requests, accepts)
        return { name, requests, accepts, probability: chance, calls: { ...this.counts } }
      })
    )
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ): Effect.Effect<A, E | Throttled, R> => {
    const due = dueOf("Throttle", options)
    return Effect.withFiber((fiber) => {
      const call = new Call<A, E>(this, fiber, options, due)
      const entered = Effect.suspend((): Effect.Effect<A, E | Throttled, R> => call.enter() ?? self)
      return Effect.onExitPrimitive(entered, call.leave)
    })
  }

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.sync(() => {
      if (settings.window !== this.settings.window) this.window = new RotatingCounts(settings.window, parts)
      this.settings = settings
    })
}

/** One call's way through a throttle: in by `enter`, out by `leave`, which counts nothing of one that was refused. */
class Call<A, E> extends Attempt<A, E> {
  private readonly throttle: State
  private hasBegun = false

  constructor(
    throttle: State,
    fiber: Fiber.Fiber<unknown, unknown>,
    options: CallOptions<A, E> | undefined,
    due: number
  ) {
    super(fiber, options, due)
    this.throttle = throttle
  }

  enter(): Effect.Effect<never, Throttled> | undefined {
    const { name, settings, window } = this.throttle
    // while all calls are accepted there is nothing to find out
    if (window.first !== window.second) {
      const now = monotonicMillis(this.clock)
      window.rotate(now)
      const chance = probability(settings, window.first, window.second)
      // true for no draw where there is no chance, and never true of NaN
      if (chance > 0 && this.fiber.getRef(Random.Random).nextDoubleUnsafe() < chance) {
        window.add(1, 0, now)
        this.throttle.counts.refused++
        const error = refusal(Throttled, "Throttled", name)
        error.probability = chance
        return Effect.fail(error)
      }
    }
    this.hasBegun = true
    this.begin()
    return undefined
  }

  readonly leave = (exit: Exit.Exit<A, E | Throttled>): undefined => {
    if (!this.hasBegun) return
    // `Throttled` of this throttle comes from `enter` alone, which leaves the call unbegun
    const outcome = this.outcome(exit as Exit.Exit<A, E>)
    const { counts, window } = this.throttle
    counts[countOf[outcome._tag]]++
    if (outcome._tag !== "Ignored") window.add(1, outcome._tag === "Success" ? 1 : 0, monotonicMillis(this.clock))
  }
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The throttle refused the call, by chance, and the work was not run.
 *
 * @category errors
 * @since 0.1.0
 */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  /** The name of the throttle. */
  policy: Schema.String,
  /** How probable it was. */
  probability: Schema.Number
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    const percent = Math.round(this.probability * 100)
    return `${this.policy}: refused, with a probability of ${percent} %, as the dependency refuses too many calls`
  }
}
