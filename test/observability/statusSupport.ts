/** What the tests of the status API and of the dashboard share. */
import { Effect, Layer, Redacted } from "effect"
import { HttpServer } from "effect/http"
import { type Pipeline, Resilience } from "../../src/index.ts"
import { Recoveries, StatusServer } from "../../src/observability/index.ts"
import * as Pipelines from "../../src/Pipeline.ts"
import { Boom, present } from "../support.ts"

export { hostileNames } from "./names.ts"

export const secret = "s3cret-token-of-the-operator"

/** The status API, with what it reads; the pipelines are made by the test, with the same `Resilience`. */
export const served = (options: StatusServer.Options = { controlTokens: { olga: Redacted.make(secret) } }) =>
  StatusServer.layer(options).pipe(
    Layer.provide(Recoveries.layer),
    Layer.provide(HttpServer.layerServices)
  )

/** A pipeline with a breaker that opens at the second failure in a row, for ten seconds. */
export const quick = {
  retry: false,
  bulkhead: { concurrency: 3 },
  circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, open: "10 seconds" }
} as const satisfies Pipeline.Options

/** Calls that fail, one after the other. */
export const fail = (pipeline: { readonly protect: Pipelines.Pipeline<unknown>["protect"] }, times: number) =>
  Effect.repeat(Effect.ignore(pipeline.protect(Effect.fail(new Boom({ n: 1 })))), { times: times - 1 })

/** Pipelines by name, from options. */
export const pipelines = (options: { readonly [Name in string]: Pipeline.Options }) =>
  Effect.gen(function*() {
    const resilience = yield* Resilience.Resilience
    for (const [name, of] of Object.entries(options)) yield* Pipelines.make(name, of)
    const all = yield* resilience.pipelines
    return (name: string) => present(all.get(name))
  })

/** Lets the listeners hear what has happened. */
export const heard = Effect.repeat(Effect.yieldNow, { times: 20 })
