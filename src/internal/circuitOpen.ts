import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Outcome from "../Outcome.ts"

/**
 * The breaker refused the call, and the work was not run.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>()("CircuitOpen", {
  /** The name of the breaker. */
  policy: Schema.String,
  /** The key, where the breaker has many. */
  key: Schema.optionalKey(Schema.String),
  /** What is left of the open time. Absent while probes are under way, or while it is held open, when nobody can know. */
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis),
  /** Whether somebody holds it open by hand. */
  isForced: Schema.optionalKey(Schema.Boolean)
}, { httpApiStatus: 503 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    const who = this.key === undefined ? this.policy : `${this.policy} ${JSON.stringify(this.key)}`
    if (this.retryAfter !== undefined) {
      return `${who}: the circuit is open, try again in ${Duration.format(this.retryAfter)}`
    }
    return this.isForced === true
      ? `${who}: the circuit is held open by hand`
      : `${who}: the circuit is half-open, and its probes are still under way`
  }
}
