/**
 * Limits how many requests each caller may make, and tells it how many are left.
 *
 * A caller is what a key function says: by default the address that the request
 * came from, or the header that a gateway sets, or the name of the token that
 * `TokenCheck` has accepted. Each has limits of its own; idle ones are forgotten.
 * Requests without a key share one.
 *
 * Every answer has the fields `RateLimit-Policy` and `RateLimit` of
 * draft-ietf-httpapi-ratelimit-headers: `"requests";q=100;w=60` says 100 in 60
 * seconds (of a token bucket: what fits into it, and in what time it fills), and `"requests";r=37;t=12` that 37 are left, and all again in 12 seconds
 * where that is known. One request too many is answered with 429 and
 * `Retry-After`.
 *
 * It stands inside of `TokenCheck` and outside of load shedding.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { isObject } from "effect/Predicate"
import { guarded } from "../../internal/guarded.ts"
import { onlyKeys, optionalFunction } from "../../internal/options.ts"
import * as RateLimit from "../../RateLimit.ts"
import * as Problem from "../Problem.ts"
import { install } from "./internal/install.ts"
import { type Except, exceptionOf, type Middleware } from "./internal/middleware.ts"
import { refused } from "./internal/problemResponse.ts"
import { Caller } from "./TokenCheck.ts"

/**
 * Says on whose behalf a request is made. `caller` is the name of the token that
 * was accepted, if any. Of a key the first 256 characters count.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = (request: HttpServerRequest.HttpServerRequest, caller: string | undefined) => string | undefined

/**
 * How much each caller may ask for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The limit, or the limits, or a `RateLimit` whose snapshot one wants to read.
   * The names of limits are sent to the callers; a single one without a name is
   * `default` to them.
   */
  readonly limit: RateLimit.Options | RateLimit.RateLimit
  /** Who is calling. Default: `byAddress`. One that throws has said nobody. */
  readonly key?: Key | undefined
  /** Which requests are always let in, and not counted. Default: none. */
  readonly except?: Except | undefined
}

/**
 * The address that the request came from. Behind a proxy that is the proxy's, unless
 * `HttpMiddleware.xForwardedHeaders` stands outside.
 *
 * @category keys
 * @since 0.1.0
 */
export const byAddress: Key = ({ remoteAddress }) => Option.getOrUndefined(remoteAddress)

/**
 * What a header says. Only for one that a gateway of one's own sets: any other can
 * be made up anew for every request.
 *
 * @category keys
 * @since 0.1.0
 */
export const byHeader = (name: string): Key => {
  const key = name.toLowerCase()
  return ({ headers }) => headers[key]
}

/**
 * The name of the token that `TokenCheck` has accepted.
 *
 * @category keys
 * @since 0.1.0
 */
export const byCaller: Key = (_, caller) => caller

const maxKey = 256

/** What callers read of a limit: the one limit that was given without a name has an inner one. */
const shownName = (name: string): string => name === "permits" ? "default" : name

/** The header field of one limit that does not change. Of a bucket it is what fits into it, and how long that takes. */
const policyOf = (name: string, limit: RateLimit.LimitSettings): string => {
  const { per, permits } = limit
  const isBucket = limit.kind === "token-bucket"
  const window = isBucket ? limit.burst * per / permits : per
  // the draft knows whole seconds alone
  const seconds = Math.ceil(window / 1000)
  const quota = isBucket ? limit.burst : permits * seconds * 1000 / per
  return `"${shownName(name)}";q=${Math.floor(quota)};w=${seconds}`
}

/** The header fields of limits: the policy, which does not change, and what is left. */
const fieldsOf = ({ limits }: RateLimit.Settings) => {
  const entries = Object.entries(limits)
  const policy = entries.map(([name, limit]) => policyOf(name, limit)).join(", ")
  return (left: { readonly [Name in string]: number }, refusal?: RateLimit.RateLimited) => ({
    "ratelimit-policy": policy,
    ratelimit: entries.map(([name, limit]) => {
      const rest = left[name] ?? 0
      const until = refusal?.limit === name && refusal.retryAfter !== undefined
        ? Duration.toSeconds(refusal.retryAfter)
        // of the kinds of limits only a bucket's next permits can be told from what is left
        : limit.kind === "token-bucket"
        ? (limit.burst - rest) * limit.per / limit.permits / 1000
        : undefined
      return `"${shownName(name)}";r=${Math.max(0, Math.floor(rest))}${
        until === undefined ? "" : `;t=${Math.max(0, Math.ceil(until))}`
      }`
    }).join(", ")
  })
}

const isLimit = (limit: Options["limit"]): limit is RateLimit.RateLimit => isObject(limit) && "protect" in limit

const checkNames = (settings: RateLimit.Settings): void => {
  for (const name of Object.keys(settings.limits)) {
    // a string of RFC 8941, without what would have to be escaped
    if (!/^[ !#-[\]-~]{1,64}$/.test(name)) {
      throw new RangeError(
        `CallerRateLimit: the name of a limit must be 1 to 64 ASCII characters without quotes and backslashes, got ${
          JSON.stringify(name)
        }`
      )
    }
  }
}

/**
 * Makes the middleware itself, with its limit, for use without a router. The
 * options are checked at once, and a bad one throws a `RangeError`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Middleware> => {
  onlyKeys("CallerRateLimit", options, ["limit", "key", "except"])
  const { key = byAddress, limit } = options
  optionalFunction("CallerRateLimit", "key", key)
  const isExcepted = exceptionOf("CallerRateLimit", options.except)
  const settings = isLimit(limit) ? limit.settings : RateLimit.settings(limit)
  checkNames(settings)
  const fields = fieldsOf(settings)
  const made = Effect.sync(() => isLimit(limit) ? limit : RateLimit.makeUnsafe("server", settings))
  const keyOf = (request: HttpServerRequest.HttpServerRequest, caller: string | undefined): string | undefined => {
    const answer: unknown = guarded(() => key(request, caller))
    return typeof answer === "string" ? answer.slice(0, maxKey) : undefined
  }
  return Effect.map(
    made,
    (limit): Middleware => (app) =>
      Effect.withFiber((fiber) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          if (isExcepted(request)) return app
          const key = keyOf(request, fiber.getRef(Caller))
          const options = key === undefined ? {} : { key }
          const admitted = Effect.andThen(
            Effect.map(limit.left(key), (left) => {
              const said = fields(left)
              HttpEffect.appendPreResponseHandlerUnsafe(
                fiber.context,
                (_, response) => Effect.succeed(HttpServerResponse.setHeaders(response, said))
              )
            }),
            app
          )
          return Effect.uninterruptible(admitted).pipe(
            (self) => limit.protect(self, options),
            Effect.interruptible,
            Effect.catchIf(
              // the answer does not name the key, which may be a secret
              (error) => error instanceof RateLimit.RateLimited,
              (error) =>
                Effect.flatMap(limit.left(key), (left) =>
                  refused(
                    new Problem.RateLimited(
                      error.retryAfter === undefined ? {} : { retryAfter: Duration.toSeconds(error.retryAfter) }
                    ),
                    fields(left, error)
                  ))
            )
          )
        })
      )
  )
}

/**
 * Limits the requests of each caller of a server. A bad option throws a
 * `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { CallerRateLimit } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add("GET", "/quotes", Effect.succeed(HttpServerResponse.text("carpe diem")))
 * const limit = CallerRateLimit.layer({
 *   limit: { kind: "fixed-window", permits: 2, per: "1 minute" },
 *   // set by a gateway in front
 *   key: CallerRateLimit.byHeader("x-tenant")
 * })
 * const { dispose, handler } = HttpRouter.toWebHandler(routes.pipe(Layer.provide(limit)), { disableLogger: true })
 *
 * const ask = (tenant: string) => handler(new Request("http://localhost/quotes", { headers: { "x-tenant": tenant } }))
 *
 * console.log((await ask("ann")).headers.get("ratelimit")) // => "default";r=1
 * await ask("ann")
 * console.log((await ask("ann")).status, (await ask("bob")).status) // => 429 200
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, HttpRouter.HttpRouter> => install(make(options))
