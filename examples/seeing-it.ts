/**
 * An outage, seen from all sides: log lines, alerts, metrics, the status API, and the recovery.
 *
 * All that watches is one layer, all routes are another. The time is a test clock,
 * so that half a minute takes no time.
 */
import { Console, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { Pipeline, Resilience } from "effect-resilience"
import { StatusPort } from "effect-resilience/node"
import { Observability } from "effect-resilience/observability"
import { HttpServer } from "effect/http"
import { TestClock } from "effect/testing"

class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}

class Billing extends Pipeline.Service<Billing>()("billing", {
  retry: { times: 1, backoff: { kind: "constant", delay: "200 millis" }, jitter: "none" },
  circuitBreaker: { trip: { kind: "consecutive", failures: 3 }, open: "30 seconds" }
}) {}

// in earnest Effect's loggers; here one without times of day
const logger = Logger.make(({ logLevel, message }) => console.log(`  ${logLevel.padEnd(5)} ${message}`))

const Seen = Observability.layer({
  // in earnest `Notify.webhook({ url })`
  alerts: { rules: [{ kind: "opened" }], handlers: [({ state, text }) => Console.log(`  alert, ${state}: ${text}`)] }
}).pipe(Layer.provide(Logger.layer([logger])))

// in earnest a port that Prometheus knows, and the dashboard's address; 0 is any that is free
const Port = StatusPort.layer(Observability.layerRoutes(), { port: 0 })

const live = Layer.mergeAll(Billing.layer, Port).pipe(Layer.provide(Seen), Layer.provide(Resilience.layer))

let isDown = false
const work = Effect.suspend(() => isDown ? Effect.fail(new Unreachable()) : Effect.succeed("paid"))

const charge = Effect.gen(function*() {
  const { protect } = yield* Billing
  const call = yield* Effect.forkChild(Effect.exit(protect(work, { operation: "charge" })))
  // time for its retry, and for those who watch
  yield* TestClock.adjust("1 second")
  const answer = yield* Effect.catch(yield* Fiber.join(call), ({ _tag }) => Effect.succeed(_tag))
  yield* Console.log(`a charge: ${answer}`)
})

/** Asks as others would: over HTTP. */
const get = (path: string) =>
  Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    return yield* Effect.promise(() => fetch(HttpServer.formatAddress(address) + path).then((answer) => answer.text()))
  })

const look = Effect.gen(function*() {
  const { billing } = JSON.parse(yield* get("/v1/api/status/services"))
  yield* Console.log(`status: ${billing.state}, last error: ${billing.lastError}`)
  const metrics = (yield* get("/metrics")).split("\n")
  const told = /^resilience_(calls_total|refusals_total|circuit_breaker_state).* [1-9]/
  for (const line of metrics.filter((line) => told.test(line))) yield* Console.log(line)
})

const program = Effect.gen(function*() {
  yield* Console.log("-- all is well")
  yield* charge

  yield* Console.log("-- billing is down")
  isDown = true
  for (let n = 0; n < 3; n++) yield* charge
  yield* look

  yield* Console.log("-- billing is well again, which the next probe finds out")
  isDown = false
  yield* TestClock.adjust("30 seconds")
  yield* charge
  yield* look
  const [{ recovery }] = JSON.parse(yield* get("/v1/api/status")).services
  yield* Console.log(`recoveries: ${recovery.recoveries}, on average after ${recovery.meanTimeToRecovery / 1_000} s`)
})

await program.pipe(Effect.provide(Layer.provideMerge(live, TestClock.layer())), Effect.runPromise)
