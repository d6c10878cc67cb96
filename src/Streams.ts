/**
 * Streams under protection: limits on their first element and on silence, and
 * any effect policy held from their opening to their end.
 *
 * - {@link timeout} fails a stream that does not begin, or falls silent. A stream
 *   that has been cut is never taken for one that has ended.
 * - {@link protect} runs a stream under a policy for effects: a breaker, a
 *   bulkhead, a retry, or a whole pipeline. It sees one effect that lasts as long
 *   as the stream, so that permits and probes are held until the stream ends, and
 *   its outcome is how the stream has ended.
 *
 * A stream may be repeated until its first element. From there on it has shown an
 * effect: it is never replayed, and its failure is its consumer's. To go on after
 * a failure, from where it broke off, use `Supervise`.
 *
 * `timeout` belongs inside of `protect`, next to the source, where a breaker and a
 * retry can see what it finds.
 *
 * In both, the source runs in a fiber of its own, under the context of the first
 * pull. It is pulled only when the consumer asks: nothing is read ahead.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type * as Stream from "effect/Stream"
import { nonEmpty, onlyKeys, positiveMillis } from "./internal/options.ts"
import { type Chunk, drain, Handover, toStream } from "./internal/streamHandover.ts"
import { LimitedHandover, type Limits } from "./internal/streamLimits.ts"
import * as Replay from "./Replay.ts"
import type { TimedOut } from "./Timeout.ts"

/**
 * How long a consumer may have to wait for the elements of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeoutOptions {
  /**
   * The longest wait for the first element, from the first pull on: above zero,
   * `"Infinity"` for no limit. Default: as long as `idle`.
   */
  readonly firstElement?: Duration.Input | undefined
  /** The longest wait for each further element: above zero, `"Infinity"` for no limit. Default: no limit. */
  readonly idle?: Duration.Input | undefined
  /** The name in `TimedOut`. Default: `"Streams"`. */
  readonly policy?: string | undefined
}

const limits = (options: TimeoutOptions): Limits => {
  onlyKeys("Streams.timeout", options, ["firstElement", "idle", "policy"])
  const { policy = "Streams" } = options
  const millis = (option: string, duration: Duration.Input) =>
    positiveMillis("Streams.timeout", option, duration, { infinite: true })
  const idle = options.idle === undefined ? Infinity : millis("idle", options.idle)
  return {
    policy: nonEmpty("Streams.timeout", "policy", policy),
    firstElement: options.firstElement === undefined ? idle : millis("firstElement", options.firstElement),
    idle
  }
}

/**
 * Limits the wait for the first element of a stream, and for each further one.
 * When one is over, the source is interrupted, its finalizers run, and the stream
 * fails with `TimedOut`.
 *
 * Time counts while the consumer waits, and only then: a slow consumer makes no
 * stream late. What arrives is a chunk, however many elements are in it. For the
 * time of the whole stream, put `Timeout.total` around the effect that runs it.
 *
 * A breaker within the stream counts one that was cut as a failure.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Streams } from "effect-resilience"
 *
 * const stalling = Stream.concat(Stream.make("Hel", "lo"), Stream.never)
 * const limited = Streams.timeout(stalling, { firstElement: "10 seconds", idle: "10 millis" })
 *
 * const error = await limited.pipe(Stream.runDrain, Effect.flip, Effect.runPromise)
 * console.log(error.message) // => Streams: the next element took longer than 10ms
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const timeout: {
  (options: TimeoutOptions): <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E | TimedOut, R>
  <A, E, R>(self: Stream.Stream<A, E, R>, options: TimeoutOptions): Stream.Stream<A, E | TimedOut, R>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R>(self: Stream.Stream<A, E, R>, options: TimeoutOptions): Stream.Stream<A, E | TimedOut, R> => {
    const checked = limits(options)
    return checked.firstElement === Infinity && checked.idle === Infinity
      ? self
      : toStream(() => new LimitedHandover(self, checked))
  }
)

declare const streamed: unique symbol

/**
 * What the effect of a stream succeeds with. Nobody else can make one, so that no
 * policy can take a broken stream for one that has ended: a fallback for a stream
 * is a stream, and belongs around it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Streamed {
  readonly [streamed]: true
}

/**
 * Runs a stream under a policy for effects.
 *
 * `through` is given one effect that opens the stream, hands its elements to the
 * consumer, and ends as the stream ends. Whatever the policy holds for an effect
 * it holds for the stream, and gives back when the stream has ended; then its
 * consumer learns of the end. Whatever it fails with is how the stream fails.
 *
 * - Before its first element the stream may be opened again, by a retry, or twice,
 *   by a hedge. Just before it delivers its first element an attempt calls
 *   `Replay.commit`; others beside it deliver nothing. After that it is never
 *   replayed, under no policy.
 * - A consumer that goes away while it waits for an element interrupts the effect,
 *   which then says nothing about the dependency. One that goes away after it was
 *   given all that it asked for ends it as a success. Either way the scope of the
 *   stream is closed after the effect has ended.
 * - A timeout inside of the policy covers the whole of the stream, and its
 *   consumer's time as well. {@link timeout} around the source is what a stream
 *   needs.
 *
 * Not for a policy that answers in place of the work, such as a cache: that is a
 * defect.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { CircuitBreaker, Streams } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make("model", { trip: { kind: "consecutive", failures: 1 } })
 *   const answer = Stream.concat(Stream.make("Hel", "lo"), Stream.never).pipe(
 *     Streams.timeout({ firstElement: "10 seconds", idle: "10 millis" }),
 *     Streams.protect(breaker.protect)
 *   )
 *   const first = yield* Effect.flip(Stream.runDrain(answer))
 *   const second = yield* Effect.flip(Stream.runDrain(answer))
 *   return [first._tag, second._tag].join(", then ")
 * })
 *
 * console.log(await Effect.runPromise(program)) // => TimedOut, then CircuitOpen
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const protect: {
  <PE, PR>(
    through: (opening: Effect.Effect<Streamed>) => Effect.Effect<Streamed, PE, PR>
  ): <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E | PE, R | PR>
  <A, E, R, E2, R2>(
    self: Stream.Stream<A, E, R>,
    through: (opening: Effect.Effect<Streamed, E, R>) => Effect.Effect<Streamed, E2, R2>
  ): Stream.Stream<A, E2, R2>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R, E2, R2>(
    self: Stream.Stream<A, E, R>,
    through: (opening: Effect.Effect<Streamed, E, R>) => Effect.Effect<Streamed, E2, R2>
  ): Stream.Stream<A, E2, R2> =>
    toStream(() =>
      new Handover<A, E2, R2>((handover) => {
        const opening = openingOf(self, handover)
        return Effect.flatMap(
          through(opening.effect),
          (result) => result === opening.token ? Effect.void : Effect.die(answeredInstead)
        )
      })
    )
)

const answeredInstead = new Error(
  "Streams.protect: the policy has succeeded with something else than the stream; a cache or a fallback belongs around the stream"
)

/** The effect that a policy sees of a stream, and what it succeeds with. */
const openingOf = <A, E, R, E2, R2>(self: Stream.Stream<A, E, R>, handover: Handover<A, E2, R2>) => {
  // nobody else has this object, which is all that `Streamed` says
  const token = {} as Streamed
  /** The attempt that has delivered the first element: completed when it has ended. */
  let owner: Deferred.Deferred<Streamed, E> | undefined

  /** What a policy that asks no `Replay` does after the first element. It opens nothing, and delivers nothing. */
  const late = (owner: Deferred.Deferred<Streamed, E>): Effect.Effect<Streamed, E> => {
    const ended = owner.effect
    if (ended === undefined) return Deferred.await(owner)
    // it may go on trying for ever, so the consumer does not wait for it
    return Effect.flatMap(Effect.exit(ended), (exit) => {
      // an error that comes after the first element cannot be handled by trying again, whatever the policy's types say
      handover.finish(exit as Exit.Exit<Streamed, E & E2>)
      return Effect.never
    })
  }

  const effect = Effect.suspend((): Effect.Effect<Streamed, E, R> => {
    if (owner !== undefined) return late(owner)
    const attempt = Deferred.makeUnsafe<Streamed, E>()
    const first = (chunk: Chunk<A>) =>
      Effect.andThen(
        Replay.commit,
        Effect.suspend(() => (owner ??= attempt) === attempt ? handover.deliver(chunk) : Effect.never)
      )
    const run = Effect.flatMap(
      drain(self, handover, (chunk) => owner === attempt ? handover.deliver(chunk) : first(chunk)),
      // another one may have begun to deliver, while this one has found nothing
      () => owner === undefined || owner === attempt ? Effect.succeed(token) : Deferred.await(owner)
    )
    return Effect.onExitPrimitive(run, (exit) => {
      Deferred.doneUnsafe(attempt, exit)
      return undefined
    })
  })
  return { token, effect }
}
