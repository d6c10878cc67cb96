/** Where the problems come from that a client has read. */
import type { Origin, Problem } from "../Problem.ts"

const origins = new WeakMap<object, Origin>()

/** Notes where a problem comes from: its message begins with it then. */
export const comingFrom = <P extends Problem>(problem: P, origin: Origin): P => {
  origins.set(problem, origin)
  return Object.defineProperty(problem, "message", {
    value: `${origin.service} ${origin.operation}: ${problem.message}`,
    configurable: true
  })
}

export const of = (problem: object): Origin | undefined => origins.get(problem)
