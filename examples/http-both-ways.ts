/**
 * One API of ten endpoints: a protected client, a well-behaved server and an
 * in-memory test, all from the same declaration.
 */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted, Schema } from "effect"
import { Resilience } from "effect-resilience"
import { Problem, Server, ServiceClient } from "effect-resilience/http"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { createServer } from "node:http"

// ---------------------------------------------------------------- the declaration

const Project = Schema.Struct({ id: Schema.String, name: Schema.NonEmptyString })
const Task = Schema.Struct({ id: Schema.String, title: Schema.NonEmptyString, done: Schema.Boolean })
const id = { params: { id: Schema.String }, error: [Problem.NotFound, Problem.ValidationFailed] } as const
const named = { payload: Schema.Struct({ name: Schema.NonEmptyString }) } as const
const titled = { payload: Schema.Struct({ title: Schema.NonEmptyString }) } as const
const gone = { success: HttpApiSchema.NoContent } as const

const WorkApi = HttpApi.make("work")
  .add(
    HttpApiGroup.make("projects").add(
      HttpApiEndpoint.get("list", "/projects", { success: Schema.Array(Project) }),
      HttpApiEndpoint.get("get", "/projects/:id", { ...id, success: Project }),
      HttpApiEndpoint.post("create", "/projects", { ...named, success: Project, error: Problem.ValidationFailed }),
      HttpApiEndpoint.put("rename", "/projects/:id", { ...id, ...named, success: Project }),
      HttpApiEndpoint.delete("remove", "/projects/:id", { ...id, ...gone })
    )
  )
  .add(
    HttpApiGroup.make("tasks").add(
      HttpApiEndpoint.get("list", "/projects/:id/tasks", { ...id, success: Schema.Array(Task) }),
      HttpApiEndpoint.post("add", "/projects/:id/tasks", { ...id, ...titled, success: Task }),
      HttpApiEndpoint.get("get", "/tasks/:id", { ...id, success: Task }),
      HttpApiEndpoint.put("finish", "/tasks/:id/done", { ...id, success: Task }),
      HttpApiEndpoint.delete("remove", "/tasks/:id", { ...id, ...gone })
    )
  )

// ---------------------------------------------------------------- the client

const token = Redacted.make("a-token-that-services-share")

const work = <const Url extends string>(baseUrl: Url) => ({
  api: WorkApi,
  baseUrl,
  token,
  pipeline: {
    totalTimeout: "5 seconds",
    retry: { times: 2, backoff: { kind: "exponential", base: "10 millis" } },
    circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "30 seconds" },
    attemptTimeout: "1 second"
  }
} as const)

class Work extends ServiceClient.Service<Work>()("Work", work("http://work.internal")) {}

// ---------------------------------------------------------------- the server

const tasks = new Map<string, typeof Task.Type>()
const projects = new Map<string, typeof Project.Type>()

const found = <A>(things: ReadonlyMap<string, A>, id: string): Effect.Effect<A, Problem.NotFound> => {
  const thing = things.get(id)
  return thing === undefined
    ? Effect.fail(new Problem.NotFound({ detail: `there is no ${id}` }))
    : Effect.succeed(thing)
}
const keep = <A extends { readonly id: string }>(things: Map<string, A>, thing: A) =>
  Effect.sync(() => {
    things.set(thing.id, thing)
    return thing
  })
const drop = (things: Map<string, unknown>, id: string) =>
  Effect.andThen(found(things, id), Effect.sync(() => void things.delete(id)))

const handlers = Layer.mergeAll(
  HttpApiBuilder.group(WorkApi, "projects", (handlers) =>
    handlers
      .handle("list", () => Effect.sync(() => [...projects.values()]))
      .handle("get", ({ params }) => found(projects, params.id))
      .handle("create", ({ payload }) => keep(projects, { id: `p${projects.size + 1}`, ...payload }))
      .handle("rename", ({ params, payload }) =>
        Effect.flatMap(found(projects, params.id), (project) =>
          keep(projects, { ...project, ...payload })))
      .handle("remove", ({ params }) =>
        drop(projects, params.id))),
  HttpApiBuilder.group(WorkApi, "tasks", (handlers) =>
    handlers
      .handle("list", ({ params }) => Effect.as(found(projects, params.id), [...tasks.values()]))
      .handle("add", ({ params, payload }) =>
        Effect.andThen(
          found(projects, params.id),
          keep(tasks, { id: `t${tasks.size + 1}`, done: false, ...payload })
        ))
      .handle("get", ({ params }) => found(tasks, params.id))
      .handle("finish", ({ params }) =>
        Effect.flatMap(found(tasks, params.id), (task) => keep(tasks, { ...task, done: true })))
      .handle("remove", ({ params }) =>
        drop(tasks, params.id)))
)

const server = HttpApiBuilder.layer(WorkApi).pipe(
  Layer.provide(handlers),
  Layer.provide(Server.layer({ tokenCheck: { tokens: { work: token }, header: "x-internal-token" } })),
  (routes) => HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })
)

// ---------------------------------------------------------------- both of them, over a real socket and in memory

const program = Effect.gen(function*() {
  const { projects, tasks } = yield* Work
  const project = yield* projects.create({ payload: { name: "Move house" } })
  const task = yield* tasks.add({ params: { id: project.id }, payload: { title: "Pack" } })
  yield* tasks.finish({ params: { id: task.id } })
  const all = yield* tasks.list({ params: { id: project.id } })
  yield* Console.log(all.map(({ done, title }) => `${title}: ${done ? "done" : "to do"}`).join(", "))
  const missing = yield* Effect.flip(projects.get({ params: { id: "p9" } }))
  yield* Console.log(missing._tag === "NotFound" ? `${missing.code}: ${missing.detail}` : missing._tag)
})

const overTheWire = Effect.gen(function*() {
  const address = HttpServer.formatAddress((yield* HttpServer.HttpServer).address)
  class Live extends ServiceClient.Service<Live>()("Work", work(address)) {}
  yield* Effect.provide(program, Layer.effect(Work, Live).pipe(Layer.provide(Live.layer)))
}).pipe(
  Effect.provide(
    Layer.mergeAll(server, NodeHttpClient.layerUndici, Resilience.layer).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0 }))
    )
  )
)

await Effect.runPromise(overTheWire)
tasks.clear()
projects.clear()
// the first request of an operation meets a fault, and is tried again
const test = Work.layerTest(handlers, { faults: { "tasks.finish": [{ kind: "status", status: 503 }] } })
await Effect.runPromise(Effect.provide(program, test))
