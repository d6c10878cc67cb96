/** The process of the back ends of one gateway. */
import { Effect } from "effect"
import * as BackEnds from "./BackEnds.ts"
import { Batch, run } from "./Child.ts"
import type { Arrival } from "./Recording.ts"
import { factor, token } from "./Settings.ts"

const arrivals = new Batch<Omit<Arrival, "gateway">>((arrivals) => ({ _tag: "Arrivals", arrivals }))

run(Effect.gen(function*() {
  const { become, urls } = yield* BackEnds.make({
    token: yield* token,
    factor: yield* factor,
    onArrival: arrivals.add
  })
  return {
    ready: { _tag: "BackEndsReady", urls },
    batches: [arrivals],
    handle: (command) => command._tag === "Become" ? become(command.service, command.fault) : Effect.void
  }
}))
