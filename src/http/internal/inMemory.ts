/** A client that reaches handlers in memory, over the codecs and the router of a real server. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type * as Etag from "effect/http/Etag"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"

/** What handlers may need of the platform a server runs on. */
export type Platform = FileSystem.FileSystem | Etag.Generator | HttpPlatform.HttpPlatform | Path.Path

/** Makes the client. */
export const client = Effect.fnUntraced(function*<ApiId extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<ApiId, Groups>
) {
  // The handlers of an HttpApi need the request and its scope once they are built; while the groups are generic
  // TypeScript cannot see that nothing else is left.
  const handler = (yield* HttpRouter.toHttpEffect(HttpApiBuilder.layer(api)).pipe(
    // a router of its own, also where this is built among the layers of a server
    Effect.provideService(Layer.CurrentMemoMap, Layer.makeMemoMapUnsafe())
  )) as Handler
  return HttpClient.make((request) => exchange(handler, request))
})

type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  HttpServerRequest.HttpServerRequest | Scope.Scope
>

const exchange = (
  handler: Handler,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  Effect.suspend(() => {
    let answer: HttpServerResponse.HttpServerResponse | undefined
    return HttpEffect.toHandled(handler, (_, response) =>
      Effect.sync(() => {
        // the body of a stream is read after the request's scope would have been closed
        answer = HttpEffect.scopeTransferToStream(response)
      })).pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromClientRequest(request)),
        // a failing handler has been turned into an answer by then
        Effect.exit,
        Effect.flatMap((exit) =>
          answer === undefined
            ? Effect.fail(
              new HttpClientError.HttpClientError({
                reason: new HttpClientError.TransportError({ request, cause: exit, description: "no answer" })
              })
            )
            : Effect.succeed(HttpServerResponse.toClientResponse(answer, { request }))
        )
      )
  })
