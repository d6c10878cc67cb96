/**
 * How late this process was with whatever came in: the delay of its event loop, as requests meet it.
 *
 * `monitorEventLoopDelay` counts a halt of a second as one delay among the thousands of a run, although all that
 * comes in during that second is late. Here a halt counts for as long as it lasts: as the traffic does, this
 * corrects for coordinated omission.
 */
import { createHistogram } from "node:perf_hooks"

/** How often the event loop is looked at, in milliseconds. */
const interval = 10

export interface LoopDelay {
  /** What was before does not count. */
  readonly reset: () => void
  /** The delay that 99 of 100 instants do not exceed, in milliseconds. */
  readonly p99: () => number
}

/** Looks at the event loop from now on, and does not keep the process alive for it. */
export const make = (): LoopDelay => {
  const histogram = createHistogram()
  let last = performance.now()
  const look = () => {
    const now = performance.now()
    // one record for each look that should have been; a histogram counts whole numbers from one
    for (let late = now - last - interval; late > -interval; late -= interval) {
      histogram.record(Math.max(1, Math.round(late * 1000)))
    }
    last = now
  }
  setInterval(look, interval).unref()
  return {
    reset: () => {
      histogram.reset()
      last = performance.now()
    },
    p99: () => {
      look()
      return histogram.percentile(99) / 1000
    }
  }
}
