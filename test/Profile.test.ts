import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit } from "effect"
import { AiError, McpClientError } from "effect/ai"
import { ConnectionError, DeadlockError, SqlError, UniqueViolation } from "effect/sql/SqlError"
import { Outcome, Pipeline, Profile, Resilience } from "../src/index.ts"
import { brief, drive, manualClock, recorded, waits } from "./support.ts"

const { clock } = manualClock()

const judged = (classify: Outcome.Classifier, error: unknown) => Outcome.classify(Exit.fail(error), classify, clock)

const ai = (reason: AiError.AiErrorReason) => new AiError.AiError({ module: "test", method: "ask", reason })
const mcp = (reason: McpClientError.McpClientErrorReason) => new McpClientError.McpClientError({ reason })

describe("profiles", () => {
  it("are options that every pipeline takes", () => {
    for (const [name, value] of Object.entries(Profile)) {
      if (typeof value === "object") assert.strictEqual(Pipeline.settings(name, value).name, name)
    }
  })

  it("C1: a language model's rate limit is waited out, its verdicts are not retried, its slips are", () => {
    const of = (reason: AiError.AiErrorReason) => judged(Profile.classifyAiError, ai(reason))
    const limited = of(new AiError.RateLimitError({ retryAfter: Duration.seconds(7) }))
    assert.strictEqual(limited._tag, "Overload")
    assert.deepStrictEqual(Outcome.retryAfter(limited), Duration.seconds(7))
    assert.strictEqual(of(new AiError.QuotaExhaustedError({}))._tag, "Success")
    assert.strictEqual(of(new AiError.AuthenticationError({ kind: "InvalidKey" }))._tag, "Success")
    assert.strictEqual(of(new AiError.ContentPolicyError({ description: "no" }))._tag, "Success")
    assert.isTrue(Outcome.isRetryable(of(new AiError.InternalProviderError({ description: "oops" }))))
    assert.isTrue(Outcome.isRetryable(of(new AiError.InvalidOutputError({ description: "no JSON" }))))
    const unknown = of(new AiError.UnknownError({}))
    assert.deepStrictEqual([unknown._tag, Outcome.isRetryable(unknown)], ["Failure", false])
  })

  it("C1: a database's conflicts are retried without blame, its constraints are answers", () => {
    const of = (reason: SqlError["reason"]) => judged(Profile.classifySqlError, new SqlError({ reason }))
    assert.strictEqual(of(new DeadlockError({ cause: "" }))._tag, "Overload")
    assert.strictEqual(of(new UniqueViolation({ cause: "", constraint: "users_email" }))._tag, "Success")
    assert.isTrue(Outcome.isRetryable(of(new ConnectionError({ cause: "" }))))
  })

  it("C1: a tool server's own faults count, its answers about the request do not", () => {
    const of = (reason: McpClientError.McpClientErrorReason) => judged(Profile.classifyMcpError, mcp(reason))
    assert.strictEqual(of(new McpClientError.TransportError({}))._tag, "Failure")
    assert.strictEqual(of(new McpClientError.ProtocolError({ code: -32602 }))._tag, "Success")
    assert.strictEqual(of(new McpClientError.ProtocolError({ code: -32603 }))._tag, "Failure")
    const busy = of(new McpClientError.HttpError({ status: 429, retryAfter: "3" }))
    assert.strictEqual(busy._tag, "Overload")
    assert.deepStrictEqual(Outcome.retryAfter(busy), Duration.seconds(3))
    assert.strictEqual(of(new McpClientError.HttpError({ status: 503, retryAfter: "rubbish" }))._tag, "Failure")
  })

  it.effect("C1: each retries by its own delays, within its caps", () =>
    Effect.gen(function*() {
      const model = yield* Pipeline.make("model", {
        ...Profile.languageModel,
        retry: { ...Profile.languageModel.retry, jitter: "none" }
      })
      const busy = recorded(() => Effect.fail(ai(new AiError.InternalProviderError({ description: "oops" }))))
      yield* drive(model.protect(busy.work))
      assert.deepStrictEqual(waits(busy.starts), [1000, 2000, 4000, 8000])
      const tools = yield* Pipeline.make("tools", Profile.toolServer)
      const broken = recorded(() => Effect.fail(mcp(new McpClientError.TransportError({}))))
      yield* drive(tools.protect(broken.work))
      assert.strictEqual(broken.starts.length, 1)
      yield* drive(tools.protect(broken.work, { idempotent: true }))
      assert.strictEqual(broken.starts.length, 3)
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("C11: leave errors that they do not know to the usual classification", () =>
    Effect.gen(function*() {
      const database = yield* Pipeline.make("database", Profile.database)
      const { starts, work } = recorded(() => Effect.fail("who knows"))
      assert.strictEqual(brief((yield* drive(database.protect(work))).exit), "who knows")
      assert.strictEqual(starts.length, 4)
    }).pipe(Effect.provide(Resilience.layer)))
})
