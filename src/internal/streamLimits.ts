/** The limits of a stream on its first element, and on the time without a further one. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Stream from "effect/Stream"
import { TimedOut } from "../Timeout.ts"
import { defectsOf, drain, Handover } from "./streamHandover.ts"
import { monotonicMillis, sleepUntil } from "./time.ts"
import { Current, standing, type TimeLimit } from "./timeLimit.ts"

/** In milliseconds; infinite where there is no limit. */
export interface Limits {
  readonly policy: string
  readonly firstElement: number
  readonly idle: number
}

/**
 * What the source of a stream sees as its limit. It does not end by a time that
 * can be known, so that whatever stands above stays the soonest; but a breaker
 * inside can tell from it that the stream was cut.
 */
class SourceLimit implements TimeLimit {
  private readonly outer: TimeLimit | undefined
  private cut: TimeLimit["timeout"]

  constructor(outer: TimeLimit | undefined) {
    this.outer = outer
  }
  get expiresAt(): number {
    return this.outer?.expiresAt ?? Infinity
  }
  get timeout(): TimeLimit["timeout"] {
    return this.cut ?? this.outer?.timeout
  }
  get hasStruck(): boolean {
    return this.isOver || this.outer?.hasStruck === true
  }
  // only the limit above can strike by its time
  set hasStruck(value: boolean) {
    if (this.outer !== undefined) this.outer.hasStruck = value
  }
  get isOver(): boolean {
    return this.cut !== undefined || this.outer?.isOver === true
  }
  set isOver(value: boolean) {
    if (this.outer !== undefined) this.outer.isOver = value
  }
  strike(policy: string, millis: number): void {
    // what stands inside asks only whose it is
    this.cut = { policy, limit: "attempt", millis }
  }
}

/**
 * Interrupts its source where the consumer has waited for too long.
 *
 * There is one timer at most, which is not moved with every element: when it
 * wakes, it looks how long the consumer has been waiting by then.
 */
export class LimitedHandover<A, E, R> extends Handover<A, E | TimedOut, R> {
  private readonly limits: Limits
  private limit: SourceLimit | undefined
  private clock: Clock.Clock | undefined
  private isFirst = true
  /** By when the first element must have come. */
  private firstBy: number | undefined
  /** By when the wait must be over; infinite while nobody waits. */
  private waitsUntil = Infinity
  private timer: Fiber.Fiber<void> | undefined
  private wakesAt = Infinity
  private timedOut: TimedOut | undefined

  constructor(self: Stream.Stream<A, E, R>, limits: Limits) {
    super(() =>
      Effect.withFiber((fiber) => {
        this.limit = new SourceLimit(standing(fiber))
        return Effect.provideService(
          drain(self, this, (chunk) => {
            this.isFirst = false
            return this.deliver(chunk)
          }),
          Current,
          this.limit
        )
      })
    )
    this.limits = limits
  }

  protected override onWait(context: Context.Context<R>): void {
    const millis = this.isFirst ? this.limits.firstElement : this.limits.idle
    if (millis === Infinity) return
    const clock = this.clock ??= Context.get(context, Clock.Clock)
    const until = monotonicMillis(clock) + millis
    this.waitsUntil = this.isFirst ? this.firstBy ??= until : until
    if (this.timer !== undefined && this.wakesAt <= this.waitsUntil) return
    this.timer?.interruptUnsafe()
    this.timer = Effect.runForkWith(context)(this.watch(clock))
  }

  protected override onServed(): void {
    this.waitsUntil = Infinity
  }

  private watch(clock: Clock.Clock): Effect.Effect<void> {
    this.wakesAt = this.waitsUntil
    return Effect.andThen(
      sleepUntil(clock, this.wakesAt),
      Effect.suspend(() => {
        if (this.waitsUntil > this.wakesAt && this.waitsUntil < Infinity) return this.watch(clock)
        this.timer = undefined
        if (this.waitsUntil < Infinity) this.strike()
        return Effect.void
      })
    )
  }

  private strike(): void {
    const { idle, firstElement, policy } = this.limits
    const millis = this.isFirst ? firstElement : idle
    this.timedOut = new TimedOut({
      policy,
      limit: this.isFirst ? "firstElement" : "idle",
      after: Duration.millis(millis)
    })
    this.limit?.strike(policy, millis)
    this.interrupt()
  }

  protected override endOf(exit: Exit.Exit<unknown, E | TimedOut>): Exit.Exit<unknown, E | TimedOut> {
    this.timer?.interruptUnsafe()
    if (this.timedOut === undefined) return exit
    const cause = Cause.fail(this.timedOut)
    const defects = defectsOf(exit)
    return Exit.failCause(defects === undefined ? cause : Cause.combine(cause, defects))
  }
}
