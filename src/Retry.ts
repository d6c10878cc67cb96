/**
 * Tries again what failed and may succeed another time.
 *
 * Only outcomes that allow it are retried (see `Outcome`), and a retry always
 * has an end: `times`, `maxElapsed` and the deadline bound it, whichever comes
 * first. What the dependency asks for by `retryAfter` is a floor: it is never
 * undercut, and where it is too long to wait for the call ends at once.
 *
 * Retry stands outside breaker and attempt timeout, inside the total timeout.
 * It does not know whether the work may be repeated; its user does.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { CircuitOpen } from "./CircuitBreaker.ts"
import * as backoff from "./internal/backoff.ts"
import { reasonOf } from "./internal/exit.ts"
import type { OnlyKnown } from "./internal/onlyKnown.ts"
import {
  answeredMillis,
  flag,
  integer,
  millisOrZero,
  oneOf,
  onlyKeys,
  optionalFunction,
  positiveMillis,
  refuse
} from "./internal/options.ts"
import { monotonicMillis, sleepUntil } from "./internal/time.ts"
import { inOwnFiber, standing } from "./internal/timeLimit.ts"
import * as Outcome from "./Outcome.ts"
import type { Policy } from "./Policy.ts"

/**
 * How delays grow from retry to retry. `cap` bounds a delay after its jitter.
 *
 * - `constant`: `delay` each time; no cap by default
 * - `linear`: `base + increment * (n - 1)`; `increment` defaults to `base`
 * - `exponential`: `base * factor ^ (n - 1)`; `factor` defaults to 2
 * - `fibonacci`: `base` times 1, 1, 2, 3, 5, ...
 * - `decorrelated`: `U(base, 3 * previous delay)`
 * - a `Schedule`: its delays, for as long as it goes on. It runs on elapsed time,
 *   so one that asks for times of the day, such as `Schedule.cron`, is not for this
 * - a function of the retry's number, from 1, and the error or result that is
 *   retried; where it throws, or answers with no finite duration, the default
 *   backoff takes its place
 *
 * The default cap is 30 seconds, or `base` where that is longer.
 *
 * @category models
 * @since 0.1.0
 */
export type Backoff =
  | { readonly kind: "constant"; readonly delay: Duration.Input; readonly cap?: Duration.Input | undefined }
  | {
    readonly kind: "linear"
    readonly base: Duration.Input
    readonly increment?: Duration.Input | undefined
    readonly cap?: Duration.Input | undefined
  }
  | {
    readonly kind: "exponential"
    readonly base: Duration.Input
    readonly factor?: number | undefined
    readonly cap?: Duration.Input | undefined
  }
  | { readonly kind: "fibonacci"; readonly base: Duration.Input; readonly cap?: Duration.Input | undefined }
  | { readonly kind: "decorrelated"; readonly base: Duration.Input; readonly cap?: Duration.Input | undefined }
  | Schedule.Schedule<unknown>
  | ((retry: number, reason: unknown) => Duration.Input)

/**
 * How delays are spread out, so that callers that failed together do not return
 * together.
 *
 * - `none`: not at all
 * - `full`: `U(0, delay)`
 * - `equal`: `delay / 2 + U(0, delay / 2)`
 * - `decorrelated`: `U(first delay, 3 * previous delay)`
 * - `factor`: `delay * U(1 - factor, 1 + factor)`
 *
 * @category models
 * @since 0.1.0
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated" | { readonly factor: number }

/**
 * What a retry is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Retries after the first attempt. Default: 3. */
  readonly times?: number | undefined
  /** No attempt starts later than this after the first. Default: 1 minute. */
  readonly maxElapsed?: Duration.Input | undefined
  /** Default: exponential from 200 milliseconds to 10 seconds. */
  readonly backoff?: Backoff | undefined
  /** Default: `"full"`; `"none"` where the backoff is a schedule or a function. */
  readonly jitter?: Jitter | undefined
  /** The longest `retryAfter` that is waited for; a longer one ends the call at once. Default: 30 seconds. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /** Looked at last: whether to go on after this error, or this result. */
  readonly while?: ((reason: unknown) => boolean) | undefined
  /** Whether to wait for an open circuit as well, always with jitter. Default: `false`. */
  readonly retryCircuitOpen?: boolean | undefined
  /** What a call fails with when `times` or `maxElapsed` is used up: its last error, or `RetriesExhausted`. */
  readonly onExhausted?: "lastError" | "wrap" | undefined
}

/**
 * The error that retrying with these options adds.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<O> = O extends object
  ? "onExhausted" extends keyof O ? "wrap" extends O["onExhausted"] ? RetriesExhausted : never : never
  : never

/**
 * What one call says about its retries.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> {
  /** Overrides what exits mean. */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /** Results to retry although the dependency is well, such as "not ready yet". */
  readonly retryIf?: ((result: A) => boolean) | undefined
  /**
   * Gives back what a discarded result holds. It is run for every result that is
   * retried, and cannot be interrupted: it must come to an end. Where it fails,
   * that is logged.
   */
  readonly dispose?: ((result: A) => Effect.Effect<void>) | undefined
}

/**
 * A retry that is about to be waited for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** The attempt that has just failed, from 1. */
  readonly attempt: number
  /** How many attempts there may be in all. */
  readonly attempts: number
  /** The wait until the next one. */
  readonly delay: Duration.Duration
  /** The error, the defect or the result that is retried. */
  readonly reason: unknown
}

type FunctionBackoff = (retry: number, reason: unknown) => Duration.Input

/** Where delays before jitter come from. */
type Delays =
  | { readonly kind: "formula"; readonly at: backoff.BaseDelay }
  | { readonly kind: "schedule"; readonly schedule: Schedule.Schedule<unknown> }
  | { readonly kind: "function"; readonly at: FunctionBackoff }

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly times: number
  readonly maxElapsed: number
  readonly maxRetryAfter: number
  readonly delays: Delays
  readonly spread: backoff.Spread
  readonly cap: number
  readonly while: ((reason: unknown) => boolean) | undefined
  readonly retryCircuitOpen: boolean
  readonly wraps: boolean
}

const defaultBackoff = { kind: "exponential", base: 200, cap: 10_000 } as const

// where no cap is given, a delay is still finite
const noCap = Number.MAX_VALUE

interface ResolvedBackoff extends Pick<Settings, "delays" | "cap"> {
  readonly jitter: Jitter
}

const resolveBackoff = (input: Backoff): ResolvedBackoff => {
  if (typeof input === "function") {
    return { delays: { kind: "function", at: input }, cap: noCap, jitter: "none" }
  }
  if (Schedule.isSchedule(input)) {
    return { delays: { kind: "schedule", schedule: input }, cap: noCap, jitter: "none" }
  }
  const formula = (at: backoff.BaseDelay, defaultCap: number, jitter: Jitter = "full"): ResolvedBackoff => ({
    delays: { kind: "formula", at },
    cap: input.cap === undefined ? defaultCap : positiveMillis("Retry", "backoff.cap", input.cap),
    jitter
  })
  if (typeof input !== "object" || input === null) {
    return refuse("Retry", "backoff", "an object with a kind, a schedule, or a function", input)
  }
  if (input.kind === "constant") {
    onlyKeys("Retry.backoff", input, ["kind", "delay", "cap"])
    return formula(backoff.constant(positiveMillis("Retry", "backoff.delay", input.delay)), noCap)
  }
  const kinds = ["linear", "exponential", "fibonacci", "decorrelated"]
  oneOf("Retry", "backoff.kind", input.kind, ["constant", ...kinds])
  const base = positiveMillis("Retry", "backoff.base", input.base)
  const cap = Math.max(base, 30_000)
  switch (input.kind) {
    case "linear": {
      onlyKeys("Retry.backoff", input, ["kind", "base", "increment", "cap"])
      const { increment } = input
      return formula(
        backoff.linear(base, increment === undefined ? base : positiveMillis("Retry", "backoff.increment", increment)),
        cap
      )
    }
    case "exponential": {
      onlyKeys("Retry.backoff", input, ["kind", "base", "factor", "cap"])
      const factor = input.factor ?? 2
      if (!(factor >= 1 && Number.isFinite(factor))) refuse("Retry", "backoff.factor", "a number >= 1", factor)
      return formula(backoff.exponential(base, factor), cap)
    }
    case "fibonacci":
      onlyKeys("Retry.backoff", input, ["kind", "base", "cap"])
      return formula(backoff.fibonacci(base), cap)
    case "decorrelated":
      onlyKeys("Retry.backoff", input, ["kind", "base", "cap"])
      return formula(backoff.constant(base), cap, "decorrelated")
  }
}

const resolveJitter = (jitter: Jitter): backoff.Spread => {
  switch (jitter) {
    case "none":
      return backoff.none
    case "full":
      return backoff.full
    case "equal":
      return backoff.equal
    case "decorrelated":
      return backoff.decorrelated
  }
  if (
    typeof jitter !== "object" || jitter === null ||
    !(typeof jitter.factor === "number" && jitter.factor >= 0 && jitter.factor <= 1)
  ) {
    return refuse("Retry", "jitter", "none, full, equal, decorrelated or a factor from 0 to 1", jitter)
  }
  onlyKeys("Retry.jitter", jitter, ["factor"])
  return backoff.factor(jitter.factor)
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => {
  onlyKeys("Retry", options, [
    "times",
    "maxElapsed",
    "backoff",
    "jitter",
    "maxRetryAfter",
    "while",
    "retryCircuitOpen",
    "onExhausted"
  ])
  const {
    backoff: chosenBackoff = defaultBackoff,
    maxElapsed = 60_000,
    maxRetryAfter = 30_000,
    onExhausted = "lastError",
    retryCircuitOpen = false,
    times = 3
  } = options
  const { cap, delays, jitter } = resolveBackoff(chosenBackoff)
  return {
    delays,
    cap,
    times: integer("Retry", "times", times, 0),
    maxElapsed: positiveMillis("Retry", "maxElapsed", maxElapsed, { infinite: true }),
    maxRetryAfter: millisOrZero("Retry", "maxRetryAfter", maxRetryAfter, { infinite: true }),
    spread: resolveJitter(options.jitter === undefined ? jitter : options.jitter),
    while: optionalFunction("Retry", "while", options.while),
    retryCircuitOpen: flag("Retry", "retryCircuitOpen", retryCircuitOpen),
    wraps: oneOf("Retry", "onExhausted", onExhausted, ["lastError", "wrap"]) === "wrap"
  }
}

/**
 * Makes a retry for effects that may be repeated.
 *
 * Not for work with side effects that must happen once, and not around another
 * retry: their attempts multiply.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry } from "effect-resilience"
 *
 * let calls = 0
 * const flaky = Effect.suspend(() => ++calls < 3 ? Effect.fail("not yet") : Effect.succeed(`call ${calls}`))
 * const retried = flaky.pipe(Retry.make({ times: 5, backoff: { kind: "constant", delay: "1 millis" } }))
 *
 * console.log(await Effect.runPromise(retried)) // => call 3
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options = {}>(options?: O & OnlyKnown<O, Options>): Policy<ErrorOf<O>> => {
  const resolved = settings(options)
  // `run` fails with RetriesExhausted only where the settings wrap, which is what ErrorOf<O> says
  return ((self) => run(inOwnFiber(self), resolved)) as Policy<ErrorOf<O>>
}

/**
 * Retries one effect, with what only it can say: which results to retry, how to
 * give back those that are discarded, what its exits mean.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry } from "effect-resilience"
 *
 * let calls = 0
 * const status = Effect.sync(() => ++calls < 3 ? "pending" : "ready")
 * const ready = Retry.retry(status, {
 *   times: 5,
 *   backoff: { kind: "constant", delay: "1 millis" },
 *   retryIf: (result) => result === "pending"
 * })
 *
 * console.log(await Effect.runPromise(ready)) // => ready
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry: {
  <A, E, const O extends Options & CallOptions<A, E>>(
    options: O & OnlyKnown<O, Options & CallOptions<A, E>>
  ): <R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ErrorOf<O>, R>
  <A, E, R, const O extends Options & CallOptions<A, E>>(
    self: Effect.Effect<A, E, R>,
    options: O & OnlyKnown<O, Options & CallOptions<A, E>>
  ): Effect.Effect<A, E | ErrorOf<O>, R>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, options: Options & CallOptions<A, E>) => {
    const { classify, dispose, retryIf, ...rest } = options
    return run(inOwnFiber(self), settings(rest), { classify, dispose, retryIf })
  }
)

/**
 * What watches a retry from outside. Its functions are synchronous and must not
 * throw.
 *
 * @internal
 */
export interface Watch {
  /** The name in `RetriesExhausted`. */
  readonly policy: string
  /** Called before each wait. */
  readonly retrying: (progress: Progress) => void
  /** Called when `times` or `maxElapsed` is used up. */
  readonly exhausted: (progress: Omit<Progress, "delay">) => void
  /** Whether waits are really slept. */
  readonly sleeps: boolean
  /** Whether an attempt at that time, in monotonic milliseconds, is sure to be refused. */
  readonly willRefuse: (at: number) => boolean
}

/**
 * Runs an effect under checked settings.
 *
 * @internal
 */
export const run = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  settings: Settings,
  call?: CallOptions<A, E>,
  watch?: Watch
): Effect.Effect<A, E | RetriesExhausted, R> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const startedAt = monotonicMillis(clock)
    const limit = standing(fiber)
    let attempt = 1
    let previous = 0
    let first: number | undefined
    let step: ((now: number, input: unknown) => Effect.Effect<number | undefined>) | undefined

    /** The delay before jitter; `undefined` where a schedule has come to its end. */
    const baseDelay = (reason: unknown): Effect.Effect<number | undefined> => {
      const { delays } = settings
      if (delays.kind === "formula") return Effect.succeed(delays.at(attempt))
      if (delays.kind === "function") {
        return Effect.sync(() =>
          answeredMillis(() => delays.at(attempt, reason)) ??
            Math.min(defaultBackoff.cap, backoff.exponential(defaultBackoff.base, 2)(attempt))
        )
      }
      const now = monotonicMillis(clock)
      if (step !== undefined) return step(now, reason)
      return Effect.flatMap(scheduleDelays(delays.schedule), (made) => {
        step = made
        return made(now, reason)
      })
    }

    /** The wait before the next attempt, or why there is none. */
    const decide = (exit: Exit.Exit<A, E>): Effect.Effect<number | "stop" | "exhausted"> => {
      const outcome = Outcome.classify(exit, call?.classify, clock)
      const reason = reasonOf(exit)
      const refusal = settings.retryCircuitOpen ? refusalIn(reason) : undefined
      const isUnwanted = exit._tag === "Success" && call?.retryIf !== undefined && holds(call.retryIf, exit.value)
      if (refusal === undefined && !isUnwanted && !Outcome.isRetryable(outcome)) return stop
      if (settings.while !== undefined && !holds(settings.while, reason)) return stop
      if (attempt > settings.times) return exhausted
      const asked = refusal === undefined ? Outcome.retryAfter(outcome) : refusal.retryAfter
      const retryAfter = asked === undefined ? undefined : Duration.toMillis(asked)
      if (retryAfter !== undefined && (retryAfter > settings.maxRetryAfter || retryAfter === Infinity)) return stop
      return Effect.map(baseDelay(reason), (base) => {
        if (base === undefined) return "exhausted"
        const delay = backoff.delay({
          base,
          spread: refusal !== undefined && settings.spread === backoff.none ? backoff.full : settings.spread,
          cap: settings.cap,
          u: unitInterval(fiber.getRef(Random.Random).nextDoubleUnsafe()),
          previous,
          first: first ??= base,
          retryAfter
        })
        const now = monotonicMillis(clock)
        if (now + delay - startedAt > settings.maxElapsed) return "exhausted"
        // no time would be left for an attempt, or it would not be made
        const isPointless = (limit !== undefined && now + delay >= limit.expiresAt) ||
          (!settings.retryCircuitOpen && watch?.willRefuse(now + delay) === true)
        return isPointless ? "stop" : delay
      })
    }

    const finish = (exit: Exit.Exit<A, E>, wait: "stop" | "exhausted"): Exit.Exit<A, E | RetriesExhausted> => {
      if (wait === "stop") return exit
      const reason = reasonOf(exit)
      watch?.exhausted({ attempt, attempts: settings.times + 1, reason })
      return !settings.wraps || exit._tag === "Success" || !Cause.hasFails(exit.cause) ? exit : Exit.fail(
        new RetriesExhausted({
          policy: watch?.policy ?? "Retry",
          attempts: attempt,
          elapsed: Duration.millis(monotonicMillis(clock) - startedAt),
          lastError: reason
        })
      )
    }

    const again = (exit: Exit.Exit<A, E>, delay: number): Effect.Effect<A, E | RetriesExhausted, R> => {
      watch?.retrying({
        attempt,
        attempts: settings.times + 1,
        delay: Duration.millis(delay),
        reason: reasonOf(exit)
      })
      attempt++
      previous = delay
      return watch?.sleeps === false
        ? loop
        : Effect.andThen(sleepUntil(clock, monotonicMillis(clock) + delay), loop)
    }

    const dispose = call?.dispose
    const loop: Effect.Effect<A, E | RetriesExhausted, R> = dispose === undefined
      ? Effect.flatMap(Effect.exit(self), (exit) =>
        exit._tag === "Success" && call?.retryIf === undefined && call?.classify === undefined
          ? exit
          : Effect.flatMap(decide(exit), (wait) =>
            typeof wait === "number" ? again(exit, wait) : finish(exit, wait)))
      // no interrupt may fall between a result and its disposal
      : Effect.flatten(Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.exit(restore(self)), (exit) =>
          Effect.flatMap(decide(exit), (wait) => {
            if (typeof wait !== "number") {
              return Effect.succeed(finish(exit, wait))
            }
            const next = Effect.suspend(() =>
              again(exit, wait)
            )
            return exit._tag === "Success"
              ? Effect.as(Effect.ignoreCause(Effect.suspend(() => dispose(exit.value)), { log: true }), next)
              : Effect.succeed(next)
          }))
      ))
    return loop
  })

const stop = Effect.succeed("stop" as const)
const exhausted = Effect.succeed("exhausted" as const)

// a `Random` of the user's may return anything
const unitInterval = (u: number): number => u >= 0 && u <= 1 ? u : u > 1 ? 1 : 0

// an error may be anything, even a proxy that must not be asked
const refusalIn = (reason: unknown): CircuitOpen | undefined => {
  try {
    return reason instanceof CircuitOpen ? reason : undefined
  } catch {
    return undefined
  }
}

// a predicate that throws has not asked for another attempt
const holds = <A>(predicate: (a: A) => boolean, a: A): boolean => {
  try {
    return predicate(a)
  } catch {
    return false
  }
}

// whatever else a schedule does than go on is its end
const scheduleDelays = (
  schedule: Schedule.Schedule<unknown>
): Effect.Effect<(now: number, input: unknown) => Effect.Effect<number | undefined>> =>
  Effect.map(Schedule.toStep(schedule), (step) => (now, input) =>
    Effect.map(Effect.exit(step(now, input)), (exit) => {
      const millis = exit._tag === "Success" ? Duration.toMillis(exit.value[1]) : Infinity
      return Number.isFinite(millis) ? millis : undefined
    }))

/**
 * All attempts were used up. Only with `onExhausted: "wrap"`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RetriesExhausted extends Schema.TaggedError<RetriesExhausted>()("RetriesExhausted", {
  /** The pipeline, or `Retry`. */
  policy: Schema.String,
  /** How many attempts were made. */
  attempts: Schema.Int,
  /** From the first attempt's start to the last one's end. */
  elapsed: Schema.DurationFromMillis,
  /** What the last attempt failed with. */
  lastError: Schema.Defect()
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return retriedEnough
  }
  override get message(): string {
    const { attempts, elapsed, lastError } = this
    const last = lastError instanceof Error ? `; the last failed with ${lastError.message || lastError.name}` : ""
    return `${this.policy}: gave up after ${attempts} attempts in ${Math.round(Duration.toMillis(elapsed))} ms${last}`
  }
}

// another retry around this one would only multiply the attempts
const retriedEnough = Outcome.failure({ retryable: false })
