/**
 * The instant by which the caller wants an answer.
 *
 * A deadline belongs to whoever waits, a `Timeout` to the dependency that is
 * waited for. It rides in a `Context.Reference`, so that everything below it
 * sees it: inner timeouts shrink to it, a retry does not sleep past it, and a
 * breaker does not blame the dependency for a caller's impatience.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Alarms } from "./internal/alarms.ts"
import { protect } from "./internal/fused.ts"
import { positiveMillis } from "./internal/options.ts"
import { Current, millisLeft } from "./internal/timeLimit.ts"
import * as Outcome from "./Outcome.ts"
import type { Policy } from "./Policy.ts"

/**
 * Gives an effect at most `duration` from its start, and tells everything inside
 * how much is left. An outer deadline that is sooner stays in force.
 *
 * Not for bounding a dependency: use `Timeout`, whose expiry counts against it.
 *
 * @example
 * ```ts
 * import { Duration, Effect, Option } from "effect"
 * import { Deadline } from "effect-resilience"
 *
 * const program = Deadline.remaining.pipe(
 *   Effect.map(Option.exists((left) => Duration.toMillis(left) <= 500)),
 *   Deadline.within("500 millis")
 * )
 *
 * console.log(await Effect.runPromise(program)) // => true
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const within = (duration: Duration.Input): Policy<DeadlineExceeded> => {
  const millis = positiveMillis("Deadline.within", "duration", duration)
  const attempt = { millis, timeout: undefined, alarms: new Alarms() }
  const plan = { attempt, exceeded: () => new DeadlineExceeded({ policy: "Deadline" }) }
  // `exceeded` makes all errors that the plan adds
  return ((self) => protect(self, plan, {})) as Policy<DeadlineExceeded>
}

/**
 * Runs an effect under no deadline at all. Use it for work that must outlive the
 * request that started it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const detach: Policy<never> = (self) => Effect.provideService(self, Current, undefined)

/**
 * How much time is left until the soonest limit, which may be a deadline or a
 * total timeout; `None` where there is none. Zero when it has passed.
 *
 * @category accessors
 * @since 0.1.0
 */
export const remaining: Effect.Effect<Option.Option<Duration.Duration>> = Effect.withFiber((fiber) => {
  const left = millisLeft(fiber)
  return Effect.succeed(left === Infinity ? Option.none() : Option.some(Duration.millis(left)))
})

/**
 * The caller's deadline passed before there was an answer. It says nothing about
 * the dependency, which was given less time than it may need.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  /** The pipeline that noticed, or `Deadline`. */
  policy: Schema.String
}, { httpApiStatus: 504 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    return `${this.policy}: the caller's deadline has passed`
  }
}
