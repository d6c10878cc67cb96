/** Checks the options of chaos. */
import type { Fault, Options, ResultOptions, Settings } from "../Chaos.ts"
import { aFunction, millisOrZero, onlyKeys, optionalFunction, positiveMillis, rate, refuse } from "./options.ts"

const module_ = "Chaos"

interface Part {
  readonly rate: number
}

/** Looks at a part; one that never happens is none. */
const part = <O extends Part, A>(
  name: string,
  options: O | undefined,
  keys: ReadonlyArray<string>,
  check: (options: O) => A
): A | undefined => {
  if (options === undefined) return undefined
  onlyKeys(`${module_}.${name}`, options, ["rate", ...keys])
  const chance = rate(module_, `${name}.rate`, options.rate)
  const checked = check(options)
  return chance === 0 ? undefined : checked
}

type Delay = NonNullable<Options["latency"]>["delay"]

const isRange = (delay: Delay): delay is Extract<Delay, { readonly min: unknown }> =>
  typeof delay === "object" && delay !== null && ("min" in delay || "max" in delay)

const resolveLatency = ({ delay, rate }: NonNullable<Options["latency"]>): NonNullable<Settings["latency"]> => {
  if (!isRange(delay)) {
    const millis = positiveMillis(module_, "latency.delay", delay, { infinite: true })
    return { rate, min: millis, max: millis }
  }
  onlyKeys("Chaos.latency.delay", delay, ["min", "max"])
  const min = millisOrZero(module_, "latency.delay.min", delay.min)
  const max = positiveMillis(module_, "latency.delay.max", delay.max)
  if (max < min) refuse(module_, "latency.delay.max", "at least its min", delay.max)
  return { rate, min, max }
}

export const resolve = (
  options: Options<unknown> & ResultOptions<unknown, unknown>,
  takesResult: boolean
): Settings => {
  const keys = ["enabled", "latency", "behavior", "failure", "overload", "defect"]
  onlyKeys(module_, options, takesResult ? [...keys, "result"] : keys)
  const { behavior, defect, enabled = true, failure, latency, overload, result } = options
  if (typeof enabled !== "boolean" && typeof enabled !== "function") {
    refuse(module_, "enabled", "true, false or a function", enabled)
  }
  const faults: ReadonlyArray<Fault | undefined> = [
    part("failure", failure, ["error"], ({ error, rate }) => ({
      kind: "failure",
      rate,
      error: optionalFunction(module_, "failure.error", error)
    })),
    part("overload", overload, ["retryAfter"], ({ rate, retryAfter }) => ({
      kind: "overload",
      rate,
      retryAfter: retryAfter === undefined ? undefined : millisOrZero(module_, "overload.retryAfter", retryAfter)
    })),
    part("defect", defect, ["defect"], ({ defect, rate }) => ({
      kind: "defect",
      rate,
      defect: optionalFunction(module_, "defect.defect", defect)
    })),
    part(
      "result",
      result,
      ["exit"],
      ({ exit, rate }) => ({ kind: "result", rate, exit: aFunction(module_, "result.exit", exit) })
    )
  ]
  const present = faults.filter((fault) => fault !== undefined)
  const sum = present.reduce((sum, { rate }) => sum + rate, 0)
  // rates such as 0.7, 0.2 and 0.1 need not add up exactly
  if (sum > 1 + 1e-9) refuse(module_, "the sum of all rates but that of latency and behavior", "at most 1", sum)
  return {
    enabled,
    latency: part("latency", latency, ["delay"], resolveLatency),
    behavior: part(
      "behavior",
      behavior,
      ["run"],
      ({ rate, run }) => ({ rate, run: aFunction(module_, "behavior.run", run) })
    ),
    faults: present
  }
}
