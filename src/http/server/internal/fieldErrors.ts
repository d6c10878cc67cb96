/** What a schema error says of a request, field by field. */
import type * as HttpApiError from "effect/http-api/HttpApiError"
import type * as Schema from "effect/Schema"
import { split } from "../../internal/validationText.ts"
import type { FieldError } from "../../Problem.ts"
import { mismatches } from "../../ServiceError.ts"

// keys come from the caller: neither their number nor their length may blow up the answer
const maxErrors = 100
const maxLength = 200

/** Where a field is, unless it is in the body. */
const places: { readonly [Kind in HttpApiError.HttpApiSchemaError["kind"]]: string | undefined } = {
  Params: "params",
  Headers: "headers",
  Query: "query",
  Payload: undefined,
  Body: undefined,
  ResponseHeaders: undefined
}

const withHint = (error: FieldError): FieldError => {
  const expected = error.hint === undefined ? /^Expected (.+)$/s.exec(error.message)?.[1] : undefined
  return expected === undefined ? error : { ...error, hint: `Give ${expected}` }
}

export const fieldErrors = (
  error: Schema.SchemaError,
  kind: HttpApiError.HttpApiSchemaError["kind"]
): ReadonlyArray<FieldError> =>
  mismatches(error).slice(0, maxErrors).map(({ message, path }) => {
    const place = places[kind]
    const field = (place === undefined ? path : [place, ...path]).join(".")
    return withHint(split(field.slice(0, maxLength), message))
  })
