/**
 * Reads the bodies of errors that no schema describes: problem details
 * (RFC 9457), what frameworks answer with, text, HTML, nothing. The status says
 * which kind of failure it is; the body can only say more about it.
 */
import * as Duration from "effect/Duration"
import { isObject } from "effect/Predicate"
import { guarded } from "../../internal/guarded.ts"
import * as Problem from "../Problem.ts"
import * as RequestId from "../RequestId.ts"
import { comingFrom } from "./origin.ts"
import { plainText } from "./plainText.ts"
import { kindOf } from "./problemKinds.ts"

/** An answer with the status of an error. */
export interface ForeignAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  /** What its headers ask for. */
  readonly retryAfter: Duration.Duration | undefined
  /** What its headers, or the request, say. */
  readonly requestId: string | undefined
  readonly service: string
  readonly operation: string
  /** Takes out what must not be shown, should the service have repeated it. */
  readonly redact: (text: string) => string
}

const most = { characters: 1000, errors: 50, seconds: 1e9 }

type Json = Readonly<Record<PropertyKey, unknown>>

/** The problem that an answer tells of; `undefined` where no kind has its status. */
export const problemOf = (answer: ForeignAnswer): Problem.Problem | undefined => {
  const json = jsonOf(answer)
  const inner: Json = isObject(json.error) ? json.error : {}
  const say = shown(answer.redact)
  const code = say(json.code ?? inner.code ?? json.error)
  const kind = kindOf(answer.status, code)
  if (kind === undefined) return undefined
  const detail = say(json.detail) ?? say(inner.message) ?? say(inner.detail) ?? say(json.message) ??
    say(json.error_description) ?? say(json.error) ?? say(json.title) ?? (isText(answer) ? say(answer.body) : undefined)
  const requestId = RequestId.parse(say(json.requestId ?? json.request_id ?? inner.requestId)) ??
    RequestId.parse(say(answer.requestId))
  const retryAfter = answer.retryAfter === undefined
    ? secondsOf(json.retryAfter ?? inner.retryAfter)
    : Duration.toSeconds(answer.retryAfter)
  const errors = fieldErrors(json.errors ?? inner.errors ?? inner.details ?? json.detail, say)
  const problem = new kind.Kind({
    ...(detail === undefined ? {} : { detail }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(errors.length === 0 ? {} : { errors })
  })
  const { operation, service } = answer
  return comingFrom(problem, { service, operation, ...(code === undefined || code in Problem.kinds ? {} : { code }) })
}

/**
 * A problem that the API declares, as its client shows it: without the tokens that
 * the service may have repeated, with the request's id and what the headers ask for
 * where the body says nothing of them, and with where it comes from.
 */
export const received = (
  problem: Problem.Problem,
  { redact, retryAfter, where: { operation, requestId, service } }: {
    readonly redact: (text: string) => string
    readonly retryAfter: Duration.Duration | undefined
    readonly where: Problem.Origin & { readonly requestId: string }
  }
): Problem.Problem => {
  const { errors } = problem
  const seconds = problem.retryAfter ?? (retryAfter === undefined ? undefined : Duration.toSeconds(retryAfter))
  // it has just been decoded, and nobody else has it
  Object.assign(problem, {
    requestId,
    ...mapped(problem, ["detail", "instance", "requestId"], redact),
    ...(errors === undefined ? {} : {
      errors: errors.map((error) => ({ ...error, ...mapped(error, ["field", "message", "hint"], redact) }))
    }),
    ...(seconds === undefined ? {} : { retryAfter: Math.min(seconds, most.seconds) })
  })
  return comingFrom(problem, { service, operation })
}

/** Those of the texts that are there, changed. */
const mapped = (
  from: object,
  names: ReadonlyArray<string>,
  change: (text: string) => string
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(from).flatMap(([name, value]) =>
      names.includes(name) && typeof value === "string" ? [[name, change(value)]] : []
    )
  )

const jsonOf = ({ body, contentType }: ForeignAnswer): Json => {
  if (!/json/i.test(contentType) && !/^\s*\{/.test(body)) return {}
  const json: unknown = guarded((): unknown => JSON.parse(body))
  return isObject(json) ? json : {}
}

const isText = ({ body, contentType }: ForeignAnswer): boolean =>
  (contentType === "" || /^text\/plain\b/i.test(contentType)) && !/^\s*[<{[]/.test(body)

/** A text that may be shown: without secrets, in plain characters, and not too long. */
const shown = (redact: (text: string) => string) => (value: unknown): string | undefined =>
  typeof value === "string" ? plainText(redact(value), most.characters) || undefined : undefined

const secondsOf = (value: unknown): number | undefined =>
  typeof value === "number" && value >= 0 ? Math.min(value, most.seconds) : undefined

type Say = ReturnType<typeof shown>

/** A list of errors, by whatever names, or an object of the messages for each field. */
const fieldErrors = (errors: unknown, say: Say): ReadonlyArray<Problem.FieldError> => {
  const found: ReadonlyArray<unknown> = Array.isArray(errors)
    ? errors.slice(0, most.errors)
    : isObject(errors)
    ? Object.entries(errors).slice(0, most.errors).map(([field, message]) => ({
      field,
      message: Array.isArray(message) ? message[0] : message
    }))
    : []
  return found.flatMap((error) => {
    if (!isObject(error)) return []
    const json: Json = error
    const message = say(json.message) ?? say(json.msg) ?? say(json.detail) ?? say(json.reason)
    if (message === undefined) return []
    const hint = say(json.hint)
    const field = say(fieldOf(json.field ?? json.path ?? json.loc ?? json.pointer ?? json.name)) ?? ""
    return [{ field, message, ...(hint === undefined ? {} : { hint }) }]
  })
}

/** The way to a field: an array, a JSON pointer (RFC 6901), or as it is. */
const fieldOf = (way: unknown): unknown =>
  Array.isArray(way)
    ? way.filter((part) => typeof part === "string" || typeof part === "number").join(".")
    : typeof way === "string"
    ? way.replace(/^#?\//, "").replaceAll("/", ".")
    : undefined
