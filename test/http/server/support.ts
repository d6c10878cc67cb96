/** A server in memory: what it answers to requests. */
import { Clock, Effect, Layer, Logger, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Problem from "../../../src/http/Problem.ts"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // what a server says is anybody's guess until a test has looked at it
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any
}

export type Ask = (path: string, init?: RequestInit) => Effect.Effect<Answer>

/** Serves the routes on the clock of the test, without a log, and ends with the scope. */
export const serve = <A>(
  app: Layer.Layer<A, never, HttpRouter.HttpRouter | HttpRouter.Request<"Error", unknown>>,
  options: { readonly logger?: Layer.Layer<never>; readonly accessLog?: boolean } = {}
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.clockWith((clock) =>
        Effect.sync(() =>
          HttpRouter.toWebHandler(
            app.pipe(
              Layer.provideMerge(options.logger ?? Logger.layer([])),
              Layer.provideMerge(Layer.succeed(Clock.Clock, clock))
            ),
            { disableLogger: options.accessLog !== true }
          )
        )
      ),
      ({ dispose }) => Effect.promise(dispose)
    ),
    ({ handler }): Ask => (path, init) =>
      Effect.promise(async (signal) => {
        const response = await handler(new Request(`http://localhost${path}`, { signal, ...init }))
        const text = await response.text()
        const isJson = response.headers.get("content-type")?.includes("json") === true
        return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined }
      })
  )

export const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body: typeof body === "string" || body instanceof Uint8Array ? body as string : JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers }
})

/** An answer of text. */
export const text = (body: string) => Effect.succeed(HttpServerResponse.text(body))

/** A request with these headers. */
export const at = (headers: Record<string, string>): RequestInit => ({ headers })

export interface Tree {
  readonly children?: ReadonlyArray<Tree> | undefined
}

const Tree: Schema.Codec<Tree> = Schema.Struct({
  children: Schema.optional(Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree)))
})

/** A declared error of its own form. */
export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }, {
  httpApiStatus: 409
}) {}

export const Api = HttpApi.make("shop").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.get("get", "/orders/:id", {
      params: { id: Schema.FiniteFromString },
      success: Schema.Struct({ id: Schema.Number }),
      error: [Problem.NotFound, Problem.Unavailable, OutOfStock]
    }),
    HttpApiEndpoint.post("create", "/orders", {
      payload: Schema.Struct({
        item: Schema.String.check(Schema.isMinLength(2)),
        count: Schema.Number.check(Schema.isGreaterThan(0)),
        address: Schema.Struct({ city: Schema.String })
      }),
      success: Schema.Struct({ id: Schema.Number })
    }),
    HttpApiEndpoint.post("tree", "/tree", { payload: Tree, success: Schema.Void })
  )
).annotate(HttpApi.ParseOptions, { errors: "all" })

/** `get` answers by the id: 1 well, 404 and 503 and 409 as declared, 500 with a defect, 501 with a bad response. */
export const handlers = HttpApiBuilder.group(Api, "orders", (orders) =>
  orders
    .handle("get", ({ params: { id } }) => {
      switch (id) {
        case 404:
          return Effect.fail(new Problem.NotFound({ detail: "no order 404" }))
        case 503:
          return Effect.fail(new Problem.Unavailable({ retryAfter: 2.5 }))
        case 409:
          return Effect.fail(new OutOfStock({ item: "pen" }))
        case 500:
          return Effect.die(new Error("password is hunter2"))
        case 501:
          return Effect.succeed({ id: "secret" as unknown as number })
        default:
          return Effect.succeed({ id })
      }
    })
    .handle("create", () => Effect.succeed({ id: 1 }))
    .handle("tree", () => Effect.void))

export const apiRoutes = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(handlers),
  Layer.provide(HttpServer.layerServices)
)
