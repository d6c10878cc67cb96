/** What every part of a pipeline adds to the errors of a call, and what a fallback takes away. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { type Context, type Effect, type Layer, Schema, type Stream } from "effect"
import {
  type AdaptiveLimit,
  type Bulkhead,
  type Chaos,
  type CircuitBreaker,
  type Deadline,
  Fallback,
  Pipeline,
  type Policy,
  type Profile,
  type RateLimit,
  type Resilience,
  type Retry,
  type Throttle,
  type Timeout
} from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

declare const work: Effect.Effect<"answer", "broken", "database">
declare const stream: Stream.Stream<"chunk", "broken", "database">

type Late = Timeout.TimedOut | Deadline.DeadlineExceeded
type Open = CircuitBreaker.CircuitOpen
type Spent = Retry.RetriesExhausted

const failing = { rate: 0.1 } as const
declare const own: Policy.Policy<"forbidden">
declare const bulkhead: Bulkhead.Bulkhead
declare const ownWork: Policy.Policy<"odd">

const made = {
  throttle: Pipeline.make("p", { throttle: {} }),
  rateLimit: Pipeline.make("p", { rateLimit: { kind: "token-bucket", permits: 1, per: "1 second" } }),
  rateLimits: Pipeline.make("p", {
    rateLimit: {
      limits: {
        requests: { kind: "fixed-window", permits: 1, per: "1 second" },
        tokens: { kind: "sliding-window", permits: 1, per: "1 minute" }
      }
    }
  }),
  bulkhead: Pipeline.make("p", { bulkhead: { concurrency: 1 } }),
  adaptiveLimit: Pipeline.make("p", { adaptiveLimit: {} }),
  hedge: Pipeline.make("p", { hedge: { delay: "1 second" }, retryBudget: {} }),
  cache: Pipeline.make("p", { cache: { strategy: "cache-first", fresh: "1 minute" } }),
  streams: Pipeline.make("p", { streams: { idle: "1 second" } }),
  chaosLatency: Pipeline.make("p", { chaos: { latency: { rate: 0.1, delay: "1 second" } } }),
  chaosFailure: Pipeline.make("p", { chaos: { failure: failing } }),
  chaosOwn: Pipeline.make("p", { chaos: { failure: { rate: 0.1, error: () => "broken by design" as const } } }),
  around: Pipeline.make("p", { around: { call: own, work: ownWork } }),
  aroundBreaker: Pipeline.make("p", { around: { attempt: own }, circuitBreaker: {} }),
  operations: Pipeline.make("p", { retry: {}, operations: { delete: { retry: { times: 1 } } } }),
  everything: Pipeline.make("p", {
    totalTimeout: "1 minute",
    retry: { onExhausted: "wrap" },
    throttle: {},
    rateLimit: { kind: "token-bucket", permits: 1, per: "1 second" },
    bulkhead: { concurrency: 1 },
    circuitBreaker: {},
    attemptTimeout: "1 second",
    chaos: { failure: failing },
    idempotent: false
  })
}

type ErrorOf<Made> = Made extends Effect.Effect<Pipeline.Pipeline<infer PE, unknown>, never, Resilience.Resilience> ? PE
  : "none"
type StreamErrorOf<Made> = Made extends
  Effect.Effect<Pipeline.Pipeline<unknown, infer SE>, never, Resilience.Resilience> ? SE
  : "none"

export type Parts = [
  Expect<Equal<ErrorOf<typeof made.throttle>, Throttle.Throttled>>,
  Expect<Equal<ErrorOf<typeof made.rateLimit>, RateLimit.RateLimited>>,
  Expect<Equal<ErrorOf<typeof made.rateLimits>, RateLimit.RateLimited>>,
  Expect<Equal<ErrorOf<typeof made.bulkhead>, Bulkhead.BulkheadFull>>,
  Expect<Equal<ErrorOf<typeof made.adaptiveLimit>, AdaptiveLimit.LimitExceeded>>,
  Expect<Equal<ErrorOf<typeof made.hedge>, never>>,
  Expect<Equal<ErrorOf<typeof made.cache>, never>>,
  Expect<Equal<ErrorOf<typeof made.streams>, never>>,
  Expect<Equal<StreamErrorOf<typeof made.streams>, Timeout.TimedOut>>,
  Expect<Equal<StreamErrorOf<typeof made.bulkhead>, Bulkhead.BulkheadFull>>,
  Expect<Equal<ErrorOf<typeof made.chaosOwn>, "broken by design">>,
  Expect<Equal<ErrorOf<typeof made.chaosLatency>, never>>,
  Expect<Equal<ErrorOf<typeof made.chaosFailure>, Chaos.ChaosInjected>>,
  Expect<Equal<ErrorOf<typeof made.around>, "forbidden" | "odd">>,
  Expect<Equal<ErrorOf<typeof made.aroundBreaker>, "forbidden" | Open>>,
  Expect<Equal<ErrorOf<typeof made.operations>, never>>,
  Expect<
    Equal<
      ErrorOf<typeof made.everything>,
      Late | Spent | Throttle.Throttled | RateLimit.RateLimited | Bulkhead.BulkheadFull | Open | Chaos.ChaosInjected
    >
  >,
  Expect<Equal<Pipeline.ErrorOf<typeof Profile.httpRead>, Late | Open>>,
  Expect<Equal<Pipeline.ErrorOf<typeof Profile.languageModel>, Late | Open>>,
  Expect<Equal<Pipeline.ErrorOf<typeof Profile.database>, Late | Open | Bulkhead.BulkheadFull>>,
  Expect<Not<IsAny<Pipeline.PipelineError>>>
]

// @ts-expect-error there is no such part
Pipeline.make("p", { bulkheads: { concurrency: 1 } })
// @ts-expect-error the key is misspelt
Pipeline.make("p", { bulkhead: { concurrent: 1 } })
// @ts-expect-error there is no such place
Pipeline.make("p", { around: { calls: own } })
// @ts-expect-error the errors of a function that is no policy are not known
Pipeline.make("p", { around: { attempt: (self) => self } })
// @ts-expect-error the errors of a function that is no policy are not known
Pipeline.make("p", { around: { call: bulkhead.protect } })
// @ts-expect-error the key of the operation's part is misspelt
Pipeline.make("p", { retry: {}, operations: { delete: { retry: { time: 1 } } } })
// @ts-expect-error an operation has no place for policies of one's own
Pipeline.make("p", { operations: { delete: { around: { call: own } } } })

// -----------------------------------------------------------------------------
// calls
// -----------------------------------------------------------------------------

declare const pipeline: Pipeline.Pipeline<Open | Late>

declare const limitedWork: Effect.Effect<"answer", "broken" | Timeout.TimedOut, "database">

const calls = {
  // work that has errors of the pipeline already
  limited: pipeline.protect(limitedWork, { fallback: Fallback.value(0 as const) }),
  limitedTags: pipeline.protect(limitedWork, { fallback: Fallback.on(["CircuitOpen"], Fallback.value(0 as const)) }),
  plain: pipeline.protect(work),
  options: pipeline.protect(work, {
    operation: "read",
    key: "tenant",
    priority: "sheddable",
    cost: 2,
    idempotent: true,
    retryIf: (answer) => (true satisfies Expect<Equal<typeof answer, "answer">>)
  }),
  value: pipeline.protect(work, { fallback: Fallback.value(0 as const) }),
  tags: pipeline.protect(work, { fallback: Fallback.on(["CircuitOpen"], Fallback.value(0 as const)) }),
  written: pipeline.protect(work, {
    fallback: (error) =>
      (true satisfies Expect<Equal<typeof error, "broken" | Open | Late>>)
        ? ownEffect :
        ownEffect
  }),
  cached: pipeline.protect(work, { cache: { key: ["a"], schema: Schema.Literal("answer") } }),
  stream: pipeline.protectStream(stream, { operation: "read" })
}
declare const ownEffect: Effect.Effect<"own", "worse", "files">

export type Calls = [
  Expect<Equal<typeof calls.limited, Effect.Effect<"answer" | 0, never, "database">>>,
  Expect<Equal<typeof calls.limitedTags, Effect.Effect<"answer" | 0, "broken" | Late, "database">>>,
  Expect<Equal<typeof calls.plain, Effect.Effect<"answer", "broken" | Open | Late, "database">>>,
  Expect<Equal<typeof calls.options, Effect.Effect<"answer", "broken" | Open | Late, "database">>>,
  Expect<Equal<typeof calls.value, Effect.Effect<"answer" | 0, never, "database">>>,
  Expect<Equal<typeof calls.tags, Effect.Effect<"answer" | 0, "broken" | Late, "database">>>,
  Expect<Equal<typeof calls.written, Effect.Effect<"answer" | "own", "worse", "database" | "files">>>,
  Expect<Equal<typeof calls.cached, Effect.Effect<"answer", "broken" | Open | Late, "database">>>,
  Expect<Equal<typeof calls.stream, Stream.Stream<"chunk", "broken" | Open | Late, "database">>>
]

const asPolicy: Policy.Policy<Open | Late> = pipeline.protect
export type AsPolicy = Expect<Equal<typeof asPolicy, Policy.Policy<Open | Late>>>

// @ts-expect-error the schema is that of another answer
pipeline.protect(work, { cache: { key: ["a"], schema: Schema.Number } })
// @ts-expect-error there is no such priority
pipeline.protect(work, { priority: "urgent" })
// @ts-expect-error the key is misspelt
pipeline.protect(work, { operations: "read" })

// -----------------------------------------------------------------------------
// services
// -----------------------------------------------------------------------------

interface Store {
  readonly get: (key: string) => Effect.Effect<string, "missing", "disk">
  readonly list: (prefix: string) => Stream.Stream<string, "missing">
  readonly count: Effect.Effect<number, "missing" | Open | Late>
  readonly name: string
}
declare const Store: Context.Key<"store", Store>
declare const Calm: Context.Key<"calm", Pipeline.Pipeline<Open | Late>>
declare const quiet: Pipeline.Pipeline<never>

const services = {
  same: Pipeline.protectService(Store, { count: pipeline, get: quiet }),
  mapped: Pipeline.protectService(Store, {
    get: {
      pipeline: Calm,
      mapError: () => "missing" as const,
      options: (key) => (true satisfies Expect<Equal<typeof key, string>>) ? { key } : {}
    },
    list: quiet
  })
}

export type Services = [
  Expect<Equal<typeof services.same, Layer.Layer<"store", never, "store">>>,
  Expect<Equal<typeof services.mapped, Layer.Layer<"store", never, "store" | "calm">>>
]

// @ts-expect-error callers of `get` do not know the errors of that pipeline
Pipeline.protectService(Store, { get: pipeline })
// @ts-expect-error there is no such method
Pipeline.protectService(Store, { put: quiet })
// @ts-expect-error that is no error of `get`
Pipeline.protectService(Store, { get: { pipeline, mapError: () => "lost" as const } })
