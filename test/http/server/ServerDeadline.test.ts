import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Server from "../../../src/http/server/Server.ts"
import * as ServerDeadline from "../../../src/http/server/ServerDeadline.ts"
import { AdaptiveLimit, Deadline } from "../../../src/index.ts"
import { at, serve } from "./support.ts"

describe("ServerDeadline", () => {
  const never = (started: Deferred.Deferred<void>, onEnd: Effect.Effect<void>) =>
    HttpRouter.add(
      "GET",
      "/never",
      Deferred.succeed(started, undefined).pipe(Effect.andThen(Effect.never), Effect.onInterrupt(() => onEnd))
    )

  it.effect("the handler runs under what the caller has left, at most the server's own, and ends with it", () =>
    Effect.gen(function*() {
      for (const [header, limit] of [["1500", 1500], ["999999", 5000], ["soon", 5000], [undefined, 5000]] as const) {
        const started = yield* Deferred.make<void>()
        let interrupted = 0
        const ask = yield* serve(
          Layer.mergeAll(
            never(started, Effect.sync(() => void interrupted++)),
            HttpRouter.add(
              "GET",
              "/left",
              Effect.map(
                Deadline.remaining,
                (left) => HttpServerResponse.text(String(Duration.toMillis(Option.getOrThrow(left))))
              )
            )
          ).pipe(Layer.provide(Server.layer({ deadline: { max: "5 seconds" } })))
        )
        const headers = at(header === undefined ? {} : { "x-deadline-ms": header })
        assert.strictEqual((yield* ask("/left", headers)).text, String(limit))
        const fiber = yield* Effect.forkChild(ask("/never", headers))
        yield* Deferred.await(started)
        yield* TestClock.adjust(limit - 1)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        const answer = yield* Fiber.join(fiber)
        assert.strictEqual(answer.status, 504)
        assert.strictEqual(answer.body.code, "timeout")
        assert.strictEqual(answer.body.requestId, answer.headers.get("x-request-id"))
        assert.strictEqual(interrupted, 1)
      }
    }))

  it.effect("a deadline that has passed is answered at once, and the handler does not run", () =>
    Effect.gen(function*() {
      let runs = 0
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", Effect.sync(() => HttpServerResponse.text(String(++runs)))).pipe(
          Layer.provide(Server.layer())
        )
      )
      assert.strictEqual((yield* ask("/x", at({ "x-deadline-ms": "0" }))).status, 504)
      assert.strictEqual(runs, 0)
      assert.strictEqual((yield* ask("/x", at({ "x-deadline-ms": "-1" }))).status, 200)
      for (const max of [0, -1, NaN, Infinity, "soon"]) {
        assert.throws(() => ServerDeadline.layer({ max: max as number }), RangeError)
      }
      assert.throws(() => ServerDeadline.layer({ maximum: 1 } as object), RangeError)
    }))

  it.effect("what must not be cut short finishes before the answer is sent", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      let written = false
      const ask = yield* serve(
        HttpRouter.add(
          "GET",
          "/write",
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.sleep("3 seconds")),
            Effect.map(() => {
              written = true
              return HttpServerResponse.empty()
            })
          ),
          { uninterruptible: true }
        ).pipe(Layer.provide(Server.layer({ deadline: { max: "1 second" } })))
      )
      const fiber = yield* Effect.forkChild(ask("/write"))
      yield* Deferred.await(started)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(fiber)
      assert.isTrue(written)
    }))

  it.live("a caller that goes away interrupts the handler, also under a deadline and with load shedding", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const limit = yield* AdaptiveLimit.make("server")
      const ask = yield* serve(
        never(started, Effect.asVoid(Deferred.succeed(ended, undefined))).pipe(
          Layer.provide(Server.layer({ deadline: { max: "1 hour" }, loadShedding: { limit } }))
        )
      )
      const fiber = yield* Effect.forkChild(ask("/never"))
      yield* Deferred.await(started)
      assert.strictEqual((yield* limit.snapshot).inFlight, 1)
      yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Deferred.await(ended).pipe(Effect.timeout("5 seconds"))
      yield* Effect.yieldNow
      assert.strictEqual((yield* limit.snapshot).inFlight, 0)
    }))

  it.effect("answers with the problem also by itself, whoever's time it was", () =>
    Effect.gen(function*() {
      for (const headers of [{}, { "x-deadline-ms": "1000" }, { "x-deadline-ms": "999" }]) {
        const started = yield* Deferred.make<void>()
        const ask = yield* serve(
          never(started, Effect.void).pipe(Layer.provide(ServerDeadline.layer({ max: "1 second" })))
        )
        const fiber = yield* Effect.forkChild(ask("/never", at(headers)))
        yield* Deferred.await(started)
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        assert.deepInclude(answer.body, { status: 504, code: "timeout" })
      }
    }))
})
