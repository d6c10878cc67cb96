import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { FetchHttpClient, HttpClient, HttpRouter, HttpServer } from "effect/http"
import { Otlp } from "effect/observability"
import { spawnSync } from "node:child_process"
import { Pipeline, Resilience } from "../../src/index.ts"
import { LogLines, Metrics } from "../../src/observability/index.ts"
import * as TestServer from "../http/server.ts"
import { boom, present } from "../support.ts"
import { fresh } from "./freshRegistry.ts"
import { hostileNames } from "./names.ts"
import * as Prometheus from "./prometheus.ts"

/** Pipelines of every kind, one of which is down. */
const traffic = Effect.gen(function*() {
  const { protect } = yield* Pipeline.make("billing", {
    circuitBreaker: {
      trip: [
        { kind: "consecutive", failures: 1 },
        { kind: "slow", threshold: 1, slowerThan: "1 minutes", window: { calls: 10 } }
      ]
    },
    keyedCircuitBreaker: false,
    bulkhead: { concurrency: 2 },
    rateLimit: { kind: "token-bucket", permits: 10, per: "1 seconds" },
    retry: { times: 2 },
    retryBudget: {},
    hedge: { delay: "1 minutes" },
    throttle: {},
    cache: { strategy: "cache-first", fresh: "1 minutes" }
  })
  const hosts = yield* Pipeline.make("hosts", { keyedCircuitBreaker: {}, adaptiveLimit: {} })
  yield* protect(Effect.succeed(1), { operation: "charge" })
  yield* Effect.exit(protect(boom, { operation: "charge" }))
  yield* hosts.protect(Effect.void, { key: "a" })
  for (const name of hostileNames) {
    const { protect } = yield* Pipeline.make(name, {})
    yield* protect(Effect.void, { operation: name })
  }
})

const measured = Metrics.layer().pipe(Layer.provideMerge(Resilience.layerTest()))

/** The application, at a url of its own. */
const app = Layer.mergeAll(
  HttpRouter.serve(Metrics.layerRoute(), { disableLogger: true, disableListenLog: true }),
  Layer.effectDiscard(traffic)
).pipe(Layer.provideMerge(measured), Layer.provideMerge(NodeHttpServer.layerTest))

const portOfApp = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  if (address._tag === "UnixPathAddress") return yield* Effect.die("no port")
  return address.port
})

const scrape = HttpClient.get("/metrics").pipe(
  Effect.tap(() => Effect.sleep("20 millis")),
  Effect.andThen(HttpClient.get("/metrics"))
)

describe("Metrics.layerRoute", () => {
  it.live("answers GET /metrics in Prometheus' text format", () =>
    Effect.gen(function*() {
      const response = yield* scrape
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.include(yield* response.text, "resilience_circuit_breaker_state{pipeline=\"billing\",state=\"open\"} 1\n")
    }).pipe(Effect.provide(app), fresh))

  it.live("D7: promtool finds nothing wrong with the metrics", ({ skip }) =>
    Effect.gen(function*() {
      if (Prometheus.promtool === undefined) return skip("promtool is not installed")
      const input = yield* Effect.flatMap(scrape, ({ text }) => text)
      const { status, stderr, stdout } = spawnSync(Prometheus.promtool, ["check", "metrics"], {
        input,
        encoding: "utf8"
      })
      assert.strictEqual(stdout + stderr, "")
      assert.strictEqual(status, 0)
    }).pipe(Effect.provide(app), fresh))

  it.live("D7: Prometheus scrapes them, whatever the names are", ({ skip }) =>
    Effect.gen(function*() {
      if (Prometheus.executable === undefined) return skip("prometheus is not installed")
      const query = yield* Prometheus.scraping(Prometheus.executable, yield* portOfApp)
      yield* TestServer.eventually(Effect.map(query("up"), (found) => found[0]?.value === 1))
      const calls = yield* query("resilience_calls_total{outcome=\"success\"}")
      assert.deepStrictEqual(
        calls.map(({ metric }) => metric["pipeline"]).toSorted(),
        ["billing", "hosts", ...hostileNames].toSorted()
      )
      assert.strictEqual(
        (yield* query("resilience_circuit_breaker_state{state=\"open\"} == 1"))[0]?.metric["pipeline"],
        "billing"
      )
      const p99 = yield* query(
        "histogram_quantile(0.99, sum by (le) (resilience_attempt_duration_seconds_bucket{pipeline=\"billing\"}))"
      )
      assert.isAbove(present(p99[0]).value, 0)
    }).pipe(Effect.provide(app), fresh))
})

interface Exported {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{
        readonly name: string
        readonly unit: string
        readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: ReadonlyArray<Point> }
        readonly gauge?: { readonly dataPoints: ReadonlyArray<Point> }
        readonly histogram?: { readonly dataPoints: ReadonlyArray<Point & { readonly count: number }> }
      }>
    }>
  }>
}

interface Point {
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue: string } }>
  readonly asDouble?: number
}

describe("Metrics over OTLP", () => {
  it.live("D7: reach a receiver that is a real HTTP server", () =>
    Effect.gen(function*() {
      const receiver = yield* TestServer.make
      const bodies: Array<Exported> = []
      receiver.answer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          if (request.url === "/v1/metrics") bodies.push(JSON.parse(Buffer.concat(chunks).toString()))
          TestServer.json(response, 200, {})
        })
      })
      const exporting = Otlp.layerJson({
        baseUrl: receiver.url,
        resource: { serviceName: "gateway" },
        metricsExportInterval: "20 millis"
      })
      yield* Effect.gen(function*() {
        yield* traffic
        const exported = Effect.sync(() =>
          (bodies.at(-1)?.resourceMetrics ?? []).flatMap(({ scopeMetrics }) =>
            scopeMetrics.flatMap(({ metrics }) => metrics)
          )
        )
        const wanted = "resilience_circuit_breaker_state"
        yield* TestServer.eventually(Effect.map(exported, (all) => all.some(({ name }) => name === wanted)))
        const all = new Map((yield* exported).map((metric) => [metric.name, metric]))
        const at = (points: ReadonlyArray<Point> | undefined, labels: Record<string, string>) =>
          present(points).find(({ attributes }) =>
            Object.entries(labels).every(([key, value]) =>
              attributes.some((attribute) => attribute.key === key && attribute.value.stringValue === value)
            )
          )
        const calls = present(all.get("resilience_calls_total")?.sum)
        assert.isTrue(calls.isMonotonic)
        for (const pipeline of hostileNames) {
          assert.strictEqual(at(calls.dataPoints, { pipeline, outcome: "success" })?.asDouble, 1)
        }
        assert.strictEqual(at(all.get(wanted)?.gauge?.dataPoints, { pipeline: "billing", state: "open" })?.asDouble, 1)
        const latency = present(all.get("resilience_attempt_duration_seconds"))
        assert.strictEqual(latency.unit, "s")
        assert.isDefined(at(latency.histogram?.dataPoints, { pipeline: "billing", operation: "charge" }))
      }).pipe(
        Effect.provide(Layer.provideMerge(exporting, Layer.merge(measured, FetchHttpClient.layer)))
      )
    }).pipe(fresh))

  it.live("D7: are in the last export, as the program ends, where OTLP stands inside of them, and log lines in OTLP", () =>
    Effect.gen(function*() {
      const receiver = yield* TestServer.make
      let told = ""
      receiver.answer((request, response) => {
        request.setEncoding("utf8").on("data", (text: string) => told += text)
        request.on("end", () => TestServer.json(response, 200, {}))
      })
      // no export but the one at the end
      const otlp = Otlp.layerJson({
        baseUrl: receiver.url,
        resource: { serviceName: "job" },
        metricsExportInterval: "1 hour"
      })
      const live = LogLines.layer().pipe(
        Layer.provideMerge(otlp),
        Layer.provideMerge(Metrics.layer()),
        Layer.provideMerge(Resilience.layer),
        Layer.provide(FetchHttpClient.layer),
        Layer.provide(Logger.layer([]))
      )
      yield* Effect.gen(function*() {
        const { protect } = yield* Pipeline.make("billing", { retry: { times: 1, jitter: "none" } })
        yield* Effect.exit(protect(boom, { operation: "charge" }))
      }).pipe(Effect.provide(live))
      assert.include(told, "resilience_retries_total")
      assert.include(told, "billing charge: gave up after 2 attempts (Boom)")
    }).pipe(fresh))
})

interface ExportedSpans {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly name: string
        readonly spanId: string
        readonly parentSpanId?: string
        readonly status: { readonly code: number }
      }>
    }>
  }>
}

describe("Spans over OTLP", () => {
  it.live("reach a receiver that is a real HTTP server, attempts under their calls, and no message of an error", () =>
    Effect.gen(function*() {
      const receiver = yield* TestServer.make
      const bodies: Array<string> = []
      receiver.answer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          if (request.url === "/v1/traces") bodies.push(Buffer.concat(chunks).toString())
          TestServer.json(response, 200, {})
        })
      })
      const exporting = Otlp.layerJson({
        baseUrl: receiver.url,
        resource: { serviceName: "gateway" },
        tracerExportInterval: "20 millis"
      })
      yield* Effect.gen(function*() {
        let calls = 0
        const { protect } = yield* Pipeline.make("p", { retry: { times: 1 } })
        const charge = Effect.suspend(() =>
          ++calls === 1 ? Effect.fail({ _tag: "Refused", message: "token abc" }) : Effect.succeed("paid")
        )
        yield* protect(charge, { operation: "charge" })
        const exported = Effect.sync(() =>
          bodies.flatMap((body) => {
            const { resourceSpans }: ExportedSpans = JSON.parse(body)
            return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
          })
        )
        yield* TestServer.eventually(Effect.map(exported, (all) => all.some(({ name }) => name === "charge")))
        const all = yield* exported
        const call = present(all.find(({ name }) => name === "charge"))
        const attempts = all.filter(({ name }) => name === "charge attempt")
        // an error, and what went well
        assert.deepStrictEqual(attempts.map(({ status }) => status.code), [2, 1])
        assert.strictEqual(call.status.code, 1)
        for (const { parentSpanId } of attempts) assert.strictEqual(parentSpanId, call.spanId)
        const text = bodies.join("\n")
        for (const part of ["resilience.outcome", "resilience.retry", "Refused"]) assert.include(text, part)
        assert.notInclude(text, "token abc")
      }).pipe(
        Effect.provide(Layer.provideMerge(exporting, Layer.merge(Resilience.layerTest(), FetchHttpClient.layer)))
      )
    }).pipe(fresh))
})
