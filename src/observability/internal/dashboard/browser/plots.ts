/** Requests and latencies of one service over the last minutes, by uPlot where the server has it. */
import type UPlot from "uplot"
import { make } from "./elements.ts"
import { ours, type Service } from "./known.ts"
import { number } from "./words.ts"

type Values = Array<number | null>

interface Kind {
  readonly title: string
  readonly series: ReadonlyArray<readonly [label: string, color: string, dash?: Array<number>]>
  readonly values: (service: Service) => Array<Values>
}

const perSecond = ({ samples }: Service, counter: "success" | "failed" | "refused"): Values =>
  samples.map((now, n) => {
    const then = samples[n - 1]
    return then === undefined ? null : Math.max(0, now[counter] - then[counter]) / Math.max(0.5, now.at - then.at)
  })

const quantile = ({ samples }: Service, name: "p50" | "p95" | "p99"): Values =>
  samples.map(({ latency }) => latency?.[name] ?? null)

const kinds: ReadonlyArray<Kind> = [
  {
    title: "Requests a second",
    series: [["succeeded", "--good"], ["failed", "--bad", [2, 3]], ["refused", "--warn", [8, 4]]],
    values: (service) => [
      perSecond(service, "success"),
      perSecond(service, "failed"),
      perSecond(service, "refused")
    ]
  },
  {
    title: "Latency of calls, ms",
    series: [["p50", "--good"], ["p95", "--warn", [8, 4]], ["p99", "--bad", [2, 3]]],
    values: (service) => [quantile(service, "p50"), quantile(service, "p95"), quantile(service, "p99")]
  }
]

const dataOf = (kind: Kind, service: Service): UPlot.AlignedData => [
  service.samples.map(({ at }) => ours(at * 1000) / 1000),
  ...kind.values(service)
]

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

const height = 190

const optionsOf = ({ series }: Kind, width: number): UPlot.Options => {
  const line = { stroke: css("--line"), width: 1 }
  const axis = { stroke: css("--soft"), grid: line, ticks: line, font: "11px system-ui, sans-serif" }
  return {
    width,
    height,
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
    axes: [axis, { ...axis, size: 46 }],
    series: [
      { value: (_, at) => at === null ? "–" : new Date(at * 1000).toLocaleTimeString() },
      ...series.map(([label, color, dash]) => ({
        label,
        stroke: css(color),
        width: 2,
        ...(dash !== undefined && { dash }),
        points: { show: false },
        value: (_: UPlot, value: number | null) => value === null ? "–" : number(value)
      }))
    ]
  }
}

const library: Promise<typeof UPlot | undefined> = document.body.dataset["plots"] === "true"
  ? import("./uplot.js").then((module) => module.default, () => undefined)
  : Promise.resolve(undefined)

export interface Plots {
  readonly draw: () => void
  readonly remove: () => void
}

/** Puts the plots of a service into a place, once the library is there. */
export const addPlots = (service: Service, place: HTMLElement): Plots => {
  let isRemoved = false
  let shown: ReadonlyArray<{ readonly kind: Kind; readonly plot: UPlot; readonly figure: HTMLElement }> = []
  const widthOf = (figure: HTMLElement) => Math.max(240, figure.clientWidth)
  const watching = new ResizeObserver(() => {
    for (const { figure, plot } of shown) {
      const width = widthOf(figure)
      if (plot.width !== width) plot.setSize({ width, height })
    }
  })
  void library.then((Plot) => {
    if (isRemoved) return
    if (Plot === undefined) {
      place.replaceChildren(make("p", "note", "Plots need the package uplot beside effect-resilience on the server."))
      return
    }
    shown = kinds.map((kind) => {
      const inner = make("div")
      inner.setAttribute("role", "img")
      inner.ariaLabel = `${kind.title}: the last five minutes, as far as this page was open`
      const figure = make("figure", "", make("figcaption", "", kind.title), inner)
      place.append(figure)
      watching.observe(figure)
      return { kind, figure, plot: new Plot(optionsOf(kind, widthOf(figure)), dataOf(kind, service), inner) }
    })
  })
  return {
    draw: () => {
      for (const { kind, plot } of shown) plot.setData(dataOf(kind, service))
    },
    remove: () => {
      isRemoved = true
      watching.disconnect()
      for (const { plot } of shown) plot.destroy()
      shown = []
    }
  }
}
