/** A program with many services under pipelines, which are called at a steady pace; with the status API, or without. */
import { Effect, Layer } from "effect"
import { Pipeline, Resilience } from "effect-resilience"
import { StatusPort } from "effect-resilience/node"
import { Dashboard, Recoveries, StatusServer } from "effect-resilience/observability"
import { HttpServer } from "effect/http"
import { services, updates, type Usage } from "./plan.ts"

const isInstalled = process.argv.includes("installed")

const tick = 10
const perTick = services * updates * tick / 1000
let made = 0

// whoever has started it is gone
process.on("disconnect", () => process.exit(0))
process.on("message", () => {
  const { system, user } = process.cpuUsage()
  const usage: Usage = { cpu: user + system, at: performance.now(), made }
  process.send?.(usage)
})

const calls = Effect.gen(function*() {
  const pipelines = yield* Effect.forEach(Array.from({ length: services }), (_, n) =>
    Pipeline.make(`service-${n}`, {
      bulkhead: { concurrency: 10 },
      circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, open: "1 second" }
    }))
  // one in ten calls fails, and every service opens and recovers in turn
  const callsOf = pipelines.map((pipeline) => [
    pipeline.protect(Effect.void),
    Effect.ignore(pipeline.protect(Effect.fail("down")))
  ])
  const started = performance.now()
  let at = 0
  const next = Effect.suspend(() => {
    const due = Math.floor((performance.now() - started) / tick) * perTick
    return Effect.whileLoop({
      while: () => made < due,
      body: () => {
        const [works, fails] = callsOf[at++ % services] ?? []
        const call = Math.floor(made++ / services) % 20 < 2 ? fails : works
        return Effect.ignore(call ?? Effect.void)
      },
      step: () => {}
    })
  })
  return yield* Effect.forever(Effect.andThen(next, Effect.sleep(tick)))
})

const said = Effect.map(HttpServer.HttpServer, ({ address }) => {
  process.send?.({ port: Number(new URL(HttpServer.formatAddress(address)).port) })
})

const routes = isInstalled
  ? Layer.mergeAll(StatusServer.layer(), Dashboard.layer()).pipe(Layer.provide(Recoveries.layer))
  : Layer.empty

await Effect.runPromise(
  Effect.andThen(said, calls).pipe(
    Effect.provide(StatusPort.layer(routes, { port: 0 }).pipe(Layer.provideMerge(Resilience.layer)))
  )
)
