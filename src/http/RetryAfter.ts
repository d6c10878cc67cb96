/**
 * The `Retry-After` header (RFC 9110, section 10.2.3), in both of its forms.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"

/**
 * Reads the value of a `Retry-After` header: seconds, or an HTTP date. A date
 * counts from the response's own `Date` header where it has one, so that clocks
 * that disagree do no harm, else from `now`. A date that has passed is zero, and
 * more than a thousand million seconds are so many.
 * Anything else is `undefined`: negative and fractional numbers, other dates,
 * rubbish.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { RetryAfter } from "effect-resilience/http"
 *
 * console.log(RetryAfter.parse("120", { now: 0 })?.pipe(Duration.format)) // => 2m
 * console.log(RetryAfter.parse("soon", { now: 0 })) // => undefined
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (value: string, from: {
  /** The wall clock, in milliseconds since the epoch. */
  readonly now: number
  /** The response's `Date` header. */
  readonly date?: string | undefined
}): Duration.Duration | undefined => {
  const read = unbounded(value, from)
  return read === undefined ? undefined : Duration.min(read, longest)
}

// whoever says more says the same, and what is finite can be told on
const longest = Duration.seconds(1e9)

const unbounded: typeof parse = (value, from) => {
  // a header that was sent twice arrives as a list: the longer wait undercuts neither
  if (/^\d+(?:\s*,\s*\d+)+$/.test(value.trim())) return Duration.seconds(Math.max(...value.split(",").map(Number)))
  const read = Result.getOrUndefined(Headers.parseRetryAfter(value))
  if (read === undefined) return undefined
  const sent = Result.map(Headers.parseHttpDate(from.date ?? ""), DateTime.toEpochMillis)
  return Headers.retryAfterDelay(read, Result.getOrElse(sent, () => from.now))
}

/**
 * Reads `Retry-After` from the headers of a response that has just arrived.
 *
 * @category parsing
 * @since 0.1.0
 */
export const fromHeaders = (headers: Headers.Headers, clock: Clock.Clock): Duration.Duration | undefined => {
  const value = headers["retry-after"]
  return value === undefined ? undefined : parse(value, { now: clock.currentTimeMillisUnsafe(), date: headers["date"] })
}
