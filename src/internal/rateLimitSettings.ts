/** Checks the options of a rate limit, and what calls say they cost. */
import { isObject } from "effect/Predicate"
import type { Cost, LimitOptions, LimitSettings, Options, Settings } from "../RateLimit.ts"
import { integer, millisOrZero, oneOf, onlyKeys, positiveMillis, refuse } from "./options.ts"

const module_ = "RateLimit"

/** What a limit is called that stands alone. */
export const only = "permits"

const common = ["wait", "maxKeys"]

const amount = (option: string, value: number): number =>
  Number.isFinite(value) && value > 0 ? value : refuse(module_, option, "a finite number above 0", value)

/** `at` is where the limit stands among the options. */
const resolveLimit = (limit: LimitOptions, at: string, further: ReadonlyArray<string>): LimitSettings => {
  const where = at === "" ? module_ : `${module_}.${at}`
  const option = (name: string) => at === "" ? name : `${at}.${name}`
  if (typeof limit !== "object" || limit === null) return refuse(module_, at, "a limit with a kind", limit)
  const { kind } = limit
  oneOf(module_, option("kind"), kind, ["token-bucket", "sliding-window", "fixed-window"])
  onlyKeys(where, limit, ["kind", "permits", "per", ...kind === "token-bucket" ? ["burst"] : [], ...further])
  const permits = amount(option("permits"), limit.permits)
  const per = positiveMillis(module_, option("per"), limit.per)
  return limit.kind === "token-bucket"
    ? { kind: limit.kind, permits, per, burst: amount(option("burst"), limit.burst ?? Math.max(1, permits)) }
    : { kind: limit.kind, permits, per }
}

const resolveLimits = (options: Options): Settings["limits"] => {
  if (!("limits" in options)) return { [only]: resolveLimit(options, "", common) }
  onlyKeys(module_, options, ["limits", ...common])
  const { limits } = options
  if (!isObject(limits) || Object.keys(limits).length === 0) {
    return refuse(module_, "limits", "an object with at least one limit", limits)
  }
  return Object.fromEntries(
    Object.entries(limits).map(([name, limit]) => [name, resolveLimit(limit, `limits.${name}`, [])])
  )
}

export const resolve = (options: Options): Settings => {
  if (!isObject(options)) return refuse(module_, "options", "an object", options)
  return {
    limits: resolveLimits(options),
    wait: millisOrZero(module_, "wait", options.wait ?? 0, { infinite: true }),
    maxKeys: integer(module_, "maxKeys", options.maxKeys ?? 100_000, 1)
  }
}

export const isCost = (value: unknown): value is number =>
  typeof value === "number" && value >= 0 && Number.isFinite(value)

/** What a call says about one limit. */
export const costOf = (cost: Cost | undefined, name: string): unknown =>
  typeof cost === "object" && cost !== null ? Object.hasOwn(cost, name) ? cost[name] : undefined : cost

/** Throws where a call says what cannot be meant. */
export const checkCost = (cost: Cost, names: ReadonlyArray<string>): void => {
  if (typeof cost !== "object" || cost === null) {
    if (!isCost(cost)) refuse(module_, "cost", "a finite number of zero or more", cost)
    return
  }
  onlyKeys(`${module_}.cost`, cost, names)
  for (const name of names) {
    const value = costOf(cost, name)
    if (value !== undefined && !isCost(value)) refuse(module_, `cost.${name}`, "a finite number of zero or more", value)
  }
}
