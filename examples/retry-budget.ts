/**
 * An outage with and without a retry budget.
 *
 * Three retries for each call are good for the call, and make four times the load
 * when everything fails. A budget lets a few more attempts through than there are
 * calls, whatever each call would like.
 */
import { Console, Effect } from "effect"
import { type Policy, Retry, RetryBudget } from "effect-resilience"

/** Fails once in a while, and later altogether. Counts what it is asked. */
const makeService = () => {
  const service = { hasHiccup: false, isDown: false, requests: 0 }
  const ask = Effect.suspend(() => {
    service.requests++
    const fails = service.isDown || service.hasHiccup
    service.hasHiccup = false
    return fails ? Effect.fail("down") : Effect.succeed("answer")
  })
  return { service, ask }
}

/** Two hundred calls: four hiccups in the first hundred, an outage in the second. */
const run = Effect.fnUntraced(function*(retry: Policy.Policy<never>) {
  const { ask, service } = makeService()
  let answers = 0
  for (let call = 1; call <= 200; call++) {
    service.hasHiccup = call % 25 === 0
    service.isDown = call > 100
    if (yield* Effect.isSuccess(retry(ask))) answers++
  }
  return `${service.requests} requests, ${answers} answers`
})

const options = { times: 3, backoff: () => 0 } as const

const program = Effect.gen(function*() {
  yield* Console.log(`without retries:  ${yield* run((self) => self)}`)
  yield* Console.log(`with retries:     ${yield* run(Retry.make(options))}`)

  // one budget for all calls to the service
  const budget = yield* RetryBudget.make("service", { share: 0.1, minimum: 5 })
  yield* Console.log(`with a budget:    ${yield* run(Retry.make({ ...options, budget }))}`)

  const { calls, left, refused, spent } = yield* budget.snapshot
  yield* Console.log(`${calls} calls, ${spent} permits spent, ${left} left, ${refused} refused`)
})

await Effect.runPromise(program)
