/**
 * Requests that are carried out once, however often they are sent: the server's
 * side of the `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header).
 *
 * The first request with a key runs, and its answer is kept. The same request
 * again gets that answer, with `idempotency-replayed: true`, and no handler runs.
 * While the first one still runs, another is answered with 409 `request_in_progress`
 * and `Retry-After`; another request with the same key with 422; a key that is none
 * with 400. An
 * answer that says that trying again may help (5xx, 401, 408, 409, 425, 429) is not
 * kept, and neither is anything of a request that was interrupted.
 *
 * A key counts for one caller: what is kept for one is never given to another.
 *
 * It stands inside of `TokenCheck` and of limits, and outside of the handlers. It
 * is no transaction: a process that dies after the work and before the answer has
 * done the work, and knows nothing of it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { guarded, holds } from "../../internal/guarded.ts"
import { flag, integer, oneOf, onlyKeys, optionalFunction, positiveMillis } from "../../internal/options.ts"
import { monotonicMillis } from "../../internal/time.ts"
import { header } from "../internal/idempotencyKey.ts"
import * as Problem from "../Problem.ts"
import { fingerprintOf, keyOf, scopeOf } from "./internal/idempotencyRequest.ts"
import { Answers } from "./internal/idempotencyStore.ts"
import { install } from "./internal/install.ts"
import type { Middleware } from "./internal/middleware.ts"
import { refused } from "./internal/problemResponse.ts"
import { Caller } from "./TokenCheck.ts"

export { header } from "../internal/idempotencyKey.ts"

/**
 * The header that marks an answer which was kept.
 *
 * @category headers
 * @since 0.1.0
 */
export const replayedHeader = "idempotency-replayed"

/**
 * An answer as it is kept. It has no cookies: those are for one connection.
 *
 * @category models
 * @since 0.1.0
 */
export const Answer = Schema.Struct({
  status: Schema.Int,
  headers: Schema.Record(Schema.String, Schema.String),
  /** `null` where the body could not be kept: it was a stream, or too large. */
  body: Schema.NullOr(Schema.Uint8ArrayFromBase64)
})

/**
 * An answer as it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = typeof Answer.Type

/**
 * What a store knows of a key. `Started` gives the key to who asks: `owner` is for
 * `finish` and `release`.
 *
 * @category models
 * @since 0.1.0
 */
export type Begun =
  | { readonly _tag: "Started"; readonly owner: string }
  | { readonly _tag: "Running"; readonly fingerprint: string }
  | { readonly _tag: "Answered"; readonly fingerprint: string; readonly answer: Answer }

/**
 * The store could not be asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreFailed extends Schema.TaggedError<StoreFailed>()("IdempotencyStoreFailed", {}, {
  httpApiStatus: 503
}) {}

/**
 * Where answers are kept. A store that others share has a lease for what runs, as
 * its server may die, and only the owner of a key may finish or release it. Keys and
 * fingerprints are digests: what a caller has sent cannot be read from them.
 *
 * Its effects are not interrupted, so they have to end by themselves. `finish` is
 * tried once more where it fails, and an answer waits for it no longer than 5 seconds.
 * Any failure of the store is logged; one of `begin` is answered with 503, and those
 * of the others change no answer.
 *
 * @category services
 * @since 0.1.0
 */
export class Store extends Context.Service<Store, {
  /** Gives out the key, or says what has become of it. Atomic. */
  readonly begin: (key: string, fingerprint: string) => Effect.Effect<Begun, StoreFailed>
  /** Keeps the answer. */
  readonly finish: (key: string, owner: string, answer: Answer) => Effect.Effect<void, StoreFailed>
  /** Forgets that the request has begun. */
  readonly release: (key: string, owner: string) => Effect.Effect<void, StoreFailed>
  readonly snapshot: Effect.Effect<Snapshot, StoreFailed>
}>()("effect-resilience/http/Idempotency/Store") {}

/**
 * What a store holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  /** Requests that have begun and not ended. */
  readonly running: number
  readonly answers: number
  /** What the answers take, about. */
  readonly bytes: number
}

/**
 * The bounds of the store in memory. Where one is reached, the oldest answers go
 * first: from then on their requests would be carried out again.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryOptions {
  /** How long an answer is kept. Default: 24 hours. */
  readonly ttl?: Duration.Input | undefined
  /** How many answers. Default: 10,000. */
  readonly capacity?: number | undefined
  /** How many bytes all answers may take. Default: 67,108,864, 64 MiB. */
  readonly maxBytes?: number | undefined
}

/**
 * A store in memory: for one process, until it ends. Bad options throw a
 * `RangeError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<Store> => {
  const where = "Idempotency.layerMemory"
  onlyKeys(where, options, ["ttl", "capacity", "maxBytes"])
  const settings = {
    ttl: positiveMillis(where, "ttl", options.ttl ?? "24 hours"),
    capacity: integer(where, "capacity", options.capacity ?? 10_000, 1),
    maxBytes: integer(where, "maxBytes", options.maxBytes ?? 67_108_864, 1)
  }
  return Layer.effect(
    Store,
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const answers = new Answers(settings)
        const now = () => monotonicMillis(clock)
        return {
          begin: (key, fingerprint) => Effect.sync(() => answers.begin(key, fingerprint, now())),
          finish: (key, owner, answer) => Effect.sync(() => answers.finish(key, owner, answer, now())),
          release: (key, owner) => Effect.sync(() => answers.release(key, owner)),
          snapshot: Effect.sync(() => answers.snapshot())
        }
      })
    )
  )
}

/**
 * Which requests are looked at, and what is kept of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `POST` and `PATCH`, the methods that are not idempotent by themselves. */
  readonly methods?: ReadonlyArray<"POST" | "PATCH" | "PUT" | "DELETE"> | undefined
  /** Whether a request of these methods without a key is answered with 400. Default: `false`. */
  readonly required?: boolean | undefined
  /**
   * On whose behalf a request is made; `caller` is the name of the token that
   * `TokenCheck` has accepted. Default: that name, else the credentials that were
   * sent (`authorization`, `cookie`, `x-api-key`,
   * `x-internal-token`) as a digest. Where it throws, the
   * request is answered with 500.
   */
  readonly caller?:
    | ((request: HttpServerRequest.HttpServerRequest, caller: string | undefined) => string | undefined)
    | undefined
  /** Whether an answer is kept. Default: below 500, without 401, 408, 409, 425 and 429. One that throws has said no. */
  readonly keeps?: ((status: number) => boolean) | undefined
  /** The largest body that is kept, in bytes. Default: 1,048,576, one MiB. */
  readonly maxBodyBytes?: number | undefined
}

const temporary = [401, 408, 409, 425, 429]

/**
 * Carries out each request with an `Idempotency-Key` once. Bad options throw a
 * `RangeError`.
 *
 * The method, path, query and body of a request are its fingerprint, whatever host it
 * was sent to; of bodies that are neither JSON, text nor a form, such as uploads, the
 * type and length alone. A `Problem` or a response in the error channel of a plain
 * route is kept like any other answer. An
 * answer that is not kept whole, because it is a stream or too large, is answered
 * with 409 when it is asked for again: the work is done, and not repeated.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Idempotency } from "effect-resilience/http"
 *
 * let orders = 0
 * const routes = HttpRouter.add("POST", "/orders", Effect.sync(() => HttpServerResponse.text(`order ${++orders}`)))
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   routes.pipe(
 *     Layer.provide(Idempotency.layer()),
 *     Layer.provide(Idempotency.layerMemory())
 *   ),
 *   { disableLogger: true }
 * )
 *
 * const order = () =>
 *   handler(new Request("http://shop/orders", { method: "POST", headers: { "idempotency-key": "a-1" } }))
 *
 * const first = await order()
 * const again = await order()
 * console.log(await first.text(), "/", await again.text()) // => order 1 / order 1
 * console.log(again.headers.get("idempotency-replayed")) // => true
 *
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never, never, HttpRouter.HttpRouter | Store> => {
  const settings = settingsOf(options)
  return install(Effect.map(Store, (store) => middleware(store, settings)))
}

// Private parts. ----------------------------------------------------------------

interface Settings {
  readonly methods: ReadonlyArray<string>
  readonly required: boolean
  readonly caller: NonNullable<Options["caller"]> | undefined
  readonly keeps: (status: number) => boolean
  readonly maxBodyBytes: number
}

const settingsOf = (options: Options): Settings => {
  const where = "Idempotency.layer"
  onlyKeys(where, options, ["methods", "required", "caller", "keeps", "maxBodyBytes"])
  const methods = options.methods ?? ["POST", "PATCH"]
  for (const method of methods) oneOf(where, "methods", method, ["POST", "PATCH", "PUT", "DELETE"])
  return {
    methods,
    required: flag(where, "required", options.required ?? false),
    caller: optionalFunction(where, "caller", options.caller),
    keeps: optionalFunction(where, "keeps", options.keeps) ??
      ((status) => status < 500 && !temporary.includes(status)),
    maxBodyBytes: integer(where, "maxBodyBytes", options.maxBodyBytes ?? 1_048_576, 0)
  }
}

// The router calls this where nothing interrupts, and the route inside of `app` opens what may be interrupted. So
// between the store's yes and the finalizer below there is no instant at which a key could be lost.
const middleware = (store: Store["Service"], settings: Settings): Middleware => (app) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (!settings.methods.includes(request.method)) return yield* app
    const given = request.headers[header]
    if (given === undefined) return settings.required ? yield* refused(missing) : yield* app
    const key = keyOf(given)
    if (key === undefined) return yield* refused(malformed)
    const name = yield* Caller
    const caller = settings.caller === undefined
      ? { name }
      : guarded(() => ({ name: settings.caller?.(request, name) }))
    if (caller === undefined) return yield* refused(new Problem.Internal({}))
    const read = yield* Effect.result(Effect.interruptible(fingerprintOf(request)))
    // too large, or broken off
    if (Result.isFailure(read)) return yield* HttpServerRespondable.toResponse(read.failure)
    const { fingerprint, request: held } = read.success
    const scoped = yield* scopeOf(request, caller.name, key)
    const begun = yield* Effect.exit(Effect.suspend(() => store.begin(scoped, fingerprint)))
    if (Exit.isFailure(begun)) {
      yield* Effect.logError("The store of idempotency keys could not be asked", begun.cause)
      // without it nobody can tell whether the work is done already
      return yield* refused(new Problem.Unavailable({}))
    }
    if (begun.value._tag !== "Started") return yield* repeated(begun.value, fingerprint)
    const { owner } = begun.value
    return yield* answering(app, settings.keeps).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, held),
      Effect.onExit((exit) => {
        if (!Exit.isSuccess(exit) || !holds(settings.keeps, exit.value.status)) {
          return settled(Effect.suspend(() => store.release(scoped, owner)))
        }
        const answer = answerOf(exit.value, settings.maxBodyBytes)
        const finish = Effect.suspend(() => store.finish(scoped, owner, answer))
        // the work is done, and would be done again if the store did not know: that is worth a second try
        return settled(Effect.catchCause(finish, () => finish))
      })
    )
  })

/** A refusal in the error channel of a plain route is its answer, and kept like one. */
const answering = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  keeps: Settings["keeps"]
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
  Effect.catch(app, (error) => {
    const refusal = refusalOf(error)
    if (refusal === undefined || !holds(keeps, refusal.status)) return Effect.fail(error)
    return HttpServerResponse.isHttpServerResponse(refusal)
      ? Effect.succeed(refusal)
      : HttpServerRespondable.toResponse(refusal)
  })

// what another service has told us is no answer of ours: see `ServerErrors`
const refusalOf = (error: unknown): Problem.Problem | HttpServerResponse.HttpServerResponse | undefined =>
  guarded(() =>
    HttpServerResponse.isHttpServerResponse(error) || Problem.isProblem(error) && Problem.originOf(error) === undefined
      ? error
      : undefined
  )

const patience = "5 seconds"

/**
 * Waits until the store knows how a request has ended, but not for ever: the answer
 * is not held up by a store that hangs, nor changed by one that fails. What is left
 * running there ends with its lease.
 */
const settled = (write: Effect.Effect<void, StoreFailed>): Effect.Effect<void> =>
  write.pipe(
    Effect.catchCause((cause) => Effect.logError("The end of a request could not be stored under its key", cause)),
    Effect.forkDetach({ startImmediately: true }),
    Effect.flatMap((fiber) => Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), patience)),
    Effect.flatMap((done) =>
      Option.isSome(done)
        ? Effect.void
        : Effect.logError(`The end of a request is still not stored under its key after ${patience}`)
    )
  )

/** The answer to a request whose key is known. */
const repeated = (
  begun: Exclude<Begun, { readonly _tag: "Started" }>,
  fingerprint: string
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (begun.fingerprint !== fingerprint) {
    return refused(
      new Problem.ValidationFailed({
        errors: [{
          field: header,
          message: "The key belongs to another request",
          hint: "Send the same request again, or choose a new key"
        }]
      })
    )
  }
  if (begun._tag === "Running") {
    return refused(new Problem.RequestInProgress({ retryAfter: 1 }))
  }
  const { body, headers, status } = begun.answer
  if (body === null) {
    return refused(new Problem.Conflict({ detail: "The request has been carried out; its answer was not kept" }))
  }
  const again = HttpServerResponse.empty({ status, headers: { ...headers, [replayedHeader]: "true" } })
  return Effect.succeed(
    body.byteLength === 0
      ? again
      : HttpServerResponse.setBody(again, HttpBody.uint8Array(body, headers["content-type"]))
  )
}

// of one connection, or of the one request
const unkept = ["connection", "keep-alive", "transfer-encoding", "content-length", "date", "set-cookie", "x-request-id"]

const answerOf = (response: HttpServerResponse.HttpServerResponse, maxBodyBytes: number): Answer => {
  const { body, status } = response
  const bytes = body._tag === "Empty" ? new Uint8Array(0) : body._tag === "Uint8Array" ? body.body : null
  return {
    status,
    headers: Object.fromEntries(Object.entries(response.headers).filter(([name]) => !unkept.includes(name))),
    body: bytes !== null && bytes.byteLength <= maxBodyBytes ? bytes : null
  }
}

const wrongKey = (message: string) =>
  new Problem.BadRequest({
    errors: [{ field: header, message, hint: "Send 1 to 255 printable ASCII characters, such as a UUID" }]
  })

const missing = wrongKey("A key is needed here")
const malformed = wrongKey("The key is malformed")
