/** The application of the drill, started by a test: back ends and a gateway to them, over real sockets. */
import { ConfigProvider, Effect, Logger, Redacted, Schedule, Schema } from "effect"
import * as BackEnds from "../../examples/drill/BackEnds.ts"
import * as GatewayServer from "../../examples/drill/Gateway.ts"
import {
  type Attempt,
  type BreakerChange,
  type Fault,
  type Gateway,
  type Service,
  services
} from "../../examples/drill/Recording.ts"
import * as Settings from "../../examples/drill/Settings.ts"

/** The token that services show each other. */
export const secret = "a-token-that-nobody-may-read"

/** A gateway with back ends of its own. Times are divided by 40, so that a second is 25 ms. */
export const start = Effect.fnUntraced(function*(
  gateway: Gateway,
  { environment = {}, factor = 40, token = secret }: {
    readonly environment?: Readonly<Record<string, string>>
    readonly factor?: number
    /** The token that the gateway has. */
    readonly token?: string
  } = {}
) {
  const attempts: Array<Omit<Attempt, "gateway">> = []
  const changes: Array<Omit<BreakerChange, "gateway">> = []
  const arrivals: Array<Service> = []
  const { become, urls } = yield* BackEnds.make({
    factor,
    token: Redacted.make(secret),
    onArrival: (service) => arrivals.push(service)
  })
  const env = {
    CHROMA_SERVER_URL: urls.vectorStore,
    FILESYSTEM_SERVER_URL: urls.fileSystem,
    BILLING_SERVER_URL: urls.billing,
    GIT_SERVER_URL: urls.git,
    INTERNAL_TOKEN: token,
    DRILL_FACTOR: String(factor),
    ...environment
  }
  const { url } = yield* GatewayServer.serve(
    gateway,
    yield* Settings.settings.parse(ConfigProvider.fromEnv({ env })),
    { onAttempt: (attempt) => attempts.push(attempt), onChange: (change) => changes.push(change) }
  )
  const chat = post(url, "/v1/api/chat", { question: "How long is a refund open?" })
  const file = (name: string) => ask(`${url}/v1/api/files/${name}`)
  const charge = post(url, "/v1/api/charges", { account: "a", cents: 100 })
  const snapshot = post(url, "/v1/api/snapshots", { message: "a snapshot" })
  // code is loaded by the first calls, and they say nothing about times
  yield* Effect.all([chat, file("README.md"), charge, snapshot])
  // a gateway tells of an attempt a moment after it
  yield* eventually(() => attempts.length === arrivals.length)
  attempts.length = 0
  arrivals.length = 0
  return {
    url,
    urls,
    arrivals,
    attempts,
    changes,
    become,
    all: (fault: Fault | undefined) => Effect.forEach(services, (service) => become(service, fault), { discard: true }),
    chat,
    file,
    charge,
    snapshot,
    status: ask(`${url}/v1/api/status/services`)
  }
})

/** What a caller gets, and after how many milliseconds. */
export const ask = (url: string, init: RequestInit = {}) =>
  Effect.promise(async (signal) => {
    const sent = performance.now()
    const response = await fetch(url, { ...init, signal })
    const text = await response.text()
    return {
      status: response.status,
      retryAfter: response.headers.get("retry-after"),
      text,
      body: text === "" ? {} : readBody(JSON.parse(text)),
      waited: performance.now() - sent
    }
  })

const readBody = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Unknown))

const json = (body: object): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" }
})

export const post = (url: string, path: string, body: object) => ask(url + path, json(body))

/** Waits until something is so, for ten seconds at most. */
export const eventually = (isSo: () => boolean) =>
  Effect.repeat(Effect.sync(isSo), { until: (is) => is, schedule: Schedule.spaced("5 millis") }).pipe(
    Effect.timeout("10 seconds")
  )

/** Collects what is logged, instead of printing it. */
export const logged = () => {
  const lines: Array<string> = []
  const logger = Logger.map(Logger.formatJson, (line) => {
    lines.push(line)
  })
  return { lines, layer: Logger.layer([logger]) }
}

/** Runs a test without its log. */
export const quietly = Effect.provide(Logger.layer([]))
