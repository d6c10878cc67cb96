import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, References, Schema, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { Fallback, Outcome, Pipeline, Resilience } from "../../src/index.ts"
import { recordingTracer } from "../recordingTracer.ts"
import { Boom, boom, brief, drive, failing, listen, recorded, Says, start } from "../support.ts"

const retry = { times: 2, backoff: { kind: "constant", delay: "1 second" }, jitter: "none" } as const

describe("spans", () => {
  it.effect("one for a call, and a child for each of its attempts, with the waits between them", () =>
    Effect.gen(function*() {
      const { attributes, events, traced, tree, spans } = recordingTracer()
      const pipeline = yield* Pipeline.make("billing", { retry, attemptTimeout: "2 seconds" })
      const { work } = recorded((n) => n < 3 ? Effect.fail(new Boom({ n })) : Effect.succeed("paid"))
      yield* drive(traced(pipeline.protect(work, { operation: "charge" })))
      assert.deepStrictEqual(tree(), [
        "charge: ok",
        "  charge attempt: Boom",
        "  charge attempt: Boom",
        "  charge attempt: ok"
      ])
      const common = { "resilience.pipeline": "billing", "resilience.operation": "charge" }
      assert.deepStrictEqual(attributes(), [
        { ...common, "resilience.outcome": "success" },
        { ...common, "resilience.attempt": 1, "resilience.outcome": "failure", "error.type": "Boom" },
        { ...common, "resilience.attempt": 2, "resilience.outcome": "failure", "error.type": "Boom" },
        { ...common, "resilience.attempt": 3, "resilience.outcome": "success" }
      ])
      const waited = { name: "resilience.retry", "resilience.wait_ms": 1000, "error.type": "Boom" }
      assert.deepStrictEqual(events(), [
        [{ ...waited, "resilience.attempt": 1 }, { ...waited, "resilience.attempt": 2 }],
        [],
        [],
        []
      ])
      const starts = spans.map(({ status }) => Number(status.startTime) / 1e6)
      assert.deepStrictEqual(starts.map((at) => at - (starts[0] ?? 0)), [0, 0, 1000, 2000])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("are named after the pipeline where there is no operation, and are children of the span around", () =>
    Effect.gen(function*() {
      const { attributes, traced, tree } = recordingTracer()
      const outer = yield* Pipeline.make("outer", { retry })
      const inner = yield* Pipeline.make("inner", { attemptTimeout: "1 second" })
      const work = Effect.withSpan(Effect.void, "work")
      yield* drive(traced(Effect.withSpan(outer.protect(inner.protect(work)), "request")))
      assert.deepStrictEqual(tree(), [
        "request: ok",
        "  outer: ok",
        "    outer attempt: ok",
        "      inner: ok",
        "        inner attempt: ok",
        "          work: ok"
      ])
      assert.deepStrictEqual(attributes()[1], { "resilience.pipeline": "outer", "resilience.outcome": "success" })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("say who has refused, and why there was no retry, and who has answered instead", () =>
    Effect.gen(function*() {
      const { attributes, events, traced, tree } = recordingTracer()
      const pipeline = yield* Pipeline.make("p", {
        retry: { ...retry, times: 1 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
      })
      yield* drive(traced(Effect.exit(pipeline.protect(boom))), "1 seconds")
      yield* drive(traced(pipeline.protect(boom, { fallback: Fallback.value("instead") })), "1 seconds")
      assert.deepStrictEqual(
        tree(),
        ["p: Boom", "  p attempt: Boom", "p: ok", "  p attempt: CircuitOpen"]
      )
      const refused = { "resilience.outcome": "ignored", "resilience.refused_by": "circuitBreaker" }
      assert.deepStrictEqual(attributes().slice(2), [
        { "resilience.pipeline": "p", ...refused },
        { "resilience.pipeline": "p", "resilience.attempt": 1, ...refused, "error.type": "CircuitOpen" }
      ])
      assert.deepStrictEqual(events(), [
        [{
          name: "resilience.retry_declined",
          "resilience.attempt": 1,
          "resilience.because": "circuitBreaker",
          "error.type": "Boom"
        }],
        [],
        [{ name: "resilience.fallback", "error.type": "CircuitOpen" }],
        []
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("a losing hedge ends as interrupted, and not as an error", () =>
    Effect.gen(function*() {
      const { attributes, events, traced, tree } = recordingTracer()
      const pipeline = yield* Pipeline.make("p", { hedge: { delay: "1 second" } })
      const { work } = recorded((n) => n === 1 ? Effect.never : Effect.succeed(n))
      yield* drive(traced(pipeline.protect(work)))
      assert.deepStrictEqual(tree(), ["p: ok", "  p attempt: interrupt", "  p attempt: ok"])
      assert.deepStrictEqual(attributes()[1], {
        "resilience.pipeline": "p",
        "resilience.attempt": 1,
        "resilience.outcome": "ignored"
      })
      assert.deepStrictEqual(events()[0], [
        { name: "resilience.hedge", "resilience.hedge": 1 },
        { name: "resilience.hedge_won", "resilience.hedge": 1 }
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("a timeout of an attempt is its error, that of the call cuts the attempt, and an interrupt is none", () =>
    Effect.gen(function*() {
      const { attributes, traced, tree } = recordingTracer()
      const attempt = yield* Pipeline.make("attempt", { attemptTimeout: "1 second" })
      const total = yield* Pipeline.make("total", { totalTimeout: "1 second" })
      yield* drive(traced(attempt.protect(Effect.never)))
      yield* drive(traced(total.protect(Effect.never)))
      const fiber = yield* start(traced(total.protect(Effect.never)))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(tree(), [
        "attempt: TimedOut",
        "  attempt attempt: TimedOut",
        "total: TimedOut",
        "  total attempt: interrupt",
        "total: interrupt",
        "  total attempt: interrupt"
      ])
      assert.deepStrictEqual(attributes().map((_) => [_["resilience.outcome"], _["error.type"]]), [
        ["failure", "TimedOut"],
        ["failure", "TimedOut"],
        ["failure", "TimedOut"],
        ["failure", undefined],
        ["ignored", undefined],
        ["ignored", undefined]
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("a result that is judged to be a failure ends as one, and so does a defect", () =>
    Effect.gen(function*() {
      const { attributes, traced, tree } = recordingTracer()
      const { protect } = yield* Pipeline.make("p", {})
      yield* traced(protect(Effect.succeed("busy"), { classify: () => Outcome.overload() }))
      yield* traced(Effect.exit(protect(Effect.die(new TypeError("bug")))))
      assert.deepStrictEqual(tree(), ["p: _OTHER", "  p attempt: _OTHER", "p: die", "  p attempt: die"])
      assert.deepStrictEqual(attributes().map((_) => [_["resilience.outcome"], _["error.type"]]), [
        ["overload", "_OTHER"],
        ["overload", "_OTHER"],
        ["failure", "TypeError"],
        ["failure", "TypeError"]
      ])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("hold no message, no value and no name without end", () =>
    Effect.gen(function*() {
      const { events, spans, traced } = recordingTracer()
      const secret = "Bearer abc"
      class Told extends Schema.TaggedError<Told>()("Told", { message: Schema.String }) {}
      const { protect } = yield* Pipeline.make("p", { retry: { times: 1 } })
      const told = Effect.fail(new Told({ message: secret }))
      yield* drive(traced(Effect.exit(protect(told, { operation: "x".repeat(5_000) }))))
      yield* drive(traced(Effect.exit(protect(Effect.die(new Error(secret))))))
      yield* drive(traced(Effect.exit(protect(Effect.fail(secret)))))
      yield* traced(protect(Effect.succeed(secret)))
      const all = [...spans.map(({ attributes, name, status }) => [name, [...attributes], status]), events()]
      const text = JSON.stringify(all, (_, value: unknown) => typeof value === "bigint" ? 0 : value)
      assert.include(text, "Told")
      assert.notInclude(text, secret)
      assert.isTrue(spans.every(({ name }) => name.length < 220))
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("answers from the cache are events of the call", () =>
    Effect.gen(function*() {
      const { attributes, events, traced, tree } = recordingTracer()
      const pipeline = yield* Pipeline.make("p", { cache: { strategy: "cache-first", fresh: "1 minute" } })
      const { work } = recorded((n) => n === 1 ? Effect.succeed(n) : Effect.fail(new Boom({ n })))
      const call = traced(pipeline.protect(work, { cache: { key: ["a"], schema: Schema.Number } }))
      yield* call
      yield* TestClock.adjust("1 seconds")
      yield* call
      assert.deepStrictEqual(tree(), ["p: ok", "  p attempt: ok", "p: ok"])
      assert.deepStrictEqual(attributes()[2], { "resilience.pipeline": "p" })
      const hit = { name: "resilience.cache_hit", "resilience.age_ms": 1000, "resilience.stale": false }
      assert.deepStrictEqual(events(), [[], [], [hit]])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("that of a stream ends when the stream ends", () =>
    Effect.gen(function*() {
      const { spans, traced, tree } = recordingTracer()
      const { protectStream } = yield* Pipeline.make("p", { retry })
      const stream = Stream.concat(Stream.make(1), Stream.fromEffect(Effect.as(Effect.sleep("3 seconds"), 2)))
      yield* drive(traced(Effect.withSpan(Stream.runDrain(protectStream(stream, { operation: "read" })), "page")))
      assert.deepStrictEqual(tree(), ["page: ok", "  read: ok", "    read attempt: ok"])
      for (const { status } of spans) {
        assert.strictEqual(status._tag === "Ended" ? status.endTime - status.startTime : 0n, 3_000_000_000n)
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("change no event, no count and no result", () => {
    const played = Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const events = yield* listen(resilience, { attempts: true })
      const pipeline = yield* Pipeline.make("p", {
        retry,
        hedge: { delay: "1 second" },
        bulkhead: { concurrency: 2 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 6 } },
        attemptTimeout: "2 seconds",
        totalTimeout: "1 minute"
      })
      const works: ReadonlyArray<Effect.Effect<number, Boom | Says>> = [
        failing().work,
        Effect.never,
        Effect.succeed(1),
        Effect.fail(Says.of(Outcome.ignored)),
        boom
      ]
      const exits: Array<unknown> = []
      for (const work of works) {
        const { at, exit } = yield* drive(pipeline.protect(work))
        exits.push([at, brief(exit)])
      }
      return { exits, events: [...events], counts: yield* pipeline.counts }
    })
    return Effect.gen(function*() {
      const { spans, traced } = recordingTracer()
      const fresh = <A, E>(self: Effect.Effect<A, E, Resilience.Resilience>) =>
        Effect.provide(self, Layer.mergeAll(Resilience.layer, TestClock.layer()))
      const plain = yield* fresh(played)
      assert.deepStrictEqual(yield* traced(fresh(played)), plain)
      assert.isAbove(plain.events.length, 20)
      assert.isAbove(spans.length, 10)
    })
  })

  it.effect("are not made without a tracer, nor where tracing is off, and a pipeline serves callers of both kinds", () =>
    Effect.gen(function*() {
      const { spans, traced } = recordingTracer()
      const made: Array<string> = []
      const pipeline = yield* Pipeline.make("p", { retry })
      const work = Effect.sync(() => made.push("ran"))
      const spanOfWork = Effect.andThen(work, Effect.option(Effect.currentSpan))
      const call = pipeline.protect(spanOfWork)
      assert.isTrue((yield* call)._tag === "None")
      assert.isTrue((yield* traced(Effect.provideService(call, References.TracerEnabled, false)))._tag === "None")
      assert.strictEqual(spans.length, 0)
      assert.strictEqual((yield* traced(call))._tag, "Some")
      assert.strictEqual(spans.length, 2)
      assert.isTrue((yield* call)._tag === "None")
      assert.strictEqual(spans.length, 2)
      assert.strictEqual(made.length, 4)
      assert.strictEqual((yield* pipeline.counts).calls, 4)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("a tracer that throws at an event or an end breaks no call", () =>
    Effect.gen(function*() {
      class Broken extends Tracer.NativeSpan {
        override event(): void {
          throw new Error("no")
        }
        override attribute(key: string, value: unknown): void {
          if (key === "resilience.outcome") throw new Error("no")
          super.attribute(key, value)
        }
      }
      const pipeline = yield* Pipeline.make("p", { retry })
      const { work } = recorded((n) => n < 3 ? Effect.fail(new Boom({ n })) : Effect.succeed(n))
      const broken = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Broken(options) }))
      const { exit } = yield* drive(Effect.provide(pipeline.protect(work), broken))
      assert.strictEqual(brief(exit), 3)
    }).pipe(Effect.provide(Resilience.layer)))
})
