/**
 * All that there is to see with, in two layers: what watches the pipelines of a
 * `Resilience`, and the routes by which people and programs look at it.
 *
 * The layers are those of the other modules, with their defaults, so that each can
 * be had by itself as well: `LogLines`, `Metrics`, `Recoveries`, `ErrorReports`,
 * `Alerts`, `StatusServer` and `Dashboard`.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "effect/FileSystem"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import type * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Path from "effect/Path"
import { flag, onlyKeys } from "../internal/options.ts"
import type { Resilience } from "../Resilience.ts"
import * as Alerts from "./Alerts.ts"
import * as Dashboard from "./Dashboard.ts"
import * as ErrorReports from "./ErrorReports.ts"
import * as LogLines from "./LogLines.ts"
import * as Metrics from "./Metrics.ts"
import type { Handlers, Services } from "./Notify.ts"
import * as Recoveries from "./Recoveries.ts"
import * as StatusServer from "./StatusServer.ts"

/**
 * What is watched, and who is told. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  A extends Handlers<Alerts.Alert, unknown> = Handlers<Alerts.Alert>,
  R extends Handlers<ErrorReports.Report, unknown> = Handlers<ErrorReports.Report>
> {
  /** Who is told of alerts, and by which rules. Default: nobody. The default of `rules` is `defaultRules`. */
  readonly alerts?: AlertOptions<A> | undefined
  /** As in `ErrorReports`. Default: errors are grouped, and nobody is told. */
  readonly errorReports?: ErrorReports.Options<R> | undefined
  /** As in `LogLines`; `false` for no log lines. */
  readonly logLines?: LogLines.Options | false | undefined
  /** As in `Metrics`. */
  readonly metrics?: Metrics.Options | undefined
}

/**
 * As in `Alerts`, with rules that need not be said.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlertOptions<H extends Handlers<Alerts.Alert, unknown> = Handlers<Alerts.Alert>>
  extends Omit<Alerts.Options<H>, "rules">
{
  /** Default: `defaultRules`. */
  readonly rules?: ReadonlyArray<Alerts.Rule> | undefined
}

/**
 * Every kind of rule that has defaults of its own: all but `open-longer`.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultRules: ReadonlyArray<Alerts.Rule> = [
  { kind: "opened" },
  { kind: "flapping" },
  { kind: "error-rate" },
  { kind: "budget-empty" },
  { kind: "limit-shrinking" }
]

/**
 * Watches all pipelines: log lines, metrics, recoveries, groups of errors, and
 * alerts where somebody is to be told of them. Provide it once, with the pipelines.
 * It needs events: pipelines tell of the end of every call and of every attempt. A
 * bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Logger } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { Metrics, Observability, Recoveries } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function*() {
 *   const quotes = yield* Pipeline.make("quotes", { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } })
 *   yield* Effect.ignore(quotes.protect(Effect.fail({ _tag: "NoSuchHost" })))
 *   yield* Effect.sleep("10 millis")
 *   const text = yield* (yield* Metrics.Metrics).prometheus()
 *   console.log(text.includes("resilience_circuit_breaker_state{pipeline=\"quotes\",state=\"open\"} 1")) // => true
 *   return yield* (yield* Recoveries.Recoveries).get("quotes")
 * })
 *
 * const told: Array<string> = []
 * const seen = Observability.layer({
 *   alerts: { handlers: [({ text }) => Effect.sync(() => told.push(text))] }
 * }).pipe(
 *   Layer.provide(Logger.layer([])),
 *   Layer.provideMerge(Resilience.layer)
 * )
 * const quotes = await program.pipe(Effect.provide(seen), Effect.runPromise)
 *
 * console.log(quotes?.state, quotes?.openings) // => Open 1
 * console.log(told[0]) // => quotes: circuit breaker open (NoSuchHost)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  const A extends Handlers<Alerts.Alert, unknown> = Handlers<Alerts.Alert>,
  const R extends Handlers<ErrorReports.Report, unknown> = Handlers<ErrorReports.Report>
>(
  options: Options<A, R> = {}
): Layer.Layer<
  Metrics.Metrics | Recoveries.Recoveries | ErrorReports.ErrorReports,
  never,
  Resilience | Services<A> | Services<R>
> => {
  onlyKeys("Observability.layer", options, ["alerts", "errorReports", "logLines", "metrics"])
  const { alerts, logLines } = options
  return Layer.mergeAll(
    Metrics.layer(options.metrics),
    Recoveries.layer,
    ErrorReports.layer(options.errorReports),
    logLines === false ? Layer.empty : LogLines.layer(logLines),
    alerts === undefined ? Layer.empty : Alerts.layer({ ...alerts, rules: alerts.rules ?? defaultRules })
  )
}

/**
 * What the routes are made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteOptions extends StatusServer.Options {
  readonly dashboard?: Dashboard.Options | undefined
  readonly metrics?: PrometheusMetrics.HttpOptions | undefined
  /**
   * Whether `GET /metrics` asks for a token, too: one of `readTokens`, which there must
   * be then, or of `controlTokens`. Prometheus shows it by its `authorization`.
   * Default: `false`, and whoever reaches it may read it.
   */
  readonly metricsNeedToken?: boolean | undefined
}

/**
 * The routes of status API, dashboard and `GET /metrics`, for the `HttpRouter` of a
 * server of one's own, or for `StatusPort`, which serves them apart. They ask those
 * who read for no token, but with `readTokens`, and then `GET /metrics` still asks for
 * none, but with `metricsNeedToken`. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { Resilience } from "effect-resilience"
 * import { Observability } from "effect-resilience/observability"
 *
 * const app = Observability.layerRoutes().pipe(
 *   Layer.provide(Observability.layer()),
 *   Layer.provide(Resilience.layer),
 *   Layer.provide(HttpServer.layerServices)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(app, { disableLogger: true })
 *
 * const ask = async (path: string) => (await handler(new Request(`http://localhost${path}`))).status
 * console.log(await ask("/v1/api/status"), await ask("/dashboard"), await ask("/metrics")) // => 200 200 200
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRoutes = (
  options: RouteOptions = {}
): Layer.Layer<
  never,
  never,
  | Metrics.Metrics
  | Recoveries.Recoveries
  | Resilience
  | HttpRouter.HttpRouter
  | Etag.Generator
  | HttpPlatform.HttpPlatform
  | FileSystem.FileSystem
  | Path.Path
> => {
  onlyKeys("Observability.layerRoutes", options, [
    ...StatusServer.optionNames,
    "dashboard",
    "metrics",
    "metricsNeedToken"
  ])
  const { dashboard, metrics = {}, metricsNeedToken, ...status } = options
  const isGuarded = flag("Observability.layerRoutes", "metricsNeedToken", metricsNeedToken ?? false)
  if (isGuarded && status.readTokens === undefined) {
    throw new RangeError("Observability.layerRoutes: metricsNeedToken needs readTokens")
  }
  return Layer.mergeAll(
    StatusServer.layer(status),
    Dashboard.layer(dashboard),
    isGuarded ? Metrics.guardedRoute(metrics, StatusServer.readGuard(status)) : Metrics.layerRoute(metrics)
  )
}
