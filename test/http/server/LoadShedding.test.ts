import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as LoadShedding from "../../../src/http/server/LoadShedding.ts"
import * as Server from "../../../src/http/server/Server.ts"
import { AdaptiveLimit } from "../../../src/index.ts"
import { at, serve, text } from "./support.ts"

describe("LoadShedding", () => {
  it.effect("refuses what there is no room for with 503 and Retry-After, lower priorities first, health checks never", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { initial: 10, max: 10 })
      const gate = Latch.makeUnsafe(false)
      let inside = 0
      const slow = Effect.suspend(() => {
        inside++
        return Effect.as(gate.await, HttpServerResponse.text("ok"))
      })
      const ask = yield* serve(
        Layer.mergeAll(HttpRouter.add("GET", "/slow", slow), HttpRouter.add("GET", "/health", text("fine"))).pipe(
          Layer.provide(
            Server.layer({
              loadShedding: {
                limit,
                retryAfter: "1500 millis",
                priority: ({ headers }) => headers["x-priority"] as AdaptiveLimit.Priority
              }
            })
          )
        )
      )
      const asked = (priority: string, count: number) =>
        Effect.forkChild(
          Effect.all(Array.from({ length: count }, () => ask("/slow", at({ "x-priority": priority }))), {
            concurrency: "unbounded"
          })
        )
      const first = yield* asked("background", 5)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      assert.strictEqual(inside, 5)
      const shed = yield* ask("/slow", at({ "x-priority": "background" }))
      assert.strictEqual(shed.status, 503)
      assert.strictEqual(shed.headers.get("retry-after"), "2")
      assert.deepInclude(shed.body, {
        code: "unavailable",
        retryAfter: 1.5,
        requestId: shed.headers.get("x-request-id")
      })
      // an answer that is no priority is a critical one
      const second = yield* asked("nonsense", 5)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      assert.strictEqual(inside, 10)
      assert.strictEqual((yield* ask("/slow", at({ "x-priority": "critical" }))).status, 503)
      assert.strictEqual((yield* ask("/health")).text, "fine")
      gate.openUnsafe()
      for (const answer of [...(yield* Fiber.join(first)), ...(yield* Fiber.join(second))]) {
        assert.strictEqual(answer.status, 200)
      }
      const { calls, inFlight } = yield* limit.snapshot
      assert.strictEqual(inFlight, 0)
      assert.deepStrictEqual(calls.refused, { critical: 1, sheddable: 0, background: 1 })
    }))

  it.effect("answers that say that the server fails are drops, and the caller's mistakes are not", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server")
      const ask = yield* serve(
        HttpRouter.add("GET", "/die", Effect.die("boom")).pipe(Layer.provide(Server.layer({ loadShedding: { limit } })))
      )
      yield* ask("/die")
      yield* ask("/nope")
      const { calls } = yield* limit.snapshot
      assert.strictEqual(calls.failure, 1)
      assert.strictEqual(calls.success, 1)
      assert.throws(() => LoadShedding.layer({ retryAfter: -1 }), RangeError)
      assert.throws(() => LoadShedding.layer({ priority: "critical" as never }), RangeError)
      assert.throws(() => LoadShedding.layer({ limits: {} } as object), RangeError)
      assert.throws(() => LoadShedding.layer({ limit: { min: 0 } }), RangeError)
    }))
})
