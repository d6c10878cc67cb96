/**
 * From which point on work must not be repeated.
 *
 * Whether an operation may be repeated at all is its own property: `idempotent`,
 * or the method and key of an HTTP request. Some work can be repeated until it
 * has shown an effect: a model has begun to answer, a tool has been started. It
 * says so itself, by {@link commit}.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Current } from "./internal/replay.ts"

/**
 * From here on this attempt is the one: no retry around it makes another, and
 * hedges beside it are interrupted. Where another attempt of the same call has
 * committed before, it waits for its own interruption. Outside of retries and
 * hedges it does nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Replay, Retry } from "effect-resilience"
 *
 * let runs = 0
 * const order = Effect.gen(function*() {
 *   runs++
 *   yield* Replay.commit
 *   return yield* Effect.fail("the line broke, and nobody knows whether the order arrived")
 * })
 * await order.pipe(Retry.make({ times: 3 }), Effect.ignore, Effect.runPromise)
 *
 * console.log(runs) // => 1
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const commit: Effect.Effect<void> = Effect.withFiber((fiber) => {
  for (let replay = fiber.getRef(Current); replay !== undefined; replay = replay.outer) {
    // also where the work has made itself uninterruptible: it has been told to end
    if (!replay.claim()) return Effect.interruptible(Effect.never)
  }
  return Effect.void
})
