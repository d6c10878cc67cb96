/** The gateway of the drill that uses the toolkit, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { type Fault, services } from "../../examples/drill/Recording.ts"
import { present } from "../support.ts"
import { ask, eventually, logged, post, quietly, secret, start } from "./application.ts"

describe("the gateway with this toolkit", () => {
  it.live("B1: has one client for each service, with a breaker, retries and a timeout of its own", () =>
    quietly(Effect.gen(function*() {
      const { become, chat, snapshot, status } = yield* start("resilient")
      yield* become("git", "refuse")
      const { body } = yield* Effect.repeat(Effect.andThen(snapshot, status), {
        until: ({ text }) => text.includes("\"Open\"")
      })
      assert.deepStrictEqual(Object.keys(body), [...services])
      assert.deepNestedInclude(body, { "git.circuitBreakers": { git: "Open" } })
      assert.deepNestedInclude(body, { "vectorStore.circuitBreakers": { vectorStore: "Closed" } })
      // one service is down, and the others do not know
      assert.include((yield* chat).body, { source: "vectors" })
    })))

  it.live("B3: tries again after 1, 2 and 4 seconds, give or take a tenth", () =>
    quietly(Effect.gen(function*() {
      const { attempts, become, chat } = yield* start("resilient", { factor: 10 })
      yield* become("vectorStore", "refuse")
      yield* chat
      yield* eventually(() => attempts.filter(({ service }) => service === "vectorStore").length === 4)
      const at = attempts.filter(({ service }) => service === "vectorStore").map(({ at }) => at)
      const waits = at.slice(1).map((next, n) => next - present(at[n]))
      for (const [n, wait] of [100, 200, 400].entries()) {
        // the clock of events knows whole milliseconds, and a busy machine is late
        assert.isAtLeast(present(waits[n]), 0.9 * wait - 2)
        assert.isBelow(present(waits[n]), 1.1 * wait + 300)
      }
    })))

  it.live("B4: shows its token to the services, which let nobody else in, and shows it nowhere else", () => {
    const { layer, lines } = logged()
    return Effect.gen(function*() {
      const { all, charge, chat, file, snapshot, status, urls } = yield* start("resilient")
      const stranger = yield* post(urls.vectorStore, "/query", { text: "anything" })
      assert.strictEqual(stranger.status, 401)
      const guessing = yield* ask(`${urls.fileSystem}/files/README.md`, { headers: { "x-internal-token": "guessed" } })
      assert.strictEqual(guessing.status, 401)
      const answers = [yield* status, stranger, guessing]
      for (const fault of ["refuse", "malformed", "busy"] as const) {
        yield* all(fault)
        answers.push(...yield* Effect.all([chat, file("README.md"), file("never.txt"), charge, snapshot, status]))
      }
      yield* eventually(() => lines.length > 0)
      for (const text of [...answers.map(({ text }) => text), ...lines]) assert.notInclude(text, secret)
    }).pipe(Effect.provide(layer))
  })

  it.live("B4: takes a token that its services do not know for a mistake of its own, and not for an outage", () => {
    const { layer, lines } = logged()
    return Effect.gen(function*() {
      const { changes, charge, chat } = yield* start("resilient", { token: "an-old-token" })
      assert.include((yield* chat).body, { source: "full-text" })
      const { body, status, text } = yield* charge
      assert.strictEqual(status, 500)
      assert.include(body, { code: "internal" })
      assert.deepStrictEqual(changes, [])
      assert.isAbove(lines.length, 0)
      for (const shown of [text, ...lines]) assert.notInclude(shown, "an-old-token")
    }).pipe(Effect.provide(layer))
  })

  it.live("B5: takes a failure in three ways: open, closed, and best effort", () =>
    quietly(Effect.gen(function*() {
      const { all, charge, chat, file, snapshot } = yield* start("resilient")
      yield* all("refuse")
      const open = yield* chat
      assert.strictEqual(open.status, 200)
      assert.include(open.body, {
        answer: "A refund is open for 30 days after the charge.",
        source: "full-text",
        saved: false
      })
      assert.include((yield* file("README.md")).body, { text: "This is README.md.", source: "cache" })
      const closed = yield* charge
      assert.strictEqual(closed.status, 503)
      assert.include(closed.body, { code: "unavailable" })
      assert.strictEqual(closed.retryAfter, "1")
      // it has no answer to a file that nobody has asked for before
      const never = yield* file("terms.txt")
      assert.strictEqual(never.status, 503)
      assert.include(["unavailable", "circuit_open"], never.body.code)
      // the first one is on its way for a while
      yield* Effect.repeat(snapshot, { until: ({ body }) => body.queued === false })
      assert.strictEqual((yield* snapshot).status, 202)
    })))

  it.live("passes on that there is no such file, which is no failure", () =>
    quietly(Effect.gen(function*() {
      const { changes, file } = yield* start("resilient")
      const answers = yield* Effect.forEach(Array.from({ length: 8 }), () => file("none.txt"))
      for (const { body, status } of answers) {
        assert.strictEqual(status, 404)
        assert.include(body, { code: "not_found" })
      }
      assert.deepStrictEqual(changes, [])
    })))

  it.live("refuses a charge at once while the breaker is open, and says for how long", () =>
    quietly(Effect.gen(function*() {
      const { attempts, become, changes, charge } = yield* start("resilient", {
        environment: { BILLING_FAILURE_THRESHOLD: "3", BILLING_RECOVERY_TIMEOUT: "2 minutes" }
      })
      yield* become("billing", "refuse")
      yield* Effect.repeat(charge, {
        until: () => changes.some(({ service, state }) => service === "billing" && state === "Open")
      })
      const asked = attempts.length
      const { body, retryAfter, status } = yield* charge
      assert.strictEqual(status, 503)
      assert.include(body, { code: "circuit_open" })
      // what is left of 3 seconds, as whole ones
      assert.include(["2", "3"], retryAfter)
      assert.strictEqual(attempts.length, asked)
    })))

  const tripping: ReadonlyArray<Fault> = ["refuse", "hang", "slow", "busy", "reset", "malformed", "flap"]
  for (const fault of tripping) {
    it.live(`finds out that a service is down (${fault}), spares it, and finds out that it is well`, () =>
      quietly(Effect.gen(function*() {
        const { arrivals, become, changes, chat } = yield* start("resilient", {
          // on a busy machine a trial call would be slow if times were any shorter
          factor: 20,
          environment: { CHROMA_RECOVERY_TIMEOUT: "50 seconds" }
        })
        const states = () => changes.filter(({ service }) => service === "vectorStore").map(({ state }) => state)
        yield* become("vectorStore", fault)
        yield* Effect.repeat(Effect.all(Array.from({ length: 5 }, () => chat), { concurrency: "unbounded" }), {
          until: () => states().includes("Open")
        })
        const asked = arrivals.length
        assert.include((yield* chat).body, { source: "full-text" })
        assert.strictEqual(arrivals.slice(asked).filter((service) => service === "vectorStore").length, 0)
        yield* become("vectorStore", undefined)
        yield* Effect.repeat(chat, {
          until: ({ body }) => body.source === "vectors",
          schedule: Schedule.spaced("50 millis")
        }).pipe(Effect.timeout("20 seconds"))
        yield* eventually(() => states().at(-1) === "Closed")
        assert.include(states(), "HalfOpen")
      })))
  }

  it.live("backs off where a service says that it has too much to do, and opens nothing", () =>
    quietly(Effect.gen(function*() {
      const { attempts, become, changes, chat } = yield* start("resilient")
      yield* become("vectorStore", "throttle")
      for (let n = 0; n < 8; n++) assert.include((yield* chat).body, { source: "full-text" })
      yield* eventually(() => attempts.filter(({ service }) => service === "vectorStore").length >= 8)
      assert.strictEqual(attempts.filter(({ service }) => service === "vectorStore").length, 8)
      assert.deepStrictEqual(changes, [])
    })))
})
