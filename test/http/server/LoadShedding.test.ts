import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Queue, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as LoadShedding from "../../../src/http/server/LoadShedding.ts"
import * as Server from "../../../src/http/server/Server.ts"
import { AdaptiveLimit } from "../../../src/index.ts"
import { at, post, serve, text } from "./support.ts"

describe("LoadShedding", () => {
  it.effect("refuses what there is no room for with 503 and Retry-After, lower priorities first, health checks never", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { initial: 10, max: 10 })
      const gate = Latch.makeUnsafe(false)
      const entered = yield* Queue.unbounded<void>()
      const arrived = (count: number) =>
        Effect.forEach(Array.from({ length: count }), () => Queue.take(entered), { discard: true })
      let inside = 0
      const slow = Effect.suspend(() => {
        inside++
        return Effect.andThen(Queue.offer(entered, undefined), Effect.as(gate.await, HttpServerResponse.text("ok")))
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
      yield* arrived(5)
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
      yield* arrived(5)
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

  it.effect("what the server's own deadline cuts short is a failure, and what a caller's cuts short says nothing", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { initial: 20, max: 200, min: 5 })
      const started = yield* Queue.unbounded<void>()
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", Effect.andThen(Queue.offer(started, undefined), Effect.never)).pipe(
          Layer.provide(Server.layer({ loadShedding: { limit }, deadline: { max: "1 second" } }))
        )
      )
      const round = (headers: Record<string, string>) =>
        Effect.gen(function*() {
          const asked = yield* Effect.forkChild(
            Effect.all(Array.from({ length: 5 }, () => ask("/x", at(headers))), { concurrency: "unbounded" })
          )
          for (let n = 0; n < 5; n++) yield* Queue.take(started)
          yield* TestClock.adjust("1 second")
          for (const answer of yield* Fiber.join(asked)) assert.strictEqual(answer.status, 504)
          return yield* limit.snapshot
        })
      const impatient = yield* round({ "x-deadline-ms": "900" })
      assert.deepInclude(impatient.calls, { failure: 0, ignored: 5 })
      assert.strictEqual(impatient.limit, 20)
      const overloaded = yield* round({})
      assert.deepInclude(overloaded.calls, { failure: 5, ignored: 5 })
      // the caller would have waited longer
      const patient = yield* round({ "x-deadline-ms": "60000" })
      assert.deepInclude(patient.calls, { failure: 10, ignored: 5 })
      for (let n = 0; n < 20; n++) yield* round({})
      assert.isBelow((yield* limit.snapshot).limit, 20)
    }))

  it.effect("a small body takes its place when it has arrived, and is there for the handler in any form", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { initial: 1, max: 1 })
      const ask = yield* serve(
        HttpRouter.add("POST", "/x", (request) =>
          Effect.gen(function*() {
            const { inFlight } = yield* limit.snapshot
            const streamed = yield* Stream.mkString(Stream.decodeText(request.stream))
            return HttpServerResponse.text(`${inFlight} ${streamed} ${yield* request.text}`)
          })).pipe(Layer.provide(LoadShedding.layer({ limit })))
      )
      const answer = yield* ask("/x", post("hello", { "content-length": "5" }))
      assert.strictEqual(answer.text, "1 hello hello")
      const { calls } = yield* limit.snapshot
      assert.strictEqual(calls.success, 1)
    }))
})
