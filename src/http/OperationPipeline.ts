/**
 * How one operation of a service differs from the others.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Pipeline from "../Pipeline.ts"

/**
 * What an operation changes about the pipeline of its service: the values of
 * parts that are there, and `false` for a part that it does without. It cannot
 * add a part, which would add errors that the types do not know of. `idempotent`
 * gives or takes leave to send a request again.
 *
 * An operation that changes a part with a state, such as the circuit breaker, has
 * a state of its own; all others share the service's.
 *
 * @category models
 * @since 0.1.0
 */
export interface Overrides extends Pipeline.Overrides {}

/**
 * The annotation by which an endpoint, or a whole group, changes the pipeline for
 * its operations. That of an endpoint takes the place of its group's.
 *
 * @example
 * ```ts
 * import { HttpApiEndpoint, HttpApiSchema } from "effect/http-api"
 * import { ServiceClient } from "effect-resilience/http"
 *
 * const remove = HttpApiEndpoint.delete("remove", "/plans", { success: HttpApiSchema.NoContent })
 *   .annotate(ServiceClient.OperationPipeline, { retry: { times: 1 }, attemptTimeout: "500 millis" })
 *
 * console.log(remove.identifier) // => remove
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export class OperationPipeline extends Context.Service<OperationPipeline, Overrides>()(
  "effect-resilience/http/OperationPipeline"
) {}
