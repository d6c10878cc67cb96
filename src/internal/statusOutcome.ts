/** What an HTTP status says, also where only the number of it has come through. */
import type * as Duration from "effect/Duration"
import * as Outcome from "../Outcome.ts"

export const statusOutcome = (status: number, retryAfter?: Duration.Duration | undefined): Outcome.Outcome =>
  status === 429 || (status === 409 && retryAfter !== undefined)
    ? Outcome.overload({ retryAfter })
    : status === 408 || (status >= 500 && status <= 599)
    ? Outcome.failure({ retryable: status !== 501, retryAfter })
    : Outcome.success
