/** What a pipeline has done: plain numbers, read when somebody looks. */
import type { Counts } from "../Pipeline.ts"

export type Counters = { -readonly [K in keyof Counts]: Counts[K] }

export const make = (): Counters => ({
  calls: 0,
  success: 0,
  failure: 0,
  overload: 0,
  ignored: 0,
  attempts: 0,
  retries: 0,
  exhausted: 0,
  hedges: 0,
  refused: 0,
  refusedCalls: 0,
  timedOut: 0,
  fellBack: 0,
  cacheHits: 0
})
