/** What tells requests apart: the key they carry, on whose behalf, and what they ask for. */
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { isKey } from "../../internal/idempotencyKey.ts"
import * as InternalToken from "../../InternalToken.ts"
import { held } from "./requestBody.ts"

type Request = HttpServerRequest.HttpServerRequest

/** The key, of a structured string (`"a-1"`) or bare. A header sent twice arrives as a list, which is no key. */
export const keyOf = (header: string): string | undefined => {
  const key = /^"([^"\\]*)"$/.exec(header)?.[1] ?? header
  return isKey(key) && !/[",\\;]/.test(key) ? key : undefined
}

// Parts are joined with their lengths, so that no two lists of parts read the same.
const digest = (parts: ReadonlyArray<string | Uint8Array>): Effect.Effect<string> => {
  const encoder = new TextEncoder()
  const bytes = Bytes.concat(parts.flatMap((part) => {
    const content = typeof part === "string" ? encoder.encode(part) : part
    return [encoder.encode(`${content.byteLength}:`), content]
  }))
  return Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes)),
    (hash) => Hex.encode(new Uint8Array(hash))
  )
}

const credentials = ["authorization", "cookie", "x-api-key", InternalToken.header]

/** The key for one caller. A name and credentials are told apart: the one cannot be made up to look like the other. */
export const scopeOf = ({ headers }: Request, caller: string | undefined, key: string): Effect.Effect<string> =>
  digest(
    caller === undefined
      ? ["credentials", key, ...credentials.map((name) => headers[name] ?? "")]
      : ["caller", key, caller]
  )

// a body that is no text may be large, or a stream that has no end
const isText = (contentType: string | undefined): boolean =>
  contentType === undefined || /^(?:text\/|application\/(?:.*json|x-www-form-urlencoded))/i.test(contentType) &&
    !/ndjson|jsonl|event-stream/i.test(contentType)

/** What is asked for, wherever the request was sent to: an instance behind another name is the same service. */
const pathOf = (url: string): string => url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, "")

/** What a request asks for, as a digest; and the request for who reads its body after this. */
export const fingerprintOf = (
  request: Request
): Effect.Effect<{ readonly fingerprint: string; readonly request: Request }, HttpServerError.HttpServerError> => {
  const type = request.headers["content-type"]
  const asked = [request.method, pathOf(request.originalUrl), type?.replace(/;\s*boundary=.*$/, "") ?? ""]
  return isText(type)
    ? Effect.flatMap(
      held(request),
      ({ bytes, request }) => Effect.map(digest([...asked, bytes]), (fingerprint) => ({ fingerprint, request }))
    )
    : Effect.map(
      digest([...asked, request.headers["content-length"] ?? ""]),
      (fingerprint) => ({ fingerprint, request })
    )
}
