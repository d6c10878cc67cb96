/** What the core's tests share. */
import { assert } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Random, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { CircuitBreaker, Resilience, ResilienceEvent } from "../src/index.ts"
import { Outcome } from "../src/index.ts"

/** An error that says nothing of itself: a retryable failure. */
export class Boom extends Schema.TaggedError<Boom>()("Boom", { n: Schema.Int }) {}

export const boom = Effect.fail(new Boom({ n: 0 }))

/** An error that carries an outcome. */
export class Says extends Schema.TaggedError<Says>()("Says", { what: Schema.String }) {
  [Outcome.symbol]: Outcome.Outcome = Outcome.success
  static of(outcome: Outcome.Outcome): Says {
    const error = new Says({ what: outcome._tag })
    error[Outcome.symbol] = outcome
    return error
  }
}

/** Every draw is `u`. */
export const drawing = (u: number) =>
  Effect.provideService(Random.Random, { nextDoubleUnsafe: () => u, nextIntUnsafe: () => 0 })

/** Random whole numbers below another, and random members of lists. */
export const draws = Effect.gen(function*() {
  const random = yield* Random.Random
  const below = (n: number) => Math.floor(random.nextDoubleUnsafe() * n)
  const pick = <A>(all: ReadonlyArray<A>): A => present(all[below(all.length)])
  return { below, pick }
})

/** So many turns of the scheduler. */
export const pauses = (n: number) => Effect.forEach(Array.from({ length: n }), () => Effect.yieldNow, { discard: true })

/** Lets others run until something holds, for 20,000 turns at most. */
export const until = (holds: () => boolean) =>
  Effect.gen(function*() {
    for (let turns = 0; turns < 20_000 && !holds(); turns++) yield* Effect.yieldNow
  })

/** Milliseconds of the test clock. */
export const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Work that is given the number of its run, from 1, and remembers when its runs began. */
export const recorded = <A, E, R>(run: (n: number) => Effect.Effect<A, E, R>) => {
  const starts: Array<number> = []
  const work = Effect.flatMap(now, (at) => Effect.suspend(() => run(starts.push(at))))
  return { work, starts }
}

/** Work that always fails, and remembers when. */
export const failing = () => recorded((n) => Effect.fail(new Boom({ n })))

/** The waits between starts. */
export const waits = (starts: ReadonlyArray<number>) => starts.slice(1).map((at, n) => at - present(starts[n]))

/** How an effect ended, and when. */
export interface Ended<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly at: number
}

export const ended = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Ended<A, E>, never, R> =>
  Effect.flatMap(Effect.exit(self), (exit) => Effect.map(now, (at) => ({ exit, at })))

/** Starts an effect in the background, as far as it gets without waiting. */
export const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Drives an effect to its end by moving the test clock on by `duration`; it must have ended by then. */
export const drive = <A, E, R>(self: Effect.Effect<A, E, R>, duration: `${number} ${"seconds" | "days"}` = "1 days") =>
  Effect.gen(function*() {
    const fiber = yield* start(ended(self))
    yield* TestClock.adjust(duration)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) {
      yield* Fiber.interrupt(fiber)
      return yield* Effect.die(new Error(`still running after ${duration}`))
    }
    return yield* exit
  })

/** What an exit says, briefly: a success's value, an error's tag, "die" or "interrupt". */
export const brief = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  if (Cause.hasDies(exit.cause)) return "die"
  const error = Cause.findError(exit.cause)
  if (Result.isFailure(error)) return "interrupt"
  return typeof error.success === "object" && error.success !== null && "_tag" in error.success
    ? error.success._tag
    : error.success
}

/** The error of an exit that must have failed with one. */
export const errorOf = <E>(exit: Exit.Exit<unknown, E>): E => {
  if (Exit.isSuccess(exit)) throw new Error("it has succeeded")
  const error = Cause.findError(exit.cause)
  if (Result.isFailure(error)) throw new Error("it has no typed error")
  return error.success
}

/** Lets results pass a breaker one after another: `F` fails, `S` succeeds, `I` is ignored, `O` an overload. */
export const feed = (breaker: CircuitBreaker.CircuitBreaker, script: string) =>
  Effect.forEach(
    script.replaceAll(" ", ""),
    (letter) => Effect.exit(breaker.protect(result(letter))),
    { discard: true }
  )

const result = (letter: string): Effect.Effect<void, Boom | Says> => {
  switch (letter) {
    case "S":
      return Effect.void
    case "F":
      return boom
    case "I":
      return Effect.fail(Says.of(Outcome.ignored))
    case "O":
      return Effect.fail(Says.of(Outcome.overload()))
  }
  return Effect.die(new Error(`no such result: ${letter}`))
}

/** The phase that a breaker is in. */
export const stateOf = (breaker: CircuitBreaker.CircuitBreaker) => Effect.map(breaker.snapshot, ({ state }) => state)

/** Whether a breaker lets a call through that succeeds. */
export const admits = (breaker: CircuitBreaker.CircuitBreaker) =>
  Effect.map(Effect.exit(breaker.protect(Effect.void)), Exit.isSuccess)

/** A clock that stands still until it is told otherwise. Its sleepers wait for ever, unless `sleep` says what becomes of them. */
export const manualClock = (sleep: (millis: number) => Effect.Effect<void> = () => Effect.never) => {
  let monotonic = 0
  let wall = 0
  const nanos = (millis: number) => BigInt(Math.round(millis * 1e6))
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => wall,
    currentTimeMillis: Effect.sync(() => wall),
    currentTimeNanosUnsafe: () => nanos(wall),
    currentTimeNanos: Effect.sync(() => nanos(wall)),
    monotonicTimeNanosUnsafe: () => nanos(monotonic),
    monotonicTimeNanos: Effect.sync(() => nanos(monotonic)),
    sleep: (duration) => sleep(Duration.toMillis(duration))
  }
  return {
    clock,
    now: () => monotonic,
    /** Time passes. */
    wait: (millis: number) => {
      monotonic += millis
      wall += millis
    },
    /** Somebody sets the wall clock, and no time passes. */
    setWall: (millis: number) => {
      wall = millis
    }
  }
}

/** Everything that a service tells from now on, but for the ends of attempts and of calls unless these are wanted. */
export const listen = Effect.fnUntraced(function*(
  resilience: Resilience.Resilience["Service"],
  wanted: { readonly attempts?: boolean; readonly calls?: boolean } = {}
) {
  const events: Array<ResilienceEvent.ResilienceEvent> = []
  const told = Stream.filter(
    resilience.events,
    ({ _tag }) => _tag === "Attempted" ? wanted.attempts === true : _tag !== "CallEnded" || wanted.calls === true
  )
  yield* start(Stream.runForEach(told, (event) => Effect.sync(() => events.push(event))))
  return events
})

/** What must be there. */
export const present = <A>(value: A | undefined): A => {
  if (value === undefined) throw new Error("it is not there")
  return value
}

/** Each of these must throw a `RangeError` that says so. */
export const assertRefused = (table: ReadonlyArray<readonly [make: () => unknown, message: string]>): void => {
  for (const [make, message] of table) {
    try {
      make()
    } catch (error) {
      assert.instanceOf(error, RangeError)
      assert.include(error.message, message)
      continue
    }
    assert.fail(`it was accepted: ${message}`)
  }
}
