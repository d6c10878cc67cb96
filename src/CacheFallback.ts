/**
 * Answers from what a service has said before.
 *
 * A value is *fresh* for as long as `fresh` says, then *stale* for as long as
 * `stale` says, then gone. The strategy decides who is asked:
 *
 * | strategy                 | fresh value     | stale value                              | none, or gone   |
 * | ------------------------ | --------------- | ---------------------------------------- | --------------- |
 * | `cache-first`            | the cache       | there is none: it is gone                | the service     |
 * | `stale-if-error`         | the cache       | the service; if it fails, the cache      | the service     |
 * | `stale-while-revalidate` | the cache       | the cache, and the service in background | the service     |
 * | `service-first`          | the service; if it fails, the cache | as for a fresh one   | the service     |
 *
 * All calls for one key share one lookup. It runs in a fiber of its own: who is
 * interrupted leaves it to the others, and the last one to leave interrupts it. A
 * lookup that fails keeps the value; a value past its staleness is never used.
 *
 * What may be answered from the cache is a typed error whose outcome is not a
 * success: failures, overloads, our own refusals. Any other error is an answer (a
 * 404, a 403): it is passed on, and the value that it contradicts is dropped.
 * Defects and interruptions are passed on, and drop nothing.
 *
 * The cache stands inside the fallback and outside the total timeout, retry and
 * breaker: these belong to the lookup. A caller's own deadline ends his waiting
 * and not the lookup of the others, so it is not seen inside. It is not for work
 * that changes something, and not for values that no schema can write down.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { codecOf, type TextCodec } from "./internal/cacheCodec.ts"
import { type Course, Flights } from "./internal/cacheFlights.ts"
import { canonical } from "./internal/cacheKey.ts"
import { type Held, Memory, Outside, type Shelf } from "./internal/cacheStore.ts"
import { done, type Reason, reasonIn } from "./internal/exit.ts"
import { holds } from "./internal/guarded.ts"
import { integer, millisOrZero, nonEmpty, oneOf, onlyKeys, positiveMillis, refuse } from "./internal/options.ts"
import { monotonicMillis } from "./internal/time.ts"
import { limitTime } from "./internal/timeLimit.ts"
import * as Outcome from "./Outcome.ts"
import { TimedOut } from "./Timeout.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * Who is asked, the cache or the service; see the table at the top.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy = "cache-first" | "service-first" | "stale-while-revalidate" | "stale-if-error"

const strategies: ReadonlyArray<Strategy> = ["cache-first", "service-first", "stale-while-revalidate", "stale-if-error"]

/**
 * What a cache is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly strategy: Strategy
  /** How long a value is fresh: above zero. It has no default, since nobody but the user can know. */
  readonly fresh: Duration.Input
  /**
   * How much longer it may be used after that, if need be. Default: 1 hour. Not
   * for `cache-first`, which uses fresh values alone.
   */
  readonly stale?: Duration.Input | undefined
  /** The most entries in memory; the one that was used the longest time ago makes room. Default: 1,000. */
  readonly capacity?: number | undefined
  /** How long an outside store may take over one operation before the call goes on without it. Default: 100 ms. */
  readonly storeTimeout?: Duration.Input | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly strategy: Strategy
  readonly fresh: number
  readonly stale: number
  readonly capacity: number
  readonly storeTimeout: number
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options): Settings => {
  const module = "CacheFallback"
  onlyKeys(module, options, ["strategy", "fresh", "stale", "capacity", "storeTimeout"])
  const strategy = oneOf(module, "strategy", options.strategy, strategies)
  if (strategy === "cache-first" && options.stale !== undefined) {
    refuse(module, "stale", "left out for cache-first, which never uses a stale value", options.stale)
  }
  return {
    strategy,
    fresh: positiveMillis(module, "fresh", options.fresh),
    stale: strategy === "cache-first" ? 0 : millisOrZero(module, "stale", options.stale ?? "1 hour"),
    capacity: integer(module, "capacity", options.capacity ?? 1_000, 1),
    storeTimeout: positiveMillis(module, "storeTimeout", options.storeTimeout ?? 100)
  }
}

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * An answer, and where it comes from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer<out A> {
  readonly value: A
  readonly source: "cache" | "service"
  /** How long ago the service said so. Zero where it has just been asked. */
  readonly age: Duration.Duration
  readonly isStale: boolean
}

/**
 * Where an answer is kept, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<out A> {
  /**
   * The operation, and all of its arguments: calls with equal keys get the same
   * answer. Equality is that of the data: plain data, dates, maps, sets, bytes
   * and instances of classes are told apart by what they hold. A key may be
   * written to an outside store. A `RangeError` refuses functions, symbols,
   * errors, secrets (`Redacted`) and objects without fields of their own.
   */
  readonly key: ReadonlyArray<unknown>
  /**
   * Writes the value down as JSON (`Schema.toCodecJson`) and reads it again, for
   * every answer anew. A value that it cannot write is not kept; a stored one that
   * it does not read is none.
   */
  readonly schema: Schema.Codec<A, unknown>
}

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<A, in E> extends Entry<A> {
  /**
   * Overrides what exits mean. A result that it takes for a failure is not kept,
   * and may be replaced by a cached one.
   */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /**
   * Whether an error may be answered from the cache. Default: by its outcome, if
   * that is not a success. One that throws has said no.
   */
  readonly staleIf?: ((error: E) => boolean) | undefined
}

/**
 * An entry as an outside store is given it: JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredEntry {
  /** The encoded value, as JSON text. */
  readonly text: string
  /** When the service said so, in milliseconds since the epoch, by the wall clock. */
  readonly at: number
}

/**
 * A store outside, in place of the memory of the process. It belongs to one cache.
 *
 * Any `BackingPersistenceStore` of `effect/persistence` is one, as its layers for
 * Redis, SQL and key-value stores make them. It may fail, hang or be emptied at
 * any time: a call then goes on without it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Store {
  readonly get: (key: string) => Effect.Effect<object | undefined, unknown>
  /** Keeps an entry for `timeToLive`, after which it may be forgotten. */
  readonly set: (
    key: string,
    entry: object,
    timeToLive: Duration.Duration | undefined
  ) => Effect.Effect<void, unknown>
  readonly remove: (key: string) => Effect.Effect<void, unknown>
  readonly clear: Effect.Effect<void, unknown>
}

/**
 * What can be read off a cache. The counts are those since it was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly name: string
  /** Entries in memory, those past their time included until they make room; `undefined` for an outside store. */
  readonly entries: number | undefined
  /** Lookups under way. */
  readonly inFlight: number
  /** Calls that were answered with a fresh value from the cache. */
  readonly hits: number
  /** Calls that were answered with a stale value from the cache. */
  readonly staleHits: number
  /** Calls that were not answered from the cache. */
  readonly misses: number
  /** How often the service was asked: less often than there were misses, where calls shared a lookup. */
  readonly lookups: number
  /** Lookups in the background. */
  readonly refreshes: number
  /** Those of them that failed, and kept the value. */
  readonly failedRefreshes: number
  /** Entries that had to make room. */
  readonly evictions: number
  /** Values that could not be written down, and operations of an outside store that failed, hung or were spared it. */
  readonly storeFailures: number
}

/**
 * What a pipeline is told about one call. The callbacks run within a fiber, and
 * must not throw.
 *
 * @internal
 */
export interface Watch {
  /** The call was answered from the cache; in place of `reason`, where the service has failed. */
  readonly hit: (age: Duration.Duration, isStale: boolean, failed?: Reason) => void
  /** A lookup, in the background or not, has failed for this reason, and the value is kept. Told to who started it. */
  readonly refreshFailed: (failed: Reason) => void
}

/**
 * A cache with its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheFallback {
  readonly name: string
  /** What holds now. */
  readonly settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  /**
   * Answers from the cache or by the lookup, as the strategy says. It adds no
   * errors of its own. A lookup that others wait for, too, gives its result and
   * its error to all of them, so that the operation belongs into the key.
   */
  readonly get: {
    <A, E, R>(lookup: Effect.Effect<A, E, R>, options: CallOptions<A, E>): Effect.Effect<Answer<A>, E, R>
    /** @internal */
    <A, E, R>(
      lookup: Effect.Effect<A, E, R>,
      options: CallOptions<A, E>,
      watch: Watch | undefined
    ): Effect.Effect<Answer<A>, E, R>
  }
  /**
   * Drops the value of a key. Who is waiting for a lookup still gets its result,
   * which is not kept.
   */
  readonly invalidate: (key: ReadonlyArray<unknown>) => Effect.Effect<void>
  /** Drops all values. */
  readonly clear: Effect.Effect<void>
  /**
   * Changes the settings in place. Entries keep their age and are judged by what
   * holds now; a smaller capacity takes effect at once. Lookups under way finish.
   */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Makes a cache that lives as long as the scope: when that ends, lookups in the
 * background are interrupted, and calls go past the cache.
 *
 * It is empty at first, so one that is made per call answers nothing. For a cache
 * that is shared by name, give the options to a pipeline.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { CacheFallback } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const cache = yield* CacheFallback.make("quotes", { strategy: "service-first", fresh: "1 minute" })
 *   let isUp = true
 *   const latest = (symbol: string) =>
 *     cache.get(Effect.suspend(() => isUp ? Effect.succeed(42) : Effect.fail("down")), {
 *       key: ["latest", symbol],
 *       schema: Schema.Number
 *     })
 *
 *   console.log((yield* latest("EFX")).source) // => service
 *   isUp = false
 *   const { source, value } = yield* latest("EFX")
 *   console.log(`${value} from the ${source}`) // => 42 from the cache
 *   console.log(yield* Effect.flip(latest("FX"))) // => down
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  options: Options,
  outside?: { readonly store?: Store | undefined }
): Effect.Effect<CacheFallback, never, Scope.Scope> => {
  nonEmpty("CacheFallback", "name", name)
  const resolved = settings(options)
  return Effect.map(Effect.scope, (scope) => makeUnsafe(name, resolved, scope, outside))
}

/**
 * Makes a cache from checked settings, at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (
  name: string,
  settings: Settings,
  scope: Scope.Scope,
  outside?: { readonly store?: Store | undefined }
): CacheFallback => {
  const cache = new Cache(name, settings, outside?.store)
  // nothing in it waits
  Effect.runSync(Scope.addFinalizer(scope, cache.close))
  return cache
}

/** What a lookup has brought for all who wait for it. */
interface Landed<out A, out E> {
  readonly exit: Exit.Exit<A, E>
  readonly outcome: Outcome.Outcome
  /** By which schema `exit` holds a value of what type. */
  readonly schema: Schema.Codec<A, unknown>
  /** What a good value was written down as. */
  readonly text?: string | undefined
  /** The value that may be used in place of a failure. */
  readonly kept?: Held | undefined
}

/** A lookup in the background was cut, since what it was to refresh is gone. */
type Cut = "cut"

interface Call<A, E, R> extends CallOptions<A, E> {
  readonly lookup: Effect.Effect<A, E, R>
  readonly path: string
  readonly codec: TextCodec<A>
  readonly watch: Watch | undefined
}

class Cache implements CacheFallback {
  readonly name: string
  settings: Settings
  readonly snapshot: Effect.Effect<Snapshot>
  private isClosed = false
  private readonly shelf: Shelf
  private readonly flights = new Flights<Landed<unknown, unknown> | Cut>()
  private readonly counts = {
    hits: 0,
    staleHits: 0,
    misses: 0,
    lookups: 0,
    refreshes: 0,
    failedRefreshes: 0,
    unwritten: 0
  }

  constructor(name: string, settings: Settings, store: Store | undefined) {
    this.name = name
    this.settings = settings
    this.shelf = store === undefined ? new Memory(settings.capacity) : new Outside(store, settings.storeTimeout)
    this.snapshot = Effect.sync(() => {
      const { unwritten, ...counts } = this.counts
      return {
        name: this.name,
        entries: this.shelf.size,
        inFlight: this.flights.size,
        ...counts,
        evictions: this.shelf.evictions,
        storeFailures: this.shelf.failures + unwritten
      }
    })
  }

  readonly get = <A, E, R>(
    lookup: Effect.Effect<A, E, R>,
    options: CallOptions<A, E>,
    watch?: Watch
  ): Effect.Effect<Answer<A>, E, R> => {
    const { classify, key, schema, staleIf } = options
    const call = { lookup, key, schema, classify, staleIf, watch, path: canonical(key), codec: codecOf(schema) }
    return Effect.withFiber((fiber) => this.answer(call, fiber))
  }

  readonly invalidate = (key: ReadonlyArray<unknown>): Effect.Effect<void> => {
    const path = canonical(key)
    return Effect.andThen(this.flights.outdate(path), this.shelf.remove(path))
  }

  readonly clear: Effect.Effect<void> = Effect.suspend(() => Effect.andThen(this.flights.outdateAll, this.shelf.clear))

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.sync(() => {
      this.settings = settings
      this.shelf.bound(settings.capacity, settings.storeTimeout)
    })

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosed = true
    return this.flights.releaseAll
  })

  private answer<A, E, R>(
    call: Call<A, E, R>,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<Answer<A>, E, R> {
    if (this.isClosed) return this.pass(call)
    if (this.settings.strategy === "service-first") return this.ask(call)
    return then(this.shelf.get(call.path), (held) => {
      const age = held === undefined ? Infinity : ageOf(held, fiber)
      if (held === undefined || age >= this.usable) return this.ask(call)
      if (age >= this.settings.fresh) {
        if (this.settings.strategy !== "stale-while-revalidate") return this.ask(call)
        this.refresh(call, fiber, this.usable - age)
      }
      return this.cached(call, held, age, () => this.ask(call))
    })
  }

  /** How long a value may be used. */
  private get usable(): number {
    return this.settings.fresh + this.settings.stale
  }

  /** Answers with a value, or otherwise where it cannot be read any more. */
  private cached<A, E, R>(
    call: Call<A, E, R>,
    held: Held,
    millis: number,
    otherwise: () => Effect.Effect<Answer<A>, E, R>,
    reason?: Reason
  ): Effect.Effect<Answer<A>, E, R> {
    return then(call.codec.decode(held.text), (decoded) => {
      if (decoded === undefined) return otherwise()
      const isStale = millis >= this.settings.fresh
      const age = Duration.millis(millis)
      if (isStale) this.counts.staleHits++
      else this.counts.hits++
      call.watch?.hit(age, isStale, reason)
      return Effect.succeed({ value: decoded.value, source: "cache", age, isStale })
    })
  }

  /** Asks the service, together with all who ask for the same meanwhile. */
  private ask<A, E, R>(call: Call<A, E, R>): Effect.Effect<Answer<A>, E, R> {
    return Effect.flatMap(
      this.flights.join(call.path, (course) => this.look(call, call.lookup, course)),
      (landed) => {
        if (landed === "cut") return Effect.withFiber((fiber) => this.answer(call, fiber))
        // it has the errors of the same operation, and its value is of this type where the schema is the same
        const { exit, kept, outcome, schema, text } = landed as Landed<A, E>
        if (exit._tag === "Failure" || outcome._tag !== "Success") {
          const failed = () => schema === call.schema || exit._tag === "Failure" ? this.missed(exit) : this.pass(call)
          return kept === undefined || !mayStandIn(call, exit, outcome)
            ? failed()
            : Effect.withFiber((fiber) => this.cached(call, kept, ageOf(kept, fiber), failed, reasonIn(exit)))
        }
        if (schema === call.schema) return this.missed(exit)
        return text === undefined ?
          this.pass(call) :
          Effect.flatMap(
            call.codec.decode(text),
            (decoded) => decoded === undefined ? this.pass(call) : this.missed(Exit.succeed(decoded.value))
          )
      }
    )
  }

  private missed<A, E>(exit: Exit.Exit<A, E>): Effect.Effect<Answer<A>, E> {
    return Effect.suspend(() => {
      this.counts.misses++
      return Effect.map(exit, fromService)
    })
  }

  /** Asks the service for this call alone, past the cache. */
  private pass<A, E, R>(call: Call<A, E, R>): Effect.Effect<Answer<A>, E, R> {
    return Effect.suspend(() => {
      this.counts.misses++
      this.counts.lookups++
      return Effect.map(call.lookup, fromService)
    })
  }

  /** Asks the service in the background, for as long as the value can be used. */
  private refresh<A, E, R>(call: Call<A, E, R>, fiber: Fiber.Fiber<unknown, unknown>, millis: number): void {
    this.flights.start(call.path, fiber, (course) => {
      this.counts.refreshes++
      const late = new TimedOut({ policy: this.name, limit: "total", after: Duration.millis(millis) })
      const limit = { millis, timeout: { policy: this.name, limit: "total", millis } } as const
      return this.look(call, limitTime(call.lookup, limit, () => late), course, late)
    })
  }

  /** Runs a lookup, and keeps what it brings, or what was there before. */
  private look<A, E, R, L>(
    call: Call<A, E, R>,
    lookup: Effect.Effect<A, E | L, R>,
    course: Course,
    late?: L
  ): Effect.Effect<Landed<A, E> | Cut, never, R> {
    this.counts.lookups++
    return Effect.flatMap(Effect.exit(lookup), (exit): Effect.Effect<Landed<A, E> | Cut> => {
      if (late === undefined || !isFailureWith(exit, late)) {
        // it has just been ruled out that the error is `late`, the one that a limit has added
        return this.land(call, exit as Exit.Exit<A, E>, course)
      }
      this.refreshFailed(call, course, { reason: late })
      return Effect.succeed("cut")
    })
  }

  private land<A, E, R>(
    call: Call<A, E, R>,
    exit: Exit.Exit<A, E>,
    course: Course
  ): Effect.Effect<Landed<A, E>> {
    return Effect.clockWith((clock) => {
      const { path, schema } = call
      const outcome = Outcome.classify(exit, call.classify, clock)
      const landed = { exit, outcome, schema }
      if (exit._tag === "Success" && outcome._tag === "Success") {
        return Effect.flatMap(call.codec.encode(exit.value), (text): Effect.Effect<Landed<A, E>> => {
          if (text === undefined) this.counts.unwritten++
          return text === undefined
            ? Effect.succeed({ ...landed, text })
            : Effect.as(this.shelf.set(path, text, this.usable, () => !course.isObsolete), { ...landed, text })
        })
      }
      if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return Effect.succeed(landed)
      // the service has answered, and not with this value
      if (outcome._tag === "Success" && !mayStandIn(call, exit, outcome)) {
        return course.isObsolete ? Effect.succeed(landed) : Effect.as(this.shelf.remove(path), landed)
      }
      return Effect.flatMap(this.shelf.get(path), (held) =>
        Effect.withFiber((fiber) => {
          const kept = held !== undefined && ageOf(held, fiber) < this.usable ? held : undefined
          if (kept !== undefined) this.refreshFailed(call, course, reasonIn(exit))
          return Effect.succeed({ ...landed, kept })
        }))
    })
  }

  private refreshFailed<A, E, R>(call: Call<A, E, R>, course: Course, reason: Reason): void {
    if (course.isBackground) this.counts.failedRefreshes++
    call.watch?.refreshFailed(reason)
  }
}

/** `Effect.flatMap`, which goes on at once where there is nothing to run. */
const then = <A, B, E, R>(self: Effect.Effect<A>, next: (a: A) => Effect.Effect<B, E, R>): Effect.Effect<B, E, R> => {
  const exit = done(self)
  return exit?._tag === "Success" ? next(exit.value) : Effect.flatMap(self, next)
}

const ageOf = (held: Held, fiber: Fiber.Fiber<unknown, unknown>): number =>
  Math.max(0, monotonicMillis(fiber.getRef(Clock.Clock)) - held.at)

const fromService = <A>(value: A): Answer<A> => ({ value, source: "service", age: Duration.zero, isStale: false })

const isFailureWith = (exit: Exit.Exit<unknown, unknown>, error: unknown): boolean =>
  exit._tag === "Failure" && exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error === error)

/** Whether a cached value may be used in place of how a lookup has ended. */
const mayStandIn = <A, E, R>(
  { staleIf }: Call<A, E, R>,
  exit: Exit.Exit<A, E>,
  outcome: Outcome.Outcome
): boolean => {
  if (exit._tag === "Success") return outcome._tag !== "Success"
  const found = Cause.findError(exit.cause)
  if (Result.isFailure(found) || Cause.hasDies(exit.cause)) return false
  return staleIf === undefined ? outcome._tag !== "Success" : holds(staleIf, found.success)
}
