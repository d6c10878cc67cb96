/** What the types of `RateLimit` promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { type Duration, Effect, type Exit } from "effect"
import { type Policy, RateLimit } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

type Refused = RateLimit.RateLimited

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">

export type Errors = [
  Expect<Not<IsAny<Refused>>>,
  Expect<Equal<Refused["_tag"], "RateLimited">>,
  Expect<Equal<Refused["policy"], string>>,
  Expect<Equal<Refused["limit"], string>>,
  Expect<Equal<Refused["key"], string | undefined>>,
  Expect<Equal<Refused["retryAfter"], Duration.Duration | undefined>>
]

// -----------------------------------------------------------------------------
// making
// -----------------------------------------------------------------------------

declare const wide: RateLimit.Options
declare const settings: RateLimit.Settings

const made = {
  one: RateLimit.make("r", { kind: "token-bucket", permits: 10, per: "1 second", burst: 1, wait: "Infinity" }),
  several: RateLimit.make("r", {
    limits: {
      requests: { kind: "sliding-window", permits: 10, per: "1 second" },
      tokens: { kind: "fixed-window", permits: 10, per: "1 second" }
    },
    wait: 5
  }),
  wide: RateLimit.make("r", wide),
  unsafe: RateLimit.makeUnsafe("r", settings)
}

export type Made = [
  Expect<Equal<typeof made.one, Effect.Effect<RateLimit.RateLimit<"permits">>>>,
  Expect<Equal<typeof made.several, Effect.Effect<RateLimit.RateLimit<"requests" | "tokens">>>>,
  Expect<Equal<typeof made.unsafe, RateLimit.RateLimit>>,
  Expect<Equal<RateLimit.NamesOf<RateLimit.Options>, string>>
]

// @ts-expect-error the key is misspelt
RateLimit.make("r", { kind: "token-bucket", permits: 1, per: 1, bursts: 1 })
// @ts-expect-error a window has no burst
RateLimit.make("r", { kind: "sliding-window", permits: 1, per: 1, burst: 1 })
// @ts-expect-error there is no such kind
RateLimit.make("r", { kind: "leaky-bucket", permits: 1, per: 1 })
// @ts-expect-error a limit needs its time
RateLimit.make("r", { kind: "fixed-window", permits: 1 })
// @ts-expect-error that is no duration
RateLimit.make("r", { kind: "fixed-window", permits: 1, per: "a while" })
// @ts-expect-error the time to wait is one for all
RateLimit.make("r", { limits: { a: { kind: "fixed-window", permits: 1, per: 1, wait: 5 } } })
// @ts-expect-error a limit needs its options
RateLimit.make("r")

// -----------------------------------------------------------------------------
// calls
// -----------------------------------------------------------------------------

declare const one: RateLimit.RateLimit<"permits">
declare const several: RateLimit.RateLimit<"requests" | "tokens">
declare const any: RateLimit.RateLimit

const calls = {
  bare: one.protect(work),
  pointFree: work.pipe(several.protect),
  options: several.protect(work, {
    key: "tenant",
    cost: { tokens: 500 },
    settle: (exit) => {
      true satisfies Expect<Equal<typeof exit, Exit.Exit<"answer", "broken">>>
      return { tokens: 5 }
    },
    ran: () => true
  }),
  number: one.protect(work, { cost: 2, settle: () => 1 }),
  named: one.protect(work, { cost: { permits: 2 }, settle: () => undefined }),
  undefined: several.protect(work, { key: undefined, cost: undefined, settle: undefined, ran: undefined }),
  any: any.protect(work, { cost: { whatever: 1 } })
}
const asPolicy: Policy.Policy<Refused> = several.protect
// one with known names can be passed where the names do not matter
const forgotten: RateLimit.RateLimit = several

export type Calls = [
  Expect<Equal<typeof calls.bare, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof calls.pointFree, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof calls.options, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof calls.number, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof calls.named, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof calls.undefined, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof calls.any, Effect.Effect<"answer", "broken" | Refused, "database">>>,
  Expect<Equal<typeof asPolicy, Policy.Policy<Refused>>>,
  Expect<Equal<(typeof forgotten)["snapshot"], Effect.Effect<RateLimit.Snapshot>>>
]

// @ts-expect-error the limit has another name
several.protect(work, { cost: { token: 5 } })
// @ts-expect-error a cost is a number
several.protect(work, { cost: { tokens: "many" } })
// @ts-expect-error the limit has another name
several.protect(work, { settle: () => ({ permits: 5 }) })
// @ts-expect-error a settlement is no effect
several.protect(work, { settle: () => Effect.succeed(5) })
// @ts-expect-error the key is misspelt
several.protect(work, { keys: "tenant" })
// @ts-expect-error a key is a string
several.protect(work, { key: 5 })
