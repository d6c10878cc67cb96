/** What the types of Supervise promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { Effect, type Exit, Option, type Scope, Stream } from "effect"
import { Outcome, type Retry, Supervise } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

/** Work with a result, an error and a requirement of its own. */
declare const work: Effect.Effect<"answer", "broken", "database">
declare const stream: Stream.Stream<"element", "broken", "database">
declare const acquire: Effect.Effect<"socket", "refused", "network" | Scope.Scope>
declare const lost: (socket: "socket") => Effect.Effect<number, "reset", "pings">
declare const feed: Supervise.Supervisor

// -----------------------------------------------------------------------------
// supervisors
// -----------------------------------------------------------------------------

const made = {
  make: Supervise.make("feed", {
    backoff: { kind: "exponential", base: "1 second" },
    healthyAfter: "1 minute",
    times: 3
  }),
  bare: Supervise.make("feed"),
  keep: feed.keep(work),
  again: feed.keep(work, {
    onEnd: "again",
    classify: (exit) => {
      true satisfies Expect<Equal<typeof exit, Exit.Exit<"answer", "broken">>>
      return undefined
    }
  }),
  pointFree: work.pipe(feed.keep),
  connect: feed.connect(acquire, lost),
  classified: feed.connect(acquire, lost, {
    classify: (exit) => {
      true satisfies Expect<Equal<typeof exit, Exit.Exit<unknown, "refused" | "reset">>>
      return Outcome.failure()
    }
  })
}

export type Supervisors = [
  Expect<Equal<typeof made.make, Effect.Effect<Supervise.Supervisor>>>,
  Expect<Equal<typeof made.bare, Effect.Effect<Supervise.Supervisor>>>,
  Expect<Equal<typeof made.keep, typeof work>>,
  Expect<Equal<typeof made.again, typeof work>>,
  Expect<Equal<typeof made.pointFree, typeof work>>,
  Expect<
    Equal<
      typeof made.connect,
      Effect.Effect<Supervise.Connection<"socket", "refused" | "reset">, never, "network" | "pings" | Scope.Scope>
    >
  >,
  Expect<Equal<typeof made.classified, typeof made.connect>>,
  Expect<Equal<Supervise.Connection<"socket", "reset">["get"], Effect.Effect<"socket", "reset">>>,
  Expect<Equal<Supervise.Connection<"socket", "reset">["ended"], Effect.Effect<void, "reset">>>,
  Expect<Equal<Supervise.Supervisor["state"], Effect.Effect<Supervise.State>>>,
  Expect<Equal<Supervise.Supervisor["states"], Stream.Stream<Supervise.State>>>,
  Expect<Equal<Supervise.Supervisor["wake"], Effect.Effect<void>>>,
  Expect<Equal<Supervise.State["_tag"], "Idle" | "Connecting" | "Up" | "Down" | "Ended">>,
  Expect<Equal<Extract<Supervise.State, { _tag: "Down" }>["reason"], unknown>>,
  Expect<Equal<Supervise.Options["backoff"], Retry.Backoff | undefined>>,
  Expect<Not<IsAny<Supervise.Settings>>>
]

// @ts-expect-error the key is misspelt
Supervise.make("feed", { healthy: 1 })
// @ts-expect-error there is no such kind
Supervise.make("feed", { backoff: { kind: "quadratic", base: 1 } })
// @ts-expect-error that is no duration
Supervise.make("feed", { healthyAfter: "a while" })
// @ts-expect-error there is no such way to end
feed.keep(work, { onEnd: "stop" })
// @ts-expect-error the error is not a number
feed.keep(work, { classify: (exit: Exit.Exit<"answer", number>) => exit._tag === "Success" ? undefined : undefined })
// @ts-expect-error the connection is no number
feed.connect(acquire, (n: number) => Effect.succeed(n))
// @ts-expect-error a connection has no end of its own
feed.connect(acquire, lost, { onEnd: "finish" })

// -----------------------------------------------------------------------------
// streams
// -----------------------------------------------------------------------------

const streams = {
  plain: feed.stream(() => stream),
  last: feed.stream((last: Option.Option<"element">) => Option.isSome(last) ? stream : stream, { onEnd: "again" }),
  cursor: feed.stream((cursor: number) => cursor > 0 ? stream : Stream.fail("cold" as const), {
    from: 0,
    advance: (cursor, element) => {
      true satisfies Expect<Equal<typeof cursor, number>>
      true satisfies Expect<Equal<typeof element, "element">>
      return cursor + 1
    }
  }),
  inferred: feed.stream((cursor) => {
    true satisfies Expect<Equal<typeof cursor, number>>
    return stream
  }, { from: 0, advance: (cursor) => cursor + 1 })
}

export type Streams = [
  Expect<Equal<typeof streams.plain, typeof stream>>,
  Expect<Equal<typeof streams.last, typeof stream>>,
  Expect<Equal<typeof streams.cursor, Stream.Stream<"element", "broken" | "cold", "database">>>,
  Expect<Equal<typeof streams.inferred, typeof stream>>
]

// @ts-expect-error a cursor needs to be moved
feed.stream((cursor: number) => cursor > 0 ? stream : stream, { from: 0 })
// @ts-expect-error the last element is no number
feed.stream((last: Option.Option<number>) => Option.isSome(last) ? stream : stream)
// @ts-expect-error an effect is no stream
feed.stream(() => work)
// @ts-expect-error the key is misspelt
feed.stream(() => stream, { onend: "again" })

// -----------------------------------------------------------------------------
// polling
// -----------------------------------------------------------------------------

type Status = { readonly _tag: "Running" } | { readonly _tag: "Done"; readonly url: string }
type Done = Extract<Status, { _tag: "Done" }>
declare const status: Effect.Effect<Status, "broken", "database">
declare const isDone: (status: Status) => status is Done

const polled = {
  refined: Supervise.pollUntil(status, { until: isDone, timeout: "1 minute" }),
  inferred: Supervise.pollUntil(status, { until: (status) => status._tag === "Done", timeout: "1 minute" }),
  plain: Supervise.pollUntil(status, {
    until: (status): boolean => status._tag === "Done",
    timeout: "1 minute",
    interval: { kind: "exponential", base: "1 second" },
    classify: (exit) => {
      true satisfies Expect<Equal<typeof exit, Exit.Exit<Status, "broken">>>
      return undefined
    }
  }),
  refinedLast: status.pipe(Supervise.pollUntil({ until: isDone, timeout: "1 minute" })),
  plainLast: status.pipe(
    Supervise.pollUntil({ until: (status: Status): boolean => status._tag === "Done", timeout: 1 })
  )
}

export type Polls = [
  Expect<Equal<typeof polled.refined, Effect.Effect<Done, "broken" | Supervise.PollTimedOut, "database">>>,
  Expect<Equal<typeof polled.inferred, Effect.Effect<Done, "broken" | Supervise.PollTimedOut, "database">>>,
  Expect<Equal<typeof polled.plain, Effect.Effect<Status, "broken" | Supervise.PollTimedOut, "database">>>,
  Expect<Equal<typeof polled.refinedLast, Effect.Effect<Done, "broken" | Supervise.PollTimedOut, "database">>>,
  Expect<Equal<typeof polled.plainLast, Effect.Effect<Status, "broken" | Supervise.PollTimedOut, "database">>>,
  Expect<Not<IsAny<Supervise.PollTimedOut>>>,
  Expect<Equal<Supervise.PollTimedOut["_tag"], "PollTimedOut">>,
  Expect<Equal<Supervise.PollTimedOut["last"], unknown>>
]

// @ts-expect-error a poll must have an end
Supervise.pollUntil(status, { until: isDone })
// @ts-expect-error it must be said what is waited for
Supervise.pollUntil(status, { timeout: 1 })
// @ts-expect-error the answer is no number
Supervise.pollUntil(status, { until: (n: number) => n > 1, timeout: 1 })
// @ts-expect-error the key is misspelt
Supervise.pollUntil(status, { until: isDone, timeout: 1, every: 3 })
// @ts-expect-error the answer is no number
status.pipe(Supervise.pollUntil({ until: (n: number): boolean => n > 1, timeout: 1 }))
