/** What tells requests apart: the key they carry, on whose behalf, and what they ask for. */
import * as Bytes from "effect/Bytes"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { isKey } from "../../internal/idempotencyKey.ts"

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

const credentials = ["authorization", "cookie", "x-api-key"]

/** The key for one caller. A name and credentials are told apart: the one cannot be made up to look like the other. */
export const scopeOf = ({ headers }: Request, caller: string | undefined, key: string): Effect.Effect<string> =>
  digest(
    caller === undefined
      ? ["credentials", key, ...credentials.map((name) => headers[name] ?? "")]
      : ["caller", key, caller]
  )

// What is read here is read again by the handler; a body that is no text may be a stream, which can be read once.
const isText = (contentType: string | undefined): boolean =>
  contentType === undefined || /^(?:text\/|application\/(?:.*json|x-www-form-urlencoded))/i.test(contentType) &&
    !/ndjson|jsonl|event-stream/i.test(contentType)

/** What a request asks for, as a digest. */
export const fingerprintOf = (request: Request): Effect.Effect<string, HttpServerError.HttpServerError> => {
  const type = request.headers["content-type"]
  const asked = [request.method, request.originalUrl, type?.replace(/;\s*boundary=.*$/, "") ?? ""]
  return isText(type)
    ? Effect.flatMap(request.arrayBuffer, (body) => digest([...asked, new Uint8Array(body)]))
    : digest([...asked, request.headers["content-length"] ?? ""])
}
