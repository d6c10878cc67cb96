/** One call's way through a breaker. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Outcome from "../Outcome.ts"
import { Attempt } from "./attempt.ts"
import type { Cell, Place } from "./breakerCell.ts"
import type { CircuitOpen } from "./circuitOpen.ts"
import { monotonicMillis } from "./time.ts"
import type { TimeLimit } from "./timeLimit.ts"

/** In by `enter`, out by `leave` or `report`: these do nothing for a call that was refused, or is out already. */
export class Call<A, E> extends Attempt<A, E> {
  private readonly place: Place
  /** Set while the call is on its way and is counted. */
  private cell: Cell | undefined = undefined
  private generation = 0
  /** In monotonic milliseconds, where a trip asks for slow calls. */
  private enteredAt: number | undefined = undefined
  /** The limit that may cut it short, where a trip asks for slow calls. */
  private limitedBy: TimeLimit | undefined = undefined

  constructor(
    place: Place,
    fiber: Fiber.Fiber<unknown, unknown>,
    options: Outcome.AttemptOptions<A, E> | undefined,
    due: number,
    limit?: TimeLimit | undefined
  ) {
    super(fiber, options, due, limit)
    this.place = place
  }

  /** Refuses a call that would be refused now. Nothing has to be left then. */
  refusal(): CircuitOpen | undefined {
    return this.place.peek().phase._tag === "Closed" ? undefined : this.place.take(this).refusal(this)
  }

  /** Lets the call through, or says why not: at `at`, where that has been read. */
  enter(at?: number): CircuitOpen | undefined {
    const cell = this.place.take(this)
    const refusal = cell.enter(this)
    if (refusal !== undefined) return refusal
    const { phase } = cell
    // nothing remembers what a disabled breaker lets through
    if (phase._tag === "Forced" && phase.mode === "disabled") return undefined
    this.cell = cell
    this.generation = phase.generation
    cell.inFlight++
    if (cell.shared.plan.slowerThan !== undefined) {
      this.enteredAt = at ?? monotonicMillis(this.clock)
      this.limitedBy = this.limit?.hasStruck === true ? undefined : this.limit
    }
    this.begin(at)
    return undefined
  }

  /** The call has ended. */
  leave(exit: Exit.Exit<A, E | CircuitOpen>): undefined {
    const { cell } = this
    // a `CircuitOpen` of ours comes from `enter` alone, which leaves no cell then
    if (cell !== undefined) this.settle(cell, this.outcome(exit as Exit.Exit<A, E>), exit)
  }

  /** Somebody says how the call has ended. */
  report(outcome: Outcome.Outcome): void {
    const { cell } = this
    if (cell !== undefined) this.settle(cell, outcome, undefined)
  }

  private settle(cell: Cell, outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown> | undefined): void {
    const { slowerThan } = cell.shared.plan
    if (this.enteredAt === undefined || slowerThan === undefined) {
      this.cell = undefined
      return cell.leave(this.generation, outcome, false, exit, this, undefined)
    }
    const now = monotonicMillis(this.clock)
    this.cell = undefined
    const millis = now - this.enteredAt
    const slow = millis > slowerThan && this.isJudged(outcome, exit)
    cell.timed(millis, slow)
    cell.leave(this.generation, outcome, slow, exit, this, now)
  }

  /** Whether its time says something about the dependency: it does where the call was cut short, and else nothing came of it. */
  private isJudged(outcome: Outcome.Outcome, exit: Exit.Exit<unknown, unknown> | undefined): boolean {
    if (outcome._tag !== "Ignored") return outcome._tag !== "Overload"
    return this.limitedBy?.hasStruck === true ||
      (exit?._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause))
  }
}
