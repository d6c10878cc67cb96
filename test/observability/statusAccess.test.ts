/** Who may read the status, follow it and control by hand, and what is said to all others. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, References, Tracer } from "effect"
import { HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import { Resilience } from "../../src/index.ts"
import { Observability, type StatusServer } from "../../src/observability/index.ts"
import { at, post, serve } from "../http/server/support.ts"
import { recordingTracer } from "../recordingTracer.ts"
import { assertRefused } from "../support.ts"
import { hostileNames, pipelines, quick, secret, served } from "./statusSupport.ts"

const readSecret = "s3cret-token-of-the-reader"

const setUp = Effect.fnUntraced(function*(options: StatusServer.Options, tracer: Layer.Layer<never> = Layer.empty) {
  const lines: Array<string> = []
  const logger = Logger.make(({ fiber, message }) => {
    lines.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
  })
  const resilience = yield* Resilience.Resilience
  const ask = yield* serve(served(options).pipe(Layer.provide(Layer.succeed(Resilience.Resilience, resilience))), {
    logger: Layer.merge(Logger.layer([logger]), tracer)
  })
  // the layers are built by the first request
  yield* ask("/v1/api/status")
  return { ask, lines }
})

const tokens = {
  controlTokens: { olga: Redacted.make(secret) },
  readTokens: { olga: Redacted.make(readSecret) }
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const reset = { action: "reset", breaker: "billing" }
const control = (body: unknown, headers: Record<string, string> = {}) =>
  ["/v1/api/status/control", post(body, { ...bearer(secret), ...headers })] as const

const reads = ["/v1/api/status", "/v1/api/status/services", "/v1/api/status/changes"]

describe("StatusServer: reading with a token", () => {
  it.effect("is refused without one, with a wrong one, and with one in the url", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const { ask } = yield* setUp(tokens)
      for (const path of reads) {
        for (
          const [query, headers] of [
            ["", {}],
            [`?token=${readSecret}&access_token=${readSecret}`, {}],
            ["", { authorization: readSecret }],
            ["", { authorization: `Basic ${readSecret}` }],
            ["", bearer("")],
            ["", bearer(`${readSecret}x`)],
            ["", bearer("x".repeat(100_000))],
            ["", { cookie: `token=${readSecret}` }]
          ] as const
        ) {
          const { body, headers: told, status, text } = yield* ask(path + query, at(headers))
          assert.deepStrictEqual([status, body.code], [401, "unauthenticated"])
          assert.strictEqual(told.get("www-authenticate"), "Bearer")
          assert.notInclude(text, "billing")
        }
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("is allowed with one of its own, and with one for control, of the same name too", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const { ask } = yield* setUp(tokens)
      for (const token of [secret, readSecret]) {
        assert.strictEqual((yield* ask("/v1/api/status", at(bearer(token)))).status, 200)
      }
      // reading is no leave to control
      assert.strictEqual((yield* ask(...control(reset, bearer(readSecret)))).status, 401)
      assert.strictEqual((yield* ask(...control(reset))).status, 200)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("is asked for through all routes in one layer too, but for metrics", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Observability.layerRoutes({ ...tokens, maxClients: 5, allowedOrigins: ["https://ops.example"] }).pipe(
          Layer.provide(Observability.layer()),
          Layer.provide(Resilience.layer),
          Layer.provide(HttpServer.layerServices)
        )
      )
      const statuses: Array<number> = []
      for (const path of [...reads, "/dashboard", "/metrics"]) statuses.push((yield* ask(path)).status)
      assert.deepStrictEqual(statuses, [401, 401, 401, 200, 200])
      assert.strictEqual((yield* ask("/v1/api/status", at(bearer(readSecret)))).status, 200)
    }))

  it.effect("is asked for by metrics too, where that is wanted", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Observability.layerRoutes({ ...tokens, metricsNeedToken: true, metrics: { path: "/m" } }).pipe(
          Layer.provide(Observability.layer()),
          Layer.provide(Resilience.layer),
          Layer.provide(HttpServer.layerServices)
        )
      )
      const refused = yield* ask("/m", at(bearer("guessed")))
      assert.deepStrictEqual([refused.status, refused.body.code], [401, "unauthenticated"])
      assert.notInclude(refused.text, "resilience_")
      for (const token of [readSecret, secret]) {
        const { status, text } = yield* ask("/m", at(bearer(token)))
        assert.strictEqual(status, 200)
        assert.include(text, "resilience_pipelines")
      }
      assertRefused([
        [() => Observability.layerRoutes({ metricsNeedToken: true }), "metricsNeedToken needs readTokens"],
        [() => Observability.layerRoutes({ metricsNeedToken: 1 } as never), "metricsNeedToken must be"]
      ])
    }))

  it.effect("leaves control off where there is no token for it", () =>
    Effect.gen(function*() {
      const { ask } = yield* setUp({ readTokens: tokens.readTokens })
      assert.strictEqual((yield* ask("/v1/api/status", at(bearer(readSecret)))).status, 200)
      assert.strictEqual((yield* ask(...control(reset, bearer(readSecret)))).status, 403)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("shows no token in any answer, log line or span, whoever shows it and where (B4)", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recordingTracer()
      yield* pipelines({ billing: quick })
      const { ask, lines } = yield* setUp(tokens, Layer.succeed(Tracer.Tracer, tracer))
      const answers: Array<unknown> = []
      for (const token of [secret, readSecret, `${secret}x`, `x${readSecret}`]) {
        for (const path of reads.slice(0, 2)) answers.push(yield* ask(path, at(bearer(token))))
        for (
          const body of [reset, "{", { ...reset, breaker: "nobody" }, {
            action: "reconfigure",
            pipeline: "billing",
            options: { retry: { times: "x" } }
          }]
        ) answers.push(yield* ask(...control(body, bearer(token))))
        answers.push(yield* ask(...control(reset, { ...bearer(token), origin: "https://evil.example" })))
      }
      assert.isAbove(spans.length, 10)
      const traced = spans.map((
        { attributes, events, name, status }
      ) => [name, [...attributes], events, String(status)])
      const told = answers.map((answer) => {
        const { headers, text } = answer as { readonly headers: Headers; readonly text: string }
        return [text, [...headers]]
      })
      const all = JSON.stringify([traced, told, lines], (_, value: unknown) => typeof value === "bigint" ? "" : value)
      assert.include(all, "olga")
      for (const token of [secret, readSecret]) assert.notInclude(all, token)
    }).pipe(Effect.provide(Resilience.layer)))

  it("refuses options that it cannot use, without showing a token", () => {
    assertRefused([
      [() => served({ readTokens: {} }), "StatusServer: readTokens must have at least one token"],
      [() => served({ readTokens: { a: secret } } as never), "StatusServer: readTokens: the token of \"a\" must be"],
      [() => served({ readTokens: secret } as never), "StatusServer: readTokens must have at least one token"],
      [() => served({ controlTokens: {} }), "StatusServer: controlTokens must have at least one token"],
      [
        () => served({ ...tokens, controlTokens: { a: Redacted.make("") } }),
        "StatusServer: controlTokens: the token of \"a\" must be"
      ],
      [() => served({ maxClients: 0 }), "StatusServer: maxClients must be an integer >= 1"],
      [() => served({ maxClients: 1.5 }), "StatusServer: maxClients must be"],
      [() => served({ allowedOrigins: ["*"] }), "StatusServer: allowedOrigins must be origins like"],
      [() => served({ allowedOrigins: ["https://ops.example/"] }), "StatusServer: allowedOrigins must be"],
      [() => served({ allowedOrigins: "https://ops.example" } as never), "StatusServer: allowedOrigins must be"]
    ])
  })
})

describe("StatusServer: reading many services", () => {
  it.effect("lists the policies as often for many services as for one, so that its time grows no faster than they do", () =>
    Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      let listed = 0
      const counting = Resilience.Resilience.of({
        ...resilience,
        parts: (kind) => Effect.andThen(Effect.sync(() => void listed++), resilience.parts(kind))
      })
      const ask = yield* serve(served().pipe(Layer.provide(Layer.succeed(Resilience.Resilience, counting))))
      const listedFor = (services: number, first: number) =>
        Effect.gen(function*() {
          const names = Array.from({ length: services }, (_, n) => `service ${first + n}`)
          yield* pipelines(Object.fromEntries(names.map((name) => [name, quick] as const)))
          listed = 0
          for (const path of reads.slice(0, 2)) assert.strictEqual((yield* ask(path)).status, 200)
          return listed
        })
      const forOne = yield* listedFor(1, 0)
      assert.isAbove(forOne, 0)
      assert.strictEqual(yield* listedFor(50, 1), forOne)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("StatusServer: control from a page", () => {
  it.effect("of another origin is refused, even with a token, and logged", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const { ask, lines } = yield* setUp({ ...tokens, allowedOrigins: ["https://ops.example"] })
      const from = (headers: Record<string, string>) =>
        Effect.map(ask(...control(reset, { host: "status.example:7100", ...headers })), ({ status }) => status)
      for (
        const headers of [
          { origin: "https://evil.example" },
          { origin: "null" },
          { origin: "http://status.example:7101" },
          { origin: "https://ops.example.evil.example" },
          { origin: "no origin" },
          { "sec-fetch-site": "cross-site" }
        ]
      ) assert.strictEqual(yield* from(headers as Record<string, string>), 403, JSON.stringify(headers))
      assert.strictEqual(yield* from({ origin: "null", host: "[" }), 403)
      assert.lengthOf(lines.filter((line) => line.includes("a page of another origin")), 1)
      for (
        const headers of [
          { origin: "http://status.example:7100" },
          { origin: "https://status.example:7100", "sec-fetch-site": "same-origin" },
          { origin: "https://ops.example", "sec-fetch-site": "cross-site" },
          // no browser
          {}
        ]
      ) assert.strictEqual(yield* from(headers as Record<string, string>), 200, JSON.stringify(headers))
      const standard = yield* ask(...control(reset, { host: "ops.example:443", origin: "https://ops.example" }))
      assert.strictEqual(standard.status, 200)
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("StatusServer: control without a token", () => {
  it.effect("is logged at once, and then counted in one line an interval, so that nobody can fill the log (B8)", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      for (
        const [options, why] of [
          [tokens, "no token that is known"],
          [{ readTokens: tokens.readTokens }, "it is off"]
        ] as const
      ) {
        const { ask, lines } = yield* setUp(options)
        const knock = (times: number) =>
          Effect.forEach(Array.from({ length: times }), () => ask(...control(reset, bearer("guessed"))))
        yield* knock(100)
        assert.deepStrictEqual(lines, [JSON.stringify([["control by hand was refused", why], {}])])
        yield* knock(5)
        yield* TestClock.adjust("10 seconds")
        const more = (leftOut: number) =>
          JSON.stringify([["control by hand was refused", why, `${leftOut} more in 10s`], { leftOut }])
        assert.deepStrictEqual(lines.slice(1), [more(104)])
        yield* knock(2)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(lines.slice(2), [more(2)])
        yield* knock(1)
        assert.lengthOf(lines, 4)
      }
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("StatusServer: what control is asked for", () => {
  it.effect("is answered with a problem that lists what is wrong, and logged with who it was", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const { ask, lines } = yield* setUp(tokens)
      const change = (options: unknown) => ({ action: "reconfigure", pipeline: "billing", options })
      for (
        const [body, status, code, fields] of [
          ["{", 400, "bad_request", undefined],
          ["", 422, "validation_failed", [""]],
          ["[]", 422, "validation_failed", [""]],
          [{ action: "explode", breaker: "billing" }, 422, "validation_failed", [""]],
          [{ action: "reset" }, 422, "validation_failed", ["breaker"]],
          [{ action: "reset", breaker: 1 }, 422, "validation_failed", ["breaker"]],
          [{ action: "reset", breaker: "billing", key: {} }, 422, "validation_failed", ["key"]],
          [{ action: "reconfigure" }, 422, "validation_failed", ["pipeline"]],
          [change([]), 422, "validation_failed", ["options"]],
          [
            change({
              retry: { times: -1, bogus: 1 },
              bulkhead: { concurrency: "x" },
              circuitBreaker: { open: "never" }
            }),
            422,
            "validation_failed",
            [
              "billing.bulkhead.concurrency",
              "billing.circuitBreaker.open",
              "billing.retry.bogus",
              "billing.retry.times"
            ]
          ],
          ["[".repeat(1_000) + "]".repeat(1_000), 400, "bad_request", undefined],
          ["x".repeat(100_000), 413, "payload_too_large", undefined]
        ] as const
      ) {
        const before = lines.length
        const answer = yield* ask(...control(body, { "content-length": String(JSON.stringify(body).length) }))
        const what = JSON.stringify(body).slice(0, 80)
        assert.deepStrictEqual([answer.status, answer.body.code], [status, code], what)
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json", what)
        const told = answer.body.errors?.map(({ field }: { readonly field: string }) => field).toSorted()
        assert.deepStrictEqual(told, fields, what)
        assert.lengthOf(lines.slice(before), 1, what)
        assert.include(lines.at(-1), "control by hand was refused")
        assert.include(lines.at(-1), "\"by\":\"olga\"")
      }
      assert.strictEqual((yield* ask(...control("x", { "content-type": "text/plain" }))).status, 415)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("is told which fields an action takes, where it names another", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const { ask } = yield* setUp(tokens)
      for (
        const [body, field, message] of [
          [
            { action: "forceOpen", service: "billing" },
            "breaker",
            "forceOpen takes a breaker by its name, and its key where it has many"
          ],
          [
            { action: "reset", pipeline: "billing" },
            "breaker",
            "reset takes a breaker by its name, and its key where it has many"
          ],
          [
            { action: "reconfigure", service: "billing", options: {} },
            "pipeline",
            "reconfigure takes a pipeline by its name, and options"
          ],
          [
            { action: "reconfigure", pipeline: "billing" },
            "options",
            "reconfigure takes a pipeline by its name, and options"
          ]
        ] as const
      ) {
        const { body: told, status } = yield* ask(...control(body))
        assert.strictEqual(status, 422)
        assert.deepInclude(told.errors[0], { field, message })
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("reaches breakers and keys by any name, and stands in the log as one line", () =>
    Effect.gen(function*() {
      const keys = ["a/b", "100%25", "ключ \u202E", "x".repeat(500), "__proto__"]
      const of = yield* pipelines({
        ...Object.fromEntries(hostileNames.map((name) => [name, quick])),
        tenants: { keyedCircuitBreaker: {} }
      })
      const { ask, lines } = yield* setUp({ controlTokens: tokens.controlTokens })
      for (const breaker of hostileNames) {
        assert.strictEqual((yield* ask(...control({ action: "forceOpen", breaker }))).body.name, breaker)
        assert.strictEqual((yield* Effect.flip(of(breaker).protect(Effect.void)))._tag, "CircuitOpen")
      }
      for (const key of keys) {
        yield* of("tenants").protect(Effect.void, { key })
        assert.strictEqual((yield* ask(...control({ action: "forceOpen", breaker: "tenants", key }))).status, 200)
        assert.strictEqual((yield* Effect.flip(of("tenants").protect(Effect.void, { key })))._tag, "CircuitOpen")
      }
      assert.strictEqual((yield* ask(...control({ action: "reset", breaker: "tenants" }))).status, 404)
      assert.strictEqual((yield* ask(...control({ action: "reset", breaker: "no/body%00" }))).status, 404)
      assert.lengthOf(lines, hostileNames.length + keys.length + 2)
      for (const line of lines) {
        assert.notMatch(line, /[\u202E\n]/)
        assert.isBelow(line.length, 700)
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("leaves what the last of many at once has asked for, and nothing behind when it is let go", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick })
      const { ask } = yield* setUp(tokens)
      const modes = ["forceOpen", "forceClosed", "disable", "metricsOnly", "release"]
      const many = Array.from({ length: 100 }, (_, n) => modes[n % 5])
      const answers = yield* Effect.forEach(
        many,
        (action) => ask(...control({ action, breaker: "billing" })),
        { concurrency: "unbounded" }
      )
      for (const { status } of answers) assert.strictEqual(status, 200)
      yield* ask(...control({ action: "release", breaker: "billing" }))
      const { body } = yield* ask("/v1/api/status", at(bearer(secret)))
      assert.deepInclude(body.services[0], { state: "Closed", mode: null })
      yield* of("billing").protect(Effect.void)
    }).pipe(Effect.provide(Resilience.layer)))
})
