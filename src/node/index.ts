/**
 * What needs Node: the connections under an HTTP client.
 *
 * Needs `@effect/platform-node`, an optional peer dependency.
 *
 * @since 0.1.0
 */

export * as ConnectionPool from "./ConnectionPool.ts"
