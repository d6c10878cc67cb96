/** The names of the outcomes. */
import type { Outcome } from "../Outcome.ts"

export const outcomeTags: ReadonlyArray<Outcome["_tag"]> = ["Success", "Failure", "Overload", "Ignored"]

/** Under which name a policy counts the calls of an outcome. */
export const countOf = { Success: "success", Failure: "failure", Overload: "overload", Ignored: "ignored" } as const
