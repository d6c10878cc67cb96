/** The five parts that most pipelines have, in the same order for all: total timeout, retry, bulkhead, breaker, attempt timeout. */
import * as Cockatiel from "cockatiel"
import { Pipeline, Resilience } from "effect-resilience"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { CircuitBreakerError } from "effect/persistence/CircuitBreaker"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import Opossum from "opossum"
import { answers, opens, retriesFailures, suspends, timesOut } from "../check.ts"
import {
  bareEffect,
  bareFunction,
  type Call,
  effectSubject,
  immediate,
  measured,
  promiseSubject,
  retries,
  type Subject,
  suspending,
  type Work
} from "../subject.ts"
import { makeCockatielBreaker, makeEffectBreaker, opossumOptions, ourOptions } from "./breakers.ts"
import { type Case, type Group, prepare } from "./group.ts"

const permits = 100
/** How many times the attempt timeout a whole call may take. */
const patience = 10

/** State of its own, with whatever is there to listen to its events. */
export const ourFive = <A, E>(
  name: string,
  listening: Layer.Layer<A, E, Resilience.Resilience>
): Subject =>
  effectSubject("ours", name, async ({ retryDelay, timeout }) => {
    const runtime = ManagedRuntime.make(Layer.provideMerge(listening, Resilience.layer))
    const pipeline = await runtime.runPromise(Pipeline.make("bench", {
      totalTimeout: patience * timeout,
      retry: { times: retries, backoff: { kind: "exponential", base: retryDelay } },
      bulkhead: { concurrency: permits, queue: permits },
      circuitBreaker: ourOptions,
      attemptTimeout: timeout
    }))
    return pipeline.protect
  })

const ours = ourFive("ours", Layer.empty)

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

const opossum = promiseSubject("peer", "opossum (no retry, one timeout)", ({ timeout }) => (work) => {
  const breaker = new Opossum(work, { ...opossumOptions(timeout), capacity: permits })
  return () => breaker.fire()
})

const subjects: ReadonlyArray<Subject> = [ours, effectParts, cockatiel, opossum]

/** A loop over calls that are begun from outside of Effect. */
const fromOutside = ({ once }: Call) => async (calls: number): Promise<void> => {
  for (let made = 0; made < calls; made++) await once()
}

const around = (work: Work, loopOf: (call: Call) => Case["loop"] = ({ loop }) => loop) =>
  prepare([bareEffect, bareFunction, ...subjects], async (subject) => {
    if (subject.role !== "bare") {
      await opens(subject)
      await retriesFailures(subject, subject !== opossum)
      await timesOut(subject)
    }
    const call = await subject.protect(work, measured)
    await answers(subject, call)
    return { loop: loopOf(call), checkAgain: () => answers(subject, call) }
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

export const fiveFromOutside: Group = {
  name: "five-run-promise",
  title: "the same five around work that is done at once, one Effect.runPromise per call",
  cases: () => around(immediate, fromOutside)
}
