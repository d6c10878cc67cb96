/** How a service is, as its client sees it. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Counts } from "../../internal/countsSchema.ts"
import type * as Pipeline from "../../Pipeline.ts"
import type * as Resilience from "../../Resilience.ts"

/**
 * How a service is, as its client sees it: for monitoring. It holds no secrets.
 *
 * @category models
 * @since 0.1.0
 */
export const Status = Schema.Struct({
  name: Schema.String,
  /** The origin of its base url: `https://planning.internal`. Null where it is discovered, and has not been yet. */
  baseUrl: Schema.NullOr(Schema.String),
  /** The state of each breaker: the service's, by its name, and those of operations that have their own. */
  circuitBreakers: Schema.Record(Schema.String, Schema.Literals(["Closed", "Open", "HalfOpen", "Forced"])),
  /** What its calls have come to since the pipeline was made, as `Pipeline.Counts` says. */
  counts: Counts
})

/**
 * How a service is, as its client sees it: for monitoring. It holds no secrets.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = typeof Status.Type

/** The status of each client that the layers of one class have made. */
export class Statuses {
  private readonly statuses = new WeakMap<object, Effect.Effect<Status>>()
  private readonly where: string
  constructor(where: string) {
    this.where = where
  }
  keep(
    client: object,
    origin: () => string | null,
    pipeline: Pipeline.Pipeline<unknown, unknown>,
    resilience: Resilience.Resilience["Service"]
  ): void {
    this.statuses.set(client, statusOf(origin, pipeline, resilience))
  }
  of(client: object): Effect.Effect<Status> {
    return this.statuses.get(client) ??
      Effect.die(new Error(`${this.where}: status is known of clients that its layers make`))
  }
}

const statusOf = (
  origin: () => string | null,
  pipeline: Pipeline.Pipeline<unknown, unknown>,
  resilience: Resilience.Resilience["Service"]
): Effect.Effect<Status> =>
  Effect.gen(function*() {
    const { name, settings } = pipeline
    const breakers = yield* resilience.parts("circuitBreaker")
    const states: Array<readonly [name: string, state: Status["circuitBreakers"][string]]> = []
    for (const { circuitBreaker } of [settings, ...settings.operations.values()]) {
      const breaker = circuitBreaker === undefined ? undefined : breakers.get(circuitBreaker.name)
      if (breaker !== undefined) states.push([breaker.name, (yield* breaker.snapshot).state])
    }
    // a service may be called anything, `__proto__` too
    return { name, baseUrl: origin(), circuitBreakers: Object.fromEntries(states), counts: yield* pipeline.counts }
  })
