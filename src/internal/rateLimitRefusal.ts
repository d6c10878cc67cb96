/** Telling work that was refused by a policy inside from work that ran. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"

const tags: ReadonlySet<unknown> = new Set(["CircuitOpen", "BulkheadFull", "RateLimited", "LimitExceeded", "Throttled"])

/** Whether an exit is one of our own refusals, which are made before the work runs. */
export const isRefusal = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (exit._tag === "Success") return false
  const found = Cause.findError(exit.cause)
  // an error of the same name that came over the wire says something about the dependency, and is not ignored
  return Result.isSuccess(found) && Outcome.carriedBy(found.success)?._tag === "Ignored" &&
    hasProperty(found.success, "_tag") && tags.has(found.success._tag)
}
