import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Outcome, Pipeline, Resilience } from "../../src/index.ts"
import { Alerts, ErrorReports, LogLines, Metrics, Notify, Recoveries } from "../../src/observability/index.ts"
import { pauses, start } from "../support.ts"
import { fresh } from "./freshRegistry.ts"

const secret = "hunter2"

class Denied extends Schema.TaggedError<Denied>()("Denied", { token: Schema.String, url: Schema.String }) {
  override get message() {
    return `denied: ${this.token}`
  }
}

const failures: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
  Effect.fail(new Denied({ token: secret, url: `https://user:${secret}@host/?key=${secret}` })),
  Effect.fail(secret),
  Effect.fail({ authorization: `Bearer ${secret}` }),
  Effect.fail({ _tag: "Plain", message: secret, stack: `Plain: ${secret}\n    at f (/app/a.ts:1:1)` }),
  Effect.suspend(() => Effect.die(new TypeError(`${secret}\n    at ${secret} (/${secret}.ts:1:1)`))),
  Effect.fail([secret]),
  Effect.fail({ name: secret })
]

describe("What is seen", () => {
  it.effect("B4: has no token in any log line, metric, alert, report or status, whatever an error holds", () => {
    const output: Array<string> = []
    const logger = Logger.make(({ fiber, message }) => {
      output.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
    })
    const keep: Notify.Handler = (told) => Effect.sync(() => output.push(JSON.stringify(told)))
    const seen = Layer.mergeAll(
      LogLines.layer({ lines: Infinity }),
      Metrics.layer(),
      Recoveries.layer,
      Alerts.layer({
        rules: [{ kind: "opened" }, { kind: "error-rate", minimumCalls: 1 }],
        handlers: [keep, Notify.log]
      }),
      ErrorReports.layer({ handlers: [keep, Notify.log] })
    ).pipe(
      Layer.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All"))),
      Layer.provideMerge(Resilience.layerTest())
    )
    return Effect.gen(function*() {
      for (const [n, failure] of failures.entries()) {
        const { protect } = yield* Pipeline.make(`p${n}`, {
          circuitBreaker: { trip: { kind: "consecutive", failures: 2 } },
          retry: { times: 1 },
          retryBudget: {}
        })
        for (let calls = 0; calls < 3; calls++) {
          yield* Effect.exit(protect(failure, { operation: "o", fallback: () => Effect.succeed(secret) }))
        }
        yield* protect(Effect.succeed(secret), { retryIf: () => true }).pipe(Effect.exit)
      }
      // answers that open a breaker: one that counts as a failure, and slow ones
      const answer = { _tag: secret, name: secret, message: secret }
      const wrong = yield* Pipeline.make("wrong", { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } })
      yield* wrong.protect(Effect.succeed(answer), { classify: () => Outcome.failure() })
      const slow = yield* Pipeline.make("slow", {
        circuitBreaker: {
          trip: { kind: "slow", threshold: 1, minimumCalls: 1, slowerThan: "1 second", window: { calls: 1 } }
        }
      })
      const late = yield* start(slow.protect(Effect.as(Effect.sleep("2 seconds"), answer)))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(late)
      yield* TestClock.adjust("2 minutes")
      yield* pauses(2_000)
      output.push(yield* (yield* Metrics.Metrics).prometheus())
      output.push(JSON.stringify(yield* (yield* Recoveries.Recoveries).all))
      output.push(JSON.stringify(yield* (yield* ErrorReports.ErrorReports).groups))
      const all = output.join("\n")
      for (const told of ["Denied", "TypeError", "circuit breaker open", "resilience_attempts_total", "ErrorReport"]) {
        assert.include(all, told)
      }
      assert.notInclude(all, secret)
    }).pipe(
      Effect.provide(seen),
      fresh
    )
  })
})
