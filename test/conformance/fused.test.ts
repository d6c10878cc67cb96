import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, type Exit, Fiber, Predicate, Random, Schedule, Tracer } from "effect"
import { TestClock } from "effect/testing"
import {
  type CircuitBreaker,
  Deadline,
  Fallback,
  Outcome,
  Pipeline,
  Replay,
  Resilience,
  type ResilienceEvent
} from "../../src/index.ts"
import * as live from "../../src/internal/livePipeline.ts"
import { Boom, brief, draws, ended, listen, now, pauses, present, Says, start } from "../support.ts"

// No two things happen at the same instant: work takes multiples of 10 ms, limits do not, and each call begins a little
// off. Which timer comes first at one instant is no part of what a pipeline means.

/** What becomes of one attempt. */
type Work =
  | "answers"
  | "answers later"
  | "answers wrongly"
  | "fails"
  | "fails later"
  | "dies"
  | "dies later"
  | "asks for time"
  | "is overloaded"
  | "is refused"
  | "hangs"
  | "hangs and cleans up"
  | "cannot be interrupted"
  | "interrupts itself"
  | "commits itself"
  | "leaves a child"

const works: ReadonlyArray<Work> = [
  "answers",
  "answers",
  "answers later",
  "answers wrongly",
  "fails",
  "fails",
  "fails",
  "fails later",
  "fails later",
  "dies",
  "dies later",
  "asks for time",
  "is overloaded",
  "is refused",
  "hangs",
  "hangs",
  "hangs and cleans up",
  "cannot be interrupted",
  "interrupts itself",
  "commits itself",
  "leaves a child"
]

/** One call of a script, and what happens to it from outside. */
interface Scripted {
  readonly at: number
  readonly works: ReadonlyArray<readonly [work: Work, millis: number]>
  readonly interruptedAfter: number | undefined
  readonly deadline: number | undefined
  readonly options: Pipeline.CallOptions<string, Boom | Says>
  readonly isUninterruptible: boolean
  readonly hasFallback: boolean
}

/** Somebody holds the breaker in a mode for a while, resets it, or changes the options. */
interface Intervention {
  readonly at: number
  readonly what: "forceOpen" | "forceClosed" | "disable" | "metricsOnly" | "reset" | "reconfigure"
  readonly millis: number
}

interface Script {
  readonly options: Pipeline.Options
  readonly calls: ReadonlyArray<Scripted>
  readonly interventions: ReadonlyArray<Intervention>
  readonly listens: boolean
}

const writeScript = Effect.gen(function*() {
  const { below, pick } = yield* draws
  const oneIn = (n: number) => below(n) === 0
  const backoff = pick<Pipeline.Options["retry"] & object>([
    { backoff: { kind: "constant", delay: 30 }, jitter: "none" },
    { backoff: { kind: "exponential", base: 20, cap: 200 }, jitter: "full" },
    { backoff: { kind: "decorrelated", base: 10 } },
    { backoff: (retry: number) => 40 * retry },
    { backoff: () => 0 },
    { backoff: Schedule.spaced("25 millis") }
  ])
  const isKeyed = oneIn(3)
  const breaker = {
    trip: pick<CircuitBreaker.Trip>([
      { kind: "consecutive", failures: 2 },
      { kind: "consecutive", failures: 3, forgetAfter: "1 second" },
      { kind: "rate", threshold: 0.5, minimumCalls: 4, window: { calls: 8 } },
      { kind: "slow", threshold: 0.5, minimumCalls: 3, slowerThan: 111, window: { calls: 6 } },
      { kind: "rate", threshold: 0.5, minimumCalls: 4, window: { duration: "1 second" } }
    ]),
    open: pick([123, 333, 1_777]),
    halfOpen: pick([{}, { calls: 3, successes: 2, concurrent: 2 }, { maxDuration: 201 }])
  }
  const options: Pipeline.Options = {
    ...(oneIn(3) ? {} : { totalTimeout: pick([307, 703, 2_003]) }),
    ...(oneIn(4) ? {} : {
      retry: {
        times: below(5),
        ...backoff,
        ...(oneIn(4) ? { onExhausted: "wrap" } : {}),
        ...(oneIn(4) ? { retryCircuitOpen: true } : {}),
        ...(oneIn(5) ? { retryOn: ["Boom", "TimedOut"] } : {}),
        ...(oneIn(5) ? { maxElapsed: 501 } : {}),
        ...(oneIn(5) ? { maxRetryAfter: 50 } : {})
      }
    }),
    ...(oneIn(3) ? { retryBudget: { share: 0.5, minimum: below(3) } } : {}),
    ...(oneIn(3) ? {} : { bulkhead: { concurrency: 1 + below(3), queue: below(3) + 1, ...pick([{}, { wait: 59 }]) } }),
    ...(oneIn(4) ? {} : isKeyed ? { keyedCircuitBreaker: breaker } : { circuitBreaker: breaker }),
    ...(oneIn(3) ? {} : { attemptTimeout: pick([107, 211, 997]) }),
    ...(oneIn(5) ?
      {
        classify: (exit: Exit.Exit<unknown, unknown>) =>
          exit._tag === "Success" && exit.value === "wrong" ? Outcome.failure() : undefined
      } :
      {})
  }
  const calls = Array.from({ length: 3 + below(10) }, (_, n): Scripted => ({
    at: 10 * below(120) + 0.37 * n,
    works: Array.from({ length: 6 }, () => [pick(works), 10 * (1 + below(30))] as const),
    interruptedAfter: oneIn(4) ? 1 + 10 * below(40) + 4 : undefined,
    deadline: oneIn(5) ? pick([151, 409, 611]) : undefined,
    isUninterruptible: oneIn(8),
    hasFallback: oneIn(6),
    options: {
      operation: pick(["", "read", "write"]),
      ...pick([{}, { key: "a" }, { key: "b" }]),
      ...(oneIn(6) ? { idempotent: false } : {}),
      ...(oneIn(4) ? { retryIf: (result: string) => result === "wrong" } : {}),
      ...(oneIn(6) ? { onRetry: () => Effect.sleep(pick([0, 13, 10_000])) } : {})
    }
  }))
  const interventions = Array.from({ length: oneIn(2) ? below(4) : 0 }, (): Intervention => ({
    at: 10 * below(120) + 6,
    what: pick<Intervention["what"]>(["forceOpen", "forceClosed", "disable", "metricsOnly", "reset", "reconfigure"]),
    millis: 10 * below(60) + 1
  }))
  return { options, calls, interventions, listens: !oneIn(4) } satisfies Script
})

/** Work that does what it is told, and writes down what becomes of it. */
const perform = (works: Scripted["works"], note: (what: string) => Effect.Effect<void>) => {
  let run = 0
  return Effect.suspend((): Effect.Effect<string, Boom | Says> => {
    const n = run++
    const [work, millis] = works[n] ?? ["answers", 0]
    const noted = (self: Effect.Effect<string, Boom | Says>) =>
      Effect.andThen(note(`${n} ${work}`), Effect.onExit(self, (exit) => note(`${n} ended ${String(brief(exit))}`)))
    const later = Effect.sleep(millis)
    switch (work) {
      case "answers":
        return noted(Effect.succeed("answer"))
      case "answers later":
        return noted(Effect.as(later, "late"))
      case "answers wrongly":
        return noted(Effect.succeed("wrong"))
      case "fails":
        return noted(Effect.fail(new Boom({ n })))
      case "fails later":
        return noted(Effect.andThen(later, Effect.fail(new Boom({ n }))))
      case "dies":
        return noted(Effect.die("bug"))
      case "dies later":
        return noted(Effect.andThen(later, Effect.die("bug")))
      case "asks for time":
        return noted(Effect.fail(Says.of(Outcome.overload({ retryAfter: millis }))))
      case "is overloaded":
        return noted(Effect.andThen(later, Effect.fail(Says.of(Outcome.overload()))))
      case "is refused":
        return noted(Effect.fail(Says.of(Outcome.ignored)))
      case "hangs":
        return noted(Effect.never)
      case "hangs and cleans up":
        return noted(Effect.onInterrupt(Effect.never, () => Effect.sleep(7)))
      case "cannot be interrupted":
        return noted(Effect.uninterruptible(Effect.as(later, "stubborn")))
      case "interrupts itself":
        return noted(Effect.interrupt)
      case "commits itself":
        return noted(Effect.andThen(Replay.commit, Effect.andThen(later, Effect.fail(new Boom({ n })))))
      case "leaves a child":
        return noted(Effect.andThen(
          Effect.forkChild(Effect.onInterrupt(Effect.never, () => note(`${n} child ended`)), {
            startImmediately: true
          }),
          Effect.fail(new Boom({ n }))
        ))
    }
  })
}

/**
 * What a caller gets. One that was interrupted may see besides what a limit had cut
 * short by then. Of two deadlines at one instant, it does not matter which says so.
 */
const result = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return String(exit.value)
  return Cause.hasInterrupts(exit.cause)
    ? "interrupt"
    : `${String(brief(exit))} ${exit.cause}`.replace(/DeadlineExceeded: \w+/, "DeadlineExceeded")
}

/** All that can be seen of a script that is played. */
const play = (script: Script, fuses: boolean) =>
  Effect.gen(function*() {
    const resilience = yield* Resilience.Resilience
    const events: ReadonlyArray<ResilienceEvent.ResilienceEvent> = script.listens
      ? yield* listen(resilience, { attempts: true, calls: true })
      : []
    const pipeline = yield* live.make(Pipeline.settings("p", script.options), fuses)
    const seen: Array<string> = []
    const note = (who: string) => (what: string) =>
      Effect.map(now, (at) => {
        seen.push(`${Math.round(at * 1_000) / 1_000} ${who} ${what}`)
      })
    const calls = yield* Effect.forEach(script.calls, (call, n) =>
      Effect.gen(function*() {
        const noteOwn = note(`call ${n}`)
        const work = perform(call.works, noteOwn)
        const fallback = Fallback.on(["CircuitOpen", "BulkheadFull"], Fallback.value("instead"))
        const guarded: Effect.Effect<string, unknown> = call.hasFallback
          ? pipeline.protect(work, { ...call.options, fallback })
          : pipeline.protect(work, call.options)
        const within = call.deadline === undefined ? guarded : guarded.pipe(Deadline.within(call.deadline))
        // one that hangs and cannot be interrupted is left behind
        const fiber = yield* Effect.forkDetach(
          Effect.sleep(call.at).pipe(
            Effect.andThen(call.isUninterruptible ? Effect.uninterruptible(within) : within),
            Effect.onExit((exit) => noteOwn(`got ${result(exit)}`)),
            ended
          ),
          { startImmediately: true }
        )
        if (call.interruptedAfter !== undefined) {
          const { interruptedAfter } = call
          yield* start(Effect.andThen(Effect.sleep(call.at + interruptedAfter), Fiber.interrupt(fiber)))
        }
        return fiber
      }))
    const guard = pipeline.circuitBreaker
    for (const { at, millis, what } of script.interventions) {
      const act = what === "reconfigure"
        ? pipeline.reconfigure({ idempotent: at % 20 === 6 })
        : guard === undefined
        ? Effect.void
        : what === "reset"
        ? guard.reset
        : Effect.scoped(Effect.andThen(guard[what], Effect.sleep(millis)))
      yield* start(Effect.andThen(Effect.sleep(at), act))
    }
    for (let step = 0; step < 120; step++) {
      yield* TestClock.adjust(50)
      yield* pauses(3)
    }
    const exits = calls.map((fiber) => {
      const exit = fiber.pollUnsafe()
      return exit === undefined ? "still running" : exit._tag === "Success" ? exit.value.at : String(exit.cause)
    })
    for (const fiber of calls) fiber.interruptUnsafe()
    yield* pauses(3)
    const snapshots = yield* resilience.snapshots
    if (script.listens) {
      const ends = events.filter(({ _tag }) => _tag === "CallEnded").length
      assert.strictEqual(ends, (yield* pipeline.counts).calls)
    }
    return { seen, exits, events: [...events], snapshots }
  }).pipe(Effect.provide(Resilience.layer))

// Of interruptions, it does not matter by whom. Where the limit of a call cuts an attempt, it does not matter whether
// it is the attempt that says so, or is interrupted: both timers are due.
const written = (u: unknown): string =>
  JSON.stringify(u, (key, value: unknown) => {
    if (key === "takenAt") return undefined
    if (key === "reason" && isCut(value)) return "cut"
    // sleeps are rounded to nanoseconds
    if (typeof value === "number") return Math.round(value * 1_000) / 1_000
    if (key === "nanos") return Math.round(Number(value) / 1_000)
    if (value instanceof Error) return `${value.name}: ${value.message.replaceAll(/#\d+/g, "#")}`
    return value
  }, 1).replaceAll(/Interrupt\([^)]*\)/g, "Interrupt")

const isCut = (reason: unknown): boolean =>
  reason instanceof Error
    ? reason.message === "All fibers interrupted without error"
    : Predicate.isTagged(reason, "DeadlineExceeded") ||
      (Predicate.isTagged(reason, "TimedOut") && "limit" in reason && reason.limit === "total")

/** Where two texts begin to differ. */
const differing = (one: string, other: string): string | undefined => {
  const [lines, others] = [one.split("\n"), other.split("\n")]
  const n = lines.findIndex((line, n) => line !== others[n])
  if (one === other) return undefined
  const around = (all: ReadonlyArray<string>) => all.slice(Math.max(0, n - 6), n + 6).join("\n")
  return `fused\n${around(lines)}\nunfused\n${around(others)}`
}

const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })

describe("the fused path", () => {
  it.live.each(Array.from({ length: 10 }, (_, n) => n))(
    "conformance 36: says, does and counts what the composition does, traced or not, on random scripts (%i)",
    (n) =>
      Effect.gen(function*() {
        const kinds = new Map<string, number>()
        for (let round = 0; round < 60; round++) {
          const seed = `${n} ${round}`
          const script = yield* Effect.provide(writeScript.pipe(Random.withSeed(seed)), Context.empty())
          const played = (fuses: boolean) =>
            play(script, fuses).pipe(Random.withSeed(seed), Effect.provide(TestClock.layer()))
          const fused = yield* played(true)
          const others = [yield* played(false), yield* Effect.withTracer(played(true), tracer)]
          for (const [n, other] of others.entries()) {
            const difference = differing(written(fused), written(other))
            if (difference !== undefined) {
              assert.fail(`seed ${seed}, ${["unfused", "traced"][n]}: ${difference}\n${JSON.stringify(script)}`)
            }
          }
          for (const line of present(fused).seen) {
            const got = / got (\S+)/.exec(line)?.[1]
            if (got !== undefined) {
              kinds.set(got, (kinds.get(got) ?? 0) + 1)
            }
          }
        }
        for (const kind of ["answer", "late", "Boom", "die", "interrupt", "TimedOut", "CircuitOpen", "BulkheadFull"]) {
          assert.isAbove(kinds.get(kind) ?? 0, 0, kind)
        }
      }),
    60_000
  )
})
