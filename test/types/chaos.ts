/** What the types of `Chaos` promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { type Duration, Effect, Exit } from "effect"
import { Chaos, type Policy } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

type Injected = Chaos.ChaosInjected
class Down {
  readonly _tag = "Down"
}

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">

export type Errors = [
  Expect<Not<IsAny<Injected>>>,
  Expect<Equal<Injected["_tag"], "ChaosInjected">>,
  Expect<Equal<Injected["fault"], "failure" | "overload">>,
  Expect<Equal<Injected["retryAfter"], Duration.Duration | undefined>>
]

// -----------------------------------------------------------------------------
// policies
// -----------------------------------------------------------------------------

declare const wide: Chaos.Options
declare const wideWithErrors: Chaos.Options<Down>
declare const perhaps: boolean

const made = {
  empty: Chaos.make({}),
  latency: Chaos.make({ latency: { rate: 0.5, delay: "1 second" } }),
  range: Chaos.make({ latency: { rate: 0.5, delay: { min: 5, max: "1 second" } } }),
  behavior: Chaos.make({ behavior: { rate: 0.5, run: () => Effect.void } }),
  defect: Chaos.make({ defect: { rate: 0.5, defect: () => "bug" } }),
  failure: Chaos.make({ failure: { rate: 0.5 } }),
  own: Chaos.make({ failure: { rate: 0.5, error: () => new Down() } }),
  either: Chaos.make({ failure: { rate: 0.5, error: () => perhaps ? new Down() : "down" } }),
  maybe: Chaos.make({ failure: { rate: 0.5, error: perhaps ? () => new Down() : undefined } }),
  overload: Chaos.make({ overload: { rate: 0.5, retryAfter: "1 second" } }),
  both: Chaos.make({ overload: { rate: 0.5 }, failure: { rate: 0.1, error: () => new Down() } }),
  undefined: Chaos.make({ overload: undefined, failure: undefined, enabled: () => true }),
  wide: Chaos.make(wide),
  wideWithErrors: Chaos.make(wideWithErrors)
}

export type Made = [
  Expect<Equal<typeof made.empty, Policy.Policy<never>>>,
  Expect<Equal<typeof made.latency, Policy.Policy<never>>>,
  Expect<Equal<typeof made.range, Policy.Policy<never>>>,
  Expect<Equal<typeof made.behavior, Policy.Policy<never>>>,
  Expect<Equal<typeof made.defect, Policy.Policy<never>>>,
  Expect<Equal<typeof made.failure, Policy.Policy<Injected>>>,
  Expect<Equal<typeof made.own, Policy.Policy<Down>>>,
  Expect<Equal<typeof made.either, Policy.Policy<Down | "down">>>,
  Expect<Equal<typeof made.maybe, Policy.Policy<Down | Injected>>>,
  Expect<Equal<typeof made.overload, Policy.Policy<Injected>>>,
  Expect<Equal<typeof made.both, Policy.Policy<Down | Injected>>>,
  Expect<Equal<typeof made.undefined, Policy.Policy<never>>>,
  Expect<Equal<typeof made.wide, Policy.Policy<Injected>>>,
  Expect<Equal<typeof made.wideWithErrors, Policy.Policy<Down | Injected>>>
]

// @ts-expect-error the key is misspelt
Chaos.make({ failures: { rate: 1 } })
// @ts-expect-error the key is misspelt, beside one that is not
Chaos.make({ failure: { rate: 1, errors: () => new Down() } })
// @ts-expect-error a fault needs its rate
Chaos.make({ overload: {} })
// @ts-expect-error latency needs its delay
Chaos.make({ latency: { rate: 1 } })
// @ts-expect-error a range needs both its ends
Chaos.make({ latency: { rate: 1, delay: { min: 5 } } })
// @ts-expect-error that is no duration
Chaos.make({ latency: { rate: 1, delay: "a while" } })
// @ts-expect-error an error is made anew for each call
Chaos.make({ failure: { rate: 1, error: new Down() } })
// @ts-expect-error behavior has no errors of its own
Chaos.make({ behavior: { rate: 1, run: () => Effect.fail("no") } })
// @ts-expect-error results are those of one effect
Chaos.make({ result: { rate: 1, exit: () => Exit.void } })

// -----------------------------------------------------------------------------
// one effect
// -----------------------------------------------------------------------------

const injected = {
  policy: work.pipe(made.both),
  first: Chaos.inject(work, { result: { rate: 1, exit: () => Exit.succeed("answer") } }),
  failing: Chaos.inject(work, { result: { rate: 0.5, exit: () => Exit.fail("broken") }, overload: { rate: 0.1 } }),
  last: work.pipe(Chaos.inject({ failure: { rate: 1, error: () => new Down() } })),
  lastResult: work.pipe(Chaos.inject({ result: { rate: 1, exit: () => Exit.succeed("answer" as const) } }))
}

export type InjectedInto = [
  Expect<Equal<typeof injected.policy, Effect.Effect<"answer", "broken" | Down | Injected, "database">>>,
  Expect<Equal<typeof injected.first, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof injected.failing, Effect.Effect<"answer", "broken" | Injected, "database">>>,
  Expect<Equal<typeof injected.last, Effect.Effect<"answer", "broken" | Down, "database">>>,
  Expect<Equal<typeof injected.lastResult, Effect.Effect<"answer", "broken", "database">>>
]

// @ts-expect-error the effect has other results
Chaos.inject(work, { result: { rate: 1, exit: () => Exit.succeed("nonsense") } })
// @ts-expect-error the effect has other errors
Chaos.inject(work, { result: { rate: 1, exit: () => Exit.fail("nonsense") } })
// @ts-expect-error the key is misspelt, beside one that is not
Chaos.inject(work, { failure: { rate: 1 }, results: { rate: 1, exit: () => Exit.succeed("answer") } })
