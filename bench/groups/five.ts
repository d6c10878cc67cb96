/** The five parts that most pipelines have, in the same order for all: total timeout, retry, bulkhead, breaker, attempt timeout. */
import * as Cockatiel from "cockatiel"
import { Pipeline, Resilience } from "effect-resilience"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { CircuitBreakerError } from "effect/persistence/CircuitBreaker"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import { answers, opens, retriesFailures, suspends, timesOut } from "../check.ts"
import {
  bareEffect,
  bareFunction,
  effectSubject,
  immediate,
  measured,
  promiseSubject,
  retries,
  type Subject,
  suspending,
  type Work
} from "../subject.ts"
import { makeCockatielBreaker, makeEffectBreaker, ourOptions } from "./breakers.ts"
import { type Group, prepare } from "./group.ts"

const permits = 100
/** How many times the attempt timeout a whole call may take. */
const patience = 10

const ours = effectSubject("ours", "ours", async ({ retryDelay, timeout }) => {
  // state of its own; nobody listens to its events
  const pipeline = await ManagedRuntime.make(Resilience.layer).runPromise(Pipeline.make("bench", {
    totalTimeout: patience * timeout,
    retry: { times: retries, backoff: { kind: "exponential", base: retryDelay } },
    bulkhead: { concurrency: permits, queue: permits },
    circuitBreaker: ourOptions,
    attemptTimeout: timeout
  }))
  return pipeline.protect
})

const effectParts = effectSubject("peer", "effect's own parts", async ({ retryDelay, timeout }) => {
  const breaker = await makeEffectBreaker()
  const semaphore = Semaphore.makeUnsafe(permits)
  const schedule = Schedule.jittered(Schedule.exponential(retryDelay))
  return (self) =>
    self.pipe(
      Effect.timeout(timeout),
      breaker.execute({ key: "bench" }),
      semaphore.withPermit,
      Effect.retry({ schedule, times: retries, while: (error) => !(error instanceof CircuitBreakerError) }),
      Effect.timeout(patience * timeout)
    )
})

const cockatiel = promiseSubject("peer", "cockatiel", ({ retryDelay, timeout }) => {
  const policy = Cockatiel.wrap(
    Cockatiel.timeout(patience * timeout, Cockatiel.TimeoutStrategy.Aggressive),
    Cockatiel.retry(Cockatiel.handleWhen((error) => !(error instanceof Cockatiel.BrokenCircuitError)), {
      maxAttempts: retries,
      backoff: new Cockatiel.ExponentialBackoff({ initialDelay: retryDelay })
    }),
    Cockatiel.bulkhead(permits, permits),
    makeCockatielBreaker(),
    Cockatiel.timeout(timeout, Cockatiel.TimeoutStrategy.Aggressive)
  )
  return (work) => () => policy.execute(work)
})

const subjects: ReadonlyArray<Subject> = [ours, effectParts, cockatiel]

const around = (work: Work) =>
  prepare([bareEffect, bareFunction, ...subjects], async (subject) => {
    if (subject.role !== "bare") {
      await opens(subject)
      await retriesFailures(subject, true)
      await timesOut(subject)
    }
    const call = await subject.protect(work, measured)
    await answers(subject, call)
    return { loop: call.loop, checkAgain: () => answers(subject, call) }
  })

export const five: Group = {
  name: "five",
  title: "total timeout + retry + bulkhead + breaker + attempt timeout around work that is done at once",
  cases: () => {
    suspends(immediate, false)
    return around(immediate)
  }
}

export const fiveSuspending: Group = {
  name: "five-suspending",
  title: "the same five around a promise that is settled by a later microtask",
  cases: () => {
    suspends(suspending, true)
    return around(suspending)
  }
}
