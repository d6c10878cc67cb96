/**
 * A quantile of the last `size` latencies.
 *
 * The samples are kept as numbers of bins that grow by a constant factor, as in
 * DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile
 * sketch with relative-error guarantees", VLDB 2019): bin `i` holds what lies in
 * `(growth ^ (i - 1), growth ^ i]`, and stands for `2 * growth ^ i / (growth + 1)`,
 * which is off by `accuracy` at most. A ring of the numbers makes the oldest
 * sample go when a new one comes. The bin of the quantile is followed from where
 * it was last: adding costs the same however many samples there are, and so does
 * reading, with at most as many steps as there are bins.
 */
const accuracy = 0.025
const growth = (1 + accuracy) / (1 - accuracy)
/** In milliseconds; what is less or more counts as this. */
const shortest = 0.01
const longest = 3_600_000
const scale = 1 / Math.log(growth)
const bins = Math.ceil(Math.log(longest / shortest) * scale) + 1

/** What a ring of 16 bit numbers and their counts can hold. */
export const maxSamples = 65_535

export class Latencies {
  readonly size: number
  readonly quantile: number
  /** How many samples there are. */
  samples = 0
  private readonly ring: Uint16Array
  private readonly counts = new Uint16Array(bins)
  private oldest = 0
  /** Where the quantile was last, and how many samples lie in the bins below. */
  private bin = 0
  private below = 0

  constructor(size: number, quantile: number) {
    this.size = size
    this.quantile = quantile
    this.ring = new Uint16Array(size)
  }

  /** Adds a latency in milliseconds. */
  add(millis: number): void {
    if (this.samples === this.size) this.count(this.ring[this.oldest] ?? 0, -1)
    else this.samples++
    const bin = binOf(millis)
    this.ring[this.oldest] = bin
    this.count(bin, 1)
    this.oldest = this.oldest + 1 === this.size ? 0 : this.oldest + 1
  }

  /** The smallest latency that `quantile` of the samples do not exceed. There must be a sample. */
  read(): number {
    // 0.07 * 100 is a little above 7
    const rank = Math.max(1, Math.ceil(this.quantile * this.samples - 1e-9))
    while (this.below >= rank) this.below -= this.at(--this.bin)
    while (this.below + this.at(this.bin) < rank) this.below += this.at(this.bin++)
    return shortest * 2 * growth ** this.bin / (growth + 1)
  }

  private at(bin: number): number {
    return this.counts[bin] ?? 0
  }

  private count(bin: number, added: 1 | -1): void {
    this.counts[bin] = this.at(bin) + added
    if (bin < this.bin) this.below += added
  }
}

const binOf = (millis: number): number =>
  Math.ceil(Math.log(Math.min(Math.max(millis, shortest), longest) / shortest) * scale)
