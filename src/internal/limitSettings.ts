/** Checks the options of an adaptive limit. */
import type { Algorithm, Options, Settings } from "../AdaptiveLimit.ts"
import { integer, onlyKeys, positiveMillis, refuse, share } from "./options.ts"
import { resolveQueue } from "./permits.ts"

const module_ = "AdaptiveLimit"

/** Returns `value` if it is a finite number that the test accepts. */
const number = (option: string, value: number, mustBe: string, isFit: (value: number) => boolean): number =>
  Number.isFinite(value) && isFit(value) ? value : refuse(module_, `algorithm.${option}`, mustBe, value)

const count = (option: string, value: number): number => integer(module_, `algorithm.${option}`, value, 1)

const resolveAlgorithm = (algorithm: Algorithm): Settings["algorithm"] => {
  const where = "AdaptiveLimit.algorithm"
  switch (algorithm?.kind) {
    case "aimd": {
      onlyKeys(where, algorithm, ["kind", "ratio", "timeout"])
      const { ratio = 0.9, timeout } = algorithm
      return {
        kind: "aimd",
        ratio: number("ratio", ratio, "from 0.5 to below 1", (ratio) => ratio >= 0.5 && ratio < 1),
        timeout: timeout === undefined
          ? Infinity
          : positiveMillis(module_, "algorithm.timeout", timeout, { infinite: true })
      }
    }
    case "vegas": {
      onlyKeys(where, algorithm, ["kind", "alpha", "beta", "probe", "samples"])
      const { alpha = 3, beta = 6, probe = 30, samples = 10 } = algorithm
      return {
        kind: "vegas",
        alpha: number("alpha", alpha, "a number >= 1", (alpha) => alpha >= 1),
        beta: number("beta", beta, `a number of at least alpha, ${alpha}`, (beta) => beta >= alpha),
        probe: count("probe", probe),
        samples: count("samples", samples)
      }
    }
    case "gradient2": {
      onlyKeys(where, algorithm, ["kind", "smoothing", "queueSize", "longWindow", "samples"])
      const { longWindow = 600, queueSize = 4, samples = 10, smoothing = 0.2 } = algorithm
      return {
        kind: "gradient2",
        smoothing: share(module_, "algorithm.smoothing", smoothing),
        queueSize: number("queueSize", queueSize, "a number above 0", (size) => size > 0),
        longWindow: count("longWindow", longWindow),
        samples: count("samples", samples)
      }
    }
  }
  return refuse(module_, "algorithm.kind", "aimd, vegas or gradient2", algorithm)
}

const resolveShares = (shares: NonNullable<Options["shares"]>): Settings["shares"] => {
  onlyKeys("AdaptiveLimit.shares", shares, ["sheddable", "background"])
  const sheddable = share(module_, "shares.sheddable", shares.sheddable ?? 0.8)
  const background = share(module_, "shares.background", shares.background ?? Math.min(0.5, sheddable))
  if (background > sheddable) {
    refuse(module_, "shares.background", `at most that of sheddable, ${sheddable}`, background)
  }
  return { sheddable, background }
}

export const resolve = (options: Options): Settings => {
  onlyKeys(module_, options, ["algorithm", "initial", "min", "max", "shares", "queue", "wait"])
  const { algorithm = { kind: "gradient2" }, min = 1, shares = {} } = options
  integer(module_, "min", min, 1)
  const { max = Math.max(200, min) } = options
  integer(module_, "max", max, min)
  const { initial = Math.min(max, Math.max(min, 20)) } = options
  return {
    algorithm: resolveAlgorithm(algorithm),
    initial: integer(module_, "initial", initial, min, max),
    min,
    max,
    shares: resolveShares(shares),
    ...resolveQueue(module_, options)
  }
}
