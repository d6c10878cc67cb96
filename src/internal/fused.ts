/**
 * One pass through the parts that most pipelines are made of: total timeout,
 * retry with its budget, bulkhead, circuit breaker, attempt timeout. What they
 * mean together is said by `composition.ts`, where one stands around the other;
 * this is the same call as one record that moves from state to state. `Retry`,
 * `Timeout` and `Deadline` alone are calls with one part.
 *
 * A call stands still in a single `Effect.callback` of its caller. While its work
 * does not suspend, all of it happens within the registration of that callback:
 * there is nothing to interrupt, so there is no finalizer, and no timer.
 *
 * Invariants:
 *
 * - Each attempt has a fiber of its own, so that it can be cut while its caller
 *   cannot be interrupted, and what it forks as children ends with it. It is
 *   started at once, and its exit is read off where it did not suspend.
 * - A call is in one place: it waits for a child (an attempt), or for `pending` (a
 *   permit, a backoff, a schedule), or it has come to its `result`. What was
 *   stopped says nothing any more: its observer finds another in its place.
 * - There is at most one timer, or one place among the calls that share one, made
 *   only where the call really waits: for the sooner of the two limits, and, once
 *   that has cut an attempt that is slow to end, for the other. A backoff needs
 *   none: none is begun that would overrun. It is stopped and not waited for.
 * - A limit marks its record before anything is interrupted, and its error is
 *   raised when the attempt has ended.
 * - Whatever ends an attempt leads through `ended`, once: breaker, permit and
 *   counters are left in this order before it is known what comes next. Whatever
 *   ends a call leads through `finish`, once.
 * - An interruption of the caller arrives as `cancelled`, which waits for the
 *   attempt; the exit of that attempt is then an interruption, whatever it says.
 *   Where it arrives in the midst of a step, because of what that tells somebody or
 *   starts, the step is done to its end first.
 * - No step of the call runs within the fiber of the caller but the first, and not
 *   even that where calls are nested deeply (`nesting.ts`): so whoever has to know
 *   the fiber is told, and never asks for the one that runs.
 * - An attempt that interrupts its own caller and then ends without suspending is
 *   over before that is noticed: breaker and counters see its own result.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import type { RetryBudget } from "../RetryBudget.ts"
import { type Alarms, isMachine } from "./alarms.ts"
import { Call as BreakerCall } from "./breakerCall.ts"
import { Current, type Running, unheard } from "./call.ts"
import { type Options, type Plan, Task } from "./fusedTask.ts"
import { guarded } from "./guarded.ts"
import { Nest } from "./nesting.ts"
import { Permit } from "./permits.ts"
import * as replay from "./replay.ts"
import { Course, type Wait } from "./retryCourse.ts"
import { isDue, monotonicMillis, sleepUntil } from "./time.ts"
import * as timeLimit from "./timeLimit.ts"
import { Watched } from "./watched.ts"

/** Runs an effect under such a plan. Which errors that adds is for whoever makes the plan to say. */
export const protect = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  plan: Plan,
  options: Options<A, E>
): Effect.Effect<A, E, R> => {
  const task = new Task(self, plan, options)
  return Effect.callback<A, E, R>((resume) => {
    const fiber = Fiber.getCurrent()
    // what registers a callback is the fiber that is about to suspend
    return fiber === undefined ? undefined : new Call(task, fiber, resume).start()
  })
}

/** So many attempts without a wait between them are made before other fibers have their turn. */
const attemptsAtOnce = 64

/** The operations of attempts that did not suspend, since a caller has last given other fibers their turn. */
let unpaid = 0

/** What strikes later, unless it is stopped. */
interface Timer {
  readonly stop: () => void
}

/** One call. */
class Call<A, E, R> implements replay.Replay {
  readonly task: Task<A, E, R>
  readonly fiber: Fiber.Fiber<unknown, unknown>
  countedIn: RetryBudget | undefined = undefined
  /** Whoever waits for the end: the caller, or what its interruption has to wait for. */
  private resume: (result: Effect.Effect<A, E>) => void
  /** What its events share, and the context of the caller with it, where that has another. */
  private running: Running = unheard
  private ownContext: Context.Context<never> | undefined = undefined
  private knownClock: Clock.Clock | undefined = undefined
  /** Where something looks at the time. It is no number before: V8 gives those with fractions a box in each object. */
  private startedAt: number | undefined = undefined
  /** The time, in monotonic milliseconds, while it is known because nothing has been waited for. */
  private now: number | undefined = undefined
  /** The limit that the caller is under, and the one that the call is under. */
  private inherited: timeLimit.TimeLimit | undefined = undefined
  private limit: timeLimit.TimeLimit | undefined = undefined
  private permit: Permit | undefined = undefined
  private breaker: BreakerCall<A, E> | undefined = undefined
  private watched: Watched<A, E> | undefined = undefined
  private course: Course<A, E> | undefined = undefined
  private child: Fiber.Fiber<A, E> | undefined = undefined
  private pending: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private timer: Timer | undefined = undefined
  private listener: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** How the attempt has ended, and the call, where these themselves have no say in it. */
  private verdict: Exit.Exit<A, E> | undefined = undefined
  private result: Exit.Exit<A, E> | undefined = undefined
  /** An exit that has been found good. */
  private good: Exit.Exit<A, E> | undefined = undefined
  /** Between the begin of an attempt and `ended`. */
  private isAttempting = false
  private isCommitted = false
  /** It has suspended, and goes on. */
  private hasWaited = false
  /** Another attempt is to be made as soon as the step that runs has come to its end. */
  private isNext = false
  private isStepping = false
  private isOver = false
  private isCancelled = false
  /** What the caller is to be told once no step is under way: what it then does is no part of the call. */
  private outcome: Exit.Exit<A, E> | undefined = undefined

  constructor(
    task: Task<A, E, R>,
    fiber: Fiber.Fiber<unknown, unknown>,
    resume: (result: Effect.Effect<A, E>) => void
  ) {
    this.task = task
    this.fiber = fiber
    this.resume = resume
  }

  /** It does not change while the caller waits. */
  private get context(): Context.Context<never> {
    return this.ownContext ?? this.fiber.context
  }

  get clock(): Clock.Clock {
    return this.knownClock ??= this.fiber.getRef(Clock.Clock)
  }

  /** The limit that the call is under, unless it is over. */
  private get standing(): timeLimit.TimeLimit | undefined {
    return this.limit?.isOver === true ? undefined : this.limit
  }

  get outer(): replay.Replay | undefined {
    return Context.get(this.context, replay.Current)
  }

  claim(): boolean {
    this.isCommitted = true
    return true
  }

  // ---------------------------------------------------------------------------
  // the call
  // ---------------------------------------------------------------------------

  /** Begins. Returns what is to be done where the caller is interrupted, unless it is over already. */
  start(): Effect.Effect<void> | undefined {
    this.step(() => this.begin())
    return this.isOver ? undefined : Effect.suspend(() => this.cancelled())
  }

  private begin(): void {
    // it may have been put off, and cancelled meanwhile
    if (this.isOver) return
    const { task } = this
    const { total } = task
    const inherited = this.inherited = this.fiber.getRef(timeLimit.Current)
    this.limit = inherited?.isOver === true ? undefined : inherited
    if (task.listeners !== undefined) {
      const outer = this.fiber.getRef(Current)
      const running = this.running = task.options.numbers === true ? task.listeners.begin() : outer
      if (running !== outer) this.ownContext = Context.add(this.fiber.context, Current, running)
    }
    const looksAtTime = task.isTimed || this.running.isWatched
    const startedAt = looksAtTime ? monotonicMillis(this.clock) : 0
    if (looksAtTime) this.now = this.startedAt = startedAt
    if (total !== undefined) {
      const expiresAt = startedAt + total.millis
      if (this.limit === undefined || this.limit.expiresAt >= expiresAt) {
        this.limit = { expiresAt, timeout: total.timeout, hasStruck: false, isOver: false }
      } else if (this.limit.expiresAt <= startedAt) {
        return this.strikeCall()
      }
    }
    if (task.budget !== undefined) replay.count(task.budget, this.outer, startedAt)
    this.attempt()
  }

  /** Does what comes next, and then all attempts that need not be waited for. What throws ends the call. */
  private step(next: () => void): void {
    if (this.isStepping) return next()
    const nest = Nest.enter(this.fiber.cache.scheduler)
    if (nest === undefined) return Nest.putOff(() => this.step(next))
    this.isStepping = true
    try {
      next()
      if (this.isNext) this.repeat()
      if (this.isCancelled && !this.isOver) this.abandon()
    } catch (defect) {
      this.crash(defect)
    } finally {
      this.isStepping = false
    }
    try {
      this.deliver()
    } finally {
      nest.leave()
    }
  }

  private repeat(): void {
    for (let n = 0; this.isNext && !this.isOver && !this.isCancelled; n++) {
      if (n === attemptsAtOnce) {
        return this.fiber.currentDispatcher.scheduleTask(() => this.step(() => {}), 0)
      }
      this.isNext = false
      this.attempt()
    }
  }

  private finish(exit: Exit.Exit<A, E>): void {
    if (this.isOver) return
    this.isOver = true
    this.outcome = exit
    try {
      this.stopWaiting()
      this.account(exit)
    } catch (defect) {
      this.outcome = Exit.die(defect)
    }
  }

  private account(exit: Exit.Exit<A, E>): void {
    const { counters, budget, options } = this.task
    if (budget !== undefined && this.course?.holdsPermit === true) budget.refundAt(monotonicMillis(this.clock))
    if (counters !== undefined) {
      if (!this.running.isWatched && this.isGood(exit)) {
        counters.calls++
        counters.success++
      } else {
        options.reports?.().called(
          exit,
          options.classify,
          this.fiber,
          this.running.isWatched ? this.startedAt : undefined,
          this.running
        )
      }
    }
  }

  private deliver(): void {
    const { outcome } = this
    if (outcome === undefined) return
    this.outcome = undefined
    if (this.isCancelled) return this.resume(outcome)
    // a caller whose attempts do not suspend would never come to its own limit
    if (unpaid < this.fiber.cache.maxOpsBeforeYield || this.hasWaited) return this.resume(outcome)
    unpaid = 0
    this.resume(
      this.fiber.cache.preventYield ? outcome : Effect.andThen(Effect.yieldNow, outcome)
    )
  }

  /** The caller has been interrupted: leaves nothing behind. */
  private cancelled(): Effect.Effect<void> {
    if (this.isOver) return Effect.void
    const { retry, total } = this.task
    const interrupted = Exit.interrupt(this.fiber.id)
    this.isCancelled = true
    // by an outer limit that this call is under as well
    if (this.limit !== undefined && guarded(() => this.isLate) === true) this.result ??= this.mark(this.limit)
    // what a limit has cut before, and was still cleaning up, has timed out; only a retry would have another attempt
    this.result ??= (retry === undefined && total === undefined ? this.verdict : undefined) ?? interrupted
    this.verdict ??= interrupted
    return Effect.callback((resume) => {
      this.resume = () => resume(Effect.void)
      // it may have ended by itself meanwhile
      if (this.isOver) resume(Effect.void)
      else if (!this.isStepping) this.step(() => {})
    })
  }

  /** Leaves what a call is at that has been cancelled. */
  private abandon(): void {
    this.stopWaiting()
    const exit = this.verdict ?? Exit.interrupt(this.fiber.id)
    if (this.child !== undefined) this.child.interruptUnsafe(this.fiber.id)
    else if (this.isAttempting) this.ended(exit)
    else this.finish(this.result ?? exit)
  }

  /** Something has thrown that must not, such as a clock or a `Random` of the user's. */
  private crash(defect: unknown): void {
    const exit = Exit.die(defect)
    this.result = this.verdict = exit
    const { child } = this
    if (child !== undefined) {
      // its end may throw as well
      guarded(() => child.interruptUnsafe(this.fiber.id))
      if (this.child !== undefined || this.isOver) return
    }
    guarded(() => this.breaker?.leave(exit))
    this.permit?.leave()
    this.finish(exit)
  }

  // ---------------------------------------------------------------------------
  // attempts
  // ---------------------------------------------------------------------------

  private attempt(): void {
    const { bulkhead, budget, due, judged, listeners, options, place } = this.task
    this.isAttempting = true
    this.verdict = undefined
    if (budget !== undefined) {
      this.countedIn = budget
      if (this.course !== undefined) this.course.holdsPermit = false
    }
    if (listeners !== undefined && judged !== undefined) {
      this.watched = listeners.attempts ? new Watched(this.fiber, judged, due, this.standing) : undefined
    }
    // an open breaker is looked at before anything is spent or awaited
    if (place !== undefined) {
      const refusal = place.peek().refusal(this)
      if (refusal !== undefined) return this.refused(refusal)
    }
    if (bulkhead !== undefined) {
      const permit = this.permit = new Permit(bulkhead.permits, this.fiber)
      if (!permit.take(0)) {
        if (!permit.join(0, options.key)) return this.refused(bulkhead.refusal("queue"))
        return this.wait(
          permit.turn(Effect.succeed),
          (reason) => reason === undefined ? this.enter() : this.refused(bulkhead.refusal(reason))
        )
      }
    }
    this.enter()
  }

  private refused(refusal: unknown): void {
    // the errors that the parts add are known to whoever makes the plan
    this.ended(Exit.fail(refusal as E))
  }

  /** There is a permit, if one is needed. The breaker decides, and the work runs. */
  private enter(): void {
    const { due, judged, place } = this.task
    if (place !== undefined) {
      const breaker = this.breaker = new BreakerCall<A, E>(place, this.fiber, judged, due, this.standing)
      const refusal = breaker.enter(this.now)
      if (refusal !== undefined) return this.refused(refusal)
    }
    this.run()
  }

  private run(): void {
    if (this.isCancelled) return
    const { attempt, exceeded, retry, self, total } = this.task
    const { inherited } = this
    let limit = this.standing
    if (attempt !== undefined) {
      const now = this.now ?? monotonicMillis(this.clock)
      const expiresAt = now + attempt.millis
      if (limit === undefined || limit.expiresAt >= expiresAt) {
        limit = { expiresAt, timeout: attempt.timeout, hasStruck: false, isOver: false }
      } else if (limit.expiresAt <= now) {
        limit.hasStruck = true
        return this.refused(exceeded(limit))
      }
    }
    this.now = undefined
    let { context } = this
    if (limit !== undefined && limit !== inherited) context = Context.add(context, timeLimit.Current, limit)
    if (retry !== undefined) context = Context.add(context, replay.Current, this)
    // the caller has the services that its effect needs
    const child = Effect.runForkWith(context as Context.Context<R>)(self)
    // `runSync` flushes the dispatcher of its own fiber alone
    if (child.pollUnsafe() === undefined && this.fiber.cache.scheduler.executionMode === "sync") {
      child.currentDispatcher.flush()
    }
    const exit = child.pollUnsafe()
    if (exit !== undefined) {
      unpaid += child.currentOpCount
      return this.ended(this.verdict ?? exit)
    }
    this.child = child
    child.addObserver((exit) => this.step(() => this.childEnded(exit)))
    if (limit !== undefined && (attempt !== undefined || total !== undefined)) {
      const level = limit === this.limit ? total : attempt
      this.arm(
        limit.expiresAt,
        attempt === undefined ? () => this.strikeCall() : () => this.strikeAttempt(limit),
        limit === inherited ? undefined : level?.alarms
      )
    }
  }

  private childEnded(exit: Exit.Exit<A, E>): void {
    this.child = undefined
    const isLate = this.verdict === undefined && this.isLate
    this.hasWaited = true
    this.stopTimer()
    if (isLate) this.strikeCall()
    else this.ended(this.verdict ?? exit)
  }

  /** The attempt has ended, or was not made. */
  private ended(exit: Exit.Exit<A, E>): void {
    const { counters, options, retry } = this.task
    this.isAttempting = false
    this.breaker?.leave(exit)
    this.breaker = undefined
    this.permit?.leave()
    this.permit = undefined
    if (counters !== undefined) {
      if (exit._tag === "Success" && this.watched === undefined && !this.running.isWatched) counters.attempts++
      else options.reports?.().attempted(exit, this.watched, this.fiber, this.running)
    }
    if (this.result !== undefined) return this.finish(this.result)
    if (retry === undefined || (options.retryIf === undefined && this.isGood(exit))) return this.finish(exit)
    const course = this.course ??= new Course(
      retry,
      options,
      this.task.watch(this.running),
      this.fiber,
      this.clock,
      this.limit,
      this.task.budget,
      this.startedAt ?? 0
    )
    const wait = course.decide(exit, this.isCommitted)
    if (typeof wait !== "object") return this.goOn(course, exit, wait)
    this.wait(wait, (wait) => this.goOn(course, exit, wait))
  }

  /** Whether it is a success, and is taken for one: then there is nothing to decide, and nothing to tell. */
  private isGood(exit: Exit.Exit<A, E>): boolean {
    const { isPlain, options } = this.task
    if (exit._tag === "Failure") return false
    if (isPlain || exit === this.good) return true
    if (Outcome.classify(exit, options.classify, this.clock)._tag !== "Success") return false
    this.good = exit
    return true
  }

  // ---------------------------------------------------------------------------
  // between attempts
  // ---------------------------------------------------------------------------

  private goOn(course: Course<A, E>, exit: Exit.Exit<A, E>, wait: Wait): void {
    // that it can fail with RetriesExhausted is in the type of whoever makes the plan
    if (typeof wait !== "number") return this.finish(course.finish(exit, wait) as Exit.Exit<A, E>)
    const listener = course.goOn(exit, wait)
    if (listener !== undefined) this.listener = Effect.runForkWith(this.context)(listener)
    const now = monotonicMillis(this.clock)
    if (!this.task.sleeps || isDue(now + wait, now)) return this.again()
    this.wait(sleepUntil(this.clock, now + wait), () => this.again(), false)
  }

  private again(): void {
    this.stopWaiting()
    // the backoff would have ended before the limit, had nothing held the program up
    if (this.isLate) this.strikeCall()
    else this.isNext = true
  }

  /** Waits for something that is no attempt: under the limit of the call, unless it is known to be sooner. */
  private wait<B>(
    self: Effect.Effect<B>,
    then: (result: B) => void,
    isLimited = this.task.total !== undefined
  ): void {
    this.now = undefined
    const pending = Effect.runForkWith(this.context)(self)
    this.pending = pending
    pending.addObserver((exit) => {
      if (this.pending !== pending) return
      this.pending = undefined
      this.hasWaited = true
      this.stopTimer()
      this.step(() => exit._tag === "Success" ? then(exit.value) : this.end(Exit.failCause(exit.cause)))
    })
    if (this.pending === pending && isLimited && this.limit !== undefined) {
      this.arm(this.limit.expiresAt, () => this.strikeCall())
    }
  }

  private stopWaiting(): void {
    const { listener, pending } = this
    this.listener = this.pending = undefined
    listener?.interruptUnsafe(this.fiber.id)
    pending?.interruptUnsafe(this.fiber.id)
    this.stopTimer()
  }

  // ---------------------------------------------------------------------------
  // limits
  // ---------------------------------------------------------------------------

  /** Strikes at `at`. It is `sleepUntil` without an effect around each sleep: most timers are stopped. */
  private arm(at: number, strike: () => void, alarms?: Alarms): void {
    if (at === Infinity) return
    const now = monotonicMillis(this.clock)
    if (isDue(at, now)) return strike()
    if (alarms !== undefined && isMachine(this.clock)) {
      this.timer = alarms.add(this.clock, at, now, () => {
        this.timer = undefined
        this.step(strike)
      })
      return
    }
    const fork = Effect.runForkWith(this.context)
    const sleeper = fork(this.clock.sleep(Duration.millis(at - now)))
    // a clock that does not wait is asked again within a fiber, which lets others have their turn
    const sleeping = sleeper.pollUnsafe()?._tag === "Success" ? fork(sleepUntil(this.clock, at)) : sleeper
    const timer: Timer = this.timer = { stop: () => sleeping.interruptUnsafe(this.fiber.id) }
    sleeping.addObserver((exit) => {
      if (this.timer !== timer) return
      this.timer = undefined
      this.step(() => exit._tag === "Success" ? this.arm(at, strike) : this.end(Exit.failCause(exit.cause)))
    })
  }

  private stopTimer(): void {
    const { timer } = this
    this.timer = undefined
    timer?.stop()
  }

  private mark(limit: timeLimit.TimeLimit): Exit.Exit<never, E> {
    limit.hasStruck = true
    // what runs under it from now on is clean-up
    if (limit !== this.inherited) limit.isOver = true
    // as above, its error is known to whoever makes the plan
    return Exit.fail(this.task.exceeded(limit) as E)
  }

  /**
   * Whether the call has had its time, which comes first on a tie: a timer of its own
   * would be older than whatever is waited for after the first wait.
   */
  private get isLate(): boolean {
    const { limit } = this
    return this.hasWaited && this.task.total !== undefined && limit !== undefined &&
      isDue(limit.expiresAt, monotonicMillis(this.clock))
  }

  /** The attempt has had its time. */
  private strikeAttempt(attemptLimit: timeLimit.TimeLimit): void {
    const { limit } = this
    if (this.isLate) return this.strikeCall()
    this.hasWaited = true
    this.verdict = this.mark(attemptLimit)
    this.child?.interruptUnsafe(this.fiber.id)
    // it may take its time to end
    if (this.child !== undefined && this.task.total !== undefined && limit !== undefined) {
      this.arm(limit.expiresAt, () => this.strikeCall())
    }
  }

  /** The call has had its time. */
  private strikeCall(): void {
    if (this.limit !== undefined) this.end(this.mark(this.limit))
  }

  /** Ends the call from outside of its attempt. */
  private end(result: Exit.Exit<A, E>): void {
    this.result = result
    this.verdict ??= Exit.interrupt(this.fiber.id)
    this.stopWaiting()
    if (this.child !== undefined) this.child.interruptUnsafe(this.fiber.id)
    else if (this.isAttempting) this.ended(this.verdict)
    else this.finish(result)
  }
}
