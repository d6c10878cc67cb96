import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as Id from "../../src/http/Id.ts"
import * as ModelAdapter from "../../src/http/ModelAdapter.ts"

const ProjectId = Id.make("Project")
const AgentId = Id.make("Agent")
const Metadata = Schema.Record(Schema.String, Schema.String)

const WebProject = Schema.Struct({
  id: ProjectId,
  name: Schema.String,
  status: Schema.Literals(["draft", "active"]),
  metadata: Metadata
})
const CoordinatorProject = Schema.Struct({ projectId: ProjectId, title: Schema.String, metadata: Metadata })
const AgentContext = Schema.Struct({ project: ProjectId, goal: Schema.String, metadata: Metadata })

const webToCoordinator = ModelAdapter.make("web to coordinator", {
  from: WebProject,
  to: CoordinatorProject,
  forward: ({ id, metadata, name }) => ({ projectId: id, title: name, metadata }),
  backward: ({ metadata, projectId, title }) => ({ id: projectId, name: title, status: "draft" as const, metadata }),
  loses: ["status"]
})
const coordinatorToAgent = ModelAdapter.make("coordinator to agent", {
  from: CoordinatorProject,
  to: AgentContext,
  forward: ({ metadata, projectId, title }) => ({ project: projectId, goal: title, metadata }),
  backward: ({ goal, metadata, project }) => ({ projectId: project, title: goal, metadata })
})

const capabilities = {
  planner: ["reasoning", 0.2],
  researcher: ["retrieval", 0.3],
  developer: ["code", 0.1],
  reviewer: ["critique", 0],
  tester: ["test_generation", 0],
  writer: ["text", 0.7],
  designer: ["vision", 0.8],
  analyst: ["data", 0.1]
} as const
const types = ["planner", "researcher", "developer", "reviewer", "tester", "writer", "designer", "analyst"] as const

const Agent = Schema.Struct({ id: AgentId, type: Schema.Literals(types) })
const ModelRequest = Schema.Struct({
  agent_id: AgentId,
  capability: Schema.Literals(types.map((type) => capabilities[type][0])),
  settings: Schema.Struct({ temperature: Schema.Finite })
})
const agentToModel = ModelAdapter.make("agent to model", {
  from: Agent,
  to: ModelRequest,
  forward: ({ id, type }) => {
    const [capability, temperature] = capabilities[type]
    return { agent_id: id, capability, settings: { temperature } }
  },
  backward: ({ agent_id, capability }) => {
    const type = types.find((type) => capabilities[type][0] === capability)
    if (type === undefined) throw new Error(capability)
    return { id: agent_id, type }
  },
  losesBack: ["settings"]
})

const PlannedTask = Schema.Struct({ title: Schema.String, assigned_to: AgentId })
const AgentTask = Schema.Struct({ title: Schema.String, assigned_agent_id: AgentId })
const planningToAgent = ModelAdapter.make("planning to agent", {
  from: PlannedTask,
  to: AgentTask,
  forward: ({ assigned_to, title }) => ({ title, assigned_agent_id: assigned_to }),
  backward: ({ assigned_agent_id, title }) => ({ title, assigned_to: assigned_agent_id })
})

const project = {
  id: ProjectId.make("house-7"),
  name: "House",
  status: "active",
  metadata: { city: "Bern" }
} as const

describe("ModelAdapter", () => {
  it.effect("A15: web to coordinator drops the status, and coordinator to agent carries the metadata", () =>
    Effect.gen(function*() {
      const coordinator = yield* webToCoordinator.forward(project)
      assert.deepStrictEqual(coordinator, { projectId: project.id, title: "House", metadata: { city: "Bern" } })
      const agent = yield* coordinatorToAgent.forward(coordinator)
      assert.deepStrictEqual(agent, { project: project.id, goal: "House", metadata: { city: "Bern" } })
    }))

  it.effect("A15: agent to model maps each of the eight types to its capability and settings", () =>
    Effect.gen(function*() {
      const id = AgentId.make("a-1")
      const seen = new Set<string>()
      for (const type of types) {
        const request = yield* agentToModel.forward({ id, type })
        const [capability, temperature] = capabilities[type]
        assert.deepStrictEqual(request, { agent_id: id, capability, settings: { temperature } })
        assert.deepStrictEqual(yield* agentToModel.backward(request), { id, type })
        seen.add(request.capability)
      }
      assert.strictEqual(seen.size, 8)
    }))

  it.effect("A15: planning to agent maps assigned_to to assigned_agent_id", () =>
    Effect.gen(function*() {
      const assigned_to = AgentId.make("a-1")
      const there = yield* planningToAgent.forward({ title: "Paint", assigned_to })
      assert.deepStrictEqual(there, { title: "Paint", assigned_agent_id: assigned_to })
      assert.deepStrictEqual(yield* planningToAgent.backward(there), { title: "Paint", assigned_to })
    }))

  const laws = <From extends Schema.Constraint, To extends Schema.Constraint>(
    adapter: ModelAdapter.ModelAdapter<From, To>
  ) => {
    const { back, there } = ModelAdapter.roundTrip(adapter)
    it.effect.prop(`A15: ${adapter.name}: there and back`, [Arbitrary.schema(adapter.from)], ([value]) => there(value))
    it.effect.prop(`A15: ${adapter.name}: back and there`, [Arbitrary.schema(adapter.to)], ([value]) => back(value))
  }
  laws(webToCoordinator)
  laws(coordinatorToAgent)
  laws(agentToModel)
  laws(planningToAgent)
  laws(ModelAdapter.compose(webToCoordinator, coordinatorToAgent))

  it.effect("what is lost has to be declared, and only that may be", () =>
    Effect.gen(function*() {
      const silent = ModelAdapter.compose(webToCoordinator, coordinatorToAgent, { loses: [] })
      const error = yield* Effect.flip(ModelAdapter.roundTrip(silent).there(project))
      assert.strictEqual(error._tag, "RoundTripBroken")
      assert.strictEqual(error.message, "web to coordinator, coordinator to agent: there and back changes status")
      const back = ModelAdapter.make("settings", {
        from: Schema.String,
        to: Schema.Number,
        forward: (text) => text.length,
        backward: (length) => "x".repeat(length)
      })
      const changed = yield* Effect.flip(ModelAdapter.roundTrip(back).there("abc"))
      assert.deepStrictEqual(changed._tag === "RoundTripBroken" ? changed.fields : [], [""])
      yield* ModelAdapter.roundTrip(back).back(3)
    }))

  it.effect("both sides are checked: a value that does not match, and a mapping that does not", () =>
    Effect.gen(function*() {
      const adapter = ModelAdapter.make("lengths", {
        from: Schema.Struct({ secret: Schema.NonEmptyString }),
        to: Schema.Struct({ length: Schema.Int.check(Schema.isLessThan(8)) }),
        forward: ({ secret }) => ({ length: secret.length, secret }),
        backward: ({ length }) => ({ secret: "x".repeat(length) })
      })
      assert.deepStrictEqual(yield* adapter.forward({ secret: "abc" }), { length: 3 })
      const empty = yield* Effect.flip(adapter.forward({ secret: "" }))
      assert.deepStrictEqual(empty.mismatches.map(({ path }) => path), [["secret"]])
      const long = yield* Effect.flip(adapter.forward({ secret: "hunter2hunter2" }))
      assert.deepStrictEqual(long.mismatches.map(({ path }) => path), [["length"]])
      assert.notInclude(JSON.stringify(long), "hunter2")
      const back = yield* Effect.flip(adapter.backward({ length: 0 }))
      assert.strictEqual(back.direction, "backward")
      assert.deepStrictEqual(back.mismatches.map(({ path }) => path), [["secret"]])
    }))

  it.effect("a mapping that throws is an error, without what it said", () =>
    Effect.gen(function*() {
      const adapter = ModelAdapter.make("throws", {
        from: Schema.String,
        to: Schema.String,
        forward: (value): string => {
          throw new Error(value)
        },
        backward: (value) => value
      })
      const error = yield* Effect.flip(adapter.forward("hunter2"))
      assert.strictEqual(error.message, "throws: cannot map forward: The mapping has thrown")
    }))

  it.effect("the laws hold for models without fields as well, dates and urls among them", () =>
    Effect.gen(function*() {
      const later = ModelAdapter.make("dates", {
        from: Schema.Date,
        to: Schema.String,
        forward: (date) => date.toISOString(),
        backward: (text) => new Date(Date.parse(text) + 1)
      })
      const elsewhere = ModelAdapter.make("urls", {
        from: Schema.URL,
        to: Schema.String,
        forward: (url) => url.href,
        backward: () => new URL("http://b.invalid")
      })
      const same = ModelAdapter.make("same dates", {
        from: Schema.Date,
        to: Schema.String,
        forward: (date) => date.toISOString(),
        backward: (text) => new Date(text)
      })
      assert.deepInclude(yield* Effect.flip(ModelAdapter.roundTrip(later).there(new Date(0))), { fields: [""] })
      const url = new URL("http://a.invalid")
      assert.deepInclude(yield* Effect.flip(ModelAdapter.roundTrip(elsewhere).there(url)), { fields: [""] })
      assert.isTrue(yield* ModelAdapter.roundTrip(same).there(new Date(0)))
    }))

  it("refuses options that cannot be meant", () => {
    const options = { from: Schema.String, to: Schema.String, forward: String, backward: String }
    assert.throws(() => ModelAdapter.make("", options), RangeError, "ModelAdapter.make: name")
    // @ts-expect-error a mapping is a function
    assert.throws(() => ModelAdapter.make("x", { ...options, forward: 1 }), RangeError, "forward must be a function")
    const misspelt = { ...options, loose: [] }
    assert.throws(() => ModelAdapter.make("x", misspelt), RangeError, "unknown option \"loose\"")
  })
})
