/** What is wrong with data: all of it, each thing with the path to it. */
import { hasProperty, isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { brief, checkKey, refusedAs } from "./configOptions.ts"

export type Path = ReadonlyArray<PropertyKey>

export interface Problem {
  readonly path: Path
  readonly message: string
}

// -----------------------------------------------------------------------------
// paths
// -----------------------------------------------------------------------------

const plainKey = /^[A-Za-z_$][\w$-]*$/

/** Writes a path as one would write it down in code. */
export const formatPath = (path: Path): string =>
  path.map((segment, n) => {
    if (typeof segment === "number") return `[${segment}]`
    const key = String(segment)
    return plainKey.test(key) && key.length <= 60 ? (n === 0 ? key : `.${key}`) : `[${brief(key)}]`
  }).join("")

// -----------------------------------------------------------------------------
// problems of a schema
// -----------------------------------------------------------------------------

const missing = "is missing"

/** The text of a value is only told where text belongs: elsewhere it may be a secret in the wrong place. */
const got = (value: unknown, isLeaf: boolean): string =>
  `got ${!isLeaf && typeof value === "string" ? "text" : brief(value)}`

const isLeaf = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Union" ? ast.types.every(isLeaf) : ast._tag !== "Objects" && ast._tag !== "Arrays"

const expected = (ast: SchemaAST.AST): string => {
  const said = ast.annotations?.["expected"]
  if (typeof said === "string") return said
  return ast._tag === "Arrays" ? "a list" : "an object"
}

const wrongType = (ast: SchemaAST.AST, value: unknown): string => {
  const check = ast.annotations?.[checkKey]
  return typeof check === "function"
    ? refusedAs((value) => check(value), value)
    : `must be ${expected(ast)}, ${got(value, isLeaf(ast))}`
}

/** What may stand under `kind`, where the members of a union are told apart by it. */
const kindsOf = (ast: SchemaAST.Union): ReadonlyArray<unknown> =>
  ast.types.flatMap((member) => {
    const kind = member._tag === "Objects" && member.propertySignatures.find(({ name }) => name === "kind")?.type
    return kind && kind._tag === "Literal" ? [kind.literal] : []
  })

/** What is wrong with a value that none of the members of a union fits. */
const noMember = ({ ast, input }: SchemaIssue.AnyOf, path: Path): Problem => {
  const kinds = kindsOf(ast)
  if (kinds.length === 0 || !isObject(input)) return { path, message: wrongType(ast, input) }
  const message = `must be one of ${kinds.join(", ")}`
  return {
    path: [...path, "kind"],
    message: hasProperty(input, "kind") ? `${message}, ${got(input.kind, true)}` : `${missing}; it ${message}`
  }
}

const hasKnownKind = ({ ast, input }: SchemaIssue.AnyOf): boolean =>
  isObject(input) && hasProperty(input, "kind") && kindsOf(ast).includes(input.kind)

/** Of the members that a value may have been meant for, the one that it is nearest to. */
const nearest = (issue: SchemaIssue.AnyOf, path: Path): ReadonlyArray<Problem> => {
  const members = issue.issues.map((member) => problemsOf(member, path))
  const [best] = members.toSorted((a, b) => a.length - b.length)
  const isOther = best === undefined ||
    (kindsOf(issue.ast).length > 0 && !hasKnownKind(issue) &&
      best.some((problem) => problem.message === missing && problem.path.length === path.length + 1))
  return isOther ? [noMember(issue, path)] : best
}

const messageOf = (annotations: { readonly message?: unknown } | undefined): string | undefined =>
  typeof annotations?.message === "string" ? annotations.message : undefined

const problemsOf = (issue: SchemaIssue.Issue, path: Path): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Filter":
    case "Encoding":
      return problemsOf(issue.issue, path)
    case "Pointer":
      return problemsOf(issue.issue, [...path, ...issue.path])
    case "Composite":
      return issue.issues.flatMap((inner) => problemsOf(inner, path))
    case "AnyOf":
      return nearest(issue, path)
    case "MissingKey":
      return [{ path, message: missing }]
    case "UnexpectedKey": {
      const known = issue.ast._tag === "Objects" ? issue.ast.propertySignatures.map(({ name }) => String(name)) : []
      return [{ path, message: `is not an option; there are ${known.join(", ")}` }]
    }
    case "InvalidType":
      return [{ path, message: wrongType(issue.ast, issue.input) }]
    case "InvalidValue":
      return [{ path, message: messageOf(issue.annotations) ?? `must be another value, ${got(issue.input, false)}` }]
    case "Forbidden":
    case "OneOf":
      return [{ path, message: "must be another value" }]
  }
}

// -----------------------------------------------------------------------------
// decoding
// -----------------------------------------------------------------------------

const decodeOnce = <A>(schema: Schema.Codec<A, unknown>, data: unknown): Result.Result<A, ReadonlyArray<Problem>> =>
  Result.mapError(
    SchemaParser.decodeUnknownResult(schema)(data, { errors: "all", onExcessProperty: "error", reportInput: true }),
    (issue) => problemsOf(issue, [])
  )

/** Where the option stands that a path leads into: `name.part.option`, or `name.operations.operation.part.option`. */
const optionDepth = (path: Path): number => path[1] === "operations" ? 5 : 3

const idOf = (path: Path): string => JSON.stringify(path.map(String))

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** A copy of data without what stands at these places. */
const without = (data: unknown, ids: ReadonlySet<string>, path: Path = []): unknown =>
  isObject(data) && isPlain(data) && path.length < 5
    ? Object.fromEntries(
      Object.entries(data).flatMap(([key, value]) => {
        const at = [...path, key]
        return ids.has(idOf(at)) ? [] : [[key, without(value, ids, at)]]
      })
    )
    : data

/** Objects of classes, which a schema would take for objects without any options. */
const notPlain = (data: unknown, path: Path): ReadonlyArray<Problem> => {
  if (Array.isArray(data)) return data.flatMap((value, n) => notPlain(value, [...path, n]))
  if (!isObject(data)) return []
  return isPlain(data)
    ? Object.entries(data).flatMap(([key, value]) => notPlain(value, [...path, key]))
    : [{ path, message: "must be plain data, got an object of a class" }]
}

/**
 * What data about pipelines is, or all that is wrong with it.
 *
 * What several options say together is only looked at once each of them is right.
 * So that no mistake hides another, the wrong ones are taken out, and the rest is
 * looked at again. What is only wrong for want of them is no mistake: its part goes too.
 */
export const decode = <A>(
  schema: Schema.Codec<A, unknown>,
  data: unknown
): Result.Result<A, ReadonlyArray<Problem>> => {
  const problems: Array<Problem> = []
  const taken = new Set<string>()
  for (let rest = data;; rest = without(data, taken)) {
    const result = decodeOnce(schema, rest)
    const found = Result.isFailure(result) ? result.failure : notPlain(rest, [])
    if (Result.isSuccess(result) && found.length === 0) {
      return problems.length === 0 ? result : Result.fail(problems)
    }
    const before = new Set(taken)
    for (const { message, path } of found) {
      const option = path.slice(0, optionDepth(path))
      const isMistake = before.size === 0 || !(message.startsWith(missing) || before.has(idOf(option)))
      if (isMistake) problems.push({ path, message })
      taken.add(idOf(isMistake ? option : option.slice(0, -1)))
    }
    if (taken.size === before.size) return Result.fail(problems)
  }
}
