import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Duration, Effect, Fiber, Layer, Schema } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { hasProperty } from "effect/Predicate"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { ResilientHttpClient, ServiceClient } from "../../src/http/index.ts"
import { Pipeline, Resilience } from "../../src/index.ts"
import { ConnectionPool } from "../../src/node/index.ts"
import * as Server from "../http/server.ts"
import { brief, present } from "../support.ts"

/** A server that answers after `delay` milliseconds, and knows the sockets that it has seen and the most at once. */
const watched = Effect.fnUntraced(function*(delay: (request: number) => number = () => 0) {
  const server = yield* Server.make
  const open = new Set<Socket>()
  const seen = { sockets: 0, most: 0, most_at_work: 0 }
  let working = 0
  let requests = 0
  server.answer((request, response) => {
    const { socket } = request
    if (!open.has(socket)) {
      open.add(socket)
      seen.sockets++
      seen.most = Math.max(seen.most, open.size)
      socket.on("close", () => open.delete(socket))
    }
    seen.most_at_work = Math.max(seen.most_at_work, ++working)
    response.on("close", () => {
      working--
    })
    setTimeout(() => Server.json(response, 200, { ok: true }), delay(++requests))
  })
  return { server, seen }
})

const get = (url: string) => Effect.flatMap(HttpClient.get(url), (response) => response.text)

const many = <A, E, R>(n: number, self: Effect.Effect<A, E, R>) =>
  Effect.all(Array.from({ length: n }, () => self), { concurrency: "unbounded" })

const snapshotOf = (origin: string) =>
  Effect.gen(function*() {
    const pool = yield* ConnectionPool.ConnectionPool
    return present((yield* pool.snapshot).find((one) => one.origin === origin))
  })

const refused = (options: unknown): string => {
  try {
    // data of any kind can come from JavaScript
    ConnectionPool.settings(options as ConnectionPool.Options)
  } catch (error) {
    if (error instanceof RangeError) return error.message
  }
  throw new Error(`not refused: ${JSON.stringify(options)}`)
}

describe("ConnectionPool settings", () => {
  it("have defaults, in milliseconds", () => {
    assert.deepStrictEqual(ConnectionPool.settings(), {
      connections: 100,
      lifetime: 300_000,
      idleTimeout: 4_000,
      idleMargin: 1_000,
      connectTimeout: 10_000,
      headersTimeout: Infinity,
      bodyTimeout: Infinity,
      maxBodySize: Infinity
    })
    assert.strictEqual(ConnectionPool.settings({ lifetime: "Infinity" }).lifetime, Infinity)
    assert.strictEqual(ConnectionPool.settings({ idleTimeout: 0.5 }).idleTimeout, 1)
  })

  it("refuse what is wrong, and say where", () => {
    for (const connections of [0, -1, 1.5, NaN, Infinity, "10", null]) {
      assert.match(refused({ connections }), /^ConnectionPool: connections must be an integer >= 1, got /)
    }
    for (
      const option of ["lifetime", "idleTimeout", "idleMargin", "connectTimeout", "headersTimeout", "bodyTimeout"]
    ) {
      for (const value of [0, -1, NaN, "soon", "-1 second", {}, "40 days"]) {
        assert.match(refused({ [option]: value }), new RegExp(`^ConnectionPool: ${option} must be `))
      }
    }
    for (const option of ["idleTimeout", "idleMargin", "connectTimeout"]) {
      assert.match(refused({ [option]: Infinity }), new RegExp(`^ConnectionPool: ${option} must be a finite duration`))
    }
    for (const maxBodySize of [-1, 1.5, NaN, "1 MB"]) {
      assert.match(refused({ maxBodySize }), /^ConnectionPool: maxBodySize must be an integer >= 0, got /)
    }
    assert.match(refused({ conections: 1 }), /^ConnectionPool: unknown option "conections"; it takes connections, /)
    assert.match(refused(null), /^ConnectionPool: options must be an object/)
    assert.throws(() => ConnectionPool.layer({ connections: 0 }), RangeError)
  })

  it.effect("come from configuration, where a bad value is a ConfigError", () => {
    const layer = ConnectionPool.layerConfig({
      connections: Config.Int("CONNECTIONS"),
      lifetime: Config.Duration("LIFETIME")
    })
    const from = (env: Record<string, string>) =>
      Effect.exit(
        Effect.map(ConnectionPool.ConnectionPool, ({ settings }) => settings).pipe(
          Effect.provide(Layer.provide(layer, ConfigProvider.layer(ConfigProvider.fromUnknown(env))))
        )
      )
    return Effect.gen(function*() {
      const good = yield* from({ CONNECTIONS: "7", LIFETIME: "2 minutes" })
      assert.deepInclude(brief(good), { connections: 7, lifetime: 120_000 })
      for (const bad of [{ CONNECTIONS: "0", LIFETIME: "2 minutes" }, { CONNECTIONS: "7", LIFETIME: "never" }]) {
        assert.strictEqual(brief(yield* from(bad)), "ConfigError")
      }
    })
  })
})

describe("ConnectionPool, on real sockets", () => {
  for (const connections of [1, 3]) {
    it.live(`C10: never has more than ${connections} connections, and says how many requests wait`, () =>
      Effect.gen(function*() {
        const { seen, server } = yield* watched(() => 30)
        const calls = yield* Effect.forkChild(many(30, get(server.url)))
        yield* Server.eventually(Effect.sync(() => server.requests.length > 0))
        yield* Effect.sleep("10 millis")
        const during = yield* snapshotOf(server.url)
        assert.deepInclude(during, { open: connections, busy: connections })
        assert.isAbove(during.queued, 0)
        yield* Fiber.join(calls)
        assert.deepStrictEqual(seen, { sockets: connections, most: connections, most_at_work: connections })
        assert.deepStrictEqual(yield* snapshotOf(server.url), {
          origin: server.url,
          open: connections,
          busy: 0,
          queued: 0
        })
      }).pipe(Effect.provide(ConnectionPool.layer({ connections }))))
  }

  it.live("C10: a request that waits for a connection waits under the timeouts of its pipeline, and is never sent", () =>
    Effect.gen(function*() {
      const { server } = yield* watched(() => 400)
      const pipeline = yield* Pipeline.make("upstream", { attemptTimeout: "100 millis" })
      const base = yield* HttpClient.HttpClient
      const slow = yield* Effect.forkChild(get(server.url))
      yield* Server.eventually(Effect.sync(() => server.requests.length === 1))
      const exit = yield* Effect.exit(ResilientHttpClient.make(base, pipeline).get(server.url))
      assert.strictEqual(brief(exit), "TimedOut")
      yield* Fiber.join(slow)
      yield* get(server.url)
      // the one that gave up has left the queue
      assert.strictEqual(server.requests.length, 2)
      assert.deepInclude(yield* snapshotOf(server.url), { open: 1, busy: 0, queued: 0 })
    }).pipe(Effect.provide(Layer.merge(ConnectionPool.layer({ connections: 1 }), Resilience.layer))))

  it.live("C10: a connection past its lifetime is replaced by the next request", () =>
    Effect.gen(function*() {
      const { seen, server } = yield* watched()
      for (let n = 0; n < 3; n++) yield* get(server.url)
      assert.strictEqual(seen.sockets, 1)
      yield* Effect.sleep("1100 millis")
      yield* get(server.url)
      assert.strictEqual(seen.sockets, 2)
      yield* Server.eventually(Effect.map(server.connections, (count) => count === 1))
    }).pipe(Effect.provide(ConnectionPool.layer({ connections: 1, lifetime: "1 second" }))))

  it.live("C10: an idle connection is closed after the idle timeout, whatever longer time the peer promises", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((_, response) => {
        Server.json(response, 200, {}, { "keep-alive": "timeout=600", connection: "keep-alive" })
      })
      yield* get(server.url)
      assert.strictEqual(yield* server.connections, 1)
      const [took] = yield* Effect.timed(
        Server.eventually(Effect.map(server.connections, (count) => count === 0))
      )
      assert.isBelow(Duration.toMillis(took), 3_000)
      // the pool of an origin without connections is gone
      const pool = yield* ConnectionPool.ConnectionPool
      assert.deepStrictEqual(yield* pool.snapshot, [])
    }).pipe(Effect.provide(ConnectionPool.layer({ idleTimeout: "200 millis" }))))

  it.live("C10: a peer's shorter promise is kept, with a margin", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((_, response) => {
        Server.json(response, 200, {}, { "keep-alive": "timeout=1", connection: "keep-alive" })
      })
      yield* get(server.url)
      // a second promised, a second of margin: it is not kept at all
      yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
    }).pipe(Effect.provide(ConnectionPool.layer({ idleTimeout: "20 seconds" }))))

  it.live("C10: closes between requests are survived, with a retry", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      let requests = 0
      server.answer((request, response) => {
        // every third request meets a connection that is just being closed
        if (++requests % 3 === 0) return void request.socket.destroy()
        Server.json(response, 200, { ok: true })
        // and every second connection is closed after its answer, without a word
        if (requests % 2 === 0) response.on("finish", () => setImmediate(() => request.socket.destroy()))
      })
      class Upstream extends ServiceClient.Service<Upstream>()("Upstream", {
        api: HttpApi.make("upstream").add(
          HttpApiGroup.make("all", { topLevel: true }).add(
            HttpApiEndpoint.get("ok", "/ok", { success: Schema.Struct({ ok: Schema.Boolean }) })
          )
        ),
        baseUrl: server.url,
        pipeline: { retry: { times: 5, backoff: { kind: "constant", delay: "1 millis" } }, attemptTimeout: "5 seconds" }
      }) {}
      const calls = Effect.gen(function*() {
        const upstream = yield* Upstream
        for (let n = 0; n < 200; n++) assert.deepStrictEqual(yield* upstream.ok(), { ok: true })
      })
      yield* Effect.provide(calls, Upstream.layer)
      assert.isAbove(server.requests.length, 200)
    }).pipe(Effect.provide(Layer.merge(ConnectionPool.layer({ connections: 2 }), Resilience.layer))))

  it.live("C10: the limits for headers and body count from when the request is sent", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((request, response) => {
        if (request.url === "/silent") return
        response.writeHead(200, { "content-type": "application/json" })
        response.write("{")
        if (request.url === "/slow") setTimeout(() => response.end("}"), 150)
      })
      class Upstream extends ServiceClient.Service<Upstream>()("Upstream", {
        api: HttpApi.make("upstream").add(
          HttpApiGroup.make("all", { topLevel: true }).add(
            HttpApiEndpoint.get("silent", "/silent", { success: Schema.Struct({}) }),
            HttpApiEndpoint.get("stalled", "/stalled", { success: Schema.Struct({}) }),
            HttpApiEndpoint.get("slow", "/slow", { success: Schema.Struct({}) })
          )
        ),
        baseUrl: server.url,
        pipeline: {}
      }) {}
      const calls = Effect.gen(function*() {
        const upstream = yield* Upstream
        // three in a row over one connection: the second waits for longer than a limit before it is sent
        const slow = yield* many(3, upstream.slow())
        assert.strictEqual(slow.length, 3)
        for (
          const [call, reason] of [
            [upstream.silent(), "UND_ERR_HEADERS_TIMEOUT"],
            [upstream.stalled(), "UND_ERR_BODY_TIMEOUT"]
          ] as const
        ) {
          const error = yield* Effect.flip(call)
          assert.strictEqual(error._tag === "ServiceUnavailable" ? error.reason : error._tag, reason)
        }
      })
      yield* Effect.provide(calls, Upstream.layer)
    }).pipe(
      Effect.provide(
        Layer.merge(
          ConnectionPool.layer({ connections: 1, headersTimeout: "250 millis", bodyTimeout: "250 millis" }),
          Resilience.layer
        )
      )
    ))

  it.live("C10: a peer that never finishes the handshake fails after the connect timeout", () =>
    Effect.gen(function*() {
      const silent = createServer(() => {})
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          silent.listen(0, "127.0.0.1", () => resume(Effect.void))
        }),
        () => Effect.sync(() => silent.close())
      )
      const { port } = silent.address() as AddressInfo
      const [took, error] = yield* Effect.timed(Effect.flip(get(`https://127.0.0.1:${port}`)))
      const { cause } = error.reason
      assert.strictEqual(hasProperty(cause, "code") ? String(cause.code) : "", "UND_ERR_CONNECT_TIMEOUT")
      assert.isAtLeast(Duration.toMillis(took), 190)
      assert.isBelow(Duration.toMillis(took), 5_000)
    }).pipe(Effect.provide(ConnectionPool.layer({ connectTimeout: "200 millis" }))))

  it.live("C10: a body above the limit breaks off, and its connection is closed", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((request, response) => {
        response.write("x".repeat(request.url === "/large" ? 1_001 : 1_000))
        if (request.url !== "/large") response.end()
      })
      const pipeline = yield* Pipeline.make("upstream", { attemptTimeout: "5 seconds" })
      const client = ResilientHttpClient.make(yield* HttpClient.HttpClient, pipeline)
      assert.strictEqual((yield* (yield* client.get(server.url)).text).length, 1_000)
      const error = yield* Effect.flip(client.get(`${server.url}/large`))
      assert.strictEqual(HttpClientError.isHttpClientError(error) && error.reason._tag, "DecodeError")
      yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
    }).pipe(
      Effect.provide(
        Layer.merge(ConnectionPool.layer({ maxBodySize: 1_000, idleTimeout: "200 millis" }), Resilience.layer)
      )
    ))

  it.live("closes all of its connections with its layer", () =>
    Effect.gen(function*() {
      const { server } = yield* watched()
      yield* many(5, get(server.url)).pipe(Effect.provide(ConnectionPool.layer({ connections: 5 })))
      yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
    }))
})
