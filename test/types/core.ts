/** What the types of the core promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import {
  type Cause,
  Duration,
  Effect,
  type Exit,
  type Layer,
  type Option,
  Schedule,
  type Scope,
  type Stream
} from "effect"
import {
  type Chaos,
  CircuitBreaker,
  Deadline,
  Outcome,
  Pipeline,
  Policy,
  Resilience,
  type ResilienceEvent,
  Retry,
  Timeout
} from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

// the library's errors, under short names
type Open = CircuitBreaker.CircuitOpen
type Late = Timeout.TimedOut | Deadline.DeadlineExceeded
type Spent = Retry.RetriesExhausted
type Four = Open | Late | Spent

type PolicyError<P> = P extends Policy.Policy<infer PE> ? PE : "no policy"
type PipelineErrorOf<P> = P extends Effect.Effect<Pipeline.Pipeline<infer PE>, never, Resilience.Resilience> ? PE
  : "no pipeline"

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

export type Errors = [
  Expect<Not<IsAny<Open>>>,
  Expect<Not<IsAny<Timeout.TimedOut>>>,
  Expect<Not<IsAny<Deadline.DeadlineExceeded>>>,
  Expect<Not<IsAny<Spent>>>,
  Expect<Equal<Open["_tag"], "CircuitOpen">>,
  Expect<Equal<Open["retryAfter"], Duration.Duration | undefined>>,
  Expect<Equal<Timeout.TimedOut["_tag"], "TimedOut">>,
  Expect<Equal<Timeout.TimedOut["limit"], "attempt" | "total" | "firstElement" | "idle">>,
  Expect<Equal<Timeout.TimedOut["after"], Duration.Duration>>,
  Expect<Equal<Deadline.DeadlineExceeded["_tag"], "DeadlineExceeded">>,
  Expect<Equal<Spent["_tag"], "RetriesExhausted">>,
  Expect<Equal<Spent["attempts"], number>>,
  Expect<Equal<Spent["elapsed"], Duration.Duration>>,
  Expect<Equal<Spent["lastError"], unknown>>,
  Expect<Equal<Exclude<Pipeline.PipelineError, Pipeline.Rejection | Chaos.ChaosInjected>, Late | Spent>>
]

// -----------------------------------------------------------------------------
// Retry
// -----------------------------------------------------------------------------

declare const wideRetry: Retry.Options

const retries = {
  bare: Retry.make(),
  empty: Retry.make({}),
  times: Retry.make({ times: 3, backoff: { kind: "exponential", base: "1 second" }, jitter: { factor: 0.5 } }),
  lastError: Retry.make({ onExhausted: "lastError" }),
  wrap: Retry.make({ times: 2, onExhausted: "wrap" }),
  wide: Retry.make(wideRetry),
  explicit: Retry.make<Retry.Options>({ times: 2 })
}

export type Retries = [
  Expect<Equal<typeof retries.bare, Policy.Policy<never>>>,
  Expect<Equal<typeof retries.empty, Policy.Policy<never>>>,
  Expect<Equal<typeof retries.times, Policy.Policy<never>>>,
  Expect<Equal<typeof retries.lastError, Policy.Policy<never>>>,
  Expect<Equal<typeof retries.wrap, Policy.Policy<Spent>>>,
  Expect<Equal<typeof retries.wide, Policy.Policy<Spent>>>,
  Expect<Equal<typeof retries.explicit, Policy.Policy<Spent>>>
]

const retried = {
  bare: work.pipe(retries.bare),
  wrap: work.pipe(retries.wrap),
  direct: retries.wrap(work),
  // data-last: the types of the options' functions come from the effect they are piped into only where they are given
  last: work.pipe(Retry.retry({ times: 2 })),
  lastWrap: work.pipe(Retry.retry({ times: 2, onExhausted: "wrap" })),
  lastResult: work.pipe(Retry.retry({ retryIf: (result: "answer") => result === "answer" })),
  // data-first: they are inferred
  first: Retry.retry(work, { times: 2 }),
  firstWrap: Retry.retry(work, { times: 2, onExhausted: "wrap" }),
  firstResult: Retry.retry(work, {
    retryIf: (result) => true satisfies Expect<Equal<typeof result, "answer">>,
    dispose: (result) => Effect.asVoid(Effect.succeed(true satisfies Expect<Equal<typeof result, "answer">>)),
    classify: (exit) => exit._tag === "Success" && exit.value === "answer" ? Outcome.failure() : undefined
  }),
  firstWide: Retry.retry(work, wideRetry)
}

export type Retried = [
  Expect<Equal<typeof retried.bare, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof retried.wrap, Effect.Effect<"answer", "broken" | Spent, "database">>>,
  Expect<Equal<typeof retried.direct, Effect.Effect<"answer", "broken" | Spent, "database">>>,
  Expect<Equal<typeof retried.last, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof retried.lastWrap, Effect.Effect<"answer", "broken" | Spent, "database">>>,
  Expect<Equal<typeof retried.lastResult, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof retried.first, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof retried.firstWrap, Effect.Effect<"answer", "broken" | Spent, "database">>>,
  Expect<Equal<typeof retried.firstResult, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof retried.firstWide, Effect.Effect<"answer", "broken" | Spent, "database">>>
]

// @ts-expect-error the key is misspelt
Retry.make({ time: 3 })
// @ts-expect-error the key is misspelt, beside one that is not
Retry.make({ times: 3, jiter: "full" })
// @ts-expect-error there is no such kind
Retry.make({ backoff: { kind: "quadratic", base: 1 } })
// @ts-expect-error a linear backoff has no factor
Retry.make({ backoff: { kind: "linear", base: 1, factor: 2 } })
// @ts-expect-error a backoff needs its base
Retry.make({ backoff: { kind: "exponential" } })
// @ts-expect-error the key is misspelt
Retry.make({ jitter: { factor: 0.5, fctor: 1 } })
// @ts-expect-error there is no such jitter
Retry.make({ jitter: "some" })
// @ts-expect-error that is no duration
Retry.make({ maxElapsed: "soon" })
// @ts-expect-error there is no such way to end
Retry.make({ onExhausted: "throw" })
// @ts-expect-error what one call says about its results is not for a policy
Retry.make({ retryIf: () => true })
// @ts-expect-error the result is not a number
Retry.retry(work, { retryIf: (result: number) => result > 1 })
// @ts-expect-error the key is misspelt
Retry.retry(work, { time: 3 })
// @ts-expect-error the key is misspelt, beside one that is not
Retry.retry(work, { times: 3, retryif: () => true })
// @ts-expect-error the key is misspelt, beside one that is not
work.pipe(Retry.retry({ times: 3, jiter: "full" }))
// @ts-expect-error a disposal must not fail
Retry.retry(work, { retryIf: () => true, dispose: () => Effect.fail("no") })

// -----------------------------------------------------------------------------
// Timeout, Deadline
// -----------------------------------------------------------------------------

const timeouts = {
  attempt: Timeout.attempt("1 second"),
  total: Timeout.total({ seconds: 1 }),
  make: Timeout.make({ duration: 1_000, limit: "total", policy: "quotes" })
}

const limited = {
  timeout: work.pipe(Timeout.attempt("1 second")),
  within: work.pipe(Deadline.within("1 second")),
  detach: work.pipe(Deadline.detach)
}

export type Times = [
  Expect<Equal<typeof timeouts.attempt, Policy.Policy<Late>>>,
  Expect<Equal<typeof timeouts.total, Policy.Policy<Late>>>,
  Expect<Equal<typeof timeouts.make, Policy.Policy<Late>>>,
  Expect<Equal<typeof limited.timeout, Effect.Effect<"answer", "broken" | Late, "database">>>,
  Expect<Equal<ReturnType<typeof Deadline.within>, Policy.Policy<Deadline.DeadlineExceeded>>>,
  Expect<Equal<typeof limited.within, Effect.Effect<"answer", "broken" | Deadline.DeadlineExceeded, "database">>>,
  Expect<Equal<typeof limited.detach, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof Deadline.remaining, Effect.Effect<Option.Option<Duration.Duration>>>>
]

// @ts-expect-error there is no such limit
Timeout.make({ duration: 1_000, limit: "session" })
// @ts-expect-error a limit must be named
Timeout.make({ duration: 1_000 })
// @ts-expect-error the key is misspelt
Timeout.make({ duration: 1_000, limit: "total", name: "quotes" })
// @ts-expect-error that is no duration
Timeout.attempt("a while")
// @ts-expect-error that is no duration
Deadline.within(new Date(0))

// -----------------------------------------------------------------------------
// CircuitBreaker
// -----------------------------------------------------------------------------

declare const breaker: CircuitBreaker.CircuitBreaker
declare const pipeline: Pipeline.Pipeline<Open>

const guarded = {
  make: CircuitBreaker.make("quotes", { trip: { kind: "consecutive", failures: 5 } }),
  call: breaker.protect(work),
  pointFree: work.pipe(breaker.protect),
  options: breaker.protect(work, {
    classify: (exit) => exit._tag === "Success" && exit.value === "answer" ? Outcome.success : undefined,
    attemptTimeout: "1 second"
  })
}
const asPolicy: Policy.Policy<Open> = breaker.protect

export type Breakers = [
  Expect<Equal<typeof guarded.make, Effect.Effect<CircuitBreaker.CircuitBreaker>>>,
  Expect<Equal<typeof guarded.call, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.pointFree, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.options, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<PolicyError<typeof asPolicy>, Open>>,
  Expect<Equal<typeof breaker.snapshot, Effect.Effect<CircuitBreaker.Snapshot>>>,
  Expect<Equal<CircuitBreaker.Phase["_tag"], "Closed" | "Open" | "HalfOpen" | "Forced">>
]

// @ts-expect-error the key is misspelt
CircuitBreaker.make("quotes", { trips: { kind: "consecutive", failures: 5 } })
// @ts-expect-error there is no such kind
CircuitBreaker.make("quotes", { trip: { kind: "sometimes", failures: 5 } })
// @ts-expect-error a streak has no window
CircuitBreaker.make("quotes", { trip: { kind: "consecutive", failures: 5, window: { calls: 5 } } })
// @ts-expect-error a rate needs its window
CircuitBreaker.make("quotes", { trip: { kind: "rate", threshold: 0.5 } })
// @ts-expect-error the key is misspelt
CircuitBreaker.make("quotes", { halfOpen: { success: 1 } })
// @ts-expect-error that is no duration
CircuitBreaker.make("quotes", { open: "a while" })
// @ts-expect-error the result is no number
breaker.protect(work, { classify: (exit: Exit.Exit<number>) => exit._tag === "Success" ? undefined : undefined })

// -----------------------------------------------------------------------------
// Outcome
// -----------------------------------------------------------------------------

const annotated = {
  first: Outcome.annotate(
    work,
    (cause) => (true satisfies Expect<Equal<typeof cause, Cause.Cause<"broken">>>) ? Outcome.success : Outcome.ignored
  ),
  last: work.pipe(Outcome.annotate(() => Outcome.success))
}

export type Outcomes = [
  Expect<Equal<Outcome.Outcome["_tag"], "Success" | "Failure" | "Overload" | "Ignored">>,
  Expect<Equal<typeof annotated.first, Effect.Effect<"answer", "broken", "database">>>,
  Expect<Equal<typeof annotated.last, Effect.Effect<"answer", "broken", "database">>>
]

// -----------------------------------------------------------------------------
// Policy
// -----------------------------------------------------------------------------

declare const policyList: ReadonlyArray<Policy.Policy<Open>>

const composed = {
  none: Policy.compose(),
  one: Policy.compose(retries.bare),
  two: Policy.compose(timeouts.total, retries.wrap),
  three: Policy.compose(retries.bare, breaker.protect, Deadline.within("1 second")),
  four: Policy.compose(timeouts.total, retries.bare, breaker.protect, timeouts.attempt),
  five: Policy.compose(Deadline.within("1 second"), timeouts.total, retries.wrap, breaker.protect, timeouts.attempt),
  nested: Policy.compose(timeouts.total, Policy.compose(retries.wrap, breaker.protect)),
  written: Policy.compose(timeouts.total, (self) => breaker.protect(self, { attemptTimeout: "1 second" })),
  pipelines: Policy.compose(pipeline.protect, Retry.make({ times: 2 })),
  list: Policy.compose(...policyList)
}

export type Policies = [
  Expect<Equal<typeof composed.none, Policy.Policy<never>>>,
  Expect<Equal<typeof composed.one, Policy.Policy<never>>>,
  Expect<Equal<typeof composed.two, Policy.Policy<Late | Spent>>>,
  Expect<Equal<typeof composed.three, Policy.Policy<Open | Deadline.DeadlineExceeded>>>,
  Expect<Equal<typeof composed.four, Policy.Policy<Late | Open>>>,
  Expect<Equal<typeof composed.five, Policy.Policy<Four>>>,
  Expect<Equal<typeof composed.nested, Policy.Policy<Late | Spent | Open>>>,
  Expect<Equal<typeof composed.written, Policy.Policy<Late | Open>>>,
  Expect<Equal<typeof composed.pipelines, Policy.Policy<Open>>>,
  Expect<Equal<typeof composed.list, Policy.Policy<Open>>>
]

// @ts-expect-error that is an effect, and no policy
Policy.compose(retries.bare, work)
// @ts-expect-error that is a function, and no policy
Policy.compose((n: number) => n)
// @ts-expect-error a policy does not change results
Policy.compose(retries.bare, (self) => Effect.as(self, 1))

// -----------------------------------------------------------------------------
// Pipeline
// -----------------------------------------------------------------------------

declare const widePipeline: Pipeline.Tuning
declare const someParts: { readonly retry: Retry.Options; readonly circuitBreaker?: CircuitBreaker.Options }
declare const maybe: boolean
declare const either: { readonly circuitBreaker: {} } | { readonly attemptTimeout: "1 second" }

const pipelines = {
  either: Pipeline.make("p", either),
  empty: Pipeline.make("p", {}),
  total: Pipeline.make("p", { totalTimeout: "1 second" }),
  attempt: Pipeline.make("p", { attemptTimeout: 1_000 }),
  retry: Pipeline.make("p", { retry: {} }),
  retryTimes: Pipeline.make("p", { retry: { times: 3 } }),
  retryLast: Pipeline.make("p", { retry: { onExhausted: "lastError" } }),
  retryWrap: Pipeline.make("p", { retry: { onExhausted: "wrap" } }),
  breaker: Pipeline.make("p", { circuitBreaker: {} }),
  retryBreaker: Pipeline.make("p", { retry: { times: 3 }, circuitBreaker: {} }),
  timeoutBreaker: Pipeline.make("p", { circuitBreaker: {}, attemptTimeout: "1 second" }),
  timeouts: Pipeline.make("p", { totalTimeout: "2 seconds", attemptTimeout: "1 second" }),
  standard: Pipeline.make("p", {
    totalTimeout: "9 seconds",
    retry: {},
    circuitBreaker: {},
    attemptTimeout: "1 second"
  }),
  all: Pipeline.make("p", {
    totalTimeout: "9 seconds",
    retry: { onExhausted: "wrap" },
    circuitBreaker: {},
    attemptTimeout: "1 second",
    classify: () => undefined
  }),
  off: Pipeline.make("p", { totalTimeout: false, retry: false, circuitBreaker: false, attemptTimeout: false }),
  undefined: Pipeline.make("p", {
    totalTimeout: undefined,
    retry: undefined,
    circuitBreaker: undefined,
    attemptTimeout: undefined
  }),
  someOff: Pipeline.make("p", { totalTimeout: "1 second", retry: false, circuitBreaker: false }),
  perhaps: Pipeline.make("p", { circuitBreaker: maybe ? {} : false }),
  perhapsRetry: Pipeline.make("p", { retry: maybe ? { onExhausted: "wrap" } : false }),
  // everything that options can hold, so that no part of them is mistaken for a misspelt key
  full: Pipeline.make("p", {
    totalTimeout: { seconds: 9 },
    retry: {
      times: 3,
      maxElapsed: "1 minute",
      backoff: { kind: "exponential", base: { milliseconds: 5 }, factor: 2, cap: "1 second" },
      jitter: { factor: 0.5 },
      maxRetryAfter: [1, 0],
      while: (reason) => reason !== undefined,
      retryCircuitOpen: true,
      onExhausted: "lastError"
    },
    circuitBreaker: {
      trip: { kind: "rate", threshold: 0.5, minimumCalls: 3, window: { duration: Duration.seconds(5), buckets: 5 } },
      open: Schedule.exponential("1 second"),
      maxRetryAfter: "1 minute",
      halfOpen: { concurrent: 2, calls: 4, failureRate: 0.5 }
    },
    attemptTimeout: Duration.seconds(1)
  }),
  functions: Pipeline.make("p", {
    retry: { backoff: (retry, reason) => reason === undefined ? 1 : retry },
    circuitBreaker: { open: (openings) => openings, trip: { kind: "count", failures: 3, window: { calls: 5 } } }
  }),
  schedule: Pipeline.make("p", { retry: { backoff: Schedule.spaced("1 second") } }),
  classify: Pipeline.make("p", { classify: () => Outcome.success }),
  some: Pipeline.make("p", someParts),
  wide: Pipeline.make("p", widePipeline)
}

export type Pipelines = [
  Expect<Equal<PipelineErrorOf<typeof pipelines.either>, Open | Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.empty>, never>>,
  Expect<Equal<typeof pipelines.empty, Effect.Effect<Pipeline.Pipeline<never>, never, Resilience.Resilience>>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.total>, Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.attempt>, Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.retry>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.retryTimes>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.retryLast>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.retryWrap>, Spent>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.breaker>, Open>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.retryBreaker>, Open>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.timeoutBreaker>, Open | Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.timeouts>, Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.standard>, Open | Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.all>, Four>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.off>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.undefined>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.someOff>, Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.perhaps>, Open>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.perhapsRetry>, Spent>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.full>, Open | Late>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.functions>, Open>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.schedule>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.classify>, never>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.some>, Open | Spent>>,
  Expect<Equal<PipelineErrorOf<typeof pipelines.wide>, Pipeline.PipelineError>>
]

const protectedBy = {
  call: pipeline.protect(work),
  pointFree: work.pipe(pipeline.protect),
  nested: work.pipe(pipeline.protect, breaker.protect, timeouts.total),
  options: pipeline.protect(work, {
    operation: "latest",
    idempotent: true,
    retryIf: (result) => true satisfies Expect<Equal<typeof result, "answer">>,
    dispose: (result) => Effect.asVoid(Effect.succeed(true satisfies Expect<Equal<typeof result, "answer">>)),
    classify: (exit) =>
      (true satisfies Expect<Equal<typeof exit, Exit.Exit<"answer", "broken">>>) ? Outcome.success : undefined
  }),
  bare: Effect.flatMap(pipelines.empty, ({ protect }) => protect(work))
}
const pipelineAsPolicy: Policy.Policy<Open> = pipeline.protect

export type Protected = [
  Expect<Equal<typeof protectedBy.call, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof protectedBy.pointFree, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof protectedBy.nested, Effect.Effect<"answer", "broken" | Open | Late, "database">>>,
  Expect<Equal<typeof protectedBy.options, Effect.Effect<"answer", "broken" | Open, "database">>>,
  Expect<Equal<typeof protectedBy.bare, Effect.Effect<"answer", "broken", "database" | Resilience.Resilience>>>,
  Expect<Equal<PolicyError<typeof pipelineAsPolicy>, Open>>
]

// @ts-expect-error the key is misspelt
Pipeline.make("p", { circuitbreaker: {} })
// @ts-expect-error the key is misspelt
Pipeline.make("p", { retry: { time: 3 } })
// @ts-expect-error the key is misspelt
Pipeline.make("p", { circuitBreaker: { trips: { kind: "consecutive", failures: 3 } } })
// @ts-expect-error the key is misspelt, beside one that is not
Pipeline.make("p", { retry: { times: 3, jiter: "full" } })
// @ts-expect-error the key is misspelt, beside one that is not
Pipeline.make("p", { circuitBreaker: { open: 1, halfopen: {} } })
// @ts-expect-error the key is misspelt, beside one that is not
Pipeline.make("p", { circuitBreaker: { halfOpen: { calls: 2, succeses: 1 } } })
// @ts-expect-error a streak has no window
Pipeline.make("p", { circuitBreaker: { trip: { kind: "consecutive", failures: 3, window: { calls: 5 } } } })
// @ts-expect-error the key is misspelt, beside one that is not
Pipeline.make("p", { circuitBreaker: { trip: { kind: "count", failures: 3, window: { duration: 5, bucket: 5 } } } })
// @ts-expect-error there is no such kind
Pipeline.make("p", { circuitBreaker: { trip: { kind: "sometimes", failures: 3 } } })
// @ts-expect-error there is no such kind
Pipeline.make("p", { retry: { backoff: { kind: "quadratic", base: 1 } } })
// @ts-expect-error a part is there by its options, not by `true`
Pipeline.make("p", { retry: true })
// @ts-expect-error that is no duration
Pipeline.make("p", { totalTimeout: "a while" })
// @ts-expect-error the key is misspelt
pipeline.protect(work, { retryif: () => true })
// @ts-expect-error the result is no number
pipeline.protect(work, { retryIf: (result: number) => result > 1 })

// -----------------------------------------------------------------------------
// services
// -----------------------------------------------------------------------------

class Quotes extends Pipeline.Service<Quotes>()("quotes", {
  retry: { times: 2 },
  circuitBreaker: {},
  attemptTimeout: "2 seconds"
}) {}

class Bare extends Pipeline.Service<Bare>()("bare", {}) {}

const served = {
  call: Effect.flatMap(Quotes, (quotes) => quotes.protect(work)),
  bare: Effect.flatMap(Bare, (bare) => bare.protect(work)),
  layerTest: Quotes.layerTest(),
  layerTestOptions: Quotes.layerTest({
    circuitBreaker: "Open",
    faults: [{ kind: "pass" }, { kind: "hang" }, { kind: "fail", error: 1 }, { kind: "die", defect: 1 }],
    delays: true,
    passThrough: false
  }),
  resilienceTest: Resilience.layerTest({ circuitBreakers: { quotes: "HalfOpen" } })
}

declare const resilience: Resilience.Resilience["Service"]

type OpenedOrReset = ResilienceEvent.OfKind<"CircuitOpened" | "CircuitReset">

const listening = {
  // what is subscribed to says what comes
  some: resilience.subscribe(["CircuitOpened", "CircuitReset"], ({ pipeline }) => pipeline === "p"),
  told: resilience.listen(["CallEnded"], ({ attempts, elapsed, refusedBy }) => [attempts, elapsed, refusedBy])
}

// @ts-expect-error there is no such kind
resilience.subscribe(["CircuitOpend"])
// @ts-expect-error an event of that kind has no attempts
resilience.listen(["CircuitOpened"], ({ attempts }) => attempts)
// @ts-expect-error an event is of the kind that it is published as
resilience.publish("CircuitClosed", (at) => ({ _tag: "Reconfigured", at, pipeline: "p" }))

export type Services = [
  Expect<Equal<typeof served.call, Effect.Effect<"answer", "broken" | Open | Late, "database" | Quotes>>>,
  Expect<Equal<typeof served.bare, Effect.Effect<"answer", "broken", "database" | Bare>>>,
  Expect<Equal<(typeof Quotes)["Service"], Pipeline.Pipeline<Open | Late>>>,
  Expect<Equal<typeof Quotes.layer, Layer.Layer<Quotes, never, Resilience.Resilience>>>,
  Expect<Equal<typeof served.layerTest, Layer.Layer<Quotes | Resilience.Resilience>>>,
  Expect<Equal<typeof served.layerTestOptions, Layer.Layer<Quotes | Resilience.Resilience>>>,
  Expect<Equal<typeof Resilience.layer, Layer.Layer<Resilience.Resilience>>>,
  Expect<Equal<typeof served.resilienceTest, Layer.Layer<Resilience.Resilience>>>,
  Expect<Equal<Resilience.Resilience["Service"]["events"], Stream.Stream<ResilienceEvent.ResilienceEvent>>>,
  Expect<Not<IsAny<ResilienceEvent.ResilienceEvent>>>,
  Expect<Equal<typeof listening.some, Effect.Effect<Resilience.Subscription<OpenedOrReset>, never, Scope.Scope>>>,
  Expect<Equal<typeof listening.told, Effect.Effect<void, never, Scope.Scope>>>,
  Expect<
    Equal<
      ResilienceEvent.ResilienceEvent["_tag"],
      | "CallEnded"
      | "Attempted"
      | "Retrying"
      | "RetryDeclined"
      | "RetriesExhausted"
      | "Hedged"
      | "HedgeWon"
      | "FellBack"
      | "CacheHit"
      | "CacheRefreshFailed"
      | "ChaosInjected"
      | "CircuitForced"
      | "CircuitReleased"
      | "CircuitReset"
      | "CircuitRestored"
      | "CircuitThresholdPassed"
      | "Reconfigured"
      | "Refused"
      | "TimedOut"
      | "CircuitOpened"
      | "CircuitHalfOpened"
      | "CircuitClosed"
    >
  >
]

// @ts-expect-error the key is misspelt
export class Misspelt extends Pipeline.Service<Misspelt>()("misspelt", { timeout: "1 second" }) {}
// @ts-expect-error there is no such state
Quotes.layerTest({ circuitBreaker: "Ajar" })
// @ts-expect-error the key is misspelt
Quotes.layerTest({ fault: [] })
// @ts-expect-error there is no such fault
Quotes.layerTest({ faults: [{ kind: "explode" }] })
// @ts-expect-error there is no such state
Resilience.layerTest({ circuitBreakers: { quotes: "Ajar" } })
