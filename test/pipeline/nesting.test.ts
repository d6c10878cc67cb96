import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Pipeline, Resilience, Retry, Timeout } from "../../src/index.ts"
import { Boom, present } from "../support.ts"

const depth = 10_000

type Work = Effect.Effect<number, unknown>

/** Calls within calls: nobody writes so many, but recursion may. Effect's own retry manages as many. */
const nested = (self: Work, protect: (self: Work) => Work): Work => {
  let nest = self
  for (let n = 0; n < depth; n++) nest = protect(nest)
  return nest
}

const policies: ReadonlyArray<readonly [string, (self: Work) => Work]> = [
  ["retry", Retry.make({ times: 0 })],
  ["attempt timeout", Timeout.attempt("1 minute")],
  ["total timeout", Timeout.total("1 minute")]
]

const later = Effect.andThen(Effect.yieldNow, Effect.succeed(1))
const boom = new Boom({ n: 1 })

describe.each(policies)("a nest of 10,000 calls: %s", (_, protect) => {
  it.effect("ends as the work does that is done at once", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* nested(Effect.succeed(1), protect), 1)
      assert.deepStrictEqual(yield* Effect.exit(nested(Effect.fail(boom), protect)), Exit.fail(boom))
    }))

  it.effect("ends as the work does that suspends", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* nested(later, protect), 1)
      assert.deepStrictEqual(
        yield* Effect.exit(nested(Effect.andThen(later, Effect.fail(boom)), protect)),
        Exit.fail(boom)
      )
    }))

  it("ends within a synchronous run, also within another", () => {
    const inner = Effect.sync(() => Effect.runSync(nested(Effect.succeed(1), protect)))
    assert.strictEqual(Effect.runSync(nested(inner, protect)), 1)
  })

  it.effect("is interrupted to its ground", () =>
    Effect.gen(function*() {
      let isOver = false
      const hung = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (isOver = true)))
      const fiber = yield* Effect.forkChild(nested(hung, protect), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(isOver)
    }))
})

describe("a nest of calls", () => {
  it.effect("is counted as one of any other depth", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("deep", {
        totalTimeout: "1 minute",
        retry: { times: 1 },
        bulkhead: { concurrency: depth },
        circuitBreaker: {},
        attemptTimeout: "1 minute"
      })
      assert.strictEqual(yield* nested(later, (self) => pipeline.protect(self)), 1)
      const snapshots = yield* (yield* Resilience.Resilience).snapshots
      const { bulkhead, circuitBreaker, pipeline: counts } = present(snapshots[0])
      assert.deepInclude(counts, { calls: depth, success: depth, attempts: depth })
      assert.deepInclude(bulkhead, { inFlight: 0, waiting: 0 })
      assert.deepInclude(present(circuitBreaker).calls, { success: depth, failure: 0 })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("has begun in all of its calls when it has been started", () =>
    Effect.gen(function*() {
      let begun = 0
      const counted = (self: Work) =>
        Effect.suspend(() => {
          begun++
          return self
        })
      const nest = nested(Effect.never, (self) => Timeout.total("1 minute")(counted(self)))
      const fiber = yield* Effect.forkChild(nest, { startImmediately: true })
      assert.strictEqual(begun, depth)
      yield* Fiber.interrupt(fiber)
    }))
})
