import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as CallerRateLimit from "../../../src/http/server/CallerRateLimit.ts"
import * as Server from "../../../src/http/server/Server.ts"
import { RateLimit } from "../../../src/index.ts"
import { at, serve, text } from "./support.ts"

describe("CallerRateLimit", () => {
  it.effect("says what is left, and refuses each caller alone with 429 and Retry-After", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("server", {
        limits: {
          burst: { kind: "token-bucket", permits: 2, per: "10 seconds" },
          daily: { kind: "fixed-window", permits: 100, per: "1 day" }
        },
        maxKeys: 10
      })
      const ask = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("GET", "/x", text("ok")),
          HttpRouter.add("GET", "/die", Effect.die("boom")),
          HttpRouter.add("GET", "/health", text("fine"))
        ).pipe(
          Layer.provide(Server.layer({ callerRateLimit: { limit, key: CallerRateLimit.byHeader("X-Caller") } }))
        )
      )
      const a = at({ "x-caller": "a" })
      const first = yield* ask("/x", a)
      assert.strictEqual(first.headers.get("ratelimit-policy"), "\"burst\";q=2;w=10, \"daily\";q=100;w=86400")
      assert.strictEqual(first.headers.get("ratelimit"), "\"burst\";r=1;t=5, \"daily\";r=99")
      // a failure spends, and says so
      assert.strictEqual((yield* ask("/die", a)).headers.get("ratelimit"), "\"burst\";r=0;t=10, \"daily\";r=98")
      const refused = yield* ask("/x", a)
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.headers.get("retry-after"), "5")
      assert.strictEqual(refused.headers.get("ratelimit"), "\"burst\";r=0;t=5, \"daily\";r=98")
      assert.deepInclude(refused.body, { code: "rate_limited", retryAfter: 5 })
      assert.notInclude(refused.text, "\"a\"")
      assert.strictEqual((yield* ask("/x", at({ "x-caller": "b" }))).status, 200)
      assert.strictEqual((yield* ask("/x")).status, 200)
      const health = yield* ask("/health", a)
      assert.strictEqual(health.status, 200)
      assert.isNull(health.headers.get("ratelimit"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* ask("/x", a)).status, 200)
      // idle callers are forgotten, and endless names cost no memory
      for (let n = 0; n < 30; n++) yield* ask("/x", at({ "x-caller": `${n}${"y".repeat(1000)}` }))
      assert.isAtMost((yield* limit.snapshot).keys, 10)
    }))

  it.effect("a key function that throws has said nobody", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", text("ok")).pipe(
          Layer.provide(
            CallerRateLimit.layer({
              limit: { kind: "sliding-window", permits: 1, per: "500 millis" },
              key: () => {
                throw new Error("no")
              }
            })
          )
        )
      )
      const answer = yield* ask("/x")
      assert.strictEqual(answer.headers.get("ratelimit-policy"), "\"default\";q=2;w=1")
      assert.strictEqual((yield* ask("/x")).status, 429)
    }))

  it.effect("the policy of a token bucket is what fits into it and how long that takes, so that it never has more left", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", text("ok")).pipe(
          Layer.provide(
            CallerRateLimit.layer({ limit: { kind: "token-bucket", permits: 3, per: "1500 millis", burst: 10 } })
          )
        )
      )
      const answer = yield* ask("/x")
      assert.strictEqual(answer.headers.get("ratelimit-policy"), "\"default\";q=10;w=5")
      assert.strictEqual(answer.headers.get("ratelimit"), "\"default\";r=9;t=1")
    }))

  it.effect("callers are told apart by their address where nothing else is said", () =>
    Effect.gen(function*() {
      const limited = yield* CallerRateLimit.make({ limit: { kind: "fixed-window", permits: 1, per: "1 minute" } })
      const from = (address: string | undefined) =>
        Effect.map(
          Effect.scoped(limited(Effect.succeed(HttpServerResponse.empty()))).pipe(
            Effect.provideService(
              HttpServerRequest.HttpServerRequest,
              HttpServerRequest.fromWeb(new Request("http://localhost/")).modify({
                remoteAddress: Option.fromUndefinedOr(address)
              })
            )
          ),
          ({ status }) => status
        )
      assert.deepStrictEqual(
        yield* Effect.all([from("10.0.0.1"), from("10.0.0.2"), from("10.0.0.1"), from(undefined), from(undefined)]),
        [204, 204, 429, 204, 429]
      )
    }))

  it.effect("of a key the first 256 characters count", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", text("ok")).pipe(
          Layer.provide(
            CallerRateLimit.layer({
              limit: { kind: "fixed-window", permits: 1, per: "1 minute" },
              key: CallerRateLimit.byHeader("x-caller")
            })
          )
        )
      )
      const from = (caller: string) => Effect.map(ask("/x", at({ "x-caller": caller })), ({ status }) => status)
      assert.strictEqual(yield* from(`${"y".repeat(256)}a`), 200)
      assert.strictEqual(yield* from(`${"y".repeat(256)}b`), 429)
      assert.strictEqual(yield* from(`${"y".repeat(255)}b`), 200)
    }))

  it.effect("a caller that goes away while it waits for its turn waits no longer", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("server", {
        kind: "fixed-window",
        permits: 1,
        per: "1 hour",
        wait: "2 hours"
      })
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", text("ok")).pipe(Layer.provide(CallerRateLimit.layer({ limit })))
      )
      yield* ask("/x")
      const waiting = yield* Effect.forkChild(ask("/x"))
      const settled = (count: number) =>
        Effect.repeat(Effect.andThen(Effect.yieldNow, limit.snapshot), { until: ({ waiting }) => waiting === count })
      yield* settled(1)
      yield* Effect.forkChild(Fiber.interrupt(waiting))
      yield* settled(0)
    }))

  it("refuses options that make no sense", () => {
    const bad: ReadonlyArray<unknown> = [
      {},
      undefined,
      { limit: undefined },
      { limit: { kind: "sliding-window", permits: 0, per: 1 } },
      { limit: { limits: { "a\"b": { kind: "sliding-window", permits: 1, per: 1 } } } },
      { limit: { limits: { "a\r\nb": { kind: "sliding-window", permits: 1, per: 1 } } } },
      { limit: { kind: "sliding-window", permits: 1, per: 1 }, key: "a" },
      { limit: { kind: "sliding-window", permits: 1, per: 1 }, keys: "a" }
    ]
    for (const options of bad) {
      assert.throws(() => CallerRateLimit.layer(options as CallerRateLimit.Options), RangeError)
    }
  })
})
