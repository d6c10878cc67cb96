import { assert, describe, it } from "@effect/vitest"
import {
  Deferred,
  Duration,
  Effect,
  Fiber,
  Latch,
  Layer,
  Logger,
  Option,
  Redacted,
  References,
  Scheduler,
  Tracer
} from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as RequestId from "../../../src/http/RequestId.ts"
import * as CallerRateLimit from "../../../src/http/server/CallerRateLimit.ts"
import * as Drain from "../../../src/http/server/Drain.ts"
import * as LoadShedding from "../../../src/http/server/LoadShedding.ts"
import * as Server from "../../../src/http/server/Server.ts"
import * as ServerDeadline from "../../../src/http/server/ServerDeadline.ts"
import * as TokenCheck from "../../../src/http/server/TokenCheck.ts"
import { AdaptiveLimit, Deadline, RateLimit } from "../../../src/index.ts"
import { post, serve } from "./support.ts"

const text = (body: string) => Effect.succeed(HttpServerResponse.text(body))

const at = (headers: Record<string, string>) => ({ headers })

describe("ServerRequestId", () => {
  const routes = HttpRouter.add(
    "GET",
    "/id",
    Effect.gen(function*() {
      const id = yield* RequestId.Current
      const annotations = yield* References.CurrentLogAnnotations
      return HttpServerResponse.jsonUnsafe({ id, annotations })
    })
  )

  it.effect("A10: takes the caller's id, or makes one, and says it in the reference, the log and the response", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes.pipe(Layer.provide(Server.layer())))
      const given = yield* ask("/id", at({ "x-request-id": "r-1" }))
      assert.deepStrictEqual(given.body, { id: "r-1", annotations: { requestId: "r-1" } })
      assert.strictEqual(given.headers.get("x-request-id"), "r-1")
      const made = new Set<string>()
      for (const rubbish of ["", "a b", "x".repeat(129), "é", "\t"]) {
        const answer = yield* ask("/id", at({ "x-request-id": rubbish }))
        assert.strictEqual(answer.headers.get("x-request-id"), answer.body.id)
        assert.match(answer.body.id, /^[0-9a-f-]{36}$/)
        made.add(answer.body.id)
      }
      assert.strictEqual(made.size, 5)
    }))

  it.effect("A10: stands on the server's span and those inside, and on problems", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const ask = yield* serve(
        HttpRouter.add("GET", "/die", Effect.withSpan(Effect.die("boom"), "inner")).pipe(Layer.provide(Server.layer())),
        { logger: Layer.mergeAll(Logger.layer([]), Layer.succeed(Tracer.Tracer, tracer)) }
      )
      const answer = yield* ask("/die", at({ "x-request-id": "r-9" }))
      assert.deepInclude(answer.body, { code: "internal", requestId: "r-9" })
      assert.strictEqual(spans.length, 2)
      for (const span of spans) assert.strictEqual(span.attributes.get("requestId"), "r-9", span.name)
    }))
})

describe("ServerDeadline", () => {
  const never = (started: Deferred.Deferred<void>, onEnd: Effect.Effect<void>) =>
    HttpRouter.add(
      "GET",
      "/never",
      Deferred.succeed(started, undefined).pipe(Effect.andThen(Effect.never), Effect.onInterrupt(() => onEnd))
    )

  it.effect("the handler runs under what the caller has left, at most the server's own, and ends with it", () =>
    Effect.gen(function*() {
      for (const [header, limit] of [["1500", 1500], ["999999", 5000], ["soon", 5000], [undefined, 5000]] as const) {
        const started = yield* Deferred.make<void>()
        let interrupted = 0
        const ask = yield* serve(
          Layer.mergeAll(
            never(started, Effect.sync(() => void interrupted++)),
            HttpRouter.add(
              "GET",
              "/left",
              Effect.map(
                Deadline.remaining,
                (left) => HttpServerResponse.text(String(Duration.toMillis(Option.getOrThrow(left))))
              )
            )
          ).pipe(Layer.provide(Server.layer({ deadline: { max: "5 seconds" } })))
        )
        const headers = at(header === undefined ? {} : { "x-deadline-ms": header })
        assert.strictEqual((yield* ask("/left", headers)).text, String(limit))
        const fiber = yield* Effect.forkChild(ask("/never", headers))
        yield* Deferred.await(started)
        yield* TestClock.adjust(limit - 1)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        const answer = yield* Fiber.join(fiber)
        assert.strictEqual(answer.status, 504)
        assert.strictEqual(answer.body.code, "timeout")
        assert.strictEqual(answer.body.requestId, answer.headers.get("x-request-id"))
        assert.strictEqual(interrupted, 1)
      }
    }))

  it.effect("a deadline that has passed is answered at once, and the handler does not run", () =>
    Effect.gen(function*() {
      let runs = 0
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", Effect.sync(() => HttpServerResponse.text(String(++runs)))).pipe(
          Layer.provide(Server.layer())
        )
      )
      assert.strictEqual((yield* ask("/x", at({ "x-deadline-ms": "0" }))).status, 504)
      assert.strictEqual(runs, 0)
      assert.strictEqual((yield* ask("/x", at({ "x-deadline-ms": "-1" }))).status, 200)
      for (const max of [0, -1, NaN, Infinity, "soon"]) {
        assert.throws(() => ServerDeadline.layer({ max: max as number }), RangeError)
      }
      assert.throws(() => ServerDeadline.layer({ maximum: 1 } as object), RangeError)
    }))

  it.effect("what must not be cut short finishes before the answer is sent", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      let written = false
      const ask = yield* serve(
        HttpRouter.add(
          "GET",
          "/write",
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.sleep("3 seconds")),
            Effect.map(() => {
              written = true
              return HttpServerResponse.empty()
            })
          ),
          { uninterruptible: true }
        ).pipe(Layer.provide(Server.layer({ deadline: { max: "1 second" } })))
      )
      const fiber = yield* Effect.forkChild(ask("/write"))
      yield* Deferred.await(started)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(fiber)
      assert.isTrue(written)
    }))

  it.live("a caller that goes away interrupts the handler, also under a deadline and with load shedding", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const limit = yield* AdaptiveLimit.make("server")
      const ask = yield* serve(
        never(started, Effect.asVoid(Deferred.succeed(ended, undefined))).pipe(
          Layer.provide(Server.layer({ deadline: { max: "1 hour" }, loadShedding: { limit } }))
        )
      )
      const fiber = yield* Effect.forkChild(ask("/never"))
      yield* Deferred.await(started)
      assert.strictEqual((yield* limit.snapshot).inFlight, 1)
      yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Deferred.await(ended).pipe(Effect.timeout("5 seconds"))
      yield* Effect.yieldNow
      assert.strictEqual((yield* limit.snapshot).inFlight, 0)
    }))
})

describe("LoadShedding", () => {
  it.effect("refuses what there is no room for with 503 and Retry-After, lower priorities first, health checks never", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { initial: 10, max: 10 })
      const gate = Latch.makeUnsafe(false)
      let inside = 0
      const slow = Effect.suspend(() => {
        inside++
        return Effect.as(gate.await, HttpServerResponse.text("ok"))
      })
      const ask = yield* serve(
        Layer.mergeAll(HttpRouter.add("GET", "/slow", slow), HttpRouter.add("GET", "/health", text("fine"))).pipe(
          Layer.provide(
            Server.layer({
              loadShedding: {
                limit,
                retryAfter: "1500 millis",
                priority: ({ headers }) => headers["x-priority"] as AdaptiveLimit.Priority
              }
            })
          )
        )
      )
      const asked = (priority: string, count: number) =>
        Effect.forkChild(
          Effect.all(Array.from({ length: count }, () => ask("/slow", at({ "x-priority": priority }))), {
            concurrency: "unbounded"
          })
        )
      const first = yield* asked("background", 5)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      assert.strictEqual(inside, 5)
      const shed = yield* ask("/slow", at({ "x-priority": "background" }))
      assert.strictEqual(shed.status, 503)
      assert.strictEqual(shed.headers.get("retry-after"), "2")
      assert.deepInclude(shed.body, {
        code: "unavailable",
        retryAfter: 1.5,
        requestId: shed.headers.get("x-request-id")
      })
      // an answer that is no priority is a critical one
      const second = yield* asked("nonsense", 5)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      assert.strictEqual(inside, 10)
      assert.strictEqual((yield* ask("/slow", at({ "x-priority": "critical" }))).status, 503)
      assert.strictEqual((yield* ask("/health")).text, "fine")
      gate.openUnsafe()
      for (const answer of [...(yield* Fiber.join(first)), ...(yield* Fiber.join(second))]) {
        assert.strictEqual(answer.status, 200)
      }
      const { calls, inFlight } = yield* limit.snapshot
      assert.strictEqual(inFlight, 0)
      assert.deepStrictEqual(calls.refused, { critical: 1, sheddable: 0, background: 1 })
    }))

  it.effect("answers that say that the server fails are drops, and the caller's mistakes are not", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server")
      const ask = yield* serve(
        HttpRouter.add("GET", "/die", Effect.die("boom")).pipe(Layer.provide(Server.layer({ loadShedding: { limit } })))
      )
      yield* ask("/die")
      yield* ask("/nope")
      const { calls } = yield* limit.snapshot
      assert.strictEqual(calls.failure, 1)
      assert.strictEqual(calls.success, 1)
      assert.throws(() => LoadShedding.layer({ retryAfter: -1 }), RangeError)
      assert.throws(() => LoadShedding.layer({ priority: "critical" as never }), RangeError)
      assert.throws(() => LoadShedding.layer({ limits: {} } as object), RangeError)
      assert.throws(() => LoadShedding.layer({ limit: { min: 0 } }), RangeError)
    }))
})

describe("CallerRateLimit", () => {
  it.effect("says what is left, and refuses each caller alone with 429 and Retry-After", () =>
    Effect.gen(function*() {
      const limit = yield* RateLimit.make("server", {
        limits: {
          burst: { kind: "token-bucket", permits: 2, per: "10 seconds" },
          daily: { kind: "fixed-window", permits: 100, per: "1 day" }
        },
        maxKeys: 10
      })
      const ask = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("GET", "/x", text("ok")),
          HttpRouter.add("GET", "/die", Effect.die("boom")),
          HttpRouter.add("GET", "/health", text("fine"))
        ).pipe(
          Layer.provide(Server.layer({ callerRateLimit: { limit, key: CallerRateLimit.byHeader("X-Caller") } }))
        )
      )
      const a = at({ "x-caller": "a" })
      const first = yield* ask("/x", a)
      assert.strictEqual(first.headers.get("ratelimit-policy"), "\"burst\";q=2;w=10, \"daily\";q=100;w=86400")
      assert.strictEqual(first.headers.get("ratelimit"), "\"burst\";r=1;t=5, \"daily\";r=99")
      // a failure spends, and says so
      assert.strictEqual((yield* ask("/die", a)).headers.get("ratelimit"), "\"burst\";r=0;t=10, \"daily\";r=98")
      const refused = yield* ask("/x", a)
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.headers.get("retry-after"), "5")
      assert.strictEqual(refused.headers.get("ratelimit"), "\"burst\";r=0;t=5, \"daily\";r=98")
      assert.deepInclude(refused.body, { code: "rate_limited", retryAfter: 5 })
      assert.notInclude(refused.text, "\"a\"")
      assert.strictEqual((yield* ask("/x", at({ "x-caller": "b" }))).status, 200)
      assert.strictEqual((yield* ask("/x")).status, 200)
      const health = yield* ask("/health", a)
      assert.strictEqual(health.status, 200)
      assert.isNull(health.headers.get("ratelimit"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* ask("/x", a)).status, 200)
      // idle callers are forgotten, and endless names cost no memory
      for (let n = 0; n < 30; n++) yield* ask("/x", at({ "x-caller": `${n}${"y".repeat(1000)}` }))
      assert.isAtMost((yield* limit.snapshot).keys, 10)
    }))

  it.effect("a key function that throws has said nobody", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add("GET", "/x", text("ok")).pipe(
          Layer.provide(
            CallerRateLimit.layer({
              limit: { kind: "sliding-window", permits: 1, per: "500 millis" },
              key: () => {
                throw new Error("no")
              }
            })
          )
        )
      )
      const answer = yield* ask("/x")
      assert.strictEqual(answer.headers.get("ratelimit-policy"), "\"permits\";q=2;w=1")
      assert.strictEqual((yield* ask("/x")).status, 429)
    }))

  it("refuses options that make no sense", () => {
    const bad: ReadonlyArray<unknown> = [
      {},
      undefined,
      { limit: undefined },
      { limit: { kind: "sliding-window", permits: 0, per: 1 } },
      { limit: { limits: { "a\"b": { kind: "sliding-window", permits: 1, per: 1 } } } },
      { limit: { limits: { "a\r\nb": { kind: "sliding-window", permits: 1, per: 1 } } } },
      { limit: { kind: "sliding-window", permits: 1, per: 1 }, key: "a" },
      { limit: { kind: "sliding-window", permits: 1, per: 1 }, keys: "a" }
    ]
    for (const options of bad) {
      assert.throws(() => CallerRateLimit.layer(options as CallerRateLimit.Options), RangeError)
    }
  })
})

describe("TokenCheck", () => {
  const tokens = { billing: Redacted.make("hunter2-old"), "billing next": Redacted.make("hunter2-new-and-longer") }
  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/who", Effect.map(TokenCheck.Caller, (caller) => HttpServerResponse.text(String(caller)))),
    HttpRouter.add("GET", "/health", text("fine"))
  )

  it.effect("lets in who shows one of the tokens, and says who it is", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes.pipe(Layer.provide(Server.layer({ tokens: { tokens, header: "Authorization" } })))
      )
      assert.strictEqual((yield* ask("/who", at({ authorization: "Bearer hunter2-old" }))).text, "billing")
      assert.strictEqual(
        (yield* ask("/who", at({ authorization: "bearer  hunter2-new-and-longer" }))).text,
        "billing next"
      )
      const wrong = [
        undefined,
        "",
        "Bearer",
        "Bearer ",
        "hunter2-old",
        "Basic hunter2-old",
        "Bearer hunter2-ol",
        "Bearer hunter2-oldhunter2-old",
        "Bearer hunter2-old hunter2-old",
        `Bearer ${"hunter2-old".repeat(1000)}`,
        "Bearer é"
      ]
      for (const authorization of wrong) {
        const answer = yield* ask("/who", authorization === undefined ? {} : at({ authorization }))
        assert.strictEqual(answer.status, 401, authorization)
        assert.strictEqual(answer.body.code, "unauthenticated")
        assert.strictEqual(answer.headers.get("www-authenticate"), "Bearer")
        assert.isString(answer.body.requestId)
        assert.notInclude(answer.text, "hunter2")
      }
      assert.strictEqual((yield* ask("/health")).text, "fine")
      assert.strictEqual((yield* ask("/health/../who")).status, 401)
    }))

  it.effect("reads the header that service clients send, and the name of the caller as key of its rate limit", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes.pipe(
          Layer.provide(
            Server.layer({
              tokens: { tokens },
              callerRateLimit: {
                limit: { kind: "fixed-window", permits: 1, per: "1 minute" },
                key: CallerRateLimit.byCaller
              }
            })
          )
        )
      )
      const old = at({ "x-internal-token": "hunter2-old" })
      assert.strictEqual((yield* ask("/who", old)).text, "billing")
      assert.strictEqual((yield* ask("/who", old)).status, 429)
      assert.strictEqual(
        (yield* ask("/who", at({ "x-internal-token": "hunter2-new-and-longer" }))).text,
        "billing next"
      )
      const refused = yield* ask("/who", at({ "x-internal-token": "nope" }))
      assert.strictEqual(refused.status, 401)
      assert.isNull(refused.headers.get("www-authenticate"))
    }))

  it("refuses options that make no sense, without showing a token", () => {
    const bad: ReadonlyArray<unknown> = [
      {},
      { tokens: {} },
      { tokens: { a: "hunter2" } },
      { tokens: { a: Redacted.make("") } },
      { tokens: { a: Redacted.make("hunter2 with spaces") } },
      { tokens: { a: Redacted.make("hunter2\r\n") } },
      { tokens: [] },
      { tokens, header: "a b" },
      { tokens, heder: "x" },
      { tokens, except: true },
      "hunter2",
      undefined
    ]
    for (const options of bad) {
      try {
        TokenCheck.layer(options as TokenCheck.Options)
        assert.fail("it was taken")
      } catch (error) {
        assert.instanceOf(error, RangeError)
        assert.notInclude(String(error), "hunter2")
      }
    }
  })
})

describe("Drain", () => {
  it.effect("turns readiness off, refuses what still comes, and waits for what is in flight", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const context = yield* Layer.build(Drain.Drain.layer)
      const { drain, inFlight, isReady } = yield* Drain.Drain.pipe(Effect.provide(context))
      const given = Layer.succeedContext(context)
      const ask = yield* serve(
        Layer.mergeAll(
          HttpRouter.add(
            "GET",
            "/slow",
            Deferred.succeed(started, undefined).pipe(
              Effect.andThen(Effect.sleep("10 seconds")),
              Effect.as(HttpServerResponse.text("done"))
            )
          ),
          Drain.layerReadiness()
        ).pipe(
          Layer.provide(Drain.layer({ retryAfter: "3 seconds", except: ({ url }) => url === "/health/ready" })),
          Layer.provide(given)
        )
      )
      assert.strictEqual((yield* ask("/health/ready")).text, "{\"ready\":true}")
      const slow = yield* Effect.forkChild(ask("/slow"))
      yield* Deferred.await(started)
      assert.strictEqual(yield* inFlight, 1)
      const draining = yield* Effect.forkChild(drain({ wait: "5 seconds" }))
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* isReady)
      assert.strictEqual((yield* ask("/health/ready")).status, 503)
      const refused = yield* ask("/slow")
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.headers.get("retry-after"), "3")
      assert.strictEqual(refused.headers.get("connection"), "close")
      assert.strictEqual(refused.body.code, "unavailable")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(draining), 1)
      const again = yield* Effect.forkChild(drain())
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).text, "done")
      assert.strictEqual(yield* Fiber.join(again), 0)
      assert.strictEqual(yield* drain({ wait: 0 }), 0)
      assert.throws(() => drain({ wait: -1 }), RangeError)
      assert.throws(() => drain({ waits: 1 } as object), RangeError)
      assert.throws(() => Drain.layer({ retryAfter: 0 }), RangeError)
    }))
})

describe("Server", () => {
  it.effect("refuses unknown options, and those of its parts", () =>
    Effect.sync(() => {
      const bad: ReadonlyArray<unknown> = [
        { deadlines: {} },
        { health: "/health" },
        { health: ["health"] },
        { errors: { details: "yes" } },
        { body: { maxBytes: "1 MB" } },
        { loadShedding: { priority: 1 } },
        { tokens: {} },
        { tokens: "hunter2" },
        { tokens: { tokens: { a: Redacted.make("a") }, except: true } },
        { loadShedding: true },
        { callerRateLimit: null },
        { drain: { except: "/health" } },
        null
      ]
      for (const options of bad) assert.throws(() => Server.layer(options as Server.Options), RangeError)
    }))

  it.effect("requests with a body pass, and keep the headers that handlers set", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.add(
          "POST",
          "/echo",
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            Effect.map(request.json, (body) =>
              HttpServerResponse.jsonUnsafe(body, { headers: { "x-own": "1" } })))
        ).pipe(Layer.provide(Server.layer({ loadShedding: {}, deadline: { max: "1 minute" } })))
      )
      const answer = yield* ask("/echo", post({ a: ["ü", { b: "]]]" }] }))
      assert.deepStrictEqual(answer.body, { a: ["ü", { b: "]]]" }] })
      assert.strictEqual(answer.headers.get("x-own"), "1")
    }))
})

describe("interruption", () => {
  it.live("at any instant leaves no request in flight and no permit taken", () =>
    Effect.gen(function*() {
      const limit = yield* AdaptiveLimit.make("server", { queue: 3 })
      const context = yield* Layer.build(Drain.Drain.layer)
      const draining = yield* Drain.make().pipe(Effect.provide(context))
      const shedding = yield* LoadShedding.make({ limit })
      const limited = yield* CallerRateLimit.make({ limit: { kind: "token-bucket", permits: 1e9, per: "1 second" } })
      const timed = ServerDeadline.middleware({ max: "1 minute" })
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/x"))
      const work = Effect.as(Effect.repeat(Effect.yieldNow, { times: 5 }), HttpServerResponse.empty())
      for (let round = 0; round < 6000; round++) {
        const asked = draining(limited(timed(shedding(work)))).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, request),
          Effect.scoped,
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 2 + round % 7)
        )
        const fiber = yield* Effect.forkChild(asked)
        for (let n = 0; n < round % 40; n++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(yield* Effect.flatMap(Drain.Drain, (_) => _.inFlight).pipe(Effect.provide(context)), 0)
      const { calls, inFlight, waiting } = yield* limit.snapshot
      assert.deepStrictEqual([inFlight, waiting], [0, 0])
      assert.isAbove(calls.success, 0)
      assert.isAbove(calls.ignored, 0)
    }))
})
