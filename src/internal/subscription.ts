/**
 * Listening as long as a scope lasts: within the call, or at one's own pace. For
 * who reads so the last events wait, and those that are lost are counted.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Resilience, Subscription } from "../Resilience.ts"
import type { Kind, OfKind } from "../ResilienceEvent.ts"
import { kinds, type Listeners } from "./listeners.ts"
import { oneOf } from "./options.ts"

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

const check = (module: string, wanted: ReadonlyArray<Kind>): void => {
  for (const kind of wanted) oneOf(module, "kinds", kind, kinds)
}

const added = <K extends Kind>(
  listeners: Listeners,
  kinds: ReadonlyArray<K>,
  on: (event: OfKind<K>) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(Effect.sync(() => listeners.add(kinds, on)), Effect.sync))

export const subscriptions = (listeners: Listeners): Pick<Resilience["Service"], "listen" | "subscribe"> => ({
  listen: (kinds, on) => {
    check("Resilience.listen", kinds)
    return added(listeners, kinds, on)
  },
  subscribe: <K extends Kind>(kinds: ReadonlyArray<K>, wanted?: (event: OfKind<NoInfer<K>>) => boolean) => {
    check("Resilience.subscribe", kinds)
    return Effect.gen(function*() {
      const queue = yield* Effect.acquireRelease(Queue.sliding<OfKind<K>, Cause.Done>(capacity), Queue.end)
      const buffer = new Buffer(listeners, queue)
      yield* added(listeners, kinds, (event) => {
        if (wanted === undefined || wanted(event)) buffer.add(event)
      })
      return buffer
    })
  }
})
