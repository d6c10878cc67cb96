/**
 * Metrics for Prometheus and OpenTelemetry, read from the policies' own counters
 * at the moment somebody asks.
 *
 * The layer puts series into Effect's metric registry, where every exporter of
 * Effect finds them: `PrometheusMetrics`, `OtlpMetrics`, `Otlp`. Each begins with
 * `resilience_` and names its `pipeline`, and the `operation` where that has parts
 * of its own. Times are seconds.
 *
 * All series but two kinds cost nothing until they are read. Latency histograms
 * need events: where the layer is built with them, pipelines tell of the end of
 * every call and of every attempt, which costs a call about a microsecond.
 *
 * The set of series is bounded. Keys of breakers and limits are summed, operations
 * beyond `maxOperations` are `other`, and so is what a policy of one's own tells of
 * a pipeline that there is not. What is no longer there is no longer exported.
 *
 * A pipeline that is made later is in the next export; of a policy that stands alone,
 * with exporters other than `layerRoute`, that is the second. What ends with the
 * program exports its last where `Metrics` outlives the exporter: where the exporter's
 * layer is given this one, and not the other way round. Where two layers of one registry
 * have a pipeline of the same name, the first tells of it, until it is closed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { Middleware } from "../http/server/internal/middleware.ts"
import { integer, nonEmpty, oneOf, onlyKeys, optionalFunction, refuse } from "../internal/options.ts"
import { countOf } from "../internal/outcomeTags.ts"
import type { Pipeline, PipelineError } from "../Pipeline.ts"
import { type Parts, Resilience } from "../Resilience.ts"
import { LatencyHistograms, ofAttempts, ofCalls } from "./internal/latencyHistograms.ts"
import { MetricBoard, type Reader } from "./internal/metricBoard.ts"
import { prometheusText } from "./internal/prometheusText.ts"
import { Readings } from "./internal/readings.ts"
import { Source } from "./internal/series.ts"

/**
 * What is measured. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Of what there are latency histograms: of calls, which is what callers wait for,
   * of their attempts, or of both. Default: `"both"`.
   */
  readonly latencies?: "both" | "calls" | "attempts" | false | undefined
  /**
   * The upper bounds of their buckets in seconds, rising. Default: those that
   * OpenTelemetry gives to HTTP: 5 ms to 10 s in 14 steps.
   */
  readonly boundaries?: ReadonlyArray<number> | undefined
  /**
   * How many operations of a pipeline have histograms of their own, besides those
   * that its options name. Further ones are `other`. Default: 50.
   */
  readonly maxOperations?: number | undefined
}

/**
 * The metrics of a `Resilience`.
 *
 * @category services
 * @since 0.1.0
 */
export class Metrics extends Context.Service<Metrics, {
  /** Reads all policies now. Exporters do the same when they read, so there is seldom a reason to. */
  readonly refresh: Effect.Effect<void>
  /**
   * All metrics of the registry, read now, in Prometheus' text format. It is made in
   * steps, so that calls go on where there are thousands of pipelines.
   */
  readonly prometheus: (options?: PrometheusMetrics.FormatOptions) => Effect.Effect<string>
}>()("effect-resilience/observability/Metrics") {}

const module_ = "Metrics.layer"

/** The policies that have a state. */
const parts = [
  "circuitBreaker",
  "keyedCircuitBreaker",
  "bulkhead",
  "adaptiveLimit",
  "rateLimit",
  "throttle",
  "retryBudget",
  "hedge",
  "cache"
] as const satisfies ReadonlyArray<keyof Parts>

/** So many names are read before others have a turn. */
const perTurn = 20

const httpBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

const checkedBoundaries = (boundaries: ReadonlyArray<number>): ReadonlyArray<number> => {
  const rises = Array.isArray(boundaries) && boundaries.length > 0 &&
    boundaries.every((boundary, n) => Number.isFinite(boundary) && boundary > (boundaries[n - 1] ?? 0))
  return rises ? [...boundaries] : refuse(module_, "boundaries", "finite numbers above zero that rise", boundaries)
}

/**
 * Puts the metrics of a `Resilience` into Effect's metric registry, and takes them
 * out when the layer is closed. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { Metrics } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function*() {
 *   const quotes = yield* Pipeline.make("quotes", { retry: { times: 2 } })
 *   yield* quotes.protect(Effect.succeed(42))
 *   const text = yield* (yield* Metrics.Metrics).prometheus()
 *   return text.split("\n").find((line) => line.startsWith("resilience_calls_total"))
 * })
 *
 * const measured = Metrics.layer().pipe(Layer.provideMerge(Resilience.layer))
 * const line = await program.pipe(Effect.provide(measured), Effect.runPromise)
 *
 * console.log(line) // => resilience_calls_total{pipeline="quotes",outcome="success"} 1
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Metrics, never, Resilience> => {
  onlyKeys(module_, options, ["latencies", "boundaries", "maxOperations"])
  const latencies = oneOf(module_, "latencies", options.latencies ?? "both", ["both", "calls", "attempts", false])
  const boundaries = checkedBoundaries(options.boundaries ?? httpBoundaries)
  const maxOperations = integer(module_, "maxOperations", options.maxOperations ?? 50, 0)
  return Layer.effect(
    Metrics,
    Effect.gen(function*() {
      const resilience = yield* Resilience
      const context = yield* Effect.context<never>()
      const board = MetricBoard.of(context)
      const source = new Source(board, yield* Metric.CurrentMetricAttributes)
      const readings = new Readings(source)

      /** Some names at a time, between which calls go on. Who reads meanwhile sees to all of it, and this one ends. */
      const read = Effect.gen(function*() {
        const reading = source.begin()
        const snapshots = yield* resilience.snapshots
        readings.know(yield* resilience.pipelines)
        for (let from = 0; from < snapshots.length; from += perTurn) {
          if (from > 0) yield* Effect.yieldNow
          if (!source.isLatest(reading)) return
          for (const snapshot of snapshots.slice(from, from + perTurn)) readings.set(snapshot)
        }
        if (source.isLatest(reading)) source.end()
      }).pipe(
        // whoever scrapes gets what was read last, if anything in here breaks
        Effect.catchDefect(() => Effect.void),
        // by the clock of the program, whoever exports
        Effect.provideContext(context)
      )

      /** Whoever exports takes the list of series before it reads them: those of a new pipeline are there at once. */
      const watcher = (pipeline: Pipeline<PipelineError>) => {
        readings.know(new Map([[pipeline.name, pipeline]]))
        const { settings } = pipeline
        const names = [settings, ...settings.operations.values()].flatMap((own) => parts.map((part) => own[part]?.name))
        for (const name of new Set([pipeline.name, ...names])) {
          if (name !== undefined) readings.make(Effect.runSyncWith(context)(resilience.snapshotOf(name)))
        }
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => resilience.watchers.add(watcher)),
        () => Effect.sync(() => resilience.watchers.delete(watcher))
      )

      const reader: Reader = { resilience, read }
      yield* Effect.acquireRelease(
        Effect.sync(() => board.join(reader)),
        () =>
          Effect.sync(() => {
            board.leave(reader)
            source.close()
          })
      )

      const histograms = (metric: typeof ofCalls) =>
        new LatencyHistograms({
          source,
          metric,
          boundaries,
          maxOperations,
          declared: (pipeline) => {
            const known = Effect.runSyncWith(context)(resilience.pipelines).get(pipeline)
            return known === undefined ? undefined : (operation) => known.settings.operations.has(operation)
          }
        })
      if (latencies === "both" || latencies === "calls") {
        const calls = histograms(ofCalls)
        yield* resilience.listen(["CallEnded"], ({ elapsed, operation, outcome, pipeline, refusedBy }) => {
          const ended = refusedBy === undefined ? countOf[outcome] : "refused"
          calls.record(pipeline, operation, ended, Duration.toMillis(elapsed) / 1_000)
        })
      }
      if (latencies === "both" || latencies === "attempts") {
        const attempts = histograms(ofAttempts)
        yield* resilience.listen(["Attempted"], ({ elapsed, operation, outcome, pipeline }) => {
          attempts.record(pipeline, operation, countOf[outcome], Duration.toMillis(elapsed) / 1_000)
        })
      }

      yield* read
      return Metrics.of({
        refresh: read,
        prometheus: (options) =>
          board.turn.withPermit(Effect.andThen(board.read, prometheusText(board, context, options)))
      })
    })
  )
}

/**
 * Answers `GET /metrics`, or another path, in Prometheus' text format. It asks for no
 * token: keep it on an address that only your own can reach, as `StatusPort` does, or
 * see `metricsNeedToken` of `Observability.layerRoutes`. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { Resilience } from "effect-resilience"
 * import { Metrics } from "effect-resilience/observability"
 *
 * const app = Metrics.layerRoute().pipe(
 *   Layer.provide(Metrics.layer()),
 *   Layer.provide(Resilience.layer)
 * )
 * const { handler, dispose } = HttpRouter.toWebHandler(app, { disableLogger: true })
 *
 * const response = await handler(new Request("http://localhost/metrics"))
 * console.log((await response.text()).split("\n")[0]) // => # HELP resilience_pipelines Pipelines that there are.
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRoute = (
  options: PrometheusMetrics.HttpOptions = {}
): Layer.Layer<never, never, Metrics | HttpRouter.HttpRouter> => guardedRoute(options, (app) => app)

/**
 * The same, behind what lets in only some.
 *
 * @internal
 */
export const guardedRoute = (
  options: PrometheusMetrics.HttpOptions,
  guard: Middleware
): Layer.Layer<never, never, Metrics | HttpRouter.HttpRouter> => {
  const ofRoute = "Metrics.layerRoute"
  onlyKeys(ofRoute, options, ["path", "prefix", "metricNameMapper"])
  const { path = "/metrics", ...format } = options
  if (typeof path !== "string" || !/^\/|^\*$/.test(path)) refuse(ofRoute, "path", "a path that begins with /", path)
  if (format.prefix !== undefined) nonEmpty(ofRoute, "prefix", format.prefix)
  optionalFunction(ofRoute, "metricNameMapper", format.metricNameMapper)
  return Layer.effectDiscard(Effect.gen(function*() {
    const { prometheus } = yield* Metrics
    const router = yield* HttpRouter.HttpRouter
    const answer = Effect.map(
      prometheus(format),
      (text) => HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
    )
    yield* router.add("GET", path, guard(answer))
  }))
}
