/** Events that wait for one who reads them at his own pace: the last ones, and how many were lost. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Subscription } from "../Resilience.ts"
import type { Kind, OfKind } from "../ResilienceEvent.ts"
import type { Listeners } from "./listeners.ts"

/** Events that a slow subscriber may be behind before it loses the oldest. */
const capacity = 4096

class Buffer<Event> implements Subscription<Event> {
  lost = 0
  readonly events: Stream.Stream<Event>
  private readonly listeners: Listeners
  private readonly queue: Queue.Queue<Event, Cause.Done>

  constructor(listeners: Listeners, queue: Queue.Queue<Event, Cause.Done>) {
    this.listeners = listeners
    this.queue = queue
    this.events = Stream.fromQueue(queue)
  }

  add(event: Event): void {
    if (Queue.isFullUnsafe(this.queue)) {
      this.lost++
      this.listeners.lost++
    }
    Queue.offerUnsafe(this.queue, event)
  }
}

/** Those of these kinds that are wanted, from now on until the scope ends. */
export const subscribe = <K extends Kind>(
  listeners: Listeners,
  kinds: ReadonlyArray<K>,
  wanted?: (event: OfKind<K>) => boolean
): Effect.Effect<Subscription<OfKind<K>>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Effect.acquireRelease(Queue.sliding<OfKind<K>, Cause.Done>(capacity), Queue.end)
    const buffer = new Buffer(listeners, queue)
    const add = (event: OfKind<K>): void => {
      if (wanted === undefined || wanted(event)) buffer.add(event)
    }
    yield* Effect.acquireRelease(Effect.sync(() => listeners.add(kinds, add)), Effect.sync)
    return buffer
  })
