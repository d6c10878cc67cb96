/** Checks the options of a hedge. */
import type { Options, Quantile, Settings } from "../Hedge.ts"
import { maxSamples } from "./latencies.ts"
import { flag, integer, millisOrZero, onlyKeys, positiveMillis, refuse } from "./options.ts"

const module_ = "Hedge"
/** More attempts beside each other are no remedy for a slow one. */
const maxHedges = 100

const isQuantile = (delay: NonNullable<Options["delay"]>): delay is Quantile =>
  typeof delay === "object" && delay !== null && "quantile" in delay

const resolveQuantile = (delay: Quantile): Exclude<Settings["delay"], number> => {
  onlyKeys("Hedge.delay", delay, ["quantile", "initial", "samples", "minimumSamples", "minimum", "maximum"])
  const { initial = 1_000, maximum = Infinity, minimum = 1, quantile, samples = 1_000 } = delay
  if (!(typeof quantile === "number" && quantile > 0 && quantile < 1)) {
    refuse(module_, "delay.quantile", "above 0 and below 1", quantile)
  }
  const size = integer(module_, "delay.samples", samples, 1, maxSamples)
  // with fewer, the quantile is their maximum; 1 / (1 - 0.95) is a little above 20
  const enough = Math.ceil(1 / (1 - quantile) - 1e-9)
  const least = millisOrZero(module_, "delay.minimum", minimum)
  const most = positiveMillis(module_, "delay.maximum", maximum, { infinite: true })
  if (most < least) refuse(module_, "delay.maximum", "at least delay.minimum", maximum)
  return {
    quantile,
    initial: millisOrZero(module_, "delay.initial", initial, { infinite: true }),
    samples: size,
    minimumSamples: integer(
      module_,
      "delay.minimumSamples",
      delay.minimumSamples ?? Math.min(enough, size),
      1,
      size
    ),
    minimum: least,
    maximum: most
  }
}

/** `others` are options that are looked at elsewhere. */
export const resolve = (options: Options, others: ReadonlyArray<string> = []): Settings => {
  onlyKeys(module_, options, ["hedges", "delay", "awaitLosers", ...others])
  const { awaitLosers = false, delay = { quantile: 0.95 }, hedges = 1 } = options
  return {
    hedges: integer(module_, "hedges", hedges, 0, maxHedges),
    delay: isQuantile(delay) ? resolveQuantile(delay) : millisOrZero(module_, "delay", delay, { infinite: true }),
    awaitLosers: flag(module_, "awaitLosers", awaitLosers)
  }
}
