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
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import { reasonOf } from "./internal/exit.ts"
import { openTime } from "./internal/openTime.ts"
import { oneOf, onlyKeys } from "./internal/options.ts"
import { script } from "./internal/script.ts"
import { monotonicMillis } from "./internal/time.ts"
import * as Outcome from "./Outcome.ts"
import type { ResilienceEvent } from "./ResilienceEvent.ts"

/**
 * What tests may change about all pipelines.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestOptions {
  /** Breakers that start in another state than closed, by name. An open one stays open for its full time. */
  readonly circuitBreakers?: Readonly<Record<string, CircuitBreaker.Phase["_tag"]>> | undefined
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
 * The owner of all state: breakers by name, the stream of events.
 *
 * @category services
 * @since 0.1.0
 */
export class Resilience extends Context.Service<Resilience, {
  /**
   * The breaker of that name; the first who asks makes it. To ask for it with
   * other settings is a mistake in the program, and dies with a `RangeError`; an
   * open time that is a function or a schedule is not compared, and the first one
   * stays.
   */
  readonly circuitBreaker: (
    name: string,
    settings: CircuitBreaker.Settings
  ) => Effect.Effect<CircuitBreaker.CircuitBreaker>
  /** All breakers, in the order in which they were made. */
  readonly circuitBreakers: Effect.Effect<ReadonlyMap<string, CircuitBreaker.CircuitBreaker>>
  /** What can be read off every breaker. */
  readonly snapshots: Effect.Effect<ReadonlyArray<CircuitBreaker.Snapshot>>
  /**
   * What happens, from the moment the stream is run. A listener that is slow
   * loses the oldest events; it never slows a call.
   */
  readonly events: Stream.Stream<ResilienceEvent>
  /**
   * Tells the listeners, if there are any; the event is only made for them. For
   * policies of one's own, which call it within a running effect.
   */
  readonly publish: (event: (at: number) => ResilienceEvent) => void
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
  /*#__PURE__*/ Effect.suspend(() => make(undefined))
)

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
  return Layer.effect(Resilience, Effect.suspend(() => make(testMode(options), options.circuitBreakers)))
}

/** Which settings differ, and how. Functions and schedules are not compared: written in place, no two are equal. */
const differences = (existing: CircuitBreaker.Settings, asked: CircuitBreaker.Settings): ReadonlyArray<string> =>
  (["trip", "window", "open", "maxRetryAfter", "halfOpen"] as const).flatMap((key) => {
    const [had, wants] = [existing[key], asked[key]]
    const isOpaque = key === "open" && typeof had !== "number" && typeof wants !== "number"
    return isOpaque || Equal.equals(had, wants) ? [] : [`${key} ${JSON.stringify(had)}, not ${JSON.stringify(wants)}`]
  })

const testMode = (options: TestOptions): TestMode => {
  onlyKeys("Resilience.layerTest", options, ["circuitBreakers", "delays", "passThrough", "faults"])
  for (const [name, state] of Object.entries(options.circuitBreakers ?? {})) {
    oneOf("Resilience.layerTest", `circuitBreakers.${name}`, state, ["Closed", "Open", "HalfOpen"])
  }
  return {
    delays: options.delays ?? false,
    passThrough: options.passThrough ?? false,
    takeFault: script(options.faults)
  }
}

/** Events that a slow listener may be behind before it loses the oldest. */
const eventCapacity = 4096

const make = Effect.fnUntraced(function*(
  test: TestMode | undefined,
  phases: Readonly<Record<string, CircuitBreaker.Phase["_tag"]>> = {}
) {
  const breakers = new Map<string, CircuitBreaker.CircuitBreaker>()
  const pubsub = yield* PubSub.sliding<ResilienceEvent>(eventCapacity)
  let listeners = 0

  const publish: Resilience["Service"]["publish"] = (event) => {
    const fiber = Fiber.getCurrent()
    if (listeners === 0 || fiber === undefined) return
    const made = event(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
    // for a full one only the effect makes room, and without it all listeners would lose what is new
    if (!PubSub.publishUnsafe(pubsub, made)) Effect.runSyncWith(fiber.context)(PubSub.publish(pubsub, made))
  }

  const onTransition = (pipeline: string) => (transition: CircuitBreaker.Transition): void =>
    publish((at): ResilienceEvent => {
      switch (transition.to) {
        case "Open": {
          const { exit, from, openFor } = transition
          return { _tag: "CircuitOpened", at, pipeline, from, openFor, reason: reasonOf(exit) }
        }
        case "HalfOpen":
          return { _tag: "CircuitHalfOpened", at, pipeline }
        case "Closed":
          return { _tag: "CircuitClosed", at, pipeline }
      }
    })

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

  return Resilience.of({
    circuitBreaker: (name, settings) =>
      Effect.withFiber((fiber) => {
        const existing = breakers.get(name)
        if (existing !== undefined) {
          const differing = differences(existing.settings, settings)
          return differing.length === 0 ? Effect.succeed(existing) : Effect.die(
            new RangeError(
              `Resilience: circuit breaker ${JSON.stringify(name)} exists already, with other options: ${
                differing.join("; ")
              }`
            )
          )
        }
        const breaker = CircuitBreaker.makeUnsafe(name, settings, {
          initial: initial(name, settings, fiber),
          onTransition: onTransition(name)
        })
        breakers.set(name, breaker)
        return Effect.succeed(breaker)
      }),
    circuitBreakers: Effect.sync(() => new Map(breakers)),
    snapshots: Effect.suspend(() => Effect.forEach(breakers.values(), (breaker) => breaker.snapshot)),
    events: Stream.unwrap(
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => {
            listeners++
          }),
          () =>
            Effect.sync(() => {
              listeners--
            })
        ),
        Stream.fromPubSub(pubsub)
      )
    ),
    publish,
    test
  })
})
