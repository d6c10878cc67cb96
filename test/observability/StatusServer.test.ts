import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Redacted, References, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Resilience } from "../../src/index.ts"
import { Recoveries, Status, StatusServer } from "../../src/observability/index.ts"
import * as board from "../../src/observability/internal/statusBoard.ts"
import * as statusReader from "../../src/observability/internal/statusReader.ts"
import { post, serve } from "../http/server/support.ts"
import { assertRefused, now, present, start, waits } from "../support.ts"
import { fail, heard, hostileNames, pipelines, quick, secret, served } from "./statusSupport.ts"

/** A status server in memory over a `Resilience` that the test has too. */
const setUp = Effect.fnUntraced(function*(
  options?: StatusServer.Options,
  logger: Layer.Layer<never> = Logger.layer([])
) {
  const resilience = yield* Resilience.Resilience
  const ask = yield* serve(served(options).pipe(Layer.provide(Layer.succeed(Resilience.Resilience, resilience))), {
    logger
  })
  // the layers are built by the first request
  yield* ask("/v1/api/status")
  return ask
})

const decodeStatus = Schema.decodeUnknownSync(Schema.toCodecJson(Status.Status))
const decodeFrame = Schema.decodeUnknownSync(Schema.toCodecJson(Status.Frame))

const frameOf = (bytes: Uint8Array): Status.Frame => {
  const text = new TextDecoder().decode(bytes)
  assert.match(text, /^data: \{.*\}\n\n$/)
  return decodeFrame(JSON.parse(text.slice("data: ".length)))
}

const operator = { authorization: `Bearer ${secret}` }
const control = (body: unknown, headers: Record<string, string> = operator) =>
  [
    "/v1/api/status/control",
    post(body, headers)
  ] as const

describe("StatusServer", () => {
  it.effect("tells every service with state, counts, last error, open since, next probe and mean time to recovery (A6, B9, C2, D4)", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick, git: quick })
      const ask = yield* setUp()
      yield* TestClock.setTime(1_000_000)
      yield* fail(of("billing"), 2)
      yield* Effect.ignore(of("billing").protect(Effect.void))
      yield* of("git").protect(Effect.void)
      yield* heard
      const down = decodeStatus((yield* ask("/v1/api/status")).body)
      const billing = present(down.services.find(({ name }) => name === "billing"))
      assert.deepInclude(billing, {
        state: "Open",
        mode: null,
        openSince: 1_000_000,
        nextProbe: 1_010_000,
        lastError: { kind: "Boom", at: 1_000_000 },
        load: { inFlight: 0, limit: 3, waiting: 0 },
        recovery: { openings: 1, recoveries: 0, meanTimeToRecovery: null },
        timeline: [{ at: 1_000_000, state: "Open" }]
      })
      assert.deepInclude(billing.counts, { calls: 3, failure: 2, refused: 1, refusedCalls: 1, attempts: 2 })
      assert.deepInclude(present(billing.breakers[0]), {
        calls: { success: 0, failure: 2, overload: 0, ignored: 0, refused: 1 },
        transitions: { opened: 1, halfOpened: 0, closed: 0, forced: 0 }
      })
      assert.strictEqual(present(down.services.find(({ name }) => name === "git")).state, "Closed")

      yield* TestClock.adjust("12 seconds")
      yield* of("billing").protect(Effect.void)
      yield* heard
      const up = decodeStatus((yield* ask("/v1/api/status")).body)
      assert.deepInclude(present(up.services.find(({ name }) => name === "billing")), {
        state: "Closed",
        openSince: null,
        nextProbe: null,
        recovery: { openings: 1, recoveries: 1, meanTimeToRecovery: 12_000 }
      })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("answers the services by name, in the shape that monitoring knows (B7)", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ chroma: quick, git: quick, plain: { retry: { times: 1 } } })
      const ask = yield* setUp()
      yield* fail(of("chroma"), 1)
      yield* fail(of("git"), 2)
      yield* heard
      const { body, headers } = yield* ask("/v1/api/status/services")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.deepStrictEqual(Object.keys(body), ["chroma", "git", "plain"])
      assert.deepInclude(body.chroma, { service: "chroma", state: "CLOSED", failures: 1, lastError: "Boom" })
      assert.deepInclude(body.git, { state: "OPEN", forced: false, openSince: 0, nextProbe: 10_000 })
      assert.strictEqual(body.plain.state, "NONE")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("says of one that is forced what its calls meet, and counts no slow calls as failures (B7)", () =>
    Effect.gen(function*() {
      const window = { calls: 20 } as const
      const slow = { trip: { kind: "slow", threshold: 0.5, slowerThan: "1 second", minimumCalls: 10, window } } as const
      const of = yield* pipelines({ slow: { circuitBreaker: slow }, git: quick })
      const ask = yield* setUp()
      const call = yield* start(of("slow").protect(Effect.sleep("2 seconds")))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(call)
      const { body } = yield* ask("/v1/api/status/services")
      assert.deepStrictEqual([body.slow.state, body.slow.failures], ["CLOSED", 0])
      for (
        const [action, state] of [["forceOpen", "OPEN"], ["forceClosed", "CLOSED"], ["disable", "CLOSED"], [
          "metricsOnly",
          "CLOSED"
        ]]
      ) {
        yield* ask(...control({ action, breaker: "git" }))
        const { git } = (yield* ask("/v1/api/status/services")).body
        assert.deepStrictEqual([git.service, git.state, git.forced], ["git", state, true])
      }
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("counts operations and keys with a breaker of their own to their service, by the worst of them", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({
        store: { ...quick, operations: { write: { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } } } },
        tenants: { keyedCircuitBreaker: { trip: { kind: "consecutive", failures: 1 } } },
        hosts: { keyedCircuitBreaker: {} }
      })
      const ask = yield* setUp()
      yield* Effect.ignore(of("store").protect(Effect.fail("down"), { operation: "write" }))
      yield* Effect.ignore(of("tenants").protect(Effect.fail("down"), { key: "a" }))
      yield* of("tenants").protect(Effect.void, { key: "b" })
      yield* heard
      const { services } = decodeStatus((yield* ask("/v1/api/status")).body)
      assert.deepStrictEqual(services.map(({ name, state }) => [name, state]), [
        ["store", "Open"],
        ["tenants", "Open"],
        ["hosts", "Closed"]
      ])
      assert.deepStrictEqual(
        services.map(({ breakers }) => breakers.map(({ key, name, state }) => [name, key, state])),
        [[["store/write", null, "Open"], ["store", null, "Closed"]], [["tenants", "a", "Open"]], []]
      )
      assert.deepStrictEqual(services[0]?.timeline, [{ at: 0, state: "Open" }])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("tells how long calls took in the last minute, and forgets what is older", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ slow: quick })
      const ask = yield* setUp()
      for (let n = 1; n <= 100; n++) {
        const fiber = yield* start(of("slow").protect(Effect.sleep(n)))
        yield* TestClock.adjust(n)
        yield* Fiber.join(fiber)
      }
      yield* heard
      const latencies = Effect.map(ask("/v1/api/status"), ({ body }) => decodeStatus(body).services[0]?.latency)
      const { calls, p50, p95, p99 } = present((yield* latencies) ?? undefined)
      assert.strictEqual(calls, 100)
      assert.closeTo(p50, 50, 50 * 0.03)
      assert.closeTo(p95, 95, 95 * 0.03)
      assert.closeTo(p99, 99, 99 * 0.03)
      yield* TestClock.adjust("61 seconds")
      assert.isNull(yield* latencies)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("keeps whatever name a service has", () =>
    Effect.gen(function*() {
      // an object literal would take "__proto__" for something else
      yield* pipelines(Object.fromEntries(hostileNames.map((name) => [name, quick])))
      const ask = yield* setUp()
      const { services } = decodeStatus((yield* ask("/v1/api/status")).body)
      assert.deepStrictEqual(services.map(({ name }) => name), hostileNames)
      const { text } = yield* ask("/v1/api/status/services")
      assert.deepStrictEqual(Object.keys(JSON.parse(text)).toSorted(), hostileNames.toSorted())
    }).pipe(Effect.provide(Resilience.layer)))
})

describe("StatusServer: changes", () => {
  const reading = Effect.gen(function*() {
    return yield* statusReader.make(yield* Resilience.Resilience, yield* Recoveries.Recoveries)
  })
  const withRecoveries = Effect.provide(Recoveries.layer.pipe(Layer.provideMerge(Resilience.layer)))

  const follow = Effect.fnUntraced(function*(changes: Stream.Stream<Uint8Array>) {
    const frames: Array<Status.Frame> = []
    const times: Array<number> = []
    const fiber = yield* start(Stream.runForEach(changes, (bytes) =>
      Effect.map(now, (at) => {
        frames.push(frameOf(bytes))
        times.push(at)
      })))
    return { frames, times, fiber }
  })

  it.effect("begins with all services, and then tells only what has changed, at most four times a second (B8)", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick, git: quick })
      const { stream: changes } = yield* board.changes(yield* reading, 1_000)
      yield* TestClock.adjust("100 millis")
      const { frames, times } = yield* follow(changes)
      yield* TestClock.adjust("100 millis")
      assert.lengthOf(frames, 1)
      assert.isTrue(frames[0]?.full)
      assert.deepStrictEqual(frames[0]?.services.map(({ name, state }) => [name, state]), [
        ["billing", "Closed"],
        ["git", "Closed"]
      ])
      // a hundred changes in a second
      for (let n = 0; n < 100; n++) {
        yield* of("git").protect(Effect.void)
        yield* TestClock.adjust("10 millis")
      }
      assert.isAtLeast(frames.length, 4)
      for (const wait of waits(times)) assert.isAtLeast(wait, 245)
      const told = frames.slice(1)
      for (const { full, services } of told) {
        assert.isFalse(full)
        assert.deepStrictEqual(services.map(({ name }) => name), ["git"])
      }
      assert.deepStrictEqual(Object.keys(present(told.at(-1)?.services[0])).toSorted(), ["counts", "latency", "name"])
      yield* fail(of("billing"), 2)
      yield* TestClock.adjust("250 millis")
      const opened = present(frames.at(-1)?.services.find(({ name }) => name === "billing"))
      assert.strictEqual(opened.state, "Open")
    }).pipe(withRecoveries))

  it.effect("says every five seconds that it is there when nothing changes, and reads nothing while nobody follows", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const reader = yield* reading
      let readings = 0
      const counting = { ...reader, states: Effect.tap(reader.states, () => Effect.sync(() => readings++)) }
      const { stream: changes } = yield* board.changes(counting, 1_000)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(readings, 0)
      const { fiber, frames } = yield* follow(changes)
      yield* TestClock.adjust("11 seconds")
      assert.deepStrictEqual(frames.map(({ full, services }) => [full, services.length]), [[true, 1], [false, 0], [
        false,
        0
      ]])
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 second")
      const before = readings
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(readings, before)
    }).pipe(withRecoveries))

  it.effect("gives a slow client the latest state instead of all that it has missed", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick, git: quick })
      const { stream: changes } = yield* board.changes(yield* reading, 1_000)
      const seen: Array<Status.Frame> = []
      yield* start(Stream.runForEach(changes, (bytes) =>
        Effect.andThen(
          Effect.sync(() => seen.push(frameOf(bytes))),
          Effect.sleep("10 seconds")
        )))
      for (let n = 0; n < 40; n++) {
        yield* of("git").protect(Effect.void)
        if (n === 3) {
          yield* fail(of("billing"), 2)
        }
        yield* TestClock.adjust("300 millis")
      }
      assert.lengthOf(seen, 2)
      const [, late] = seen
      assert.strictEqual(late?.services.find(({ name }) => name === "git")?.counts?.calls, 34)
      assert.strictEqual(late?.services.find(({ name }) => name === "billing")?.state, "Open")
    }).pipe(withRecoveries))

  it.effect("shares one frame between all clients that have the same, and keeps nothing for those that do not read", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick })
      const { stream: changes } = yield* board.changes(yield* reading, 1_000)
      const held: Array<Set<Uint8Array>> = []
      const clients = yield* Effect.forEach(
        Array.from({ length: 1_000 }),
        () =>
          start(Stream.runForEach(changes, (bytes) =>
            Effect.suspend(() => {
              const own = new Set([bytes])
              held.push(own)
              // this one never reads on
              return Effect.never
            })))
      )
      for (let n = 0; n < 20; n++) {
        yield* of("billing").protect(Effect.void)
        yield* TestClock.adjust("250 millis")
      }
      assert.lengthOf(held, 1_000)
      assert.strictEqual(new Set(held.flatMap((own) => [...own])).size, 1)
      yield* Fiber.interruptAll(clients)
    }).pipe(withRecoveries))
})

describe("StatusServer: control by hand", () => {
  const collected = () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ fiber, message }) => {
      lines.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
    })
    return { lines, logger: Logger.layer([logger]) }
  }
  const stateNow = (ask: Effect.Success<ReturnType<typeof setUp>>) =>
    Effect.map(ask("/v1/api/status"), ({ body }) => {
      const { mode, state } = present(decodeStatus(body).services[0])
      return [state, mode]
    })

  it.effect("is refused without a token, with a wrong one, and where the server has none", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick })
      const ask = yield* setUp()
      const action = { action: "forceOpen", breaker: "billing" }
      for (
        const headers of [{}, { authorization: "Bearer wrong" }, { authorization: secret }, {
          authorization: `Bearer ${secret}x`
        }]
      ) {
        const { body, status } = yield* ask(...control(action, headers as Record<string, string>))
        assert.deepStrictEqual([status, body.code], [401, "unauthenticated"])
      }
      const off = yield* setUp({})
      const refused = yield* off(...control(action))
      assert.deepStrictEqual([refused.status, refused.body.code], [403, "forbidden"])
      yield* of("billing").protect(Effect.void)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("forces, releases, resets, and logs each use with who it was", () =>
    Effect.gen(function*() {
      const { lines, logger } = collected()
      const of = yield* pipelines({ billing: quick })
      const ask = yield* setUp(undefined, logger)
      for (
        const [action, mode] of [["forceOpen", "forcedOpen"], ["forceClosed", "forcedClosed"], [
          "disable",
          "disabled"
        ], ["metricsOnly", "metricsOnly"]]
      ) {
        const { body, status } = yield* ask(...control({ action, breaker: "billing" }))
        assert.strictEqual(status, 200)
        assert.deepStrictEqual([body.state, body.mode], ["Forced", mode])
        assert.strictEqual(
          (yield* ask("/v1/api/status/services")).body.billing.state,
          mode === "forcedOpen" ? "OPEN" : "CLOSED"
        )
        yield* ask(...control({ action: "release", breaker: "billing" }))
        assert.deepStrictEqual(yield* stateNow(ask), ["Closed", null])
      }
      yield* fail(of("billing"), 2)
      assert.deepStrictEqual(yield* stateNow(ask), ["Open", null])
      const { body } = yield* ask(...control({ action: "reset", breaker: "billing" }))
      assert.strictEqual(body.state, "Closed")
      assert.lengthOf(lines.filter((line) => line.includes("controlled by hand")), 9)
      assert.include(lines.at(-1), "\"action\":\"reset\",\"target\":\"billing\",\"by\":\"olga\"")
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("takes the last mode that was asked for, and no other", () =>
    Effect.gen(function*() {
      yield* pipelines({ billing: quick })
      const ask = yield* setUp()
      for (const action of ["forceOpen", "forceClosed", "forceClosed"]) {
        yield* ask(...control({ action, breaker: "billing" }))
      }
      assert.deepStrictEqual(yield* stateNow(ask), ["Forced", "forcedClosed"])
      yield* ask(...control({ action: "release", breaker: "billing" }))
      assert.deepStrictEqual(yield* stateNow(ask), ["Closed", null])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("reaches one key of a breaker that has many", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ tenants: { keyedCircuitBreaker: {} } })
      const ask = yield* setUp()
      const { status } = yield* ask(...control({ action: "forceOpen", breaker: "tenants", key: "a" }))
      assert.strictEqual(status, 200)
      const refused = yield* Effect.flip(of("tenants").protect(Effect.void, { key: "a" }))
      assert.strictEqual(refused._tag, "CircuitOpen")
      yield* of("tenants").protect(Effect.void, { key: "b" })
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("reconfigures a pipeline by data, and says what is wrong with it", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: { ...quick, retry: { times: 1 } } })
      const ask = yield* setUp()
      const change = (options: unknown, pipeline = "billing") =>
        ask(...control({ action: "reconfigure", pipeline, options }))
      assert.strictEqual((yield* change({ retry: { times: 5 } })).status, 200)
      assert.strictEqual(of("billing").settings.retry?.times, 5)
      const misspelt = yield* change({ retry: { tims: 5 } })
      assert.strictEqual(misspelt.status, 422)
      assert.strictEqual(misspelt.body.errors[0].field, "billing.retry.tims")
      // a part that the pipeline was not made with
      assert.strictEqual((yield* change({ throttle: {} })).status, 422)
      assert.strictEqual((yield* change({}, "nobody")).status, 404)
      assert.strictEqual((yield* ask(...control({ action: "reset", breaker: "nobody" }))).status, 404)
      assert.strictEqual((yield* ask(...control({ action: "explode", breaker: "billing" }))).status, 422)
      assert.strictEqual(of("billing").settings.retry?.times, 5)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("lets go of everything when the server ends", () =>
    Effect.gen(function*() {
      const of = yield* pipelines({ billing: quick })
      yield* Effect.scoped(Effect.gen(function*() {
        const ask = yield* setUp()
        yield* ask(...control({ action: "forceOpen", breaker: "billing" }))
        assert.strictEqual((yield* Effect.flip(of("billing").protect(Effect.void)))._tag, "CircuitOpen")
      }))
      yield* of("billing").protect(Effect.void)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("shows no token in any answer, log line or refusal of options (B4)", () =>
    Effect.gen(function*() {
      const { lines, logger } = collected()
      yield* pipelines({ billing: quick })
      const ask = yield* setUp(undefined, logger)
      const seen = [
        yield* ask(...control({ action: "forceOpen", breaker: "billing" })),
        yield* ask(...control({ action: "reset", breaker: "nobody" })),
        yield* ask(...control({ action: "reset", breaker: "billing" }, { authorization: `Bearer x${secret}` })),
        yield* ask("/v1/api/status"),
        yield* ask("/v1/api/status/services")
      ]
      const all = JSON.stringify([seen.map(({ headers, text }) => [text, [...headers]]), lines])
      assert.isAbove(lines.length, 2)
      assert.notInclude(all, secret)
      assertRefused([
        [() => StatusServer.layer({ tokens: {} } as never), "unknown option \"tokens\""],
        [
          () => StatusServer.layer({ controlTokens: { a: Redacted.make("") } }),
          "StatusServer: controlTokens: the token of \"a\" must be"
        ],
        [() => StatusServer.layer({ controlTokens: {} }), "at least one token"]
      ])
    }).pipe(Effect.provide(Resilience.layer)))
})
