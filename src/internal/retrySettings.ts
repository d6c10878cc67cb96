/** Checks the options of a retry. */
import * as Schedule from "effect/Schedule"
import type { Backoff, ErrorSelection, Jitter, Options, Settings } from "../Retry.ts"
import * as backoff from "./backoff.ts"
import { flag, integer, millisOrZero, oneOf, onlyKeys, optionalFunction, positiveMillis, refuse } from "./options.ts"

const module_ = "Retry"

/** Also what takes the place of a delay that a function of the user's does not give. */
export const defaultBackoff = { kind: "exponential", base: 200, cap: 10_000 } as const

// where no cap is given, a delay is still finite
const noCap = Number.MAX_VALUE

interface ResolvedBackoff extends Pick<Settings, "delays" | "cap"> {
  readonly jitter: Jitter
}

const resolveBackoff = (input: Backoff): ResolvedBackoff => {
  if (typeof input === "function") {
    return { delays: { kind: "function", at: input }, cap: noCap, jitter: "none" }
  }
  if (Schedule.isSchedule(input)) {
    return { delays: { kind: "schedule", schedule: input }, cap: noCap, jitter: "none" }
  }
  const formula = (at: backoff.BaseDelay, defaultCap: number, jitter: Jitter = "full"): ResolvedBackoff => ({
    delays: { kind: "formula", at },
    cap: input.cap === undefined ? defaultCap : positiveMillis(module_, "backoff.cap", input.cap),
    jitter
  })
  if (typeof input !== "object" || input === null) {
    return refuse(module_, "backoff", "an object with a kind, a schedule, or a function", input)
  }
  if (input.kind === "constant") {
    onlyKeys("Retry.backoff", input, ["kind", "delay", "cap"])
    return formula(backoff.constant(positiveMillis(module_, "backoff.delay", input.delay)), noCap)
  }
  const kinds = ["linear", "exponential", "fibonacci", "decorrelated"]
  oneOf(module_, "backoff.kind", input.kind, ["constant", ...kinds])
  const base = positiveMillis(module_, "backoff.base", input.base)
  const cap = Math.max(base, 30_000)
  switch (input.kind) {
    case "linear": {
      onlyKeys("Retry.backoff", input, ["kind", "base", "increment", "cap"])
      const { increment } = input
      return formula(
        backoff.linear(base, increment === undefined ? base : positiveMillis(module_, "backoff.increment", increment)),
        cap
      )
    }
    case "exponential": {
      onlyKeys("Retry.backoff", input, ["kind", "base", "factor", "cap"])
      const factor = input.factor ?? 2
      if (!(factor >= 1 && Number.isFinite(factor))) refuse(module_, "backoff.factor", "a number >= 1", factor)
      return formula(backoff.exponential(base, factor), cap)
    }
    case "fibonacci":
      onlyKeys("Retry.backoff", input, ["kind", "base", "cap"])
      return formula(backoff.fibonacci(base), cap)
    case "decorrelated":
      onlyKeys("Retry.backoff", input, ["kind", "base", "cap"])
      return formula(backoff.constant(base), cap, "decorrelated")
  }
}

const resolveJitter = (jitter: Jitter): backoff.Spread => {
  switch (jitter) {
    case "none":
      return backoff.none
    case "full":
      return backoff.full
    case "equal":
      return backoff.equal
    case "decorrelated":
      return backoff.decorrelated
  }
  if (
    typeof jitter !== "object" || jitter === null ||
    !(typeof jitter.factor === "number" && jitter.factor >= 0 && jitter.factor <= 1)
  ) {
    return refuse(module_, "jitter", "none, full, equal, decorrelated or a factor from 0 to 1", jitter)
  }
  onlyKeys("Retry.jitter", jitter, ["factor"])
  return backoff.factor(jitter.factor)
}

const isTags = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((tag) => typeof tag === "string")

const resolveErrors = (option: string, errors: ErrorSelection | undefined): ErrorSelection | undefined =>
  errors === undefined || typeof errors === "function" || isTags(errors)
    ? errors
    : refuse(module_, option, "a list of tags or a function", errors)

/** `others` are options that are looked at elsewhere. */
export const resolve = (options: Options, others: ReadonlyArray<string> = []): Settings => {
  onlyKeys(module_, options, [
    "times",
    "maxElapsed",
    "backoff",
    "jitter",
    "maxRetryAfter",
    "retryOn",
    "abortOn",
    "while",
    "retryCircuitOpen",
    "onExhausted",
    "onRetry",
    ...others
  ])
  const {
    backoff: chosenBackoff = defaultBackoff,
    maxElapsed = 60_000,
    maxRetryAfter = 30_000,
    onExhausted = "lastError",
    retryCircuitOpen = false,
    times = 3
  } = options
  const { cap, delays, jitter } = resolveBackoff(chosenBackoff)
  return {
    delays,
    cap,
    times: integer(module_, "times", times, 0),
    maxElapsed: positiveMillis(module_, "maxElapsed", maxElapsed, { infinite: true }),
    maxRetryAfter: millisOrZero(module_, "maxRetryAfter", maxRetryAfter, { infinite: true }),
    spread: resolveJitter(options.jitter === undefined ? jitter : options.jitter),
    retryOn: resolveErrors("retryOn", options.retryOn),
    abortOn: resolveErrors("abortOn", options.abortOn),
    while: optionalFunction(module_, "while", options.while),
    // one that is listed is waited for as well
    retryCircuitOpen: flag(module_, "retryCircuitOpen", retryCircuitOpen) ||
      (isTags(options.retryOn) && options.retryOn.includes("CircuitOpen")),
    wraps: oneOf(module_, "onExhausted", onExhausted, ["lastError", "wrap"]) === "wrap",
    onRetry: optionalFunction(module_, "onRetry", options.onRetry)
  }
}
