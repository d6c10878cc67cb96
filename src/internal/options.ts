/**
 * Checks of option values. Every refusal is a `RangeError` that names the
 * module, the option and the value, thrown when the value is made.
 */
import * as Duration from "effect/Duration"
import { isObject } from "effect/Predicate"
import { guarded } from "./guarded.ts"

/** Shows a value in a message. */
export const show = (value: unknown, depth = 0): string => {
  if (depth > 5) return "..."
  if (typeof value === "string") return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((inner) => show(inner, depth + 1)).join(", ")}]`
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "function") return "a function"
  if (Duration.isDuration(value)) return Duration.format(value)
  if (typeof value === "object" && value !== null) {
    return `{ ${Object.entries(value).map(([key, inner]) => `${key}: ${show(inner, depth + 1)}`).join(", ")} }`
  }
  return String(value)
}

/** Throws the `RangeError` of this library: module, option, what it must be, and the value seen. */
export const refuse = (module: string, option: string, mustBe: string, value: unknown, hint = ""): never => {
  throw new RangeError(`${module}: ${option} must be ${mustBe}, got ${show(value)}${hint}`)
}

/** Returns `value` if it is a string that is not empty. */
export const nonEmpty = (module: string, option: string, value: string): string =>
  typeof value === "string" && value !== "" ? value : refuse(module, option, "a non-empty string", value)

/** Says where options are that another module checks. */
export const within = <A>(where: string, check: () => A): A => {
  try {
    return check()
  } catch (error) {
    throw error instanceof RangeError ? new RangeError(`${where}: ${error.message}`) : error
  }
}

/** Returns `value` if it is an integer of at least `min`, and at most `max`. */
export const integer = (module: string, option: string, value: number, min: number, max = Infinity): number =>
  Number.isSafeInteger(value) && value >= min && value <= max
    ? value
    : refuse(module, option, max === Infinity ? `an integer >= ${min}` : `an integer from ${min} to ${max}`, value)

/** Returns `value` if it lies in `(0, 1]`. */
export const share = (module: string, option: string, value: number): number =>
  typeof value === "number" && value > 0 && value <= 1 ? value : refuse(module, option, "above 0 and at most 1", value)

const units = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]

/** Whether an object is one of the forms that `Duration` reads; it takes any other for zero. */
const isDurationObject = (input: object): boolean => {
  const keys = Object.keys(input)
  return Duration.isDuration(input) || Array.isArray(input) ||
    (keys.length > 0 && keys.every((key) => units.includes(key)))
}

// `Duration` reads NaN as zero, and skips it in the fields of an object, so it is looked for before converting.
const holdsNaN = (input: unknown): boolean =>
  typeof input === "number"
    ? Number.isNaN(input)
    : typeof input === "object" && input !== null && !Duration.isDuration(input) && Object.values(input).some(holdsNaN)

/** Converts a duration to milliseconds; `undefined` where it is not one, is negative, or holds a NaN. */
export const toMillis = (input: Duration.Input): number | undefined => {
  if (typeof input === "number") return input >= 0 ? input : undefined
  if (holdsNaN(input) || (typeof input === "object" && input !== null && !isDurationObject(input))) return undefined
  const millis = guarded(() => Duration.toMillis(Duration.fromInputUnsafe(input)))
  return millis !== undefined && millis >= 0 ? millis : undefined
}

/** The finite milliseconds that a function of the user's answers with; `undefined` where it throws, or answers otherwise. */
export const answeredMillis = (f: () => Duration.Input): number | undefined => {
  const millis = guarded(() => toMillis(f()))
  return millis !== undefined && Number.isFinite(millis) ? millis : undefined
}

/** Allows an infinite duration where one is not refused. */
type Allow = { readonly infinite: true }

const duration = (
  module: string,
  option: string,
  input: Duration.Input,
  allow: Allow | undefined,
  least: { readonly millis: number; readonly words: string }
): number => {
  const millis = toMillis(input)
  return millis !== undefined && millis >= least.millis && (allow !== undefined || Number.isFinite(millis))
    ? millis
    : refuse(
      module,
      option,
      `a ${allow === undefined ? "finite " : ""}duration ${least.words}`,
      input,
      millis === undefined && typeof input === "string" ? "; write it like \"2 seconds\"" : ""
    )
}

/** Returns a duration in milliseconds that is above zero. */
export const positiveMillis = (module: string, option: string, input: Duration.Input, allow?: Allow): number =>
  duration(module, option, input, allow, { millis: Number.MIN_VALUE, words: "above zero" })

/** Returns a duration in milliseconds that is zero or more. */
export const millisOrZero = (module: string, option: string, input: Duration.Input, allow?: Allow): number =>
  duration(module, option, input, allow, { millis: 0, words: "of zero or more" })

/** Returns `value` if it lies in `[0, 1]`. */
export const rate = (module: string, option: string, value: number): number =>
  typeof value === "number" && value >= 0 && value <= 1 ? value : refuse(module, option, "a number from 0 to 1", value)

/** Returns `value` if it is a boolean. */
export const flag = (module: string, option: string, value: boolean): boolean =>
  typeof value === "boolean" ? value : refuse(module, option, "true or false", value)

/** Returns `value` if it is a function. */
export const aFunction = <F>(module: string, option: string, value: F): F =>
  typeof value === "function" ? value : refuse(module, option, "a function", value)

/** Returns `value` if it is a function, or left out. */
export const optionalFunction = <F>(module: string, option: string, value: F | undefined): F | undefined =>
  value === undefined ? value : aFunction(module, option, value)

/** Returns `value` if it is one of `known`. */
export const oneOf = <A>(module: string, option: string, value: A, known: ReadonlyArray<A>): A =>
  known.includes(value) ? value : refuse(module, option, `one of ${known.join(", ")}`, value)

/** Refuses keys that the options do not have: a misspelt option must not pass in silence. */
export const onlyKeys = (module: string, options: object, keys: ReadonlyArray<string>): void => {
  if (!isObject(options)) refuse(module, "options", "an object", options)
  for (const key of Object.keys(options)) {
    if (!keys.includes(key)) {
      throw new RangeError(`${module}: unknown option ${JSON.stringify(key)}; it takes ${keys.join(", ")}`)
    }
  }
}
