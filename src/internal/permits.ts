/**
 * Permits for calls in flight, and the calls that wait for one: what `Bulkhead`
 * and `AdaptiveLimit` share.
 *
 * Calls have a rank, from 0, the highest. A call of a rank is let in while fewer
 * are in flight than the rank's allowance, which never rises from rank to rank.
 *
 * Invariants: nobody waits whose rank has room, since a permit that comes free is
 * handed on at that moment; a permit belongs to the call from that moment on, and
 * only its fiber is woken later, by the scheduler: were it woken at once, a long
 * queue of short calls would nest without end; calls are woken in the order in
 * which they were given their permits, all that are due by one task: a task for
 * each costs as much as the rest of its wait. A scheduler may stop before it gets
 * there, as that of `runSync` does, so that it wakes for no other.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import { type Alarm, Alarms, isMachine } from "./alarms.ts"
import { integer, positiveMillis, refuse } from "./options.ts"
import { monotonicMillis, sleepUntil } from "./time.ts"
import { Line, Link, List } from "./waiters.ts"

/** Why a call has got no permit: there was no place to wait, or it has waited too long. */
export type Reason = "queue" | "wait"

/** How many may wait, and how long, in milliseconds. */
interface Queue {
  readonly queue: number
  readonly wait: number
}

export const resolveQueue = (
  module: string,
  { queue, wait }: { readonly queue?: number | undefined; readonly wait?: Duration.Input | undefined }
): Queue => {
  // who says how long expects calls to wait, and by default none does
  if (queue === undefined && wait !== undefined) refuse(module, "queue", "given where wait is", queue)
  return {
    queue: queue === Infinity ? queue : integer(module, "queue", queue === undefined ? 0 : queue, 0),
    wait: wait === undefined ? Infinity : positiveMillis(module, "wait", wait, { infinite: true })
  }
}

class Waiter extends Link<Waiter> {
  readonly permit: Permit
  readonly rank: number
  readonly key: string | undefined
  /** Resumes the fiber, once it has suspended. */
  wake: (() => void) | undefined = undefined

  constructor(permit: Permit, rank: number, key: string | undefined) {
    super()
    this.permit = permit
    this.rank = rank
    this.key = key
  }
}

export class Permits {
  inFlight = 0
  waiting = 0
  queue: Queue
  /** Calls since it was made. */
  readonly counts = { admitted: 0, queueFull: 0, waitedTooLong: 0, abandoned: 0 }
  private allowances: ReadonlyArray<number>
  private readonly lines: ReadonlyArray<Line<Waiter>>
  /** What those wait with who wait no longer than so long. */
  readonly alarms = new Alarms()
  // each has been given a permit or lost its place
  private readonly due = new List<Waiter>()
  /** The scheduler that wakes them, where it has been told to and has not begun. */
  private wakesBy: Scheduler.Scheduler | undefined = undefined

  constructor(allowances: ReadonlyArray<number>, queue: Queue) {
    this.allowances = allowances
    this.queue = queue
    this.lines = allowances.map(() => new Line())
  }

  /** Changes the allowances. Whoever waits is served at the next `serve`; nobody loses a permit. */
  allow(allowances: ReadonlyArray<number>): void {
    this.allowances = allowances
  }

  hasRoom(rank: number): boolean {
    return this.inFlight < (this.allowances[rank] ?? 0)
  }

  admit(permit: Permit): void {
    this.inFlight++
    this.counts.admitted++
    permit.state = "held"
  }

  giveBack(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.inFlight--
    this.serve(fiber)
  }

  /** Hands out the permits that are free. */
  serve(fiber: Fiber.Fiber<unknown, unknown>): void {
    for (let rank = 0; this.waiting > 0 && rank < this.lines.length; rank++) {
      while (this.hasRoom(rank)) {
        const waiter = this.lines[rank]?.shift()
        if (waiter === undefined) break
        this.waiting--
        this.admit(waiter.permit)
        this.wakeLater(waiter, fiber)
      }
    }
  }

  /** Puts a call in line; where the queue is full, in the place of the newest call of the lowest rank below its own. */
  join(permit: Permit, rank: number, key: string | undefined): Waiter | undefined {
    if (this.waiting >= this.queue.queue) {
      const newest = this.newestBelow(rank)
      this.counts.queueFull++
      if (newest === undefined) return undefined
      this.withdraw(newest)
      this.wakeLater(newest, permit.fiber)
    }
    const waiter = new Waiter(permit, rank, key)
    this.lines[rank]?.push(waiter, key)
    this.waiting++
    permit.state = "waiting"
    return waiter
  }

  /** Takes a call out of its line. */
  withdraw(waiter: Waiter): void {
    this.lines[waiter.rank]?.remove(waiter, waiter.key)
    this.waiting--
    waiter.permit.state = "none"
  }

  private newestBelow(rank: number): Waiter | undefined {
    for (let lower = this.lines.length - 1; lower > rank; lower--) {
      const newest = this.lines[lower]?.last
      if (newest !== undefined) return newest
    }
    return undefined
  }

  private wakeLater(waiter: Waiter, fiber: Fiber.Fiber<unknown, unknown>): void {
    const { scheduler } = fiber.cache
    this.due.push(waiter)
    if (this.wakesBy === scheduler) return
    this.wakesBy = scheduler
    fiber.currentDispatcher.scheduleTask(() => this.wakeDue(), 0)
  }

  /** Wakes those that are due now. Others may become so meanwhile, and have to wait for the next time. */
  private wakeDue(): void {
    const { last } = this.due
    this.wakesBy = undefined
    for (let waiter = this.due.shift(); waiter !== undefined; waiter = waiter === last ? undefined : this.due.shift()) {
      waiter.wake?.()
    }
  }
}

/** What one call has of the permits: asked for by `take`, then by `join` and `turn`, given up by `leave`. */
export class Permit {
  state: "none" | "waiting" | "held" = "none"
  readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly permits: Permits
  private waiter: Waiter | undefined = undefined

  constructor(permits: Permits, fiber: Fiber.Fiber<unknown, unknown>) {
    this.permits = permits
    this.fiber = fiber
  }

  /** Takes a permit, if one is to be had at once. */
  take(rank: number): boolean {
    if (!this.permits.hasRoom(rank)) return false
    this.permits.admit(this)
    return true
  }

  /** Joins the queue, where none is to be had at once; `false` where there is no place. */
  join(rank: number, key: string | undefined): boolean {
    this.waiter = this.permits.join(this, rank, key)
    return this.waiter !== undefined
  }

  /** Waits in the queue, and goes on with what follows from why it has got none; from `undefined` where it has. */
  turn<A, E, R>(then: (reason: Reason | undefined) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { wait } = this.permits.queue
    if (wait === Infinity) return this.woken(then)
    const clock = this.fiber.getRef(Clock.Clock)
    const now = monotonicMillis(clock)
    const until = now + wait
    if (isMachine(clock)) return this.woken(then, (wake) => this.permits.alarms.add(clock, until, now, wake))
    const ended = Effect.raceFirst(this.woken(Effect.succeed), sleepUntil(clock, until))
    return Effect.flatMap(ended, () => then(this.ended()))
  }

  private woken<A, E, R>(
    then: (reason: Reason | undefined) => Effect.Effect<A, E, R>,
    set?: (wake: () => void) => Alarm
  ): Effect.Effect<A, E, R> {
    return Effect.callback((resume) => {
      const { waiter } = this
      // who is interrupted meanwhile does not go on
      const wake = () => resume(Effect.suspend(() => then(this.ended())))
      // its turn may have come before it suspends
      if (this.state !== "waiting" || waiter === undefined) return wake()
      const alarm = set?.(wake)
      waiter.wake = alarm === undefined ? wake : () => {
        alarm.stop()
        wake()
      }
      return alarm === undefined ? undefined : Effect.sync(() => alarm.stop())
    })
  }

  /** The wait has ended. Says why it has got no permit. */
  private ended(): Reason | undefined {
    const { permits, state, waiter } = this
    if (state === "held") return undefined
    if (state === "none" || waiter === undefined) return "queue"
    permits.withdraw(waiter)
    permits.counts.waitedTooLong++
    return "wait"
  }

  /** Gives back what the call holds, or leaves the queue; the second time it does nothing. */
  leave(): undefined {
    const { permits, state, waiter } = this
    if (state === "held") {
      this.state = "none"
      permits.giveBack(this.fiber)
    } else if (state === "waiting" && waiter !== undefined) {
      permits.withdraw(waiter)
      permits.counts.abandoned++
    }
  }
}
