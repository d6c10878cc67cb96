/**
 * Where alerts and error reports go: to the log, to a webhook, to any effect.
 *
 * A handler has a fiber and a queue of its own. One that fails has its failure
 * logged and gets the next; one that is slow holds up nobody else, and loses the
 * oldest where more than 1,000 wait for it, which is logged; one that takes more than
 * a minute is interrupted. Who was not told that something has begun is not told that
 * it is over. No handler ever touches a call.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { isHeader } from "../http/internal/headerText.ts"
import * as ResilientHttpClient from "../http/ResilientHttpClient.ts"
import { errorKind } from "../internal/errorKind.ts"
import { nonEmpty, onlyKeys, optionalFunction, refuse } from "../internal/options.ts"
import * as Pipeline from "../Pipeline.ts"
import type { Resilience } from "../Resilience.ts"
import { clean } from "./internal/text.ts"

/**
 * What alerts and error reports have in common: plain data, fit for JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Notification {
  /** The same for all that is told of one episode, or of one group of errors. */
  readonly id: string
  readonly pipeline: string
  readonly level: "Error" | "Warn" | "Info"
  /** In one line, for people. */
  readonly text: string
}

/**
 * What is done with a notification.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<in N extends Notification = Notification, out R = never> = (
  notification: N
) => Effect.Effect<unknown, unknown, R>

/**
 * Those who are told: handlers, and effects that make one when the layer is built,
 * as `webhook` does.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<N extends Notification = Notification, R = never> = ReadonlyArray<
  Handler<N, R> | Effect.Effect<Handler<N, R>, never, R>
>

/**
 * What handlers need, each of them and all together.
 *
 * @category models
 * @since 0.1.0
 */
export type Services<H extends ReadonlyArray<unknown>> = H[number] extends infer One
  ? One extends Effect.Effect<infer Made, unknown, infer R> ? R | ServicesOfHandler<Made> : ServicesOfHandler<One>
  : never

type ServicesOfHandler<H> = H extends (notification: never) => Effect.Effect<unknown, unknown, infer R> ? R : never

/**
 * Logs the text, with all else as annotations, escaped so that it stays in its line.
 *
 * @category handlers
 * @since 0.1.0
 */
export const log: Handler = ({ level, text, ...rest }) =>
  Effect.annotateLogs(
    Effect.logWithLevel(level)(clean(text, 2_000)),
    Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [name, typeof value === "string" ? clean(value, 500) : value])
    )
  )

/**
 * What a webhook is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebhookOptions {
  /** Where notifications are posted. Often it holds a secret, so it is never shown. */
  readonly url: string | URL | Redacted.Redacted<string | URL>
  /** Headers of every request. Those that hold a secret are `Redacted`. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted<string>>> | undefined
  /** The body, as JSON. Default: the notification, whose `text` many chat services show as it is. */
  readonly body?: ((notification: Notification) => unknown) | undefined
  /** The name of the pipeline that protects it. Default: `"webhook"`. Two webhooks need two names. */
  readonly name?: string | undefined
  /**
   * How it is protected. Default: 3 retries within 30 seconds, 5 seconds for each
   * attempt, and a circuit breaker.
   */
  readonly pipeline?: Pipeline.Options | undefined
}

const module_ = "Notify.webhook"

const defaultPipeline = {
  totalTimeout: "30 seconds",
  retry: { times: 3 },
  circuitBreaker: {},
  attemptTimeout: "5 seconds"
} satisfies Pipeline.Options

const urlOf = (url: WebhookOptions["url"]): URL => {
  const text = String(Redacted.isRedacted(url) ? Redacted.value(url) : url)
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text)
  throw new RangeError(`${module_}: url must be an absolute URL; it is not shown, since it may hold a secret`)
}

const headersOf = (headers: WebhookOptions["headers"] = {}): ReadonlyArray<readonly [string, string]> =>
  Object.entries(headers).map(([name, value]) => {
    const plain: unknown = text(value)
    if (typeof plain === "string" && isHeader(name, plain)) return [name, plain]
    return refuse(module_, "headers", "ones that can be sent", name)
  })

const text = (value: string | Redacted.Redacted<string>): string =>
  Redacted.isRedacted(value) ? Redacted.value(value) : value

/**
 * Posts notifications to a URL, under a pipeline of its own. Each has an
 * `Idempotency-Key`, so that it may be sent again. It fails where the answer's
 * status is not a 2xx, and is silent on what happens to its own pipeline.
 *
 * It goes into `handlers` as it is: the layer makes the handler, and asks for an
 * `HttpClient`. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { Resilience } from "effect-resilience"
 * import { Notify } from "effect-resilience/observability"
 *
 * const chat = HttpClient.make((request) =>
 *   Effect.sync(() => {
 *     console.log(request.method, request.body._tag) // => POST Uint8Array
 *     return HttpClientResponse.fromWeb(request, new Response("ok"))
 *   })
 * )
 *
 * const program = Effect.gen(function*() {
 *   const tell = yield* Notify.webhook({ url: "https://chat.example/hooks/secret" })
 *   yield* tell({ id: "1", pipeline: "billing", level: "Error", text: "billing is down" })
 * })
 *
 * await program.pipe(
 *   Effect.provideService(HttpClient.HttpClient, chat),
 *   Effect.provide(Resilience.layer),
 *   Effect.runPromise
 * )
 * ```
 *
 * @category handlers
 * @since 0.1.0
 */
export const webhook = (
  options: WebhookOptions
): Effect.Effect<Handler, never, HttpClient.HttpClient | Resilience> => {
  onlyKeys(module_, options, ["url", "headers", "body", "name", "pipeline"])
  const url = urlOf(options.url)
  const name = nonEmpty(module_, "name", options.name ?? "webhook")
  const body = optionalFunction(module_, "body", options.body) ?? ((notification) => notification)
  const made = Pipeline.fromSettings(Pipeline.settings(name, options.pipeline ?? defaultPipeline))
  const headers = headersOf(options.headers)
  return Effect.gen(function*() {
    const pipeline = yield* made
    // a span of the request, and the message of an error, would show the url
    const silent = HttpClient.transformResponse(yield* HttpClient.HttpClient, (exchange) =>
      exchange.pipe(
        Effect.mapError(({ reason }) => new NotDelivered(errorKind(reason))),
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
      ))
    // the path may hold a secret, and the operation is in every event
    const client = ResilientHttpClient.make(silent, pipeline, { operation: () => "notify" })
    let sent = 0
    return (notification) => {
      if (notification.pipeline === name) return Effect.void
      const key = `${notification.id}-${++sent}`
      return Effect.gen(function*() {
        const request = yield* HttpClientRequest.post(url).pipe(
          HttpClientRequest.setHeaders(headers),
          HttpClientRequest.setHeader("idempotency-key", key),
          HttpClientRequest.bodyJson(body(notification))
        )
        const response = yield* client.execute(request)
        // a connection whose answer is not read does not come back
        yield* Effect.ignore(Effect.timeout(response.text, "5 seconds"))
        const { status } = response
        if (status < 200 || status > 299) return yield* Effect.fail(new NotDelivered(`Status${status}`))
      })
    }
  })
}

/** The receiver has not answered, or with another status than a 2xx. */
class NotDelivered {
  readonly _tag: string
  constructor(reason: string) {
    this._tag = reason
  }
}
