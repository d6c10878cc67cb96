/** What the calls of one hedge share: settings, recent latencies, counters. */
import type { Settings } from "../Hedge.ts"
import { Latencies } from "./latencies.ts"

export class HedgeState {
  settings: Settings
  /** Calls, hedges that were started, and hedges that have won. */
  calls = 0
  started = 0
  won = 0
  /** Of first attempts; `undefined` where the delay is fixed. */
  private latencies: Latencies | undefined

  constructor(settings: Settings) {
    this.settings = settings
    this.latencies = latenciesFor(settings, undefined)
  }

  reconfigure(settings: Settings): void {
    this.latencies = latenciesFor(settings, this.latencies)
    this.settings = settings
  }

  /** The delay before a hedge, in milliseconds. */
  get delay(): number {
    const { latencies, settings: { delay } } = this
    if (typeof delay === "number") return delay
    return latencies === undefined || latencies.samples < delay.minimumSamples
      ? delay.initial
      : Math.min(delay.maximum, Math.max(delay.minimum, latencies.read()))
  }

  /** Whether latencies are asked for. */
  get samples(): boolean {
    return this.latencies !== undefined
  }

  sample(millis: number): void {
    this.latencies?.add(millis)
  }
}

/** Keeps the latencies that there are, unless they are to be looked at in another way. */
const latenciesFor = ({ delay }: Settings, former: Latencies | undefined): Latencies | undefined => {
  if (typeof delay === "number") return undefined
  return former?.size === delay.samples && former.quantile === delay.quantile
    ? former
    : new Latencies(delay.samples, delay.quantile)
}
