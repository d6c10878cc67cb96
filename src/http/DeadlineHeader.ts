/**
 * The header by which a deadline travels from a caller to the service it calls.
 *
 * It holds the milliseconds that are left when the request is sent, and no
 * instant: the clocks of two machines need not agree. What the way takes is not
 * known, so that the service gives up a little later than its caller.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * The header that carries the milliseconds that are left.
 *
 * @category constants
 * @since 0.1.0
 */
export const header = "x-deadline-ms"

const max = Duration.toMillis("1 day")

/**
 * What the header says of a duration: whole milliseconds, rounded down, from 1 to
 * those of a day. `undefined` for one that is infinite, which needs no header.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (left: Duration.Duration): string | undefined => encodeMillis(Duration.toMillis(left))

/**
 * The same of milliseconds.
 *
 * @internal
 */
export const encodeMillis = (left: number): string | undefined => left === Infinity ? undefined : String(clamp(left))

/**
 * Reads the header. The result can be given to `Deadline.within`: it is from one
 * millisecond, also for a deadline that has passed, to a day. What is no whole
 * number of milliseconds says nothing: it is `undefined`, like no header.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { DeadlineHeader } from "effect-resilience/http"
 *
 * console.log(DeadlineHeader.parse("1500")?.pipe(Duration.format)) // => 1s 500ms
 * console.log(DeadlineHeader.parse("-3")) // => undefined
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string | undefined): Duration.Duration | undefined =>
  // the bound on the length keeps the number finite
  text !== undefined && /^\d{1,32}$/.test(text) ? Duration.millis(clamp(Number(text))) : undefined

const clamp = (millis: number): number => Math.min(max, Math.max(1, Math.floor(millis)))
