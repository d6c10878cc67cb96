/**
 * The token by which one's own services know each other.
 *
 * A service client that is given one sends it with every request. It is `Redacted`
 * from end to end: it stands in no error, event, log, span or status. A client of
 * `fetch` is told not to follow redirects by itself, since it would take the token
 * to any host; `HttpClient.followRedirects` would as well, and does not belong
 * around the client below a service client with a token.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * The header that carries the token, where nothing else is said: `X-INTERNAL-TOKEN`,
 * in the lower case that Effect's headers have.
 *
 * @category constants
 * @since 0.1.0
 */
export const header = "x-internal-token"

/**
 * Where a token comes from that changes. The errors of its effects are not shown,
 * since they may hold secrets: a call without a token fails with
 * `ServiceUnavailable`, and nothing is sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  /** Reads it, once, when it is needed first. Calls at that time share the reading. */
  readonly get: Effect.Effect<Redacted.Redacted, unknown>
  /**
   * Makes a new one after a 401, once for all calls that have met it; each of them
   * is sent once more then. Default: none, and a 401 stands.
   */
  readonly refresh?: Effect.Effect<Redacted.Redacted, unknown> | undefined
  /** The header that carries it. Default: {@link header}. */
  readonly header?: string | undefined
}

/**
 * A token: itself, the configuration that holds it, or where it comes from. It is
 * of printable ASCII characters, at most 8192.
 *
 * @category models
 * @since 0.1.0
 */
export type InternalToken = Redacted.Redacted | Config.Config<Redacted.Redacted> | Source
