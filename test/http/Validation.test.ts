import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import * as Id from "../../src/http/Id.ts"
import { Problem, ServiceClient } from "../../src/http/index.ts"
import { mismatches } from "../../src/http/ServiceError.ts"
import * as Validation from "../../src/http/Validation.ts"

const Task = Schema.Struct({
  title: Schema.NonEmptyString,
  kind: Schema.optionalKey(Schema.Literals(["once", "recurring"])),
  every: Schema.optionalKey(Schema.NullOr(Schema.Number)),
  startsAt: Schema.optionalKey(Schema.Number),
  endsAt: Schema.optionalKey(Schema.Number),
  owner: Schema.optionalKey(Schema.String),
  team: Schema.optionalKey(Schema.String)
})

type Task = typeof Task.Type

const errorsOf = (schema: Schema.ConstraintDecoder<unknown>, value: unknown) =>
  Schema.decodeUnknownEffect(schema)(value, { errors: "all" }).pipe(
    Effect.match({ onFailure: Validation.explain, onSuccess: () => [] })
  )

describe("Validation", () => {
  it.effect("A12: requires: where one field is given, another has to be", () =>
    Effect.gen(function*() {
      const schema = Task.check(Validation.requires("endsAt", "startsAt", "owner"))
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", startsAt: 1 }), [])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", startsAt: 1, endsAt: 2, owner: "me" }), [])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", endsAt: 2 }), [
        {
          field: "startsAt",
          message: "It is needed where endsAt is given",
          hint: "Give startsAt, or leave out endsAt"
        },
        { field: "owner", message: "It is needed where endsAt is given", hint: "Give owner, or leave out endsAt" }
      ])
    }))

  it.effect("A12: requiresOneOf and excludes: at least one of several, and not both", () =>
    Effect.gen(function*() {
      const schema = Task.check(Validation.requiresOneOf("owner", "team"), Validation.excludes("owner", "team"))
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", team: "blue" }), [])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a" }), [
        { field: "", message: "One of owner, team is needed", hint: "Give owner or team" }
      ])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", owner: "me", team: "blue" }), [
        { field: "team", message: "It cannot be given together with owner", hint: "Leave out team or owner" }
      ])
    }))

  it.effect("A12: when and forbidWhen: rules that depend on a condition, null counting as not given", () =>
    Effect.gen(function*() {
      const schema = Task.check(
        Validation.when({ kind: "recurring" }, Validation.present("every")),
        Validation.forbidWhen({ kind: "once" }, "every"),
        Validation.when((task) => task.every === 1, Schema.Struct({ owner: Schema.String }))
      )
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", every: 2 }), [])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", kind: "once", every: null }), [])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", kind: "recurring", every: null }), [
        { field: "every", message: "It is needed here", hint: "Give a value" }
      ])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", kind: "once", every: 2 }), [
        { field: "every", message: "It cannot be given where kind is once", hint: "Leave out every" }
      ])
      assert.deepStrictEqual(yield* errorsOf(schema, { title: "a", every: 1 }), [
        { field: "owner", message: "Missing key", hint: "Give a value" }
      ])
    }))

  it.effect("a schema in when may speak of some of the fields, under strict options too", () =>
    Effect.gen(function*() {
      const schema = Task.check(Validation.when({ kind: "once" }, Schema.Struct({ owner: Schema.String })))
      const value = { title: "a", kind: "once", owner: "me" } as const
      assert.deepStrictEqual(
        yield* Schema.decodeUnknownEffect(schema)(value, { onExcessProperty: "error" }),
        value
      )
    }))

  it.effect("a rule of one's own reports on its field; one that throws does not hold", () =>
    Effect.gen(function*() {
      const order: Validation.Rule<Task> = Validation.rule({
        holds: ({ endsAt = 1, startsAt = 0 }) => startsAt < endsAt,
        at: "endsAt",
        message: "It is before the start",
        hint: "Choose a later end"
      })
      assert.deepStrictEqual(yield* errorsOf(Task.check(order), { title: "a", startsAt: 3, endsAt: 2 }), [
        { field: "endsAt", message: "It is before the start", hint: "Choose a later end" }
      ])
      assert.deepStrictEqual(yield* errorsOf(Task.check(order), { title: "a", startsAt: 1, endsAt: 2 }), [])
      const broken = Task.check(Validation.rule({
        holds: () => {
          throw new Error("secret")
        },
        message: "It is never right"
      }))
      assert.deepStrictEqual(yield* errorsOf(broken, { title: "a" }), [{ field: "", message: "It is never right" }])
      const unsure = Task.check(Validation.forbidWhen(() => {
        throw new Error("secret")
      }, "owner"))
      assert.deepStrictEqual(yield* errorsOf(unsure, { title: "a", owner: "me" }), [
        { field: "owner", message: "It cannot be given here", hint: "Leave out owner" }
      ])
    }))

  it.effect("A12: says the way to nested fields, all of them at once, and shows no value", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        token: Schema.Literal("right"),
        tasks: Schema.Array(Task.check(Validation.requires("endsAt", "startsAt")))
      })
      const errors = yield* errorsOf(schema, {
        token: "hunter2",
        tasks: [{ title: "a" }, { title: "b", endsAt: 1 }, { title: "", owner: { password: "hunter2" } }]
      })
      assert.deepStrictEqual(errors.map(({ field }) => field), [
        "token",
        "tasks.1.startsAt",
        "tasks.2.title",
        "tasks.2.owner"
      ])
      assert.notInclude(JSON.stringify(errors), "hunter2")
    }))

  it("refuses options that cannot be meant", () => {
    const options = { holds: () => true, message: "" }
    assert.throws(() => Validation.rule(options), RangeError, "Validation.rule: message must be a non-empty string")
    const misspelt = { holds: () => true, message: "wrong", hnt: "x" }
    assert.throws(() => Validation.rule(misspelt), RangeError, "unknown option \"hnt\"")
    assert.throws(
      () => Validation.when<Task>({}, Validation.present("owner")),
      RangeError,
      "Validation.when: condition"
    )
    // @ts-expect-error a condition is no text
    assert.throws(() => Validation.forbidWhen<Task>("once", "owner"), RangeError, "Validation.forbidWhen: condition")
  })
})

describe("Validation in an HttpApi", () => {
  const TasksApi = HttpApi.make("tasks").add(
    HttpApiGroup.make("tasks").add(
      HttpApiEndpoint.post("create", "/tasks", {
        payload: Task.check(Validation.excludes("owner", "team")),
        success: Task
      })
    )
  )
  class Tasks extends ServiceClient.Service<Tasks>()("Tasks", {
    api: TasksApi,
    baseUrl: "http://tasks.internal",
    pipeline: {}
  }) {}
  const both = { title: "a", owner: "me", team: "blue" }

  it.effect("A12: a request that breaks a rule never leaves", () =>
    Effect.gen(function*() {
      const calls = yield* Ref.make(0)
      const handlers = HttpApiBuilder.group(
        TasksApi,
        "tasks",
        (handlers) => handlers.handle("create", ({ payload }) => Effect.as(Ref.update(calls, (n) => n + 1), payload))
      )
      const error = yield* Effect.flatMap(Tasks, ({ tasks }) => tasks.create({ payload: both })).pipe(
        Effect.flip,
        Effect.provide(Tasks.layerTest(handlers))
      )
      assert.strictEqual(error._tag, "RequestInvalid")
      assert.include(error.message, "team: It cannot be given together with owner. Hint: Leave out team or owner")
      assert.strictEqual(yield* Ref.get(calls), 0)
    }))

  it.effect("A12: the same rule holds in the server, which explains it in its answer", () =>
    Effect.gen(function*() {
      class Explaining extends HttpApiMiddleware.Service<Explaining>()("Explaining", {
        error: Problem.ValidationFailed
      }) {}
      const explaining = HttpApiMiddleware.layerSchemaErrorTransform(Explaining, (error) =>
        Effect.fail(new Problem.ValidationFailed({ errors: Validation.explain(error.cause) })))
      const api = TasksApi.middleware(Explaining)
      const handlers = HttpApiBuilder.group(api, "tasks", (handlers) =>
        handlers.handle("create", ({ payload }) =>
          Effect.succeed(payload)))
      const { handler } = HttpRouter.toWebHandler(
        HttpApiBuilder.layer(api).pipe(
          Layer.provide(handlers),
          Layer.provide(explaining),
          Layer.provide(HttpServer.layerServices)
        ),
        { disableLogger: true }
      )
      const response = yield* Effect.promise(() =>
        handler(
          new Request("http://localhost/tasks", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(both)
          })
        )
      )
      assert.strictEqual(response.status, 422)
      const body = yield* Effect.promise(() =>
        response.text()
      )
      assert.deepStrictEqual(JSON.parse(body).errors, [
        { field: "team", message: "It cannot be given together with owner", hint: "Leave out team or owner" }
      ])
    }))
})

describe("Validation.explain", () => {
  it.effect("tells of a hundred fields at most, and cuts their names", () =>
    Effect.gen(function*() {
      const Numbers = Schema.Record(Schema.String, Schema.Number)
      const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [String(n), "hunter2"]))
      assert.strictEqual((yield* errorsOf(Numbers, many)).length, 100)
      const [long] = yield* errorsOf(Numbers, { ["k".repeat(10_000)]: "hunter2" })
      assert.strictEqual(long?.field.length, 200)
      const error = yield* Effect.flip(
        Schema.decodeUnknownEffect(Numbers)({ ["k".repeat(10_000)]: "hunter2" })
      )
      assert.strictEqual(mismatches(error)[0]?.path[0]?.length, 200)
    }))

  it.effect("leaves the texts of rules as they are, and values out also where a schema reports them", () =>
    Effect.gen(function*() {
      const Plan = Schema.Struct({ items: Schema.Array(Schema.String) }).check(
        Validation.rule({
          holds: ({ items }) => items.length > 0,
          message: "A plan has items, got none",
          hint: "Add one"
        })
      )
      assert.deepStrictEqual(yield* errorsOf(Plan, { items: [] }), [
        { field: "", message: "A plan has items, got none", hint: "Add one" }
      ])
      const Strange = Schema.Struct({ a: Schema.Number, b: Schema.String.check(Schema.isMinLength(9)) })
      const error = yield* Effect.flip(
        Schema.decodeUnknownEffect(Strange)({ a: "hunter2", b: "hunter2", hunter: "hunter2" }, {
          errors: "all",
          reportInput: true,
          onExcessProperty: "error"
        })
      )
      const errors = Validation.explain(error)
      assert.deepStrictEqual(errors.map(({ field }) => field), ["hunter", "a", "b"])
      assert.notInclude(JSON.stringify(errors), "hunter2")
      assert.strictEqual(errors[0]?.hint, "Leave it out")
    }))
})

describe("Id", () => {
  const names = ["Project", "Agent", "Task", "Model", "Tool", "User", "Plan"] as const

  for (const name of names) {
    it(`A13: ${name} ids are not empty, bounded, and the same in a url`, () => {
      const schema = Id.make(name)
      const is = Schema.is(schema)
      assert.strictEqual(schema.identifier, `${name}Id`)
      for (const good of ["1", "a-b_c.d~e", "x".repeat(128)]) {
        assert.isTrue(is(good), good)
        assert.strictEqual(encodeURIComponent(good), good)
      }
      const bad = [
        "",
        "x".repeat(129),
        ".",
        "..",
        "../x",
        "a/b",
        "a b",
        "a?b",
        "a%2f",
        "é",
        "a\n",
        "a\r\nset-cookie:x",
        1,
        null
      ]
      for (const value of bad) assert.isFalse(is(value), String(value))
      assert.throws(() => schema.make(""))
    })
  }

  it("takes another length, and refuses bad options", () => {
    assert.isFalse(Schema.is(Id.make("Short", { maxLength: 3 }))("abcd"))
    assert.isTrue(Schema.is(Id.make("Short", { maxLength: 1 }))("a"))
    assert.throws(() => Id.make(""), RangeError)
    for (const maxLength of [0, -1, NaN, 1.5, Infinity]) {
      assert.throws(() => Id.make("Short", { maxLength }), RangeError, "Id.make: maxLength")
    }
    // @ts-expect-error a length is a number
    assert.throws(() => Id.make("Short", { maxLength: "3" }), RangeError, "Id.make: maxLength")
    // @ts-expect-error there is no such option
    assert.throws(() => Id.make("Short", { max: 3 }), RangeError, "unknown option \"max\"")
  })

  it.effect("its message does not show the value", () =>
    Effect.gen(function*() {
      const errors = yield* errorsOf(Schema.Struct({ id: Id.make("Project") }), { id: "hunter2 hunter2" })
      assert.deepStrictEqual(errors, [{
        field: "id",
        message: "Expected an id of at most 128 letters, digits and -._~",
        hint: "Give an id of at most 128 letters, digits and -._~"
      }])
    }))

  it.effect.prop("is generated for property tests", [Id.make("Agent")], ([id]) =>
    Effect.sync(() => {
      assert.match(id, /^[A-Za-z0-9_][A-Za-z0-9._~-]{0,127}$/)
    }))
})
