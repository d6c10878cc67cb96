/**
 * Quantiles of recent latencies: of those of the current half minute and of the one
 * before. Bins grow by a constant factor, as in DDSketch (Masson, Rim, Lee: "DDSketch:
 * a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB
 * 2019), so that what is read is off by `accuracy` at most.
 */
const accuracy = 0.025
const growth = (1 + accuracy) / (1 - accuracy)
const scale = 1 / Math.log(growth)
/** In milliseconds; what is less or more counts as this. */
const shortest = 0.01
const longest = 3_600_000
const bins = Math.ceil(Math.log(longest / shortest) * scale) + 1

/** In milliseconds. */
const half = 30_000

export interface Quantiles {
  readonly calls: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export class LatencyWindow {
  private current = new Uint32Array(bins)
  private before = new Uint32Array(bins)
  private samples = 0
  private samplesBefore = 0
  private until: number

  /** `now` is monotonic, here and below. */
  constructor(now: number) {
    this.until = now + half
  }

  add(millis: number, now: number): void {
    this.rotate(now)
    const bin = Math.ceil(Math.log(Math.min(Math.max(millis, shortest), longest) / shortest) * scale)
    this.current[bin] = (this.current[bin] ?? 0) + 1
    this.samples++
  }

  /** `undefined` where there are none. */
  read(now: number): Quantiles | undefined {
    this.rotate(now)
    const calls = this.samples + this.samplesBefore
    if (calls === 0) return undefined
    const [p50 = 0, p95 = 0, p99 = 0] = this.quantiles([0.5, 0.95, 0.99], calls)
    return { calls, p50, p95, p99 }
  }

  /** Each the smallest latency that this share of the samples does not exceed; the shares must ascend. */
  private quantiles(shares: ReadonlyArray<number>, calls: number): ReadonlyArray<number> {
    let bin = -1
    let seen = 0
    return shares.map((share) => {
      const rank = Math.max(1, Math.ceil(share * calls - 1e-9))
      while (seen < rank) seen += (this.current[++bin] ?? 0) + (this.before[bin] ?? 0)
      return Number((shortest * 2 * growth ** bin / (growth + 1)).toPrecision(3))
    })
  }

  private rotate(now: number): void {
    if (now < this.until) return
    const isLong = now >= this.until + half
    const { before } = this
    this.before = this.current
    this.samplesBefore = this.samples
    this.current = before.fill(0)
    this.samples = 0
    if (isLong) {
      this.before.fill(0)
      this.samplesBefore = 0
    }
    this.until = isLong ? now + half : this.until + half
  }
}
