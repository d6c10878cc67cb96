/**
 * What is known of all services, and what has changed about them, for any number of
 * clients.
 *
 * The services are read at most four times a second, however many clients there are,
 * and not at all without one. Each member of a service is written down as JSON once
 * per change, with the version at which it changed; a client remembers the version it
 * has, and is given what has changed since. So there is no queue: a slow client
 * misses versions, and its next frame has the latest of everything. Clients that keep
 * up are given the same bytes.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicMillis } from "../../internal/time.ts"
import type * as Status from "../Status.ts"
import type { Reader } from "./statusReader.ts"

/** Between two readings, in milliseconds. */
const interval = 250

/** A frame may come this much sooner after the one before it, since one reading takes longer than another, in milliseconds. */
const slack = 50

/** So long after its last frame a client is told that the connection is alive, in milliseconds. */
const heartbeat = 5_000

/** So many different frames of one version are kept for others to share. */
const maxShared = 8

/** One member of a service: its value, its JSON with its name before it, and the version at which it changed. */
interface Member {
  readonly value: unknown
  readonly text: string
  readonly version: number
}

/** Notes the values that are new; `true` if there was one. Those that are the same keep their version. */
const note = (members: Map<string, Member>, values: object, version: number): boolean => {
  let isChanged = false
  for (const [member, value] of Object.entries(values)) {
    const known = members.get(member)
    if (known !== undefined && isSame(known.value, value)) continue
    members.set(member, {
      value,
      text: `"${member}":${Number.isFinite(value) ? value : JSON.stringify(value)}`,
      version
    })
    isChanged = true
  }
  return isChanged
}

/** What has changed since a version, as the inside of an object. */
const changedSince = (members: ReadonlyMap<string, Member>, since: number): ReadonlyArray<string> => {
  const texts: Array<string> = []
  for (const { text, version } of members.values()) if (version > since) texts.push(text)
  return texts
}

interface Row {
  /** `"name":"..."`. */
  readonly name: string
  readonly members: Map<string, Member>
  /** Each counter by itself: most of what changes is some of them. */
  readonly counts: Map<string, Member>
  /** The last version at which any member changed. */
  version: number
}

const isSame = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(Reflect.get(a, key), Reflect.get(b, key)))
}

const encoder = new TextEncoder()

export class Board {
  private readonly rows = new Map<string, Row>()
  private version = 0
  private at = 0
  private shared = new Map<number, Uint8Array>()
  private readonly since: number

  constructor(since: number) {
    this.since = since
  }

  /** Takes in how all services are now. */
  update(at: number, services: ReadonlyArray<Status.ServiceState>): void {
    const version = this.version + 1
    let isChanged = this.version === 0
    for (const { counts, name, ...members } of services) {
      let row = this.rows.get(name)
      if (row === undefined) {
        this.rows.set(
          name,
          row = { name: `"name":${JSON.stringify(name)}`, members: new Map(), counts: new Map(), version }
        )
        isChanged = true
      }
      // a breaker that belongs to no pipeline has none
      const isMore = note(row.members, counts === null ? { ...members, counts } : members, version)
      const isCounted = counts !== null && note(row.counts, counts, version)
      if (!isMore && !isCounted) continue
      row.version = version
      isChanged = true
    }
    this.at = at
    if (!isChanged) return
    this.version = version
    this.shared = new Map()
  }

  get current(): number {
    return this.version
  }

  /** What has changed since a version, as one server-sent event; everything since version 0. */
  frame(since: number): Uint8Array {
    const known = this.shared.get(since)
    if (known !== undefined) return known
    const services: Array<string> = []
    for (const row of this.rows.values()) {
      if (row.version <= since) continue
      const members = [row.name, ...changedSince(row.members, since)]
      const counts = changedSince(row.counts, since)
      if (counts.length > 0) members.push(`"counts":{${counts.join(",")}}`)
      services.push(`{${members.join(",")}}`)
    }
    const made = this.event(this.at, this.version, since === 0, services)
    if (this.shared.size < maxShared) this.shared.set(since, made)
    return made
  }

  /** Nothing has changed. */
  alive(at: number, version: number): Uint8Array {
    return this.event(at, version, false, [])
  }

  private event(at: number, version: number, full: boolean, services: ReadonlyArray<string>): Uint8Array {
    const { since } = this
    return encoder.encode(
      `data: {"at":${at},"since":${since},"version":${version},"full":${full},"services":[${services.join(",")}]}\n\n`
    )
  }
}

/** What a client has been given. */
interface Given {
  version: number
  /** When, by the monotonic clock. */
  at: number
}

export interface Changes {
  /**
   * The changes as server-sent events, for one client each time that it is run: a full
   * frame first, then at most one per reading. Where there is no room, it ends at once.
   */
  readonly stream: Stream.Stream<Uint8Array>
  /** Whether there is no room for one more client. */
  readonly isFull: () => boolean
}

/** The changes, for so many clients at once. They end with the scope. */
export const changes = (reader: Reader, maxClients: number): Effect.Effect<Changes, never, Scope.Scope> =>
  Effect.gen(function*() {
    const board = new Board(reader.since)
    const someone = Latch.makeUnsafe()
    let isOver = false
    let clients = 0
    let next = Deferred.makeUnsafe<void>()

    const read = Effect.map(reader.states, ({ at, services }) => board.update(at, services))

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        isOver = true
        return Deferred.succeed(next, undefined)
      })
    )
    const turn = Effect.gen(function*() {
      yield* someone.await
      const clock = yield* Clock.Clock
      const began = monotonicMillis(clock)
      // a reading that fails is a mistake of ours, and must not stop the others
      yield* Effect.catchCause(read, (cause) => Effect.logError("the status of services could not be read", cause))
      const told = next
      next = Deferred.makeUnsafe()
      yield* Deferred.succeed(told, undefined)
      // the others of this program are to have most of the time, however many services there are
      const took = monotonicMillis(clock) - began
      yield* Effect.sleep(Math.max(interval - took, 2 * took))
    })
    yield* Effect.sleep(interval).pipe(Effect.andThen(Effect.forever(turn)), Effect.forkScoped)

    const come = Effect.suspend(() => {
      clients++
      someone.openUnsafe()
      // for the others there is a reading of a moment ago
      return clients === 1 ? read : Effect.void
    })
    const leave = Effect.sync(() => {
      clients--
      if (clients === 0) someone.closeUnsafe()
    })

    const frameFor = (given: Given): Effect.Effect<Uint8Array | undefined> =>
      Effect.clockWith((clock) => {
        if (isOver) return Effect.undefined
        const now = monotonicMillis(clock)
        const since = given.version
        // the first frame comes at any time, and the reading that follows it may be too near
        const isTooSoon = since > 0 && now - given.at < interval - slack
        if (since !== board.current && !isTooSoon) {
          given.version = board.current
          given.at = now
          return Effect.succeed(board.frame(since))
        }
        if (now - given.at >= heartbeat) {
          given.at = now
          return Effect.succeed(board.alive(clock.currentTimeMillisUnsafe(), since))
        }
        return Effect.andThen(Deferred.await(next), Effect.suspend(() => frameFor(given)))
      })

    const isFull = () => clients >= maxClients
    const stream = Stream.unwrap(Effect.gen(function*() {
      // others have come since it was asked
      if (isFull()) return Stream.empty
      yield* Effect.acquireRelease(come, () => leave)
      const given: Given = { version: 0, at: monotonicMillis(yield* Clock.Clock) }
      // nothing is made before it is asked for, so that a client that was late gets the latest; and, but for the
      // first, only at readings, so that it does not get two at once
      return Stream.unfold(true, (isFirst) =>
        Effect.map(
          Effect.andThen(isFirst ? Effect.void : Effect.suspend(() => Deferred.await(next)), frameFor(given)),
          (frame) => frame === undefined ? undefined : [frame, false] as const
        ))
    }))
    return { stream, isFull }
  })
