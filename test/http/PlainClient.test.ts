import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Deferred, Effect, Exit, Fiber, Layer, Redacted, Schema, SchemaGetter } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { PlainClient, RequestId } from "../../src/http/index.ts"
import { Deadline, Outcome, Resilience, ResilienceConfig } from "../../src/index.ts"
import { answering, json } from "./answering.ts"
import * as Server from "./server.ts"

const Order = Schema.Struct({ id: Schema.String, due: Schema.Date })
const Draft = Schema.Struct({ title: Schema.NonEmptyString, due: Schema.Date })
class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String }) {}
/** The body of a service that knows nothing of tags. */
const DeclinedBody = Schema.Struct({ why: Schema.String }).pipe(
  Schema.decodeTo(Schema.instanceOf(Declined), {
    decode: SchemaGetter.transform(({ why }: { readonly why: string }) => new Declined({ reason: why })),
    encode: SchemaGetter.transform((error: Declined) => ({ why: error.reason }))
  })
)

const due = "2026-12-24T00:00:00.000Z"
const retry = { times: 3, backoff: { kind: "constant", delay: "1 millis" }, jitter: "none" } as const

class Orders extends PlainClient.Service<Orders>()("Orders", {
  baseUrl: "http://orders.invalid/v2/",
  token: Redacted.make("s3cr3t-t0ken"),
  pipeline: {
    totalTimeout: "10 seconds",
    retry,
    circuitBreaker: {},
    operations: { "POST /search": { idempotent: true }, "GET /slow": { attemptTimeout: "1 second", retry: false } },
    attemptTimeout: "2 seconds"
  }
}) {}

type Respond = Parameters<typeof answering>[0]

const over = (respond: Respond) => {
  const { layer, sent } = answering(respond)
  return {
    sent,
    provide: Effect.provide(Orders.layer.pipe(Layer.provide(layer), Layer.provideMerge(Resilience.layerTest())))
  }
}

const order = (id = "1") => json({ id, due })

describe("a plain client (A7, B1)", () => {
  it.effect("asks, sends, replaces, changes and removes, its bodies checked both ways", () => {
    const { provide, sent } = over(() => order())
    return Effect.gen(function*() {
      const orders = yield* Orders
      const date = new Date(due)
      const draft = { payload: { title: "Move", due: date }, payloadSchema: Draft, success: Order } as const
      assert.deepStrictEqual(yield* orders.get("/orders/:id", { params: { id: "a b/c" }, success: Order }), {
        id: "1",
        due: date
      })
      yield* orders.get("/orders", {
        query: { open: true, tag: ["x", "y"] },
        headers: { "x-tenant": "t" },
        success: Order
      })
      yield* orders.post("/orders", draft)
      yield* orders.put("/orders/:id", { ...draft, params: { id: 7 } })
      yield* orders.patch("/orders/:id", { ...draft, params: { id: 7 } })
      assert.isUndefined(yield* orders.del("/orders/:id", { params: { id: 7 } }))
      assert.deepStrictEqual(sent.map(({ method, url }) => `${method} ${url}`), [
        "GET http://orders.invalid/v2/orders/a%20b%2Fc",
        "GET http://orders.invalid/v2/orders?open=true&tag=x&tag=y",
        "POST http://orders.invalid/v2/orders",
        "PUT http://orders.invalid/v2/orders/7",
        "PATCH http://orders.invalid/v2/orders/7",
        "DELETE http://orders.invalid/v2/orders/7"
      ])
      assert.strictEqual(sent[1]?.headers["x-tenant"], "t")
      assert.strictEqual(sent[2]?.body, JSON.stringify({ title: "Move", due }))
      assert.strictEqual(sent[2]?.headers["content-type"], "application/json")
      assert.isTrue(
        sent.every(({ headers }) =>
          headers["x-internal-token"] === "s3cr3t-t0ken" && RequestId.parse(headers["x-request-id"]) !== undefined &&
          headers["accept"] === "application/json"
        )
      )
    }).pipe(provide)
  })

  it.effect("sends nothing that does not match, or whose path would leave its place", () => {
    const { provide, sent } = over(() => order())
    return Effect.gen(function*() {
      const orders = yield* Orders
      const payload = { title: "", due: new Date(due) }
      const invalid = yield* Effect.flip(orders.post("/orders", { payload, payloadSchema: Draft }))
      assert.deepInclude(invalid, { _tag: "RequestInvalid", service: "Orders", operation: "POST /orders" })
      assert.deepStrictEqual(invalid._tag === "RequestInvalid" && invalid.mismatches.map(({ path }) => path), [[
        "title"
      ]])
      const paths: ReadonlyArray<string> = [
        "orders",
        "//evil.invalid/\\x",
        "/a?b",
        "/a#b",
        "/a/../../b",
        "/%2E%2e/b",
        "/a b",
        "@evil.invalid"
      ]
      for (const path of paths) {
        assert.strictEqual((yield* Effect.flip(orders.get(path)))._tag, "RequestInvalid", path)
      }
      for (const id of ["", ".", ".."]) {
        const error = yield* Effect.flip(orders.get("/orders/:id", { params: { id } }))
        assert.strictEqual(error._tag, "RequestInvalid", id)
      }
      const dynamic: string = "/orders/:id"
      assert.strictEqual((yield* Effect.flip(orders.get(dynamic)))._tag, "RequestInvalid")
      assert.strictEqual(
        (yield* Effect.flip(orders.get(dynamic, { params: { __proto__: "x" } })))._tag,
        "RequestInvalid"
      )
      assert.lengthOf(sent, 0)
      // none of it says anything of the service
      const { snapshots } = yield* Resilience.Resilience
      assert.deepStrictEqual((yield* snapshots)[0]?.circuitBreaker?.calls.failure, 0)
    }).pipe(provide)
  })

  it.effect("lets nothing through that does not match, and knows other answers by their status", () => {
    let response = () => order()
    const { provide, sent } = over(() => response())
    return Effect.gen(function*() {
      const orders = yield* Orders
      const get = Effect.exit(orders.get("/orders/1", { success: Order, errors: { 402: DeclinedBody } }))
      const failure = Effect.flip(Effect.flatten(get))
      response = () => json({ id: 1, due })
      assert.deepInclude(yield* failure, { _tag: "ResponseInvalid", operation: "GET /orders/1", status: 200 })
      for (const body of ["{", "", "<html>"]) {
        response = () => new Response(body)
        assert.deepInclude(yield* failure, { _tag: "ResponseInvalid", status: 200 }, body)
      }
      response = () => json({ why: "no funds" }, 402)
      assert.deepStrictEqual(yield* failure, new Declined({ reason: "no funds" }))
      response = () => json({ detail: "no such order" }, 404)
      assert.deepInclude(yield* failure, { _tag: "NotFound", detail: "no such order" })
      // declared, but of another shape
      response = () => json({ else: 1 }, 402)
      assert.deepInclude(yield* failure, { _tag: "UnexpectedStatus", status: 402 })
      response = () => new Response(null, { status: 302, headers: { location: "http://evil.invalid" } })
      assert.deepInclude(yield* failure, { _tag: "UnexpectedStatus", status: 302 })
      assert.lengthOf(sent, 8)
    }).pipe(provide)
  })

  it.effect("tries again what may be sent again: by method, key, or leave", () => {
    const { provide, sent } = over(() => json({}, 503))
    const requests = (call: Effect.Effect<unknown, unknown, Orders | Resilience.Resilience>) =>
      Effect.gen(function*() {
        const before = sent.length
        const { reset } = yield* Resilience.Resilience.use((resilience) =>
          Effect.map(resilience.parts("circuitBreaker"), (breakers) =>
            breakers.get("Orders") ?? assert.fail("no breaker"))
        )
        yield* Effect.exit(call)
        yield* reset
        return sent.length - before
      })
    return Effect.gen(function*() {
      const orders = yield* Orders
      assert.strictEqual(yield* requests(orders.get("/orders")), 4)
      assert.strictEqual(yield* requests(orders.put("/orders/1")), 4)
      assert.strictEqual(yield* requests(orders.del("/orders/1")), 4)
      assert.strictEqual(yield* requests(orders.post("/orders")), 1)
      assert.strictEqual(yield* requests(orders.patch("/orders/1")), 1)
      assert.strictEqual(yield* requests(orders.post("/search")), 4)
      assert.strictEqual(yield* requests(orders.post("/orders", { operation: "POST /search" })), 4)
      assert.strictEqual(yield* requests(orders.post("/orders", { idempotent: true })), 4)
      assert.strictEqual(yield* requests(orders.get("/orders", { idempotent: false })), 1)
      assert.strictEqual(yield* requests(orders.post("/orders", { idempotencyKey: true })), 4)
      const keys = sent.slice(-4).map(({ headers }) => headers["idempotency-key"])
      assert.strictEqual(new Set(keys).size, 1)
      assert.isDefined(keys[0])
      assert.strictEqual(yield* requests(orders.post("/orders", { headers: { "Idempotency-Key": "k" } })), 4)
      assert.strictEqual(sent.at(-1)?.headers["idempotency-key"], "k")
    }).pipe(provide)
  })

  it.effect("has its own settings for an operation, and refuses at once while its breaker is open", () => {
    const { provide } = over(({ path }) => path === "/v2/slow" ? "hang" : json({}, 500))
    return Effect.gen(function*() {
      const orders = yield* Orders
      const slow = yield* Effect.forkChild(Effect.flip(orders.get("/slow")))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(slow), { _tag: "TimedOut" })
      const failing = Effect.repeat(Effect.ignore(orders.get("/orders", { idempotent: false })), { times: 9 })
      yield* failing
      assert.strictEqual((yield* Effect.flip(orders.get("/orders")))._tag, "CircuitOpen")
      assert.deepInclude(yield* Orders.status, {
        name: "Orders",
        baseUrl: "http://orders.invalid",
        circuitBreakers: { Orders: "Open" }
      })
    }).pipe(provide)
  })

  it.effect("carries the time that is left and the id of the current request", () => {
    const { provide, sent } = over(() => order())
    return Effect.gen(function*() {
      const orders = yield* Orders
      yield* orders.get("/orders", { success: Order }).pipe(Deadline.within("1500 millis"), RequestId.within("req-1"))
      assert.deepInclude(sent[0]?.headers, { "x-request-id": "req-1", "x-deadline-ms": "1500" })
    }).pipe(provide)
  })

  it.effect("is tested over a client in memory, with faults by operation", () => {
    const client = HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, order())))
    const faults = { "GET /orders/:id": [{ kind: "refuse" }, { kind: "malformed" }] } as const
    return Effect.gen(function*() {
      const orders = yield* Orders
      const get = orders.get("/orders/:id", { params: { id: "1" }, success: Order })
      assert.deepInclude(yield* Effect.flip(get), { _tag: "ResponseInvalid" })
      assert.strictEqual((yield* get).id, "1")
      assert.throws(
        () => Orders.layerTest(client, { faults: { "GET /": [{ kind: "refused" as "refuse" }] } }),
        RangeError,
        /PlainClient "Orders".layerTest: faults.GET \/.kind must be one of/
      )
    }).pipe(Effect.provide(Orders.layerTest(client, { faults })))
  })

  it("refuses bad options when it is declared", () => {
    const make = (options: object) => () =>
      PlainClient.Service<unknown>()("Bad", { baseUrl: "http://bad.invalid", pipeline: {}, ...options })
    assert.throws(make({ baseUrl: "bad" }), RangeError, /PlainClient "Bad": baseUrl must be an absolute url/)
    assert.throws(
      make({ baseUrl: { discover: 1 } }),
      RangeError,
      /PlainClient "Bad": baseUrl.discover must be an effect/
    )
    assert.throws(make({ baseUrl: { discover: Effect.succeed(""), ttl: 1 } }), RangeError, /unknown option "ttl"/)
    assert.throws(make({ token: Redacted.make("") }), RangeError, /token must be/)
    assert.throws(make({ pipeline: { retry: { times: -1 } } }), RangeError, /PlainClient.*times/)
    assert.throws(make({ apy: 1 }), RangeError, /unknown option "apy"/)
  })

  it.live.each([["undici", NodeHttpClient.layerUndici], ["fetch", FetchHttpClient.layer]] as const)(
    "works over real sockets with %s, and sends no header that would break the line",
    ([, transport]) =>
      Effect.gen(function*() {
        let count = 0
        const server = yield* Server.make
        server.answer((_, response) => {
          response.writeHead(++count === 1 ? 503 : 200, { "content-type": "application/json" })
          response.end(JSON.stringify({ id: String(count), due }))
        })
        class Real extends PlainClient.Service<Real>()("Real", { baseUrl: server.url, pipeline: { retry } }) {}
        yield* Effect.gen(function*() {
          const real = yield* Real
          assert.strictEqual((yield* real.get("/orders", { success: Order })).id, "2")
          const split = yield* Effect.exit(real.get("/orders", { headers: { "x-a": "1\r\nx-b: 2" }, success: Order }))
          assert.isTrue(Exit.isFailure(split))
          assert.strictEqual(count, 2)
        }).pipe(Effect.provide(Real.layer.pipe(Layer.provide([transport, Resilience.layerTest()]))))
      }).pipe(Effect.scoped)
  )
})

describe("the base url", () => {
  const discovered = <R>(discover: Effect.Effect<URL | string, unknown, R>) => {
    class Found extends PlainClient.Service<Found>()("Found", {
      baseUrl: { discover },
      pipeline: { totalTimeout: "10 seconds", retry, attemptTimeout: "1 second", circuitBreaker: {} }
    }) {}
    return Found
  }

  it.effect("may be discovered anew for each attempt, so that a retry reaches another instance", () => {
    const instances = ["http://a.invalid/one", new URL("http://b.invalid/two/")]
    let asked = 0
    const Found = discovered(Effect.sync(() => instances[asked++ % 2] ?? "none"))
    const { layer, sent } = answering(({ url }) => url.includes("//a.") ? "refuse" : order())
    return Effect.gen(function*() {
      assert.isNull((yield* Found.status).baseUrl)
      yield* Effect.flatMap(Found, (found) => found.get("/orders"))
      assert.deepStrictEqual(sent.map(({ url }) => url), ["http://a.invalid/one/orders", "http://b.invalid/two/orders"])
      assert.strictEqual((yield* Found.status).baseUrl, "http://b.invalid")
    }).pipe(Effect.provide(Found.layer.pipe(Layer.provide(layer), Layer.provideMerge(Resilience.layerTest()))))
  })

  it.effect("that cannot be found is a failure like a host that nobody knows, and shows nothing of why", () => {
    const Found = discovered(Effect.fail("the registry wants p4ssw0rd"))
    const { layer, sent } = answering(() => order())
    return Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.flatMap(Found, (found) => found.get("/orders")))
      assert.deepInclude(error, {
        _tag: "ServiceUnavailable",
        reason: "no address",
        service: "Found",
        operation: "GET /orders"
      })
      assert.notInclude(`${error} ${JSON.stringify(error)}`, "p4ssw0rd")
      assert.strictEqual(Outcome.fromError(error)._tag, "Failure")
      const { snapshots } = yield* Resilience.Resilience
      assert.strictEqual((yield* snapshots)[0]?.circuitBreaker?.calls.failure, 4)
      assert.lengthOf(sent, 0)
    }).pipe(Effect.provide(Found.layer.pipe(Layer.provide(layer), Layer.provideMerge(Resilience.layerTest()))))
  })

  it.effect("that is found but no base url is not used", () =>
    Effect.forEach(["orders.invalid", "ftp://a.invalid", "http://u:p@a.invalid", "http://a.invalid?q", ""], (found) => {
      const Found = discovered(Effect.succeed(found))
      const { layer, sent } = answering(() => order())
      return Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.flatMap(Found, (found) => found.get("/orders")))
        assert.deepInclude(error, { _tag: "ServiceUnavailable", reason: "no address" }, found)
        assert.lengthOf(sent, 0)
      }).pipe(Effect.provide(Layer.fresh(Found.layer).pipe(Layer.provide([layer, Resilience.layerTest()]))))
    }))

  it.effect("is looked for within the attempt's time, with what the layer was given", () => {
    class Registry extends PlainClient.Service<Registry>()("Registry", { baseUrl: "http://r.invalid", pipeline: {} }) {}
    const held = Deferred.makeUnsafe<string>()
    const Found = discovered(Effect.andThen(Registry, Deferred.await(held)))
    const { layer } = answering(() => order())
    const layers = Found.layer.pipe(
      Layer.provide(Registry.layer),
      Layer.provide(layer),
      Layer.provide(Resilience.layerTest())
    )
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.flatMap(Found, (found) => found.post("/orders"))))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "TimedOut", limit: "attempt" })
      yield* Deferred.succeed(held, "http://a.invalid")
      yield* Effect.flatMap(Found, (found) => found.post("/orders"))
    }).pipe(Effect.provide(layers))
  })

  it.effect("may come from configuration, with a default", () => {
    class Configured extends PlainClient.Service<Configured>()("Configured", {
      baseUrl: Config.URL("ORDERS_URL").pipe(Config.withDefault(new URL("http://default.invalid"))),
      pipeline: {}
    }) {}
    const { layer, sent } = answering(() => order())
    const ask = (config: object) =>
      Effect.flatMap(Configured, (client) => client.get("/")).pipe(
        Effect.provide(Layer.fresh(Configured.layer).pipe(Layer.provide([layer, Resilience.layerTest()]))),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(config))
      )
    return Effect.gen(function*() {
      yield* ask({})
      yield* ask({ ORDERS_URL: "http://set.invalid/x" })
      assert.deepStrictEqual(sent.map(({ url }) => url), ["http://default.invalid/", "http://set.invalid/x/"])
      assert.strictEqual((yield* Effect.flip(ask({ ORDERS_URL: "http://u:p4ss@set.invalid" })))._tag, "ConfigError")
    })
  })
})

it.live("A2, C7: the pipelines of operations are tuned from configuration", () => {
  const { layer, sent } = answering(() => json({}, 503))
  const config = {
    policies: {
      Orders: {
        circuitBreaker: false,
        retry: { times: 1 },
        operations: { "GET /orders": { retry: { times: 2 } }, "GET /once": { retry: false } }
      }
    }
  }
  const requests = (path: string) =>
    Effect.gen(function*() {
      const before = sent.length
      yield* Effect.ignore(Effect.flatMap(Orders, (orders) => orders.get(path)))
      return sent.length - before
    })
  return Effect.gen(function*() {
    assert.deepStrictEqual([yield* requests("/orders"), yield* requests("/once"), yield* requests("/else")], [3, 1, 2])
  }).pipe(
    Effect.provide(Orders.layer.pipe(Layer.provide(layer), Layer.provide(ResilienceConfig.layerConfig()))),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(config))
  )
})
