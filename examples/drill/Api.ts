/**
 * What all sides of the application agree on: the gateway's API, and those of the four services behind it.
 *
 * The gateways serve `GatewayApi` and call the others; the back ends serve the others; the traffic calls `GatewayApi`.
 * Paths, schemas and the errors that callers may rely on are said here, once.
 */
import { Schema } from "effect"
import { Problem, ServiceClient } from "effect-resilience/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"

// The four services behind the gateway. ------------------------------------------------------------------

/** The vector store: finds what has been written about something like the question. */
export const VectorStoreApi = HttpApi.make("vectorStore").add(
  HttpApiGroup.make("vectors").add(
    HttpApiEndpoint.post("query", "/query", {
      payload: Schema.Struct({ text: Schema.NonEmptyString }),
      success: Schema.Struct({ passages: Schema.Array(Schema.String) })
    })
  )
)

/** A file as it is kept. */
export const StoredFile = Schema.Struct({ name: Schema.String, text: Schema.String })

const byName = { name: Schema.NonEmptyString } as const

/** The file system: keeps files by name. */
export const FileSystemApi = HttpApi.make("fileSystem").add(
  HttpApiGroup.make("files").add(
    HttpApiEndpoint.get("read", "/files/:name", {
      params: byName,
      success: StoredFile,
      error: Problem.NotFound
    }),
    HttpApiEndpoint.put("write", "/files/:name", {
      params: byName,
      payload: Schema.Struct({ text: Schema.String }),
      success: StoredFile
    })
  )
)

/** Billing: takes money, so nothing of it may happen twice. */
export const BillingApi = HttpApi.make("billing").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("charge", "/charges", {
      payload: Schema.Struct({ account: Schema.NonEmptyString, cents: Schema.Int.check(Schema.isGreaterThan(0)) }),
      success: Schema.Struct({ receipt: Schema.String })
    }).annotate(ServiceClient.IdempotencyKey, true)
  )
)

/** Git: takes snapshots of the work. */
export const GitApi = HttpApi.make("git").add(
  HttpApiGroup.make("snapshots").add(
    HttpApiEndpoint.post("take", "/snapshots", {
      payload: Schema.Struct({ message: Schema.NonEmptyString }),
      success: Schema.Struct({ commit: Schema.String })
    }).annotate(ServiceClient.IdempotencyKey, true)
  )
)

// The gateway. ------------------------------------------------------------------------------------------

/** What a chat answers. `saved` says whether the transcript is known to be kept. */
export const Answer = Schema.Struct({
  answer: Schema.String,
  source: Schema.Literals(["vectors", "full-text"]),
  saved: Schema.Boolean
})

/** A file, and whether the service has just said so or the gateway remembered it. */
export const GatewayFile = Schema.Struct({ ...StoredFile.fields, source: Schema.Literals(["service", "cache"]) })

/** The states of the breakers by service. Only a gateway with breakers knows any. */
export const Services = Schema.Record(Schema.String, ServiceClient.Status)

/**
 * The application as its users see it. All three gateways of the drill serve it. It promises refusals with a stable
 * code (`unavailable`, `circuit_open`) where it fails closed; a gateway without protection answers 500 instead.
 */
export const GatewayApi = HttpApi.make("gateway").add(
  HttpApiGroup.make("app", { topLevel: true }).add(
    HttpApiEndpoint.post("chat", "/v1/api/chat", {
      payload: Schema.Struct({ question: Schema.NonEmptyString }),
      success: Answer
    }),
    HttpApiEndpoint.get("file", "/v1/api/files/:name", {
      params: byName,
      success: GatewayFile,
      error: [Problem.NotFound, Problem.Unavailable, Problem.CircuitBroken]
    }),
    HttpApiEndpoint.post("charge", "/v1/api/charges", {
      payload: Schema.Struct({ account: Schema.NonEmptyString, cents: Schema.Int.check(Schema.isGreaterThan(0)) }),
      success: Schema.Struct({ receipt: Schema.String }),
      error: [Problem.Unavailable, Problem.CircuitBroken]
    }),
    HttpApiEndpoint.post("snapshot", "/v1/api/snapshots", {
      payload: Schema.Struct({ message: Schema.NonEmptyString }),
      success: Schema.Struct({ queued: Schema.Boolean }).pipe(HttpApiSchema.status(202))
    }),
    HttpApiEndpoint.get("services", "/v1/api/status/services", { success: Services })
  )
)
