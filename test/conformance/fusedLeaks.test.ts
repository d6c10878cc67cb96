import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Metric, Random, Ref, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { Deadline, Pipeline, Resilience, Retry, Timeout } from "../../src/index.ts"
import { type Boom, boom, brief, draws, pauses, present } from "../support.ts"

/** Counts the fibers and the sleepers that there are. */
const counting = <A, E, R>(
  self: (counted: { fibers: number; sleepers: number }) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) => {
    const counted = { fibers: 0, sleepers: 0 }
    const watched: Clock.Clock = {
      ...clock,
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      sleep: (duration) =>
        Effect.acquireUseRelease(
          Effect.sync(() => counted.sleepers++),
          () => clock.sleep(duration),
          () => Effect.sync(() => counted.sleepers--)
        )
    }
    return self(counted).pipe(
      Effect.provideService(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => {
          counted.fibers++
        },
        recordFiberEnd: () => {
          counted.fibers--
        }
      }),
      Effect.provideService(Clock.Clock, watched)
    )
  })

const retry = { times: 3, backoff: { kind: "exponential", base: 2, cap: 8 } } as const
const circuitBreaker = {
  trip: { kind: "consecutive", failures: 3 },
  open: 3,
  halfOpen: { calls: 2, concurrent: 2 }
} as const
const bulkhead = { concurrency: 1, queue: 1, wait: 6 } as const

describe("a call of the fused path that interrupts its own caller", () => {
  it.effect.each(["work", "onRetry", "classify", "backoff", "retryIf"] as const)(
    "from within its %s leaves no permit, timer, probe or fiber behind",
    (from) =>
      counting((counted) =>
        Effect.gen(function*() {
          let attempts = 0
          let interrupts = 0
          const interrupt = (where: typeof from) => {
            // from the second attempt on, the caller is suspended
            if (where !== from || attempts < 2) return
            interrupts++
            fiber.interruptUnsafe()
          }
          const pipeline = yield* Pipeline.make("p", {
            totalTimeout: "1 minute",
            retry: {
              times: 5,
              backoff: () => {
                interrupt("backoff")
                return "1 second"
              },
              jitter: "none"
            },
            bulkhead: { concurrency: 1 },
            circuitBreaker: { trip: { kind: "consecutive", failures: 100 } },
            attemptTimeout: "10 seconds"
          })
          const work = Effect.suspend(() => {
            attempts++
            interrupt("work")
            return from === "retryIf" ? Effect.succeed("wrong") : boom
          })
          const call = pipeline.protect(work, {
            onRetry: () => Effect.sync(() => interrupt("onRetry")),
            classify: () => {
              interrupt("classify")
              return undefined
            },
            retryIf: () => {
              interrupt("retryIf")
              return true
            }
          })
          const fiber: Fiber.Fiber<string, unknown> = yield* Effect.forkDetach(call)
          yield* TestClock.adjust("1 second")
          assert.isAbove(interrupts, 0)
          assert.strictEqual(brief(yield* Fiber.await(fiber)), "interrupt")
          yield* Effect.yieldNow
          assert.deepStrictEqual({ ...counted }, { fibers: 0, sleepers: 0 })
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(attempts, 2)
          const [snapshot] = yield* (yield* Resilience.Resilience).snapshots
          assert.strictEqual(present(snapshot?.bulkhead).inFlight, 0)
          assert.strictEqual(present(snapshot?.circuitBreaker).inFlight, 0)
          const { calls, ignored } = present(snapshot?.pipeline)
          assert.deepStrictEqual({ calls, ignored }, { calls: 1, ignored: 1 })
        })
      ).pipe(Effect.provide(Resilience.layer))
  )
})

describe("200,000 calls of the fused path under random interruption", () => {
  it.effect("leak no permit, timer, probe or fiber", () =>
    counting((counted) =>
      Effect.gen(function*() {
        const { below, pick } = yield* draws
        const oneIn = (n: number) => below(n) === 0
        const pipelines = [
          yield* Pipeline.make("five", { totalTimeout: 20, retry, bulkhead, circuitBreaker, attemptTimeout: 5 }),
          yield* Pipeline.make("keyed", { retry, bulkhead, keyedCircuitBreaker: circuitBreaker, attemptTimeout: 5 }),
          yield* Pipeline.make("total", { totalTimeout: 9, retry, retryBudget: { share: 1 }, bulkhead, circuitBreaker })
        ]
        const alone = [Retry.make(retry), Timeout.attempt(5), Timeout.total(5), Deadline.within(5)]
        const ends = new Map<unknown, number>()
        let running = 0
        let children = 0

        const work = Effect.suspend((): Effect.Effect<string, Boom> => {
          const end = pick<Effect.Effect<string, Boom>>([Effect.succeed("answer"), boom, boom, Effect.die("bug")])
          const middle = pick<Effect.Effect<unknown>>([
            Effect.void,
            pauses(below(4)),
            Effect.sleep(below(8)),
            Effect.never,
            Effect.uninterruptible(pauses(below(6))),
            Effect.onInterrupt(Effect.never, () => pauses(below(4))),
            Effect.forkChild(
              Effect.acquireUseRelease(Effect.sync(() => children++), () => Effect.never, () =>
                Effect.sync(() => children--)),
              { startImmediately: true }
            )
          ])
          return Effect.acquireUseRelease(
            Effect.sync(() =>
              running++
            ),
            () => Effect.andThen(middle, end),
            () => Effect.sync(() => running--)
          )
        })

        const call = Effect.suspend(() => {
          const guarded: Effect.Effect<string, unknown> = oneIn(4)
            ? pick(alone)(work)
            : pick(pipelines).protect(work, { key: pick(["a", "b"]), idempotent: !oneIn(5) })
          const within = oneIn(6) ? guarded.pipe(Deadline.within(1 + below(8))) : guarded
          return oneIn(10) ? Effect.uninterruptible(Effect.timeout(within, 30)) : within
        })

        for (let calls = 0; calls < 200_000; calls += 20) {
          const fibers = []
          for (let n = 0; n < 20; n++) {
            const fiber = yield* Effect.forkDetach(
              Effect.provideService(call, Scheduler.MaxOpsBeforeYield, oneIn(2) ? 3 + below(20) : 2_048),
              { startImmediately: oneIn(2) }
            )
            fibers.push(fiber)
            if (oneIn(3)) yield* pauses(below(4))
            if (oneIn(3)) fiber.interruptUnsafe()
            if (oneIn(5)) yield* TestClock.adjust(1 + below(4))
          }
          yield* TestClock.adjust(below(6))
          for (const fiber of fibers) if (oneIn(2)) fiber.interruptUnsafe()
          yield* pauses(below(10))
          for (const fiber of fibers) fiber.interruptUnsafe()
          // for those that cannot be interrupted
          for (let n = 0; n < 100 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); n++) {
            yield* TestClock.adjust(10)
            yield* pauses(10)
          }
          for (const fiber of fibers) {
            const end = brief(yield* Fiber.await(fiber))
            ends.set(end, (ends.get(end) ?? 0) + 1)
          }
          // a timer is not waited for, and has a turn to end
          for (let n = 0; n < 20 && counted.fibers > 0; n++) yield* Effect.yieldNow
          assert.deepStrictEqual({ ...counted, running, children }, { fibers: 0, sleepers: 0, running: 0, children: 0 })
        }

        const { parts } = yield* Resilience.Resilience
        const seen = new Map<string, number>()
        for (const { snapshot } of (yield* parts("bulkhead")).values()) {
          const { calls, inFlight, waiting } = yield* snapshot
          assert.deepStrictEqual({ inFlight, waiting }, { inFlight: 0, waiting: 0 })
          for (const [kind, count] of Object.entries(calls)) seen.set(kind, (seen.get(kind) ?? 0) + count)
        }
        for (const [kind, count] of seen) assert.isAbove(count, 100, kind)
        for (const breaker of (yield* parts("circuitBreaker")).values()) {
          const phase = yield* Ref.get(breaker.phase)
          assert.strictEqual((yield* breaker.snapshot).inFlight, 0)
          assert.isTrue(phase._tag !== "HalfOpen" || phase.inFlight === 0)
          assert.isAbove((yield* breaker.snapshot).transitions.halfOpened, 100)
        }
        for (const snapshot of yield* present((yield* parts("keyedCircuitBreaker")).get("keyed")).snapshot) {
          assert.strictEqual(snapshot.inFlight, 0)
        }
        for (
          const end of [
            "answer",
            "Boom",
            "die",
            "interrupt",
            "TimedOut",
            "DeadlineExceeded",
            "CircuitOpen",
            "BulkheadFull"
          ]
        ) {
          assert.isAbove(ends.get(end) ?? 0, 100, `${String(end)}: ${JSON.stringify([...ends])}`)
        }
      })
    ).pipe(Effect.provide(Resilience.layer), Random.withSeed("fused")), 120_000)
})
