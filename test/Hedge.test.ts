import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Random, Scheduler, Semaphore } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Deadline, Hedge, Outcome, Replay, Retry, RetryBudget, Timeout } from "../src/index.ts"
import { Latencies } from "../src/internal/latencies.ts"
import {
  assertRefused,
  Boom,
  brief,
  draws,
  drive,
  ended,
  errorOf,
  manualClock,
  now,
  present,
  recorded,
  Says,
  start
} from "./support.ts"

/** Work that answers with the number of its run after so many milliseconds, by that number. */
const answering = (millis: (n: number) => number) => recorded((n) => Effect.as(Effect.sleep(millis(n)), n))

const hangs = () => recorded(() => Effect.never)

/** What a hedge has counted. */
const counts = (hedge: Hedge.Hedge) => Effect.map(hedge.snapshot, ({ calls, hedges, won }) => ({ calls, hedges, won }))

const delayOf = (hedge: Hedge.Hedge) => Effect.map(hedge.snapshot, ({ delay }) => Duration.toMillis(delay))

describe("Hedge: when another attempt starts", () => {
  it.effect("not where the first answers before the delay is over", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      const { starts, work } = answering(() => 100)
      const { at, exit } = yield* drive(hedge.protect(work))
      // on a tie the answer beats the hedge
      assert.deepStrictEqual([exit, at], [Exit.succeed(1), 100])
      assert.strictEqual(starts.length, 1)
      assert.deepStrictEqual(yield* counts(hedge), { calls: 1, hedges: 0, won: 0 })
    }))

  it.effect("a delay after the latest one, up to the number of hedges, and the first answer wins", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 3 })
      const { starts, work } = answering((n) => n === 3 ? 50 : 10_000)
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual([exit, at], [Exit.succeed(3), 250])
      assert.deepStrictEqual(starts, [0, 100, 200])
      assert.deepStrictEqual(yield* counts(hedge), { calls: 1, hedges: 2, won: 1 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(starts.length, 3)
    }))

  it.effect("one by default, and with zero hedges none", () =>
    Effect.gen(function*() {
      for (const [options, attempts] of [[{ delay: 10 }, 2], [{ delay: 10, hedges: 0 }, 1]] as const) {
        const hedge = yield* Hedge.make("p", options)
        const { starts, work } = answering(() => 1_000)
        yield* drive(hedge.protect(work))
        assert.strictEqual(starts.length, attempts)
      }
    }))

  it.effect("with no delay at once, unless the first has answered at once; with an infinite one after failures alone", () =>
    Effect.gen(function*() {
      const eager = yield* Hedge.make("p", { delay: 0, hedges: 4 })
      const slow = answering(() => 10)
      yield* drive(eager.protect(slow.work))
      assert.deepStrictEqual(slow.starts, [0, 0, 0, 0, 0])
      const quick = recorded(Effect.succeed)
      yield* drive(eager.protect(quick.work))
      assert.strictEqual(quick.starts.length, 1)

      const spare = yield* Hedge.make("p", { delay: "Infinity", hedges: 4 })
      const lone = answering(() => 1_000_000)
      yield* drive(spare.protect(lone.work))
      assert.strictEqual(lone.starts.length, 1)
      const failing = recorded((n) => n < 3 ? Effect.fail(new Boom({ n })) : Effect.succeed(n))
      assert.deepStrictEqual((yield* drive(spare.protect(failing.work))).exit, Exit.succeed(3))
    }))

  it.effect("at once after a failure, and the delay counts from then", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      const { starts, work } = recorded((n) =>
        n === 1 ? Effect.andThen(Effect.sleep(30), Effect.fail(new Boom({ n }))) : Effect.as(Effect.sleep(250), n)
      )
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual(starts, [0, 30, 130, 230])
      assert.deepStrictEqual([exit, at], [Exit.succeed(2), 280])
      const before = yield* now
      const quick = recorded((n) => n === 1 ? Effect.fail(new Boom({ n })) : Effect.as(Effect.sleep(250), n))
      yield* drive(hedge.protect(quick.work))
      assert.deepStrictEqual(quick.starts.map((at) => at - before), [0, 0, 100, 200])
    }))

  it.effect("also after failures that come at once, a hundred times", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 100 })
      const { starts, work } = recorded((n) => Effect.fail(new Boom({ n })))
      const { at, exit } = yield* ended(hedge.protect(work))
      assert.strictEqual(starts.length, 101)
      assert.deepStrictEqual([errorOf(exit), at], [new Boom({ n: 1 }), 0])
    }))

  it.effect("after an overload without a retryAfter, and a result that a classifier calls a failure", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100 })
      const busy = recorded((n) => n === 1 ? Effect.fail(Says.of(Outcome.overload())) : Effect.succeed(n))
      assert.deepStrictEqual((yield* ended(hedge.protect(busy.work))).exit, Exit.succeed(2))
      const wrong = recorded(Effect.succeed)
      const judged = hedge.protect(wrong.work, {
        classify: (exit) => Exit.isSuccess(exit) && exit.value === 1 ? Outcome.failure() : undefined
      })
      assert.deepStrictEqual((yield* ended(judged)).exit, Exit.succeed(2))
    }))

  it.effect("never after a refusal, a failure for good, a defect, an interruption, or one that asks for time", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      const refusal = new CircuitBreaker.CircuitOpen({ policy: "p", retryAfter: Duration.seconds(1) })
      const lasts: ReadonlyArray<Effect.Effect<number, Says | CircuitBreaker.CircuitOpen>> = [
        Effect.fail(refusal),
        Effect.fail(Says.of(Outcome.ignored)),
        Effect.fail(Says.of(Outcome.failure({ retryable: false }))),
        Effect.fail(Says.of(Outcome.failure({ retryAfter: "1 second" }))),
        Effect.fail(Says.of(Outcome.overload({ retryAfter: "1 second" }))),
        Effect.die("bug"),
        Effect.interrupt
      ]
      for (const last of lasts) {
        // as the first attempt: the call ends with it
        const first = recorded(() => Effect.andThen(Effect.sleep(30), last))
        const before = yield* now
        const { at, exit } = yield* ended(hedge.protect(first.work)).pipe(
          start,
          Effect.tap(TestClock.adjust("1 minute")),
          Effect.flatMap(Fiber.join)
        )
        assert.strictEqual(at - before, 30)
        assert.deepStrictEqual(brief(exit), brief(yield* Effect.exit(last)))
        assert.strictEqual(first.starts.length, 1)
        // as a hedge: no other starts, but what runs may answer
        const second = recorded((n) => n === 2 ? last : Effect.as(Effect.sleep(1_000), n))
        const fiber = yield* start(Effect.exit(hedge.protect(second.work)))
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.succeed(1))
        assert.strictEqual(second.starts.length, 2)
      }
    }))

  it.effect("not where the deadline leaves no time for it", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      for (const [deadline, attempts] of [[100, 1], [101, 2], [200, 2], [201, 3]] as const) {
        for (const within of [Deadline.within(deadline), Timeout.total(deadline)]) {
          const { starts, work } = hangs()
          const { exit } = yield* drive(hedge.protect(work).pipe(within))
          assert.include(["DeadlineExceeded", "TimedOut"], brief(exit))
          assert.strictEqual(starts.length, attempts)
        }
      }
      // nor where it has passed already
      const late = recorded((n) => Effect.fail(new Boom({ n })))
      const call = Effect.andThen(Effect.sleep(50), hedge.protect(late.work))
      yield* drive(Effect.uninterruptible(call).pipe(Deadline.within(50)))
      assert.strictEqual(late.starts.length, 1)
    }))
})

describe("Hedge: who wins", () => {
  it.effect("an error that says that the dependency is well, as an answer does", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100 })
      const { starts, work } = recorded((n) =>
        n === 2 ? Effect.andThen(Effect.sleep(10), Effect.fail(Says.of(Outcome.success))) : Effect.never
      )
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual([brief(exit), at, starts.length], ["Says", 110, 2])
      assert.deepStrictEqual(yield* counts(hedge), { calls: 1, hedges: 1, won: 1 })
    }))

  it.effect("the first, although a hedge has failed", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 1 })
      const { work } = recorded((n): Effect.Effect<number, Boom> =>
        n === 2 ? Effect.fail(new Boom({ n })) : Effect.as(Effect.sleep(500), n)
      )
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual([exit, at], [Exit.succeed(1), 500])
      assert.deepStrictEqual(yield* counts(hedge), { calls: 1, hedges: 1, won: 0 })
    }))

  it.effect("a hedge, although the first has died", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100 })
      const { work } = recorded((n) =>
        n === 1 ? Effect.andThen(Effect.sleep(150), Effect.die("bug")) : Effect.as(Effect.sleep(100), n)
      )
      assert.deepStrictEqual((yield* drive(hedge.protect(work))).exit, Exit.succeed(2))
    }))

  it.effect("no result that `retryIf` would have otherwise, while another attempt runs; it starts none", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      const disposed: Array<string> = []
      const options = {
        retryIf: (result: string) => result.startsWith("pending"),
        dispose: (result: string) => Effect.sync(() => disposed.push(result))
      }
      const better = recorded((n) =>
        n === 1 ? Effect.as(Effect.sleep(150), "pending") : Effect.as(Effect.sleep(100), "ready")
      )
      const first = yield* drive(hedge.protect(better.work, options))
      assert.deepStrictEqual([first.exit, first.at], [Exit.succeed("ready"), 200])
      assert.deepStrictEqual(disposed.splice(0), ["pending"])
      assert.strictEqual(better.starts.length, 2)
      // alone, it ends the call at once: whoever polls has a retry around
      const lone = recorded(() => Effect.succeed("pending"))
      assert.deepStrictEqual((yield* ended(hedge.protect(lone.work, options))).exit, Exit.succeed("pending"))
      assert.strictEqual(lone.starts.length, 1)
      assert.deepStrictEqual(disposed, [])
      // where nobody has better, it is the first attempt's that counts
      const none = recorded((n) => Effect.as(Effect.sleep(n === 1 ? 150 : 10), `pending ${n}`))
      assert.deepStrictEqual((yield* drive(hedge.protect(none.work, options))).exit, Exit.succeed("pending 1"))
      assert.deepStrictEqual(disposed, ["pending 2"])
    }))

  it.effect("anything, where `retryIf` or a classifier throws", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100 })
      const throwing = () => {
        throw new Error("bug")
      }
      const { exit } = yield* ended(hedge.protect(Effect.succeed(1), { retryIf: throwing, classify: throwing }))
      assert.deepStrictEqual(exit, Exit.succeed(1))
    }))
})

describe("Hedge: the attempts that lose", () => {
  it.effect("have been interrupted, and have run what is synchronous, before the call goes on", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 2 })
      const log: Array<string> = []
      const { work } = recorded((n) =>
        n === 3
          ? Effect.succeed(n)
          : Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push(`interrupted ${n}`)))
      )
      const call = Effect.tap(hedge.protect(work), (n) => Effect.sync(() => log.push(`answer ${n}`)))
      yield* drive(call)
      assert.deepStrictEqual(log, ["interrupted 1", "interrupted 2", "answer 3"])
    }))

  it.effect("do not hold the call up by clean-up that takes its time, unless that is asked for", () =>
    Effect.gen(function*() {
      for (const [awaitLosers, took] of [[false, 100], [true, 1_100]] as const) {
        const hedge = yield* Hedge.make("p", { delay: 100, awaitLosers })
        let cleaned = 0
        const { work } = recorded((n) =>
          n === 2 ? Effect.succeed(n) : Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => cleaned++))
          )
        )
        const before = yield* now
        const fiber = yield* start(ended(hedge.protect(work)))
        yield* TestClock.adjust("1 minute")
        const { at, exit } = yield* Fiber.join(fiber)
        assert.deepStrictEqual([exit, at - before], [Exit.succeed(2), took])
        assert.strictEqual(cleaned, 1)
      }
    }))

  it.effect("have their results disposed of, whatever becomes of the disposal", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 2 })
      const disposed: Array<number> = []
      const disposals = [
        (n: number) => Effect.sync(() => disposed.push(n)),
        () => Effect.die("bug in a disposal"),
        (): Effect.Effect<void> => {
          throw new Error("bug in a disposal")
        },
        () => Effect.never
      ]
      for (const dispose of disposals) {
        const { work } = answering((n) => n === 1 ? 150 : 100)
        const { exit } = yield* drive(hedge.protect(work, { retryIf: (n) => n === 1, dispose }))
        assert.deepStrictEqual(exit, Exit.succeed(2))
      }
      assert.deepStrictEqual(disposed, [1])
    }))

  it.effect("are all there is where the caller has left: their results are disposed of, and that is waited for", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 2 })
      const disposed: Array<number> = []
      const { starts, work } = answering((n) => n === 1 ? 250 : 10_000)
      const fiber = yield* start(hedge.protect(work, {
        retryIf: (n) => n === 1,
        dispose: (n) => Effect.andThen(Effect.sleep(10), Effect.sync(() => disposed.push(n)))
      }))
      yield* TestClock.adjust(500)
      fiber.interruptUnsafe()
      yield* TestClock.adjust(9)
      assert.strictEqual(starts.length, 3)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(disposed, [1])
    }))

  it.effect("include a hedge that has let the first attempt answer when it was being started", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 2 })
      const log: Array<string> = []
      const dispose = (n: number) => Effect.sync(() => log.push(`disposed ${n}`))
      const goesOn = [
        (n: number) => Effect.succeed(n),
        (n: number) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push(`interrupted ${n}`))),
        (n: number) => Effect.as(Effect.andThen(Replay.commit, Effect.sync(() => log.push("committed"))), n)
      ]
      for (const more of goesOn) {
        const first = yield* Deferred.make<number>()
        const { work } = recorded((n) =>
          n === 1
            ? Deferred.await(first)
            : Effect.andThen(Effect.sync(() => Deferred.doneUnsafe(first, Effect.succeed(1))), more(n))
        )
        assert.deepStrictEqual((yield* drive(hedge.protect(work, { dispose }))).exit, Exit.succeed(1))
      }
      assert.deepStrictEqual(log, ["disposed 2", "interrupted 2"])
    }))

  it.effect("are all that were started, also where the start of one has interrupted the caller", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      for (const answers of [true, false]) {
        const callers: Array<Fiber.Fiber<unknown>> = []
        const { starts, work } = recorded((n) => {
          if (n === 2) { for (const caller of callers) caller.interruptUnsafe() }
          return n === 2 && answers ? Effect.succeed(n) : Effect.never
        })
        callers.push(yield* start(hedge.protect(work)))
        yield* TestClock.adjust("1 minute")
        assert.isTrue(Exit.hasInterrupts(present(present(callers[0]).pollUnsafe())))
        assert.strictEqual(starts.length, 2)
      }
    }))

  it.effect("include the winner, where the caller is interrupted before it has got the result", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100 })
      const disposed: Array<string> = []
      const call: Effect.Effect<string> = Effect.withFiber((caller) =>
        hedge.protect(
          Effect.sync(() => {
            caller.interruptUnsafe()
            return "answer"
          }),
          { dispose: (result) => Effect.sync(() => disposed.push(result)) }
        )
      )
      const fiber = yield* start(call)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(disposed, ["answer"])
    }))

  it.effect("give back what they hold", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 2 })
      const semaphore = yield* Semaphore.make(3)
      const { work } = recorded((n) => n === 3 ? Effect.as(Effect.sleep(50), n) : Effect.never)
      const { exit } = yield* drive(hedge.protect(semaphore.withPermit(work)))
      assert.deepStrictEqual(exit, Exit.succeed(3))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(semaphore.withPermits(3)(Effect.void).pipe(Effect.timeout(1)))))
    }))
})

describe("Hedge: the delay that follows latency", () => {
  const following = { delay: { quantile: 0.9, initial: 500, minimumSamples: 10, samples: 20 }, hedges: 1 } as const
  /** Calls that answer after so many milliseconds, one after the other. */
  const feed = (hedge: Hedge.Hedge, latencies: ReadonlyArray<number>) =>
    Effect.forEach(latencies, (millis) => drive(hedge.protect(Effect.sleep(millis)), "10 seconds"), { discard: true })
  const near = (actual: number, expected: number) =>
    assert.isBelow(Math.abs(actual - expected) / expected, 0.026, `${actual} is not near ${expected}`)

  it.effect("is the initial one until there are enough samples, and their quantile then", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", following)
      yield* feed(hedge, [10, 20, 30, 40, 50, 60, 70, 80, 90])
      assert.strictEqual(yield* delayOf(hedge), 500)
      yield* feed(hedge, [100])
      near(yield* delayOf(hedge), 90)
      // the oldest go when there are more than `samples`
      yield* feed(hedge, Array.from({ length: 20 }, () => 7))
      near(yield* delayOf(hedge), 7)
    }))

  it.effect("is the 95th percentile after 20 samples by default, and a second before", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p")
      yield* feed(hedge, Array.from({ length: 19 }, (_, n) => 10 * (n + 1)))
      assert.strictEqual(yield* delayOf(hedge), 1_000)
      yield* feed(hedge, [200])
      near(yield* delayOf(hedge), 190)
    }))

  it.effect("starts the hedges of the calls that follow", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", following)
      yield* feed(hedge, Array.from({ length: 10 }, () => 40))
      const { starts, work } = answering((n) => n === 1 ? 1_000 : 5)
      const { exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual(exit, Exit.succeed(2))
      near(present(starts[1]) - present(starts[0]), 40)
    }))

  it.effect("knows the slow calls that a hedge has cut short, and does not follow the hedges down", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", following)
      // half of all first attempts are slow, and all hedges are fast
      yield* feed(hedge, Array.from({ length: 20 }, (_, n) => n % 2 === 0 ? 10 : 400))
      near(yield* delayOf(hedge), 400)
      for (let call = 0; call < 40; call++) {
        const { work } = answering((n) => n === 1 ? (call % 2 === 0 ? 10 : 5_000) : 1)
        yield* drive(hedge.protect(work), "10 seconds")
      }
      assert.isAtLeast(yield* delayOf(hedge), 389)
    }))

  it.effect("takes one sample of each call, whoever wins it", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: { quantile: 0.5, initial: 50, samples: 10, minimumSamples: 2 } })
      const { work } = answering((n) => n === 1 ? 1_000 : 5)
      yield* drive(hedge.protect(work))
      assert.strictEqual(yield* delayOf(hedge), 50)
      yield* feed(hedge, [20])
      near(yield* delayOf(hedge), 20)
    }))

  it.effect("learns from answers alone: not from failures, refusals or callers who leave", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { ...following, hedges: 0 })
      yield* feed(hedge, Array.from({ length: 10 }, () => 40))
      for (const error of [Outcome.failure(), Outcome.overload(), Outcome.ignored]) {
        for (let n = 0; n < 20; n++) yield* Effect.exit(hedge.protect(Effect.fail(Says.of(error))))
      }
      for (let n = 0; n < 20; n++) yield* Fiber.interrupt(yield* start(hedge.protect(Effect.never)))
      near(yield* delayOf(hedge), 40)
      // an error that says that the dependency is well is an answer
      for (let n = 0; n < 20; n++) yield* Effect.exit(hedge.protect(Effect.fail(Says.of(Outcome.success))))
      assert.strictEqual(yield* delayOf(hedge), 1)
    }))

  it.effect("stays between its bounds", () =>
    Effect.gen(function*() {
      const { delay } = following
      const hedge = yield* Hedge.make("p", { delay: { ...delay, minimum: "20 millis", maximum: "2 seconds" } })
      yield* feed(hedge, Array.from({ length: 20 }, () => 1))
      assert.strictEqual(yield* delayOf(hedge), 20)
      yield* feed(hedge, Array.from({ length: 20 }, () => 4_000))
      assert.strictEqual(yield* delayOf(hedge), 2_000)
    }))

  it("is the quantile of the last samples, off by 2.5 % at most, and as fast for any number of them", () => {
    let seed = 1
    const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    for (const size of [1, 2, 3, 17, 100, 1_000]) {
      for (const quantile of [0.01, 0.5, 0.9, 0.95, 0.99, 0.999]) {
        const latencies = new Latencies(size, quantile)
        const model: Array<number> = []
        for (let n = 0; n < 1_500; n++) {
          // mostly alike, with jumps, so that the quantile has far to go
          const millis = Math.exp(random() * 3 + (Math.floor(n / 200) % 3) * 4) / 10
          latencies.add(millis)
          model.push(millis)
          if (model.length > size) model.shift()
          if (n % 7 !== 0) continue
          const sorted = model.toSorted((a, b) => a - b)
          const expected = present(sorted[Math.max(0, Math.ceil(quantile * sorted.length - 1e-9) - 1)])
          const off = Math.abs(latencies.read() - expected) / expected
          if (off > 0.02501) assert.fail(`${size} samples, ${quantile}: ${latencies.read()} for ${expected}`)
        }
      }
    }
  })

  it("takes any number for a latency", () => {
    const latencies = new Latencies(10, 0.5)
    for (const millis of [0, -1, Number.MIN_VALUE, 1e-9]) latencies.add(millis)
    assert.isBelow(latencies.read(), 0.0101)
    for (let n = 0; n < 10; n++) latencies.add(n % 2 === 0 ? Infinity : Number.MAX_VALUE)
    assert.isAbove(latencies.read(), 3_500_000)
  })
})

describe("Hedge: its budget", () => {
  const options = { delay: 100, hedges: 2 } as const

  it.effect("lets no hedge start when it is empty, neither after the delay nor after a failure", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 1 })
      const hedge = yield* Hedge.make("p", { ...options, budget })
      const slow = answering(() => 1_000)
      assert.deepStrictEqual((yield* drive(hedge.protect(slow.work), "5 seconds")).exit, Exit.succeed(1))
      assert.strictEqual(slow.starts.length, 2)
      const failing = recorded((n) => Effect.fail(new Boom({ n })))
      assert.deepStrictEqual(errorOf((yield* ended(hedge.protect(failing.work))).exit), new Boom({ n: 1 }))
      assert.strictEqual(failing.starts.length, 1)
      assert.deepInclude(yield* budget.snapshot, { calls: 2, spent: 1, left: 0, refused: 2 })
    }))

  it.effect("is shared with a retry around, which counts the call once", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 4 })
      const hedge = yield* Hedge.make("p", { ...options, budget })
      const { starts, work } = recorded((n) => Effect.fail(new Boom({ n })))
      const { exit } = yield* ended(hedge.protect(work).pipe(Retry.make({ times: 5, backoff: () => 0, budget })))
      // the first attempt with two hedges, a retry with one hedge: four permits
      assert.strictEqual(starts.length, 5)
      assert.strictEqual(brief(exit), "Boom")
      assert.deepInclude(yield* budget.snapshot, { calls: 1, spent: 4, left: 0 })
    }))

  it.effect("counts each call that a longer one makes", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make("p", { share: 0, minimum: 4 })
      const hedge = yield* Hedge.make("p", { ...options, budget })
      const worker = Effect.forEach([1, 2, 3], () => hedge.protect(Effect.void), { discard: true })
      yield* worker.pipe(Retry.make({ budget }))
      assert.deepInclude(yield* budget.snapshot, { calls: 3 })
    }))
})

describe("Hedge: work that commits itself", () => {
  it.effect("goes on alone: what runs beside it is interrupted, and no other starts", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      const interrupted: Array<number> = []
      const { starts, work } = recorded((n) =>
        n === 2
          ? Effect.andThen(Effect.sleep(150), Replay.commit).pipe(Effect.andThen(Effect.as(Effect.sleep(10_000), n)))
          : Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(n)))
      )
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual([exit, at], [Exit.succeed(2), 10_250])
      assert.deepStrictEqual(starts, [0, 100, 200])
      assert.deepStrictEqual(interrupted, [1, 3])
      assert.deepStrictEqual(yield* counts(hedge), { calls: 1, hedges: 2, won: 1 })
    }))

  it.effect("ends the call with its own failure, which starts no hedge, and no retry either", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      const { starts, work } = recorded((n) =>
        n === 2 ? Effect.andThen(Replay.commit, Effect.fail(new Boom({ n }))) : Effect.never
      )
      const { at, exit } = yield* drive(hedge.protect(work).pipe(Retry.make({ times: 5 })))
      assert.deepStrictEqual([errorOf(exit), at], [new Boom({ n: 2 }), 100])
      assert.strictEqual(starts.length, 2)
    }))

  it.effect("disposes of what the others have brought, once", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 3 })
      const disposed: Array<number> = []
      const { starts, work } = recorded((n) => {
        // a result that is not wanted, one that would have come too late, and the one that counts
        if (n < 3) return Effect.as(Effect.sleep(n === 1 ? 250 : 500), n)
        return Effect.sleep(100).pipe(
          Effect.andThen(Replay.commit),
          Effect.andThen(Replay.commit),
          Effect.andThen(Effect.sleep(500)),
          Effect.as(n)
        )
      })
      const { at, exit } = yield* drive(hedge.protect(work, {
        retryIf: (n) => n === 1,
        dispose: (n) => Effect.sync(() => disposed.push(n))
      }))
      assert.deepStrictEqual([exit, at], [Exit.succeed(3), 800])
      assert.deepStrictEqual(disposed, [1])
      assert.strictEqual(starts.length, 3)
    }))

  it.effect("waits for its interruption where another attempt has been faster, also where it is uninterruptible", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, awaitLosers: true })
      const past: Array<number> = []
      const { work } = recorded((n) =>
        Effect.sleep(n === 1 ? 300 : 100).pipe(
          Effect.andThen(Replay.commit),
          Effect.andThen(Effect.sync(() => past.push(n))),
          Effect.andThen(Effect.sleep(1_000)),
          Effect.as(n),
          Effect.uninterruptible
        )
      )
      const { at, exit } = yield* drive(hedge.protect(work))
      assert.deepStrictEqual([exit, at], [Exit.succeed(2), 1_200])
      assert.deepStrictEqual(past, [2])
    }))

  it.effect("is not what an attempt has left running behind itself", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 1 })
      const { work } = recorded((n): Effect.Effect<number, Boom> =>
        n === 1
          ? Effect.andThen(
            Effect.forkDetach(Effect.andThen(Effect.sleep(50), Replay.commit)),
            Effect.fail(new Boom({ n }))
          )
          : Effect.as(Effect.sleep(200), n)
      )
      assert.deepStrictEqual((yield* drive(hedge.protect(work))).exit, Exit.succeed(2))
    }))
})

describe("Hedge", () => {
  it.effect("keeps its latencies and its counters when it is given other settings, which hold from the next call on", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: { quantile: 0.5, minimumSamples: 1, samples: 10 } })
      yield* drive(hedge.protect(Effect.sleep(50)))
      const before = yield* delayOf(hedge)
      const other = Hedge.settings({
        hedges: 3,
        delay: { quantile: 0.5, minimumSamples: 1, samples: 10, initial: "1 minute" }
      })
      yield* hedge.reconfigure(other)
      assert.strictEqual(hedge.settings, other)
      assert.strictEqual(yield* delayOf(hedge), before)
      const running = hangs()
      const fiber = yield* start(hedge.protect(running.work))
      yield* hedge.reconfigure(Hedge.settings({ delay: 10, hedges: 0 }))
      yield* TestClock.adjust("1 minute")
      // under the settings that it began with
      assert.strictEqual(running.starts.length, 4)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* delayOf(hedge), 10)
      assert.deepStrictEqual(yield* counts(hedge), { calls: 2, hedges: 3, won: 0 })
      yield* hedge.reconfigure(other)
      assert.strictEqual(yield* delayOf(hedge), 60_000)
    }))

  it.effect("tells who watches it of every hedge and of those that win, before the call goes on", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 2 })
      const told: Array<unknown> = []
      const watch: Hedge.Watch = {
        hedging: (n) => told.push(["hedging", n]),
        won: (n) => told.push(["won", n]),
        willRefuse: () => false
      }
      const { work } = answering((n) => n === 2 ? 150 : 10_000)
      yield* drive(Effect.tap(Hedge.run(work, hedge, undefined, watch), () => Effect.sync(() => told.push("answer"))))
      assert.deepStrictEqual(told.splice(0), [["hedging", 1], ["hedging", 2], ["won", 1], "answer"])
      yield* drive(Hedge.run(Effect.sleep(150), hedge, undefined, watch))
      assert.deepStrictEqual(told, [["hedging", 1]])
    }))

  it.effect("runs what an attempt needs in that attempt's context", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 10 })
      const { starts, work } = recorded(() => Effect.flatMap(Random.Random, (random) => Effect.succeed(random)))
      const random = { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 1 }
      const { exit } = yield* drive(hedge.protect(work).pipe(Effect.provideService(Random.Random, random)))
      assert.deepStrictEqual(exit, Exit.succeed(random))
      assert.strictEqual(starts.length, 1)
    }))

  it.effect("ends what an attempt has forked as its child with that attempt", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 10 })
      let ended = 0
      const child = Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++))
      const { work } = recorded((n) =>
        Effect.andThen(Effect.forkChild(child, { startImmediately: true }), n === 1 ? Effect.never : Effect.succeed(n))
      )
      yield* drive(hedge.protect(work))
      assert.strictEqual(ended, 2)
    }))

  it.effect("runs a hundred thousand calls without growing the stack", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 0 })
      const yielding = hedge.protect(Effect.yieldNow)
      for (let n = 0; n < 20_000; n++) yield* yielding
      const immediate = hedge.protect(Effect.void)
      for (let n = 0; n < 80_000; n++) yield* immediate
      assert.deepInclude(yield* counts(hedge), { calls: 100_000, hedges: 20_000 })
    }))

  it.effect("leaves no timer behind", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 100, hedges: 5 })
      let timers = 0
      const manual = manualClock(() =>
        Effect.suspend(() => {
          timers++
          return Effect.onInterrupt(Effect.never, () => Effect.sync(() => timers--))
        })
      )
      const { starts, work } = recorded((n): Effect.Effect<void, Boom> =>
        n === 1 ? Effect.fail(new Boom({ n })) : Effect.andThen(Effect.yieldNow, Effect.sync(() => seen.push(timers)))
      )
      const seen: Array<number> = []
      yield* Effect.provideService(hedge.protect(work), Clock.Clock, manual.clock)
      assert.deepStrictEqual([starts.length, seen, timers], [2, [1], 0])
    }))

  it.effect("comes to its end wherever the scheduler makes it yield", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make("p", { delay: 1, hedges: 2 })
      for (let ops = 3; ops < 30; ops++) {
        for (let yields = 0; yields < 5; yields++) {
          const work = Effect.forEach(Array.from({ length: yields }), () => Effect.yieldNow, { discard: true })
          const fiber = yield* start(Effect.provideService(hedge.protect(work), Scheduler.MaxOpsBeforeYield, ops))
          for (let turn = 0; turn < 200 && fiber.pollUnsafe() === undefined; turn++) yield* Effect.yieldNow
          assert.deepStrictEqual(fiber.pollUnsafe(), Exit.void, `${ops} operations, ${yields} yields`)
        }
      }
    }))

  it("refuses what it cannot do, and says why", () => {
    const bad = (options: unknown) => () => Hedge.make("p", options as Hedge.MakeOptions)
    const quantile = (delay: object) => bad({ delay: { quantile: 0.9, ...delay } })
    const table: ReadonlyArray<readonly [() => unknown, string]> = [
      [() => Hedge.make(""), "Hedge: name must be a non-empty string, got \"\""],
      [bad(5), "Hedge: options must be an object, got 5"],
      [bad({ hedge: 2 }), "Hedge: unknown option \"hedge\"; it takes hedges, delay, awaitLosers, budget"],
      [bad({ hedges: -1 }), "Hedge: hedges must be an integer from 0 to 100, got -1"],
      [bad({ hedges: 101 }), "Hedge: hedges must be an integer from 0 to 100, got 101"],
      [bad({ hedges: 1.5 }), "Hedge: hedges must be an integer from 0 to 100, got 1.5"],
      [bad({ hedges: NaN }), "Hedge: hedges must be an integer from 0 to 100, got NaN"],
      [bad({ hedges: "1" }), "Hedge: hedges must be an integer from 0 to 100, got \"1\""],
      [bad({ delay: -1 }), "Hedge: delay must be a duration of zero or more, got -1"],
      [bad({ delay: NaN }), "Hedge: delay must be a duration of zero or more, got NaN"],
      [bad({ delay: "soon" }), "Hedge: delay must be a duration of zero or more, got \"soon\""],
      [bad({ delay: null }), "Hedge: delay must be a duration of zero or more, got null"],
      [bad({ delay: {} }), "Hedge: delay must be a duration of zero or more, got {  }"],
      [quantile({ quantile: 0 }), "Hedge: delay.quantile must be above 0 and below 1, got 0"],
      [quantile({ quantile: 1 }), "Hedge: delay.quantile must be above 0 and below 1, got 1"],
      [quantile({ quantile: 95 }), "Hedge: delay.quantile must be above 0 and below 1, got 95"],
      [quantile({ quantile: NaN }), "Hedge: delay.quantile must be above 0 and below 1, got NaN"],
      [quantile({ quantile: "0.9" }), "Hedge: delay.quantile must be above 0 and below 1, got \"0.9\""],
      [quantile({ initial: -1 }), "Hedge: delay.initial must be a duration of zero or more, got -1"],
      [quantile({ samples: 0 }), "Hedge: delay.samples must be an integer from 1 to 65535, got 0"],
      [quantile({ samples: 1e6 }), "Hedge: delay.samples must be an integer from 1 to 65535, got 1000000"],
      [
        quantile({ samples: 10, minimumSamples: 11 }),
        "Hedge: delay.minimumSamples must be an integer from 1 to 10, got 11"
      ],
      [quantile({ minimum: "Infinity" }), "Hedge: delay.minimum must be a finite duration of zero or more"],
      [quantile({ maximum: 0 }), "Hedge: delay.maximum must be a duration above zero, got 0"],
      [quantile({ minimum: 20, maximum: 10 }), "Hedge: delay.maximum must be at least delay.minimum, got 10"],
      [quantile({ initially: 1 }), "Hedge.delay: unknown option \"initially\"; it takes quantile, initial"],
      [bad({ awaitLosers: "yes" }), "Hedge: awaitLosers must be true or false, got \"yes\""],
      [bad({ budget: { share: 0.5 } }), "Hedge: budget must be a budget that RetryBudget.make has made, got"]
    ]
    assertRefused(table)
  })

  it("has settings that are plain data, equal where the options are", () => {
    const options = { hedges: 2, delay: { quantile: 0.9 } } as const
    assert.deepStrictEqual(Hedge.settings(options), Hedge.settings({ ...options }))
    assert.deepStrictEqual(Hedge.settings(), {
      hedges: 1,
      delay: {
        quantile: 0.95,
        initial: 1_000,
        samples: 1_000,
        minimumSamples: 20,
        minimum: 1,
        maximum: Infinity
      },
      awaitLosers: false
    })
  })

  it.effect(
    "leaks nothing in 100,000 random steps with random interruptions: no fiber, no result, no permit",
    () =>
      Effect.gen(function*() {
        const { below } = yield* draws
        const alive = { steps: 0, running: 0, disposing: 0 }
        const pauses = (n: number) =>
          Effect.forEach(Array.from({ length: n }), () => {
            alive.steps++
            return Effect.yieldNow
          }, { discard: true })
        const budget = yield* RetryBudget.make("p", { share: 1, minimum: 100_000, window: "1000 days" })

        const isRunning = (fiber: Fiber.Fiber<unknown, unknown>) => fiber.pollUnsafe() === undefined
        let lost = 0
        let made = 0
        const seen = { won: 0, interrupted: 0, failed: 0, disposed: 0 }
        const open = new Set<number>()
        const dispose = (resource: number) =>
          Effect.suspend(() => {
            alive.disposing++
            return Effect.andThen(
              pauses(below(3)),
              Effect.sync(() => {
                alive.disposing--
                seen.disposed++
                if (!open.delete(resource)) assert.fail(`${resource} was disposed of twice, or never made`)
              })
            )
          })

        const work = Effect.suspend((): Effect.Effect<void, Boom | Says> => {
          switch (below(8)) {
            case 0:
              return Effect.fail(new Boom({ n: 0 }))
            case 1:
              return Effect.fail(Says.of(Outcome.ignored))
            case 2:
              return Effect.die("bug")
            case 3:
              return Effect.sleep(60)
            case 4:
              return Effect.sleep(below(30))
            case 5:
              return Effect.uninterruptible(pauses(below(5)))
            case 6:
              return Effect.andThen(Replay.commit, pauses(below(5)))
          }
          return Effect.void
        })
        const attempt = Effect.suspend(() => {
          let began = 0
          const begun = Effect.suspend(() => {
            alive.running += ++began
            return Effect.andThen(pauses(below(6)), work)
          })
          return Effect.onExitPrimitive(begun, () => {
            alive.running -= began
            return below(3) === 0 ? pauses(below(4)) : undefined
          })
        }).pipe(Effect.andThen(Effect.sync(() => {
          open.add(++made)
          return made
        })))
        const hedges = yield* Effect.forEach([0, 1, 3], (hedges) =>
          Effect.forEach([0, 3], (delay) =>
            Effect.forEach([true, false], (awaitLosers) =>
              Hedge.make("p", { hedges, delay, awaitLosers, budget }))))
        const flat = hedges.flat(2)
        const call = Effect.suspend(() => {
          const hedge = present(flat[below(flat.length)])
          const picky = below(2) === 0
          const made = hedge.protect(attempt, {
            dispose,
            retryIf: (n) =>
              picky && n % 3 === 0
          })
          const got = Effect.onExitPrimitive(made, (exit) => {
            if (Exit.isSuccess(exit)) {
              seen.won++
              open.delete(exit.value)
            } else if (Exit.hasInterrupts(exit)) {
              seen.interrupted++
            } else seen.failed++
            return undefined
          })
          return Effect.provideService(got, Scheduler.MaxOpsBeforeYield, 3 + below(8))
        })

        for (let round = 0; alive.steps < 100_000; round++) {
          const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
            Effect.forkDetach(call))
          for (const fiber of fibers) {
            yield* pauses(below(10))
            if (below(2) === 0) yield* TestClock.adjust(below(5))
            if (below(2) === 0) fiber.interruptUnsafe()
          }
          // whoever is in the middle of something comes to its end
          for (let n = 0; n < 1_000 && (alive.running > 0 || alive.disposing > 0 || fibers.some(isRunning)); n++) {
            yield* TestClock.adjust(1)
            yield* pauses(5)
          }
          const left = { ...alive, steps: 0, calls: fibers.filter(isRunning).length }
          assert.deepStrictEqual(left, { steps: 0, running: 0, disposing: 0, calls: 0 }, `round ${round}`)
          lost += open.size
          open.clear()
        }
        // an interrupt may fall between a call's return and its caller, as after any effect: that is the caller's loss
        assert.isAtMost(lost, 2)
        for (const count of Object.values(seen)) assert.isAbove(count, 100)
        const started = yield* Effect.forEach(flat, (hedge) => hedge.snapshot)
        const spent = started.reduce((sum, { hedges }) => sum + hedges, 0)
        assert.isAbove(spent, 1_000)
        assert.deepInclude(yield* budget.snapshot, { spent, calls: started.reduce((sum, { calls }) => sum + calls, 0) })
      }).pipe(Random.withSeed("hedge")),
    30_000
  )
})
