/**
 * How the limit of an `AdaptiveLimit` follows from what its calls meet. Latencies
 * are in milliseconds. Whatever they are, the limit is a whole number within its
 * bounds.
 */
import type { Settings } from "../AdaptiveLimit.ts"

export interface Algorithm {
  /** The limit that holds now. */
  readonly limit: number
  readonly usesLatency: boolean
  /** The round that a call begins in. */
  readonly round: number
  readonly estimates: Estimates
  /** Changes the bounds, and keeps what has been learnt. */
  bound(min: number, max: number): void
  /**
   * A call has ended: with its latency, or without one where it was dropped.
   * `inFlight` is how many there were when it began, itself included.
   */
  record(latency: number | undefined, inFlight: number, round: number): void
}

/** What an algorithm has found out. In milliseconds, but for `limit`. */
interface Estimates {
  /** The limit before it is rounded down. */
  readonly limit: number
  /** The latency of late; absent as long as there is none. */
  readonly latency: number | undefined
  /** The latency that it is compared with. */
  readonly baseline: number | undefined
}

/** Makes an algorithm that starts from a limit within the bounds. */
export const make = ({ algorithm, max, min }: Settings, start: number): Algorithm => {
  switch (algorithm.kind) {
    case "aimd":
      return new Aimd(algorithm, start, min, max)
    case "vegas":
      return new Vegas(algorithm, start, min, max)
    case "gradient2":
      return new Gradient2(algorithm, start, min, max)
  }
}

type Of<Kind> = Extract<Settings["algorithm"], { readonly kind: Kind }>

// a clock may stand still, jump, or run backward; sums and ratios of what is within these stay finite
const leastLatency = 0.001
const mostLatency = 1e9

const sane = (latency: number): number => latency > leastLatency ? Math.min(latency, mostLatency) : leastLatency

abstract class Bounded {
  protected min: number
  private max: number
  private current: number

  constructor(start: number, min: number, max: number) {
    this.current = start
    this.min = min
    this.max = max
  }

  get estimate(): number {
    return this.current
  }
  set estimate(value: number) {
    this.current = Math.min(this.max, Math.max(this.min, value))
  }

  get limit(): number {
    return Math.floor(this.current)
  }

  bound(min: number, max: number): void {
    this.min = min
    this.max = max
    this.estimate = this.current
  }
}

/**
 * Additive increase, multiplicative decrease, call by call (Netflix
 * concurrency-limits, `AIMDLimit`): `limit + 1` after a success that began with
 * at least half of the limit in flight, `min(limit - 1, limit * ratio)` after a
 * drop.
 */
class Aimd extends Bounded implements Algorithm {
  readonly round = 0
  private readonly ratio: number
  private readonly timeout: number

  constructor({ ratio, timeout }: Of<"aimd">, start: number, min: number, max: number) {
    super(start, min, max)
    this.ratio = ratio
    this.timeout = timeout
  }

  get usesLatency(): boolean {
    return this.timeout !== Infinity
  }

  get estimates(): Estimates {
    return { limit: this.estimate, latency: undefined, baseline: undefined }
  }

  record(latency: number | undefined, inFlight: number): void {
    const { limit } = this
    if (latency === undefined || latency > this.timeout) {
      this.estimate = Math.min(limit - 1, Math.floor(limit * this.ratio))
    } else if (inFlight * 2 >= limit) {
      this.estimate = limit + 1
    }
  }
}

/**
 * An algorithm that changes the limit once in a round. A round ends when as many
 * calls that began in it have ended as the limit allows at once, at least
 * `samples`. So each change is judged by calls that have all met it, and
 * latencies are averages.
 */
abstract class Rounds extends Bounded {
  round = 0
  readonly usesLatency = true
  protected latency: number | undefined = undefined
  protected baseline: number | undefined = undefined
  private readonly samples: number
  private successes = 0
  private drops = 0
  private total = 0
  private peak = 0

  constructor(samples: number, start: number, min: number, max: number) {
    super(start, min, max)
    this.samples = samples
  }

  get estimates(): Estimates {
    const { baseline, estimate, latency } = this
    return { limit: estimate, latency, baseline }
  }

  record(latency: number | undefined, inFlight: number, round: number): void {
    if (round !== this.round) return
    if (latency === undefined) this.drops++
    else {
      this.successes++
      this.total += sane(latency)
    }
    this.peak = Math.max(this.peak, inFlight)
    const { drops, peak, successes, total } = this
    const calls = successes + drops
    if (calls < Math.max(this.samples, this.limit)) return
    this.successes =
      this.drops =
      this.total =
      this.peak =
        0
    this.round++
    this.turn(successes === 0 ? undefined : total / successes, drops / calls, peak)
  }

  /** A round has ended: the average latency of its successes, the share of drops, the most in flight. */
  abstract turn(latency: number | undefined, dropped: number, peak: number): void
}

/**
 * Vegas (Brakmo, O'Malley, Peterson, 1994; Netflix concurrency-limits,
 * `VegasLimit`): keeps the number of calls that stand in the dependency's queue
 * between two bounds. That number is `limit * (1 - baseline / latency)`, where
 * `baseline` is the least latency seen. With `l = max(1, floor(log10(limit)))`:
 *
 * - a queue of at most `l`: `limit + beta * l`
 * - below `alpha * l`: `limit + l`
 * - above `beta * l`: `limit - l`
 * - each drop: `limit - l`
 *
 * and no change by latency with less than half of the limit in flight.
 *
 * After `probe` rounds the baseline is measured anew, in a round with half of the
 * limit: one that was measured with a queue would let the next queue be longer,
 * and so on. Where nothing is queued the limit has grown to more than twice what
 * is needed, so that the half of it is enough.
 */
class Vegas extends Rounds implements Algorithm {
  private readonly options: Of<"vegas">
  private rounds = 0
  private isProbing = false

  constructor(options: Of<"vegas">, start: number, min: number, max: number) {
    super(options.samples, start, min, max)
    this.options = options
  }

  override get limit(): number {
    return this.isProbing ? Math.max(this.min, Math.floor(this.estimate / 2)) : super.limit
  }

  private get step(): number {
    return Math.max(1, Math.floor(Math.log10(this.estimate)))
  }

  override record(latency: number | undefined, inFlight: number, round: number): void {
    // in whatever round it began
    if (latency === undefined) this.estimate -= this.step
    super.record(latency, inFlight, round)
  }

  turn(latency: number | undefined, _dropped: number, peak: number): void {
    if (latency === undefined) return
    this.latency = latency
    if (this.isProbing) {
      this.baseline = latency
      this.isProbing = false
      this.rounds = 0
      return
    }
    this.baseline = Math.min(this.baseline ?? latency, latency)
    const { baseline, estimate, step } = this
    const { alpha, beta, probe } = this.options
    const queued = Math.ceil(estimate * (1 - baseline / latency))
    if (peak * 2 >= estimate) {
      if (queued <= step) this.estimate = estimate + beta * step
      else if (queued < alpha * step) this.estimate = estimate + step
      else if (queued > beta * step) this.estimate = estimate - step
    }
    this.isProbing = ++this.rounds >= probe
  }
}

/**
 * Gradient (Netflix concurrency-limits, `Gradient2Limit`): compares the latency of
 * a round with its average over many, and leaves room for a queue:
 *
 * - `gradient = max(0.5, min(1, baseline / latency))`
 * - `next = limit * gradient + queueSize`
 * - `limit * (1 - smoothing) + next * smoothing`
 *
 * and no change with less than half of the limit in flight. The baseline is an
 * exponential average with a factor of `2 / (longWindow + 1)`, and a plain one
 * over the first ten rounds; where it is more than twice the latency, a tenth is
 * taken off it.
 *
 * Netflix's looks at latency alone, so that a dependency that fails fast seems to
 * do well. Here a drop is a call with the least gradient, 0.5, and the round's is
 * the average of its calls'.
 */
class Gradient2 extends Rounds implements Algorithm {
  private readonly options: Of<"gradient2">
  private rounds = 0

  constructor(options: Of<"gradient2">, start: number, min: number, max: number) {
    super(options.samples, start, min, max)
    this.options = options
  }

  turn(latency: number | undefined, dropped: number, peak: number): void {
    const { estimate } = this
    const { queueSize, smoothing } = this.options
    const gradient = latency === undefined ? leastGradient : this.compare(latency)
    const isUnused = peak * 2 < estimate
    if (isUnused && dropped === 0) return
    const judged = gradient * (1 - dropped) + leastGradient * dropped
    const next = estimate * judged + queueSize
    const smoothed = estimate * (1 - smoothing) + next * smoothing
    this.estimate = isUnused ? Math.min(estimate, smoothed) : smoothed
  }

  private compare(latency: number): number {
    const { baseline = latency } = this
    const settled = 2 / (this.options.longWindow + 1)
    const factor = this.rounds < warmUp ? Math.max(settled, 1 / ++this.rounds) : settled
    const next = baseline * (1 - factor) + latency * factor
    this.latency = latency
    this.baseline = next > latency * 2 ? next * 0.9 : next
    return Math.max(leastGradient, Math.min(1, next / latency))
  }
}

const leastGradient = 0.5
const warmUp = 10
