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
import { CurrentExchange, type Exchange, requestInvalid, responseInvalid, unavailable } from "./currentExchange.ts"
import { withoutRetryFields } from "./eventStream.ts"
import { isHeader, mediaType } from "./headerText.ts"
import { holding } from "./heldBody.ts"
import * as idempotencyKey from "./idempotencyKey.ts"
import { plainText } from "./plainText.ts"
import { holdsKey, isRereadable } from "./replaySafety.ts"
import type { TokenKeeper } from "./tokenKeeper.ts"

type Exchanging<E, R> = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>

/** What an exchange fails with by itself, before it is sent or when its response has come. */
export type Refused = ServiceError.RequestInvalid | ServiceError.ResponseInvalid | ServiceError.ServiceUnavailable

/**
 * The client below the generated one. Its requests carry the id of the current
 * request, the time that is left, the call's idempotency key and the token; status
 * and `Retry-After` of each response are noted for the attempt that it belongs to,
 * and its body is read.
 */
export const noting = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  token: TokenKeeper | undefined,
  maxBodySize: number
): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError | Refused, R> =>
  HttpClient.makeWith<never, never, E | HttpClientError.HttpClientError | Refused, R>(
    Effect.flatMap((request) =>
      Effect.flatMap(
        CurrentExchange,
        (exchange): ReturnType<Exchanging<E | HttpClientError.HttpClientError | Refused, R>> => {
          const execute: Exchanging<E, R> = (request) => withoutRedirects(client.execute(request))
          // a middleware of the API may send requests of its own, outside of any attempt
          if (exchange === undefined) return holding(execute(request), maxBodySize)
          const unsendable = Object.entries(request.headers).find(([name, value]) => !isHeader(name, value))
          if (unsendable !== undefined) {
            const path = ["headers", plainText(unsendable[0], 100)]
            return Effect.fail(requestInvalid(exchange, "Expected a header that can be sent", path))
          }
          const send = sending(execute, exchange, maxBodySize)
          return token === undefined ? send(request) : withToken(request, exchange, token, send)
        }
      )
    ),
    Effect.succeed
  )

// `fetch` would take the headers, a token among them, to any host
const withoutRedirects = <A, E, R>(exchange: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(exchange, (context: Context.Context<R>) =>
    Context.add(context, FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    }))

const sending = <E, R>(
  execute: Exchanging<E, R>,
  exchange: Exchange,
  maxBodySize: number
): Exchanging<E | HttpClientError.HttpClientError | ServiceError.ResponseInvalid, R> =>
(request) =>
  Effect.flatMap(carrying(request, exchange), (request) => {
    const answer = receiving(execute(request), exchange, maxBodySize)
    // the request may have an id of its own, by which the service knows it
    return exchange.requestId === exchange.call.requestId
      ? answer
      : RequestId.within(exchange.requestId)(answer)
  })

const receiving = <E, R>(
  sent: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
  exchange: Exchange,
  maxBodySize: number
): Effect.Effect<
  HttpClientResponse.HttpClientResponse,
  E | HttpClientError.HttpClientError | ServiceError.ResponseInvalid,
  R
> =>
  Effect.withFiber((fiber) => {
    const { streams, streamTypes } = exchange.call.of
    const noted = Effect.map(sent, (response) => {
      exchange.status = response.status
      exchange.retryAfter = RetryAfter.fromHeaders(response.headers, fiber.getRef(Clock.Clock))
      return response
    })
    const held = holding(noted, maxBodySize, (response) => streams && response.status < 400)
    return Effect.flatMap(held, (response) => {
      exchange.refusal = response.status < 400 ? undefined : response
      if (!streams || response.status >= 400) return Effect.succeed(response)
      exchange.unread = response
      const types = streamTypes?.(response.status)
      return types === undefined || types.has(mediaType(response.headers["content-type"]))
        ? Effect.succeed(withoutRetryFields(response, () => {
          exchange.hasToldFailure = true
        }))
        : Effect.fail(responseInvalid(exchange, `Expected content of the type ${[...types].join(" or ")}`))
    })
  })

/** The request with what it carries beside what its API says, as it is when it is sent. */
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
        // spans show the headers that are not among these names
        Context.add(context, Headers.CurrentRedactedNames, [
          ...Context.get(context, Headers.CurrentRedactedNames),
          keeper.header
        ])
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
