import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Duration, Effect, Exit, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { type Fault, Problem, ServiceClient } from "../../src/http/index.ts"
import { Outcome, type Pipeline, Resilience, ResilienceConfig } from "../../src/index.ts"
import { answering as answeringRequests, json } from "./answering.ts"
import { handlers as groups, plan, Planning, PlanningApi, retry } from "./planning.ts"
import * as Server from "./server.ts"

const handlers = Layer.mergeAll(...groups)

const answering = (answer: (path: string, count: number) => Response | "refuse") =>
  answeringRequests(({ path }, count) => answer(path, count))

const getPlan = Effect.flatMap(Planning, (planning) => planning.plans.get({ params: { id: "1" } }))

for (
  const [name, clientLayer] of [
    ["undici", NodeHttpClient.layerUndiciOptions({ connections: 2 })],
    ["node:http", NodeHttpClient.layerNodeHttp],
    ["fetch", FetchHttpClient.layer]
  ] as const
) {
  it.live(`over real sockets with ${name}, what matches no schema is a typed error, and its connection comes back`, () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      class Real extends ServiceClient.Service<Real>()("Real", {
        api: PlanningApi,
        baseUrl: server.url,
        pipeline: { retry: { times: 1 }, circuitBreaker: {}, attemptTimeout: "5 seconds" }
      }) {}
      const answers: ReadonlyArray<readonly [number, string, string, string]> = [
        [200, "application/json", JSON.stringify(plan("1")), "Success"],
        [200, "application/json", "{\"id\":1}", "ResponseInvalid"],
        [200, "application/json", "{\"id\":", "ResponseInvalid"],
        [200, "text/html", "<html>", "ResponseInvalid"],
        [200, "application/json", "", "ResponseInvalid"],
        [404, "application/json", "{\"_tag\":\"PlanNotFound\",\"id\":\"1\"}", "PlanNotFound"],
        [404, "application/json", "{\"nope\":1}", "NotFound"],
        [404, "application/json", "", "NotFound"],
        [404, "text/html", "<html>", "NotFound"],
        [201, "application/json", JSON.stringify(plan("1")), "UnexpectedStatus"],
        [204, "application/json", "", "UnexpectedStatus"],
        [302, "text/plain", "elsewhere", "UnexpectedStatus"],
        [418, "text/plain", "x".repeat(100_000), "UnexpectedStatus"]
      ]
      const program = Effect.gen(function*() {
        const real = yield* Real
        for (let round = 0; round < 3; round++) {
          for (const [status, type, body, expected] of answers) {
            server.answer((_, response) => {
              response.writeHead(status, { "content-type": type })
              response.end(body)
            })
            const tag = yield* Effect.match(real.plans.get({ params: { id: "1" } }), {
              onFailure: (error) => error._tag,
              onSuccess: () => "Success"
            })
            assert.strictEqual(tag, expected, `${status} ${type} ${body.slice(0, 30)}`)
          }
        }
        assert.isAtMost(yield* server.connections, 2)
      })
      yield* Effect.provide(program, Real.layer.pipe(Layer.provide([clientLayer, Resilience.layer])))

      // a client may have read the body itself
      const logging = Layer.effect(
        HttpClient.HttpClient,
        Effect.map(HttpClient.HttpClient, HttpClient.tap((response) => response.text))
      ).pipe(Layer.provide(clientLayer))
      server.answer((_, response) => Server.json(response, 404, { _tag: "PlanNotFound", id: "1" }))
      const error = yield* Effect.flatMap(Real, (real) => Effect.flip(real.plans.get({ params: { id: "1" } }))).pipe(
        Effect.provide(Real.layer.pipe(Layer.provide([logging, Resilience.layer])))
      )
      assert.strictEqual(error._tag, "PlanNotFound")
    }))
}

describe("ServiceClient", () => {
  it.effect("calls handlers in memory through the codecs of the api", () =>
    Effect.gen(function*() {
      const planning = yield* Planning
      assert.deepStrictEqual(yield* planning.plans.get({ params: { id: "1" } }), plan("1"))
      assert.deepStrictEqual(
        yield* planning.plans.create({ headers: {}, payload: { title: "a", hours: 3 } }),
        plan("2")
      )
      assert.isUndefined(yield* planning.plans.remove({ params: { id: "1" } }))
      assert.isUndefined(yield* planning.health())
    }).pipe(Effect.provide(Planning.layerTest(handlers))))

  it.effect("a declared error arrives as itself, and a 404 is the answer of a service that is well", () =>
    Effect.gen(function*() {
      const planning = yield* Planning
      for (let call = 0; call < 6; call++) {
        const exit = yield* Effect.exit(planning.plans.get({ params: { id: "9" } }))
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) {
          assert.strictEqual(Outcome.fromCause(exit.cause)._tag, "Success")
          assert.strictEqual((Cause.squash(exit.cause) as { _tag: string })._tag, "PlanNotFound")
        }
      }
      const [snapshot] = yield* Effect.flatMap(Resilience.Resilience, (_) => _.snapshots)
      const breaker = snapshot?.circuitBreaker
      assert.strictEqual(breaker?.state, "Closed")
      assert.strictEqual(breaker?.calls.success, 6)
    }).pipe(Effect.provide(Planning.layerTest(handlers))))

  it.effect("a declared 503 counts as a failure by its status, and is retried after what its headers ask for", () => {
    const upstream = answering((_, count) =>
      count === 1 ? json({ _tag: "Maintenance" }, 503, { "retry-after": "7" }) : json(plan("1"))
    )
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(getPlan)
      yield* TestClock.adjust("6999 millis")
      assert.strictEqual(upstream.sent.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(upstream.sent.length, 2)
      assert.strictEqual((yield* Fiber.join(fiber)).id, "1")
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provide(Resilience.layer))))
  })

  it.effect("A12: a response that does not match is ResponseInvalid with the path, nothing gets through, and it is not retried", () => {
    const secret = "s3cr3t"
    const upstream = answering(() =>
      json({ id: "1", title: "a", steps: [{ name: "x", hours: 1 }, { name: secret, hours: secret }] })
    )
    return Effect.gen(function*() {
      const error = yield* Effect.flip(getPlan)
      assert.strictEqual(error._tag, "ResponseInvalid")
      if (error._tag === "ResponseInvalid") {
        assert.deepStrictEqual(error.mismatches.map((_) => _.path), [["steps", "1", "hours"]])
        assert.strictEqual(error.status, 200)
        assert.strictEqual(error.operation, "plans.get")
        assert.notInclude(JSON.stringify(error) + error.message, secret)
      }
      assert.strictEqual(upstream.sent.length, 1)
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provide(Resilience.layerTest()))))
  })

  it.effect("malformed json, another content type and a missing body are ResponseInvalid", () => {
    const bodies = [
      new Response("{\"id\":", { headers: { "content-type": "application/json" } }),
      new Response("<html>", { headers: { "content-type": "text/html" } }),
      new Response("", { headers: { "content-type": "application/json" } }),
      json(null)
    ]
    const upstream = answering((_, count) => bodies[count - 1] ?? json(plan("1")))
    return Effect.gen(function*() {
      for (const _ of bodies) assert.strictEqual((yield* Effect.flip(getPlan))._tag, "ResponseInvalid")
      assert.strictEqual(upstream.sent.length, bodies.length)
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provide(Resilience.layerTest()))))
  })

  it.effect("A12: a request that does not match is RequestInvalid with the path, and never leaves", () => {
    const upstream = answering(() => json(plan("1")))
    return Effect.gen(function*() {
      const planning = yield* Planning
      const error = yield* Effect.flip(planning.plans.create({ headers: {}, payload: { title: "", hours: 1 } }))
      assert.strictEqual(error._tag, "RequestInvalid")
      if (error._tag === "RequestInvalid") assert.deepStrictEqual(error.mismatches.map((_) => _.path), [["title"]])
      // a path parameter that would climb the path
      const climbing = yield* Effect.flip(planning.plans.get({ params: { id: ".." } }))
      assert.strictEqual(climbing._tag, "RequestInvalid")
      assert.strictEqual(upstream.sent.length, 0)
      const [snapshot] = yield* Effect.flatMap(Resilience.Resilience, (_) => _.snapshots)
      const breaker = snapshot?.circuitBreaker
      assert.strictEqual(breaker?.calls.failure, 0)
    }).pipe(
      Effect.provide(Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provideMerge(Resilience.layerTest())))
    )
  })

  it.effect("an undeclared status that no kind has is UnexpectedStatus, no answer is ServiceUnavailable with the network's word", () => {
    const upstream = answering((_, count) => count === 1 ? json({}, 418) : "refuse")
    return Effect.gen(function*() {
      const unexpected = yield* Effect.flip(getPlan)
      assert.strictEqual(unexpected.message, "Planning plans.get: the service answered 418")
      assert.strictEqual(Outcome.fromError(unexpected)._tag, "Success")
      const unavailable = yield* Effect.flip(getPlan)
      assert.strictEqual(unavailable.message, "Planning plans.get: no answer: ECONNREFUSED")
      assert.strictEqual(upstream.sent.length, 1 + 4)
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provide(Resilience.layerTest()))))
  })

  it.effect("a POST is sent once, unless it has a key, or leave by call or annotation", () => {
    const upstream = answering(() => json({}, 503))
    const sent = (call: (client: typeof Planning["Service"]) => Effect.Effect<unknown, unknown>) =>
      Effect.gen(function*() {
        const before = upstream.sent.length
        yield* Effect.exit(Effect.flatMap(Planning, call))
        return upstream.sent.length - before
      }).pipe(
        // a breaker of its own for each call
        Effect.provide(
          Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provide(Layer.fresh(Resilience.layerTest())))
        )
      )
    const payload = { title: "a", hours: 1 }
    return Effect.gen(function*() {
      assert.strictEqual(yield* sent(({ plans }) => plans.create({ headers: {}, payload })), 1)
      assert.strictEqual(yield* sent(({ plans }) => plans.create({ headers: {}, payload }, { idempotent: true })), 4)
      assert.strictEqual(yield* sent(({ plans }) => plans.create({ headers: { "idempotency-key": "k" }, payload })), 4)
      assert.deepStrictEqual(upstream.sent.slice(-4).map((_) => _.headers["idempotency-key"]), ["k", "k", "k", "k"])
      // an empty key is none
      assert.strictEqual(yield* sent(({ plans }) => plans.create({ headers: { "idempotency-key": "" }, payload })), 1)
      assert.strictEqual(yield* sent(({ plans }) => plans.search({ payload: { text: "a" } })), 4)
      assert.strictEqual(yield* sent(({ plans }) => plans.get({ params: { id: "1" } })), 4)
      assert.strictEqual(yield* sent(({ plans }) => plans.get({ params: { id: "1" } }, { idempotent: false })), 1)
    })
  })

  it.effect("an idempotency key is made once for each call, is the same on every attempt, and gives leave to retry", () => {
    const upstream = answering(() => json({}, 503))
    class Keyed extends ServiceClient.Service<Keyed>()("Keyed", {
      api: HttpApi.make("keyed").add(
        HttpApiGroup.make("orders", { topLevel: true })
          .add(
            HttpApiEndpoint.post("order", "/orders"),
            HttpApiEndpoint.patch("change", "/orders", {
              headers: Schema.Struct({ "idempotency-key": Schema.optionalKey(Schema.String) })
            }),
            HttpApiEndpoint.get("read", "/orders"),
            HttpApiEndpoint.post("plain", "/plain").annotate(ServiceClient.IdempotencyKey, false)
          )
          .annotateEndpoints(ServiceClient.IdempotencyKey, true)
      ),
      baseUrl: "http://keyed.invalid",
      pipeline: { retry }
    }) {}
    const sent = (call: (client: typeof Keyed["Service"]) => Effect.Effect<unknown, unknown>) =>
      Effect.gen(function*() {
        const before = upstream.sent.length
        yield* Effect.exit(Effect.flatMap(Keyed, call))
        return upstream.sent.slice(before).map(({ headers }) => headers["idempotency-key"])
      })
    return Effect.gen(function*() {
      const first = yield* sent(({ order }) => order())
      assert.match(first[0] ?? "", /^[0-9a-f-]{36}$/)
      assert.deepStrictEqual(first, [first[0], first[0], first[0], first[0]])
      const second = yield* sent(({ order }) => order())
      assert.strictEqual(second.length, 4)
      assert.notStrictEqual(second[0], first[0])
      assert.deepStrictEqual(yield* sent(({ change }) => change({ headers: { "idempotency-key": "own" } })), [
        "own",
        "own",
        "own",
        "own"
      ])
      assert.deepStrictEqual(yield* sent(({ order }) => order(undefined, { idempotencyKey: "o-1" })), [
        "o-1",
        "o-1",
        "o-1",
        "o-1"
      ])
      assert.deepStrictEqual(yield* sent(({ order }) => order(undefined, { idempotencyKey: false })), [undefined])
      // a key does not take away what the call says of itself
      assert.strictEqual((yield* sent(({ order }) => order(undefined, { idempotent: false }))).length, 1)
      // a request that is safe to send again needs none
      assert.deepStrictEqual(yield* sent(({ read }) => read()), [undefined, undefined, undefined, undefined])
      const before = upstream.sent.length
      for (const bad of ["", "a b", "a\r\nb: c", "k".repeat(256)]) {
        const error = yield* Effect.flip(
          Effect.flatMap(Keyed, ({ plain }) => plain(undefined, { idempotencyKey: bad }))
        )
        assert.strictEqual(error._tag, "RequestInvalid")
      }
      assert.strictEqual(upstream.sent.length, before)
    }).pipe(Effect.provide(Keyed.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("B7: tells its status: name, origin, breakers, counts, and no secrets", () => {
    const upstream = answering(() => json({}, 503))
    return Effect.gen(function*() {
      yield* Effect.exit(getPlan)
      yield* Effect.exit(getPlan)
      const status = yield* Planning.status
      assert.deepInclude(status, {
        name: "Planning",
        baseUrl: "http://planning.invalid",
        circuitBreakers: { Planning: "Open", "Planning/plans.search": "Closed" }
      })
      assert.deepInclude(status.counts, { calls: 2, failure: 2, attempts: 5 })
      // it can be sent as it is
      const codec = Schema.toCodecJson(ServiceClient.Status)
      assert.deepStrictEqual(
        yield* Schema.decodeUnknownEffect(codec)(yield* Schema.encodeEffect(codec)(status)),
        status
      )
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("C8: is a base for any external service: authentication, mapped errors, health", () => {
    const upstream = answering((path) => path === "/health" ? json({}, 503) : json({ error: { message: "gone" } }, 404))
    class External extends ServiceClient.Service<External>()("External", {
      api: PlanningApi,
      baseUrl: "https://api.example",
      token: { get: Effect.succeed(Redacted.make("Bearer abc")), header: "authorization" },
      pipeline: { retry: { times: 0 }, circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } }
    }) {}
    return Effect.gen(function*() {
      const external = yield* External
      const error = yield* Effect.flip(external.plans.get({ params: { id: "1" } }))
      assert.deepInclude(error, { _tag: "NotFound", detail: "gone" })
      assert.strictEqual((yield* Effect.flip(external.health()))._tag, "Unavailable")
      assert.strictEqual((yield* External.status).circuitBreakers.External, "Open")
      assert.deepStrictEqual(upstream.sent.map(({ headers }) => headers["authorization"]), ["Bearer abc", "Bearer abc"])
    }).pipe(Effect.provide(External.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("an operation's annotation changes its retries; one that changes the breaker has its own", () => {
    const upstream = answering(() => json({}, 503))
    return Effect.gen(function*() {
      const { plans } = yield* Planning
      yield* Effect.exit(plans.remove({ params: { id: "1" } }))
      assert.strictEqual(upstream.sent.length, 2)
      yield* Effect.exit(plans.search({ payload: { text: "a" } }))
      assert.strictEqual(upstream.sent.length, 6)
      const snapshots = yield* Effect.flatMap(Resilience.Resilience, (_) => _.snapshots)
      assert.deepStrictEqual(snapshots.map((_) => [_.name, _.circuitBreaker?.calls.failure]), [
        ["Planning", 2],
        ["Planning/plans.search", 4]
      ])
    }).pipe(
      Effect.provide(Planning.layer.pipe(Layer.provide(upstream.layer), Layer.provideMerge(Resilience.layerTest())))
    )
  })

  it.effect("the refusals of an operation's own breaker are told like those of the service's", () =>
    Effect.gen(function*() {
      const { plans } = yield* Planning
      const seen: Array<string> = []
      yield* (yield* Resilience.Resilience).listen(["Refused", "CallEnded"], ({ operation, pipeline }) => {
        seen.push(`${pipeline} ${operation}`)
      })
      const error = yield* Effect.flip(plans.search({ payload: { text: "a" } }))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.deepStrictEqual(seen, ["Planning plans.search", "Planning plans.search"])
    }).pipe(
      Effect.provide(Planning.layerTest(handlers, { circuitBreakers: { "Planning/plans.search": "Open" } }))
    ))

  it.effect("a group's annotation holds for its operations, and an endpoint's takes its place", () => {
    const upstream = answering(() => json({}, 503))
    class Grouped extends ServiceClient.Service<Grouped>()("Grouped", {
      api: HttpApi.make("grouped").add(
        HttpApiGroup.make("group")
          .add(
            HttpApiEndpoint.get("one", "/one"),
            HttpApiEndpoint.get("two", "/two").annotate(ServiceClient.OperationPipeline, { idempotent: true })
          )
          .annotate(ServiceClient.OperationPipeline, { retry: false })
      ),
      baseUrl: "http://grouped.invalid",
      pipeline: { retry }
    }) {}
    return Effect.gen(function*() {
      const { group } = yield* Grouped
      yield* Effect.exit(group.one())
      assert.strictEqual(upstream.sent.length, 1)
      yield* Effect.exit(group.two())
      assert.strictEqual(upstream.sent.length, 5)
    }).pipe(Effect.provide(Grouped.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("a stream is read as it comes, and one that is sent is not sent twice", () => {
    const bytes = new TextEncoder().encode("a stream")
    const upstream = answering((path) =>
      path === "/down"
        ? new Response(
          new ReadableStream({
            // it goes on for ever: whoever waited for its end would hang
            start: (controller) => controller.enqueue(bytes)
          }),
          { headers: { "content-type": "application/octet-stream" } }
        )
        : json({}, 503)
    )
    class Streaming extends ServiceClient.Service<Streaming>()("Streaming", {
      api: HttpApi.make("streaming").add(
        HttpApiGroup.make("bytes", { topLevel: true }).add(
          HttpApiEndpoint.get("down", "/down", { success: HttpApiSchema.StreamUint8Array() }),
          HttpApiEndpoint.put("up", "/up", { payload: HttpApiSchema.StreamUint8Array() })
        )
      ),
      baseUrl: "http://streaming.invalid",
      pipeline: { retry, attemptTimeout: "1 second" }
    }) {}
    return Effect.gen(function*() {
      const streaming = yield* Streaming
      const [first] = yield* Stream.runCollect(Stream.take(streaming.down(), 1))
      assert.strictEqual(new TextDecoder().decode(first), "a stream")
      const before = upstream.sent.length
      const error = yield* Effect.flip(streaming.up({ payload: Stream.succeed(bytes) }, { idempotent: true }))
      assert.strictEqual(error._tag, "Unavailable")
      assert.strictEqual(upstream.sent.length - before, 1)
    }).pipe(Effect.provide(Streaming.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("names in tests are checked: a misspelt operation or breaker makes no test green for nothing", () =>
    Effect.sync(() => {
      assert.throws(
        () => Planning.layerTest(handlers, { faults: { "plan.get": [{ kind: "refuse" }] } }),
        RangeError,
        /ServiceClient "Planning".layerTest: faults must be one of plans.get, .*, got "plan.get"/
      )
      assert.throws(
        () => Planning.layerTest(handlers, { circuitBreakers: { planning: "Open" } }),
        RangeError,
        /circuitBreakers must be one of Planning, Planning\/plans.search, got "planning"/
      )
    }))

  it.effect("endpoints may be called anything", () => {
    const upstream = answering(() => json("well"))
    class Odd extends ServiceClient.Service<Odd>()("Odd", {
      api: HttpApi.make("odd").add(
        HttpApiGroup.make("__proto__").add(HttpApiEndpoint.get("constructor", "/", { success: Schema.String }))
      ),
      baseUrl: "http://odd.invalid",
      pipeline: {}
    }) {}
    return Effect.gen(function*() {
      const odd = yield* Odd
      assert.strictEqual(yield* odd["__proto__"].constructor(), "well")
    }).pipe(Effect.provide(Odd.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("a layer provided anew for every request still meets one breaker, and two services never do", () => {
    const upstream = answering(() => "refuse")
    class Other extends ServiceClient.Service<Other>()("Other", {
      api: PlanningApi,
      baseUrl: "http://other.invalid",
      pipeline: { retry: { times: 0 }, circuitBreaker: {} }
    }) {}
    const once = Effect.suspend(() => Effect.flip(getPlan).pipe(Effect.provide(Layer.fresh(Planning.layer))))
    return Effect.gen(function*() {
      assert.strictEqual((yield* once)._tag, "ServiceUnavailable")
      assert.strictEqual((yield* once)._tag, "ServiceUnavailable")
      assert.strictEqual(upstream.sent.length, 5)
      assert.strictEqual((yield* once)._tag, "CircuitOpen")
      const other = yield* Effect.flatMap(Other, (other) => other.plans.get({ params: { id: "1" } })).pipe(
        Effect.provide(Other.layer),
        Effect.flip
      )
      assert.strictEqual(other._tag, "ServiceUnavailable")
      assert.strictEqual(upstream.sent.length, 6)
    }).pipe(Effect.provide(Layer.merge(upstream.layer, Resilience.layerTest())))
  })

  it.effect("layerTest meets scripted faults by operation, and a breaker in a given state", () =>
    Effect.gen(function*() {
      const failing = (fault: "refuse" | "reset" | "malformed") =>
        getPlan.pipe(
          Effect.provide(
            Planning.layerTest(handlers, {
              faults: { "plans.get": Array.from({ length: 5 }, () => ({ kind: fault })) }
            })
          ),
          Effect.flip,
          Effect.map((error) => error._tag)
        )
      assert.strictEqual(yield* failing("refuse"), "ServiceUnavailable")
      assert.strictEqual(yield* failing("reset"), "ServiceUnavailable")
      assert.strictEqual(yield* failing("malformed"), "ResponseInvalid")
      const open = Planning.layerTest(handlers, { circuitBreakers: { Planning: "Open" } })
      assert.strictEqual((yield* getPlan.pipe(Effect.provide(open), Effect.flip))._tag, "CircuitOpen")
      const hanging = Planning.layerTest(handlers, { faults: { "plans.get": [{ kind: "hang" }] } })
      const fiber = yield* Effect.forkChild(getPlan.pipe(Effect.provide(hanging)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).id, "1")
    }))

  it.effect("the base url may come from configuration, whose errors are the layer's", () => {
    const upstream = answering(() => json(plan("1")))
    class Configured extends ServiceClient.Service<Configured>()("Configured", {
      api: PlanningApi,
      baseUrl: Config.URL("PLANNING_URL"),
      pipeline: { retry: {}, circuitBreaker: {} }
    }) {}
    const call = Effect.flatMap(Configured, (configured) => configured.plans.get({ params: { id: "1" } })).pipe(
      Effect.provide(Configured.layer.pipe(Layer.provide([upstream.layer, Resilience.layer])))
    )
    const withUrl = (url: string) =>
      Effect.provideService(call, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ PLANNING_URL: url }))
    return Effect.gen(function*() {
      assert.strictEqual((yield* withUrl("http://planning.test/v1")).id, "1")
      assert.strictEqual(upstream.sent[0]?.url, "http://planning.test/v1/plans/1")
      for (
        const bad of [
          "nowhere",
          "ftp://host",
          "http://user:secret@host",
          "http://host/?key=1",
          "http://host/?",
          "http://host/#"
        ]
      ) {
        const error = yield* Effect.flip(withUrl(bad))
        assert.strictEqual(error._tag, "ConfigError", bad)
        assert.notInclude(String(error), "secret")
      }
    })
  })

  it("refuses impossible options when the class is made", () => {
    const declare = (options: { readonly baseUrl?: string; readonly pipeline?: object; readonly overrides?: object }) =>
      ServiceClient.Service<unknown>()("Bad", {
        api: HttpApi.make("bad").add(
          HttpApiGroup.make("group").add(
            HttpApiEndpoint.get("get", "/").annotate(ServiceClient.OperationPipeline, options.overrides ?? {})
          )
        ),
        baseUrl: options.baseUrl ?? "http://bad.invalid",
        pipeline: options.pipeline ?? {}
      })
    assert.throws(() => declare({ baseUrl: "nowhere" }), RangeError, /ServiceClient "Bad": baseUrl .* got "nowhere"/)
    assert.throws(() => declare({ baseUrl: "ftp://host" }), RangeError, /baseUrl/)
    assert.throws(() => declare({ baseUrl: "http://host/?key=secret" }), RangeError, /baseUrl .*, got "http:\/\/host"$/)
    assert.throws(() => declare({ pipeline: { totalTimeout: "-1 seconds" } }), RangeError, /Pipeline: totalTimeout/)
    assert.throws(
      () => declare({ overrides: { circuitBreaker: {} } }),
      RangeError,
      /"group.get".*cannot add circuitBreaker/
    )
    assert.throws(() => declare({ overrides: { retries: 3 } }), RangeError, /unknown option "retries"/)
    assert.throws(
      () => declare({ pipeline: { retry: {} }, overrides: { retry: { onExhausted: "wrap" } } }),
      RangeError,
      /cannot add retry.onExhausted/
    )
    assert.throws(
      () => declare({ pipeline: { retry: {} }, overrides: { retry: { times: -1 } } }),
      RangeError,
      /Retry: times/
    )
  })

  it.effect("B3: a declared problem says when to come back where its headers do, and its body does not", () => {
    class Busy extends ServiceClient.Service<Busy>()("Busy", {
      api: HttpApi.make("busy").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.get("get", "/", { error: Problem.Unavailable })
        )
      ),
      baseUrl: "http://busy.invalid",
      pipeline: {}
    }) {}
    const answers = [
      json(new Problem.Unavailable({}), 503, { "retry-after": "7" }),
      json(new Problem.Unavailable({ retryAfter: 9 }), 503, { "retry-after": "7" }),
      json(new Problem.Unavailable({}), 503, { "retry-after": "9".repeat(400) }),
      json(new Problem.Unavailable({}), 503)
    ]
    const upstream = answering((_, count) => answers[count - 1] ?? "refuse")
    return Effect.gen(function*() {
      const busy = yield* Busy
      const seen: Array<unknown> = []
      for (const _ of answers) {
        const error = yield* Effect.flip(busy.get())
        const outcome = Outcome.fromError(error)
        const wait = outcome._tag === "Failure" ? outcome.retryAfter : undefined
        assert.match(String("requestId" in error && error.requestId), /^[0-9a-f-]{36}$/)
        seen.push([error instanceof Problem.Unavailable && error.retryAfter, wait && Duration.toSeconds(wait)])
      }
      assert.deepStrictEqual(seen, [[7, 7], [9, 9], [1e9, 1e9], [undefined, undefined]])
    }).pipe(Effect.provide(Busy.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("the keys of a body in an error are plain text, and not too long", () => {
    class Counts extends ServiceClient.Service<Counts>()("Counts", {
      api: HttpApi.make("counts").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.get("get", "/", { success: Schema.Record(Schema.String, Schema.Number) })
        )
      ),
      baseUrl: "http://counts.invalid",
      pipeline: {}
    }) {}
    const upstream = answering(() => json({ [`a\nERROR fake\u001b[31m${"x".repeat(100_000)}`]: "none" }))
    return Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.flatMap(Counts, (counts) => counts.get()))
      assert.strictEqual(error._tag, "ResponseInvalid")
      for (const odd of ["\n", "\u001b"]) assert.notInclude(error.message, odd)
      assert.isBelow(error.message.length, 350)
      assert.include(error.message, "a ERROR fake [31mxxx")
    }).pipe(Effect.provide(Counts.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it("a fault that no service can answer with is refused by layerTest", () => {
    const withFault = (fault: object) => () =>
      Planning.layerTest(handlers, { faults: { "plans.get": [{ kind: "status", ...fault } as Fault.Fault] } })
    for (const status of [99, 100, 101, 600, 200.5, NaN]) {
      assert.throws(withFault({ status }), RangeError, /faults.plans.get.status must be an integer from 200 to 599/)
    }
    assert.throws(withFault({ status: 204, body: {} }), RangeError, /faults.plans.get.body must be left out of a 204/)
    assert.throws(withFault({ status: 503, retryAfter: "a\r\nb" }), RangeError, /faults.plans.get.retryAfter/)
    assert.throws(withFault({ status: 503, retryAfter: 5 }), RangeError, /faults.plans.get.retryAfter/)
    withFault({ status: 204 })()
  })

  it.effect("a service may be called __proto__, and tells its breaker all the same", () => {
    class Odd extends ServiceClient.Service<Odd>()("__proto__", {
      api: HttpApi.make("odd").add(
        HttpApiGroup.make("root", { topLevel: true }).add(HttpApiEndpoint.get("get", "/"))
      ),
      baseUrl: "http://odd.invalid",
      pipeline: { circuitBreaker: {} }
    }) {}
    return Effect.gen(function*() {
      const { circuitBreakers } = yield* Odd.status
      assert.deepStrictEqual(Object.entries(circuitBreakers), [["__proto__", "Closed"]])
    }).pipe(
      Effect.provide(Odd.layer.pipe(Layer.provide([answering(() => "refuse").layer, Resilience.layerTest()])))
    )
  })

  it.effect("operations that the api does not have are refused: in code at once, as configured when the layer is built", () =>
    Effect.gen(function*() {
      const declare = (operations: Pipeline.Options["operations"]) => () =>
        ServiceClient.Service()("Odd", {
          api: PlanningApi,
          baseUrl: "http://odd",
          pipeline: { retry: {}, circuitBreaker: {}, operations }
        })
      assert.doesNotThrow(declare({ "plans.get": { retry: false }, health: { retry: false } }))
      assert.throws(
        declare({ "plans.gte": { retry: false } }),
        RangeError,
        /ServiceClient "Odd": the name of an operation must be one of plans.get, .*health, got "plans.gte"/
      )
      const configured = (operation: string) =>
        Effect.exit(Effect.provide(
          Effect.void,
          Layer.fresh(Planning.layer).pipe(
            Layer.provide(
              ResilienceConfig.layer({ Planning: { operations: { [operation]: { retry: { times: 1 } } } } })
            ),
            Layer.provide(answering(() => "refuse").layer)
          )
        ))
      assert.isTrue(Exit.isSuccess(yield* configured("plans.get")))
      const exit = yield* configured("plans.gte")
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.match(String(exit), /as configured: the name of an operation must be one of plans.get, /)
    }))

  it.effect("errors can be encoded, and decoded again", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(getPlan)
      if (error._tag !== "UnexpectedStatus") return assert.fail(error._tag)
      const codec = Schema.toCodecJson(error.constructor as unknown as Schema.Codec<typeof error>)
      const encoded = yield* Schema.encodeEffect(codec)(error)
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(encoded), error)
    }).pipe(
      Effect.provide(Planning.layerTest(handlers, {
        faults: { "plans.get": [{ kind: "status", status: 599, retryAfter: "3600" }] }
      }))
    ))
})
