/**
 * The `Retry-After` header (RFC 9110, section 10.2.3), in both of its forms.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Headers from "effect/http/Headers"

// The three forms of an HTTP date (RFC 9110, section 5.6.7). `Date.parse` alone takes almost anything for a date.
const imfFixdate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
const rfc850 = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/
const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

const dateMillis = (text: string): number | undefined => {
  const isDate = imfFixdate.test(text) || rfc850.test(text)
  if (!isDate && !asctime.test(text)) return undefined
  const millis = Date.parse(isDate ? text : `${text} GMT`)
  return Number.isNaN(millis) ? undefined : millis
}

/**
 * Reads the value of a `Retry-After` header: seconds, or an HTTP date. A date
 * counts from the response's own `Date` header where it has one, so that clocks
 * that disagree do no harm, else from `now`. A date that has passed is zero.
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
  const text = value.trim()
  // a header that was sent twice arrives as a list: the longer wait undercuts neither
  if (/^\d+(?:\s*,\s*\d+)*$/.test(text)) return Duration.seconds(Math.max(...text.split(",").map(Number)))
  const until = dateMillis(text)
  if (until === undefined) return undefined
  const since = (from.date === undefined ? undefined : dateMillis(from.date.trim())) ?? from.now
  return Duration.millis(Math.max(0, until - since))
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
