/** What becomes of an attempt in a test. */
import * as Effect from "effect/Effect"
import type * as Resilience from "../Resilience.ts"

/** Runs an attempt of the pipeline `name`, or what the test's script has for it. */
export const withFault = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  name: string,
  test: Resilience.TestMode
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const fault = test.takeFault(name)
    switch (fault?.kind) {
      case "hang":
        return Effect.never
      case "fail":
        // a test fails an attempt with whatever it likes; that it is an E is the test's business
        return Effect.fail(fault.error as E)
      case "die":
        return Effect.die(fault.defect)
    }
    return self
  })
