/** Checks the options of a pipeline, and lays one set of options over another. */
import type * as Duration from "effect/Duration"
import { isObject } from "effect/Predicate"
import * as AdaptiveLimit from "../AdaptiveLimit.ts"
import * as Bulkhead from "../Bulkhead.ts"
import * as CacheFallback from "../CacheFallback.ts"
import * as Chaos from "../Chaos.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import * as Hedge from "../Hedge.ts"
import * as KeyedCircuitBreaker from "../KeyedCircuitBreaker.ts"
import type { Options, Overrides, Settings, Stated, Tuning } from "../Pipeline.ts"
import * as RateLimit from "../RateLimit.ts"
import * as Retry from "../Retry.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as Throttle from "../Throttle.ts"
import { flag, nonEmpty, onlyKeys, optionalFunction, positiveMillis, refuse, within } from "./options.ts"

const module_ = "Pipeline"

/** What an operation, or configuration, may change about a pipeline. */
const tunable = [
  "totalTimeout",
  "retry",
  "retryBudget",
  "hedge",
  "throttle",
  "rateLimit",
  "bulkhead",
  "adaptiveLimit",
  "circuitBreaker",
  "keyedCircuitBreaker",
  "attemptTimeout",
  "chaos",
  "cache",
  "streams"
] as const satisfies ReadonlyArray<keyof Overrides>

type Tunable = typeof tunable[number]

const isThere = <A>(part: A | false | undefined): part is A => part !== undefined && part !== false

// one that is infinite is none
const timeout = (option: string, duration: Duration.Input | false | undefined): number | undefined => {
  const millis = isThere(duration) ? positiveMillis(module_, option, duration, { infinite: true }) : Infinity
  return millis === Infinity ? undefined : millis
}

const around = (options: Options["around"] = {}): Settings["around"] => {
  onlyKeys("Pipeline.around", options, ["call", "attempt", "work"])
  return {
    call: optionalFunction(module_, "around.call", options.call),
    attempt: optionalFunction(module_, "around.attempt", options.attempt),
    work: optionalFunction(module_, "around.work", options.work)
  }
}

const streams = (options: Options["streams"]): Settings["streams"] => {
  if (!isThere(options)) return { firstElement: undefined, idle: undefined }
  onlyKeys("Pipeline.streams", options, ["firstElement", "idle"])
  return {
    firstElement: timeout("streams.firstElement", options.firstElement),
    idle: timeout("streams.idle", options.idle)
  }
}

/** `owner` says under which name a part keeps its state. */
const resolve = (name: string, options: Options, owner: (part: Tunable) => string): Settings => {
  if (isThere(options.bulkhead) && isThere(options.adaptiveLimit)) {
    refuse(module_, "adaptiveLimit", "left out where bulkhead is given", options.adaptiveLimit)
  }
  if (isThere(options.circuitBreaker) && isThere(options.keyedCircuitBreaker)) {
    refuse(module_, "keyedCircuitBreaker", "left out where circuitBreaker is given", options.keyedCircuitBreaker)
  }
  const stated = <O, S>(
    part: Tunable,
    chosen: O | false | undefined,
    check: (options: O) => S
  ): Stated<S> | undefined => isThere(chosen) ? { name: owner(part), settings: check(chosen) } : undefined
  return {
    name,
    options,
    totalTimeout: timeout("totalTimeout", options.totalTimeout),
    retry: isThere(options.retry) ? Retry.settings(options.retry) : undefined,
    retryBudget: stated("retryBudget", options.retryBudget, RetryBudget.settings),
    hedge: stated("hedge", options.hedge, Hedge.settings),
    throttle: stated("throttle", options.throttle, Throttle.settings),
    rateLimit: stated("rateLimit", options.rateLimit, RateLimit.settings),
    bulkhead: stated("bulkhead", options.bulkhead, Bulkhead.settings),
    adaptiveLimit: stated("adaptiveLimit", options.adaptiveLimit, AdaptiveLimit.settings),
    circuitBreaker: stated("circuitBreaker", options.circuitBreaker, CircuitBreaker.settings),
    keyedCircuitBreaker: stated("keyedCircuitBreaker", options.keyedCircuitBreaker, KeyedCircuitBreaker.settings),
    attemptTimeout: timeout("attemptTimeout", options.attemptTimeout),
    chaos: isThere(options.chaos) ? Chaos.settings(options.chaos) : undefined,
    cache: stated("cache", options.cache, CacheFallback.settings),
    streams: streams(options.streams),
    around: around(options.around),
    classify: optionalFunction(module_, "classify", options.classify),
    idempotent: options.idempotent === undefined || flag(module_, "idempotent", options.idempotent),
    operations: new Map()
  }
}

/** Checks options: throws a `RangeError` that names what is wrong. */
export const settings = (name: string, options: Options): Settings => tune(name, options, {})

/** The settings of options that configuration has changed. */
export const tune = (name: string, declared: Options, tuning: Tuning): Settings => {
  nonEmpty(module_, "name", name)
  return within(`Pipeline ${JSON.stringify(name)}`, () => {
    onlyKeys(module_, declared, [...tunable, "around", "classify", "idempotent", "operations"])
    onlyKeys("changes", tuning, [...tunable, "idempotent", "operations"])
    const { operations: tuned = {}, ...overrides } = tuning
    const options = override(declared, overrides, declared)
    const operations = new Map<string, Settings>()
    const layersOf = new Map<string, Array<Overrides>>()
    for (const [operation, layer] of [...entries(options.operations), ...entries(tuned)]) {
      layersOf.set(operation, [...layersOf.get(operation) ?? [], layer])
    }
    for (const [operation, layers] of layersOf) {
      within(`operation ${JSON.stringify(operation)}`, () => {
        const merged = layers.reduce<Options>((base, layer) => override(base, layer, declared), {
          ...options,
          operations: {}
        })
        // an operation that changes a part with a state has a state of its own
        const owner = (part: Tunable) => layers.some((layer) => isThere(layer[part])) ? `${name}/${operation}` : name
        operations.set(operation, resolve(name, merged, owner))
      })
    }
    return { ...resolve(name, options, () => name), operations }
  })
}

const entries = (operations: Tuning["operations"] = {}): ReadonlyArray<[string, Overrides]> =>
  isObject(operations)
    ? Object.entries(operations)
    : refuse(module_, "operations", "an object, by the names of operations", operations)

/**
 * Lays a change over a part. A timeout is replaced, and so is a rate limit of
 * another form, to which the further options of the former mean nothing.
 */
const mergePart = (part: Tunable, base: unknown, changed: unknown): unknown =>
  part === "totalTimeout" || part === "attemptTimeout" || typeof base !== "object" || base === null ||
    typeof changed !== "object" || changed === null || "kind" in changed || "limits" in changed
    ? changed
    : { ...base, ...changed }

/**
 * Lays overrides over options, part by part. They may change what `declared` has
 * and leave it out; they cannot add a part, or an error that a part can add.
 */
const override = (base: Options, overrides: Overrides, declared: Options): Options => {
  onlyKeys("overrides", overrides, [...tunable, "idempotent"])
  const merged: Record<string, unknown> = { ...base }
  for (const part of tunable) {
    const changed = overrides[part]
    if (changed === undefined) continue
    if (isThere(changed) && !isThere(declared[part])) {
      throw new RangeError(`it cannot add ${part}, which the pipeline does not have`)
    }
    merged[part] = mergePart(part, isThere(base[part]) ? base[part] : declared[part], changed)
  }
  if (overrides.idempotent !== undefined) merged["idempotent"] = overrides.idempotent
  // each part is either the base's, the override's, or made of both, which have the same type
  const options = merged as Options
  refuseNewErrors(declared, options)
  return options
}

const refuseNewErrors = (base: Options, options: Options): void => {
  const wraps = ({ retry }: Options) => isThere(retry) && retry?.onExhausted === "wrap"
  if (wraps(options) && !wraps(base)) {
    throw new RangeError(`it cannot add retry.onExhausted "wrap", which the pipeline does not have`)
  }
  for (const fault of ["failure", "overload"] as const) {
    const has = ({ chaos }: Options) => isThere(chaos) && chaos?.[fault] !== undefined
    if (has(options) && !has(base)) {
      throw new RangeError(`it cannot add chaos.${fault}, which the pipeline does not have`)
    }
  }
}
