/**
 * One policy, many keys: a circuit breaker for each host, tenant or model, made
 * when it is first called and dropped when it has been idle.
 *
 * All keys have the same settings and nothing else in common: one that is open
 * says nothing about another. For what a breaker is see `CircuitBreaker`; it has
 * the same place in the standard order.
 *
 * A key costs memory until it is dropped, and stands in errors, snapshots and
 * events: it should be neither endless in its variety, such as an id of a request,
 * nor a secret. Where few calls share a key, a breaker over all of them learns
 * sooner.
 *
 * There are no timers. Now and then a call looks at another key or two, and each
 * key that is made at two, so that a key that is not used any more is found without
 * ever going through all of them at once.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as CircuitBreaker from "./CircuitBreaker.ts"
import { KeyCell, type Place, Shared, type Timekeeper } from "./internal/breakerCell.ts"
import { PlaceGuard, protectAt } from "./internal/breakerGuard.ts"
import { resolve } from "./internal/breakerSettings.ts"
import * as breakerSnapshot from "./internal/breakerSnapshot.ts"
import type { CircuitOpen } from "./internal/circuitOpen.ts"
import { integer, nonEmpty, onlyKeys, positiveMillis, refuse } from "./internal/options.ts"
import { monotonicMillis } from "./internal/time.ts"

/**
 * What a breaker with many keys is made from: what each of them is made from, and
 * how long they are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends CircuitBreaker.Options {
  /**
   * How long a key is not used before it is dropped, with all that it has counted.
   * A key that is open and not yet due, half-open, overridden by hand, or has calls
   * in flight stays. Above zero, `"Infinity"` for never. Default: 10 minutes.
   */
  readonly idle?: Duration.Input | undefined
  /**
   * How many keys there may be before the ones that have not been used for a while
   * are dropped although they have not been idle for so long. There are more only
   * where all of them must stay. Default: 10,000.
   */
  readonly maxKeys?: number | undefined
}

/**
 * Options that have been checked, with durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings extends CircuitBreaker.Settings {
  readonly idle: number
  readonly maxKeys: number
}

/**
 * Checks options and fills in what they leave out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => {
  onlyKeys("KeyedCircuitBreaker", options, ["trip", "open", "maxRetryAfter", "halfOpen", "idle", "maxKeys"])
  const { idle = 600_000, maxKeys = 10_000, ...each } = options
  return {
    ...resolve(each),
    idle: positiveMillis("KeyedCircuitBreaker", "idle", idle, { infinite: true }),
    maxKeys: integer("KeyedCircuitBreaker", "maxKeys", maxKeys, 1)
  }
}

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> extends CircuitBreaker.CallOptions<A, E> {
  /** Whose breaker it is: any string. */
  readonly key: string
}

/**
 * The breaker of one key. It is made by its first call, and is not kept from being
 * dropped by being held.
 *
 * @category models
 * @since 0.1.0
 */
export interface OfKey extends CircuitBreaker.Guard {
  readonly key: string
}

/**
 * A breaker with many keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyedCircuitBreaker {
  readonly name: string
  /** Its settings now. */
  readonly settings: Settings
  /**
   * Runs an effect if the breaker of the key lets it through, and counts its
   * outcome. Otherwise fails with `CircuitOpen`, and the effect is not run.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E>
  ) => Effect.Effect<A, E | CircuitOpen, R>
  /** The breaker of a key. */
  readonly of: (key: string) => OfKey
  /** The keys that there are now. */
  readonly keys: Effect.Effect<ReadonlyArray<string>>
  /** What can be read off each of them. */
  readonly snapshot: Effect.Effect<ReadonlyArray<CircuitBreaker.Snapshot>>
  /** Changes the settings of all keys, which keep their states; see `CircuitBreaker`. */
  readonly reconfigure: (settings: Settings) => Effect.Effect<void>
  /**
   * Where the calls of a key go.
   *
   * @internal
   */
  readonly place: (key: string) => Place
}

/**
 * Makes a breaker with many keys, whose state belongs to whoever holds it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const hosts = yield* CircuitBreaker.keyed("hosts", { trip: { kind: "consecutive", failures: 1 } })
 *   yield* Effect.flip(hosts.protect(Effect.fail("connection refused"), { key: "a.internal" }))
 *   const refused = yield* Effect.flip(hosts.protect(Effect.void, { key: "a.internal" }))
 *   console.log(refused._tag) // => CircuitOpen
 *   return yield* hosts.protect(Effect.succeed("b is well"), { key: "b.internal" })
 * })
 *
 * console.log(await Effect.runPromise(program)) // => b is well
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options?: Options): Effect.Effect<KeyedCircuitBreaker> => {
  nonEmpty("KeyedCircuitBreaker", "name", name)
  const resolved = settings(options)
  return Effect.sync(() => makeUnsafe(name, resolved))
}

/**
 * Makes a breaker with many keys from checked settings, at once. `onTransition` is
 * told of every change of every key, at once; what it throws is dropped.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (
  name: string,
  settings: Settings,
  options?: { readonly onTransition?: ((transition: CircuitBreaker.Transition) => void) | undefined }
): KeyedCircuitBreaker => new Keyed(new Keys(new Shared(name, settings, options?.onTransition), settings))

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/** So many uses of keys that are there already pass between two readings of the clock for the sweep. */
const sweepEvery = 32
/**
 * So many keys are looked at then. Each is one that nobody has just used, and so a miss of the processor's caches. What
 * is idle a little longer costs nothing new: the keys only become more by way of `sweepPerKey`.
 */
const sweepPerUses = 2
/** So many keys are looked at for each one that is made: what is idle goes away faster than others come. */
const sweepPerKey = 2
/** So many keys that must stay are passed over, at most, to make room for another. */
const passOver = 16

/**
 * The cells by key, and a hand that goes round them without end. Where it finds a
 * cell used since it last came by, it marks the time and goes on; where it does
 * not, and the mark is old enough, it drops the cell. So using a cell needs no
 * clock, and a cell is never dropped before its time.
 *
 * This is the clock algorithm of page replacement (F. J. Corbató, "A Paging
 * Experiment with the Multics System", 1968).
 */
class Keys {
  readonly shared: Shared
  settings: Settings
  readonly cells = new Map<string, KeyCell>()
  private hand = this.cells.values()
  private uses = 0

  constructor(shared: Shared, settings: Settings) {
    this.shared = shared
    this.settings = settings
  }

  take(key: string, by: Timekeeper): KeyCell {
    const known = this.cells.get(key)
    if (known !== undefined) {
      known.wasUsed = true
      if (++this.uses === sweepEvery) {
        this.uses = 0
        this.sweep(sweepPerUses, monotonicMillis(by.clock), by)
      }
      return known
    }
    const now = monotonicMillis(by.clock)
    this.sweep(sweepPerKey, now, by)
    this.makeRoom(now, by)
    const cell = new KeyCell(this.shared, key, now)
    this.cells.set(key, cell)
    return cell
  }

  /** Drops what has been idle for so long, and takes no marks off: to look is not to use. */
  dropIdle(by: Timekeeper): void {
    const now = monotonicMillis(by.clock)
    for (const cell of this.cells.values()) {
      if (!cell.wasUsed && this.isOver(cell, now, by)) this.drop(cell)
    }
  }

  /** Goes on by so many cells, or once round. */
  private sweep(steps: number, now: number, by: Timekeeper): void {
    for (let step = Math.min(steps, this.cells.size); step > 0; step--) {
      const cell = this.next()
      if (cell === undefined) return
      if (!this.tookMark(cell, now) && this.isOver(cell, now, by)) this.drop(cell)
      else cell.thin(now)
    }
  }

  /** Drops cells that have not been used since the hand last came by, until there is room for another. */
  private makeRoom(now: number, by: Timekeeper): void {
    let passed = 0
    // each mark that is taken off has been put there by a use of its own
    while (this.cells.size >= this.settings.maxKeys && passed < passOver) {
      const cell = this.next()
      if (cell === undefined) return
      if (this.tookMark(cell, now)) continue
      if (cell.isIdle(now, by)) this.drop(cell)
      else passed++
    }
  }

  /** Whether it has been used since the hand last came by. */
  private tookMark(cell: KeyCell, now: number): boolean {
    if (!cell.wasUsed) return false
    cell.wasUsed = false
    cell.seenAt = now
    return true
  }

  private isOver(cell: KeyCell, now: number, by: Timekeeper): boolean {
    return now - cell.seenAt >= this.settings.idle && cell.isIdle(now, by)
  }

  private next(): KeyCell | undefined {
    const { value } = this.hand.next()
    if (value !== undefined) return value
    this.hand = this.cells.values()
    return this.hand.next().value
  }

  private drop(cell: KeyCell): void {
    this.cells.delete(cell.key)
  }
}

/** The way to the cell of a key, whichever it is at the time. */
class KeyPlace implements Place {
  readonly keys: Keys
  readonly key: string

  constructor(keys: Keys, key: string) {
    if (typeof key !== "string") refuse("KeyedCircuitBreaker", "key", "a string", key)
    this.keys = keys
    this.key = key
  }

  get shared(): Shared {
    return this.keys.shared
  }

  take(by: Timekeeper): KeyCell {
    return this.keys.take(this.key, by)
  }

  peek(): KeyCell {
    return this.keys.cells.get(this.key) ?? new KeyCell(this.shared, this.key, 0)
  }
}

class KeyGuard extends PlaceGuard implements OfKey {
  readonly key: string

  constructor(place: KeyPlace) {
    super(place)
    this.key = place.key
  }
}

class Keyed implements KeyedCircuitBreaker {
  readonly name: string
  readonly keys: Effect.Effect<ReadonlyArray<string>>
  readonly snapshot: Effect.Effect<ReadonlyArray<CircuitBreaker.Snapshot>>
  private readonly all: Keys

  constructor(all: Keys) {
    this.name = all.shared.name
    this.all = all
    const cells = Effect.clockWith((clock) =>
      Effect.sync(() => {
        all.dropIdle({ clock })
        return { clock, cells: [...all.cells.values()] }
      })
    )
    this.keys = Effect.map(cells, ({ cells }) => cells.map(({ key }) => key))
    this.snapshot = Effect.map(cells, ({ cells, clock }) => cells.map((cell) => breakerSnapshot.read(cell, clock)))
  }

  get settings(): Settings {
    return this.all.settings
  }

  readonly protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E>
  ): Effect.Effect<A, E | CircuitOpen, R> => protectAt(this.place(options?.key), self, options)

  readonly of = (key: string): OfKey => new KeyGuard(new KeyPlace(this.all, key))

  readonly place = (key: string): KeyPlace => new KeyPlace(this.all, key)

  readonly reconfigure = (settings: Settings): Effect.Effect<void> =>
    Effect.sync(() => {
      const { all } = this
      const { trip } = all.settings
      all.settings = settings
      all.shared.configure(settings)
      for (const cell of all.cells.values()) cell.refit(trip)
    })
}
