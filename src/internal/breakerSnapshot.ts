/** What can be read off a breaker, and putting one where a snapshot says. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Cell, Place } from "./breakerCell.ts"
import type { Phase } from "./breakerPhase.ts"
import { refuse, show } from "./options.ts"
import { monotonicMillis, remaining } from "./time.ts"

const Wait = Schema.optional(Schema.DurationFromMillis.check(Schema.makeFilter((wait) => {
  const millis = Duration.toMillis(wait)
  return (millis >= 0 && Number.isFinite(millis)) || "a finite duration of zero or more"
})))

/** Milliseconds since the epoch. */
const WallTime = Schema.Finite

const standing = { state: Schema.Literals(["Closed", "Open", "HalfOpen"]), retryAfter: Wait }

/**
 * What can be read off a breaker: plain data, and a schema that makes JSON of it.
 *
 * @category models
 * @since 0.1.0
 */
export const Snapshot = Schema.Struct({
  name: Schema.String,
  /** The key, where the breaker has many. */
  key: Schema.optionalKey(Schema.String),
  state: Schema.Literals(["Closed", "Open", "HalfOpen", "Forced"]),
  /** What is left of the open time; zero when the next call will be a probe. Only while open. */
  retryAfter: Wait,
  /** Openings since it was last closed. */
  openings: Schema.Natural,
  /** What overrides it. Only while forced. */
  mode: Schema.optionalKey(Schema.Literals(["forcedOpen", "disabled", "forcedClosed", "metricsOnly"])),
  /** Where it will stand when nothing overrides it any more. Only while forced. */
  beneath: Schema.optionalKey(Schema.Struct(standing)),
  /** When it was last closed, by the wall clock, in milliseconds since the epoch. Only while it is not. */
  openSince: Schema.optionalKey(WallTime),
  /** When the snapshot was taken, by the wall clock, in milliseconds since the epoch. */
  takenAt: WallTime,
  /** Calls that were let through and have not ended. */
  inFlight: Schema.Natural,
  /** What the window of each trip holds: its calls, and the failures or slow calls among them. */
  windows: Schema.Array(Schema.Struct({
    trip: Schema.Literals(["consecutive", "count", "rate", "slow"]),
    calls: Schema.Natural,
    against: Schema.Natural
  })),
  /** Calls since it was made, by outcome, and those refused. */
  calls: Schema.Struct({
    success: Schema.Natural,
    failure: Schema.Natural,
    overload: Schema.Natural,
    ignored: Schema.Natural,
    refused: Schema.Natural
  }),
  /** How long calls took, and how many were slow. Only where there is a trip for slow calls: else no clock is read. */
  timing: Schema.optionalKey(Schema.Struct({
    calls: Schema.Natural,
    slow: Schema.Natural,
    total: Schema.DurationFromMillis,
    longest: Schema.DurationFromMillis
  })),
  /** How often it has changed. */
  transitions: Schema.Struct({
    opened: Schema.Natural,
    halfOpened: Schema.Natural,
    closed: Schema.Natural,
    forced: Schema.Natural
  })
}).check(Schema.makeFilter((snapshot) => {
  const isForced = snapshot.state === "Forced"
  if ((snapshot.mode !== undefined) !== isForced || (snapshot.beneath !== undefined) !== isForced) {
    return "a mode, and what lies beneath it, where it is forced, and nowhere else"
  }
  const { retryAfter, state } = snapshot.beneath ?? snapshot
  return state !== "Open" || retryAfter !== undefined || "a retryAfter while it is open"
}))

/**
 * What can be read off a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export type Snapshot = typeof Snapshot.Type

const waitOf = (phase: Phase, now: number): Duration.Duration | undefined =>
  phase._tag === "Open" ? remaining(phase.until, now) : undefined

export const read = (cell: Cell, clock: Clock.Clock): Snapshot => {
  const now = monotonicMillis(clock)
  const phase = cell.look(now, { clock })
  const standing = phase._tag === "Forced" ? phase.beneath : phase
  const { plan } = cell.shared
  const { history, timing } = cell
  return {
    name: cell.shared.name,
    ...(cell.key === undefined ? {} : { key: cell.key }),
    state: phase._tag,
    retryAfter: waitOf(phase, now),
    openings: standing._tag === "Closed" ? 0 : standing.openings,
    ...(phase._tag === "Forced"
      ? { mode: phase.mode, beneath: { state: standing._tag, retryAfter: waitOf(standing, now) } }
      : {}),
    ...(history?.openSince === undefined ? {} : { openSince: history.openSince }),
    takenAt: clock.currentTimeMillisUnsafe(),
    inFlight: cell.inFlight,
    windows: plan.settings.trip.map(({ kind }, n) => {
      const window = cell.windows?.[n]
      window?.rotate(now)
      return { trip: kind, calls: window?.calls ?? 0, against: window?.against ?? 0 }
    }),
    calls: {
      success: cell.success,
      failure: cell.failure,
      overload: cell.overload,
      ignored: cell.ignored,
      refused: cell.refused
    },
    ...(plan.slowerThan === undefined ? {} : {
      timing: {
        calls: timing?.calls ?? 0,
        slow: timing?.slow ?? 0,
        total: Duration.millis(timing?.total ?? 0),
        longest: Duration.millis(timing?.longest ?? 0)
      }
    }),
    transitions: {
      opened: history?.opened ?? 0,
      halfOpened: history?.halfOpened ?? 0,
      closed: history?.closed ?? 0,
      forced: history?.forced ?? 0
    }
  }
}

const decode = Schema.decodeUnknownResult(Schema.toType(Snapshot))

/** Returns a snapshot that a breaker of this name and key can be restored from. */
export const checked = ({ key, shared }: Place, snapshot: Snapshot): Snapshot => {
  const decoded = decode(snapshot)
  if (Result.isFailure(decoded)) {
    throw new RangeError(`CircuitBreaker: snapshot must be one of a breaker: ${decoded.failure.message}`)
  }
  if (snapshot.name !== shared.name) refuse("CircuitBreaker", "snapshot.name", show(shared.name), snapshot.name)
  if (snapshot.key !== key) refuse("CircuitBreaker", "snapshot.key", show(key), snapshot.key)
  return snapshot
}

/** Puts a breaker where a checked snapshot says, and counts on from there. */
export const restore = (cell: Cell, snapshot: Snapshot, clock: Clock.Clock): void => {
  const { retryAfter, state } = snapshot.beneath ?? snapshot
  const { calls, openings, timing, transitions } = snapshot
  const generation = cell.phase.generation + 1
  // a wall clock that was set back lengthens nothing
  const passed = Math.max(0, clock.currentTimeMillisUnsafe() - snapshot.takenAt)
  const left = retryAfter === undefined ? 0 : Math.max(0, Duration.toMillis(retryAfter) - passed)
  cell.success = calls.success
  cell.failure = calls.failure
  cell.overload = calls.overload
  cell.ignored = calls.ignored
  cell.refused = calls.refused
  cell.timing = timing === undefined ? undefined : {
    calls: timing.calls,
    slow: timing.slow,
    total: Duration.toMillis(timing.total),
    longest: Duration.toMillis(timing.longest)
  }
  const { openSince } = snapshot
  // what holds it holds on
  Object.assign(cell.changes(), { ...transitions, openSince })
  cell.restore(
    state === "Closed"
      ? { _tag: "Closed", generation }
      // the probes of a half-open one are lost: what comes first is another
      : { _tag: "Open", generation, openings, until: monotonicMillis(clock) + left }
  )
}
