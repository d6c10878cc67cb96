/** Looks after the paths that `HttpApiClient` fills in, which lets a parameter be empty. */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type { Connection } from "./connection.ts"
import { CurrentExchange, requestInvalid } from "./currentExchange.ts"

/** Refuses what has lost a parameter: `DELETE /things/:id` with an empty id would be sent to all things. */
export const wholePaths = (
  client: Connection["client"]
): Connection["client"] =>
  HttpClient.mapRequestEffect(
    client,
    (request) =>
      Effect.flatMap(CurrentExchange, (exchange) =>
        exchange === undefined || emptySegments(request.url) <= emptySegments(exchange.call.of.template ?? request.url)
          ? Effect.succeed(request)
          : Effect.fail(requestInvalid(exchange, "Expected no empty parameter", ["params"])))
  )

const emptySegments = (path: string): number => path.split("/").filter((segment) => segment === "").length
