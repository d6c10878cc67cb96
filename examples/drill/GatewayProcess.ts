/** The process of one gateway. */
import { Config, Effect } from "effect"
import { Batch, run } from "./Child.ts"
import * as Gateway from "./Gateway.ts"
import { type Attempt, type BreakerChange, gateways } from "./Recording.ts"
import { settings } from "./Settings.ts"

const attempts = new Batch<Omit<Attempt, "gateway">>((attempts) => ({ _tag: "Attempts", attempts }))
const changes = new Batch<Omit<BreakerChange, "gateway">>((changes) => ({ _tag: "Changes", changes }))

run(Effect.gen(function*() {
  const gateway = yield* Config.Literals(gateways, "DRILL_GATEWAY")
  const url = yield* Gateway.serve(gateway, yield* settings, { onAttempt: attempts.add, onChange: changes.add })
  return { ready: { _tag: "GatewayReady", url }, batches: [attempts, changes], handle: () => Effect.void }
}))
