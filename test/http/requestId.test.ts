import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Random, References, Schema, Tracer } from "effect"
import { HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { ServiceClient } from "../../src/http/index.ts"
import * as RequestId from "../../src/http/RequestId.ts"
import { Resilience } from "../../src/index.ts"
import { answering, json } from "./answering.ts"
import { plan, Planning } from "./planning.ts"

const getPlan = Effect.flatMap(Planning, (planning) => planning.plans.get({ params: { id: "1" } }))

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe("RequestId", () => {
  it("takes sane ids from outside, and nothing else", () => {
    for (const good of ["a", "req-1", "!~", "x".repeat(128)]) assert.strictEqual(RequestId.parse(good), good)
    for (const bad of ["", " ", "a b", "a\r\nb: c", "a\n", "\na", "é", "\u0000", "x".repeat(129), undefined]) {
      assert.isUndefined(RequestId.parse(bad), JSON.stringify(bad))
    }
    assert.throws(() => RequestId.within("a\r\nb"), RangeError, /RequestId.within: id/)
  })

  it.effect("makes a UUID from Random, the same from the same seed, and from a Random that answers anything", () =>
    Effect.gen(function*() {
      const ids = yield* Effect.replicateEffect(RequestId.make, 1000)
      for (const id of ids) assert.match(id, uuid)
      assert.strictEqual(new Set(ids).size, 1000)
      const seeded = Random.withSeed(RequestId.make, "seed")
      assert.strictEqual(yield* seeded, yield* seeded)
      for (const answer of [0, 1, NaN, -1, Infinity]) {
        const odd = { nextIntUnsafe: () => answer, nextDoubleUnsafe: () => answer }
        assert.match(yield* Effect.provideService(RequestId.make, Random.Random, odd), uuid)
      }
    }))

  it.effect("A10: the current id goes out with every attempt, and one is made where there is none", () => {
    const upstream = answering((_, count) => count < 3 ? json({}, 503) : json(plan("1")))
    return Effect.gen(function*() {
      yield* getPlan.pipe(RequestId.within("req-1"))
      assert.deepStrictEqual(upstream.sent.map(({ headers }) => headers[RequestId.header]), ["req-1", "req-1", "req-1"])
      yield* getPlan
      yield* getPlan
      // what somebody has set past all checks is not sent
      yield* Effect.provideService(getPlan, RequestId.Current, "a\r\nb: c")
      const made = upstream.sent.slice(3).map(({ headers }) => headers[RequestId.header] ?? "")
      for (const id of made) assert.match(id, uuid)
      assert.strictEqual(new Set(made).size, 3)
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("A10: the id stands in the errors of a call", () => {
    const answers = [json({}, 418), json({ id: 1 }), json({}, 404), "refuse"] as const
    const upstream = answering((_, count) => answers[count - 1] ?? "refuse")
    return Effect.gen(function*() {
      const errors: Array<unknown> = []
      for (const _ of answers) errors.push(yield* Effect.flip(getPlan))
      errors.push(yield* Effect.flip(Effect.flatMap(Planning, ({ plans }) => plans.get({ params: { id: ".." } }))))
      assert.deepStrictEqual(errors.map((error) => Object(error)._tag), [
        "UnexpectedStatus",
        "ResponseInvalid",
        "NotFound",
        "ServiceUnavailable",
        "RequestInvalid"
      ])
      for (const error of errors) assert.strictEqual(Object(error).requestId, "req-1")
    }).pipe(
      RequestId.within("req-1"),
      Effect.provide(Planning.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()])))
    )
  })

  it.effect("A10: the id stands in every line that is logged on the way, and on every span", () => {
    const upstream = answering(() => json(plan("1")))
    const lines: Array<unknown> = []
    const logger = Logger.make(({ fiber }) => {
      lines.push(fiber.getRef(References.CurrentLogAnnotations)[RequestId.annotation])
    })
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span(options) {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const logging = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(HttpClient.HttpClient, HttpClient.tapRequest(() => Effect.log("sending")))
    ).pipe(Layer.provide(upstream.layer))
    return Effect.gen(function*() {
      yield* Effect.andThen(Effect.log("begins"), getPlan).pipe(RequestId.within("req-1"))
      yield* getPlan
      assert.deepStrictEqual(lines.slice(0, 2), ["req-1", "req-1"])
      assert.match(String(lines[2]), uuid)
      // of the call, of its attempt, and of its request
      const ids = ["req-1", "req-1", "req-1", lines[2], lines[2], lines[2]]
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get(RequestId.annotation)), ids)
    }).pipe(
      Effect.provide([
        Planning.layer.pipe(Layer.provide([logging, Resilience.layerTest()])),
        Logger.layer([logger]),
        Layer.succeed(Tracer.Tracer, tracer)
      ])
    )
  })

  it.effect("A10: of a request that has one of its own is the one that is sent, logged, and named by the error", () => {
    class Own extends ServiceClient.Service<Own>()("Own", {
      api: HttpApi.make("own").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.get("get", "/", { headers: Schema.Struct({ "x-request-id": Schema.String }) })
        )
      ),
      baseUrl: "http://own.invalid",
      pipeline: {}
    }) {}
    const upstream = answering(() => json({}, 418))
    const lines: Array<unknown> = []
    const logger = Logger.make(({ fiber }) => {
      lines.push(fiber.getRef(References.CurrentLogAnnotations)[RequestId.annotation])
    })
    const logging = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(HttpClient.HttpClient, HttpClient.tapRequest(() => Effect.log("sending")))
    ).pipe(Layer.provide(upstream.layer))
    return Effect.gen(function*() {
      const own = yield* Own
      const error = yield* Effect.flip(own.get({ headers: { "x-request-id": "mine" } })).pipe(RequestId.within("req-1"))
      assert.deepInclude(error, { _tag: "UnexpectedStatus", requestId: "mine" })
      assert.deepStrictEqual(lines, ["mine"])
      assert.strictEqual(upstream.sent[0]?.headers[RequestId.header], "mine")
    }).pipe(Effect.provide([Own.layer.pipe(Layer.provide([logging, Resilience.layerTest()])), Logger.layer([logger])]))
  })
})
