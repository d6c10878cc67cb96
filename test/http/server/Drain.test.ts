import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Drain from "../../../src/http/server/Drain.ts"
import { serve } from "./support.ts"

describe("Drain", () => {
  it.effect("turns readiness off, refuses what still comes, and waits for what is in flight", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const context = yield* Layer.build(Drain.Drain.layer)
      const { drain, inFlight, isReady } = yield* Drain.Drain.pipe(Effect.provide(context))
      const given = Layer.succeedContext(context)
      const ask = yield* serve(
        Layer.mergeAll(
          HttpRouter.add(
            "GET",
            "/slow",
            Deferred.succeed(started, undefined).pipe(
              Effect.andThen(Effect.sleep("10 seconds")),
              Effect.as(HttpServerResponse.text("done"))
            )
          ),
          Drain.layerReadiness()
        ).pipe(
          Layer.provide(Drain.layer({ retryAfter: "3 seconds", except: ({ url }) => url === "/health/ready" })),
          Layer.provide(given)
        )
      )
      assert.strictEqual((yield* ask("/health/ready")).text, "{\"ready\":true}")
      const slow = yield* Effect.forkChild(ask("/slow"))
      yield* Deferred.await(started)
      assert.strictEqual(yield* inFlight, 1)
      const draining = yield* Effect.forkChild(drain({ wait: "5 seconds" }))
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* isReady)
      assert.strictEqual((yield* ask("/health/ready")).status, 503)
      const refused = yield* ask("/slow")
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.headers.get("retry-after"), "3")
      assert.strictEqual(refused.headers.get("connection"), "close")
      assert.strictEqual(refused.body.code, "unavailable")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(draining), 1)
      const again = yield* Effect.forkChild(drain())
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).text, "done")
      assert.strictEqual(yield* Fiber.join(again), 0)
      assert.strictEqual(yield* drain({ wait: 0 }), 0)
      assert.throws(() => drain({ wait: -1 }), RangeError)
      assert.throws(() => drain({ waits: 1 } as object), RangeError)
      assert.throws(() => Drain.layer({ retryAfter: 0 }), RangeError)
    }))
})
