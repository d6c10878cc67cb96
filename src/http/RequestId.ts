/**
 * The id of the request that is being worked on.
 *
 * A server takes it from the header, or makes one; it rides in a
 * `Context.Reference`, so that every call that a `ServiceClient` makes on the way
 * carries it on, and every line that is logged names it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as References from "effect/References"
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
export const make: Effect.Effect<string> = Effect.map(Random.Random, (random) => makeWith(random))

/**
 * Makes an id from that `Random`.
 *
 * @internal
 */
export const makeWith = (random: (typeof Random.Random)["Service"]): string => {
  const word = () => random.nextDoubleUnsafe() * 2 ** 32 >>> 0
  const [first, second, third, fourth] = [word(), word(), word(), word()]
  // the version takes the place of four bits, and the variant that of two
  return `${hex(first >>> 16)}${hex(first)}-${hex(second >>> 16)}-${hex(second & 0x0fff | 0x4000)}-${
    hex(third >>> 16 & 0x3fff | 0x8000)
  }-${hex(third)}${hex(fourth >>> 16)}${hex(fourth)}`
}

const bytes = /*#__PURE__*/ Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** The lower 16 bits of a number in four digits. */
const hex = (number: number): string => `${bytes[number >>> 8 & 0xff]}${bytes[number & 0xff]}`

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
  return Effect.updateContext(adding(id))
}

/**
 * What is different within the work on the request of that id, which `parse`
 * accepts: one change of context in place of one for each of its parts.
 *
 * @internal
 */
export const adding = (id: string) => <R>(context: Context.Context<R>): Context.Context<R> =>
  context.pipe(
    Context.add(Current, id),
    Context.add(References.CurrentLogAnnotations, {
      ...Context.get(context, References.CurrentLogAnnotations),
      [annotation]: id
    }),
    Context.add(References.TracerSpanAnnotations, {
      ...Context.get(context, References.TracerSpanAnnotations),
      [annotation]: id
    })
  )
