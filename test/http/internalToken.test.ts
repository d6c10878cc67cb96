import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  Config,
  ConfigProvider,
  type Duration,
  Effect,
  Fiber,
  Layer,
  Logger,
  Redacted,
  References,
  Schema,
  Stream,
  Tracer
} from "effect"
import { FetchHttpClient, HttpClient, HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { Problem, ServiceClient } from "../../src/http/index.ts"
import type * as InternalToken from "../../src/http/InternalToken.ts"
import { Outcome, Resilience } from "../../src/index.ts"
import { brief } from "../support.ts"
import { answering, json } from "./answering.ts"
import { handlers as groups, plan, PlanningApi, retry } from "./planning.ts"
import * as Server from "./server.ts"

const secret = "s3cr3t-t0ken"

const client = <T extends InternalToken.InternalToken>(
  token: T,
  timeouts: { readonly attemptTimeout?: Duration.Input; readonly totalTimeout?: Duration.Input } = {},
  baseUrl = "http://guarded.invalid"
) => {
  class Guarded extends ServiceClient.Service<Guarded>()("Guarded", {
    api: PlanningApi,
    baseUrl,
    token,
    pipeline: { retry, circuitBreaker: {}, ...timeouts }
  }) {}
  const get = Effect.flatMap(Guarded, ({ plans }) => plans.get({ params: { id: "1" } }))
  return { Guarded, get }
}

const header = "x-internal-token"

/** A service that knows one token, and answers 401 to all others. */
const guarded = (known: () => string, name = header) =>
  answering(({ headers }) => headers[name] === known() ? json(plan("1")) : json({ detail: `no ${headers[name]}` }, 401))

describe("B4: the token of one's own services", () => {
  it.effect("is sent with every request and every attempt, in X-INTERNAL-TOKEN", () => {
    const { Guarded, get } = client(Redacted.make(secret))
    const upstream = answering((_, count) => count < 3 ? json({}, 503) : json(plan("1")))
    return Effect.gen(function*() {
      yield* get
      yield* Effect.exit(Effect.flatMap(Guarded, ({ plans }) => plans.remove({ params: { id: "1" } })))
      assert.isAbove(upstream.sent.length, 3)
      assert.isTrue(upstream.sent.every(({ headers }) => headers[header] === secret))
    }).pipe(Effect.provide(Guarded.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("may come from configuration, whose errors are the layer's and do not show it", () => {
    const { Guarded, get } = client(Config.Redacted("TOKEN"))
    const upstream = guarded(() => secret)
    const withToken = (config: object) =>
      get.pipe(
        Effect.provide(Layer.fresh(Guarded.layer)),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(config))
      )
    return Effect.gen(function*() {
      assert.strictEqual((yield* withToken({ TOKEN: secret })).id, "1")
      assert.deepInclude(yield* Effect.flip(withToken({ TOKEN: "another" })), { _tag: "Unauthenticated" })
      for (const config of [{}, { TOKEN: "" }, { TOKEN: `${secret}\r\nx: y` }, { TOKEN: ` ${secret}` }]) {
        const error = yield* Effect.flip(withToken(config))
        assert.strictEqual(error._tag, "ConfigError")
        assert.notInclude(`${error} ${JSON.stringify(error)}`, secret)
      }
    }).pipe(Effect.provide(Layer.merge(upstream.layer, Resilience.layerTest())))
  })

  it("that cannot be sent is refused when the class is made, and not shown", () => {
    for (const bad of ["", `${secret}\r\nx: y`, ` ${secret}`, `${secret}é`, secret.repeat(1000)]) {
      let thrown: unknown
      try {
        client(Redacted.make(bad))
      } catch (error) {
        thrown = error
      }
      assert.instanceOf(thrown, RangeError)
      assert.match(String(thrown), /ServiceClient "Guarded": token must be/)
      assert.notInclude(String(thrown), secret)
    }
    const get = Effect.succeed(Redacted.make(secret))
    assert.throws(() => client({ get, header: "a b" }), RangeError, /token.header/)
    assert.throws(() => client({ get, header: "" }), RangeError, /token.header/)
    assert.throws(() => client({ get, refersh: get } as InternalToken.Source), RangeError, /unknown option "refersh"/)
    assert.throws(() => client({ get: secret } as unknown as InternalToken.Source), RangeError, /token.get/)
  })

  it.live("is read once, and renewed once for all calls that meet a 401; each is sent once more", () => {
    let current = "first"
    let reads = 0
    let renewals = 0
    const { Guarded, get } = client({
      get: Effect.sync(() => (reads++, Redacted.make("first"))).pipe(Effect.delay("1 millis")),
      refresh: Effect.sync(() => (renewals++, Redacted.make("second"))).pipe(Effect.delay("10 millis")),
      header: "X-Other"
    })
    const upstream = guarded(() => current, "x-other")
    return Effect.gen(function*() {
      const many = Effect.forEach(Array.from({ length: 20 }), () => get, { concurrency: "unbounded" })
      yield* many
      assert.deepStrictEqual([reads, renewals, upstream.sent.length], [1, 0, 20])
      current = "second"
      yield* many
      assert.deepStrictEqual([reads, renewals, upstream.sent.length], [1, 1, 60])
      yield* many
      assert.deepStrictEqual([reads, renewals, upstream.sent.length], [1, 1, 80])
      // a 401 is the answer of a service that is well
      const { snapshots } = yield* Resilience.Resilience
      assert.deepStrictEqual((yield* snapshots)[0]?.circuitBreaker?.calls.failure, 0)
    }).pipe(
      Effect.provide(Guarded.layer.pipe(Layer.provide(upstream.layer), Layer.provideMerge(Resilience.layerTest())))
    )
  })

  it.live("that stays refused, or cannot be renewed, leaves the 401, tried once for all who wait", () => {
    let renewals = 0
    let refresh: Effect.Effect<Redacted.Redacted, string> = Effect.fail("the issuer is down")
    const { Guarded, get } = client({
      get: Effect.succeed(Redacted.make("first")),
      refresh: Effect.suspend(() => (renewals++, refresh)).pipe(Effect.delay("10 millis"))
    })
    const upstream = guarded(() => "unknown")
    return Effect.gen(function*() {
      const many = Effect.forEach(Array.from({ length: 5 }), () => Effect.flip(get), { concurrency: "unbounded" })
      const tags = new Set((yield* many).map((error) => error._tag))
      assert.deepStrictEqual([[...tags], renewals, upstream.sent.length], [["Unauthenticated"], 1, 5])
      refresh = Effect.succeed(Redacted.make("a\r\nb"))
      yield* Effect.flip(get)
      assert.deepStrictEqual([renewals, upstream.sent.length], [2, 6])
      refresh = Effect.succeed(Redacted.make("second"))
      assert.strictEqual((yield* Effect.flip(get))._tag, "Unauthenticated")
      assert.deepStrictEqual([renewals, upstream.sent.length], [3, 8])
    }).pipe(
      Effect.provide(Guarded.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()])))
    )
  })

  it.effect("is renewed on when the call that began it gives up, since that may have spent a refresh token", () => {
    let renewals = 0
    let current = "first"
    const { Guarded, get } = client({
      get: Effect.succeed(Redacted.make("first")),
      refresh: Effect.suspend(() => (renewals++, Effect.succeed(Redacted.make("second")))).pipe(
        Effect.delay("20 seconds")
      )
    }, { attemptTimeout: "10 seconds" })
    const upstream = guarded(() => current)
    return Effect.gen(function*() {
      yield* get
      current = "second"
      const interrupted = yield* Effect.forkChild(get, { startImmediately: true })
      const impatient = yield* Effect.forkChild(Effect.flip(get), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(interrupted)
      // nine tenths of the attempt's time
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Fiber.join(impatient))._tag, "Unauthenticated")
      yield* TestClock.adjust("6 seconds")
      const later = yield* Effect.forkChild(get, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(later)).id, "1")
      yield* get
      assert.strictEqual(renewals, 1)
    }).pipe(Effect.provide(Guarded.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("whose issuer hangs opens no breaker of the service, and is asked anew after 30 seconds", () => {
    for (const timeout of [0, -1, "soon"] as const) {
      const source = { get: Effect.succeed(Redacted.make(secret)), timeout } as InternalToken.Source
      assert.throws(() => client(source), RangeError, /token.timeout must be/)
    }
    let asked = 0
    const hanging = { get: Effect.suspend(() => (asked++, Effect.never)) }
    const { Guarded, get } = client(hanging, { attemptTimeout: "1 second" })
    const upstream = guarded(() => secret)
    return Effect.gen(function*() {
      for (let call = 0; call < 40; call++) {
        const failing = yield* Effect.forkChild(Effect.flip(get), { startImmediately: true })
        yield* TestClock.adjust("900 millis")
        assert.deepInclude(yield* Fiber.join(failing), { _tag: "ServiceUnavailable", reason: "no token" })
      }
      assert.strictEqual(asked, 2)
      const { snapshots } = yield* Resilience.Resilience
      const breaker = (yield* snapshots)[0]?.circuitBreaker
      assert.deepStrictEqual([breaker?.state, breaker?.calls.failure, breaker?.calls.ignored], ["Closed", 0, 40])
      assert.strictEqual(upstream.sent.length, 0)
    }).pipe(
      Effect.provide(Guarded.layer.pipe(Layer.provide(upstream.layer), Layer.provideMerge(Resilience.layerTest())))
    )
  })

  it.effect("whose issuer hangs ends a call that has no timeout of its own after 30 seconds, or as it says", () =>
    Effect.gen(function*() {
      for (const [timeout, wait] of [[undefined, "30 seconds"], ["2 seconds", "2 seconds"]] as const) {
        const { Guarded, get } = client({ get: Effect.never, timeout })
        const waiting = yield* Effect.forkChild(
          Effect.flip(get).pipe(
            Effect.provide(
              Layer.fresh(Guarded.layer).pipe(Layer.provide([guarded(() => secret).layer, Resilience.layerTest()]))
            )
          ),
          { startImmediately: true }
        )
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust(wait)
        assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ServiceUnavailable", reason: "no token" })
      }
    }))

  for (
    const [what, end] of [
      ["fails", Effect.fail(`no ${secret}`)],
      ["dies", Effect.die(new Error(`no ${secret}`))],
      ["interrupts itself", Effect.interrupt]
    ] as const
  ) {
    it.effect(`is none where its source ${what}, asked once for all who wait, and nothing of it is shown`, () => {
      let asked = 0
      const source = Effect.suspend(() => (asked++, Effect.andThen(Effect.sleep("10 millis"), end)))
      const reading = client({ get: source })
      const renewing = client({ get: Effect.succeed(Redacted.make("old")), refresh: source })
      const upstream = guarded(() => secret)
      const many = (get: typeof reading.get, Guarded: typeof reading.Guarded) =>
        Effect.gen(function*() {
          asked = 0
          const calls = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 20 }), () => Effect.exit(get), { concurrency: "unbounded" }),
            { startImmediately: true }
          )
          yield* TestClock.adjust("10 millis")
          const exits = yield* Fiber.join(calls)
          assert.strictEqual(asked, 1)
          assert.notInclude(exits.map((exit) => `${exit} ${JSON.stringify(exit)}`).join(), secret)
          return [...new Set(exits.map(brief))]
        }).pipe(
          Effect.provide(Layer.fresh(Guarded.layer).pipe(Layer.provide([upstream.layer, Resilience.layerTest()])))
        )
      return Effect.gen(function*() {
        assert.deepStrictEqual(yield* many(reading.get, reading.Guarded), ["ServiceUnavailable"])
        assert.deepStrictEqual(yield* many(renewing.get, renewing.Guarded), ["Unauthenticated"])
      })
    })
  }

  it.effect("that took long leaves less time, and the service is told how much there is", () => {
    const { Guarded, get } = client({
      get: Effect.succeed(Redacted.make("old")).pipe(Effect.delay("600 millis")),
      refresh: Effect.succeed(Redacted.make("new")).pipe(Effect.delay("200 millis"))
    }, { totalTimeout: "1 second" })
    const upstream = guarded(() => "new")
    return Effect.gen(function*() {
      const call = yield* Effect.forkChild(get, { startImmediately: true })
      yield* TestClock.adjust("600 millis")
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(call)
      assert.deepStrictEqual(upstream.sent.map(({ headers }) => headers["x-deadline-ms"]), ["400", "200"])
    }).pipe(Effect.provide(Guarded.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("is not shown where the service repeats it in a declared problem, in keys, in parts, or encoded", () => {
    class Repeats extends ServiceClient.Service<Repeats>()("Repeats", {
      api: HttpApi.make("repeats").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.get("declared", "/declared", { error: Problem.Unauthenticated }),
          HttpApiEndpoint.get("counts", "/counts", { success: Schema.Record(Schema.String, Schema.Number) })
        )
      ),
      baseUrl: "http://repeats.invalid",
      token: { get: Effect.succeed(Redacted.make("Bearer p4ss/w0d")), header: "authorization" },
      pipeline: {}
    }) {}
    const problem = new Problem.Unauthenticated({})
    const upstream = answering(({ headers, path }, count) => {
      const token = String(headers["authorization"])
      const said = [token, "p4ss/w0d", encodeURIComponent(token), "p4ss%2fw0d"][count % 4] ?? ""
      return path === "/counts"
        ? json({ [said]: "none" })
        : json({ ...problem, detail: said, errors: [{ field: said, message: said, hint: said }] }, 401)
    })
    return Effect.gen(function*() {
      const repeats = yield* Repeats
      for (let call = 0; call < 4; call++) {
        const declared = yield* Effect.flip(repeats.declared())
        assert.instanceOf(declared, Problem.Unauthenticated)
        const invalid = yield* Effect.flip(repeats.counts())
        assert.strictEqual(invalid._tag, "ResponseInvalid")
        const text = `${declared} ${JSON.stringify(declared)} ${invalid} ${JSON.stringify(invalid)}`
        assert.include(text, "<redacted>")
        assert.notMatch(text, /p4ss/)
      }
    }).pipe(Effect.provide(Repeats.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("a body that can be read once is not sent once more with a new one", () => {
    let renewals = 0
    class Uploads extends ServiceClient.Service<Uploads>()("Uploads", {
      api: HttpApi.make("uploads").add(
        HttpApiGroup.make("root", { topLevel: true }).add(
          HttpApiEndpoint.put("up", "/up", { payload: HttpApiSchema.StreamUint8Array() })
        )
      ),
      baseUrl: "http://uploads.invalid",
      token: {
        get: Effect.succeed(Redacted.make("first")),
        refresh: Effect.sync(() => (renewals++, Redacted.make("second")))
      },
      pipeline: { retry }
    }) {}
    const upstream = guarded(() => "second")
    return Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.flatMap(Uploads, ({ up }) => up({ payload: Stream.make(new Uint8Array([1])) }))
      )
      assert.strictEqual(error._tag, "Unauthenticated")
      assert.deepStrictEqual([renewals, upstream.sent.length], [0, 1])
    }).pipe(Effect.provide(Uploads.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("is not shown without its scheme either, where the service repeats that, as an id perhaps", () => {
    const { Guarded, get } = client({ get: Effect.succeed(Redacted.make(`Bearer ${secret}`)), header: "authorization" })
    const upstream = answering(() => json({ detail: `no ${secret}` }, 401, { "x-request-id": secret }))
    return Effect.gen(function*() {
      const error = yield* Effect.flip(get)
      assert.deepInclude(error, { _tag: "Unauthenticated", detail: "no <redacted>" })
      assert.notInclude(JSON.stringify(error), secret)
    }).pipe(Effect.provide(Guarded.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("that cannot be had fails the call, sends nothing, and says nothing of the service", () => {
    const { Guarded, get } = client({ get: Effect.fail(`no ${secret}`) })
    const upstream = guarded(() => secret)
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(get)
      if (exit._tag === "Success") return assert.fail("succeeded")
      assert.strictEqual(Outcome.fromCause(exit.cause)._tag, "Ignored")
      const error = yield* Effect.flip(get)
      assert.deepInclude(error, { _tag: "ServiceUnavailable", reason: "no token" })
      assert.notInclude(`${error} ${JSON.stringify(error)}`, secret)
      assert.strictEqual(upstream.sent.length, 0)
    }).pipe(Effect.provide(Guarded.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("a layer that is provided anew for every request does not read it anew", () => {
    let reads = 0
    const { Guarded, get } = client({ get: Effect.sync(() => (reads++, Redacted.make(secret))) })
    const upstream = guarded(() => secret)
    const once = Effect.suspend(() => get.pipe(Effect.provide(Layer.fresh(Guarded.layer))))
    return Effect.gen(function*() {
      yield* once
      yield* once
      assert.strictEqual(reads, 1)
    }).pipe(Effect.provide(Layer.merge(upstream.layer, Resilience.layerTest())))
  })

  it.effect("stands in no error, log, event, span, snapshot or status, even where the service repeats it", () => {
    const { Guarded, get } = client(Redacted.make(secret))
    const upstream = answering(({ headers }, count) => {
      const body = { detail: `bad token ${headers[header]}`, errors: [{ field: secret, message: secret }] }
      return count === 1 ? "refuse" : count === 2 ? json(body, 500) : json(body, 401)
    })
    const seen: Array<unknown> = []
    const logger = Logger.make(({ cause, fiber, message }) => {
      seen.push(String(cause), JSON.stringify(message), JSON.stringify(fiber.getRef(References.CurrentLogAnnotations)))
    })
    const tracer = Tracer.make({
      span(options) {
        const span = new Tracer.NativeSpan(options)
        seen.push(span.attributes)
        return span
      }
    })
    // it logs each request as it goes out
    const logging = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(HttpClient.HttpClient, HttpClient.tapRequest((request) => Effect.log("sending", request)))
    ).pipe(Layer.provide(upstream.layer))
    return Effect.gen(function*() {
      const { events, snapshots } = yield* Resilience.Resilience
      yield* Effect.forkScoped(Stream.runForEach(events, (event) => Effect.sync(() => seen.push(event))), {
        startImmediately: true
      })
      const exit = yield* Effect.exit(get)
      yield* Effect.logError("failed", exit)
      seen.push(exit, String(exit), yield* snapshots, yield* Guarded.status)
      yield* Effect.yieldNow
      assert.strictEqual(upstream.sent.length, 3)
      assert.isTrue(upstream.sent.every(({ headers }) => headers[header] === secret))
      const text = seen.map((one) => JSON.stringify(one instanceof Map ? [...one] : one)).join("\n")
      assert.include(text, "http.request.header.x-internal-token\",\"<redacted>")
      assert.include(text, "bad token <redacted>")
      assert.notInclude(text, secret)
    }).pipe(
      Effect.scoped,
      Effect.provide([
        Guarded.layer.pipe(Layer.provide(logging), Layer.provideMerge(Resilience.layerTest())),
        Logger.layer([logger]),
        Layer.succeed(Tracer.Tracer, tracer),
        Layer.succeed(HttpClient.TracerHeaderFilter, () => true)
      ])
    )
  })

  it.effect("is `test` in memory where it would come from configuration", () => {
    const { Guarded, get } = client(Config.Redacted("TOKEN"))
    const seen: Array<string | undefined> = []
    const handlers = Layer.mergeAll(
      HttpApiBuilder.group(PlanningApi, "plans", (handlers) =>
        handlers
          .handle("get", () =>
            Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
              seen.push(headers[header])
              return plan("1")
            }))
          .handle("create", () => Effect.succeed(plan("2")))
          .handle("remove", () => Effect.void)
          .handle("search", () => Effect.succeed([]))),
      groups[1]
    )
    return Effect.gen(function*() {
      yield* get
      assert.deepStrictEqual(seen, ["test"])
    }).pipe(Effect.provide(Guarded.layerTest(handlers)))
  })

  for (
    const [name, layer] of [["fetch", FetchHttpClient.layer], ["undici", NodeHttpClient.layerUndici]] as const
  ) {
    it.live(`over real sockets with ${name}, does not follow a redirect to another host`, () =>
      Effect.gen(function*() {
        const other = yield* Server.make
        const server = yield* Server.make
        server.answer((_, response) => {
          response.writeHead(307, { location: `${other.url}/stolen` })
          response.end()
        })
        other.answer((_, response) => Server.json(response, 200, plan("1")))
        const { Guarded, get } = client(Redacted.make(secret), {}, server.url)
        const error = yield* Effect.flip(get).pipe(
          Effect.provide(Guarded.layer.pipe(Layer.provide([layer, Resilience.layer])))
        )
        assert.deepInclude(error, { _tag: "UnexpectedStatus", status: 307 })
        assert.deepStrictEqual(server.requests.map(({ headers }) => headers[header]), [secret])
        // nor without one: a key and an id are not for others either
        class Open extends ServiceClient.Service<Open>()("Open", {
          api: PlanningApi,
          baseUrl: server.url,
          pipeline: { retry, circuitBreaker: {} }
        }) {}
        const body = { headers: {}, payload: { title: "a", hours: 1 } }
        const moved = yield* Effect.flip(
          Effect.flatMap(Open, ({ plans }) => plans.create(body, { idempotencyKey: true }))
        ).pipe(Effect.provide(Open.layer.pipe(Layer.provide([layer, Resilience.layer]))))
        assert.deepInclude(moved, { _tag: "UnexpectedStatus", status: 307 })
        assert.strictEqual(other.requests.length, 0)
      }))
  }
})
