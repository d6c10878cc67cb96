/**
 * Open-loop traffic: every call is sent at its instant, whatever has become of
 * those before it, as the callers of a real service do. A closed loop would stop
 * asking while a service hangs, and never see most of the outage.
 */
import { Effect, FiberSet, Option, Random, Schema } from "effect"
import { type HttpClient, HttpClientError } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { GatewayApi } from "./Api.ts"
import type { Call, Gateway, Operation } from "./Recording.ts"

/** A call that will be made, of each gateway. */
export interface Planned {
  readonly n: number
  readonly operation: Operation
  /** Milliseconds since the start of the traffic. */
  readonly due: number
}

const mix: ReadonlyArray<readonly [Operation, number]> = [["chat", 0.5], ["file", 0.25], ["charge", 0.15]]

const draw = (u: number): Operation => {
  let below = 0
  for (const [operation, part] of mix) {
    below += part
    if (u < below) return operation
  }
  return "snapshot"
}

/** The calls of a whole run: their gaps are exponential, as those of callers who know nothing of each other. */
export const plan = (options: {
  readonly seconds: number
  readonly rate: number
  readonly seed: number
}): Effect.Effect<ReadonlyArray<Planned>> =>
  Effect.gen(function*() {
    const planned: Array<Planned> = []
    let due = 0
    while (true) {
      due -= Math.log(1 - (yield* Random.next)) * 1000 / options.rate
      if (due >= options.seconds * 1000) return planned
      planned.push({ n: planned.length, operation: draw(yield* Random.next), due })
    }
  }).pipe(Random.withSeed(`${options.seed}/traffic`))

const files = ["README.md", "terms.txt", "prices.csv", "notes.md"] as const

const questions = ["How long is a refund open?", "Which plan has backups?", "Who may read a file?"] as const

const pick = <A>(from: readonly [A, ...ReadonlyArray<A>], n: number): A => from[n % from.length] ?? from[0]

/** What became of a call, as far as the answer tells. */
export type Answer = Pick<Call, "status" | "code" | "source">

const nothing: Answer = { status: undefined, code: undefined, source: undefined }

const answered = (status: number, isFallback: boolean): Answer => ({
  status,
  code: undefined,
  source: isFallback ? "fallback" : "service"
})

/** What a failure tells: a problem its status and its code, a connection that broke nothing. */
const failed = (error: unknown): Answer => {
  if (HttpClientError.isHttpClientError(error)) return { ...nothing, status: error.response?.status }
  return Option.match(readProblem(error), {
    onNone: () => nothing,
    onSome: ({ code, status }) => ({ ...nothing, status, code })
  })
}

const readProblem = Schema.decodeUnknownOption(Schema.Struct({ status: Schema.Finite, code: Schema.String }))

/** A user of one gateway, who only knows its API. */
export interface User {
  readonly ask: (operation: Operation, n: number) => Effect.Effect<Answer>
}

/** Makes a user of the gateway that lives there. */
export const user = (url: string): Effect.Effect<User, never, HttpClient.HttpClient> =>
  Effect.map(HttpApiClient.make(GatewayApi, { baseUrl: url }), (gateway) => {
    const call = (operation: Operation, n: number) => {
      switch (operation) {
        case "chat":
          return Effect.map(
            gateway.chat({ payload: { question: pick(questions, n) } }),
            ({ source }) => answered(200, source === "full-text")
          )
        case "file":
          return Effect.map(
            gateway.file({ params: { name: pick(files, n) } }),
            ({ source }) => answered(200, source === "cache")
          )
        case "charge":
          return Effect.map(
            gateway.charge({ payload: { account: `account-${n % 10}`, cents: 100 + n % 900 } }),
            () => answered(200, false)
          )
        case "snapshot":
          return Effect.map(
            gateway.snapshot({ payload: { message: `snapshot ${n}` } }),
            ({ queued }) => answered(202, !queued)
          )
      }
    }
    return { ask: (operation, n) => Effect.catch(call(operation, n), (error) => Effect.succeed(failed(error))) }
  })

/** Beyond its deadline a caller waits that long, so that a late answer is told from none. In milliseconds. */
const grace = 250

/**
 * Makes the calls at their instants, of each gateway, and hands over what became
 * of them. Ends when the last has ended.
 */
export const run = Effect.fnUntraced(function*(options: {
  readonly plan: ReadonlyArray<Planned>
  readonly users: ReadonlyArray<{ readonly gateway: Gateway; readonly user: User }>
  readonly deadlines: Readonly<Record<Operation, number>>
  readonly now: () => number
  readonly onCall: (call: Call) => void
}) {
  const { deadlines, now, onCall, plan, users } = options
  const calls = yield* FiberSet.make<void>()
  for (const { due, n, operation } of plan) {
    const wait = due - now()
    if (wait > 0) yield* Effect.sleep(wait)
    for (const { gateway, user } of users) {
      yield* Effect.suspend(() => {
        // timers may wake a little early
        const sent = Math.max(now(), due)
        const patience = Math.max(0, due + deadlines[operation] + grace - sent)
        return Effect.timeoutOption(user.ask(operation, n), patience).pipe(
          Effect.map((answered) => {
            const answer = Option.getOrElse(answered, () => nothing)
            const ended = answer.status === undefined ? undefined : Math.max(now(), due)
            onCall({ gateway, operation, due, sent, ended, ...answer })
          })
        )
      }).pipe(FiberSet.run(calls))
    }
  }
  yield* FiberSet.awaitEmpty(calls)
}, Effect.scoped)
