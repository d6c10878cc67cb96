import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { PlainClient, ServiceClient } from "../../src/http/index.ts"
import { Resilience } from "../../src/index.ts"
import { answering } from "./answering.ts"
import * as Server from "./server.ts"

interface Tree {
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const Api = HttpApi.make("things").add(
  HttpApiGroup.make("things", { topLevel: true }).add(
    HttpApiEndpoint.get("list", "/things", { headers: Schema.Struct({ "x-user": Schema.String }) }),
    HttpApiEndpoint.delete("remove", "/things/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent
    }),
    HttpApiEndpoint.get("part", "/things/:id/parts/:part?", {
      params: { id: Schema.String, part: Schema.optionalKey(Schema.String) },
      success: HttpApiSchema.NoContent
    }),
    HttpApiEndpoint.get("home", "/", { success: HttpApiSchema.NoContent }),
    HttpApiEndpoint.post("grow", "/trees", { payload: Tree, success: HttpApiSchema.NoContent })
  )
)

const clients = (baseUrl: string) => {
  const pipeline = {
    retry: { times: 2, backoff: { kind: "constant", delay: "1 millis" } },
    circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
  } as const
  class Things extends ServiceClient.Service<Things>()("Things", { api: Api, baseUrl, pipeline }) {}
  class Plain extends PlainClient.Service<Plain>()("Plain", { baseUrl, pipeline }) {}
  return { Things, Plain, layer: Layer.merge(Things.layer, Plain.layer) }
}

const failures = Effect.gen(function*() {
  const { snapshots } = yield* Resilience.Resilience
  return (yield* snapshots).map(({ circuitBreaker }) => circuitBreaker?.calls.failure)
})

const mismatchesOf = (error: object): unknown => "mismatches" in error ? error.mismatches : undefined

describe("what cannot be sent", () => {
  for (const [name, layer] of Server.clients) {
    it.live(`over ${name}, a header with a line break, a zero or other scripts is RequestInvalid, and names the header`, () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer((_, response) => {
          response.writeHead(204)
          response.end()
        })
        const { Plain, Things, layer: both } = clients(server.url)
        yield* Effect.gen(function*() {
          const things = yield* Things
          const plain = yield* Plain
          for (const value of ["s3cr3t\r\nx-evil: 1", "s3cr3t\n", "s3cr3t\u0000", "s3cr3t日本", "s3cr3t\u007f"]) {
            const headers = { "x-user": value }
            const calls = [things.list({ headers }), plain.get("/things", { headers })]
            for (const call of calls) {
              const error = yield* Effect.flip(call)
              assert.deepInclude(error, { _tag: "RequestInvalid" })
              assert.deepInclude(JSON.parse(JSON.stringify(mismatchesOf(error))), {
                path: ["headers", "x-user"],
                message: "Expected a header that can be sent"
              })
              assert.notInclude(`${error} ${JSON.stringify(error)}`, "s3cr3t")
            }
          }
          const named = yield* Effect.flip(plain.get("/things", { headers: { "x-a\r\nx-evil": "1" } }))
          assert.strictEqual(named._tag, "RequestInvalid")
          assert.strictEqual(server.requests.length, 0)
          yield* things.list({ headers: { "x-user": "a\té" } }).pipe(Effect.exit)
          assert.strictEqual(server.requests.length, 1)
          assert.deepStrictEqual(yield* failures, [0, 0])
        }).pipe(Effect.provide(both.pipe(Layer.provide(layer), Layer.provideMerge(Resilience.layer))))
      }))
  }

  it.effect("a path with half a character or without a parameter, and a payload deeper than the stack, are RequestInvalid", () => {
    const upstream = answering(() => new Response(null, { status: 204 }))
    const { Plain, Things, layer } = clients("http://things.invalid/v1/")
    let deep: Tree = { children: [] }
    for (let depth = 0; depth < 20_000; depth++) deep = { children: [deep] }
    return Effect.gen(function*() {
      const things = yield* Things
      const plain = yield* Plain
      const calls: ReadonlyArray<readonly [Effect.Effect<unknown, { readonly _tag: string }>, string]> = [
        [things.remove({ params: { id: "\ud800" } }), "params: Expected well-formed Unicode"],
        [plain.del("/things/:id", { params: { id: "\ud800" } }), "params: Expected well-formed Unicode"],
        [things.remove({ params: { id: "" } }), "params: Expected no empty parameter"],
        [things.part({ params: { id: "" } }), "params: Expected no empty parameter"],
        [things.part({ params: { id: "1", part: "" } }), "params: Expected no empty parameter"],
        [plain.del("/things/:id", { params: { id: "" } }), "params: Missing path parameter: id"],
        [things.grow({ payload: deep }), "it is nested too deeply"],
        [plain.post("/trees", { payload: deep, payloadSchema: Tree }), "it is nested too deeply"]
      ]
      for (const [call, message] of calls) {
        const error = yield* Effect.flip(call)
        assert.deepStrictEqual([error._tag, String(mismatchesOf(error))], ["RequestInvalid", message])
      }
      assert.strictEqual(upstream.sent.length, 0)
      assert.deepStrictEqual(yield* failures, [0, 0])
      yield* things.part({ params: { id: "1" } })
      yield* things.home()
      assert.deepStrictEqual(upstream.sent.map(({ path }) => path), ["/v1/things/1/parts", "/v1/"])
    }).pipe(
      Effect.provide(layer.pipe(Layer.provide(upstream.layer), Layer.provideMerge(Resilience.layerTest())))
    )
  })
})
