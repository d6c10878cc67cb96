/** The status API over real sockets. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Redacted, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { connect, type Socket } from "node:net"
import { networkInterfaces } from "node:os"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Resilience } from "../../src/index.ts"
import { StatusPort } from "../../src/node/index.ts"
import { Dashboard, Recoveries, type Status, StatusApi, StatusServer } from "../../src/observability/index.ts"
import { present, start } from "../support.ts"
import { fail, pipelines, quick, secret } from "./statusSupport.ts"

const routes = Layer.mergeAll(
  StatusServer.layer({ controlTokens: { olga: Redacted.make(secret) } }),
  Dashboard.layer()
).pipe(Layer.provide(Recoveries.layer))

const live = (host?: string) =>
  Layer.mergeAll(
    StatusPort.layer(routes, { port: 0, ...(host !== undefined && { host }) }),
    NodeHttpClient.layerUndici,
    Logger.layer([])
  ).pipe(
    Layer.provideMerge(Resilience.layer)
  )

const url = Effect.map(HttpServer.HttpServer, ({ address }) => HttpServer.formatAddress(address))

const portOf = (of: string) => Number(new URL(of).port)

const connected = (port: number, host = "127.0.0.1") =>
  Effect.callback<Socket, "refused">((resume) => {
    const socket = connect(port, host)
    socket.once("connect", () => resume(Effect.succeed(socket)))
    socket.on("error", () => resume(Effect.fail("refused" as const)))
  })

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")
const used = Effect.sync(() => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return (arrayBuffers + heapUsed) / 1e6
})

describe("StatusServer over sockets", () => {
  it.live("answers a client that was made from its API: status, changes, control", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick, git: quick })
      const baseUrl = yield* url
      const { status } = yield* HttpApiClient.make(StatusApi.StatusApi, {
        baseUrl,
        transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(secret))
      })
      assert.deepStrictEqual((yield* status.all()).services.map(({ name }) => name), ["billing", "git"])
      assert.strictEqual((yield* status.services())["git"]?.state, "CLOSED")
      const frames: Array<Status.Frame> = []
      const changes = yield* status.changes()
      yield* start(Stream.runForEach(changes, (frame) => Effect.sync(() => frames.push(frame))))
      yield* Effect.sleep("100 millis")
      yield* fail(of("billing"), 2)
      yield* Effect.sleep("600 millis")
      assert.isTrue(frames[0]?.full)
      const last = present(frames.findLast(({ services }) => services.length > 0))
      assert.strictEqual(last.services[0]?.state, "Open")
      const after = yield* status.control({ payload: { action: "reset", breaker: "billing" } })
      assert.strictEqual(after.state, "Closed")
    }).pipe(Effect.provide(live())))

  it.live("listens on loopback alone unless it is told otherwise", () =>
    Effect.gen(function*() {
      const outside = Object.values(networkInterfaces()).flat().find((of) =>
        of?.internal === false && of.family === "IPv4"
      )
      yield* Effect.gen(function*() {
        const port = portOf(yield* url)
        ;(yield* connected(port)).destroy()
        if (outside === undefined) return
        assert.strictEqual(yield* Effect.flip(connected(port, outside.address)), "refused")
      }).pipe(Effect.provide(live()))
      if (outside === undefined) return
      yield* Effect.gen(function*() {
        ;(yield* connected(portOf(yield* url), outside.address)).destroy()
      }).pipe(Effect.provide(live("0.0.0.0")))
    }))

  it.live("ends at once, although clients follow the changes", () =>
    Effect.gen(function*() {
      const started = performance.now()
      const fiber = yield* Effect.gen(function*() {
        yield* pipelines({ billing: quick })
        const base = yield* url
        const response = yield* Effect.promise(() => fetch(`${base}/v1/api/status/changes`))
        return yield* Effect.forkDetach(Effect.exit(Effect.tryPromise(() => response.text())), {
          startImmediately: true
        })
      }).pipe(Effect.provide(live()))
      // its end reaches the client, too
      yield* Fiber.join(fiber)
      assert.isBelow(performance.now() - started, 5_000)
    }))

  it.live("keeps nothing for 1,000 clients that do not read (B8)", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 50 }, (_, n) => `service-${n}`)
      const of = yield* pipelines(Object.fromEntries(names.map((name) => [name, quick])))
      const port = portOf(yield* url)
      const sockets = yield* Effect.forEach(Array.from({ length: 1_000 }), () =>
        Effect.map(connected(port), (socket) => {
          socket.pause()
          socket.write("GET /v1/api/status/changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
          return socket
        }), { concurrency: 50 })
      yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
      const change = (turns: number) =>
        Effect.repeat(
          Effect.andThen(
            Effect.forEach(names, (name) => of(name).protect(Effect.void), { discard: true }),
            Effect.sleep("250 millis")
          ),
          { times: turns - 1 }
        )
      yield* change(8)
      const before = yield* used
      yield* change(16)
      const after = yield* used
      // 16 frames of about 12 kB for each of 1,000 clients would be near 200 MB
      assert.isBelow(after - before, 40)
      const { services } = (yield* Effect.promise(async () =>
        (await fetch(`http://127.0.0.1:${port}/v1/api/status`)).json()
      )) as {
        readonly services: ReadonlyArray<unknown>
      }
      assert.lengthOf(services, 50)
    }).pipe(Effect.scoped, Effect.provide(live())))
})
