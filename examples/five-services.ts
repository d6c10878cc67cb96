/**
 * Five services configured by one file, tuned by the environment, and changed while they run.
 *
 * The critical ones, which all others wait for, open after 5 failures for 30 seconds and answer within 5;
 * the others open after 3 failures for 60 seconds and have 10. The code knows their names, and no numbers.
 */
import { ConfigProvider, Console, Effect, Layer, Schema } from "effect"
import { Pipeline, Resilience, ResilienceConfig } from "effect-resilience"
import { readFileSync } from "node:fs"

class NoSuchService extends Schema.TaggedError<NoSuchService>()("NoSuchService", { name: Schema.String }) {}

const file: unknown = JSON.parse(readFileSync(new URL("five-services.json", import.meta.url), "utf8"))

// a program would take `ConfigProvider.fromEnv()`, which reads the variables of its process
const environment = ConfigProvider.fromEnv({
  env: { policies_planning_circuitBreaker_trip_failures: "4", policies_projectCoordinator_retry: "false" }
})

// the environment is right over the file, value by value
const Settings = ConfigProvider.layer(ConfigProvider.orElse(environment, ConfigProvider.fromUnknown(file)))

const program = Effect.gen(function*() {
  const services = yield* ResilienceConfig.pipelines(yield* ResilienceConfig.load())
  for (const pipeline of services.values()) yield* Console.log(`${Pipeline.describe(pipeline)}\n`)

  const tools = services.get("toolIntegration")
  if (tools === undefined) return yield* new NoSuchService({ name: "toolIntegration" })
  yield* Console.log(`a tool answers: ${yield* tools.protect(Effect.succeed("42"), { operation: "runTool" })}\n`)

  // calls in flight end as they began, and the breaker keeps what it has counted
  yield* ResilienceConfig.reconfigure({
    toolIntegration: { bulkhead: { concurrency: 2 }, attemptTimeout: "20 seconds" }
  })
  yield* Console.log(`reconfigured: ${Pipeline.describe(tools)}\n`)

  // what is wrong is listed, all of it, and nothing is changed
  const wrong = yield* Effect.flip(ResilienceConfig.reconfigure({
    toolIntegration: { bulkhead: { concurrency: 0 }, hedge: { hedges: 1 }, attemptTimeout: "10 secs" },
    planning: {
      circuitBreaker: { trip: { kind: "rate", threshold: 0.5, minimumCalls: 20, window: { calls: 10 } } },
      retry: { tries: 5 }
    }
  }))
  yield* Console.log(`${wrong.message}\n`)

  // what is right about the data may still be wrong about the pipelines
  const unfit = yield* Effect.flip(ResilienceConfig.reconfigure({
    toolIntegration: { hedge: { hedges: 1 } },
    planing: { retry: { times: 5 } }
  }))
  yield* Console.log(unfit.message)
})

await Effect.runPromise(program.pipe(Effect.provide(Layer.merge(Settings, Resilience.layer))))
