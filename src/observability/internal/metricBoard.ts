/**
 * What all `Metrics` layers over one metric registry have there.
 *
 * A registry keeps one series for each name and set of labels. Where two layers
 * have the same, the first tells of it, and the other when that is closed. Whoever
 * reads the registry reads a gauge before all others, which makes them new.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Semaphore from "effect/Semaphore"
import { guarded } from "../../internal/guarded.ts"
import type { Resilience } from "../../Resilience.ts"
import type { Definition, Series } from "./series.ts"

/** One layer: what it reads, and how. */
export interface Reader {
  readonly resilience: Resilience["Service"]
  /** Sets all of its series; never fails. */
  readonly read: Effect.Effect<void>
}

/** The series of one name that are told of. */
export interface Family {
  readonly definition: Definition
  readonly series: Set<Series>
}

const pipelines: Definition = { kind: "gauge", name: "resilience_pipelines", help: "Pipelines that there are." }
const lost: Definition = {
  kind: "counter",
  name: "resilience_events_lost_total",
  help: "Events that came faster than somebody who listens has taken them."
}

const boards = /*#__PURE__*/ new WeakMap<Metric.MetricRegistry, MetricBoard>()

export class MetricBoard {
  /** The board of a registry, as long as somebody reads for it. */
  static of(context: Context.Context<never>): MetricBoard {
    const registry = Context.get(context, Metric.MetricRegistry)
    let board = boards.get(registry)
    if (board === undefined) boards.set(registry, board = new MetricBoard(registry))
    return board
  }

  /** One at a time: two texts in the making would only cost twice as much at once. */
  readonly turn = Semaphore.makeUnsafe(1)
  readonly families = new Map<string, Family>()
  private readonly registry: Metric.MetricRegistry
  private readonly context: Context.Context<never>
  private readonly readers = new Set<Reader>()
  private readonly claims = new Map<string, Array<Series>>()
  private readonly registrations = new Map<Series, Metric.Registration>()
  private own: ReadonlyArray<Metric.Registration> = []

  private constructor(registry: Metric.MetricRegistry) {
    this.registry = registry
    // labels are complete; nothing is added to them here
    this.context = Context.make(Metric.MetricRegistry, registry)
  }

  /** Reads all, each by its reader. */
  readonly read: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.readers], ({ read }) => read, { discard: true })
  )

  join(reader: Reader): void {
    this.readers.add(reader)
    if (this.own.length > 0) return
    // a registry is read in the order in which it was filled
    this.own = [
      this.register(pipelines, {}, () => {
        guarded(() => Effect.runSyncWith(this.context)(this.read))
        return { value: this.pipelines }
      }),
      this.register(lost, {}, () => ({ count: this.lost, incremental: true }))
    ]
  }

  leave(reader: Reader): void {
    this.readers.delete(reader)
    if (this.readers.size > 0) return
    for (const registration of this.own) registration.remove()
    this.own = []
  }

  claim(series: Series): void {
    const claims = this.claims.get(series.key)
    if (claims !== undefined) claims.push(series)
    else {
      this.claims.set(series.key, [series])
      this.tell(series)
    }
  }

  release(series: Series): void {
    const { key } = series
    const claims = this.claims.get(key)?.filter((one) => one !== series) ?? []
    const [next] = claims
    if (next === undefined) this.claims.delete(key)
    else this.claims.set(key, claims)
    const registration = this.registrations.get(series)
    if (registration === undefined) return
    registration.remove()
    this.registrations.delete(series)
    const { name } = series.definition
    const family = this.families.get(name)
    family?.series.delete(series)
    if (family?.series.size === 0) this.families.delete(name)
    if (next !== undefined) this.tell(next)
  }

  /** What tells of the layers themselves, and not of a pipeline. */
  get ofAll(): ReadonlyArray<readonly [Definition, number]> {
    return [[pipelines, this.pipelines], [lost, this.lost]]
  }

  /** The registry without what is on the board; its names are nobody else's. */
  get others(): Metric.MetricRegistry {
    const others: Metric.MetricRegistry = new Map()
    for (const [key, metadata] of this.registry) {
      const { id } = metadata
      if (!this.families.has(id) && id !== pipelines.name && id !== lost.name) others.set(key, metadata)
    }
    return others
  }

  private get services(): ReadonlyArray<Resilience["Service"]> {
    return [...new Set(Array.from(this.readers, ({ resilience }) => resilience))]
  }

  private get pipelines(): number {
    const names = this.services.flatMap(({ pipelines }) => [
      ...guarded(() => Effect.runSyncWith(this.context)(pipelines).keys()) ?? []
    ])
    return new Set(names).size
  }

  private get lost(): number {
    let sum = 0
    for (const { lost } of this.services) sum += guarded(() => Effect.runSyncWith(this.context)(lost)) ?? 0
    return sum
  }

  private tell(series: Series): void {
    const { definition, histogram, labels } = series
    let family = this.families.get(definition.name)
    if (family === undefined) this.families.set(definition.name, family = { definition, series: new Set() })
    family.series.add(series)
    const get = histogram ??
      (definition.kind === "counter"
        ? () => ({ count: series.value, incremental: true })
        : () => ({ value: series.value }))
    this.registrations.set(series, this.register(definition, labels, get))
  }

  private register(
    { boundaries = [], help, kind, name, unit }: Definition,
    labels: Readonly<Record<string, string>>,
    get: () => Metric.CounterState<number> | Metric.GaugeState<number> | Metric.HistogramState
  ): Metric.Registration {
    // Effect's exporters read the unit from among the attributes
    const options = { description: help, attributes: unit === undefined ? labels : { ...labels, unit } }
    const metric = kind === "counter"
      ? Metric.counter(name, { ...options, incremental: true })
      : kind === "gauge"
      ? Metric.gauge(name, options)
      : Metric.histogram(name, { ...options, boundaries })
    // `get` answers with what the kind of the metric has, which its definition says
    const known = metric as Metric.Metric<number, ReturnType<typeof get>>
    return Metric.registerUnsafe(known, this.context, { get, update: () => {}, modify: () => {} })
  }
}
