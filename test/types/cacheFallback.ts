/** What the types of `CacheFallback` promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { type Duration, type Effect, Schema, type Scope } from "effect"
import type { Persistence } from "effect/persistence"
import * as CacheFallback from "../../src/CacheFallback.ts"
import { Outcome } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

class Missing extends Schema.TaggedError<Missing>()("Missing", { id: Schema.String }) {}
class Plan extends Schema.Class<Plan>("Plan")({ id: Schema.String, at: Schema.Date }) {}
class Name extends Schema.Class<Name>("Name")({ name: Schema.String }) {}

declare const plan: Effect.Effect<Plan, Missing, "database">
declare const literal: Effect.Effect<"open" | "closed", "broken">
declare const sound: Effect.Effect<number>
declare const cache: CacheFallback.CacheFallback

// -----------------------------------------------------------------------------
// making
// -----------------------------------------------------------------------------

export const made = CacheFallback.make("plans", { strategy: "cache-first", fresh: "1 minute" })

export type MadeIs = [
  Expect<Equal<typeof made, Effect.Effect<CacheFallback.CacheFallback, never, Scope.Scope>>>,
  Expect<Equal<CacheFallback.CacheFallback["snapshot"], Effect.Effect<CacheFallback.Snapshot>>>,
  Expect<Equal<CacheFallback.CacheFallback["clear"], Effect.Effect<void>>>,
  Expect<Equal<ReturnType<CacheFallback.CacheFallback["invalidate"]>, Effect.Effect<void>>>,
  Expect<Equal<ReturnType<CacheFallback.CacheFallback["reconfigure"]>, Effect.Effect<void>>>,
  Expect<Not<IsAny<CacheFallback.Settings[keyof CacheFallback.Settings]>>>
]

/** A store of `effect/persistence` is one as it is. */
export const store = (backing: Persistence.BackingPersistenceStore): CacheFallback.Store => backing

// -----------------------------------------------------------------------------
// asking
// -----------------------------------------------------------------------------

export const asked = {
  plan: cache.get(plan, { key: ["plan", "1"], schema: Plan }),
  literal: cache.get(literal, { key: ["state"], schema: Schema.Literals(["open", "closed"]) }),
  wider: cache.get(literal, { key: ["state"], schema: Schema.String }),
  sound: cache.get(sound, { key: ["count"], schema: Schema.Number }),
  staleIf: cache.get(plan, { key: ["plan"], schema: Plan, staleIf: (error) => error.id === "1" }),
  classify: cache.get(plan, {
    key: ["plan"],
    schema: Plan,
    classify: (exit) => (exit._tag === "Success" && exit.value.id === "" ? Outcome.failure() : undefined)
  })
}

type Asked = typeof asked

export type AskedIs = [
  Expect<Equal<Asked["plan"], Effect.Effect<CacheFallback.Answer<Plan>, Missing, "database">>>,
  Expect<Equal<Asked["literal"], Effect.Effect<CacheFallback.Answer<"open" | "closed">, "broken">>>,
  Expect<Equal<Asked["wider"], Effect.Effect<CacheFallback.Answer<string>, "broken">>>,
  Expect<Equal<Asked["sound"], Effect.Effect<CacheFallback.Answer<number>>>>,
  Expect<Equal<Asked["staleIf"], Effect.Effect<CacheFallback.Answer<Plan>, Missing, "database">>>,
  Expect<Equal<Asked["classify"], Effect.Effect<CacheFallback.Answer<Plan>, Missing, "database">>>,
  Expect<Equal<CacheFallback.Answer<Plan>["value"], Plan>>,
  Expect<Equal<CacheFallback.Answer<Plan>["source"], "cache" | "service">>,
  Expect<Equal<CacheFallback.Answer<Plan>["age"], Duration.Duration>>,
  Expect<Equal<CacheFallback.Answer<Plan>["isStale"], boolean>>,
  Expect<Not<IsAny<Asked[keyof Asked]>>>
]

// -----------------------------------------------------------------------------
// misuse
// -----------------------------------------------------------------------------

// @ts-expect-error the schema is of another value
cache.get(sound, { key: ["plan"], schema: Name })
// @ts-expect-error a key is a list of all arguments
cache.get(plan, { key: "plan", schema: Plan })
// @ts-expect-error without a schema nothing can be kept
cache.get(plan, { key: ["plan"] })
// @ts-expect-error without a key nothing can be found
cache.get(plan, { schema: Plan })
// @ts-expect-error there is no such strategy
CacheFallback.make("plans", { strategy: "cache", fresh: 1 })
// @ts-expect-error how long a value is fresh has no default
CacheFallback.make("plans", { strategy: "cache-first" })
// @ts-expect-error the key is misspelt
CacheFallback.make("plans", { strategy: "cache-first", fresh: 1, ttl: 2 })
