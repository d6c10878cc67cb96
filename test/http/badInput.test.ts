import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Schema } from "effect"
import { HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { ResilientHttpClient, ServiceClient } from "../../src/http/index.ts"
import { Pipeline, Resilience } from "../../src/index.ts"
import { brief } from "../support.ts"
import * as Server from "./server.ts"

/** A server that answers every request with these bytes, then ends the connection or leaves it open. */
const saying = (say: (socket: Socket) => void) =>
  Effect.gen(function*() {
    const seen = { requests: 0 }
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
      socket.on("data", () => {
        seen.requests++
        say(socket)
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  })

const head = (status: number, headers: Readonly<Record<string, string>>) =>
  `HTTP/1.1 ${status} Something\r\n${
    Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  }\r\n`

/** A whole answer. */
const answer = (body: string | Buffer, status = 200, headers: Readonly<Record<string, string>> = {}) => {
  const bytes = Buffer.from(body)
  const all = { "content-type": "application/json", "content-length": String(bytes.byteLength), ...headers }
  return Buffer.concat([Buffer.from(head(status, all), "latin1"), bytes])
}

interface Tree {
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const Api = HttpApi.make("upstream").add(
  HttpApiGroup.make("all", { topLevel: true }).add(
    HttpApiEndpoint.get("get", "/", { success: Schema.Struct({ name: Schema.String }) }),
    HttpApiEndpoint.get("tree", "/tree", { success: Tree })
  )
)

const pipeline = {
  retry: { times: 1, backoff: { kind: "constant", delay: "1 millis" }, jitter: "none", maxRetryAfter: "1 day" },
  totalTimeout: "4 seconds"
} as const

/** Asks a server that says these bytes, by both clients. */
const ask = Effect.fnUntraced(function*(
  say: (socket: Socket) => void,
  options: { readonly operation?: "get" | "tree"; readonly attemptTimeout?: Duration.Input } = {}
) {
  const { seen, url } = yield* saying(say)
  const settings = { ...pipeline, attemptTimeout: options.attemptTimeout ?? "2 seconds" }
  class Service extends ServiceClient.Service<Service>()(`service at ${url}`, {
    api: Api,
    baseUrl: url,
    pipeline: settings
  }) {}
  const service = Context.get(yield* Layer.build(Service.layer), Service)
  const call: Effect.Effect<unknown, unknown> = options.operation === "tree" ? service.tree() : service.get()
  const [took, typed] = yield* Effect.timed(Effect.exit(call))
  const requests = seen.requests
  const client = ResilientHttpClient.make(yield* HttpClient.HttpClient, yield* Pipeline.make(`plain ${url}`, settings))
  const plain = yield* Effect.exit(
    Effect.flatMap(
      client.get(url),
      (response) => response.status === 200 ? response.json : Effect.succeed(response.status)
    )
  )
  return { typed, took: Duration.toMillis(took), requests, plain }
}, Effect.scoped)

const json = { "content-type": "application/json" }
const chunked = head(200, { ...json, "transfer-encoding": "chunked" })
const good = "{\"name\":\"n\"}"
const isGood = [{ name: "n" }]

const saysForEver = (piece: string | Buffer, millis: number) => (socket: Socket) => {
  const more = () => {
    if (socket.destroyed) return
    socket.write(piece)
    setTimeout(more, millis)
  }
  more()
}

interface Case {
  readonly what: string
  readonly says: string | Buffer
  /** Whether the server closes the connection then. */
  readonly ends?: boolean
  /** What the service client may make of it: the values, or the tags of errors. */
  readonly typed: ReadonlyArray<unknown>
  /** The same for the plain client. */
  readonly plain: ReadonlyArray<unknown>
}

const invalid = ["ResponseInvalid"]
const broken = { typed: ["ServiceUnavailable"], plain: ["HttpClientError"] }

const cases: ReadonlyArray<Case> = [
  // the type of the content is not what decides
  {
    what: "a wrong content type",
    says: answer(good, 200, { "content-type": "text/html" }),
    typed: isGood,
    plain: isGood
  },
  {
    what: "a content type of rubbish",
    says: answer(good, 200, { "content-type": ";;;=\"" }),
    typed: isGood,
    plain: isGood
  },
  { what: "no content type", says: `${head(200, { "content-length": "12" })}${good}`, typed: isGood, plain: isGood },
  {
    what: "another charset than it says",
    says: answer(good, 200, { "content-type": "application/json; charset=utf-16le" }),
    typed: isGood,
    plain: isGood
  },
  {
    what: "a content encoding that it does not have",
    says: answer(good, 200, { "content-encoding": "gzip" }),
    // fetch decodes, the others leave that alone
    typed: [...isGood, "ServiceUnavailable"],
    plain: [...isGood, "HttpClientError"]
  },
  {
    what: "a page",
    says: answer("<html>", 200, { "content-type": "text/html" }),
    typed: invalid,
    plain: ["HttpClientError"]
  },
  {
    what: "invalid UTF-8 within a text",
    says: answer(Buffer.concat([Buffer.from("{\"name\":\""), Buffer.from([0xff, 0xc3, 0x28]), Buffer.from("\"}")])),
    typed: [{ name: "\ufffd\ufffd(" }],
    plain: [{ name: "\ufffd\ufffd(" }]
  },
  {
    what: "invalid UTF-8",
    says: answer(Buffer.from([0xff, 0xfe, 0x00, 0x80])),
    typed: invalid,
    plain: ["HttpClientError"]
  },
  { what: "no body", says: answer(""), typed: invalid, plain: [null] },
  { what: "null", says: answer("null"), typed: invalid, plain: [null] },
  { what: "a 200 with an error's body", says: answer("{\"error\":\"no\"}"), typed: invalid, plain: [{ error: "no" }] },
  {
    what: "a name in its prototype",
    says: answer("{\"__proto__\":{\"name\":\"n\"}}"),
    typed: invalid,
    plain: [JSON.parse("{\"__proto__\":{\"name\":\"n\"}}")]
  },
  {
    what: "a list 100,000 deep under an error",
    says: answer(`{"detail":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 500),
    typed: ["Internal"],
    plain: [500]
  },
  { what: "a status of 999", says: answer("", 999), typed: ["UnexpectedStatus"], plain: [999] },
  { what: "a status of 1000", says: answer("", 1000), ends: true, ...broken },
  {
    what: "a status of 99",
    says: "HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n",
    ends: true,
    typed: ["ServiceUnavailable", "UnexpectedStatus"],
    plain: ["HttpClientError", 99]
  },
  { what: "a chunked body that breaks off", says: `${chunked}5\r\n{"nam\r\n`, ends: true, ...broken },
  { what: "a chunk without a size", says: `${chunked}zz\r\n{"nam\r\n`, ends: true, ...broken },
  {
    what: "less than it promised",
    says: `${head(200, { ...json, "content-length": "50" })}{"nam`,
    ends: true,
    ...broken
  },
  { what: "a negative length", says: `${head(200, { ...json, "content-length": "-5" })}{"nam`, ends: true, ...broken },
  {
    what: "two lengths",
    says: "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{\"nam",
    ends: true,
    ...broken
  },
  { what: "another protocol", says: "SSH-2.0-OpenSSH_9.2\r\n", ends: true, ...broken },
  { what: "nothing", says: "", ends: true, ...broken },
  { what: "a header of 100,000 letters", says: answer(good, 200, { "x-large": "x".repeat(100_000) }), ...broken },
  {
    what: "5,000 headers",
    says: answer(good, 200, Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`x-${n}`, "1"]))),
    ...broken
  },
  { what: "a header with a control character", says: answer(good, 200, { "x-odd": "a\u0000b" }), ...broken }
]

for (const [name, layer] of Server.clients) {
  const live = Layer.merge(layer, Resilience.layer)

  describe(`a server that talks rubbish, over ${name}`, () => {
    for (const { ends = false, plain, says, typed, what } of cases) {
      it.live(`says ${what}`, () =>
        Effect.gen(function*() {
          const answered = yield* ask((socket) => {
            socket.write(says)
            if (ends) socket.end()
          })
          assert.deepInclude(typed, brief(answered.typed))
          assert.deepInclude(plain, brief(answered.plain))
          assert.isBelow(answered.took, 2_000)
          // what would come again is not asked for again
          const isRetryable = ["ServiceUnavailable", "Internal"].includes(String(brief(answered.typed)))
          assert.strictEqual(answered.requests, isRetryable ? 2 : 1)
        }).pipe(Effect.provide(live)))
    }

    it.live("says a list 200,000 deep", () =>
      Effect.gen(function*() {
        const { plain, typed } = yield* ask((socket) => socket.write(answer("[".repeat(200_000) + "]".repeat(200_000))))
        assert.strictEqual(brief(typed), "ResponseInvalid")
        assert.isTrue(Exit.isSuccess(plain))
      }).pipe(Effect.provide(live)))

    it.live("says a tree that is deeper than the stack, whose schema calls itself", () =>
      Effect.gen(function*() {
        const deep = answer("{\"children\":[".repeat(20_000) + "]}".repeat(20_000))
        const { typed } = yield* ask((socket) => socket.write(deep), { operation: "tree" })
        assert.strictEqual(brief(typed), "ResponseInvalid")
      }).pipe(Effect.provide(live)))

    it.live("says a body of 30 MB", () =>
      Effect.gen(function*() {
        const text = "x".repeat(30_000_000)
        const { typed } = yield* ask((socket) => socket.write(answer(`{"name":"${text}"}`)))
        assert.isTrue(Exit.isSuccess(typed))
        const failed = yield* ask((socket) => socket.write(answer(text, 500)))
        assert.strictEqual(brief(failed.typed), "Internal")
        assert.strictEqual(brief(failed.plain), 500)
      }).pipe(Effect.provide(live)))

    for (
      const [what, says] of [
        ["a body", (socket: Socket) => {
          socket.write(head(200, json))
          saysForEver(Buffer.alloc(16 * 1024, " "), 1)(socket)
        }],
        ["interim answers", saysForEver("HTTP/1.1 100 Continue\r\n\r\n", 5)],
        ["headers", (socket: Socket) => {
          socket.write("HTTP/1.1 200 OK\r\n")
          saysForEver("x-more: 1\r\n", 20)(socket)
        }],
        ["nothing", () => {}]
      ] as const
    ) {
      it.live(`says ${what} without an end`, () =>
        Effect.gen(function*() {
          const { plain, took, typed } = yield* ask(says, { attemptTimeout: "150 millis" })
          assert.include(["TimedOut", "ServiceUnavailable"], brief(typed))
          assert.include(["TimedOut", "HttpClientError"], brief(plain))
          assert.isBelow(took, 2_000)
        }).pipe(Effect.provide(live)))
    }

    for (
      const [what, values, requests] of [
        [
          "rubbish is no Retry-After: the backoff counts",
          [
            "NaN",
            "1e99",
            "-1",
            "-99999999999999999999",
            "Infinity",
            "0x10",
            "1.5",
            "",
            "soon",
            "Thu, 32 Foo 1970 00:00:00 GMT"
          ],
          2
        ],
        ["one that is over does not wait", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"], 2],
        [
          "one that nobody can wait for ends the call at once",
          ["86401", "99999999999999999999", "9".repeat(400), "Fri, 31 Dec 9999 23:59:59 GMT"],
          1
        ]
      ] as const
    ) {
      it.live(`says when to come back: ${what}`, () =>
        Effect.gen(function*() {
          for (const value of values) {
            const answered = yield* ask((socket) => socket.write(answer("", 503, { "retry-after": value })))
            assert.strictEqual(brief(answered.typed), "Unavailable", value)
            assert.strictEqual(brief(answered.plain), 503, value)
            assert.strictEqual(answered.requests, requests, value)
            assert.isBelow(answered.took, 2_000, value)
          }
        }).pipe(Effect.provide(live)))
    }
  })
}
