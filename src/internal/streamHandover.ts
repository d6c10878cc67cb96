/**
 * Streams whose source runs in one fiber from its opening to its end, and hands
 * its chunks over to whoever pulls.
 *
 * Invariants:
 * - Nothing is pulled from the source before the consumer asks: the producer is
 *   either at work on a demand, or waits for one.
 * - What has been handed over is kept until it is taken: an interrupted pull
 *   loses nothing.
 * - The consumer learns of the end after the producer's fiber has ended, with all
 *   its finalizers.
 *
 * Both sides wake each other at once and not through a scheduler. The stack stays
 * flat: the producer waits again before the consumer goes on, or the other way
 * round.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

export type Chunk<A> = Arr.NonEmptyReadonlyArray<A>

/** How the producer takes its leave: the consumer wants no more. */
type Enough = Cause.Done

export class Handover<A, E, R> {
  /** How the consumer's scope was closed, where that came before the end. */
  closedWith: Exit.Exit<unknown, unknown> | undefined
  private readonly run: (handover: Handover<A, E, R>) => Effect.Effect<unknown, E, R>
  private fiber: Fiber.Fiber<unknown, E> | undefined
  /** Handed over, and not yet taken. */
  private chunk: Chunk<A> | undefined
  /** Wakes the consumer, while it waits. */
  private consumer: ((next: Pull.Pull<Chunk<A>, E, void, R>) => void) | undefined
  /** Wakes the producer, while it waits for a demand. */
  private producer: ((next: Effect.Effect<void, Enough>) => void) | undefined
  private end: Pull.Pull<never, E> | undefined

  /** `run` is the whole work of the producer; it ends when the stream ends. */
  constructor(run: (handover: Handover<A, E, R>) => Effect.Effect<unknown, E, R>) {
    this.run = run
  }

  /** The consumer begins to wait for a chunk. */
  protected onWait(_context: Context.Context<R>): void {}

  /** The consumer does not wait any more. */
  protected onServed(): void {}

  /** What the consumer is told of the producer's end. */
  protected endOf(exit: Exit.Exit<unknown, E>): Exit.Exit<unknown, E> {
    return exit
  }

  /** The consumer's side: the next chunk, or the end. */
  readonly pull: Pull.Pull<Chunk<A>, E, void, R> = Effect.contextWith((context: Context.Context<R>) => {
    if (this.chunk !== undefined) return this.take
    if (this.end !== undefined) return this.end
    return Effect.callback<Chunk<A>, E | Cause.Done, R>((resume) => {
      this.consumer = resume
      if (this.fiber === undefined) this.start(context)
      else this.answerProducer(Effect.void)
      // the producer may have served it already
      if (this.consumer === undefined) return
      this.onWait(context)
      return this.withdraw
    })
  })

  private readonly take: Pull.Pull<Chunk<A>, E, void, R> = Effect.suspend(() => {
    const { chunk } = this
    if (chunk === undefined) return this.pull
    this.chunk = undefined
    return Effect.succeed(chunk)
  })

  private readonly withdraw = Effect.sync(() => {
    this.consumer = undefined
    this.onServed()
  })

  private start(context: Context.Context<R>): void {
    this.fiber = Effect.runForkWith(context)(Effect.suspend(() => this.run(this)))
    this.fiber.addObserver((exit) => this.finish(exit))
  }

  private answerConsumer(next: Pull.Pull<Chunk<A>, E, void, R>): void {
    const wake = this.consumer
    if (wake === undefined) return
    this.consumer = undefined
    this.onServed()
    wake(next)
  }

  private answerProducer(next: Effect.Effect<void, Enough>): boolean {
    const wake = this.producer
    if (wake === undefined) return false
    this.producer = undefined
    wake(next)
    return true
  }

  /** Hands a chunk over, and waits until a further one is asked for. */
  readonly deliver = (chunk: Chunk<A>): Effect.Effect<void, Enough> =>
    Effect.callback((resume) => {
      this.chunk = chunk
      this.producer = resume
      this.answerConsumer(this.take)
      return this.retract
    })

  private readonly retract = Effect.sync(() => {
    this.producer = undefined
  })

  /** Tells the consumer of the end. Only the first time counts. */
  finish(exit: Exit.Exit<unknown, E>): void {
    if (this.end !== undefined) return
    const end = this.endOf(exit)
    this.end = Exit.isSuccess(end) ? Cause.done() : Effect.failCause(end.cause)
    this.answerConsumer(this.end)
  }

  protected interrupt(): void {
    this.fiber?.interruptUnsafe()
  }

  /**
   * The consumer goes away. Where every demand has been answered, the work has
   * done all that was asked of it, and ends as a success; else it is interrupted.
   */
  readonly close = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { fiber } = this
      if (fiber === undefined || fiber.pollUnsafe() !== undefined) return Effect.void
      this.closedWith = exit
      if (!this.answerProducer(Cause.done())) this.interrupt()
      // nobody pulls any more: of how it ends, only what is broken is left to be told
      return Effect.flatMap(Fiber.await(fiber), (exit) => {
        const defects = defectsOf(exit)
        return defects === undefined ? Effect.void : Effect.failCause(defects)
      })
    })
}

/** What an exit died of. */
export const defectsOf = (exit: Exit.Exit<unknown, unknown>): Cause.Cause<never> | undefined =>
  Exit.isFailure(exit) && Cause.hasDies(exit.cause)
    ? Cause.fromReasons(exit.cause.reasons.filter(Cause.isDieReason))
    : undefined

/** A stream that makes a handover each time it is run. */
export const toStream = <A, E, R>(make: () => Handover<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.fromChannel(
    Channel.fromTransform((_: Pull.Pull<unknown, unknown, unknown>, scope) =>
      Effect.suspend(() => {
        const handover = make()
        return Effect.as(Scope.addFinalizerExit(scope, handover.close), handover.pull)
      })
    )
  )

/**
 * Opens a stream, and delivers all of its chunks. Its scope is closed before the
 * effect ends: as the consumer's was, where the consumer has gone away.
 */
export const drain = <A, E, R>(
  self: Stream.Stream<A, E, R>,
  handover: { readonly closedWith: Exit.Exit<unknown, unknown> | undefined },
  deliver: (chunk: Chunk<A>) => Effect.Effect<void, Enough>
): Effect.Effect<void, E, R> =>
  Effect.suspend(() => {
    const scope = Scope.makeUnsafe()
    return Channel.toPullScoped(Stream.toChannel(self), scope).pipe(
      Effect.flatMap((pull) => Effect.forever(Effect.flatMap(pull, deliver), { disableYield: true })),
      Pull.catchDone(() => Effect.void),
      Effect.onExit((exit) => Scope.close(scope, handover.closedWith ?? exit))
    )
  })
