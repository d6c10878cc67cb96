import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, MutableRef, Random } from "effect"
import { CircuitBreaker, Deadline, Outcome, Pipeline, Policy, Resilience, Retry, Timeout } from "../../src/index.ts"
import { Boom, brief, draws, drive, ended, now, present, recorded, Says, stateOf } from "../support.ts"

/** The first run of a call fails after 100 ms, the further ones hang. */
const failsThenHangs = () =>
  recorded((n) => n === 1 ? Effect.andThen(Effect.sleep("100 millis"), Effect.fail(new Boom({ n }))) : Effect.never)

interface Call {
  /** When its attempts began, counted from its start. */
  readonly attempts: ReadonlyArray<number>
  /** What the caller got, and when. */
  readonly got: string
  readonly at: number
  /** Failures that the breaker has counted so far, and where it stands. */
  readonly failures: number
  readonly state: string
}

interface Row {
  /** Outermost first. */
  readonly order: string
  readonly means: string
  readonly first: Call
  readonly second: Call
}

// two retries 100 ms apart, a breaker that opens at two failures, a timeout of 250 ms; two calls, one after the other
const table: ReadonlyArray<Row> = [
  {
    order: "timeout, retry, breaker",
    means: "the timeout is for the whole call, and the breaker sees attempts, the cut one as a failure",
    first: { attempts: [0, 200], got: "TimedOut", at: 250, failures: 2, state: "Open" },
    second: { attempts: [], got: "CircuitOpen", at: 0, failures: 2, state: "Open" }
  },
  {
    order: "timeout, breaker, retry",
    means: "the timeout is for the whole call, and the breaker sees calls",
    first: { attempts: [0, 200], got: "TimedOut", at: 250, failures: 1, state: "Closed" },
    second: { attempts: [0, 200], got: "TimedOut", at: 250, failures: 2, state: "Open" }
  },
  {
    order: "retry, timeout, breaker",
    means: "the timeout is for each attempt, and the breaker sees attempts, the cut one as a failure",
    first: { attempts: [0, 200], got: "CircuitOpen", at: 550, failures: 2, state: "Open" },
    second: { attempts: [], got: "CircuitOpen", at: 0, failures: 2, state: "Open" }
  },
  {
    order: "retry, breaker, timeout",
    means: "the timeout is for each attempt, and the breaker sees attempts and their timeouts",
    first: { attempts: [0, 200], got: "CircuitOpen", at: 550, failures: 2, state: "Open" },
    second: { attempts: [], got: "CircuitOpen", at: 0, failures: 2, state: "Open" }
  },
  {
    order: "breaker, retry, timeout",
    means: "the timeout is for each attempt, and the breaker sees calls, whose retries go on",
    first: { attempts: [0, 200, 550], got: "TimedOut", at: 800, failures: 1, state: "Closed" },
    second: { attempts: [0, 200, 550], got: "TimedOut", at: 800, failures: 2, state: "Open" }
  },
  {
    order: "breaker, timeout, retry",
    means: "the timeout is for the whole call, and the breaker sees calls and their timeouts",
    first: { attempts: [0, 200], got: "TimedOut", at: 250, failures: 1, state: "Closed" },
    second: { attempts: [0, 200], got: "TimedOut", at: 250, failures: 2, state: "Open" }
  }
]

/** What becomes of an attempt. */
type Attempt = "answers" | "fails" | "fails slowly" | "hangs" | "is slow" | "dies" | "asks for time" | "is ignored"
const kinds: ReadonlyArray<Attempt> = [
  "answers",
  "fails",
  "fails",
  "fails slowly",
  "hangs",
  "hangs",
  "is slow",
  "dies",
  "asks for time",
  "is ignored"
]

const perform = (kind: Attempt | undefined): Effect.Effect<string, Boom | Says> => {
  switch (kind) {
    case "fails":
      return Effect.fail(new Boom({ n: 1 }))
    case "fails slowly":
      return Effect.andThen(Effect.sleep(150), Effect.fail(new Boom({ n: 2 })))
    case "hangs":
      return Effect.never
    case "is slow":
      return Effect.as(Effect.sleep(199), "late")
    case "dies":
      return Effect.die("bug")
    case "asks for time":
      return Effect.fail(Says.of(Outcome.overload({ retryAfter: 120 })))
    case "is ignored":
      return Effect.fail(Says.of(Outcome.ignored))
    case "answers":
    case undefined:
      return Effect.succeed("answer")
  }
}

describe("pipeline", () => {
  it.effect.each(table)("conformance 35, D6: $order: $means", ({ first, order, second }) =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("B", { trip: { kind: "consecutive", failures: 2 } })
      const names = order.split(", ")
      const parts: Record<string, Policy.Policy<unknown>> = {
        retry: Retry.make({ times: 2, backoff: { kind: "constant", delay: "100 millis" }, jitter: "none" }),
        breaker: breaker.protect,
        timeout: Timeout.make({
          duration: "250 millis",
          limit: names.indexOf("timeout") < names.indexOf("retry") ? "total" : "attempt"
        })
      }
      const policy = Policy.compose(...names.map((name) => present(parts[name])))
      const calls = yield* drive(Effect.forEach([1, 2], () =>
        Effect.gen(function*() {
          const begun = yield* now
          const { starts, work } = failsThenHangs()
          const { at, exit } = yield* ended(policy(work))
          const { calls, state } = yield* breaker.snapshot
          const attempts = starts.map((start) => start - begun)
          return { attempts, got: brief(exit), at: at - begun, failures: calls.failure, state }
        })))
      assert.deepStrictEqual<unknown>(calls.exit, Exit.succeed([first, second]))
    }))

  it.effect("conformance 35, D6: a pipeline is total timeout, retry, breaker, attempt timeout, composed by hand", () =>
    Effect.gen(function*() {
      const { pick } = yield* draws
      const retry = { times: 3, backoff: { kind: "linear", base: "50 millis" }, jitter: "none" } as const
      const circuitBreaker = { trip: { kind: "consecutive", failures: 3 }, open: "500 millis" } as const
      const seen = new Set<unknown>()

      for (let round = 0; round < 300; round++) {
        const script = Array.from({ length: 8 }, () => ({
          pause: pick([0, 100, 600]),
          attempts: Array.from({ length: 4 }, () => pick(kinds))
        }))
        // what callers and the breaker see of the script
        const play = (protect: Policy.Policy<unknown>, breaker: CircuitBreaker.CircuitBreaker | undefined) =>
          Effect.forEach(script, ({ attempts, pause }) =>
            Effect.gen(function*() {
              yield* Effect.sleep(pause)
              const begun = yield* now
              const { starts, work } = recorded((n) => perform(attempts[n - 1]))
              const { at, exit } = yield* ended(protect(work))
              return {
                starts: starts.map((start) => start - begun),
                exit: brief(exit),
                error: exit._tag === "Failure" ? String(exit.cause) : "",
                at: at - begun,
                // the two are played one after the other, at different times of the day
                snapshot: { ...yield* present(breaker).snapshot, openSince: undefined, takenAt: undefined }
              }
            }))

        const pipeline = yield* Pipeline.make(`p${round}`, {
          totalTimeout: "700 millis",
          retry,
          circuitBreaker,
          attemptTimeout: "200 millis"
        })
        const breaker = yield* CircuitBreaker.make(pipeline.name, circuitBreaker)
        const byHand = Policy.compose(
          Timeout.make({ duration: "700 millis", limit: "total", policy: pipeline.name }),
          // a pipeline does not wait for a retry that its own breaker would refuse
          Retry.make({ ...retry, while: () => MutableRef.get(breaker.phase.ref)._tag !== "Open" }),
          (self) => breaker.protect(self, { attemptTimeout: "200 millis" }),
          Timeout.make({ duration: "200 millis", limit: "attempt", policy: pipeline.name })
        )
        const fromPipeline = yield* drive(play(pipeline.protect, pipeline.circuitBreaker))
        const fromHand = yield* drive(play(byHand, breaker))
        assert.deepStrictEqual(fromPipeline.exit, fromHand.exit)
        if (Exit.isSuccess(fromPipeline.exit)) fromPipeline.exit.value.forEach(({ exit }) => seen.add(exit))
      }
      assert.sameMembers([...seen], ["answer", "late", "Boom", "Says", "TimedOut", "CircuitOpen", "die"])
    }).pipe(Random.withSeed("conformance 35"), Effect.provide(Resilience.layer)))

  it.effect("conformance 39: 50 hung calls under a total timeout and no attempt timeout open the breaker", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("hung", { totalTimeout: "1 second", circuitBreaker: {} })
      const calls = Array.from({ length: 50 }, () => ended(pipeline.protect(Effect.never)))
      const { exit } = yield* drive(Effect.all(calls, { concurrency: "unbounded" }))
      assert.isTrue(
        Exit.isSuccess(exit) && exit.value.every(({ at, exit }) => at === 1_000 && brief(exit) === "TimedOut")
      )
      const { calls: counts, state } = yield* present(pipeline.circuitBreaker).snapshot
      assert.strictEqual(counts.failure, 50)
      assert.strictEqual(state, "Open")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 39: 50 callers with a deadline of 10 ms against an attempt timeout of 1 s do not open it", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("impatient", { attemptTimeout: "1 second", circuitBreaker: {} })
      const calls = Array.from(
        { length: 50 },
        () => ended(pipeline.protect(Effect.never).pipe(Deadline.within("10 millis")))
      )
      const { exit } = yield* drive(Effect.all(calls, { concurrency: "unbounded" }))
      assert.isTrue(
        Exit.isSuccess(exit) && exit.value.every(({ at, exit }) => at === 10 && brief(exit) === "DeadlineExceeded")
      )
      const { calls: counts, state } = yield* present(pipeline.circuitBreaker).snapshot
      assert.strictEqual(counts.ignored, 50)
      assert.strictEqual(state, "Closed")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 39: the same holds for a total timeout and a deadline put around a breaker by hand", () =>
    Effect.gen(function*() {
      const hung = yield* CircuitBreaker.make("hung")
      const impatient = yield* CircuitBreaker.make("impatient")
      yield* drive(Effect.all(
        Array.from({ length: 50 }, () =>
          Effect.all([
            ended(hung.protect(Effect.never).pipe(Timeout.total("1 second"))),
            ended(impatient.protect(Effect.never).pipe(Deadline.within("10 millis")))
          ], { concurrency: "unbounded" })),
        { concurrency: "unbounded" }
      ))
      assert.strictEqual(yield* stateOf(hung), "Open")
      assert.strictEqual(yield* stateOf(impatient), "Closed")
      assert.strictEqual((yield* impatient.snapshot).calls.ignored, 50)
    }))
})
