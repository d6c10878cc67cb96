/** What the types of the circuit breakers promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import type { Duration, Effect, Exit, Scope } from "effect"
import { CircuitBreaker, Outcome } from "../../src/index.ts"
import type * as KeyedCircuitBreaker from "../../src/KeyedCircuitBreaker.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

type Open = CircuitBreaker.CircuitOpen

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">
/** Fails to compile where it is not given `true`. */
declare const holds: <_ extends true>() => void
declare const breaker: CircuitBreaker.CircuitBreaker
declare const breakers: KeyedCircuitBreaker.KeyedCircuitBreaker

// -----------------------------------------------------------------------------
// breakers
// -----------------------------------------------------------------------------

const admitted = breaker.admit
const guarded = {
  call: breaker.protect(work),
  options: breaker.protect(work, {
    attemptTimeout: "1 second",
    classify: (exit) => {
      holds<Equal<typeof exit, Exit.Exit<"answer", "broken">>>()
      return exit._tag === "Success" && exit.value === "answer" ? Outcome.failure() : undefined
    }
  }),
  keyed: breakers.protect(work, { key: "a" }),
  keyedOptions: breakers.protect(work, {
    key: "a",
    classify: (exit) => {
      holds<Equal<typeof exit, Exit.Exit<"answer", "broken">>>()
      return undefined
    }
  }),
  ofKey: breakers.of("a").protect(work),
  made: CircuitBreaker.make("quotes"),
  madeKeyed: CircuitBreaker.keyed("hosts", { idle: "1 minute", maxKeys: 100 })
}

export type Breakers = [
  Expect<Not<IsAny<CircuitBreaker.Snapshot>>>,
  Expect<Not<IsAny<CircuitBreaker.Transition>>>,
  Expect<Not<IsAny<CircuitBreaker.Settings>>>,
  Expect<Equal<typeof guarded.call, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.options, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.keyed, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.keyedOptions, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.ofKey, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.made, Effect.Effect<CircuitBreaker.CircuitBreaker>>>,
  Expect<Equal<typeof guarded.madeKeyed, Effect.Effect<KeyedCircuitBreaker.KeyedCircuitBreaker>>>,
  Expect<Equal<typeof admitted, Effect.Effect<CircuitBreaker.Admission, Open, Scope.Scope>>>,
  Expect<Equal<ReturnType<CircuitBreaker.Admission["record"]>, Effect.Effect<void>>>,
  Expect<Equal<typeof breaker.forceOpen, Effect.Effect<void, never, Scope.Scope>>>,
  Expect<Equal<typeof breaker.forceClosed, Effect.Effect<void, never, Scope.Scope>>>,
  Expect<Equal<typeof breaker.disable, Effect.Effect<void, never, Scope.Scope>>>,
  Expect<Equal<typeof breaker.metricsOnly, Effect.Effect<void, never, Scope.Scope>>>,
  Expect<Equal<typeof breaker.reset, Effect.Effect<void>>>,
  Expect<Equal<ReturnType<typeof breaker.restore>, Effect.Effect<void>>>,
  Expect<Equal<ReturnType<typeof breaker.reconfigure>, Effect.Effect<void>>>,
  Expect<Equal<typeof breaker.snapshot, Effect.Effect<CircuitBreaker.Snapshot>>>,
  Expect<Equal<typeof breakers.snapshot, Effect.Effect<ReadonlyArray<CircuitBreaker.Snapshot>>>>,
  Expect<Equal<typeof breakers.keys, Effect.Effect<ReadonlyArray<string>>>>,
  Expect<Equal<CircuitBreaker.Phase["_tag"], "Closed" | "Open" | "HalfOpen" | "Forced">>,
  Expect<Equal<CircuitBreaker.Mode, "forcedOpen" | "disabled" | "forcedClosed" | "metricsOnly">>,
  Expect<Equal<Open["retryAfter"], Duration.Duration | undefined>>,
  Expect<Equal<Open["key"], string | undefined>>
]

/** All that becomes of a breaker can be told apart by `to`. */
export const describe = (transition: CircuitBreaker.Transition): string => {
  switch (transition.to) {
    case "Open":
      return `${transition.from} ${transition.openFor}`
    case "HalfOpen":
      return transition.from
    case "Closed":
      return transition.from
    case "Forced":
      return transition.mode
    case "Released":
      return transition.state
    case "Reset":
      return transition.from
    case "Restored":
      return transition.state
    case "ThresholdPassed":
      return String(transition.exit)
  }
}

/** One trip or a list of them, literal or not. */
export const trips: ReadonlyArray<CircuitBreaker.Options> = [
  { trip: { kind: "consecutive", failures: 5, forgetAfter: "5 minutes" } },
  { trip: [{ kind: "rate", threshold: 0.5, window: { calls: 10 } }] },
  {
    trip: [
      { kind: "count", failures: 5, window: { duration: "60 seconds" } },
      { kind: "slow", threshold: 0.5, slowerThan: "2 seconds", window: { calls: 10 } }
    ],
    halfOpen: { maxDuration: "1 minute", afterwards: "closed" }
  }
]

// @ts-expect-error slow calls need a threshold of time
CircuitBreaker.make("b", { trip: { kind: "slow", threshold: 0.5, window: { calls: 10 } } })
// @ts-expect-error a count has no threshold of time
CircuitBreaker.make("b", { trip: { kind: "count", failures: 1, slowerThan: 1, window: { calls: 10 } } })
// @ts-expect-error only consecutive failures are forgotten by themselves
CircuitBreaker.make("b", { trip: { kind: "count", failures: 1, forgetAfter: 1, window: { calls: 10 } } })
// @ts-expect-error there is no such trip, also in a list
CircuitBreaker.make("b", { trip: [{ kind: "sometimes", failures: 1 }] })
// @ts-expect-error it goes to open or to closed
CircuitBreaker.make("b", { halfOpen: { maxDuration: 1, afterwards: "half-open" } })
// @ts-expect-error that is no duration
CircuitBreaker.make("b", { halfOpen: { maxDuration: "a while" } })
// @ts-expect-error one breaker has no keys to keep
CircuitBreaker.make("b", { idle: "1 minute" })
// @ts-expect-error the key is misspelt
CircuitBreaker.keyed("b", { maxKey: 5 })
// @ts-expect-error whose breaker is it?
breakers.protect(work)
// @ts-expect-error whose breaker is it?
breakers.protect(work, { attemptTimeout: 5 })
// @ts-expect-error a key is a string
breakers.protect(work, { key: 5 })
// @ts-expect-error one breaker has no keys
breaker.protect(work, { key: "a" })
// @ts-expect-error a breaker is restored from a snapshot, and not from its JSON
breaker.restore("{}")
// @ts-expect-error settings are checked options
breaker.reconfigure({ open: "5 seconds" })
