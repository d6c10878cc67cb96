/**
 * The gateway with this toolkit: four service clients, and three ways to take a failure.
 *
 * Read it from the top: how services are called, and then, operation by operation, what users get when one is down.
 * `time(1)` is one second of production, in the milliseconds of a drill, where time passes faster.
 */
import { Duration, Effect, Fiber, Layer } from "effect"
import { CacheFallback, CircuitBreaker, Deadline, Fallback, Outcome } from "effect-resilience"
import { Problem, Server, ServiceClient } from "effect-resilience/http"
import { HttpApiBuilder } from "effect/http-api"
import { BillingApi, FileSystemApi, GatewayApi, GitApi, StoredFile, VectorStoreApi } from "../Api.ts"
import * as FullText from "../FullText.ts"
import type { ServiceSettings, Settings } from "../Settings.ts"

export const gateway = (settings: Settings) => {
  const { services, time, token } = settings

  // How services are called. ------------------------------------------------------------------------------

  // What all four have in common, in milliseconds. The policies stand around a call in a fixed order, from the outside in
  // the one in which they are written here: total timeout and retries around all attempts, the others around each.
  const pipeline = ({ failures, recovery, retries, timeout }: ServiceSettings, totalTimeout: number) => ({
    // The longest that a call may take. Timeout times retries would be far too long: 4 attempts of 15 seconds and 7
    // seconds of waits are 67 seconds, and nobody waits for a chat so long. Each service below says how much time it has:
    // enough for one attempt that hangs until its timeout, or for all attempts and waits if they fail at once.
    totalTimeout,
    retry: {
      times: retries,
      // After 1, 2 and 4 seconds: a restart takes a moment, and whoever asks sooner only adds to the trouble. Give or
      // take a tenth (jitter), so that callers who failed together do not return together.
      backoff: { kind: "exponential", base: time(1) },
      jitter: { factor: 0.1 },
      // A service that asks for a longer rest (`Retry-After`) gets it: the call ends at once, and its fallback is used.
      maxRetryAfter: time(4)
    },
    // A service that is only slow holds its callers. No more than so many, or it takes the whole gateway with it.
    bulkhead: { concurrency: 64 },
    circuitBreaker: {
      trip: [
        // Down: so many attempts in a row have failed, whoever made them. After that each further one costs a user his
        // time, and the service its chance to recover.
        { kind: "consecutive", failures },
        // As good as down: half of the last calls took more than half of the time that they are given. No timeout need
        // strike then, and no attempt fail, but users wait.
        { kind: "slow", threshold: 0.5, slowerThan: timeout / 2, minimumCalls: 10, window: { calls: 20 } }
      ],
      // So long nobody asks. Then the breaker is half-open: one call tries, and its answer decides whether it closes or
      // opens again. The others do not wait for it.
      open: recovery
    },
    attemptTimeout: timeout
  } as const)

  class VectorStore extends ServiceClient.Service<VectorStore>()("vectorStore", {
    api: VectorStoreApi,
    baseUrl: services.vectorStore.url,
    token,
    // 15 for one attempt, of the 20 seconds that a user has for a chat
    pipeline: pipeline(services.vectorStore, time(15.5))
  }) {}

  class FileSystem extends ServiceClient.Service<FileSystem>()("fileSystem", {
    api: FileSystemApi,
    baseUrl: services.fileSystem.url,
    token,
    // of 25 seconds
    pipeline: pipeline(services.fileSystem, time(20.5))
  }) {}

  class Billing extends ServiceClient.Service<Billing>()("billing", {
    api: BillingApi,
    baseUrl: services.billing.url,
    token,
    // Of 10 seconds. A charge is a POST, and still it is tried again: its endpoint has the annotation
    // `ServiceClient.IdempotencyKey`, by which billing knows an attempt that it has carried out already.
    pipeline: pipeline(services.billing, time(5.5))
  }) {}

  class Git extends ServiceClient.Service<Git>()("git", {
    api: GitApi,
    baseUrl: services.git.url,
    token,
    // nobody waits for the end of it, so it has all the time that an attempt may take
    pipeline: pipeline(services.git, time(30.5))
  }) {}

  // Ways to take a failure. -------------------------------------------------------------------------------

  /**
   * Fail closed: there is no substitute, so the caller gets a 503 that says when to ask again. An open breaker knows
   * when, and sometimes the service has said so; else it is as long as a breaker would be open.
   */
  const failClosed = (recovery: number) => (error: unknown) => {
    const outcome = Outcome.fromError(error)
    // The service is well and says no to what it was asked: that is a mistake of ours, to be logged, and no outage.
    if (outcome._tag === "Success") return Effect.die(new Error("the gateway asks wrongly", { cause: error }))
    const isOpen = error instanceof CircuitBreaker.CircuitOpen
    const wait = (isOpen ? error.retryAfter : Outcome.retryAfter(outcome)) ?? Duration.millis(recovery)
    const retryAfter = Duration.toSeconds(wait)
    return Effect.fail(isOpen ? new Problem.CircuitBroken({ retryAfter }) : new Problem.Unavailable({ retryAfter }))
  }

  // What the clients know of their services, for those who watch them.
  const states = Effect.all({
    vectorStore: VectorStore.status,
    fileSystem: FileSystem.status,
    billing: Billing.status,
    git: Git.status
  })

  // What users get. ---------------------------------------------------------------------------------------

  const handlers = HttpApiBuilder.group(
    GatewayApi,
    "app",
    Effect.fnUntraced(function*(handlers) {
      const vectorStore = yield* VectorStore
      const fileSystem = yield* FileSystem
      const billing = yield* Billing
      const git = yield* Git
      const scope = yield* Effect.scope
      const clients = yield* Effect.context<VectorStore | FileSystem | Billing | Git>()

      /**
       * Work that the user waits for no longer than a moment. Then it goes on behind his answer: cut off with his patience,
       * a call to a service that hangs would count neither as good nor as bad, and no breaker would ever open. It is
       * bounded: in time by the total timeout, in number by the bulkhead.
       */
      const forAMoment = <A, E>(moment: number, work: Effect.Effect<A, E>) =>
        // a fiber of the server's, not of the request's; and the user's deadline is not that of work without him
        Effect.timeout(Effect.flatMap(Effect.forkIn(Deadline.detach(work), scope), Fiber.join), moment)

      /** Best effort: the user is told how it went if that is known in a moment; what goes wrong is a line in the log. */
      const bestEffort = <E extends Error>(what: string, moment: number, work: Effect.Effect<unknown, E>) =>
        work.pipe(
          Effect.as("done" as const),
          Effect.catch((error) => Effect.as(Effect.logWarning(`${what}: ${error.message}`), "failed" as const)),
          (logged) => forAMoment(moment, logged),
          Effect.catch(() => Effect.succeed("under way" as const))
        )

      // FAIL OPEN. A chat is what users come for, and an answer from full-text search is better than none, and better
      // than a late one: 8 seconds are enough for all attempts and waits where they fail at once, and nobody waits for
      // one that hangs. The fallback stands outside of the pipeline: retries and breaker must see what it hides.
      const chat = Effect.fnUntraced(function*(question: string) {
        // a POST that only reads: who knows that says so, or it would not be tried again
        const query = vectorStore.vectors.query({ payload: { text: question } }, { idempotent: true })
        const { passages, source } = yield* forAMoment(time(8), query).pipe(
          Effect.map(({ passages }) => ({ passages, source: "vectors" as const })),
          Fallback.orElse(() =>
            Effect.map(FullText.search(question), (passages) => ({ passages, source: "full-text" as const }))
          )
        )
        const answer = passages[0] ?? "I have found nothing about that."
        // BEST EFFORT. A transcript is nice to have: no chat fails for it, or waits longer than a second.
        const transcript = { params: { name: "transcript.txt" }, payload: { text: `${question}\n${answer}` } }
        const saved = yield* bestEffort("the transcript is not saved", time(1), fileSystem.files.write(transcript))
        return { answer, source, saved: saved === "done" }
      })

      // FAIL OPEN as well, to what the service said before, which `files` remembers for an hour: older files are worse
      // than an error. The service is always asked first, since a file may have changed.
      const files = yield* CacheFallback.make("files", { strategy: "service-first", fresh: "1 hour", stale: 0 })
      const file = (name: string) =>
        files.get(fileSystem.files.read({ params: { name } }), { key: [name], schema: StoredFile }).pipe(
          Effect.map(({ source, value }) => ({ ...value, source })),
          // nobody has asked for it before. That there is no such file is an answer, and no failure
          Fallback.orElse(Fallback.except(["NotFound"], failClosed(services.fileSystem.recovery)))
        )

      // FAIL CLOSED. Money is either taken or not: nothing may pretend that it was.
      const charge = (payload: { readonly account: string; readonly cents: number }) =>
        Fallback.orElse(billing.charges.charge({ payload }), failClosed(services.billing.recovery))

      // BEST EFFORT. The next snapshot has everything that this one had.
      const snapshot = (message: string) =>
        Effect.map(
          bestEffort("no snapshot is taken", time(5), git.snapshots.take({ payload: { message } })),
          (taken) => ({ queued: taken !== "failed" })
        )

      return handlers
        .handle("chat", ({ payload }) => chat(payload.question))
        .handle("file", ({ params }) => file(params.name))
        .handle("charge", ({ payload }) => charge(payload))
        .handle("snapshot", ({ payload }) => snapshot(payload.message))
        .handle("services", () => Effect.provideContext(states, clients))
    })
  )

  return HttpApiBuilder.layer(GatewayApi).pipe(
    Layer.provide(handlers),
    // What is not handled above is answered as a problem with a stable code, and every request has an id, which the
    // calls to the services carry on. Nobody waits longer than that, whatever his request asks for.
    Layer.provide(Server.layer({ deadline: { max: time(30) } })),
    // The clients need an `HttpClient`, and `Resilience`, which owns all breakers: provided once, at the edge.
    Layer.provide([VectorStore.layer, FileSystem.layer, Billing.layer, Git.layer])
  )
}
