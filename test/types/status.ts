/** What the types of status API and dashboard promise. Checked by the compiler alone. */
import { NodeHttpServer } from "@effect/platform-node"
import { type Effect, type FileSystem, Layer, type Path, Redacted, type Stream } from "effect"
import type { Etag, HttpClient, HttpPlatform, HttpRouter, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import type { ServeError } from "effect/http/HttpServerError"
import { createServer } from "node:http"
import { Resilience } from "../../src/index.ts"
import { StatusPort } from "../../src/node/index.ts"
import {
  Dashboard,
  Observability,
  Recoveries,
  type Status,
  StatusApi,
  StatusServer
} from "../../src/observability/index.ts"
import type { Equal, Expect } from "./assert.ts"

// routes ask for what they read, and for what every HTTP server of Effect provides; they cannot fail
const status = StatusServer.layer({ controlTokens: { olga: Redacted.make("secret") } })
const dashboard = Dashboard.layer({ path: "/ops/dashboard", title: "Shop" })
type Platform = Etag.Generator | HttpPlatform.HttpPlatform | FileSystem.FileSystem | Path.Path
export type Routes = [
  Expect<
    Equal<
      typeof status,
      Layer.Layer<never, never, HttpRouter.HttpRouter | Resilience.Resilience | Recoveries.Recoveries | Platform>
    >
  >,
  Expect<
    Equal<typeof dashboard, Layer.Layer<never, never, HttpRouter.HttpRouter | FileSystem.FileSystem | Path.Path>>
  >
]

// a port of its own needs nothing more of the platform, and can be taken
const port = StatusPort.layer(Layer.mergeAll(status, dashboard), { port: 0 })
const whole = port.pipe(Layer.provide(Recoveries.layer), Layer.provide(Resilience.layer))
type ErrorOf<L> = L extends Layer.Layer<infer _A, infer E, infer _R> ? E : never
type NeedsOf<L> = L extends Layer.Layer<infer _A, infer _E, infer R> ? R : never
type GivesOf<L> = L extends Layer.Layer<infer A, infer _E, infer _R> ? A : never
export type Port = [
  Expect<
    Equal<typeof port, Layer.Layer<StatusPort.Provided, ServeError, Resilience.Resilience | Recoveries.Recoveries>>
  >,
  Expect<Equal<ErrorOf<typeof whole>, ServeError>>,
  Expect<Equal<NeedsOf<typeof whole>, never>>,
  Expect<Equal<Extract<GivesOf<typeof whole>, HttpServer.HttpServer>, HttpServer.HttpServer>>
]

// all routes, and all that they read
const everything = StatusPort.layer(Observability.layerRoutes(), { port: 0 }).pipe(
  Layer.provide(Observability.layer()),
  Layer.provide(Resilience.layer)
)
export type Everything = [
  Expect<Equal<ErrorOf<typeof everything>, ServeError>>,
  Expect<Equal<NeedsOf<typeof everything>, never>>
]

// a client of the API
const client = HttpApiClient.make(StatusApi.StatusApi, { baseUrl: "http://localhost:9464" })
declare const asked: Effect.Success<typeof client>["status"]
const all = asked.all()
const changes = asked.changes()
type FrameOf<S> = S extends Stream.Stream<infer F, infer _E, infer _R> ? F : never
export type Answers = [
  Expect<Equal<Effect.Services<typeof client>, HttpClient.HttpClient>>,
  Expect<Equal<Effect.Success<typeof all>, Status.Status>>,
  Expect<Equal<FrameOf<Effect.Success<typeof changes>>, Status.Frame>>
]

// @ts-expect-error: a token in the clear
StatusServer.layer({ controlTokens: { olga: "secret" } })
// @ts-expect-error: an unknown option
StatusServer.layer({ token: Redacted.make("secret") })
// @ts-expect-error: a path begins with a slash
Dashboard.layer({ path: "dashboard" })
// @ts-expect-error: a port is a must
StatusPort.layer(status, {})
// @ts-expect-error: an action that there is not
export const action: StatusApi.Action = { action: "explode", breaker: "quotes" }

// the same routes on a server of one's own
export const own = Layer.provide(dashboard, NodeHttpServer.layer(createServer, { port: 0 }))
