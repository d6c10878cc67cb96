import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as CallerRateLimit from "../../../src/http/server/CallerRateLimit.ts"
import * as Server from "../../../src/http/server/Server.ts"
import * as TokenCheck from "../../../src/http/server/TokenCheck.ts"
import { at, serve, text } from "./support.ts"

describe("TokenCheck", () => {
  const tokens = { billing: Redacted.make("hunter2-old"), "billing next": Redacted.make("hunter2-new-and-longer") }
  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/who", Effect.map(TokenCheck.Caller, (caller) => HttpServerResponse.text(String(caller)))),
    HttpRouter.add("GET", "/health", text("fine"))
  )

  it.effect("lets in who shows one of the tokens, and says who it is", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes.pipe(Layer.provide(Server.layer({ tokenCheck: { tokens, header: "Authorization" } })))
      )
      assert.strictEqual((yield* ask("/who", at({ authorization: "Bearer hunter2-old" }))).text, "billing")
      assert.strictEqual(
        (yield* ask("/who", at({ authorization: "bearer  hunter2-new-and-longer" }))).text,
        "billing next"
      )
      const wrong = [
        undefined,
        "",
        "Bearer",
        "Bearer ",
        "hunter2-old",
        "Basic hunter2-old",
        "Bearer hunter2-ol",
        "Bearer hunter2-oldhunter2-old",
        "Bearer hunter2-old hunter2-old",
        `Bearer ${"hunter2-old".repeat(1000)}`,
        "Bearer é"
      ]
      for (const authorization of wrong) {
        const answer = yield* ask("/who", authorization === undefined ? {} : at({ authorization }))
        assert.strictEqual(answer.status, 401, authorization)
        assert.strictEqual(answer.body.code, "unauthenticated")
        assert.strictEqual(answer.headers.get("www-authenticate"), "Bearer")
        assert.isString(answer.body.requestId)
        assert.notInclude(answer.text, "hunter2")
      }
      assert.strictEqual((yield* ask("/health")).text, "fine")
      assert.strictEqual((yield* ask("/health/../who")).status, 401)
    }))

  it.effect("reads the header that service clients send, and the name of the caller as key of its rate limit", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes.pipe(
          Layer.provide(
            Server.layer({
              tokenCheck: { tokens },
              callerRateLimit: {
                limit: { kind: "fixed-window", permits: 1, per: "1 minute" },
                key: CallerRateLimit.byCaller
              }
            })
          )
        )
      )
      const old = at({ "x-internal-token": "hunter2-old" })
      assert.strictEqual((yield* ask("/who", old)).text, "billing")
      assert.strictEqual((yield* ask("/who", old)).status, 429)
      assert.strictEqual(
        (yield* ask("/who", at({ "x-internal-token": "hunter2-new-and-longer" }))).text,
        "billing next"
      )
      const refused = yield* ask("/who", at({ "x-internal-token": "nope" }))
      assert.strictEqual(refused.status, 401)
      assert.isNull(refused.headers.get("www-authenticate"))
    }))

  it("refuses options that make no sense, without showing a token", () => {
    const bad: ReadonlyArray<unknown> = [
      {},
      { tokens: {} },
      { tokens: { a: "hunter2" } },
      { tokens: { a: Redacted.make("") } },
      { tokens: { a: Redacted.make("hunter2 with spaces") } },
      { tokens: { a: Redacted.make("hunter2\r\n") } },
      { tokens: [] },
      { tokens, header: "a b" },
      { tokens, heder: "x" },
      { tokens, except: true },
      "hunter2",
      undefined
    ]
    for (const options of bad) {
      try {
        TokenCheck.layer(options as TokenCheck.Options)
        assert.fail("it was taken")
      } catch (error) {
        assert.instanceOf(error, RangeError)
        assert.notInclude(String(error), "hunter2")
      }
    }
  })
})
