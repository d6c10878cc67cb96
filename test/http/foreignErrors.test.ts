import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Problem, ServiceClient } from "../../src/http/index.ts"
import { Outcome, Resilience } from "../../src/index.ts"
import { answering } from "./answering.ts"
import * as Server from "./server.ts"

/** An API that knows of one error only. */
const api = HttpApi.make("foreign").add(
  HttpApiGroup.make("root", { topLevel: true }).add(
    HttpApiEndpoint.get("get", "/", { success: Schema.String, error: Problem.Conflict })
  )
)

class Foreign extends ServiceClient.Service<Foreign>()("Foreign", {
  api,
  baseUrl: "http://foreign.invalid",
  pipeline: {}
}) {}

const get = Effect.flip(Effect.flatMap(Foreign, (foreign) => foreign.get()))

/** The error of a call that is answered so. */
const failing = (status: number, type: string, body: string, headers: Readonly<Record<string, string>> = {}) => {
  const upstream = answering(() =>
    new Response(body, { status, headers: { ...(type === "" ? {} : { "content-type": type }), ...headers } })
  )
  return get.pipe(
    Effect.provide(Foreign.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]), Layer.fresh))
  )
}

const problem = "application/problem+json"
const plain = "application/json"

describe("A8: answers that an API does not describe", () => {
  it.effect("become the kind of their status, whatever their body is", () =>
    Effect.gen(function*() {
      const kinds: ReadonlyArray<readonly [number, string]> = [
        [400, "BadRequest"],
        [401, "Unauthenticated"],
        [403, "Forbidden"],
        [404, "NotFound"],
        [409, "Conflict"],
        [422, "ValidationFailed"],
        [429, "RateLimited"],
        [500, "Internal"],
        [503, "Unavailable"],
        [504, "UpstreamTimeout"]
      ]
      const bodies: ReadonlyArray<readonly [string, string]> = [
        [problem, "{}"],
        [problem, "{\"status\":200,\"code\":\"not_found\"}"],
        [plain, "{\"error\":{\"code\":\"E1\",\"message\":\"no\"}}"],
        [plain, "[]"],
        [plain, "null"],
        [plain, "{ no json"],
        [plain, "{\"code\":\"__proto__\",\"errors\":7,\"detail\":{}}"],
        ["text/html", "<html><body>nginx</body></html>"],
        ["text/plain", "no"],
        ["", ""],
        ["application/octet-stream", "\u0000\u0001"]
      ]
      for (const [status, tag] of kinds) {
        for (const [type, body] of bodies) {
          const error = yield* failing(status, type, body)
          assert.strictEqual(error._tag, tag, `${status} ${type} ${body}`)
          assert.strictEqual("status" in error && error.status, status)
        }
      }
    }))

  it.effect("that no kind has the status of stay UnexpectedStatus, and count by it", () =>
    Effect.gen(function*() {
      for (
        const [status, outcome] of [[302, "Success"], [410, "Success"], [418, "Success"], [408, "Failure"], [
          502,
          "Failure"
        ], [599, "Failure"]] as const
      ) {
        const error = yield* failing(status, plain, "{\"code\":\"not_found\"}")
        assert.deepInclude(error, { _tag: "UnexpectedStatus", status })
        assert.strictEqual(Outcome.fromError(error)._tag, outcome, String(status))
      }
    }))

  it.effect("are told apart by their code where two kinds have one status, and never against it", () =>
    Effect.gen(function*() {
      const tag = (status: number, body: object) =>
        Effect.map(failing(status, plain, JSON.stringify(body)), (error) => error._tag)
      assert.strictEqual(yield* tag(500, { code: "database_failed" }), "DatabaseFailed")
      assert.strictEqual(yield* tag(500, { error: { code: "database_failed" } }), "DatabaseFailed")
      assert.strictEqual(yield* tag(503, { code: "circuit_open" }), "CircuitBroken")
      assert.strictEqual(yield* tag(503, { error: "circuit_open" }), "CircuitBroken")
      assert.strictEqual(yield* tag(404, { code: "circuit_open" }), "NotFound")
    }))

  it.effect("say what they say, in whichever form", () =>
    Effect.gen(function*() {
      const bodies: ReadonlyArray<readonly [string, string, string | undefined]> = [
        [problem, "{\"title\":\"t\",\"detail\":\"the seat is taken\"}", "the seat is taken"],
        [problem, "{\"title\":\"t\"}", "t"],
        [plain, "{\"error\":{\"code\":\"c\",\"message\":\"the seat is taken\"}}", "the seat is taken"],
        [plain, "{\"detail\":\"the seat is taken\"}", "the seat is taken"],
        [plain, "{\"message\":\"the seat is taken\"}", "the seat is taken"],
        [plain, "{\"error\":\"the seat is taken\"}", "the seat is taken"],
        ["text/plain; charset=utf-8", "the seat\r\nis\u001b[31m taken", "the seat is [31m taken"],
        ["", "{\"detail\":\"without a type\"}", "without a type"],
        ["text/html", "<h1>nginx/1.2.3</h1>", undefined],
        ["", "", undefined]
      ]
      for (const [type, body, detail] of bodies) {
        const error = yield* failing(404, type, body)
        assert.strictEqual(error._tag === "NotFound" ? error.detail : error._tag, detail, body)
      }
    }))

  it.effect("name the fields that are wrong, by whatever names", () =>
    Effect.gen(function*() {
      const bodies: ReadonlyArray<object> = [
        { errors: [{ field: "a.0.b", message: "too short", hint: "longer" }, 7, {}, { field: "x" }] },
        { errors: [{ path: ["a", 0, "b"], message: "too short", hint: "longer" }] },
        { errors: [{ pointer: "#/a/0/b", detail: "too short", hint: "longer" }] },
        { detail: [{ loc: ["a", 0, "b"], msg: "too short", type: "x", hint: "longer" }] },
        { error: { code: "c", message: "m", details: [{ field: "a.0.b", message: "too short", hint: "longer" }] } }
      ]
      for (const body of bodies) {
        const error = yield* failing(422, plain, JSON.stringify(body))
        assert.deepStrictEqual(error._tag === "ValidationFailed" ? error.errors : error, [
          { field: "a.0.b", message: "too short", hint: "longer" }
        ])
      }
      const byField = yield* failing(
        422,
        plain,
        "{\"errors\":{\"title\":[\"is empty\",\"is short\"],\"hours\":\"is none\"}}"
      )
      assert.deepStrictEqual(byField._tag === "ValidationFailed" ? byField.errors : byField, [
        { field: "title", message: "is empty" },
        { field: "hours", message: "is none" }
      ])
    }))

  it.effect("carry their outcome with the wait that they ask for: the header's, else the body's, if it is one", () =>
    Effect.gen(function*() {
      const wait = (status: number, body: string, retryAfter?: string) =>
        Effect.map(
          failing(status, plain, body, retryAfter === undefined ? {} : { "retry-after": retryAfter }),
          (error) => {
            const outcome = Outcome.fromError(error)
            const after = Outcome.retryAfter(outcome)
            return [outcome._tag, after === undefined ? undefined : Duration.toSeconds(after)]
          }
        )
      assert.deepStrictEqual(yield* wait(429, "{}", "7"), ["Overload", 7])
      assert.deepStrictEqual(yield* wait(429, "{\"retryAfter\":3}", "7"), ["Overload", 7])
      assert.deepStrictEqual(yield* wait(503, "{\"retryAfter\":3}"), ["Failure", 3])
      assert.deepStrictEqual(yield* wait(503, "{\"retryAfter\":3}", "soon"), ["Failure", 3])
      for (const rubbish of ["-3", "\"3\"", "null", "{}"]) {
        assert.deepStrictEqual(yield* wait(503, `{"retryAfter":${rubbish}}`), ["Failure", undefined])
      }
      assert.deepStrictEqual(yield* wait(503, "{\"retryAfter\":1e308}"), ["Failure", 1e9])
      assert.deepStrictEqual(yield* wait(404, "{}"), ["Success", undefined])
    }))

  it.effect("are cut to length, however much they say", () =>
    Effect.gen(function*() {
      const errors = Array.from({ length: 500 }, () => ({ field: "f".repeat(5000), message: "m".repeat(5000) }))
      const error = yield* failing(422, plain, JSON.stringify({ detail: "d".repeat(500_000), errors }))
      if (error._tag !== "ValidationFailed") return assert.fail(error._tag)
      assert.strictEqual(error.detail?.length, 1000)
      assert.strictEqual(error.errors?.length, 50)
      assert.isBelow(JSON.stringify(error).length, 150_000)
    }))

  it.effect("name the request: the body's id, else the header's, if it is one, else that of the call", () =>
    Effect.gen(function*() {
      const id = (body: string, header?: string) =>
        Effect.map(
          failing(404, plain, body, header === undefined ? {} : { "x-request-id": header }),
          (error) => "requestId" in error ? error.requestId : undefined
        )
      assert.strictEqual(yield* id("{\"requestId\":\"b-1\"}", "h-1"), "b-1")
      assert.strictEqual(yield* id("{\"requestId\":\"not one\"}", "h-1"), "h-1")
      assert.match((yield* id("{}", "not one")) ?? "", /^[0-9a-f-]{36}$/)
    }))

  it.effect("a declared error whose body does not match is of the kind as well, and one that matches is itself", () =>
    Effect.gen(function*() {
      const body = { type: "urn:effect-resilience:problem:conflict", code: "conflict", detail: "declared" }
      const declared = yield* failing(409, problem, JSON.stringify(body))
      assert.deepInclude(declared, { _tag: "Conflict", detail: "declared" })
      const foreign = yield* failing(409, problem, JSON.stringify({ detail: "foreign" }))
      assert.deepInclude(foreign, { _tag: "Conflict", detail: "foreign" })
    }))

  it.live("over a real socket, an endless body of an error does not hold up the call", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((_, response) => {
        response.writeHead(503, { "content-type": "text/plain", "retry-after": "3" })
        response.write("the service is ")
      })
      class Real extends ServiceClient.Service<Real>()("Real", {
        api,
        baseUrl: server.url,
        pipeline: { attemptTimeout: "1 second" }
      }) {}
      const error = yield* Effect.flip(Effect.flatMap(Real, (real) => real.get())).pipe(
        Effect.provide(Real.layer.pipe(Layer.provide([NodeHttpClient.layerUndici, Resilience.layer])))
      )
      assert.deepInclude(error, { _tag: "Unavailable", detail: "the service is", retryAfter: 3 })
    }))

  it.effect("a client that makes an error of the status by itself leaves the kind", () => {
    const upstream = answering(() => new Response("", { status: 404 }))
    const strict = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk))
      .pipe(
        Layer.provide(upstream.layer)
      )
    return Effect.gen(function*() {
      assert.strictEqual((yield* get)._tag, "NotFound")
    }).pipe(Effect.provide(Foreign.layer.pipe(Layer.provide([strict, Resilience.layerTest()]))))
  })
})
