import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientError } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { ResilientHttpClient, ServiceClient } from "../../src/http/index.ts"
import { Pipeline, Resilience } from "../../src/index.ts"
import { ConnectionPool } from "../../src/node/index.ts"
import { brief, present } from "../support.ts"
import * as Nginx from "./nginx.ts"
import * as Server from "./server.ts"

/** An upstream that no one here wrote. */
class Upstream extends Context.Service<Upstream, Nginx.Nginx>()("test/Upstream") {}

const locations = (slow: string, broken: string, nobody: string) => (port: number) => `
  location = /ok { return 200 '{"ok":true}'; }
  location = /unavailable { add_header Retry-After 1 always; return 503 '{"error":"down for a moment"}'; }
  location = /limited { limit_req zone=one; try_files /ok.json =404; }
  location = /reset { return 444; }
  location = /trickle { limit_rate 200; try_files /large.json =404; }
  location = /slow { proxy_pass ${slow}; proxy_read_timeout 150ms; }
  location = /truncated { proxy_pass ${broken}; proxy_http_version 1.1; proxy_buffering off; }
  location = /nobody { proxy_pass ${nobody}; }
  location = /small { client_max_body_size 1k; proxy_pass ${slow}; }
  location = /once { keepalive_requests 1; return 200 '{"ok":true}'; }
  location = /brief { keepalive_timeout 100ms; return 200 '{"ok":true}'; }
  location = /elsewhere { return 302 http://localhost:${port}/echo; }
  location = /circle { return 302 http://127.0.0.1:${port}/circle; }
  location = /echo { return 200 '{"ok":true,"authorization":"$http_authorization"}'; }
  location = /html { default_type text/html; return 200 '<html>maintenance</html>'; }
`

/** A server of bare sockets: nginx proxies to it. */
const rawServer = (answer: string | undefined) =>
  Effect.gen(function*() {
    const server = createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", () => {
        if (answer !== undefined) socket.write(answer, () => socket.destroy())
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close())
    )
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  })

const upstream = Layer.effect(
  Upstream,
  Effect.gen(function*() {
    const slow = yield* rawServer(undefined)
    const broken = yield* rawServer(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"ok\"\r\n64\r\n:tr"
    )
    const nobody = yield* Effect.scoped(rawServer(undefined))
    return yield* Nginx.start({
      http: "limit_req_zone $server_addr zone=one:1m rate=5r/s; limit_req_status 429;",
      server: locations(slow.url, broken.url, nobody.url),
      files: { "ok.json": "{\"ok\":true}", "large.json": JSON.stringify({ ok: true, padding: "x".repeat(20_000) }) }
    })
  })
)

const Ok = Schema.Struct({ ok: Schema.Boolean })
const Echo = Schema.Struct({ ok: Schema.Boolean, authorization: Schema.String })
const secret = { headers: Schema.Struct({ authorization: Schema.String }) }

const Api = HttpApi.make("upstream").add(
  HttpApiGroup.make("all", { topLevel: true }).add(
    HttpApiEndpoint.get("ok", "/ok", { success: Ok }),
    HttpApiEndpoint.get("unavailable", "/unavailable", { success: Ok }),
    HttpApiEndpoint.get("limited", "/limited", { success: Ok }),
    HttpApiEndpoint.get("reset", "/reset", { success: Ok }),
    HttpApiEndpoint.get("trickle", "/trickle", { success: Ok }),
    HttpApiEndpoint.get("slow", "/slow", { success: Ok }),
    HttpApiEndpoint.get("truncated", "/truncated", { success: Ok }),
    HttpApiEndpoint.get("nobody", "/nobody", { success: Ok }),
    HttpApiEndpoint.put("small", "/small", { payload: Schema.Struct({ text: Schema.String }), success: Ok }),
    HttpApiEndpoint.get("once", "/once", { success: Ok }),
    HttpApiEndpoint.get("brief", "/brief", { success: Ok }),
    HttpApiEndpoint.get("elsewhere", "/elsewhere", { ...secret, success: Echo }),
    HttpApiEndpoint.get("circle", "/circle", { success: Ok }),
    HttpApiEndpoint.get("html", "/html", { success: Ok })
  )
)

const options = {
  retry: { times: 2, backoff: { kind: "constant", delay: "20 millis" }, jitter: "none" },
  attemptTimeout: "2 seconds",
  totalTimeout: "10 seconds"
} as const

/** Both clients of the same upstream, under the same options. */
const both = (pipeline: Pipeline.Options) =>
  Effect.gen(function*() {
    const nginx = yield* Upstream
    class Service extends ServiceClient.Service<Service>()("service", { api: Api, baseUrl: nginx.url, pipeline }) {}
    const service = Context.get(yield* Layer.build(Service.layer), Service)
    const base = yield* HttpClient.HttpClient
    const plain = ResilientHttpClient.make(base, yield* Pipeline.make("plain", pipeline))
    return {
      nginx,
      service,
      get: (path: string) => plain.get(`${nginx.url}${path}`),
      put: (path: string, text: string) => plain.put(`${nginx.url}${path}`, { body: HttpBody.text(text) })
    }
  })

const reasonOf = (error: unknown) => HttpClientError.isHttpClientError(error) ? error.reason._tag : undefined

/** What nginx says of the requests to a path since `before`; their ends are logged a moment later. */
const logged = Effect.fnUntraced(function*(nginx: Nginx.Nginx, path: string, before: number, count: number) {
  yield* Server.eventually(Effect.sync(() => nginx.log(path).length >= before + count))
  return nginx.log(path).slice(before)
})

const isInstalled = Nginx.executable !== undefined

describe.skipIf(!isInstalled)(`nginx as the upstream${isInstalled ? "" : " (skipped: nginx is not installed)"}`, () => {
  const real = Layer.merge(upstream, ConnectionPool.layer({ connections: 4 }))
  layer(real, { excludeTestServices: true })((it) => {
    const fresh = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.provide(self, Layer.fresh(Resilience.layer))

    it.effect("a good answer is one", () =>
      fresh(Effect.gen(function*() {
        const { get, service } = yield* both(options)
        assert.deepStrictEqual(yield* service.ok(), { ok: true })
        const response = yield* get("/ok")
        assert.deepStrictEqual(yield* response.json, { ok: true })
      })))

    it.effect("a 503 with Retry-After is tried again no sooner than that, and is then the outcome", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both(options)
        const error = yield* Effect.flip(service.unavailable())
        assert.deepInclude(error, { _tag: "Unavailable", status: 503 })
        assert.strictEqual((yield* get("/unavailable")).status, 503)
        const attempts = yield* logged(nginx, "/unavailable", 0, 6)
        assert.deepStrictEqual(attempts.map(({ status }) => status), [503, 503, 503, 503, 503, 503])
        for (const [first, second] of [[0, 1], [1, 2], [3, 4], [4, 5]] as const) {
          // nginx knows the time to a millisecond, and reads it once for each of its events
          assert.isAtLeast(present(attempts[second]).at - present(attempts[first]).at, 995)
        }
      })))

    it.effect("429 of limit_req is overload: it is tried again, and never opens a breaker", () =>
      fresh(
        Effect.gen(function*() {
          const { get, nginx, service } = yield* both({
            ...options,
            retry: { ...options.retry, times: 20, backoff: { kind: "constant", delay: "50 millis" } },
            circuitBreaker: { trip: { kind: "consecutive", failures: 1 }, open: "60 seconds" }
          })
          for (let n = 0; n < 4; n++) {
            assert.deepStrictEqual(yield* service.limited(), { ok: true })
            assert.strictEqual((yield* get("/limited")).status, 200)
          }
          assert.isAbove(nginx.log("/limited").filter(({ status }) => status === 429).length, 5)
          const impatient = yield* both({ retry: { ...options.retry, times: 0 } })
          yield* impatient.get("/limited")
          assert.strictEqual((yield* impatient.get("/limited")).status, 429)
          assert.deepInclude(yield* Effect.flip(impatient.service.limited()), { _tag: "RateLimited", status: 429 })
        }).pipe(Effect.scoped)
      ))

    it.effect("a connection that is closed without an answer is no answer, and is tried again", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both(options)
        assert.deepInclude(yield* Effect.flip(service.reset()), {
          _tag: "ServiceUnavailable",
          reason: "UND_ERR_SOCKET"
        })
        const error = yield* Effect.flip(get("/reset"))
        assert.strictEqual(reasonOf(error), "TransportError")
        const attempts = yield* logged(nginx, "/reset", 0, 6)
        assert.deepStrictEqual(attempts.map(({ status }) => status), Array.from({ length: 6 }, () => 444))
      })))

    it.effect("a body that trickles is cut by the attempt timeout", () =>
      fresh(Effect.gen(function*() {
        const { get, service } = yield* both({ ...options, attemptTimeout: "200 millis" })
        assert.deepInclude(yield* Effect.flip(service.trickle()), { _tag: "TimedOut", limit: "attempt" })
        assert.deepInclude(yield* Effect.flip(get("/trickle")), { _tag: "TimedOut", limit: "attempt" })
      })))

    it.effect("a slow server behind it is its 504, or our timeout, whichever is sooner", () =>
      fresh(
        Effect.gen(function*() {
          const patient = yield* both(options)
          assert.deepInclude(yield* Effect.flip(patient.service.slow()), { _tag: "UpstreamTimeout", status: 504 })
          assert.strictEqual((yield* patient.get("/slow")).status, 504)
          const attempts = yield* logged(patient.nginx, "/slow", 0, 6)
          assert.deepStrictEqual(attempts.map(({ status }) => status), Array.from({ length: 6 }, () => 504))
          const hasty = yield* both({ attemptTimeout: "50 millis" })
          assert.strictEqual(brief(yield* Effect.exit(hasty.service.slow())), "TimedOut")
          assert.strictEqual(brief(yield* Effect.exit(hasty.get("/slow"))), "TimedOut")
        }).pipe(Effect.scoped)
      ))

    it.effect("a server that is not there is its 502, and opens a breaker", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both({
          circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, open: "60 seconds" }
        })
        for (let n = 0; n < 2; n++) {
          assert.deepInclude(yield* Effect.flip(service.nobody()), { _tag: "UnexpectedStatus", status: 502 })
          assert.strictEqual((yield* get("/nobody")).status, 502)
        }
        assert.strictEqual(brief(yield* Effect.exit(service.nobody())), "CircuitOpen")
        assert.strictEqual(brief(yield* Effect.exit(get("/nobody"))), "CircuitOpen")
        assert.strictEqual((yield* logged(nginx, "/nobody", 0, 4)).length, 4)
      })))

    it.effect("a chunked body that breaks off is a failed attempt, never half an answer", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both(options)
        assert.strictEqual(brief(yield* Effect.exit(service.truncated())), "ServiceUnavailable")
        const plain = yield* Effect.flip(get("/truncated"))
        assert.strictEqual(reasonOf(plain), "DecodeError")
        assert.strictEqual((yield* logged(nginx, "/truncated", 0, 6)).length, 6)
      })))

    it.effect("a request that is too large is its 413, and is not sent again", () =>
      fresh(Effect.gen(function*() {
        const { nginx, put, service } = yield* both(options)
        const text = "x".repeat(10_000)
        assert.deepInclude(yield* Effect.flip(service.small({ payload: { text } })), {
          _tag: "UnexpectedStatus",
          status: 413
        })
        assert.strictEqual((yield* put("/small", text)).status, 413)
        assert.strictEqual((yield* logged(nginx, "/small", 0, 2)).length, 2)
      })))

    it.effect("a connection that is closed after every answer costs no call", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both({ retry: { ...options.retry, times: 0 } })
        for (let n = 0; n < 50; n++) {
          assert.deepStrictEqual(yield* service.once(), { ok: true })
          assert.strictEqual((yield* get("/once")).status, 200)
        }
        assert.strictEqual((yield* logged(nginx, "/once", 0, 100)).length, 100)
      })))

    it.effect("nor does one that is closed while it is idle, with a retry", () =>
      fresh(Effect.gen(function*() {
        const { get, service } = yield* both(options)
        // around the moment at which nginx closes it
        for (let pause = 96; pause <= 104; pause += 0.5) {
          assert.deepStrictEqual(yield* service.brief(), { ok: true })
          yield* Effect.sleep(pause)
          assert.strictEqual((yield* get("/brief")).status, 200)
          yield* Effect.sleep(pause)
        }
      })))

    it.effect("a page where data is due is an invalid response", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both(options)
        assert.deepInclude(yield* Effect.flip(service.html()), { _tag: "ResponseInvalid", status: 200 })
        const response = yield* get("/html")
        assert.strictEqual(brief(yield* Effect.exit(response.json)), "HttpClientError")
        // the same would come again
        assert.strictEqual((yield* logged(nginx, "/html", 0, 2)).length, 2)
      })))

    it.effect("a redirect is not followed unless the client does", () =>
      fresh(Effect.gen(function*() {
        const { get, nginx, service } = yield* both(options)
        const headers = { authorization: "Bearer not-for-others" }
        const error = yield* Effect.flip(service.elsewhere({ headers }))
        assert.deepInclude(error, { _tag: "UnexpectedStatus", status: 302 })
        assert.notInclude(JSON.stringify(error), "not-for-others")
        assert.strictEqual((yield* get("/elsewhere")).status, 302)
        assert.deepStrictEqual(nginx.log("/echo"), [])
      })))

    it.effect("a service client over fetch follows none either; a plain HttpClient does, without the credentials", () =>
      fresh(
        Effect.gen(function*() {
          const { get, service } = yield* both({ retry: { ...options.retry, times: 1 } })
          const headers = { authorization: "Bearer not-for-others" }
          const moved = yield* Effect.flip(service.elsewhere({ headers }))
          assert.deepInclude(moved, { _tag: "UnexpectedStatus", status: 302 })
          assert.strictEqual((yield* get("/elsewhere")).status, 200)
          assert.strictEqual(brief(yield* Effect.exit(get("/circle"))), "HttpClientError")
        }).pipe(Effect.provide(Layer.fresh(FetchHttpClient.layer)))
      ))

    it.effect("a client that follows redirects does so within the call, and ends in a circle", () =>
      fresh(
        Effect.gen(function*() {
          const { service } = yield* both(options)
          assert.deepInclude(yield* Effect.flip(service.circle()), { _tag: "UnexpectedStatus", status: 302 })
          assert.strictEqual(
            (yield* service.elsewhere({ headers: { authorization: "Bearer for-anybody" } })).ok,
            true
          )
        }).pipe(Effect.updateService(HttpClient.HttpClient, HttpClient.followRedirects(3)))
      ))
  })
})
