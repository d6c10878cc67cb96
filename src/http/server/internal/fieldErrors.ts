/** What a schema error says of a request, field by field. */
import type * as HttpApiError from "effect/http-api/HttpApiError"
import type * as Schema from "effect/Schema"
import { inPart } from "../../internal/validationText.ts"
import type { FieldError } from "../../Problem.ts"
import { explain } from "../../Validation.ts"

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

export const fieldErrors = (
  error: Schema.SchemaError,
  kind: HttpApiError.HttpApiSchemaError["kind"]
): ReadonlyArray<FieldError> =>
  explain(error).slice(0, maxErrors).map((found) => {
    const place = places[kind]
    const whole = place === undefined ? found : inPart(place, found)
    return { ...whole, field: whole.field.slice(0, maxLength) }
  })
