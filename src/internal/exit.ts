/** Exits: what they are to somebody who watches, and whether an effect is one already. */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** The error, the defect or the result. */
export const reasonOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  exit._tag === "Success" ? exit.value : Cause.squash(exit.cause)

/** The same for those who must not tell what work has answered. */
export interface Reason {
  readonly reason: unknown
  /** Whether it is an answer. */
  readonly isAnswer?: true
}

export const reasonIn = (exit: Exit.Exit<unknown, unknown>): Reason =>
  exit._tag === "Success" ? { reason: exit.value, isAnswer: true } : { reason: reasonOf(exit) }

/** The exit that an effect is, where there is nothing to run. */
export const done = <A, E, R>(self: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  // it is the effect itself, so that it has its types
  Exit.isExit(self) ? self as Exit.Exit<A, E> : undefined
