/** Series in Effect's metric registry whose values are set by whoever reads, and which go when nobody sets them. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** A metric: its name, what it means, and whether it only ever grows. */
export interface Definition {
  readonly kind: "counter" | "gauge"
  readonly name: string
  readonly help: string
  /** As OpenTelemetry takes it, where the value is one of something. */
  readonly unit?: string | undefined
}

export type Labels = Readonly<Record<string, string>>

interface Series {
  value: number
  /** The last reading that has set it. */
  seen: number
  readonly registration: Metric.Registration
}

/** The attributes of a series; Effect's exporters read the unit from among them. */
export const attributesOf = (labels: Labels, unit: string | undefined): Record<string, string> =>
  unit === undefined ? { ...labels } : { ...labels, unit }

export class PullSeries {
  private readonly context: Context.Context<never>
  private readonly series = new Map<string, Series>()
  private reading = 0

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  /** What `read` sets is all that there is, from now on. */
  update(read: (set: (metric: Definition, labels: Labels, value: number) => void) => void): void {
    this.reading++
    read((metric, labels, value) => {
      const key = JSON.stringify([metric.name, labels])
      const known = this.series.get(key)
      if (known === undefined) {
        this.series.set(key, this.register(metric, labels, value))
      } else {
        known.value = value
        known.seen = this.reading
      }
    })
    for (const [key, { registration, seen }] of this.series) {
      if (seen === this.reading) continue
      registration.remove()
      this.series.delete(key)
    }
  }

  removeAll(): void {
    for (const { registration } of this.series.values()) registration.remove()
    this.series.clear()
  }

  private register({ help, kind, name, unit }: Definition, labels: Labels, value: number): Series {
    const options = { description: help, attributes: attributesOf(labels, unit) }
    const read = () => series.value
    const registration = kind === "counter"
      ? Metric.registerUnsafe(Metric.counter(name, { ...options, incremental: true }), this.context, {
        get: () => ({ count: read(), incremental: true }),
        update: ignore,
        modify: ignore
      })
      : Metric.registerUnsafe(Metric.gauge(name, options), this.context, {
        get: () => ({ value: read() }),
        update: ignore,
        modify: ignore
      })
    const series: Series = { value, seen: this.reading, registration }
    return series
  }
}

const ignore = () => {}
