import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit } from "effect"
import { HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpOutcome } from "../../src/http/index.ts"
import { Outcome } from "../../src/index.ts"

const request = HttpClientRequest.get("http://localhost")
const response = (status: number, headers: Record<string, string> = {}) =>
  HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))

const classify = (exit: Exit.Exit<HttpClientResponse.HttpClientResponse, unknown>) =>
  Clock.clockWith((clock) => Effect.sync(() => HttpOutcome.classify(exit, clock)))

const failed = (reason: HttpClientError.HttpClientErrorReason) =>
  Effect.map(
    classify(Exit.fail(new HttpClientError.HttpClientError({ reason }))),
    (outcome) =>
      outcome === undefined
        ? "undefined"
        : `${outcome._tag}${outcome._tag === "Failure" && outcome.retryable ? ", retryable" : ""}`
  )

describe("HttpOutcome", () => {
  it("classifies every status", () => {
    for (let status = 200; status <= 599; status++) {
      const outcome = HttpOutcome.fromStatus(status)
      const expected = status === 429 ? "Overload" : status === 408 || status >= 500 ? "Failure" : "Success"
      assert.strictEqual(outcome._tag, expected, String(status))
      assert.strictEqual(Outcome.isRetryable(outcome), expected !== "Success" && status !== 501, String(status))
    }
  })

  it.effect("reads Retry-After of failures and of overload", () =>
    Effect.gen(function*() {
      for (const status of [408, 429, 503]) {
        const outcome = yield* classify(Exit.succeed(response(status, { "retry-after": "3" })))
        assert.deepStrictEqual(Outcome.retryAfter(outcome ?? Outcome.ignored), Duration.seconds(3), String(status))
      }
      assert.strictEqual((yield* classify(Exit.succeed(response(200, { "retry-after": "3" }))))?._tag, "Success")
    }))

  it.effect("classifies every error of the client by what it says about the service", () =>
    Effect.gen(function*() {
      const syntax = new SyntaxError("Unexpected end of JSON input")
      const reset = new TypeError("terminated")
      const { DecodeError, EmptyBodyError, EncodeError, InvalidUrlError, StatusCodeError, TransportError } =
        HttpClientError
      assert.strictEqual(yield* failed(new TransportError({ request })), "Failure, retryable")
      assert.strictEqual(yield* failed(new EncodeError({ request })), "Ignored")
      assert.strictEqual(yield* failed(new InvalidUrlError({ request })), "Ignored")
      assert.strictEqual(yield* failed(new StatusCodeError({ request, response: response(404) })), "Success")
      assert.strictEqual(yield* failed(new StatusCodeError({ request, response: response(503) })), "Failure, retryable")
      assert.strictEqual(yield* failed(new StatusCodeError({ request, response: response(429) })), "Overload")
      assert.strictEqual(yield* failed(new DecodeError({ request, response: response(200), cause: syntax })), "Failure")
      assert.strictEqual(
        yield* failed(new DecodeError({ request, response: response(200), cause: reset })),
        "Failure, retryable"
      )
      assert.strictEqual(yield* failed(new DecodeError({ request, response: response(404), cause: syntax })), "Success")
      assert.strictEqual(
        yield* failed(new DecodeError({ request, response: response(503), cause: syntax })),
        "Failure, retryable"
      )
      assert.strictEqual(yield* failed(new EmptyBodyError({ request, response: response(200) })), "Failure")
    }))

  it.effect("leaves defects, interruptions and other errors to the default", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* classify(Exit.die("bug")))
      assert.isUndefined(yield* classify(Exit.interrupt(1)))
      assert.isUndefined(yield* classify(Exit.fail("other")))
    }))
})
