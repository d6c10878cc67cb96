/** What is remembered of an attempt only while somebody wants to know how attempts end. */
import type * as Fiber from "effect/Fiber"
import type * as Outcome from "../Outcome.ts"
import { Attempt } from "./attempt.ts"
import { monotonicMillis } from "./time.ts"
import type { TimeLimit } from "./timeLimit.ts"

/** An attempt of that fiber's call, which begins now. */
export class Watched<A, E> extends Attempt<A, E> {
  /** In monotonic milliseconds. */
  readonly since: number

  constructor(
    fiber: Fiber.Fiber<unknown, unknown>,
    judged: Outcome.AttemptOptions<A, E>,
    due: number,
    limit?: TimeLimit | undefined
  ) {
    super(fiber, judged, due, limit)
    this.since = monotonicMillis(this.clock)
    this.begin(this.since)
  }
}
