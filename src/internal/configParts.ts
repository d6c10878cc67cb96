/**
 * Schemas of the parts of a pipeline, as configuration says them: every option
 * that is data, and no other.
 *
 * A part may lie over one that is written in code. What depends on an option that
 * is left out is therefore looked at with the value that allows the most; what is
 * wrong even then is wrong over any declaration.
 */
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import * as AdaptiveLimit from "../AdaptiveLimit.ts"
import * as Bulkhead from "../Bulkhead.ts"
import * as CacheFallback from "../CacheFallback.ts"
import * as Chaos from "../Chaos.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import * as Hedge from "../Hedge.ts"
import * as KeyedCircuitBreaker from "../KeyedCircuitBreaker.ts"
import * as Pipeline from "../Pipeline.ts"
import * as RateLimit from "../RateLimit.ts"
import * as Retry from "../Retry.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as Throttle from "../Throttle.ts"
import { duration, fits, flag, number, oneOf, orFalse, tags } from "./configOptions.ts"
import { maxSamples } from "./latencies.ts"

/** The fields of a struct, each of which may be left out. */
const optional = Struct.map(Schema.optionalKey)

const day = 86_400_000
const most = Number.MAX_SAFE_INTEGER

// -----------------------------------------------------------------------------
// retry
// -----------------------------------------------------------------------------

const base = duration((base) => Retry.settings({ backoff: { kind: "linear", base } }))

const cap = Schema.optionalKey(duration((cap) => Retry.settings({ backoff: { kind: "linear", base: 1, cap } })))

const Backoff = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("constant"),
    delay: duration((delay) => Retry.settings({ backoff: { kind: "constant", delay } })),
    cap
  }),
  Schema.Struct({
    kind: Schema.Literal("linear"),
    base,
    increment: Schema.optionalKey(
      duration((increment) => Retry.settings({ backoff: { kind: "linear", base: 1, increment } }))
    ),
    cap
  }),
  Schema.Struct({
    kind: Schema.Literal("exponential"),
    base,
    factor: Schema.optionalKey(
      number((factor) => Retry.settings({ backoff: { kind: "exponential", base: 1, factor } }))
    ),
    cap
  }),
  Schema.Struct({ kind: Schema.Literal("fibonacci"), base, cap }),
  Schema.Struct({ kind: Schema.Literal("decorrelated"), base, cap })
])

const jitters = "none, full, equal, decorrelated or a factor from 0 to 1"

const retry = Schema.Struct(optional({
  times: number((times) => Retry.settings({ times })),
  maxElapsed: duration((maxElapsed) => Retry.settings({ maxElapsed })),
  backoff: Backoff.check(fits((backoff) => Retry.settings({ backoff }), "backoff")),
  jitter: Schema.Union([
    oneOf(["none", "full", "equal", "decorrelated"], jitters),
    Schema.Struct({ factor: number((factor) => Retry.settings({ jitter: { factor } })) })
  ]).annotate({ expected: jitters }),
  maxRetryAfter: duration((maxRetryAfter) => Retry.settings({ maxRetryAfter })),
  retryOn: tags,
  abortOn: tags,
  retryCircuitOpen: flag,
  onExhausted: oneOf(["lastError", "wrap"])
})).check(fits(Retry.settings))

const retryBudget = Schema.Struct(optional({
  share: number((share) => RetryBudget.settings({ share })),
  minimum: number((minimum) => RetryBudget.settings({ minimum })),
  window: duration((window) => RetryBudget.settings({ window, buckets: 1 })),
  buckets: number((buckets) => RetryBudget.settings({ buckets, window: day }))
})).check(fits((options) => RetryBudget.settings({ window: day, buckets: 1, ...options })))

// -----------------------------------------------------------------------------
// hedge
// -----------------------------------------------------------------------------

const quantile = 0.95

const Quantile = Schema.Struct({
  quantile: number((quantile) => Hedge.settings({ delay: { quantile } })),
  ...optional({
    initial: duration((initial) => Hedge.settings({ delay: { quantile, initial } })),
    samples: number((samples) => Hedge.settings({ delay: { quantile, samples } })),
    minimumSamples: number((minimumSamples) =>
      Hedge.settings({ delay: { quantile, samples: maxSamples, minimumSamples } })
    ),
    minimum: duration((minimum) => Hedge.settings({ delay: { quantile, minimum } })),
    maximum: duration((maximum) => Hedge.settings({ delay: { quantile, minimum: 0, maximum } }))
  })
})

const hedge = Schema.Struct(optional({
  hedges: number((hedges) => Hedge.settings({ hedges })),
  delay: Schema.Union([
    duration((delay) => Hedge.settings({ delay })),
    Quantile.check(fits((delay) => Hedge.settings({ delay }), "delay"))
  ]),
  awaitLosers: flag
})).check(fits(Hedge.settings))

// -----------------------------------------------------------------------------
// limits
// -----------------------------------------------------------------------------

const throttle = Schema.Struct(optional({
  target: number((target) => Throttle.settings({ target })),
  window: duration((window) => Throttle.settings({ window })),
  minimumCalls: number((minimumCalls) => Throttle.settings({ minimumCalls })),
  maxProbability: number((maxProbability) => Throttle.settings({ maxProbability }))
})).check(fits(Throttle.settings))

const perSecond = { kind: "token-bucket", permits: 1, per: "1 second" } as const

const limit = {
  permits: number((permits) => RateLimit.settings({ ...perSecond, permits })),
  per: duration((per) => RateLimit.settings({ ...perSecond, per }))
}
const burst = Schema.optionalKey(number((burst) => RateLimit.settings({ ...perSecond, burst })))

const limits = optional({
  wait: duration((wait) => RateLimit.settings({ ...perSecond, wait })),
  maxKeys: number((maxKeys) => RateLimit.settings({ ...perSecond, maxKeys }))
})

const tokenBucket = { kind: Schema.Literal("token-bucket"), ...limit, burst }
const slidingWindow = { kind: Schema.Literal("sliding-window"), ...limit }
const fixedWindow = { kind: Schema.Literal("fixed-window"), ...limit }

const rateLimit = Schema.Union([
  Schema.Struct({ ...tokenBucket, ...limits }),
  Schema.Struct({ ...slidingWindow, ...limits }),
  Schema.Struct({ ...fixedWindow, ...limits }),
  Schema.Struct({
    limits: Schema.Record(
      Schema.String,
      Schema.Union([Schema.Struct(tokenBucket), Schema.Struct(slidingWindow), Schema.Struct(fixedWindow)])
    ),
    ...limits
  })
]).check(fits(RateLimit.settings))

const bulkhead = Schema.Struct({
  concurrency: number((concurrency) => Bulkhead.settings({ concurrency })),
  ...optional({
    queue: number((queue) => Bulkhead.settings({ concurrency: 1, queue })),
    wait: duration((wait) => Bulkhead.settings({ concurrency: 1, queue: 1, wait }))
  })
}).check(fits((options) => Bulkhead.settings({ queue: 1, ...options })))

const vegas = { kind: "vegas", alpha: 1, beta: most } as const

const samples = Schema.optionalKey(
  number((samples) => AdaptiveLimit.settings({ algorithm: { kind: "vegas", samples } }))
)

const Algorithm = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("aimd"),
    ...optional({
      ratio: number((ratio) => AdaptiveLimit.settings({ algorithm: { kind: "aimd", ratio } })),
      timeout: duration((timeout) => AdaptiveLimit.settings({ algorithm: { kind: "aimd", timeout } }))
    })
  }),
  Schema.Struct({
    kind: Schema.Literal("vegas"),
    ...optional({
      alpha: number((alpha) => AdaptiveLimit.settings({ algorithm: { ...vegas, alpha } })),
      beta: number((beta) => AdaptiveLimit.settings({ algorithm: { ...vegas, beta } })),
      probe: number((probe) => AdaptiveLimit.settings({ algorithm: { ...vegas, probe } }))
    }),
    samples
  }),
  Schema.Struct({
    kind: Schema.Literal("gradient2"),
    ...optional({
      smoothing: number((smoothing) => AdaptiveLimit.settings({ algorithm: { kind: "gradient2", smoothing } })),
      queueSize: number((queueSize) => AdaptiveLimit.settings({ algorithm: { kind: "gradient2", queueSize } })),
      longWindow: number((longWindow) => AdaptiveLimit.settings({ algorithm: { kind: "gradient2", longWindow } }))
    }),
    samples
  })
])

const adaptiveLimit = Schema.Struct(optional({
  algorithm: Algorithm.check(fits((algorithm) => AdaptiveLimit.settings({ algorithm }), "algorithm")),
  initial: number((initial) => AdaptiveLimit.settings({ max: most, initial })),
  min: number((min) => AdaptiveLimit.settings({ max: most, min })),
  max: number((max) => AdaptiveLimit.settings({ max })),
  shares: Schema.Struct(optional({
    sheddable: number((sheddable) => AdaptiveLimit.settings({ shares: { sheddable } })),
    background: number((background) => AdaptiveLimit.settings({ shares: { sheddable: 1, background } }))
  })).check(fits((shares) => AdaptiveLimit.settings({ shares }), "shares")),
  queue: number((queue) => AdaptiveLimit.settings({ queue })),
  wait: duration((wait) => AdaptiveLimit.settings({ queue: 1, wait }))
})).check(fits((options) => AdaptiveLimit.settings({ max: most, queue: 1, ...options })))

// -----------------------------------------------------------------------------
// circuit breaker
// -----------------------------------------------------------------------------

const Window = Schema.Union([
  Schema.Struct({
    calls: number((calls) => CircuitBreaker.settings({ trip: { kind: "count", failures: 1, window: { calls } } }))
  }),
  Schema.Struct({
    duration: duration((duration) =>
      CircuitBreaker.settings({ trip: { kind: "count", failures: 1, window: { duration, buckets: 1 } } })
    ),
    buckets: Schema.optionalKey(
      number((buckets) =>
        CircuitBreaker.settings({ trip: { kind: "count", failures: 1, window: { duration: day, buckets } } })
      )
    )
  })
]).annotate({ expected: "{ calls } or { duration }" })

const failures = number((failures) => CircuitBreaker.settings({ trip: { kind: "consecutive", failures } }))

const rate = { kind: "rate", threshold: 1, window: { duration: day } } as const

const rated = {
  threshold: number((threshold) => CircuitBreaker.settings({ trip: { ...rate, threshold } })),
  minimumCalls: Schema.optionalKey(
    number((minimumCalls) => CircuitBreaker.settings({ trip: { ...rate, minimumCalls } }))
  ),
  window: Window
}

const Trip = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("consecutive"),
    failures,
    forgetAfter: Schema.optionalKey(
      duration((forgetAfter) => CircuitBreaker.settings({ trip: { kind: "consecutive", failures: 1, forgetAfter } }))
    )
  }),
  Schema.Struct({ kind: Schema.Literal("count"), failures, window: Window }),
  Schema.Struct({ kind: Schema.Literal("rate"), ...rated }),
  Schema.Struct({
    kind: Schema.Literal("slow"),
    slowerThan: duration((slowerThan) => CircuitBreaker.settings({ trip: { ...rate, kind: "slow", slowerThan } })),
    ...rated
  })
]).check(fits((trip) => CircuitBreaker.settings({ trip }), "trip"))

const HalfOpen = Schema.Struct(optional({
  concurrent: number((concurrent) => CircuitBreaker.settings({ halfOpen: { concurrent } })),
  calls: number((calls) => CircuitBreaker.settings({ halfOpen: { calls } })),
  successes: number((successes) => CircuitBreaker.settings({ halfOpen: { calls: most, successes } })),
  failureRate: number((failureRate) => CircuitBreaker.settings({ halfOpen: { failureRate } })),
  maxDuration: duration((maxDuration) => CircuitBreaker.settings({ halfOpen: { maxDuration } })),
  afterwards: oneOf(["open", "closed"])
}))

const breaker = optional({
  trip: Schema.Union([
    Trip,
    Schema.Array(Trip).check(fits((trip) => CircuitBreaker.settings({ trip }), "trip"))
  ]),
  open: duration((open) => CircuitBreaker.settings({ open })),
  maxRetryAfter: duration((maxRetryAfter) => CircuitBreaker.settings({ maxRetryAfter })),
  halfOpen: HalfOpen.check(fits((halfOpen) => CircuitBreaker.settings({ halfOpen }), "halfOpen"))
})

const circuitBreaker = Schema.Struct(breaker).check(fits(CircuitBreaker.settings))

const keyedCircuitBreaker = Schema.Struct({
  ...breaker,
  ...optional({
    idle: duration((idle) => KeyedCircuitBreaker.settings({ idle })),
    maxKeys: number((maxKeys) => KeyedCircuitBreaker.settings({ maxKeys }))
  })
}).check(fits(KeyedCircuitBreaker.settings))

// -----------------------------------------------------------------------------
// chaos, cache, streams
// -----------------------------------------------------------------------------

const chance = number((rate) => Chaos.settings({ defect: { rate } }))

const delay = duration((delay) => Chaos.settings({ latency: { rate: 1, delay } }))

const Between = Schema.Struct({
  min: duration((min) => Chaos.settings({ latency: { rate: 1, delay: { min, max: most } } })),
  max: duration((max) => Chaos.settings({ latency: { rate: 1, delay: { min: 0, max } } }))
}).check(fits((delay) => Chaos.settings({ latency: { rate: 1, delay } }), "latency", "delay"))

const chaos = Schema.Struct(optional({
  enabled: flag,
  latency: Schema.Struct({ rate: chance, delay: Schema.Union([delay, Between]) }),
  failure: Schema.Struct({ rate: chance }),
  overload: Schema.Struct({
    rate: chance,
    retryAfter: Schema.optionalKey(duration((retryAfter) => Chaos.settings({ overload: { rate: 1, retryAfter } })))
  }),
  defect: Schema.Struct({ rate: chance })
})).check(fits(Chaos.settings))

const minute = { strategy: "service-first", fresh: "1 minute" } as const

const cache = Schema.Struct({
  strategy: oneOf(["cache-first", "service-first", "stale-while-revalidate", "stale-if-error"]),
  fresh: duration((fresh) => CacheFallback.settings({ ...minute, fresh })),
  ...optional({
    stale: duration((stale) => CacheFallback.settings({ ...minute, stale })),
    capacity: number((capacity) => CacheFallback.settings({ ...minute, capacity })),
    storeTimeout: duration((storeTimeout) => CacheFallback.settings({ ...minute, storeTimeout }))
  })
}).check(fits(CacheFallback.settings))

const pipeline = (options: Pipeline.Options) => Pipeline.settings("config", options)

const streams = Schema.Struct(optional({
  firstElement: duration((firstElement) => pipeline({ streams: { firstElement } })),
  idle: duration((idle) => pipeline({ streams: { idle } }))
}))

// -----------------------------------------------------------------------------
// pipelines
// -----------------------------------------------------------------------------

const overrides = optional({
  totalTimeout: orFalse(duration((totalTimeout) => pipeline({ totalTimeout })), "a duration"),
  retry: orFalse(retry),
  retryBudget: orFalse(retryBudget),
  hedge: orFalse(hedge),
  throttle: orFalse(throttle),
  rateLimit: orFalse(rateLimit),
  bulkhead: orFalse(bulkhead),
  adaptiveLimit: orFalse(adaptiveLimit),
  circuitBreaker: orFalse(circuitBreaker),
  keyedCircuitBreaker: orFalse(keyedCircuitBreaker),
  attemptTimeout: orFalse(duration((attemptTimeout) => pipeline({ attemptTimeout })), "a duration"),
  chaos: orFalse(chaos),
  cache: orFalse(cache),
  streams: orFalse(streams),
  idempotent: flag
})

type Parts = {
  readonly [K in "adaptiveLimit" | "bulkhead" | "circuitBreaker" | "keyedCircuitBreaker"]?: object | false
}

/** Parts that no pipeline has together, so that none can be tuned in both. */
const apart = (part: keyof Parts, other: keyof Parts) =>
  Schema.makeFilter((parts: Parts) =>
    typeof parts[part] === "object" && typeof parts[other] === "object"
      ? { path: [part], issue: `must be left out where ${other} is given` }
      : undefined
  )

const alternatives = [apart("adaptiveLimit", "bulkhead"), apart("keyedCircuitBreaker", "circuitBreaker")] as const

/** What configuration says of one pipeline. */
export const PipelineSchema = Schema.Struct({
  ...overrides,
  operations: Schema.optionalKey(Schema.Record(Schema.String, Schema.Struct(overrides).check(...alternatives)))
}).check(...alternatives)

/** What configuration says of pipelines, by name. */
export const PipelinesSchema = Schema.Record(Schema.String, PipelineSchema).check(
  Schema.makeFilter((pipelines: object) =>
    Object.hasOwn(pipelines, "") ? { path: [""], issue: "must have a name that is not empty" } : undefined
  )
)
