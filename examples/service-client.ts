/**
 * A typed client of a service, with its in-memory test layer.
 *
 * The API is declared once. The client's methods, with their exact errors, the
 * handlers and the test are made from it.
 */
import { Console, Duration, Effect, Schema } from "effect"
import { ServiceClient } from "effect-resilience/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

// What both sides agree on. ---------------------------------------------------

class Plan extends Schema.Class<Plan>("Plan")({ id: Schema.String, title: Schema.String }) {}

class PlanNotFound extends Schema.TaggedError<PlanNotFound>()("PlanNotFound", { id: Schema.String }, {
  httpApiStatus: 404
}) {}

const PlanningApi = HttpApi.make("planning").add(
  HttpApiGroup.make("plans").add(
    HttpApiEndpoint.get("get", "/plans/:id", { params: { id: Schema.String }, success: Plan, error: PlanNotFound }),
    // a plan is created once, so nobody repeats the request: it has less time than the others instead
    HttpApiEndpoint.post("create", "/plans", {
      payload: Schema.Struct({ title: Schema.NonEmptyString }),
      success: Plan
    })
      .annotate(ServiceClient.OperationPipeline, { retry: false, totalTimeout: "3 seconds" })
  )
)

// The client: where the service lives, and how it is protected. ------------------

class Planning extends ServiceClient.Service<Planning>()("Planning", {
  api: PlanningApi,
  baseUrl: "http://planning.internal",
  pipeline: {
    totalTimeout: "10 seconds",
    retry: { times: 3, backoff: { kind: "exponential", base: "500 millis", cap: "4 seconds" } },
    circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "60 seconds" },
    attemptTimeout: "2 seconds"
  }
}) {}

// A program that uses it. Its type says all that can go wrong. ---------------------

const titleOf = (id: string) =>
  Effect.gen(function*() {
    const planning = yield* Planning
    const plan = yield* planning.plans.get({ params: { id } })
    return plan.title
  }).pipe(
    Effect.catchTags({
      PlanNotFound: ({ id }) => Effect.succeed(`there is no plan ${id}`),
      CircuitOpen: ({ retryAfter = Duration.zero }) =>
        Effect.succeed(`planning is down, ask again in ${Math.ceil(Duration.toSeconds(retryAfter))}s`)
    })
  )

// The test: the same client over handlers in memory, with faults on demand. ----------

const handlers = HttpApiBuilder.group(PlanningApi, "plans", (handlers) =>
  handlers
    .handle("get", ({ params }) =>
      params.id === "1"
        ? Effect.succeed(new Plan({ id: "1", title: "Move house" }))
        : Effect.fail(new PlanNotFound({ id: params.id })))
    .handle("create", ({ payload }) => Effect.succeed(new Plan({ id: "2", title: payload.title }))))

const well = Planning.layerTest(handlers)

const flaky = Planning.layerTest(handlers, {
  faults: { "plans.get": [{ kind: "refuse" }, { kind: "status", status: 503, retryAfter: "1" }] }
})

const down = Planning.layerTest(handlers, { circuitBreakers: { Planning: "Open" } })

const program = Effect.gen(function*() {
  yield* Console.log("well:   ", yield* Effect.provide(titleOf("1"), well))
  yield* Console.log("unknown:", yield* Effect.provide(titleOf("9"), well))
  yield* Console.log("flaky:  ", yield* Effect.provide(titleOf("1"), flaky))
  yield* Console.log("down:   ", yield* Effect.provide(titleOf("1"), down))

  const invalid = Effect.flatMap(Planning, ({ plans }) => plans.create({ payload: { title: "" } }))
  yield* Console.log("refused:", (yield* invalid.pipe(Effect.provide(well), Effect.flip)).message)
})

await Effect.runPromise(program)
