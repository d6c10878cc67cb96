import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { Problem } from "../../src/http/index.ts"
import { Outcome } from "../../src/index.ts"

describe("A8: the kinds of failure", () => {
  it("have each a status and a stable code, and go to a standard body and back", () => {
    const codes = Object.entries(Problem.kinds).map(([code, Kind]) => {
      const error = new Kind({ detail: "because", requestId: "r-1", errors: [{ field: "a.b", message: "no" }] })
      const body = JSON.parse(JSON.stringify(Schema.encodeUnknownSync(Kind)(error)))
      assert.deepInclude(body, { code, detail: "because", requestId: "r-1", status: error.status })
      const read = Schema.decodeUnknownSync<Schema.Codec<Problem.Problem, unknown>>(Kind)(body)
      assert.strictEqual(read._tag, error._tag)
      assert.strictEqual(error.code, code)
      return `${error.status} ${code}`
    })
    assert.deepStrictEqual(codes, [
      "400 bad_request",
      "401 unauthenticated",
      "403 forbidden",
      "404 not_found",
      "409 conflict",
      "409 request_in_progress",
      "422 validation_failed",
      "429 rate_limited",
      "500 internal",
      "500 database_failed",
      "503 unavailable",
      "503 circuit_open",
      "504 timeout"
    ])
  })

  it("say by their outcome what they mean to breakers and retries", () => {
    const outcomes = Object.values(Problem.kinds).map((Kind) => Outcome.fromError(new Kind({}))._tag)
    assert.deepStrictEqual(outcomes, [
      ...Array.from({ length: 7 }, () => "Success" as const),
      "Overload",
      ...Array.from({ length: 5 }, () => "Failure" as const)
    ])
    const limited = Outcome.fromError(new Problem.RateLimited({ retryAfter: 3 }))
    assert.deepStrictEqual(Outcome.retryAfter(limited), Duration.seconds(3))
    assert.isUndefined(Outcome.retryAfter(Outcome.fromError(new Problem.RateLimited({ retryAfter: -3 }))))
  })
})
