/** Whether an HTTP request may be sent more than once. */
import type * as HttpBody from "effect/http/HttpBody"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import { header } from "./idempotencyKey.ts"

// RFC 9110, section 9.2.2, and the QUERY method
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "QUERY"])

/** Whether headers, under names in any case, hold an `Idempotency-Key`. */
export const holdsKey = (headers: object): boolean =>
  Object.entries(headers).some(([name, value]) =>
    name.toLowerCase() === header && typeof value === "string" && value !== ""
  )

export const isIdempotent = (method: string): boolean => idempotentMethods.has(method)

/** Whether the body gives the same bytes each time it is read. */
export const isRereadable = (body: HttpBody.HttpBody): boolean =>
  body._tag !== "Stream" &&
  (body._tag !== "Raw" || typeof body.body === "string" || body.body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body.body) || body.body instanceof Blob || body.body instanceof URLSearchParams)

/**
 * By method and `Idempotency-Key`, unless `leave` says otherwise; a body that
 * cannot be read again is never sent twice, whatever anybody says.
 */
export const mayBeSentAgain = (
  request: HttpClientRequest.HttpClientRequest,
  leave: boolean | undefined
): boolean =>
  isRereadable(request.body) &&
  (leave ?? (isIdempotent(request.method) || holdsKey(request.headers)))
