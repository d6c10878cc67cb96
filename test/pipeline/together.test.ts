import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Outcome, Pipeline, type Policy, Resilience, ResilienceConfig, Timeout } from "../../src/index.ts"
import { Boom, drive, listen, present, recorded, Says, start } from "../support.ts"

class GeoError extends Schema.TaggedError<GeoError>()("GeoError", { reason: Schema.String }) {}

class Geo extends Context.Service<Geo, {
  readonly locate: (address: string) => Effect.Effect<string, GeoError>
  readonly count: () => Effect.Effect<number, GeoError>
}>()("Geo") {}

const mapError = ({ _tag }: Pipeline.PipelineError) => new GeoError({ reason: _tag })

const once = { trip: { kind: "consecutive", failures: 1 } } as const

describe("a protected service", () => {
  it.effect("maps the refusal of an operation's own part", () => {
    class P
      extends Pipeline.Service<P>()("p", { circuitBreaker: {}, operations: { locate: { circuitBreaker: once } } })
    {}
    const safe = Pipeline.protectService(Geo, { locate: { pipeline: P, mapError } }).pipe(
      Layer.provide(Layer.succeed(Geo, {
        locate: () => Effect.fail(new GeoError({ reason: "down" })),
        count: () => Effect.succeed(1)
      })),
      Layer.provide(P.layerTest())
    )
    return Effect.gen(function*() {
      const geo = yield* Geo
      yield* Effect.flip(geo.locate("a"))
      assert.strictEqual((yield* Effect.flip(geo.locate("a"))).reason, "CircuitOpen")
    }).pipe(Effect.provide(safe))
  })

  it.effect("maps a timeout whose limit was inherited", () => {
    class P extends Pipeline.Service<P>()("p", { attemptTimeout: "5 seconds" }) {}
    const safe = Pipeline.protectService(Geo, { locate: { pipeline: P, mapError } }).pipe(
      Layer.provide(Layer.succeed(Geo, { locate: () => Effect.never, count: () => Effect.succeed(1) })),
      Layer.provide(P.layerTest())
    )
    return Effect.gen(function*() {
      const seen: Array<string> = []
      const geo = yield* Geo
      const locating = Effect.catch(geo.locate("a"), (error) => Effect.sync(() => seen.push(error._tag)))
      yield* drive(Timeout.total("1 second")(locating))
      assert.deepStrictEqual(seen, ["GeoError"])
    }).pipe(Effect.provide(safe))
  })

  it.effect("may be an instance with private fields, whose other methods run on it", () => {
    class Impl {
      calls = 0
      readonly #start = 41
      locate() {
        return Effect.sync(() => `${this.calls}`)
      }
      count() {
        return Effect.sync(() => ++this.calls + this.#start)
      }
    }
    class P extends Pipeline.Service<P>()("p", {}) {}
    const safe = Pipeline.protectService(Geo, { locate: P }).pipe(
      Layer.provide(Layer.succeed(Geo, new Impl())),
      Layer.provide(P.layerTest())
    )
    return Effect.gen(function*() {
      const geo = yield* Geo
      assert.strictEqual(yield* geo.count(), 42)
      assert.strictEqual(yield* geo.locate("a"), "1")
      assert.isTrue("count" in geo)
      assert.instanceOf(geo, Impl)
      const { count } = geo
      assert.strictEqual(yield* count(), 43)
    }).pipe(Effect.provide(safe))
  })
})

describe("hedges and the rest", () => {
  it.live("are told under the number of their call, on a real clock too", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience)
      const pipeline = yield* Pipeline.make("p", { hedge: { delay: "5 millis" } })
      const { work } = recorded((n) => n === 1 ? Effect.never : Effect.as(Effect.sleep("5 millis"), "answer"))
      yield* pipeline.protect(work)
      // the listener has its turn
      while (events.length < 2) yield* Effect.yieldNow
      assert.deepStrictEqual(events.map((event) => [event._tag, "call" in event ? event.call : 0]), [
        ["Hedged", 1],
        ["HedgeWon", 1]
      ])
    }).pipe(Effect.provide(Resilience.layer), Effect.timeout("20 seconds")))

  it.effect("a retry does not undercut the rest that a hedge was asked for", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        hedge: { delay: "1 second" },
        retry: { times: 1, backoff: { kind: "constant", delay: "10 millis" }, jitter: "none" }
      })
      const { starts, work } = recorded((n): Effect.Effect<string, Boom | Says> =>
        n === 1
          ? Effect.andThen(Effect.sleep("3 seconds"), Effect.fail(new Boom({ n })))
          : n === 2
          ? Effect.fail(Says.of(Outcome.overload({ retryAfter: "20 seconds" })))
          : Effect.succeed("answer")
      )
      yield* drive(pipeline.protect(work))
      assert.isAtLeast(present(starts[2]), 21_000)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("no hedge is spent on a breaker that is open by then", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("p", {
        hedge: { delay: "1 second" },
        retryBudget: {},
        circuitBreaker: { ...once, open: "1 hour" }
      })
      yield* start(pipeline.protect(Effect.sleep("10 seconds")))
      yield* Effect.exit(pipeline.protect(Effect.fail(Says.of(Outcome.failure({ retryable: false })))))
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual((yield* pipeline.counts).hedges, 0)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("pipelines of one name", () => {
  it.effect("run under their own functions, over the same parts", () =>
    Effect.gen(function*() {
      // it adds its user as an error, whatever it wraps
      const as = <U extends string>(user: U): Policy.Policy<U> => (self) => Effect.andThen(self, Effect.fail(user))
      const one = yield* Pipeline.make("p", { around: { work: as("alice") }, circuitBreaker: once })
      const two = yield* Pipeline.make("p", { around: { work: as("bob") }, circuitBreaker: once })
      assert.strictEqual(yield* Effect.flip(two.protect(Effect.void)), "bob")
      assert.strictEqual(one.circuitBreaker, two.circuitBreaker)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("are one of two changes whole, where two are made at a time", () =>
    Effect.gen(function*() {
      const trip = (failures: number) => ({ trip: { kind: "consecutive", failures } }) as const
      const pipeline = yield* Pipeline.make("p", {
        circuitBreaker: trip(1),
        bulkhead: { concurrency: 1 },
        throttle: {},
        hedge: {},
        retryBudget: {}
      })
      const off = { bulkhead: false, throttle: false, hedge: false, retryBudget: false } as const
      const changes = [
        pipeline.reconfigure({ circuitBreaker: trip(22) }),
        pipeline.reconfigure({ circuitBreaker: trip(11), ...off })
      ]
      yield* Effect.all(changes, { concurrency: 2 }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, 3))
      assert.deepStrictEqual(pipeline.circuitBreaker?.settings, pipeline.settings.circuitBreaker?.settings)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("what is counted", () => {
  it.effect("is what is told, wherever an interrupt falls", () =>
    Effect.gen(function*() {
      const events = yield* listen(yield* Resilience.Resilience, { attempts: true, calls: true })
      const pipeline = yield* Pipeline.make("p", { retry: {} })
      for (let ops = 3; ops < 9; ops++) {
        for (let turns = 0; turns < 30; turns++) {
          const call = yield* start(
            pipeline.protect(Effect.never).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, ops))
          )
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(call)
          yield* TestClock.adjust(1)
          const told = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
          const { attempts, calls } = yield* pipeline.counts
          assert.deepStrictEqual([told("Attempted"), told("CallEnded")], [attempts, calls])
        }
      }
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("hostile options", () => {
  it("that are null or no plain object are refused by name", () => {
    const refused = (options: object, message: RegExp) =>
      assert.throws(() => Pipeline.settings("p", options), RangeError, message)
    refused({ retry: null }, /Retry: options must be an object, got null/)
    refused({ chaos: null }, /Chaos: options must be an object, got null/)
    refused({ idempotent: null }, /idempotent must be true or false, got null/)
  })

  it.effect("are read in time, also a text of a hundred thousand digits", () =>
    Effect.gen(function*() {
      const data = { p: { retry: { times: `${"1".repeat(100_000)}x` } } }
      const error = yield* Effect.flip(ResilienceConfig.decode(data))
      assert.strictEqual(error.problems[0]?.path, "p.retry.times")
    }))
})
