/**
 * Checking a request against a server's rules without performing it.
 *
 * A server that adds `Preflight.group` to its API answers `POST
 * /preflight/plans.create` for each of its operations: with `{ valid: true }`, or
 * with what is wrong, field by field. It decodes the request by the schemas of the
 * endpoint, the rules of `Validation` included, and then asks a rule of its own,
 * which can look whether things exist. No handler runs. An answer says what was
 * true then; the operation itself still checks.
 *
 * A middleware that the API has must be on the group too, or strangers may ask what
 * exists: `Preflight.group.middleware(Auth)`, or `api.add(Preflight.group)` before
 * `api.middleware(Auth)`. Uploads and streams are not checked. Of what is wrong, at
 * most a hundred things are told for each part; of a part with more than 10,000
 * values, the first alone.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Layer from "effect/Layer"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Simplify } from "effect/Types"
import { oneOf } from "../internal/options.ts"
import { byPath } from "./internal/operationPath.ts"
import * as parts from "./internal/preflightParts.ts"
import { OperationPipeline } from "./OperationPipeline.ts"
import * as Problem from "./Problem.ts"

/**
 * The request would be performed.
 *
 * @category models
 * @since 0.1.0
 */
export const Valid = Schema.Struct({ valid: Schema.Literal(true) })

/**
 * The request would be refused, for these reasons. A field is named with its part of
 * the request: `payload.title`.
 *
 * @category models
 * @since 0.1.0
 */
export const Invalid = Schema.Struct({
  valid: Schema.Literal(false),
  errors: Schema.Array(Problem.FieldError),
  /** The step that has refused it, where there are steps. */
  step: Schema.optionalKey(Schema.String)
})

/**
 * What a pre-flight says.
 *
 * @category models
 * @since 0.1.0
 */
export const Verdict = Schema.Union([Valid, Invalid])

/**
 * What a pre-flight says.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = typeof Verdict.Type

const Parts = Schema.Struct({
  params: Schema.optionalKey(Schema.Json),
  query: Schema.optionalKey(Schema.Json),
  headers: Schema.optionalKey(Schema.Json),
  payload: Schema.optionalKey(Schema.Json)
})

const identifier = "preflight"

/**
 * The group to add to an API. Asking changes nothing, so it may be asked again.
 *
 * @category api
 * @since 0.1.0
 */
export const group = HttpApiGroup.make(identifier).add(
  HttpApiEndpoint.post("check", "/preflight/:operation", {
    params: { operation: Schema.String },
    payload: Parts,
    success: Verdict,
    error: Problem.NotFound
  }).annotate(OperationPipeline, { idempotent: true })
)

/**
 * The request of an endpoint, decoded.
 *
 * @category models
 * @since 0.1.0
 */
export type Request<Endpoint extends HttpApiEndpoint.ConstraintRequest> = Simplify<
  & Part<"params", Endpoint["~Params"]>
  & Part<"query", Endpoint["~Query"]>
  & Part<"headers", Endpoint["~Headers"]>
  & Part<"payload", Endpoint["~Payload"]>
>

type Part<Name extends string, S extends Schema.Constraint> = [S] extends [never] ? {}
  : { readonly [N in Name]: S["Type"] }

type Endpoints<Group> = Extract<HttpApiGroup.Endpoints<Group>, HttpApiEndpoint.ConstraintRequest>

type Nested<Groups> = Extract<
  Exclude<Groups, { readonly identifier: typeof identifier }>,
  { readonly topLevel: false }
>

type TopLevel<Groups> = HttpApiGroup.Endpoints<Extract<Groups, { readonly topLevel: true }>>

/**
 * What a server looks at beyond the schemas: fails with `ValidationFailed`, or
 * answers with a verdict, as the `check` of steps does. Any other answer is a yes,
 * and any other error a defect.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule<Endpoint extends HttpApiEndpoint.ConstraintRequest> = (
  request: Request<Endpoint>
) => Effect.Effect<Verdict | void, Problem.ValidationFailed, unknown>

/**
 * Rules by group and endpoint; those of top-level groups at the root.
 *
 * @category models
 * @since 0.1.0
 */
export type Rules<Groups> = Simplify<
  & {
    readonly [Group in Nested<Groups> as HttpApiGroup.Identifier<Group>]?: {
      readonly [Endpoint in Endpoints<Group> as Endpoint["identifier"]]?: Rule<Endpoint>
    }
  }
  & {
    readonly [
      Endpoint in Extract<TopLevel<Groups>, HttpApiEndpoint.ConstraintRequest> as Endpoint["identifier"]
    ]?: Rule<Endpoint>
  }
>

type ServicesOf<R> = R extends (...args: never) => Effect.Effect<infer _A, infer _E, infer Services> ? Services
  : R extends object ? { [K in keyof R]: ServicesOf<R[K]> }[keyof R]
  : never

type PreflightEndpoints<Groups> = HttpApiGroup.Endpoints<
  Extract<Groups, { readonly identifier: typeof identifier }>
>

type Coded<
  Endpoint extends HttpApiEndpoint.ConstraintRequest,
  Services extends "DecodingServices" | "EncodingServices"
> = Endpoint[`~${"Params" | "Query" | "Headers" | "Payload"}`][Services]

/**
 * The server's side as a layer. It needs what the rules need, `R`, and what the
 * schemas and the middleware of the group need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server<ApiId extends string, Groups extends HttpApiGroup.Constraint, R> extends
  Layer.Layer<
    HttpApiGroup.Service<ApiId, typeof identifier>,
    never,
    R | Coded<Endpoints<Groups>, "DecodingServices"> | HttpApiEndpoint.Middleware<PreflightEndpoints<Groups>>
  >
{}

/**
 * The server's side: answers for all operations of the API, which has to have
 * `Preflight.group`. An unknown operation in the rules throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { Preflight, Problem, ServiceClient } from "effect-resilience/http"
 *
 * const Api = HttpApi.make("tasks").add(
 *   HttpApiGroup.make("tasks").add(
 *     HttpApiEndpoint.post("create", "/tasks", {
 *       payload: Schema.Struct({ project: Schema.NonEmptyString, title: Schema.NonEmptyString })
 *     })
 *   ),
 *   Preflight.group
 * )
 *
 * class Tasks extends ServiceClient.Service<Tasks>()("Tasks", {
 *   api: Api,
 *   baseUrl: "http://tasks.internal",
 *   pipeline: {}
 * }) {}
 *
 * const handlers = HttpApiBuilder.group(Api, "tasks", (handlers) => handlers.handle("create", () => Effect.void))
 *
 * const preflight = Preflight.layer(Api, {
 *   tasks: {
 *     create: ({ payload }) =>
 *       payload.project === "house"
 *         ? Effect.void
 *         : Effect.fail(new Problem.ValidationFailed({
 *           errors: [{ field: "payload.project", message: "There is no such project" }]
 *         }))
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const tasks = yield* Tasks
 *   const ask = Preflight.client(Api, tasks.preflight.check)
 *   return yield* ask.tasks.create({ payload: { project: "boat", title: "Paint" } })
 * })
 *
 * const verdict = await program.pipe(
 *   Effect.provide(Tasks.layerTest(Layer.merge(handlers, preflight))),
 *   Effect.runPromise
 * )
 * console.log(verdict.valid || verdict.errors[0]?.message) // => There is no such project
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: {
  <ApiId extends string, Groups extends HttpApiGroup.Constraint>(
    api: HttpApi.HttpApi<ApiId, Groups>
  ): Server<ApiId, Groups, never>
  <ApiId extends string, Groups extends HttpApiGroup.Constraint, const R extends Rules<Groups>>(
    api: HttpApi.HttpApi<ApiId, Groups>,
    rules: R
  ): Server<ApiId, Groups, ServicesOf<R>>
} = <ApiId extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<ApiId, Groups>,
  rules: object = {}
): Server<ApiId, Groups, never> => {
  oneOf("Preflight.layer", "the groups of the api", identifier, Object.keys(api.groups))
  const operations = parts.operationsOf(api, identifier)
  const given = rulesOf(rules, operations)
  const checks = new Map(operations.map((operation) => [operation.name, checkOf(operation, given.get(operation.name))]))
  // the group is there, which was looked at above; types cannot say it of an api that is not known yet
  const known = api as unknown as HttpApi.HttpApi<ApiId, typeof group>
  const answering = Effect.map(
    Effect.context<never>(),
    (context: Context.Context<never>) =>
      HttpApiBuilder.group(known, identifier, (handlers) =>
        handlers.handle("check", ({ params, payload }) => {
          const check = checks.get(params.operation)
          return check === undefined
            ? Effect.fail(new Problem.NotFound({ detail: "There is no such operation" }))
            // what the rules and schemas need is in the context that the layer was built in, by the layer's type
            : Effect.provideContext(check(payload) as Effect.Effect<Verdict>, context)
        }))
  )
  // TypeScript cannot reduce what layers need while the groups of the API are generic; Server writes it down
  return Layer.unwrap(answering) as unknown as Server<ApiId, Groups, never>
}

/**
 * What a client asks with: by group and endpoint, with the request of the endpoint.
 *
 * @category models
 * @since 0.1.0
 */
export type Client<Groups, E, R> = Simplify<
  & {
    readonly [Group in Nested<Groups> as HttpApiGroup.Identifier<Group>]: Asks<Endpoints<Group>, E, R>
  }
  & Asks<Extract<TopLevel<Groups>, HttpApiEndpoint.ConstraintRequest>, E, R>
>

type Asks<Endpoint extends HttpApiEndpoint.ConstraintRequest, E, R> = {
  readonly [One in Endpoint as One["identifier"]]: (
    request: Request<One>
  ) => Effect.Effect<Verdict, E, R | Coded<One, "EncodingServices">>
}

/**
 * The client's side: asks a server by the `preflight.check` of its client, whose
 * errors and pipeline it keeps. A request that does not match its schema is answered
 * here, and nothing is sent.
 *
 * @category clients
 * @since 0.1.0
 */
export const client = <ApiId extends string, Groups extends HttpApiGroup.Constraint, E, R>(
  api: HttpApi.HttpApi<ApiId, Groups>,
  check: (request: {
    readonly params: { readonly operation: string }
    readonly payload: typeof Parts.Type
  }) => Effect.Effect<Verdict, E, R>
): Client<Groups, E, R> => {
  const asks = byPath(
    parts.operationsOf(api, identifier).map((operation) => {
      const encode = parts.encoding(operation)
      const ask = (request: object) =>
        Effect.flatMap(
          encode(request),
          Result.match({
            onFailure: (errors): Effect.Effect<Verdict, E, R> => Effect.succeed({ valid: false, errors }),
            // what the codecs of an api encode to is JSON
            onSuccess: (payload) =>
              check({ params: { operation: operation.name }, payload: payload as typeof Parts.Type })
          })
        )
      return [operation.path, ask]
    })
  )
  // one function for each endpoint, in the shape that Client says
  return asks as Client<Groups, E, R>
}

/**
 * Makes a failure of a verdict that says no.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orFail = <E, R>(
  verdict: Effect.Effect<Verdict, E, R>
): Effect.Effect<void, E | Problem.ValidationFailed, R> =>
  Effect.flatMap(
    verdict,
    (verdict) => verdict.valid ? Effect.void : Effect.fail(new Problem.ValidationFailed({ errors: verdict.errors }))
  )

/**
 * What a check of steps says: what they have found, or which of them has refused.
 *
 * @category steps
 * @since 0.1.0
 */
export type Checked<Found> =
  | { readonly valid: true; readonly found: Found }
  | (typeof Invalid.Type & { readonly step: string })

/**
 * Checks of an operation of several steps, in order.
 *
 * @category steps
 * @since 0.1.0
 */
export interface Steps<in Request, out Found extends object, out E, out R> extends Pipeable {
  /** Runs the steps until one refuses. What they found is for who goes on to perform the operation. */
  readonly check: (request: Request) => Effect.Effect<
    Checked<Found>,
    E,
    R
  >
}

/**
 * No steps yet: see `step`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Preflight, Problem } from "effect-resilience/http"
 *
 * const refused = (field: string, message: string) =>
 *   Effect.fail(new Problem.ValidationFailed({ errors: [{ field, message }] }))
 *
 * const assigning = Preflight.steps<{ readonly project: string; readonly agent: string }>().pipe(
 *   Preflight.step("project", ({ request }) => Effect.succeed({ id: request.project, members: ["ann"] })),
 *   Preflight.step("agent", ({ found, request }) =>
 *     found.project.members.includes(request.agent)
 *       ? Effect.succeed(request.agent)
 *       : refused("agent", "It is no member of the project"))
 * )
 *
 * const verdict = await Effect.runPromise(assigning.check({ project: "house", agent: "bob" }))
 * console.log(verdict.valid || verdict.step) // => agent
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const steps = <Request>(): Steps<Request, {}, never, never> =>
  fromCheck(() => Effect.succeed({ valid: true, found: {} }))

/**
 * Adds a step. It gets the request and what the steps before it found, by their
 * names, and answers with what it has found. With `ValidationFailed` it refuses; any
 * other error ends the whole check.
 *
 * @category steps
 * @since 0.1.0
 */
export const step = <
  const Name extends string,
  Request,
  Found extends object,
  Ran extends Effect.Effect<unknown, unknown, unknown>
>(
  name: Name,
  run: (input: { readonly request: NoInfer<Request>; readonly found: NoInfer<Found> }) => Ran
) =>
<E, R>(
  self: Steps<Request, Found, E, R>
): Steps<
  Request,
  Found & { readonly [N in Name]: Effect.Success<Ran> },
  E | Exclude<Effect.Error<Ran>, Problem.ValidationFailed>,
  R | Effect.Services<Ran>
> => {
  type Both = Found & { readonly [N in Name]: Effect.Success<Ran> }
  type Fails = Exclude<Effect.Error<Ran>, Problem.ValidationFailed>
  type Next = Effect.Effect<Checked<Both>, Fails, Effect.Services<Ran>>
  // an effect is made of these three; taken apart and put together, they are the same
  type Whole = Effect.Effect<Effect.Success<Ran>, Effect.Error<Ran>, Effect.Services<Ran>>
  const next = (request: Request, found: Found): Next =>
    Effect.matchEffect(run({ request, found }) as Whole, {
      onFailure: (error): Effect.Effect<Checked<Both>, Fails> =>
        error instanceof Problem.ValidationFailed
          ? Effect.succeed({ ...refusal(error), step: name })
          // no refusal, as was just seen
          : Effect.fail(error as Fails),
      // the compiler forgets the name when it computes the key
      onSuccess: (answer) => Effect.succeed({ valid: true, found: { ...found, [name]: answer } as Both })
    })
  return fromCheck((request: Request) =>
    Effect.flatMap(
      self.check(request),
      (before): Next => before.valid ? next(request, before.found) : Effect.succeed(before)
    )
  )
}

// Private parts. ----------------------------------------------------------------

const fromCheck = <Request, Found extends object, E, R>(
  check: Steps<Request, Found, E, R>["check"]
): Steps<Request, Found, E, R> => ({
  check,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

const refusal = (error: Problem.ValidationFailed): typeof Invalid.Type => ({
  valid: false,
  errors: error.errors ?? [{ field: "", message: error.message }]
})

type AnyRule = (request: object) => ReturnType<Rule<never>>

/** The rules by operation. */
const rulesOf = (rules: object, operations: ReadonlyArray<parts.Operation>): Map<string, AnyRule> => {
  const given = new Map<string, AnyRule>()
  const names = operations.map(({ name }) => name)
  const add = (path: string, value: unknown): void => {
    if (typeof value === "function") {
      // a rule takes the request of its endpoint, and gets that alone
      given.set(oneOf("Preflight.layer", "rules", path, names), value as AnyRule)
    } else {
      for (const [key, inner] of Object.entries(Object(value))) add(path === "" ? key : `${path}.${key}`, inner)
    }
  }
  add("", rules)
  return given
}

const checkOf = (operation: parts.Operation, rule: AnyRule | undefined) => {
  const decode = parts.decoding(operation)
  return (sent: typeof Parts.Type): Effect.Effect<Verdict, never, unknown> =>
    Effect.flatMap(
      decode(sent),
      Result.match({
        onFailure: (errors) => Effect.succeed<Verdict>({ valid: false, errors }),
        onSuccess: (request): Effect.Effect<Verdict, never, unknown> =>
          rule === undefined ? Effect.succeed({ valid: true }) : Effect.suspend(() => rule(request)).pipe(
            Effect.map((verdict): Verdict => verdict ?? { valid: true }),
            // any other error is against the types: it says nothing about the request
            Effect.catch((error) =>
              error instanceof Problem.ValidationFailed ? Effect.succeed(refusal(error)) : Effect.die(error)
            )
          )
      })
    )
}
