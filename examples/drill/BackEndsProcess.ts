/** The process of the back ends of one gateway. */
import { Effect } from "effect"
import * as BackEnds from "./BackEnds.ts"
import { run } from "./Child.ts"
import { factor, token } from "./Settings.ts"

run(Effect.gen(function*() {
  const { become, urls } = yield* BackEnds.make({ token: yield* token, factor: yield* factor })
  return {
    ready: { _tag: "BackEndsReady", urls },
    batches: [],
    handle: (command) => command._tag === "Become" ? become(command.service, command.fault) : Effect.void
  }
}))
