/**
 * The way to a service: where it lives, and what every request to it carries. It
 * is the same for all clients of a service, however their methods are made.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as Resilience from "../../Resilience.ts"
import type { BaseUrl } from "../BaseUrl.ts"
import type { InternalToken, Source } from "../InternalToken.ts"
import * as address from "./address.ts"
import { unavailable } from "./currentExchange.ts"
import { noting, type Refused } from "./exchange.ts"
import { checkedMaxBodySize } from "./heldBody.ts"
import { checkedToken, TokenKeeper } from "./tokenKeeper.ts"

export interface Connection {
  /** Takes requests whose urls are paths. */
  readonly client: HttpClient.HttpClient.With<HttpClientError.HttpClientError | Refused>
  /** Where the service was last found. */
  readonly origin: () => string | null
}

/** A client of a service, as far as it is declared. Bad options throw a `RangeError`. */
export const declare = (
  where: string,
  options: {
    readonly baseUrl: BaseUrl
    readonly token?: InternalToken | undefined
    readonly maxBodySize?: number | undefined
  }
) => {
  const maxBodySize = checkedMaxBodySize(where, options.maxBodySize)
  const located = address.checked(where, options.baseUrl)
  const token = checkedToken(where, options.token)
  // one for each owner of state, so that a layer that is provided anew for every request does not read the token anew
  const keepers = new WeakMap<object, TokenKeeper>()

  const connect = (client: HttpClient.HttpClient, at: address.Address, source: Source | undefined) =>
    Effect.map(Resilience.Resilience, (resilience) => {
      let keeper = source === token ? keepers.get(resilience) : undefined
      if (keeper === undefined && source !== undefined) {
        keeper = new TokenKeeper(source)
        // configuration is read by each layer anyway, and may have changed
        if (source === token) keepers.set(resilience, keeper)
      }
      return reaching(noting(client, keeper, maxBodySize), at)
    })

  return {
    /** Over the program's client. What finding the service needs is to be said by the layer's type. */
    live: Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const at = yield* located
      return yield* connect(client, at, Config.isConfig(token) ? yield* token : token)
    }),
    /** Over a client that answers from memory; a token from configuration is not read. */
    inMemory: (client: HttpClient.HttpClient) =>
      connect(client, inMemory, Config.isConfig(token) ? { get: Effect.succeed(Redacted.make("test")) } : token)
  }
}

// requests never get there
const inMemory = new URL("http://in-memory.invalid")

const reaching = (client: Connection["client"], at: address.Address): Connection => {
  if (at instanceof URL) {
    return { client: HttpClient.mapRequest(client, HttpClientRequest.prependUrl(at.href)), origin: () => at.origin }
  }
  let origin: string | null = null
  return {
    client: HttpClient.mapRequestEffect(client, (request) =>
      Effect.flatMap(at, (url) => {
        if (url === undefined) return unavailable("no address")
        origin = url.origin
        return Effect.succeed(HttpClientRequest.prependUrl(request, url.href))
      })),
    origin: () => origin
  }
}
