/**
 * Breaks things on purpose, at given rates, to see that what stands around them
 * holds.
 *
 * - **Latency**: the work starts late.
 * - **Behavior**: something of one's own happens before the work.
 * - **Failure**, **overload**, **defect**, **result**: the work does not run at all,
 *   and the call ends with an error, with an error that asks to be left alone, with
 *   a defect, or with a given result.
 *
 * Latency and behavior happen each by its own rate, also before one of the others;
 * of the others one happens at most, each at the rate that it has. These are the
 * strategies of Polly's Simmy. Chance comes from `Random`: a seed replays the same
 * script, as long as the calls come in the same order. All that one call will meet
 * is drawn when it starts.
 *
 * Chaos stands innermost, next to the work, so that every policy takes it for the
 * dependency's own doing. Where it is off, nothing is left of it: the policy is the
 * identity. It has no state: who turns it on and off while calls are running gives
 * `enabled` as a function, or other settings to the pipeline.
 *
 * For a test that needs one certain fault at one certain call, script the work, or
 * give `faults` to `layerTest`; chaos is for what nobody has thought of.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { resolve } from "./internal/chaosSettings.ts"
import { guarded } from "./internal/guarded.ts"
import type { OnlyKnown } from "./internal/onlyKnown.ts"
import { monotonicMillis, sleepUntil } from "./internal/time.ts"
import * as Outcome from "./Outcome.ts"
import type { Policy } from "./Policy.ts"

/**
 * What chaos is made from. A rate is the share of calls that are met, from 0 to 1.
 * The rates of `failure`, `overload`, `defect` and `result` add up to 1 at the most.
 *
 * `E` is the type of the errors that `failure` makes up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<out E = never> {
  /** A function is asked at each call; where it throws, that is a no. Default: `true`. */
  readonly enabled?: boolean | (() => boolean) | undefined
  /** The work starts late by a duration, or by any between two; `"Infinity"` hangs. */
  readonly latency?: {
    readonly rate: number
    readonly delay: Duration.Input | { readonly min: Duration.Input; readonly max: Duration.Input }
  } | undefined
  /** Runs before the work. What it dies with, the call dies with. */
  readonly behavior?: { readonly rate: number; readonly run: () => Effect.Effect<unknown> } | undefined
  /** The error that the call fails with. Default: {@link ChaosInjected}, a failure that can be retried. */
  readonly failure?: { readonly rate: number; readonly error?: (() => E) | undefined } | undefined
  /** The call fails with {@link ChaosInjected}, an overload, which may ask for a pause. */
  readonly overload?: { readonly rate: number; readonly retryAfter?: Duration.Input | undefined } | undefined
  /** What the call dies with. Default: an `Error` that says so. */
  readonly defect?: { readonly rate: number; readonly defect?: (() => unknown) | undefined } | undefined
}

/**
 * What can only be said about one effect.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResultOptions<out A, out E> {
  /** How the call ends instead of running. */
  readonly result?: { readonly rate: number; readonly exit: () => Exit.Exit<A, E> } | undefined
}

type FailureOf<F> = F extends object
  ? "error" extends keyof F ? F["error"] extends infer Make ? Make extends () => infer E ? E : ChaosInjected : never
  : ChaosInjected
  : never

/**
 * The errors that chaos of these options adds.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<O> = O extends object ?
    | ("failure" extends keyof O ? FailureOf<O["failure"]> : never)
    | ("overload" extends keyof O ? O["overload"] extends undefined ? never : ChaosInjected : never)
  : never

/**
 * What can happen instead of the work.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault =
  | { readonly kind: "failure"; readonly rate: number; readonly error: (() => unknown) | undefined }
  | { readonly kind: "overload"; readonly rate: number; readonly retryAfter: number | undefined }
  | { readonly kind: "defect"; readonly rate: number; readonly defect: (() => unknown) | undefined }
  | { readonly kind: "result"; readonly rate: number; readonly exit: () => Exit.Exit<unknown, unknown> }

/**
 * Options that have been checked, with durations in milliseconds. What has a rate
 * of zero is not there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly enabled: boolean | (() => boolean)
  readonly latency: { readonly rate: number; readonly min: number; readonly max: number } | undefined
  readonly behavior: { readonly rate: number; readonly run: () => Effect.Effect<unknown> } | undefined
  readonly faults: ReadonlyArray<Fault>
}

/**
 * Checks options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options<unknown>): Settings => resolve(options, false)

/**
 * Makes chaos for any effect. The options are checked at once, and a bad one throws
 * a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Random } from "effect"
 * import { Chaos } from "effect-resilience"
 *
 * const shaky = Chaos.make({ failure: { rate: 0.3 }, latency: { rate: 0.1, delay: { min: 1, max: 5 } } })
 *
 * const call = shaky(Effect.succeed("ok")).pipe(
 *   Effect.catchTag("ChaosInjected", () => Effect.succeed("failed"))
 * )
 * const calls = Effect.all([call, call, call, call, call]).pipe(Random.withSeed("monday"))
 *
 * const first = await Effect.runPromise(calls)
 * const again = await Effect.runPromise(calls)
 * console.log(first.join() === again.join()) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options<unknown>>(
  options: O & OnlyKnown<O, Options<unknown>>
): Policy<ErrorOf<O>> => {
  const resolved = settings(options)
  // the faults that are there fail with what ErrorOf<O> says
  return (self) => run(self, resolved)
}

/**
 * Chaos for one effect, whose results it can make up as well.
 *
 * @example
 * ```ts
 * import { Effect, Exit } from "effect"
 * import { Chaos } from "effect-resilience"
 *
 * const stock = Chaos.inject(Effect.succeed(12), { result: { rate: 1, exit: () => Exit.succeed(-1) } })
 *
 * console.log(await Effect.runPromise(stock)) // => -1
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const inject: {
  <A, E, const O extends Options<unknown> & ResultOptions<A, E>>(
    options: O & OnlyKnown<O, Options<unknown> & ResultOptions<A, E>>
  ): <R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ErrorOf<O>, R>
  <A, E, R, const O extends Options<unknown> & ResultOptions<A, E>>(
    self: Effect.Effect<A, E, R>,
    options: O & OnlyKnown<O, Options<unknown> & ResultOptions<A, E>>
  ): Effect.Effect<A, E | ErrorOf<O>, R>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, options: Options<unknown> & ResultOptions<A, E>) =>
    run(self, resolve(options, true))
)

/**
 * What watches chaos from outside. Its functions are synchronous and must not
 * throw.
 *
 * @internal
 */
export interface Watch {
  /** Called when it happens. */
  readonly injected: (what: "latency" | "behavior" | Fault["kind"]) => void
}

/**
 * Runs an effect under checked settings. It adds the errors of their faults, which
 * the type does not show.
 *
 * @internal
 */
export const run = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  settings: Settings,
  policy = "Chaos",
  watch?: Watch
): Effect.Effect<A, E, R> => {
  const { behavior, enabled, faults, latency } = settings
  if (enabled === false || (latency === undefined && behavior === undefined && faults.length === 0)) return self
  return Effect.withFiber((fiber) => {
    if (enabled !== true && guarded(enabled) !== true) return self
    const random = fiber.getRef(Random.Random)
    // everything is drawn before anything happens, so that a script does not depend on how long things take
    const delay = latency !== undefined && draw(random) < latency.rate
      ? latency.max === latency.min ? latency.min : latency.min + draw(random) * (latency.max - latency.min)
      : undefined
    const behaves = behavior !== undefined && draw(random) < behavior.rate
    const fault = faults.length === 0 ? undefined : pick(faults, draw(random))

    let effect = self
    if (fault !== undefined) {
      effect = Effect.suspend(() => {
        watch?.injected(fault.kind)
        // what a fault ends with is an A or an E where the options were given, or is told by ErrorOf
        return endingOf(fault, policy) as Effect.Effect<A, E>
      })
    }
    if (behaves) {
      effect = Effect.andThen(
        Effect.suspend(() => {
          watch?.injected("behavior")
          return behavior.run()
        }),
        effect
      )
    }
    if (delay !== undefined) {
      watch?.injected("latency")
      const clock = fiber.getRef(Clock.Clock)
      const late = delay === Infinity ? Effect.never : sleepUntil(clock, monotonicMillis(clock) + delay)
      effect = Effect.andThen(late, effect)
    }
    return effect
  })
}

// a `Random` of the user's may return anything; below 1, so that a rate of 1 always hits, and nonsense hits nothing else
const almostOne = 1 - 2 ** -53
const draw = (random: Random.Random): number => {
  const u = random.nextDoubleUnsafe()
  return u <= almostOne ? Math.max(0, u) : almostOne
}

/** Each fault has its own stretch from 0 on, as long as its rate. */
const pick = (faults: ReadonlyArray<Fault>, u: number): Fault | undefined => {
  let end = 0
  return faults.find(({ rate }) => u < (end += rate))
}

const endingOf = (fault: Fault, policy: string): Effect.Effect<unknown, unknown> => {
  switch (fault.kind) {
    case "failure":
      return Effect.fail(fault.error === undefined ? new ChaosInjected({ policy, fault: "failure" }) : fault.error())
    case "overload":
      return Effect.fail(
        new ChaosInjected({
          policy,
          fault: "overload",
          ...(fault.retryAfter === undefined ? {} : { retryAfter: Duration.millis(fault.retryAfter) })
        })
      )
    case "defect":
      return Effect.die(fault.defect === undefined ? new Error(`${policy}: a defect was injected`) : fault.defect())
    case "result":
      return fault.exit()
  }
}

/**
 * The call was made to fail, and the work was not run.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChaosInjected extends Schema.TaggedError<ChaosInjected>()("ChaosInjected", {
  /** The pipeline, or `Chaos`. */
  policy: Schema.String,
  fault: Schema.Literals(["failure", "overload"]),
  /** The pause that an overload asks for. */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return this.fault === "failure" ? failed : Outcome.overload({ retryAfter: this.retryAfter })
  }
  override get message(): string {
    return `${this.policy}: ${this.fault === "failure" ? "a failure" : "an overload"} was injected`
  }
}

const failed = Outcome.failure()
