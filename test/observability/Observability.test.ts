import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Redacted } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import { Pipeline, Resilience } from "../../src/index.ts"
import { Alerts, ErrorReports, Metrics, Notify, Observability, Recoveries } from "../../src/observability/index.ts"
import { assertRefused, boom, pauses, present } from "../support.ts"
import { fresh } from "./freshRegistry.ts"

const trip = { kind: "consecutive", failures: 1 } as const

/** The texts of all log lines, into a list. */
const logging = (lines: Array<string>) =>
  Logger.layer([Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${message}`))])

class Pager extends Context.Service<Pager, { readonly page: (text: string) => Effect.Effect<void> }>()("Pager") {}

describe("Observability", () => {
  it.effect("B6, B7, B9, D7: one layer sees an outage in log lines, metrics, recoveries, reports and alerts", () => {
    const lines: Array<string> = []
    const paged: Array<string> = []
    let made = 0
    // an effect that makes a handler, as Notify.webhook is, which finds what it needs where the layer is built
    const page = Effect.map(Pager, ({ page }): Notify.Handler => {
      made++
      return ({ text }) => page(text)
    })
    const seen = Observability.layer({ alerts: { handlers: [page, Notify.log] } }).pipe(
      Layer.provide(Layer.succeed(Pager, { page: (text) => Effect.sync(() => paged.push(text)) })),
      Layer.provide(logging(lines)),
      Layer.provideMerge(Resilience.layer)
    )
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip, open: "30 seconds" } })
      yield* Effect.exit(protect(boom, { operation: "charge" }))
      yield* TestClock.adjust("30 seconds")
      yield* protect(Effect.void, { operation: "charge" })
      yield* TestClock.adjust("1 second")
      yield* pauses(100)

      assert.includeMembers(lines, [
        "Error billing: circuit breaker opened (Boom), next probe in 30s",
        "Error billing: circuit breaker open (Boom)",
        "Info billing: circuit breaker closed",
        "Info billing: circuit breaker closed after 30s"
      ])
      const metrics = yield* (yield* Metrics.Metrics).prometheus()
      assert.include(metrics, "resilience_circuit_breaker_transitions_total{pipeline=\"billing\",to=\"open\"} 1")
      const recovery = yield* (yield* Recoveries.Recoveries).get("billing")
      assert.strictEqual(recovery?.recoveries, 1)
      const [group] = yield* (yield* ErrorReports.ErrorReports).groups
      assert.strictEqual(group?.kind, "Boom")
      assert.deepStrictEqual(paged, [
        "billing: circuit breaker open (Boom)",
        "billing: circuit breaker closed after 30s"
      ])
      assert.strictEqual(made, 1)
    }).pipe(Effect.provide(seen), fresh)
  })

  it.effect("tells nobody of alerts unless asked to, and logs no lines where they are off", () => {
    const lines: Array<string> = []
    const seen = Observability.layer({ logLines: false }).pipe(
      Layer.provide(logging(lines)),
      Layer.provideMerge(Resilience.layer)
    )
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip } })
      yield* Effect.exit(protect(boom))
      yield* TestClock.adjust("10 seconds")
      yield* pauses(100)
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.provide(seen), fresh)
  })

  it.effect("B9: serves status, dashboard and metrics together, and control only to who has a token", () =>
    Effect.gen(function*() {
      const app = Layer.mergeAll(
        Observability.layerRoutes({
          controlTokens: { olga: Redacted.make("a-token-of-olga") },
          dashboard: { path: "/ops" },
          metrics: { path: "/internal/metrics" }
        }),
        Layer.effectDiscard(Pipeline.make("billing", { circuitBreaker: {} }))
      ).pipe(
        Layer.provide(Observability.layer({ logLines: false })),
        Layer.provide(Resilience.layer),
        Layer.provide(HttpServer.layerServices),
        Layer.provideMerge(Logger.layer([]))
      )
      const { dispose, handler } = HttpRouter.toWebHandler(app, { disableLogger: true })
      const ask = (path: string, init?: RequestInit) =>
        Effect.promise(async () => (await handler(new Request(`http://localhost${path}`, init))).status)
      const open = (headers: Record<string, string>) =>
        ask("/v1/api/status/control", {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify({ action: "forceOpen", breaker: "billing" })
        })
      for (const path of ["/v1/api/status", "/v1/api/status/services", "/ops", "/internal/metrics"]) {
        assert.strictEqual(yield* ask(path), 200, path)
      }
      assert.strictEqual(yield* open({}), 401)
      assert.strictEqual(yield* open({ authorization: "Bearer a-token-of-olga" }), 200)
      yield* Effect.promise(dispose)
    }).pipe(fresh))

  it.effect("B6: logs by the loggers around the program, as JSON where these write it", () => {
    const lines: Array<string> = []
    const json = Logger.layer([Logger.map(Logger.formatJson, (line) => lines.push(line))])
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip, open: "30 seconds" } })
      yield* Effect.exit(protect(boom))
      yield* TestClock.adjust("1 second")
      const { annotations, level, message }: Record<string, unknown> = JSON.parse(present(lines[0]))
      assert.strictEqual(level, "ERROR")
      assert.strictEqual(message, "billing: circuit breaker opened (Boom), next probe in 30s")
      assert.deepStrictEqual(annotations, {
        event: "CircuitOpened",
        service: "billing",
        error: "Boom",
        state: "open",
        because: "failures",
        openMs: 30_000
      })
    }).pipe(
      Effect.provide(Observability.layer().pipe(Layer.provideMerge(Resilience.layer), Layer.provideMerge(json))),
      fresh
    )
  })

  it.effect("sees the pipelines of the Resilience that it is given, and of no other", () => {
    class Billing extends Pipeline.Service<Billing>()("billing", {}) {}
    const seen = (watched: Layer.Layer<Resilience.Resilience>, used: Layer.Layer<Resilience.Resilience>) =>
      Effect.gen(function*() {
        yield* (yield* Billing).protect(Effect.void)
        return (yield* (yield* Metrics.Metrics).prometheus()).includes(
          "resilience_attempts_total{pipeline=\"billing\"}"
        )
      }).pipe(
        Effect.provide(Layer.merge(
          Layer.provide(Billing.layer, used),
          Layer.provide(Observability.layer({ logLines: false }), watched)
        )),
        fresh
      )
    return Effect.gen(function*() {
      const kept = Resilience.layerTest()
      assert.isTrue(yield* seen(kept, kept))
      assert.isTrue(yield* seen(Resilience.layer, Resilience.layer))
      assert.isFalse(yield* seen(Resilience.layerTest(), Resilience.layerTest()))
    })
  })

  it("watches by every kind of rule but the one that has no default", () => {
    const kinds = Observability.defaultRules.map(({ kind }) => kind)
    assert.sameMembers([...kinds, "open-longer"], [...Alerts.Alert.fields.kind.literals])
  })

  it("refuses options that there are not", () => {
    assertRefused([
      // @ts-expect-error: another module's
      [() => Observability.layer({ traces: true }), "Observability.layer"],
      // @ts-expect-error: another function's
      [() => Observability.layerRoutes({ alerts: {} }), "Observability.layerRoutes"],
      // @ts-expect-error: nobody to tell
      [() => Observability.layer({ alerts: { handler: [] } }), "Alerts.layer: unknown option \"handler\""],
      // @ts-expect-error: nobody to tell
      [() => Observability.layer({ alerts: {} }), "Alerts.layer: handlers must be a list"]
    ])
  })
})
