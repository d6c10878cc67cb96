import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Layer, Logger, References, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Problem from "../../../src/http/Problem.ts"
import * as Idempotency from "../../../src/http/server/Idempotency.ts"
import { keyOf } from "../../../src/http/server/internal/idempotencyRequest.ts"
import { Answers } from "../../../src/http/server/internal/idempotencyStore.ts"
import * as Server from "../../../src/http/server/Server.ts"
import { eventually } from "../server.ts"
import { post, serve } from "./support.ts"

type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest
>

/** A server with one route, which counts the requests that get to it, and whose answer can be changed. */
const serving = (options: Idempotency.Options = {}, memory: Idempotency.MemoryOptions = {}) =>
  Effect.gen(function*() {
    const state = { calls: 0, answer: HttpServerResponse.text("done") as HttpServerResponse.HttpServerResponse }
    let handle: Handler = Effect.sync(() => state.answer)
    const route = Effect.suspend(() => {
      state.calls++
      return handle
    })
    const store = yield* Layer.build(Idempotency.layerMemory(memory))
    const web = HttpRouter.toWebHandler(
      Layer.mergeAll(
        HttpRouter.add("POST", "/orders", route),
        HttpRouter.add("PUT", "/orders", route),
        HttpRouter.add("POST", "/others", route)
      ).pipe(Layer.provide(Idempotency.layer(options)), Layer.provide(Layer.succeedContext(store))),
      { disableLogger: true }
    )
    yield* Effect.addFinalizer(() => Effect.promise(() => web.dispose()))
    const send = (
      headers: Record<string, string>,
      request: {
        readonly body?: string
        readonly host?: string
        readonly path?: string
        readonly method?: string
        readonly signal?: AbortSignal
      } = {}
    ) =>
      Effect.promise(async () => {
        const { body = "{\"item\":1}", host = "http://shop", method = "POST", path = "/orders", signal } = request
        const response = await web.handler(
          new Request(`${host}${path}`, {
            method,
            body,
            headers: { "content-type": "application/json", ...headers },
            ...(signal && { signal })
          })
        )
        return { status: response.status, headers: response.headers, body: await response.text() }
      })
    return {
      state,
      send,
      handle: (next: Handler) => {
        handle = next
      },
      snapshot: Effect.gen(function*() {
        const { snapshot } = yield* Idempotency.Store
        return yield* snapshot
      }).pipe(Effect.provide(store))
    }
  })

const key = { "idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324" }

describe("Idempotency", () => {
  it.effect("gives the same request the same answer, and says that it was kept", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving()
      state.answer = HttpServerResponse.jsonUnsafe({ id: 7 }, { status: 201, headers: { location: "/orders/7" } })
      const first = yield* send(key)
      state.answer = HttpServerResponse.text("another")
      const again = yield* send(key)
      assert.strictEqual(state.calls, 1)
      assert.deepStrictEqual([again.status, again.body], [201, first.body])
      for (const name of ["content-type", "location"]) {
        assert.strictEqual(again.headers.get(name), first.headers.get(name))
      }
      assert.isNull(first.headers.get("idempotency-replayed"))
      assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
    }))

  it.effect("answers an empty body, and a refusal below 500, in the same way", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving()
      for (const status of [204, 404, 422]) {
        state.answer = HttpServerResponse.empty({ status })
        const named = { "idempotency-key": `"status-${status}"` }
        yield* send(named)
        const again = yield* send(named)
        assert.deepStrictEqual([again.status, again.body], [status, ""])
        assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
      }
      assert.strictEqual(state.calls, 3)
    }))

  it.effect("the handler reads the body that the middleware has read", () =>
    Effect.gen(function*() {
      const { handle, send } = yield* serving()
      handle(Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        return HttpServerResponse.text(yield* Effect.orDie(request.text))
      }))
      assert.strictEqual((yield* send(key, { body: "hello" })).body, "hello")
    }))

  it.effect("the handler may read the body as a stream, or under a prefix, and in several ways", () =>
    Effect.gen(function*() {
      const { handle, send } = yield* serving()
      handle(
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          const streamed = yield* Stream.mkString(Stream.decodeText(request.stream))
          const again = yield* request.modify({ url: "/else" }).text
          const bytes = yield* request.modify({ url: "/else" }).arrayBuffer
          return HttpServerResponse.text(`${streamed} ${again} ${bytes.byteLength}`)
        }).pipe(Effect.orDie)
      )
      assert.strictEqual((yield* send(key, { body: "hello" })).body, "hello hello 5")
    }))

  it.effect("the host that a request was sent to makes no difference", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving()
      yield* send(key)
      const other = yield* send(key, { host: "https://other:8443" })
      assert.strictEqual(other.headers.get("idempotency-replayed"), "true")
      assert.strictEqual((yield* send(key, { host: "http://shop", path: "/others" })).status, 422)
      assert.strictEqual(state.calls, 1)
    }))

  it.effect("another content type, and an upload of another length, make another request", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving()
      yield* send({ ...key, "content-type": "text/plain" }, { body: "a=1" })
      const form = yield* send({ ...key, "content-type": "application/x-www-form-urlencoded" }, { body: "a=1" })
      assert.strictEqual(form.status, 422)
      const upload = { "idempotency-key": "up", "content-type": "multipart/form-data; boundary=a" }
      yield* send({ ...upload, "content-length": "7" })
      const boundary = "multipart/form-data; boundary=b"
      const same = yield* send({ ...upload, "content-length": "7", "content-type": boundary })
      assert.strictEqual(same.headers.get("idempotency-replayed"), "true")
      assert.strictEqual((yield* send({ ...upload, "content-length": "8" })).status, 422)
      assert.strictEqual(state.calls, 2)
    }))

  it.effect("what a plain route says by its error channel is kept like an answer", () =>
    Effect.gen(function*() {
      const { handle, send, state } = yield* serving()
      const failing = (error: unknown) => handle(Effect.fail(error as never))
      failing(new Problem.Forbidden({ detail: "not yours" }))
      yield* send(key)
      const again = yield* send(key)
      assert.deepStrictEqual([again.status, JSON.parse(again.body).detail], [403, "not yours"])
      assert.strictEqual(again.headers.get("idempotency-replayed"), "true")
      failing(HttpServerResponse.empty({ status: 410 }))
      yield* send({ "idempotency-key": "gone" })
      assert.strictEqual((yield* send({ "idempotency-key": "gone" })).headers.get("idempotency-replayed"), "true")
      assert.strictEqual(state.calls, 2)
      failing(new Problem.Unavailable({}))
      yield* send({ "idempotency-key": "down" })
      yield* send({ "idempotency-key": "down" })
      assert.strictEqual(state.calls, 4)
    }))

  it.effect("answers another request with the same key with 422: other body, path or method", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving({ methods: ["POST", "PUT"] })
      yield* send(key)
      for (const other of [{ body: "{\"item\":2}" }, { path: "/others" }, { path: "/orders?x=1" }, { method: "PUT" }]) {
        const refused = yield* send(key, other)
        assert.strictEqual(refused.status, 422)
        assert.include(refused.headers.get("content-type") ?? "", "application/problem+json")
        const problem = JSON.parse(refused.body)
        assert.strictEqual(problem.code, "validation_failed")
        assert.strictEqual(problem.errors[0].field, "idempotency-key")
        assert.notInclude(refused.body, key["idempotency-key"])
      }
      assert.strictEqual(state.calls, 1)
    }))

  it.effect("answers a duplicate with 409 and Retry-After while the first one runs", () =>
    Effect.gen(function*() {
      const { handle, send, state } = yield* serving()
      const started = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      handle(
        Effect.as(
          Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(go)),
          HttpServerResponse.text("done")
        )
      )
      const first = yield* Effect.forkChild(send(key))
      yield* Deferred.await(started)
      const during = yield* send(key)
      assert.strictEqual(during.status, 409)
      assert.strictEqual(during.headers.get("retry-after"), "1")
      assert.strictEqual(JSON.parse(during.body).code, "request_in_progress")
      assert.strictEqual((yield* send(key, { body: "{}" })).status, 422)
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual((yield* Fiber.join(first)).body, "done")
      assert.strictEqual((yield* send(key)).headers.get("idempotency-replayed"), "true")
      assert.strictEqual(state.calls, 1)
    }))

  it.effect("of many at once one is carried out", () =>
    Effect.gen(function*() {
      const { handle, send, state } = yield* serving()
      handle(Effect.as(Effect.yieldNow, HttpServerResponse.text("done")))
      const answers = yield* Effect.forEach(Array.from({ length: 50 }), () => send(key), { concurrency: "unbounded" })
      assert.strictEqual(state.calls, 1)
      assert.isTrue(answers.every(({ status }) => status === 200 || status === 409))
    }))

  it.effect("keys are each caller's own: by credentials, or by what the server says", () =>
    Effect.gen(function*() {
      const byCredentials = yield* serving()
      yield* byCredentials.send({ ...key, authorization: "Bearer hunter2" })
      const other = yield* byCredentials.send({ ...key, authorization: "Bearer other" })
      assert.isNull(other.headers.get("idempotency-replayed"))
      yield* byCredentials.send(key)
      yield* byCredentials.send({ ...key, cookie: "session=1" })
      yield* byCredentials.send({ ...key, "x-api-key": "k" })
      yield* byCredentials.send({ ...key, "x-internal-token": "k" })
      assert.strictEqual(byCredentials.state.calls, 6)
      // what belongs to one header is not taken for another's
      yield* byCredentials.send({ ...key, authorization: "ab" })
      yield* byCredentials.send({ ...key, authorization: "a", cookie: "b" })
      assert.strictEqual(byCredentials.state.calls, 8)

      const bySubject = yield* serving({ caller: ({ headers }) => headers["x-subject"] })
      yield* bySubject.send({ ...key, "x-subject": "ann", authorization: "Bearer 1" })
      yield* bySubject.send({ ...key, "x-subject": "ann", authorization: "Bearer 2" })
      yield* bySubject.send({ ...key, "x-subject": "bob", authorization: "Bearer 2" })
      assert.strictEqual(bySubject.state.calls, 2)

      const broken = yield* serving({
        caller: () => {
          throw new Error("hunter2")
        }
      })
      const failed = yield* broken.send(key)
      assert.strictEqual(failed.status, 500)
      assert.notInclude(failed.body, "hunter2")
      assert.strictEqual(broken.state.calls, 0)
    }))

  it.effect("answers a key that is none with 400", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving()
      for (const bad of ["", "a b", "a, b", "\"a", "x".repeat(256), "\"\"", "a;b", "a\"b", "\u00e9"]) {
        const refused = yield* send({ "idempotency-key": bad })
        assert.strictEqual(refused.status, 400, bad)
        assert.strictEqual(JSON.parse(refused.body).code, "bad_request")
      }
      assert.strictEqual(state.calls, 0)
      assert.strictEqual((yield* send({ "idempotency-key": "x".repeat(255) })).status, 200)
      assert.strictEqual(keyOf("a\r\nset-cookie: x"), undefined)
      assert.strictEqual(keyOf("\"a-1\""), keyOf("a-1"))
    }))

  it.effect("requests without a key pass, unless one is required; other methods pass always", () =>
    Effect.gen(function*() {
      const free = yield* serving()
      yield* free.send({})
      yield* free.send({})
      yield* free.send(key, { method: "PUT" })
      yield* free.send(key, { method: "PUT" })
      assert.strictEqual(free.state.calls, 4)
      const strict = yield* serving({ required: true })
      assert.strictEqual((yield* strict.send({})).status, 400)
      assert.strictEqual((yield* strict.send({}, { method: "PUT" })).status, 200)
    }))

  it.effect("does not keep what says that trying again may help, nor a defect", () =>
    Effect.gen(function*() {
      const { handle, send, snapshot, state } = yield* serving()
      for (const status of [500, 503, 429, 409, 408, 425, 401]) {
        state.answer = HttpServerResponse.empty({ status })
        assert.strictEqual((yield* send(key)).status, status)
      }
      handle(Effect.die(new Error("boom")))
      assert.strictEqual((yield* send(key)).status, 500)
      assert.strictEqual(state.calls, 8)
      handle(Effect.succeed(HttpServerResponse.text("done")))
      assert.strictEqual((yield* send(key)).body, "done")
      assert.strictEqual((yield* snapshot).running, 0)
      assert.strictEqual((yield* snapshot).answers, 1)

      const own = yield* serving({ keeps: (status) => status === 503 })
      own.state.answer = HttpServerResponse.empty({ status: 503 })
      yield* own.send(key)
      yield* own.send(key)
      assert.strictEqual(own.state.calls, 1)
      const broken = yield* serving({
        keeps: () => {
          throw new Error("hunter2")
        }
      })
      assert.strictEqual((yield* broken.send(key)).body, "done")
      assert.strictEqual((yield* broken.send(key)).body, "done")
      assert.strictEqual((yield* broken.snapshot).running, 0)
      assert.strictEqual(broken.state.calls, 2)
    }))

  it.effect("an answer that cannot be kept is not made twice", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving({ maxBodyBytes: 4 })
      state.answer = HttpServerResponse.stream(Stream.make(new Uint8Array([1])))
      yield* send(key)
      assert.strictEqual((yield* send(key)).status, 409)
      state.answer = HttpServerResponse.text("12345")
      assert.strictEqual((yield* send({ "idempotency-key": "large" })).body, "12345")
      const again = yield* send({ "idempotency-key": "large" })
      assert.strictEqual(again.status, 409)
      assert.isNull(again.headers.get("retry-after"))
      assert.strictEqual(state.calls, 2)
    }))

  it.effect("gives nobody the cookies of another answer", () =>
    Effect.gen(function*() {
      const { send, state } = yield* serving()
      state.answer = HttpServerResponse.setCookieUnsafe(HttpServerResponse.text("in"), "session", "hunter2")
      assert.include((yield* send(key)).headers.get("set-cookie") ?? "", "hunter2")
      assert.isNull((yield* send(key)).headers.get("set-cookie"))
      const other = { "idempotency-key": "in a header".replaceAll(" ", "-") }
      state.answer = HttpServerResponse.text("in", {
        headers: { "set-cookie": "session=hunter2", "x-request-id": "r" }
      })
      yield* send(other)
      const again = yield* send(other)
      assert.isNull(again.headers.get("set-cookie"))
      assert.isNull(again.headers.get("x-request-id"))
    }))

  it.effect("an interrupted request gives its key back", () =>
    Effect.gen(function*() {
      const { handle, send, snapshot, state } = yield* serving()
      const started = yield* Deferred.make<void>()
      handle(Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
      const controller = new AbortController()
      yield* Effect.forkChild(send(key, { signal: controller.signal }))
      yield* Deferred.await(started)
      assert.strictEqual((yield* snapshot).running, 1)
      controller.abort()
      yield* Effect.yieldNow
      handle(Effect.succeed(HttpServerResponse.text("done")))
      assert.strictEqual((yield* snapshot).running, 0)
      assert.strictEqual((yield* send(key)).body, "done")
      assert.strictEqual(state.calls, 2)
    }))

  it.effect("forgets answers after their time, and the oldest when there are too many", () =>
    Effect.gen(function*() {
      const { send, snapshot, state } = yield* serving({}, { ttl: "1 hour", capacity: 2 })
      yield* send({ "idempotency-key": "1" })
      yield* TestClock.adjust("59 minutes")
      yield* send({ "idempotency-key": "1" })
      assert.strictEqual(state.calls, 1)
      yield* TestClock.adjust("1 minutes")
      yield* send({ "idempotency-key": "1" })
      assert.strictEqual(state.calls, 2)
      yield* send({ "idempotency-key": "2" })
      yield* send({ "idempotency-key": "3" })
      assert.strictEqual((yield* snapshot).answers, 2)
      yield* send({ "idempotency-key": "1" })
      assert.strictEqual(state.calls, 5)
    }))

  const begun: Idempotency.Begun = { _tag: "Started", owner: "1" }
  const failed = Effect.fail(new Idempotency.StoreFailed({}))

  /** What a server answers whose store is this one, and what it logs. */
  const withStore = (store: Partial<Idempotency.Store["Service"]>, status = 200) =>
    Effect.gen(function*() {
      const state = { calls: 0 }
      const lines: Array<string> = []
      const logger = Logger.make(({ cause, fiber, message }) => {
        const { requestId } = fiber.getRef(References.CurrentLogAnnotations)
        lines.push(`${String(requestId)} ${String(message)} ${Cause.pretty(cause)}`)
      })
      const ask = yield* serve(
        HttpRouter.add(
          "POST",
          "/",
          Effect.sync(() => HttpServerResponse.text(`${++state.calls}`, { status }))
        ).pipe(
          Layer.provide(Idempotency.layer()),
          Layer.provide(Layer.succeed(Idempotency.Store, {
            begin: () => Effect.succeed(begun),
            finish: () => Effect.void,
            release: () => Effect.void,
            snapshot: failed,
            ...store
          })),
          Layer.provide(Server.layer())
        ),
        { logger: Logger.layer([logger]) }
      )
      return { state, lines, send: ask("/", post({}, { ...key, "x-request-id": "r-1" })) }
    })

  it.effect("a store that cannot be asked is answered with 503 and logged, and no work is done", () =>
    Effect.gen(function*() {
      for (const begin of [() => failed, () => Effect.die(new Error("hunter2"))]) {
        const { lines, send, state } = yield* withStore({ begin })
        const answer = yield* send
        assert.strictEqual(answer.status, 503)
        assert.notInclude(answer.text, "hunter2")
        assert.strictEqual(state.calls, 0)
        assert.strictEqual(lines.length, 1)
        assert.match(lines[0] ?? "", /^r-1 The store/)
      }
    }))

  it.effect("a store that fails or dies after the work changes no answer, is tried once more, and logged", () =>
    Effect.gen(function*() {
      for (const bad of [failed, Effect.die(new Error("store is down"))]) {
        let tries = 0
        const finish = (times: number) => () => Effect.suspend(() => ++tries > times ? Effect.void : bad)
        const once = yield* withStore({ finish: finish(1) })
        assert.deepInclude(yield* once.send, { status: 200, text: "1" })
        assert.deepStrictEqual([tries, once.lines], [2, []])
        tries = 0
        const never = yield* withStore({ finish: finish(9) })
        assert.deepInclude(yield* never.send, { status: 200, text: "1" })
        assert.strictEqual(tries, 2)
        assert.strictEqual(never.lines.length, 1)
        assert.match(
          never.lines[0] ?? "",
          /^r-1 The end of a request could not be stored .*(?:StoreFailed|store is down)/
        )
        const release = yield* withStore({ release: () => bad }, 503)
        assert.strictEqual((yield* release.send).status, 503)
        assert.strictEqual(release.lines.length, 1)
      }
    }))

  it.effect("a store that hangs holds an answer up for 5 seconds, and is left to end by itself", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const asked = yield* Deferred.make<void>()
      let finished = 0
      const { lines, send } = yield* withStore({
        finish: () =>
          Deferred.succeed(asked, undefined).pipe(
            Effect.andThen(Deferred.await(gate)),
            Effect.andThen(Effect.sync(() => void finished++))
          )
      })
      const fiber = yield* Effect.forkChild(send)
      yield* Deferred.await(asked)
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* Fiber.join(fiber), { status: 200, text: "1" })
      assert.match(lines.join(), /^r-1 The end of a request is still not stored/)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.yieldNow
      assert.strictEqual(finished, 1)
    }))

  it("over random steps the store keeps to its bounds, and only owners finish", () => {
    const answers = new Answers({ capacity: 20, maxBytes: 8_000, ttl: 50 })
    const owners = new Map<string, string>()
    let seed = 1
    const next = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    for (let now = 0; now < 100_000; now++) {
      const key = String(next(60))
      const owner = owners.get(key)
      const answer = { status: 200, headers: {}, body: new Uint8Array(next(600)) }
      if (owner === undefined) {
        const begun = answers.begin(key, "f", now)
        assert.notStrictEqual(begun._tag, "Running")
        if (begun._tag === "Started") owners.set(key, begun.owner)
      } else if (next(3) === 0) {
        assert.strictEqual(answers.begin(key, "f", now)._tag, "Running")
        answers.finish(key, "somebody else", answer, now)
        answers.release(key, "somebody else")
        assert.strictEqual(answers.snapshot().running, owners.size)
      } else {
        if (next(2) === 0) answers.finish(key, owner, answer, now)
        else answers.release(key, owner)
        owners.delete(key)
      }
      const { answers: kept, bytes, running } = answers.snapshot()
      assert.isTrue(kept <= 20 && bytes <= 8_000 && bytes >= 0 && running === owners.size)
    }
    answers.begin("last", "f", 1_000_000)
    assert.deepStrictEqual([answers.snapshot().answers, answers.snapshot().bytes], [0, 0])
  })

  it("refuses options that cannot be meant", () => {
    // @ts-expect-error GET has nothing to repeat
    assert.throws(() => Idempotency.layer({ methods: ["GET"] }), RangeError, "Idempotency.layer: methods")
    // @ts-expect-error it is a flag
    assert.throws(() => Idempotency.layer({ required: "yes" }), RangeError, "required must be true or false")
    // @ts-expect-error it is a function
    assert.throws(() => Idempotency.layer({ caller: "ann" }), RangeError, "caller must be a function")
    // @ts-expect-error there is no such option
    assert.throws(() => Idempotency.layer({ method: [] }), RangeError, "unknown option \"method\"")
    for (const bad of [NaN, -1, 1.5, Infinity]) {
      assert.throws(() => Idempotency.layer({ maxBodyBytes: bad }), RangeError, "maxBodyBytes")
      assert.throws(() => Idempotency.layerMemory({ capacity: bad }), RangeError, "capacity")
      assert.throws(() => Idempotency.layerMemory({ maxBytes: bad }), RangeError, "maxBytes")
    }
    for (const bad of [NaN, -1, 0, Infinity]) {
      assert.throws(() => Idempotency.layerMemory({ ttl: bad }), RangeError, "ttl")
    }
  })
})

describe("Idempotency over a socket", () => {
  it.live("carries out a request once, and again where its client went away", () =>
    Effect.gen(function*() {
      const state = { calls: 0, hangs: false, interrupted: 0 }
      const route = HttpRouter.add("POST", "/orders", (request) =>
        Effect.gen(function*() {
          const body = yield* Effect.orDie(request.text)
          state.calls++
          if (state.hangs) {
            return yield* Effect.onInterrupt(Effect.never, () => Effect.sync(() => state.interrupted++))
          }
          return HttpServerResponse.text(`${body} ${state.calls}`)
        }))
      const server = HttpRouter.serve(
        route.pipe(Layer.provide(Idempotency.layer()), Layer.provide(Idempotency.layerMemory())),
        { disableLogger: true, disableListenLog: true }
      ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
      yield* Effect.gen(function*() {
        const client = yield* HttpClient.HttpClient
        const order = (key: string) =>
          client.execute(
            HttpClientRequest.post("/orders").pipe(
              HttpClientRequest.setHeader("idempotency-key", key),
              HttpClientRequest.bodyText("order")
            )
          ).pipe(Effect.flatMap((response) => Effect.map(response.text, (text) => [response.status, text])))
        assert.deepStrictEqual(yield* order("1"), [200, "order 1"])
        assert.deepStrictEqual(yield* order("1"), [200, "order 1"])
        state.hangs = true
        const gone = yield* Effect.forkChild(order("2"))
        yield* eventually(Effect.sync(() => state.calls === 2))
        yield* Fiber.interrupt(gone)
        yield* eventually(Effect.sync(() => state.interrupted === 1))
        state.hangs = false
        assert.deepStrictEqual(yield* order("2"), [200, "order 3"])
      }).pipe(Effect.provide(server))
    }))
})
