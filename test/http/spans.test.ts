import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Tracer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { ResilientHttpClient, ServiceClient } from "../../src/http/index.ts"
import { Pipeline, Resilience } from "../../src/index.ts"
import { recordingTracer } from "../recordingTracer.ts"
import * as server from "./server.ts"

const retry = { times: 3, backoff: { kind: "constant", delay: "1 millis" } } as const

const failingTwice = Effect.gen(function*() {
  const upstream = yield* server.make
  upstream.answer((_, response) =>
    server.json(response, upstream.requests.length < 3 ? 503 : 200, {}, { "x-n": `${upstream.requests.length}` })
  )
  return upstream
})

const resends = (attributes: ReadonlyArray<Record<string, unknown>>) =>
  attributes.flatMap((_) => "resilience.attempt" in _ ? [_["http.request.resend_count"]] : [])

describe("spans over HTTP", () => {
  it.live("of a service client: the span of each request is a child of its attempt's, which counts how often it was sent", () =>
    Effect.gen(function*() {
      const upstream = yield* failingTwice
      class Plans extends ServiceClient.Service<Plans>()("Plans", {
        api: HttpApi.make("plans").add(
          HttpApiGroup.make("all", { topLevel: true }).add(HttpApiEndpoint.get("list", "/plans"))
        ),
        baseUrl: upstream.url,
        pipeline: { retry, attemptTimeout: "5 seconds", totalTimeout: "10 seconds" }
      }) {}
      const { attributes, spans, traced, tree } = recordingTracer()
      const layer = Plans.layer.pipe(Layer.provide([FetchHttpClient.layer, Resilience.layer]))
      const list = Effect.flatMap(Plans, (plans) => plans.list())
      yield* list.pipe(Effect.exit, traced, Effect.provide(layer))
      assert.deepStrictEqual(tree().map((line) => line.split(":")[0]), [
        "list",
        "  list attempt",
        "    GET",
        "  list attempt",
        "    GET",
        "  list attempt",
        "    GET"
      ])
      assert.deepStrictEqual(resends(attributes()), [undefined, 1, 2])
      // the service sees the span of the request as its parent
      const parents = upstream.requests.map(({ headers }) => String(headers["traceparent"]).split("-")[2])
      assert.deepStrictEqual(parents, spans.filter(({ kind }) => kind === "client").map(({ spanId }) => spanId))
    }).pipe(Effect.scoped))

  it.live("of any other client as well, whose last answer is no failure of the call", () =>
    Effect.gen(function*() {
      const upstream = yield* failingTwice
      const { attributes, traced, tree } = recordingTracer()
      const client = ResilientHttpClient.make(
        yield* HttpClient.HttpClient,
        yield* Pipeline.make("p", { retry }),
        { operation: () => "hello" }
      )
      const response = yield* traced(client.get(upstream.url))
      assert.strictEqual(response.status, 200)
      assert.deepStrictEqual(
        tree().filter((line) => line.includes("hello")),
        [
          "hello: ok",
          "  hello attempt: _OTHER",
          "  hello attempt: _OTHER",
          "  hello attempt: ok"
        ]
      )
      assert.deepStrictEqual(resends(attributes()), [undefined, 1, 2])
    }).pipe(Effect.scoped, Effect.provide([FetchHttpClient.layer, Resilience.layer])))

  it.live("are not made where nobody sees them and none could go on: then no ids are sent that lead nowhere", () =>
    Effect.gen(function*() {
      const upstream = yield* server.make
      upstream.answer((_, response) => server.json(response, 200, {}))
      class Plans extends ServiceClient.Service<Plans>()("Plans", {
        api: HttpApi.make("plans").add(
          HttpApiGroup.make("all", { topLevel: true }).add(HttpApiEndpoint.get("list", "/plans"))
        ),
        baseUrl: upstream.url,
        pipeline: { retry }
      }) {}
      const resilient = ResilientHttpClient.make(yield* HttpClient.HttpClient, yield* Pipeline.make("p", { retry }))
      const both = Effect.gen(function*() {
        yield* resilient.get(upstream.url)
        yield* Effect.exit((yield* Plans).list())
        return upstream.requests.slice(-2).map(({ headers }) => headers["traceparent"]?.toString().split("-")[1])
      }).pipe(Effect.provide(Plans.layer))
      assert.deepStrictEqual(yield* both, [undefined, undefined])
      // a trace that has come from somewhere goes on, though nobody here sees it
      const outer = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
      assert.deepStrictEqual(yield* Effect.withParentSpan(both, outer), [outer.traceId, outer.traceId])
      const { traced } = recordingTracer()
      const sent = yield* traced(both)
      assert.isTrue(sent.every((id) => id !== undefined))
    }).pipe(Effect.scoped, Effect.provide([FetchHttpClient.layer, Resilience.layer])))
})
