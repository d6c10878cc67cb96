/** The waits between tries, one after another, by a backoff that `Retry` has checked. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { Settings } from "../Retry.ts"
import * as backoff from "./backoff.ts"
import { answeredMillis } from "./options.ts"
import { monotonicMillis } from "./time.ts"

export type DelaySettings = Pick<Settings, "delays" | "spread" | "cap">

type Step = (now: number, reason: unknown) => Effect.Effect<number | undefined>

export class Delays {
  private readonly settings: DelaySettings
  /** What takes the place of a delay that a function of the user's does not give. */
  private readonly otherwise: backoff.BaseDelay
  private retry = 0
  private previous = 0
  private first: number | undefined
  private step: Step | undefined

  constructor(settings: DelaySettings, otherwise: backoff.BaseDelay) {
    this.settings = settings
    this.otherwise = otherwise
  }

  /** The next delay is the first again. */
  reset(): void {
    this.retry = 0
    this.previous = 0
    this.first = undefined
    this.step = undefined
  }

  /**
   * The next delay in milliseconds, never less than `retryAfter`; `undefined` where a schedule has come to its end.
   * Only a schedule is an effect that has to be run.
   */
  next(
    fiber: Fiber.Fiber<unknown, unknown>,
    reason: unknown,
    retryAfter: number | undefined,
    spread = this.settings.spread
  ): number | Effect.Effect<number | undefined> {
    const { delays } = this.settings
    const retry = ++this.retry
    const spreadOut = (base: number): number => {
      const u = fiber.getRef(Random.Random).nextDoubleUnsafe()
      return this.previous = backoff.delay({
        base,
        spread,
        cap: this.settings.cap,
        // a `Random` of the user's may return anything
        u: u >= 0 && u <= 1 ? u : u > 1 ? 1 : 0,
        previous: this.previous,
        first: this.first ??= base,
        retryAfter
      })
    }
    switch (delays.kind) {
      case "formula":
        return spreadOut(delays.at(retry))
      case "function":
        return spreadOut(answeredMillis(() => delays.at(retry, reason)) ?? this.otherwise(retry))
      case "schedule": {
        const now = monotonicMillis(fiber.getRef(Clock.Clock))
        const base = this.step?.(now, reason) ??
          Effect.flatMap(stepOf(delays.schedule), (step) => (this.step = step)(now, reason))
        return Effect.map(base, (base) => base === undefined ? undefined : spreadOut(base))
      }
    }
  }

  /** The same as an effect in any case. */
  readonly nextEffect = (
    fiber: Fiber.Fiber<unknown, unknown>,
    reason: unknown,
    retryAfter: number | undefined
  ): Effect.Effect<number | undefined> => {
    const next = this.next(fiber, reason, retryAfter)
    return typeof next === "number" ? Effect.succeed(next) : next
  }
}

// whatever else a schedule does than go on is its end
const stepOf = (schedule: Schedule.Schedule<unknown>): Effect.Effect<Step> =>
  Effect.map(
    Schedule.toStep(schedule),
    (step) => (now, reason) =>
      Effect.map(Effect.exit(step(now, reason)), (exit) => {
        const millis = exit._tag === "Success" ? Duration.toMillis(exit.value[1]) : Infinity
        return Number.isFinite(millis) ? millis : undefined
      })
  )
