import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "effect/http"
import * as Idempotency from "../../../src/http/server/Idempotency.ts"
import type * as Server from "../../../src/http/server/Server.ts"
import { AdaptiveLimit } from "../../../src/index.ts"
import { eventually } from "../server.ts"
import { listen, raw } from "./listening.ts"
import { apiRoutes } from "./support.ts"

const clients = [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
] as const

const text = (body: string) => Effect.succeed(HttpServerResponse.text(body))

/** A real server with the routes of the api and some more. */
const start = (options: Server.Options = {}) =>
  Effect.gen(function*() {
    const started = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<void>()
    const routes = Layer.mergeAll(
      apiRoutes,
      HttpRouter.add("GET", "/quick", text("quick")),
      HttpRouter.add(
        "GET",
        "/slow",
        Deferred.succeed(started, undefined).pipe(
          Effect.andThen(Effect.sleep("300 millis")),
          Effect.as(HttpServerResponse.text("slow"))
        )
      ),
      HttpRouter.add(
        "GET",
        "/never",
        Deferred.succeed(started, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
        )
      ),
      HttpRouter.add(
        "GET",
        "/stream",
        Effect.succeed(HttpServerResponse.stream(
          Stream.tick("50 millis").pipe(Stream.take(6), Stream.map(() => new TextEncoder().encode("x")))
        ))
      )
    )
    const server = yield* listen(routes, options)
    return { ...server, started, ended }
  })

describe("over real sockets", () => {
  for (const [name, client] of clients) {
    it.live(`${name}: A9, A10: answers and failures keep the connection alive, and carry the request id`, () =>
      Effect.gen(function*() {
        const server = yield* start({ bodyLimit: { maxBytes: 1000 } })
        const http = yield* HttpClient.HttpClient
        for (let round = 0; round < 20; round++) {
          for (
            const [path, status] of [["/quick", 200], ["/orders/500", 500], ["/orders/x", 422], ["/no", 404]] as const
          ) {
            const response = yield* http.execute(
              HttpClientRequest.get(server.url + path, { headers: { "x-request-id": `r-${round}` } })
            )
            const body = yield* response.text
            assert.strictEqual(response.status, status)
            assert.strictEqual(response.headers["x-request-id"], `r-${round}`)
            if (status !== 200) assert.deepInclude(JSON.parse(body), { status, requestId: `r-${round}` })
          }
        }
        assert.isAtMost(yield* server.connections, 2)
        assert.strictEqual(yield* server.inFlight, 0)
      }).pipe(Effect.provide(client)))

    it.live(`${name}: a body that is too large is refused, with and without a length, and the server goes on`, () =>
      Effect.gen(function*() {
        const server = yield* start({ bodyLimit: { maxBytes: 1000 } })
        const http = yield* HttpClient.HttpClient
        const big = "x".repeat(100_000)
        const bodies = [
          HttpBody.text(JSON.stringify({ item: big }), "application/json"),
          HttpBody.stream(Stream.make(new TextEncoder().encode(`{"item":"${big}`)), "application/json")
        ]
        for (const body of bodies) {
          // a client may find the connection closed before it has sent everything
          const status = yield* http.execute(HttpClientRequest.post(`${server.url}/orders`, { body })).pipe(
            Effect.map((response) => response.status),
            Effect.catchTag("HttpClientError", () => Effect.succeed(413)),
            Effect.timeout("5 seconds")
          )
          assert.strictEqual(status, 413)
          const after = yield* http.get(`${server.url}/quick`)
          assert.strictEqual(yield* after.text, "quick")
        }
        yield* eventually(Effect.map(server.inFlight, (count) => count === 0))
      }).pipe(Effect.provide(client)))

    it.live(`${name}: drain lets answers in flight finish, streams too, and closes the connections of the rest`, () =>
      Effect.gen(function*() {
        const server = yield* start()
        const http = yield* HttpClient.HttpClient
        const slow = yield* Effect.forkChild(Effect.flatMap(http.get(`${server.url}/slow`), (_) => _.text))
        yield* Deferred.await(server.started)
        const stream = yield* http.get(`${server.url}/stream`)
        const streamed = yield* Effect.forkChild(stream.text)
        assert.strictEqual(yield* server.inFlight, 2)
        const draining = yield* Effect.forkChild(server.drain({ wait: "5 seconds" }))
        yield* Effect.sleep("20 millis")
        const refused = yield* http.get(`${server.url}/quick`)
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.headers["retry-after"], "1")
        assert.strictEqual(refused.headers["connection"], "close")
        yield* refused.text
        assert.strictEqual(yield* Fiber.join(slow), "slow")
        assert.strictEqual(yield* Fiber.join(streamed), "xxxxxx")
        assert.strictEqual(yield* Fiber.join(draining), 0)
      }).pipe(Effect.provide(client)))

    it.live(`${name}: a caller that goes away, and one whose time is up, end the work`, () =>
      Effect.gen(function*() {
        const server = yield* start({ loadShedding: {}, deadline: { max: "1 minute" } })
        const http = yield* HttpClient.HttpClient
        const gone = yield* Effect.forkChild(http.get(`${server.url}/never`))
        yield* Deferred.await(server.started)
        yield* Fiber.interrupt(gone)
        yield* Deferred.await(server.ended).pipe(Effect.timeout("5 seconds"))
        const late = yield* http.get(`${server.url}/never`, { headers: { "x-deadline-ms": "50" } })
        assert.strictEqual(late.status, 504)
        yield* late.text
        yield* eventually(Effect.map(server.inFlight, (count) => count === 0))
      }).pipe(Effect.provide(client)))
  }

  it.live("a body that breaks off, and rubbish in headers, hang nothing and get nowhere", () =>
    Effect.gen(function*() {
      const server = yield* start({ deadline: { max: "500 millis" } })
      const head = "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
      // the caller goes away in the middle of its body
      yield* raw(server.port, `${head}content-length: 100\r\n\r\n{"item":`, { end: true })
      yield* eventually(Effect.map(server.inFlight, (count) => count === 0))
      // the caller stays, and never sends the rest: its deadline, or the server's, ends the wait
      const stalled = yield* raw(server.port, `${head}connection: close\r\ncontent-length: 100\r\n\r\n{"item":`, {
        end: false
      }).pipe(Effect.timeout("5 seconds"))
      assert.match(stalled, /^HTTP\/1.1 504 /)
      // a chunk that is no chunk
      const broken = yield* raw(server.port, `${head}connection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`, {
        end: false
      }).pipe(Effect.timeout("5 seconds"))
      assert.match(broken, /^HTTP\/1.1 400 /)
      const answer = yield* raw(
        server.port,
        "GET /quick HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: a\tb\r\nx-deadline-ms: 1e99\r\n\r\n",
        { end: false }
      ).pipe(Effect.timeout("5 seconds"))
      assert.match(answer, /^HTTP\/1.1 200 /)
      assert.match(answer, /x-request-id: [0-9a-f-]{36}\r\n/i)
      yield* eventually(Effect.map(server.inFlight, (count) => count === 0))
    }))

  const stalled = (path: string, type: string, headers = "") =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${type}\r\n${headers}content-length: 100\r\n\r\n{`

  const reading = Layer.mergeAll(
    HttpRouter.add("POST", "/text", (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))),
    HttpRouter.add(
      "POST",
      "/json",
      (request) => Effect.map(request.json, (json) => HttpServerResponse.jsonUnsafe(json))
    ),
    HttpRouter.add(
      "POST",
      "/form",
      (request) => Effect.map(request.urlParamsBody, ({ params }) => HttpServerResponse.jsonUnsafe(params))
    ),
    HttpRouter.add(
      "POST",
      "/stream",
      (request) =>
        Effect.map(Stream.mkString(Stream.decodeText(request.stream)), (text) => HttpServerResponse.text(text))
    ),
    HttpRouter.add("POST", "/hook", (request) =>
      Effect.gen(function*() {
        const { byteLength } = yield* request.arrayBuffer
        return HttpServerResponse.text(`${byteLength} ${JSON.stringify(yield* request.json)}`)
      })),
    HttpRouter.add("GET", "/quick", text("quick"))
  )

  const idempotent = reading.pipe(
    Layer.provide(Idempotency.layer()),
    Layer.provide(Idempotency.layerMemory())
  )

  it.live("a body that stalls is answered with 504, whatever it was to be read as, and with a key as well", () =>
    Effect.gen(function*() {
      for (const [routes, options] of [[reading, {}], [idempotent, {}], [idempotent, { loadShedding: {} }]] as const) {
        const { inFlight, port } = yield* listen(routes, { deadline: { max: "300 millis" }, ...options })
        const asked = [
          stalled("/text", "text/plain"),
          stalled("/json", "application/json"),
          stalled("/form", "application/x-www-form-urlencoded"),
          stalled("/form", "application/x-www-form-urlencoded", "idempotency-key: a\r\n"),
          stalled("/json", "application/json", "idempotency-key: b\r\n")
        ]
        const answers = yield* Effect.forEach(asked, (request) => raw(port, request, { end: false }), {
          concurrency: "unbounded"
        })
        for (const answer of answers) assert.match(answer, /^HTTP\/1.1 504 /)
        yield* eventually(Effect.map(inFlight, (count) => count === 0))
      }
    }))

  it.live("bodies are read by Idempotency, load shedding and the handler", () =>
    Effect.gen(function*() {
      for (const options of [{}, { loadShedding: {} }]) {
        const { url } = yield* listen(idempotent, options)
        const http = yield* HttpClient.HttpClient
        const table = [
          ["/text", HttpBody.text("hello", "text/plain"), "hello"],
          ["/json", HttpBody.text("{\"a\":1}", "application/json"), "{\"a\":1}"],
          ["/form", HttpBody.text("a=1", "application/x-www-form-urlencoded"), "[[\"a\",\"1\"]]"],
          ["/stream", HttpBody.text("hello", "text/plain"), "hello"],
          ["/stream", HttpBody.text("hello", "application/octet-stream"), "hello"],
          ["/hook", HttpBody.text("[1]", "application/json"), "3 [1]"],
          ["/hook", HttpBody.stream(Stream.make(new TextEncoder().encode("[1]")), "application/json"), "3 [1]"]
        ] as const
        for (const [n, [path, body, expected]] of table.entries()) {
          const ask = (headers: Record<string, string>) =>
            Effect.flatMap(http.execute(HttpClientRequest.post(url + path, { body, headers })), (_) => _.text)
          assert.strictEqual(yield* ask({}), expected, path)
          assert.strictEqual(yield* ask({ "idempotency-key": String(n) }), expected, path)
          assert.strictEqual(yield* ask({ "idempotency-key": String(n) }), expected, path)
        }
      }
    }).pipe(Effect.provide(NodeHttpClient.layerUndici)))

  it.live("callers that send small bodies slowly take no place from others", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { initial: 2, max: 2 })
      const { inFlight, port, url } = yield* listen(reading, {
        loadShedding: { limit },
        deadline: { max: "5 seconds" }
      })
      const slow = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 10 }, () => raw(port, stalled("/json", "application/json"), { end: false })), {
          concurrency: "unbounded"
        })
      )
      yield* eventually(Effect.map(inFlight, (count) => count === 10))
      assert.strictEqual((yield* limit.snapshot).inFlight, 0)
      const http = yield* HttpClient.HttpClient
      assert.strictEqual((yield* http.get(`${url}/quick`)).status, 200)
      yield* Fiber.interrupt(slow)
      yield* eventually(Effect.map(inFlight, (count) => count === 0))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici)))
})
