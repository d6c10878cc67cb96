/**
 * A program of its own: calls the server at the url in its arguments in every way
 * that ends badly, and has to end by itself then, with nothing left open.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { Pipeline, Resilience } from "effect-resilience"
import { ResilientHttpClient, ServiceClient } from "effect-resilience/http"
import { HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const url = process.argv[2] ?? ""

class Upstream extends ServiceClient.Service<Upstream>()("Upstream", {
  api: HttpApi.make("upstream").add(
    HttpApiGroup.make("paths", { topLevel: true }).add(
      HttpApiEndpoint.get("ok", "/ok", { success: Schema.Struct({ ok: Schema.Boolean }) }),
      HttpApiEndpoint.get("hang", "/hang", { success: Schema.String }),
      HttpApiEndpoint.get("stall", "/stall", { success: Schema.String }),
      HttpApiEndpoint.get("error", "/error", { success: Schema.String }),
      HttpApiEndpoint.get("reset", "/reset", { success: Schema.String })
    )
  ),
  baseUrl: url,
  pipeline: { attemptTimeout: "100 millis", retry: { times: 1, backoff: { kind: "constant", delay: "1 millis" } } }
}) {}

const program = Effect.gen(function*() {
  const upstream = yield* Upstream
  yield* upstream.ok()
  const client = ResilientHttpClient.make(
    yield* HttpClient.HttpClient,
    yield* Pipeline.make("plain", { totalTimeout: "100 millis" })
  )
  const exits = yield* Effect.forEach(
    [upstream.hang(), upstream.stall(), upstream.error(), upstream.reset(), Effect.asVoid(client.get(`${url}/hang`))],
    (call: Effect.Effect<unknown, { readonly _tag: string }>) => Effect.flip(call),
    { concurrency: "unbounded" }
  )
  yield* Effect.timeoutOption(upstream.hang(), "20 millis")
  yield* Console.log(exits.map((error) => error._tag).join(" "))
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(Upstream.layer.pipe(
      Layer.provideMerge(Layer.merge(NodeHttpClient.layerUndici, Resilience.layer))
    ))
  )
)
