/** The parts of a request that an endpoint declares, and their schemas. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type { FieldError } from "../Problem.ts"
import { explain } from "../Validation.ts"
import { type OperationPath, pathOf } from "./operationPath.ts"
import { inPart } from "./validationText.ts"

export type PartName = "params" | "query" | "headers" | "payload"

interface Part {
  readonly name: PartName
  readonly schema: Schema.Top
  readonly options: SchemaAST.ParseOptions
}

export interface Operation {
  readonly path: OperationPath
  readonly name: string
  readonly parts: ReadonlyArray<Part>
}

const optionsOf = (annotations: Context.Context<never>): { readonly [Name in PartName]: SchemaAST.ParseOptions } => {
  const all = Context.getOrUndefined(annotations, HttpApi.ParseOptions)
  const of = <I>(key: Context.Key<I, SchemaAST.ParseOptions>): SchemaAST.ParseOptions =>
    Context.getOrUndefined(annotations, key) ?? all ?? {}
  return {
    params: of(HttpApi.ParamsParseOptions),
    query: of(HttpApi.QueryParseOptions),
    headers: of(HttpApi.HeadersParseOptions),
    payload: of(HttpApi.PayloadParseOptions)
  }
}

/** Bodies that cannot be written as JSON, uploads and streams, are not checked beforehand. */
const payloadOf = (endpoint: HttpApiEndpoint.Top): Schema.Top | undefined => {
  const schemas: Array<Schema.Top> = []
  for (const { encoding, schemas: declared } of endpoint.payload.values()) {
    if (encoding._tag !== "Json" && encoding._tag !== "FormUrlEncoded" && encoding._tag !== "Text") return undefined
    schemas.push(...declared)
  }
  return schemas.length > 1 ? Schema.Union(schemas) : schemas[0]
}

export const operationsOf = <ApiId extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<ApiId, Groups>,
  own: string
): ReadonlyArray<Operation> => {
  const operations: Array<Operation> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint({ endpoint, group, mergedAnnotations }) {
      if (group.identifier === own) return
      const path = pathOf(group, endpoint)
      // the same options as the server decodes with
      const options = optionsOf(mergedAnnotations)
      const part = (name: PartName, schema: Schema.Top | undefined): ReadonlyArray<Part> =>
        schema === undefined ? [] : [{ name, schema, options: options[name] }]
      operations.push({
        path,
        name: path.join("."),
        parts: [
          ...part("params", endpoint.params),
          ...part("query", endpoint.query),
          ...part("headers", endpoint.headers),
          ...part("payload", payloadOf(endpoint))
        ]
      })
    }
  })
  return operations
}

const maxValues = 10_000

/** Whether there are so many values that finding all that is wrong with them would keep a server busy for seconds. */
const isLarge = (value: unknown): boolean => {
  const left = [value]
  for (let seen = 0; left.length > 0; seen++) {
    if (seen + left.length > maxValues) return true
    const next = left.pop()
    if (typeof next === "object" && next !== null) {
      const inner: ReadonlyArray<unknown> = Array.isArray(next) ? next : Object.values(next)
      if (inner.length > maxValues) return true
      left.push(...inner)
    }
  }
  return false
}

const through = (
  run: (
    part: Part
  ) => (value: unknown, options: SchemaAST.ParseOptions) => Effect.Effect<unknown, Schema.SchemaError, unknown>
) =>
(
  operation: Operation
): (
  request: object
) => Effect.Effect<Result.Result<Partial<Record<PartName, unknown>>, ReadonlyArray<FieldError>>, never, unknown> => {
  const runs = operation.parts.map((part) => {
    const decode = run(part)
    // all that is wrong, and not the first thing alone
    return {
      name: part.name,
      run: (value: unknown) => decode(value, { ...part.options, errors: isLarge(value) ? "first" : "all" })
    }
  })
  return (request) => {
    const given = new Map<string, unknown>(Object.entries(request))
    return Effect.map(
      Effect.forEach(
        runs,
        ({ name, run }) => Effect.map(Effect.result(run(given.get(name))), (result) => ({ name, result }))
      ),
      (results) => {
        const errors = results.flatMap(({ name, result }) =>
          Result.isFailure(result)
            ? explain(result.failure).map((error) => inPart(name, error))
            : []
        )
        if (errors.length > 0) return Result.fail(errors)
        return Result.succeed(Object.fromEntries(
          results.map(({ name, result }) => [name, Result.isSuccess(result) ? result.success : undefined])
        ))
      }
    )
  }
}

/** What is sent of a request; or what is wrong with it already. */
export const encoding = through(({ schema }) => Schema.encodeUnknownEffect(schema))

/** The request that was sent; or what is wrong with it. */
export const decoding = through(({ schema }) => Schema.decodeUnknownEffect(schema))
