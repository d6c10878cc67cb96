/**
 * What is compared: something that protects work. All subjects meet the same
 * work and the same options, and are called in one of two loops, one per family.
 */
import * as Effect from "effect/Effect"

/** The same work in both shapes. */
export interface Work {
  readonly effect: Effect.Effect<number, WorkFailed>
  readonly promise: () => Promise<number>
}

export class WorkFailed extends Error {
  override readonly name = "WorkFailed"
}

export const answer = 42

/** Work that is done at once. */
export const immediate: Work = {
  effect: Effect.sync(() => answer),
  promise: async () => answer
}

const later = (): Promise<number> => Promise.resolve().then(() => answer)

/** Work that suspends: a promise that is settled by a later microtask. */
export const suspending: Work = {
  effect: Effect.promise(later),
  promise: later
}

/** Durations in milliseconds. */
export interface Options {
  readonly timeout: number
  readonly retryDelay: number
}

/** Far from being reached while measuring. */
export const measured: Options = { timeout: 2_000, retryDelay: 200 }

/** Soon reached, to see that retries and timeouts are really there. */
export const hasty: Options = { timeout: 20, retryDelay: 1 }

/** Common to all breakers. Refusals are measured for longer than any library's default open time. */
export const failuresToOpen = 5
export const openMillis = 3_600_000
export const retries = 3

/** Protected work: called once, to see what it does, and many times, to be measured. */
export interface Call {
  readonly once: () => Promise<number>
  readonly loop: (calls: number) => Promise<unknown>
  /** The same for calls that fail; failures are dropped. */
  readonly failingLoop: (calls: number) => Promise<unknown>
}

export type Role = "bare" | "ours" | "peer"

export interface Subject {
  readonly name: string
  readonly role: Role
  /** What is bare for it. */
  readonly family: "effect" | "promise"
  /** A new policy around the work, with state of its own. */
  readonly protect: (work: Work, options: Options) => Promise<Call>
}

/**
 * Calls effects over and over within one fiber. `runPromise` costs microseconds
 * and is no part of an operation inside a program, so it is paid once per loop.
 */
export const effectLoop = (next: () => Effect.Effect<unknown, unknown>) => (calls: number): Promise<unknown> =>
  Effect.runPromise(Effect.suspend(() => {
    let made = 0
    return Effect.whileLoop({
      while: () => made < calls,
      body: next,
      step: () => {
        made++
      }
    })
  }))

type EffectPolicy = (self: Effect.Effect<number, WorkFailed>) => Effect.Effect<number, unknown>

export const effectSubject = (
  role: Role,
  name: string,
  make: (options: Options) => EffectPolicy | Promise<EffectPolicy>
): Subject => ({
  name,
  role,
  family: "effect",
  protect: async (work, options) => {
    const effect = (await make(options))(work.effect)
    const failing = Effect.exit(effect)
    return {
      once: () => Effect.runPromise(effect),
      loop: effectLoop(() => effect),
      failingLoop: effectLoop(() => failing)
    }
  }
})

type PromisePolicy = (work: () => Promise<number>) => () => Promise<number>

export const promiseSubject = (role: Role, name: string, make: (options: Options) => PromisePolicy): Subject => ({
  name,
  role,
  family: "promise",
  protect: async (work, options) => {
    const call = make(options)(work.promise)
    return {
      once: call,
      loop: async (calls) => {
        for (let made = 0; made < calls; made++) await call()
      },
      failingLoop: async (calls) => {
        for (let made = 0; made < calls; made++) {
          try {
            await call()
          } catch {
            // as it should
          }
        }
      }
    }
  }
})

export const bareEffect = effectSubject("bare", "bare effect", () => (self) => self)
export const bareFunction = promiseSubject("bare", "bare async function", () => (work) => work)
