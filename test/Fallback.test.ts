import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, ExecutionPlan, Exit, Fiber, Layer, Logger, Schema } from "effect"
import { HttpApiError } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as CacheFallback from "../src/CacheFallback.ts"
import * as Fallback from "../src/Fallback.ts"
import { CircuitBreaker, Outcome, Retry, Timeout } from "../src/index.ts"
import { Boom, brief, drive, errorOf, now, Says, start } from "./support.ts"

class QuotaUsedUp extends Schema.TaggedError<QuotaUsedUp>()("QuotaUsedUp", {}) {
  readonly [Outcome.symbol] = Outcome.success
}
class Offline extends Schema.TaggedError<Offline>()("Offline", {}) {}

type All = Boom | QuotaUsedUp | Offline

const boom = new Boom({ n: 1 })
const fails = (error: All): Effect.Effect<string, All> => Effect.fail(error)

/** How work that fails with this error ends under a handler. */
const under = <E, B, E2>(error: E, handler: Fallback.Handler<E, B, E2, never>) =>
  Effect.map(Effect.exit(Fallback.orElse(Effect.fail(error), handler)), brief)

describe("Fallback", () => {
  describe("handlers", () => {
    it.effect("a value answers every typed error, and is not looked at where the work succeeds", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* under(boom, Fallback.value("plain")), "plain")
        assert.strictEqual(yield* under("a string", Fallback.value("plain")), "plain")
        assert.strictEqual(yield* Fallback.orElse(Effect.succeed(1), Fallback.value(2)), 1)
      }))

    it.effect("an effect answers, and its own failure takes the place of the error", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* under(boom, Fallback.effect(Effect.succeed("second"))), "second")
        assert.strictEqual(yield* under(boom, Fallback.effect((error: Boom) => Effect.succeed(error.n))), 1)
        assert.strictEqual(yield* under(boom, Fallback.effect(Effect.fail(new Offline()))), "Offline")
      }))

    it.effect("the provider runs once a call, and only when it is needed", () =>
      Effect.gen(function*() {
        let runs = 0
        const provider = Fallback.effect(Effect.sync(() => ++runs))
        yield* Fallback.orElse(Effect.void, provider)
        assert.strictEqual(runs, 0)
        const call = Fallback.orElse(fails(boom), provider)
        assert.deepStrictEqual([yield* call, yield* call], [1, 2])
      }))

    it.effect("on handles errors by tag and leaves the others", () =>
      Effect.gen(function*() {
        const handler = Fallback.on(["Boom", "Offline"], Fallback.value("plain"))
        assert.strictEqual(yield* under(boom, handler), "plain")
        assert.strictEqual(yield* under(new Offline(), handler), "plain")
        assert.strictEqual(yield* under(new QuotaUsedUp(), handler), "QuotaUsedUp")
        assert.strictEqual(yield* under("Boom", handler), "Boom")
        assert.strictEqual(yield* under(undefined, handler), undefined)
        assert.strictEqual(yield* under(null, handler), null)
      }))

    it.effect("on handles errors by refinement", () =>
      Effect.gen(function*() {
        const byClass = Fallback.on(Schema.is(Boom), (error) => Effect.succeed(error.n))
        assert.strictEqual(yield* under(boom, byClass), 1)
        assert.strictEqual(yield* under(new Offline(), byClass), "Offline")
      }))

    it.effect("except leaves what must not be masked, and handles all others", () =>
      Effect.gen(function*() {
        const handler = Fallback.except(["QuotaUsedUp"], Fallback.value("plain"))
        assert.strictEqual(yield* under(new QuotaUsedUp(), handler), "QuotaUsedUp")
        assert.strictEqual(yield* under(boom, handler), "plain")
        const refined = Fallback.except(Schema.is(QuotaUsedUp), Fallback.value("plain"))
        assert.strictEqual(yield* under(new QuotaUsedUp(), refined), "QuotaUsedUp")
        assert.strictEqual(yield* under(boom, refined), "plain")
      }))

    it.effect("onOutcome handles errors by what they say about the dependency", () =>
      Effect.gen(function*() {
        const handler = Fallback.onOutcome(["Failure", "Overload"], Fallback.value("plain"))
        assert.strictEqual(yield* under(boom, handler), "plain")
        assert.strictEqual(yield* under(Says.of(Outcome.overload()), handler), "plain")
        assert.strictEqual(yield* under(Says.of(Outcome.success), handler), "Says")
        assert.strictEqual(yield* under(new CircuitBreaker.CircuitOpen({ policy: "a" }), handler), "CircuitOpen")
        assert.strictEqual(
          yield* under(
            new CircuitBreaker.CircuitOpen({ policy: "a" }),
            Fallback.onOutcome(["Ignored"], Fallback.value("at once"))
          ),
          "at once"
        )
      }))

    it.effect("onOutcome sees what is noted beside the error, as every other policy does", () =>
      Effect.gen(function*() {
        const notFound = Effect.fail("no such page").pipe(Outcome.annotate(() => Outcome.success))
        const handler = Fallback.onOutcome(["Failure"], Fallback.value("plain"))
        assert.strictEqual(yield* Effect.flip(Fallback.orElse(notFound, handler)), "no such page")
        // also behind a provider that leaves it alone
        const chained = Fallback.chain(Fallback.on(Schema.is(Offline), Fallback.value(1)), handler)
        assert.strictEqual(yield* Effect.flip(Fallback.orElse(notFound, chained)), "no such page")
        // what is noted beside an equal error elsewhere says nothing
        const inner = Fallback.orElse(Effect.fail("no such page"), handler)
        assert.strictEqual(yield* Fallback.orElse(notFound, Fallback.effect(inner)), "plain")
        // by hand, the error alone can speak
        assert.strictEqual(yield* handler("no such page"), "plain")
      }))

    it.effect("a chain asks its providers in order, each about the error that the one before it left", () =>
      Effect.gen(function*() {
        const asked: Array<unknown> = []
        const ask = <E>(error: E) => {
          asked.push(error)
          return Effect.fail(error)
        }
        const offline = new Offline()
        const chain = Fallback.chain(
          ask<All>,
          Fallback.on(["Boom"], Fallback.effect(Effect.fail(offline))),
          ask<QuotaUsedUp | Offline>,
          Fallback.on(["Offline"], Fallback.value("third")),
          Fallback.on(["QuotaUsedUp"], Fallback.value("fourth"))
        )
        assert.strictEqual(yield* Fallback.orElse(fails(boom), chain), "third")
        assert.deepStrictEqual(asked, [boom, offline])
        assert.strictEqual(yield* Fallback.orElse(fails(new QuotaUsedUp()), chain), "fourth")
      }))

    it.effect("a chain stops at the first answer, and fails with the error of its last provider", () =>
      Effect.gen(function*() {
        let runs = 0
        const last = Fallback.effect(Effect.suspend(() => Effect.fail(`gone ${++runs}`)))
        assert.strictEqual(yield* under(boom, Fallback.chain(Fallback.value(1), last)), 1)
        assert.strictEqual(runs, 0)
        assert.strictEqual(yield* under(boom, Fallback.chain(last, last, last, last)), "gone 4")
      }))

    it.effect("handlers are functions, and compose", () =>
      Effect.gen(function*() {
        const handler = Fallback.except(
          ["QuotaUsedUp"],
          Fallback.chain(
            Fallback.on(["Boom"], Fallback.effect(Effect.fail(new Offline()))),
            Fallback.onOutcome(["Failure"], Fallback.value("plain"))
          )
        )
        assert.strictEqual(yield* under<All, string, All>(boom, handler), "plain")
        assert.strictEqual(yield* under<All, string, All>(new QuotaUsedUp(), handler), "QuotaUsedUp")
        assert.strictEqual(brief(yield* Effect.exit(handler(new Offline()))), "plain")
      }))

    it.effect("a plan of Effect's is a provider like any other", () =>
      Effect.gen(function*() {
        class Model extends Context.Service<Model, { readonly name: string }>()("Model") {}
        const attempts: Array<string> = []
        const ask = Effect.flatMap(Model, ({ name }) =>
          Effect.suspend(() => {
            attempts.push(name)
            return name === "small" ? Effect.succeed("an answer") : Effect.fail(new Offline())
          }))
        const plan = ExecutionPlan.make(
          { provide: Layer.succeed(Model, { name: "large" }), attempts: 2 },
          { provide: Layer.succeed(Model, { name: "small" }) }
        )
        const answer = Fallback.orElse(
          fails(boom),
          Fallback.on(["Boom"], Fallback.effect(Effect.withExecutionPlan(ask, plan)))
        )
        assert.strictEqual(yield* answer, "an answer")
        assert.deepStrictEqual(attempts, ["large", "large", "small"])
      }))
  })

  describe("what is not handled", () => {
    it.effect("a defect passes every handler, also beside a typed error", () =>
      Effect.gen(function*() {
        const handler = Fallback.value("plain")
        assert.strictEqual(brief(yield* Effect.exit(Fallback.orElse(Effect.die("bug"), handler))), "die")
        const both = Effect.failCause(Cause.combine(Cause.fail(boom), Cause.die("bug")))
        const exit = yield* Effect.exit(Fallback.orElse(both, handler))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause) && !Cause.hasFails(exit.cause))
      }))

    it.effect("who asks for it answers for a defect", () =>
      Effect.gen(function*() {
        const work: Effect.Effect<string, Boom> = Effect.die("bug")
        const broken = Effect.catchDefect(work, () => Effect.fail(new Offline()))
        assert.strictEqual(yield* Fallback.orElse(broken, Fallback.value("plain")), "plain")
      }))

    it.effect("an interrupted caller is not given a fallback", () =>
      Effect.gen(function*() {
        let runs = 0
        const fiber = yield* start(Fallback.orElse(Effect.never, Fallback.effect(Effect.sync(() => ++runs))))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(brief(yield* Fiber.await(fiber)), "interrupt")
        assert.strictEqual(runs, 0)
        assert.strictEqual(
          brief(yield* Effect.exit(Fallback.orElse(Effect.interrupt, Fallback.value("plain")))),
          "interrupt"
        )
      }))

    it.effect("an interrupt during the fallback ends it", () =>
      Effect.gen(function*() {
        let cleaned = false
        const provider = Effect.never.pipe(Effect.onInterrupt(() =>
          Effect.sync(() => {
            cleaned = true
          })
        ))
        const fiber = yield* start(Fallback.orElse(fails(boom), Fallback.effect(provider)))
        yield* Fiber.interrupt(fiber)
        assert.isTrue(cleaned)
      }))

    it.effect("an error that is left alone keeps its cause, and what is noted there", () =>
      Effect.gen(function*() {
        const noted = fails(boom).pipe(Outcome.annotate(() => Outcome.overload()))
        for (
          const handler of [
            Fallback.on(["Offline"], Fallback.value("plain")),
            Fallback.except(["Boom"], Fallback.value("plain")),
            Fallback.onOutcome(["Failure"], Fallback.value("plain")),
            Fallback.chain(
              Fallback.on(["Offline"], Fallback.value("plain")),
              Fallback.on(["QuotaUsedUp"], Fallback.value("plain"))
            )
          ] as ReadonlyArray<Fallback.Handler<All, string, All, never>>
        ) {
          const exit = yield* Effect.exit(Fallback.orElse(noted, handler))
          assert.strictEqual(errorOf(exit), boom)
          assert.strictEqual(Outcome.fromExit(exit)._tag, "Overload")
        }
      }))

    it.effect("a refinement that throws leaves the error", () =>
      Effect.gen(function*() {
        const throws = (_error: unknown): _error is Offline => {
          throw new Error("a mistake")
        }
        assert.strictEqual(yield* under(boom, Fallback.on(throws, Fallback.value("plain"))), "Boom")
        assert.strictEqual(yield* under(boom, Fallback.except(throws, Fallback.value("plain"))), "Boom")
        const hostile = new Proxy({}, {
          has: () => {
            throw new Error("do not ask")
          }
        })
        assert.strictEqual(
          yield* Effect.flip(Fallback.orElse(Effect.fail(hostile), Fallback.on(["Boom"], Fallback.value(1)))),
          hostile
        )
      }))

    it.effect("a handler that throws is a defect", () =>
      Effect.gen(function*() {
        const handler = (): Effect.Effect<string> => {
          throw new Error("a mistake")
        }
        assert.strictEqual(yield* under(boom, handler), "die")
      }))
  })

  describe("for a pipeline", () => {
    const watched = (handler: Fallback.Handler<All, unknown, unknown, never>, classify?: Outcome.Classifier) => {
      const reasons: Array<unknown> = []
      return {
        reasons,
        run: (error: All) =>
          Effect.exit(Fallback.run(fails(error), handler, { classify, fellBack: (reason) => reasons.push(reason) }))
      }
    }

    it.effect("says when the handler has answered, and for which error", () =>
      Effect.gen(function*() {
        const { reasons, run } = watched(Fallback.chain(
          Fallback.on(["Boom"], Fallback.effect(Effect.fail(new Offline()))),
          Fallback.on(["Offline"], Fallback.value("plain"))
        ))
        assert.strictEqual(brief(yield* run(boom)), "plain")
        assert.deepStrictEqual(reasons, [boom])
      }))

    it.effect("says nothing where the handler left the error alone, failed or died", () =>
      Effect.gen(function*() {
        const { reasons, run } = watched(Fallback.on(["Boom"], Fallback.effect(Effect.fail("also gone"))))
        assert.strictEqual(brief(yield* run(new Offline())), "Offline")
        assert.strictEqual(brief(yield* run(boom)), "also gone")
        const dies = watched(Fallback.effect(Effect.die("bug")))
        assert.strictEqual(brief(yield* dies.run(boom)), "die")
        assert.deepStrictEqual([...reasons, ...dies.reasons], [])
      }))

    it.effect("the pipeline's classifier decides what the outcome is", () =>
      Effect.gen(function*() {
        const { run } = watched(
          Fallback.onOutcome(["Failure"], Fallback.value("plain")),
          (exit) => brief(exit) === "Boom" ? Outcome.success : undefined
        )
        assert.strictEqual(brief(yield* run(boom)), "Boom")
        assert.strictEqual(brief(yield* run(new Offline())), "plain")
      }))
  })

  describe("systems", () => {
    const openBreaker = Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("billing", { trip: { kind: "consecutive", failures: 1 } })
      yield* Effect.exit(breaker.protect(fails(boom)))
      return breaker
    })

    it.effect("B5: fail open answers with a substitute", () =>
      Effect.gen(function*() {
        const breaker = yield* openBreaker
        const balance = breaker.protect(Effect.succeed(100)).pipe(Fallback.orElse(Fallback.value(0)))
        assert.strictEqual(yield* balance, 0)
        assert.strictEqual(yield* now, 0)
      }))

    it.effect("B5: fail closed answers a typed 503 at once", () =>
      Effect.gen(function*() {
        const breaker = yield* openBreaker
        const balance = breaker.protect(Effect.succeed(100))
        // as it is: the refusal of a breaker is a 503 that says when to come back
        const refusal = yield* Effect.flip(balance)
        assert.strictEqual(refusal._tag, "CircuitOpen")
        assert.strictEqual(CircuitBreaker.CircuitOpen.ast.annotations?.["httpApiStatus"], 503)
        // whatever the error is, by a handler
        const closed = balance.pipe(
          Effect.andThen(fails(boom)),
          Fallback.orElse(() => Effect.fail(new HttpApiError.ServiceUnavailable()))
        )
        assert.strictEqual((yield* Effect.flip(closed))._tag, "ServiceUnavailable")
        assert.strictEqual(yield* now, 0)
      }))

    it.effect("B5: best effort logs and goes on", () =>
      Effect.gen(function*() {
        const logged: Array<unknown> = []
        const logger = Logger.make(({ message }) => {
          logged.push(message)
        })
        const send = fails(boom).pipe(Fallback.orElse((error) => Effect.logWarning("mail not sent", error)))
        yield* Effect.provide(send, Logger.layer([logger]))
        assert.deepStrictEqual(logged, [["mail not sent", boom]])
      }))

    it.effect("C5: each type of service has its fallback: a value, another provider, a cached answer", () =>
      Effect.gen(function*() {
        const cache = yield* CacheFallback.make("vectors", { strategy: "service-first", fresh: "1 minute" })
        let isUp = true
        const up = <A>(value: A) => Effect.suspend(() => isUp ? Effect.succeed(value) : Effect.fail(new Offline()))

        const billing = up(100).pipe(Fallback.orElse(Fallback.value(0)))
        const model = up("large").pipe(
          Fallback.orElse(Fallback.on(["Offline"], Fallback.effect(Effect.succeed("small"))))
        )
        const vectors = cache.get(up([1, 2]), { key: ["nearest", "cat"], schema: Schema.Array(Schema.Number) })

        assert.deepStrictEqual([yield* billing, yield* model, (yield* vectors).value], [100, "large", [1, 2]])
        isUp = false
        yield* TestClock.adjust("2 minutes")
        const stale = yield* vectors
        assert.deepStrictEqual([yield* billing, yield* model, stale.value], [0, "small", [1, 2]])
        assert.deepStrictEqual([stale.source, stale.isStale], ["cache", true])
      }))

    it.effect("B11: a dead service behind a 30 s timeout answers from its fallback, at once when the breaker is open", () =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make("dead", { trip: { kind: "consecutive", failures: 3 } })
        const call = Effect.never.pipe(
          Timeout.attempt("2 seconds"),
          breaker.protect,
          Retry.make({ times: 2, backoff: { kind: "constant", delay: "500 millis" }, jitter: "none" }),
          Fallback.orElse(Fallback.on(["TimedOut", "CircuitOpen", "DeadlineExceeded"], Fallback.value("plain")))
        )
        const timed = Effect.gen(function*() {
          const from = yield* now
          return [yield* call, (yield* now) - from]
        })
        assert.deepStrictEqual((yield* drive(timed)).exit, Exit.succeed(["plain", 7_000]))
        assert.strictEqual((yield* breaker.snapshot).openings, 1)
        const second = yield* CircuitBreaker.make("dead", { trip: { kind: "consecutive", failures: 1 } })
        yield* Effect.exit(second.protect(fails(boom)))
        assert.deepStrictEqual(
          yield* Fallback.orElse(second.protect(Effect.never), Fallback.on(["CircuitOpen"], Fallback.value("plain"))),
          "plain"
        )
      }))
  })

  describe("bad options", () => {
    const refused: ReadonlyArray<readonly [string, () => unknown, RegExp]> = [
      // the calls are wrong on purpose, in ways that the compiler knows
      [
        "a tag that is not in a list",
        () => Fallback.on("Boom" as never, Fallback.value(1)),
        /Fallback\.on: tags must be a list/
      ],
      [
        "no tags",
        () => Fallback.on([], Fallback.value(1)),
        /Fallback\.on: tags must be a list that is not empty, got \[\]/
      ],
      [
        "an empty tag",
        () => Fallback.except([""], Fallback.value(1)),
        /Fallback\.except: a tag must be a non-empty string/
      ],
      ["a tag that is a number", () => Fallback.on([1 as never], Fallback.value(1)), /Fallback\.on: a tag must be/],
      ["a handler that is none", () => Fallback.on(["Boom"], 1 as never), /Fallback\.on: a handler must be a function/],
      [
        "a handler that is an effect",
        () => Fallback.orElse(Effect.void, Effect.void as never),
        /Fallback\.orElse: a handler/
      ],
      ["a provider that is none", () => Fallback.effect(1 as never), /Fallback\.effect: a handler must be/],
      [
        "an unknown outcome",
        () => Fallback.onOutcome(["Fatal" as never], Fallback.value(1)),
        /Fallback\.onOutcome: an outcome must be one of/
      ],
      ["no outcomes", () => Fallback.onOutcome([], Fallback.value(1)), /Fallback\.onOutcome: outcomes must be/],
      [
        "a chain with something else in it",
        () => Fallback.chain(Fallback.value(1), 2 as never),
        /Fallback\.chain: a handler/
      ]
    ]
    it.each(refused)("%s is refused at once", (_, make, message) => {
      assert.throws(make, RangeError, message)
    })
  })
})

describe("a handler that answers with no effect, as plain JavaScript may", () => {
  it.effect("is a defect of the call, whose finalizers run", () =>
    Effect.gen(function*() {
      let released = false
      const rubbish: () => Effect.Effect<string> = (() => 5) as never
      const exit = yield* Fallback.orElse(Effect.fail("down"), rubbish).pipe(
        Effect.ensuring(Effect.sync(() => {
          released = true
        })),
        Effect.exit
      )
      assert.include(String(exit), "a function has answered with no effect")
      assert.isTrue(released)
    }))
})
