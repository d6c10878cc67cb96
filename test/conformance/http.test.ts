import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { ResilientHttpClient } from "../../src/http/index.ts"
import { Deadline, Pipeline, Resilience } from "../../src/index.ts"
import * as Server from "../http/server.ts"

const noJitter = { times: 1, backoff: { kind: "constant", delay: "100 millis" }, jitter: "none" } as const

/** An upstream that answers 503 with these headers, and then 200; and how often it was asked. */
const failingOnce = (headers: Record<string, string>) => {
  const upstream = { requests: 0 }
  const client = HttpClient.make((request) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        ++upstream.requests === 1 ? new Response(null, { status: 503, headers }) : new Response("well")
      )
    )
  )
  return { upstream, client }
}

describe("http", () => {
  /** Asks once, and returns at which millisecond the second request was sent, looking at every one of `instants`. */
  const secondRequestAt = Effect.fnUntraced(
    function*(headers: Record<string, string>, instants: ReadonlyArray<number>) {
      const { client, upstream } = failingOnce(headers)
      const pipeline = yield* Pipeline.make("upstream", { retry: noJitter })
      const call = yield* Effect.forkChild(ResilientHttpClient.make(client, pipeline).get("http://upstream.invalid"))
      let now = 0
      for (const instant of instants) {
        yield* TestClock.adjust(instant - now)
        now = instant
        if (upstream.requests === 2) break
      }
      yield* Fiber.interrupt(call)
      return upstream.requests === 2 ? now : undefined
    }
  )

  it.effect("conformance 23: Retry-After 2 is never undercut: at 1,999 ms no attempt, at 2,000 one", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* secondRequestAt({ "retry-after": "2" }, [0, 100, 1_999, 2_000, 2_001]), 2_000)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 23: nor is Retry-After as an HTTP date, by the response's own clock or else by ours", () =>
    Effect.gen(function*() {
      const headers = {
        "retry-after": "Sun, 22 Nov 2026 12:00:02 GMT",
        date: "Sun, 22 Nov 2026 12:00:00 GMT"
      }
      assert.strictEqual(yield* secondRequestAt(headers, [0, 100, 1_999, 2_000, 2_001]), 2_000)
      yield* TestClock.setTime(Date.parse("Sun, 22 Nov 2026 12:00:00 GMT"))
      assert.strictEqual(
        yield* secondRequestAt({ "retry-after": headers["retry-after"] }, [0, 100, 1_999, 2_000, 2_001]),
        2_000
      )
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 23: junk headers fall back to the backoff", () =>
    Effect.gen(function*() {
      for (const junk of ["soon", "-5", "NaN", "1e9", "", "2 seconds", "Infinity", "Sun, 99 Nov 2026"]) {
        assert.strictEqual(yield* secondRequestAt({ "retry-after": junk }, [0, 99, 100, 101]), 100, junk)
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("conformance 23: 3600 with a 30 s deadline ends the call at once, with the last answer", () =>
    Effect.gen(function*() {
      const { client, upstream } = failingOnce({ "retry-after": "3600" })
      const patient = yield* Pipeline.make("upstream", { retry: { ...noJitter, maxRetryAfter: "2 hours" } })
      const call = ResilientHttpClient.make(client, patient).get("http://upstream.invalid")
      const ended = yield* Deferred.make<number>()
      yield* Effect.forkChild(
        Effect.flatMap(call.pipe(Deadline.within("30 seconds")), ({ status }) => Deferred.succeed(ended, status))
      )
      // no time passes
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* Deferred.await(ended), 503)
      assert.strictEqual(upstream.requests, 1)
    }).pipe(Effect.provide(Resilience.layer)))

  for (const [name, layer] of Server.clients) {
    it.live(`conformance 24: real, ${name}: no body that cannot be replayed, and no POST or PATCH without leave, is resent`, () =>
      Effect.gen(function*() {
        const server = yield* Server.make
        server.answer((request) => {
          request.socket.destroy()
        })
        const pipeline = yield* Pipeline.make("upstream", {
          retry: { times: 2, backoff: { kind: "constant", delay: "1 millis" } }
        })
        const base = yield* HttpClient.HttpClient
        const client = ResilientHttpClient.make(base, pipeline)
        const byLeave = ResilientHttpClient.make(base, pipeline, { idempotent: () => true })
        const sent = Effect.fnUntraced(function*(request: Effect.Effect<unknown, unknown>) {
          const before = server.requests.length
          assert.isTrue(Exit.isFailure(yield* Effect.exit(request)))
          return server.requests.length - before
        })
        const body = HttpBody.text("{}")
        const stream = () => HttpBody.stream(Stream.succeed(new TextEncoder().encode("{}")))
        const key = { "idempotency-key": "k1" }
        const times = {
          get: yield* sent(client.get(server.url)),
          put: yield* sent(client.put(server.url, { body })),
          delete: yield* sent(client.del(server.url)),
          post: yield* sent(client.post(server.url, { body })),
          patch: yield* sent(client.patch(server.url, { body })),
          postWithKey: yield* sent(client.post(server.url, { body, headers: key })),
          postByLeave: yield* sent(byLeave.post(server.url, { body })),
          putOfStream: yield* sent(client.put(server.url, { body: stream() })),
          streamWithKey: yield* sent(client.post(server.url, { body: stream(), headers: key })),
          streamByLeave: yield* sent(byLeave.post(server.url, { body: stream() }))
        }
        assert.deepStrictEqual(times, {
          get: 3,
          put: 3,
          delete: 3,
          post: 1,
          patch: 1,
          postWithKey: 3,
          postByLeave: 3,
          putOfStream: 1,
          streamWithKey: 1,
          streamByLeave: 1
        })
        // the key is the same on every attempt
        const keyed = server.requests.filter(({ headers }) => headers["idempotency-key"] === "k1")
        assert.strictEqual(keyed.length, 4)
      }).pipe(Effect.provide(Layer.merge(layer, Resilience.layer))))
  }
})
