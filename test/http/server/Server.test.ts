import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Server from "../../../src/http/server/Server.ts"
import { post, serve } from "./support.ts"

describe("Server", () => {
  it.effect("refuses unknown options, and those of its parts", () =>
    Effect.sync(() => {
      const bad: ReadonlyArray<unknown> = [
        { deadlines: {} },
        { health: "/health" },
        { health: ["health"] },
        { errors: { details: "yes" } },
        { bodyLimit: { maxBytes: "1 MB" } },
        { loadShedding: { priority: 1 } },
        { tokenCheck: {} },
        { tokenCheck: "hunter2" },
        { tokenCheck: { tokens: { a: Redacted.make("a") }, except: true } },
        { loadShedding: true },
        { callerRateLimit: null },
        { drain: { except: "/health" } },
        null
      ]
      for (const options of bad) assert.throws(() => Server.layer(options as Server.Options), RangeError)
    }))

  it.effect("requests with a body pass, and keep the headers that handlers set", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add(
          "POST",
          "/echo",
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            Effect.map(request.json, (body) =>
              HttpServerResponse.jsonUnsafe(body, { headers: { "x-own": "1" } })))
        ).pipe(Layer.provide(Server.layer({ loadShedding: {}, deadline: { max: "1 minute" } })))
      )
      const answer = yield* ask("/echo", post({ a: ["ü", { b: "]]]" }] }))
      assert.deepStrictEqual(answer.body, { a: ["ü", { b: "]]]" }] })
      assert.strictEqual(answer.headers.get("x-own"), "1")
    }))

  it.effect("health checks pass with a query, and nothing else does that looks like one", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add("GET", "*", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
          Layer.provide(Server.layer({ tokenCheck: { tokens: { a: Redacted.make("token") } } }))
        )
      )
      for (const path of ["/health", "/health/live", "/health/ready?verbose=1"]) {
        assert.strictEqual((yield* ask(path)).status, 200, path)
      }
      for (const path of ["/health/x", "/healthy", "/HEALTH", "/x?/health", "//health"]) {
        assert.strictEqual((yield* ask(path)).status, 401, path)
      }
    }))
})
