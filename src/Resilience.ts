/**
 * The owner of all state.
 *
 * Policies are data; what they remember belongs to this service, by name. It is
 * provided once, at the edge of the program. Pipelines and service clients may
 * then be built as often as one likes, even per request: what has the same name
 * meets the same breaker, and two names never share one.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as AdaptiveLimit from "./AdaptiveLimit.ts"
import * as Bulkhead from "./Bulkhead.ts"
import * as CacheFallback from "./CacheFallback.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import * as Hedge from "./Hedge.ts"
import { breakerEvents } from "./internal/breakerEvents.ts"
import * as call from "./internal/call.ts"
import * as counters from "./internal/counters.ts"
import { differences, isSame } from "./internal/differences.ts"
import { guarded } from "./internal/guarded.ts"
import { kinds, Listeners } from "./internal/listeners.ts"
import { openTime } from "./internal/openTime.ts"
import { oneOf, onlyKeys } from "./internal/options.ts"
import { script } from "./internal/script.ts"
import { subscriptions } from "./internal/subscription.ts"
import { monotonicMillis } from "./internal/time.ts"
import * as KeyedCircuitBreaker from "./KeyedCircuitBreaker.ts"
import * as Outcome from "./Outcome.ts"
import type * as Pipeline from "./Pipeline.ts"
import * as RateLimit from "./RateLimit.ts"
import type { Kind, OfKind, ResilienceEvent } from "./ResilienceEvent.ts"
import * as RetryBudget from "./RetryBudget.ts"
import * as Throttle from "./Throttle.ts"

/**
 * What tests may change about all pipelines.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestOptions {
  /** Breakers that start in another state than closed, by name. An open one stays open for its full time. */
  readonly circuitBreakers?: Readonly<Record<string, InitialState>> | undefined
  /**
   * Whether retries really wait. Default: `false`. Without waits no time passes
   * between attempts, so a breaker that would be half-open by then is still open.
   */
  readonly delays?: boolean | undefined
  /** Whether pipelines do nothing at all. Default: `false`. */
  readonly passThrough?: boolean | undefined
  /** What becomes of the attempts of a pipeline, by its name: one fault each, then none. */
  readonly faults?: Readonly<Record<string, ReadonlyArray<Fault>>> | undefined
}

/**
 * A state that a breaker can start in.
 *
 * @category models
 * @since 0.1.0
 */
export type InitialState = Exclude<CircuitBreaker.Phase["_tag"], "Forced">

/**
 * What becomes of an attempt in a test: it runs, later, never ends, fails, or
 * dies.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault =
  | { readonly kind: "pass" }
  | { readonly kind: "hang" }
  | { readonly kind: "fail"; readonly error: unknown }
  | { readonly kind: "die"; readonly defect: unknown }

/**
 * What pipelines look at while they run in a test.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestMode {
  readonly delays: boolean
  readonly passThrough: boolean
  /** Takes the next fault of a pipeline off its list. */
  readonly takeFault: (pipeline: string) => Fault | undefined
}

/**
 * The policies that have a state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parts {
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker
  readonly keyedCircuitBreaker: KeyedCircuitBreaker.KeyedCircuitBreaker
  readonly bulkhead: Bulkhead.Bulkhead
  readonly adaptiveLimit: AdaptiveLimit.AdaptiveLimit
  readonly rateLimit: RateLimit.RateLimit
  readonly throttle: Throttle.Throttle
  readonly retryBudget: RetryBudget.RetryBudget
  readonly hedge: Hedge.Hedge
  readonly cache: CacheFallback.CacheFallback
}

/**
 * What the events of a call name as its request; `undefined` outside of any. The
 * HTTP area sets it by `RequestId.within`.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentRequestId: Context.Reference<string | undefined> = call.CurrentRequestId

/**
 * Events as they happen, for one who reads them at his own pace.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscription<out Event> {
  /** To be run once: an event is read by one reader alone. It ends with the scope of the subscription. */
  readonly events: Stream.Stream<Event>
  /** How many events were lost so far, because too many were waiting. */
  readonly lost: number
}

type SnapshotOf<Part> = Part extends { readonly snapshot: Effect.Effect<infer Snapshot> } ? Snapshot : never

/**
 * What can be read off everything that goes by one name.
 *
 * @category models
 * @since 0.1.0
 */
export type Snapshot =
  & { readonly name: string; readonly pipeline?: Pipeline.Counts }
  & { readonly [K in keyof Parts]?: SnapshotOf<Parts[K]> }

/**
 * The owner of all state: policies by kind and name, pipelines by name, the
 * stream of events.
 *
 * @category services
 * @since 0.1.0
 */
export class Resilience extends Context.Service<Resilience, {
  /**
   * The policy of that kind and name; the first who asks makes it. To ask for it
   * with other settings than the first is a mistake in the program, and dies with a
   * `RangeError`; functions and schedules are not compared, and the first ones stay.
   */
  readonly part: <K extends keyof Parts>(
    kind: K,
    name: string,
    settings: Parts[K]["settings"]
  ) => Effect.Effect<Parts[K]>
  /** All policies of a kind, by name, in the order in which they were made. */
  readonly parts: <K extends keyof Parts>(kind: K) => Effect.Effect<ReadonlyMap<string, Parts[K]>>
  /** All pipelines, by name. Of two that differ in their options, the first has the name. */
  readonly pipelines: Effect.Effect<ReadonlyMap<string, Pipeline.Pipeline<Pipeline.PipelineError>>>
  /** What can be read off all policies and pipelines, by name. */
  readonly snapshots: Effect.Effect<ReadonlyArray<Snapshot>>
  /**
   * What can be read off all that goes by one name.
   *
   * @internal
   */
  readonly snapshotOf: (name: string) => Effect.Effect<Snapshot>
  /**
   * All that happens, from the moment the stream is run. Events of every attempt
   * and of every call are made for it: where some kinds are enough, `subscribe` to
   * these. Who reads slowly loses the oldest events, and never slows a call.
   */
  readonly events: Stream.Stream<ResilienceEvent>
  /** How many events all subscribers together have lost, each of whom had 4,096 of them unread. */
  readonly lost: Effect.Effect<number>
  /**
   * The events of these kinds, from now on until the scope ends. Those that wait to
   * be read are 4,096 at most: a subscriber that is slow loses the oldest, never
   * slows a call, and can read how many it has lost. `wanted` leaves out others
   * before they wait; it runs within the call. Unknown kinds throw a `RangeError`.
   */
  readonly subscribe: <const K extends Kind>(
    kinds: ReadonlyArray<K>,
    wanted?: (event: OfKind<NoInfer<K>>) => boolean
  ) => Effect.Effect<Subscription<OfKind<K>>, never, Scope.Scope>
  /**
   * Calls a function with each event of these kinds, at once and within the call
   * that it tells of, from now on until the scope ends. It loses none, and delays
   * calls by what it takes: it is for counters, and for what hands events on. What
   * it throws is dropped. Unknown kinds throw a `RangeError`.
   */
  readonly listen: <const K extends Kind>(
    kinds: ReadonlyArray<K>,
    on: (event: OfKind<NoInfer<K>>) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Tells those who listen to that kind, if there are any; the event is only made
   * for them. It is given the time and the number of the call that is running. For
   * policies of one's own, which call it within a running effect, or say by which
   * fiber.
   */
  readonly publish: <K extends Kind>(
    kind: K,
    event: (at: number, call: number) => OfKind<NoInfer<K>>,
    by?: Fiber.Fiber<unknown, unknown>
  ) => void
  /**
   * Who listens to what.
   *
   * @internal
   */
  readonly listeners: Listeners
  /**
   * The pipeline of that name, where it was made with the same options.
   *
   * @internal
   */
  readonly named: (
    name: string,
    declared: Pipeline.Options
  ) => Pipeline.Pipeline<Pipeline.PipelineError> | undefined
  /**
   * Gives a pipeline its name, or returns the one that has it already where their
   * options are the same.
   *
   * @internal
   */
  readonly adopt: (pipeline: Pipeline.Pipeline<Pipeline.PipelineError>) => Pipeline.Pipeline<Pipeline.PipelineError>
  /**
   * Those that are called with each new pipeline, within its making.
   *
   * @internal
   */
  readonly watchers: Set<(pipeline: Pipeline.Pipeline<Pipeline.PipelineError>) => void>
  /**
   * What the pipelines of that name have counted, whatever their options are.
   *
   * @internal
   */
  readonly counted: (name: string) => counters.Counters
  /** How configuration changes pipelines, by name. */
  readonly tuning: ReadonlyMap<string, Pipeline.Tuning>
  /** What a test has changed about all pipelines; `undefined` outside tests. */
  readonly test: TestMode | undefined
}>()("effect-resilience/Resilience") {}

/**
 * State in memory. Provide it once, at the edge of the program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Resilience> = /*#__PURE__*/ Layer.effect(
  Resilience,
  /*#__PURE__*/ Effect.suspend(() => make({}))
)

/**
 * State in memory, with changes to the pipelines of those names: what
 * configuration says. Each may change the parts that a pipeline has and leave them
 * out; a pipeline that is asked for a part that it has not dies with a `RangeError`
 * when it is made. See `ResilienceConfig` for reading them.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 *
 * class Quotes extends Pipeline.Service<Quotes>()("quotes", { retry: { times: 3 }, attemptTimeout: "2 seconds" }) {}
 *
 * const live = Layer.provide(Quotes.layer, Resilience.layerTuned({ quotes: { retry: { times: 1 } } }))
 * const quotes = await Quotes.pipe(Effect.provide(live), Effect.runPromise)
 *
 * console.log(quotes.settings.retry?.times) // => 1
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTuned = (tuning: Readonly<Record<string, Pipeline.Tuning>>): Layer.Layer<Resilience> =>
  Layer.effect(Resilience, Effect.suspend(() => make({ tuning })))

/**
 * State in memory for tests: retries do not wait, breakers start where one wants
 * them, attempts meet scripted faults.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 *
 * class Quotes extends Pipeline.Service<Quotes>()("quotes", { circuitBreaker: {} }) {}
 *
 * const quote = Effect.flatMap(Quotes, (quotes) => quotes.protect(Effect.succeed(42)))
 * const down = Layer.provide(Quotes.layer, Resilience.layerTest({ circuitBreakers: { quotes: "Open" } }))
 * const error = await quote.pipe(Effect.provide(down), Effect.flip, Effect.runPromise)
 *
 * console.log(error._tag) // => CircuitOpen
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTest = (options: TestOptions = {}): Layer.Layer<Resilience> => {
  // the options are checked now; each build takes the faults from the start
  testMode(options)
  return Layer.effect(
    Resilience,
    Effect.suspend(() => make({ test: testMode(options), phases: options.circuitBreakers }))
  )
}

const testMode = (options: TestOptions): TestMode => {
  onlyKeys("Resilience.layerTest", options, ["circuitBreakers", "delays", "passThrough", "faults"])
  for (const [name, state] of Object.entries(options.circuitBreakers ?? {})) {
    oneOf("Resilience.layerTest", `circuitBreakers.${name}`, state, ["Closed", "Open", "HalfOpen"])
  }
  for (const [name, faults] of Object.entries(options.faults ?? {})) {
    for (const fault of faults) {
      oneOf("Resilience.layerTest", `faults.${name}.kind`, fault.kind, ["pass", "hang", "fail", "die"])
    }
  }
  return {
    delays: options.delays ?? false,
    passThrough: options.passThrough ?? false,
    takeFault: script(options.faults)
  }
}

type Makers = { readonly [K in keyof Parts]: (name: string, settings: Parts[K]["settings"]) => Parts[K] }

/** A policy, and the settings that it was first asked for with. */
interface Kept<P extends Parts[keyof Parts]> {
  readonly part: P
  readonly declared: P["settings"]
}

const make = Effect.fnUntraced(function*(options: {
  readonly test?: TestMode | undefined
  readonly phases?: Readonly<Record<string, InitialState>> | undefined
  readonly tuning?: Readonly<Record<string, Pipeline.Tuning>> | undefined
}) {
  const { phases = {}, test, tuning = {} } = options
  const scope = yield* Effect.scope
  const pipelines = new Map<string, Pipeline.Pipeline<Pipeline.PipelineError>>()
  const counts = new Map<string, counters.Counters>()
  const listeners = new Listeners()
  const { listen, subscribe } = subscriptions(listeners)
  const watchers: Resilience["Service"]["watchers"] = new Set()

  const initial = (
    name: string,
    settings: CircuitBreaker.Settings,
    fiber: Fiber.Fiber<unknown, unknown>
  ): CircuitBreaker.Phase => {
    switch (phases[name]) {
      case "Open": {
        const until = monotonicMillis(fiber.getRef(Clock.Clock)) + openTime(settings, 0, Outcome.ignored, fiber.context)
        return { _tag: "Open", generation: 1, openings: 1, until }
      }
      case "HalfOpen":
        return { _tag: "HalfOpen", generation: 1, openings: 1, inFlight: 0, successes: 0, failures: 0 }
    }
    return CircuitBreaker.closed
  }

  const makersFor = (fiber: Fiber.Fiber<unknown, unknown>): Makers => ({
    circuitBreaker: (name, settings) =>
      CircuitBreaker.makeUnsafe(name, settings, {
        initial: initial(name, settings, fiber),
        onTransition: breakerEvents(listeners, name)
      }),
    keyedCircuitBreaker: (name, settings) =>
      KeyedCircuitBreaker.makeUnsafe(name, settings, { onTransition: breakerEvents(listeners, name) }),
    bulkhead: Bulkhead.makeUnsafe,
    adaptiveLimit: AdaptiveLimit.makeUnsafe,
    rateLimit: RateLimit.makeUnsafe,
    throttle: Throttle.makeUnsafe,
    retryBudget: RetryBudget.makeUnsafe,
    hedge: Hedge.makeUnsafe,
    cache: (name, settings) => CacheFallback.makeUnsafe(name, settings, scope)
  })

  const kept: { readonly [K in keyof Parts]: Map<string, Kept<Parts[K]>> } = {
    circuitBreaker: new Map(),
    keyedCircuitBreaker: new Map(),
    bulkhead: new Map(),
    adaptiveLimit: new Map(),
    rateLimit: new Map(),
    throttle: new Map(),
    retryBudget: new Map(),
    hedge: new Map(),
    cache: new Map()
  }

  const part: Resilience["Service"]["part"] = (kind, name, settings) =>
    Effect.withFiber((fiber) => {
      const existing = kept[kind].get(name)
      if (existing !== undefined) {
        const differing = differences(existing.declared, settings)
        return differing.length === 0 ? Effect.succeed(existing.part) : Effect.die(
          new RangeError(
            `Resilience: ${kind} ${JSON.stringify(name)} exists already, with other options: ${differing.join("; ")}`
          )
        )
      }
      const part = makersFor(fiber)[kind](name, settings)
      kept[kind].set(name, { part, declared: settings })
      return Effect.succeed(part)
    })

  const named: Resilience["Service"]["named"] = (name, declared) => {
    const pipeline = pipelines.get(name)
    return pipeline !== undefined && isSame(pipeline.declared, declared) ? pipeline : undefined
  }

  const snapshotOf = Effect.fnUntraced(function*(name: string) {
    const known: Record<string, unknown> = { name }
    const pipeline = pipelines.get(name)
    if (pipeline !== undefined) known["pipeline"] = yield* pipeline.counts
    for (const [kind, ofKind] of Object.entries(kept)) {
      const one = ofKind.get(name)
      if (one !== undefined) known[kind] = yield* one.part.snapshot
    }
    // each kind has been put under its own name
    return known as unknown as Snapshot
  })

  const snapshots = Effect.gen(function*() {
    const byName = new Map<string, Record<string, unknown>>()
    const at = (name: string) => {
      const known = byName.get(name) ?? { name }
      byName.set(name, known)
      return known
    }
    for (const [name, pipeline] of pipelines) at(name)["pipeline"] = yield* pipeline.counts
    for (const [kind, ofKind] of Object.entries(kept)) {
      for (const [name, { part }] of ofKind) at(name)[kind] = yield* part.snapshot
    }
    // each kind has been put under its own name
    return [...byName.values()] as unknown as ReadonlyArray<Snapshot>
  })

  return Resilience.of({
    part,
    parts: (kind) => Effect.sync(() => new Map(Array.from(kept[kind], ([name, { part }]) => [name, part] as const))),
    pipelines: Effect.sync(() => new Map(pipelines)),
    named,
    adopt: (pipeline) => {
      if (!pipelines.has(pipeline.name)) {
        pipelines.set(pipeline.name, pipeline)
        for (const watcher of watchers) guarded(() => watcher(pipeline))
      }
      return named(pipeline.name, pipeline.declared) ?? pipeline
    },
    counted: (name) => {
      const known = counts.get(name) ?? counters.make()
      counts.set(name, known)
      return known
    },
    snapshots,
    snapshotOf,
    watchers,
    events: Stream.unwrap(Effect.map(subscribe(kinds), ({ events }) => events)),
    subscribe,
    listen,
    lost: Effect.sync(() => listeners.lost),
    publish: (kind, event, by) => listeners.tell(kind, event, by),
    listeners,
    tuning: new Map(Object.entries(tuning)),
    test
  })
})
