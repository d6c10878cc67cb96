import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References, Tracer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as RequestId from "../../../src/http/RequestId.ts"
import * as Server from "../../../src/http/server/Server.ts"
import { at, serve } from "./support.ts"

describe("ServerRequestId", () => {
  const routes = HttpRouter.add(
    "GET",
    "/id",
    Effect.gen(function*() {
      const id = yield* RequestId.Current
      const annotations = yield* References.CurrentLogAnnotations
      return HttpServerResponse.jsonUnsafe({ id, annotations })
    })
  )

  it.effect("A10: takes the caller's id, or makes one, and says it in the reference, the log and the response", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes.pipe(Layer.provide(Server.layer())))
      const given = yield* ask("/id", at({ "x-request-id": "r-1" }))
      assert.deepStrictEqual(given.body, { id: "r-1", annotations: { requestId: "r-1" } })
      assert.strictEqual(given.headers.get("x-request-id"), "r-1")
      const made = new Set<string>()
      for (const rubbish of ["", "a b", "x".repeat(129), "é", "\t"]) {
        const answer = yield* ask("/id", at({ "x-request-id": rubbish }))
        assert.strictEqual(answer.headers.get("x-request-id"), answer.body.id)
        assert.match(answer.body.id, /^[0-9a-f-]{36}$/)
        made.add(answer.body.id)
      }
      assert.strictEqual(made.size, 5)
    }))

  it.effect("A10: stands on the server's span and those inside, and on problems", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const ask = yield* serve(
        HttpRouter.add("GET", "/die", Effect.withSpan(Effect.die("boom"), "inner")).pipe(Layer.provide(Server.layer())),
        { logger: Layer.mergeAll(Logger.layer([]), Layer.succeed(Tracer.Tracer, tracer)) }
      )
      const answer = yield* ask("/die", at({ "x-request-id": "r-9" }))
      assert.deepInclude(answer.body, { code: "internal", requestId: "r-9" })
      assert.strictEqual(spans.length, 2)
      for (const span of spans) assert.strictEqual(span.attributes.get("requestId"), "r-9", span.name)
    }))
})
