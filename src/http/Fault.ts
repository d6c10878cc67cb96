/**
 * What becomes of a request in a test.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { integer, oneOf, refuse } from "../internal/options.ts"
import { isHeader } from "./internal/headerText.ts"

/**
 * What becomes of a request in a test.
 *
 * - `pass`: it is answered as usual
 * - `refuse`: the connection is refused
 * - `hang`: there is never an answer
 * - `reset`: a good answer breaks off in its body
 * - `malformed`: a good answer whose body is no JSON
 * - `status`: an answer of that status, from 200 to 599, with `Retry-After` and a body if given
 *
 * @category models
 * @since 0.1.0
 */
export type Fault =
  | { readonly kind: "pass" }
  | { readonly kind: "refuse" }
  | { readonly kind: "hang" }
  | { readonly kind: "reset" }
  | { readonly kind: "malformed" }
  | {
    readonly kind: "status"
    readonly status: number
    readonly retryAfter?: string | undefined
    readonly body?: unknown
  }

const kinds: ReadonlyArray<Fault["kind"]> = ["pass", "refuse", "hang", "reset", "malformed", "status"]

/**
 * Refuses what is no fault, or an answer that no service can give.
 *
 * @internal
 */
export const check = (where: string, option: string, fault: Fault): void => {
  oneOf(where, `${option}.kind`, fault.kind, kinds)
  if (fault.kind !== "status") return
  const { body, retryAfter, status } = fault
  integer(where, `${option}.status`, status, 200, 599)
  if (body !== undefined && [204, 205, 304].includes(status)) {
    refuse(where, `${option}.body`, `left out of a ${status}`, body)
  }
  if (retryAfter !== undefined && !(typeof retryAfter === "string" && isHeader("retry-after", retryAfter))) {
    refuse(where, `${option}.retryAfter`, "a text that a header can have", retryAfter)
  }
}

/**
 * Answers a request with a fault; `undefined` where it is to be answered as
 * usual.
 *
 * @internal
 */
export const answer = (
  fault: Fault,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> | undefined => {
  const respond = (body: string | ReadableStream | null, status: number, headers: Record<string, string> = {}) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        new Response(body, { status, headers: { "content-type": "application/json", ...headers } })
      )
    )
  switch (fault.kind) {
    case "pass":
      return undefined
    case "hang":
      return Effect.never
    case "refuse":
      return Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, description: "connection refused by a scripted fault" })
        })
      )
    case "reset":
      return respond(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("{"))
            controller.error(new Error("connection reset by a scripted fault"))
          }
        }),
        200
      )
    case "malformed":
      return respond("{ this is no JSON", 200)
    case "status":
      return respond(
        fault.body === undefined ? null : JSON.stringify(fault.body),
        fault.status,
        fault.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter }
      )
  }
}
