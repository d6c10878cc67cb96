/** The process of one gateway. */
import { Config, Effect, Schema } from "effect"
import { Batch, run } from "./Child.ts"
import * as Gateway from "./Gateway.ts"
import { type Attempt, type BreakerChange, eachService, gateways } from "./Recording.ts"
import { settings } from "./Settings.ts"

const attempts = new Batch<Omit<Attempt, "gateway">>((attempts) => ({ _tag: "Attempts", attempts }))
const changes = new Batch<Omit<BreakerChange, "gateway">>((changes) => ({ _tag: "Changes", changes }))

const dashboardPort = Config.schema(Schema.Union([Schema.Literal("none"), Schema.Int]), "DRILL_DASHBOARD").pipe(
  Config.withDefault("none")
)

run(Effect.gen(function*() {
  const gateway = yield* Config.Literals(gateways, "DRILL_GATEWAY")
  const its = yield* settings
  const { resilience, url } = yield* Gateway.serve(gateway, its, { onAttempt: attempts.add, onChange: changes.add })
  const port = yield* dashboardPort
  // its code is loaded where somebody wants to see it
  const dashboardUrl = port === "none"
    ? undefined
    : yield* Effect.flatMap(Effect.promise(() => import("./Dashboard.ts")), ({ serve }) => serve(port, resilience))
  // what DeadService.refusing asks. Nobody listens there: the port is one that only the system may take
  const nowhere = new URL("http://127.0.0.1:1")
  const lonely = { ...its, services: eachService((service) => ({ ...its.services[service], url: nowhere })) }
  const { url: lonelyUrl } = yield* Gateway.serve(gateway, lonely, { onAttempt: () => {}, onChange: () => {} })
  return {
    ready: { _tag: "GatewayReady", url, lonelyUrl, dashboardUrl },
    batches: [attempts, changes],
    handle: () => Effect.void
  }
}))
