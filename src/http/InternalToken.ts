/**
 * The token by which one's own services know each other.
 *
 * A service client that is given one sends it with every request. It is `Redacted`
 * from end to end: it stands in no event, log, span or status, and in no error but
 * those that the API declares itself, other than a `Problem`, should the service
 * repeat it there. A client of `fetch` is told not to follow redirects by itself,
 * since it would take the token to any host; `HttpClient.followRedirects` would as
 * well, and does not belong around the client below a service client.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
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
 * Where a token comes from that changes. What its effects fail with, or die of, is
 * not shown, since it may hold secrets: a call without a token fails with
 * `ServiceUnavailable`, and nothing is sent. A call that has a deadline or a timeout
 * waits for nine tenths of the time that it has left, and counts neither for nor
 * against the service if there is no token by then.
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
  /**
   * The longest that reading or renewing may take; there is no token then. It runs
   * on, under no deadline, when the calls that wait for it give up, so that a slow
   * issuer is asked once. Default: 30 seconds.
   */
  readonly timeout?: Duration.Input | undefined
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
