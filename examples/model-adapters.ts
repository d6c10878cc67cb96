/**
 * Adapters between the models of services, both ways, with checked losses.
 *
 * Four services of a product name the same things differently. Each adapter maps
 * the one model to the other and back, both sides are checked against their
 * schemas, and what cannot survive the way is named.
 */
import { Arbitrary, Console, Effect, Schema } from "effect"
import { Id, ModelAdapter } from "effect-resilience/http"

const ProjectId = Id.make("Project")
const TaskId = Id.make("Task")
const AgentId = Id.make("Agent")

const Metadata = Schema.Record(Schema.String, Schema.String)

// 1. Web to coordinator: the coordinator has a status of its own, so that of the web is dropped. ------------------

const WebProject = Schema.Struct({
  id: ProjectId,
  name: Schema.String,
  status: Schema.Literals(["draft", "active", "archived"]),
  metadata: Metadata
})
const CoordinatorProject = Schema.Struct({ projectId: ProjectId, title: Schema.String, metadata: Metadata })

const webToCoordinator = ModelAdapter.make("web to coordinator", {
  from: WebProject,
  to: CoordinatorProject,
  forward: ({ id, metadata, name }) => ({ projectId: id, title: name, metadata }),
  backward: ({ metadata, projectId, title }) => ({ id: projectId, name: title, status: "draft" as const, metadata }),
  loses: ["status"]
})

// 2. Coordinator to agent: the metadata is carried along, and everything survives. --------------------------------

const AgentContext = Schema.Struct({ project: ProjectId, goal: Schema.String, metadata: Metadata })

const coordinatorToAgent = ModelAdapter.make("coordinator to agent", {
  from: CoordinatorProject,
  to: AgentContext,
  forward: ({ metadata, projectId, title }) => ({ project: projectId, goal: title, metadata }),
  backward: ({ goal, metadata, project }) => ({ projectId: project, title: goal, metadata })
})

// 3. Agent to model: each of eight types of agent needs a capability, with settings. ------------------------------

const table = {
  planner: { capability: "reasoning", settings: { temperature: 0.2, maxTokens: 8_000 } },
  researcher: { capability: "retrieval", settings: { temperature: 0.3, maxTokens: 6_000 } },
  developer: { capability: "code", settings: { temperature: 0.1, maxTokens: 8_000 } },
  reviewer: { capability: "critique", settings: { temperature: 0, maxTokens: 4_000 } },
  tester: { capability: "test_generation", settings: { temperature: 0, maxTokens: 4_000 } },
  writer: { capability: "text", settings: { temperature: 0.7, maxTokens: 4_000 } },
  designer: { capability: "vision", settings: { temperature: 0.8, maxTokens: 2_000 } },
  analyst: { capability: "data", settings: { temperature: 0.1, maxTokens: 6_000 } }
} as const

const types = ["planner", "researcher", "developer", "reviewer", "tester", "writer", "designer", "analyst"] as const
const AgentType = Schema.Literals(types)
const Capability = Schema.Literals(types.map((type) => table[type].capability))

const Agent = Schema.Struct({ id: AgentId, type: AgentType })
const ModelRequest = Schema.Struct({
  agent_id: AgentId,
  capability: Capability,
  settings: Schema.Struct({ temperature: Schema.Finite, maxTokens: Schema.Int })
})

const agentToModel = ModelAdapter.make("agent to model", {
  from: Agent,
  to: ModelRequest,
  forward: ({ id, type }) => ({ agent_id: id, ...table[type] }),
  // every capability is in the table: it is made from it
  backward: ({ agent_id, capability }) => ({
    id: agent_id,
    type: types.find((type) => table[type].capability === capability) ?? "planner"
  }),
  losesBack: ["settings"]
})

// 4. Planning to agent: the same thing by another name. -----------------------------------------------------------

const PlannedTask = Schema.Struct({ id: TaskId, title: Schema.String, assigned_to: AgentId })
const AgentTask = Schema.Struct({ task_id: TaskId, title: Schema.String, assigned_agent_id: AgentId })

const planningToAgent = ModelAdapter.make("planning to agent", {
  from: PlannedTask,
  to: AgentTask,
  forward: ({ assigned_to, id, title }) => ({ task_id: id, title, assigned_agent_id: assigned_to }),
  backward: ({ assigned_agent_id, task_id, title }) => ({ id: task_id, title, assigned_to: assigned_agent_id })
})

// From the web to the agent over the coordinator. What the first one loses is lost on the whole way.
const webToAgent = ModelAdapter.compose(webToCoordinator, coordinatorToAgent)

// The law holds for values that are generated from the schemas. In a test: it.effect.prop.
const holds = <From extends Schema.Constraint, To extends Schema.Constraint>(
  adapter: ModelAdapter.ModelAdapter<From, To>
) =>
  Effect.gen(function*() {
    const { back, there } = ModelAdapter.roundTrip(adapter)
    const results = [
      yield* Arbitrary.checkEffect(Arbitrary.schema(adapter.from), there),
      yield* Arbitrary.checkEffect(Arbitrary.schema(adapter.to), back)
    ]
    const lost = [...adapter.loses, ...adapter.losesBack].join(", ") || "nothing"
    yield* Console.log(`${adapter.name}: ${results.map(({ _tag }) => _tag).join(" and ")}, loses ${lost}`)
  })

const program = Effect.gen(function*() {
  const project = {
    id: ProjectId.make("house-7"),
    name: "House",
    status: "active",
    metadata: { city: "Bern" }
  } as const
  yield* Console.log("web:  ", project)
  const context = yield* webToAgent.forward(project)
  yield* Console.log("agent:", context)
  yield* Console.log("back: ", yield* webToAgent.backward(context))
  yield* Console.log("model:", yield* agentToModel.forward({ id: AgentId.make("a-1"), type: "developer" }))
  yield* Console.log(
    "task: ",
    yield* planningToAgent.forward({ id: TaskId.make("t-1"), title: "Paint", assigned_to: AgentId.make("a-1") })
  )

  for (const law of [holds(webToCoordinator), holds(coordinatorToAgent), holds(agentToModel), holds(planningToAgent)]) {
    yield* law
  }
  yield* holds(webToAgent)

  // A value that is none of its model is refused, with the way to what is wrong, and without the value.
  const wrong = yield* Schema.decodeUnknownEffect(Schema.Any)({ id: "../up", type: "spy" })
  yield* Console.log("refused:", (yield* Effect.flip(agentToModel.forward(wrong))).message)
})

await Effect.runPromise(program)
