/** Faults that a test has in store for the requests of a client, by operation. */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { oneOf } from "../../internal/options.ts"
import { script } from "../../internal/script.ts"
import * as Fault from "../Fault.ts"
import { currentOperation } from "./currentExchange.ts"

export type Faults = Readonly<Record<string, ReadonlyArray<Fault.Fault>>>

/** Refuses faults that there are not, and those of operations that there are not where all are known. */
export const checkFaults = (where: string, faults: Faults, operations?: ReadonlyArray<string>): void => {
  for (const [operation, scripted] of Object.entries(faults)) {
    if (operations !== undefined) oneOf(where, "faults", operation, operations)
    for (const fault of scripted) Fault.check(where, `faults.${operation}`, fault)
  }
}

/** The client, whose requests meet the faults of their operation first: one each, then none. */
export const withFaults = (client: HttpClient.HttpClient, faults: Faults): HttpClient.HttpClient => {
  const take = script(faults)
  return HttpClient.make((request) =>
    Effect.flatMap(currentOperation, (current) => {
      const fault = current === undefined ? undefined : take(current.operation)
      return (fault === undefined ? undefined : Fault.answer(fault, request)) ?? client.execute(request)
    })
  )
}
