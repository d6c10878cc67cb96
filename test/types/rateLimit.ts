import { Effect } from "effect"
import * as RateLimit from "../../src/RateLimit.ts"
declare const a: RateLimit.RateLimit<"a">
const b: RateLimit.RateLimit = a
declare const work: Effect.Effect<"answer", "broken", "db">
a.protect(work, { cost: { a: 1 } })
const m = RateLimit.make("x", { kind: "sliding-window", permits: 1, per: "1 second", wait: 3 })
const n = RateLimit.make("x", {
  limits: { r: { kind: "fixed-window", permits: 1, per: 1 }, t: { kind: "token-bucket", permits: 3, per: 1 } }
})
export type N = typeof n
export { b, m }
