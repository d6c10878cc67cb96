/**
 * The limits of one duration that calls wait under at a time, on the clock of the
 * machine. They share one timer, since most are over long before they strike.
 *
 * Invariants:
 * - Alarms stand in the order in which they are due. Those of one duration come in
 *   that order nearly always, so that one is put at the end, and taken from
 *   anywhere, at the same cost whatever their number.
 * - While there is an alarm, a fiber sleeps until the first is due, or less: it
 *   sleeps on when an alarm before that has been taken away.
 * - While there is none, nothing sleeps, but within the step that has taken the last
 *   one away: no timer is left behind, and none keeps a program from ending.
 *
 * Any other clock, such as that of a test, decides itself what comes first where two
 * things are due at once, and is asked for each limit.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Nest } from "./nesting.ts"
import { isDue, monotonicMillis } from "./time.ts"

/** A limit that somebody waits under. */
export class Alarm {
  /** In monotonic milliseconds. */
  readonly at: number
  readonly ring: () => void
  before: Alarm | undefined
  after: Alarm | undefined
  isSet = true
  private readonly alarms: Alarms

  constructor(
    alarms: Alarms,
    at: number,
    ring: () => void,
    before: Alarm | undefined,
    after: Alarm | undefined
  ) {
    this.alarms = alarms
    this.at = at
    this.ring = ring
    this.before = before
    this.after = after
  }

  /** Takes it away, unless it has rung or has been taken away. */
  stop(): void {
    if (this.isSet) this.alarms.remove(this)
  }
}

let machine: Clock.Clock | undefined

/** Whether it is the clock that a program has unless it is given another. */
export const isMachine = (clock: Clock.Clock): boolean =>
  clock === (machine ??= Context.get(Context.empty(), Clock.Clock))

export class Alarms {
  private first: Alarm | undefined
  private last: Alarm | undefined
  private sleeper: Fiber.Fiber<void> | undefined
  private wakesAt = Infinity

  /** Rings once at `at`, of the clock of the machine, or a moment before: whoever is rung looks at the time. */
  add(clock: Clock.Clock, at: number, now: number, ring: () => void): Alarm {
    let before = this.last
    while (before !== undefined && before.at > at) before = before.before
    const after = before === undefined ? this.first : before.after
    const alarm = new Alarm(this, at, ring, before, after)
    if (before === undefined) this.first = alarm
    else before.after = alarm
    if (after === undefined) this.last = alarm
    else after.before = alarm
    if (this.sleeper === undefined || at < this.wakesAt) this.sleep(clock, at, now)
    return alarm
  }

  /** Takes away an alarm that is set. */
  remove(alarm: Alarm): void {
    const { after, before } = alarm
    alarm.isSet = false
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    if (this.first === undefined) Nest.putOff(this.rest)
  }

  /** What a call that has ended resumes may well make another one, which then finds that somebody sleeps. */
  private readonly rest = (): void => {
    if (this.first === undefined) this.wake()
  }

  private sleep(clock: Clock.Clock, at: number, now: number): void {
    this.wake()
    this.wakesAt = at
    const sleeper = Effect.runFork(clock.sleep(Duration.millis(at - now)))
    this.sleeper = sleeper
    sleeper.addObserver(() => {
      if (this.sleeper !== sleeper) return
      this.sleeper = undefined
      this.ring(clock)
    })
  }

  private wake(): void {
    const { sleeper } = this
    this.sleeper = undefined
    sleeper?.interruptUnsafe()
  }

  private ring(clock: Clock.Clock): void {
    const now = monotonicMillis(clock)
    // what rings may add alarms and take others away; those that it adds are due later
    for (let alarm = this.first; alarm !== undefined && isDue(alarm.at, now); alarm = this.first) {
      this.remove(alarm)
      alarm.ring()
    }
    if (this.first !== undefined && this.sleeper === undefined) this.sleep(clock, this.first.at, now)
  }
}
