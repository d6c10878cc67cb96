/** How long calls or attempts took: a histogram for each pipeline, operation and outcome. */
import type * as Metric from "effect/Metric"
import type { Definition, Source } from "./series.ts"
import { other } from "./text.ts"

export const ofCalls = {
  name: "resilience_call_duration_seconds",
  help: "How long calls took, all their attempts and waits included, without cache and fallback."
}

export const ofAttempts = {
  name: "resilience_attempt_duration_seconds",
  help: "How long attempts took, their waits for limits included."
}

/** Undeclared names that are longer are `other`: they would be in every line of a histogram. */
const longest = 500

const outcomes: ReadonlySet<string> = new Set(["success", "failure", "overload", "ignored", "refused"])

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
  private readonly source: Source
  private readonly definition: Definition & { readonly boundaries: ReadonlyArray<number> }
  private readonly maxOperations: number
  /** Whether there is a pipeline of that name, and which operations it declares. */
  private readonly declared: (pipeline: string) => ((operation: string) => boolean) | undefined
  private readonly pipelines = new Map<string, Operations>()
  private readonly histograms = new Map<string, Histogram>()
  /** The same by pipeline, operation and outcome, of those with labels of their own. */
  private readonly quick = new Map<string, Map<string, Map<string, Histogram>>>()

  constructor(options: {
    readonly source: Source
    readonly metric: { readonly name: string; readonly help: string }
    readonly boundaries: ReadonlyArray<number>
    readonly maxOperations: number
    readonly declared: (pipeline: string) => ((operation: string) => boolean) | undefined
  }) {
    this.source = options.source
    this.definition = { kind: "histogram", ...options.metric, unit: "seconds", boundaries: options.boundaries }
    this.maxOperations = options.maxOperations
    this.declared = options.declared
  }

  record(pipeline: string, operation: string, outcome: string, seconds: number): void {
    // a policy of somebody's own may tell of anything
    if (!outcomes.has(outcome) || !(seconds >= 0 && seconds < Infinity)) return
    const known = this.quick.get(pipeline)?.get(operation)?.get(outcome)
    const histogram = known ?? this.histogramOf(pipeline, operation, outcome)
    histogram.record(seconds)
  }

  private histogramOf(pipeline: string, operation: string, outcome: string): Histogram {
    const labels: Record<string, string> = { ...this.labels(pipeline, operation), outcome }
    const key = JSON.stringify(labels)
    let histogram = this.histograms.get(key)
    if (histogram === undefined) {
      const made = histogram = new Histogram(this.definition.boundaries)
      this.histograms.set(key, made)
      this.source.histogram(this.definition, labels, () => made.state)
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
      if (isDeclared === undefined) return { pipeline: other }
      operations = { isDeclared, seen: new Set() }
      this.pipelines.set(pipeline, operations)
    }
    if (operation === "") return { pipeline }
    const { isDeclared, seen } = operations
    if (seen.has(operation) || isDeclared(operation)) return { pipeline, operation }
    if (seen.size >= this.maxOperations || operation.length > longest) return { pipeline, operation: other }
    seen.add(operation)
    return { pipeline, operation }
  }
}
