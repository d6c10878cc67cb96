/**
 * Rules across the fields of a struct, and what a schema error says of each field.
 *
 * A rule is a check of a schema, so it runs wherever the schema does: in the
 * payload of an `HttpApi` endpoint it runs in the client, before the request
 * leaves, and again in the server. It has a message, the field that it reports on,
 * and a hint for mending.
 *
 * A field counts as given unless it is missing, `undefined` or `null`. A rule sees
 * the decoded value, after the fields themselves have matched. It cannot look
 * elsewhere, such as whether an id exists: see `Preflight`.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaParser from "effect/SchemaParser"
import { guarded } from "../internal/guarded.ts"
import { aFunction, nonEmpty, onlyKeys, refuse } from "../internal/options.ts"
import { foundIn } from "./internal/schemaIssues.ts"
import * as text from "./internal/validationText.ts"
import type { FieldError } from "./Problem.ts"

/**
 * A rule of a struct: goes into `schema.check(...)`.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule<T> = SchemaAST.Filter<T>

/**
 * The name of a field.
 *
 * @category models
 * @since 0.1.0
 */
export type Field<T> = keyof T & string

/**
 * When a rule applies: fields that have to be equal to what is given here, or a
 * predicate.
 *
 * @category models
 * @since 0.1.0
 */
export type Condition<T> = { readonly [K in keyof T]?: T[K] } | ((value: T) => boolean)

/**
 * The fields have to be given. On its own this is what a schema says already: it
 * is there for `when`.
 *
 * @category rules
 * @since 0.1.0
 */
export const present = <T extends object>(...fields: ReadonlyArray<Field<T>>): Rule<T> =>
  ofFields(fields, (value, field) => !isGiven(value, field), () => ["It is needed here", "Give a value"])

/**
 * Where `field` is given, all of `needs` have to be. It reports on what is missing.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Validation } from "effect-resilience/http"
 *
 * const NewTask = Schema.Struct({
 *   title: Schema.NonEmptyString,
 *   startsAt: Schema.optionalKey(Schema.String),
 *   endsAt: Schema.optionalKey(Schema.String)
 * }).check(Validation.requires("endsAt", "startsAt"))
 *
 * const error = await Schema.decodeUnknownEffect(NewTask)({ title: "Paint", endsAt: "Friday" }).pipe(
 *   Effect.flip,
 *   Effect.runPromise
 * )
 *
 * const [found] = Validation.explain(error)
 * console.log(`${found?.field}: ${found?.message}`) // => startsAt: It is needed where endsAt is given
 * console.log(found?.hint) // => Give startsAt, or leave out endsAt
 * ```
 *
 * @category rules
 * @since 0.1.0
 */
export const requires = <T extends object>(field: Field<T>, ...needs: ReadonlyArray<Field<T>>): Rule<T> =>
  ofFields(
    needs,
    (value, need) => isGiven(value, field) && !isGiven(value, need),
    (need) => [`It is needed where ${field} is given`, `Give ${need}, or leave out ${field}`]
  )

/**
 * At least one of the fields has to be given. It reports on the struct.
 *
 * @category rules
 * @since 0.1.0
 */
export const requiresOneOf = <T extends object>(...fields: ReadonlyArray<Field<T>>): Rule<T> =>
  ruleOf((value) =>
    fields.some((field) => isGiven(value, field))
      ? []
      : [found([], `One of ${fields.join(", ")} is needed`, `Give ${fields.join(" or ")}`)]
  )

/**
 * Where `field` is given, none of `others` may be. It reports on those that are.
 *
 * @category rules
 * @since 0.1.0
 */
export const excludes = <T extends object>(field: Field<T>, ...others: ReadonlyArray<Field<T>>): Rule<T> =>
  ofFields(
    others,
    (value, other) => isGiven(value, field) && isGiven(value, other),
    (other) => [`It cannot be given together with ${field}`, `Leave out ${other} or ${field}`]
  )

/**
 * Where the condition holds, another rule has to hold too, or the value has to
 * match a schema (its decoded side).
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Validation } from "effect-resilience/http"
 *
 * const Job = Schema.Struct({
 *   kind: Schema.Literals(["once", "recurring"]),
 *   every: Schema.optionalKey(Schema.Number)
 * }).check(
 *   Validation.when({ kind: "recurring" }, Validation.present("every")),
 *   Validation.forbidWhen({ kind: "once" }, "every")
 * )
 *
 * console.log(Schema.is(Job)({ kind: "recurring" })) // => false
 * console.log(Schema.is(Job)({ kind: "recurring", every: 7 })) // => true
 * ```
 *
 * @category rules
 * @since 0.1.0
 */
export const when = <T extends object>(
  condition: NoInfer<Condition<T>>,
  rule: NoInfer<Rule<T>> | Schema.ConstraintDecoder<unknown>
): Rule<T> => {
  const holds = checked("when", condition)
  if (isRule(rule)) {
    return ruleOf((value, ast, options) => {
      const issue = holds(value) ? rule.run(value, ast, options) : undefined
      return issue === undefined ? [] : [issue]
    })
  }
  const matches = SchemaParser.decodeUnknownResult(Schema.toType(rule))
  return ruleOf((value, _, options) => {
    // the schema speaks of some of the fields only
    const result = holds(value) ? matches(value, { ...options, onExcessProperty: "ignore" }) : Result.void
    return Result.isFailure(result) ? [result.failure] : []
  })
}

/**
 * Where the condition holds, none of the fields may be given. It reports on those
 * that are.
 *
 * @category rules
 * @since 0.1.0
 */
export const forbidWhen = <T extends object>(
  condition: NoInfer<Condition<T>>,
  ...fields: ReadonlyArray<Field<T>>
): Rule<T> => {
  const holds = checked("forbidWhen", condition)
  // the values that a condition names are the rule's own, not what was sent
  const where = typeof condition === "function"
    ? "here"
    : `where ${Object.entries(condition).map(([field, value]) => `${field} is ${String(value)}`).join(" and ")}`
  return ofFields(
    fields,
    (value, field) => isGiven(value, field) && holds(value),
    (field) => [`It cannot be given ${where}`, `Leave out ${field}`]
  )
}

/**
 * A rule of one's own.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuleOptions<T> {
  /** Whether the value is right. Where it throws, the value is taken for wrong. */
  readonly holds: (value: T) => boolean
  /** What is wrong. It is shown to the caller, so it must not quote the value. */
  readonly message: string
  /** How to mend it. Default: none. */
  readonly hint?: string | undefined
  /** The field that it reports on, as a way from the struct. Default: the struct itself. */
  readonly at?: Field<T> | readonly [Field<T>, ...ReadonlyArray<string | number>] | undefined
}

/**
 * A rule of one's own, with the field that it reports on. Bad options throw a
 * `RangeError`.
 *
 * @category rules
 * @since 0.1.0
 */
export const rule = <T extends object>(options: RuleOptions<T>): Rule<T> => {
  onlyKeys("Validation.rule", options, ["holds", "message", "hint", "at"])
  const holds = aFunction("Validation.rule", "holds", options.holds)
  const message = nonEmpty("Validation.rule", "message", options.message)
  const at: ReadonlyArray<PropertyKey> = typeof options.at === "string" ? [options.at] : options.at ?? []
  return ruleOf((value) => guarded(() => holds(value)) === true ? [] : [found(at, message, options.hint)])
}

/**
 * What a schema error says of each field: its name, what is wrong and, where one
 * is known, a hint. No value is quoted. The error of a request that an `HttpApi`
 * server refuses is the `cause` of its `HttpApiSchemaError`. Decode with `errors:
 * "all"` to learn of all fields at once: of the first hundred, whose names are cut
 * at 200 characters.
 *
 * @category explaining
 * @since 0.1.0
 */
export const explain = (error: Schema.SchemaError): ReadonlyArray<FieldError> =>
  foundIn(error.issue).map(({ message, path }) => text.split(path.join(".").slice(0, maxField), message))

const maxField = 200

// Private parts. ----------------------------------------------------------------

const isRule = <T>(rule: Rule<T> | Schema.ConstraintDecoder<unknown>): rule is Rule<T> => !Schema.isSchema(rule)

type Found = Exclude<Schema.FilterIssue, string>

const ruleOf = <T extends object>(
  run: (value: T, ast: SchemaAST.AST, options: SchemaAST.ParseOptions) => ReadonlyArray<Found>
): Rule<T> => Schema.makeFilter(run)

const found = (path: ReadonlyArray<PropertyKey>, message: string, hint: string | undefined): Found => ({
  path,
  issue: text.join(message, hint)
})

/** A rule that reports on each of the fields that is wrong. */
const ofFields = <T extends object>(
  fields: ReadonlyArray<Field<T>>,
  isWrong: (value: T, field: Field<T>) => boolean,
  say: (field: Field<T>) => readonly [message: string, hint: string]
): Rule<T> =>
  ruleOf((value) => fields.filter((field) => isWrong(value, field)).map((field) => found([field], ...say(field))))

const isGiven = <T extends object>(value: T, field: Field<T>): boolean =>
  Object.hasOwn(value, field) && value[field] !== undefined && value[field] !== null

/** A condition that throws holds: where nobody can tell, the rule applies. */
const checked = <T extends object>(name: string, condition: Condition<T>): (value: T) => boolean => {
  if (typeof condition === "function") return (value) => guarded(() => condition(value)) ?? true
  if (typeof condition !== "object" || condition === null || Object.keys(condition).length === 0) {
    return refuse(`Validation.${name}`, "condition", "a predicate, or fields and their values", condition)
  }
  const expected = Object.entries(condition)
  return (value) => {
    const actual = new Map(Object.entries(value))
    return expected.every(([field, is]) => Equal.equals(actual.get(field), is))
  }
}
