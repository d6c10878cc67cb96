import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { ServiceClient } from "../../src/http/index.ts"
import { Fallback, Resilience } from "../../src/index.ts"
import { brief, drive, now, present, waits } from "../support.ts"

const Item = Schema.Struct({ id: Schema.String })
const byId = { params: { id: Schema.String }, success: Item }

/** A back-end with one operation for each of the four methods. */
const VectorApi = HttpApi.make("vectors").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("get", "/items/:id", byId),
    HttpApiEndpoint.post("post", "/items", { payload: Item, success: Item }),
    HttpApiEndpoint.put("put", "/items/:id", { ...byId, payload: Item }),
    HttpApiEndpoint.delete("delete", "/items/:id", byId)
  )
)

class Vectors extends ServiceClient.Service<Vectors>()("Vectors", {
  api: VectorApi,
  baseUrl: "http://vectors.internal",
  pipeline: {
    retry: { times: 3, backoff: { kind: "exponential", base: "1 second", cap: "4 seconds" }, jitter: "none" },
    circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "60 seconds" },
    attemptTimeout: "15 seconds"
  }
}) {}

/** A back-end that answers with a status, or not at all, and remembers when it was asked for what. */
const backEnd = (status: number | "hang") => {
  const asked: Array<{ readonly method: string; readonly at: number }> = []
  const client = HttpClient.make((request) =>
    Effect.flatMap(now, (at) => {
      asked.push({ method: request.method, at })
      if (status === "hang") return Effect.never
      const body = JSON.stringify({ id: "1" })
      const headers = { "content-type": "application/json" }
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body, { status, headers })))
    })
  )
  const layer = Vectors.layer.pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
    Layer.provideMerge(Resilience.layer)
  )
  return { asked, layer }
}

const params = { id: "1" }

describe("a client for a back-end service", () => {
  it.effect("B1: gets, posts, puts and deletes under one breaker, with retries and a timeout", () => {
    const well = backEnd(200)
    return Effect.gen(function*() {
      const { items } = yield* Vectors
      const answers = [
        yield* items.get({ params }),
        yield* items.post({ payload: params }),
        yield* items.put({ params, payload: params }),
        yield* items.delete({ params })
      ]
      assert.deepStrictEqual(answers, [params, params, params, params])
      assert.deepStrictEqual(well.asked.map(({ method }) => method), ["GET", "POST", "PUT", "DELETE"])
      const { snapshots } = yield* Resilience.Resilience
      const [snapshot] = yield* snapshots
      assert.strictEqual(snapshot?.circuitBreaker?.calls.success, 4)
    }).pipe(Effect.provide(well.layer))
  })

  it.effect("B3: tries again after 1, 2 and 4 seconds, but posts once", () => {
    const down = backEnd(503)
    return Effect.gen(function*() {
      const { items } = yield* Vectors
      const { exit } = yield* drive(items.get({ params }), "30 seconds")
      assert.strictEqual(brief(exit), "Unavailable")
      assert.deepStrictEqual(waits(down.asked.map(({ at }) => at)), [1_000, 2_000, 4_000])
      yield* drive(items.post({ payload: params }), "1 seconds")
      assert.strictEqual(down.asked.length, 5)
      // that was the fifth failure
      const refused = yield* Effect.exit(items.get({ params }))
      assert.strictEqual(brief(refused), "CircuitOpen")
    }).pipe(Effect.provide(down.layer))
  })

  it.effect("B5: its failures are answered by a fallback, by a typed 503, or by going on", () => {
    const hung = backEnd("hang")
    return Effect.gen(function*() {
      const { items } = yield* Vectors
      for (let n = 0; n < 2; n++) yield* drive(Effect.exit(items.get({ params })), "2 days")
      const get = items.get({ params })
      const open = yield* drive(Fallback.orElse(get, Fallback.value({ id: "from full text" })))
      assert.deepStrictEqual(brief(open.exit), { id: "from full text" })
      const closed = yield* drive(Effect.flip(get))
      assert.include(
        ["TimedOut", "CircuitOpen"],
        present(closed.exit._tag === "Success" ? closed.exit.value : undefined)._tag
      )
      const bestEffort = yield* drive(Fallback.orElse(get, Fallback.effect(Effect.void)))
      assert.strictEqual(brief(bestEffort.exit), undefined)
    }).pipe(Effect.provide(hung.layer))
  })
})
