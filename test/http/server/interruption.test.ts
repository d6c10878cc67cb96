import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Scheduler } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as CallerRateLimit from "../../../src/http/server/CallerRateLimit.ts"
import * as Drain from "../../../src/http/server/Drain.ts"
import * as LoadShedding from "../../../src/http/server/LoadShedding.ts"
import * as ServerDeadline from "../../../src/http/server/ServerDeadline.ts"
import { AdaptiveLimit } from "../../../src/index.ts"
import { serve } from "./support.ts"

describe("interruption", () => {
  it.live("at any instant leaves no request in flight and no permit taken", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { queue: 3 })
      const context = yield* Layer.build(Drain.Drain.layer)
      const draining = yield* Drain.make().pipe(Effect.provide(context))
      const shedding = yield* LoadShedding.make({ limit })
      const limited = yield* CallerRateLimit.make({ limit: { kind: "token-bucket", permits: 1e9, per: "1 second" } })
      const timed = ServerDeadline.middleware({ max: "1 minute" })
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/x"))
      const work = Effect.as(Effect.repeat(Effect.yieldNow, { times: 5 }), HttpServerResponse.empty())
      for (let round = 0; round < 6000; round++) {
        const asked = draining(limited(timed(shedding(work)))).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, request),
          Effect.scoped,
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 2 + round % 7)
        )
        const fiber = yield* Effect.forkChild(asked)
        for (let n = 0; n < round % 40; n++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(yield* Effect.flatMap(Drain.Drain, (_) => _.inFlight).pipe(Effect.provide(context)), 0)
      const { calls, inFlight, waiting } = yield* limit.snapshot
      assert.deepStrictEqual([inFlight, waiting], [0, 0])
      assert.isAbove(calls.success, 0)
      assert.isAbove(calls.ignored, 0)
    }))

  const around = [
    ["CallerRateLimit", () => CallerRateLimit.layer({ limit: { kind: "fixed-window", permits: 9, per: "1 hour" } })],
    ["LoadShedding", () => LoadShedding.layer()],
    ["ServerDeadline", () => ServerDeadline.layer({ max: "1 hour" })]
  ] as const

  for (const [name, layer] of around) {
    it.effect(`${name}: what must not be cut short goes on when its caller goes away`, () =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        const written = yield* Deferred.make<boolean>()
        const ask = yield* serve(
          HttpRouter.add(
            "GET",
            "/write",
            Deferred.succeed(started, undefined).pipe(
              Effect.andThen(Deferred.await(gate)),
              Effect.andThen(Deferred.succeed(written, true)),
              Effect.as(HttpServerResponse.empty()),
              Effect.onInterrupt(() => Deferred.succeed(written, false))
            ),
            { uninterruptible: true }
          ).pipe(Layer.provide(layer()))
        )
        const asking = yield* Effect.forkChild(ask("/write"))
        yield* Deferred.await(started)
        yield* Effect.forkChild(Fiber.interrupt(asking), { startImmediately: true })
        yield* Effect.yieldNow
        yield* Deferred.succeed(gate, undefined)
        assert.isTrue(yield* Deferred.await(written))
      }))
  }
})
