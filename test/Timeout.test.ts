import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Outcome, Timeout } from "../src/index.ts"
import { Boom, brief, drive, ended, errorOf, now, present, recorded, start, stateOf } from "./support.ts"

describe("Timeout", () => {
  it.effect("fails with TimedOut when the time is up, and not a millisecond sooner", () =>
    Effect.gen(function*() {
      const fiber = yield* start(Effect.flip(Effect.never.pipe(Timeout.attempt("1 second"))))
      yield* TestClock.adjust(999)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        new Timeout.TimedOut({ policy: "Timeout", limit: "attempt", after: Duration.seconds(1) })
      )
    }))

  it.effect("D5: says whose limit it was, and which", () =>
    Effect.gen(function*() {
      const attempt = yield* drive(Effect.never.pipe(Timeout.attempt("1 second")))
      assert.strictEqual(errorOf(attempt.exit).message, "Timeout: the attempt took longer than 1s")
      const total = yield* drive(Effect.never.pipe(Timeout.total("1500 millis")))
      assert.strictEqual(errorOf(total.exit).message, "Timeout: the call took longer than 1s 500ms")
      const named = yield* drive(
        Effect.never.pipe(Timeout.make({ duration: "1 second", limit: "total", policy: "quotes" }))
      )
      assert.deepInclude(errorOf(named.exit), { _tag: "TimedOut", policy: "quotes", limit: "total" })
    }))

  it.effect("passes on what ends in time: results, errors, defects, interruptions", () =>
    Effect.gen(function*() {
      const exits: ReadonlyArray<Exit.Exit<number, Boom>> = [
        Exit.succeed(1),
        Exit.fail(new Boom({ n: 1 })),
        Exit.die("bug")
      ]
      for (const exit of exits) {
        const late = Effect.andThen(Effect.sleep("10 millis"), exit)
        assert.deepStrictEqual<unknown>((yield* drive(late.pipe(Timeout.attempt("1 second")))).exit, exit)
        assert.deepStrictEqual<unknown>((yield* drive(exit.pipe(Timeout.attempt("1 second")))).exit, exit)
      }
      const interrupted = yield* drive(Effect.interrupt.pipe(Timeout.attempt("1 second")))
      assert.isTrue(Exit.hasInterrupts(interrupted.exit))
    }))

  it.effect("lets the work win a tie", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* drive(Effect.as(Effect.sleep("1 second"), "answer").pipe(Timeout.attempt("1 second")))
      assert.deepStrictEqual(exit, Exit.succeed("answer"))
      assert.strictEqual(at, 1_000)
    }))

  it.effect("raises TimedOut when the finalizers of the work have run", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const work = Effect.never.pipe(
        Effect.onInterrupt(() => Effect.andThen(Effect.sleep("50 millis"), Effect.sync(() => log.push("released"))))
      )
      const { at } = yield* drive(work.pipe(
        Timeout.attempt("100 millis"),
        Effect.tapError(() => Effect.sync(() => log.push("raised")))
      ))
      assert.deepStrictEqual(log, ["released", "raised"])
      assert.strictEqual(at, 150)
    }))

  it.effect("waits for work that cannot be interrupted", () =>
    Effect.gen(function*() {
      const work = Effect.uninterruptible(Effect.sleep("300 millis"))
      const { at, exit } = yield* drive(work.pipe(Timeout.attempt("100 millis")))
      assert.strictEqual(brief(exit), "TimedOut")
      assert.strictEqual(at, 300)
    }))

  it.effect("ends what the work forked as children, when the time is up and when the work has ended", () =>
    Effect.gen(function*() {
      const ends: Array<readonly [string, number]> = []
      const child = (name: string) =>
        start(Effect.onInterrupt(Effect.never, () => Effect.map(now, (at) => ends.push([name, at]))))
      yield* drive(Effect.andThen(child("cut"), Effect.never).pipe(Timeout.attempt("1 second")), "2 seconds")
      yield* drive(Effect.andThen(child("done"), Effect.sleep(500)).pipe(Timeout.attempt("1 second")), "2 seconds")
      assert.deepStrictEqual(ends, [["cut", 1_000], ["done", 2_500]])
    }))

  it.effect("interrupts the work when its caller is interrupted", () =>
    Effect.gen(function*() {
      let released = 0
      const work = Effect.onInterrupt(Effect.never, () => Effect.sync(() => released++))
      const fiber = yield* start(ended(work.pipe(Timeout.attempt("1 second"))))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(released, 1)
      assert.strictEqual(yield* now, 500)
    }))

  it.effect("counts from entry, so that a policy can be used again and again", () =>
    Effect.gen(function*() {
      const policy = Timeout.attempt("1 second")
      for (const began of [0, 2_000]) {
        const { at } = yield* drive(Effect.never.pipe(policy), "2 seconds")
        assert.strictEqual(at - began, 1_000)
      }
    }))

  it.effect("has no limit when it is infinite, but shows that none is there", () =>
    Effect.gen(function*() {
      const { exit } = yield* drive(
        Effect.andThen(Effect.sleep("1 hour"), Deadline.remaining).pipe(Timeout.total("Infinity"))
      )
      assert.isTrue(Exit.isSuccess(exit) && exit.value._tag === "None")
      const beneath = yield* drive(Effect.never.pipe(Timeout.attempt("Infinity"), Deadline.within("1 second")))
      assert.strictEqual(brief(beneath.exit), "DeadlineExceeded")
      assert.strictEqual(beneath.at % 86_400_000, 1_000)
    }))

  it.effect("shrinks to a deadline that is sooner, and fails with DeadlineExceeded", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* drive(Effect.never.pipe(Timeout.attempt("2 seconds"), Deadline.within("1 second")))
      assert.strictEqual(brief(exit), "DeadlineExceeded")
      assert.strictEqual(at, 1_000)
    }))

  it.effect("keeps its own limit where the deadline is later, or at the same instant", () =>
    Effect.gen(function*() {
      for (const deadline of ["2 seconds", "1 second"] as const) {
        const { exit } = yield* drive(Effect.never.pipe(Timeout.attempt("1 second"), Deadline.within(deadline)))
        assert.strictEqual(brief(exit), "TimedOut")
      }
    }))

  it.effect("fails with the timeout outside where that is sooner, under its name", () =>
    Effect.gen(function*() {
      const timeout = (policy: string, duration: Duration.Input, limit: "attempt" | "total") =>
        Timeout.make({ policy, duration, limit })
      const outer = yield* drive(
        Effect.never.pipe(timeout("inner", "2 seconds", "attempt"), timeout("outer", "1 second", "total"))
      )
      assert.deepInclude(errorOf(outer.exit), { policy: "outer", limit: "total", after: Duration.seconds(1) })
      const inner = yield* drive(
        Effect.never.pipe(timeout("inner", "1 second", "attempt"), timeout("outer", "2 seconds", "total"))
      )
      assert.deepInclude(errorOf(inner.exit), { policy: "inner", limit: "attempt", after: Duration.seconds(1) })
      const totals = yield* drive(
        Effect.never.pipe(timeout("inner", "2 seconds", "total"), timeout("outer", "1 second", "total"))
      )
      assert.deepInclude(errorOf(totals.exit), { policy: "outer", limit: "total", after: Duration.seconds(1) })
    }))

  it.effect("does not start the work when no time is left", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded(() => Effect.succeed("answer"))
      // what was started under a deadline, and goes on after it
      const late = work.pipe(Timeout.attempt("1 second"), Effect.delay("2 seconds"), Effect.exit)
      const fiber = yield* Effect.forkDetach(late).pipe(Deadline.within("1 second"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(brief(yield* Fiber.join(fiber)), "DeadlineExceeded")
      assert.deepStrictEqual(starts, [])
    }))

  it.effect("gives clean-up its own time, when the limit that has struck is over", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded(() => Effect.sleep("10 seconds"))
      let cleaned: Exit.Exit<void, unknown> | undefined
      const cleanUp = Effect.exit(work.pipe(Timeout.attempt("1 second"))).pipe(
        Effect.map((exit) => {
          cleaned = exit
        })
      )
      const { at } = yield* drive(Effect.onInterrupt(Effect.never, () => cleanUp).pipe(Deadline.within("1 second")))
      assert.deepStrictEqual(starts, [1_000])
      assert.strictEqual(brief(present(cleaned)), "TimedOut")
      assert.strictEqual(at, 2_000)
    }))

  it.effect("gives clean-up that is detached its time, also after the deadline", () =>
    Effect.gen(function*() {
      const { starts, work } = recorded(() => Effect.sleep("500 millis"))
      const cleanUp = work.pipe(Timeout.attempt("1 second"), Deadline.detach, Effect.orDie)
      const { at, exit } = yield* drive(
        Effect.onInterrupt(Effect.never, () => cleanUp).pipe(Deadline.within("1 second"))
      )
      assert.deepStrictEqual(starts, [1_000])
      assert.strictEqual(brief(exit), "DeadlineExceeded")
      assert.strictEqual(at, 1_500)
    }))

  it.effect("is a retryable failure of the dependency", () =>
    Effect.gen(function*() {
      const { exit } = yield* drive(Effect.never.pipe(Timeout.attempt("1 second")))
      assert.deepStrictEqual(Outcome.fromExit(exit), Outcome.failure())
    }))

  it("is a schema error", () => {
    const error = new Timeout.TimedOut({ policy: "quotes", limit: "total", after: Duration.seconds(2) })
    const encoded = Schema.encodeSync(Timeout.TimedOut)(error)
    assert.deepStrictEqual(encoded, { _tag: "TimedOut", policy: "quotes", limit: "total", after: 2_000 })
    assert.instanceOf(Schema.decodeSync(Timeout.TimedOut)(encoded), Timeout.TimedOut)
  })

  it("says what took too long", () => {
    const message = (limit: Timeout.TimedOut["limit"]) =>
      new Timeout.TimedOut({ policy: "quotes", limit, after: Duration.seconds(2) }).message
    assert.strictEqual(message("attempt"), "quotes: the attempt took longer than 2s")
    assert.strictEqual(message("total"), "quotes: the call took longer than 2s")
    assert.strictEqual(message("firstElement"), "quotes: the first element took longer than 2s")
    assert.strictEqual(message("idle"), "quotes: the next element took longer than 2s")
  })
})

describe("Timeout around a breaker", () => {
  const options = { trip: { kind: "consecutive", failures: 1 } } as const

  it.effect("a call that it cuts counts as a failure where no attempt timeout is set", () =>
    Effect.gen(function*() {
      for (const timeout of [Timeout.total("1 second"), Timeout.attempt("1 second")]) {
        const breaker = yield* CircuitBreaker.make("cut", options)
        yield* drive(breaker.protect(Effect.never).pipe(timeout))
        assert.strictEqual(yield* stateOf(breaker), "Open")
      }
    }))

  it.effect("a call that had its full attempt timeout counts, one that was given less does not", () =>
    Effect.gen(function*() {
      for (const [begins, calls] of [[0, "failure"], [500, "failure"], [501, "ignored"]] as const) {
        const breaker = yield* CircuitBreaker.make("due", options)
        // a hung attempt that its own timeout, for once, does not end
        const attempt = breaker.protect(Effect.never, { attemptTimeout: "500 millis" })
        yield* drive(Effect.andThen(Effect.sleep(begins), attempt).pipe(Timeout.total("1 second")))
        assert.strictEqual((yield* breaker.snapshot).calls[calls], 1, `began at ${begins}`)
      }
    }))

  it.effect("what the work answers after it was cut says nothing any more", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("late", options)
      const stubborn = Effect.uninterruptible(Effect.sleep("2 seconds"))
      yield* drive(breaker.protect(stubborn).pipe(Timeout.total("1 second")))
      assert.strictEqual((yield* breaker.snapshot).calls.failure, 1)
    }))

  it.effect("clean-up that runs after the limit has struck counts as what it is", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("clean-up", options)
      const work = Effect.onInterrupt(Effect.never, () => breaker.protect(Effect.void).pipe(Effect.orDie))
      yield* drive(work.pipe(Timeout.total("1 second")))
      assert.deepInclude((yield* breaker.snapshot).calls, { success: 1, failure: 0, ignored: 0 })
    }))

  it.effect("a caller who goes away is ignored, as is one with a plain Effect.timeout", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("away", options)
      const fiber = yield* start(breaker.protect(Effect.never).pipe(Timeout.total("1 second")))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      yield* drive(breaker.protect(Effect.never).pipe(Effect.timeout("1 second")))
      assert.strictEqual((yield* breaker.snapshot).calls.ignored, 2)
    }))

  it.effect("a probe that it cuts is given back, and opens the breaker again", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("probe", { ...options, open: "5 seconds" })
      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      yield* TestClock.adjust("5 seconds")
      yield* drive(breaker.protect(Effect.never).pipe(Timeout.total("1 second")))
      assert.deepInclude(yield* breaker.snapshot, { state: "Open", openings: 2 })
    }))
})
