import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Queue } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Drain from "../../../src/http/server/Drain.ts"
import { eventually } from "../server.ts"
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
      const unready = yield* ask("/health/ready")
      assert.deepInclude(unready, { status: 503, text: "{\"ready\":false}" })
      assert.isNull(unready.headers.get("retry-after"))
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

  it("refuses options that make no sense when a layer is made", () => {
    assert.throws(() => Drain.layerOnStop({ wait: -1 }), RangeError)
    assert.throws(() => Drain.layerOnStop({ waits: 1 } as object), RangeError)
    assert.throws(() => Drain.layer({ except: true as never }), RangeError)
  })

  it.live(
    "a process that gets SIGTERM finishes what is in flight, refuses the rest, and ends",
    () =>
      Effect.gen(function*() {
        const process = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn("node", ["--conditions=effect-resilience-source", "test/http/server/stopping.ts"], {
              stdio: ["ignore", "pipe", "inherit"]
            })
          ),
          (process) => Effect.sync(() => process.kill("SIGKILL"))
        )
        const lines = yield* Queue.unbounded<string>()
        createInterface(process.stdout).on("line", (line) => Queue.offerUnsafe(lines, line))
        const ended = yield* Effect.forkChild(
          Effect.callback<number | null>((resume) => {
            process.on("close", (code) => resume(Effect.succeed(code)))
          }),
          { startImmediately: true }
        )
        const url = yield* Queue.take(lines)
        const ask = (path: string) =>
          Effect.promise(async () => {
            const answer = await fetch(url + path)
            return { status: answer.status, text: await answer.text(), connection: answer.headers.get("connection") }
          })
        const slow = yield* Effect.forkChild(ask("/slow"))
        assert.strictEqual(yield* Queue.take(lines), "working")
        process.kill("SIGTERM")
        // it still listens: the readiness is off, and other requests are sent elsewhere
        yield* eventually(Effect.map(ask("/health/ready"), ({ status }) => status === 503))
        assert.deepInclude(yield* ask("/slow"), { status: 503, connection: "close" })
        assert.deepInclude(yield* Fiber.join(slow), { status: 200, text: "slow" })
        assert.strictEqual(yield* Queue.take(lines), "stopped")
        assert.strictEqual(yield* Fiber.join(ended), 130)
      }),
    20_000
  )
})
