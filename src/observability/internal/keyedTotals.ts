/**
 * What the keys of a breaker have counted in all. A key's counters end with it when
 * it is dropped; the totals stay, so that they never fall.
 */
import type * as CircuitBreaker from "../../CircuitBreaker.ts"

export interface BreakerCounts {
  success: number
  failure: number
  overload: number
  ignored: number
  refused: number
  opened: number
  halfOpened: number
  closed: number
  forced: number
  slow: number
}

export const countsOf = ({ calls, timing, transitions }: CircuitBreaker.Snapshot): BreakerCounts => ({
  ...calls,
  ...transitions,
  slow: timing?.slow ?? 0
})

const counted: ReadonlyArray<keyof BreakerCounts> = [
  "success",
  "failure",
  "overload",
  "ignored",
  "refused",
  "opened",
  "halfOpened",
  "closed",
  "forced",
  "slow"
]

export class KeyedTotals {
  readonly totals: BreakerCounts = {
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
  }
  private last = new Map<string, BreakerCounts>()

  add(snapshots: ReadonlyArray<CircuitBreaker.Snapshot>): void {
    const now = new Map<string, BreakerCounts>()
    for (const snapshot of snapshots) {
      const key = snapshot.key ?? ""
      const counts = countsOf(snapshot)
      const before = this.last.get(key)
      for (const name of counted) {
        const had = before?.[name] ?? 0
        // a key that was dropped and has come back counts from zero
        this.totals[name] += counts[name] >= had ? counts[name] - had : counts[name]
      }
      now.set(key, counts)
    }
    this.last = now
  }
}
