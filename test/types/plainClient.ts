/** What the types of plain clients promise. Checked by the compiler alone. */
import { type Config, Context, type Effect, type Layer, type Redacted, Schema } from "effect"
import type { HttpClient } from "effect/http"
import { PlainClient, type ServiceClient, type ServiceError } from "../../src/http/index.ts"
import type { CircuitBreaker, Deadline, Resilience, Timeout } from "../../src/index.ts"
import type { Equal, Expect } from "./assert.ts"

const Order = Schema.Struct({ hours: Schema.FiniteFromString })
class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}
class Gone extends Schema.TaggedError<Gone>()("Gone", {}) {}
class Registry extends Context.Service<Registry, { readonly find: Effect.Effect<URL, "unknown"> }>()("Registry") {}

declare const url: Config.Config<URL>
declare const discover: Effect.Effect<URL, "unknown", Registry>
declare const token: Config.Config<Redacted.Redacted>
declare const upstream: HttpClient.HttpClient

class Full extends PlainClient.Service<Full>()("Full", {
  baseUrl: url,
  pipeline: { totalTimeout: "10 seconds", retry: {}, circuitBreaker: {} }
}) {}
class Found extends PlainClient.Service<Found>()("Found", { baseUrl: { discover }, token, pipeline: {} }) {}
class Fixed extends PlainClient.Service<Fixed>()("Fixed", { baseUrl: "http://fixed.invalid", pipeline: {} }) {}

declare const full: Full["Service"]
declare const fixed: Fixed["Service"]
declare const path: string
type Adds = ServiceError.ServiceError | CircuitBreaker.CircuitOpen | Timeout.TimedOut | Deadline.DeadlineExceeded

const got = full.get("/orders/:id", { params: { id: 1 }, success: Order, errors: { 402: Declined, 410: Gone } })
const health = fixed.get("/health")
const posted = fixed.post("/orders/:id/hours/:n", {
  params: { id: "1", n: 2 },
  payload: { hours: 1 },
  payloadSchema: Order,
  success: Order
})
const dynamic = [
  fixed.get(path),
  fixed.get(path, { params: { any: "1" } }),
  fixed.get(`/orders/${path}`, { success: Order }),
  fixed.del("/orders/:id", { params: { id: 1 }, idempotent: false })
] as const

export type Answers = [
  Expect<Equal<typeof got, Effect.Effect<{ readonly hours: number }, Declined | Gone | Adds>>>,
  Expect<Equal<typeof health, Effect.Effect<void, ServiceError.ServiceError>>>,
  Expect<Equal<typeof posted, Effect.Effect<{ readonly hours: number }, ServiceError.ServiceError>>>,
  Expect<Equal<(typeof dynamic)[2], Effect.Effect<{ readonly hours: number }, ServiceError.ServiceError>>>,
  Expect<Equal<PlainClient.ParamsOf<"/plans/:id/tasks/:task">, "id" | "task">>,
  Expect<Equal<PlainClient.ParamsOf<"/v1/models:generate">, never>>
]

type Needs = HttpClient.HttpClient | Resilience.Resilience
const tested = Full.layerTest(upstream)

export type Layers = [
  Expect<Equal<typeof Full.layer, Layer.Layer<Full, Config.ConfigError, Needs>>>,
  Expect<Equal<typeof Found.layer, Layer.Layer<Found, Config.ConfigError, Needs | Registry>>>,
  Expect<Equal<typeof Fixed.layer, Layer.Layer<Fixed, never, Needs>>>,
  Expect<Equal<typeof tested, Layer.Layer<Full | Resilience.Resilience>>>,
  Expect<Equal<typeof Full.status, Effect.Effect<ServiceClient.Status, never, Full>>>
]

export const refused = () => [
  // @ts-expect-error the path has a parameter
  fixed.get("/orders/:id"),
  // @ts-expect-error the path has a parameter
  fixed.get("/orders/:id", { success: Order }),
  // @ts-expect-error it is called id
  fixed.get("/orders/:id", { params: { key: 1 } }),
  // @ts-expect-error the path has no parameter
  fixed.get("/orders", { params: { id: 1 } }),
  // @ts-expect-error hours are a number
  fixed.post("/orders", { payload: { hours: "1" }, payloadSchema: Order }),
  // @ts-expect-error nothing says how it becomes JSON
  fixed.post("/orders", { payload: { hours: 1 } }),
  // @ts-expect-error a GET has no payload
  fixed.get("/orders", { payload: { hours: 1 }, payloadSchema: Order }),
  PlainClient.Service<unknown>()("Misspelt", {
    baseUrl: "http://misspelt.invalid",
    // @ts-expect-error there is no such option
    pipeline: { retires: {} }
  })
]
