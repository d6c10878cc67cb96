import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as BodyLimit from "../../../src/http/server/BodyLimit.ts"
import * as Idempotency from "../../../src/http/server/Idempotency.ts"
import * as Server from "../../../src/http/server/Server.ts"
import { type Ask, post, serve } from "./support.ts"

const bytes = (...parts: ReadonlyArray<string | number>) =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "number" ? [part] : [...new TextEncoder().encode(part)]))

const form = { "content-type": "application/x-www-form-urlencoded" }

const plain = { "content-type": "text/plain" }

const routes = Layer.mergeAll(
  HttpRouter.add("POST", "/text", (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))),
  HttpRouter.add("POST", "/json", (request) => Effect.map(request.json, (json) => HttpServerResponse.jsonUnsafe(json))),
  HttpRouter.add(
    "POST",
    "/form",
    (request) => Effect.map(request.urlParamsBody, ({ params }) => HttpServerResponse.jsonUnsafe(params))
  ),
  // a signature is over the bytes, and the text is read after it has been checked
  HttpRouter.add("POST", "/hook", (request) =>
    Effect.gen(function*() {
      const { byteLength } = yield* request.arrayBuffer
      const json = yield* request.json
      return HttpServerResponse.text(`${byteLength} ${JSON.stringify(json)} ${yield* request.text}`)
    })),
  HttpRouter.use((router) =>
    router.prefixed("/v1").add(
      "POST",
      "/text",
      (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))
    )
  )
)

const api = HttpApi.make("notes").add(
  HttpApiGroup.make("notes").add(
    HttpApiEndpoint.post("json", "/api/json", {
      payload: Schema.Struct({ a: Schema.String }),
      success: Schema.String
    }),
    HttpApiEndpoint.post("form", "/api/form", {
      payload: Schema.Struct({ a: Schema.String }).pipe(HttpApiSchema.asFormUrlEncoded()),
      success: Schema.String
    })
  )
)

const apiRoutes = HttpApiBuilder.layer(api).pipe(
  Layer.provide(HttpApiBuilder.group(api, "notes", (handlers) =>
    handlers
      .handle("json", ({ payload }) => Effect.succeed(payload.a))
      .handle("form", ({ payload }) => Effect.succeed(payload.a)))),
  Layer.provide(HttpServer.layerServices)
)

const limited = (options: BodyLimit.Options = {}) =>
  serve(routes.pipe(Layer.provide(Server.layer({ bodyLimit: options }))))

/** What becomes of a body. */
const statusOf = (ask: Ask, path: string, body: unknown, headers: Record<string, string> = {}) =>
  Effect.map(ask(path, post(body, headers)), ({ status }) => status)

describe("BodyLimit", () => {
  it.effect("text, JSON and forms that are no UTF-8 are refused, also where they would be valid otherwise", () =>
    Effect.gen(function*() {
      const ask = yield* limited()
      const broken = bytes("{\"a\":\"", 0xff, 0xfe, "\"}")
      assert.strictEqual(yield* statusOf(ask, "/json", broken), 400)
      assert.strictEqual(yield* statusOf(ask, "/text", broken, plain), 400)
      assert.strictEqual(yield* statusOf(ask, "/form", bytes("a=", 0xff, 0xfe), form), 400)
      assert.strictEqual(yield* statusOf(ask, "/v1/text", broken, plain), 400)
      const answer = yield* ask("/form", post(bytes("a=", 0xff), form))
      assert.strictEqual(answer.body.detail, "The body is no UTF-8")
      assert.deepStrictEqual((yield* ask("/form", post("?a=%C3%BC&b=1", form))).body, [["?a", "ü"], ["b", "1"]])
    }))

  it.effect("only JSON is looked at for its depth, and brackets in its strings do not count", () =>
    Effect.gen(function*() {
      const ask = yield* limited({ maxDepth: 3 })
      assert.strictEqual(yield* statusOf(ask, "/json", "[[[1]]]"), 200)
      assert.strictEqual(yield* statusOf(ask, "/json", "[[[[1]]]]"), 400)
      assert.strictEqual(yield* statusOf(ask, "/json", "[[],[],[],[],[]]"), 200)
      assert.strictEqual(yield* statusOf(ask, "/text", "[[[[1]]]]", plain), 200)
      assert.strictEqual(yield* statusOf(ask, "/json", JSON.stringify(["\"[[[[[", "\\", "[[[[["])), 200)
      // the string ends after the escaped backslash: these brackets count
      assert.strictEqual(yield* statusOf(ask, "/json", "[\"\\\\\",[[[1]]]]"), 400)
    }))

  it.effect("a declared length that is too large is refused before the body is read, and the connection closed", () =>
    Effect.gen(function*() {
      let read = 0
      const ask = yield* serve(
        HttpRouter.add("POST", "/x", Effect.sync(() => HttpServerResponse.text(`${++read}`))).pipe(
          Layer.provide(BodyLimit.layer({ maxBytes: 10, except: ({ headers }) => headers["x-upload"] === "yes" }))
        )
      )
      const refused = yield* ask("/x", post("x", { "content-length": "11" }))
      assert.strictEqual(refused.status, 413)
      assert.strictEqual(refused.headers.get("connection"), "close")
      assert.strictEqual(refused.body.code, "payload_too_large")
      assert.strictEqual(read, 0)
      assert.strictEqual((yield* ask("/x", post("x", { "content-length": "10" }))).status, 200)
      assert.strictEqual((yield* ask("/x", post("x", { "content-length": "11", "x-upload": "yes" }))).status, 200)
    }))

  it.effect("what is excepted is read without a look at it", () =>
    Effect.gen(function*() {
      const ask = yield* limited({ maxBytes: 10, except: ({ url }) => url === "/text" })
      assert.strictEqual((yield* ask("/text", post("x".repeat(100), plain))).text.length, 100)
      assert.strictEqual(yield* statusOf(ask, "/json", JSON.stringify("x".repeat(100))), 413)
    }))

  it.effect("a handler may read the bytes, and then the text", () =>
    Effect.gen(function*() {
      const ask = yield* limited()
      assert.strictEqual((yield* ask("/hook", post("[1]"))).text, "3 [1] [1]")
    }))

  it.effect("bodies are read by both Idempotency and the handler", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Layer.mergeAll(routes, apiRoutes).pipe(
          Layer.provide(Idempotency.layer()),
          Layer.provide(Idempotency.layerMemory()),
          Layer.provide(Server.layer({ loadShedding: {}, deadline: { max: "1 minute" } }))
        )
      )
      const key = (name: string) => ({ "idempotency-key": name })
      const table: ReadonlyArray<readonly [path: string, body: string, headers: Record<string, string>, text: string]> =
        [
          ["/json", "{\"a\":1}", {}, "{\"a\":1}"],
          ["/text", "hello", plain, "hello"],
          ["/v1/text", "hello", plain, "hello"],
          ["/form", "a=1", form, "[[\"a\",\"1\"]]"],
          ["/hook", "[1]", {}, "3 [1] [1]"],
          ["/api/json", "{\"a\":\"x\"}", {}, "\"x\""],
          ["/api/form", "a=x", form, "\"x\""]
        ]
      for (const [path, body, headers, text] of table) {
        for (const length of [{}, { "content-length": String(body.length) }]) {
          const asked = post(body, { ...headers, ...length, ...key(`${path}-${Object.keys(length).length}`) })
          assert.strictEqual((yield* ask(path, asked)).text, text, path)
          const again = yield* ask(path, asked)
          assert.strictEqual(again.text, text, path)
          assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
        }
      }
      assert.strictEqual(yield* statusOf(ask, "/form", bytes("a=", 0xff), { ...form, ...key("bad") }), 400)
    }))

  it("refuses options that make no sense", () => {
    for (const wrong of [0, -1, NaN, Infinity, 1.5]) {
      assert.throws(() => BodyLimit.layer({ maxBytes: wrong }), RangeError)
      assert.throws(() => BodyLimit.layer({ maxDepth: wrong }), RangeError)
    }
    assert.throws(() => BodyLimit.layer({ except: true as never }), RangeError)
    assert.throws(() => BodyLimit.layer({ max: 1 } as object), RangeError)
  })
})
