/** One attempt as the policies judge it that count outcomes: breaker, throttle, adaptive limit. */
import * as Clock from "effect/Clock"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import { positiveMillis } from "./options.ts"
import { monotonicMillis } from "./time.ts"
import { standing, type TimeLimit } from "./timeLimit.ts"

/** The attempt timeout that an attempt's options name, in milliseconds; infinite where there is none. */
export const dueOf = (module: string, options: Outcome.AttemptOptions<never, never> | undefined): number =>
  options?.attemptTimeout === undefined
    ? Infinity
    : positiveMillis(module, "attemptTimeout", options.attemptTimeout, { infinite: true })

export class Attempt<A, E> {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly options: Outcome.AttemptOptions<A, E> | undefined
  /** The attempt timeout that stands inside; infinite where there is none. */
  readonly due: number
  protected readonly limit: TimeLimit | undefined
  private startedAt: number | undefined = undefined

  /** `limit` is the one that it is under. */
  constructor(
    fiber: Fiber.Fiber<unknown, unknown>,
    options: Outcome.AttemptOptions<A, E> | undefined,
    due: number,
    limit: TimeLimit | undefined = standing(fiber)
  ) {
    this.fiber = fiber
    this.options = options
    this.due = due
    // a call that starts under a limit that has struck is not cut short by it, unless an attempt timeout will see to that
    this.limit = limit?.hasStruck === true && due === Infinity ? undefined : limit
  }

  // looked up where it is needed, which it is not while all goes well
  get clock(): Clock.Clock {
    return this.fiber.getRef(Clock.Clock)
  }

  /** The attempt has been let through, and begins: at `at`, where that has been read. */
  begin(at?: number): void {
    if (this.due !== Infinity && this.limit !== undefined) this.startedAt = at ?? monotonicMillis(this.clock)
  }

  /** What the end of the attempt says about the dependency. */
  outcome(exit: Exit.Exit<A, E>): Outcome.Outcome {
    return this.cutShort() ?? (this.options?.classify === undefined
      ? Outcome.fromExit(exit)
      : Outcome.classify(exit, this.options.classify, this.clock))
  }

  /**
   * The outcome of a call whose limit has struck from outside: its exit says
   * nothing then. It is a failure if the attempt was given its due: its attempt
   * timeout, or, where there is none, the whole of the total timeout. A caller's
   * deadline is ignored, and so is an outer timeout that cuts a total timeout
   * short.
   */
  private cutShort(): Outcome.Outcome | undefined {
    const { due, limit } = this
    if (limit === undefined || !limit.hasStruck) return undefined
    const own = this.options?.totalTimeoutOf
    const wasGivenItsDue = due === Infinity
      ? limit.timeout !== undefined && (own === undefined || limit.timeout.policy === own)
      : monotonicMillis(this.clock) - (this.startedAt ?? 0) >= due
    return wasGivenItsDue ? cutOff : Outcome.ignored
  }
}

const cutOff = Outcome.failure()
