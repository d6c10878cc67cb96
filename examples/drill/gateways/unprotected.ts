/**
 * The gateway as it is written before the first outage: what goes wrong in a service goes wrong for the user. The two
 * gateways that the toolkit's is compared with are this one, and differ only in how they make a call.
 */
import { Effect, Layer, Redacted } from "effect"
import { InternalToken } from "effect-resilience/http"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiBuilder, HttpApiClient } from "effect/http-api"
import { BillingApi, FileSystemApi, GatewayApi, GitApi, VectorStoreApi } from "../Api.ts"
import type { Service } from "../Recording.ts"
import type { Settings } from "../Settings.ts"

/** Makes a call to a service. */
export type Call = <A, E>(service: Service, request: Effect.Effect<A, E>) => Effect.Effect<A, unknown>

export const gateway = (settings: Settings, call: Call) => {
  const { services, token } = settings

  const options = (service: Service) => ({
    baseUrl: services[service].url,
    transformClient: HttpClient.mapRequest(
      HttpClientRequest.setHeader(InternalToken.header, Redacted.value(token))
    )
  })

  const handlers = HttpApiBuilder.group(
    GatewayApi,
    "app",
    Effect.fnUntraced(function*(handlers) {
      const vectorStore = yield* HttpApiClient.make(VectorStoreApi, options("vectorStore"))
      const fileSystem = yield* HttpApiClient.make(FileSystemApi, options("fileSystem"))
      const billing = yield* HttpApiClient.make(BillingApi, options("billing"))
      const git = yield* HttpApiClient.make(GitApi, options("git"))

      const chat = Effect.fnUntraced(function*(question: string) {
        const { passages } = yield* call("vectorStore", vectorStore.vectors.query({ payload: { text: question } }))
        const answer = passages[0] ?? "I have found nothing about that."
        const transcript = { params: { name: "transcript.txt" }, payload: { text: `${question}\n${answer}` } }
        yield* call("fileSystem", fileSystem.files.write(transcript))
        return { answer, source: "vectors" as const, saved: true }
      })

      return handlers
        // whatever goes wrong is a 500, which says nothing to anybody
        .handle("chat", ({ payload }) => Effect.orDie(chat(payload.question)))
        .handle("file", ({ params }) =>
          call("fileSystem", fileSystem.files.read({ params })).pipe(
            Effect.map((file) => ({ ...file, source: "service" as const })),
            Effect.orDie
          ))
        .handle("charge", ({ payload }) => Effect.orDie(call("billing", billing.charges.charge({ payload }))))
        .handle(
          "snapshot",
          ({ payload }) => call("git", git.snapshots.take({ payload })).pipe(Effect.as({ queued: true }), Effect.orDie)
        )
        .handle("services", () => Effect.succeed({}))
    })
  )

  return HttpApiBuilder.layer(GatewayApi).pipe(Layer.provide(handlers))
}
