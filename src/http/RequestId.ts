/**
 * The id of the request that is being worked on.
 *
 * A server takes it from the header, or makes one; it rides in a
 * `Context.Reference`, so that every call that a `ServiceClient` makes on the way
 * carries it on, and every line that is logged names it.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Resilience from "../Resilience.ts"
import { isWord } from "./internal/headerText.ts"

/**
 * The header that carries a request id.
 *
 * @category constants
 * @since 0.1.0
 */
export const header = "x-request-id"

/**
 * The key of a request id in log annotations and span attributes.
 *
 * @category constants
 * @since 0.1.0
 */
export const annotation = "requestId"

/**
 * The id of the current request; `undefined` outside of any.
 *
 * @category references
 * @since 0.1.0
 */
export const Current: Context.Reference<string | undefined> = Resilience.CurrentRequestId

/**
 * Reads an id that came from outside: 1 to 128 printable ASCII characters
 * without spaces. Anything else, and nothing, is `undefined`.
 *
 * @example
 * ```ts
 * import { RequestId } from "effect-resilience/http"
 *
 * console.log(RequestId.parse("req-1")) // => req-1
 * console.log(RequestId.parse("req-1\r\nset-cookie: a=b")) // => undefined
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string | undefined): string | undefined => isWord(text, 128) ? text : undefined

/**
 * Makes an id: a UUID of version 4 (RFC 9562, section 5.4) from `Random`. It is
 * no secret, and not for telling who somebody is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<string> = Effect.map(Random.Random, (random) => {
  let digits = ""
  for (let word = 0; word < 4; word++) {
    digits += (random.nextDoubleUnsafe() * 2 ** 32 >>> 0).toString(16).padStart(8, "0")
  }
  const variant = "89ab"[Number.parseInt(digits.slice(16, 17), 16) % 4]
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `${variant}${digits.slice(17, 20)}`,
    digits.slice(20)
  ].join("-")
})

/**
 * Runs an effect as the work on the request of that id: it is the current one, and
 * stands in log annotations and on the spans that begin inside. An id that
 * `parse` does not accept throws a `RangeError`: look at those from outside first.
 *
 * @category combinators
 * @since 0.1.0
 */
export const within = (id: string): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> => {
  if (parse(id) === undefined) {
    throw new RangeError("RequestId.within: id must be 1 to 128 printable ASCII characters without spaces")
  }
  return (self) =>
    self.pipe(
      Effect.provideService(Current, id),
      Effect.annotateLogs(annotation, id),
      Effect.annotateSpans(annotation, id)
    )
}
