import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Timeout } from "../src/index.ts"
import { brief, drive, errorOf, present, start } from "./support.ts"

const left = Effect.map(Deadline.remaining, Option.map(Duration.toMillis))

describe("Deadline", () => {
  it.effect("fails with DeadlineExceeded when it has passed", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* drive(Effect.never.pipe(Deadline.within("1 second")))
      assert.strictEqual(at, 1_000)
      assert.deepStrictEqual(errorOf(exit), new Deadline.DeadlineExceeded({ policy: "Deadline" }))
      assert.strictEqual(errorOf(exit).message, "Deadline: the caller's deadline has passed")
    }))

  it.effect("lets the work win a tie", () =>
    Effect.gen(function*() {
      const { exit } = yield* drive(Effect.as(Effect.sleep("1 second"), "answer").pipe(Deadline.within("1 second")))
      assert.deepStrictEqual(exit, Exit.succeed("answer"))
    }))

  it.effect("tells the work inside how much is left, and nothing outside", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* left, Option.none())
      const inside = Effect.all([
        left,
        Effect.andThen(Effect.sleep(300), left),
        Effect.andThen(Effect.sleep(200), left)
      ])
      const { exit } = yield* drive(inside.pipe(Deadline.within("1 second")))
      assert.deepStrictEqual(exit, Exit.succeed([Option.some(1_000), Option.some(700), Option.some(500)]))
      assert.deepStrictEqual(yield* left, Option.none())
    }))

  it.effect("tells of timeouts as well, whichever is the soonest", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* left.pipe(Timeout.total("1 second")), Option.some(1_000))
      assert.deepStrictEqual(
        yield* left.pipe(Timeout.attempt("1 second"), Deadline.within("2 seconds")),
        Option.some(1_000)
      )
      assert.deepStrictEqual(
        yield* left.pipe(Timeout.attempt("2 seconds"), Deadline.within("1 second")),
        Option.some(1_000)
      )
    }))

  it.effect("cannot be put off by a later one inside", () =>
    Effect.gen(function*() {
      const nested = Effect.never.pipe(
        Deadline.within("1 hour"),
        Deadline.within("1 second"),
        Deadline.within("1 hour")
      )
      const { at, exit } = yield* drive(nested)
      assert.strictEqual(brief(exit), "DeadlineExceeded")
      assert.strictEqual(at, 1_000)
    }))

  it.effect("can be shortened inside, and is back afterwards", () =>
    Effect.gen(function*() {
      const { exit } = yield* drive(
        Effect.gen(function*() {
          const inner = yield* Effect.exit(Effect.never.pipe(Deadline.within("1 second")))
          return [brief(inner), yield* left] as const
        }).pipe(Deadline.within("3 seconds"))
      )
      assert.deepStrictEqual<unknown>(exit, Exit.succeed(["DeadlineExceeded", Option.some(2_000)]))
    }))

  it.effect("is zero when it has passed, for whoever is still running", () =>
    Effect.gen(function*() {
      const late: Array<Option.Option<number>> = []
      const work = Effect.onInterrupt(Effect.never, () =>
        Effect.andThen(Effect.sleep("1 second"), Effect.map(left, (o) => late.push(o))))
      yield* drive(work.pipe(Deadline.within("1 second")))
      assert.deepStrictEqual(late, [Option.some(0)])
    }))

  it.effect("is not seen by detached work, which may outlive it", () =>
    Effect.gen(function*() {
      const done: Array<string> = []
      const outlives = Effect.andThen(Effect.sleep("1 hour"), Effect.sync(() => done.push("outlived")))
      const { exit } = yield* drive(
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* left.pipe(Deadline.detach), Option.none())
          yield* Effect.forkDetach(outlives.pipe(Timeout.total("2 hours"), Deadline.detach), { startImmediately: true })
          return yield* Effect.never
        }).pipe(Deadline.within("1 second"))
      )
      assert.strictEqual(brief(exit), "DeadlineExceeded")
      assert.deepStrictEqual(done, ["outlived"])
    }))

  it.effect("gives detached work, run in place, a limit of its own", () =>
    Effect.gen(function*() {
      const inside = left.pipe(Timeout.attempt("1 hour"), Deadline.detach)
      assert.deepStrictEqual(yield* inside.pipe(Deadline.within("1 second")), Option.some(3_600_000))
    }))

  it.effect("is seen by children that the work forks", () =>
    Effect.gen(function*() {
      const forked = Effect.flatMap(start(left), (fiber) =>
        Effect.flatMap(TestClock.adjust(0), () => present(fiber.pollUnsafe())))
      assert.deepStrictEqual(yield* forked.pipe(Deadline.within("1 second")), Option.some(1_000))
    }))

  it.effect("says nothing about the dependency, of which a breaker ignores the call", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("b", { trip: { kind: "consecutive", failures: 1 } })
      const { exit } = yield* drive(breaker.protect(Effect.never).pipe(Deadline.within("1 second")))
      assert.deepStrictEqual(Outcome.fromExit(exit), Outcome.ignored)
      yield* drive(breaker.protect(Effect.never.pipe(Deadline.within("1 second"))))
      assert.deepInclude((yield* breaker.snapshot).calls, { failure: 0, ignored: 2 })
    }))

  it("is a schema error", () => {
    const error = new Deadline.DeadlineExceeded({ policy: "quotes" })
    const encoded = Schema.encodeSync(Deadline.DeadlineExceeded)(error)
    assert.deepStrictEqual(encoded, { _tag: "DeadlineExceeded", policy: "quotes" })
    assert.instanceOf(Schema.decodeSync(Deadline.DeadlineExceeded)(encoded), Deadline.DeadlineExceeded)
  })
})
