/** What the types of hedges promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { Duration, Effect, type Exit } from "effect"
import * as Hedge from "../../src/Hedge.ts"
import type { OnlyKnown } from "../../src/internal/onlyKnown.ts"
import * as Outcome from "../../src/Outcome.ts"
import type * as Policy from "../../src/Policy.ts"
import type * as RetryBudget from "../../src/RetryBudget.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">
declare const hedge: Hedge.Hedge
declare const budget: RetryBudget.RetryBudget

const made = {
  bare: Hedge.make("quotes"),
  fixed: Hedge.make("quotes", { hedges: 2, delay: "100 millis", awaitLosers: true, budget }),
  duration: Hedge.make("quotes", { delay: Duration.millis(100) }),
  object: Hedge.make("quotes", { delay: { milliseconds: 100 } }),
  quantile: Hedge.make("quotes", {
    delay: {
      quantile: 0.99,
      initial: "2 seconds",
      samples: 5_000,
      minimumSamples: 100,
      minimum: 5,
      maximum: { seconds: 5 }
    }
  })
}

// hedges add no error
const asPolicy: Policy.Policy<never> = hedge.protect

const protectedBy = {
  call: hedge.protect(work),
  pointFree: work.pipe(hedge.protect),
  options: hedge.protect(work, {
    retryIf: (result) => true satisfies Expect<Equal<typeof result, "answer">>,
    dispose: (result) => Effect.asVoid(Effect.succeed(true satisfies Expect<Equal<typeof result, "answer">>)),
    classify: (exit) =>
      (true satisfies Expect<Equal<typeof exit, Exit.Exit<"answer", "broken">>>) ? Outcome.success : undefined
  })
}

export type Hedges = [
  Expect<Equal<(typeof made)[keyof typeof made], Effect.Effect<Hedge.Hedge>>>,
  Expect<Equal<typeof asPolicy, Policy.Policy<never>>>,
  Expect<Equal<typeof protectedBy.call, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof protectedBy.pointFree, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof protectedBy.options, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof hedge.snapshot, Effect.Effect<Hedge.Snapshot>>>,
  Expect<Not<IsAny<Hedge.Snapshot>>>,
  Expect<Not<IsAny<Hedge.Settings>>>
]

// @ts-expect-error a hedge has a name
Hedge.make({ delay: 100 })
// @ts-expect-error the key is misspelt
Hedge.make("quotes", { hedge: 2 })
// @ts-expect-error that is no duration
Hedge.make("quotes", { delay: "soon" })
// @ts-expect-error a quantile needs its quantile
Hedge.make("quotes", { delay: { initial: 100 } })
// @ts-expect-error the key is misspelt
Hedge.make("quotes", { delay: { quantile: 0.9, initially: 100 } })
// @ts-expect-error a budget is made by `RetryBudget.make`
Hedge.make("quotes", { budget: { share: 0.2 } })
// @ts-expect-error the result is no number
hedge.protect(work, { retryIf: (result: number) => result > 1 })
// @ts-expect-error the key is misspelt
hedge.protect(work, { disposal: () => Effect.void })
// @ts-expect-error a disposal cannot fail
hedge.protect(work, { dispose: () => Effect.fail("broken") })

// -----------------------------------------------------------------------------
// as data, where options are inferred, as those of a pipeline are
// -----------------------------------------------------------------------------

declare const data: <const O extends Hedge.Options>(options: O & OnlyKnown<O, Hedge.Options>) => O

data({ hedges: 2, delay: { quantile: 0.99, initial: { seconds: 1 } } })
data({ delay: { seconds: 1 }, awaitLosers: true })
// @ts-expect-error the key is misspelt
data({ delay: { quantile: 0.99, initally: 1 } })
// @ts-expect-error a budget is no data
data({ budget })
