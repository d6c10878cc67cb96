/** What a call costs where there is much of something: keys, calls in a window, waiters. */
import * as Cockatiel from "cockatiel"
import { Bulkhead, CircuitBreaker } from "effect-resilience"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import assert from "node:assert/strict"
import { drivenClock } from "../clock.ts"
import {
  answer,
  bareEffect,
  bareFunction,
  type Call,
  effectLoop,
  effectSubject,
  immediate,
  measured,
  promiseSubject,
  suspending,
  type Work
} from "../subject.ts"
import { makeEffectBreaker, ourOptions } from "./breakers.ts"
import { type Case, type Group, prepare } from "./group.ts"

const runOnce = <A>(effect: Effect.Effect<A, unknown>): Promise<A> => Effect.runPromise(effect)

const effectRow = (role: Case["subject"]["role"], name: string, loop: Case["loop"], checkAgain: Case["checkAgain"]) =>
  ({ subject: { role, name, family: "effect" }, loop, checkAgain }) satisfies Case

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

const namesOf = (keys: number): ReadonlyArray<string> => Array.from({ length: keys }, (_, n) => `host-${n}.internal`)

/** Coprime to the numbers of keys, so that all of them have their turn, and none is next to the one before. */
const stride = 48_271

/** Of what lies side by side in memory, nothing is used one after the other. */
const scattered = (names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.map((_, n) => names[n * stride % names.length] ?? "")

type UnderKey = (key: string) => Effect.Effect<number, unknown>

/** Calls under one key after the other, over and over. */
const inTurn = (names: ReadonlyArray<string>, protect: UnderKey): Case["loop"] => {
  let at = -1
  return effectLoop(() => {
    at = at + 1 === names.length ? 0 : at + 1
    return protect(names[at] ?? "")
  })
}

const counted = (keys: number): string => `${keys.toLocaleString("en-US")} ${keys === 1 ? "key" : "keys"}`

const keyedCase = async (keys: number, isScattered = false): Promise<Case> => {
  const breaker = await runOnce(CircuitBreaker.keyed("bench", { ...ourOptions, maxKeys: 2 * keys }))
  const names = namesOf(keys)
  const protect: UnderKey = (key) => breaker.protect(immediate.effect, { key })
  await inTurn(names, protect)(keys)
  const check = async () => {
    assert.equal((await runOnce(breaker.keys)).length, keys, "keyed breaker: another number of keys")
  }
  await check()
  return isScattered
    ? effectRow("ours", `${counted(keys)}, scattered`, inTurn(scattered(names), protect), check)
    : effectRow("ours", counted(keys), inTurn(names, protect), check)
}

const effectKeyedCase = async (keys: number): Promise<Case> => {
  const breaker = await makeEffectBreaker()
  const loop = inTurn(namesOf(keys), (key) => breaker.execute(immediate.effect, { key }))
  await loop(keys)
  return effectRow("peer", `effect/persistence/CircuitBreaker, ${counted(keys)}`, loop, async () => {})
}

export const keyed: Group = {
  name: "keys",
  title: "closed keyed breaker, one key after the other in the order of their first use, or scattered",
  cases: async () => [
    effectRow("bare", "bare effect", inTurn(namesOf(1_000), () => immediate.effect), async () => {}),
    await keyedCase(1),
    await keyedCase(1_000),
    await effectKeyedCase(1_000),
    await keyedCase(100_000),
    await keyedCase(100_000, true)
  ]
}

// -----------------------------------------------------------------------------
// calls in a window of time
// -----------------------------------------------------------------------------

const windowMillis = 10_000

/** Calls so many times a second, by a clock that is moved on before each. */
const atRate = (perSecond: number, self: Effect.Effect<number, unknown>) => {
  const clock = drivenClock()
  const loop = (calls: number): Promise<void> => {
    let made = 0
    return runOnce(
      // the clock belongs to the whole loop
      Effect.provideService(
        Effect.whileLoop({
          while: () => made++ < calls,
          body: () => {
            clock.advance(1_000 / perSecond)
            return self
          },
          step: () => {}
        }),
        Clock.Clock,
        clock
      )
    )
  }
  return { clock, loop }
}

const windowCase = async (perSecond: number): Promise<Case> => {
  const breaker = await runOnce(CircuitBreaker.make("bench", {
    trip: { kind: "rate", threshold: 0.5, window: { duration: windowMillis } }
  }))
  const { clock, loop } = atRate(perSecond, breaker.protect(immediate.effect))
  const full = perSecond * windowMillis / 1_000
  await loop(2 * full)
  const check = async () => {
    const { windows } = await runOnce(Effect.provideService(breaker.snapshot, Clock.Clock, clock))
    const calls = windows[0]?.calls ?? 0
    // the oldest tenth goes at once
    assert.ok(calls > 0.89 * full && calls <= full, `a window with ${calls} calls in it`)
  }
  await check()
  return effectRow("ours", `${perSecond.toLocaleString("en-US")} calls a second`, loop, check)
}

export const window: Group = {
  name: "window",
  title: "closed breaker with a window of 10 seconds, by a clock that is moved on with each call",
  cases: async () => [
    effectRow("bare", "bare effect", atRate(1_000, immediate.effect).loop, async () => {}),
    await windowCase(10),
    await windowCase(10_000)
  ]
}

// -----------------------------------------------------------------------------
// waiters
// -----------------------------------------------------------------------------

const permits = 100
const waiters = 10_000

/** All calls at once. */
const crowd = ({ once }: Call) => async (calls: number): Promise<void> => {
  await Promise.all(Array.from({ length: calls }, once))
}

const limits = [
  effectSubject(
    "ours",
    "ours",
    async () => (await runOnce(Bulkhead.make("bench", { concurrency: permits, queue: waiters }))).protect
  ),
  effectSubject("peer", "effect's semaphore", () => Semaphore.makeUnsafe(permits).withPermit),
  promiseSubject("peer", "cockatiel", () => {
    const policy = Cockatiel.bulkhead(permits, waiters)
    return (work) => () => policy.execute(work)
  })
]

/** Work that suspends, and sees how many of it run at a time. */
const counting = (): { readonly work: Work; readonly most: () => number } => {
  let running = 0
  let most = 0
  const promise = async () => {
    most = Math.max(most, ++running)
    await Promise.resolve()
    running--
    return answer
  }
  return { work: { effect: Effect.promise(promise), promise }, most: () => most }
}

export const contention: Group = {
  name: "contention",
  title: "bulkhead of 100 with 10,000 calls waiting, each a promise that is settled by a later microtask",
  cases: () =>
    prepare([bareEffect, bareFunction, ...limits], async (subject) => {
      const calls = permits + waiters
      const check = async () => {
        const { most, work } = counting()
        await crowd(await subject.protect(work, measured))(calls)
        assert.equal(most(), subject.role === "bare" ? calls : permits, `${subject.name}: so many run at a time`)
      }
      await check()
      return { loop: crowd(await subject.protect(suspending, measured)), calls, checkAgain: check }
    })
}
