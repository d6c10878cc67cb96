/**
 * Answers every failure and defect of a server with a problem of the standard form
 * (see `Problem`), with the request id and, where it is known when asking again
 * makes sense, `Retry-After`.
 *
 * | what went wrong                                                        | answer                    |
 * | ---------------------------------------------------------------------- | ------------------------- |
 * | a `Problem` of our own, declared by the api or not                     | itself                    |
 * | one that another service has told us (`Problem.originOf`)              | 429, 503, 504, else 500   |
 * | a request that does not match its schema                               | 422 `ValidationFailed`    |
 * | ... the first mistake alone, unless the api is annotated with          |                           |
 * | `HttpApi.ParseOptions`, `{ errors: "all" }`                            | ... up to 100 of them     |
 * | a body that cannot be read: no JSON, no UTF-8, broken off              | 400 `BadRequest`          |
 * | a body that is too large, or has another content type                  | 413, 415                  |
 * | no such route; no such method there, with `Allow`                      | 404, 405                  |
 * | `CircuitOpen`                                                          | 503 `CircuitBroken`       |
 * | `BulkheadFull`, `LimitExceeded`, `Throttled`, `ServiceUnavailable`     | 503 `Unavailable`         |
 * | `RateLimited`                                                          | 429 `RateLimited`         |
 * | `TimedOut`, `DeadlineExceeded`, Effect's `TimeoutError`                | 504 `UpstreamTimeout`     |
 * | `SqlError`                                                             | 500 `DatabaseFailed`      |
 * | a handler that has interrupted itself                                  | 500 `Internal`            |
 * | `RetriesExhausted`                                                     | as the last error         |
 * | anything else, responses that do not match their schema among it       | 500 `Internal`            |
 *
 * Of what another service has told us, callers see when to ask again, and nothing
 * else: that it knows no such order, or does not take our token, is not for them.
 * A handler whose callers should learn of it says so with a problem of its own. An
 * error that an api declares stays as the api has it, whoever made it. A
 * `SchemaError` in the error channel of a plain route is taken for the request's,
 * as Effect takes it; where the answer of another service is decoded by hand, make
 * it a defect. What is not expected is logged with its cause; the answer shows
 * nothing of it, unless `details` is on. What another service has told us is logged
 * as well.
 *
 * A streamed answer that fails is logged and broken off. A defect in a stream of
 * events of an `HttpApi` is an event there: its text is taken out of it.
 *
 * Finding all mistakes of a body takes time: of a body of one MiB that is wrong in
 * every element a second or more. Where strangers may send such, keep
 * `BodyLimit`'s `maxBytes` small, or the annotation off.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { LimitExceeded } from "../../AdaptiveLimit.ts"
import { BulkheadFull } from "../../Bulkhead.ts"
import { CircuitOpen } from "../../CircuitBreaker.ts"
import { DeadlineExceeded } from "../../Deadline.ts"
import { guarded } from "../../internal/guarded.ts"
import { flag, onlyKeys } from "../../internal/options.ts"
import { RateLimited } from "../../RateLimit.ts"
import { RetriesExhausted } from "../../Retry.ts"
import { Throttled } from "../../Throttle.ts"
import { TimedOut } from "../../Timeout.ts"
import * as Problem from "../Problem.ts"
import * as RequestId from "../RequestId.ts"
import { ServiceUnavailable } from "../ServiceError.ts"
import { fieldErrors } from "./internal/fieldErrors.ts"
import { KnownRoutes } from "./internal/knownRoutes.ts"
import type { Middleware } from "./internal/middleware.ts"
import { complete, refusedWith } from "./internal/problemResponse.ts"
import { watching } from "./internal/streamedFailure.ts"

type Response = HttpServerResponse.HttpServerResponse

/**
 * What answers show.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether problems say what went wrong inside: for development alone. Default: `false`. */
  readonly details?: boolean | undefined
}

const after = (retryAfter: Duration.Duration | undefined): { readonly retryAfter?: number } =>
  retryAfter === undefined ? {} : { retryAfter: Duration.toSeconds(retryAfter) }

// what an api says of a body that is no JSON, as of one that does not match
const notJson = "Expected a valid JSON body"

const fromSchemaError = (error: Schema.SchemaError, kind: HttpApiError.HttpApiSchemaError["kind"]): Problem.Problem => {
  const { issue } = error
  return kind === "Payload" && issue._tag === "InvalidValue" && issue.annotations?.message === notJson
    ? new Problem.BadRequest({ detail: "The body is no JSON" })
    : new Problem.ValidationFailed({ errors: fieldErrors(error, kind) })
}

/** What another service's failure is to our callers. What it has said is not for them, and may be about us. */
const upstream = ({ retryAfter, status }: Problem.Problem): Problem.Problem => {
  const wait = retryAfter === undefined ? {} : { retryAfter }
  if (status === 429) return new Problem.RateLimited(wait)
  if (status === 503) return new Problem.Unavailable(wait)
  return status === 504 ? new Problem.UpstreamTimeout(wait) : new Problem.Internal({})
}

const known = (error: unknown): Problem.Problem | undefined => {
  if (Problem.isProblem(error)) return Problem.originOf(error) === undefined ? error : upstream(error)
  if (error instanceof CircuitOpen) return new Problem.CircuitBroken(after(error.retryAfter))
  if (error instanceof RateLimited) return new Problem.RateLimited(after(error.retryAfter))
  if (
    error instanceof BulkheadFull || error instanceof LimitExceeded || error instanceof Throttled ||
    error instanceof ServiceUnavailable
  ) return new Problem.Unavailable({})
  if (error instanceof TimedOut || error instanceof DeadlineExceeded || Cause.isTimeoutError(error)) {
    return new Problem.UpstreamTimeout({})
  }
  if (error instanceof RetriesExhausted) return known(error.lastError)
  if (HttpApiError.HttpApiSchemaError.is(error)) {
    const { cause, kind } = error
    return kind === "Body" || kind === "ResponseHeaders" ? new Problem.Internal({}) : fromSchemaError(cause, kind)
  }
  if (HttpServerError.isHttpServerError(error)) {
    const { reason } = error
    // with a cause the text may be somebody else's
    return reason._tag === "RequestParseError" && reason.reason !== "BodyTooLarge"
      ? new Problem.BadRequest(
        reason.description !== undefined && reason.cause === undefined ? { detail: reason.description } : {}
      )
      : undefined
  }
  return hasProperty(error, "_tag") && error._tag === "SqlError" ? new Problem.DatabaseFailed({}) : undefined
}

/**
 * The problem that an error is to callers, by the table above; `undefined` for what
 * is not expected. Use it in handlers whose api declares problems:
 * `Effect.mapError((error) => ServerErrors.toProblem(error) ?? new Problem.Internal({}))`.
 *
 * @example
 * ```ts
 * import { CircuitBreaker } from "effect-resilience"
 * import { ServerErrors } from "effect-resilience/http"
 *
 * const open = new CircuitBreaker.CircuitOpen({ policy: "stock" })
 * console.log(ServerErrors.toProblem(open)?.code) // => circuit_open
 * console.log(ServerErrors.toProblem(new Error("no idea"))) // => undefined
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toProblem = (error: unknown): Problem.Problem | undefined => guarded(() => known(error))

const maxDetail = 2000

/** Says in a problem what went wrong, unless it says so already. */
const detailed = (response: Response, error: unknown): Response => {
  const { body, status } = response
  if (body._tag !== "Uint8Array") return response
  const detail = guarded(() => error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  const problem = guarded(() => JSON.parse(new TextDecoder().decode(body.body)))
  return detail === undefined || problem === undefined || "detail" in problem ? response : HttpServerResponse.setBody(
    response,
    HttpServerResponse.jsonUnsafe({ ...problem, detail: detail.slice(0, maxDetail) }, {
      status,
      contentType: body.contentType
    }).body
  )
}

const unexpected = HttpServerRespondable.toResponse(new Problem.Internal({}))

const isNotFound = (error: unknown): error is HttpServerError.HttpServerError =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

interface Reason {
  readonly error: unknown
  readonly isDefect: boolean
}

/** What has gone wrong, if anything has: not where the work was only interrupted. */
const reasonOf = (cause: Cause.Cause<unknown>): Reason | undefined => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Fail") return { error: reason.error, isDefect: false }
    if (reason._tag === "Die") return { error: reason.defect, isDefect: true }
  }
  return undefined
}

// a logger that cannot show it must not take the answer with it
const logged = (write: (cause: Cause.Cause<unknown>) => Effect.Effect<void>) => (cause: Cause.Cause<unknown>) =>
  Effect.ignoreCause(Effect.suspend(() => write(cause)))

const log = logged((cause) =>
  Effect.andThen(
    Effect.logError("The request has failed", cause),
    Effect.ignoreCause(Effect.withErrorReporting(Effect.failCause(cause)))
  )
)

const logTold = logged((cause) => Effect.logWarning("Another service has failed the request", cause))

// a stream may be run where the request is not known any more
const logBroken = (requestId: string | undefined) =>
  logged((cause) =>
    Effect.annotateLogs(
      Effect.logError("The answer has broken off", cause),
      requestId === undefined ? {} : { [RequestId.annotation]: requestId }
    )
  )

/** Whether it is what another service has told us, of which callers see no more than a status. */
const isTold = (error: unknown): boolean =>
  guarded(() =>
    error instanceof RetriesExhausted
      ? isTold(error.lastError)
      : Problem.isProblem(error) && Problem.originOf(error) !== undefined
  ) === true

/** Whether the request was ended from outside, and not by its own work. */
const isEnded = Effect.map(Effect.exit(Effect.interruptible(Effect.void)), Exit.isFailure)

const make = (options: Options, routes: KnownRoutes | undefined): Middleware => {
  onlyKeys("ServerErrors", options, ["details"])
  const details = flag("ServerErrors", "details", options.details ?? false)

  const respondTo = ({ error, isDefect }: Reason): Effect.Effect<Response> | undefined => {
    if (HttpServerResponse.isHttpServerResponse(error)) return Effect.succeed(error)
    if (isNotFound(error)) {
      const allowed = routes?.methods(error.request.url) ?? []
      if (allowed.length > 0) return refusedWith(405, { allow: allowed.join(", ") })
    }
    const problem = !isDefect && Schema.isSchemaError(error) ? fromSchemaError(error, "Payload") : toProblem(error)
    if (problem !== undefined) return HttpServerRespondable.toResponse(problem)
    return HttpServerRespondable.isRespondable(error) ? HttpServerRespondable.toResponse(error) : undefined
  }

  const failed = (reason: Reason, cause: Cause.Cause<unknown>, requestId: string | undefined) => {
    // an error may be anything, also what must not be looked at
    const answer = guarded(() => respondTo(reason)) ?? unexpected
    return Effect.catchCause(answer, () => unexpected).pipe(
      Effect.tap(({ status }) => status === 500 ? log(cause) : isTold(reason.error) ? logTold(cause) : Effect.void),
      Effect.map((response) => {
        const completed = complete(response, requestId)
        return details && completed.status >= 500 ? detailed(completed, reason.error) : completed
      })
    )
  }

  return (app) =>
    Effect.flatMap(RequestId.Current, (requestId) =>
      Effect.matchCauseEffect(app, {
        onSuccess: (response) => Effect.succeed(watching(complete(response, requestId), details, logBroken(requestId))),
        onFailure: (cause) => {
          const reason = reasonOf(cause)
          if (reason !== undefined) return failed(reason, cause, requestId)
          return Effect.flatMap(isEnded, (is) =>
            is
              // nobody waits for an answer any more, or the server stops
              ? Effect.failCause(cause)
              : failed({ error: new Error("The handler has interrupted itself"), isDefect: true }, cause, requestId))
        }
      }))
}

/**
 * The middleware itself, for use without a router. It does not know of other
 * methods for a path, and so says 404 for 405. A bad option throws a `RangeError`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options = {}): Middleware => make(options, undefined)

/**
 * Gives whatever goes wrong in a server the standard form. Provide it under the
 * routes: it is a router that knows them, and so can say which methods a path has. A
 * bad option throws a `RangeError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<HttpRouter.HttpRouter, never, HttpRouter.HttpRouter> =>
  around((middleware) => Effect.succeed(middleware), options)

/**
 * A router that notes its routes, inside of what `compose` makes of the middleware.
 *
 * @internal
 */
export const around = <R>(
  compose: (errors: Middleware) => Effect.Effect<Middleware, never, R>,
  options: Options
): Layer.Layer<HttpRouter.HttpRouter, never, HttpRouter.HttpRouter | R> => {
  make(options, undefined)
  return Layer.effect(
    HttpRouter.HttpRouter,
    Effect.gen(function*() {
      const router = yield* HttpRouter.HttpRouter
      const routes = new KnownRoutes(yield* HttpRouter.RouterConfig)
      const middleware = yield* compose(make(options, routes))
      yield* router.addGlobalMiddleware((app) => middleware(app))
      return routes.noting(router)
    })
  )
}
