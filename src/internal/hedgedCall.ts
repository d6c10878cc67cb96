/** One hedged call: its attempts, which run beside each other, and the timer of the next. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { RunOptions, Settings, Watch } from "../Hedge.ts"
import * as Outcome from "../Outcome.ts"
import type { RetryBudget } from "../RetryBudget.ts"
import { holds, running } from "./guarded.ts"
import type { HedgeState } from "./hedgeState.ts"
import * as replay from "./replay.ts"
import { monotonicMillis, sleepUntil } from "./time.ts"
import { standing, type TimeLimit } from "./timeLimit.ts"

/**
 * Invariants: the finalizer `end` is in place before anything is started, so that
 * every way out of the call leads through it; an attempt is known to the call
 * before any of its work runs; whatever the work does to the call while the call
 * is starting it (end it, commit itself, interrupt the caller) finds a state that
 * is whole; a result is either handed over or disposed of, once.
 */
export class HedgedCall<A, E, R> {
  private readonly self: Effect.Effect<A, E, R>
  private readonly state: HedgeState
  private readonly settings: Settings
  private readonly call: RunOptions<A, E> | undefined
  private readonly watch: Watch | undefined
  private readonly caller: Fiber.Fiber<unknown, unknown>
  private readonly context: Context.Context<R>
  private readonly outer: replay.Replay | undefined
  private readonly budget: RetryBudget | undefined
  private readonly clock: Clock.Clock
  private readonly limit: TimeLimit | undefined
  private readonly startedAt: number
  private readonly attempts: Array<Attempt<A, E>> = []
  /** Attempts and disposals that have not ended. */
  private running = 0
  private disposing = 0
  private timer: Fiber.Fiber<unknown, unknown> | undefined
  /** A further attempt is not out of the question. */
  private mayHedge = true
  /** One attempt goes on alone, and its exit is the result. */
  private isCommitted = false
  /** How the call ends, once that is known. */
  private result: Exit.Exit<A, E> | undefined
  /** All attempts that have lost have been interrupted. */
  private hasDropped = false
  /** Which attempt was asked for the longest rest, in milliseconds. */
  private asker: Attempt<A, E> | undefined
  private longestRest = 0
  private deliver: ((result: Exit.Exit<A, E>) => void) | undefined
  private drained: (() => void) | undefined

  constructor(
    self: Effect.Effect<A, E, R>,
    state: HedgeState,
    call: RunOptions<A, E> | undefined,
    watch: Watch | undefined,
    caller: Fiber.Fiber<unknown, unknown>
  ) {
    this.self = self
    this.state = state
    this.settings = state.settings
    this.call = call
    this.watch = watch
    this.caller = caller
    // the call needs R, so whoever runs it has it
    this.context = caller.context as Context.Context<R>
    this.outer = caller.getRef(replay.Current)
    this.budget = call?.budget
    this.clock = caller.getRef(Clock.Clock)
    this.limit = standing(caller)
    this.startedAt = monotonicMillis(this.clock)
  }

  readonly begin = (): Effect.Effect<A, E> => {
    this.state.calls++
    if (this.budget !== undefined) replay.count(this.budget, this.outer, this.startedAt)
    this.start(this.startedAt)
    return this.ready ?? Effect.callback((resume) => {
      this.deliver = resume
      this.conclude()
    })
  }

  /** Leaves nothing behind. There is something to wait for only where the call ends without its result. */
  readonly end = (exit: Exit.Exit<A, E>): Effect.Effect<void> | undefined => {
    this.mayHedge = false
    this.stopTimer()
    const { result } = this
    if (result?._tag === exit._tag) return undefined
    if (result === undefined) this.drop(undefined)
    else this.dispose(result)
    return Effect.callback((resume) => {
      this.drained = () => resume(Effect.void)
      if (this.isDrained) this.drained()
    })
  }

  /** The result, once the call may go on with it. */
  private get ready(): Exit.Exit<A, E> | undefined {
    return this.hasDropped && (this.isDrained || !this.settings.awaitLosers) ? this.result : undefined
  }

  private conclude(): void {
    const { ready } = this
    if (ready !== undefined) this.deliver?.(ready)
    if (this.isDrained) this.drained?.()
  }

  private get isDrained(): boolean {
    return this.running === 0 && this.disposing === 0
  }

  // ---------------------------------------------------------------------------
  // attempts
  // ---------------------------------------------------------------------------

  private start(now: number): void {
    const attempt = new Attempt(this, this.attempts.length, this.outer, this.budget)
    this.attempts.push(attempt)
    this.running++
    const context = Context.add(this.context, replay.Current, attempt)
    const fiber = Effect.runForkWith(context)(this.self)
    // what it has done by now may have ended the call
    if (attempt.isDropped) fiber.interruptUnsafe(this.caller.id)
    else attempt.fiber = fiber
    fiber.addObserver((exit) => this.ended(attempt, exit))
    // unless it has ended already, and another one was started in its place
    if (attempt.number === this.attempts.length - 1) this.arm(now)
  }

  private ended(attempt: Attempt<A, E>, exit: Exit.Exit<A, E>): void {
    this.running--
    attempt.exit = exit
    if (attempt.isDropped) {
      this.dispose(exit)
      return this.conclude()
    }
    const outcome = Outcome.classify(exit, this.call?.classify, this.clock)
    if (outcome._tag === "Success") {
      if (attempt.number === 0) this.sample()
      if (!this.isUnwanted(exit)) return this.win(attempt, exit)
    }
    if (this.isCommitted) return this.settle(attempt, exit)
    // whoever asks for rest, or would only say the same again, is not urged on
    if (outcome._tag === "Success" || !Outcome.isRetryable(outcome) || Outcome.retryAfter(outcome) !== undefined) {
      this.mayHedge = false
    } else {
      this.hedge()
    }
    const asked = Outcome.retryAfter(outcome)
    const rest = asked === undefined ? 0 : Duration.toMillis(asked)
    if (rest > this.longestRest) {
      this.longestRest = rest
      this.asker = attempt
    }
    if (this.running === 0 && this.result === undefined) {
      // the primary's error, unless another one asked for rest, which a retry must not undercut
      const first = this.asker ?? this.attempts[0] ?? attempt
      this.settle(first, first.exit ?? exit)
    }
  }

  private isUnwanted(exit: Exit.Exit<A, E>): boolean {
    const retryIf = this.call?.retryIf
    return exit._tag === "Success" && retryIf !== undefined && holds(retryIf, exit.value)
  }

  private win(attempt: Attempt<A, E>, exit: Exit.Exit<A, E>): void {
    if (attempt.number > 0) {
      // the first would have taken longer than this; to leave it out would make the slow calls look fast
      if (this.attempts[0]?.exit === undefined) this.sample()
      this.state.won++
      this.watch?.won(attempt.number, this.caller)
    }
    this.settle(attempt, exit)
  }

  private sample(): void {
    if (this.state.samples) this.state.sample(monotonicMillis(this.clock) - this.startedAt)
  }

  private settle(attempt: Attempt<A, E>, result: Exit.Exit<A, E>): void {
    this.result = result
    this.mayHedge = false
    this.drop(attempt)
    this.hasDropped = true
    this.conclude()
  }

  /** Interrupts the attempts that run, and disposes of what those have brought that have ended, but for `kept`. */
  private drop(kept: Attempt<A, E> | undefined): void {
    for (const attempt of this.attempts) {
      if (attempt === kept || attempt.isDropped) continue
      attempt.isDropped = true
      if (attempt.exit === undefined) attempt.fiber?.interruptUnsafe(this.caller.id)
      else this.dispose(attempt.exit)
    }
  }

  private dispose(exit: Exit.Exit<A, E>): void {
    const dispose = this.call?.dispose
    if (dispose === undefined || exit._tag === "Failure") return
    this.disposing++
    const disposal = Effect.ignoreCause(running(() => dispose(exit.value)), { log: true })
    Effect.runForkWith(this.context)(disposal).addObserver(() => {
      this.disposing--
      this.conclude()
    })
  }

  /** Makes an attempt the only one; `false` where there is another one already. */
  commit(attempt: Attempt<A, E>): boolean {
    // what an attempt has left behind is no attempt any more
    if (attempt.exit !== undefined) return true
    if (attempt.isDropped) return false
    this.isCommitted = true
    this.mayHedge = false
    this.drop(attempt)
    return true
  }

  // ---------------------------------------------------------------------------
  // hedges
  // ---------------------------------------------------------------------------

  /** Starts a further attempt, if there may be one. */
  private hedge(): void {
    if (!this.canHedge) return
    this.stopTimer()
    const now = monotonicMillis(this.clock)
    // there would be no time for it
    if (this.limit !== undefined && now >= this.limit.expiresAt) return
    if (this.watch?.willRefuse(now) === true) return
    if (this.budget?.withdrawAt(now) === false) return
    this.state.started++
    this.watch?.hedging(this.attempts.length, this.caller)
    this.start(now)
  }

  private get canHedge(): boolean {
    return this.mayHedge && this.attempts.length <= this.settings.hedges
  }

  /** Sets the timer of the next hedge, `now` being when the latest attempt was started. */
  private arm(now: number): void {
    if (!this.canHedge) return
    const at = now + this.state.delay
    if (at === Infinity) return
    const timer = Effect.runForkWith(this.context)(sleepUntil(this.clock, at))
    this.timer = timer
    timer.addObserver((exit) => {
      if (exit._tag === "Success") this.hedge()
    })
  }

  private stopTimer(): void {
    this.timer?.interruptUnsafe(this.caller.id)
    this.timer = undefined
  }
}

class Attempt<A, E> implements replay.Replay {
  /** From 0. */
  readonly number: number
  readonly outer: replay.Replay | undefined
  countedIn: RetryBudget | undefined
  /** There as soon as its work has begun. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  exit: Exit.Exit<A, E> | undefined
  /** It is not wanted any more: it was told to end, or had ended, and its result was disposed of. */
  isDropped = false
  private readonly call: { readonly commit: (attempt: Attempt<A, E>) => boolean }

  constructor(
    call: { readonly commit: (attempt: Attempt<A, E>) => boolean },
    number: number,
    outer: replay.Replay | undefined,
    countedIn: RetryBudget | undefined
  ) {
    this.call = call
    this.number = number
    this.outer = outer
    this.countedIn = countedIn
  }

  claim(): boolean {
    return this.call.commit(this)
  }
}
