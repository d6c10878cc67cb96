/** The API, and the client, that the tests of service clients use. */
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { ServiceClient } from "../../src/http/index.ts"

export class Plan extends Schema.Class<Plan>("Plan")({
  id: Schema.String,
  title: Schema.String,
  steps: Schema.Array(Schema.Struct({ name: Schema.String, hours: Schema.Number }))
}) {}

export class PlanNotFound extends Schema.TaggedError<PlanNotFound>()("PlanNotFound", { id: Schema.String }, {
  httpApiStatus: 404
}) {}

export class Maintenance extends Schema.TaggedError<Maintenance>()("Maintenance", {}, { httpApiStatus: 503 }) {}

export const PlanningApi = HttpApi.make("planning").add(
  HttpApiGroup.make("plans").add(
    HttpApiEndpoint.get("get", "/plans/:id", {
      params: { id: Schema.String },
      success: Plan,
      error: [PlanNotFound, Maintenance]
    }),
    HttpApiEndpoint.post("create", "/plans", {
      headers: Schema.Struct({ "idempotency-key": Schema.optionalKey(Schema.String) }),
      payload: Schema.Struct({ title: Schema.NonEmptyString, hours: Schema.FiniteFromString }),
      success: Plan
    }),
    HttpApiEndpoint.delete("remove", "/plans/:id", { params: { id: Schema.String }, success: HttpApiSchema.NoContent })
      .annotate(ServiceClient.OperationPipeline, { retry: { times: 1 } }),
    HttpApiEndpoint.post("search", "/search", {
      payload: Schema.Struct({ text: Schema.String }),
      success: Schema.Array(Plan)
    }).annotate(ServiceClient.OperationPipeline, { idempotent: true, circuitBreaker: { open: "1 second" } })
  ),
  HttpApiGroup.make("system", { topLevel: true }).add(HttpApiEndpoint.get("health", "/health"))
)

export const plan = (id: string) => new Plan({ id, title: "Move house", steps: [{ name: "pack", hours: 8 }] })

export const handlers = [
  HttpApiBuilder.group(PlanningApi, "plans", (handlers) =>
    handlers
      .handle("get", ({ params }) =>
        params.id === "9" ? Effect.fail(new PlanNotFound({ id: "9" })) : Effect.succeed(plan(params.id)))
      .handle("create", () =>
        Effect.succeed(plan("2")))
      .handle("remove", () => Effect.void)
      .handle("search", () => Effect.succeed([plan("1")]))),
  HttpApiBuilder.group(PlanningApi, "system", (handlers) => handlers.handle("health", () => Effect.void))
] as const

export const retry = { times: 3, backoff: { kind: "constant", delay: "1 millis" }, jitter: "none" } as const

export class Planning extends ServiceClient.Service<Planning>()("Planning", {
  api: PlanningApi,
  baseUrl: "http://planning.invalid/",
  pipeline: {
    totalTimeout: "10 seconds",
    retry,
    circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "60 seconds" },
    attemptTimeout: "2 seconds"
  }
}) {}
