/**
 * The four services behind a gateway, as their authors would write them: they know nothing of faults, which
 * `FaultyServer` puts in front of them. Each asks its callers for the internal token.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Random, type Redacted } from "effect"
import { Idempotency, Problem, Server } from "effect-resilience/http"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { BillingApi, FileSystemApi, GitApi, VectorStoreApi } from "./Api.ts"
import * as FaultyServer from "./FaultyServer.ts"
import { eachService, type Fault, type Service } from "./Recording.ts"

// it has a little to do for each request
const work = Effect.flatMap(Random.nextBetween(2, 8), (millis) => Effect.sleep(millis))

const vectorStore = HttpApiBuilder.layer(VectorStoreApi).pipe(
  Layer.provide(
    HttpApiBuilder.group(
      VectorStoreApi,
      "vectors",
      (handlers) =>
        handlers.handle(
          "query",
          ({ payload: { text } }) => Effect.as(work, { passages: [`What the manual says about: ${text}`] })
        )
    )
  )
)

const fileSystem = HttpApiBuilder.layer(FileSystemApi).pipe(
  Layer.provide(HttpApiBuilder.group(FileSystemApi, "files", (handlers) => {
    const files = new Map(
      ["README.md", "terms.txt", "prices.csv", "notes.md"].map((name) => [name, { name, text: `This is ${name}.` }])
    )
    return handlers
      .handle("read", ({ params: { name } }) =>
        Effect.flatMap(work, () => {
          const file = files.get(name)
          return file === undefined
            ? Effect.fail(new Problem.NotFound({ detail: `There is no ${name}` }))
            : Effect.succeed(file)
        }))
      .handle("write", ({ params: { name }, payload: { text } }) =>
        Effect.map(work, () => {
          const file = { name, text }
          files.set(name, file)
          return file
        }))
  }))
)

const billing = HttpApiBuilder.layer(BillingApi).pipe(
  Layer.provide(HttpApiBuilder.group(BillingApi, "charges", (handlers) => {
    let receipts = 0
    return handlers.handle("charge", () => Effect.map(work, () => ({ receipt: `receipt-${++receipts}` })))
  }))
)

const git = HttpApiBuilder.layer(GitApi).pipe(
  Layer.provide(HttpApiBuilder.group(GitApi, "snapshots", (handlers) => {
    let commits = 0
    return handlers.handle(
      "take",
      () => Effect.map(work, () => ({ commit: (++commits).toString(16).padStart(7, "0") }))
    )
  }))
)

/** The services of one gateway, each with its port, until the scope ends. */
export const make = Effect.fnUntraced(function*(options: {
  readonly token: Redacted.Redacted
  readonly factor: number
  /** Told of every request that arrives. */
  readonly onArrival?: (service: Service) => void
}) {
  const { factor, onArrival, token } = options
  const start = Effect.fnUntraced(
    function*(service: Service, app: typeof vectorStore) {
      // of those that are provided, the last stands outside: a stranger is refused before anything is done for him
      const behaviour = Idempotency.layer().pipe(
        // the same key with the same request is the same charge: it is carried out once, however often it is sent
        Layer.provide(Idempotency.layerMemory()),
        Layer.provideMerge(Server.layer({ tokenCheck: { tokens: { gateway: token } } }))
      )
      const effect = yield* HttpRouter.toHttpEffect(Layer.provide(app, behaviour))
      const handler = yield* NodeHttpServer.makeHandler(effect, { scope: yield* Effect.scope })
      return yield* FaultyServer.make({
        service: handler,
        times: FaultyServer.times(service, factor),
        onArrival: () => onArrival?.(service)
      })
    },
    Effect.provide(NodeHttpServer.layerHttpServices)
  )
  const servers: Readonly<Record<Service, FaultyServer.FaultyServer>> = yield* Effect.all({
    vectorStore: start("vectorStore", vectorStore),
    fileSystem: start("fileSystem", fileSystem),
    billing: start("billing", billing),
    git: start("git", git)
  })
  return {
    urls: eachService((service) => servers[service].url),
    become: (service: Service, fault: Fault | undefined): Effect.Effect<void> => servers[service].become(fault)
  }
})
