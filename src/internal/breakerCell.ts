/**
 * The state of one circuit breaker, or of one key of a breaker that has many: a
 * flat record, moved by `transition`. All of it is synchronous, so that nothing
 * can fall between a decision and its record.
 *
 * Invariants: every change of `phase` has a new generation, but for the counts of
 * a half-open one and the mark that a threshold was passed; the windows are empty
 * when a closed or an overridden phase begins; `inFlight` counts the calls that
 * were let through and have not ended, without those of a disabled breaker, which
 * nothing remembers.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as MutableRef from "effect/MutableRef"
import * as Ref from "effect/Ref"
import type { Settings, Transition } from "../CircuitBreaker.ts"
import * as Outcome from "../Outcome.ts"
import {
  closed,
  type Event,
  isAdmitted,
  isAnyMet,
  type Mode,
  type Phase,
  type Standing,
  transition
} from "./breakerPhase.ts"
import * as breakerWindow from "./breakerWindow.ts"
import { CircuitOpen } from "./circuitOpen.ts"
import { guarded } from "./guarded.ts"
import { openTime } from "./openTime.ts"
import { refusal } from "./refusals.ts"
import { monotonicMillis, remaining } from "./time.ts"

/** What is read off the settings once, and not at every call. */
interface Plan {
  readonly settings: Settings
  /** The milliseconds past which a call is slow; `undefined` where no trip asks, and no clock is read at entry. */
  readonly slowerThan: number | undefined
  /** Whether all that a success can do to a closed breaker is to end a streak. */
  readonly isStreak: boolean
  /** Whether the windows look at the time. */
  readonly isTimed: boolean
}

const planOf = (settings: Settings): Plan => {
  const { trip } = settings
  return {
    settings,
    slowerThan: trip.find((one) => one.kind === "slow")?.slowerThan,
    isStreak: trip.every(({ kind }) => kind === "consecutive"),
    isTimed: trip.some((one) => one.kind === "consecutive" ? one.forgetAfter !== undefined : one.window.kind === "time")
  }
}

/** Told of every change, and by whose call, where that is not the fiber that runs. */
export type Listener = (transition: Transition, by?: Fiber.Fiber<unknown, unknown>) => void

/** What all keys of one breaker have in common. */
export class Shared {
  readonly name: string
  plan: Plan
  private readonly listener: Listener | undefined

  constructor(name: string, settings: Settings, listener: Listener | undefined) {
    this.name = name
    this.plan = planOf(settings)
    this.listener = listener
  }

  /** The settings change; whoever calls it refits the windows. */
  configure(settings: Settings): void {
    this.plan = planOf(settings)
  }

  /** Whoever listens never changes a call's result. */
  tell(transition: Transition, by?: Timekeeper): void {
    guarded(() => this.listener?.(transition, by?.fiber))
  }
}

/** How long calls took, where the clock is read at entry. Times are milliseconds. */
interface Timing {
  calls: number
  slow: number
  total: number
  longest: number
}

/** What most cells never need: most never open. */
interface History {
  opened: number
  halfOpened: number
  closed: number
  forced: number
  /** When it left the closed phase, in milliseconds since the epoch by the wall clock. */
  openSince: number | undefined
  /** How many hold it in each of `modes`. */
  readonly holders: Array<number>
}

/** The strongest mode comes first. */
const modes: ReadonlyArray<Mode> = ["forcedOpen", "disabled", "forcedClosed", "metricsOnly"]

const noCalls: ReadonlyArray<never> = []
const ask: Event = { _tag: "Ask" }

/** Where calls go: a cell, or the cell of a key, wherever that is at the time. */
export interface Place {
  readonly shared: Shared
  readonly key: string | undefined
  /** The cell, made where there is none yet. */
  readonly take: (by: Timekeeper) => Cell
  /** The cell, or, where there is none, one that no call goes to. */
  readonly peek: () => Cell
}

/** Whether a call at that time, in monotonic milliseconds, is sure to be refused. */
export const willRefuse = (place: Place, at: number): boolean => {
  const { phase } = place.peek()
  return phase._tag === "Open" ? at < phase.until : phase._tag === "Forced" && phase.mode === "forcedOpen"
}

/** Whoever has a clock. It is looked up where it is needed, which it is not while all goes well. */
export interface Timekeeper {
  readonly clock: Clock.Clock
  /** The fiber that it is about. Default: the one that runs. */
  readonly fiber?: Fiber.Fiber<unknown, unknown>
}

export abstract class Cell implements Place {
  abstract phase: Phase
  readonly shared: Shared
  readonly key: string | undefined
  /** One for each trip, made when there is something to record. */
  windows: ReadonlyArray<breakerWindow.Window> | undefined = undefined
  inFlight = 0
  success = 0
  failure = 0
  overload = 0
  ignored = 0
  refused = 0
  timing: Timing | undefined = undefined
  history: History | undefined = undefined

  constructor(shared: Shared, key: string | undefined) {
    this.shared = shared
    this.key = key
  }

  take(): Cell {
    return this
  }

  peek(): Cell {
    return this
  }

  // ---------------------------------------------------------------------------
  // calls
  // ---------------------------------------------------------------------------

  /** Refuses a call that would be refused now, and counts it. Lets nothing through. */
  refusal(by: Timekeeper): CircuitOpen | undefined {
    if (this.phase._tag === "Closed") return undefined
    const now = monotonicMillis(by.clock)
    const before = this.look(now, by)
    return isAdmitted(before, this.asked(before, now)) ? undefined : this.refuse(before, now)
  }

  /** Lets a call through, or refuses it. */
  enter(by: Timekeeper): CircuitOpen | undefined {
    // a closed breaker lets everything through
    if (this.phase._tag === "Closed") return undefined
    const now = monotonicMillis(by.clock)
    const before = this.look(now, by)
    const after = this.asked(before, now)
    if (!isAdmitted(before, after)) return this.refuse(before, now)
    this.phase = after
    if (before._tag === "Open") {
      this.changes().halfOpened++
      this.shared.tell({ to: "HalfOpen", from: "Open", key: this.key }, by)
    }
    return undefined
  }

  /** A call that was let through in `generation` has ended: at `at`, where that has been read. */
  leave(
    generation: number,
    outcome: Outcome.Outcome,
    slow: boolean,
    exit: Exit.Exit<unknown, unknown> | undefined,
    by: Timekeeper,
    at: number | undefined
  ): void {
    this.inFlight--
    this.count(outcome)
    const phase = this.phase
    if (phase.generation !== generation) return
    const { isStreak, isTimed, settings } = this.shared.plan
    let now = at
    switch (phase._tag) {
      case "Open":
        // it has let nobody in
        return
      case "HalfOpen":
        now ??= monotonicMillis(by.clock)
        if (this.look(now, by) !== phase) return
        break
      default:
        if (phase._tag === "Forced" && phase.mode !== "metricsOnly") return
        if (outcome._tag !== "Success" && outcome._tag !== "Failure" && !slow) return
        if (isStreak && outcome._tag === "Success") return this.clearWindows()
        // for windows that do not look at the time any will do
        now ??= isTimed ? monotonicMillis(by.clock) : 0
        if (!isAnyMet(settings.trip, this.recorded(outcome, slow, now))) return
        if (at === undefined && !isTimed) now = monotonicMillis(by.clock)
    }
    const event: Event = { _tag: "End", generation, outcome: outcome._tag, slow, openFor: this.openFor(outcome, by) }
    const next = transition(settings, phase, event, this.windows ?? noCalls, now)
    if (next !== phase) this.move(phase, next, exit, now, by, outcome)
  }

  private asked(phase: Phase, now: number): Phase {
    return transition(this.shared.plan.settings, phase, ask, noCalls, now)
  }

  private refuse(phase: Phase, now: number): CircuitOpen {
    this.refused++
    const error = refusal(CircuitOpen, "CircuitOpen", this.shared.name)
    if (this.key !== undefined) error.key = this.key
    if (phase._tag === "Open") error.retryAfter = remaining(phase.until, now)
    if (phase._tag === "Forced") error.isForced = true
    return error
  }

  private count(outcome: Outcome.Outcome): void {
    switch (outcome._tag) {
      case "Success":
        this.success++
        break
      case "Failure":
        this.failure++
        break
      case "Overload":
        this.overload++
        break
      case "Ignored":
        this.ignored++
        break
    }
  }

  /** Remembers how long a call took that has ended. */
  timed(millis: number, slow: boolean): void {
    const timing = this.timing ??= { calls: 0, slow: 0, total: 0, longest: 0 }
    timing.calls++
    timing.total += millis
    if (slow) timing.slow++
    if (millis > timing.longest) timing.longest = millis
  }

  // ---------------------------------------------------------------------------
  // windows
  // ---------------------------------------------------------------------------

  /** The windows, with a call that has ended. */
  private recorded(outcome: Outcome.Outcome, slow: boolean, now: number): ReadonlyArray<breakerWindow.Window> {
    const trips = this.shared.plan.settings.trip
    const windows = this.windows ??= breakerWindow.makeAll(trips)
    for (let n = 0; n < windows.length; n++) {
      const window = windows[n]
      if (trips[n]?.kind === "slow") window?.record(slow, now)
      else if (outcome._tag === "Ignored") window?.rotate(now)
      else window?.record(outcome._tag === "Failure", now)
    }
    return windows
  }

  private clearWindows(): void {
    const { windows } = this
    if (windows === undefined) return
    for (let n = 0; n < windows.length; n++) windows[n]?.clear()
  }

  /** The settings have changed, from those with these trips. */
  refit(had: Settings["trip"]): void {
    if (this.windows === undefined) return
    this.windows = breakerWindow.refit(this.windows, had, this.shared.plan.settings.trip)
  }

  /** Frees windows that have run empty. */
  thin(now: number): void {
    if (this.windows === undefined || this.phase._tag !== "Closed") return
    for (const window of this.windows) window.rotate(now)
    if (this.windows.every(({ calls }) => calls === 0)) this.windows = undefined
  }

  // ---------------------------------------------------------------------------
  // changes
  // ---------------------------------------------------------------------------

  /** The phase, after what time alone has done to it. */
  look(now: number, by: Timekeeper): Phase {
    const before = this.phase
    if (before._tag !== "HalfOpen" || before.until === undefined) return before
    const event: Event = { _tag: "Look", openFor: this.openFor(Outcome.ignored, by) }
    const next = transition(this.shared.plan.settings, before, event, noCalls, now)
    if (next !== before) this.move(before, next, undefined, before.until, by)
    return next
  }

  /** What has become of it, from now on. */
  changes(): History {
    return this.history ??= {
      opened: 0,
      halfOpened: 0,
      closed: 0,
      forced: 0,
      openSince: undefined,
      holders: modes.map(() => 0)
    }
  }

  private openFor(outcome: Outcome.Outcome, by: Timekeeper): (openings: number) => number {
    return (openings) => {
      const context = (by.fiber ?? Fiber.getCurrent())?.context ?? Context.empty()
      return openTime(this.shared.plan.settings, openings, outcome, context)
    }
  }

  /** Changes the phase as of `at`, because of a call that has ended so, or of time alone. */
  private move(
    before: Phase,
    next: Phase,
    exit: Exit.Exit<unknown, unknown> | undefined,
    at: number,
    by: Timekeeper,
    outcome?: Outcome.Outcome
  ): void {
    this.phase = next
    if (next._tag === "Forced") return this.shared.tell({ to: "ThresholdPassed", exit, key: this.key }, by)
    if (next._tag === "HalfOpen") return
    const history = this.changes()
    if (next._tag === "Open" && (before._tag === "Closed" || before._tag === "HalfOpen")) {
      history.opened++
      history.openSince ??= by.clock.currentTimeMillisUnsafe()
      const openFor = Duration.millis(next.until - at)
      const failed = before._tag === "HalfOpen"
        // that of a probe that hung is not known
        ? outcome === undefined || outcome._tag === "Failure"
        : isAnyMet(this.shared.plan.settings.trip, this.windows ?? noCalls, true)
      const because = failed ? "failures" : "slow"
      this.shared.tell({ to: "Open", from: before._tag, openFor, because, exit, key: this.key }, by)
    } else if (next._tag === "Closed") {
      history.closed++
      history.openSince = undefined
      this.clearWindows()
      this.shared.tell({ to: "Closed", from: "HalfOpen", exit, key: this.key }, by)
    }
  }

  /** Somebody begins to hold it in a mode, or ends it. */
  hold(mode: Mode, change: 1 | -1, by: Timekeeper): void {
    const { holders } = this.changes()
    const n = modes.indexOf(mode)
    holders[n] = (holders[n] ?? 0) + change
    const now = monotonicMillis(by.clock)
    const before = this.look(now, by)
    const strongest = modes.find((_, n) => holders[n] !== 0)
    const next = transition(this.shared.plan.settings, before, { _tag: "Override", mode: strongest }, noCalls, now)
    if (next === before) return
    this.phase = next
    this.clearWindows()
    if (next._tag === "Forced") {
      this.changes().forced++
      this.shared.tell({ to: "Forced", from: before._tag, mode: next.mode, key: this.key })
    } else if (before._tag === "Forced" && next._tag !== "HalfOpen") {
      this.shared.tell({ to: "Released", from: before.mode, state: next._tag, key: this.key })
    }
  }

  /** Closes it, as if it had just been made; what holds it goes on, and so do the counters. */
  reset(): void {
    const before = this.phase
    this.phase = transition(this.shared.plan.settings, before, { _tag: "Reset" }, noCalls, 0)
    if (this.history !== undefined) this.history.openSince = undefined
    this.clearWindows()
    this.shared.tell({ to: "Reset", from: before._tag, key: this.key })
  }

  /** Stands where a snapshot says, beneath what holds it. */
  restore(standing: Standing): void {
    const before = this.phase
    const { generation } = standing
    this.phase = before._tag === "Forced"
      ? { ...before, generation, thresholdPassed: false, beneath: standing }
      : standing
    this.clearWindows()
    this.shared.tell({ to: "Restored", from: before._tag, state: standing._tag, key: this.key })
  }
}

/** The cell of a breaker that has one alone, whose phase others may read. */
export class OnlyCell extends Cell {
  readonly ref: Ref.Ref<Phase>

  constructor(shared: Shared, initial: Phase) {
    super(shared, undefined)
    this.ref = Ref.makeUnsafe(initial)
  }

  get phase(): Phase {
    return MutableRef.get(this.ref.ref)
  }

  set phase(phase: Phase) {
    MutableRef.set(this.ref.ref, phase)
  }
}

/** The cell of one key among many. */
export class KeyCell extends Cell {
  override readonly key: string
  phase = closed
  /** Whether it has been used since somebody asked. */
  wasUsed = false
  /** When it was last known to be in use, in monotonic milliseconds. */
  seenAt: number

  constructor(shared: Shared, key: string, now: number) {
    super(shared, key)
    this.key = key
    this.seenAt = now
  }

  /** Whether there is nothing in it that must not be lost. */
  isIdle(now: number, by: Timekeeper): boolean {
    if (this.inFlight > 0) return false
    const phase = this.look(now, by)
    return phase._tag === "Closed" || (phase._tag === "Open" && now >= phase.until)
  }
}
