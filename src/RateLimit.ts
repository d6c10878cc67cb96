/**
 * Lets only so many calls start in a given time.
 *
 * A call takes its permits when it starts. Where there are none, it waits for up to
 * `wait`, in order of arrival; where that would be too long, or would overrun the
 * standing deadline, it fails at once with {@link RateLimited}, and has cost
 * nothing. Nothing is reserved by waiting: whoever goes away leaves no trace, and
 * those behind move up. What is taken for work that never ran is given back.
 *
 * | kind             | lets through                                                                  |
 * | ---------------- | ----------------------------------------------------------------------------- |
 * | `token-bucket`   | `burst` at once, and `permits` in each `per` after that; evenly with burst 1  |
 * | `sliding-window` | never more than `permits` in any stretch of `per`                             |
 * | `fixed-window`   | `permits` in each window; around its edge, up to twice as many in a short time |
 *
 * A bucket that is asked evenly never makes a burst; a sliding window is what most
 * quotas mean; a fixed window is cheapest to reason about where the dependency
 * itself counts that way. Several limits, such as requests, tokens and money, are
 * taken together or not at all. Limits are kept apart by `key`, where calls have
 * one.
 *
 * The limit stands inside retry, so that every attempt takes its permits, and
 * outside bulkhead, breaker and attempt timeout: waiting here holds no permit of
 * theirs, and is not held against the dependency.
 *
 * It does not limit how many calls run at once: see `Bulkhead`. It knows only this
 * process; limits that many processes share need a store.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { guarded } from "./internal/guarded.ts"
import type { OnlyKnown } from "./internal/onlyKnown.ts"
import { nonEmpty, optionalFunction } from "./internal/options.ts"
import { Lanes } from "./internal/rateLimitKeys.ts"
import type { Held } from "./internal/rateLimitKinds.ts"
import { Caller, type Lane, type Shortage } from "./internal/rateLimitLane.ts"
import { checkCost, costOf, isCost, only, resolve } from "./internal/rateLimitSettings.ts"
import { isRefusal, refusal } from "./internal/refusals.ts"
import { isDue, monotonicMillis, remaining, sleepUntil } from "./internal/time.ts"
import { standing } from "./internal/timeLimit.ts"
import * as Outcome from "./Outcome.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * One limit: `permits`, any number above zero, in each `per`.
 *
 * - `token-bucket`: `burst` is how many permits the bucket holds, and so the most
 *   that one call can take. Default: `permits`, at least 1. With 1, calls are
 *   spaced evenly.
 * - `sliding-window`: it remembers when each permit was taken, up to 4,096 of
 *   them. Beyond that, those taken within a 4,096th of the window count from the
 *   last of them.
 * - `fixed-window`: a window opens with the first call after the last one ended.
 *
 * @category models
 * @since 0.1.0
 */
export type LimitOptions =
  | {
    readonly kind: "token-bucket"
    readonly permits: number
    readonly per: Duration.Input
    readonly burst?: number | undefined
  }
  | { readonly kind: "sliding-window"; readonly permits: number; readonly per: Duration.Input }
  | { readonly kind: "fixed-window"; readonly permits: number; readonly per: Duration.Input }

/**
 * What a rate limit is made from beside its limits. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommonOptions {
  /** The longest that a call waits for its permits, `"Infinity"` for as long as it takes. Default: 0, not at all. */
  readonly wait?: Duration.Input | undefined
  /**
   * How many keys are remembered. Beyond it, one that has not been used lately and
   * has no call under way is forgotten, with what it has spent. Default: 100,000.
   */
  readonly maxKeys?: number | undefined
}

/**
 * What a rate limit is made from: one limit, or several under names of one's own.
 *
 * @category models
 * @since 0.1.0
 */
export type Options =
  | LimitOptions & CommonOptions
  | CommonOptions & { readonly limits: { readonly [Name in string]: LimitOptions } }

/**
 * The names of the limits of these options; one that stands alone is called
 * `permits`.
 *
 * @category models
 * @since 0.1.0
 */
export type NamesOf<O> = O extends { readonly limits: infer Limits } ? keyof Limits & string : "permits"

/**
 * A limit that has been checked, with `per` in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type LimitSettings =
  | { readonly kind: "token-bucket"; readonly permits: number; readonly per: number; readonly burst: number }
  | { readonly kind: "sliding-window"; readonly permits: number; readonly per: number }
  | { readonly kind: "fixed-window"; readonly permits: number; readonly per: number }

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly limits: { readonly [Name in string]: LimitSettings }
  readonly wait: number
  readonly maxKeys: number
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options): Settings => resolve(options)

// -----------------------------------------------------------------------------
// calls
// -----------------------------------------------------------------------------

/**
 * Permits: the same number of each limit, or numbers by name. Zero or more,
 * fractions included.
 *
 * @category models
 * @since 0.1.0
 */
export type Cost<Name extends string = string> = number | { readonly [N in Name]?: number | undefined }

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E, Name extends string = string> {
  /** On whose behalf. Keys, which may be any strings, have limits of their own; so have calls without one. */
  readonly key?: string | undefined
  /**
   * What it takes. Default: 1 of each limit, also of those that are not named. What
   * costs nothing passes at once, unless there is a debt to wait for.
   */
  readonly cost?: Cost<Name> | undefined
  /**
   * What it has really cost, once that is known; what is left out stands. Less is
   * given back, as far as that still makes a difference. More becomes a debt, which
   * later calls wait for. An answer that is no cost changes nothing.
   */
  readonly settle?: ((exit: Exit.Exit<A, E>) => Cost<Name> | undefined) | undefined
  /**
   * Whether the work has run, asked when it has ended; if not, all is given back.
   * Default: it has, unless it ended with a refusal of ours, such as `CircuitOpen`
   * or `BulkheadFull`. Give it for work that does something before it is refused.
   */
  readonly ran?: (() => boolean) | undefined
}

/**
 * What can be read off a rate limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  /** Calls that wait for permits. */
  readonly waiting: number
  /** Keys that are remembered. */
  readonly keys: number
  /** Calls since it was made. */
  readonly calls: {
    readonly admitted: number
    readonly refused: number
    /** Interrupted while they waited. */
    readonly abandoned: number
    /** Admitted, but the work never ran: they got everything back. */
    readonly refunded: number
    /** Their real cost has taken the place of the estimate. */
    readonly settled: number
  }
  readonly limits: {
    readonly [Name in string]: {
      /** Permits left for calls without a key; a fraction while a bucket fills, below zero while there is a debt. */
      readonly left: number
      /** Permits spent by all calls since it was made, as they were settled. */
      readonly spent: number
      /** Calls that this limit has refused. */
      readonly refused: number
    }
  }
}

/**
 * A rate limit with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit<Name extends string = string> {
  readonly name: string
  /** Those that hold now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /** The permits left under a key, or for calls without one, by limit: as in the snapshot. */
  readonly left: (key?: string) => Effect.Effect<{ readonly [N in string]: number }>
  /**
   * Runs an effect once it has its permits. Where it would have to wait too long
   * for them, it fails with `RateLimited`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E, Name>
  ) => Effect.Effect<A, E | RateLimited, R>
  /**
   * Changes the settings. Limits of the same name go on: what is spent stays spent,
   * up to the whole of the new limit. Those who wait keep their place; who would
   * wait too long now is refused.
   */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
}

/**
 * Makes a rate limit whose state belongs to whoever holds it. The options are
 * checked at once, and a bad one throws a `RangeError`.
 *
 * Make it once and use it for every call: one made per call limits nothing.
 *
 * @example
 * ```ts
 * import { Duration, Effect } from "effect"
 * import { RateLimit } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const model = yield* RateLimit.make("model", {
 *     limits: {
 *       requests: { kind: "sliding-window", permits: 10, per: "1 second" },
 *       tokens: { kind: "token-bucket", permits: 90_000, per: "1 minute" }
 *     }
 *   })
 *   // estimated at 50,000 tokens, settled at what the answer says
 *   const answer = model.protect(Effect.succeed({ text: "hello", tokens: 1_200 }), {
 *     cost: { tokens: 50_000 },
 *     settle: (exit) => exit._tag === "Success" ? { tokens: exit.value.tokens } : undefined
 *   })
 *   yield* answer
 *   const { limits } = yield* model.snapshot
 *   console.log(limits["requests"]?.spent, limits["tokens"]?.spent) // => 1 1200
 *
 *   return yield* Effect.flip(model.protect(Effect.void, { cost: { tokens: 100_000 } }))
 * })
 *
 * const error = await Effect.runPromise(program)
 * console.log(error.message) // => model: the call costs more tokens than there can ever be
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options>(
  name: string,
  options: O & OnlyKnown<O, Options>
): Effect.Effect<RateLimit<NamesOf<O>>> => {
  nonEmpty("RateLimit", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a rate limit from checked settings, at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (name: string, settings: Settings): RateLimit => new Limiter(name, settings)

type Counts = { -readonly [K in keyof Snapshot["calls"]]: number }

/** What has been counted of one limit. */
interface Counted {
  readonly name: string
  spent: number
  refused: number
}

const notYet = (name: string): Counted => ({ name, spent: 0, refused: 0 })

const nothing = {}

class Limiter implements RateLimit {
  readonly name: string
  settings: Settings
  readonly counts: Counts = { admitted: 0, refused: 0, abandoned: 0, refunded: 0, settled: 0 }
  /** In the order of the settings, as all lists of limits. */
  limits: ReadonlyArray<Counted>
  /** The names of all limits that there have been: calls that name one that is gone are not mistaken. */
  known: ReadonlyArray<string>
  /** What a call costs that does not say so. */
  ones: ReadonlyArray<number>
  readonly lanes: Lanes
  readonly snapshot: Effect.Effect<Snapshot>

  constructor(name: string, settings: Settings) {
    this.name = name
    this.settings = settings
    this.known = Object.keys(settings.limits)
    this.limits = this.known.map(notYet)
    this.ones = this.limits.map(() => 1)
    this.lanes = new Lanes(settings)
    this.snapshot = Effect.clockWith((clock) => Effect.sync(() => this.read(monotonicMillis(clock))))
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E> = nothing
  ): Effect.Effect<A, E | RateLimited, R> => {
    if (options.cost !== undefined) checkCost(options.cost, this.known)
    optionalFunction("RateLimit", "settle", options.settle)
    optionalFunction("RateLimit", "ran", options.ran)
    return Effect.withFiber((fiber) => {
      const call = new Call(this, fiber, options)
      // the finalizer is in place before anything is taken, so that no interrupt can fall in between
      const entered = Effect.suspend(() => {
        const turn = call.enter()
        return turn === undefined ? self : Effect.flatMap(turn, () => {
          call.hasBegun = true
          return self
        })
      })
      return Effect.onExitPrimitive(entered, call.end)
    })
  }

  readonly left = (key?: string): Effect.Effect<{ readonly [N in string]: number }> =>
    Effect.clockWith((clock) => Effect.sync(() => this.leftAt(this.lanes.peek(key), monotonicMillis(clock))))

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const former = this.limits
        this.settings = settings
        this.limits = Object.keys(settings.limits).map((name) =>
          former.find((limit) => limit.name === name) ?? notYet(name)
        )
        this.known = [...new Set([...this.known, ...Object.keys(settings.limits)])]
        this.ones = this.limits.map(() => 1)
        this.lanes.change(settings, this.limits.map((limit) => former.indexOf(limit)), monotonicMillis(clock))
      })
    )

  private leftAt(lane: Lane, now: number): { readonly [N in string]: number } {
    return Object.fromEntries(this.limits.map(({ name }, n) => [name, lane.limits[n]?.left(now) ?? 0]))
  }

  private read(now: number): Snapshot {
    const { lanes, name } = this
    const left = this.leftAt(lanes.peek(undefined), now)
    return {
      name,
      waiting: lanes.waiting,
      keys: lanes.size,
      calls: { ...this.counts },
      limits: Object.fromEntries(
        this.limits.map((limit) => [
          limit.name,
          { left: left[limit.name] ?? 0, spent: limit.spent, refused: limit.refused }
        ])
      )
    }
  }
}

/** One call's way through a rate limit: in by `enter`, out by `end`. */
class Call<A, E> extends Caller {
  /** Whether the work may have run. */
  hasBegun = false
  costs: ReadonlyArray<number> = []
  private readonly limiter: Limiter
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly options: CallOptions<A, E>
  private lane: Lane | undefined = undefined
  private held: ReadonlyArray<Held> | undefined = undefined
  /** What `held` was taken from. */
  private limits: ReadonlyArray<Counted> = []
  private refusal: RateLimited | undefined = undefined
  /** Whether there is something new for `turn` to look at. */
  private isNoticed = false
  private wake: (() => void) | undefined = undefined

  constructor(limiter: Limiter, fiber: Fiber.Fiber<unknown, unknown>, options: CallOptions<A, E>) {
    super()
    this.limiter = limiter
    this.fiber = fiber
    this.options = options
  }

  private now(): number {
    return monotonicMillis(this.fiber.getRef(Clock.Clock))
  }

  /** Takes the permits, if they are to be had at once; otherwise answers with what waits for them. */
  enter(): Effect.Effect<void, RateLimited> | undefined {
    const now = this.now()
    this.reprice()
    const lane = this.lane = this.limiter.lanes.of(this.options.key, now)
    lane.ask(this, now)
    if (this.held === undefined) return this.turn(lane)
    this.hasBegun = true
    return undefined
  }

  /** Ends when the permits have been handed over, or never will be. */
  private turn(lane: Lane): Effect.Effect<void, RateLimited> {
    return Effect.suspend(() => {
      this.isNoticed = false
      if (lane.first === this) lane.serve(this.now())
      if (this.refusal !== undefined) return Effect.fail(this.refusal)
      if (this.held !== undefined) return Effect.void
      const noticed = Effect.callback<void>((resume) => {
        // it may have come before the fiber suspended
        if (this.isNoticed) resume(Effect.void)
        else this.wake = () => resume(Effect.void)
      })
      const waited = lane.first === this
        ? Effect.raceFirst(sleepUntil(this.fiber.getRef(Clock.Clock), lane.dueOf(this)), noticed)
        : noticed
      return Effect.flatMap(waited, () => this.turn(lane))
    })
  }

  look(): void {
    this.isNoticed = true
    const { wake } = this
    if (wake === undefined) return
    this.wake = undefined
    // woken at once, a long queue of short calls would nest without end
    this.fiber.currentDispatcher.scheduleTask(wake, 0)
  }

  isTooLate(due: number): boolean {
    const { wait } = this.limiter.settings
    return wait === 0 || due === Infinity || !isDue(due, this.arrivedAt + wait) ||
      due >= (standing(this.fiber)?.expiresAt ?? Infinity)
  }

  admit(held: ReadonlyArray<Held>): void {
    const { counts, limits } = this.limiter
    this.held = held
    this.limits = limits
    counts.admitted++
    for (let n = 0; n < limits.length; n++) spend(limits[n], held[n]?.cost ?? 0)
  }

  refuse({ due, limit }: Shortage, now: number): void {
    const { counts, limits, name } = this.limiter
    const short = limits[limit]
    counts.refused++
    if (short !== undefined) short.refused++
    const { key } = this.options
    const error = this.refusal = refusal(RateLimited, "RateLimited", name)
    if (key !== undefined) error.key = key
    error.limit = short?.name ?? only
    if (due !== Infinity) error.retryAfter = remaining(due, now)
  }

  reprice(): void {
    const { cost } = this.options
    const { limits, ones } = this.limiter
    this.costs = cost === undefined ? ones : limits.map(({ name }) => {
      const asked = costOf(cost, name)
      return isCost(asked) ? asked : 1
    })
  }

  readonly end = (exit: Exit.Exit<A, E | RateLimited>): undefined => {
    const { held, lane, limiter } = this
    if (lane === undefined || this.refusal !== undefined) return
    if (held === undefined) {
      limiter.counts.abandoned++
      lane.leave(this, this.now())
      return
    }
    lane.running--
    const { settle } = this.options
    const hasRun = this.hasRun(exit)
    // this limit's own refusal has been ruled out
    const real = hasRun ? settle && guarded(() => settle(exit as Exit.Exit<A, E>)) : 0
    if (real === undefined) {
      for (const one of held) one.end()
      return
    }
    const now = this.now()
    // whoever was due before this moment is served as it was before
    lane.serve(now)
    let isStrained = false
    this.limits.forEach((limit, n) => {
      const one = held[n]
      const cost = costOf(real, limit.name)
      if (one === undefined || !isCost(cost)) return one?.end()
      one.settle(cost, now)
      spend(limit, cost - one.cost)
      isStrained ||= cost > one.cost
    })
    limiter.counts[hasRun ? "settled" : "refunded"]++
    if (isStrained) lane.strained(now)
    else lane.eased(now)
  }

  private hasRun(exit: Exit.Exit<unknown, unknown>): boolean {
    const { ran } = this.options
    if (!this.hasBegun) return false
    if (ran === undefined) {
      return exit._tag === "Success" || !isRefusal(Option.getOrUndefined(Cause.findErrorOption(exit.cause)))
    }
    // one that throws has not said no
    return guarded(ran) !== false
  }
}

const spend = (limit: Counted | undefined, permits: number): void => {
  if (limit !== undefined) limit.spent += permits
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The call would have had to wait too long for its permits, and the work was not
 * run. It has cost nothing.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  /** The name of the rate limit. */
  policy: Schema.String,
  /** The key, where the call had one. */
  key: Schema.optionalKey(Schema.String),
  /** The limit that has its permits last; `permits` where there is only one. */
  limit: Schema.String,
  /**
   * When the permits will be there, if nobody else comes. Absent where the call
   * costs more than there can ever be.
   */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}, { httpApiStatus: 429 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    const { key, limit, policy, retryAfter } = this
    const who = key === undefined ? policy : `${policy} ${JSON.stringify(key)}`
    return retryAfter === undefined
      ? `${who}: the call costs more ${limit} than there can ever be`
      : `${who}: too few ${limit} left, try again in ${Duration.format(retryAfter)}`
  }
}
