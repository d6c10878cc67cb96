/** Times and errors as a person would say them. */
import { Duration } from "effect"
import { CircuitBreaker, Timeout } from "effect-resilience"
import { Problem, ServiceError } from "effect-resilience/http"

/** Milliseconds in words: `0.4 ms`, `35 ms`, `1.25 s`, `12 s`. */
export const time = (millis: number): string =>
  millis < 10
    ? `${millis.toFixed(1)} ms`
    : millis < 100
    ? `${millis.toFixed(0)} ms`
    : `${(millis / 1000).toFixed(millis < 10_000 ? 2 : 1).replace(/\.0+$/, "")} s`

/** Why a call failed, in a few words. */
export const reason = (error: unknown): string => {
  if (error instanceof ServiceError.ServiceUnavailable) return network[error.reason] ?? error.reason
  if (error instanceof Problem.Unavailable) {
    return `${error.status}${error.retryAfter === undefined ? "" : `, asked for ${time(error.retryAfter * 1000)}`}`
  }
  if (error instanceof ServiceError.ResponseInvalid) return `invalid body (${error.mismatches.join("; ")})`
  if (error instanceof Timeout.TimedOut) return `no answer in ${time(Duration.toMillis(error.after))}`
  if (error instanceof CircuitBreaker.CircuitOpen) return "circuit open"
  return error instanceof Error ? error.message : String(error)
}

const network: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection broke off",
  UND_ERR_SOCKET: "connection broke off"
}

export const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`
