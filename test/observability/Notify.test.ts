import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, References, Tracer } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { Pipeline, Resilience } from "../../src/index.ts"
import { Alerts, LogLines, Metrics, Notify } from "../../src/observability/index.ts"
import * as TestServer from "../http/server.ts"
import { recordingTracer } from "../recordingTracer.ts"
import { assertRefused, boom, until } from "../support.ts"
import { fresh } from "./freshRegistry.ts"

const trip = { kind: "consecutive", failures: 1 } as const

describe("Notify.webhook", () => {
  it.effect("B9: a receiver that is down for long costs bounded memory, and its url is in no log line, span, event or metric", () => {
    const told: Array<string> = []
    const logger = Logger.make(({ fiber, message }) => {
      told.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
    })
    const { spans, tracer } = recordingTracer()
    let isUp = false
    const texts: Array<string> = []
    const client = HttpClient.make((request) =>
      isUp
        ? Effect.sync(() => {
          texts.push(request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : "")
          return HttpClientResponse.fromWeb(request, new Response("ok"))
        })
        : Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({ request, description: `no route to ${request.url}` })
          })
        )
    )
    const webhook = Notify.webhook({
      url: "https://chat.example/hooks/hunter2?token=hunter2",
      headers: { authorization: Redacted.make("Bearer hunter2") }
    })
    const alerts = Alerts.layer({ rules: [{ kind: "opened" }], handlers: [webhook] })
    const seen = Layer.mergeAll(alerts, LogLines.layer({ messages: true }), Metrics.layer()).pipe(
      Layer.provideMerge(Layer.merge(Resilience.layer, Layer.succeed(HttpClient.HttpClient, client))),
      Layer.provide(
        Layer.mergeAll(
          Logger.layer([logger]),
          Layer.succeed(References.MinimumLogLevel, "All"),
          Layer.succeed(Tracer.Tracer, tracer)
        )
      )
    )
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("hosts", { keyedCircuitBreaker: { trip, open: "1 days" } })
      for (let n = 0; n < 3_000; n++) yield* Effect.exit(protect(boom, { key: `${n}` }))
      for (let n = 0; n < 60; n++) yield* TestClock.adjust("1 minute")
      yield* until(() => told.some((line) => line.includes("notifications were lost")))
      assert.isTrue(told.some((line) => line.includes("could not tell of")))
      isUp = true
      yield* TestClock.adjust("2 minutes")
      yield* Effect.exit(protect(boom, { key: "the last" }))
      yield* until(() => texts.length > 0)
      assert.include(texts.at(-1), "the last")
      const all = [
        ...told,
        ...spans.map(({ attributes, name }) => JSON.stringify([name, [...attributes]])),
        yield* (yield* Metrics.Metrics).prometheus(),
        JSON.stringify(yield* (yield* Resilience.Resilience).snapshots)
      ].join("\n")
      assert.isAbove(spans.length, 0)
      assert.notInclude(all, "hunter2")
    }).pipe(Effect.provide(seen), fresh)
  })

  it.live("B9: posts alerts to a real server, again where it has failed, and keeps the secret of its url", () =>
    Effect.gen(function*() {
      const server = yield* TestServer.make
      const bodies: Array<{ readonly text: string }> = []
      let answers = 0
      server.answer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          if (++answers <= 2) return TestServer.json(response, 503, { error: "later" })
          bodies.push(JSON.parse(Buffer.concat(chunks).toString()))
          TestServer.json(response, 200, {})
        })
      })
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => logged.push(JSON.stringify(message)))
      const webhook = Notify.webhook({
        url: Redacted.make(`${server.url}/hooks/hunter2`),
        headers: { authorization: Redacted.make("Bearer hunter2") },
        pipeline: { retry: { times: 3, backoff: { kind: "constant", delay: "10 millis" } }, circuitBreaker: { trip } }
      })
      const alerts = Alerts.layer({ rules: [{ kind: "opened" }], handlers: [webhook, Notify.log] })
      yield* Effect.gen(function*() {
        const resilience = yield* Resilience.Resilience
        const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip } })
        yield* Effect.exit(protect(boom))
        yield* TestServer.eventually(Effect.sync(() => logged.length > 0))
        // the first answer has opened the webhook's own breaker, of which the webhook is not told
        yield* Effect.sleep("200 millis")
        const snapshots = JSON.stringify(yield* resilience.snapshots)
        assert.isTrue(logged.some((line) => line.includes("billing: circuit breaker open")))
        assert.isTrue(logged.some((line) => line.includes("webhook: circuit breaker open")))
        assert.isTrue(logged.some((line) => line.includes("could not tell of")))
        assert.strictEqual(server.requests.length, 1)
        assert.notInclude(logged.join() + snapshots, "hunter2")
      }).pipe(
        Effect.provide(
          alerts.pipe(
            Layer.provideMerge(Layer.merge(Resilience.layer, FetchHttpClient.layer)),
            Layer.provide(Logger.layer([logger]))
          )
        )
      )
      // with a breaker that waits for more than one failure it gets through
      answers = 0
      const patient = Alerts.layer({
        rules: [{ kind: "opened" }],
        handlers: [
          Notify.webhook({
            url: `${server.url}/hooks/hunter2`,
            pipeline: { retry: { times: 3, backoff: { kind: "constant", delay: "10 millis" } } }
          })
        ]
      })
      yield* Effect.gen(function*() {
        const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip } })
        yield* Effect.exit(protect(boom))
        yield* TestServer.eventually(Effect.sync(() => bodies.length > 0))
        assert.strictEqual(bodies[0]?.text, "billing: circuit breaker open (Boom)")
        const keys = server.requests.slice(1).map(({ headers }) => headers["idempotency-key"])
        assert.strictEqual(keys.length, 3)
        assert.strictEqual(new Set(keys).size, 1)
      }).pipe(Effect.provide(patient.pipe(Layer.provideMerge(Layer.merge(Resilience.layer, FetchHttpClient.layer)))))
    }))

  it("refuses bad options when it is made", () => {
    assertRefused([
      [() => Notify.webhook({ url: "/hooks/secret" }), "Notify.webhook: url must be an absolute URL; it is not shown"],
      [() => Notify.webhook({ url: "file:///etc/passwd" }), "url must be an absolute URL"],
      [
        () => Notify.webhook({ url: "http://h", headers: { "a b": "c" } }),
        "headers must be ones that can be sent, got \"a b\""
      ],
      [
        () => Notify.webhook({ url: "http://h", headers: { token: Redacted.make("hunter2\n") } }),
        "Notify.webhook: headers must be ones that can be sent, got \"token\""
      ],
      [
        () => Notify.webhook({ url: "http://h", headers: { token: 1 } } as never),
        "headers must be ones that can be sent, got \"token\""
      ]
    ])
  })
})
