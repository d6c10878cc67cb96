import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Schema } from "effect"
import { Outcome } from "../src/index.ts"
import { Boom, Says } from "./support.ts"

const finalFailure = Outcome.failure({ retryable: false })

describe("Outcome", () => {
  it("of a failure is retryable and asks for no time, unless it says so", () => {
    assert.deepStrictEqual(Outcome.failure(), { _tag: "Failure", retryable: true, retryAfter: undefined })
    assert.deepStrictEqual(Outcome.failure({ retryable: false, retryAfter: "2 seconds" }), {
      _tag: "Failure",
      retryable: false,
      retryAfter: Duration.seconds(2)
    })
    assert.deepStrictEqual(Outcome.overload({ retryAfter: 0 }), { _tag: "Overload", retryAfter: Duration.zero })
  })

  it("allows another attempt for overloads and retryable failures alone", () => {
    assert.strictEqual(Outcome.isRetryable(Outcome.failure()), true)
    assert.strictEqual(Outcome.isRetryable(Outcome.overload()), true)
    for (const outcome of [finalFailure, Outcome.success, Outcome.ignored]) {
      assert.strictEqual(Outcome.isRetryable(outcome), false)
    }
  })

  it("tells its retryAfter where it has one", () => {
    assert.deepStrictEqual(Outcome.retryAfter(Outcome.failure({ retryAfter: 5 })), Duration.millis(5))
    assert.deepStrictEqual(Outcome.retryAfter(Outcome.overload({ retryAfter: 5 })), Duration.millis(5))
    assert.strictEqual(Outcome.retryAfter(Outcome.success), undefined)
    assert.strictEqual(Outcome.retryAfter(Outcome.ignored), undefined)
  })

  it("of an error is the one it carries, else a retryable failure", () => {
    for (const outcome of [Outcome.success, Outcome.ignored, Outcome.overload(), finalFailure]) {
      assert.strictEqual(Outcome.fromError(Says.of(outcome)), outcome)
    }
    for (const error of [new Boom({ n: 1 }), "plain", undefined, null, 5, { [Outcome.symbol]: "nonsense" }]) {
      assert.deepStrictEqual(Outcome.fromError(error), Outcome.failure())
    }
  })

  it("is carried by a class through its prototype, as the library's own errors do", () => {
    class QuotaUsedUp extends Schema.TaggedError<QuotaUsedUp>()("QuotaUsedUp", {}) {
      get [Outcome.symbol](): Outcome.Outcome {
        return Outcome.success
      }
    }
    assert.strictEqual(Outcome.fromError(new QuotaUsedUp()), Outcome.success)
  })

  it("of an exit: success, a defect whatever is beside it, the first typed error, interruptions alone", () => {
    const carried = Cause.fail(Says.of(Outcome.overload()))
    const cases: ReadonlyArray<readonly [Exit.Exit<unknown, unknown>, Outcome.Outcome]> = [
      [Exit.succeed(1), Outcome.success],
      [Exit.die("bug"), finalFailure],
      [Exit.failCause(Cause.combine(carried, Cause.die("bug"))), finalFailure],
      [Exit.failCause(Cause.combine(Cause.die("bug"), Cause.interrupt(1))), finalFailure],
      [Exit.fail("plain"), Outcome.failure()],
      [Exit.failCause(Cause.combine(carried, Cause.fail("plain"))), Outcome.overload()],
      [Exit.failCause(Cause.combine(Cause.fail("plain"), carried)), Outcome.failure()],
      [Exit.failCause(Cause.combine(Cause.interrupt(1), carried)), Outcome.overload()],
      [Exit.interrupt(1), Outcome.ignored],
      [Exit.failCause(Cause.empty), Outcome.ignored]
    ]
    for (const [exit, outcome] of cases) assert.deepStrictEqual(Outcome.fromExit(exit), outcome)
  })

  it.effect("can be said of an effect's failures, without changing them", () =>
    Effect.gen(function*() {
      const boom = new Boom({ n: 1 })
      const causes: Array<unknown> = []
      const annotated = Effect.fail(boom).pipe(Outcome.annotate((cause) => {
        causes.push(Cause.squash(cause))
        return Outcome.overload()
      }))
      const exit = yield* Effect.exit(annotated)
      assert.deepStrictEqual(Outcome.fromExit(exit), Outcome.overload())
      assert.strictEqual(yield* Effect.flip(annotated), boom)
      assert.deepStrictEqual(causes, [boom, boom])
      assert.strictEqual(yield* Effect.succeed(1).pipe(Outcome.annotate(() => Outcome.ignored)), 1)
    }))

  it.effect("that is said last goes before what was said first, and what an error carries before both", () =>
    Effect.gen(function*() {
      const twice = Effect.fail("plain").pipe(
        Outcome.annotate(() => Outcome.overload()),
        Outcome.annotate(() => Outcome.success)
      )
      assert.strictEqual(Outcome.fromExit(yield* Effect.exit(twice)), Outcome.success)
      const carrying = Outcome.annotate(Effect.fail(Says.of(Outcome.ignored)), () => Outcome.success)
      assert.strictEqual(Outcome.fromExit(yield* Effect.exit(carrying)), Outcome.ignored)
      const defect = Effect.die("bug").pipe(Outcome.annotate(() => Outcome.success))
      assert.deepStrictEqual(Outcome.fromExit(yield* Effect.exit(defect)), finalFailure)
    }))

  it.effect("of a classifier goes before all, and is left to the default where it says nothing sensible", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const exit = Exit.fail(Says.of(Outcome.overload()))
      assert.strictEqual(Outcome.classify(exit, () => Outcome.ignored, clock), Outcome.ignored)
      assert.deepStrictEqual(Outcome.classify(exit, undefined, clock), Outcome.overload())
      assert.deepStrictEqual(Outcome.classify(exit, () => undefined, clock), Outcome.overload())
      const throwing = () => {
        throw new Error("bug")
      }
      assert.deepStrictEqual(Outcome.classify(exit, throwing, clock), Outcome.overload())
      // nonsense that the type does not allow
      const nonsense = (() => "Failure") as unknown as Outcome.Classifier
      assert.deepStrictEqual(Outcome.classify(exit, nonsense, clock), Outcome.overload())
      const told: Array<unknown> = []
      Outcome.classify(exit, (...args) => {
        told.push(...args)
        return undefined
      }, clock)
      assert.deepStrictEqual(told, [exit, clock])
    }))
})
