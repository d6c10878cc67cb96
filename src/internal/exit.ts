/** What an exit is to somebody who watches: the error, the defect or the result. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"

export const reasonOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  exit._tag === "Success" ? exit.value : Cause.squash(exit.cause)
