/**
 * The lanes of all keys, and one for calls without a key.
 *
 * A key whose limits are as if nobody had ever asked them is forgotten: each call
 * with a key looks at one other key, and each new key at some more, so that all
 * are looked at in turn and no timer is needed.
 */
import type { LimitSettings, Settings } from "../RateLimit.ts"
import { Lane } from "./rateLimitLane.ts"

// how many keys a new one looks at for one that can go
const looks = 8

export class Lanes {
  private specs: ReadonlyArray<LimitSettings>
  private maxKeys: number
  private readonly common: Lane
  private readonly lanes = new Map<string, Lane>()
  // goes round; an iterator of a map stands what is added and deleted meanwhile
  private round: Iterator<[string, Lane]>

  constructor(settings: Settings) {
    this.specs = Object.values(settings.limits)
    this.maxKeys = settings.maxKeys
    this.common = new Lane(this.specs)
    this.round = this.lanes.entries()
  }

  get size(): number {
    return this.lanes.size
  }

  get waiting(): number {
    let waiting = this.common.waiting
    for (const lane of this.lanes.values()) waiting += lane.waiting
    return waiting
  }

  /** The lane of a key that asks now. */
  of(key: string | undefined, now: number): Lane {
    if (key === undefined) return this.common
    let lane = this.lanes.get(key)
    if (lane === undefined) {
      this.makeRoom(now)
      lane = new Lane(this.specs)
      this.lanes.set(key, lane)
      return lane
    }
    lane.wasUsed = true
    const [other, next] = this.lookAtNext()
    if (next !== lane && next?.isFresh(now) === true) this.lanes.delete(other)
    return lane
  }

  /** The lane of a key, to be read; a fresh one where there is none. */
  peek(key: string | undefined): Lane {
    return key === undefined ? this.common : this.lanes.get(key) ?? new Lane(this.specs)
  }

  /** Goes on with other limits. `from` says which of the present ones each follows. */
  change(settings: Settings, from: ReadonlyArray<number>, now: number): void {
    this.specs = Object.values(settings.limits)
    this.maxKeys = settings.maxKeys
    for (const lane of [this.common, ...this.lanes.values()]) {
      lane.serve(now)
      lane.change(this.specs, from, now)
      lane.forEach((caller) => caller.reprice())
      lane.strained(now)
    }
  }

  private makeRoom(now: number): void {
    for (let look = 0; look < looks; look++) {
      const [key, lane] = this.lookAtNext()
      if (lane === undefined) return
      const isFull = this.lanes.size >= this.maxKeys
      if (lane.isFresh(now) || (isFull && lane.running === 0 && lane.waiting === 0 && !lane.wasUsed)) {
        this.lanes.delete(key)
      } else lane.wasUsed = false
    }
  }

  private lookAtNext(): readonly [string, Lane | undefined] {
    let next = this.round.next()
    if (next.done === true) {
      this.round = this.lanes.entries()
      next = this.round.next()
    }
    return next.done === true ? ["", undefined] : next.value
  }
}
