import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Fiber, Layer, Logger, References, Schema, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { comingFrom } from "../../../src/http/internal/origin.ts"
import * as Problem from "../../../src/http/Problem.ts"
import * as Server from "../../../src/http/server/Server.ts"
import * as ServerErrors from "../../../src/http/server/ServerErrors.ts"
import * as ServerRequestId from "../../../src/http/server/ServerRequestId.ts"
import { ServiceUnavailable } from "../../../src/http/ServiceError.ts"
import {
  AdaptiveLimit,
  Bulkhead,
  CircuitBreaker,
  Deadline,
  RateLimit,
  Retry,
  Throttle,
  Timeout
} from "../../../src/index.ts"
import { apiRoutes, OutOfStock, post, serve } from "./support.ts"

const api = (options?: Server.Options) => apiRoutes.pipe(Layer.provide(Server.layer(options)))

const failing = (error: unknown, kind: "fail" | "die" = "fail") =>
  HttpRouter.add("GET", "/x", Effect.suspend(() => kind === "fail" ? Effect.fail(error) : Effect.die(error)))

const answerTo = (error: unknown, kind: "fail" | "die" = "fail", options?: ServerErrors.Options) =>
  Effect.gen(function*() {
    const ask = yield* serve(
      failing(error, kind).pipe(
        Layer.provide(ServerErrors.layer(options)),
        Layer.provide(ServerRequestId.layer)
      )
    )
    return yield* ask("/x", { headers: { "x-request-id": "r-1" } })
  })

const table: ReadonlyArray<readonly [unknown, number, string, string | null]> = [
  [new CircuitBreaker.CircuitOpen({ policy: "p", retryAfter: Duration.millis(1500) }), 503, "circuit_open", "2"],
  [new Bulkhead.BulkheadFull({ policy: "p", reason: "queue", concurrency: 1, waiting: 0 }), 503, "unavailable", null],
  [
    new AdaptiveLimit.LimitExceeded({ policy: "p", reason: "queue", priority: "critical", limit: 1 }),
    503,
    "unavailable",
    null
  ],
  [new Throttle.Throttled({ policy: "p", probability: 1 }), 503, "unavailable", null],
  [
    new RateLimit.RateLimited({ policy: "p", limit: "permits", retryAfter: Duration.seconds(7) }),
    429,
    "rate_limited",
    "7"
  ],
  [new Timeout.TimedOut({ policy: "p", limit: "total", after: Duration.seconds(1) }), 504, "timeout", null],
  [new Deadline.DeadlineExceeded({ policy: "p" }), 504, "timeout", null],
  [new Cause.TimeoutError(), 504, "timeout", null],
  [new ServiceUnavailable({ service: "s", operation: "o", reason: "ECONNREFUSED" }), 503, "unavailable", null],
  [
    new Retry.RetriesExhausted({
      policy: "p",
      attempts: 2,
      elapsed: Duration.seconds(1),
      lastError: new CircuitBreaker.CircuitOpen({ policy: "p" })
    }),
    503,
    "circuit_open",
    null
  ],
  [{ _tag: "SqlError" }, 500, "database_failed", null],
  [new Problem.Conflict({ detail: "again" }), 409, "conflict", null],
  [new Error("hunter2"), 500, "internal", null],
  ["hunter2", 500, "internal", null],
  [undefined, 500, "internal", null],
  [
    new Proxy({}, {
      get: () => {
        throw new Error("no")
      },
      has: () => {
        throw new Error("no")
      }
    }),
    500,
    "internal",
    null
  ]
]

describe("ServerErrors", () => {
  it.live("A9: any failure or defect becomes the standard body, with the request id, and shows nothing else", () =>
    Effect.gen(function*() {
      for (const [error, status, code, retryAfter] of table) {
        for (const kind of ["fail", "die"] as const) {
          const answer = yield* answerTo(error, kind)
          assert.strictEqual(answer.status, status, answer.text)
          assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
          assert.strictEqual(answer.headers.get("retry-after"), retryAfter)
          assert.deepInclude(answer.body, { code, status, requestId: "r-1" })
          assert.strictEqual(answer.headers.get("x-request-id"), "r-1")
          assert.notInclude(answer.text, "hunter2")
        }
      }
    }))

  it.live("A9: details are shown only where asked for", () =>
    Effect.gen(function*() {
      const answer = yield* answerTo(new Error("hunter2"), "die", { details: true })
      assert.strictEqual(answer.body.detail, "Error: hunter2")
      assert.strictEqual(answer.status, 500)
      const declared = yield* answerTo(new Problem.Internal({ detail: "as it is" }), "fail", { details: true })
      assert.strictEqual(declared.body.detail, "as it is")
      assert.throws(() => ServerErrors.layer({ details: 1 as unknown as boolean }), RangeError)
      assert.throws(() => ServerErrors.layer({ detail: true } as object), RangeError)
    }))

  it.live("A8: what an api declares goes to callers in its own form, problems with request id and Retry-After", () =>
    Effect.gen(function*() {
      const ask = yield* serve(api())
      const asked = { headers: { "x-request-id": "r-1" } }
      assert.deepInclude((yield* ask("/orders/404", asked)).body, {
        code: "not_found",
        detail: "no order 404",
        requestId: "r-1"
      })
      const unavailable = yield* ask("/orders/503", asked)
      assert.deepInclude(unavailable.body, { code: "unavailable", retryAfter: 2.5, requestId: "r-1" })
      assert.strictEqual(unavailable.headers.get("retry-after"), "3")
      const own = yield* ask("/orders/409", asked)
      assert.deepStrictEqual(own.body, { _tag: "OutOfStock", item: "pen" })
      assert.strictEqual(own.headers.get("x-request-id"), "r-1")
      for (const id of [500, 501]) {
        const answer = yield* ask(`/orders/${id}`, asked)
        assert.deepInclude(answer.body, { code: "internal", status: 500, requestId: "r-1" })
        assert.notMatch(answer.text, /hunter2|secret/)
      }
      // the body that went out reads back as the class
      const body = (yield* ask("/orders/503", asked)).body
      assert.instanceOf(Schema.decodeUnknownSync(Problem.Unavailable)(body), Problem.Unavailable)
    }))

  it.live("A12: a request that does not match is answered field by field, with hints and without its values", () =>
    Effect.gen(function*() {
      const ask = yield* serve(api())
      const answer = yield* ask("/orders", post({ item: "Q", count: -77, address: { city: 4711 } }))
      assert.strictEqual(answer.status, 422)
      assert.strictEqual(answer.body.code, "validation_failed")
      assert.deepStrictEqual(answer.body.errors.map((_: { field: string }) => _.field), [
        "item",
        "count",
        "address.city"
      ])
      for (const error of answer.body.errors) {
        assert.isString(error.message)
        assert.isString(error.hint)
      }
      assert.notMatch(JSON.stringify(answer.body.errors), /77|4711|"Q"/)
      const missing = yield* ask("/orders", post({ item: "pen" }))
      assert.deepStrictEqual(missing.body.errors, [
        { field: "count", message: "Missing key", hint: "Give a value" },
        { field: "address", message: "Missing key", hint: "Give a value" }
      ])
      const params = yield* ask("/orders/hunter2")
      assert.strictEqual(params.status, 422)
      assert.strictEqual(params.body.errors[0].field, "params.id")
      assert.notInclude(params.text, "hunter2")
    }))

  it.live("a plain route's SchemaError is the request's, and as a defect the server's", () =>
    Effect.gen(function*() {
      const Body = Schema.Struct({ a: Schema.Number })
      const read = Effect.as(HttpServerRequest.schemaBodyJson(Body), HttpServerResponse.text("ok"))
      const ask = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("POST", "/fail", read),
          HttpRouter.add("POST", "/die", Effect.orDie(read))
        ).pipe(Layer.provide(Server.layer()))
      )
      assert.strictEqual((yield* ask("/fail", post({ a: 1 }))).text, "ok")
      const answer = yield* ask("/fail", post({ a: "x" }))
      assert.strictEqual(answer.status, 422)
      assert.strictEqual(answer.body.errors[0].field, "a")
      assert.strictEqual((yield* ask("/fail", post("{"))).status, 400)
      assert.strictEqual((yield* ask("/die", post({ a: "x" }))).status, 500)
    }))

  it.live("routes that do not exist and methods that a path has not are answered in the same form", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Layer.mergeAll(
          apiRoutes,
          HttpRouter.use((router) => router.prefixed("/v1").add("PUT", "/files/*", HttpServerResponse.text("ok"))),
          HttpRouter.add("*", "/any", HttpServerResponse.text("ok"))
        ).pipe(Layer.provide(Server.layer()))
      )
      const missing = yield* ask("/nope?token=hunter2")
      assert.deepInclude(missing.body, { code: "not_found", status: 404 })
      assert.notInclude(missing.text, "hunter2")
      const wrong = yield* ask("/orders/1", { method: "DELETE" })
      assert.deepInclude(wrong.body, { code: "method_not_allowed", status: 405 })
      assert.strictEqual(wrong.headers.get("allow"), "GET, HEAD")
      assert.isString(wrong.body.requestId)
      assert.strictEqual((yield* ask("/orders")).headers.get("allow"), "POST")
      assert.strictEqual((yield* ask("/v1/files/a/b")).headers.get("allow"), "PUT")
      assert.strictEqual((yield* ask("/v1/files/a", { method: "PUT" })).text, "ok")
      assert.strictEqual((yield* ask("/any", { method: "PATCH" })).text, "ok")
      assert.include([400, 404], (yield* ask("/orders/%zz")).status)
      assert.include([400, 404, 422], (yield* ask("/%E0%A4%A")).status)
    }))

  it.live("bodies that cannot be read, or are too much, are the caller's mistakes", () =>
    Effect.gen(function*() {
      const ask = yield* serve(api({ bodyLimit: { maxBytes: 300_000 } }))
      const deep = (depth: number) => `${"{\"children\":[".repeat(depth)}${"]}".repeat(depth)}`
      const bodies: ReadonlyArray<readonly [RequestInit, number]> = [
        [post("{\"item\":"), 400],
        [post("null"), 422],
        [post(""), 422],
        [post(new Uint8Array([123, 34, 0xff, 0xfe, 34, 125])), 400],
        [post("[".repeat(100_000)), 400],
        [post(`"${"[".repeat(1000)}"`), 422],
        [post({ item: "x".repeat(300_000) }), 413],
        [post("a=b", { "content-type": "application/x-www-form-urlencoded" }), 415],
        [post("x", { "content-type": "hunter2/xml" }), 415]
      ]
      for (const [request, status] of bodies) {
        const answer = yield* ask("/orders", request)
        assert.strictEqual(answer.status, status, answer.text)
        assert.strictEqual(answer.body.status, status)
        assert.isString(answer.body.code)
        assert.isString(answer.body.requestId)
        assert.notInclude(answer.text, "hunter2")
      }
      const tree = yield* ask("/tree", post(deep(40)))
      assert.strictEqual(tree.status, 200)
      assert.strictEqual((yield* ask("/tree", post(deep(20_000)))).status, 400)
    }))

  it.live("A10: what is not expected is logged once, with its cause and the request id", () =>
    Effect.gen(function*() {
      const lines: Array<{ readonly message: unknown; readonly annotations: unknown }> = []
      const logger = Logger.make(({ cause, fiber, message }) => {
        lines.push({
          message: [message, Cause.pretty(cause)].join(" "),
          annotations: fiber.getRef(References.CurrentLogAnnotations)
        })
      })
      const ask = yield* serve(
        failing(new Error("boom"), "die").pipe(
          Layer.provide(Server.layer())
        ),
        { logger: Logger.layer([logger]), accessLog: true }
      )
      yield* ask("/x", { headers: { "x-request-id": "r-7" } })
      assert.strictEqual(lines.length, 2)
      assert.include(String(lines[0]?.message), "boom")
      assert.deepStrictEqual(lines[0]?.annotations, { requestId: "r-7" })
      // the access log
      assert.deepInclude(lines[1]?.annotations as object, { requestId: "r-7", "http.status": 500 })
    }))

  /** What is logged, with its annotations. */
  const logging = () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
      const { requestId } = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(`${logLevel} ${String(requestId)} ${String(message)} ${Cause.pretty(cause)}`)
    })
    return { lines, logger: Logger.layer([logger]) }
  }

  const asked = { headers: { "x-request-id": "r-1" } }

  it.effect("A10: only what is not expected is logged, and what another service has told us", () =>
    Effect.gen(function*() {
      const told = <P extends Problem.Problem>(problem: P) =>
        comingFrom(problem, { service: "Stock", operation: "items.get" })
      const cases: ReadonlyArray<readonly [unknown, number, RegExp | undefined]> = [
        [new Problem.NotFound({}), 404, undefined],
        [new Problem.Unavailable({}), 503, undefined],
        [new CircuitBreaker.CircuitOpen({ policy: "p" }), 503, undefined],
        [new Problem.Internal({}), 500, /^Error r-1 The request has failed/],
        [told(new Problem.NotFound({ detail: "hunter2" })), 500, /^Error r-1 The request has failed .*Stock items.get/],
        [told(new Problem.Unavailable({ retryAfter: 7 })), 503, /^Warn r-1 Another service .*Stock items.get/],
        [
          new Retry.RetriesExhausted({
            policy: "p",
            attempts: 2,
            elapsed: Duration.seconds(1),
            lastError: told(new Problem.RateLimited({}))
          }),
          429,
          /^Warn r-1 Another service/
        ]
      ]
      for (const [error, status, expected] of cases) {
        for (const kind of ["fail", "die"] as const) {
          const { lines, logger } = logging()
          const ask = yield* serve(failing(error, kind).pipe(Layer.provide(Server.layer())), { logger })
          const answer = yield* ask("/x", asked)
          assert.strictEqual(answer.status, status)
          assert.notInclude(answer.text, "hunter2")
          assert.strictEqual(lines.length, expected === undefined ? 0 : 1)
          if (expected !== undefined) assert.match(lines[0] ?? "", expected)
        }
      }
    }))

  it.effect("details are for failures of the server alone, and texts of others are never the caller's", () =>
    Effect.gen(function*() {
      const conflict = yield* answerTo(new Problem.Conflict({}), "fail", { details: true })
      assert.strictEqual(conflict.status, 409)
      assert.notProperty(conflict.body, "detail")
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/"))
      const unread = (description: string, cause?: unknown) =>
        new HttpServerError.HttpServerError({
          reason: new HttpServerError.RequestParseError({ request, description, ...(cause !== undefined && { cause }) })
        })
      assert.strictEqual((yield* answerTo(unread("no JSON"))).body.detail, "no JSON")
      const foreign = yield* answerTo(unread("hunter2", new Error("hunter2")))
      assert.strictEqual(foreign.status, 400)
      assert.notInclude(foreign.text, "hunter2")
    }))

  it.effect("Retry-After is a whole number of seconds, at most a year; what is none is left out", () =>
    Effect.gen(function*() {
      const table = [[0, "0"], [0.2, "1"], [7, "7"], [1e300, "31536000"], [-5, null], [NaN, null]] as const
      for (const [retryAfter, header] of table) {
        const answer = yield* answerTo(new Problem.Unavailable({ retryAfter }))
        assert.strictEqual(answer.headers.get("retry-after"), header, String(retryAfter))
        assert.strictEqual(answer.body.retryAfter, header === null ? undefined : Math.min(retryAfter, 31_536_000))
      }
    }))

  it.effect("a handler that interrupts itself has failed, and is logged; a caller that goes away has not", () =>
    Effect.gen(function*() {
      const { lines, logger } = logging()
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const ask = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("GET", "/self", Effect.interrupt),
          HttpRouter.add(
            "GET",
            "/child",
            Effect.gen(function*() {
              const child = yield* Effect.forkChild(Effect.never)
              yield* Fiber.interrupt(child)
              return yield* Fiber.join(child)
            })
          ),
          HttpRouter.add(
            "GET",
            "/never",
            Deferred.succeed(started, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.ensuring(Deferred.succeed(ended, undefined))
            )
          )
        ).pipe(Layer.provide(Server.layer({ deadline: { max: "1 hour" }, loadShedding: {} }))),
        { logger }
      )
      for (const path of ["/self", "/child"]) {
        const answer = yield* ask(path, asked)
        assert.deepInclude(answer.body, { status: 500, code: "internal", requestId: "r-1" })
        assert.match(lines.splice(0).join(), /^Error r-1 The request has failed/)
      }
      const gone = yield* Effect.forkChild(ask("/never", asked))
      yield* Deferred.await(started)
      yield* Effect.forkChild(Fiber.interrupt(gone))
      yield* Deferred.await(ended)
      yield* Effect.yieldNow
      assert.deepStrictEqual(lines, [])
    }))

  const events = HttpApi.make("feed").add(
    HttpApiGroup.make("feed").add(
      HttpApiEndpoint.get("events", "/events", {
        success: HttpApiSchema.StreamSse({ data: Schema.Struct({ n: Schema.Number }), error: OutOfStock })
      })
    )
  )

  const feed = (stream: Stream.Stream<{ readonly n: number }, OutOfStock>) =>
    HttpApiBuilder.layer(events).pipe(
      Layer.provide(
        HttpApiBuilder.group(events, "feed", (handlers) => handlers.handle("events", () => Effect.succeed(stream)))
      ),
      Layer.provide(HttpServer.layerServices)
    )

  it.effect("A9: a stream of events that dies shows nothing of it, and is logged once; what it declares is shown", () =>
    Effect.gen(function*() {
      const first = Stream.make({ n: 1 })
      const died = feed(Stream.concat(first, Stream.die(new Error("hunter2"))))
      const { lines, logger } = logging()
      const ask = yield* serve(died.pipe(Layer.provide(Server.layer())), { logger })
      const { text } = yield* ask("/events", asked)
      assert.match(text, /^data: {"n":1}\n\nevent: effect\/http-api\/stream\/failure\ndata: \[{.*}\]\n\n$/)
      assert.include(text, "The service has failed")
      assert.notInclude(text, "hunter2")
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0] ?? "", /^Error r-1 The answer has broken off [^]*hunter2/)

      const open = yield* serve(died.pipe(Layer.provide(Server.layer({ errors: { details: true } }))))
      assert.include((yield* open("/events")).text, "hunter2")
      const declared = yield* serve(
        feed(Stream.concat(first, Stream.fail(new OutOfStock({ item: "pen" })))).pipe(Layer.provide(Server.layer()))
      )
      assert.include((yield* declared("/events")).text, "\"item\":\"pen\"")
    }))

  it.effect("A10: a streamed answer that fails is logged once, and keeps its headers", () =>
    Effect.gen(function*() {
      const { lines, logger } = logging()
      const stream = Stream.concat(Stream.make(new TextEncoder().encode("abc")), Stream.die(new Error("boom")))
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", Effect.succeed(HttpServerResponse.stream(stream, { contentType: "text/csv" })))
          .pipe(
            Layer.provide(Server.layer())
          ),
        { logger }
      )
      const failure = yield* Effect.exit(ask("/x", asked))
      assert.strictEqual(failure._tag, "Failure")
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0] ?? "", /^Error r-1 The answer has broken off [^]*boom/)
    }))
})
