/**
 * Steps of calls within steps of other calls. A call begins and ends within the
 * JavaScript of the one around it, so that a deep nest of them would overflow its
 * stack. From some depth on a step is put off until the outermost one is done, and
 * runs before that returns: nobody can tell but by the stack.
 *
 * Whoever must not return before its fibers have ended, as `runSync`, has a
 * scheduler of its own. So the outermost is the outermost one of a scheduler.
 */
import type * as Scheduler from "effect/Scheduler"

/** The stack of Node has room for ten times as many. */
const deepest = 64

export class Nest {
  private scheduler: Scheduler.Scheduler | undefined
  private readonly outer: Nest | undefined
  private depth = 0
  private readonly later: Array<() => void> = []

  constructor(scheduler?: Scheduler.Scheduler, outer?: Nest) {
    this.scheduler = scheduler
    this.outer = outer
  }

  /** Begins a step, which is to `leave` when it has ended; `undefined` where it has to be put off. */
  static enter(scheduler: Scheduler.Scheduler): Nest | undefined {
    if (current.scheduler !== scheduler) {
      if (current.depth > 0) current = new Nest(scheduler, current)
      else current.scheduler = scheduler
    } else if (current.depth === deepest) {
      return undefined
    }
    current.depth++
    return current
  }

  /** Runs it once the outermost step is done; at once where there is none. */
  static putOff(step: () => void): void {
    if (current.depth === 0) step()
    else current.later.push(step)
  }

  leave(): void {
    if (this.depth === 1 && this.later.length > 0) this.catchUp()
    this.depth--
    if (this.depth === 0 && this.outer !== undefined) current = this.outer
  }

  private catchUp(): void {
    try {
      for (let step = this.later.shift(); step !== undefined; step = this.later.shift()) step()
    } finally {
      // that one has thrown is no reason to drop the others
      if (this.later.length > 0) this.catchUp()
    }
  }
}

let current = new Nest()
