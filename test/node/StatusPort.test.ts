/** The port of its own: who reaches it, by which name, and what is left of it. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger } from "effect"
import { HttpRouter, HttpServer, HttpServerError, HttpServerResponse } from "effect/http"
import { request } from "node:http"
import { connect, type Socket } from "node:net"
import { Resilience } from "../../src/index.ts"
import { StatusPort } from "../../src/node/index.ts"
import { Dashboard, Recoveries, StatusServer } from "../../src/observability/index.ts"
import { eventually } from "../http/server.ts"
import { pipelines, quick } from "../observability/statusSupport.ts"
import { assertRefused } from "../support.ts"

const routes = (options: StatusServer.Options = {}) =>
  Layer.mergeAll(StatusServer.layer(options), Dashboard.layer()).pipe(Layer.provide(Recoveries.layer))

const live = (port: Partial<StatusPort.Options> = {}, options: StatusServer.Options = {}) =>
  StatusPort.layer(routes(options), { port: 0, ...port }).pipe(
    Layer.provide(Logger.layer([])),
    Layer.provideMerge(Resilience.layer)
  )

const port = Effect.map(HttpServer.HttpServer, ({ address }) => Number(new URL(HttpServer.formatAddress(address)).port))

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
}

const ask = (port: number, path: string, headers: Record<string, string> = {}, method = "GET") =>
  Effect.callback<Answer>((resume) => {
    request({ port, path, method, headers, agent: false }, (response) => {
      let text = ""
      response.on("data", (chunk) => (text += String(chunk)))
      response.on(
        "close",
        () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
      )
    }).on("error", () => resume(Effect.succeed({ status: 0, headers: {}, text: "" }))).end()
  })

/** Follows the changes, and hands the socket back when the first bytes are there. */
const follow = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly socket: Socket; readonly status: string }>((resume) => {
      const socket = connect(port, "127.0.0.1")
      socket.once("connect", () => socket.write("GET /v1/api/status/changes HTTP/1.1\r\nHost: localhost\r\n\r\n"))
      socket.once("data", (data) => resume(Effect.succeed({ socket, status: String(data).split(" ")[1] ?? "" })))
      socket.on("error", () => {})
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

describe("StatusPort", () => {
  it.live("answers on loopback to localhost, to addresses and to the names that it is told, and to no other (B4)", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const at = yield* port
      for (
        const host of [
          "localhost",
          `localhost:${at}`,
          "LOCALHOST:1",
          "board.localhost",
          "127.0.0.1",
          "[::1]:80",
          "10.1.2.3",
          "ops.example",
          "Ops.Example.:8080"
        ]
      ) assert.strictEqual((yield* ask(at, "/v1/api/status", { host })).status, 200, host)
      for (
        const host of [
          "evil.example",
          "localhost.evil.example",
          "ops.example.evil.example",
          "evil-localhost",
          "127.0.0.1.evil.example",
          "localhost@evil.example",
          "evil.example/localhost",
          "["
        ]
      ) {
        for (const path of ["/v1/api/status", "/dashboard", "/nothing"]) {
          const { headers, status, text } = yield* ask(at, path, { host })
          assert.strictEqual(status, 403, host)
          assert.strictEqual(headers["content-type"], "application/problem+json")
          assert.include(text, "allowedHosts")
          assert.notInclude(text, "billing")
        }
      }
    }).pipe(Effect.provide(live({ allowedHosts: ["ops.example"] }))))

  it.live("answers on all addresses to any name, unless it is told which", () =>
    Effect.gen(function*() {
      const statuses = (options: Partial<StatusPort.Options>) =>
        Effect.gen(function*() {
          const at = yield* port
          const { status } = yield* ask(at, "/v1/api/status", { host: "status.svc.cluster.local" })
          return status
        }).pipe(Effect.provide(live({ host: "0.0.0.0", ...options })))
      assert.strictEqual(yield* statuses({}), 200)
      assert.strictEqual(yield* statuses({ allowedHosts: ["status.svc.cluster.local"] }), 200)
      assert.strictEqual(yield* statuses({ allowedHosts: ["ops.example"] }), 403)
    }))

  it.live("says as a problem what is not there, and how it cannot be asked for", () =>
    Effect.gen(function*() {
      const at = yield* port
      const missing = yield* ask(at, "/v1/api/status/nothing")
      assert.strictEqual(missing.status, 404)
      assert.include(missing.text, "\"code\":\"not_found\"")
      const wrong = yield* ask(at, "/v1/api/status/control")
      assert.deepStrictEqual([wrong.status, wrong.headers["allow"]], [405, "POST"])
      assert.strictEqual((yield* ask(at, "/dashboard", {}, "DELETE")).status, 405)
      const huge = yield* ask(at, "/v1/api/status", { "x-huge": "x".repeat(50_000) })
      assert.strictEqual(huge.status, 431)
      assert.strictEqual((yield* ask(at, "/v1/api/status")).status, 200)
    }).pipe(Effect.provide(live())))

  it.live("leads from / to the dashboard, where it is served and nothing else is there", () =>
    Effect.gen(function*() {
      const root = (routes: Layer.Layer<never, never, HttpRouter.HttpRouter>) =>
        Effect.gen(function*() {
          const at = yield* port
          const { headers, status } = yield* ask(at, "/?from=a")
          assert.strictEqual((yield* ask(at, "/", { host: "evil.example" })).status, 403)
          assert.strictEqual((yield* ask(at, "/", {}, "POST")).status, status === 200 ? 405 : 404)
          return [status, headers["location"]]
        }).pipe(Effect.provide(StatusPort.layer(routes, { port: 0 })))
      const own = HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("mine")))
      const dashboard = Layer.provide(Dashboard.layer({ path: "/ops/board" }), NodeHttpServer.layerHttpServices)
      assert.deepStrictEqual(yield* root(dashboard), [302, "ops/board"])
      assert.deepStrictEqual(yield* root(Layer.merge(dashboard, own)), [200, undefined])
      assert.deepStrictEqual(yield* root(Layer.empty), [404, undefined])
    }))

  it.live("answers HEAD as GET without the body, and holds no place of a client for it", () =>
    Effect.gen(function*() {
      const at = yield* port
      for (const path of ["/v1/api/status", "/v1/api/status/services", "/v1/api/status/changes", "/dashboard"]) {
        for (let n = 0; n < 3; n++) {
          const { status, text } = yield* ask(at, path, {}, "HEAD")
          assert.deepStrictEqual([status, text], [200, ""], path)
        }
      }
      assert.strictEqual((yield* follow(at)).status, "200")
    }).pipe(Effect.scoped, Effect.provide(live({}, { maxClients: 1 }))))

  it.live("has room for so many clients that follow, says when one more may ask again, and takes it when one has gone (B8)", () =>
    Effect.gen(function*() {
      const at = yield* port
      const clients = yield* Effect.forEach([1, 2, 3], () => follow(at))
      assert.deepStrictEqual(clients.map(({ status }) => status), ["200", "200", "200"])
      const refused = yield* ask(at, "/v1/api/status/changes")
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.headers["retry-after"], "5")
      assert.strictEqual(refused.headers["cache-control"], "no-store")
      assert.include(refused.text, "\"code\":\"unavailable\"")
      // the others are read as ever
      assert.strictEqual((yield* ask(at, "/v1/api/status/services")).status, 200)
      clients[0]?.socket.destroy()
      yield* eventually(Effect.map(Effect.scoped(follow(at)), ({ status }) => status === "200"))
    }).pipe(Effect.scoped, Effect.provide(live({}, { maxClients: 3 }))))

  it.live("lets go of clients that vanish, many times over", () =>
    Effect.gen(function*() {
      const at = yield* port
      for (let n = 0; n < 50; n++) {
        yield* Effect.scoped(Effect.forEach([1, 2, 3, 4], () => follow(at), { concurrency: 4 }))
      }
      yield* eventually(Effect.map(
        Effect.scoped(Effect.forEach([1, 2, 3, 4], () => follow(at))),
        (clients) => clients.every(({ status }) => status === "200")
      ))
    }).pipe(Effect.provide(live({}, { maxClients: 4 }))))

  it.live("cuts a connection on which nothing moves, so that who never reads keeps no place", () =>
    Effect.gen(function*() {
      // more than a socket takes that is never read
      const names = Array.from({ length: 3_000 }, (_, n) => `${n} ${"x".repeat(490)}`)
      yield* pipelines(Object.fromEntries(names.map((name) => [name, { retry: false }] as const)))
      const at = yield* port
      const { socket } = yield* follow(at)
      socket.pause()
      assert.strictEqual((yield* ask(at, "/v1/api/status/changes")).status, 503)
      yield* eventually(Effect.map(Effect.scoped(follow(at)), ({ status }) => status === "200"))
    }).pipe(Effect.scoped, Effect.provide(live({ idleTimeout: "500 millis" }, { maxClients: 1 }))))

  it.live("fails with a typed error that names the address where the port is taken, and leaves nothing", () =>
    Effect.gen(function*() {
      const at = yield* port
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(live({ port: at }))))
      assert.isTrue(Exit.isFailure(exit))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(live({ port: at }))))
      assert.instanceOf(error, HttpServerError.ServeError)
      assert.include(String(error.cause), `EADDRINUSE: address already in use 127.0.0.1:${at}`)
      assert.strictEqual((yield* ask(at, "/v1/api/status")).status, 200)
    }).pipe(Effect.provide(live())))

  it.live("ends promptly with open streams and slow answers, and gives the port back", () =>
    Effect.gen(function*() {
      const slow = HttpRouter.add("GET", "/slow", Effect.as(Effect.sleep("1 minute"), HttpServerResponse.empty()))
      let closed = 0
      const serve = (at: number, isLast: boolean) =>
        Effect.gen(function*() {
          const own = yield* port
          if (isLast) return own
          for (const path of [...Array.from({ length: 20 }, () => "/v1/api/status/changes"), "/slow"]) {
            const socket = connect(own, "127.0.0.1")
            socket.on("error", () => {}).on("close", () => closed++).resume()
            socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
          }
          yield* Effect.sleep("200 millis")
          return own
        }).pipe(Effect.provide(
          StatusPort.layer(Layer.merge(routes(), slow), { port: at }).pipe(
            Layer.provide(Logger.layer([])),
            Layer.provide(Resilience.layer)
          )
        ))
      const first = yield* serve(0, false)
      const began = performance.now()
      assert.strictEqual(yield* serve(first, true), first)
      assert.isBelow(performance.now() - began, 2_000)
      yield* eventually(Effect.sync(() => closed === 21))
    }))

  it("refuses options that it cannot use", () => {
    const make = (options: object) => () => StatusPort.layer(routes(), { port: 0, ...options })
    assertRefused([
      [make({ port: 65_536 }), "StatusPort: port must be"],
      [make({ port: "80" }), "StatusPort: port must be"],
      [make({ host: "" }), "StatusPort: host must"],
      [make({ allowedHosts: ["ops.example:80"] }), "StatusPort: allowedHosts must be names of hosts"],
      [make({ allowedHosts: ["*"] }), "StatusPort: allowedHosts must be"],
      [make({ allowedHosts: "ops.example" }), "StatusPort: allowedHosts must be an array"],
      [make({ idleTimeout: 0 }), "StatusPort: idleTimeout must be"],
      [make({ hosts: [] }), "unknown option \"hosts\""]
    ])
  })
})
