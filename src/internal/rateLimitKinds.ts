/**
 * The three kinds of rate limits. Permits are numbers, fractions included; times
 * are monotonic milliseconds, and each method takes them in order.
 */
import type { LimitSettings } from "../RateLimit.ts"

/** What one limit can tell, and how permits are spent from it. */
export interface Limit {
  /** The most that one call can ever have. */
  readonly most: number
  /**
   * When a call can have its permits, from `from` on and if nobody else asks;
   * infinite where that is never. In debt, it is later also for what costs nothing.
   */
  readonly earliest: (cost: number, from: number) => number
  /** Spends for good. */
  readonly spend: (cost: number, at: number) => void
  /** Spends for a call that was due at `due`, until it ends. */
  readonly hold: (cost: number, due: number, now: number) => Held
  /** Permits left; below zero in debt. */
  readonly left: (now: number) => number
  /** A limit that stands as this one does, to try on what will happen. */
  readonly copy: () => Limit
  /** Goes on under other numbers; `false` where they are of another kind. */
  readonly resize: (spec: LimitSettings, now: number) => boolean
}

/** What a call has spent from one limit, for as long as it is under way. */
export interface Held {
  readonly cost: number
  /** The call has cost what was spent. */
  readonly end: () => void
  /**
   * The call has cost `real` instead. More is debt from now on. Less is given
   * back, as far as the limit would have more now if only `real` had been spent.
   */
  readonly settle: (real: number, now: number) => void
}

type Of<Kind extends LimitSettings["kind"]> = Extract<LimitSettings, { readonly kind: Kind }>

/** A limit that nobody has asked yet. */
export const makeLimit = (spec: LimitSettings): Limit => {
  switch (spec.kind) {
    case "token-bucket":
      return new TokenBucket(spec)
    case "sliding-window":
      return new SlidingWindow(spec)
    case "fixed-window":
      return new FixedWindow(spec)
  }
}

// sums of fractions miss a whole by less than this share of it
const rounding = 1e-12
const noise = 1 + rounding

/** What is spent stays spent, up to the whole of the new limit; what is owed beyond the former one stays owed. */
const carriedOver = (spent: number, former: number, next: number): number =>
  spent > former ? spent - former + Math.min(former, next) : Math.min(spent, next)

/**
 * A bucket of `burst` permits that is filled at `permits / per`.
 *
 * It keeps what is missing from a full bucket, and since when:
 * `missing(t) = max(0, missing - (t - at) * permits / per)`. A call passes when
 * `missing + cost <= burst`, else it is `(missing + cost - burst) * per / permits`
 * early. That is the generic cell rate algorithm (ITU-T I.371), with permits in
 * place of its theoretical arrival time, which would lose intervals far below a
 * clock's resolution. What rounding takes from one wait it adds to the next.
 *
 * What is given back is worth what the bucket would hold more if it had never
 * been spent, which is less where the bucket would have overflown in between:
 * `min(cost, min missing(s) for all later spendings s)`. So calls under way form a
 * list, oldest first, and each keeps the least that was missing, right before a
 * spending, from its own spending to that of the next one (`slack`).
 */
class TokenBucket implements Limit {
  private spec: Of<"token-bucket">
  newest: BucketHeld | undefined = undefined
  private missing = 0
  private at = -Infinity

  constructor(spec: Of<"token-bucket">) {
    this.spec = spec
  }

  get most(): number {
    return this.spec.burst
  }

  missingAt(time: number): number {
    return this.missing === 0
      ? 0
      : Math.max(0, this.missing - Math.max(0, time - this.at) * this.spec.permits / this.spec.per)
  }

  earliest(cost: number, from: number): number {
    if (cost > this.spec.burst * noise) return Infinity
    const start = Math.max(from, this.at)
    const short = this.missingAt(start) + cost - this.spec.burst
    if (short <= this.spec.burst * rounding) return start
    // too short a wait for the clock is a wait all the same
    return start + Math.max(short * this.spec.per / this.spec.permits, Math.abs(start) * Number.EPSILON)
  }

  spend(cost: number, at: number): void {
    const missing = this.missingAt(at)
    if (this.newest !== undefined) this.newest.slack = Math.min(this.newest.slack, missing)
    this.set(missing + cost, at)
  }

  // spent when it was due: a timer that is late does not slow the rate down
  hold(cost: number, due: number): Held {
    this.spend(cost, due)
    return this.newest = new BucketHeld(this, cost, this.newest)
  }

  giveBack(permits: number, now: number): void {
    this.set(this.missingAt(now) - permits, now)
  }

  left(now: number): number {
    return this.spec.burst - this.missingAt(now)
  }

  copy(): Limit {
    const copy = new TokenBucket(this.spec)
    copy.set(this.missing, this.at)
    return copy
  }

  resize(spec: LimitSettings, now: number): boolean {
    if (spec.kind !== "token-bucket") return false
    this.set(carriedOver(this.missingAt(now), this.spec.burst, spec.burst), now)
    this.spec = spec
    return true
  }

  private set(missing: number, at: number): void {
    this.missing = missing
    this.at = Math.max(this.at, at)
  }
}

class BucketHeld implements Held {
  readonly cost: number
  slack = Infinity
  private readonly bucket: TokenBucket
  private older: BucketHeld | undefined
  private newer: BucketHeld | undefined = undefined

  constructor(bucket: TokenBucket, cost: number, older: BucketHeld | undefined) {
    this.bucket = bucket
    this.cost = cost
    this.older = older
    if (older !== undefined) older.newer = this
  }

  end(): void {
    const { newer, older } = this
    if (newer === undefined) this.bucket.newest = older
    else newer.older = older
    if (older !== undefined) {
      older.newer = newer
      older.slack = Math.min(older.slack, this.slack)
    }
    this.older = this.newer = undefined
  }

  settle(real: number, now: number): void {
    const { bucket, cost } = this
    if (real < cost) {
      let back = Math.min(cost - real, bucket.missingAt(now))
      this.upToNewest((held) => {
        back = Math.min(back, held.slack)
      })
      bucket.giveBack(back, now)
      this.upToNewest((held) => {
        held.slack -= back
      })
    }
    this.end()
    if (real > cost) bucket.spend(real - cost, now)
  }

  /** This one, and all that were spent later. */
  private upToNewest(f: (held: BucketHeld) => void): void {
    for (let held = this.bucket.newest; held !== undefined; held = held.older) {
      f(held)
      if (held === this) return
    }
  }
}

// the same instant, once read off the clock and once added up, may differ in its last digit
const hasCome = (time: number, now: number): boolean => time - now <= Math.abs(now) * Number.EPSILON

// so many spendings a window keeps one by one
const exactly = 4_096

/**
 * At most `permits` in any stretch of `per`: a log of what was spent and when.
 *
 * Up to 4,096 spendings within the window are kept one by one. Beyond them those
 * that came within a 4,096th of the window share an entry, which counts from the
 * last of them: a permit may come back so much late, and never early. So a window
 * takes 128 kilobytes at the most, and for whole costs 16 bytes a permit.
 */
class SlidingWindow implements Limit {
  private spec: Of<"sliding-window">
  private log = new Float64Array(8)
  // entries are numbered for ever: `oldest` is still in the window, `next` is the one to come
  private oldest = 0
  private next = 0
  private spent = 0
  private newestSince = -Infinity

  constructor(spec: Of<"sliding-window">) {
    this.spec = spec
  }

  get most(): number {
    return this.spec.permits
  }

  earliest(cost: number, from: number): number {
    const { per, permits } = this.spec
    if (cost > permits * noise) return Infinity
    let { spent } = this
    let at = from
    for (let entry = this.oldest; entry < this.next && spent + cost > permits * noise; entry++) {
      spent -= this.costOf(entry)
      const end = this.timeOf(entry) + per
      at = hasCome(end, from) ? from : end
    }
    return at
  }

  spend(cost: number, at: number): void {
    this.add(cost, at)
  }

  // spent when it is let go, however late that is: so no window ever has more
  hold(cost: number, due: number, now: number): Held {
    return new WindowHeld(cost, this, this.add(cost, Math.max(due, now)))
  }

  giveBack(permits: number, entry: number, now: number): void {
    this.forget(now)
    if (entry < this.oldest) return
    this.log[this.slotOf(entry) + 1] = this.costOf(entry) - permits
    this.spent -= permits
  }

  left(now: number): number {
    this.forget(now)
    return this.spec.permits - this.spent
  }

  copy(): Limit {
    const copy = new SlidingWindow(this.spec)
    copy.log = this.log.slice()
    copy.oldest = this.oldest
    copy.next = this.next
    copy.spent = this.spent
    return copy
  }

  resize(spec: LimitSettings): boolean {
    if (spec.kind !== "sliding-window") return false
    this.spec = spec
    return true
  }

  /** Returns the number of the entry. */
  private add(cost: number, at: number): number {
    this.forget(at)
    if (cost === 0) return -1
    const newest = this.next - 1
    this.spent += cost
    if (this.next - this.oldest >= exactly && at - this.newestSince < this.spec.per / exactly) {
      this.set(newest, at, this.costOf(newest) + cost)
      return newest
    }
    if (2 * (this.next - this.oldest) === this.log.length) this.grow()
    this.newestSince = at
    this.set(this.next, at, cost)
    return this.next++
  }

  private forget(now: number): void {
    while (this.oldest < this.next && hasCome(this.timeOf(this.oldest) + this.spec.per, now)) {
      this.spent -= this.costOf(this.oldest++)
    }
    // no rounding is left over
    if (this.oldest === this.next) this.spent = 0
  }

  private grow(): void {
    const log = new Float64Array(this.log.length * 2)
    const { log: old, next, oldest } = this
    for (let entry = oldest; entry < next; entry++) {
      const slot = (2 * entry) & (log.length - 1)
      log[slot] = old[this.slotOf(entry)] ?? 0
      log[slot + 1] = old[this.slotOf(entry) + 1] ?? 0
    }
    this.log = log
  }

  private set(entry: number, time: number, cost: number): void {
    this.log[this.slotOf(entry)] = time
    this.log[this.slotOf(entry) + 1] = cost
  }

  private timeOf(entry: number): number {
    return this.log[this.slotOf(entry)] ?? 0
  }

  private costOf(entry: number): number {
    return this.log[this.slotOf(entry) + 1] ?? 0
  }

  // a time and a cost each; the length is a power of two
  private slotOf(entry: number): number {
    return (2 * entry) & (this.log.length - 1)
  }
}

/**
 * At most `permits` in each window of `per`. A window opens with the first call
 * after the last one has ended. What is spent beyond the permits, by settling, is
 * carried over into the windows that follow at once.
 */
class FixedWindow implements Limit {
  private spec: Of<"fixed-window">
  private since = -Infinity
  private spent = 0

  constructor(spec: Of<"fixed-window">) {
    this.spec = spec
  }

  get most(): number {
    return this.spec.permits
  }

  earliest(cost: number, from: number): number {
    const { per, permits } = this.spec
    if (cost > permits * noise) return Infinity
    this.turn(from)
    const over = this.spent + cost - permits
    return over <= permits * rounding ? from : this.since + Math.ceil(over / permits / noise) * per
  }

  spend(cost: number, at: number): void {
    this.turn(at)
    if (this.spent === 0) this.since = at
    this.spent += cost
  }

  hold(cost: number, due: number, now: number): Held {
    this.spend(cost, Math.max(due, now))
    return new WindowHeld(cost, this, this.since)
  }

  giveBack(permits: number, since: number, now: number): void {
    this.turn(now)
    if (this.since === since) this.spent -= Math.min(permits, this.spent)
  }

  left(now: number): number {
    this.turn(now)
    return this.spec.permits - this.spent
  }

  copy(): Limit {
    const copy = new FixedWindow(this.spec)
    copy.since = this.since
    copy.spent = this.spent
    return copy
  }

  resize(spec: LimitSettings, now: number): boolean {
    if (spec.kind !== "fixed-window") return false
    this.turn(now)
    this.spent = carriedOver(this.spent, this.spec.permits, spec.permits)
    this.spec = spec
    return true
  }

  private turn(now: number): void {
    const { per, permits } = this.spec
    if (this.spent === 0 || !hasCome(this.since + per, now)) return
    const windows = Math.max(1, Math.floor((now - this.since) / per))
    this.spent = Math.max(0, this.spent - windows * permits)
    this.since += windows * per
  }
}

class WindowHeld implements Held {
  readonly cost: number
  private readonly window: SlidingWindow | FixedWindow
  /** Where it was spent. */
  private readonly place: number

  constructor(cost: number, window: SlidingWindow | FixedWindow, place: number) {
    this.cost = cost
    this.window = window
    this.place = place
  }

  end(): void {}

  settle(real: number, now: number): void {
    if (real < this.cost) this.window.giveBack(this.cost - real, this.place, now)
    if (real > this.cost) this.window.spend(real - this.cost, now)
  }
}
