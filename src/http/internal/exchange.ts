/**
 * Sends the requests of service clients: what they carry beside what their API
 * says, and what is noted of their responses.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { millisLeft } from "../../internal/timeLimit.ts"
import * as Outcome from "../../Outcome.ts"
import * as DeadlineHeader from "../DeadlineHeader.ts"
import * as RequestId from "../RequestId.ts"
import * as RetryAfter from "../RetryAfter.ts"
import type * as ServiceError from "../ServiceError.ts"
import { CurrentExchange, type Exchange, requestInvalid, responseInvalid, unavailable } from "./currentExchange.ts"
import { withoutRetryFields } from "./eventStream.ts"
import { isHeader, mediaType } from "./headerText.ts"
import { drained, held, holding } from "./heldBody.ts"
import * as idempotencyKey from "./idempotencyKey.ts"
import { plainText } from "./plainText.ts"
import { holdsKey, isRereadable } from "./replaySafety.ts"
import type { TokenKeeper } from "./tokenKeeper.ts"
import { isWhole } from "./wholePath.ts"

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
): HttpClient.HttpClient.With<E | HttpClientError.HttpClientError | Refused, R> => {
  const execute: Exchanging<E, R> = (request) => withoutRedirects(client.execute(request))
  const reading = holding(maxBodySize)
  type Noted = ReturnType<Exchanging<E | HttpClientError.HttpClientError | Refused, R>>
  return HttpClient.makeWith<never, never, E | HttpClientError.HttpClientError | Refused, R>(
    Effect.flatMap((request) =>
      Effect.withFiber((fiber): Noted => {
        const exchange = fiber.getRef(CurrentExchange)
        // a middleware of the API may send requests of its own, outside of any attempt
        if (exchange === undefined) return reading(execute(request))
        const refusal = unsendable(request, exchange)
        if (refusal !== undefined) return Effect.fail(refusal)
        const send: Exchanging<E | HttpClientError.HttpClientError | ServiceError.ResponseInvalid, R> = (request) => {
          const carried = carrying(request, exchange, fiber)
          const answer = receiving(execute(carried), exchange, maxBodySize, fiber)
          // the request may have an id of its own, by which the service knows it
          return exchange.requestId === exchange.call.requestId
            ? answer
            : Effect.updateContext(answer, RequestId.adding(exchange.requestId))
        }
        return token === undefined ? send(request) : withToken(request, exchange, token, send)
      })
    ),
    Effect.succeed
  )
}

// `fetch` would take the headers, a token among them, to any host
const withoutRedirects = <A, E, R>(exchange: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(exchange, (context: Context.Context<R>) =>
    Context.add(context, FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    }))

/** What is wrong with a request that its API, or what the call says, has made. */
const unsendable = (
  { headers, url }: HttpClientRequest.HttpClientRequest,
  exchange: Exchange
): ServiceError.RequestInvalid | undefined => {
  const { template } = exchange.call.of
  if (template !== undefined && !isWhole(url, template)) {
    return requestInvalid(exchange, "Expected no empty parameter", ["params"])
  }
  for (const name of Object.keys(headers)) {
    if (!isHeader(name, headers[name] ?? "")) {
      return requestInvalid(exchange, "Expected a header that can be sent", ["headers", plainText(name, 100)])
    }
  }
  return undefined
}

const receiving = <E, R>(
  sent: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
  exchange: Exchange,
  maxBodySize: number,
  fiber: Fiber.Fiber<unknown, unknown>
) =>
  Effect.matchCauseEffect(sent, {
    onFailure: drained,
    onSuccess: (
      response
    ): Effect.Effect<
      HttpClientResponse.HttpClientResponse,
      HttpClientError.HttpClientError | ServiceError.ResponseInvalid
    > => {
      const { headers, status } = response
      const { streams, streamTypes } = exchange.call.of
      exchange.status = status
      exchange.retryAfter = RetryAfter.fromHeaders(headers, fiber.getRef(Clock.Clock))
      exchange.refusal = undefined
      if (status >= 400) {
        return Effect.map(held(response, maxBodySize, headers), (response) => exchange.refusal = response)
      }
      if (!streams) return held(response, maxBodySize, headers)
      exchange.unread = response
      const types = streamTypes?.(status)
      return types === undefined || types.has(mediaType(headers["content-type"]))
        ? Effect.succeed(withoutRetryFields(response, () => {
          exchange.hasToldFailure = true
        }))
        : Effect.fail(responseInvalid(exchange, `Expected content of the type ${[...types].join(" or ")}`))
    }
  })

/** The request with what it carries beside what its API says, as it is when it is sent. */
const carrying = (
  request: HttpClientRequest.HttpClientRequest,
  exchange: Exchange,
  fiber: Fiber.Fiber<unknown, unknown>
): HttpClientRequest.HttpClientRequest => {
  const own = request.headers[RequestId.header]
  if (own !== undefined) exchange.requestId = RequestId.parse(own) ?? exchange.requestId
  const headers: Record<string, string> = { [RequestId.header]: exchange.requestId }
  const left = DeadlineHeader.encodeMillis(millisLeft(fiber))
  if (left !== undefined) headers[DeadlineHeader.header] = left
  const key = exchange.call.idempotencyKey
  if (key !== undefined && !holdsKey(request.headers)) headers[idempotencyKey.header] = key
  return HttpClientRequest.setHeaders(request, headers)
}

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
