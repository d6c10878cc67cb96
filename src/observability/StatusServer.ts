/**
 * Answers the status API: the handlers of `StatusApi` as a layer for a router.
 *
 * Reading needs no token unless `readTokens` are given, so it belongs on an address
 * that only one's own can reach: on Node, `StatusPort` of `effect-resilience/node`
 * listens on loopback unless told otherwise. Control by hand needs one of
 * `controlTokens`; where there is none, it is off. What is done by hand is logged with
 * the name of whose token it was, and is told by the events of `Resilience`; so is
 * what was refused, for those without a token that is known in one line each 10 seconds,
 * with their number. Pages of other origins may control nothing.
 *
 * The services are read when somebody asks, and at most four times a second while
 * anybody follows the changes, however many do. A client that is slow misses states
 * and is given the latest one; nothing is kept for it. Where `maxClients` follow, one
 * more is answered with 503 and `Retry-After`. Latencies come from events, so
 * pipelines tell of the end of every call where this is installed, which costs a call
 * some tenths of a microsecond.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { isObject } from "effect/Predicate"
import * as Scope from "effect/Scope"
import type { Guard } from "../CircuitBreaker.ts"
import * as Problem from "../http/Problem.ts"
import * as BodyLimit from "../http/server/BodyLimit.ts"
import { knownTokens } from "../http/server/internal/knownTokens.ts"
import type { Middleware } from "../http/server/internal/middleware.ts"
import { refused } from "../http/server/internal/problemResponse.ts"
import * as ServerErrors from "../http/server/ServerErrors.ts"
import * as TokenCheck from "../http/server/TokenCheck.ts"
import { guarded } from "../internal/guarded.ts"
import { integer, onlyKeys, refuse } from "../internal/options.ts"
import { Resilience } from "../Resilience.ts"
import * as ResilienceConfig from "../ResilienceConfig.ts"
import * as board from "./internal/statusBoard.ts"
import * as statusReader from "./internal/statusReader.ts"
import { clean } from "./internal/text.ts"
import { Recoveries } from "./Recoveries.ts"
import { type Action, ControlToken, ReadToken, StatusApi } from "./StatusApi.ts"

/**
 * What a status server is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Who may control by hand: tokens by the name of who holds them, which is logged.
   * 1 to 8,192 printable ASCII characters each. Default: nobody, and control is off.
   */
  readonly controlTokens?: TokenCheck.Options["tokens"] | undefined
  /**
   * Who may read: tokens like those for control, which let read too. The dashboard asks
   * for one. Default: everybody.
   */
  readonly readTokens?: TokenCheck.Options["tokens"] | undefined
  /** How many may follow the changes at once. Default: 1,000. */
  readonly maxClients?: number | undefined
  /**
   * The origins whose pages may control by hand, such as `https://ops.example`, beside
   * those that are on the same host as the API: where a proxy changes the `Host`.
   * Default: none.
   */
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
}

/**
 * @internal
 */
export const optionNames: ReadonlyArray<keyof Options> = ["controlTokens", "readTokens", "maxClients", "allowedOrigins"]

/** A body for control is small. */
const maxControlBytes = 64 * 1024

/** How often it is told how many have been refused who have shown no token that is known. */
const refusalInterval = "10 seconds"

/** When one who had no room to follow the changes may ask again, in seconds. */
const askAgain = 5

/** How the services are, for the handlers of one server. */
class Reading extends Context.Service<Reading, statusReader.Reader>()(
  "effect-resilience/observability/StatusServer/Reading"
) {}

const reading: Layer.Layer<Reading, never, Resilience | Recoveries> = Layer.effect(
  Reading,
  Effect.gen(function*() {
    return yield* statusReader.make(yield* Resilience, yield* Recoveries)
  })
)

/** It is of now, and not to be taken for anything else. */
const uncached = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

const json = (value: unknown): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(value, { headers: uncached })

const handlers = (maxClients: number) =>
  HttpApiBuilder.group(StatusApi, "status", (handlers) =>
    Effect.gen(function*() {
      const reader = yield* Reading
      const { isFull, stream } = yield* board.changes(reader, maxClients)
      const control = yield* makeControl(reader)
      return handlers
        .handleRaw("all", () => Effect.map(reader.status, json))
        // an object made from entries has any name as its own, "__proto__" too
        .handleRaw("services", () => Effect.map(reader.brief, (services) => json(Object.fromEntries(services))))
        .handleRaw("changes", () =>
          isFull()
            ? refused(
              new Problem.Unavailable({ detail: "there is no room for one more client", retryAfter: askAgain }),
              uncached
            )
            : Effect.succeed(HttpServerResponse.stream(stream, {
              contentType: "text/event-stream",
              // proxies would hold frames back
              headers: { ...uncached, "x-accel-buffering": "no" }
            })))
        .handle("control", ({ payload }) => control(payload))
    }))

// -----------------------------------------------------------------------------
// control
// -----------------------------------------------------------------------------

const noBreaker = (name: string) => new Problem.NotFound({ detail: `there is no breaker ${JSON.stringify(name)}` })

const makeControl = Effect.fnUntraced(function*(reader: statusReader.Reader) {
  const resilience = yield* Resilience
  const scope = yield* Effect.scope
  /** What is held in a mode by hand, by breaker and key. */
  const held = new Map<string, Scope.Closeable>()
  yield* Effect.addFinalizer(() => Effect.sync(() => held.clear()))

  const guardOf = Effect.fnUntraced(function*(name: string, key: string | undefined) {
    const guard: Guard | undefined = key === undefined
      ? (yield* resilience.parts("circuitBreaker")).get(name)
      : (yield* resilience.parts("keyedCircuitBreaker")).get(name)?.of(key)
    return guard ?? (yield* noBreaker(name))
  })

  const hold = (id: string, mode: Effect.Effect<void, never, Scope.Scope>) =>
    Effect.uninterruptible(Effect.gen(function*() {
      const former = held.get(id)
      const of = yield* Scope.fork(scope)
      held.set(id, of)
      yield* Effect.provideService(mode, Scope.Scope, of)
      // after the new one, so that nothing passes in between
      if (former !== undefined) yield* Scope.close(former, Exit.void)
    }))

  const release = (id: string) =>
    Effect.suspend(() => {
      const of = held.get(id)
      held.delete(id)
      return of === undefined ? Effect.void : Scope.close(of, Exit.void)
    })

  const reconfigure = Effect.fnUntraced(function*(name: string, options: { readonly [Name in string]: unknown }) {
    const pipeline = (yield* resilience.pipelines).get(name)
    if (pipeline === undefined) {
      return yield* new Problem.NotFound({ detail: `there is no pipeline ${JSON.stringify(name)}` })
    }
    const decoded = yield* Effect.catchTag(
      ResilienceConfig.decode(Object.fromEntries([[name, options]])),
      "ConfigInvalid",
      ({ problems }) =>
        Effect.fail(
          new Problem.ValidationFailed({
            errors: problems.map(({ message, path }) => ({ field: path, message }))
          })
        )
    )
    const tuning = new Map(Object.entries(decoded)).get(name) ?? {}
    yield* Effect.catchCause(Effect.suspend(() => pipeline.reconfigure(tuning)), (cause) => {
      const defect = Cause.squash(cause)
      // what a pipeline has against options
      return defect instanceof RangeError
        ? Effect.fail(new Problem.ValidationFailed({ errors: [{ field: name, message: defect.message }] }))
        : Effect.failCause(cause)
    })
  })

  const act = Effect.fnUntraced(function*(action: Action) {
    if (action.action === "reconfigure") return yield* reconfigure(action.pipeline, action.options)
    const guard = yield* guardOf(action.breaker, action.key)
    const id = JSON.stringify([action.breaker, action.key])
    switch (action.action) {
      case "release":
        return yield* release(id)
      case "reset":
        return yield* guard.reset
      default:
        return yield* hold(id, guard[action.action])
    }
  })

  return Effect.fnUntraced(function*(action: Action) {
    const target = action.action === "reconfigure" ? action.pipeline : action.breaker
    const by = yield* TokenCheck.Caller
    const noted = Effect.annotateLogs({
      action: action.action,
      // as it was sent: whoever reads the log is to see one line
      target: clean(target),
      ...("key" in action && action.key !== undefined && { key: clean(action.key) }),
      by
    })
    yield* act(action).pipe(
      Effect.tap(noted(Effect.logInfo("a policy was controlled by hand"))),
      Effect.tapError((problem) => noted(Effect.logWarning("control by hand was refused", problem.code)))
    )
    const service = yield* reader.service(yield* reader.serviceOf(target))
    return service ?? (yield* noBreaker(target))
  })
})

// -----------------------------------------------------------------------------
// who may
// -----------------------------------------------------------------------------

/** Anything for which there is an origin: no wildcard, no path. */
const originOf = (origin: unknown): string => {
  const url = typeof origin === "string" ? guarded(() => new URL(origin)) : undefined
  return url !== undefined && url.origin === origin
    ? url.origin
    : refuse("StatusServer", "allowedOrigins", "origins like \"https://ops.example\"", origin)
}

/**
 * Whether a page of another origin has sent a request. Browsers say the origin with
 * every POST; who is no browser says none, and can say what it likes.
 */
const isForeign = ({ headers }: HttpServerRequest.HttpServerRequest, allowed: ReadonlySet<string>): boolean => {
  const { host, origin } = headers
  if (origin === undefined) return headers["sec-fetch-site"] === "cross-site"
  if (allowed.has(origin)) return false
  // a host may be written with the port that its scheme has anyway
  const from = guarded(() => new URL(origin).host)
  return from === undefined ||
    !["http", "https"].some((scheme) => guarded(() => new URL(`${scheme}://${host}`).host) === from)
}

const foreign = refused(
  new Problem.Forbidden({
    detail: "a page of another origin may not control by hand: see allowedOrigins of StatusServer"
  })
)
const off = refused(new Problem.Forbidden({ detail: "control by hand is off: the server has no token for it" }))

const logRefusal = (why: string) =>
  Effect.flatMap(
    TokenCheck.Caller,
    (by) => Effect.annotateLogs(Effect.logWarning("control by hand was refused", why), by === undefined ? {} : { by })
  )

/**
 * Logs refusals of those who have shown no token that is known: of each kind one at
 * once, and then how many more there were, once in an interval.
 */
const makeRefusals = Effect.map(Effect.scope, (scope) => {
  const more = new Map<string, number>()
  const tell = (why: string): Effect.Effect<void> =>
    Effect.flatMap(Effect.sleep(refusalInterval), () => {
      const leftOut = more.get(why) ?? 0
      if (leftOut === 0) return Effect.sync(() => void more.delete(why))
      more.set(why, 0)
      const line = Effect.logWarning("control by hand was refused", why, `${leftOut} more in 10s`)
      return Effect.andThen(Effect.annotateLogs(line, { leftOut }), tell(why))
    })
  return (why: string) =>
    Effect.suspend(() => {
      const before = more.get(why)
      more.set(why, before === undefined ? 0 : before + 1)
      return before === undefined
        ? Effect.andThen(logRefusal(why), Effect.forkIn(Effect.interruptible(tell(why)), scope))
        : Effect.void
    })
})

const controlLayer = ({ allowedOrigins = [], controlTokens }: Options): Layer.Layer<ControlToken> => {
  if (!Array.isArray(allowedOrigins)) refuse("StatusServer", "allowedOrigins", "an array of origins", allowedOrigins)
  const allowed = new Set(allowedOrigins.map(originOf))
  if (controlTokens === undefined) {
    return Layer.effect(
      ControlToken,
      Effect.map(makeRefusals, (refusal) => ControlToken.of(() => Effect.andThen(refusal("it is off"), off)))
    )
  }
  knownTokens("StatusServer", "controlTokens", controlTokens)
  const isKnown = TokenCheck.middleware({ tokens: controlTokens, header: "authorization" })
  const isSmall = BodyLimit.middleware({ maxBytes: maxControlBytes, maxDepth: 20 })
  const asProblems = ServerErrors.middleware()
  return Layer.effect(
    ControlToken,
    Effect.map(
      makeRefusals,
      (refusal) =>
        ControlToken.of((app) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            if (isForeign(request, allowed)) return Effect.andThen(refusal("a page of another origin"), foreign)
            // what the handler refuses, it logs itself
            const understood = Effect.tapCause(app, (cause) =>
              Cause.hasInterruptsOnly(cause) || Option.exists(Cause.findErrorOption(cause), Problem.isProblem)
                ? Effect.void
                : logRefusal("not understood"))
            const limited = Effect.tap(
              asProblems(isSmall(understood)),
              ({ status }) => status === 413 || status === 415 ? logRefusal("not understood") : Effect.void
            )
            return Effect.tap(
              isKnown(limited),
              ({ status }) =>
                status === 401 ? refusal("no token that is known") : Effect.void
            )
          })
        )
    )
  )
}

/**
 * Lets in those who may read.
 *
 * @internal
 */
export const readGuard = ({ controlTokens = {}, readTokens }: Options): Middleware => {
  if (readTokens === undefined) return (app) => app
  knownTokens("StatusServer", "readTokens", readTokens)
  const named = (role: string, tokens: TokenCheck.Options["tokens"]) =>
    Object.entries(tokens).map(([name, token]) => [`${role} ${name}`, token] as const)
  const tokens = Object.fromEntries([...named("reader", readTokens), ...named("operator", controlTokens)])
  return TokenCheck.middleware({ tokens, header: "authorization" })
}

const readLayer = (options: Options): Layer.Layer<ReadToken> => {
  const guard = readGuard(options)
  return Layer.succeed(ReadToken, (app) => guard(app))
}

/**
 * The routes of the status API. A bad option throws a `RangeError`, which never shows
 * a token.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { Recoveries, StatusServer } from "effect-resilience/observability"
 *
 * class Quotes extends Pipeline.Service<Quotes>()("quotes", { circuitBreaker: {} }) {}
 *
 * const app = Layer.mergeAll(StatusServer.layer(), Quotes.layer).pipe(
 *   Layer.provide(Recoveries.layer),
 *   Layer.provide(Resilience.layer),
 *   Layer.provide(HttpServer.layerServices)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(app, { disableLogger: true })
 *
 * const answer = await handler(new Request("http://localhost/v1/api/status/services"))
 * const { quotes } = JSON.parse(await answer.text())
 * console.log(quotes.state, quotes.failures) // => CLOSED 0
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | Resilience
  | Recoveries
  | Etag.Generator
  | HttpPlatform.HttpPlatform
  | FileSystem.FileSystem
  | Path.Path
> => {
  // not shown: it may be a token in the wrong place
  const given: unknown = options
  if (!isObject(given)) throw new RangeError("StatusServer: options must be an object")
  onlyKeys("StatusServer", options, optionNames)
  const maxClients = integer("StatusServer", "maxClients", options.maxClients ?? 1_000, 1)
  return HttpApiBuilder.layer(StatusApi).pipe(
    Layer.provide(handlers(maxClients)),
    Layer.provide([controlLayer(options), readLayer(options)]),
    Layer.provide(reading)
  )
}
