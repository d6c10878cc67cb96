import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { CircuitBreaker, Deadline, Outcome, Pipeline, Resilience, Retry, Timeout } from "../src/index.ts"

/** What is tried: under a name, what is made, and what the error must say. */
type Case = readonly [make: () => unknown, message: string]

// most of what follows is what the types forbid, and what JavaScript, JSON and casts bring in all the same
const bad = (value: unknown) => value as never

const retry = (options: Record<string, unknown>) => () => Retry.make(bad(options))
const breaker = (options: Record<string, unknown>) => () => CircuitBreaker.make("b", bad(options))
const trip = (trip: unknown) => breaker({ trip })
const halfOpen = (halfOpen: unknown) => breaker({ halfOpen })
const backoff = (backoff: unknown) => retry({ backoff })
const pipeline = (options: unknown, name = "p") => () => Pipeline.make(name, bad(options))

const calls = { calls: 10 }
const aboveZero = "must be a finite duration above zero"
const orInfinite = "must be a duration above zero"
const orZero = "must be a duration of zero or more"

const retryCases: ReadonlyArray<Case> = [
  [retry({ times: -1 }), "Retry: times must be an integer >= 0, got -1"],
  [retry({ times: 1.5 }), "Retry: times must be an integer >= 0, got 1.5"],
  [retry({ times: NaN }), "Retry: times must be an integer >= 0, got NaN"],
  [retry({ times: Infinity }), "Retry: times must be an integer >= 0, got Infinity"],
  [retry({ times: "3" }), "Retry: times must be an integer >= 0, got \"3\""],
  [retry({ maxElapsed: 0 }), `Retry: maxElapsed ${orInfinite}, got 0`],
  [retry({ maxElapsed: "-1 second" }), `Retry: maxElapsed ${orInfinite}, got "-1 second"`],
  [retry({ maxElapsed: NaN }), `Retry: maxElapsed ${orInfinite}, got NaN`],
  [retry({ maxElapsed: { seconds: NaN } }), `Retry: maxElapsed ${orInfinite}, got { seconds: NaN }`],
  [retry({ maxElapsed: [1, NaN] }), `Retry: maxElapsed ${orInfinite}, got [1, NaN]`],
  [retry({ maxElapsed: "soon" }), `Retry: maxElapsed ${orInfinite}, got "soon"`],
  [retry({ maxRetryAfter: -1 }), `Retry: maxRetryAfter ${orZero}, got -1`],
  [retry({ maxRetryAfter: NaN }), `Retry: maxRetryAfter ${orZero}, got NaN`],
  [retry({ onExhausted: "throw" }), "Retry: onExhausted must be one of lastError, wrap, got \"throw\""],
  [retry({ while: true }), "Retry: while must be a function, got true"],
  [retry({ retryCircuitOpen: "false" }), "Retry: retryCircuitOpen must be true or false, got \"false\""],
  [retry({ timess: 3 }), "Retry: unknown option \"timess\"; it takes times, maxElapsed"],
  [() => Retry.make(bad(5)), "Retry: options must be an object, got 5"],
  [backoff({ kind: "quadratic", base: 1 }), "Retry: backoff.kind must be one of constant, linear, exponential"],
  [backoff(5), "Retry: backoff must be an object with a kind, a schedule, or a function, got 5"],
  [backoff(null), "Retry: backoff must be an object with a kind, a schedule, or a function, got null"],
  [retry({ times: null }), "Retry: times must be an integer >= 0, got null"],
  [retry({ jitter: { factor: "0.5" } }), "Retry: jitter must be none, full, equal"],
  [retry({ maxElapsed: { second: 5 } }), `Retry: maxElapsed ${orInfinite}, got { second: 5 }`],
  [backoff({ kind: "constant", delay: 0 }), `Retry: backoff.delay ${aboveZero}, got 0`],
  [backoff({ kind: "constant", delay: -5 }), `Retry: backoff.delay ${aboveZero}, got -5`],
  [backoff({ kind: "constant" }), `Retry: backoff.delay ${aboveZero}, got undefined`],
  [
    backoff({ kind: "constant", delay: 1, base: 1 }),
    "Retry.backoff: unknown option \"base\"; it takes kind, delay, cap"
  ],
  [backoff({ kind: "linear", base: NaN }), `Retry: backoff.base ${aboveZero}, got NaN`],
  [backoff({ kind: "linear", base: 1, increment: 0 }), `Retry: backoff.increment ${aboveZero}, got 0`],
  [backoff({ kind: "linear", base: 1, factor: 2 }), "Retry.backoff: unknown option \"factor\""],
  [backoff({ kind: "exponential", base: "Infinity" }), `Retry: backoff.base ${aboveZero}, got "Infinity"`],
  [backoff({ kind: "exponential", base: 1, factor: 0.5 }), "Retry: backoff.factor must be a number >= 1, got 0.5"],
  [backoff({ kind: "exponential", base: 1, factor: NaN }), "Retry: backoff.factor must be a number >= 1, got NaN"],
  [
    backoff({ kind: "exponential", base: 1, factor: Infinity }),
    "Retry: backoff.factor must be a number >= 1, got Infinity"
  ],
  [backoff({ kind: "exponential", base: 1, caps: 1 }), "Retry.backoff: unknown option \"caps\""],
  [backoff({ kind: "fibonacci", base: { millis: NaN } }), `Retry: backoff.base ${aboveZero}, got { millis: NaN }`],
  [backoff({ kind: "fibonacci", base: 1, cap: 0 }), `Retry: backoff.cap ${aboveZero}, got 0`],
  [backoff({ kind: "decorrelated", base: 1, cap: "Infinity" }), `Retry: backoff.cap ${aboveZero}, got "Infinity"`],
  [backoff({ kind: "decorrelated", base: 1, increment: 1 }), "Retry.backoff: unknown option \"increment\""],
  [
    retry({ jitter: "Full" }),
    "Retry: jitter must be none, full, equal, decorrelated or a factor from 0 to 1, got \"Full\""
  ],
  [retry({ jitter: { factor: 1.1 } }), "Retry: jitter must be none, full, equal, decorrelated or a factor from 0 to 1"],
  [retry({ jitter: { factor: -0.1 } }), "Retry: jitter must be none, full"],
  [retry({ jitter: { factor: NaN } }), "Retry: jitter must be none, full"],
  [retry({ jitter: {} }), "Retry: jitter must be none, full"],
  [retry({ jitter: { factor: 0.5, factors: 1 } }), "Retry.jitter: unknown option \"factors\"; it takes factor"],
  [() => Retry.retry(Effect.void, bad({ times: -1 })), "Retry: times must be an integer >= 0, got -1"],
  [() => Retry.retry(Effect.void, bad({ retryif: () => true })), "Retry: unknown option \"retryif\""]
]

const breakerCases: ReadonlyArray<Case> = [
  [() => CircuitBreaker.make(""), "CircuitBreaker: name must be a non-empty string, got \"\""],
  [() => CircuitBreaker.make(bad(undefined)), "CircuitBreaker: name must be a non-empty string, got undefined"],
  [() => CircuitBreaker.make("b", bad("on")), "CircuitBreaker: options must be an object, got \"on\""],
  [
    breaker({ threshold: 5 }),
    "CircuitBreaker: unknown option \"threshold\"; it takes trip, open, maxRetryAfter, halfOpen"
  ],
  [
    trip({ kind: "sometimes" }),
    "CircuitBreaker: trip.kind must be consecutive, count, rate or slow, got { kind: \"sometimes\" }"
  ],
  [trip("consecutive"), "CircuitBreaker: trip.kind must be consecutive, count, rate or slow, got \"consecutive\""],
  [trip(null), "CircuitBreaker: trip.kind must be consecutive, count, rate or slow, got null"],
  [halfOpen(null), "CircuitBreaker.halfOpen: options must be an object, got null"],
  [
    trip({ kind: "rate", threshold: "0.5", window: calls }),
    "CircuitBreaker: trip.threshold must be above 0 and at most 1, got \"0.5\""
  ],
  [
    trip({ kind: "count", failures: 1, window: { duration: "1 nanos" } }),
    "CircuitBreaker: trip.window.duration must be at least a millisecond for each of its 10 buckets, got \"1 nanos\""
  ],
  [trip({ kind: "consecutive", failures: 0 }), "CircuitBreaker: trip.failures must be an integer >= 1, got 0"],
  [trip({ kind: "consecutive", failures: -1 }), "CircuitBreaker: trip.failures must be an integer >= 1, got -1"],
  [trip({ kind: "consecutive", failures: NaN }), "CircuitBreaker: trip.failures must be an integer >= 1, got NaN"],
  [trip({ kind: "consecutive" }), "CircuitBreaker: trip.failures must be an integer >= 1, got undefined"],
  [trip({ kind: "consecutive", failures: 1, window: calls }), "CircuitBreaker.trip: unknown option \"window\""],
  [
    trip({ kind: "count", failures: 11, window: calls }),
    "CircuitBreaker: trip.failures must be at most the 10 calls of its window, got 11"
  ],
  [trip({ kind: "count", failures: 0, window: calls }), "CircuitBreaker: trip.failures must be an integer >= 1, got 0"],
  [
    trip({ kind: "count", failures: 1, window: { calls: 0 } }),
    "CircuitBreaker: trip.window.calls must be an integer from 1 to 1000000, got 0"
  ],
  [
    trip({ kind: "count", failures: 1, window: { calls: Infinity } }),
    "CircuitBreaker: trip.window.calls must be an integer from 1 to 1000000"
  ],
  [
    trip({ kind: "count", failures: 1 }),
    "CircuitBreaker: trip.window must be { calls } or { duration }, got undefined"
  ],
  [
    trip({ kind: "count", failures: 1, window: 10 }),
    "CircuitBreaker: trip.window must be { calls } or { duration }, got 10"
  ],
  [
    trip({ kind: "count", failures: 1, window: { calls: 10, duration: 10 } }),
    "CircuitBreaker.trip.window: unknown option \"duration\"; it takes calls"
  ],
  [
    trip({ kind: "count", failures: 1, window: { duration: 0 } }),
    `CircuitBreaker: trip.window.duration ${aboveZero}, got 0`
  ],
  [
    trip({ kind: "count", failures: 1, window: { duration: "Infinity" } }),
    `CircuitBreaker: trip.window.duration ${aboveZero}, got "Infinity"`
  ],
  [
    trip({ kind: "count", failures: 1, window: { duration: 10, buckets: 0 } }),
    "CircuitBreaker: trip.window.buckets must be an integer from 1 to 1000000, got 0"
  ],
  [
    trip({ kind: "count", failures: 1, window: { duration: 10, bucket: 3 } }),
    "CircuitBreaker.trip.window: unknown option \"bucket\"; it takes duration, buckets"
  ],
  [
    trip({ kind: "rate", threshold: 0, window: calls }),
    "CircuitBreaker: trip.threshold must be above 0 and at most 1, got 0"
  ],
  [
    trip({ kind: "rate", threshold: 50, window: calls }),
    "CircuitBreaker: trip.threshold must be above 0 and at most 1, got 50"
  ],
  [
    trip({ kind: "rate", threshold: NaN, window: calls }),
    "CircuitBreaker: trip.threshold must be above 0 and at most 1, got NaN"
  ],
  [
    trip({ kind: "rate", threshold: 0.5, minimumCalls: 11, window: calls }),
    "CircuitBreaker: trip.minimumCalls must be at most the 10 calls of its window, got 11"
  ],
  [
    trip({ kind: "rate", threshold: 0.5, minimumCalls: 0, window: calls }),
    "CircuitBreaker: trip.minimumCalls must be an integer >= 1, got 0"
  ],
  [
    trip({ kind: "rate", threshold: 0.5, failures: 3, window: calls }),
    "CircuitBreaker.trip: unknown option \"failures\""
  ],
  [breaker({ open: 0 }), `CircuitBreaker: open ${aboveZero}, got 0`],
  [breaker({ open: "-5 seconds" }), `CircuitBreaker: open ${aboveZero}, got "-5 seconds"`],
  [breaker({ open: NaN }), `CircuitBreaker: open ${aboveZero}, got NaN`],
  [breaker({ open: { seconds: NaN } }), `CircuitBreaker: open ${aboveZero}, got { seconds: NaN }`],
  [breaker({ open: [NaN, 0] }), `CircuitBreaker: open ${aboveZero}, got [NaN, 0]`],
  [breaker({ open: "Infinity" }), `CircuitBreaker: open ${aboveZero}, got "Infinity"`],
  [breaker({ open: true }), `CircuitBreaker: open ${aboveZero}, got true`],
  [breaker({ open: Schedule.recurs(0) }), "CircuitBreaker: open must be a schedule with at least one delay"],
  [breaker({ open: Schedule.recurs(3) }), "CircuitBreaker: open must be a schedule with at least one delay"],
  [breaker({ maxRetryAfter: -1 }), `CircuitBreaker: maxRetryAfter must be a finite duration of zero or more, got -1`],
  [
    breaker({ maxRetryAfter: [0, NaN] }),
    `CircuitBreaker: maxRetryAfter must be a finite duration of zero or more, got [0, NaN]`
  ],
  [halfOpen(1), "CircuitBreaker.halfOpen: options must be an object, got 1"],
  [halfOpen({ concurrent: 0 }), "CircuitBreaker: halfOpen.concurrent must be an integer >= 1, got 0"],
  [halfOpen({ calls: 0 }), "CircuitBreaker: halfOpen.calls must be an integer >= 1, got 0"],
  [
    halfOpen({ calls: 2, successes: 3 }),
    "CircuitBreaker: halfOpen.successes must be at most the 2 calls that decide, got 3"
  ],
  [halfOpen({ successes: 2 }), "CircuitBreaker: halfOpen.successes must be at most the 1 calls that decide, got 2"],
  [halfOpen({ successes: 0 }), "CircuitBreaker: halfOpen.successes must be an integer >= 1, got 0"],
  [halfOpen({ failureRate: 0 }), "CircuitBreaker: halfOpen.failureRate must be above 0 and at most 1, got 0"],
  [halfOpen({ failureRate: 1.1 }), "CircuitBreaker: halfOpen.failureRate must be above 0 and at most 1, got 1.1"],
  [
    halfOpen({ calls: 4, successes: 2, failureRate: 0.5 }),
    "CircuitBreaker: halfOpen.failureRate must be left out where successes is given, got 0.5"
  ],
  [halfOpen({ probes: 3 }), "CircuitBreaker.halfOpen: unknown option \"probes\""],
  [
    () => CircuitBreaker.makeUnsafe("b", CircuitBreaker.settings()).protect(Effect.void, { attemptTimeout: 0 }),
    `CircuitBreaker: attemptTimeout ${orInfinite}, got 0`
  ]
]

const timeCases: ReadonlyArray<Case> = [
  [() => Timeout.attempt(0), `Timeout: duration ${orInfinite}, got 0`],
  [() => Timeout.total("-1 second"), `Timeout: duration ${orInfinite}, got "-1 second"`],
  [() => Timeout.attempt(NaN), `Timeout: duration ${orInfinite}, got NaN`],
  [
    () => Timeout.attempt({ minutes: 1, seconds: NaN }),
    `Timeout: duration ${orInfinite}, got { minutes: 1, seconds: NaN }`
  ],
  [() => Timeout.attempt([NaN, 1]), `Timeout: duration ${orInfinite}, got [NaN, 1]`],
  [() => Timeout.attempt("-Infinity"), `Timeout: duration ${orInfinite}, got "-Infinity"`],
  [() => Timeout.attempt(bad("2 secondz")), `Timeout: duration ${orInfinite}, got "2 secondz"`],
  [() => Timeout.attempt(bad(undefined)), `Timeout: duration ${orInfinite}, got undefined`],
  [() => Timeout.attempt(-5n), `Timeout: duration ${orInfinite}, got -5n`],
  [
    () => Timeout.make(bad({ duration: 1, limit: "session" })),
    "Timeout: limit must be one of attempt, total, got \"session\""
  ],
  [() => Timeout.make(bad({ duration: 1 })), "Timeout: limit must be one of attempt, total, got undefined"],
  [() => Timeout.make(bad({ duration: 1, limit: "total", name: "p" })), "Timeout: unknown option \"name\""],
  [() => Deadline.within(0), `Deadline.within: duration ${aboveZero}, got 0`],
  [() => Deadline.within("Infinity"), `Deadline.within: duration ${aboveZero}, got "Infinity"`],
  [
    () => Timeout.make(bad({ duration: 1, limit: "total", policy: 5 })),
    "Timeout: policy must be a non-empty string, got 5"
  ],
  [() => Deadline.within(-1), `Deadline.within: duration ${aboveZero}, got -1`],
  [() => Deadline.within({ hours: NaN }), `Deadline.within: duration ${aboveZero}, got { hours: NaN }`],
  [() => Outcome.failure({ retryAfter: -1 }), `Outcome.failure: retryAfter ${orZero}, got -1`],
  [() => Outcome.failure({ retryAfter: NaN }), `Outcome.failure: retryAfter ${orZero}, got NaN`],
  [() => Outcome.overload({ retryAfter: "-Infinity" }), `Outcome.overload: retryAfter ${orZero}, got "-Infinity"`]
]

const pipelineCases: ReadonlyArray<Case> = [
  [pipeline({}, ""), "Pipeline: name must be a non-empty string, got \"\""],
  [pipeline(undefined), "Pipeline: options must be an object, got undefined"],
  [pipeline([]), "Pipeline: options must be an object, got []"],
  [pipeline({ classify: "x" }), "Pipeline: classify must be a function, got \"x\""],
  [pipeline({ totalTimeout: "5s" }), `Pipeline: totalTimeout ${orInfinite}, got "5s"; write it like "2 seconds"`],
  [pipeline({ retries: {} }), "Pipeline: unknown option \"retries\"; it takes totalTimeout, retry"],
  [pipeline({ totalTimeout: 0 }), `Pipeline: totalTimeout ${orInfinite}, got 0`],
  [pipeline({ totalTimeout: NaN }), `Pipeline: totalTimeout ${orInfinite}, got NaN`],
  [pipeline({ totalTimeout: true }), `Pipeline: totalTimeout ${orInfinite}, got true`],
  [pipeline({ attemptTimeout: "-1 second" }), `Pipeline: attemptTimeout ${orInfinite}, got "-1 second"`],
  [pipeline({ retry: true }), "Retry: options must be an object, got true"],
  [pipeline({ retry: { times: -1 } }), "Retry: times must be an integer >= 0, got -1"],
  [pipeline({ retry: { time: 1 } }), "Retry: unknown option \"time\""],
  [pipeline({ circuitBreaker: { open: 0 } }), `CircuitBreaker: open ${aboveZero}, got 0`],
  [
    pipeline({ circuitBreaker: { halfOpen: { concurrent: -1 } } }),
    "CircuitBreaker: halfOpen.concurrent must be an integer"
  ],
  [() => Pipeline.Service()("p", bad({ attemptTimeout: 0 })), `Pipeline: attemptTimeout ${orInfinite}, got 0`],
  [() => Pipeline.Service()("p", bad({ retry: { times: 0.5 } })), "Retry: times must be an integer >= 0, got 0.5"],
  [() => Pipeline.Service()("p", bad({ circuitbreaker: {} })), "Pipeline: unknown option \"circuitbreaker\""],
  [() => Pipeline.Service()("", {}), "Pipeline: name must be a non-empty string, got \"\""],
  [() => Resilience.layerTest(bad({ breakers: {} })), "Resilience.layerTest: unknown option \"breakers\""],
  [
    () => Resilience.layerTest(bad({ circuitBreakers: { x: "open" } })),
    "Resilience.layerTest: circuitBreakers.x must be one of Closed, Open, HalfOpen, got \"open\""
  ],
  [
    () => Resilience.layerTest(bad({ faults: { x: [{ kind: "status" }] } })),
    "Resilience.layerTest: faults.x.kind must be one of pass, hang, fail, die, got \"status\""
  ],
  [
    () => Pipeline.Service()("quotes", { retry: {} }).layerTest({ circuitBreaker: "Open" }),
    "Pipeline \"quotes\".layerTest: circuitBreaker must be left out where there is none, got \"Open\""
  ]
]

describe("a bad option is refused when the value is made, by a RangeError that names module, option and value", () => {
  const tables: Readonly<Record<string, ReadonlyArray<Case>>> = {
    Retry: retryCases,
    CircuitBreaker: breakerCases,
    "Timeout, Deadline, Outcome": timeCases,
    Pipeline: pipelineCases
  }
  for (const [modules, cases] of Object.entries(tables)) {
    it.each(cases.map(([make, message]) => ({ make, message })))(`${modules}: $message`, ({ make, message }) => {
      let thrown: unknown
      try {
        make()
      } catch (error) {
        thrown = error
      }
      assert.instanceOf(thrown, RangeError)
      assert.include(String(thrown), message)
    })
  }
})

describe("options at the edge of what is possible are taken", () => {
  const good: ReadonlyArray<() => unknown> = [
    retry({ times: 0 }),
    retry({ times: Number.MAX_SAFE_INTEGER, maxElapsed: "Infinity", maxRetryAfter: "Infinity" }),
    retry({ maxRetryAfter: 0, jitter: { factor: 0 } }),
    retry({ jitter: { factor: 1 } }),
    retry({ times: undefined, maxElapsed: undefined, backoff: undefined, jitter: undefined, onExhausted: undefined }),
    backoff({ kind: "constant", delay: "1 nano" }),
    backoff({ kind: "exponential", base: 10, factor: 1, cap: 1 }),
    breaker({}),
    breaker({ trip: undefined, open: undefined, maxRetryAfter: undefined, halfOpen: undefined }),
    breaker({ maxRetryAfter: 0 }),
    trip({ kind: "count", failures: 10, window: calls }),
    trip({ kind: "count", failures: 1_000, window: { duration: 1, buckets: 1 } }),
    trip({ kind: "rate", threshold: 1, minimumCalls: 10, window: calls }),
    trip({ kind: "rate", threshold: Number.MIN_VALUE, minimumCalls: 1_000, window: { duration: "1 day" } }),
    halfOpen({ concurrent: 5, calls: 3, successes: 3 }),
    halfOpen({ calls: 3, failureRate: 1 }),
    () => Timeout.attempt("Infinity"),
    () => Timeout.total(1n),
    pipeline({ totalTimeout: "Infinity", attemptTimeout: "Infinity" }),
    pipeline({ totalTimeout: undefined, retry: undefined, circuitBreaker: undefined, attemptTimeout: undefined }),
    pipeline({ totalTimeout: false, retry: false, circuitBreaker: false, attemptTimeout: false })
  ]
  it.each(good.map((make, n) => ({ make, n })))("$n", ({ make }) => {
    make()
  })
})
