/** The further policies, each alone, beside Effect's own where there is one. */
import { Bulkhead, CircuitBreaker, Retry, Timeout } from "effect-resilience"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import { answers, suspends } from "../check.ts"
import { bareEffect, effectSubject, immediate, measured, retries } from "../subject.ts"
import { ourOptions } from "./breakers.ts"
import { type Group, prepare } from "./group.ts"

const permits = 100

const subjects = [
  bareEffect,
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
  effectSubject("ours", "timeout", ({ timeout }) => Timeout.attempt(timeout)),
  effectSubject("peer", "effect's timeout", ({ timeout }) => Effect.timeout(timeout)),
  effectSubject(
    "ours",
    "bulkhead",
    async () => (await Effect.runPromise(Bulkhead.make("bench", { concurrency: permits, queue: permits }))).protect
  ),
  effectSubject("peer", "effect's semaphore", () => Semaphore.makeUnsafe(permits).withPermit),
  effectSubject("ours", "keyed breaker", async () => {
    const breaker = await Effect.runPromise(CircuitBreaker.keyed("bench", ourOptions))
    return (self) => breaker.protect(self, { key: "key" })
  })
]

export const alone: Group = {
  name: "alone",
  title: "one policy around work that is done at once",
  cases: () => {
    suspends(immediate, false)
    return prepare(subjects, async (subject) => {
      const call = await subject.protect(immediate, measured)
      await answers(subject, call)
      return { loop: call.loop, checkAgain: () => answers(subject, call) }
    })
  }
}
