/** The clients that are compared: bare ones, and the same under retries, a breaker and a timeout. */
import { NodeHttpClient } from "@effect/platform-node"
import * as Cockatiel from "cockatiel"
import { Pipeline, Resilience } from "effect-resilience"
import { ResilientHttpClient, ServiceClient } from "effect-resilience/http"
import * as Effect from "effect/Effect"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import Got from "got"
import ky from "ky"
import { Agent } from "node:http"
import { Pool } from "undici"
import { makeCockatielBreaker, ourOptions } from "../groups/breakers.ts"
import { measured, retries } from "../subject.ts"
import { concurrency, type plan } from "./plan.ts"

/** Asks for the plan at a path. */
export type Ask =
  | { readonly family: "effect"; readonly ask: (path: string) => Effect.Effect<typeof plan, unknown> }
  | { readonly family: "promise"; readonly ask: (path: string) => Promise<typeof plan> }

export interface Client {
  readonly name: string
  /** The bare client that it is measured beside; a bare one is measured beside itself. */
  readonly beside: string
  readonly make: (url: string) => Promise<Ask>
}

/** Nothing that the parts need is closed: the process ends with the bench. */
export const runtime = ManagedRuntime.make(
  Layer.merge(NodeHttpClient.layerUndiciOptions({ connections: concurrency }), Resilience.layer)
)

const Plan = Schema.Struct({ id: Schema.String, title: Schema.String, hours: Schema.Number })

const api = HttpApi.make("plans").add(
  HttpApiGroup.make("plans", { topLevel: true }).add(
    HttpApiEndpoint.get("get", "/plans/:id", { params: { id: Schema.String }, success: Plan })
  )
)

const pipelineOptions = {
  retry: { times: retries, backoff: { kind: "exponential", base: measured.retryDelay } },
  circuitBreaker: ourOptions,
  attemptTimeout: measured.timeout
} as const

/** The name at the end of the path. */
const idOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

const overEffect = <E>(url: string, self: HttpClient.HttpClient.With<E>) => {
  const decode = Schema.decodeUnknownEffect(Plan)
  const client = HttpClient.filterStatusOk(self)
  return (path: string) =>
    client.get(`${url}${path}`).pipe(
      Effect.flatMap((response) => response.json),
      Effect.flatMap(decode)
    )
}

const bareEffectClient: Client = {
  name: "bare Effect client",
  beside: "bare Effect client",
  make: async (url) => ({ family: "effect", ask: overEffect(url, await runtime.runPromise(HttpClient.HttpClient)) })
}

const resilientClient: Client = {
  name: "ResilientHttpClient",
  beside: bareEffectClient.name,
  make: (url) =>
    runtime.runPromise(Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const pipeline = yield* Pipeline.make("resilient", pipelineOptions)
      return { family: "effect", ask: overEffect(url, ResilientHttpClient.make(client, pipeline)) } as const
    }))
}

const bareApiClient: Client = {
  name: "bare HttpApiClient",
  beside: "bare HttpApiClient",
  make: async (url) => {
    const client = await runtime.runPromise(HttpApiClient.make(api, { baseUrl: url }))
    return { family: "effect", ask: (path) => client.get({ params: { id: idOf(path) } }) }
  }
}

const serviceClient: Client = {
  name: "ServiceClient",
  beside: bareApiClient.name,
  make: async (url) => {
    class Plans extends ServiceClient.Service<Plans>()("Plans", { api, baseUrl: url, pipeline: pipelineOptions }) {}
    const client = await runtime.runPromise(Effect.provide(Plans, Plans.layer))
    return { family: "effect", ask: (path) => client.get({ params: { id: idOf(path) } }) }
  }
}

const overUndici = (url: string) => {
  const pool = new Pool(url, { connections: concurrency })
  return async (path: string): Promise<typeof plan> => {
    const { body, statusCode } = await pool.request({ path, method: "GET" })
    const answer = await body.json()
    if (statusCode !== 200) throw new Error(`status ${statusCode}`)
    return answer as typeof plan
  }
}

const bareUndici: Client = {
  name: "bare undici",
  beside: "bare undici",
  make: async (url) => ({ family: "promise", ask: overUndici(url) })
}

const cockatielUndici: Client = {
  name: "cockatiel around undici",
  beside: bareUndici.name,
  make: async (url) => {
    const ask = overUndici(url)
    const policy = Cockatiel.wrap(
      Cockatiel.retry(Cockatiel.handleWhen((error) => !(error instanceof Cockatiel.BrokenCircuitError)), {
        maxAttempts: retries,
        backoff: new Cockatiel.ExponentialBackoff({ initialDelay: measured.retryDelay })
      }),
      makeCockatielBreaker(),
      Cockatiel.timeout(measured.timeout, Cockatiel.TimeoutStrategy.Aggressive)
    )
    return { family: "promise", ask: (path) => policy.execute(() => ask(path)) }
  }
}

/** It has no breaker. */
const got: Client = {
  name: "got, its retries",
  beside: bareUndici.name,
  make: async (url) => {
    const client = Got.extend({
      prefixUrl: url,
      agent: { http: new Agent({ keepAlive: true, maxSockets: concurrency }) },
      retry: { limit: retries, calculateDelay: ({ computedValue }) => Math.min(computedValue, measured.retryDelay) },
      timeout: { request: measured.timeout }
    })
    return { family: "promise", ask: (path) => client.get(path.slice(1)).json<typeof plan>() }
  }
}

/** It has no breaker, and stands on the fetch of Node. */
const overKy: Client = {
  name: "ky, its retries",
  beside: bareUndici.name,
  make: async (url) => {
    const client = ky.create({
      prefix: url,
      retry: { limit: retries, backoffLimit: measured.retryDelay },
      timeout: measured.timeout
    })
    return { family: "promise", ask: (path) => client.get(path.slice(1)).json<typeof plan>() }
  }
}

/** The bare ones measured beside themselves are the control: what they show is noise. */
export const clients: ReadonlyArray<Client> = [
  bareEffectClient,
  resilientClient,
  bareApiClient,
  serviceClient,
  bareUndici,
  cockatielUndici,
  got,
  overKy
]
