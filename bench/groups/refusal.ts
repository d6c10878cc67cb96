import { failing, opened } from "../check.ts"
import { bareEffect, bareFunction } from "../subject.ts"
import { breakers } from "./breakers.ts"
import { type Group, prepare } from "./group.ts"

export const refusal: Group = {
  name: "refusal",
  title: "open breaker refusing a call, the error being caught (bare: work that fails at once)",
  cases: () =>
    prepare([bareEffect, bareFunction, ...breakers], async (subject) => {
      if (subject.role === "bare") return { loop: (await failing(subject)).failingLoop, checkAgain: async () => {} }
      const { call, stillRefuses } = await opened(subject)
      await stillRefuses()
      return { loop: call.failingLoop, checkAgain: stillRefuses }
    })
}
