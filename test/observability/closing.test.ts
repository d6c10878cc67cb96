import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Pipeline, Resilience } from "../../src/index.ts"
import { Alerts, ErrorReports, LogLines, Metrics, Recoveries } from "../../src/observability/index.ts"
import { boom, pauses } from "../support.ts"
import { fresh } from "./freshRegistry.ts"

const trip = { kind: "consecutive", failures: 1 } as const

describe("What is closed", () => {
  it.effect("leaves no fiber, no subscription and no metric behind, however often", () => {
    let told = 0
    let interrupted = 0
    const handler = () =>
      Effect.onInterrupt(
        Effect.andThen(Effect.sync(() => told++), Effect.never),
        () => Effect.sync(() => interrupted++)
      )
    const layer = () =>
      Layer.fresh(Layer.mergeAll(
        LogLines.layer(),
        Metrics.layer(),
        Recoveries.layer,
        Alerts.layer({ rules: [{ kind: "opened" }, { kind: "error-rate", minimumCalls: 1 }], handlers: [handler] }),
        ErrorReports.layer({ handlers: [handler] })
      ))
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const registry = yield* Metric.MetricRegistry
      const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip } })
      for (let round = 1; round <= 20; round++) {
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(layer(), scope)
        yield* Effect.exit(protect(boom))
        yield* pauses(20)
        assert.isAbove(registry.size, 0)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(registry.size, 0)
        assert.strictEqual(interrupted, told)
        let made = 0
        yield* Effect.sync(() =>
          resilience.publish("Reconfigured", (at) => {
            made++
            return { _tag: "Reconfigured", at, pipeline: "p" }
          })
        )
        assert.strictEqual(made, 0)
        // one that is interrupted while it is made, and closed at once
        const half = yield* Scope.make()
        yield* Effect.forkChild(Layer.buildWithScope(layer(), half), { startImmediately: true }).pipe(
          Effect.flatMap((fiber) => Effect.sync(() => fiber.interruptUnsafe()))
        )
        yield* Scope.close(half, Exit.void)
        yield* TestClock.adjust("1 minutes")
        assert.strictEqual(registry.size, 0)
      }
      assert.isAbove(told, 0)
    }).pipe(
      Effect.provide(Resilience.layerTest()),
      fresh
    )
  })
})
