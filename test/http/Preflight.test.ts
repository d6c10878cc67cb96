import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Id from "../../src/http/Id.ts"
import { Problem, ServiceClient } from "../../src/http/index.ts"
import * as Preflight from "../../src/http/Preflight.ts"
import * as Validation from "../../src/http/Validation.ts"

const ProjectId = Id.make("Project")

const NewTask = Schema.Struct({
  title: Schema.NonEmptyString,
  hours: Schema.FiniteFromString,
  startsAt: Schema.optionalKey(Schema.Number),
  endsAt: Schema.optionalKey(Schema.Number)
}).check(Validation.requires("endsAt", "startsAt"))

const Api = HttpApi.make("tasks").add(
  HttpApiGroup.make("tasks").add(
    HttpApiEndpoint.post("create", "/projects/:project/tasks", {
      params: { project: ProjectId },
      query: {
        dry: Schema.optionalKey(Schema.Literals(["yes", "no"])),
        tags: Schema.optionalKey(Schema.Array(Schema.String))
      },
      headers: { "x-token": Schema.NonEmptyString },
      payload: NewTask
    }),
    HttpApiEndpoint.get("list", "/tasks", { query: { page: Schema.optionalKey(Schema.FiniteFromString) } })
  ),
  HttpApiGroup.make("system", { topLevel: true }).add(HttpApiEndpoint.get("health", "/health")),
  Preflight.group
)

class Tasks extends ServiceClient.Service<Tasks>()("Tasks", {
  api: Api,
  baseUrl: "http://tasks.internal",
  pipeline: {}
}) {}

class Projects extends Context.Service<Projects, { readonly known: ReadonlyArray<string> }>()("Projects") {}

/** Counts what is performed, which is nothing. */
const performed = { calls: 0 }
const perform = Effect.sync(() => {
  performed.calls++
})
const handlers = Layer.merge(
  HttpApiBuilder.group(
    Api,
    "tasks",
    (handlers) => handlers.handle("create", () => perform).handle("list", () => perform)
  ),
  HttpApiBuilder.group(Api, "system", (handlers) => handlers.handle("health", () => perform))
)

const preflight = Preflight.layer(Api, {
  tasks: {
    create: ({ params, payload }) =>
      Effect.gen(function*() {
        const { known } = yield* Projects
        if (payload.hours > 100) return { valid: false as const, errors: [], step: "hours" }
        if (!known.includes(params.project)) {
          return yield* Effect.fail(
            new Problem.ValidationFailed({
              errors: [{ field: "params.project", message: "There is no such project", hint: "Create it first" }]
            })
          )
        }
        return
      })
  }
})

const served = Tasks.layerTest(
  Layer.merge(handlers, preflight).pipe(Layer.provide(Layer.succeed(Projects, { known: ["house"] })))
)

const request = {
  params: { project: ProjectId.make("house") },
  query: { dry: "yes", tags: ["a", "b"] },
  headers: { "x-token": "hunter2" },
  payload: { title: "Paint", hours: 3 }
} as const

const asking = Effect.map(Tasks, (tasks) => Preflight.client(Api, tasks.preflight.check))

describe("Preflight", () => {
  it.effect("A14: says yes to a request that would be performed, and performs nothing", () =>
    Effect.gen(function*() {
      const ask = yield* asking
      assert.deepStrictEqual(yield* ask.tasks.create(request), { valid: true })
      assert.deepStrictEqual(yield* ask.tasks.list({ query: { page: 2 } }), { valid: true })
      assert.deepStrictEqual(yield* ask.health({}), { valid: true })
      assert.strictEqual(performed.calls, 0)
    }).pipe(Effect.provide(served)))

  it.effect("A14: asks the rules of the server, which may need services", () =>
    Effect.gen(function*() {
      const ask = yield* asking
      assert.deepStrictEqual(yield* ask.tasks.create({ ...request, params: { project: ProjectId.make("boat") } }), {
        valid: false,
        errors: [{ field: "params.project", message: "There is no such project", hint: "Create it first" }]
      })
      const hours = yield* ask.tasks.create({ ...request, payload: { title: "Paint", hours: 101 } })
      assert.deepStrictEqual(hours, { valid: false, errors: [], step: "hours" })
    }).pipe(Effect.provide(served)))

  it.effect("A14: a request that does not match is answered in the client, with all that is wrong", () =>
    Effect.gen(function*() {
      const ask = Preflight.client(Api, () => Effect.die("nothing is sent"))
      const verdict = yield* ask.tasks.create({ ...request, payload: { title: "", hours: 3, endsAt: 1 } })
      assert.deepStrictEqual(verdict.valid ? [] : verdict.errors.map(({ field }) => field), ["payload.title"])
      const rule = yield* ask.tasks.create({ ...request, payload: { title: "Paint", hours: 3, endsAt: 1 } })
      assert.deepStrictEqual(rule, {
        valid: false,
        errors: [{
          field: "payload.startsAt",
          message: "It is needed where endsAt is given",
          hint: "Give startsAt, or leave out endsAt"
        }]
      })
    }))

  it.effect("A14: the server checks for itself what others send, and quotes no value", () =>
    Effect.gen(function*() {
      const tasks = yield* Tasks
      const verdict = yield* tasks.preflight.check({
        params: { operation: "tasks.create" },
        payload: {
          params: { project: "../up" },
          query: { dry: "hunter2" },
          headers: { "x-token": "" },
          payload: { title: "Paint", hours: "hunter2", endsAt: 1 }
        }
      })
      const errors = verdict.valid ? [] : verdict.errors
      assert.deepStrictEqual(errors.map(({ field }) => field), [
        "params.project",
        "query.dry",
        "headers.x-token",
        "payload.hours"
      ])
      assert.notInclude(JSON.stringify(verdict), "hunter2")
      const nothing = yield* tasks.preflight.check({ params: { operation: "tasks.create" }, payload: {} })
      assert.isFalse(nothing.valid)
      for (const operation of ["tasks.remove", "preflight.check", "__proto__", "constructor"]) {
        const unknown = yield* Effect.flip(tasks.preflight.check({ params: { operation }, payload: {} }))
        assert.strictEqual(unknown._tag, "NotFound")
      }
    }).pipe(Effect.provide(served)))

  it.live("A14: works over a real socket, with the generated client", () =>
    Effect.gen(function*() {
      const client = yield* HttpApiClient.make(Api)
      const ask = Preflight.client(Api, client.preflight.check)
      assert.deepStrictEqual(yield* ask.tasks.create(request), { valid: true })
      const no = yield* ask.tasks.create({ ...request, params: { project: ProjectId.make("boat") } })
      assert.isFalse(no.valid)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(
          HttpApiBuilder.layer(Api).pipe(
            Layer.provide(handlers),
            Layer.provide(preflight),
            Layer.provide(Layer.succeed(Projects, { known: ["house"] }))
          ),
          { disableLogger: true, disableListenLog: true }
        ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
      )
    ))

  const Lists = HttpApi.make("lists").add(
    HttpApiGroup.make("lists").add(
      HttpApiEndpoint.post("put", "/lists", {
        payload: Schema.Struct({
          items: Schema.Array(Schema.String),
          names: Schema.Record(Schema.String, Schema.String)
        })
      })
    ),
    Preflight.group
  )

  it.effect("an answer names at most a hundred mistakes, and cuts the names of fields, which are the caller's", () =>
    Effect.gen(function*() {
      const ask = Preflight.client(Lists, () => Effect.die("nothing is sent"))
      const wrong = (count: number): ReadonlyArray<string> => Array.from({ length: count }, () => 1 as never)
      const told = (items: ReadonlyArray<string>, names: Record<string, string> = {}) =>
        Effect.map(
          ask.lists.put({ payload: { items, names } }),
          (verdict) => verdict.valid ? [] : verdict.errors.map(({ field }) => field)
        )
      const some = yield* told(wrong(3))
      assert.deepStrictEqual(some, ["payload.items.0", "payload.items.1", "payload.items.2"])
      assert.strictEqual((yield* told(wrong(5_000))).length, 100)
      // finding all of them would keep the server busy for seconds
      assert.deepStrictEqual(yield* told(wrong(300_000)), ["payload.items.0"])
      const [long] = yield* told([], { ["k".repeat(100_000)]: 1 as never })
      assert.isAtMost(long?.length ?? Infinity, 210)
    }))

  it.effect("A14: a rule that fails against its type says nothing about the request, and shows nothing", () =>
    Effect.gen(function*() {
      const broken = Preflight.layer(Api, {
        // a service that is written in plain JavaScript may
        tasks: { create: () => Effect.fail(new Error("hunter2") as never) }
      })
      const failed = yield* Effect.flatMap(asking, (ask) => Effect.flip(ask.tasks.create(request))).pipe(
        Effect.provide(Tasks.layerTest(Layer.merge(handlers, broken)))
      )
      assert.strictEqual(failed._tag, "Internal")
      assert.notInclude(String(failed), "hunter2")
    }))

  it("refuses an api without the group, and rules of unknown operations", () => {
    const without = HttpApi.make("bare").add(HttpApiGroup.make("tasks").add(HttpApiEndpoint.get("list", "/tasks")))
    assert.throws(() => Preflight.layer(without), RangeError, "Preflight.layer: the groups of the api")
    // @ts-expect-error there is no such group
    assert.throws(() => Preflight.layer(Api, { task: { create: () => Effect.void } }), RangeError, "task.create")
    const misspelt = { tasks: { creat: () => Effect.void } }
    // @ts-expect-error there is no such operation
    const layer = () => Preflight.layer(Api, misspelt)
    assert.throws(layer, RangeError, "Preflight.layer: rules must be one of tasks.create")
  })
})

describe("Preflight.steps", () => {
  interface Assignment {
    readonly project: string
    readonly agent: string
  }
  class Down extends Schema.TaggedError<Down>()("Down", {}) {}
  const refused = (field: string) =>
    Effect.fail(new Problem.ValidationFailed({ errors: [{ field, message: "There is none" }] }))

  const asked: Array<string> = []
  const assigning = Preflight.steps<Assignment>().pipe(
    Preflight.step("project", ({ request }) => {
      asked.push("project")
      return request.project === "house" ? Effect.succeed({ members: ["ann"] }) : refused("project")
    }),
    Preflight.step("agent", ({ found, request }) => {
      asked.push("agent")
      if (request.agent === "down") return Effect.fail(new Down())
      return found.project.members.includes(request.agent) ? Effect.succeed(request.agent) : refused("agent")
    }),
    Preflight.step("free", ({ found }) => {
      asked.push("free")
      return Effect.succeed(found.agent.length === found.project.members.length + 2)
    })
  )

  it.effect("A14: later steps see what earlier ones found, and a refusal says its step", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* assigning.check({ project: "house", agent: "ann" }), {
        valid: true,
        found: { project: { members: ["ann"] }, agent: "ann", free: true }
      })
      assert.deepStrictEqual(asked.splice(0), ["project", "agent", "free"])
      assert.deepStrictEqual(yield* assigning.check({ project: "boat", agent: "ann" }), {
        valid: false,
        step: "project",
        errors: [{ field: "project", message: "There is none" }]
      })
      assert.deepStrictEqual(asked.splice(0), ["project"])
      const agent = yield* assigning.check({ project: "house", agent: "bob" })
      assert.strictEqual(agent.valid ? undefined : agent.step, "agent")
    }))

  it.effect("A14: an error that is no refusal ends the check, and the steps go as a rule of a server", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(assigning.check({ project: "house", agent: "down" }))
      assert.instanceOf(error, Down)
      const step = Preflight.steps<{ readonly params: { readonly project: string } }>().pipe(
        Preflight.step(
          "project",
          ({ request }) => request.params.project === "house" ? Effect.void : refused("project")
        )
      )
      const layer = Preflight.layer(Api, { tasks: { create: step.check } })
      const verdict = yield* Effect.flatMap(
        asking,
        (ask) => ask.tasks.create({ ...request, params: { project: ProjectId.make("boat") } })
      ).pipe(
        Effect.provide(Tasks.layerTest(Layer.merge(handlers, layer)))
      )
      assert.deepStrictEqual(verdict, {
        valid: false,
        step: "project",
        errors: [{ field: "project", message: "There is none" }]
      })
    }))

  it.effect("A14: steps may ask other services: orFail makes a refusal of a verdict", () =>
    Effect.gen(function*() {
      const ask = yield* asking
      const plan = Preflight.steps<{ readonly project: string }>().pipe(
        Preflight.step("task", (input) =>
          Preflight.orFail(
            ask.tasks.create({ ...request, params: { project: ProjectId.make(input.request.project) } })
          ))
      )
      const no = yield* plan.check({ project: "boat" })
      assert.deepStrictEqual(no.valid ? [] : [no.step, no.errors[0]?.message], ["task", "There is no such project"])
      assert.isTrue((yield* plan.check({ project: "house" })).valid)
    }).pipe(Effect.provide(served)))
})
