/**
 * How all services are, as data: what the status API answers and the dashboard shows.
 *
 * A service is what goes by the name of a pipeline, with the breakers and limits of
 * its operations; a breaker that belongs to no pipeline is a service of its own.
 * Times are in milliseconds since the epoch, lengths of time in milliseconds. What
 * is not known, or is not there, is `null`.
 *
 * It is data for people and programs that watch. A program that decides by the state
 * of one breaker of its own asks that breaker, by `Resilience.parts`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { Counts } from "../internal/countsSchema.ts"

export {
  /**
   * What a pipeline has done since it was made, as `Pipeline.Counts` says.
   *
   * @category models
   * @since 0.1.0
   */
  Counts
}

/**
 * Where a breaker stands, as `CircuitBreaker.Phase` says.
 *
 * @category models
 * @since 0.1.0
 */
export const State = Schema.Literals(["Closed", "HalfOpen", "Open", "Forced"])

/**
 * Where a breaker stands, as `CircuitBreaker.Phase` says.
 *
 * @category models
 * @since 0.1.0
 */
export type State = typeof State.Type

/**
 * What overrides a breaker by hand, as `CircuitBreaker.Mode` says.
 *
 * @category models
 * @since 0.1.0
 */
export const Mode = Schema.Literals(["forcedOpen", "disabled", "forcedClosed", "metricsOnly"])

const WallTime = Schema.NullOr(Schema.Finite)

/**
 * Where one breaker stands.
 *
 * @category models
 * @since 0.1.0
 */
export const BreakerState = Schema.Struct({
  name: Schema.String,
  /** The key, where the breaker has many. */
  key: Schema.NullOr(Schema.String),
  state: State,
  mode: Schema.NullOr(Mode),
  /** When it was last closed. */
  openSince: WallTime,
  /** When it will let a probe through. */
  nextProbe: WallTime
})

/**
 * Where one breaker stands.
 *
 * @category models
 * @since 0.1.0
 */
export type BreakerState = typeof BreakerState.Type

/**
 * Where one breaker stands, and what it has counted since it was made.
 *
 * @category models
 * @since 0.1.0
 */
export const Breaker = Schema.Struct({
  ...BreakerState.fields,
  /** Calls by outcome, and those refused. */
  calls: Schema.Struct({
    success: Schema.Natural,
    failure: Schema.Natural,
    overload: Schema.Natural,
    ignored: Schema.Natural,
    refused: Schema.Natural
  }),
  /** Calls that were let through and have not ended. */
  inFlight: Schema.Natural,
  /** What the window of each trip holds: its calls, and the failures or slow calls among them. */
  windows: Schema.Array(Schema.Struct({
    trip: Schema.String,
    calls: Schema.Natural,
    against: Schema.Natural
  })),
  /** How long its calls took, in milliseconds. Only where a trip looks at slow calls. */
  timing: Schema.NullOr(Schema.Struct({
    calls: Schema.Natural,
    slow: Schema.Natural,
    total: Schema.Finite,
    longest: Schema.Finite
  })),
  /** How often it has changed. */
  transitions: Schema.Struct({
    opened: Schema.Natural,
    halfOpened: Schema.Natural,
    closed: Schema.Natural,
    forced: Schema.Natural
  })
})

/**
 * Where one breaker stands, and what it has counted since it was made.
 *
 * @category models
 * @since 0.1.0
 */
export type Breaker = typeof Breaker.Type

/**
 * What is known of one service, without the counters of its breakers.
 *
 * @category models
 * @since 0.1.0
 */
export const ServiceState = Schema.Struct({
  name: Schema.String,
  /** Where the worst of its breakers stands. */
  state: Schema.NullOr(State),
  /** What overrides that one by hand. */
  mode: Schema.NullOr(Mode),
  /** When that one was last closed. */
  openSince: WallTime,
  /** When that one will let a probe through. */
  nextProbe: WallTime,
  /** What its calls have come to. Not there for a breaker that belongs to no pipeline. */
  counts: Schema.NullOr(Counts),
  /**
   * How long its calls took in the last minute at most, in milliseconds, to within
   * 2.5 %: all their attempts and waits, without cache and fallback. Those that were
   * refused are left out.
   */
  latency: Schema.NullOr(Schema.Struct({
    calls: Schema.Natural,
    p50: Schema.Finite,
    p95: Schema.Finite,
    p99: Schema.Finite
  })),
  /** Calls in flight and waiting, and how many may be in flight at once. */
  load: Schema.NullOr(Schema.Struct({
    inFlight: Schema.Natural,
    limit: Schema.NullOr(Schema.Finite),
    waiting: Schema.Natural
  })),
  /** Further attempts that the retry budget leaves. */
  budgetLeft: Schema.NullOr(Schema.Finite),
  /** How often its breakers have opened and closed again, and how long that took on average, in milliseconds. */
  recovery: Schema.Struct({
    openings: Schema.Natural,
    recoveries: Schema.Natural,
    meanTimeToRecovery: Schema.NullOr(Schema.Finite)
  }),
  /** The kind of its last error, never its message, and when that was. */
  lastError: Schema.NullOr(Schema.Struct({ kind: Schema.String, at: Schema.Finite })),
  /** Where the worst of its breakers stood, from when on: the last 50 changes. */
  timeline: Schema.Array(Schema.Struct({ at: Schema.Finite, state: State })),
  /** Its breakers, the worst first: 50 at most. */
  breakers: Schema.Array(BreakerState),
  /** How many there are in all; of those with a key, the ones to which something has happened. */
  breakerCount: Schema.Natural
})

/**
 * What is known of one service, without the counters of its breakers.
 *
 * @category models
 * @since 0.1.0
 */
export type ServiceState = typeof ServiceState.Type

/**
 * All that is known of one service.
 *
 * @category models
 * @since 0.1.0
 */
export const Service = Schema.Struct({ ...ServiceState.fields, breakers: Schema.Array(Breaker) })

/**
 * All that is known of one service.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = typeof Service.Type

/**
 * All services at one time.
 *
 * @category models
 * @since 0.1.0
 */
export const Status = Schema.Struct({
  at: Schema.Finite,
  /** Since when the server has looked: what was before is not known. */
  since: Schema.Finite,
  services: Schema.Array(Service)
})

/**
 * All services at one time.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = typeof Status.Type

const { counts: _counts, name: _name, ...changing } = ServiceState.fields

/**
 * What has changed about one service: its name, and the members that have.
 *
 * @category models
 * @since 0.1.0
 */
export const Change = Schema.Struct({
  name: Schema.String,
  /** Those counters that have changed. */
  counts: Schema.optionalKey(Schema.NullOr(Counts.mapFields(Struct.map(Schema.optionalKey)))),
  ...Schema.Struct(changing).mapFields(Struct.map(Schema.optionalKey)).fields
})

/**
 * What has changed about one service: its name, and the members that have.
 *
 * @category models
 * @since 0.1.0
 */
export type Change = typeof Change.Type

/**
 * One event of the stream of changes. The first is `full`: it has all services,
 * with all their members, and what was known before is to be forgotten. One without
 * services says that the connection is alive.
 *
 * @category models
 * @since 0.1.0
 */
export const Frame = Schema.Struct({
  at: Schema.Finite,
  /** Since when the server has looked: what was before is not known. */
  since: Schema.Finite,
  /** Goes up by one with each state that frames were made of. */
  version: Schema.Natural,
  full: Schema.Boolean,
  services: Schema.Array(Change)
})

/**
 * One event of the stream of changes.
 *
 * @category models
 * @since 0.1.0
 */
export type Frame = typeof Frame.Type

/**
 * How one service is, in few words, as `GET /v1/api/status/services` says it.
 *
 * @category models
 * @since 0.1.0
 */
export const Brief = Schema.Struct({
  service: Schema.String,
  /** `NONE` where it has no breaker. One that is forced is what its calls meet: open or closed. */
  state: Schema.Literals(["CLOSED", "OPEN", "HALF_OPEN", "NONE"]),
  /** Whether it is in that state by hand. */
  forced: Schema.Boolean,
  /** Failures that count towards the next opening. */
  failures: Schema.Natural,
  openSince: WallTime,
  nextProbe: WallTime,
  lastError: Schema.NullOr(Schema.String)
})

/**
 * How one service is, in few words.
 *
 * @category models
 * @since 0.1.0
 */
export type Brief = typeof Brief.Type
