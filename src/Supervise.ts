/**
 * Keeps something alive that is meant to last: a connection, a consumer's loop, a
 * stream of events. And asks again and again for something that takes its time.
 *
 * A {@link Supervisor} starts its work, and starts it again when it has failed,
 * after waits that grow to a cap. Work that has been up for a healthy time is
 * forgiven: after it the waits begin anew. {@link Supervisor.wake} ends a wait
 * early, as when the network has come back; what the dependency has asked for by
 * `retryAfter` is waited for all the same. {@link State} says where it stands, for
 * user interfaces.
 *
 * It goes on for as long as outcomes allow it (see `Outcome`): a typed error that
 * is not retryable ends it, and so does a defect. Our own refusals, such as an
 * open circuit, are waited for.
 *
 * `Retry` is for a call that somebody waits for, and has an end. A supervisor has
 * none by default, and stands outside of everything else. Put it around
 * `pipeline.protect` without a retry: their waits would multiply.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type { Predicate, Refinement } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Delays, type DelaySettings } from "./internal/delays.ts"
import { reasonOf } from "./internal/exit.ts"
import {
  aFunction,
  flag,
  integer,
  millisOrZero,
  nonEmpty,
  oneOf,
  onlyKeys,
  optionalFunction,
  positiveMillis,
  within
} from "./internal/options.ts"
import { type Chunk, drain, Handover, toStream } from "./internal/streamHandover.ts"
import { defaultBackoff, judge, Loop, type Shared, type Work } from "./internal/superviseLoop.ts"
import { monotonicMillis, sleepUntil } from "./internal/time.ts"
import { inOwnFiber, limitTime, standing } from "./internal/timeLimit.ts"
import * as Outcome from "./Outcome.ts"
import * as Retry from "./Retry.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * What a supervisor is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How the waits grow. Default: exponential from 500 milliseconds to 30 seconds. */
  readonly backoff?: Retry.Backoff | undefined
  /** How they are spread out. Default: `"full"`; `"none"` where the backoff is a schedule or a function. */
  readonly jitter?: Retry.Jitter | undefined
  /**
   * What has been up for so long was healthy, and the waits begin anew. A stream
   * is up from its first element to its latest. Default: 30 seconds.
   */
  readonly healthyAfter?: Duration.Input | undefined
  /** How often it is started again without having been healthy in between. Default: `Infinity`. */
  readonly times?: number | undefined
  /** The longest `retryAfter` that is waited for; a longer one ends it with its error. Default: 10 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /** Whether refusals of our own policies, such as `CircuitOpen`, are waited for. Default: `true`. */
  readonly waitForRefusals?: boolean | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly backoff: DelaySettings
  readonly healthyAfter: number
  readonly times: number
  readonly maxRetryAfter: number
  readonly waitForRefusals: boolean
}

const delaysOf = (
  where: string,
  backoff: Retry.Backoff,
  jitter: Retry.Jitter | undefined
): DelaySettings => {
  const { cap, delays, spread } = within(where, () => Retry.settings({ backoff, jitter }))
  return { cap, delays, spread }
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => {
  onlyKeys("Supervise", options, ["backoff", "jitter", "healthyAfter", "times", "maxRetryAfter", "waitForRefusals"])
  const {
    backoff = defaultBackoff,
    healthyAfter = 30_000,
    jitter,
    maxRetryAfter = 600_000,
    times = Infinity,
    waitForRefusals = true
  } = options
  return {
    backoff: delaysOf("Supervise", backoff, jitter),
    healthyAfter: millisOrZero("Supervise", "healthyAfter", healthyAfter, { infinite: true }),
    times: times === Infinity ? times : integer("Supervise", "times", times, 0),
    maxRetryAfter: millisOrZero("Supervise", "maxRetryAfter", maxRetryAfter, { infinite: true }),
    waitForRefusals: flag("Supervise", "waitForRefusals", waitForRefusals)
  }
}

// -----------------------------------------------------------------------------
// supervisors
// -----------------------------------------------------------------------------

/**
 * Where something stands that is kept alive. Times are milliseconds since the
 * epoch, by the wall clock. `attempt` says which try it is since it was last
 * healthy, from 1.
 *
 * - `Idle`: nothing has been started yet
 * - `Connecting`: it is being started
 * - `Up`: it has been up since then
 * - `Down`: it has failed, for that reason, and will be tried again
 * - `Ended`: it is not kept alive any more
 *
 * @category models
 * @since 0.1.0
 */
export type State =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Connecting"; readonly attempt: number }
  | { readonly _tag: "Up"; readonly since: number }
  | {
    readonly _tag: "Down"
    /** The error, or what it has ended with. */
    readonly reason: unknown
    readonly attempt: number
    /** The wait until the next try. */
    readonly delay: Duration.Duration
    /** When that will be. */
    readonly nextAt: number
  }
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<unknown, unknown> }

/**
 * What is said about one piece of work.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeepOptions<in A, in E> {
  /** Overrides what exits mean. */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /** Whether work that comes to its end without an error is done, or started again as well. Default: `"finish"`. */
  readonly onEnd?: "finish" | "again" | undefined
}

/**
 * From where a stream goes on after it has failed: a cursor, moved by each element
 * that was delivered.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions<in out S, in A, in E> extends KeepOptions<unknown, E> {
  /** The cursor of the first opening. */
  readonly from: S
  /** The cursor after an element. */
  readonly advance: (cursor: S, element: A) => S
}

/**
 * A connection that is kept up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection<out A, out E> {
  /**
   * The connection, as it is now. Waits while it is down, and fails when it has
   * been given up. Interrupted where it is not kept up any more without an error.
   */
  readonly get: Effect.Effect<A, E>
  /** Ends when the connection has been given up. */
  readonly ended: Effect.Effect<void, E>
}

/**
 * Keeps one thing alive at a time, and says how it is. Two things need two
 * supervisors: a second one at the same time is a defect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Supervisor {
  readonly name: string
  readonly settings: Settings
  /** Where it stands. */
  readonly state: Effect.Effect<State>
  /** Where it stands now, and every change from then on. */
  readonly states: Stream.Stream<State>
  /** Ends a wait, so that it is tried again at once. Does nothing at any other time. */
  readonly wake: Effect.Effect<void>
  /**
   * Runs an effect that is meant to last, again and again, and is up from its
   * start on. Ends with its result, or with an error that ends it.
   */
  readonly keep: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: KeepOptions<A, E>
  ) => Effect.Effect<A, E, R>
  /**
   * Keeps a connection up in the background, for as long as the scope is open.
   * `open` acquires it, in a scope of its own. `lost` lasts as long as the
   * connection is well: when it ends, in whatever way, the connection is closed
   * and opened anew.
   */
  readonly connect: <A, E, R, X, E2, R2>(
    open: Effect.Effect<A, E, R>,
    lost: (connection: A) => Effect.Effect<X, E2, R2>,
    options?: Pick<KeepOptions<unknown, E | E2>, "classify">
  ) => Effect.Effect<Connection<A, E | E2>, never, Exclude<R, Scope.Scope> | R2 | Scope.Scope>
  /**
   * A stream that is opened again when it has failed, with the last element that
   * was delivered, or with a cursor. Its elements come in order; whether there is
   * a gap, or some come twice, is up to `open`.
   */
  readonly stream: {
    <A, E, R, S>(
      open: (cursor: S) => Stream.Stream<A, E, R>,
      options: StreamOptions<S, A, E>
    ): Stream.Stream<A, E, R>
    <A, E, R>(
      open: (last: Option.Option<A>) => Stream.Stream<A, E, R>,
      options?: KeepOptions<unknown, E>
    ): Stream.Stream<A, E, R>
  }
}

/**
 * Makes a supervisor.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Supervise } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const feed = yield* Supervise.make("feed", { backoff: { kind: "exponential", base: "1 millis", cap: "1 second" } })
 *   let tries = 0
 *   const session = Effect.suspend(() => ++tries < 3 ? Effect.fail("no network") : Effect.succeed(`try ${tries}`))
 *   return yield* feed.keep(session)
 * })
 *
 * console.log(await Effect.runPromise(program)) // => try 3
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options?: Options): Effect.Effect<Supervisor> => {
  nonEmpty("Supervise", "name", name)
  const resolved = settings(options)
  return Effect.map(SubscriptionRef.make<State>({ _tag: "Idle" }), (ref) => new Keeper(name, resolved, ref))
}

class Keeper implements Supervisor, Shared {
  readonly name: string
  readonly settings: Settings
  readonly state: Effect.Effect<State>
  readonly states: Stream.Stream<State>
  readonly set: (state: State) => Effect.Effect<void>
  waking: Deferred.Deferred<void> | undefined
  private isBusy = false

  constructor(name: string, settings: Settings, ref: SubscriptionRef.SubscriptionRef<State>) {
    this.name = name
    this.settings = settings
    this.state = SubscriptionRef.get(ref)
    this.states = SubscriptionRef.changes(ref)
    this.set = (state) => SubscriptionRef.set(ref, state)
  }

  readonly wake = Effect.sync(() => {
    if (this.waking !== undefined) Deferred.doneUnsafe(this.waking, Exit.void)
  })

  private run<A, E, R>(work: Work<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      let isMine = false
      const begun = Effect.suspend(() => {
        if (this.isBusy) {
          return Effect.die(new Error(`Supervise ${JSON.stringify(this.name)}: it keeps something else alive just now`))
        }
        this.isBusy = isMine = true
        return new Loop(this, fiber).run(work)
      })
      return Effect.onExitPrimitive(begun, (exit) => {
        if (!isMine) return undefined
        this.isBusy = false
        return this.set({ _tag: "Ended", exit })
      })
    })
  }

  readonly keep = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: KeepOptions<A, E> = {}
  ): Effect.Effect<A, E, R> => this.run({ ...keepOptions(options), live: (life) => Effect.andThen(life.up, self) })

  readonly connect = <A, E, R, X, E2, R2>(
    open: Effect.Effect<A, E, R>,
    lost: (connection: A) => Effect.Effect<X, E2, R2>,
    options: Pick<KeepOptions<unknown, E | E2>, "classify"> = {}
  ): Effect.Effect<Connection<A, E | E2>, never, Exclude<R, Scope.Scope> | R2 | Scope.Scope> => {
    onlyKeys("Supervise.connect", options, ["classify"])
    const { classify } = keepOptions(options)
    return Effect.suspend(() => {
      // completed while it is up, or when it has been given up
      let current = Deferred.makeUnsafe<A, E | E2>()
      const live: Work<X, E | E2, Exclude<R, Scope.Scope> | R2>["live"] = (life) =>
        Effect.scoped(Effect.flatMap(open, (connection) => {
          const up = Effect.suspend(() => {
            Deferred.doneUnsafe(current, Exit.succeed(connection))
            return Effect.andThen(life.up, lost(connection))
          })
          // nobody is given a connection that is being closed
          return Effect.onExitPrimitive(up, () => {
            current = Deferred.makeUnsafe()
            return undefined
          })
        }))
      return Effect.map(
        Effect.forkScoped(this.run({ classify, isEndless: true, live }), { startImmediately: true }),
        (fiber) => {
          fiber.addObserver((exit) => {
            Deferred.doneUnsafe(current, Exit.isSuccess(exit) ? Exit.interrupt() : Exit.failCause(exit.cause))
          })
          return { get: Effect.suspend(() => Deferred.await(current)), ended: Effect.asVoid(Fiber.join(fiber)) }
        }
      )
    })
  }

  readonly stream: Supervisor["stream"] = <A, E, R>(
    // each form makes its cursors itself, and is given no others
    open: (cursor: never) => Stream.Stream<A, E, R>,
    options: KeepOptions<unknown, E> & {
      readonly from?: unknown
      readonly advance?: (cursor: never, element: A) => unknown
    } = {}
  ): Stream.Stream<A, E, R> => {
    const { advance, from, ...rest } = options
    const kept = keepOptions(rest)
    optionalFunction("Supervise.stream", "advance", advance)
    if (("from" in options) !== (advance !== undefined)) {
      throw new RangeError("Supervise.stream: from and advance belong together")
    }
    // the cursors are those of this form: `never` stands for their type
    const after = (cursor: unknown, chunk: Chunk<A>): unknown =>
      advance === undefined
        ? Option.some(chunk[chunk.length - 1])
        : chunk.reduce<unknown>((cursor, element) => advance(cursor as never, element), cursor)
    return toStream(() => {
      let cursor = advance === undefined ? Option.none() : from
      return new Handover<A, E, R>((handover) =>
        this.run({
          ...kept,
          isOver: () => handover.closedWith !== undefined,
          live: (life) => {
            let isUp = false
            const deliver = (chunk: Chunk<A>) => {
              life.seen()
              cursor = after(cursor, chunk)
              return handover.deliver(chunk)
            }
            return drain(open(cursor as never), handover, (chunk) => {
              if (isUp) return deliver(chunk)
              isUp = true
              return Effect.andThen(life.up, Effect.suspend(() => deliver(chunk)))
            })
          }
        })
      )
    })
  }
}

const keepOptions = <A, E>(options: KeepOptions<A, E>): Pick<Work<A, E, never>, "classify" | "isEndless"> => {
  onlyKeys("Supervise", options, ["classify", "onEnd"])
  return {
    classify: optionalFunction("Supervise", "classify", options.classify),
    isEndless: oneOf("Supervise", "onEnd", options.onEnd ?? "finish", ["finish", "again"]) === "again"
  }
}

// -----------------------------------------------------------------------------
// polling
// -----------------------------------------------------------------------------

/**
 * How something is polled.
 *
 * @category models
 * @since 0.1.0
 */
export interface PollOptions<in A, in E> {
  /** Whether an answer is the one that is waited for. One that throws is a defect. */
  readonly until: (answer: A) => boolean
  /** The longest that all polls and waits may take together. */
  readonly timeout: Duration.Input
  /** The waits between polls. Default: 1 second each. */
  readonly interval?: Retry.Backoff | undefined
  /** How they are spread out. Default: `"none"`. */
  readonly jitter?: Retry.Jitter | undefined
  /** How many polls in a row may fail, where their outcome is retryable or a refusal. Default: 3. */
  readonly failures?: number | undefined
  /** Overrides what exits mean. */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /** The name in `PollTimedOut`. Default: `"Supervise"`. */
  readonly policy?: string | undefined
}

interface Polling<A, E> {
  readonly until: (answer: A) => boolean
  readonly classify: Outcome.Classifier<A, E> | undefined
  readonly millis: number
  readonly delays: DelaySettings
  readonly failures: number
  readonly policy: string
}

const polling = <A, E>(options: PollOptions<A, E>): Polling<A, E> => {
  const where = "Supervise.pollUntil"
  onlyKeys(where, options, ["until", "timeout", "interval", "jitter", "failures", "classify", "policy"])
  const { failures = 3, interval = everySecond, jitter = "none", policy = "Supervise", until } = options
  return {
    until: aFunction(where, "until", until),
    classify: optionalFunction(where, "classify", options.classify),
    millis: positiveMillis(where, "timeout", options.timeout),
    delays: delaysOf(where, interval, jitter),
    failures: integer(where, "failures", failures, 0),
    policy: nonEmpty(where, "policy", policy)
  }
}

const everySecond = { kind: "constant", delay: 1_000 } as const

/**
 * Runs an effect again and again until its result is what is waited for, and
 * fails with `PollTimedOut` where it takes too long.
 *
 * The first poll is made at once. A poll that fails is forgiven, `failures` times
 * in a row, where its outcome is retryable; any other failure is the end. When
 * the next poll would come too late, there is no use in waiting for it: it ends at
 * once. A caller's deadline that is sooner takes the place of `timeout`.
 *
 * Not for what can say itself that it is done, and not without an end.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Supervise } from "effect-resilience"
 *
 * let polls = 0
 * const status = Effect.sync(() => ++polls < 3 ? "running" : "done")
 * const done = Supervise.pollUntil(status, {
 *   until: (status) => status === "done",
 *   interval: { kind: "constant", delay: "1 millis" },
 *   timeout: "10 seconds"
 * })
 *
 * console.log(await Effect.runPromise(done), polls) // => done 3
 * ```
 *
 * @category polling
 * @since 0.1.0
 */
export const pollUntil: {
  <A, B extends A, E = unknown>(
    options: PollOptions<A, E> & { readonly until: Refinement<A, B> }
  ): <E2 extends E, R>(self: Effect.Effect<A, E2, R>) => Effect.Effect<B, E2 | PollTimedOut, R>
  <A, E = unknown>(
    options: PollOptions<A, E> & { readonly until: Predicate<A> }
  ): <E2 extends E, R>(self: Effect.Effect<A, E2, R>) => Effect.Effect<A, E2 | PollTimedOut, R>
  <A, E, R, B extends A>(
    self: Effect.Effect<A, E, R>,
    options: PollOptions<A, E> & { readonly until: Refinement<A, B> }
  ): Effect.Effect<B, E | PollTimedOut, R>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: PollOptions<A, E>
  ): Effect.Effect<A, E | PollTimedOut, R>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, options: PollOptions<A, E>): Effect.Effect<A, E | PollTimedOut, R> => {
    const checked = polling(options)
    return Effect.suspend(() => new Poll(inOwnFiber(self), checked).run())
  }
)

class Poll<A, E, R> {
  private readonly self: Effect.Effect<A, E, R>
  private readonly settings: Polling<A, E>
  private readonly delays: Delays
  private startedAt = 0
  private polls = 0
  private failuresInARow = 0
  private last: { readonly last?: A } = {}
  private lastError: { readonly lastError?: unknown } = {}

  constructor(self: Effect.Effect<A, E, R>, settings: Polling<A, E>) {
    this.self = self
    this.settings = settings
    this.delays = new Delays(settings.delays, () => everySecond.delay)
  }

  run(): Effect.Effect<A, E | PollTimedOut, R> {
    const { millis, policy } = this.settings
    return Effect.clockWith((clock) => {
      this.startedAt = monotonicMillis(clock)
      const timeout = { policy, limit: "total", millis } as const
      return limitTime(this.poll(clock), { millis, timeout }, () => this.timedOut(clock))
    })
  }

  private poll(clock: Clock.Clock): Effect.Effect<A, E | PollTimedOut, R> {
    const { classify, failures, until } = this.settings
    return Effect.flatMap(Effect.exit(this.self), (exit): Effect.Effect<A, E | PollTimedOut, R> => {
      this.polls++
      if (Exit.isSuccess(exit)) {
        if (until(exit.value)) return exit
        this.failuresInARow = 0
        this.last = { last: exit.value }
        this.lastError = {}
        return this.again(clock, exit.value, undefined)
      }
      const { goesOn, retryAfter } = judge(exit, classify, clock, true)
      if (!goesOn || ++this.failuresInARow > failures) return exit
      const lastError = reasonOf(exit)
      this.lastError = { lastError }
      return this.again(clock, lastError, retryAfter)
    })
  }

  private again(
    clock: Clock.Clock,
    reason: unknown,
    retryAfter: number | undefined
  ): Effect.Effect<A, E | PollTimedOut, R> {
    return Effect.withFiber((fiber) => {
      const now = monotonicMillis(clock)
      const end = standing(fiber)?.expiresAt ?? Infinity
      return Effect.flatMap(
        this.delays.nextEffect(fiber, reason, retryAfter),
        (delay): Effect.Effect<A, E | PollTimedOut, R> =>
          delay === undefined || now + delay >= end
            ? Effect.fail(this.timedOut(clock))
            : Effect.andThen(sleepUntil(clock, now + delay), this.poll(clock))
      )
    })
  }

  private timedOut(clock: Clock.Clock): PollTimedOut {
    return new PollTimedOut({
      policy: this.settings.policy,
      polls: this.polls,
      elapsed: Duration.millis(monotonicMillis(clock) - this.startedAt),
      ...this.last,
      ...this.lastError
    })
  }
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * What was polled has not become so in time. Its polls say how the dependency is;
 * this says nothing about it.
 *
 * @category errors
 * @since 0.1.0
 */
export class PollTimedOut extends Schema.TaggedError<PollTimedOut>()("PollTimedOut", {
  policy: Schema.String,
  /** How many polls have come to their end. */
  polls: Schema.Int,
  /** From the start to the decision to wait no longer. */
  elapsed: Schema.DurationFromMillis,
  /** The last answer, where there was one. */
  last: Schema.optionalKey(Schema.Unknown),
  /** What the last poll failed with, where it did. */
  lastError: Schema.optionalKey(Schema.Defect())
}, { httpApiStatus: 504 }) {
  get [Outcome.symbol](): Outcome.Outcome {
    return Outcome.ignored
  }
  override get message(): string {
    const { elapsed, policy, polls } = this
    return `${policy}: gave up after ${polls} ${polls === 1 ? "poll" : "polls"} in ${Duration.format(elapsed)}`
  }
}
