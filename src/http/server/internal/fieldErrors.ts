/** What a schema error says of a request, field by field. */
import type * as HttpApiError from "effect/http-api/HttpApiError"
import type * as Schema from "effect/Schema"
import { inPart } from "../../internal/validationText.ts"
import type { FieldError } from "../../Problem.ts"
import { explain } from "../../Validation.ts"

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
  explain(error).map((found) => {
    const place = places[kind]
    return place === undefined ? found : inPart(place, found)
  })
