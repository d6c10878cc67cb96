/**
 * Mappings between the models of two services, in both directions, and the law
 * that they have to keep: there and back again is the same, except for what the
 * mapping says it loses.
 *
 * What goes in and what comes out is checked against the schemas of both sides, so
 * that a mapping that is wrong fails where it is, and not in the other service.
 * An adapter maps values that are there already. It calls nobody, and keeps no
 * memory of what was lost: where the way back needs such a field, it says which
 * value stands for it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { aFunction, nonEmpty, onlyKeys } from "../internal/options.ts"
import { Mismatch, mismatches } from "./ServiceError.ts"

/**
 * A mapping between the models of two services. It is made by `make` or `compose`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelAdapter<From extends Schema.Constraint, To extends Schema.Constraint> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** The fields of `from` that do not survive there and back. */
  readonly loses: ReadonlyArray<Field<From>>
  /** The fields of `to` that do not survive back and there. */
  readonly losesBack: ReadonlyArray<Field<To>>
  /** From the one model to the other. Fields that the other does not declare are left out. */
  readonly forward: (value: From["Type"]) => Effect.Effect<To["Type"], NotAdaptable>
  /** The way back. */
  readonly backward: (value: To["Type"]) => Effect.Effect<From["Type"], NotAdaptable>
}

/**
 * The name of a field of a model.
 *
 * @category models
 * @since 0.1.0
 */
export type Field<S extends Schema.Constraint> = keyof S["Type"] & string

/**
 * What a mapping is allowed to lose.
 *
 * @category models
 * @since 0.1.0
 */
export interface Losses<From extends Schema.Constraint, To extends Schema.Constraint> {
  /** The fields of `from` that do not survive there and back. Default: none. */
  readonly loses?: ReadonlyArray<Field<From>> | undefined
  /** The fields of `to` that do not survive back and there. Default: none. */
  readonly losesBack?: ReadonlyArray<Field<To>> | undefined
}

/**
 * What an adapter is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<From extends Schema.Constraint, To extends Schema.Constraint> extends Losses<From, To> {
  readonly from: From
  readonly to: To
  /** Pure. Where it throws, the value cannot be adapted. */
  readonly forward: (value: From["Type"]) => To["Type"]
  /** Pure. Where it throws, the value cannot be adapted. */
  readonly backward: (value: To["Type"]) => From["Type"]
}

/**
 * Makes an adapter. Bad options throw a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ModelAdapter } from "effect-resilience/http"
 *
 * const Planned = Schema.Struct({ title: Schema.String, assigned_to: Schema.String, notes: Schema.String })
 * const Assigned = Schema.Struct({ title: Schema.String, assigned_agent_id: Schema.String })
 *
 * const adapter = ModelAdapter.make("planning to agent", {
 *   from: Planned,
 *   to: Assigned,
 *   forward: ({ assigned_to, title }) => ({ title, assigned_agent_id: assigned_to }),
 *   backward: ({ assigned_agent_id, title }) => ({ title, assigned_to: assigned_agent_id, notes: "" }),
 *   loses: ["notes"]
 * })
 *
 * const there = adapter.forward({ title: "Paint", assigned_to: "agent-1", notes: "blue" })
 * console.log(await Effect.runPromise(there)) // => { title: 'Paint', assigned_agent_id: 'agent-1' }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <From extends Schema.Constraint, To extends Schema.Constraint>(
  name: string,
  options: Options<From, To>
): ModelAdapter<From, To> => {
  nonEmpty("ModelAdapter.make", "name", name)
  const where = `ModelAdapter ${JSON.stringify(name)}`
  onlyKeys(where, options, ["from", "to", "forward", "backward", "loses", "losesBack"])
  const forward = aFunction(where, "forward", options.forward)
  const backward = aFunction(where, "backward", options.backward)
  const checked = Schema.toType(options.from).pipe(
    Schema.decodeTo(
      Schema.toType(options.to),
      SchemaTransformation.transformEffect<To["Type"], From["Type"]>({
        decode: (value) => mapped(() => forward(value)),
        encode: (value) => mapped(() => backward(value))
      })
    )
  )
  const there = Schema.decodeUnknownEffect(checked)
  const back = Schema.encodeUnknownEffect(checked)
  const failed = (direction: NotAdaptable["direction"]) => (error: Schema.SchemaError) =>
    new NotAdaptable({ adapter: name, direction, mismatches: mismatches(error) })
  return {
    name,
    from: options.from,
    to: options.to,
    loses: options.loses ?? [],
    losesBack: options.losesBack ?? [],
    forward: (value) => Effect.mapError(there(value, all), failed("forward")),
    backward: (value) => Effect.mapError(back(value, all), failed("backward"))
  }
}

/**
 * The way over a third model: `first`, then `second`. What the whole way loses has
 * to be said where it is not what `first` loses there and `second` loses back, for
 * their models in between have other fields.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compose = <
  From extends Schema.Constraint,
  Via extends Schema.Constraint,
  To extends Schema.Constraint
>(
  first: ModelAdapter<From, Via>,
  second: ModelAdapter<Via, To>,
  losses: Losses<From, To> = {}
): ModelAdapter<From, To> => {
  onlyKeys("ModelAdapter.compose", losses, ["loses", "losesBack"])
  return {
    name: `${first.name}, ${second.name}`,
    from: first.from,
    to: second.to,
    loses: losses.loses ?? first.loses,
    losesBack: losses.losesBack ?? second.losesBack,
    forward: (value) => Effect.flatMap(first.forward(value), second.forward),
    backward: (value) => Effect.flatMap(second.backward(value), first.backward)
  }
}

/**
 * The laws of an adapter, for property tests over its schemas: `there` takes a
 * value there and back, `back` takes one back and there. Each is `true`, or fails with
 * `RoundTripBroken` where another field has changed than those that are declared
 * as lost.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ModelAdapter } from "effect-resilience/http"
 *
 * const adapter = ModelAdapter.make("web to coordinator", {
 *   from: Schema.Struct({ name: Schema.String, status: Schema.String }),
 *   to: Schema.Struct({ name: Schema.String }),
 *   forward: ({ name }) => ({ name }),
 *   backward: ({ name }) => ({ name, status: "unknown" })
 * })
 *
 * // in a test: it.effect.prop("...", [adapter.from], ([value]) => ModelAdapter.roundTrip(adapter).there(value))
 * const broken = ModelAdapter.roundTrip(adapter).there({ name: "House", status: "open" })
 * console.log((await Effect.runPromise(Effect.flip(broken))).message) // => web to coordinator: there and back changes status
 * ```
 *
 * @category laws
 * @since 0.1.0
 */
export const roundTrip = <From extends Schema.Constraint, To extends Schema.Constraint>(
  adapter: ModelAdapter<From, To>
): {
  readonly there: (value: From["Type"]) => Effect.Effect<true, NotAdaptable | RoundTripBroken>
  readonly back: (value: To["Type"]) => Effect.Effect<true, NotAdaptable | RoundTripBroken>
} => {
  const same = (way: RoundTripBroken["way"], before: unknown, after: unknown, lost: ReadonlyArray<string>) => {
    const changed = changes(before, after).filter((field) => !lost.includes(field))
    return changed.length === 0
      ? Effect.succeed<true>(true)
      : Effect.fail(new RoundTripBroken({ adapter: adapter.name, way, fields: changed }))
  }
  return {
    there: (value) =>
      adapter.forward(value).pipe(
        Effect.flatMap(adapter.backward),
        Effect.flatMap((after) => same("there and back", value, after, adapter.loses))
      ),
    back: (value) =>
      adapter.backward(value).pipe(
        Effect.flatMap(adapter.forward),
        Effect.flatMap((after) => same("back and there", value, after, adapter.losesBack))
      )
  }
}

/**
 * A value does not match the model that it is said to have, or its mapping does
 * not match the other. It holds no value: it may be logged.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAdaptable extends Schema.TaggedError<NotAdaptable>()("NotAdaptable", {
  adapter: Schema.String,
  direction: Schema.Literals(["forward", "backward"]),
  mismatches: Schema.Array(Mismatch)
}, { httpApiStatus: 500 }) {
  override get message(): string {
    return `${this.adapter}: cannot map ${this.direction}: ${this.mismatches.join("; ")}`
  }
}

/**
 * A round trip has changed fields that the adapter does not declare as lost.
 *
 * @category errors
 * @since 0.1.0
 */
export class RoundTripBroken extends Schema.TaggedError<RoundTripBroken>()("RoundTripBroken", {
  adapter: Schema.String,
  way: Schema.Literals(["there and back", "back and there"]),
  /** Empty names stand for a model that has no fields. */
  fields: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.adapter}: ${this.way} changes ${this.fields.join(", ")}`
  }
}

// Private parts. ----------------------------------------------------------------

const all = { errors: "all" } as const

const mapped = <A>(map: () => A): Effect.Effect<A, SchemaIssue.Issue> =>
  Effect.try({ try: map, catch: () => new SchemaIssue.InvalidValue({ message: "The mapping has thrown" }) })

const entriesOf = (value: unknown): Map<string, unknown> =>
  typeof value === "object" && value !== null ? new Map(Object.entries(value)) : new Map([["", value]])

const changes = (before: unknown, after: unknown): ReadonlyArray<string> => {
  if (Equal.equals(before, after)) return []
  const [was, is] = [entriesOf(before), entriesOf(after)]
  const fields = [...new Set([...was.keys(), ...is.keys()])]
  // a date or a url has no fields, and is another as a whole
  return fields.length === 0 ? [""] : fields.filter((field) => !Equal.equals(was.get(field), is.get(field)))
}
