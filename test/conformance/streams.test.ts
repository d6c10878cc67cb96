import { assert, describe, it } from "@effect/vitest"
import { Effect, Ref, Semaphore, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CircuitBreaker, Policy, Retry, Streams } from "../../src/index.ts"
import { drive, errorOf, now, start } from "../support.ts"

describe("conformance: streams", () => {
  it.effect("41: a stream that stalls after its first element fails with TimedOut, is not replayed, and gives back its permit and its probe at that moment", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("model", {
        trip: { kind: "consecutive", failures: 1 },
        open: "5 seconds"
      })
      const permits = Semaphore.makeUnsafe(1)
      let isFree = true
      const permit = <A, E, R>(self: Effect.Effect<A, E, R>) =>
        permits.withPermits(1)(
          Effect.acquireUseRelease(
            Effect.sync(() => {
              isFree = false
            }),
            () => self,
            () =>
              Effect.sync(() => {
                isFree = true
              })
          )
        )
      const policy = Policy.compose(
        Retry.make({ times: 3, backoff: { kind: "constant", delay: "100 millis" } }),
        permit,
        breaker.protect
      )

      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      yield* TestClock.adjust("5 seconds")

      let openings = 0
      const stalling = Stream.suspend(() => {
        openings++
        return Stream.concat(Stream.make("Hel"), Stream.never)
      })
      const limited = stalling.pipe(
        Streams.timeout({ firstElement: "30 seconds", idle: "2 seconds" }),
        Streams.protect(policy)
      )
      const elements: Array<string> = []
      const seen: Array<unknown> = []
      const fiber = yield* start(
        limited.pipe(
          Stream.tapError(() =>
            Effect.map(Effect.zip(now, breaker.snapshot), ([at, { state }]) => seen.push({ at, state, isFree }))
          ),
          Stream.runForEach((element) => Effect.sync(() => elements.push(element))),
          Effect.exit
        )
      )
      assert.deepInclude(yield* Ref.get(breaker.phase), {
        _tag: "HalfOpen",
        inFlight: 1
      })
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      assert.isFalse(isFree)
      yield* TestClock.adjust("1 millis")

      const exit = fiber.pollUnsafe()
      assert.strictEqual(exit?._tag, "Success")
      if (exit?._tag === "Success") {
        assert.deepInclude(errorOf(exit.value), { _tag: "TimedOut", limit: "idle" })
      }
      assert.deepStrictEqual(elements, ["Hel"])
      assert.deepStrictEqual(seen, [{ at: 7_000, state: "Open", isFree: true }])
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(openings, 1)
      // half-open again, with its whole place for a probe
      yield* TestClock.adjust("1 seconds")
      const { exit: next } = yield* drive(Stream.runHead(limited))
      assert.strictEqual(next._tag, "Success")
      assert.strictEqual((yield* breaker.snapshot).state, "Closed")
      assert.strictEqual(openings, 2)
    }))
})
