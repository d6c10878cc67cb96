/**
 * The connections under an HTTP client of Node: how many there are, how long they
 * live, and how long they are waited for.
 *
 * Each origin (scheme, host and port) has a pool of its own, of undici. A request
 * that finds all of its connections taken waits until one is given back, as long
 * as the caller lets it: the pool has no limit for that. The timeouts of a
 * pipeline count from the start of the attempt, so they cover this wait, the
 * connecting, and the body; a bulkhead bounds how many wait.
 *
 * An idle connection is not probed before it is used: HTTP/1.1 has no way to. It
 * is dropped as soon as its peer closes it, when it has been idle for
 * `idleTimeout`, or a while before the peer has said in `Keep-Alive` that it would
 * close it. What is left is the request that crosses the peer's closing on the
 * wire. It fails as any broken connection does, and a retry sends it again, where
 * it is safe to.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { configError } from "../internal/configError.ts"
import { integer, onlyKeys, positiveMillis, refuse } from "../internal/options.ts"

/**
 * What a pool is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Connections to one origin at most. Default: 100. */
  readonly connections?: number | undefined
  /**
   * The age from which a connection is given no further request, so that a change
   * of address gets noticed; it is closed when the next request comes. One that is
   * still busy then finishes beside its successor. `"Infinity"` for no limit.
   * Default: 5 minutes.
   */
  readonly lifetime?: Duration.Input | undefined
  /**
   * How long a connection is kept without a request. A shorter time in the peer's
   * `Keep-Alive` counts instead, less `idleMargin`; a longer one does not. Default:
   * 4 seconds.
   */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * How long before the time in the peer's `Keep-Alive` a connection is closed, so
   * that no request meets the closing. Default: 1 second.
   */
  readonly idleMargin?: Duration.Input | undefined
  /** How long it may take to connect, TLS included; kept to within a second. Default: 10 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * How long a request that has been sent may wait for the headers of its answer.
   * Unlike the timeouts of a pipeline it does not count the wait for a connection.
   * It is kept to within a second. `"Infinity"` for no limit
   * but an hour. Default: `"Infinity"`.
   */
  readonly headersTimeout?: Duration.Input | undefined
  /** How long the next piece of a body may take, kept as exactly as `headersTimeout`. Default: `"Infinity"`. */
  readonly bodyTimeout?: Duration.Input | undefined
  /**
   * Bytes of a body at most, as it is sent, streams included: the answer breaks off
   * beyond that, and is not tried again. Default: no limit.
   */
  readonly maxBodySize?: number | undefined
}

/**
 * Checked options. Durations are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly connections: number
  readonly lifetime: number
  readonly idleTimeout: number
  readonly idleMargin: number
  readonly connectTimeout: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly maxBodySize: number
}

/**
 * The connections to one origin.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  /** Scheme, host and port. */
  readonly origin: string
  /** The connections there are, idle ones included; not those past their lifetime that finish a last request. */
  readonly open: number
  /** The requests under way. Each has a connection for itself. */
  readonly busy: number
  /** The requests that wait for a connection. */
  readonly queued: number
}

/**
 * The pools of one client.
 *
 * @category services
 * @since 0.1.0
 */
export class ConnectionPool extends Context.Service<ConnectionPool, {
  readonly settings: Settings
  /** The pools as they are, one for each origin that has connections or requests. */
  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>>
}>()("effect-resilience/node/ConnectionPool") {}

const where = "ConnectionPool"

const optionKeys = [
  "connections",
  "lifetime",
  "idleTimeout",
  "idleMargin",
  "connectTimeout",
  "headersTimeout",
  "bodyTimeout",
  "maxBodySize"
] satisfies ReadonlyArray<keyof Options>

/** What a timer of Node can wait for; it takes more for nothing. */
const longest = 2 ** 31 - 1

// undici takes whole milliseconds only
const millis = (option: keyof Options, input: Duration.Input, allow?: { readonly infinite: true }): number => {
  const whole = Math.ceil(positiveMillis(where, option, input, allow))
  return whole <= longest || whole === Infinity ? whole : refuse(where, option, "at most 24 days", input)
}

/**
 * Checks options, and throws a `RangeError` for a bad one.
 *
 * @example
 * ```ts
 * import { ConnectionPool } from "effect-resilience/node"
 *
 * const { connections, idleTimeout } = ConnectionPool.settings({ connections: 10, idleTimeout: "30 seconds" })
 *
 * console.log(connections, idleTimeout) // => 10 30000
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (options: Options = {}): Settings => {
  onlyKeys(where, options, optionKeys)
  const {
    bodyTimeout = "Infinity",
    connectTimeout = "10 seconds",
    connections = 100,
    headersTimeout = "Infinity",
    idleMargin = "1 second",
    idleTimeout = "4 seconds",
    lifetime = "5 minutes",
    maxBodySize = Infinity
  } = options
  const infinite = { infinite: true } as const
  return {
    connections: integer(where, "connections", connections, 1),
    lifetime: millis("lifetime", lifetime, infinite),
    idleTimeout: millis("idleTimeout", idleTimeout),
    idleMargin: millis("idleMargin", idleMargin),
    connectTimeout: millis("connectTimeout", connectTimeout),
    headersTimeout: millis("headersTimeout", headersTimeout, infinite),
    bodyTimeout: millis("bodyTimeout", bodyTimeout, infinite),
    maxBodySize: maxBodySize === Infinity ? maxBodySize : integer(where, "maxBodySize", maxBodySize, 0)
  }
}

/**
 * The `HttpClient` of the program over pools of its own, which are closed with the
 * layer. Options are checked at once, and a bad one throws a `RangeError`.
 *
 * Not for HTTP over the same connections as other clients of undici, which bring
 * a `NodeHttpClient.Dispatcher` of their own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient } from "effect/http"
 * import { ConnectionPool } from "effect-resilience/node"
 * import { once } from "node:events"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1")
 * await once(server, "listening")
 * const { port } = server.address() as AddressInfo
 *
 * const program = Effect.gen(function*() {
 *   const get = Effect.flatMap(HttpClient.get(`http://127.0.0.1:${port}`), (response) => response.text)
 *   yield* Effect.all(Array.from({ length: 20 }, () => get), { concurrency: "unbounded" })
 *   const pool = yield* ConnectionPool.ConnectionPool
 *   return yield* pool.snapshot
 * })
 *
 * const [snapshot] = await program.pipe(
 *   Effect.provide(ConnectionPool.layer({ connections: 2, lifetime: "1 minute" })),
 *   Effect.runPromise
 * )
 * server.close()
 *
 * console.log(snapshot?.open, snapshot?.queued) // => 2 0
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<ConnectionPool | HttpClient.HttpClient> =>
  fromSettings(settings(options))

/**
 * The same from configuration. A bad value is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<Options>
): Layer.Layer<ConnectionPool | HttpClient.HttpClient, Config.ConfigError> =>
  Layer.unwrap(
    Effect.map(
      Config.mapEffect(Config.unwrap<Options>(config), (options) =>
        Effect.try({
          try: () => settings(options),
          catch: (error) => configError(error instanceof RangeError ? error.message : where, options)
        })),
      fromSettings
    )
  )

const fromSettings = (settings: Settings): Layer.Layer<ConnectionPool | HttpClient.HttpClient> =>
  Layer.unwrap(
    Effect.map(makeAgent(settings), (agent) =>
      Layer.merge(
        Layer.succeed(ConnectionPool, { settings, snapshot: Effect.sync(() => snapshotOf(agent)) }),
        Layer.provide(
          NodeHttpClient.layerUndiciNoDispatcher,
          Layer.succeed(NodeHttpClient.Dispatcher, timed(agent, settings))
        )
      ))
  )

const makeAgent = (settings: Settings): Effect.Effect<Undici.Agent, never, Scope.Scope> =>
  Effect.acquireRelease(
    // undici takes a while to load, and who only checks settings does not need it
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/Undici")),
      ({ Agent, Pool }) =>
        new Agent({
          connections: settings.connections,
          clientTtl: settings.lifetime === Infinity ? null : settings.lifetime,
          keepAliveTimeout: settings.idleTimeout,
          // what the peer's own hint may lengthen it to
          keepAliveMaxTimeout: settings.idleTimeout,
          keepAliveTimeoutThreshold: settings.idleMargin,
          connectTimeout: settings.connectTimeout,
          maxResponseSize: settings.maxBodySize === Infinity ? -1 : settings.maxBodySize,
          // for a single connection the agent would take a client, which knows neither a lifetime nor a queue
          factory: (origin, options) => new Pool(origin, options)
        })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )

/** Effect's client asks each request to be without these limits; behind it they are put back. */
const timed = (agent: Undici.Agent, { bodyTimeout, headersTimeout }: Settings): Undici.Dispatcher => {
  const limits = {
    ...(headersTimeout === Infinity ? {} : { headersTimeout }),
    ...(bodyTimeout === Infinity ? {} : { bodyTimeout })
  }
  return agent.compose((dispatch) => (options, handler) => dispatch({ ...options, ...limits }, handler))
}

const snapshotOf = (agent: Undici.Agent): ReadonlyArray<Snapshot> =>
  Object.entries(agent.stats).map(([origin, { connected, pending, running }]) => ({
    origin,
    open: Number(connected),
    busy: running,
    queued: pending
  }))
