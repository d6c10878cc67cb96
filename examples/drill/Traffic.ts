/**
 * Open-loop traffic: every call starts at its instant, whatever has become of
 * those before it, as the callers of a real service do. A closed loop would stop
 * asking while the service hangs, and never see most of the outage.
 */
import { Context, Effect, FiberSet, Layer, Random, Result } from "effect"
import { HttpClient } from "effect/http"
import type { Journal } from "./Journal.ts"

/** The instants at which calls are due, in milliseconds: one in each slot of `1000 / rate`, anywhere in it. */
export const schedule = (options: {
  readonly end: number
  readonly rate: number
  readonly seed: number
}): Effect.Effect<ReadonlyArray<number>> => {
  const slot = 1000 / options.rate
  const calls = Math.floor(options.end / slot)
  return Effect.forEach(Array.from({ length: calls }), (_, n) => Effect.map(Random.next, (u) => (n + u) * slot)).pipe(
    Random.withSeed(`${options.seed}/traffic`)
  )
}

/** Counts the requests that are sent for one call. */
const Sent = Context.Reference<{ requests: number } | undefined>("drill/Traffic/Sent", {
  defaultValue: () => undefined
})

/** A client that counts, for the call that is running, the requests it sends. */
export const layerCounting = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.tapRequest(() =>
      Effect.map(Sent, (sent) => {
        if (sent !== undefined) sent.requests++
      })
    )
  )
)

/** Makes the calls at their instants and writes them down. Ends when the last has ended, or after `patience`. */
export const run = Effect.fnUntraced(function*<E>(options: {
  readonly schedule: ReadonlyArray<number>
  readonly seed: number
  readonly call: (n: number) => { readonly operation: string; readonly run: Effect.Effect<boolean, E> }
  readonly journal: Journal
  readonly patience: number
}) {
  const { journal, schedule, seed } = options
  const calls = yield* FiberSet.make<void>()
  for (const [n, due] of schedule.entries()) {
    const wait = due - journal.now()
    if (wait > 0) yield* Effect.sleep(wait)
    const { operation, run } = options.call(n)
    const sent = { requests: 0 }
    let started = due
    yield* Effect.suspend(() => {
      started = journal.now()
      return run
    }).pipe(
      Effect.result,
      Effect.map((result) =>
        journal.call({
          operation,
          due,
          // timers may wake a little early
          started: Math.max(started, due),
          ended: Math.max(journal.now(), due),
          attempts: sent.requests,
          result: Result.isSuccess(result)
            ? { _tag: "Answered", isRight: result.success }
            : { _tag: "Failed", error: result.failure, kind: kindOf(result.failure) }
        })
      ),
      Effect.provideService(Sent, sent),
      // a seed for each call: its jitter does not depend on who happened to draw before it
      Random.withSeed(`${seed}/call ${n}`),
      FiberSet.run(calls)
    )
  }
  yield* Effect.timeoutOption(FiberSet.awaitEmpty(calls), options.patience)
})

const kindOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "unknown"
