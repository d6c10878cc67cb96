import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Deadline, Replay, Retry, RetryBudget } from "../src/index.ts"
import { Current } from "../src/internal/replay.ts"
import { Boom, recorded, start } from "./support.ts"

const atOnce = { times: 3, backoff: () => 0 } as const

describe("Replay.commit", () => {
  it.effect("does nothing outside of retries and hedges", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* Replay.commit)
      assert.strictEqual(yield* Effect.as(Replay.commit, "answer").pipe(Deadline.within("1 second")), "answer")
    }))

  it.effect("ends a retry with the error of the attempt, as it was", () =>
    Effect.gen(function*() {
      for (const wraps of ["lastError", "wrap"] as const) {
        // the second attempt commits itself
        const { starts, work } = recorded((n) =>
          Effect.andThen(n === 2 ? Replay.commit : Effect.void, Effect.fail(new Boom({ n })))
        )
        const exit = yield* Effect.exit(work.pipe(Retry.make({ ...atOnce, onExhausted: wraps })))
        assert.deepStrictEqual(exit, Exit.fail(new Boom({ n: 2 })))
        assert.strictEqual(starts.length, 2)
      }
    }))

  it.effect("lets no result be retried either, which is the caller's then and is not disposed of", () =>
    Effect.gen(function*() {
      const disposed: Array<number> = []
      const { work } = recorded((n) => Effect.as(n === 2 ? Replay.commit : Effect.void, n))
      const result = yield* Retry.retry(work, {
        ...atOnce,
        retryIf: () => true,
        dispose: (n) => Effect.sync(() => disposed.push(n))
      })
      assert.strictEqual(result, 2)
      assert.deepStrictEqual(disposed, [1])
    }))

  it.effect("holds for every retry around, and for none beside", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) => Effect.andThen(Replay.commit, Effect.fail(new Boom({ n }))))
      yield* Effect.exit(work.pipe(Retry.make(atOnce), Retry.make(atOnce), Retry.make(atOnce)))
      assert.strictEqual(starts.length, 1)
      // an inner call that has committed itself does so for the outer one, and the next is another call
      const inner = recorded((n) => Effect.fail(new Boom({ n })))
      const outer = Effect.andThen(
        Effect.exit(Replay.commit.pipe(Retry.make(atOnce))),
        inner.work.pipe(Retry.make(atOnce))
      )
      yield* Effect.exit(outer.pipe(Retry.make(atOnce)))
      assert.strictEqual(inner.starts.length, 4)
    }))

  it.effect("holds wherever in the work it is: in a child fiber, under a deadline, in a finalizer", () =>
    Effect.gen(function*() {
      const places: ReadonlyArray<Effect.Effect<void>> = [
        Effect.flatMap(Effect.forkChild(Replay.commit), Fiber.join),
        Replay.commit.pipe(Deadline.within("1 second"), Effect.orDie),
        Effect.ensuring(Effect.void, Replay.commit),
        Effect.uninterruptible(Replay.commit)
      ]
      for (const place of places) {
        const { starts, work } = recorded((n) => Effect.andThen(place, Effect.fail(new Boom({ n }))))
        yield* Effect.exit(work.pipe(Retry.make(atOnce)))
        assert.strictEqual(starts.length, 1)
      }
    }))

  it.effect("is for the call that is running: the next one may be retried", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded((n) =>
        n === 1 ? Effect.andThen(Replay.commit, Effect.fail(new Boom({ n }))) : Effect.fail(new Boom({ n }))
      )
      const retried = Effect.exit(work.pipe(Retry.make(atOnce)))
      yield* retried
      yield* retried
      assert.strictEqual(starts.length, 5)
    }))
})

describe("a retry's context", () => {
  it.effect("is that of its caller again when it has ended, in whatever way, and during its waits", () =>
    Effect.gen(function*() {
      const before = yield* Effect.context()
      const current = Effect.map(Effect.context(), (context) => Context.get(context, Current))
      const seen: Array<boolean> = []
      const see = Effect.tap(current, (replay) => Effect.sync(() => seen.push(replay !== undefined)))
      const retry = Retry.make({ times: 1, backoff: () => 10, onRetry: () => see })
      const exits = [
        Effect.succeed(1),
        Effect.fail("down"),
        Effect.die("bug"),
        Effect.interrupt
      ]
      for (const exit of exits) yield* start(Effect.exit(retry(Effect.andThen(see, exit))))
      yield* TestClock.adjust(10)
      // each attempt is within, and the wait between the two of the second call is not
      assert.deepStrictEqual(seen, [true, true, false, true, true, true])
      const policies = [Retry.make({ times: 0 }), Retry.retry({ times: 0, dispose: () => Effect.void })]
      for (const exit of exits) {
        for (const policy of policies) {
          yield* Effect.exit(policy(exit))
          assert.strictEqual(yield* Effect.context(), before)
        }
      }
    }))

  it.effect("is that of its caller also after an interruption, where there is a budget that could be misled", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 0 })
      const retry = Retry.make({ ...atOnce, budget })
      const call = Effect.uninterruptibleMask((restore) =>
        Effect.andThen(Effect.exit(restore(retry(Effect.never))), retry(Effect.void))
      )
      yield* Fiber.interrupt(yield* start(call))
      assert.deepInclude(yield* budget.snapshot, { calls: 2 })
    }))
})
