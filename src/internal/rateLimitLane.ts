/**
 * The limits of one key, and the calls that wait for them in order of arrival.
 *
 * Nobody reserves anything while it waits: permits are spent when it is their
 * call's turn, so that a call that goes away leaves no trace, and those behind it
 * move up. Only the first one has a timer. What the queue will do is known all the
 * same, by trying it on copies of the limits (the plan): so a call that would wait
 * too long is refused at once.
 */
import type { LimitSettings } from "../RateLimit.ts"
import { type Held, type Limit, makeLimit } from "./rateLimitKinds.ts"
import { isDue } from "./time.ts"
import { Link, List } from "./waiters.ts"

/** Why a call cannot have its permits in time: which limit has them last, and when; infinite where that is never. */
export interface Shortage {
  readonly limit: number
  readonly due: number
}

/** A call that asks for permits. Its functions must not throw. */
export abstract class Caller extends Link<Caller> {
  arrivedAt = 0
  /** What it asks of each limit. */
  abstract costs: ReadonlyArray<number>
  /** Whether it cannot wait until then. */
  abstract isTooLate(due: number): boolean
  abstract admit(held: ReadonlyArray<Held>): void
  /** The limits have changed, and what it asks of them is to be found out again. */
  abstract reprice(): void
  abstract refuse(shortage: Shortage, now: number): void
  /** It is first in line now, or may have its permits sooner than it thought. */
  abstract look(): void
}

/** When all of the costs can be had together. */
const dueIn = (limits: ReadonlyArray<Limit>, costs: ReadonlyArray<number>, from: number): number => {
  let due = from
  for (let n = 0; n < limits.length; n++) due = Math.max(due, limits[n]?.earliest(costs[n] ?? 0, from) ?? 0)
  return due
}

const shortageIn = (limits: ReadonlyArray<Limit>, costs: ReadonlyArray<number>, from: number): Shortage => {
  const dues = limits.map((limit, n) => limit.earliest(costs[n] ?? 0, from))
  const due = Math.max(...dues)
  return { due, limit: dues.indexOf(due) }
}

const isMonotone = (specs: ReadonlyArray<LimitSettings>): boolean =>
  specs.length === 1 || specs.every(({ kind }) => kind !== "fixed-window")

export class Lane {
  limits: ReadonlyArray<Limit>
  /** Calls that have been admitted and not yet ended. */
  running = 0
  waiting = 0
  /** Whether it has been asked since it was last looked at. */
  wasUsed = true
  private readonly queue = new List<Caller>()
  /** The limits as they will be when everybody in the queue has been served, and when that is. None where nobody waits. */
  private plan: ReadonlyArray<Limit> | undefined = undefined
  private planAt = -Infinity
  /** Whether somebody in the queue may be served sooner than planned. Nobody is served later. */
  private isLoose = false
  /**
   * Whether nobody is ever served later because there is less to serve. A fixed
   * window beside other limits may open sooner then, and end before those behind.
   */
  private isMonotone: boolean
  /** When there was last a change that may have made somebody due. Until then nobody was who still waits. */
  private notBefore = -Infinity

  constructor(specs: ReadonlyArray<LimitSettings>) {
    this.limits = specs.map(makeLimit)
    this.isMonotone = isMonotone(specs)
  }

  get first(): Caller | undefined {
    return this.queue.first
  }

  /** Whether it differs in nothing from one that was never asked. */
  isFresh(now: number): boolean {
    return this.running === 0 && this.waiting === 0 && this.limits.every((limit) => limit.left(now) >= limit.most)
  }

  /** Admits a call now, or puts it into the queue, or refuses it. */
  ask(caller: Caller, now: number): void {
    if (this.queue.first !== undefined) this.serve(now)
    // who takes nothing takes nothing from those who wait
    if (this.queue.first === undefined || caller.costs.every((cost) => cost === 0)) {
      const due = dueIn(this.limits, caller.costs, now)
      if (due <= now) return this.admit(caller, due, now)
    }
    this.join(caller, now)
  }

  /** Admits everybody whose turn has come. */
  serve(now: number): void {
    const { first } = this.queue
    for (let caller = first; caller !== undefined; caller = this.queue.first) {
      const due = this.dueOf(caller)
      if (!isDue(due, now)) break
      this.remove(caller)
      this.admit(caller, due, now)
      caller.look()
    }
    if (this.queue.first !== first) this.queue.first?.look()
  }

  /** When it is the turn of the one who is first in line. */
  dueOf(first: Caller): number {
    return dueIn(this.limits, first.costs, Math.max(first.arrivedAt, this.notBefore))
  }

  /** Takes out a caller that does not wait any more. */
  leave(caller: Caller, now: number): void {
    const wasFirst = this.queue.first === caller
    this.remove(caller)
    if (wasFirst || !this.isMonotone) this.eased(now)
    else this.isLoose = true
  }

  /** Some permits have come back, or the way is free. All that was due has been served. */
  eased(now: number): void {
    if (!this.isMonotone) return this.strained(now)
    if (this.queue.first === undefined) return
    this.notBefore = now
    this.isLoose = true
    this.serve(now)
    this.queue.first?.look()
  }

  /**
   * Some permits have gone, or the limits have changed: those who would wait too
   * long now are refused. All that was due has been served.
   */
  strained(now: number): void {
    if (this.queue.first === undefined) return
    this.notBefore = now
    this.serve(now)
    if (this.queue.first !== undefined) this.makePlan(now)
    this.serve(now)
    this.queue.first?.look()
  }

  /** Goes on under other limits. `from` says which of the present limits each one follows. */
  change(specs: ReadonlyArray<LimitSettings>, from: ReadonlyArray<number>, now: number): void {
    this.limits = specs.map((spec, n) => {
      const former = this.limits[from[n] ?? -1]
      if (former?.resize(spec, now) === true) return former
      const limit = makeLimit(spec)
      if (former !== undefined) limit.spend(Math.min(limit.most, Math.max(0, former.most - former.left(now))), now)
      return limit
    })
    this.isMonotone = isMonotone(specs)
  }

  forEach(f: (caller: Caller) => void): void {
    let caller = this.queue.first
    while (caller !== undefined) {
      // it may be taken out
      const { next } = caller
      f(caller)
      caller = next
    }
  }

  private admit(caller: Caller, due: number, now: number): void {
    this.running++
    const held: Array<Held> = []
    for (let n = 0; n < this.limits.length; n++) {
      const one = this.limits[n]?.hold(caller.costs[n] ?? 0, due, now)
      if (one !== undefined) held.push(one)
    }
    caller.admit(held)
  }

  private join(caller: Caller, now: number): void {
    caller.arrivedAt = now
    let due = this.dueAfterAll(caller)
    if (this.isLoose && caller.isTooLate(due)) {
      this.plan = undefined
      due = this.dueAfterAll(caller)
    }
    if (caller.isTooLate(due)) {
      const { limits, from } = this.afterAll(caller)
      return caller.refuse(shortageIn(limits, caller.costs, from), now)
    }
    if (this.plan !== undefined) this.addToPlan(this.plan, caller, due)
    this.queue.push(caller)
    this.waiting++
  }

  private dueAfterAll(caller: Caller): number {
    const { from, limits } = this.afterAll(caller)
    return dueIn(limits, caller.costs, from)
  }

  // the first in line needs no plan: nobody is served before it
  private afterAll(caller: Caller): { readonly limits: ReadonlyArray<Limit>; readonly from: number } {
    if (this.queue.first === undefined) return { limits: this.limits, from: caller.arrivedAt }
    const limits = this.plan ?? this.makePlan()
    return { limits, from: Math.max(caller.arrivedAt, this.planAt) }
  }

  /** Tries the whole queue, and, at a given time, refuses those who would wait too long. */
  private makePlan(refusingAt?: number): ReadonlyArray<Limit> {
    const plan = this.limits.map((limit) => limit.copy())
    this.plan = plan
    this.planAt = this.notBefore
    this.isLoose = false
    this.forEach((caller) => {
      const from = Math.max(caller.arrivedAt, this.planAt)
      const due = dueIn(plan, caller.costs, from)
      if (refusingAt === undefined || !caller.isTooLate(due)) return this.addToPlan(plan, caller, due)
      const shortage = shortageIn(plan, caller.costs, from)
      this.remove(caller)
      caller.refuse(shortage, refusingAt)
      caller.look()
    })
    return plan
  }

  private addToPlan(plan: ReadonlyArray<Limit>, caller: Caller, due: number): void {
    plan.forEach((limit, n) => limit.spend(caller.costs[n] ?? 0, due))
    this.planAt = due
  }

  private remove(caller: Caller): void {
    this.queue.remove(caller)
    this.waiting--
    if (this.queue.first !== undefined) return
    this.plan = undefined
    this.isLoose = false
  }
}
