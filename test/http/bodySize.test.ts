import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import type { ServerResponse } from "node:http"
import { gzipSync } from "node:zlib"
import { PlainClient, ResilientHttpClient, ServiceClient } from "../../src/http/index.ts"
import { Pipeline, Resilience } from "../../src/index.ts"
import { ConnectionPool } from "../../src/node/index.ts"
import { brief } from "../support.ts"
import * as Server from "./server.ts"

const Api = HttpApi.make("texts").add(
  HttpApiGroup.make("root", { topLevel: true }).add(HttpApiEndpoint.get("text", "/", { success: Schema.String }))
)
const pipeline = { retry: { times: 2, backoff: { kind: "constant", delay: "1 millis" } } } as const

/** One call by each of the clients, and how it ended: the error's tag, or the length of the text. */
const ask = Effect.fnUntraced(function*(url: string, maxBodySize: number | undefined) {
  class Texts extends ServiceClient.Service<Texts>()("Texts", { api: Api, baseUrl: url, pipeline, maxBodySize }) {}
  class Plain extends PlainClient.Service<Plain>()("Plain", { baseUrl: url, pipeline, maxBodySize }) {}
  const made = yield* Pipeline.make("made", pipeline)
  const client = ResilientHttpClient.make(yield* HttpClient.HttpClient, made, { maxBodySize })
  const calls: ReadonlyArray<Effect.Effect<unknown, unknown, Texts | Plain>> = [
    Effect.flatMap(Texts, (texts) => texts.text()),
    Effect.flatMap(Plain, (plain) => plain.get("/", { success: Schema.String })),
    Effect.flatMap(client.get(url), (response) => response.json)
  ]
  const exits = yield* Effect.forEach(calls, Effect.exit).pipe(
    Effect.provide(Layer.fresh(Layer.merge(Texts.layer, Plain.layer)))
  )
  return exits.map((exit) => {
    const ended = brief(exit)
    return typeof ended === "string" && exit._tag === "Success" ? ended.length : ended
  })
})

const text = (length: number) => Buffer.from(JSON.stringify("x".repeat(length - 2)))

const ways: Readonly<Record<string, (response: ServerResponse, body: Buffer) => void>> = {
  "that says its length": (response, body) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": String(body.byteLength) })
    response.end(body)
  },
  "in chunks": (response, body) => {
    response.writeHead(200, { "content-type": "application/json" })
    response.write(body.subarray(0, 10))
    response.end(body.subarray(10))
  }
}

describe("bodies have a limit", () => {
  for (const [name, layer] of Server.clients) {
    for (const [way, respond] of Object.entries(ways)) {
      it.live(`over ${name}, one ${way} is let through up to it, and is no good answer beyond, asked for once`, () =>
        Effect.gen(function*() {
          const server = yield* Server.make
          server.answer((_, response) => respond(response, text(1000)))
          assert.deepStrictEqual(yield* ask(server.url, 1000), [998, 998, 998])
          assert.deepStrictEqual(yield* ask(server.url, Infinity), [998, 998, 998])
          assert.strictEqual(server.requests.length, 6)
          assert.deepStrictEqual(yield* ask(server.url, 999), ["ResponseInvalid", "ResponseInvalid", "HttpClientError"])
          assert.strictEqual(server.requests.length, 9)
        }).pipe(Effect.provide([layer, Resilience.layer])))
    }

    it.live(`over ${name}, it is 32 MiB where nothing is said, and the rest is left unread`, () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer((_, response) => {
          response.writeHead(200, { "content-type": "application/json" })
          const piece = Buffer.alloc(1024 * 1024, 32)
          const more = (): void => {
            if (!response.destroyed) response.write(piece, more)
          }
          more()
        })
        assert.deepStrictEqual(yield* ask(server.url, undefined), [
          "ResponseInvalid",
          "ResponseInvalid",
          "HttpClientError"
        ])
        yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
      }).pipe(Effect.provide([layer, Resilience.layer])))

    it.live(`over ${name}, a body that the client below has read already is taken from there`, () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        const logging = Layer.effect(
          HttpClient.HttpClient,
          Effect.map(HttpClient.HttpClient, HttpClient.tap((response) => response.text))
        ).pipe(Layer.provide(layer))
        for (const respond of Object.values(ways)) {
          server.answer((_, response) => respond(response, text(1000)))
          assert.deepStrictEqual(yield* Effect.provide(ask(server.url, 1000), logging), [998, 998, 998])
        }
      }).pipe(Effect.provide(Resilience.layer)))
  }

  it.live("and count as they are after decoding", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      const bomb = gzipSync(text(10_000_000))
      server.answer((_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
        response.end(bomb)
      })
      const refused = ["ResponseInvalid", "ResponseInvalid", "HttpClientError"]
      assert.deepStrictEqual(yield* ask(server.url, 1_000_000), refused)
    }).pipe(Effect.provide([FetchHttpClient.layer, Resilience.layer])))

  it.live("of the pool as well, and are asked for once then", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((_, response) => ways["in chunks"]?.(response, text(1000)))
      assert.deepStrictEqual(yield* ask(server.url, undefined), [
        "ResponseInvalid",
        "ResponseInvalid",
        "HttpClientError"
      ])
      assert.strictEqual(server.requests.length, 3)
    }).pipe(Effect.provide([ConnectionPool.layer({ maxBodySize: 500 }), Resilience.layer])))

  it("and a bad limit is refused when a client is made", () => {
    for (const maxBodySize of [0, -1, 1.5, NaN]) {
      assert.throws(
        () => PlainClient.Service()("P", { baseUrl: "http://p", pipeline, maxBodySize }),
        RangeError,
        /PlainClient "P": maxBodySize must be/
      )
    }
  })

  it.live("and the error body of which only a part was read is none: its status counts, and it is typed by that", () =>
    Effect.gen(function*() {
      const server = yield* Server.make
      server.answer((_, response) => Server.json(response, 404, { detail: "x".repeat(2_000_000) }))
      const made = yield* Pipeline.make("made", pipeline)
      const response = yield* ResilientHttpClient.make(yield* HttpClient.HttpClient, made).get(server.url)
      assert.strictEqual(response.status, 404)
      const error = yield* Effect.flip(response.text)
      assert.isTrue(HttpClientError.isHttpClientError(error))
      assert.deepStrictEqual((yield* ask(server.url, undefined)).slice(0, 2), ["NotFound", "NotFound"])
    }).pipe(Effect.provide([NodeHttpClient.layerUndici, Resilience.layer])))
})
