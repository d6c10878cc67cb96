/**
 * HTTP both ways: service clients under resilience policies, one language of
 * errors, and servers that answer well.
 *
 * @since 0.1.0
 */

export * as BaseUrl from "./BaseUrl.ts"

export * as BodyLimit from "./server/BodyLimit.ts"

export * as CallerRateLimit from "./server/CallerRateLimit.ts"

export * as DeadlineHeader from "./DeadlineHeader.ts"

export * as Drain from "./server/Drain.ts"

export * as Fault from "./Fault.ts"

export * as HttpOutcome from "./HttpOutcome.ts"

export * as Id from "./Id.ts"

export * as Idempotency from "./server/Idempotency.ts"

export * as InternalToken from "./InternalToken.ts"

export * as LoadShedding from "./server/LoadShedding.ts"

export * as ModelAdapter from "./ModelAdapter.ts"

export * as PlainClient from "./PlainClient.ts"

export * as Preflight from "./Preflight.ts"

export * as Problem from "./Problem.ts"

export * as RequestId from "./RequestId.ts"

export * as ResilientHttpClient from "./ResilientHttpClient.ts"

export * as RetryAfter from "./RetryAfter.ts"

export * as Server from "./server/Server.ts"

export * as ServerDeadline from "./server/ServerDeadline.ts"

export * as ServerErrors from "./server/ServerErrors.ts"

export * as ServerRequestId from "./server/ServerRequestId.ts"

export * as ServiceClient from "./ServiceClient.ts"

export * as ServiceError from "./ServiceError.ts"

export * as TokenCheck from "./server/TokenCheck.ts"

export * as Validation from "./Validation.ts"
