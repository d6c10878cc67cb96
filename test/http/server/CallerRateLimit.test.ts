import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
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
      assert.strictEqual(answer.headers.get("ratelimit-policy"), "\"permits\";q=2;w=1")
      assert.strictEqual((yield* ask("/x")).status, 429)
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
