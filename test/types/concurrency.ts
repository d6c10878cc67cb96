/** What the types of bulkhead, adaptive limit and throttle promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import type { Effect, Exit } from "effect"
import * as AdaptiveLimit from "../../src/AdaptiveLimit.ts"
import * as Bulkhead from "../../src/Bulkhead.ts"
import { Outcome, Policy } from "../../src/index.ts"
import * as Throttle from "../../src/Throttle.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

// the errors, under short names
type Full = Bulkhead.BulkheadFull
type Exceeded = AdaptiveLimit.LimitExceeded
type Throttled = Throttle.Throttled

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">

declare const bulkhead: Bulkhead.Bulkhead
declare const limit: AdaptiveLimit.AdaptiveLimit
declare const throttle: Throttle.Throttle

export type Errors = [
  Expect<Not<IsAny<Full>>>,
  Expect<Not<IsAny<Exceeded>>>,
  Expect<Not<IsAny<Throttled>>>,
  Expect<Equal<Full["_tag"], "BulkheadFull">>,
  Expect<Equal<Full["reason"], "queue" | "wait">>,
  Expect<Equal<Full["concurrency"], number>>,
  Expect<Equal<Exceeded["_tag"], "LimitExceeded">>,
  Expect<Equal<Exceeded["reason"], "queue" | "wait">>,
  Expect<Equal<Exceeded["priority"], AdaptiveLimit.Priority>>,
  Expect<Equal<Throttled["_tag"], "Throttled">>,
  Expect<Equal<Throttled["probability"], number>>
]

// -----------------------------------------------------------------------------
// Bulkhead
// -----------------------------------------------------------------------------

const guarded = {
  make: Bulkhead.make("reports", { concurrency: 5, queue: Infinity, wait: "1 second" }),
  call: bulkhead.protect(work),
  pointFree: work.pipe(bulkhead.protect),
  options: bulkhead.protect(work, { key: "tenant" }),
  reconfigure: bulkhead.reconfigure(Bulkhead.settings({ concurrency: 5 }))
}

export type Bulkheads = [
  Expect<Equal<typeof guarded.make, Effect.Effect<Bulkhead.Bulkhead>>>,
  Expect<Equal<typeof guarded.call, Effect.Effect<"answer", "broken" | Full, "database">>>,
  Expect<Equal<typeof guarded.pointFree, Effect.Effect<"answer", "broken" | Full, "database">>>,
  Expect<Equal<typeof guarded.options, Effect.Effect<"answer", "broken" | Full, "database">>>,
  Expect<Equal<typeof guarded.reconfigure, Effect.Effect<void>>>,
  Expect<Equal<typeof bulkhead.snapshot, Effect.Effect<Bulkhead.Snapshot>>>
]

// @ts-expect-error the number of permits is needed
Bulkhead.make("reports", {})
// @ts-expect-error the key is misspelt
Bulkhead.make("reports", { concurrency: 5, queues: 5 })
// @ts-expect-error that is no duration
Bulkhead.make("reports", { concurrency: 5, queue: 5, wait: "a while" })
// @ts-expect-error a bulkhead judges no outcomes
bulkhead.protect(work, { classify: () => Outcome.success })
// @ts-expect-error a key is a string
bulkhead.protect(work, { key: 5 })
// @ts-expect-error options have to be checked first: a queue and a wait are missing
bulkhead.reconfigure({ concurrency: 5 })

// -----------------------------------------------------------------------------
// AdaptiveLimit
// -----------------------------------------------------------------------------

const limited = {
  bare: AdaptiveLimit.make("search"),
  make: AdaptiveLimit.make("search", { algorithm: { kind: "vegas", alpha: 2 }, shares: { background: 0.3 } }),
  call: limit.protect(work),
  pointFree: work.pipe(limit.protect),
  options: limit.protect(work, {
    priority: "sheddable",
    classify: (exit) => exit._tag === "Success" && exit.value === "answer" ? Outcome.success : undefined,
    attemptTimeout: "1 second"
  })
}

export type Limits = [
  Expect<Equal<typeof limited.bare, Effect.Effect<AdaptiveLimit.AdaptiveLimit>>>,
  Expect<Equal<typeof limited.make, Effect.Effect<AdaptiveLimit.AdaptiveLimit>>>,
  Expect<Equal<typeof limited.call, Effect.Effect<"answer", "broken" | Exceeded, "database">>>,
  Expect<Equal<typeof limited.pointFree, Effect.Effect<"answer", "broken" | Exceeded, "database">>>,
  Expect<Equal<typeof limited.options, Effect.Effect<"answer", "broken" | Exceeded, "database">>>,
  Expect<Equal<typeof limit.snapshot, Effect.Effect<AdaptiveLimit.Snapshot>>>,
  Expect<Equal<AdaptiveLimit.Priority, "critical" | "sheddable" | "background">>,
  Expect<Equal<AdaptiveLimit.Settings["algorithm"]["kind"], AdaptiveLimit.Algorithm["kind"]>>
]

// @ts-expect-error there is no such algorithm
AdaptiveLimit.make("search", { algorithm: { kind: "cubic" } })
// @ts-expect-error aimd has no alpha
AdaptiveLimit.make("search", { algorithm: { kind: "aimd", alpha: 3 } })
// @ts-expect-error the whole limit is for critical calls, always
AdaptiveLimit.make("search", { shares: { critical: 1 } })
// @ts-expect-error the key is misspelt
AdaptiveLimit.make("search", { maximum: 5 })
// @ts-expect-error there is no such priority
limit.protect(work, { priority: "urgent" })
// @ts-expect-error the result is no number
limit.protect(work, { classify: (exit: Exit.Exit<number>) => exit._tag === "Success" ? undefined : undefined })

// -----------------------------------------------------------------------------
// Throttle
// -----------------------------------------------------------------------------

const throttled = {
  bare: Throttle.make("mail"),
  make: Throttle.make("mail", { target: 0.9, window: "1 minute" }),
  call: throttle.protect(work),
  pointFree: work.pipe(throttle.protect),
  options: throttle.protect(work, {
    classify: (exit) => exit._tag === "Success" && exit.value === "answer" ? Outcome.success : undefined,
    totalTimeoutOf: "mail"
  }),
  probability: Throttle.probability(Throttle.settings(), 120, 90)
}

export type Throttles = [
  Expect<Equal<typeof throttled.bare, Effect.Effect<Throttle.Throttle>>>,
  Expect<Equal<typeof throttled.make, Effect.Effect<Throttle.Throttle>>>,
  Expect<Equal<typeof throttled.call, Effect.Effect<"answer", "broken" | Throttled, "database">>>,
  Expect<Equal<typeof throttled.pointFree, Effect.Effect<"answer", "broken" | Throttled, "database">>>,
  Expect<Equal<typeof throttled.options, Effect.Effect<"answer", "broken" | Throttled, "database">>>,
  Expect<Equal<typeof throttled.probability, number>>,
  Expect<Equal<typeof throttle.snapshot, Effect.Effect<Throttle.Snapshot>>>
]

// @ts-expect-error the key is misspelt
Throttle.make("mail", { targets: 0.9 })
// @ts-expect-error that is no duration
Throttle.make("mail", { window: "a while" })
// @ts-expect-error a throttle knows no priorities
throttle.protect(work, { priority: "sheddable" })
// @ts-expect-error the result is no number
throttle.protect(work, { classify: (exit: Exit.Exit<number>) => exit._tag === "Success" ? undefined : undefined })

// -----------------------------------------------------------------------------
// together
// -----------------------------------------------------------------------------

const policies: readonly [Policy.Policy<Full>, Policy.Policy<Exceeded>, Policy.Policy<Throttled>] = [
  bulkhead.protect,
  limit.protect,
  throttle.protect
]
const together = work.pipe(Policy.compose(throttle.protect, limit.protect, bulkhead.protect))

export type Together = [
  Expect<Equal<typeof policies["length"], 3>>,
  Expect<Equal<typeof together, Effect.Effect<"answer", "broken" | Full | Exceeded | Throttled, "database">>>
]
