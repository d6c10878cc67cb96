/** What the fused path is told of a protected effect: the parts around it, and what one effect adds. */
import type * as Effect from "effect/Effect"
import type { Bulkhead } from "../Bulkhead.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Retry from "../Retry.ts"
import type { RetryBudget } from "../RetryBudget.ts"
import type { Alarms } from "./alarms.ts"
import { type Place, willRefuse } from "./breakerCell.ts"
import type { Running } from "./call.ts"
import type { Counters } from "./counters.ts"
import type { Listeners } from "./listeners.ts"
import type { Reports } from "./reports.ts"
import type * as timeLimit from "./timeLimit.ts"

/** A limit on time that a call sets. */
export interface Level {
  readonly millis: number
  readonly timeout: timeLimit.TimeLimit["timeout"]
  /** What the calls wait with that are under it. */
  readonly alarms: Alarms
}

/** What the calls of one pipeline, or of one policy, have in common. */
export interface Plan {
  readonly total?: Level | undefined
  readonly attempt?: Level | undefined
  /** The error of a limit that has struck. */
  readonly exceeded?: ((struck: timeLimit.TimeLimit) => unknown) | undefined
  readonly bulkhead?: Bulkhead | undefined
  readonly retry?: Retry.Settings | undefined
  readonly budget?: RetryBudget | undefined
  /** Whether backoffs are really slept. Default: `true`. */
  readonly sleeps?: boolean | undefined
  readonly counters?: Counters | undefined
  readonly listeners?: Listeners | undefined
}

/** What one protected effect adds. */
export interface Options<A, E> extends Pick<Retry.CallOptions<A, E>, "classify" | "retryIf" | "onRetry"> {
  /** Whether it may be run more than once. Default: `true`. */
  readonly retries?: boolean | undefined
  readonly key?: string | undefined
  readonly place?: Place | undefined
  readonly judged?: Outcome.AttemptOptions<A, E> | undefined
  /** The attempt timeout that its judges go by; infinite where there is none. */
  readonly due?: number | undefined
  /** Made where there is something to tell. */
  readonly reports?: (() => Reports) | undefined
  /** Whether it is a call of its own for those who listen, and not what somebody has numbered already. Default: `false`. */
  readonly numbers?: boolean | undefined
}

/** A protected effect: what its calls have in common. */
export class Task<A, E, R> {
  readonly self: Effect.Effect<A, E, R>
  readonly options: Options<A, E>
  readonly total: Level | undefined
  readonly attempt: Level | undefined
  readonly exceeded: (struck: timeLimit.TimeLimit) => unknown
  readonly bulkhead: Bulkhead | undefined
  readonly retry: Retry.Settings | undefined
  readonly budget: RetryBudget | undefined
  readonly sleeps: boolean
  readonly counters: Counters | undefined
  readonly listeners: Listeners | undefined
  readonly place: Place | undefined
  readonly judged: Outcome.AttemptOptions<A, E> | undefined
  readonly due: number
  /** Whether something has to look at the time. */
  readonly isTimed: boolean
  /** Whether a success can be anything else. */
  readonly isPlain: boolean

  constructor(self: Effect.Effect<A, E, R>, plan: Plan, options: Options<A, E>) {
    this.self = self
    this.options = options
    this.total = plan.total
    this.attempt = plan.attempt
    this.exceeded = plan.exceeded ?? (() => undefined)
    this.bulkhead = plan.bulkhead
    this.retry = options.retries === false ? undefined : plan.retry
    this.budget = this.retry === undefined ? undefined : plan.budget
    this.sleeps = plan.sleeps !== false
    this.counters = plan.counters
    this.listeners = plan.listeners
    this.place = options.place
    this.judged = options.judged
    this.due = options.due ?? Infinity
    this.isTimed = this.total !== undefined || this.attempt !== undefined || this.retry !== undefined
    this.isPlain = options.classify === undefined
  }

  /** What watches the retries of a call, if anything does. */
  watch(call: Running): Retry.Watch | undefined {
    const { place } = this
    const { reports } = this.options
    if (reports === undefined) return undefined
    return {
      ...reports().retry(call),
      policy: reports().pipeline,
      budget: this.budget,
      sleeps: this.sleeps,
      willRefuse: (at) => place !== undefined && willRefuse(place, at)
    }
  }
}
