import * as Cockatiel from "cockatiel"
import { Pipeline, Resilience } from "effect-resilience"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { CircuitBreakerError } from "effect/persistence/CircuitBreaker"
import * as Schedule from "effect/Schedule"
import Opossum from "opossum"
import { answers, opens, retriesFailures, suspends, timesOut } from "../check.ts"
import {
  bareEffect,
  bareFunction,
  effectSubject,
  immediate,
  measured,
  type Options,
  promiseSubject,
  retries,
  type Subject,
  suspending,
  type Work
} from "../subject.ts"
import { makeCockatielBreaker, makeEffectBreaker, opossumOptions, ourOptions } from "./breakers.ts"
import { type Group, prepare } from "./group.ts"

const pipelineOptions = ({ retryDelay, timeout }: Options) => ({
  retry: { times: retries, backoff: { kind: "exponential", base: retryDelay } },
  circuitBreaker: ourOptions,
  attemptTimeout: timeout
} as const)

/** State of its own for every pipeline. Nobody listens to its events. */
const makePipeline = <const O extends Pipeline.Options>(options: O & Pipeline.OnlyKnownKeys<O>) =>
  ManagedRuntime.make(Resilience.layer).runPromise(Pipeline.make<O>("bench", options))

const ours = effectSubject("ours", "ours", async (options) => (await makePipeline(pipelineOptions(options))).protect)

/** Not what the peers do, but what most callers have. */
const oursWithTotal = effectSubject(
  "peer",
  "ours, and a total timeout",
  async (options) => (await makePipeline({ ...pipelineOptions(options), totalTimeout: 10 * options.timeout })).protect
)

const effectParts = effectSubject("peer", "effect's own parts", async ({ retryDelay, timeout }) => {
  const breaker = await makeEffectBreaker()
  const schedule = Schedule.jittered(Schedule.exponential(retryDelay))
  return (self) =>
    self.pipe(
      Effect.timeout(timeout),
      breaker.execute({ key: "bench" }),
      Effect.retry({ schedule, times: retries, while: (error) => !(error instanceof CircuitBreakerError) })
    )
})

/** Its aggressive timeout is the one that lets go of work that hangs, as an interrupt does. */
const cockatiel = promiseSubject("peer", "cockatiel", ({ retryDelay, timeout }) => {
  const policy = Cockatiel.wrap(
    Cockatiel.retry(Cockatiel.handleWhen((error) => !(error instanceof Cockatiel.BrokenCircuitError)), {
      maxAttempts: retries,
      backoff: new Cockatiel.ExponentialBackoff({ initialDelay: retryDelay })
    }),
    makeCockatielBreaker(),
    Cockatiel.timeout(timeout, Cockatiel.TimeoutStrategy.Aggressive)
  )
  return (work) => () => policy.execute(work)
})

const opossum = promiseSubject("peer", "opossum (has no retry)", ({ timeout }) => (work) => {
  const breaker = new Opossum(work, opossumOptions(timeout))
  return () => breaker.fire()
})

const stacks: ReadonlyArray<Subject> = [ours, oursWithTotal, effectParts, cockatiel, opossum]

const around = (work: Work) =>
  prepare([bareEffect, bareFunction, ...stacks], async (subject) => {
    if (subject.role !== "bare") {
      await opens(subject)
      await retriesFailures(subject, subject !== opossum)
      await timesOut(subject)
    }
    const call = await subject.protect(work, measured)
    await answers(subject, call)
    return { loop: call.loop, checkAgain: () => answers(subject, call) }
  })

export const stack: Group = {
  name: "stack",
  title: "retry + breaker + timeout around work that is done at once",
  cases: () => {
    suspends(immediate, false)
    return around(immediate)
  }
}

export const stackSuspending: Group = {
  name: "stack-suspending",
  title: "retry + breaker + timeout around a promise that is settled by a later microtask",
  cases: () => {
    suspends(suspending, true)
    return around(suspending)
  }
}
