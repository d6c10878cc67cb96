/** An event in words, and as annotations. */
import * as Duration from "effect/Duration"
import { errorKind } from "../../internal/errorKind.ts"
import type { OfKind, ResilienceEvent } from "../../ResilienceEvent.ts"
import { clean, messageOf } from "./text.ts"

/**
 * An event as a line for people, and as annotations for programs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line {
  readonly level: "Error" | "Warn" | "Info" | "Debug"
  readonly text: string
  /**
   * `event`, `service`, and, where there is one: `operation`, `call`, `requestId`,
   * `attempt`, `attempts`, `hedge`, `outcome`, `error`, `policy` that refused, `limit`
   * of time that struck, `because`, `fault` injected, `state` and `mode` of a breaker,
   * and its `key`. In milliseconds, to a thousandth: `waitMs` before the next attempt,
   * `elapsedMs`, `retryAfterMs`, `ageMs` of a cached value, `openMs` until a probe.
   */
  readonly annotations: Readonly<Record<string, string | number>>
}

/** A duration, to the millisecond. */
const time = (duration: Duration.Duration): string => {
  const millis = Math.round(Duration.toMillis(duration))
  return millis === 0 ? "0ms" : Duration.format(Duration.millis(millis))
}

const because: Readonly<Record<string, string>> = {
  budget: "the retry budget is empty",
  retryAfter: "it asks to wait too long",
  deadline: "there is no time left",
  circuitBreaker: "the circuit breaker is open",
  committed: "the work has committed itself"
}

const policies: Readonly<Record<string, string>> = {
  circuitBreaker: "circuit breaker",
  bulkhead: "bulkhead",
  rateLimit: "rate limit",
  adaptiveLimit: "adaptive limit",
  throttle: "throttle"
}

const limits: Readonly<Record<string, string>> = {
  attempt: "an attempt has had its time",
  total: "the call has had its time",
  deadline: "the caller's deadline has passed",
  firstElement: "the first element did not come in time",
  idle: "the next element did not come in time"
}

const modes: Readonly<Record<string, string>> = {
  forcedOpen: "open",
  forcedClosed: "closed",
  disabled: "off",
  metricsOnly: "only counting"
}

/** How a call or an attempt has ended. */
const ended = (
  event: OfKind<"CallEnded" | "Attempted">,
  after: string,
  reason: (reason: unknown) => string
): string => {
  const error = event.reason === undefined ? "" : ` (${reason(event.reason)})`
  switch (event.outcome) {
    case "Success":
      return `succeeded ${after}`
    case "Overload":
      return `met an overload ${after}${error}`
    case "Ignored":
      return `was cut short ${after}`
    default:
      return `failed ${after}${error}`
  }
}

/** What the event says, after who it is about. */
const said = (event: ResilienceEvent, reason: (reason: unknown) => string): readonly [Line["level"], string] => {
  switch (event._tag) {
    case "CallEnded": {
      const after = `after ${time(event.elapsed)}`
      if (event.refusedBy !== undefined) return ["Debug", `call refused by the ${policies[event.refusedBy]} ${after}`]
      const attempts = event.attempts === 1 ? "1 attempt" : `${event.attempts} attempts`
      return ["Debug", `call ${ended(event, `${after} and ${attempts}`, reason)}`]
    }
    case "Attempted":
      return ["Debug", `attempt ${event.attempt} ${ended(event, `after ${time(event.elapsed)}`, reason)}`]
    case "Retrying":
      return [
        "Warn",
        `attempt ${event.attempt} of ${event.attempts} failed (${reason(event.reason)}), next in ${time(event.delay)}`
      ]
    case "RetryDeclined":
      return [
        "Warn",
        `attempt ${event.attempt} failed (${reason(event.reason)}), not tried again: ${because[event.because]}`
      ]
    case "RetriesExhausted":
      return ["Error", `gave up after ${event.attempts} attempts (${reason(event.reason)})`]
    case "Hedged":
      return ["Debug", `hedge ${event.hedge} started`]
    case "HedgeWon":
      return ["Debug", `hedge ${event.hedge} answered first`]
    case "Refused": {
      const again = event.retryAfter === undefined ? "" : `, worth asking again in ${time(event.retryAfter)}`
      return ["Warn", `refused by the ${policies[event.by]}${again}`]
    }
    case "TimedOut":
      return ["Warn", `timed out: ${limits[event.limit]}`]
    case "FellBack":
      return ["Warn", `answered by the fallback (${reason(event.reason)})`]
    case "CacheHit": {
      const error = event.reason === undefined ? "" : ` (${reason(event.reason)})`
      return event.isStale
        ? ["Info", `answered from the cache, ${time(event.age)} old and stale${error}`]
        : ["Debug", `answered from the cache, ${time(event.age)} old${error}`]
    }
    case "CacheRefreshFailed":
      return ["Warn", `the cached value could not be refreshed (${reason(event.reason)}), and is kept`]
    case "ChaosInjected":
      return ["Info", `chaos injected: ${event.fault}`]
    case "CircuitOpened": {
      const error = event.reason === undefined ? "" : ` (${reason(event.reason)})`
      const slow = event.because === "slow"
      const why = event.from === "HalfOpen"
        ? ` again, a probe ${slow ? "was slow" : "has failed"}`
        : slow
        ? ", calls are slow"
        : ""
      return ["Error", `circuit breaker opened${why}${error}, next probe in ${time(event.openFor)}`]
    }
    case "CircuitHalfOpened":
      return ["Info", "circuit breaker half-open, first probe"]
    case "CircuitClosed":
      return ["Info", "circuit breaker closed"]
    case "CircuitForced":
      return ["Warn", `circuit breaker forced by hand: ${modes[event.mode]}`]
    case "CircuitReleased":
      return ["Info", `circuit breaker no longer forced, and ${event.state.toLowerCase()}`]
    case "CircuitReset":
      return ["Info", "circuit breaker reset by hand, and closed"]
    case "CircuitRestored":
      return ["Info", `circuit breaker restored from a snapshot, and ${event.state.toLowerCase()}`]
    case "CircuitThresholdPassed":
      return ["Warn", "circuit breaker would have opened, but only counts"]
    case "Reconfigured":
      return ["Info", "reconfigured"]
  }
}

const states: Readonly<Record<string, string>> = {
  CircuitOpened: "open",
  CircuitHalfOpened: "half-open",
  CircuitClosed: "closed",
  CircuitForced: "forced",
  CircuitReset: "closed"
}

/** In milliseconds, to a thousandth. */
const inMillis = (duration: Duration.Duration): number => Math.round(Duration.toMillis(duration) * 1_000) / 1_000

const annotationsOf = (event: ResilienceEvent): Record<string, string | number> => {
  const long = (text: string) => clean(text, 500)
  const policy = "by" in event ? event.by : "refusedBy" in event ? event.refusedBy : undefined
  const state = "state" in event ? event.state.toLowerCase() : states[event._tag]
  return {
    event: event._tag,
    service: long(event.pipeline),
    ...("operation" in event && event.operation !== "" ? { operation: long(event.operation) } : {}),
    ...("call" in event && event.call !== 0 ? { call: event.call } : {}),
    ...("requestId" in event && event.requestId !== undefined ? { requestId: long(event.requestId) } : {}),
    ...("attempt" in event ? { attempt: event.attempt } : {}),
    ...("attempts" in event ? { attempts: event.attempts } : {}),
    ...("hedge" in event ? { hedge: event.hedge } : {}),
    ...("delay" in event ? { waitMs: inMillis(event.delay) } : {}),
    ...("elapsed" in event ? { elapsedMs: inMillis(event.elapsed) } : {}),
    ...("retryAfter" in event && event.retryAfter !== undefined ? { retryAfterMs: inMillis(event.retryAfter) } : {}),
    ...("age" in event ? { ageMs: inMillis(event.age) } : {}),
    ...("openFor" in event ? { openMs: inMillis(event.openFor) } : {}),
    ...(policy === undefined ? {} : { policy }),
    ...("limit" in event ? { limit: event.limit } : {}),
    ...("because" in event ? { because: event.because } : {}),
    ...("fault" in event ? { fault: event.fault } : {}),
    ...("outcome" in event ? { outcome: event.outcome } : {}),
    ...("reason" in event && event.reason !== undefined && !("outcome" in event && event.outcome === "Success")
      ? { error: clean(errorKind(event.reason)) }
      : {}),
    ...(state === undefined ? {} : { state }),
    ...("mode" in event ? { mode: event.mode } : {}),
    ...("key" in event && event.key !== undefined ? { key: long(event.key) } : {})
  }
}

const lineWith = (event: ResilienceEvent, reason: (reason: unknown) => string): Line => {
  const operation = "operation" in event && event.operation !== "" ? ` ${clean(event.operation)}` : ""
  const key = "key" in event && event.key !== undefined ? ` [${clean(event.key)}]` : ""
  const [level, words] = said(event, reason)
  return { level, text: `${clean(event.pipeline)}${operation}${key}: ${words}`, annotations: annotationsOf(event) }
}

const kind = (reason: unknown): string => clean(errorKind(reason))

const kindAndMessage = (reason: unknown): string => {
  const message = messageOf(reason)
  return message === undefined || message === "" ? kind(reason) : `${kind(reason)}: ${clean(message)}`
}

export const lineOf = (event: ResilienceEvent): Line => lineWith(event, kind)

/** The line, with the message of the error. What a call has answered is no error, and its message is not told. */
export const withMessage = (event: ResilienceEvent): Line =>
  lineWith(event, "isAnswer" in event && event.isAnswer === true ? kind : kindAndMessage)
