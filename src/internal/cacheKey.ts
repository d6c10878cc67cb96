/**
 * The arguments of a call as one string: equal data gives equal strings, and
 * data that differs never does. A key may leave the process, so what cannot be
 * told apart by its data is refused, and so are secrets.
 */
import * as Redacted from "effect/Redacted"

/** Throws a `RangeError` that names the part of the key that is not data. */
export const canonical = (key: ReadonlyArray<unknown>): string => {
  if (!Array.isArray(key) || key.length === 0) {
    throw new RangeError("CacheFallback: key must be a list that is not empty: the operation and all of its arguments")
  }
  return list(key, [])
}

/** A value on the way to the one that is written, and under which name or number the next one stands in it. */
interface Step {
  readonly value: object
  at: string | number
}

type Way = Array<Step>

const refuse = (way: Way, what: string, hint = ""): never => {
  const path = way.map(({ at }) => (typeof at === "number" ? `[${at}]` : `.${at}`)).join("")
  throw new RangeError(`CacheFallback: key${path} must be data, got ${what}${hint}`)
}

const write = (value: unknown, way: Way): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "bigint":
      return `${value}n`
    case "function":
    case "symbol":
      return refuse(way, `a ${typeof value}`)
    case "object":
      if (value === null) return "null"
      return way.some((step) => step.value === value) ? refuse(way, "a circle") : object(value, way)
    default:
      // zero is zero, whatever its sign
      return String(value === 0 ? 0 : value)
  }
}

const list = (values: ReadonlyArray<unknown>, way: Way): string => {
  const step: Step = { value: values, at: 0 }
  way.push(step)
  let written = ""
  // a hole counts as `undefined`
  for (let index = 0; index < values.length; index++) {
    step.at = index
    written += (index === 0 ? "" : ",") + write(values[index], way)
  }
  way.pop()
  return `[${written}]`
}

const fields = (value: object, way: Way): string => {
  const step: Step = { value, at: "" }
  way.push(step)
  const written = Object.entries(value).toSorted(byName).map(([name, field]) => {
    step.at = name
    return `${JSON.stringify(name)}:${write(field, way)}`
  })
  way.pop()
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, symbol)) refuse(way, `a field named by ${String(symbol)}`)
  }
  return `{${written.join()}}`
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)

const object = (value: object, way: Way): string => {
  if (Array.isArray(value)) return list(value, way)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return fields(value, way)
  if (Redacted.isRedacted(value)) return refuse(way, "a Redacted", "; name whose secret it is, not the secret")
  // an error's message is not among its fields
  if (value instanceof Error) return refuse(way, "an Error")
  const name = JSON.stringify(value.constructor?.name ?? "")
  if (value instanceof Date) return `${name}(${value.getTime()})`
  if (value instanceof RegExp || value instanceof URL || value instanceof URLSearchParams) {
    return `${name}(${JSON.stringify(String(value))})`
  }
  if (value instanceof ArrayBuffer) return `${name}(${new Uint8Array(value).join()})`
  if (ArrayBuffer.isView(value)) {
    return `${name}(${new Uint8Array(value.buffer, value.byteOffset, value.byteLength).join()})`
  }
  // the order in which they were filled is not part of what they hold
  if (value instanceof Map || value instanceof Set) {
    way.push({ value, at: "(member)" })
    const written = Array.from<unknown, string>(value, (member) => write(member, way)).toSorted().join()
    way.pop()
    return `${name}(${written})`
  }
  // without a field of its own, it keeps what it is made of out of sight, or is told by its tag alone
  if (Object.keys(value).length === 0 && !("_tag" in value && typeof value._tag === "string")) {
    return refuse(way, `an object of class ${name} without fields`)
  }
  return name + fields(value, way)
}
