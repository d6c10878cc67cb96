/** All metrics of a registry in Prometheus' text format. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { MetricBoard } from "./metricBoard.ts"
import type { Labels, Series } from "./series.ts"

/** So many series are written before others have a turn. */
const perTurn = 1_000

/**
 * What is on the board is written here, since it may be much: its labels have been
 * checked already, and it is written in steps, between which calls go on. All else
 * is written by Effect.
 */
export const prometheusText = (
  board: MetricBoard,
  context: Context.Context<never>,
  options: PrometheusMetrics.FormatOptions = {}
): Effect.Effect<string> =>
  Effect.gen(function*() {
    const nameOf = naming(options)
    let text = ""
    for (const [{ help, kind, name }, value] of board.ofAll) {
      text += `${head(nameOf(name), help, kind)}${nameOf(name)} ${number(value)}\n`
    }
    let written = 0
    // one that goes and comes back meanwhile must not be there twice
    const families = [...board.families.values()]
    for (const { definition: { help, kind, name }, series } of families) {
      const called = nameOf(name)
      text += head(called, help, kind)
      for (const one of series) {
        text += lines(called, one)
        if (++written % perTurn === 0) yield* Effect.yieldNow
      }
    }
    return text + PrometheusMetrics.formatUnsafe(Context.add(context, Metric.MetricRegistry, board.others), options)
  })

const head = (name: string, help: string, kind: string): string => `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`

/** As `PrometheusMetrics` makes names. */
const naming = ({ metricNameMapper = (name) => name, prefix }: PrometheusMetrics.FormatOptions) => {
  const before = prefix ? `${metricName(prefix)}_` : ""
  return (name: string): string => before + metricName(metricNameMapper(name))
}

const metricName = (name: string): string =>
  name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9:])/, "_").replace(/_+/g, "_").replace(/_$/, "")

const labelName = (name: string): string =>
  name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9])/, "_").replace(/_+/g, "_")

const number = (value: number): string => value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const write = (labels: Labels): string =>
  Object.entries(labels).map(([name, value]) =>
    `${labelName(name)}="${value.replace(/\\/g, "\\\\").replace(/"/g, "\\\"").replace(/\n/g, "\\n")}"`
  ).join(",")

const lines = (name: string, series: Series): string => {
  const labels = series.text ??= write(series.labels)
  if (series.histogram === undefined) return `${name}{${labels}} ${number(series.value)}\n`
  const { buckets, count, sum } = series.histogram()
  let text = ""
  for (const [boundary, upTo] of buckets) text += `${name}_bucket{${labels},le="${boundary}"} ${upTo}\n`
  return `${text}${name}_bucket{${labels},le="+Inf"} ${count}\n${name}_sum{${labels}} ${number(sum)}\n` +
    `${name}_count{${labels}} ${count}\n`
}
