import { answers, opens, suspends } from "../check.ts"
import { bareEffect, bareFunction, immediate, measured } from "../subject.ts"
import { breakers } from "./breakers.ts"
import { type Group, prepare } from "./group.ts"

export const breaker: Group = {
  name: "breaker",
  title: "closed breaker around work that is done at once",
  cases: () => {
    suspends(immediate, false)
    return prepare([bareEffect, bareFunction, ...breakers], async (subject) => {
      if (subject.role !== "bare") await opens(subject)
      const call = await subject.protect(immediate, measured)
      await answers(subject, call)
      return { loop: call.loop, checkAgain: () => answers(subject, call) }
    })
  }
}
