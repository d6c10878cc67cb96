/** The life of something that is kept alive: up, down, a wait, and up again. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import type { Settings, State } from "../Supervise.ts"
import * as backoff from "./backoff.ts"
import { Delays } from "./delays.ts"
import { reasonOf } from "./exit.ts"
import { isRefusal, statedRetryAfter } from "./refusals.ts"
import { monotonicMillis, sleepUntil } from "./time.ts"
import { inOwnFiber, standing, type TimeLimit } from "./timeLimit.ts"

export const defaultBackoff = { kind: "exponential", base: 500, cap: 30_000 } as const

const otherwise = backoff.doubling(defaultBackoff)

/** What is kept alive. */
export interface Work<A, E, R> {
  /** Runs it once, from its start to its end. */
  readonly live: (life: Life) => Effect.Effect<A, E, R>
  readonly classify: Outcome.Classifier<A, E> | undefined
  /** Whether it is started again also where it has ended by itself. */
  readonly isEndless: boolean
  /** Whether its end was asked for, and is final. */
  readonly isOver?: (() => boolean) | undefined
}

/** What is shared with the supervisor that others hold. */
export interface Shared {
  readonly settings: Settings
  readonly set: (state: State) => Effect.Effect<void>
  /** Completed by whoever wants the present wait to end. */
  waking: Deferred.Deferred<void> | undefined
}

/** One run of the work. */
class Life {
  private readonly loop: Loop
  private upAt: number | undefined
  private seenAt: number | undefined

  constructor(loop: Loop) {
    this.loop = loop
  }

  /** It is up from now on. */
  readonly up: Effect.Effect<void> = Effect.suspend(() => {
    this.upAt = this.loop.now
    return this.loop.shared.set({ _tag: "Up", since: this.loop.clock.currentTimeMillisUnsafe() })
  })

  /** It has shown that it is alive. Where it never does, it is until it ends. */
  seen(): void {
    this.seenAt = this.loop.now
  }

  get isHealthy(): boolean {
    return this.upAt !== undefined &&
      (this.seenAt ?? this.loop.now) - this.upAt >= this.loop.shared.settings.healthyAfter
  }
}

export class Loop {
  readonly shared: Shared
  readonly clock: Clock.Clock
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly limit: TimeLimit | undefined
  private readonly delays: Delays
  /** Which try it is since it was last healthy. */
  private attempt = 0

  constructor(shared: Shared, fiber: Fiber.Fiber<unknown, unknown>) {
    this.shared = shared
    this.fiber = fiber
    this.clock = fiber.getRef(Clock.Clock)
    this.limit = standing(fiber)
    this.delays = new Delays(shared.settings.backoff, otherwise)
  }

  get now(): number {
    return monotonicMillis(this.clock)
  }

  run<A, E, R>(work: Work<A, E, R>): Effect.Effect<A, E, R> {
    const next: Effect.Effect<A, E, R> = Effect.suspend(() => {
      const life = new Life(this)
      this.attempt++
      return Effect.andThen(
        this.shared.set({ _tag: "Connecting", attempt: this.attempt }),
        Effect.flatMap(
          Effect.exit(inOwnFiber(Effect.suspend(() => work.live(life)))),
          (exit) =>
            Effect.flatMap(this.decide(exit, life, work), (wait) => wait === undefined ? exit : this.wait(wait, next))
        )
      )
    })
    return next
  }

  /** The wait until it is started again; `undefined` where it is not. */
  private decide<A, E, R>(
    exit: Exit.Exit<A, E>,
    life: Life,
    { classify, isEndless, isOver }: Work<A, E, R>
  ): Effect.Effect<Wait | undefined> {
    const { settings } = this.shared
    if (isOver?.() === true) return ends
    if (life.isHealthy) {
      this.attempt = 1
      this.delays.reset()
    }
    const reason = reasonOf(exit)
    let asked: number | undefined
    if (Exit.isSuccess(exit)) {
      if (!isEndless) return ends
    } else {
      const judged = judge(exit, classify, this.clock, settings.waitForRefusals)
      if (!judged.goesOn) return ends
      asked = judged.retryAfter
    }
    if (this.attempt > settings.times) return ends
    if (asked !== undefined && (asked > settings.maxRetryAfter || asked === Infinity)) return ends
    const { now } = this
    return Effect.map(this.delays.nextEffect(this.fiber, reason, asked), (delay) =>
      // no time would be left for another try
      delay === undefined || (this.limit !== undefined && now + delay >= this.limit.expiresAt)
        ? undefined
        : { reason, delay, now, floor: asked === undefined ? now : now + asked })
  }

  private wait<A, E, R>(
    { delay, floor, now, reason }: Wait,
    next: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    const { clock, shared } = this
    const tell = (delay: number) =>
      shared.set({
        _tag: "Down",
        reason,
        attempt: this.attempt,
        delay: Duration.millis(delay),
        nextAt: clock.currentTimeMillisUnsafe() + delay
      })
    // in place before anybody is told, who might answer by waking it
    const waking = shared.waking = Deferred.makeUnsafe<void>()
    return tell(delay).pipe(
      Effect.andThen(Effect.raceFirst(sleepUntil(clock, now + delay), Deferred.await(waking))),
      Effect.andThen(Effect.suspend(() => {
        shared.waking = undefined
        const left = floor - this.now
        return left <= 0 ? next : Effect.andThen(tell(left), Effect.andThen(sleepUntil(clock, floor), next))
      }))
    )
  }
}

/** Times are monotonic milliseconds. */
interface Wait {
  readonly reason: unknown
  readonly delay: number
  readonly now: number
  /** Until when the dependency has asked to be left alone, whoever wakes. */
  readonly floor: number
}

const ends = Effect.undefined

/** Whether something that has failed is tried again, and what it has asked for, in milliseconds. */
export const judge = <A, E>(
  exit: Exit.Failure<A, E>,
  classify: Outcome.Classifier<A, E> | undefined,
  clock: Clock.Clock,
  waitForRefusals: boolean
): { readonly goesOn: boolean; readonly retryAfter: number | undefined } => {
  const outcome = Outcome.classify(exit, classify, clock)
  const reason = reasonOf(exit)
  const isAwaited = waitForRefusals && outcome._tag === "Ignored" && isRefusal(reason)
  const asked = isAwaited ? statedRetryAfter(reason) : Outcome.retryAfter(outcome)
  return {
    goesOn: isAwaited || Outcome.isRetryable(outcome),
    retryAfter: asked === undefined ? undefined : Duration.toMillis(asked)
  }
}
