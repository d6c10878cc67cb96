/** What the types of HTTP clients promise. Checked by the compiler alone. */
import { Config, type Effect, type Layer, Schema, type Stream } from "effect"
import type { HttpClient, HttpClientError } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { type Problem, ResilientHttpClient, ServiceClient, type ServiceError } from "../../src/http/index.ts"
import type { CircuitBreaker, Deadline, Pipeline, Resilience, Retry, Timeout } from "../../src/index.ts"
import type { Equal, Expect } from "./assert.ts"

class Plan extends Schema.Class<Plan>("Plan")({ id: Schema.String }) {}
class PlanNotFound extends Schema.TaggedError<PlanNotFound>()("PlanNotFound", {}, { httpApiStatus: 404 }) {}
class Clash extends Schema.TaggedError<Clash>()("Clash", {}, { httpApiStatus: 409 }) {}

const api = HttpApi.make("planning").add(
  HttpApiGroup.make("plans").add(
    HttpApiEndpoint.get("get", "/plans/:id", { params: { id: Schema.String }, success: Plan, error: PlanNotFound }),
    HttpApiEndpoint.post("create", "/plans", {
      payload: Schema.Struct({ hours: Schema.FiniteFromString }),
      success: Plan,
      error: [PlanNotFound, Clash]
    })
  ),
  HttpApiGroup.make("system", { topLevel: true }).add(HttpApiEndpoint.get("health", "/health"))
)

class Full extends ServiceClient.Service<Full>()("Full", {
  api,
  baseUrl: Config.URL("URL"),
  pipeline: { totalTimeout: "10 seconds", retry: { times: 3 }, circuitBreaker: {}, attemptTimeout: "2 seconds" }
}) {}

class Bare extends ServiceClient.Service<Bare>()("Bare", { api, baseUrl: "http://bare.invalid", pipeline: {} }) {}

class Wrapping extends ServiceClient.Service<Wrapping>()("Wrapping", {
  api,
  baseUrl: "http://wrapping.invalid",
  pipeline: { retry: { onExhausted: "wrap" }, circuitBreaker: false }
}) {}

declare const full: Full["Service"]
declare const bare: Bare["Service"]
declare const wrapping: Wrapping["Service"]

type Errors<F extends (...args: never) => unknown> = Effect.Error<ReturnType<F>>
type Timeouts = Timeout.TimedOut | Deadline.DeadlineExceeded

export type Methods = [
  Expect<
    Equal<
      Errors<typeof full.plans.get>,
      PlanNotFound | ServiceError.ServiceError | CircuitBreaker.CircuitOpen | Timeouts
    >
  >,
  Expect<
    Equal<
      Errors<typeof full.plans.create>,
      PlanNotFound | Clash | ServiceError.ServiceError | CircuitBreaker.CircuitOpen | Timeouts
    >
  >,
  Expect<Equal<Errors<typeof full.health>, ServiceError.ServiceError | CircuitBreaker.CircuitOpen | Timeouts>>,
  Expect<Equal<Errors<typeof bare.plans.get>, PlanNotFound | ServiceError.ServiceError>>,
  Expect<Equal<Errors<typeof wrapping.plans.get>, PlanNotFound | ServiceError.ServiceError | Retry.RetriesExhausted>>,
  Expect<Equal<Effect.Success<ReturnType<typeof full.plans.get>>, Plan>>,
  Expect<Equal<Effect.Success<ReturnType<typeof full.health>>, void>>,
  Expect<Equal<Effect.Services<ReturnType<typeof full.plans.create>>, never>>,
  Expect<Equal<keyof Full["Service"], "plans" | "health">>,
  Expect<
    Equal<
      ServiceError.ServiceError["_tag"],
      "RequestInvalid" | "ResponseInvalid" | "ServiceUnavailable" | "UnexpectedStatus" | Problem.Problem["_tag"]
    >
  >
]

type Needs = HttpClient.HttpClient | Resilience.Resilience

declare const handlers: Layer.Layer<
  HttpApiGroup.ToService<"planning", typeof api extends HttpApi.HttpApi<string, infer Groups> ? Groups : never>,
  "handlers failed",
  "handlers need"
>

const tested = Full.layerTest(handlers)

export type Layers = [
  Expect<Equal<typeof Full.layer, Layer.Layer<Full, Config.ConfigError, Needs>>>,
  Expect<Equal<typeof Bare.layer, Layer.Layer<Bare, never, Needs>>>,
  Expect<Equal<typeof tested, Layer.Layer<Full | Resilience.Resilience, "handlers failed", "handlers need">>>
]

const Item = Schema.Struct({ n: Schema.Number })
class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

const streamingApi = HttpApi.make("streaming").add(
  HttpApiGroup.make("root", { topLevel: true }).add(
    HttpApiEndpoint.get("lines", "/lines", { success: HttpApiSchema.StreamNdjson({ schema: Item }), error: Clash }),
    HttpApiEndpoint.get("events", "/events", { success: HttpApiSchema.StreamSse({ data: Item, error: Broken }) }),
    HttpApiEndpoint.get("either", "/either", { success: [Item, HttpApiSchema.StreamUint8Array()] })
  )
)

class Streaming extends ServiceClient.Service<Streaming>()("Streaming", {
  api: streamingApi,
  baseUrl: "http://streaming.invalid",
  token: Config.Redacted("TOKEN"),
  pipeline: { circuitBreaker: {}, streams: { idle: "1 second" } }
}) {}

declare const streaming: Streaming["Service"]
type StreamAdds = ServiceError.ServiceError | CircuitBreaker.CircuitOpen | Timeout.TimedOut
type OfStream<F extends (...args: never) => unknown> = ReturnType<F> extends Stream.Stream<infer A, infer E, infer R>
  ? [A, E, R]
  : never

export type Streams = [
  Expect<Equal<OfStream<typeof streaming.lines>, [typeof Item.Type, Clash | StreamAdds, never]>>,
  Expect<Equal<OfStream<typeof streaming.events>, [typeof Item.Type, Broken | StreamAdds, never]>>,
  // one that may answer otherwise is an effect, which has no limits of streams
  Expect<Equal<Errors<typeof streaming.either>, ServiceError.ServiceError | CircuitBreaker.CircuitOpen>>,
  // a token from configuration can be missing
  Expect<Equal<typeof Streaming.layer, Layer.Layer<Streaming, Config.ConfigError, Needs>>>,
  Expect<Equal<typeof Full.status, Effect.Effect<ServiceClient.Status, never, Full>>>
]

void full.plans.create({ payload: { hours: 3 } }, { idempotencyKey: true })
void full.plans.create({ payload: { hours: 3 } }, { idempotencyKey: "order-1" })
// @ts-expect-error a key is made, or a string
void full.plans.create({ payload: { hours: 3 } }, { idempotencyKey: 1 })

export const bareToken = ServiceClient.Service<Bare>()("BareToken", {
  api,
  baseUrl: "http://bare.invalid",
  // @ts-expect-error a token is redacted
  token: "secret",
  pipeline: {}
})

void full.health()
void full.plans.create({ payload: { hours: 3 } }, { idempotent: true })
// @ts-expect-error an id is a string
void full.plans.get({ params: { id: 1 } })
// @ts-expect-error the payload is given decoded
void full.plans.create({ payload: { hours: "3" } })
// @ts-expect-error there is no such operation
void full.plans.remove
// @ts-expect-error a request is needed
void full.plans.get()

export const misspelt = ServiceClient.Service<Bare>()("Misspelt", {
  api,
  baseUrl: "http://bare.invalid",
  // @ts-expect-error the option is called retry
  pipeline: { retries: { times: 3 } }
})

HttpApiEndpoint.get("get", "/").annotate(ServiceClient.OperationPipeline, { retry: false, attemptTimeout: "1 second" })
// @ts-expect-error the option is called times
HttpApiEndpoint.get("get", "/").annotate(ServiceClient.OperationPipeline, { retry: { tries: 1 } })

declare const client: HttpClient.HttpClient.With<HttpClientError.HttpClientError | "own", "needs">
declare const pipeline: Pipeline.Pipeline<CircuitBreaker.CircuitOpen | Timeouts>

const first = ResilientHttpClient.make(client, pipeline)
const last = client.pipe(ResilientHttpClient.make(pipeline, { idempotent: () => true }))
const layer = ResilientHttpClient.layer("upstream", { retry: {}, circuitBreaker: {} })

type Protected = HttpClient.HttpClient.With<
  HttpClientError.HttpClientError | "own" | CircuitBreaker.CircuitOpen | Timeouts,
  "needs"
>

export type Clients = [
  Expect<Equal<typeof first, Protected>>,
  Expect<Equal<typeof last, Protected>>,
  Expect<Equal<typeof layer, Layer.Layer<HttpClient.HttpClient, never, Needs>>>
]
