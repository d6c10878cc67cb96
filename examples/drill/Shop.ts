/** The service of the drill: its API, the service itself, and its client. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Random, Schema } from "effect"
import { ServiceClient } from "effect-resilience/http"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import type { Scenario } from "./Scenario.ts"

// What both sides agree on. ---------------------------------------------------

export class Product extends Schema.Class<Product>("Product")({ id: Schema.String, name: Schema.String }) {}

export class Order extends Schema.Class<Order>("Order")({ number: Schema.Int, product: Schema.String }) {}

export const ShopApi = HttpApi.make("shop").add(
  HttpApiGroup.make("products").add(
    HttpApiEndpoint.get("get", "/products/:id", { params: { id: Schema.String }, success: Product })
  ),
  HttpApiGroup.make("orders").add(
    // A POST is not repeated: if the answer is lost, the order may have been placed all the same.
    HttpApiEndpoint.post("place", "/orders", { payload: Schema.Struct({ product: Schema.String }), success: Order })
  )
)

// The service. ------------------------------------------------------------------

// it has a little to do for each request
const work = Effect.flatMap(Random.nextBetween(2, 8), (millis) => Effect.sleep(millis))

const products = HttpApiBuilder.group(
  ShopApi,
  "products",
  (handlers) =>
    handlers.handle("get", ({ params: { id } }) => Effect.as(work, new Product({ id, name: `Tea No. ${id}` })))
)

let placed = 0
const orders = HttpApiBuilder.group(
  ShopApi,
  "orders",
  (handlers) =>
    handlers.handle(
      "place",
      ({ payload: { product } }) => Effect.map(work, () => new Order({ number: ++placed, product }))
    )
)

/** The service as what `node:http` calls for each request. */
export const service = Effect.gen(function*() {
  const app = HttpApiBuilder.layer(ShopApi).pipe(Layer.provide([products, orders]))
  return yield* NodeHttpServer.makeHandler(yield* HttpRouter.toHttpEffect(app), { scope: yield* Effect.scope })
}).pipe(Effect.provide(NodeHttpServer.layerHttpServices))

// The client. -------------------------------------------------------------------

/** How the client is protected. All times are in milliseconds. */
export const protection = ({ askedSeconds, unit }: Pick<Scenario, "askedSeconds" | "unit">) => {
  const asked = askedSeconds * 1000
  // A call may wait out a Retry-After and still have time for its attempts; no waiting may outlast this.
  const totalTimeout = asked + 4 * unit
  return {
    totalTimeout,
    // A good answer takes some 10 ms, on a busy machine ten times as long; after this there is none to come. Too short a
    // timeout would open the breaker of a service that is only slow, too long a one lets callers wait for nothing.
    attemptTimeout: Math.min(2.5 * unit, 2000),
    retry: {
      // Two retries carry a call over a hiccup. More would only keep its caller waiting in a real outage.
      times: 2,
      // Soon at first, then later, and with the default full jitter: callers who failed together do not return together.
      backoff: { kind: "exponential", base: Math.min(unit / 4, 500), cap: Math.min(unit, 4000) },
      // If the service asks for a rest that fits into the total timeout, waiting is better than failing.
      maxRetryAfter: asked,
      maxElapsed: totalTimeout
    },
    circuitBreaker: {
      // One call's three attempts alone do not open it: at least two callers have seen the outage.
      trip: { kind: "consecutive", failures: 5 },
      // As long as a restart may take. The shorter, the sooner the recovery is seen, and the more often it is hoped for
      // in vain. A Retry-After lengthens it.
      open: 1.5 * unit,
      // One call tries whether the service is back; what waits behind it is not thrown at a service that is only rising.
      halfOpen: { concurrent: 1, calls: 1 }
    }
  } as const
}

export type Protection = ReturnType<typeof protection>

/** The client of the shop at a url: all its operations share one breaker. */
export const client = (baseUrl: string, pipeline: Protection) => {
  class Shop extends ServiceClient.Service<Shop>()("shop", { api: ShopApi, baseUrl, pipeline }) {}
  return Shop
}

export type Client = ReturnType<typeof client>["Service"]

/**
 * The calls of the drill, by number: customers look at products, and every second one orders. `run` tells whether the
 * answer is the answer to the call.
 */
export const call = (shop: Client, n: number) => {
  const id = String(n)
  return n % 2 === 0
    ? {
      operation: "products.get",
      run: Effect.map(
        shop.products.get({ params: { id } }),
        (answer) => answer instanceof Product && answer.id === id && typeof answer.name === "string"
      )
    }
    : {
      operation: "orders.place",
      run: Effect.map(
        shop.orders.place({ payload: { product: id } }),
        (answer) => answer instanceof Order && answer.product === id && Number.isInteger(answer.number)
      )
    }
}
