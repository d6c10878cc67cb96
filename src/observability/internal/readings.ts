/** What the snapshots of policies and pipelines are as metrics. */
import * as Duration from "effect/Duration"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as Pipeline from "../../Pipeline.ts"
import type { Snapshot } from "../../Resilience.ts"
import { type BreakerCounts, countsOf, KeyedTotals } from "./keyedTotals.ts"
import type { Definition, Labels } from "./pullSeries.ts"

type Set = (metric: Definition, labels: Labels, value: number) => void

const counter = (name: string, help: string): Definition => ({
  kind: "counter",
  name: `resilience_${name}_total`,
  help
})
const gauge = (name: string, help: string, unit?: string): Definition => ({
  kind: "gauge",
  name: `resilience_${name}`,
  help,
  unit
})

/** Always there, and registered first: reading it reads all others. */
export const pipelines = gauge("pipelines", "Pipelines that there are.")

const calls = counter(
  "calls",
  "Calls of pipelines that were not answered from the cache, by outcome, before any fallback."
)
const refusedCalls = counter("calls_refused", "Calls that a policy has refused in the end, of those that are ignored.")
const attempts = counter("attempts", "Attempts that calls have made, without those refused.")
const retries = counter("retries", "Attempts that were made again after one that failed.")
const exhausted = counter("retries_exhausted", "Calls that have used up all their attempts.")
const timedOut = counter("timeouts", "Time limits that have struck.")
const fellBack = counter("fallbacks", "Calls that a fallback has answered.")
const refusals = counter("refusals", "Attempts refused before their work ran, by the policy that refused them.")

const state = gauge("circuit_breaker_state", "Whether a circuit breaker is in a state: 1 for the one it is in, else 0.")
const transitions = counter(
  "circuit_breaker_transitions",
  "Changes of circuit breakers, by the state that they led to."
)
const breakerCalls = counter("circuit_breaker_calls", "Calls that circuit breakers let through, by outcome.")
const slow = counter("circuit_breaker_slow_calls", "Calls that were slow for their circuit breaker.")
const keys = gauge("circuit_breaker_keys", "Keys of circuit breakers that have many, by state.")

const inFlight = gauge("in_flight_calls", "Calls under way, by the policy that counts them.")
const queued = gauge("queued_calls", "Calls that wait to be let through, by the policy that they wait for.")
const limit = gauge("concurrency_limit", "Calls that may be under way at once, by the policy that limits them.")
const baseline = gauge(
  "adaptive_limit_baseline_latency_seconds",
  "What an adaptive limit compares latency with.",
  "seconds"
)

const permits = gauge("rate_limit_permits_left", "Permits that calls without a key have left.")
const spent = counter("rate_limit_permits_spent", "Permits spent by all calls.")
const rateKeys = gauge("rate_limit_keys", "Keys that a rate limit remembers.")

const throttle = gauge("throttle_probability_ratio", "The probability that the throttle refuses the next call.")

const budget = gauge("retry_budget_left", "Further attempts that the retry budget allows now.")
const budgetEmpty = counter("retry_budget_refusals", "Further attempts that were not made for want of budget.")

const hedges = counter("hedges", "Attempts that were started beside slow ones.")
const hedgesWon = counter("hedges_won", "Hedges that have answered first; the others were lost.")
const hedgeDelay = gauge("hedge_delay_seconds", "What the next call waits before it starts a hedge.", "seconds")

const cacheAnswers = counter(
  "cache_answers",
  "Calls by what the cache had for them: a fresh value, a stale one, or none."
)
const lookups = counter("cache_lookups", "How often the service behind a cache was asked.")
const refreshes = counter("cache_refreshes", "Lookups in the background.")
const failedRefreshes = counter("cache_refresh_failures", "Lookups in the background that failed.")
const evictions = counter("cache_evictions", "Entries that had to make room.")
const storeFailures = counter("cache_store_failures", "Operations of a cache's store that failed.")
const entries = gauge("cache_entries", "Entries that a cache holds in memory.")

const states = { Closed: "closed", Open: "open", HalfOpen: "half_open", Forced: "forced" } as const

const outcomes = ["success", "failure", "overload", "ignored"] as const

export class Readings {
  /** The pipeline and the operation to which parts belong that an operation has for itself. */
  private readonly owners = new Map<string, Labels>()
  private readonly keyed = new Map<string, KeyedTotals>()

  set(
    snapshots: ReadonlyArray<Snapshot>,
    known: ReadonlyMap<string, Pipeline.Pipeline<Pipeline.PipelineError>>,
    set: Set
  ): void {
    for (const [pipeline, { settings }] of known) {
      for (const operation of settings.operations.keys()) {
        this.owners.set(`${pipeline}/${operation}`, { pipeline, operation })
      }
    }
    for (const snapshot of snapshots) this.one(snapshot, set)
  }

  private one(snapshot: Snapshot, set: Set): void {
    const labels = this.owners.get(snapshot.name) ?? { pipeline: snapshot.name }
    const { adaptiveLimit, bulkhead, cache, circuitBreaker, hedge, keyedCircuitBreaker, rateLimit } = snapshot
    const { pipeline, retryBudget, throttle } = snapshot
    if (pipeline !== undefined) ofPipeline(pipeline, labels, set)
    if (circuitBreaker !== undefined) ofBreaker(circuitBreaker, labels, set)
    if (keyedCircuitBreaker !== undefined) this.ofKeys(snapshot.name, keyedCircuitBreaker, labels, set)
    if (bulkhead !== undefined) {
      const { calls, concurrency, inFlight, waiting } = bulkhead
      ofPermits("bulkhead", { inFlight, waiting, limit: concurrency }, labels, set)
      set(refusals, { ...labels, policy: "bulkhead" }, calls.queueFull + calls.waitedTooLong)
    }
    if (adaptiveLimit !== undefined) {
      ofPermits("adaptive_limit", adaptiveLimit, labels, set)
      const { calls, estimates } = adaptiveLimit
      const refused = Object.values(calls.refused).reduce((sum, refused) => sum + refused, 0)
      set(refusals, { ...labels, policy: "adaptive_limit" }, refused)
      if (estimates.baseline !== undefined) set(baseline, labels, estimates.baseline / 1_000)
    }
    if (rateLimit !== undefined) {
      set(queued, { ...labels, policy: "rate_limit" }, rateLimit.waiting)
      set(refusals, { ...labels, policy: "rate_limit" }, rateLimit.calls.refused)
      set(rateKeys, labels, rateLimit.keys)
      for (const [name, one] of Object.entries(rateLimit.limits)) {
        set(permits, { ...labels, limit: name }, one.left)
        set(spent, { ...labels, limit: name }, one.spent)
      }
    }
    if (throttle !== undefined) ofThrottle(throttle, labels, set)
    if (retryBudget !== undefined) {
      set(budget, labels, retryBudget.left)
      set(budgetEmpty, labels, retryBudget.refused)
    }
    if (hedge !== undefined) {
      set(hedges, labels, hedge.hedges)
      set(hedgesWon, labels, hedge.won)
      set(hedgeDelay, labels, Duration.toMillis(hedge.delay) / 1_000)
    }
    if (cache !== undefined) ofCache(cache, labels, set)
  }

  private ofKeys(name: string, snapshots: ReadonlyArray<CircuitBreaker.Snapshot>, labels: Labels, set: Set): void {
    let totals = this.keyed.get(name)
    if (totals === undefined) this.keyed.set(name, totals = new KeyedTotals())
    totals.add(snapshots)
    ofCounts(totals.totals, snapshots.some(({ timing }) => timing !== undefined), labels, set)
    let running = 0
    const inState = { Closed: 0, Open: 0, HalfOpen: 0, Forced: 0 }
    for (const snapshot of snapshots) {
      running += snapshot.inFlight
      inState[snapshot.state]++
    }
    set(inFlight, { ...labels, policy: "circuit_breaker" }, running)
    for (const [name, count] of Object.entries(inState)) {
      set(keys, { ...labels, state: states[name as keyof typeof states] }, count)
    }
  }
}

const ofPipeline = (counts: Pipeline.Counts, labels: Labels, set: Set): void => {
  for (const outcome of outcomes) set(calls, { ...labels, outcome }, counts[outcome])
  set(refusedCalls, labels, counts.refusedCalls)
  set(attempts, labels, counts.attempts)
  set(retries, labels, counts.retries)
  set(exhausted, labels, counts.exhausted)
  set(timedOut, labels, counts.timedOut)
  set(fellBack, labels, counts.fellBack)
}

const ofBreaker = (snapshot: CircuitBreaker.Snapshot, labels: Labels, set: Set): void => {
  for (const [name, label] of Object.entries(states)) {
    set(state, { ...labels, state: label }, snapshot.state === name ? 1 : 0)
  }
  ofCounts(countsOf(snapshot), snapshot.timing !== undefined, labels, set)
  set(inFlight, { ...labels, policy: "circuit_breaker" }, snapshot.inFlight)
}

const ofCounts = (counts: BreakerCounts, isTimed: boolean, labels: Labels, set: Set): void => {
  for (const outcome of outcomes) set(breakerCalls, { ...labels, outcome }, counts[outcome])
  set(refusals, { ...labels, policy: "circuit_breaker" }, counts.refused)
  set(transitions, { ...labels, to: "open" }, counts.opened)
  set(transitions, { ...labels, to: "half_open" }, counts.halfOpened)
  set(transitions, { ...labels, to: "closed" }, counts.closed)
  set(transitions, { ...labels, to: "forced" }, counts.forced)
  if (isTimed) set(slow, labels, counts.slow)
}

const ofPermits = (
  policy: string,
  snapshot: { readonly inFlight: number; readonly waiting: number; readonly limit: number },
  labels: Labels,
  set: Set
): void => {
  set(inFlight, { ...labels, policy }, snapshot.inFlight)
  set(queued, { ...labels, policy }, snapshot.waiting)
  set(limit, { ...labels, policy }, snapshot.limit)
}

const ofThrottle = (snapshot: NonNullable<Snapshot["throttle"]>, labels: Labels, set: Set): void => {
  set(throttle, labels, snapshot.probability)
  set(refusals, { ...labels, policy: "throttle" }, snapshot.calls.refused)
}

const ofCache = (snapshot: NonNullable<Snapshot["cache"]>, labels: Labels, set: Set): void => {
  set(cacheAnswers, { ...labels, result: "fresh" }, snapshot.hits)
  set(cacheAnswers, { ...labels, result: "stale" }, snapshot.staleHits)
  set(cacheAnswers, { ...labels, result: "none" }, snapshot.misses)
  set(lookups, labels, snapshot.lookups)
  set(refreshes, labels, snapshot.refreshes)
  set(failedRefreshes, labels, snapshot.failedRefreshes)
  set(evictions, labels, snapshot.evictions)
  set(storeFailures, labels, snapshot.storeFailures)
  if (snapshot.entries !== undefined) set(entries, labels, snapshot.entries)
}
