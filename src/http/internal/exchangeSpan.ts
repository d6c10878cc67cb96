/** The spans that Effect's HTTP client makes of exchanges. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { constTrue } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as spans from "../../internal/spans.ts"

/**
 * An exchange, whose attempt tells how often it was sent before. Where nobody sees
 * spans, and the caller stands in none whose ids could be passed on, there is none:
 * it takes about a fifth of the time of an exchange, and its ids would lead nowhere.
 */
export const withSpan = <A, E, R>(exchange: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (!spans.isTraced(fiber)) {
      return fiber.cache.span === undefined ? Effect.updateContext(exchange, withoutSpan) : exchange
    }
    spans.sending(fiber)
    return exchange
  })

const withoutSpan = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.add(context, HttpClient.TracerDisabledWhen, constTrue)
