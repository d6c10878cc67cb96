/** What the types of retries, their budget and replay safety promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { Effect, Schema } from "effect"
import type * as Policy from "../../src/Policy.ts"
import type * as Replay from "../../src/Replay.ts"
import * as Retry from "../../src/Retry.ts"
import * as RetryBudget from "../../src/RetryBudget.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
class Missing extends Schema.TaggedError<Missing>()("Missing", { status: Schema.Int }) {}

declare const work: Effect.Effect<"answer", Busy | Missing, "database">
declare const unknownWork: Effect.Effect<number, unknown>
declare const budget: RetryBudget.RetryBudget
declare const wide: Retry.Options
declare const wideMake: Retry.MakeOptions

// -----------------------------------------------------------------------------
// policies
// -----------------------------------------------------------------------------

const policies = {
  budget: Retry.make({ budget }),
  tags: Retry.make({ times: 2, retryOn: ["Busy"], abortOn: ["Missing"] }),
  predicates: Retry.make({
    retryOn: (error) => true satisfies Expect<Equal<typeof error, unknown>>,
    abortOn: (error) => error === undefined
  }),
  progress: Retry.make({
    onRetry: (progress) => Effect.succeed(true satisfies Expect<Equal<typeof progress, Retry.Progress>>)
  }),
  wrap: Retry.make({ budget, onExhausted: "wrap" }),
  wide: Retry.make(wideMake)
}

export type Policies = [
  Expect<Equal<typeof policies.budget, Policy.Policy<never>>>,
  Expect<Equal<typeof policies.tags, Policy.Policy<never>>>,
  Expect<Equal<typeof policies.predicates, Policy.Policy<never>>>,
  Expect<Equal<typeof policies.progress, Policy.Policy<never>>>,
  Expect<Equal<typeof policies.wrap, Policy.Policy<Retry.RetriesExhausted>>>,
  Expect<Equal<typeof policies.wide, Policy.Policy<Retry.RetriesExhausted>>>
]

// @ts-expect-error a tag is a string
Retry.make({ retryOn: [503] })
// @ts-expect-error the key is misspelt, beside one that is not
Retry.make({ retryOn: ["Busy"], abortsOn: ["Missing"] })
// @ts-expect-error the key is misspelt, beside a budget
Retry.make({ budget, time: 3 })
// @ts-expect-error a budget is made by `RetryBudget.make`
Retry.make({ budget: { share: 0.2 } })
// @ts-expect-error it is made by an effect
Retry.make({ budget: RetryBudget.make("quotes") })
// @ts-expect-error what is told of a retry is an effect
Retry.make({ onRetry: () => undefined })
// @ts-expect-error such an effect cannot fail
Retry.make({ onRetry: () => Effect.fail("broken") })

// -----------------------------------------------------------------------------
// one effect
// -----------------------------------------------------------------------------

const retried = {
  tags: Retry.retry(work, { retryOn: ["Busy"], abortOn: ["Missing"] }),
  lastTags: work.pipe(Retry.retry({ retryOn: ["Busy"], budget })),
  predicate: Retry.retry(work, {
    retryOn: (error) => {
      true satisfies Expect<Equal<typeof error, Busy | Missing>>
      return error._tag === "Missing" && error.status === 404
    },
    onExhausted: "wrap"
  }),
  progress: Retry.retry(work, {
    budget,
    onRetry: (progress) => Effect.log(progress.nextAt, progress.delay),
    retryIf: (result) => true satisfies Expect<Equal<typeof result, "answer">>
  }),
  // nothing is known of these errors
  unknown: Retry.retry(unknownWork, { retryOn: ["Anything"] }),
  wide: Retry.retry(work, wide)
}

export type Retried = [
  Expect<Equal<typeof retried.tags, Effect.Effect<"answer", Busy | Missing, "database">>>,
  Expect<Equal<typeof retried.lastTags, Effect.Effect<"answer", Busy | Missing, "database">>>,
  Expect<
    Equal<typeof retried.predicate, Effect.Effect<"answer", Busy | Missing | Retry.RetriesExhausted, "database">>
  >,
  Expect<Equal<typeof retried.progress, Effect.Effect<"answer", Busy | Missing, "database">>>,
  Expect<Equal<typeof retried.unknown, Effect.Effect<number, unknown>>>,
  Expect<
    Equal<typeof retried.wide, Effect.Effect<"answer", Busy | Missing | Retry.RetriesExhausted, "database">>
  >
]

// @ts-expect-error no error has that tag
Retry.retry(work, { retryOn: ["Bussy"] })
// @ts-expect-error no error has that tag, beside one that has
Retry.retry(work, { times: 2, abortOn: ["Missing", "Mising"] })
// @ts-expect-error no error has that tag
work.pipe(Retry.retry({ retryOn: ["Bussy"] }))
// @ts-expect-error the error is no number
Retry.retry(work, { retryOn: (error: number) => error > 1 })
// @ts-expect-error the key is misspelt
Retry.retry(work, { retriesOn: ["Busy"] })

// -----------------------------------------------------------------------------
// budgets, replay safety
// -----------------------------------------------------------------------------

const budgets = {
  bare: RetryBudget.make("quotes"),
  full: RetryBudget.make("quotes", { share: 0.1, minimum: 5, window: "30 seconds", buckets: 30 })
}

export type Budgets = [
  Expect<Equal<typeof budgets.bare, Effect.Effect<RetryBudget.RetryBudget>>>,
  Expect<Equal<typeof budgets.full, Effect.Effect<RetryBudget.RetryBudget>>>,
  Expect<Equal<typeof budget.snapshot, Effect.Effect<RetryBudget.Snapshot>>>,
  Expect<Equal<typeof budget.deposit, Effect.Effect<void>>>,
  Expect<Equal<typeof budget.withdraw, Effect.Effect<boolean>>>,
  Expect<Not<IsAny<RetryBudget.Snapshot>>>,
  Expect<Equal<typeof Replay.commit, Effect.Effect<void>>>
]

// @ts-expect-error a budget has a name
RetryBudget.make({ share: 0.1 })
// @ts-expect-error the key is misspelt
RetryBudget.make("quotes", { shares: 0.1 })
// @ts-expect-error that is no duration
RetryBudget.make("quotes", { window: "a while" })
