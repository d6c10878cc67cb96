/**
 * HTTP clients under resilience policies.
 *
 * @since 0.1.0
 */

export * as Fault from "./Fault.ts"

export * as HttpOutcome from "./HttpOutcome.ts"

export * as Problem from "./Problem.ts"

export * as ResilientHttpClient from "./ResilientHttpClient.ts"

export * as RetryAfter from "./RetryAfter.ts"

export * as ServiceClient from "./ServiceClient.ts"

export * as ServiceError from "./ServiceError.ts"
