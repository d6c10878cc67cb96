/**
 * What needs Node: the connections under an HTTP client, a port for what one's own look at.
 *
 * Needs `@effect/platform-node`, an optional peer dependency.
 *
 * @since 0.1.0
 */

export * as ConnectionPool from "./ConnectionPool.ts"

export * as StatusPort from "./StatusPort.ts"
