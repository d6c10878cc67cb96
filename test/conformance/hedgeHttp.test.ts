import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { ResilientHttpClient, ServiceClient } from "../../src/http/index.ts"
import { Pipeline, Resilience } from "../../src/index.ts"
import { ConnectionPool } from "../../src/node/index.ts"
import * as Server from "../http/server.ts"
import { present } from "../support.ts"

const calls = 1_000
const atOnce = 2
/** A hedged call has two connections while both of its attempts run. */
const connections = 2 * atOnce

const hedged = {
  hedge: { hedges: 1, delay: "1 millis" },
  totalTimeout: "10 seconds"
} as const

const Item = Schema.Struct({ id: Schema.String })

const ItemsApi = HttpApi.make("items").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("get", "/items/:id", { params: { id: Schema.String }, success: Item })
  )
)

/**
 * A server whose first answer to each path loses: it has no headers, or only half
 * of a body, or half of an error's; it never ends by itself. The second is good.
 */
const lossy = Effect.gen(function*() {
  const server = yield* Server.make
  const asked = new Set<string>()
  const open = new Set<string>()
  server.answer((request, response) => {
    const path = request.url ?? ""
    const id = path.slice("/items/".length)
    if (asked.has(path)) return Server.json(response, 200, { id })
    asked.add(path)
    open.add(path)
    response.on("close", () => open.delete(path))
    const kind = Number(id) % 3
    if (kind === 0) return
    response.writeHead(kind === 1 ? 200 : 500, { "content-type": "application/json", "content-length": "100000" })
    response.write("{\"id\":")
  })
  return { server, open }
})

const clients = [
  ["undici with few connections", NodeHttpClient.layerUndiciOptions({ connections })],
  ["a ConnectionPool", ConnectionPool.layer({ connections })],
  ["node:http with few sockets", NodeHttpClient.layerNodeHttpOptions({ keepAlive: true, maxSockets: connections })],
  ["fetch", FetchHttpClient.layer]
] as const

describe("conformance 28: the loser's response body is closed", () => {
  /** Calls as often as it takes, and looks at what is left of it. */
  const leavesNothing = Effect.fnUntraced(function*<E, R>(
    { open, server }: Effect.Success<typeof lossy>,
    get: (id: string) => Effect.Effect<string, E, R>
  ) {
    const ids = Array.from({ length: calls }, (_, n) => String(n))
    const answers = yield* Effect.forEach(ids, get, { concurrency: atOnce })
    assert.deepStrictEqual(answers, ids)
    // every call was hedged, and its first attempt lost
    assert.strictEqual(server.requests.length, 2 * calls)
    const { snapshots } = yield* Resilience.Resilience
    assert.strictEqual(present((yield* snapshots).find(({ name }) => name === "items")).pipeline?.hedges, calls)
    // no answer is left that nobody reads, and no connection but those that wait for the next request
    yield* Server.eventually(Effect.sync(() => open.size === 0))
    yield* Server.eventually(Effect.map(server.connections, (count) => count <= connections))
  })

  for (const [name, layer] of clients) {
    it.live(
      `conformance 28: no connection leaks after 1,000 hedged calls of a ResilientHttpClient over ${name}`,
      () =>
        Effect.gen(function*() {
          const upstream = yield* lossy
          const client = ResilientHttpClient.make(
            yield* HttpClient.HttpClient,
            yield* Pipeline.make("items", hedged)
          )
          yield* leavesNothing(upstream, (id) =>
            client.get(`${upstream.server.url}/items/${id}`).pipe(
              Effect.flatMap((response) => response.json),
              Effect.flatMap(Schema.decodeUnknownEffect(Item)),
              Effect.map((item) => item.id)
            ))
        }).pipe(Effect.provide(Layer.merge(layer, Resilience.layer))),
      60_000
    )

    it.live(
      `conformance 28: no connection leaks after 1,000 hedged calls of a ServiceClient over ${name}`,
      () =>
        Effect.gen(function*() {
          const upstream = yield* lossy
          class Items extends ServiceClient.Service<Items>()("items", {
            api: ItemsApi,
            baseUrl: upstream.server.url,
            pipeline: hedged
          }) {}
          yield* Effect.gen(function*() {
            const items = yield* Items
            yield* leavesNothing(upstream, (id) => Effect.map(items.get({ params: { id } }), (item) => item.id))
          }).pipe(Effect.provide(Items.layer))
        }).pipe(Effect.provide(Layer.merge(layer, Resilience.layer))),
      60_000
    )
  }
})
