/**
 * Where a service lives.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"

/**
 * Finds the service anew for each attempt, so that a retry may reach another
 * instance. Let it read from memory: it is asked before every request, and its
 * time is the attempt's. Where it fails, or finds what is no base url, the call
 * fails with `ServiceUnavailable` and the reason `no address`, which counts like a
 * host that nobody knows; its error is not shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Discovery<R = never> {
  readonly discover: Effect.Effect<URL | string, unknown, R>
}

/**
 * Where a service lives: an absolute url that begins with http:// or https://, the configuration
 * that says so, or who is to be asked. It may have a path, which comes before
 * those of the service; it has no credentials, query or fragment.
 *
 * @category models
 * @since 0.1.0
 */
export type BaseUrl = URL | string | Config.Config<URL> | Discovery<unknown>

/**
 * What finding the service needs.
 *
 * @category models
 * @since 0.1.0
 */
export type Services<Url extends BaseUrl> = Url extends Discovery<infer R> ? R : never
