/**
 * The status API: how all services are, what changes about them, and control by hand.
 *
 * | endpoint                        |                                                    |
 * | ------------------------------- | -------------------------------------------------- |
 * | `GET /v1/api/status`            | everything that is known of every service          |
 * | `GET /v1/api/status/services`   | how each service is, in few words, by name         |
 * | `GET /v1/api/status/changes`    | the changes, as server-sent events                 |
 * | `POST /v1/api/status/control`   | control by hand: needs a token                     |
 *
 * It is an `HttpApi`: a client, its types and its OpenAPI document come from it.
 * `StatusServer` answers it. It tells names, states, counts and kinds of errors, and
 * no messages, urls, tokens or values; still it is for one's own people and programs,
 * not for the public. What goes wrong comes as a `Problem`.
 *
 * @since 0.1.0
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Problem from "../http/Problem.ts"
import * as Status from "./Status.ts"

// one schema each, so that what is wrong with a request is told for the action that it names
const ofBreaker = <const Name extends string>(name: Name) =>
  Schema.Struct({
    action: Schema.Literal(name),
    /** The name of the breaker: that of its pipeline, or `pipeline/operation`. */
    breaker: Schema.String.annotateKey({
      messageMissingKey: `${name} takes a breaker by its name, and its key where it has many`
    }),
    /** The key, where the breaker has many. */
    key: Schema.optionalKey(Schema.String)
  })

/**
 * What can be done by hand.
 *
 * - `forceOpen`, `forceClosed`, `disable`, `metricsOnly`: the breaker is held in
 *   that mode, in place of another that was asked for here, until `release` or until
 *   the server ends
 * - `release`: lets go of all that was held here
 * - `reset`: closes the breaker, with empty windows
 * - `reconfigure`: changes the options of a pipeline, as configuration would;
 *   see `ResilienceConfig`. In place of all former changes
 *
 * @category models
 * @since 0.1.0
 */
export const Action = Schema.Union([
  ofBreaker("forceOpen"),
  ofBreaker("forceClosed"),
  ofBreaker("disable"),
  ofBreaker("metricsOnly"),
  ofBreaker("release"),
  ofBreaker("reset"),
  Schema.Struct({
    action: Schema.Literal("reconfigure"),
    pipeline: Schema.String.annotateKey({
      messageMissingKey: "reconfigure takes a pipeline by its name, and options"
    }),
    /** Options as plain data. */
    options: Schema.Record(Schema.String, Schema.Unknown).annotateKey({
      messageMissingKey: "reconfigure takes a pipeline by its name, and options"
    })
  })
]).annotate({
  expected: "an object whose action is forceOpen, forceClosed, disable, metricsOnly, release, reset or reconfigure"
})

/**
 * What can be done by hand.
 *
 * @category models
 * @since 0.1.0
 */
export type Action = typeof Action.Type

/**
 * Lets in only those who show a token: in `Authorization`, with the scheme `Bearer`.
 *
 * @category middleware
 * @since 0.1.0
 */
export class ControlToken extends HttpApiMiddleware.Service<ControlToken>()(
  "effect-resilience/observability/ControlToken",
  { error: [Problem.Unauthenticated, Problem.Forbidden] }
) {}

/**
 * Lets in those who may read: everybody, unless the server has tokens for it. They are
 * shown as for `ControlToken`, and never in a url.
 *
 * @category middleware
 * @since 0.1.0
 */
export class ReadToken extends HttpApiMiddleware.Service<ReadToken>()(
  "effect-resilience/observability/ReadToken",
  { error: Problem.Unauthenticated }
) {}

/**
 * The status API.
 *
 * @example
 * ```ts
 * import { HttpApi } from "effect/http-api"
 * import { StatusApi } from "effect-resilience/observability"
 *
 * const paths: Array<string> = []
 * HttpApi.reflect(StatusApi.StatusApi, {
 *   onGroup: () => {},
 *   onEndpoint: ({ endpoint }) => void paths.push(`${endpoint.method} ${endpoint.path}`)
 * })
 *
 * console.log(paths[0]) // => GET /v1/api/status
 * ```
 *
 * @category api
 * @since 0.1.0
 */
export const StatusApi = HttpApi.make("resilience-status").add(
  HttpApiGroup.make("status").add(
    HttpApiEndpoint.get("all", "/v1/api/status", { success: Status.Status }).middleware(ReadToken),
    HttpApiEndpoint.get("services", "/v1/api/status/services", {
      success: Schema.Record(Schema.String, Status.Brief)
    }).middleware(ReadToken),
    HttpApiEndpoint.get("changes", "/v1/api/status/changes", {
      success: HttpApiSchema.StreamSse({ data: Status.Frame }),
      error: Problem.Unavailable
    }).middleware(ReadToken),
    HttpApiEndpoint.post("control", "/v1/api/status/control", {
      payload: Action,
      success: Status.Service,
      error: [Problem.NotFound, Problem.BadRequest, Problem.ValidationFailed]
    }).middleware(ControlToken)
  )
)
