/**
 * Two counts over the last `duration` milliseconds, in `buckets` equal parts.
 *
 * What is added is forgotten with its part: at the latest `duration` after it
 * came, and at the earliest one part sooner. The parts rotate by elapsed time,
 * also when nothing is added. Adding and reading cost the same however long the
 * window is and however much is in it.
 */
export class RotatingCounts {
  /** What is in the window, as of the last `rotate` or `add`. */
  first = 0
  second = 0
  private readonly width: number
  private readonly buckets: number
  // plain arrays of a few numbers take a fraction of the memory of typed ones
  private readonly firsts: Array<number>
  private readonly seconds: Array<number>
  private newest = -Infinity

  constructor(duration: number, buckets: number) {
    this.width = duration / buckets
    this.buckets = buckets
    this.firsts = Array.from({ length: buckets }, () => 0)
    this.seconds = Array.from({ length: buckets }, () => 0)
  }

  /** Adds to both counts at `now`, in monotonic milliseconds. */
  add(first: number, second: number, now: number): void {
    const slot = this.rotate(now)
    this.firsts[slot] = (this.firsts[slot] ?? 0) + first
    this.seconds[slot] = (this.seconds[slot] ?? 0) + second
    this.first += first
    this.second += second
  }

  /** Forgets what is too old at `now`, and returns the slot of the newest part. */
  rotate(now: number): number {
    const part = Math.floor(now / this.width)
    if (part - this.newest >= this.buckets) this.clear()
    else {
      for (let stale = this.newest + 1; stale <= part; stale++) {
        const slot = this.slotOf(stale)
        this.first -= this.firsts[slot] ?? 0
        this.second -= this.seconds[slot] ?? 0
        this.firsts[slot] = this.seconds[slot] = 0
      }
    }
    if (part > this.newest) this.newest = part
    return this.slotOf(this.newest)
  }

  clear(): void {
    this.firsts.fill(0)
    this.seconds.fill(0)
    this.first = this.second = 0
  }

  // the parts are numbered from the clock's origin, which may lie ahead
  private slotOf(part: number): number {
    return part - Math.floor(part / this.buckets) * this.buckets
  }
}
