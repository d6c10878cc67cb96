/** Each policy alone, beside others of its kind where there are any. The breaker has a group of its own. */
import * as Cockatiel from "cockatiel"
import {
  AdaptiveLimit,
  Bulkhead,
  CacheFallback,
  Chaos,
  CircuitBreaker,
  Fallback,
  Hedge,
  RateLimit,
  Retry,
  Throttle,
  Timeout
} from "effect-resilience"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import pRetry from "p-retry"
import { answers, answersFromMemory, fallsBack, retriesFailures, suspends, timesOut } from "../check.ts"
import {
  answer,
  bareEffect,
  bareFunction,
  effectSubject,
  immediate,
  measured,
  promiseSubject,
  retries,
  type Subject
} from "../subject.ts"
import { ourOptions } from "./breakers.ts"
import { type Group, prepare } from "./group.ts"

const permits = 100
/** More than are called for. */
const plenty = 1e9

const retrying = [
  effectSubject(
    "ours",
    "retry",
    ({ retryDelay }) => Retry.make({ times: retries, backoff: { kind: "exponential", base: retryDelay } })
  ),
  effectSubject(
    "peer",
    "effect's retry",
    ({ retryDelay }) => Effect.retry({ schedule: Schedule.jittered(Schedule.exponential(retryDelay)), times: retries })
  ),
  promiseSubject("peer", "cockatiel's retry", ({ retryDelay }) => {
    const policy = Cockatiel.retry(Cockatiel.handleAll, {
      maxAttempts: retries,
      backoff: new Cockatiel.ExponentialBackoff({ initialDelay: retryDelay })
    })
    return (work) => () => policy.execute(work)
  }),
  promiseSubject(
    "peer",
    "p-retry",
    ({ retryDelay }) => (work) => () => pRetry(work, { retries, minTimeout: retryDelay, randomize: true })
  )
]

const limitingTime = [
  effectSubject("ours", "timeout", ({ timeout }) => Timeout.attempt(timeout)),
  effectSubject("peer", "effect's timeout", ({ timeout }) => Effect.timeout(timeout)),
  promiseSubject("peer", "cockatiel's timeout", ({ timeout }) => {
    const policy = Cockatiel.timeout(timeout, Cockatiel.TimeoutStrategy.Aggressive)
    return (work) => () => policy.execute(work)
  })
]

const letting = [
  effectSubject(
    "ours",
    "bulkhead",
    async () => (await Effect.runPromise(Bulkhead.make("bench", { concurrency: permits, queue: permits }))).protect
  ),
  effectSubject("peer", "effect's semaphore", () => Semaphore.makeUnsafe(permits).withPermit),
  promiseSubject("peer", "cockatiel's bulkhead", () => {
    const policy = Cockatiel.bulkhead(permits, permits)
    return (work) => () => policy.execute(work)
  }),
  effectSubject("ours", "keyed breaker", async () => {
    const breaker = await Effect.runPromise(CircuitBreaker.keyed("bench", ourOptions))
    return (self) => breaker.protect(self, { key: "key" })
  }),
  effectSubject("ours", "rate limit", async () => {
    const limit = await Effect.runPromise(
      RateLimit.make("bench", { kind: "token-bucket", permits: plenty, per: "1 second" })
    )
    return limit.protect
  }),
  effectSubject(
    "ours",
    "adaptive limit",
    async () => (await Effect.runPromise(AdaptiveLimit.make("bench"))).protect
  ),
  effectSubject("ours", "throttle", async () => (await Effect.runPromise(Throttle.make("bench"))).protect),
  effectSubject(
    "ours",
    "hedge, without hedging",
    async ({ timeout }) => (await Effect.runPromise(Hedge.make("bench", { delay: timeout }))).protect
  ),
  effectSubject("ours", "chaos, off", () => Chaos.make({ enabled: false, failure: { rate: 1 } }))
]

const fallingBack = [
  effectSubject("ours", "fallback", () => Fallback.orElse(Fallback.value(answer))),
  effectSubject("peer", "effect's orElseSucceed", () => Effect.orElseSucceed(() => answer)),
  promiseSubject("peer", "cockatiel's fallback", () => {
    const policy = Cockatiel.fallback(Cockatiel.handleAll, answer)
    return (work) => () => policy.execute(work)
  })
]

const remembering = [
  effectSubject("ours", "cache, a hit", async () => {
    const cache = await Effect.runPromise(
      Scope.provide(CacheFallback.make("bench", { strategy: "cache-first", fresh: "1 hour" }), Scope.makeUnsafe())
    )
    return (self) => Effect.map(cache.get(self, { key: ["work", 1], schema: Schema.Number }), ({ value }) => value)
  }),
  effectSubject("peer", "effect's cache, a hit", () => (self) => {
    const cache = Effect.runSync(Cache.make({ capacity: 1, lookup: (_: string) => self }))
    return Cache.get(cache, "work")
  })
]

/** What it must do, beside handing on what succeeds at once. */
const demand = async (subject: Subject): Promise<void> => {
  if (retrying.includes(subject)) await retriesFailures(subject, true)
  if (limitingTime.includes(subject)) await timesOut(subject)
  if (fallingBack.includes(subject)) await fallsBack(subject)
}

export const alone: Group = {
  name: "alone",
  title: "one policy around work that is done at once",
  cases: () => {
    suspends(immediate, false)
    const running = [bareEffect, bareFunction, ...retrying, ...limitingTime, ...letting, ...fallingBack]
    return prepare([...running, ...remembering], async (subject) => {
      await demand(subject)
      const call = await subject.protect(immediate, measured)
      const check = remembering.includes(subject)
        ? () => answersFromMemory(subject)
        : () => answers(subject, call)
      await check()
      return { loop: call.loop, checkAgain: check }
    })
  }
}
