/** What the types of what HTTP clients and servers share promise. Checked by the compiler alone. */
import type { Duration, Effect, Redacted } from "effect"
import { HttpApi, HttpApiEndpoint } from "effect/http-api"
import {
  type DeadlineHeader,
  type Fault,
  type HttpOutcome,
  type InternalToken,
  Problem,
  RequestId,
  type RetryAfter,
  type ServiceError
} from "../../src/http/index.ts"
import type { Outcome } from "../../src/index.ts"
import type { Equal, Expect } from "./assert.ts"

declare const work: Effect.Effect<1, "failed", "needs">
const named = RequestId.within("r-1")(work)
const missing = new Problem.NotFound({ detail: "gone" })

export type Values = [
  Expect<Equal<typeof named, Effect.Effect<1, "failed", "needs">>>,
  Expect<Equal<typeof RequestId.make, Effect.Effect<string>>>,
  Expect<Equal<ReturnType<typeof RequestId.parse>, string | undefined>>,
  Expect<Equal<ReturnType<typeof DeadlineHeader.parse>, Duration.Duration | undefined>>,
  Expect<Equal<ReturnType<typeof DeadlineHeader.encode>, string | undefined>>,
  Expect<Equal<ReturnType<typeof RetryAfter.parse>, Duration.Duration | undefined>>,
  Expect<Equal<ReturnType<typeof HttpOutcome.fromStatus>, Outcome.Outcome>>,
  Expect<Equal<Fault.Fault["kind"], "pass" | "refuse" | "hang" | "reset" | "malformed" | "status">>,
  Expect<Equal<Redacted.Redacted extends InternalToken.InternalToken ? true : false, true>>,
  Expect<Equal<typeof missing.code, "not_found">>,
  Expect<Equal<typeof missing.status, 404>>,
  Expect<Equal<Extract<ServiceError.ServiceError, Problem.Problem>, Problem.Problem>>
]

// @ts-expect-error a code is fixed by its class
void new Problem.NotFound({ code: "conflict" })
void HttpApi.make("x")
void HttpApiEndpoint.get("get", "/", { error: Problem.NotFound })
