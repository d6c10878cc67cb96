/**
 * Sends the requests of service clients: what they carry beside what their API
 * says, and what is noted of their responses.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Deadline from "../../Deadline.ts"
import * as Outcome from "../../Outcome.ts"
import * as DeadlineHeader from "../DeadlineHeader.ts"
import * as RequestId from "../RequestId.ts"
import * as RetryAfter from "../RetryAfter.ts"
import type * as ServiceError from "../ServiceError.ts"
import { CurrentExchange, type Exchange, unavailable } from "./currentExchange.ts"
import { withoutRetryFields } from "./eventStream.ts"
import { holding } from "./heldBody.ts"
import * as idempotencyKey from "./idempotencyKey.ts"
import { holdsKey, isRereadable } from "./replaySafety.ts"
import type { TokenKeeper } from "./tokenKeeper.ts"

type Exchanging<E, R> = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>

/**
 * The client below the generated one. Its requests carry the id of the current
 * request, the time that is left, the call's idempotency key and the token; status
 * and `Retry-After` of each response are noted for the attempt that it belongs to,
 * and its body is read.
 */
export const noting = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  token: TokenKeeper | undefined
): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError | ServiceError.ServiceUnavailable, R> =>
  HttpClient.makeWith<
    never,
    never,
    E | HttpClientError.HttpClientError | ServiceError.ServiceUnavailable,
    R
  >(
    Effect.flatMap((request) =>
      Effect.flatMap(CurrentExchange, (exchange) => {
        // a middleware of the API may send requests of its own, outside of any attempt
        if (exchange === undefined) return holding(client.execute(request))
        const send = sending(client, exchange)
        return Effect.flatMap(
          carrying(request, exchange),
          (request) => token === undefined ? send(request) : withToken(request, exchange, token, send)
        )
      })
    ),
    Effect.succeed
  )

const sending = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  exchange: Exchange
): Exchanging<E | HttpClientError.HttpClientError, R> =>
(request) =>
  Effect.withFiber((fiber) => {
    const noted = Effect.map(client.execute(request), (response) => {
      exchange.status = response.status
      exchange.retryAfter = RetryAfter.fromHeaders(response.headers, fiber.getRef(Clock.Clock))
      return response
    })
    const held = holding(noted, (response) => exchange.call.of.streams && response.status < 400)
    return Effect.map(held, (response) => {
      exchange.refusal = response.status < 400 ? undefined : response
      if (!exchange.call.of.streams || response.status >= 400) return response
      exchange.unread = response
      return withoutRetryFields(response)
    })
  })

/** The request with what it carries beside what its API says. */
const carrying = (
  request: HttpClientRequest.HttpClientRequest,
  exchange: Exchange
): Effect.Effect<HttpClientRequest.HttpClientRequest> =>
  Effect.map(Deadline.remaining, (remaining) => {
    const own = request.headers[RequestId.header]
    exchange.requestId = RequestId.parse(own) ?? exchange.requestId
    const left = Option.isSome(remaining) ? DeadlineHeader.encode(remaining.value) : undefined
    const key = holdsKey(request.headers) ? undefined : exchange.call.idempotencyKey
    return HttpClientRequest.setHeaders(request, {
      [RequestId.header]: exchange.requestId,
      ...(left === undefined ? {} : { [DeadlineHeader.header]: left }),
      ...(key === undefined ? {} : { [idempotencyKey.header]: key })
    })
  })

/** Sends a request with the token, and once more with a new one where that is refused. */
const withToken = <E, R>(
  request: HttpClientRequest.HttpClientRequest,
  exchange: Exchange,
  keeper: TokenKeeper,
  send: Exchanging<E, R>
): Effect.Effect<HttpClientResponse.HttpClientResponse, E | ServiceError.ServiceUnavailable, R> => {
  const sendWith = (token: string) => {
    exchange.tokens.push(token)
    return Effect.updateContext(
      send(HttpClientRequest.setHeader(request, keeper.header, token)),
      (context: Context.Context<R>) =>
        context.pipe(
          // spans show the headers that are not among these names
          Context.add(Headers.CurrentRedactedNames, [
            ...Context.get(context, Headers.CurrentRedactedNames),
            keeper.header
          ]),
          // `fetch` would take the header to any host
          Context.add(FetchHttpClient.RequestInit, {
            ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
            redirect: "manual"
          })
        )
    )
  }
  type Sent = Effect.Effect<HttpClientResponse.HttpClientResponse, E | ServiceError.ServiceUnavailable, R>
  return Effect.flatMap(keeper.current, (token): Sent => {
    if (token === undefined) {
      // nothing was sent, so nothing is known of the service
      return Outcome.annotate(unavailable("no token"), () => Outcome.ignored)
    }
    return Effect.flatMap(
      sendWith(token),
      (response) =>
        response.status !== 401 || !isRereadable(request.body) ? Effect.succeed(response) : Effect.flatMap(
          keeper.renewed(token),
          (renewed) => renewed === undefined ? Effect.succeed(response) : sendWith(renewed)
        )
    )
  })
}
