import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Equal, Schema } from "effect"
import { inspect } from "node:util"
import { AdaptiveLimit, Bulkhead, CircuitBreaker, Outcome, RateLimit, Throttle } from "../src/index.ts"
import { boom, drawing, errorOf } from "./support.ts"

/** The refusal that a call meets beside one that hangs. */
const refusedBeside = <E>(protect: <A, E1>(self: Effect.Effect<A, E1>) => Effect.Effect<A, E | E1>) =>
  Effect.gen(function*() {
    yield* Effect.forkChild(protect(Effect.never), { startImmediately: true })
    return errorOf(yield* Effect.exit(protect(Effect.void)))
  })

type Case = readonly [
  refusing: Effect.Effect<unknown>,
  Class: Schema.Codec<Error, unknown> & (new(...args: never) => unknown),
  constructed: Error
]

/** What each policy refuses with, and the same error as its constructor makes it. */
const cases: Readonly<Record<string, Case>> = {
  CircuitOpen: [
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed("p", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      yield* Effect.exit(breakers.protect(boom, { key: "k" }))
      return errorOf(yield* Effect.exit(breakers.protect(Effect.void, { key: "k" })))
    }),
    CircuitBreaker.CircuitOpen,
    new CircuitBreaker.CircuitOpen({ policy: "p", key: "k", retryAfter: Duration.seconds(5) })
  ],
  BulkheadFull: [
    Effect.flatMap(Bulkhead.make("p", { concurrency: 1 }), ({ protect }) => refusedBeside(protect)),
    Bulkhead.BulkheadFull,
    new Bulkhead.BulkheadFull({ policy: "p", reason: "queue", concurrency: 1, waiting: 0 })
  ],
  RateLimited: [
    Effect.flatMap(
      RateLimit.make("p", { kind: "token-bucket", permits: 1, per: "1 second" }),
      ({ protect }) => refusedBeside(protect)
    ),
    RateLimit.RateLimited,
    new RateLimit.RateLimited({ policy: "p", limit: "permits", retryAfter: Duration.seconds(1) })
  ],
  LimitExceeded: [
    Effect.flatMap(AdaptiveLimit.make("p", { max: 1 }), ({ protect }) => refusedBeside(protect)),
    AdaptiveLimit.LimitExceeded,
    new AdaptiveLimit.LimitExceeded({ policy: "p", reason: "queue", priority: "critical", limit: 1 })
  ],
  Throttled: [
    Effect.gen(function*() {
      const throttle = yield* Throttle.make("p", { minimumCalls: 1 })
      yield* Effect.exit(throttle.protect(boom))
      return errorOf(yield* Effect.exit(throttle.protect(Effect.void)))
    }).pipe(drawing(0)),
    Throttle.Throttled,
    new Throttle.Throttled({ policy: "p", probability: 0.5 })
  ]
}

/** What is printed, without the trace. */
const printed = (error: unknown) => inspect(error).replace(/\n {4}at .*/g, "")

describe("A refusal, which is made without a stack,", () => {
  for (const [tag, [refusing, Class, constructed]] of Object.entries(cases)) {
    it.effect(`is a ${tag} like any other`, () =>
      Effect.gen(function*() {
        const refusal = yield* refusing
        assert.notProperty(refusal, "stack")
        assert.isTrue(refusal instanceof Class)
        assert.instanceOf(refusal, Error)
        assert.isTrue(Schema.is(Class)(refusal))
        assert.isTrue(Equal.equals(refusal, yield* refusing))
        assert.deepStrictEqual(Object.entries(Object(refusal)), Object.entries(constructed))
        assert.strictEqual(String(refusal), String(constructed))
        assert.strictEqual(printed(refusal), printed(constructed))
        assert.include(Cause.pretty(Cause.fail(refusal)), constructed.message)
        const encode = Schema.encodeUnknownSync(Class)
        assert.deepStrictEqual(encode(refusal), encode(constructed))
        assert.deepStrictEqual(Outcome.fromError(refusal), Outcome.ignored)
      }))
  }
})
