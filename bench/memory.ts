/** What is held by things that nothing happens to, and by calls that hang: bytes of the heap, each divided by how many there are. */
import * as Cockatiel from "cockatiel"
import { Bulkhead, CircuitBreaker, Pipeline, Resilience } from "effect-resilience"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ManagedRuntime from "effect/ManagedRuntime"
import Opossum from "opossum"
import { drivenClock } from "./clock.ts"
import { makeCockatielBreaker, makeEffectBreaker, opossumOptions, ourOptions } from "./groups/breakers.ts"
import { immediate } from "./subject.ts"

export const name = "memory"
export const title = "bytes of heap held by what is idle, and by calls that hang"

export interface Row {
  readonly name: string
  readonly role: "ours" | "peer"
  readonly bytes: number
}

export interface Measured {
  readonly group: string
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

/** What is still reachable. What is only weakly held takes another turn of the event loop. */
const heapUsed = async (): Promise<number> => {
  for (let n = 0; n < 2; n++) {
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

interface Subject {
  readonly name: string
  readonly role: Row["role"]
  readonly count: number
  /** Makes all of them, and returns what holds them. */
  readonly make: (names: ReadonlyArray<string>) => Promise<unknown>
  /** Ends what goes on by itself. */
  readonly end?: () => Promise<void>
}

/** Names exist before: they belong to whoever calls. */
const bytesOf = async ({ count, end, make }: Subject): Promise<number> => {
  const names = Array.from({ length: count }, (_, n) => `host-${n}.internal`)
  // what is compiled and cached along the way is there already
  await make(names.slice(0, 100))
  await end?.()
  const before = await heapUsed()
  const held = await make(names)
  const bytes = (await heapUsed() - before) / count
  await end?.()
  // alive until here, both of them
  return held === names ? 0 : bytes
}

/** So many calls under each key, a millisecond apart, and the breaker. */
const keysOf = (options: CircuitBreaker.Options, callsPerKey: number) => (names: ReadonlyArray<string>) => {
  const clock = drivenClock()
  return Effect.runPromise(
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.keyed("bench", { ...options, maxKeys: 2 * names.length })
      for (let call = 0; call < callsPerKey; call++) {
        // a hundred calls fall into all of ten buckets of a second each
        clock.advance(100)
        for (const key of names) yield* breaker.protect(immediate.effect, { key })
      }
      return breaker
    }).pipe(Effect.provideService(Clock.Clock, clock))
  )
}

const rate = { kind: "rate", threshold: 0.5 } as const

const five = {
  totalTimeout: 20_000,
  retry: { times: 3, backoff: { kind: "exponential", base: 200 } },
  bulkhead: { concurrency: 100, queue: 100 },
  circuitBreaker: ourOptions,
  attemptTimeout: 2_000
} as const

const hanging = Effect.callback<number>(() => {})

const inFlight = (
  name: string,
  role: Row["role"],
  protect: () => Promise<(self: Effect.Effect<number>) => Effect.Effect<number, unknown>>
): Subject => {
  let fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = []
  return {
    name,
    role,
    count: 2_000,
    make: async (names) => {
      const effect = (await protect())(hanging)
      return fibers = names.map(() => Effect.runFork(effect))
    },
    end: async () => {
      await Effect.runPromise(Fiber.interruptAll(fibers))
      fibers = []
    }
  }
}

const subjects: ReadonlyArray<Subject> = [
  { name: "breaker key, no window", role: "ours", count: 20_000, make: keysOf(ourOptions, 1) },
  {
    name: "breaker key, window of 100 calls",
    role: "ours",
    count: 2_000,
    make: keysOf({ trip: { ...rate, window: { calls: 100 } } }, 100)
  },
  {
    name: "breaker key, window of 10 buckets",
    role: "ours",
    count: 2_000,
    make: keysOf({ trip: { ...rate, window: { duration: 10_000 } } }, 100)
  },
  {
    name: "effect/persistence/CircuitBreaker, key",
    role: "peer",
    count: 2_000,
    make: async (names) => {
      const breaker = await makeEffectBreaker()
      for (const key of names) await Effect.runPromise(breaker.execute(immediate.effect, { key }))
      return breaker
    }
  },
  {
    name: "cockatiel, breaker",
    role: "peer",
    count: 2_000,
    make: async (names) => {
      const breakers = names.map(makeCockatielBreaker)
      for (const breaker of breakers) await breaker.execute(immediate.promise)
      return breakers
    }
  },
  {
    name: "opossum, breaker",
    role: "peer",
    count: 500,
    make: async (names) => {
      const breakers = names.map(() => new Opossum(immediate.promise, opossumOptions(false)))
      for (const breaker of breakers) await breaker.fire()
      return breakers
    }
  },
  {
    name: "pipeline of five",
    role: "ours",
    count: 2_000,
    make: (names) =>
      ManagedRuntime.make(Resilience.layer).runPromise(Effect.gen(function*() {
        const pipelines = []
        for (const name of names) {
          const pipeline = yield* Pipeline.make(name, five)
          yield* pipeline.protect(immediate.effect)
          pipelines.push(pipeline)
        }
        return pipelines
      }))
  },
  {
    name: "cockatiel, the same five",
    role: "peer",
    count: 2_000,
    make: async (names) => {
      const policies = names.map(() =>
        Cockatiel.wrap(
          Cockatiel.timeout(five.totalTimeout, Cockatiel.TimeoutStrategy.Aggressive),
          Cockatiel.retry(Cockatiel.handleAll, { maxAttempts: five.retry.times }),
          Cockatiel.bulkhead(five.bulkhead.concurrency, five.bulkhead.queue),
          makeCockatielBreaker(),
          Cockatiel.timeout(five.attemptTimeout, Cockatiel.TimeoutStrategy.Aggressive)
        )
      )
      for (const policy of policies) await policy.execute(immediate.promise)
      return policies
    }
  },
  inFlight("bare call in flight", "peer", async () => (self) => self),
  inFlight("call in flight, pipeline of five", "ours", () =>
    ManagedRuntime.make(Resilience.layer).runPromise(
      Effect.map(
        Pipeline.make("bench", { ...five, bulkhead: { concurrency: 2_000, queue: 0 } }),
        ({ protect }) => protect
      )
    )),
  inFlight(
    "call waiting in a bulkhead",
    "ours",
    async () => (await Effect.runPromise(Bulkhead.make("bench", { concurrency: 1, queue: 2_000 }))).protect
  )
]

/** Before anything else is measured, and one after the other. */
export const measure = async (progress: (line: string) => void): Promise<Measured> => {
  progress(`measuring ${name}`)
  const rows: Array<Row> = []
  for (const subject of subjects) {
    rows.push({ name: subject.name, role: subject.role, bytes: Math.round(await bytesOf(subject)) })
  }
  return { group: name, title, rows }
}
