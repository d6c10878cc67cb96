/** What a dead service costs, and the two gateways of the drill that the toolkit's is compared with. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { services } from "../../examples/drill/Recording.ts"
import { eventually, quietly, start } from "./application.ts"

describe("B11: a dead service behind the usual timeout", () => {
  it.live("costs a plain gateway one timeout, and then an error", () =>
    quietly(Effect.gen(function*() {
      const { attempts, become, chat } = yield* start("plain")
      yield* become("vectorStore", "hang")
      const { status, waited } = yield* chat
      assert.strictEqual(status, 500)
      assert.isAtLeast(waited, 740)
      assert.deepStrictEqual(attempts.map(({ ok, service }) => [service, ok]), [["vectorStore", false]])
    })))

  it.live("costs a gateway with naive retries three timeouts, 90 seconds, and then an error", () =>
    quietly(Effect.gen(function*() {
      const { attempts, become, chat } = yield* start("retries")
      yield* become("vectorStore", "hang")
      const { status, waited } = yield* chat
      assert.strictEqual(status, 500)
      assert.isAtLeast(waited, 2_240)
      assert.strictEqual(attempts.filter(({ ok, service }) => service === "vectorStore" && !ok).length, 3)
    })))

  it.live("costs this one 8 seconds, and nothing once the breaker is open", () =>
    quietly(Effect.gen(function*() {
      const { arrivals, become, changes, chat } = yield* start("resilient", { factor: 10 })
      yield* become("vectorStore", "hang")
      const first = yield* Effect.all(Array.from({ length: 5 }, () => chat), { concurrency: "unbounded" })
      for (const { body, waited } of first) {
        assert.include(body, { source: "full-text" })
        assert.isAtLeast(waited, 790)
        // 20 seconds is what a user waits for a chat; the rest is for a busy machine
        assert.isBelow(waited, 2_000 + 2_000)
      }
      assert.strictEqual(arrivals.filter((service) => service === "vectorStore").length, 5)
      // behind the answers the attempts have gone on until their timeouts
      yield* eventually(() => changes.some(({ service, state }) => service === "vectorStore" && state === "Open"))
      const asked = arrivals.length
      assert.isBelow((yield* chat).waited, 790)
      assert.strictEqual(arrivals.slice(asked).filter((service) => service === "vectorStore").length, 0)
    })))

  it.live("costs this one 7 seconds of retries if it refuses connections", () =>
    quietly(Effect.gen(function*() {
      const { become, chat } = yield* start("resilient", { factor: 10 })
      yield* become("vectorStore", "refuse")
      const { body, waited } = yield* chat
      assert.include(body, { source: "full-text" })
      // the waits differ by a tenth
      assert.isAtLeast(waited, 0.9 * 700 - 5)
      assert.isBelow(waited, 1_490)
    })))
})

describe("a gateway without protection", () => {
  for (const gateway of ["plain", "retries"] as const) {
    it.live(`answers as the others do while all is well (${gateway})`, () =>
      quietly(Effect.gen(function*() {
        const { charge, chat, file, snapshot, status } = yield* start(gateway)
        assert.include((yield* chat).body, { source: "vectors", saved: true })
        assert.include((yield* file("README.md")).body, { source: "service" })
        assert.strictEqual((yield* charge).status, 200)
        assert.strictEqual((yield* snapshot).status, 202)
        assert.deepStrictEqual((yield* status).body, {})
      })))

    it.live(`turns whatever goes wrong in a service into a 500 (${gateway})`, () =>
      quietly(Effect.gen(function*() {
        const { attempts, become, charge, chat, file, snapshot } = yield* start(gateway)
        // even that a transcript cannot be saved
        yield* become("fileSystem", "busy")
        assert.strictEqual((yield* chat).status, 500)
        assert.strictEqual((yield* file("README.md")).status, 500)
        yield* become("billing", "refuse")
        assert.strictEqual((yield* charge).status, 500)
        yield* become("git", "malformed")
        assert.strictEqual((yield* snapshot).status, 500)
        const times = gateway === "plain" ? 1 : 3
        assert.strictEqual(attempts.filter(({ ok, service }) => service === "fileSystem" && !ok).length, 2 * times)
      })))
  }
})

describe("the load that gateways put on services", () => {
  for (const gateway of ["plain", "retries", "resilient"] as const) {
    it.live(`is what they tell of it: each request arrives, and no other (${gateway})`, () =>
      quietly(Effect.gen(function*() {
        const { all, arrivals, attempts, charge, chat, file, snapshot } = yield* start(gateway, { factor: 10 })
        for (const fault of [undefined, "busy", "reset", "malformed"] as const) {
          yield* all(fault)
          for (let n = 0; n < 3; n++) yield* Effect.all([chat, file("README.md"), charge, snapshot])
        }
        // what goes on behind an answer comes to its end
        yield* eventually(() => attempts.length === arrivals.length)
        for (const service of services) {
          assert.strictEqual(
            attempts.filter((attempt) => attempt.service === service).length,
            arrivals.filter((arrival) => arrival === service).length
          )
        }
      })))
  }
})
