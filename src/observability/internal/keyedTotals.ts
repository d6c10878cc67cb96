/**
 * What the keys of a breaker have counted in all. A key's counters end with it when
 * it is dropped; the totals stay, so that they never fall.
 */
import type * as CircuitBreaker from "../../CircuitBreaker.ts"

const none = () => ({
  success: 0,
  failure: 0,
  overload: 0,
  ignored: 0,
  refused: 0,
  opened: 0,
  halfOpened: 0,
  closed: 0,
  forced: 0,
  slow: 0
})

export type BreakerCounts = ReturnType<typeof none>

export const countsOf = ({ calls, timing, transitions }: CircuitBreaker.Snapshot): BreakerCounts => ({
  ...calls,
  ...transitions,
  slow: timing?.slow ?? 0
})

/** What a key had counted when it was last read. */
interface Read {
  readonly counts: BreakerCounts
  reading: number
}

export class KeyedTotals {
  readonly totals: BreakerCounts = none()
  /** There may be 100,000 keys, so what is known of each is changed in its place. */
  private readonly last = new Map<string, Read>()
  private reading = 0

  add(snapshots: ReadonlyArray<CircuitBreaker.Snapshot>): void {
    this.reading++
    for (const { calls, key = "", timing, transitions } of snapshots) {
      let before = this.last.get(key)
      if (before === undefined) this.last.set(key, before = { counts: none(), reading: 0 })
      before.reading = this.reading
      const { counts } = before
      this.grow(counts, "success", calls.success)
      this.grow(counts, "failure", calls.failure)
      this.grow(counts, "overload", calls.overload)
      this.grow(counts, "ignored", calls.ignored)
      this.grow(counts, "refused", calls.refused)
      this.grow(counts, "opened", transitions.opened)
      this.grow(counts, "halfOpened", transitions.halfOpened)
      this.grow(counts, "closed", transitions.closed)
      this.grow(counts, "forced", transitions.forced)
      this.grow(counts, "slow", timing?.slow ?? 0)
    }
    if (this.last.size === snapshots.length) return
    for (const [key, { reading }] of this.last) if (reading !== this.reading) this.last.delete(key)
  }

  private grow(counts: BreakerCounts, name: keyof BreakerCounts, now: number): void {
    const had = counts[name]
    if (now === had) return
    // a key that was dropped and has come back counts from zero
    this.totals[name] += now > had ? now - had : now
    counts[name] = now
  }
}
