import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Outcome from "../Outcome.ts"

/**
 * All attempts were used up. Only with `onExhausted: "wrap"`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RetriesExhausted extends Schema.TaggedError<RetriesExhausted>()("RetriesExhausted", {
  /** The pipeline, or `Retry`. */
  policy: Schema.String,
  /** How many attempts were made. */
  attempts: Schema.Int,
  /** From the first attempt's start to the last one's end. */
  elapsed: Schema.DurationFromMillis,
  /** What the last attempt failed with. */
  lastError: Schema.Defect()
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return retriedEnough
  }
  override get message(): string {
    const { attempts, elapsed, lastError } = this
    const last = lastError instanceof Error ? `; the last failed with ${lastError.message || lastError.name}` : ""
    return `${this.policy}: gave up after ${attempts} attempts in ${Math.round(Duration.toMillis(elapsed))} ms${last}`
  }
}

// another retry around this one would only multiply the attempts
const retriedEnough = Outcome.failure({ retryable: false })
