/** What the types of Streams promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { Context, type Duration, Effect, type Exit, type Stream } from "effect"
import type { CircuitBreaker, Deadline, Pipeline } from "../../src/index.ts"
import { Retry, Streams, Timeout } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

type Open = CircuitBreaker.CircuitOpen
type Late = Timeout.TimedOut | Deadline.DeadlineExceeded

/** A stream with an element, an error and a requirement of its own. */
declare const stream: Stream.Stream<"element", "broken", "database">
declare const breaker: CircuitBreaker.CircuitBreaker
declare const pipeline: Pipeline.Pipeline<Open>
declare const wide: Streams.TimeoutOptions

class Model extends Context.Service<Model, string>()("Model") {}
declare const asking: Stream.Stream<"element", "broken", Model>

// -----------------------------------------------------------------------------
// timeout
// -----------------------------------------------------------------------------

const limited = {
  first: Streams.timeout(stream, { firstElement: "1 second", idle: { seconds: 2 } }),
  last: stream.pipe(Streams.timeout({ idle: 1_000, policy: "model" })),
  apart: Streams.timeout({ idle: 1_000 }),
  wide: Streams.timeout(stream, wide)
}

type Limited = Stream.Stream<"element", "broken" | Timeout.TimedOut, "database">

export type Timeouts = [
  Expect<Equal<typeof limited.first, Limited>>,
  Expect<Equal<typeof limited.last, Limited>>,
  Expect<Equal<typeof limited.wide, Limited>>,
  Expect<
    Equal<
      typeof limited.apart,
      <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E | Timeout.TimedOut, R>
    >
  >,
  Expect<Equal<Timeout.TimedOut["limit"], "attempt" | "total" | "firstElement" | "idle">>,
  Expect<Equal<Streams.TimeoutOptions["idle"], Duration.Input | undefined>>
]

// @ts-expect-error the key is misspelt
Streams.timeout(stream, { ilde: 1_000 })
// @ts-expect-error that is no duration
Streams.timeout(stream, { firstElement: "soon" })
// @ts-expect-error an effect is no stream
Streams.timeout(Effect.void, { idle: 1 })
// @ts-expect-error the limits of a stream are not for an effect
Timeout.make({ duration: 1, limit: "idle" })

// -----------------------------------------------------------------------------
// protect
// -----------------------------------------------------------------------------

const guarded = {
  first: Streams.protect(stream, breaker.protect),
  last: stream.pipe(Streams.protect(breaker.protect)),
  apart: Streams.protect(breaker.protect),
  pipeline: Streams.protect(stream, (opening) => pipeline.protect(opening, { operation: "chat", idempotent: true })),
  pipelineLast: stream.pipe(Streams.protect((opening) => pipeline.protect(opening, { operation: "chat" }))),
  wrap: stream.pipe(Streams.protect(Retry.make({ onExhausted: "wrap" }))),
  total: stream.pipe(Streams.protect(Timeout.total("1 second"))),
  nothing: stream.pipe(Streams.protect((opening) => opening)),
  // what the policy sees is known to it
  classified: Streams.protect(stream, (opening) =>
    breaker.protect(opening, {
      classify: (exit) => {
        true satisfies Expect<Equal<typeof exit, Exit.Exit<Streams.Streamed, "broken">>>
        return undefined
      }
    })),
  // data-first, a policy may handle errors and provide what is required
  mapped: Streams.protect(stream, Effect.mapError(() => "other" as const)),
  provided: Streams.protect(asking, Effect.provideService(Model, "large")),
  asking: Streams.protect(stream, (opening) => Effect.andThen(Model, opening)),
  askingLast: stream.pipe(Streams.protect((opening) => Effect.andThen(Model, opening))),
  both: stream.pipe(Streams.timeout({ idle: 1 }), Streams.protect(breaker.protect))
}

export type Protects = [
  Expect<Equal<typeof guarded.first, Stream.Stream<"element", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.last, Stream.Stream<"element", "broken" | Open, "database">>>,
  Expect<
    Equal<typeof guarded.apart, <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E | Open, R>>
  >,
  Expect<Equal<typeof guarded.pipeline, Stream.Stream<"element", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.pipelineLast, Stream.Stream<"element", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.wrap, Stream.Stream<"element", "broken" | Retry.RetriesExhausted, "database">>>,
  Expect<Equal<typeof guarded.total, Stream.Stream<"element", "broken" | Late, "database">>>,
  Expect<Equal<typeof guarded.nothing, typeof stream>>,
  Expect<Equal<typeof guarded.classified, Stream.Stream<"element", "broken" | Open, "database">>>,
  Expect<Equal<typeof guarded.mapped, Stream.Stream<"element", "other", "database">>>,
  Expect<Equal<typeof guarded.provided, Stream.Stream<"element", "broken">>>,
  Expect<Equal<typeof guarded.asking, Stream.Stream<"element", "broken", "database" | Model>>>,
  Expect<Equal<typeof guarded.askingLast, Stream.Stream<"element", "broken", "database" | Model>>>,
  Expect<Equal<typeof guarded.both, Stream.Stream<"element", "broken" | Timeout.TimedOut | Open, "database">>>,
  Expect<Not<IsAny<Streams.Streamed>>>
]

// @ts-expect-error a fallback cannot stand for the end of a stream
Streams.protect(stream, Effect.catch(() => Effect.void))
// @ts-expect-error a policy does not change results
Streams.protect(stream, (opening) => Effect.as(opening, 1))
// @ts-expect-error nobody can make what an opening succeeds with
Streams.protect(stream, () => Effect.succeed({}))
// @ts-expect-error a combinator of streams is no policy
Streams.protect(stream, Streams.timeout({ idle: 1 }))
