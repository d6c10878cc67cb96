/** Problems as responses, and responses that say something is wrong as problems. */
import * as Effect from "effect/Effect"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { isObject } from "effect/Predicate"
import { guarded } from "../../../internal/guarded.ts"
import { kindOf } from "../../internal/problemKinds.ts"
import type { Problem } from "../../Problem.ts"
import * as RequestId from "../../RequestId.ts"

type Response = HttpServerResponse.HttpServerResponse

const contentType = "application/problem+json"

/** What a status means that no class has. */
const others: { readonly [Status in number]: readonly [code: string, title: string] } = {
  405: ["method_not_allowed", "This cannot be asked for in that way"],
  406: ["not_acceptable", "There is no form that the caller would take"],
  408: ["request_timeout", "The request took too long to arrive"],
  410: ["gone", "Gone"],
  413: ["payload_too_large", "The request is too large"],
  415: ["unsupported_media_type", "The request has a form that is not read here"],
  426: ["upgrade_required", "The request needs another protocol"],
  501: ["not_implemented", "The service cannot do this"]
}

const fromStatus = (response: Response, status: number, requestId: string | undefined): Response => {
  const [code, title] = others[status] ?? ["http_error", "The request has failed"]
  const known = kindOf(status) ?? { type: `urn:effect-resilience:problem:${code}`, title, code }
  const body = {
    type: known.type,
    status,
    title: known.title,
    code: known.code,
    ...(requestId !== undefined && { requestId })
  }
  const { "content-length": _, ...headers } = response.headers
  return HttpServerResponse.jsonUnsafe(body, { status, headers, contentType, cookies: response.cookies })
}

// an api writes this where a content type is not one of its endpoint's: it quotes what the caller sent
const isUnsupported = ({ body, status }: Response): boolean =>
  status === 415 && body._tag === "Uint8Array" && body.contentType.startsWith("text/plain")

// a year, in seconds
const maxWait = 31_536_000

/** Adds the request id to a problem, and the header that its `retryAfter` asks for. */
const withMembers = (response: Response, bytes: Uint8Array, requestId: string | undefined): Response => {
  const problem = guarded((): unknown => JSON.parse(new TextDecoder().decode(bytes)))
  if (!isObject(problem)) return response
  // `NaN` and what is below zero say nothing
  const { retryAfter } = problem
  const wait = typeof retryAfter === "number" && retryAfter >= 0 ? Math.min(retryAfter, maxWait) : undefined
  const completed = HttpServerResponse.setBody(
    response,
    HttpServerResponse.jsonUnsafe({
      ...problem,
      retryAfter: wait,
      ...(requestId !== undefined && { requestId })
    }, { contentType }).body
  )
  return wait === undefined || response.headers["retry-after"] !== undefined
    ? completed
    : HttpServerResponse.setHeader(completed, "retry-after", String(Math.ceil(wait)))
}

/**
 * Gives an answer that says something is wrong the standard form: a problem gets
 * the request id and `Retry-After`, and one without a body becomes a problem. Any
 * other body is what the handler or the api has declared, and stays.
 */
export const complete = (response: Response, requestId: string | undefined): Response => {
  const { body, status } = response
  if (status < 400) return response
  if (body._tag === "Empty" || isUnsupported(response)) return fromStatus(response, status, requestId)
  return body._tag === "Uint8Array" && body.contentType.startsWith(contentType)
    ? withMembers(response, body.body, requestId)
    : response
}

/** A refusal with a status that no problem class has. */
export const refusedWith = (
  status: number,
  headers?: { readonly [Name in string]: string }
): Effect.Effect<Response> =>
  Effect.map(
    RequestId.Current,
    (requestId) => complete(HttpServerResponse.empty({ status, ...(headers && { headers }) }), requestId)
  )

/** The answer that a problem is. */
export const refused = (
  problem: Problem,
  headers: { readonly [Name in string]: string } = {}
): Effect.Effect<Response> =>
  Effect.flatMap(RequestId.Current, (requestId) =>
    Effect.map(
      HttpServerRespondable.toResponse(problem),
      (response) => complete(HttpServerResponse.setHeaders(response, headers), requestId)
    ))
