/**
 * Refuses requests that a server has no room for, so that it answers the others in
 * good time.
 *
 * How many it has room for is found by an `AdaptiveLimit` from the time that
 * handlers take and from the answers that say they have failed. What is too much
 * is answered at once with 503 and `Retry-After`. Lower priorities are shed first.
 *
 * A request takes its place when its body has arrived, if that is declared to have at
 * most 65,536 bytes; larger ones, and those of no declared length, are read by the
 * handler, in its place. Under a `ServerDeadline` what `max` cuts short is a failure,
 * and what the caller's own deadline cuts short says nothing.
 *
 * It stands inside of everything that refuses for other reasons: what is refused
 * there says nothing about room. Leave health endpoints out by `except`, or a full
 * server is taken for a dead one.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import { isObject } from "effect/Predicate"
import * as AdaptiveLimit from "../../AdaptiveLimit.ts"
import { guarded } from "../../internal/guarded.ts"
import { onlyKeys, optionalFunction, positiveMillis } from "../../internal/options.ts"
import type { Outcome } from "../../Outcome.ts"
import * as HttpOutcome from "../HttpOutcome.ts"
import * as Problem from "../Problem.ts"
import { install } from "./internal/install.ts"
import { type Except, exceptionOf, type Middleware } from "./internal/middleware.ts"
import { refused } from "./internal/problemResponse.ts"
import { held } from "./internal/requestBody.ts"

/**
 * What is shed, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The options of the limit, or a limit whose snapshot one wants to read. Default: those of `AdaptiveLimit`. */
  readonly limit?: AdaptiveLimit.Options | AdaptiveLimit.AdaptiveLimit | undefined
  /** What a request is worth. Default, and where it throws or answers otherwise: `"critical"`. */
  readonly priority?: ((request: HttpServerRequest.HttpServerRequest) => AdaptiveLimit.Priority) | undefined
  /** What `Retry-After` says. Default: 1 second. */
  readonly retryAfter?: Duration.Input | undefined
  /** Which requests are always let in, and not counted. Default: none. */
  readonly except?: Except | undefined
}

const isLimit = (limit: NonNullable<Options["limit"]>): limit is AdaptiveLimit.AdaptiveLimit =>
  isObject(limit) && "protect" in limit

const priorities: ReadonlySet<unknown> = new Set(["critical", "sheddable", "background"])

// what a handler answers says how it went, as a client would judge it
const classify = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): Outcome | undefined =>
  exit._tag === "Success" ? HttpOutcome.fromStatus(exit.value.status) : undefined

const maxAwaited = 65_536

/** The request when its body is there, if that is small: a caller that sends it slowly takes no permit meanwhile. */
const arrived = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerRequest.HttpServerRequest> => {
  const length = Number(request.headers["content-length"])
  return length > 0 && length <= maxAwaited
    ? held(request).pipe(
      Effect.map(({ request }) => request),
      Effect.interruptible,
      // whoever reads the body meets the same failure
      Effect.catch(() => Effect.succeed(request))
    )
    : Effect.succeed(request)
}

/**
 * Makes the middleware itself, with its limit, for use without a router. The
 * options are checked at once, and a bad one throws a `RangeError`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Middleware> => {
  onlyKeys("LoadShedding", options, ["limit", "priority", "retryAfter", "except"])
  const { limit, priority } = options
  optionalFunction("LoadShedding", "priority", priority)
  const isExcepted = exceptionOf("LoadShedding", options.except)
  const retryAfter = positiveMillis("LoadShedding", "retryAfter", options.retryAfter ?? "1 second") / 1000
  const full = refused(new Problem.Unavailable({ retryAfter }))
  const made = limit !== undefined && isLimit(limit) ? Effect.succeed(limit) : AdaptiveLimit.make("server", limit)
  const priorityOf = (request: HttpServerRequest.HttpServerRequest): AdaptiveLimit.Priority => {
    const answer = priority && guarded(() => priority(request))
    return answer !== undefined && priorities.has(answer) ? answer : "critical"
  }
  return Effect.map(
    made,
    (limit): Middleware => (app) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        isExcepted(request)
          ? app
          : Effect.flatMap(arrived(request), (request) =>
            Effect.uninterruptible(app).pipe(
              Effect.provideService(HttpServerRequest.HttpServerRequest, request),
              (self) => limit.protect(self, { priority: priorityOf(request), classify }),
              Effect.interruptible,
              Effect.catchIf((error) => error instanceof AdaptiveLimit.LimitExceeded, () => full)
            )))
  )
}

/**
 * Sheds the load of a server. A bad option throws a
 * `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { LoadShedding } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add("GET", "/slow", Effect.as(Effect.sleep("50 millis"), HttpServerResponse.text("done")))
 * const shedding = LoadShedding.layer({ limit: { initial: 2, max: 2 } })
 * const { dispose, handler } = HttpRouter.toWebHandler(routes.pipe(Layer.provide(shedding)), { disableLogger: true })
 *
 * const ask = () => handler(new Request("http://localhost/slow"))
 *
 * const answers = await Promise.all([ask(), ask(), ask()])
 * console.log(answers.map(({ status }) => status).join()) // => 200,200,503
 * console.log(answers[2]?.headers.get("retry-after")) // => 1
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, never, HttpRouter.HttpRouter> => install(make(options))
