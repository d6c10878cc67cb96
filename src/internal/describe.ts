/** A pipeline in words, for people. */
import type { Options, Settings } from "../Pipeline.ts"
import { show } from "./options.ts"

/** The parts from the outside in. */
const order: ReadonlyArray<readonly [keyof Options, label: string]> = [
  ["cache", "cache"],
  ["totalTimeout", "total timeout"],
  ["retry", "retry"],
  ["retryBudget", "retry budget"],
  ["hedge", "hedge"],
  ["throttle", "throttle"],
  ["rateLimit", "rate limit"],
  ["bulkhead", "bulkhead"],
  ["adaptiveLimit", "adaptive limit"],
  ["circuitBreaker", "circuit breaker"],
  ["keyedCircuitBreaker", "breaker per key"],
  ["attemptTimeout", "attempt timeout"],
  ["streams", "streams"],
  ["chaos", "chaos"]
]

const isEmpty = (part: unknown): boolean => typeof part === "object" && part !== null && Object.keys(part).length === 0

const inWords = (part: unknown): string =>
  isEmpty(part)
    ? "with its defaults"
    : typeof part === "string"
    ? part
    : typeof part === "number"
    ? `${part} ms`
    : show(part)

const lines = (options: Options, indent: string): ReadonlyArray<string> =>
  order.flatMap(([key, label]) => {
    const part = options[key]
    return part === undefined || part === false ? [] : [`${indent}${label.padEnd(17)}${inWords(part)}`]
  })

export const describe = ({ name, operations, options }: Settings): string => {
  const { around = {} } = options
  const own = Object.entries(around).flatMap(([place, policy]) => policy === undefined ? [] : [place])
  const differing = [...operations].flatMap(([operation, settings]) => [
    `  operation ${operation}`,
    ...lines(settings.options, "    ")
  ])
  return [
    name,
    ...lines(options, "  "),
    ...(options.idempotent === false
      ? [`  ${"not idempotent".padEnd(17)}neither retried nor hedged unless a call says so`]
      : []),
    ...(own.length === 0 ? [] : [`  ${"own policies".padEnd(17)}around ${own.join(", ")}`]),
    ...differing
  ].join("\n")
}
