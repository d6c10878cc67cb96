/** Handing notifications to handlers, each at its own pace and in a fiber of its own. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { errorKind } from "../../internal/errorKind.ts"
import { running } from "../../internal/guarded.ts"
import type { Handlers, Notification, Services } from "../Notify.ts"
import { Outbox } from "./outbox.ts"
import { clean } from "./text.ts"

/** How many notifications wait for a handler that is slow, before the oldest is lost. */
const capacity = 1_000

/** The longest that a handler may take for one. */
const longest = "1 minutes"

/** The handlers, if they are some. What they are instead is not shown: it may be the url of a webhook. */
export const checkedHandlers = <H extends ReadonlyArray<unknown>>(module: string, handlers: H): H => {
  const isHandler = (one: unknown) => typeof one === "function" || Effect.isEffect(one)
  if (Array.isArray(handlers) && handlers.every(isHandler)) return handlers
  throw new RangeError(
    `${module}: handlers must be a list of functions, or of effects that make one, such as Notify.webhook(...)`
  )
}

/** Makes and starts the handlers; what is returned never fails and never waits. */
export const delivering = <N extends Notification, H extends Handlers<N, unknown>>(
  handlers: H
): Effect.Effect<(notification: N) => void, never, Scope.Scope | Services<H>> =>
  Effect.gen(function*() {
    const all: Array<(notification: N) => void> = []
    // true by what `Services` is: what any of them needs, be it a handler or what makes one
    for (const given of handlers as Handlers<N, Services<H>>) {
      const handler = Effect.isEffect(given) ? yield* given : given
      const outbox = new Outbox<N>(capacity)
      const filled = yield* Queue.sliding<void>(1)
      all.push((notification) => {
        outbox.offer(notification)
        Queue.offerUnsafe(filled, undefined)
      })
      const tell = (notification: N) =>
        running(() => handler(notification)).pipe(
          Effect.timeout(longest),
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.logWarning(
              `could not tell of "${clean(notification.text)}" (${clean(errorKind(Cause.squash(cause)))})`
            )
          ),
          Effect.exit
        )
      const next = Effect.gen(function*() {
        const notification = outbox.take()
        if (notification === undefined) return yield* Queue.take(filled)
        yield* tell(notification)
        const lost = outbox.takeLost()
        if (lost > 0) yield* Effect.exit(Effect.logWarning(`${lost} notifications were lost: a handler is too slow`))
      })
      yield* Effect.forkScoped(Effect.forever(next))
    }
    return (notification) => {
      for (const offer of all) offer(notification)
    }
  })
