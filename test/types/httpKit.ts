/** What the types of validation, pre-flight, adapters and idempotency promise. Checked by the compiler alone. */
import { Effect, type Layer, Schema } from "effect"
import type { HttpRouter } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Id from "../../src/http/Id.ts"
import type { Problem } from "../../src/http/index.ts"
import * as ModelAdapter from "../../src/http/ModelAdapter.ts"
import * as Preflight from "../../src/http/Preflight.ts"
import * as Idempotency from "../../src/http/server/Idempotency.ts"
import * as Validation from "../../src/http/Validation.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

// Ids. ---------------------------------------------------------------------------

const ProjectId = Id.make("Project")
const AgentId = Id.make("Agent")
type ProjectId = typeof ProjectId.Type
type AgentId = typeof AgentId.Type

export type Ids = [
  Expect<Equal<typeof ProjectId, Id.Id<"Project">>>,
  Expect<Equal<(typeof ProjectId)["Encoded"], string>>,
  Expect<Not<IsAny<ProjectId>>>,
  Expect<Equal<ProjectId extends AgentId ? true : false, false>>,
  Expect<Equal<ProjectId extends string ? true : false, true>>
]

declare const projectId: ProjectId
// @ts-expect-error the id of a project is none of an agent
export const agentId: AgentId = projectId
// @ts-expect-error a string is no id
export const unchecked: ProjectId = "house"

// Rules. -------------------------------------------------------------------------

const Task = Schema.Struct({
  title: Schema.String,
  kind: Schema.optionalKey(Schema.Literals(["once", "recurring"])),
  every: Schema.optionalKey(Schema.Number)
})

const Checked = Task.check(
  Validation.requires("every", "kind"),
  Validation.requiresOneOf("every", "kind"),
  Validation.excludes("every", "title"),
  Validation.when({ kind: "once" }, Validation.present("every")),
  Validation.forbidWhen((task) => task.every === 1, "kind")
)

export type Rules = [Expect<Equal<(typeof Checked)["Type"], (typeof Task)["Type"]>>]

// @ts-expect-error there is no such field
Task.check(Validation.requires("evry", "kind"))
// @ts-expect-error there is no such kind
Task.check(Validation.forbidWhen({ kind: "never" }, "every"))

// Adapters. ----------------------------------------------------------------------

const Web = Schema.Struct({ name: Schema.String, status: Schema.String })
const Coordinator = Schema.Struct({ title: Schema.String })

const adapter = ModelAdapter.make("web to coordinator", {
  from: Web,
  to: Coordinator,
  forward: ({ name }) => ({ title: name }),
  backward: ({ title }) => ({ name: title, status: "draft" }),
  loses: ["status"]
})
declare const onwards: ModelAdapter.ModelAdapter<typeof Coordinator, typeof Task>
const composed = ModelAdapter.compose(adapter, onwards)
const law = ModelAdapter.roundTrip(adapter)

export type Adapters = [
  Expect<Equal<typeof adapter, ModelAdapter.ModelAdapter<typeof Web, typeof Coordinator>>>,
  Expect<
    Equal<
      ReturnType<typeof adapter.forward>,
      Effect.Effect<{ readonly title: string }, ModelAdapter.NotAdaptable>
    >
  >,
  Expect<Equal<typeof composed, ModelAdapter.ModelAdapter<typeof Web, typeof Task>>>,
  Expect<
    Equal<
      ReturnType<typeof law.there>,
      Effect.Effect<true, ModelAdapter.NotAdaptable | ModelAdapter.RoundTripBroken>
    >
  >
]

// @ts-expect-error the models in the middle differ
ModelAdapter.compose(onwards, adapter)
ModelAdapter.make("wrong", {
  from: Web,
  to: Coordinator,
  // @ts-expect-error a title is a string
  forward: () => ({ title: 1 }),
  backward: ({ title }) => ({ name: title, status: "draft" })
})
ModelAdapter.make("wrong", {
  from: Web,
  to: Coordinator,
  forward: ({ name }) => ({ title: name }),
  backward: ({ title }) => ({ name: title, status: "draft" }),
  // @ts-expect-error there is no such field
  loses: ["state"]
})

// Pre-flight. --------------------------------------------------------------------

const Api = HttpApi.make("tasks").add(
  HttpApiGroup.make("tasks").add(
    HttpApiEndpoint.post("create", "/:id", { params: { id: ProjectId }, payload: Task }),
    HttpApiEndpoint.get("list", "/tasks")
  ),
  HttpApiGroup.make("system", { topLevel: true }).add(HttpApiEndpoint.get("health", "/health")),
  Preflight.group
)

declare const check: (request: {
  readonly params: { readonly operation: string }
  readonly payload: object
}) => Effect.Effect<Preflight.Verdict, "down", "client">

const ask = Preflight.client(Api, check)
const bare = Preflight.layer(Api)
declare const lookUp: Effect.Effect<void, Problem.ValidationFailed, "database">
const ruled = Preflight.layer(Api, {
  tasks: { create: ({ params }) => params.id === projectId ? Effect.void : lookUp }
})

const steps = Preflight.steps<{ readonly id: string }>().pipe(
  Preflight.step("project", ({ request }) => Effect.succeed(request.id.length)),
  Preflight.step("agent", ({ found }) => {
    declare_(found.project)
    return Effect.andThen(lookUp, Effect.fail("offline" as const))
  })
)
declare function declare_(found: number): void

export type Preflights = [
  Expect<Equal<keyof typeof ask, "tasks" | "health">>,
  Expect<Equal<keyof typeof ask.tasks, "create" | "list">>,
  Expect<Equal<ReturnType<typeof ask.tasks.create>, Effect.Effect<Preflight.Verdict, "down", "client">>>,
  Expect<
    Equal<
      Parameters<typeof ask.tasks.create>[0],
      { readonly params: { readonly id: ProjectId }; readonly payload: (typeof Task)["Type"] }
    >
  >,
  Expect<Equal<Layer.Services<typeof bare>, never>>,
  Expect<Equal<Layer.Services<typeof ruled>, "database">>,
  Expect<Equal<Layer.Success<typeof ruled>, HttpApiGroup.Service<"tasks", "preflight">>>,
  Expect<
    Equal<
      ReturnType<typeof steps.check>,
      Effect.Effect<
        Preflight.Checked<{} & { readonly project: number } & { readonly agent: never }>,
        "offline",
        "database"
      >
    >
  >
]

// @ts-expect-error an id is branded
void ask.tasks.create({ params: { id: "house" }, payload: { title: "Paint" } })
// @ts-expect-error a rule answers with an effect
Preflight.layer(Api, { tasks: { create: () => true } })

// Idempotency. -------------------------------------------------------------------

const idempotency = Idempotency.layer({ required: true })
const memory = Idempotency.layerMemory({ ttl: "1 hour" })

export type Idempotencies = [
  Expect<Equal<typeof idempotency, Layer.Layer<never, never, HttpRouter.HttpRouter | Idempotency.Store>>>,
  Expect<Equal<typeof memory, Layer.Layer<Idempotency.Store>>>
]
