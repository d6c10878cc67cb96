/** A server that behaves: request ids, deadlines, tokens, limits, problems and a graceful end, in one layer. */
import { Deferred, Effect, Fiber, Layer, Logger, Redacted, Schedule, Schema } from "effect"
import { CircuitBreaker } from "effect-resilience"
import { Drain, Problem, Server } from "effect-resilience/http"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const Api = HttpApi.make("shop").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.get("get", "/orders/:id", {
      params: { id: Schema.String },
      success: Schema.Struct({ id: Schema.String }),
      error: Problem.NotFound
    }),
    HttpApiEndpoint.post("create", "/orders", {
      payload: Schema.Struct({ item: Schema.String, count: Schema.Number.check(Schema.isGreaterThan(0)) }),
      success: Schema.Struct({ id: Schema.String })
    })
  )
  // all mistakes of a request are reported, not only the first
).annotate(HttpApi.ParseOptions, { errors: "all" })

const gate = Deferred.makeUnsafe<void>()

const orders = HttpApiBuilder.group(Api, "orders", (handlers) =>
  handlers
    .handle("get", ({ params: { id } }) => {
      switch (id) {
        case "slow":
          return Effect.as(Deferred.await(gate), { id })
        case "broken":
          // an error that the api does not declare
          return Effect.die(new CircuitBreaker.CircuitOpen({ policy: "stock" }))
        case "1":
          return Effect.succeed({ id })
        default:
          return Effect.fail(new Problem.NotFound({ detail: "There is no such order" }))
      }
    })
    .handle("create", () => Effect.succeed({ id: "2" })))

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(Api).pipe(Layer.provide(orders)),
  Drain.layerReadiness("/health/ready")
)

const behaviour = Server.layer({
  deadline: { max: "10 seconds" },
  tokenCheck: { tokens: { web: Redacted.make("a-token-of-the-web-shop") } },
  callerRateLimit: { limit: { kind: "fixed-window", permits: 100, per: "1 minute" } },
  loadShedding: {},
  bodyLimit: { maxBytes: 1_000 }
})

// whoever stops the server gets hold of its `Drain`
const drain = Deferred.makeUnsafe<Drain.Drain["Service"]>()
const app = Layer.mergeAll(routes, Layer.effectDiscard(Effect.flatMap(Drain.Drain, (_) => Deferred.succeed(drain, _))))

// `HttpRouter.serve` and `NodeHttpServer.layer` in earnest
const { dispose, handler } = HttpRouter.toWebHandler(
  app.pipe(
    Layer.provide(behaviour),
    Layer.provide(HttpServer.layerServices),
    Layer.provideMerge(Logger.layer([]))
  ),
  { disableLogger: true }
)

const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) =>
  Effect.promise(async () => {
    const response = await handler(
      new Request(`http://localhost${path}`, {
        method,
        headers: {
          "x-internal-token": "a-token-of-the-web-shop",
          "content-type": "application/json",
          "x-request-id": "req-1",
          ...headers
        },
        ...(body !== undefined && { body: JSON.stringify(body) })
      })
    )
    const text = await response.text()
    console.log(`${method} ${path}: ${response.status} ${text}`)
    return response
  })

const program = Effect.gen(function*() {
  const answer = yield* ask("GET", "/orders/1")
  console.log(
    answer.headers.get("x-request-id"),
    answer.headers.get("ratelimit-policy"),
    answer.headers.get("ratelimit")
  )
  yield* ask("GET", "/orders/1", { "x-internal-token": "guessed" })
  yield* ask("GET", "/orders/7")
  yield* ask("POST", "/orders", {}, { count: -3 })
  yield* ask("POST", "/orders", {}, { item: "x".repeat(2_000), count: 1 })
  yield* ask("GET", "/orders/broken")
  yield* ask("GET", "/orders/slow", { "x-deadline-ms": "20" })
  const wrong = yield* ask("DELETE", "/orders/1")
  console.log("allowed:", wrong.headers.get("allow"))

  // it stops: what is in flight finishes, what comes now is sent elsewhere
  const server = yield* Deferred.await(drain)
  const slow = yield* Effect.forkChild(ask("GET", "/orders/slow"))
  yield* Effect.repeat(server.inFlight, { until: (count) => count === 1, schedule: Schedule.spaced("1 millis") })
  const stopping = yield* Effect.forkChild(server.drain({ wait: "5 seconds" }), { startImmediately: true })
  yield* ask("GET", "/health/ready")
  const refused = yield* ask("GET", "/orders/1")
  console.log("retry after:", refused.headers.get("retry-after"), "connection:", refused.headers.get("connection"))
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.join(slow)
  console.log("still in flight:", yield* Fiber.join(stopping))
})

await Effect.runPromise(program)
await dispose()
