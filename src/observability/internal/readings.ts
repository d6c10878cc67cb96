/** What the snapshots of policies and pipelines are as metrics. */
import * as Duration from "effect/Duration"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as Pipeline from "../../Pipeline.ts"
import type { Snapshot } from "../../Resilience.ts"
import { type BreakerCounts, countsOf, KeyedTotals } from "./keyedTotals.ts"
import type { Definition, Labels, Setter, Source } from "./series.ts"

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

const calls = counter(
  "calls",
  "Calls of pipelines that were not answered from the cache, by outcome, before any fallback: refused by a policy, ignored where callers gave up."
)
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
const spent: Definition = {
  ...counter("rate_limit_permits_spent", "Permits spent by all calls, less those given back."),
  isNet: true
}
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

const inStates = [["Closed", "closed"], ["Open", "open"], ["HalfOpen", "half_open"], ["Forced", "forced"]] as const

const outcomes = ["success", "failure", "overload", "ignored"] as const

export class Readings {
  private readonly source: Source
  /** The pipeline and the operation to which parts belong that an operation has for itself. */
  private readonly owners = new Map<string, Labels>()
  private readonly keyed = new Map<string, KeyedTotals>()

  constructor(source: Source) {
    this.source = source
  }

  /** Learns which operations have parts of their own. */
  know(known: ReadonlyMap<string, Pipeline.Pipeline<Pipeline.PipelineError>>): void {
    for (const [pipeline, { settings }] of known) {
      for (const operation of settings.operations.keys()) {
        this.owners.set(`${pipeline}/${operation}`, { pipeline, operation })
      }
    }
  }

  /** Sets what one name has. */
  set(snapshot: Snapshot): void {
    this.tell(snapshot, (labels) => this.source.of(labels))
  }

  /** Makes the series of what one name has, which the next reading sets. */
  make(snapshot: Snapshot): void {
    this.tell(snapshot, (labels) => this.source.making(labels))
  }

  private tell(snapshot: Snapshot, setterOf: (labels: Labels) => Setter): void {
    const { adaptiveLimit, bulkhead, cache, circuitBreaker, hedge, keyedCircuitBreaker, rateLimit } = snapshot
    const { name, pipeline, retryBudget, throttle } = snapshot
    // a pipeline may have the name of another's operation
    if (pipeline !== undefined) ofPipeline(pipeline, setterOf({ pipeline: name }))
    const set = setterOf(this.owners.get(name) ?? { pipeline: name })
    if (circuitBreaker !== undefined) ofBreaker(circuitBreaker, set)
    if (keyedCircuitBreaker !== undefined) this.ofKeys(name, keyedCircuitBreaker, set)
    if (bulkhead !== undefined) {
      const { calls, concurrency, inFlight, waiting } = bulkhead
      ofPermits("bulkhead", { inFlight, waiting, limit: concurrency }, set)
      set(refusals, calls.queueFull + calls.waitedTooLong, "policy", "bulkhead")
    }
    if (adaptiveLimit !== undefined) {
      ofPermits("adaptive_limit", adaptiveLimit, set)
      const { calls, estimates } = adaptiveLimit
      const refused = Object.values(calls.refused).reduce((sum, refused) => sum + refused, 0)
      set(refusals, refused, "policy", "adaptive_limit")
      if (estimates.baseline !== undefined) set(baseline, estimates.baseline / 1_000)
    }
    if (rateLimit !== undefined) {
      set(queued, rateLimit.waiting, "policy", "rate_limit")
      set(refusals, rateLimit.calls.refused, "policy", "rate_limit")
      set(rateKeys, rateLimit.keys)
      for (const [limit, one] of Object.entries(rateLimit.limits)) {
        set(permits, one.left, "limit", limit)
        set(spent, one.spent, "limit", limit)
      }
    }
    if (throttle !== undefined) ofThrottle(throttle, set)
    if (retryBudget !== undefined) {
      set(budget, retryBudget.left)
      set(budgetEmpty, retryBudget.refused)
    }
    if (hedge !== undefined) {
      set(hedges, hedge.hedges)
      set(hedgesWon, hedge.won)
      set(hedgeDelay, Duration.toMillis(hedge.delay) / 1_000)
    }
    if (cache !== undefined) ofCache(cache, set)
  }

  private ofKeys(name: string, snapshots: ReadonlyArray<CircuitBreaker.Snapshot>, set: Setter): void {
    let totals = this.keyed.get(name)
    if (totals === undefined) this.keyed.set(name, totals = new KeyedTotals())
    totals.add(snapshots)
    ofCounts(totals.totals, snapshots.some(({ timing }) => timing !== undefined), set)
    let running = 0
    const inState = { Closed: 0, Open: 0, HalfOpen: 0, Forced: 0 }
    for (const snapshot of snapshots) {
      running += snapshot.inFlight
      inState[snapshot.state]++
    }
    set(inFlight, running, "policy", "circuit_breaker")
    for (const [name, label] of inStates) set(keys, inState[name], "state", label)
  }
}

const ofPipeline = (counts: Pipeline.Counts, set: Setter): void => {
  const { failure, ignored, overload, refusedCalls: refused, success } = counts
  const ended = { success, failure, overload, ignored: ignored - refused, refused }
  for (const [outcome, count] of Object.entries(ended)) set(calls, count, "outcome", outcome)
  set(attempts, counts.attempts)
  set(retries, counts.retries)
  set(exhausted, counts.exhausted)
  set(timedOut, counts.timedOut)
  set(fellBack, counts.fellBack)
}

const ofBreaker = (snapshot: CircuitBreaker.Snapshot, set: Setter): void => {
  for (const [name, label] of inStates) set(state, snapshot.state === name ? 1 : 0, "state", label)
  ofCounts(countsOf(snapshot), snapshot.timing !== undefined, set)
  set(inFlight, snapshot.inFlight, "policy", "circuit_breaker")
}

const ofCounts = (counts: BreakerCounts, isTimed: boolean, set: Setter): void => {
  for (const outcome of outcomes) set(breakerCalls, counts[outcome], "outcome", outcome)
  set(refusals, counts.refused, "policy", "circuit_breaker")
  set(transitions, counts.opened, "to", "open")
  set(transitions, counts.halfOpened, "to", "half_open")
  set(transitions, counts.closed, "to", "closed")
  set(transitions, counts.forced, "to", "forced")
  if (isTimed) set(slow, counts.slow)
}

const ofPermits = (
  policy: string,
  snapshot: { readonly inFlight: number; readonly waiting: number; readonly limit: number },
  set: Setter
): void => {
  set(inFlight, snapshot.inFlight, "policy", policy)
  set(queued, snapshot.waiting, "policy", policy)
  set(limit, snapshot.limit, "policy", policy)
}

const ofThrottle = (snapshot: NonNullable<Snapshot["throttle"]>, set: Setter): void => {
  set(throttle, snapshot.probability)
  set(refusals, snapshot.calls.refused, "policy", "throttle")
}

const ofCache = (snapshot: NonNullable<Snapshot["cache"]>, set: Setter): void => {
  set(cacheAnswers, snapshot.hits, "result", "fresh")
  set(cacheAnswers, snapshot.staleHits, "result", "stale")
  set(cacheAnswers, snapshot.misses, "result", "none")
  set(lookups, snapshot.lookups)
  set(refreshes, snapshot.refreshes)
  set(failedRefreshes, snapshot.failedRefreshes)
  set(evictions, snapshot.evictions)
  set(storeFailures, snapshot.storeFailures)
  if (snapshot.entries !== undefined) set(entries, snapshot.entries)
}
