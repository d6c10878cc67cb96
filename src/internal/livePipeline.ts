/** A pipeline that can be reconfigured while it runs. */
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import type { CircuitBreaker } from "../CircuitBreaker.ts"
import * as Fallback from "../Fallback.ts"
import type { CallOptions, Counts, Options, Pipeline, PipelineError, Settings, Stated, Tuning } from "../Pipeline.ts"
import * as Resilience from "../Resilience.ts"
import { compose, type Composition } from "./composition.ts"
import type * as counters from "./counters.ts"
import { tune } from "./pipelineSettings.ts"
import { isTraced } from "./spans.ts"

/** What holds at one time: the settings, and the compositions of the pipeline and of its operations. */
interface Current {
  readonly tuning: Tuning
  readonly settings: Settings
  readonly whole: Composition
  readonly operations: ReadonlyMap<string, Composition>
}

class LivePipeline implements Pipeline<PipelineError> {
  readonly name: string
  readonly declared: Options
  private current: Current
  private readonly counters: counters.Counters
  private readonly resilience: Resilience.Resilience["Service"]
  private readonly fuses: boolean
  readonly counts: Effect.Effect<Counts>

  constructor(
    declared: Options,
    current: Current,
    counted: counters.Counters,
    resilience: Resilience.Resilience["Service"],
    fuses: boolean
  ) {
    this.fuses = fuses
    this.name = current.settings.name
    this.declared = declared
    this.current = current
    this.counters = counted
    this.resilience = resilience
    this.counts = Effect.sync(() => ({ ...this.counters }))
  }

  get tuning(): Tuning {
    return this.current.tuning
  }

  get settings(): Settings {
    return this.current.settings
  }

  get circuitBreaker(): CircuitBreaker | undefined {
    return this.current.whole.circuitBreaker
  }

  /**
   * Composes once, and again only after a reconfiguration, or for a caller who is
   * traced where the last was not. A call that has begun ends as it was composed.
   */
  private following<A>(
    options: { readonly operation?: string | undefined },
    by: (composition: Composition, traced: boolean) => A
  ): (traced: boolean) => A {
    let composed: { readonly of: Current; readonly traced: boolean; readonly as: A } | undefined
    return (traced) => {
      const { current } = this
      if (composed === undefined || composed.of !== current || composed.traced !== traced) {
        const own = current.operations.size === 0 || options.operation === undefined
          ? undefined
          : current.operations.get(options.operation)
        composed = { of: current, traced, as: by(own ?? current.whole, traced) }
      }
      return composed.as
    }
  }

  readonly protect: Pipeline<PipelineError>["protect"] = (<A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E> & {
      readonly fallback?: Fallback.Handler<E | PipelineError, unknown, unknown, unknown>
    } = {}
  ) => {
    if (this.resilience.test?.passThrough === true) {
      return options.fallback === undefined ? self : Fallback.orElse(self, options.fallback)
    }
    const composed = this.following(options, ({ protect }, traced) => protect(self, options, traced))
    return Effect.withFiber((fiber) => composed(isTraced(fiber)))
    // what a fallback leaves and adds, if there is one, is in the type alone
  }) as Pipeline<PipelineError>["protect"]

  readonly protectStream: Pipeline<PipelineError>["protectStream"] = (self, options = {}) => {
    if (this.resilience.test?.passThrough === true) return self
    const composed = this.following(options, ({ protectStream }) => protectStream(self, options))
    // it finds out by itself, when it is opened
    return Stream.suspend(() => composed(false))
  }

  readonly reconfigure = (options: Tuning): Effect.Effect<void> => {
    const { declared, name } = this
    const settings = tune(name, declared, options)
    const change = Effect.map(build(settings, options, this.resilience, this.counters, this.fuses, true), (current) => {
      this.current = current
      this.resilience.publish("Reconfigured", (at) => ({ _tag: "Reconfigured", at, pipeline: name }))
    })
    // parts and composition change together, whoever else changes them
    return Effect.uninterruptible(Effect.provideService(change, Scheduler.PreventSchedulerYield, true))
  }
}

/** What the compiler cannot see of a part whose kind it does not know: that it takes the settings of its kind. */
interface Reconfigurable<S> {
  readonly reconfigure: (settings: S) => Effect.Effect<void>
}

/** The parts of some settings: those that there are already, with these settings from now on, and new ones. */
const partsOf = (settings: Settings, resilience: Resilience.Resilience["Service"], changes: boolean) => {
  const part = <K extends keyof Resilience.Parts>(
    kind: K,
    chosen: Stated<Resilience.Parts[K]["settings"]> | undefined
  ): Effect.Effect<Resilience.Parts[K] | undefined> =>
    chosen === undefined ?
      Effect.undefined :
      !changes ?
      resilience.part(kind, chosen.name, chosen.settings) :
      Effect.flatMap(resilience.parts(kind), (parts) => {
        const existing = parts.get(chosen.name)
        // a part of each kind is reconfigured by the settings of that kind
        return existing === undefined
          ? resilience.part(kind, chosen.name, chosen.settings)
          : Effect.as((existing as Reconfigurable<typeof chosen.settings>).reconfigure(chosen.settings), existing)
      })
  return Effect.all({
    circuitBreaker: part("circuitBreaker", settings.circuitBreaker),
    keyedCircuitBreaker: part("keyedCircuitBreaker", settings.keyedCircuitBreaker),
    bulkhead: part("bulkhead", settings.bulkhead),
    adaptiveLimit: part("adaptiveLimit", settings.adaptiveLimit),
    rateLimit: part("rateLimit", settings.rateLimit),
    throttle: part("throttle", settings.throttle),
    retryBudget: part("retryBudget", settings.retryBudget),
    hedge: part("hedge", settings.hedge),
    cache: part("cache", settings.cache)
  })
}

const build = Effect.fnUntraced(function*(
  settings: Settings,
  tuning: Tuning,
  resilience: Resilience.Resilience["Service"],
  counted: counters.Counters,
  fuses: boolean,
  changes: boolean
) {
  const composition = (settings: Settings) =>
    Effect.map(partsOf(settings, resilience, changes), (parts) => compose(settings, parts, resilience, counted, fuses))
  const operations = new Map<string, Composition>()
  const whole = yield* composition(settings)
  for (const [operation, own] of settings.operations) operations.set(operation, yield* composition(own))
  return { tuning, settings, whole, operations }
})

/** The pipeline that has the name of these settings, or a new one. Only tests want one that is never fused. */
export const make = Effect.fnUntraced(function*(settings: Settings, fuses: boolean = true) {
  const resilience = yield* Resilience.Resilience
  const { name, options } = settings
  const named = resilience.named(name, options)
  if (named !== undefined) return named
  const tuning = resilience.tuning.get(name)
  const counted = resilience.counted(name)
  const tuned = tuning === undefined ? settings : tune(name, options, tuning)
  const current = yield* build(tuned, tuning ?? {}, resilience, counted, fuses, false)
  return resilience.adopt(new LivePipeline(options, current, counted, resilience, fuses))
})
