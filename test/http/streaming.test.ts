import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { ServiceClient } from "../../src/http/index.ts"
import * as RequestId from "../../src/http/RequestId.ts"
import { type CircuitBreaker, Resilience } from "../../src/index.ts"
import { brief } from "../support.ts"
import { answering, json } from "./answering.ts"
import * as Server from "./server.ts"

class Overheated extends Schema.TaggedError<Overheated>()("Overheated", { degrees: Schema.Number }) {}

const Reading = Schema.Struct({ n: Schema.Number })

const StreamingApi = HttpApi.make("streaming").add(
  HttpApiGroup.make("readings", { topLevel: true }).add(
    HttpApiEndpoint.get("lines", "/lines", { success: HttpApiSchema.StreamNdjson({ schema: Reading }) }),
    HttpApiEndpoint.get("events", "/events", {
      success: HttpApiSchema.StreamSse({ data: Schema.fromJsonString(Reading), error: Overheated })
    }),
    HttpApiEndpoint.get("bytes", "/bytes", { success: HttpApiSchema.StreamUint8Array() })
  )
)

interface Tree {
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const service = (
  baseUrl: string,
  circuitBreaker: CircuitBreaker.Options = { trip: { kind: "consecutive", failures: 3 } }
) => {
  class Readings extends ServiceClient.Service<Readings>()("Readings", {
    api: StreamingApi,
    baseUrl,
    pipeline: {
      retry: { times: 2, backoff: { kind: "constant", delay: "1 millis" }, jitter: "none" },
      bulkhead: { concurrency: 1, queue: 0 },
      circuitBreaker,
      streams: { firstElement: "1 second", idle: "1 second" }
    }
  }) {}
  return Readings
}

const Readings = service("http://readings.invalid")

/** A body of these lines; then it ends, breaks off, or falls silent. */
const body = (lines: ReadonlyArray<string>, then: "ends" | "breaks" | "stalls", type = "application/x-ndjson") =>
  new Response(
    new ReadableStream({
      start(controller) {
        for (const line of lines) controller.enqueue(new TextEncoder().encode(line))
        if (then === "ends") controller.close()
      },
      pull(controller) {
        if (then === "breaks") controller.error(Object.assign(new Error("reset"), { code: "ECONNRESET" }))
        return new Promise(() => {})
      }
    }),
    { headers: { "content-type": type } }
  )

const line = (n: number) => `{"n":${n}}\n`

const providing = (upstream: ReturnType<typeof answering>) =>
  Effect.provide(Readings.layer.pipe(Layer.provide(upstream.layer), Layer.provideMerge(Resilience.layerTest())))

/** The same with a breaker that stays closed. */
const patiently = (upstream: ReturnType<typeof answering>) =>
  Effect.provide(
    service("http://readings.invalid", { trip: { kind: "consecutive", failures: 100 } }).layer.pipe(
      Layer.provide(upstream.layer),
      Layer.provideMerge(Resilience.layerTest())
    )
  )

const snapshot = Effect.flatMap(Resilience.Resilience, ({ snapshots }) => Effect.map(snapshots, ([first]) => first))

describe("streaming endpoints", () => {
  it.effect("hold the permit until the stream ends, and count as one call by how it ends", () => {
    const upstream = answering(() => body([line(1), line(2)], "ends"))
    return Effect.gen(function*() {
      const readings = yield* Readings
      const seen: Array<number | string> = []
      yield* Stream.runForEach(readings.lines(), ({ n }) =>
        Effect.gen(function*() {
          seen.push(n)
          const full = yield* Effect.flip(Stream.runDrain(readings.lines()))
          seen.push(full._tag)
        }))
      assert.deepStrictEqual(seen, [1, "BulkheadFull", 2, "BulkheadFull"])
      assert.strictEqual(upstream.sent.length, 1)
      // the permit has come back
      assert.strictEqual((yield* Stream.runCollect(readings.lines())).length, 2)
      assert.strictEqual((yield* snapshot)?.circuitBreaker?.calls.success, 2)
    }).pipe(providing(upstream))
  })

  it.effect("are opened again until their first element, and never after it", () => {
    const upstream = answering((_, count) =>
      count === 1
        ? json({}, 503)
        : count === 2
        ? body([], "breaks")
        : count === 3
        ? body([line(1)], "breaks")
        : body([], "ends")
    )
    return Effect.gen(function*() {
      const readings = yield* Readings
      const seen: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(readings.lines(), ({ n }) => Effect.sync(() => seen.push(n)))
      )
      assert.deepStrictEqual(seen, [1])
      assert.deepInclude(error, { _tag: "ServiceUnavailable", reason: "ECONNRESET" })
      assert.strictEqual(upstream.sent.length, 3)
      assert.strictEqual((yield* snapshot)?.circuitBreaker?.calls.failure, 3)
      // all attempts of a call have one id
      assert.strictEqual(new Set(upstream.sent.map(({ headers }) => headers[RequestId.header])).size, 1)
    }).pipe(providing(upstream))
  })

  it.effect("that do not begin, or fall silent, time out", () => {
    const upstream = answering((_, count) => count <= 3 ? "hang" : body([line(1)], "stalls"))
    return Effect.gen(function*() {
      const readings = yield* Readings
      const first = yield* Effect.forkChild(Effect.flip(Stream.runDrain(readings.lines())))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(first))._tag, "TimedOut")
      assert.strictEqual(upstream.sent.length, 3)
      const open = yield* Effect.flip(Stream.runDrain(readings.lines()))
      assert.strictEqual(open._tag, "CircuitOpen")
    }).pipe(providing(upstream))
  })

  it.effect("fail with what is wrong: an element that does not match, a status, a content type", () => {
    const answers = [
      body([line(1), "{\"n\":\"s3cr3t\"}\n"], "ends"),
      json({ detail: "none" }, 404),
      new Response("<html>", { headers: { "content-type": "text/html" } })
    ]
    const upstream = answering((_, count) => answers[count - 1] ?? "refuse")
    return Effect.gen(function*() {
      const readings = yield* Readings
      const invalid = yield* Effect.flip(Stream.runDrain(readings.lines()))
      assert.deepInclude(invalid, { _tag: "ResponseInvalid", operation: "lines", status: 200 })
      assert.notInclude(invalid.message, "s3cr3t")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(readings.lines())))._tag, "NotFound")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(readings.lines())))._tag, "ResponseInvalid")
    }).pipe(providing(upstream))
  })

  it.effect("whose answer has another type of content are ResponseInvalid, and no empty stream", () => {
    const types: ReadonlyArray<string | undefined> = [
      "text/html",
      "application/json",
      "application/problem+json",
      undefined,
      "text/event-stream; charset=utf-8",
      "Application/Octet-Stream"
    ]
    let type: string | undefined
    const upstream = answering(() =>
      new Response(new TextEncoder().encode("<html>"), { headers: type === undefined ? {} : { "content-type": type } })
    )
    return Effect.gen(function*() {
      const readings = yield* Readings
      const ended = { events: Array<unknown>(), bytes: Array<unknown>() }
      for (type of types) {
        ended.events.push(brief(yield* Effect.exit(Stream.runDrain(readings.events()))))
        ended.bytes.push(brief(yield* Effect.exit(Stream.runDrain(readings.bytes()))))
      }
      const invalid = "ResponseInvalid"
      assert.deepStrictEqual(ended, {
        events: [invalid, invalid, invalid, invalid, undefined, invalid],
        // what says nothing may be any bytes
        bytes: [invalid, invalid, invalid, undefined, invalid, undefined]
      })
      type = "text/html"
      assert.include((yield* Effect.flip(Stream.runDrain(readings.events()))).message, "text/event-stream")
    }).pipe(patiently(upstream))
  })

  it.effect("of which the api knows no such status are UnexpectedStatus", () => {
    const upstream = answering((_, count) => new Response(null, { status: count === 1 ? 204 : 302 }))
    return Effect.gen(function*() {
      const readings = yield* Readings
      for (const status of [204, 302]) {
        const error = yield* Effect.flip(Stream.runDrain(readings.bytes()))
        assert.deepInclude(error, { _tag: "UnexpectedStatus", status })
      }
    }).pipe(providing(upstream))
  })

  it.effect("whose elements are deeper than the stack are ResponseInvalid", () => {
    class Trees extends ServiceClient.Service<Trees>()("Trees", {
      api: HttpApi.make("trees").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.get("lines", "/lines", { success: HttpApiSchema.StreamNdjson({ schema: Tree }) }),
          HttpApiEndpoint.get("events", "/events", {
            success: HttpApiSchema.StreamSse({ data: Tree })
          })
        )
      ),
      baseUrl: "http://trees.invalid",
      pipeline: {}
    }) {}
    const deep = `${"{\"children\":[".repeat(20_000)}${"]}".repeat(20_000)}`
    const upstream = answering(({ path }) =>
      path === "/lines"
        ? body([`${deep}\n`], "ends")
        : body([`data: ${deep}\n\n`], "ends", "text/event-stream")
    )
    return Effect.gen(function*() {
      const trees = yield* Trees
      for (const stream of [trees.lines(), trees.events()]) {
        assert.strictEqual(brief(yield* Effect.exit(Stream.runDrain(stream))), "ResponseInvalid")
      }
    }).pipe(Effect.provide(Trees.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("that the service says have died, been interrupted or just failed there are ServiceUnavailable, and counted", () => {
    const encode = Schema.encodeSync(Schema.toCodecJson(Schema.Cause(Overheated, Schema.Defect())))
    const told = (cause: Cause.Cause<Overheated>, name = "event: ") =>
      `${name}effect/http-api/stream/failure\ndata: ${JSON.stringify(encode(cause))}\n\n`
    const die = Cause.die(new Error("s3cr3t"))
    const overheated = Cause.fail(new Overheated({ degrees: 99 }))
    const endings = [
      [told(Cause.empty), "ServiceUnavailable"],
      [told(Cause.interrupt(1)), "ServiceUnavailable"],
      [told(die), "ServiceUnavailable"],
      [told(die, "event:"), "ServiceUnavailable"],
      [told(Cause.combine(die, overheated)), "Overheated"],
      [told(overheated), "Overheated"]
    ] as const
    const upstream = answering((_, count) =>
      body([`data: ${JSON.stringify(line(1))}\n\n`, endings[count - 1]?.[0] ?? ""], "ends", "text/event-stream")
    )
    return Effect.gen(function*() {
      for (const [, expected] of endings) {
        const readings = yield* Readings
        const exit = yield* Effect.exit(Stream.runDrain(readings.events()))
        assert.strictEqual(brief(exit), expected, String(exit))
        assert.notInclude(JSON.stringify(exit), "s3cr3t")
      }
      assert.strictEqual((yield* snapshot)?.circuitBreaker?.calls.failure, 6)
    }).pipe(patiently(upstream))
  })

  it.effect("that are one of several answers, or have headers beside them, end with the same errors", () => {
    const lines = HttpApiSchema.StreamNdjson({ schema: Reading })
    class Several extends ServiceClient.Service<Several>()("Several", {
      api: HttpApi.make("several").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.get("either", "/", { success: [lines, Schema.String] }),
          HttpApiEndpoint.get("headed", "/", {
            success: HttpApiSchema.WithHeaders(lines, { "x-total": Schema.FiniteFromString })
          })
        )
      ),
      baseUrl: "http://several.invalid",
      token: Redacted.make("s3cr3t-t0ken"),
      pipeline: {}
    }) {}
    const answers = [body([line(1)], "breaks"), body([line(1), "{\"n\":\"s3cr3t\"}\n"], "ends")]
    const upstream = answering((_, count) => {
      const answer = answers[Math.floor((count - 1) / 2)]?.clone() ?? json({})
      answer.headers.set("x-total", "2")
      return answer
    })
    return Effect.gen(function*() {
      const several = yield* Several
      const seen: Array<unknown> = []
      for (let round = 0; round < 2; round++) {
        const either = yield* several.either()
        const { body, headers } = yield* several.headed()
        assert.strictEqual(headers["x-total"], 2)
        for (const stream of [typeof either === "string" ? Stream.empty : either, body]) {
          const error = yield* Effect.flip(Stream.runDrain(stream))
          seen.push(error._tag)
          assert.notInclude(JSON.stringify({ ...error }), "s3cr3t")
        }
      }
      const [broken, invalid] = ["ServiceUnavailable", "ResponseInvalid"]
      assert.deepStrictEqual(seen, [broken, broken, invalid, invalid])
    }).pipe(Effect.provide(Several.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("A10: carry the current request's id", () => {
    const upstream = answering(() => body([line(1)], "ends"))
    return Effect.gen(function*() {
      const readings = yield* Readings
      yield* Stream.runDrain(readings.lines()).pipe(RequestId.within("req-1"))
      assert.strictEqual(upstream.sent[0]?.headers[RequestId.header], "req-1")
    }).pipe(providing(upstream))
  })

  it.effect("work in memory as well, server-sent events with their declared errors among them", () => {
    const handlers = HttpApiBuilder.group(StreamingApi, "readings", (handlers) =>
      handlers
        .handle("lines", () => Effect.succeed(Stream.make({ n: 1 }, { n: 2 })))
        .handle("events", () =>
          Effect.succeed(Stream.concat(Stream.make({ n: 1 }), Stream.fail(new Overheated({ degrees: 99 })))))
        .handle("bytes", () =>
          Effect.succeed(Stream.make(new Uint8Array([1])))))
    return Effect.gen(function*() {
      const readings = yield* Readings
      assert.deepStrictEqual(yield* Stream.runCollect(readings.lines()), [{ n: 1 }, { n: 2 }])
      const seen: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(readings.events(), ({ n }) => Effect.sync(() => seen.push(n)))
      )
      assert.deepInclude(error, { _tag: "Overheated", degrees: 99 })
      assert.deepStrictEqual(seen, [1])
    }).pipe(Effect.provide(
      Readings.layerTest(handlers, { faults: { lines: [{ kind: "status", status: 503 }, { kind: "refuse" }] } })
    ))
  })

  for (const [name, layer] of Server.clients) {
    it.live(`over real sockets with ${name}, a response that is no such stream gives its connection back`, () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        let closed = 0
        server.answer((request, response) => {
          response.writeHead(200, { "content-type": "text/html", "x-odd": "1" })
          response.write("<html>")
          request.socket.on("close", () => closed++)
        })
        class Odd extends ServiceClient.Service<Odd>()("Odd", {
          api: HttpApi.make("odd").add(
            HttpApiGroup.make("root", { topLevel: true }).add(
              HttpApiEndpoint.get("either", "/", {
                success: [HttpApiSchema.StreamNdjson({ schema: Reading }), Schema.String]
              })
            )
          ),
          baseUrl: server.url,
          pipeline: {}
        }) {}
        yield* Effect.gen(function*() {
          const odd = yield* Odd
          for (let round = 0; round < 3; round++) {
            assert.strictEqual((yield* Effect.flip(odd.either()))._tag, "ResponseInvalid")
          }
          yield* Server.eventually(Effect.sync(() => closed === 3))
        }).pipe(Effect.provide(Odd.layer.pipe(Layer.provide([layer, Resilience.layer]))))
      }))

    it.live(`over real sockets with ${name}, a consumer that goes away frees connection and permit`, () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        let closed = 0
        server.answer((request, response) => {
          response.writeHead(200, { "content-type": "application/x-ndjson" })
          response.write(line(1))
          const beat = setInterval(() => response.write(line(2)), 5)
          request.socket.on("close", () => {
            clearInterval(beat)
            closed++
          })
        })
        const Real = service(server.url)
        yield* Effect.gen(function*() {
          const real = yield* Real
          for (let round = 0; round < 3; round++) {
            const seen = yield* Stream.runCollect(Stream.take(real.lines(), 3))
            assert.deepStrictEqual(seen.map(({ n }) => n), [1, 2, 2])
          }
          yield* Server.eventually(Effect.sync(() => closed === 3))
        }).pipe(Effect.provide(Real.layer.pipe(Layer.provide([layer, Resilience.layer]))))
      }))
  }
})
