import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Id, ServiceClient } from "../../src/http/index.ts"
import { Resilience } from "../../src/index.ts"

/** What all six share: a token, a pipeline, and operations that are checked both ways. */
const base = <const Name extends string>(name: Name) => {
  const ThingId = Id.make(name)
  const Thing = Schema.Struct({ id: ThingId, name: Schema.NonEmptyString })
  return {
    api: HttpApi.make(name).add(
      HttpApiGroup.make("things", { topLevel: true }).add(
        HttpApiEndpoint.get("get", "/things/:id", { params: { id: ThingId }, success: Thing }),
        HttpApiEndpoint.post("create", "/things", {
          payload: Schema.Struct({ name: Schema.NonEmptyString }),
          success: Thing
        })
      )
    ),
    baseUrl: `http://${name}.internal`,
    token: Redacted.make("shared-by-all"),
    pipeline: {
      totalTimeout: "10 seconds",
      retry: { times: 3, backoff: { kind: "exponential", base: "500 millis", cap: "4 seconds" } },
      circuitBreaker: { trip: { kind: "consecutive", failures: 5, forgetAfter: "5 minutes" }, open: "60 seconds" },
      attemptTimeout: "5 seconds"
    }
  } as const
}

class Orchestrator extends ServiceClient.Service<Orchestrator>()("AgentOrchestrator", base("orchestrator")) {}
class Models extends ServiceClient.Service<Models>()("ModelOrchestration", base("models")) {}
class Plans extends ServiceClient.Service<Plans>()("Planning", base("plans")) {}
class Projects extends ServiceClient.Service<Projects>()("ProjectCoordinator", base("projects")) {}
class Services extends ServiceClient.Service<Services>()("ServiceIntegration", base("services")) {}
class Tools extends ServiceClient.Service<Tools>()("ToolIntegration", base("tools")) {}

/** All six hosts, of which one answers with a name that is empty. */
const hosts = () => {
  const asked: Array<string> = []
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      asked.push(`${request.method} ${url.host}`)
      const name = url.host.startsWith("tools") ? "" : url.host
      return HttpClientResponse.fromWeb(
        request,
        new Response(JSON.stringify({ id: "1", name }), { headers: { "content-type": "application/json" } })
      )
    })
  )
  const clients = [Orchestrator.layer, Models.layer, Plans.layer, Projects.layer, Services.layer, Tools.layer] as const
  const layer = Layer.mergeAll(...clients).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
    Layer.provideMerge(Resilience.layer)
  )
  return { asked, layer }
}

describe("A7: six service clients over one base", () => {
  it.effect("have each their own ids, host and breaker, and are checked both ways", () => {
    const { asked, layer } = hosts()
    return Effect.gen(function*() {
      const orchestrator = yield* Orchestrator
      const models = yield* Models
      const plans = yield* Plans
      const projects = yield* Projects
      const services = yield* Services
      const tools = yield* Tools
      const names = [
        (yield* orchestrator.create({ payload: { name: "a" } })).name,
        (yield* models.create({ payload: { name: "a" } })).name,
        (yield* plans.create({ payload: { name: "a" } })).name,
        (yield* projects.create({ payload: { name: "a" } })).name,
        (yield* services.create({ payload: { name: "a" } })).name
      ]
      assert.deepStrictEqual(
        names,
        ["orchestrator", "models", "plans", "projects", "services"].map((_) => `${_}.internal`)
      )

      // what does not match never leaves, and never gets through
      const unsent = yield* Effect.flip(plans.create({ payload: { name: "" } }))
      assert.strictEqual(unsent._tag, "RequestInvalid")
      assert.strictEqual(asked.length, 5)
      const unread = yield* Effect.flip(tools.create({ payload: { name: "a" } }))
      assert.strictEqual(unread._tag, "ResponseInvalid")

      // an id of one service is none of another
      const plan = yield* plans.create({ payload: { name: "a" } })
      yield* plans.get({ params: { id: plan.id } })
      // @ts-expect-error it is the id of a plan
      yield* projects.get({ params: { id: plan.id } })

      const breakers = yield* (yield* Resilience.Resilience).parts("circuitBreaker")
      assert.deepStrictEqual([...breakers.keys()].toSorted(), [
        "AgentOrchestrator",
        "ModelOrchestration",
        "Planning",
        "ProjectCoordinator",
        "ServiceIntegration",
        "ToolIntegration"
      ])
    }).pipe(Effect.provide(layer))
  })
})
