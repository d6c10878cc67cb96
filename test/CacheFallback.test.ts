import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Redacted,
  References,
  Schema,
  Scope
} from "effect"
import { KeyValueStore, Persistence } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as CacheFallback from "../src/CacheFallback.ts"
import { CircuitBreaker, Deadline, Outcome, Replay, Retry } from "../src/index.ts"
import { Boom, brief, drive, manualClock, now, present, Says, start } from "./support.ts"

const minute = { fresh: "1 minute", stale: "1 hour" } as const

const make = (
  strategy: CacheFallback.Strategy,
  options?: Partial<CacheFallback.Options>,
  store?: CacheFallback.Store
) =>
  CacheFallback.make(
    "quotes",
    { strategy, fresh: "1 minute", ...(strategy === "cache-first" ? {} : { stale: "1 hour" }), ...options },
    { store }
  )

/** A service that counts how often it is asked, and says `1`, `2`, ... */
const service = () => {
  const state = {
    asked: 0,
    /** What it answers with, in place of its number. */
    script: undefined as Effect.Effect<number, Boom | Says> | undefined
  }
  const lookup = Effect.suspend(() => {
    state.asked++
    return state.script ?? Effect.succeed(state.asked)
  })
  return { state, lookup }
}

const down = Effect.fail(new Boom({ n: 0 }))
const entry = { key: ["latest", "EFX"], schema: Schema.Number }

/** An answer, briefly: value, source, age in milliseconds, and whether it is stale. */
const told = (answer: CacheFallback.Answer<unknown>) =>
  `${answer.value} from the ${answer.source}, ${Duration.toMillis(answer.age)} ms old${answer.isStale ? ", stale" : ""}`

const ask = <A, E, R>(call: Effect.Effect<CacheFallback.Answer<A>, E, R>) =>
  Effect.map(Effect.exit(call), (exit) => (Exit.isSuccess(exit) ? told(exit.value) : brief(exit)))

describe("CacheFallback", () => {
  describe("A11: four strategies; the caller learns whether the value came from the cache and how old it is", () => {
    const fresh = 10_000
    const stale = 61_000
    const gone = 3_660_000
    const cached = (age: number) => `1 from the cache, ${age} ms old${age > 60_000 ? ", stale" : ""}`
    const served = "2 from the service, 0 ms old"

    it.effect.each(
      [
        // how old the value is; what is said while the service is up, and while it is down; whether it is asked
        ["cache-first", fresh, cached(fresh), cached(fresh), false],
        ["cache-first", 60_000, served, "Boom", true],
        ["cache-first", stale, served, "Boom", true],
        ["stale-if-error", fresh, cached(fresh), cached(fresh), false],
        ["stale-if-error", 60_000, served, "1 from the cache, 60000 ms old, stale", true],
        ["stale-if-error", stale, served, cached(stale), true],
        ["stale-if-error", gone - 1, served, cached(gone - 1), true],
        ["stale-if-error", gone, served, "Boom", true],
        ["stale-while-revalidate", fresh, cached(fresh), cached(fresh), false],
        ["stale-while-revalidate", stale, cached(stale), cached(stale), true],
        ["stale-while-revalidate", gone, served, "Boom", true],
        ["service-first", fresh, served, cached(fresh), true],
        ["service-first", stale, served, cached(stale), true],
        ["service-first", gone, served, "Boom", true]
      ] as const
    )(
      "%s, a value of %d ms: up: %s; down: %s",
      ([strategy, age, whileUp, whileDown, isAsked]) =>
        Effect.gen(function*() {
          for (const isUp of [true, false]) {
            const cache = yield* make(strategy)
            const { lookup, state } = service()
            assert.strictEqual(yield* ask(cache.get(lookup, entry)), "1 from the service, 0 ms old")
            yield* TestClock.adjust(age)
            state.script = isUp ? undefined : down
            assert.strictEqual(yield* ask(cache.get(lookup, entry)), isUp ? whileUp : whileDown)
            assert.strictEqual(state.asked, isAsked ? 2 : 1)
          }
        })
    )

    it.effect("without a value, every strategy asks the service, and its error is the caller's", () =>
      Effect.gen(function*() {
        for (const strategy of ["cache-first", "service-first", "stale-while-revalidate", "stale-if-error"] as const) {
          const cache = yield* make(strategy)
          assert.strictEqual(yield* ask(cache.get(down, entry)), "Boom")
          assert.strictEqual(yield* ask(cache.get(Effect.succeed(1), entry)), "1 from the service, 0 ms old")
        }
      }))

    it.effect("a lookup renews the value and its age", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-if-error")
        const { lookup } = service()
        const call = ask(cache.get(lookup, entry))
        yield* call
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* call, "2 from the service, 0 ms old")
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* call, "2 from the cache, 30000 ms old")
      }))

    it.effect("a refresh in the background renews the value for the next caller", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-while-revalidate")
        const { lookup, state } = service()
        const call = ask(cache.get(lookup, entry))
        yield* call
        yield* TestClock.adjust("2 minutes")
        state.script = Effect.delay(Effect.succeed(7), "1 second")
        assert.strictEqual(yield* call, "1 from the cache, 120000 ms old, stale")
        assert.strictEqual(yield* call, "1 from the cache, 120000 ms old, stale")
        assert.strictEqual(state.asked, 2)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* call, "7 from the cache, 2000 ms old")
        assert.strictEqual(state.asked, 2)
      }))
  })

  describe("one flight per key", () => {
    const shared = Effect.fnUntraced(function*(strategy: CacheFallback.Strategy = "cache-first") {
      const cache = yield* make(strategy)
      const log: Array<string> = []
      const gate = yield* Deferred.make<number>()
      const lookup = Effect.suspend(() => {
        log.push("began")
        return Deferred.await(gate)
      }).pipe(Effect.onExit((exit) => Effect.sync(() => log.push(String(brief(exit))))))
      return { cache, gate, log, call: cache.get(lookup, entry) }
    })

    it.effect("callers of one key share a lookup", () =>
      Effect.gen(function*() {
        const { cache, call, gate, log } = yield* shared()
        const fibers = yield* Effect.all(Array.from({ length: 100 }, () => start(call)))
        assert.strictEqual((yield* cache.snapshot).inFlight, 1)
        yield* Deferred.succeed(gate, 5)
        for (const fiber of fibers) assert.strictEqual(told(yield* Fiber.join(fiber)), "5 from the service, 0 ms old")
        assert.deepStrictEqual(log, ["began", "5"])
        const { hits, inFlight, lookups, misses } = yield* cache.snapshot
        assert.deepStrictEqual({ hits, inFlight, lookups, misses }, { hits: 0, inFlight: 0, lookups: 1, misses: 100 })
      }))

    it.effect("callers of different keys do not", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup, state } = service()
        const slow = Effect.delay(lookup, "1 second")
        yield* start(cache.get(slow, { ...entry, key: ["latest", "A"] }))
        yield* start(cache.get(slow, { ...entry, key: ["latest", "B"] }))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(state.asked, 2)
      }))

    it.effect("an error of the lookup is everybody's, and the next caller asks again", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup, state } = service()
        state.script = Effect.delay(down, "1 second")
        const fibers = yield* Effect.all([1, 2, 3].map(() => start(ask(cache.get(lookup, entry)))))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["Boom", "Boom", "Boom"])
        assert.strictEqual(state.asked, 1)
        yield* start(ask(cache.get(lookup, entry)))
        assert.strictEqual(state.asked, 2)
      }))

    it.effect("who is interrupted leaves the lookup to the others, also who began it", () =>
      Effect.gen(function*() {
        const { call, gate, log } = yield* shared()
        const [first, second, third] = yield* Effect.all([start(call), start(call), start(call)])
        yield* Fiber.interrupt(first)
        yield* Fiber.interrupt(third)
        assert.deepStrictEqual(log, ["began"])
        yield* Deferred.succeed(gate, 5)
        assert.strictEqual((yield* Fiber.join(second)).value, 5)
      }))

    it.effect("the last one to leave interrupts the lookup, and waits for its finalizers", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup, state } = service()
        state.script = Effect.onInterrupt(
          Effect.never,
          () => Effect.andThen(Effect.yieldNow, Effect.sleep("3 seconds"))
        )
        const [first, second] = yield* Effect.all([
          start(cache.get(lookup, entry)),
          start(cache.get(lookup, entry))
        ])
        yield* Fiber.interrupt(first)
        const leaving = yield* start(Fiber.interrupt(second))
        yield* TestClock.adjust("2 seconds")
        assert.isUndefined(leaving.pollUnsafe())
        // a lookup that is on its way out is not joined
        state.script = undefined
        assert.strictEqual(yield* ask(cache.get(lookup, entry)), "2 from the service, 0 ms old")
        yield* TestClock.adjust("1 second")
        assert.isDefined(leaving.pollUnsafe())
        assert.strictEqual((yield* cache.snapshot).inFlight, 0)
      }))

    it.effect("a caller who is interrupted before it begins leaves nothing behind", () =>
      Effect.gen(function*() {
        const { cache, call, log } = yield* shared()
        const fiber = yield* Effect.forkChild(call)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual([log, (yield* cache.snapshot).inFlight], [[], 0])
      }))

    it.effect("the deadline of one caller ends his waiting alone", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup, state } = service()
        const slow = Effect.andThen(Deadline.remaining, (left) => Effect.as(Effect.delay(lookup, "1 second"), left))
        const call = cache.get(slow, { ...entry, schema: Schema.Option(Schema.DurationFromMillis) })
        const hasty = yield* start(Effect.exit(Deadline.within("10 millis")(call)))
        const patient = yield* start(call)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(brief(yield* Fiber.join(hasty)), "DeadlineExceeded")
        assert.deepStrictEqual((yield* Fiber.join(patient)).value, Option.none())
        assert.strictEqual(state.asked, 1)
      }))

    it.effect("a lookup that commits does not end the retries of who began it", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup, state } = service()
        const call = cache.get(Effect.andThen(Replay.commit, lookup), entry)
        state.script = down
        const { exit } = yield* drive(Retry.retry(call, { times: 2 }))
        assert.strictEqual(brief(exit), "Boom")
        assert.strictEqual(state.asked, 3)
      }))

    it.effect("a lookup that asks for its own key does not wait for itself", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        let depth = 0
        const lookup: Effect.Effect<number> = Effect.suspend(() =>
          depth++ === 0
            ? Effect.map(cache.get(Effect.yieldNow.pipe(Effect.andThen(lookup)), entry), ({ value }) => value + 1)
            : Effect.succeed(1)
        )
        assert.strictEqual(yield* ask(cache.get(lookup, entry)), "2 from the service, 0 ms old")
        assert.strictEqual((yield* cache.snapshot).inFlight, 0)
      }))

    it.effect("20,000 callers are woken without running out of stack", () =>
      Effect.gen(function*() {
        const { call, gate, log } = yield* shared()
        const all = yield* start(Effect.all(Array.from({ length: 20_000 }, () => call), { concurrency: "unbounded" }))
        yield* Deferred.succeed(gate, 5)
        const answers = yield* Fiber.join(all)
        assert.isTrue(answers.length === 20_000 && answers.every(({ value }) => value === 5))
        assert.deepStrictEqual(log, ["began", "5"])
      }))

    it.effect("the lookup has the services of who began it", () =>
      Effect.gen(function*() {
        class Name extends Context.Service<Name, string>()("Name") {}
        const cache = yield* make("cache-first")
        const call = cache.get(Effect.map(Name, (name) => name.length), entry)
        assert.strictEqual((yield* Effect.provideService(call, Name, "four")).value, 4)
      }))
  })

  describe("what a failure allows", () => {
    const after = (
      script: Effect.Effect<number, Boom | Says>,
      options?: Partial<CacheFallback.CallOptions<number, Boom | Says>>
    ) =>
      Effect.gen(function*() {
        const cache = yield* make("stale-if-error")
        const { lookup, state } = service()
        yield* cache.get(lookup, entry)
        yield* TestClock.adjust("2 minutes")
        state.script = script
        const first = yield* ask(cache.get(lookup, { ...entry, ...options }))
        state.script = down
        // whether the value is still there
        const second = yield* ask(cache.get(lookup, entry))
        return [first, second === "1 from the cache, 120000 ms old, stale"]
      })
    const stale = "1 from the cache, 120000 ms old, stale"

    it.effect("failures and overloads are answered from the cache", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* after(down), [stale, true])
        assert.deepStrictEqual(yield* after(Effect.fail(Says.of(Outcome.overload()))), [stale, true])
      }))

    it.effect("so are our own refusals", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-if-error")
        const breaker = yield* CircuitBreaker.make("quotes", { trip: { kind: "consecutive", failures: 1 } })
        const { lookup, state } = service()
        const call = ask(cache.get(breaker.protect(lookup), entry))
        yield* call
        yield* TestClock.adjust("2 minutes")
        state.script = down
        assert.deepStrictEqual([yield* call, yield* call], [stale, stale])
        assert.deepStrictEqual([state.asked, (yield* breaker.snapshot).state], [2, "Open"])
      }))

    it.effect("an answer, such as a 404, is passed on, and drops the value that it contradicts", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* after(Effect.fail(Says.of(Outcome.success))), ["Says", false])
        assert.deepStrictEqual(
          yield* after(down.pipe(Outcome.annotate(() => Outcome.success))),
          ["Boom", false]
        )
      }))

    it.effect("an answer in the background drops the value, too, and the next caller is told", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-while-revalidate")
        const { lookup, state } = service()
        yield* cache.get(lookup, entry)
        yield* TestClock.adjust("2 minutes")
        state.script = Effect.fail(Says.of(Outcome.success))
        assert.strictEqual(yield* ask(cache.get(lookup, entry)), stale)
        assert.strictEqual(yield* ask(cache.get(lookup, entry)), "Says")
        const { failedRefreshes, refreshes } = yield* cache.snapshot
        assert.deepStrictEqual({ failedRefreshes, refreshes }, { failedRefreshes: 0, refreshes: 1 })
      }))

    it.effect("defects and interruptions are passed on, and keep the value", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* after(Effect.die("bug")), ["die", true])
        assert.deepStrictEqual(yield* after(Effect.interrupt), ["interrupt", true])
        assert.deepStrictEqual(
          yield* after(Effect.failCause(Cause.combine(Cause.fail(new Boom({ n: 0 })), Cause.die("bug")))),
          ["die", true]
        )
      }))

    it.effect("the caller may say otherwise, by the error", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* after(down, { staleIf: (error) => error._tag !== "Boom" }), ["Boom", true])
        assert.deepStrictEqual(yield* after(Effect.fail(Says.of(Outcome.success)), { staleIf: () => true }), [
          stale,
          true
        ])
        const throws = () => {
          throw new Error("a mistake")
        }
        assert.deepStrictEqual(yield* after(down, { staleIf: throws }), ["Boom", true])
      }))

    it.effect("the classifier decides what the outcome is, also of a result", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* after(down, { classify: () => Outcome.success }), ["Boom", false])
        const odd: Outcome.Classifier<number> = (exit) => brief(exit) === -1 ? Outcome.failure() : undefined
        // a result that is none is not kept
        assert.deepStrictEqual(yield* after(Effect.succeed(-1), { classify: odd }), [stale, true])
        const cache = yield* make("stale-if-error")
        assert.strictEqual(
          yield* ask(cache.get(Effect.succeed(-1), { ...entry, classify: odd })),
          "-1 from the service, 0 ms old"
        )
        assert.strictEqual((yield* cache.snapshot).entries, 0)
      }))

    it.effect("an interrupted caller is not given a stale value", () =>
      Effect.gen(function*() {
        const cache = yield* make("service-first")
        const { lookup, state } = service()
        yield* cache.get(lookup, entry)
        state.script = Effect.never
        const fiber = yield* start(cache.get(lookup, entry))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(brief(yield* Fiber.await(fiber)), "interrupt")
        assert.strictEqual((yield* cache.snapshot).hits, 0)
      }))
  })

  describe("in the background", () => {
    /** A cache in a scope of its own with a stale value, whose service is to answer with `script`. */
    const stale = Effect.fnUntraced(function*(script: Effect.Effect<number, Boom | Says>) {
      const scope = yield* Scope.make()
      const cache = yield* Scope.provide(make("stale-while-revalidate"), scope)
      const { lookup, state } = service()
      yield* cache.get(lookup, entry)
      yield* TestClock.adjust("2 minutes")
      state.script = script
      return { cache, scope, state, call: ask(cache.get(lookup, entry)), lookup }
    })

    it.effect("a refresh ends with the scope of the cache, which waits for its finalizers; calls then go past the cache", () =>
      Effect.gen(function*() {
        let isClean = false
        const hangs = Effect.onInterrupt(Effect.never, () =>
          Effect.delay(
            Effect.sync(() => {
              isClean = true
            }),
            "1 second"
          ))
        const { cache, call, scope, state } = yield* stale(hangs)
        yield* call
        const closing = yield* start(Scope.close(scope, Exit.void))
        assert.isUndefined(closing.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.isDefined(closing.pollUnsafe())
        assert.isTrue(isClean)
        assert.strictEqual((yield* cache.snapshot).inFlight, 0)
        state.script = undefined
        assert.strictEqual(yield* call, "3 from the service, 0 ms old")
        assert.strictEqual(yield* call, "4 from the service, 0 ms old")
      }))

    it.effect("a lookup that somebody waits for outlives the scope", () =>
      Effect.gen(function*() {
        const { call, cache, lookup, scope } = yield* stale(Effect.delay(Effect.succeed(7), "1 second"))
        yield* call
        yield* cache.invalidate(["other"])
        const other = yield* start(cache.get(lookup, { ...entry, key: ["other"] }))
        yield* Scope.close(scope, Exit.void)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(other)).value, 7)
      }))

    it.effect("a cache that is made in a scope that has ended is passed by", () =>
      Effect.gen(function*() {
        const { call, scope } = yield* stale(Effect.succeed(7))
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* call, "7 from the service, 0 ms old")
        const cache = yield* Scope.provide(make("cache-first"), scope)
        const { lookup, state } = service()
        yield* cache.get(lookup, entry)
        yield* cache.get(lookup, entry)
        assert.strictEqual(state.asked, 2)
      }))

    it.effect("the caller who began it may go", () =>
      Effect.gen(function*() {
        const { cache, call, state } = yield* stale(Effect.delay(Effect.succeed(7), "1 second"))
        const fiber = yield* start(Effect.andThen(call, Effect.never))
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* call, "7 from the cache, 0 ms old")
        assert.deepStrictEqual([state.asked, (yield* cache.snapshot).refreshes], [2, 1])
      }))

    it.effect("neither a failure nor a defect surfaces, and both are told", () =>
      Effect.gen(function*() {
        for (const script of [down, Effect.die("bug")]) {
          const { cache, lookup } = yield* stale(script)
          const reasons: Array<unknown> = []
          const hits: Array<unknown> = []
          const answer = yield* cache.get(lookup, entry, {
            hit: (age, isStale, failed) => hits.push(Duration.toMillis(age), isStale, failed),
            refreshFailed: ({ reason }) => reasons.push(reason)
          })
          assert.strictEqual(told(answer), "1 from the cache, 120000 ms old, stale")
          assert.deepStrictEqual(reasons, [script === down ? new Boom({ n: 0 }) : "bug"])
          assert.deepStrictEqual(hits, [120_000, true, undefined])
          const { failedRefreshes, inFlight, refreshes, staleHits } = yield* cache.snapshot
          assert.deepStrictEqual([refreshes, failedRefreshes, inFlight, staleHits], [1, 1, 0, 1])
        }
      }))

    it.effect("a refresh that hangs is cut when the value is gone, and who joined it asks anew", () =>
      Effect.gen(function*() {
        let interrupts = 0
        const hangs = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupts++))
        const { cache, call, lookup, state } = yield* stale(hangs)
        const reasons: Array<unknown> = []
        yield* cache.get(lookup, entry, { hit: () => {}, refreshFailed: ({ reason }) => reasons.push(reason) })
        yield* TestClock.adjust("58 minutes")
        // shorter staleness: for this caller the value is gone, and he joins the refresh
        yield* cache.reconfigure(
          CacheFallback.settings({ strategy: "stale-while-revalidate", fresh: "1 minute", stale: "1 minute" })
        )
        const joined = yield* start(call)
        assert.deepStrictEqual([interrupts, state.asked], [0, 2])
        state.script = undefined
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(interrupts, 1)
        assert.strictEqual(yield* Fiber.join(joined), "3 from the service, 0 ms old")
        assert.deepStrictEqual(reasons.map((reason) => (reason as { _tag: string })._tag), ["TimedOut"])
      }))

    it.effect("no deadline of the caller reaches it", () =>
      Effect.gen(function*() {
        const { call } = yield* stale(Effect.delay(Effect.succeed(7), "1 second"))
        yield* Deadline.within("10 millis")(call)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* call, "7 from the cache, 0 ms old")
      }))
  })

  describe("values", () => {
    class Plan extends Schema.Class<Plan>("Plan")({ id: Schema.String, at: Schema.Date, bytes: Schema.Uint8Array }) {}

    it.effect("are written down by the schema, and read again for every answer", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const plan = new Plan({ id: "1", at: new Date(5), bytes: new Uint8Array([1, 2]) })
        const get = cache.get(Effect.succeed(plan), { key: ["plan", "1"], schema: Plan })
        assert.strictEqual((yield* get).value, plan)
        const [first, second] = [yield* get, yield* get]
        assert.instanceOf(first.value, Plan)
        assert.deepStrictEqual(first.value, plan)
        // what one caller does to his copy is not seen by the others
        assert.notStrictEqual(first.value, second.value)
        first.value.bytes[0] = 9
        assert.deepStrictEqual((yield* get).value.bytes, new Uint8Array([1, 2]))
      }))

    it.effect("may be nothing at all", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        let asked = 0
        const get = <A>(value: A, schema: Schema.Codec<A, unknown>, name: string) =>
          cache.get(Effect.sync(() => (asked++, value)), { key: [name], schema })
        for (let n = 0; n < 2; n++) {
          assert.isUndefined((yield* get(undefined, Schema.Void, "void")).value)
          assert.isUndefined((yield* get(undefined, Schema.UndefinedOr(Schema.String), "undefined")).value)
          assert.isNull((yield* get(null, Schema.Null, "null")).value)
          assert.deepStrictEqual((yield* get(Option.none(), Schema.Option(Schema.Number), "none")).value, Option.none())
        }
        assert.strictEqual(asked, 4)
      }))

    it.effect("that the schema does not read are none", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-if-error")
        yield* cache.get(Effect.succeed("one"), { key: ["a"], schema: Schema.String })
        const other = cache.get(Effect.succeed(2), { key: ["a"], schema: Schema.Number })
        assert.strictEqual(yield* ask(other), "2 from the service, 0 ms old")
        assert.strictEqual(yield* ask(other), "2 from the cache, 0 ms old")
        const failing = cache.get(Effect.fail("down"), { key: ["a"], schema: Schema.String })
        assert.strictEqual(yield* ask(failing), "down")
      }))

    it.effect("that it cannot write are passed on, not kept, and counted", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const short = Schema.String.check(Schema.isMaxLength(3))
        const get = cache.get(Effect.succeed("a long one"), { key: ["a"], schema: short })
        assert.strictEqual(yield* ask(get), "a long one from the service, 0 ms old")
        const { entries, storeFailures } = yield* cache.snapshot
        assert.deepStrictEqual([entries, storeFailures], [0, 1])
      }))

    it.effect("of a lookup that is shared are read by the schema of each caller", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const lookup = <A>(value: A) => Effect.delay(Effect.succeed(value), "1 second")
        const first = yield* start(cache.get(lookup("2020-01-01T00:00:00.000Z"), { key: ["a"], schema: Schema.String }))
        const date = yield* start(cache.get(lookup(new Date(0)), { key: ["a"], schema: Schema.Date }))
        const number = yield* start(cache.get(lookup(7), { key: ["a"], schema: Schema.Number }))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(first)).value, "2020-01-01T00:00:00.000Z")
        assert.deepStrictEqual((yield* Fiber.join(date)).value, new Date("2020-01-01"))
        // one that it does not read is looked up by this caller himself
        assert.strictEqual((yield* Fiber.join(number)).value, 7)
      }))
  })

  describe("keys", () => {
    const seen = (a: ReadonlyArray<unknown>, b: ReadonlyArray<unknown>) =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        yield* cache.get(Effect.succeed(1), { ...entry, key: a })
        return (yield* cache.get(Effect.succeed(2), { ...entry, key: b })).source === "cache"
      })

    class Id extends Schema.Class<Id>("Id")({ id: Schema.String }) {}
    class Other extends Schema.Class<Other>("Other")({ id: Schema.String }) {}

    it.effect.each([
      ["an order of fields", { a: 1, b: { c: 2, d: [3] } }, { b: { d: [3], c: 2 }, a: 1 }],
      ["a zero with a sign", 0, -0],
      ["NaN", NaN, NaN],
      ["dates", new Date(5), new Date(5)],
      ["maps, in any order", new Map([["a", 1], ["b", 2]]), new Map([["b", 2], ["a", 1]])],
      ["sets, in any order", new Set([1, 2]), new Set([2, 1])],
      ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
      ["urls", new URL("http://a/b?c=1"), new URL("http://a/b?c=1")],
      ["patterns", /a/g, /a/g],
      ["instances", new Id({ id: "1" }), new Id({ id: "1" })],
      ["options", Option.some({ a: 1 }), Option.some({ a: 1 })],
      ["nothing", Option.none(), Option.none()],
      ["durations", Duration.seconds(1), Duration.millis(1_000)],
      ["an object without a prototype", { a: 1 }, Object.assign(Object.create(null), { a: 1 })]
    ] as ReadonlyArray<readonly [string, unknown, unknown]>)(
      "%s are equal where their data is",
      ([_, a, b]) =>
        Effect.gen(function*() {
          assert.isTrue(yield* seen(["op", a], ["op", b]))
        })
    )

    it.effect.each([
      ["a number and its text", 1, "1"],
      ["a number and a bigint", 1, 1n],
      ["nothing and its text", null, "null"],
      ["null and undefined", null, undefined],
      ["a list and its members", [1, 2], "1,2"],
      ["lists cut otherwise", [["a", "b"], ["c"]], [["a"], ["b", "c"]]],
      ["texts that look like several", ["a\",\"b"], ["a", "b"]],
      ["a field that is undefined and none", { a: undefined }, {}],
      ["fields and a list", { 0: "a" }, ["a"]],
      ["classes with the same fields", new Id({ id: "1" }), new Other({ id: "1" })],
      ["an instance and its fields", new Id({ id: "1" }), { id: "1" }],
      ["a date and its number", new Date(5), 5],
      ["a map and a set", new Map(), new Set()],
      ["bytes", new Uint8Array([1, 2]), new Uint8Array([12])],
      ["urls", new URL("http://a/b"), new URL("http://a/c")],
      ["patterns", /a/, /a/g],
      ["options", Option.none(), Option.some(undefined)],
      ["durations", Duration.seconds(1), Duration.seconds(2)],
      ["a hole and another place", [1, undefined, 2], [1, 2]]
    ] as ReadonlyArray<readonly [string, unknown, unknown]>)("%s differ", ([_, a, b]) =>
      Effect.gen(function*() {
        assert.isFalse(yield* seen(["op", a], ["op", b]))
      }))

    it.effect("hold every argument", () =>
      Effect.gen(function*() {
        assert.isFalse(yield* seen(["op", "a"], ["op", "a", 1]))
        assert.isFalse(yield* seen(["op", "a"], ["other", "a"]))
      }))

    const circle: Record<string, unknown> = {}
    circle["self"] = [circle]
    class Hidden {
      readonly #secret: number
      constructor(secret: number) {
        this.#secret = secret
      }
      show() {
        return this.#secret
      }
    }
    it.effect.each([
      ["no key at all", undefined, /key must be a list that is not empty/],
      ["a text", "latest", /key must be a list/],
      ["an empty list", [], /key must be a list that is not empty/],
      ["a function", ["op", () => 1], /key\[1\] must be data, got a function/],
      ["a symbol", ["op", { a: [Symbol("s")] }], /key\[1\]\.a\[0\] must be data, got a symbol/],
      [
        "a secret",
        ["op", { token: Redacted.make("s3cret") }],
        /key\[1\]\.token must be data, got a Redacted; name whose/
      ],
      ["a hidden secret", ["op", Option.some(Redacted.make("s3cret"))], /got a Redacted/],
      ["an error", ["op", new Error("a")], /got an Error/],
      ["an object that hides what it is made of", ["op", new Hidden(1)], /an object of class "Hidden" without fields/],
      ["a promise", ["op", Promise.resolve(1)], /without fields/],
      ["a circle", ["op", circle], /key\[1\]\.self\[0\] must be data, got a circle/],
      ["a field named by a symbol", ["op", { [Symbol.for("a")]: 1 }], /a field named by Symbol\(a\)/]
    ] as ReadonlyArray<readonly [string, unknown, RegExp]>)(
      "%s is refused",
      ([_, wrong, message]) =>
        Effect.gen(function*() {
          const cache = yield* make("cache-first")
          // wrong on purpose
          const key = wrong as ReadonlyArray<unknown>
          assert.throws(() => cache.get(Effect.succeed(1), { ...entry, key }), RangeError, message)
          assert.throws(() => cache.invalidate(key), RangeError, message)
        })
    )

    it.effect("the same object may stand twice in a key", () =>
      Effect.gen(function*() {
        const same = { a: 1 }
        assert.isTrue(yield* seen(["op", same, same], ["op", { a: 1 }, { a: 1 }]))
      }))
  })

  describe("dropping, bounds, settings", () => {
    it.effect("an invalidated value is asked for again, the others stay", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup } = service()
        const [a, b] = [cache.get(lookup, { ...entry, key: ["a"] }), cache.get(lookup, { ...entry, key: ["b"] })]
        yield* a
        yield* b
        yield* cache.invalidate(["a"])
        assert.deepStrictEqual([(yield* a).source, (yield* b).source], ["service", "cache"])
        yield* cache.clear
        assert.deepStrictEqual([(yield* a).source, (yield* b).source], ["service", "service"])
      }))

    it.effect.each(["invalidate", "clear"] as const)(
      "a lookup that was under way at %s is not kept, and is not joined any more",
      (by) =>
        Effect.gen(function*() {
          const cache = yield* make("stale-if-error")
          const { lookup, state } = service()
          state.script = Effect.delay(Effect.succeed(10), "2 seconds")
          const before = yield* start(cache.get(lookup, entry))
          yield* by === "clear" ? cache.clear : cache.invalidate(entry.key)
          state.script = Effect.delay(Effect.succeed(20), "1 second")
          const after = yield* start(cache.get(lookup, entry))
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual([(yield* Fiber.join(before)).value, (yield* Fiber.join(after)).value], [10, 20])
          assert.strictEqual(yield* ask(cache.get(lookup, entry)), "20 from the cache, 1000 ms old")
        })
    )

    it.effect("a refresh in the background that is out of date is interrupted", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-while-revalidate")
        const { lookup, state } = service()
        yield* cache.get(lookup, entry)
        yield* TestClock.adjust("2 minutes")
        let interrupts = 0
        state.script = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupts++))
        yield* cache.get(lookup, entry)
        yield* cache.invalidate(entry.key)
        assert.deepStrictEqual([interrupts, (yield* cache.snapshot).inFlight], [1, 0])
      }))

    it.effect("a lookup may drop its own value", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const lookup = Effect.as(Effect.andThen(Effect.yieldNow, cache.invalidate(entry.key)), 1)
        const { exit } = yield* drive(cache.get(lookup, entry))
        assert.isTrue(Exit.isSuccess(exit))
        assert.strictEqual((yield* cache.snapshot).entries, 0)
      }))

    it.effect("what was used the longest time ago makes room", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first", { capacity: 2 })
        const { lookup } = service()
        const get = (key: string) => Effect.map(cache.get(lookup, { ...entry, key: [key] }), ({ source }) => source)
        for (const key of ["a", "b", "a", "c"]) yield* get(key)
        const { entries, evictions } = yield* cache.snapshot
        assert.deepStrictEqual([entries, evictions], [2, 1])
        assert.deepStrictEqual([yield* get("a"), yield* get("c"), yield* get("b")], ["cache", "cache", "service"])
      }))

    it.effect("it is reconfigured in place: entries keep their age, a smaller capacity takes effect at once", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first")
        const { lookup, state } = service()
        const get = (key: string) => ask(cache.get(lookup, { ...entry, key: [key] }))
        yield* get("a")
        yield* get("b")
        yield* TestClock.adjust("2 minutes")
        const settings = CacheFallback.settings({ strategy: "service-first", ...minute, capacity: 1 })
        yield* cache.reconfigure(settings)
        assert.deepStrictEqual(cache.settings, settings)
        assert.strictEqual((yield* cache.snapshot).entries, 1)
        state.script = down
        assert.deepStrictEqual([yield* get("a"), yield* get("b")], ["Boom", "2 from the cache, 120000 ms old, stale"])
        yield* cache.reconfigure(CacheFallback.settings({ strategy: "cache-first", fresh: "5 minutes" }))
        assert.strictEqual(yield* get("b"), "2 from the cache, 120000 ms old")
      }))

    it.effect("a snapshot counts what has happened", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-while-revalidate")
        const { lookup, state } = service()
        const call = Effect.exit(cache.get(lookup, entry))
        yield* call
        yield* call
        yield* TestClock.adjust("2 minutes")
        state.script = down
        yield* call
        yield* TestClock.adjust("2 hours")
        yield* call
        assert.deepStrictEqual(yield* cache.snapshot, {
          name: "quotes",
          entries: 1,
          inFlight: 0,
          hits: 1,
          staleHits: 1,
          misses: 2,
          lookups: 3,
          refreshes: 1,
          failedRefreshes: 1,
          evictions: 0,
          storeFailures: 0
        })
      }))

    it.effect("a pipeline is told of what it used in place of a failure, each caller of it, and once of the failure", () =>
      Effect.gen(function*() {
        const cache = yield* make("stale-if-error")
        const { lookup, state } = service()
        yield* cache.get(lookup, entry)
        yield* TestClock.adjust("2 minutes")
        state.script = Effect.delay(down, "1 second")
        const log: Array<unknown> = []
        const watch = (caller: string): CacheFallback.Watch => ({
          hit: (age, isStale, failed) => log.push([caller, Duration.toMillis(age), isStale, failed?.reason]),
          refreshFailed: ({ reason }) => log.push([caller, reason])
        })
        yield* start(cache.get(lookup, entry, watch("first")))
        yield* start(cache.get(lookup, entry, watch("second")))
        yield* TestClock.adjust("1 second")
        const boom = new Boom({ n: 0 })
        assert.deepStrictEqual(log, [["first", boom], ["first", 121_000, true, boom], ["second", 121_000, true, boom]])
      }))

    it.effect("setting the wall clock changes no age", () =>
      Effect.gen(function*() {
        const { clock, setWall, wait } = manualClock()
        yield* Effect.provideService(
          Effect.gen(function*() {
            const cache = yield* make("cache-first")
            const call = ask(cache.get(Effect.succeed(1), entry))
            yield* call
            wait(30_000)
            setWall(-3_600_000)
            assert.strictEqual(yield* call, "1 from the cache, 30000 ms old")
            setWall(3_600_000)
            assert.strictEqual(yield* call, "1 from the cache, 30000 ms old")
            wait(30_000)
            assert.strictEqual(yield* call, "1 from the service, 0 ms old")
          }),
          Clock.Clock,
          clock
        )
      }))
  })

  describe("outside stores", () => {
    const backing = Effect.flatMap(Persistence.BackingPersistence, (persistence) => persistence.make("quotes"))

    it.effect.each(
      [
        ["in memory", Persistence.layerBackingMemory],
        ["on a key-value store", Persistence.layerBackingKvs]
      ] as const
    )("A11: a store of effect/persistence, %s, is one as it is", ([_, layer]) =>
      Effect.gen(function*() {
        const store = yield* backing
        const cache = yield* make("stale-if-error", {}, store)
        const another = yield* make("stale-if-error", {}, store)
        const schema = Schema.Struct({ at: Schema.Date })
        const get = (cache: CacheFallback.CacheFallback, lookup: Effect.Effect<{ readonly at: Date }, string>) =>
          ask(Effect.map(cache.get(lookup, { key: ["a", { b: 1 }], schema }), (answer) => ({
            ...answer,
            value: answer.value.at.getTime()
          })))
        assert.strictEqual(yield* get(cache, Effect.succeed({ at: new Date(5) })), "5 from the service, 0 ms old")
        yield* TestClock.adjust("30 seconds")
        // another process finds it
        assert.strictEqual(yield* get(another, Effect.fail("down")), "5 from the cache, 30000 ms old")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* get(another, Effect.fail("down")), "5 from the cache, 90000 ms old, stale")
        // and the store forgets it when it is gone
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* get(another, Effect.fail("down")), "down")
        yield* get(cache, Effect.succeed({ at: new Date(6) }))
        yield* cache.invalidate(["a", { b: 1 }])
        assert.strictEqual(yield* get(another, Effect.fail("down")), "down")
        yield* get(cache, Effect.succeed({ at: new Date(7) }))
        yield* another.clear
        assert.strictEqual(yield* get(cache, Effect.fail("down")), "down")
        assert.deepStrictEqual(
          [(yield* cache.snapshot).entries, (yield* cache.snapshot).storeFailures],
          [undefined, 0]
        )
      }).pipe(Effect.provide(Layer.provide(layer, KeyValueStore.layerMemory))))

    const broken = (operation: Effect.Effect<never, string>): CacheFallback.Store => ({
      get: () => operation,
      set: () => operation,
      remove: () => operation,
      clear: operation
    })

    it.effect.each(
      [
        ["fails", Effect.fail("down")],
        ["dies", Effect.die("bug")],
        ["interrupts", Effect.interrupt]
      ] as const
    )("one that %s costs nothing but its answers", ([_, operation]) =>
      Effect.gen(function*() {
        for (const strategy of ["cache-first", "service-first", "stale-while-revalidate", "stale-if-error"] as const) {
          const cache = yield* make(strategy, {}, broken(operation))
          const { lookup, state } = service()
          assert.strictEqual(yield* ask(cache.get(lookup, entry)), "1 from the service, 0 ms old")
          state.script = down
          assert.strictEqual(yield* ask(cache.get(lookup, entry)), "Boom")
          yield* cache.invalidate(entry.key)
          yield* cache.clear
          assert.isAbove((yield* cache.snapshot).storeFailures, 3)
        }
      }))

    it.effect("one that throws is one that fails", () =>
      Effect.gen(function*() {
        const throws = (): never => {
          throw new Error("a mistake")
        }
        const cache = yield* make("cache-first", {}, { get: throws, set: throws, remove: throws, clear: Effect.void })
        assert.strictEqual(yield* ask(cache.get(Effect.succeed(1), entry)), "1 from the service, 0 ms old")
      }))

    it.effect("one that hangs holds a call up for its timeout, twice: before it and after", () =>
      Effect.gen(function*() {
        const cache = yield* make("cache-first", { storeTimeout: "50 millis" }, broken(Effect.never))
        const timed = Effect.flatMap(
          ask(cache.get(Effect.succeed(1), entry)),
          (answer) => Effect.map(now, (at) => [answer, at])
        )
        const { exit } = yield* drive(timed)
        assert.deepStrictEqual(exit, Exit.succeed(["1 from the service, 0 ms old", 100]))
        assert.strictEqual((yield* cache.snapshot).storeFailures, 2)
      }))

    it.effect("one that cannot even be interrupted holds up one call, and is spared further ones until it has ended", () =>
      Effect.gen(function*() {
        let begun = 0
        const hangs = Effect.uninterruptible(Effect.suspend(() => {
          begun++
          return Effect.delay(Effect.fail("down"), "10 seconds")
        }))
        const cache = yield* make("cache-first", {}, broken(hangs))
        const call = Effect.flatMap(ask(cache.get(Effect.succeed(1), entry)), () => now)
        const first = yield* start(call)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* Fiber.join(first), 100)
        assert.strictEqual(yield* call, 100)
        assert.deepStrictEqual([begun, (yield* cache.snapshot).storeFailures], [1, 4])
        yield* TestClock.adjust("10 seconds")
        yield* start(call)
        assert.strictEqual(begun, 2)
      }))

    it.effect("an interrupted caller interrupts the store's operation, and does not wait for it", () =>
      Effect.gen(function*() {
        let interrupts = 0
        const slow = Effect.onInterrupt(
          Effect.never,
          () => Effect.andThen(Effect.sync(() => interrupts++), Effect.never)
        )
        const cache = yield* make("cache-first", {}, broken(slow))
        const fiber = yield* start(cache.get(Effect.succeed(1), entry))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(interrupts, 1)
      }))

    it.effect.each([
      undefined,
      {},
      { text: 1, at: 0 },
      { text: "1", at: NaN },
      { text: "1" },
      { text: "not JSON", at: 0 },
      { text: "\"a text\"", at: 0 },
      [],
      "a text" as never
    ])("one that holds %o holds nothing", (held: object | undefined) =>
      Effect.gen(function*() {
        const store = { ...broken(Effect.fail("down")), get: () => Effect.succeed(held) }
        const cache = yield* make("cache-first", {}, store)
        assert.strictEqual(yield* ask(cache.get(Effect.succeed(1), entry)), "1 from the service, 0 ms old")
      }))

    it.effect("an entry from a clock that is ahead is as old as can be: new", () =>
      Effect.gen(function*() {
        const ahead = { text: "5", at: 60_000 }
        const cache = yield* make("cache-first", {}, {
          ...broken(Effect.fail("down")),
          get: () => Effect.succeed(ahead)
        })
        assert.strictEqual(yield* ask(cache.get(Effect.succeed(1), entry)), "5 from the cache, 0 ms old")
      }))

    it.effect("a value that is dropped on its way to the store does not stay there", () =>
      Effect.gen(function*() {
        const entries = new Map<string, object>()
        const store: CacheFallback.Store = {
          get: (key) => Effect.sync(() => entries.get(key)),
          set: (key, entry) => Effect.delay(Effect.sync(() => entries.set(key, entry)), "10 millis"),
          remove: (key) => Effect.sync(() => entries.delete(key)),
          clear: Effect.sync(() => entries.clear())
        }
        const cache = yield* make("cache-first", {}, store)
        const caller = yield* start(cache.get(Effect.succeed(1), entry))
        yield* cache.invalidate(entry.key)
        yield* TestClock.adjust("10 millis")
        assert.strictEqual((yield* Fiber.join(caller)).value, 1)
        assert.strictEqual(entries.size, 0)
      }))

    it.effect("it is given JSON, the time it was said, and how long to keep it", () =>
      Effect.gen(function*() {
        const given: Array<unknown> = []
        const store: CacheFallback.Store = {
          get: () => Effect.undefined,
          set: (key, entry, timeToLive) =>
            Effect.sync(() => given.push([key, entry, Duration.toMillis(present(timeToLive))])),
          remove: () => Effect.void,
          clear: Effect.void
        }
        const cache = yield* make("stale-if-error", {}, store)
        yield* TestClock.adjust("5 seconds")
        yield* cache.get(Effect.succeed(new Date(0)), { key: ["a", 1], schema: Schema.Date })
        assert.deepStrictEqual(given, [
          ["[\"a\",1]", { text: "\"1970-01-01T00:00:00.000Z\"", at: 5_000 }, 3_660_000]
        ])
      }))
  })

  describe("random interleavings", () => {
    interface Said {
      readonly key: string
      readonly n: number
    }

    /** Always the same numbers: a failure can be looked into. */
    const draws = (seed: number) => {
      let state = seed
      const next = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
      return { below: (n: number) => Math.floor(next() * n), chance: (share: number) => next() < share }
    }

    it.effect(
      "callers come, go and drop values at any instant: values are right, no lookup and no fiber is left",
      () =>
        Effect.gen(function*() {
          const { below, chance } = draws(7)
          const scope = yield* Scope.make()
          const caches = yield* Effect.forEach(
            ["cache-first", "service-first", "stale-while-revalidate", "stale-if-error"] as const,
            (strategy) => Scope.provide(make(strategy, { capacity: 3 }), scope)
          )
          const schema = Schema.Struct({ key: Schema.String, n: Schema.Number })
          const wrong: Array<unknown> = []
          const answers = { cache: 0, service: 0, stale: 0 }
          let begun = 0
          let running = 0

          const ends = (n: number, key: string): Effect.Effect<Said, Boom | Says> => {
            const ending = below(20)
            if (ending < 13) return Effect.succeed({ key, n })
            if (ending < 17) return down
            if (ending < 18) return Effect.fail(Says.of(Outcome.success))
            return ending < 19 ? Effect.die("bug") : Effect.never
          }
          const lookup = (key: string): Effect.Effect<Said, Boom | Says> =>
            Effect.suspend(() => {
              running++
              const n = ++begun
              const waits = chance(0.3) ? Effect.void : chance(0.5) ? Effect.yieldNow : Effect.sleep(below(2_000))
              return Effect.onExitPrimitive(Effect.andThen(waits, Effect.suspend(() => ends(n, key))), () => {
                running--
                return undefined
              })
            })

          /** By cache and key: what was begun before the last time that it was dropped must not be seen any more. */
          const dropped = caches.map(() => new Map<string, number>())
          const call = (index: number, key: string) =>
            Effect.suspend(() => {
              const bar = dropped[index]?.get(key) ?? 0
              const cache = present(caches[index])
              return Effect.map(cache.get(lookup(key), { key: [key], schema }), ({ age, isStale, source, value }) => {
                answers[source]++
                if (isStale) answers.stale++
                const tooOld = Duration.toMillis(age) >= cache.settings.fresh + cache.settings.stale
                if (value.key !== key || (source === "cache" && (value.n <= bar || tooOld))) {
                  wrong.push({ index, key, value, source, bar, age })
                }
              })
            })
          const drop = (index: number, key: string) =>
            Effect.suspend(() => {
              const bar = begun
              return Effect.map(present(caches[index]).invalidate([key]), () => dropped[index]?.set(key, bar))
            })

          const calls = new Set<Fiber.Fiber<unknown, unknown>>()
          for (let step = 0; step < 100_000; step++) {
            const what = below(100)
            const index = below(4)
            const key = `k${below(5)}`
            if (what < 60) {
              const fiber = yield* Effect.forkDetach(call(index, key), { startImmediately: chance(0.5) })
              calls.add(fiber)
              fiber.addObserver(() => calls.delete(fiber))
            } else if (what < 90) {
              const [first] = calls
              first?.interruptUnsafe()
            } else if (what < 93) {
              yield* drop(index, key)
            } else if (what < 99) {
              yield* Effect.yieldNow
            } else {
              yield* TestClock.adjust(below(chance(0.1) ? 4_000_000 : 60_000))
            }
          }
          yield* Fiber.interruptAll(calls)
          yield* Scope.close(scope, Exit.void)
          assert.deepStrictEqual(wrong, [])
          assert.deepStrictEqual([running, calls.size], [0, 0])
          for (const cache of caches) {
            const { entries, inFlight } = yield* cache.snapshot
            assert.strictEqual(inFlight, 0)
            assert.isAtMost(present(entries), 3)
          }
          // it has been a real test
          assert.isAbove(Math.min(answers.cache, answers.service, answers.stale), 1_000)
        }).pipe(Effect.provideService(References.MaxOpsBeforeYield, 3)),
      30_000
    )
  })

  describe("options", () => {
    it("have defaults", () => {
      assert.deepStrictEqual(CacheFallback.settings({ strategy: "stale-if-error", fresh: 1_000 }), {
        strategy: "stale-if-error",
        fresh: 1_000,
        stale: 3_600_000,
        capacity: 1_000,
        storeTimeout: 100
      })
      assert.deepStrictEqual(
        CacheFallback.settings({ strategy: "cache-first", fresh: "1 second", capacity: 5, storeTimeout: "1 second" }),
        { strategy: "cache-first", fresh: 1_000, stale: 0, capacity: 5, storeTimeout: 1_000 }
      )
      assert.strictEqual(CacheFallback.settings({ strategy: "service-first", fresh: 1, stale: 0 }).stale, 0)
    })

    const good = { strategy: "service-first", fresh: "1 minute" }
    it.each([
      [
        "a strategy that there is not",
        { ...good, strategy: "cache" },
        /strategy must be one of cache-first, .* got "cache"/
      ],
      ["no strategy", { fresh: 1 }, /strategy must be one of/],
      ["no freshness", { strategy: "cache-first" }, /fresh must be a finite duration above zero, got undefined/],
      ["a freshness of nothing", { ...good, fresh: 0 }, /fresh must be .* above zero, got 0/],
      ["a negative one", { ...good, fresh: -1 }, /fresh .* got -1/],
      ["one that is not a number", { ...good, fresh: NaN }, /fresh .* got NaN/],
      ["an endless one", { ...good, fresh: "Infinity" }, /fresh .* got "Infinity"/],
      ["one that is no duration", { ...good, fresh: "soon" }, /fresh .* write it like/],
      [
        "an endless staleness",
        { ...good, stale: Infinity },
        /stale must be a finite duration of zero or more, got Infinity/
      ],
      ["a negative staleness", { ...good, stale: -1 }, /stale .* got -1/],
      ["a staleness that is not a number", { ...good, stale: NaN }, /stale .* got NaN/],
      [
        "a staleness where none is used",
        { strategy: "cache-first", fresh: 1, stale: 1 },
        /stale must be left out for cache-first/
      ],
      ["no capacity", { ...good, capacity: 0 }, /capacity must be an integer >= 1, got 0/],
      ["half of one", { ...good, capacity: 1.5 }, /capacity .* got 1.5/],
      ["an endless one", { ...good, capacity: Infinity }, /capacity .* got Infinity/],
      ["one in letters", { ...good, capacity: "10" }, /capacity .* got "10"/],
      ["a timeout of nothing", { ...good, storeTimeout: 0 }, /storeTimeout must be/],
      [
        "a misspelt key",
        { ...good, ttl: 1 },
        /unknown option "ttl"; it takes strategy, fresh, stale, capacity, storeTimeout/
      ],
      ["no options", undefined, /options must be an object/]
    ])("%s is refused", (_, options, message) => {
      // wrong on purpose
      assert.throws(() => CacheFallback.settings(options as never), RangeError, message)
      assert.throws(() => CacheFallback.make("quotes", options as never), RangeError, message)
    })

    it("a name that is empty is refused", () => {
      assert.throws(
        () => CacheFallback.make("", { strategy: "cache-first", fresh: 1 }),
        RangeError,
        /CacheFallback: name must be a non-empty string/
      )
    })
  })
})
