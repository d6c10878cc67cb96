import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Policy } from "../src/index.ts"

describe("Policy.compose", () => {
  const named = (name: string, log: Array<string>): Policy.Policy<never> => (self) =>
    Effect.sync(() => log.push(`${name} in`)).pipe(
      Effect.andThen(self),
      Effect.ensuring(Effect.sync(() => log.push(`${name} out`)))
    )

  it.effect("puts the first policy outermost", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const policy = Policy.compose(named("a", log), named("b", log), named("c", log))
      yield* policy(Effect.sync(() => log.push("work")))
      assert.deepStrictEqual(log, ["a in", "b in", "c in", "work", "c out", "b out", "a out"])
    }))

  it.effect("means the same however it is nested", () =>
    Effect.gen(function*() {
      const flat: Array<string> = []
      const nested: Array<string> = []
      yield* Policy.compose(named("a", flat), named("b", flat), named("c", flat))(Effect.void)
      yield* Policy.compose(named("a", nested), Policy.compose(named("b", nested), named("c", nested)))(Effect.void)
      assert.deepStrictEqual(nested, flat)
    }))

  it.effect("of one policy is that policy, and of none changes nothing", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      assert.strictEqual(yield* Policy.compose(named("a", log))(Effect.succeed(1)), 1)
      assert.deepStrictEqual(log, ["a in", "a out"])
      const work = Effect.succeed(2)
      assert.strictEqual(Policy.compose()(work), work)
    }))
})
