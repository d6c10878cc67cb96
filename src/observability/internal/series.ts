/** Series of metrics whose values are set by whoever reads, and which go when nobody sets them. */
import type * as Metric from "effect/Metric"
import type { MetricBoard } from "./metricBoard.ts"
import { wellFormed } from "./text.ts"

/** A metric: its name, what it means, and whether it only ever grows. */
export interface Definition {
  readonly kind: "counter" | "gauge" | "histogram"
  readonly name: string
  readonly help: string
  /** As OpenTelemetry takes it, where the value is one of something. */
  readonly unit?: string | undefined
  /** Whether what was counted may be given back. A counter never falls, so it stays until it is passed. */
  readonly isNet?: boolean | undefined
  /** Of a histogram: the upper bounds of its buckets. */
  readonly boundaries?: ReadonlyArray<number> | undefined
}

export type Labels = Readonly<Record<string, string>>

/** Values under the labels of one metric. */
export class Series {
  readonly definition: Definition
  readonly labels: Labels
  /** The same for all that an exporter could not tell apart. */
  readonly key: string
  /** Of a histogram, in place of a value. */
  readonly histogram: (() => Metric.HistogramState) | undefined
  value = 0
  /** The last reading that has set it. */
  seen = 0
  /** Its labels as whoever writes them does, once. */
  text: string | undefined = undefined

  constructor(definition: Definition, labels: Labels, histogram?: () => Metric.HistogramState) {
    this.definition = definition
    this.labels = labels
    this.key = JSON.stringify([definition.name, labels])
    this.histogram = histogram
  }
}

/** Sets a value; the further label is told where it has a name. */
export type Setter = (definition: Definition, value: number, label?: string, of?: string) => void

/** What has labels in common, and its series by their metric and their further label. */
interface Owner {
  readonly labels: Labels
  readonly series: Map<Definition, Map<string, Series>>
}

/** The series of one who reads. */
export class Source {
  private readonly board: MetricBoard
  private readonly common: Labels
  private readonly owners = new Map<string, Owner>()
  private readonly histograms: Array<Series> = []
  private reading = 0
  /** How many series there are, and how many of them this reading has set. */
  private size = 0
  private set = 0

  /** All series have the labels `common`. */
  constructor(board: MetricBoard, common: Labels) {
    this.board = board
    this.common = common
  }

  /** The number of a reading that begins. What an earlier one has not set yet is no longer its to set. */
  begin(): number {
    this.set = 0
    return ++this.reading
  }

  isLatest(reading: number): boolean {
    return reading === this.reading
  }

  /** What sets the series that have these labels. What is set twice within a reading is the sum. */
  of(labels: Labels): Setter {
    const oneOf = this.owned(labels)
    return (definition, value, label, of) => {
      const one = oneOf(definition, label, of)
      if (definition.isNet === true) one.value = Math.max(one.value, value)
      else one.value = one.seen === this.reading ? one.value + value : value
      this.see(one)
    }
  }

  /** What makes the series that have these labels where there are none: of a policy that the next reading will find. */
  making(labels: Labels): Setter {
    const oneOf = this.owned(labels)
    return (definition, _, label, of) => {
      const { size } = this
      const one = oneOf(definition, label, of)
      // what has not read it must not take it for gone
      if (this.size > size) this.see(one)
    }
  }

  private see(one: Series): void {
    if (one.seen !== this.reading) this.set++
    one.seen = this.reading
  }

  private owned(labels: Labels): (definition: Definition, label?: string, of?: string) => Series {
    const key = JSON.stringify(labels)
    let owner = this.owners.get(key)
    if (owner === undefined) this.owners.set(key, owner = { labels: this.complete(labels), series: new Map() })
    const { labels: own, series: all } = owner
    return (definition, label = "", of = "") => {
      let series = all.get(definition)
      if (series === undefined) all.set(definition, series = new Map())
      let one = series.get(of)
      if (one === undefined) {
        one = new Series(definition, label === "" ? own : { ...own, [label]: wellFormed(of) })
        series.set(of, one)
        this.size++
        this.board.claim(one)
      }
      return one
    }
  }

  /** What was not set within this reading is gone. */
  end(): void {
    if (this.set === this.size) return
    for (const [key, { series: all }] of this.owners) {
      for (const [definition, series] of all) {
        for (const [of, one] of series) {
          if (one.seen === this.reading) continue
          series.delete(of)
          this.size--
          this.board.release(one)
        }
        if (series.size === 0) all.delete(definition)
      }
      if (all.size === 0) this.owners.delete(key)
    }
  }

  histogram(definition: Definition, labels: Labels, state: () => Metric.HistogramState): void {
    const series = new Series(definition, this.complete(labels), state)
    this.histograms.push(series)
    this.board.claim(series)
  }

  /** All of it is gone. */
  close(): void {
    this.begin()
    this.end()
    for (const series of this.histograms) this.board.release(series)
  }

  private complete(labels: Labels): Labels {
    const complete: Record<string, string> = {}
    for (const [name, value] of Object.entries(labels)) complete[name] = wellFormed(value)
    return { ...complete, ...this.common }
  }
}
