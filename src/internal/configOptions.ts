/**
 * Schemas of single options: what may stand in a file or in the environment, where
 * all values are text, and what the policies make of it.
 *
 * Which values are allowed is known to the modules of the policies alone. Each
 * schema is given the check of its module, and its problems are in the words of
 * that check.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { toMillis } from "./options.ts"

// -----------------------------------------------------------------------------
// refusals
// -----------------------------------------------------------------------------

/** What a module says against a value: about which of its options, where it says so, and why. */
interface Refusal {
  readonly option: ReadonlyArray<string | number>
  readonly message: string
}

const quoted = String.raw`"(?:[^"\\]|\\.)*"`
const wherePattern = new RegExp(String.raw`^(?:(?:Pipeline|operation) ${quoted}: )*(?:[A-Za-z][\w.[\]]*: )?`)
const optionPattern = /^([\w.[\]-]+) (must be [\s\S]*)$/

/** What a check says, without the name of its module; `undefined` where it lets a value pass. */
export const refusalOf = (check: () => unknown): Refusal | undefined => {
  try {
    check()
    return undefined
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    const message = error.message.replace(wherePattern, "").replace(/^it (?=cannot)/, "")
    const [, option, why] = optionPattern.exec(message) ?? []
    if (option === undefined || why === undefined) return { option: [], message }
    const segments = option.split(/[.[\]]+/).filter((segment) => segment !== "")
    return { option: segments.map((segment) => /^\d+$/.test(segment) ? Number(segment) : segment), message: why }
  }
}

/** Shows a value that has no parts. What is in others is nobody's business. */
export const brief = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
    case "bigint":
      return `${value}n`
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "a list" : "an object"
    case "function":
      return "a function"
    default:
      return String(value)
  }
}

/** Under this key a schema carries what its module says against values of another type. */
export const checkKey = "effect-resilience/check"

/** What a check of numbers or durations says about any other value. */
export const refusedAs = (check: (never: never) => unknown, value: unknown): string => {
  // NaN is a number, which all of these checks take, and which each of them refuses
  const refusal = refusalOf(() => check(Number.NaN as never))
  return `${refusal?.message.replace(/, got [\s\S]*$/, "") ?? "must be another value"}, got ${brief(value)}`
}

/** Refuses what a module refuses, at the place that it names. `at` is where the value stands among its options. */
export const fits = <A>(check: (value: A) => unknown, ...at: ReadonlyArray<string>) =>
  Schema.makeFilter((value: A) => {
    const refusal = refusalOf(() => check(value))
    if (refusal === undefined) return undefined
    const { message, option } = refusal
    if (at.every((segment, n) => option[n] === segment)) return { path: option.slice(at.length), issue: message }
    return option.length === 0 ? message : `${option.join(".")} ${message}`
  })

/** Refuses what a module refuses, where the value is one single option. */
const fitsAlone = <A>(check: (value: A) => unknown) =>
  Schema.makeFilter((value: A) => refusalOf(() => check(value))?.message)

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

const numberPattern = /^[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|Infinity)$/i

/** The number that a text stands for. */
const parseNumber = (text: string): number | undefined => numberPattern.test(text.trim()) ? Number(text) : undefined

const numberOrText = Schema.Union([Schema.Number, Schema.String])

/** A number, also as text. */
export const number = (check: (value: number) => unknown) =>
  numberOrText.annotate({ [checkKey]: check }).pipe(
    Schema.decodeTo(Schema.Number.check(fitsAlone(check)), {
      decode: SchemaGetter.transformEffect((input, options) => {
        const parsed = typeof input === "number" ? input : parseNumber(input)
        return parsed === undefined
          ? Effect.fail(new SchemaIssue.InvalidValue({ message: refusedAs(check, input) }, input, options))
          : Effect.succeed(parsed)
      }),
      encode: SchemaGetter.passthroughSupertype()
    })
  )

/** A duration as data has it: text such as `"2 seconds"`, or a number of milliseconds. */
type DurationData = Extract<Duration.Input, string | number>

const isDurationData = (value: unknown): value is DurationData =>
  // what is no duration has no milliseconds
  typeof value === "number" || (typeof value === "string" && toMillis(value as DurationData) !== undefined)

/** A duration: text such as `"2 seconds"`, or a number of milliseconds, also as text. It stays as it was written. */
export const duration = (check: (value: DurationData) => unknown) =>
  numberOrText.annotate({ [checkKey]: check }).pipe(
    Schema.decodeTo(Schema.declare(isDurationData).check(fitsAlone(check)), {
      decode: SchemaGetter.transformEffect((input, options) => {
        const millisOrText = typeof input === "number" ? input : parseNumber(input) ?? input.trim()
        return isDurationData(millisOrText)
          ? Effect.succeed(millisOrText)
          : Effect.fail(
            new SchemaIssue.InvalidValue(
              { message: `${refusedAs(check, input)}; write it like "2 seconds"` },
              input,
              options
            )
          )
      }),
      encode: SchemaGetter.passthroughSupertype()
    })
  )

/** `true` or `false`, also as text. */
export const flag = Schema.Union([Schema.Boolean, Schema.Literal("true"), Schema.Literal("false")]).annotate({
  expected: "true or false"
}).pipe(
  Schema.decodeTo(Schema.Boolean, {
    decode: SchemaGetter.transform((input) => input === true || input === "true"),
    encode: SchemaGetter.passthroughSupertype()
  })
)

/** One of some words. */
export const oneOf = <const Words extends ReadonlyArray<string>>(
  words: Words,
  expected = `one of ${words.join(", ")}`
) => Schema.Literals(words).annotate({ expected })

const tag = Schema.String.annotate({ expected: "a tag" }).check(
  Schema.makeFilter((value: string) => value !== "" || "must be a tag that is not empty")
)

/** A list of tags of errors, also as one text with commas. */
export const tags = Schema.Union([
  Schema.Array(tag),
  Schema.String.pipe(
    Schema.decodeTo(Schema.Array(tag), {
      decode: SchemaGetter.transform((text) => text.split(",").map((one) => one.trim())),
      encode: SchemaGetter.transform((list) => list.join(","))
    })
  )
]).annotate({ expected: "a list of tags" })

const no = Schema.Literal("false").pipe(
  Schema.decodeTo(Schema.Literal(false), {
    decode: SchemaGetter.transform(() => false as const),
    encode: SchemaGetter.transform(() => "false" as const)
  })
)

/** Something that configuration may also switch off, by `false`. */
export const orFalse = <S extends Schema.Constraint>(schema: S, expected = "an object") =>
  Schema.Union([schema, Schema.Literal(false), no]).annotate({ expected: `${expected} or false` })
