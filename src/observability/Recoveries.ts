/**
 * What the breakers went through: since when one is open, when it will try again,
 * how often it has opened and recovered, how long that took, and with what kind of
 * error.
 *
 * States and counts are read from the breakers when somebody asks. The rest is
 * gathered from the events of `Resilience`, from the moment the layer is built:
 * provide it with the pipelines, once. Pipelines tell of every attempt where it is
 * installed, which costs a call some tenths of a microsecond.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as CircuitBreaker from "../CircuitBreaker.ts"
import { errorKind } from "../internal/errorKind.ts"
import { monotonicMillis } from "../internal/time.ts"
import { Resilience } from "../Resilience.ts"
import type { OfKind } from "../ResilienceEvent.ts"

/**
 * A state of a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export const State = Schema.Literals(["Closed", "Open", "HalfOpen", "Forced"])

/**
 * A state of a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export type State = typeof State.Type

const Mode = Schema.Literals(["forcedOpen", "disabled", "forcedClosed", "metricsOnly"])

/**
 * The last failure of a pipeline: its kind, which is the tag or the name of the
 * error and holds nothing of its message, and when it was, in milliseconds since the
 * epoch.
 *
 * @category models
 * @since 0.1.0
 */
export const LastError = Schema.Struct({ kind: Schema.String, at: Schema.Finite })

/**
 * The last failure of a pipeline.
 *
 * @category models
 * @since 0.1.0
 */
export type LastError = typeof LastError.Type

/**
 * A change of a breaker: where it stood from then on, and when it was, in
 * milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export const Change = Schema.Struct({
  at: Schema.Finite,
  to: State,
  /** What overrides it. Only while forced. */
  mode: Schema.optionalKey(Mode)
})

/**
 * A change of a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export type Change = typeof Change.Type

/**
 * What a breaker, or one key of it, went through. Times are milliseconds since the
 * epoch, by the wall clock.
 *
 * @category models
 * @since 0.1.0
 */
export const Recovery = Schema.Struct({
  /** The name of the breaker: that of its pipeline, or `pipeline/operation` where an operation has its own. */
  name: Schema.String,
  /** The key, where the breaker has many. */
  key: Schema.optionalKey(Schema.String),
  state: State,
  /** What overrides it. Only while forced. */
  mode: Schema.optionalKey(Mode),
  /** When it was last closed. Only while it is not. */
  openSince: Schema.optionalKey(Schema.Finite),
  /** From when on a call will be let through as a probe. Only while open. */
  nextProbe: Schema.optionalKey(Schema.Finite),
  /** How often it has opened, probes that failed included. */
  openings: Schema.Natural,
  /** How often it has closed again by itself. */
  recoveries: Schema.Natural,
  /** From the first opening to the closing, on average, of the recoveries that were seen from beginning to end. */
  meanTimeToRecovery: Schema.optionalKey(Schema.DurationFromMillis),
  lastError: Schema.optionalKey(LastError),
  /** Its last changes, at most 200, oldest first. */
  timeline: Schema.Array(Change)
})

/**
 * What a breaker, or one key of it, went through.
 *
 * @category models
 * @since 0.1.0
 */
export type Recovery = typeof Recovery.Type

/**
 * What the breakers went through.
 *
 * @category services
 * @since 0.1.0
 */
export class Recoveries extends Context.Service<Recoveries, {
  /**
   * All breakers, in the order in which they were made, then the keys of those that
   * have many: of these, the ones to which something has happened, at most the last
   * 1,000 of each.
   */
  readonly all: Effect.Effect<ReadonlyArray<Recovery>>
  /** One breaker, by its name and, where it has many, its key; `undefined` where there is none. */
  readonly get: (name: string, key?: string) => Effect.Effect<Recovery | undefined>
  /** The last failure of each pipeline, by its name, and of each breaker that has opened. */
  readonly lastErrors: Effect.Effect<ReadonlyMap<string, LastError>>
}>()("effect-resilience/observability/Recoveries") {}

/** How much of its past a breaker has, and how many keys of one are remembered. */
const timelineLength = 200
const maxKeys = 1_000

const noted = [
  "Attempted",
  "CircuitOpened",
  "CircuitHalfOpened",
  "CircuitClosed",
  "CircuitForced",
  "CircuitReset",
  "CircuitReleased",
  "CircuitRestored"
] as const

/** What is remembered of one breaker, or of one key. Times are monotonic milliseconds. */
interface Past {
  /** When the outage began that goes on; `undefined` where there is none, or its beginning was not seen. */
  downSince: number | undefined
  openings: number
  recoveries: number
  /** Of the recoveries that were seen from beginning to end: how many, and how long they took in all. */
  measured: number
  took: number
  readonly timeline: Array<Change>
}

class Memory {
  readonly lastErrors = new Map<string, LastError>()
  private readonly breakers = new Map<string, Map<string | undefined, Past>>()

  past(name: string, key: string | undefined): Past | undefined {
    return this.breakers.get(name)?.get(key)
  }

  keys(name: string): ReadonlyArray<string> {
    return [...this.breakers.get(name)?.keys() ?? []].filter((key) => key !== undefined)
  }

  note(event: OfKind<typeof noted[number]>, clock: Clock.Clock): void {
    switch (event._tag) {
      case "Attempted":
        if (event.outcome === "Failure" || event.outcome === "Overload") this.failed(event.pipeline, event)
        return
      case "CircuitOpened": {
        // of an operation with a breaker of its own
        if (event.reason !== undefined) this.failed(event.pipeline, event)
        const past = this.changed(event, { at: event.at, to: "Open" })
        past.openings++
        // from closed another outage begins, also where the end of the last was not heard
        if (event.from === "Closed" || past.downSince === undefined) past.downSince = monotonicMillis(clock)
        return
      }
      case "CircuitHalfOpened":
        this.changed(event, { at: event.at, to: "HalfOpen" })
        return
      case "CircuitClosed": {
        const past = this.changed(event, { at: event.at, to: "Closed" })
        past.recoveries++
        if (past.downSince === undefined) return
        past.measured++
        past.took += monotonicMillis(clock) - past.downSince
        past.downSince = undefined
        return
      }
      case "CircuitForced":
        this.changed(event, { at: event.at, to: "Forced", mode: event.mode })
        return
      case "CircuitReset":
        // somebody has ended it, which is no recovery
        this.changed(event, { at: event.at, to: "Closed" }).downSince = undefined
        return
      case "CircuitReleased":
      case "CircuitRestored": {
        const past = this.changed(event, { at: event.at, to: event.state })
        if (event.state === "Closed") past.downSince = undefined
      }
    }
  }

  private failed(name: string, event: { readonly at: number; readonly reason?: unknown }): void {
    this.lastErrors.set(name, { kind: errorKind(event.reason), at: event.at })
  }

  private changed(of: { readonly pipeline: string; readonly key?: string }, change: Change): Past {
    const { key, pipeline } = of
    let keys = this.breakers.get(pipeline)
    if (keys === undefined) this.breakers.set(pipeline, keys = new Map())
    let past = keys.get(key)
    if (past === undefined) {
      if (keys.size >= maxKeys) forgetOne(keys)
      past = { downSince: undefined, openings: 0, recoveries: 0, measured: 0, took: 0, timeline: [] }
    } else {
      keys.delete(key)
    }
    // the one that has changed last comes last
    keys.set(key, past)
    past.timeline.push(change)
    if (past.timeline.length > timelineLength) past.timeline.shift()
    return past
  }
}

/** Forgets the key that has not changed for longest, those that are closed first. */
const forgetOne = (keys: Map<string | undefined, Past>): void => {
  let oldest: { readonly key: string | undefined } | undefined
  for (const [key, { timeline }] of keys) {
    if (timeline.at(-1)?.to === "Closed") {
      keys.delete(key)
      return
    }
    oldest ??= { key }
  }
  if (oldest !== undefined) keys.delete(oldest.key)
}

const recoveryOf = (
  snapshot: CircuitBreaker.Snapshot,
  past: Past | undefined,
  lastError: LastError | undefined
): Recovery => ({
  name: snapshot.name,
  ...(snapshot.key === undefined ? {} : { key: snapshot.key }),
  state: snapshot.state,
  ...(snapshot.mode === undefined ? {} : { mode: snapshot.mode }),
  ...(snapshot.openSince === undefined ? {} : { openSince: snapshot.openSince }),
  ...(snapshot.retryAfter === undefined
    ? {}
    : { nextProbe: snapshot.takenAt + Duration.toMillis(snapshot.retryAfter) }),
  // the counters of a key end with it, when it is dropped
  openings: Math.max(snapshot.transitions.opened, past?.openings ?? 0),
  recoveries: Math.max(snapshot.transitions.closed, past?.recoveries ?? 0),
  ...(past === undefined || past.measured === 0
    ? {}
    : { meanTimeToRecovery: Duration.millis(past.took / past.measured) }),
  ...(lastError === undefined ? {} : { lastError }),
  timeline: [...past?.timeline ?? []]
})

/**
 * Remembers what the breakers of a `Resilience` go through, from now on.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { Recoveries } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function*() {
 *   const quotes = yield* Pipeline.make("quotes", {
 *     circuitBreaker: { trip: { kind: "consecutive", failures: 1 }, open: "30 seconds" }
 *   })
 *   yield* Effect.ignore(quotes.protect(Effect.fail({ _tag: "NoSuchHost" })))
 *   yield* Effect.sleep("10 millis")
 *   return yield* (yield* Recoveries.Recoveries).get("quotes")
 * })
 *
 * const seen = Recoveries.layer.pipe(Layer.provideMerge(Resilience.layer))
 * const quotes = await program.pipe(Effect.provide(seen), Effect.runPromise)
 *
 * console.log(quotes?.state, quotes?.openings, quotes?.lastError?.kind) // => Open 1 NoSuchHost
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Recoveries, never, Resilience> = /*#__PURE__*/ Layer.effect(
  Recoveries,
  /*#__PURE__*/ Effect.gen(function*() {
    const resilience = yield* Resilience
    const clock = yield* Clock.Clock
    const memory = new Memory()
    yield* resilience.listen(noted, (event) => memory.note(event, clock))

    const read = (of: { readonly snapshot: Effect.Effect<CircuitBreaker.Snapshot> }) =>
      Effect.map(
        of.snapshot,
        (snapshot) =>
          recoveryOf(snapshot, memory.past(snapshot.name, snapshot.key), memory.lastErrors.get(snapshot.name))
      )

    return Recoveries.of({
      all: Effect.gen(function*() {
        const all: Array<Recovery> = []
        for (const breaker of (yield* resilience.parts("circuitBreaker")).values()) all.push(yield* read(breaker))
        for (const [name, keyed] of yield* resilience.parts("keyedCircuitBreaker")) {
          for (const key of memory.keys(name)) all.push(yield* read(keyed.of(key)))
        }
        return all
      }),
      get: (name, key) =>
        Effect.gen(function*() {
          const breaker = key === undefined
            ? (yield* resilience.parts("circuitBreaker")).get(name)
            : (yield* resilience.parts("keyedCircuitBreaker")).get(name)?.of(key)
          return breaker === undefined ? undefined : yield* read(breaker)
        }),
      lastErrors: Effect.sync(() => new Map(memory.lastErrors))
    })
  })
)
