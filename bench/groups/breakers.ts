/** The breakers that are compared, each alone, with the same options. */
import * as Cockatiel from "cockatiel"
import { CircuitBreaker } from "effect-resilience"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as EffectBreaker from "effect/persistence/CircuitBreaker"
import Opossum from "opossum"
import { effectSubject, failuresToOpen, openMillis, promiseSubject, type Subject } from "../subject.ts"

export const ourOptions = {
  trip: { kind: "consecutive", failures: failuresToOpen },
  open: openMillis
} as const

/** Its state lives in a layer that must outlive the calls; nothing in it needs closing. */
export const makeEffectBreaker = (): Promise<EffectBreaker.CircuitBreaker> =>
  ManagedRuntime.make(
    EffectBreaker.layer({ tripPolicy: EffectBreaker.consecutive(failuresToOpen), openDuration: openMillis }).pipe(
      Layer.provide(EffectBreaker.layerStoreMemory())
    )
  ).runPromise(EffectBreaker.CircuitBreaker)

export const makeCockatielBreaker = (): Cockatiel.CircuitBreakerPolicy =>
  Cockatiel.circuitBreaker(Cockatiel.handleAll, {
    breaker: new Cockatiel.ConsecutiveBreaker(failuresToOpen),
    halfOpenAfter: openMillis
  })

/**
 * Opossum cannot count consecutive failures: its breaker opens at a share of
 * failures. Its latency statistics are off, and with them an array entry per
 * call that is sorted every second: no other breaker here keeps any.
 */
export const opossumOptions = (timeout: number | false): Opossum.Options => ({
  timeout,
  volumeThreshold: failuresToOpen,
  errorThresholdPercentage: 50,
  resetTimeout: openMillis,
  rollingPercentilesEnabled: false,
  enableSnapshots: false
})

export const breakers: ReadonlyArray<Subject> = [
  effectSubject(
    "ours",
    "ours",
    async () => (await Effect.runPromise(CircuitBreaker.make("bench", ourOptions))).protect
  ),
  effectSubject("peer", "effect/persistence/CircuitBreaker", async () => {
    const breaker = await makeEffectBreaker()
    return (self) => breaker.execute(self, { key: "bench" })
  }),
  promiseSubject("peer", "cockatiel", () => {
    const breaker = makeCockatielBreaker()
    return (work) => () => breaker.execute(work)
  }),
  promiseSubject("peer", "opossum", () => (work) => {
    const breaker = new Opossum(work, opossumOptions(false))
    return () => breaker.fire()
  })
]
