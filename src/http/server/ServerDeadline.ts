/**
 * Lets a request be worked on only as long as somebody waits for the answer.
 *
 * The caller says in a header how many milliseconds it will wait (see
 * `DeadlineHeader`); the handler runs under `Deadline.within` that time, at most
 * the server's own, so that everything it calls knows how much is left. When the
 * time is up the handler is interrupted, and the answer is 504. For a deadline
 * that has passed already the handler does not run. A header that says anything
 * else is taken for none.
 *
 * The time ends when the handler has answered: the sending of a streamed body is
 * not covered. A handler that must not be cut short says so itself, by
 * `Effect.uninterruptible`, or its route does: then the answer comes when it is
 * done.
 *
 * It stands outside of load shedding, so that a wait there counts. What `max` cuts
 * short had its time, and counts there as a failure, so that a server which gets too
 * slow takes less; what the caller's own deadline cuts short says nothing.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as Layer from "effect/Layer"
import * as Deadline from "../../Deadline.ts"
import { onlyKeys, positiveMillis } from "../../internal/options.ts"
import * as Timeout from "../../Timeout.ts"
import * as DeadlineHeader from "../DeadlineHeader.ts"
import * as Problem from "../Problem.ts"
import { install } from "./internal/install.ts"
import type { Middleware } from "./internal/middleware.ts"
import { refused } from "./internal/problemResponse.ts"

/**
 * How long requests may take.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The longest that a handler may run, whatever the caller says. Default: no limit but the caller's. */
  readonly max?: Duration.Input | undefined
}

const late = refused(new Problem.UpstreamTimeout({}))

const policy = "ServerDeadline"

const isOurs = (error: unknown): error is Deadline.DeadlineExceeded | Timeout.TimedOut =>
  error instanceof Deadline.DeadlineExceeded || error instanceof Timeout.TimedOut && error.policy === policy

/**
 * The middleware itself, for use without a router. A bad option throws a
 * `RangeError`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options = {}): Middleware => {
  onlyKeys("ServerDeadline", options, ["max"])
  const max = options.max === undefined ? Infinity : positiveMillis("ServerDeadline", "max", options.max)
  const own = Timeout.make({ duration: max, limit: "total", policy })
  return (app) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      const asked = headers[DeadlineHeader.header]
      // nothing is left: `DeadlineHeader` would read a millisecond
      if (asked !== undefined && /^0{1,32}$/.test(asked)) return late
      const asks = DeadlineHeader.parse(asked)
      const left = asks === undefined ? Infinity : Duration.toMillis(asks)
      if (left === Infinity && max === Infinity) return app
      return Effect.uninterruptible(app).pipe(
        // who strikes decides what it says about the server: see above
        left < max ? Deadline.within(left) : own,
        Effect.interruptible,
        Effect.catchIf(isOurs, () => late)
      )
    })
}

/**
 * Puts every request of a server under its caller's deadline. A bad option throws a
 * `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { ServerDeadline } from "effect-resilience/http"
 *
 * const routes = HttpRouter.add("GET", "/never", Effect.never)
 * const deadline = ServerDeadline.layer({ max: "10 seconds" })
 * const { dispose, handler } = HttpRouter.toWebHandler(routes.pipe(Layer.provide(deadline)), { disableLogger: true })
 *
 * // the caller waits for 20 milliseconds
 * const answer = await handler(new Request("http://localhost/never", { headers: { "x-deadline-ms": "20" } }))
 * console.log(answer.status, JSON.parse(await answer.text()).code) // => 504 timeout
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  install(Effect.succeed(middleware(options)))
