import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Result, Stream } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import type { ServerResponse } from "node:http"
import { ResilientHttpClient } from "../../src/http/index.ts"
import { Outcome, Pipeline, Resilience } from "../../src/index.ts"
import * as Server from "./server.ts"

const clients = [
  ["undici", NodeHttpClient.layerUndiciOptions({ connections: 2 })],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["fetch", FetchHttpClient.layer]
] as const

const quick = { times: 3, backoff: { kind: "constant", delay: "1 millis" }, jitter: "none" } as const

for (const [name, clientLayer] of clients) {
  describe(`over real sockets with ${name}`, () => {
    const live = Layer.merge(clientLayer, Resilience.layer)

    const make = <const O extends Pipeline.Options>(options: O & Pipeline.OnlyKnownKeys<O>) =>
      Effect.gen(function*() {
        return ResilientHttpClient.make(yield* HttpClient.HttpClient, yield* Pipeline.make<O>("upstream", options))
      })

    it.live("a body that stalls is cut by the attempt timeout, and its connection closed", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer((_, response) => {
          response.writeHead(200, { "content-type": "application/json" })
          response.write("{\"half\":")
        })
        const client = yield* make({ attemptTimeout: "100 millis" })
        const error = yield* Effect.flip(client.get(server.url))
        assert.strictEqual(error._tag, "TimedOut")
        yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
      }).pipe(Effect.provide(live)))

    it.live("1,000 timed-out calls leave no connection", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer(() => {})
        const client = yield* make({ attemptTimeout: "20 millis" })
        const errors = yield* Effect.forEach(
          Array.from({ length: 1000 }),
          () => Effect.flip(client.get(server.url)),
          { concurrency: 50 }
        )
        assert.isTrue(errors.every((error) => error._tag === "TimedOut"))
        yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
      }).pipe(Effect.provide(live)), 60_000)

    it.live("an interrupted call closes its connection", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer(() => {})
        const client = yield* make({ totalTimeout: "1 minute", retry: quick })
        yield* Effect.timeoutOption(client.get(server.url), "100 millis")
        assert.strictEqual(server.requests.length, 1)
        yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
      }).pipe(Effect.provide(live)))

    it.live("1,000 discarded responses leave the pool usable", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        const body = "x".repeat(20_000)
        let count = 0
        server.answer((_, response) => {
          response.writeHead(count++ % 2 === 0 ? 503 : 200)
          response.end(body)
        })
        const client = yield* make({ retry: quick })
        for (let call = 0; call < 1000; call++) {
          const response = yield* client.get(server.url)
          assert.strictEqual(response.status, 200)
        }
        assert.strictEqual(server.requests.length, 2000)
        assert.isAtMost(yield* server.connections, 2)
      }).pipe(Effect.provide(live)), 60_000)

    it.live("so do responses that the client itself has turned into errors", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        const body = "x".repeat(20_000)
        server.answer((_, response) => {
          response.writeHead(500)
          response.end(body)
        })
        const base = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
        const client = ResilientHttpClient.make(
          base,
          yield* Pipeline.make("upstream", { retry: { ...quick, times: 9 } })
        )
        for (let call = 0; call < 10; call++) {
          assert.strictEqual((yield* Effect.flip(client.get(server.url))).reason._tag, "StatusCodeError")
        }
        assert.strictEqual(server.requests.length, 100)
        assert.isAtMost(yield* server.connections, 2)
      }).pipe(Effect.provide(live)))

    it.live("an error body without an end is cut, and its status still counts", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        let count = 0
        const endless = (response: ServerResponse): void => {
          const chunk = Buffer.alloc(64 * 1024)
          const more = () => {
            while (!response.destroyed && response.write(chunk));
          }
          response.on("drain", more)
          more()
        }
        server.answer((_, response) => {
          if (count++ > 0) return void response.end("well again")
          response.writeHead(503)
          endless(response)
        })
        const client = yield* make({ retry: quick, totalTimeout: "10 seconds" })
        const response = yield* client.get(server.url)
        assert.strictEqual(yield* response.text, "well again")
        assert.strictEqual(server.requests.length, 2)
      }).pipe(Effect.provide(live)))

    it.live("a body that breaks off is a failed attempt, and is tried again", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        let count = 0
        server.answer((_, response) => {
          if (count++ > 0) return Server.json(response, 200, { well: true })
          response.writeHead(200, { "content-type": "application/json", "content-length": "100" })
          response.write("{\"half\":")
          setImmediate(() => response.destroy())
        })
        const client = yield* make({ retry: quick })
        const response = yield* client.get(server.url)
        assert.deepStrictEqual(yield* response.json, { well: true })
        assert.strictEqual(count, 2)
      }).pipe(Effect.provide(live)))

    it.live("the body can be read in every way, and more than once", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer((_, response) => Server.json(response, 200, { a: 1 }, { "set-cookie": "s=1" }))
        const client = yield* make({ retry: quick })
        const response = yield* client.get(server.url)
        assert.strictEqual(yield* response.text, "{\"a\":1}")
        assert.deepStrictEqual(yield* response.json, { a: 1 })
        assert.strictEqual((yield* response.arrayBuffer).byteLength, 7)
        const chunks = yield* Stream.runCollect(response.stream)
        assert.strictEqual(new TextDecoder().decode(chunks[0]), "{\"a\":1}")
        assert.strictEqual(response.status, 200)
        assert.strictEqual(response.headers["content-type"], "application/json")
        assert.strictEqual(Object.keys(response.cookies.cookies).join(), "s")
      }).pipe(Effect.provide(live)))

    it.live("the last response is the result when retries are used up", () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer((_, response) => Server.json(response, 503, { why: "maintenance" }))
        const client = yield* make({ retry: { ...quick, times: 1 } })
        const response = yield* client.get(server.url)
        assert.strictEqual(response.status, 503)
        assert.deepStrictEqual(yield* response.json, { why: "maintenance" })
        assert.strictEqual(server.requests.length, 2)
      }).pipe(Effect.provide(live)))
  })
}

describe("ResilientHttpClient", () => {
  const answering = (...statuses: ReadonlyArray<number>) => {
    const sent: Array<string> = []
    const client = HttpClient.make((request) =>
      Effect.sync(() => {
        const status = statuses[Math.min(sent.length, statuses.length - 1)] ?? 200
        sent.push(request.method)
        return HttpClientResponse.fromWeb(request, new Response("{}", { status }))
      })
    )
    return { client, sent }
  }

  it.effect("a 4xx is an answer: it is not retried, and no breaker opens", () =>
    Effect.gen(function*() {
      const { client, sent } = answering(404)
      const pipeline = yield* Pipeline.make("upstream", {
        retry: quick,
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
      })
      const protectedClient = ResilientHttpClient.make(client, pipeline)
      assert.strictEqual((yield* protectedClient.get("http://localhost/a")).status, 404)
      assert.strictEqual((yield* protectedClient.get("http://localhost/a")).status, 404)
      assert.strictEqual(sent.length, 2)
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("a classifier overrides statuses, and what it leaves or throws at goes by status", () =>
    Effect.gen(function*() {
      const { client, sent } = answering(503, 404, 200)
      const isMissing: Outcome.Classifier<HttpClientResponse.HttpClientResponse> = (exit) =>
        exit._tag === "Success" && exit.value.status === 404 ? Outcome.failure() : undefined
      const pipeline = yield* Pipeline.make("upstream", { retry: quick })
      const classifying = ResilientHttpClient.make(client, pipeline, { classify: isMissing })
      assert.strictEqual((yield* classifying.get("http://localhost/a")).status, 200)
      assert.strictEqual(sent.length, 3)
      const other = answering(503, 404)
      const throwing = ResilientHttpClient.make(other.client, pipeline, {
        classify: () => {
          throw new Error("bug")
        }
      })
      assert.strictEqual((yield* throwing.get("http://localhost/a")).status, 404)
      assert.strictEqual(other.sent.length, 2)
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("what the client does to its own request is covered, such as fetching a token", () =>
    Effect.gen(function*() {
      const { client, sent } = answering(503, 200)
      let tokens = 0
      const pipeline = yield* Pipeline.make("upstream", { retry: quick, totalTimeout: "1 second" })
      const withToken = HttpClient.mapRequestEffect(
        client,
        (request) => Effect.sync(() => HttpClientRequest.bearerToken(request, `token ${++tokens}`))
      )
      yield* ResilientHttpClient.make(withToken, pipeline).get("http://localhost/a")
      assert.deepStrictEqual([tokens, sent.length], [2, 2])
      const hanging = HttpClient.mapRequestEffect(client, () => Effect.never)
      const fiber = yield* Effect.forkChild(
        Effect.flip(ResilientHttpClient.make(hanging, pipeline).get("http://localhost/a"))
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "TimedOut")
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("a stalled error body does not take the time of the attempt: its Retry-After is heard", () =>
    Effect.gen(function*() {
      let requests = 0
      const client = HttpClient.make((request) => {
        const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("busy")) })
        const headers = { "retry-after": "10" }
        return Effect.sync(() =>
          HttpClientResponse.fromWeb(
            request,
            ++requests === 1 ? new Response(body, { status: 429, headers }) : new Response("well")
          )
        )
      })
      const pipeline = yield* Pipeline.make("upstream", {
        retry: quick,
        attemptTimeout: "1 second",
        circuitBreaker: {}
      })
      const fiber = yield* Effect.forkChild(ResilientHttpClient.make(client, pipeline).get("http://localhost/a"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(requests, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      assert.strictEqual((yield* pipeline.circuitBreaker?.snapshot ?? Effect.die("no breaker")).calls.overload, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("the pipeline's own classifier goes before statuses, too", () =>
    Effect.gen(function*() {
      const { client, sent } = answering(503)
      const pipeline = yield* Pipeline.make("upstream", { retry: quick, classify: () => Outcome.success })
      yield* ResilientHttpClient.make(client, pipeline).get("http://localhost/a")
      assert.strictEqual(sent.length, 1)
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("an error body that stalls is cut after two seconds, and what has come of it does not pass for all of it", () =>
    Effect.gen(function*() {
      const client = HttpClient.make((request) => {
        const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("busy")) })
        return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body, { status: 503 })))
      })
      const pipeline = yield* Pipeline.make("upstream", {})
      const fiber = yield* Effect.forkChild(ResilientHttpClient.make(client, pipeline).get("http://localhost/a"))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const response = yield* Fiber.join(fiber)
      assert.strictEqual(response.status, 503)
      for (const read of [response.text, response.json, response.arrayBuffer, response.urlParamsBody]) {
        const error = yield* Effect.flip(Effect.asVoid<unknown, HttpClientError.HttpClientError, never>(read))
        assert.deepInclude(error.reason, { _tag: "DecodeError", description: "The body was not read to its end" })
      }
      const parts: Array<string> = []
      const error = yield* Effect.flip(
        Stream.runForEach(response.stream, (bytes) => Effect.sync(() => parts.push(new TextDecoder().decode(bytes))))
      )
      assert.deepStrictEqual([parts, error.reason._tag], [["busy"], "DecodeError"])
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("501 is a failure that is not retried, 429 is retried and opens no breaker", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make("upstream", {
        retry: { ...quick, times: 1 },
        circuitBreaker: { trip: { kind: "consecutive", failures: 2 } }
      })
      const busy = answering(429)
      const client = ResilientHttpClient.make(busy.client, pipeline)
      for (let call = 0; call < 5; call++) yield* client.get("http://localhost/a")
      assert.strictEqual(busy.sent.length, 10)
      const missing = answering(501)
      const other = ResilientHttpClient.make(missing.client, pipeline)
      yield* other.get("http://localhost/a")
      assert.strictEqual(missing.sent.length, 1)
      yield* other.get("http://localhost/a")
      assert.strictEqual((yield* Effect.flip(other.get("http://localhost/a")))._tag, "CircuitOpen")
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("its layer gives refusals as the cause of a transport error, which the breaker of another layer ignores", () =>
    Effect.gen(function*() {
      const outer = yield* Pipeline.make("outer", { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } })
      const client = ResilientHttpClient.make(yield* HttpClient.HttpClient, outer)
      for (let call = 0; call < 3; call++) {
        const error = yield* Effect.flip(client.get("http://localhost/a"))
        assert.isTrue(HttpClientError.isHttpClientError(error))
        if (HttpClientError.isHttpClientError(error) && error.reason._tag === "TransportError") {
          assert.strictEqual((error.reason.cause as { _tag: string })._tag, "CircuitOpen")
        }
      }
      const snapshot = yield* outer.circuitBreaker?.snapshot ?? Effect.die("no breaker")
      assert.strictEqual(snapshot.state, "Closed")
      assert.strictEqual(snapshot.calls.ignored, 3)
    }).pipe(
      Effect.provide(
        ResilientHttpClient.layer("inner", { circuitBreaker: {} }).pipe(
          Layer.provide(Layer.succeed(HttpClient.HttpClient, answering(200).client)),
          Layer.provideMerge(Resilience.layerTest({ circuitBreakers: { inner: "Open" } }))
        )
      )
    ))

  it.effect("the default name of an operation holds no query and no credentials", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const seen: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(resilience.events, (event) =>
          Effect.sync(() => {
            if (event._tag === "Attempted") seen.push(event.operation)
          })),
        { startImmediately: true }
      )
      const pipeline = yield* Pipeline.make("upstream", { retry: { ...quick, times: 1 } })
      for (const url of ["http://user:s@cret@localhost/a?token=s#s", "HTTP:\\\\user:secret@localhost/a", "/a?b=s"]) {
        yield* Effect.exit(ResilientHttpClient.make(answering(503, 200).client, pipeline).get(url))
        yield* TestClock.adjust(0)
      }
      assert.deepStrictEqual([...new Set(seen)], ["GET http://localhost/a", "GET /a"])
    }).pipe(Effect.provide(Resilience.layerTest())))

  it.effect("a request that cannot be built says nothing about the service", () =>
    Effect.gen(function*() {
      const { client, sent } = answering(200)
      const pipeline = yield* Pipeline.make("upstream", {
        retry: quick,
        circuitBreaker: { trip: { kind: "consecutive", failures: 1 } }
      })
      const exit = yield* Effect.exit(
        ResilientHttpClient.make(client, pipeline).execute(HttpClientRequest.get("http://["))
      )
      assert.isTrue(Exit.isFailure(exit) && Result.isSuccess(Cause.findError(exit.cause)))
      assert.strictEqual(sent.length, 0)
      assert.strictEqual((yield* pipeline.circuitBreaker?.snapshot ?? Effect.die("no breaker")).calls.ignored, 1)
    }).pipe(Effect.provide(Resilience.layerTest())))
})
