/** The back ends of the drill, and what becomes of them under each fault, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import * as BackEnds from "../../examples/drill/BackEnds.ts"
import type { Service } from "../../examples/drill/Recording.ts"
import { secret } from "./application.ts"

/** Back ends whose times are divided by 100: a slow vector store answers after 240 ms, a flapping one is down for 300. */
const start = Effect.gen(function*() {
  const arrivals: Array<Service> = []
  const made = yield* BackEnds.make({
    factor: 100,
    token: Redacted.make(secret),
    onArrival: (service) => arrivals.push(service)
  })
  return { ...made, arrivals, query: query(made.urls.vectorStore) }
})

const request = (url: string, body: object, headers: Record<string, string> = {}) =>
  Effect.tryPromise(async (signal) => {
    const sent = performance.now()
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", "x-internal-token": secret, ...headers },
      signal
    })
    const { headers: answered, status } = response
    return { status, text: await response.text(), headers: answered, waited: performance.now() - sent }
  })

const query = (url: string) => request(`${url}/query`, { text: "refunds" })

describe("a back end", () => {
  it.live("that refuses connections is at the same port again when it is well", () =>
    Effect.gen(function*() {
      const { become, query } = yield* start
      for (let n = 0; n < 3; n++) {
        yield* become("vectorStore", "refuse")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(query)))
        yield* become("vectorStore", undefined)
        assert.strictEqual((yield* query).status, 200)
      }
    }))

  it.live("that hangs takes requests, and never answers", () =>
    Effect.gen(function*() {
      const { arrivals, become, query } = yield* start
      yield* become("vectorStore", "hang")
      assert.strictEqual((yield* Effect.exit(Effect.timeout(query, "300 millis")))._tag, "Failure")
      assert.deepStrictEqual(arrivals, ["vectorStore"])
    }))

  it.live("that is slow answers, later than its users wait", () =>
    Effect.gen(function*() {
      const { become, query } = yield* start
      yield* become("vectorStore", "slow")
      const { status, waited } = yield* query
      assert.strictEqual(status, 200)
      assert.isAtLeast(waited, 238)
    }))

  for (const [fault, expected] of [["busy", 503], ["throttle", 429]] as const) {
    it.live(`that is asked too much (${fault}) answers ${expected} with Retry-After`, () =>
      Effect.gen(function*() {
        const { become, query } = yield* start
        yield* become("vectorStore", fault)
        const { headers, status } = yield* query
        assert.strictEqual(status, expected)
        assert.strictEqual(headers.get("retry-after"), "1")
      }))
  }

  it.live("that resets connections does so in the middle of the body", () =>
    Effect.gen(function*() {
      const { become, urls } = yield* start
      yield* become("vectorStore", "reset")
      const headers = { "content-type": "application/json", "x-internal-token": secret }
      const response = yield* Effect.promise(() => fetch(`${urls.vectorStore}/query`, { method: "POST", headers }))
      assert.strictEqual(response.status, 200)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => response.text()))))
    }))

  it.live("that is malformed answers 200 with JSON that is broken, or that is something else", () =>
    Effect.gen(function*() {
      const { become, query } = yield* start
      yield* become("vectorStore", "malformed")
      const answers = [yield* query, yield* query]
      for (const { status } of answers) assert.strictEqual(status, 200)
      const readable = answers.filter(({ text }) => text.endsWith("}"))
      assert.strictEqual(readable.length, 1)
      for (const { text } of readable) assert.notProperty(JSON.parse(text), "passages")
    }))

  it.live("that flaps is down for a while, then well for a while, and down again", () =>
    Effect.gen(function*() {
      const { become, query } = yield* start
      yield* become("vectorStore", "flap")
      const seen: Array<boolean> = []
      const look = Effect.gen(function*() {
        const isWell = Exit.isSuccess(yield* Effect.exit(query))
        if (seen.at(-1) !== isWell) seen.push(isWell)
        yield* Effect.sleep("10 millis")
      })
      yield* Effect.timeout(Effect.repeat(look, { until: () => seen.length === 4 }), "10 seconds")
      assert.deepStrictEqual(seen, [false, true, false, true])
    }))

  it.live("carries a charge out once, however often it is sent with the same key", () =>
    Effect.gen(function*() {
      const { urls } = yield* start
      const charge = (key: string) =>
        request(`${urls.billing}/charges`, { account: "a", cents: 100 }, { "idempotency-key": key })
      const first = yield* charge("k-1")
      const again = yield* charge("k-1")
      const other = yield* charge("k-2")
      assert.strictEqual(first.status, 200)
      assert.strictEqual(again.text, first.text)
      assert.notStrictEqual(other.text, first.text)
    }))

  it.live("is gone with its port when its scope ends, whatever its fault", () =>
    Effect.gen(function*() {
      for (const fault of [undefined, "refuse", "hang"] as const) {
        const scope = yield* Scope.make()
        const { become, query } = yield* Effect.provideService(start, Scope.Scope, scope)
        yield* become("vectorStore", fault)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(query)))
      }
    }))
})
