/** How long calls or attempts took: a histogram for each pipeline, operation and outcome. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import { attributesOf } from "./pullSeries.ts"

/** What stands for names that nobody has declared, or that are too many. */
export const other = "other"

export const ofCalls = {
  name: "resilience_call_duration_seconds",
  help: "How long calls took, all their attempts and waits included, without cache and fallback."
}

export const ofAttempts = {
  name: "resilience_attempt_duration_seconds",
  help: "How long attempts took, their waits for limits included."
}

class Histogram {
  private readonly boundaries: ReadonlyArray<number>
  private readonly counts: Array<number>
  private count = 0
  private sum = 0
  private min = Infinity
  private max = 0

  constructor(boundaries: ReadonlyArray<number>) {
    this.boundaries = boundaries
    this.counts = boundaries.map(() => 0)
  }

  record(seconds: number): void {
    this.count++
    this.sum += seconds
    this.min = Math.min(this.min, seconds)
    this.max = Math.max(this.max, seconds)
    const bucket = this.boundaries.findIndex((boundary) => seconds <= boundary)
    const count = this.counts[bucket]
    if (count !== undefined) this.counts[bucket] = count + 1
  }

  get state(): Metric.HistogramState {
    let upTo = 0
    const buckets = this.counts.map((count, n): [number, number] => [this.boundaries[n] ?? Infinity, upTo += count])
    const { count, max, min, sum } = this
    return { buckets, count, min, max, sum }
  }
}

/** Which operations of a pipeline have a label of their own. */
interface Operations {
  readonly isDeclared: (operation: string) => boolean
  readonly seen: Set<string>
}

export class LatencyHistograms {
  private readonly metric: { readonly name: string; readonly help: string }
  private readonly context: Context.Context<never>
  private readonly boundaries: ReadonlyArray<number>
  private readonly maxOperations: number
  /** Whether there is a pipeline of that name, and which operations it declares. */
  private readonly declared: (pipeline: string) => ((operation: string) => boolean) | undefined
  private readonly pipelines = new Map<string, Operations>()
  private readonly histograms = new Map<string, Histogram>()
  /** The same by pipeline, operation and outcome, of those with labels of their own. */
  private readonly quick = new Map<string, Map<string, Map<string, Histogram>>>()
  private readonly registrations: Array<Metric.Registration> = []

  constructor(options: {
    readonly metric: { readonly name: string; readonly help: string }
    readonly context: Context.Context<never>
    readonly boundaries: ReadonlyArray<number>
    readonly maxOperations: number
    readonly declared: (pipeline: string) => ((operation: string) => boolean) | undefined
  }) {
    this.metric = options.metric
    this.context = options.context
    this.boundaries = options.boundaries
    this.maxOperations = options.maxOperations
    this.declared = options.declared
  }

  record(pipeline: string, operation: string, outcome: string, seconds: number): void {
    const known = this.quick.get(pipeline)?.get(operation)?.get(outcome)
    const histogram = known ?? this.histogramOf(pipeline, operation, outcome)
    histogram.record(seconds)
  }

  private histogramOf(pipeline: string, operation: string, outcome: string): Histogram {
    const labels: Record<string, string> = { ...this.labels(pipeline, operation), outcome }
    const key = JSON.stringify(labels)
    let histogram = this.histograms.get(key)
    if (histogram === undefined) {
      const made = histogram = new Histogram(this.boundaries)
      this.histograms.set(key, made)
      const metric = Metric.histogram(this.metric.name, {
        description: this.metric.help,
        attributes: attributesOf(labels, "seconds"),
        boundaries: this.boundaries
      })
      this.registrations.push(Metric.registerUnsafe(metric, this.context, {
        get: () => made.state,
        update: () => {},
        modify: () => {}
      }))
    }
    const isOwn = labels["pipeline"] === pipeline && (labels["operation"] ?? "") === operation
    if (isOwn) {
      const operations = this.quick.get(pipeline) ?? new Map<string, Map<string, Histogram>>()
      const outcomes = operations.get(operation) ?? new Map<string, Histogram>()
      this.quick.set(pipeline, operations.set(operation, outcomes.set(outcome, histogram)))
    }
    return histogram
  }

  private labels(pipeline: string, operation: string): Record<string, string> {
    let operations = this.pipelines.get(pipeline)
    if (operations === undefined) {
      const isDeclared = this.declared(pipeline)
      // a policy of somebody's own may tell of anything
      if (isDeclared === undefined) return { pipeline: other }
      operations = { isDeclared, seen: new Set() }
      this.pipelines.set(pipeline, operations)
    }
    if (operation === "") return { pipeline }
    const { isDeclared, seen } = operations
    if (seen.has(operation) || isDeclared(operation)) return { pipeline, operation }
    if (seen.size >= this.maxOperations) return { pipeline, operation: other }
    seen.add(operation)
    return { pipeline, operation }
  }

  removeAll(): void {
    for (const registration of this.registrations) registration.remove()
  }
}
