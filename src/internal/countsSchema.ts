/** What a pipeline has done, as others are told of it. */
import * as Schema from "effect/Schema"
import type * as Pipeline from "../Pipeline.ts"

const fields = {
  calls: Schema.Natural,
  success: Schema.Natural,
  failure: Schema.Natural,
  overload: Schema.Natural,
  ignored: Schema.Natural,
  attempts: Schema.Natural,
  retries: Schema.Natural,
  exhausted: Schema.Natural,
  hedges: Schema.Natural,
  refused: Schema.Natural,
  refusedCalls: Schema.Natural,
  timedOut: Schema.Natural,
  fellBack: Schema.Natural,
  cacheHits: Schema.Natural
} satisfies Record<keyof Pipeline.Counts, typeof Schema.Natural>

export const Counts = Schema.Struct(fields)
