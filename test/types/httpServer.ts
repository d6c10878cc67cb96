/** What the types of server middleware promise. Checked by the compiler alone. */
import { Effect, type Layer, Redacted, type Scope } from "effect"
import type { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as Problem from "../../src/http/Problem.ts"
import * as BodyLimit from "../../src/http/server/BodyLimit.ts"
import * as CallerRateLimit from "../../src/http/server/CallerRateLimit.ts"
import * as Drain from "../../src/http/server/Drain.ts"
import * as LoadShedding from "../../src/http/server/LoadShedding.ts"
import * as Server from "../../src/http/server/Server.ts"
import * as ServerDeadline from "../../src/http/server/ServerDeadline.ts"
import * as ServerErrors from "../../src/http/server/ServerErrors.ts"
import * as ServerRequestId from "../../src/http/server/ServerRequestId.ts"
import * as TokenCheck from "../../src/http/server/TokenCheck.ts"
import type { Equal, Expect } from "./assert.ts"

type Router = HttpRouter.HttpRouter
type Around = Layer.Layer<never, never, Router>

declare const app: Effect.Effect<HttpServerResponse.HttpServerResponse, "own", Set<1>>

// middleware adds no error and takes none away, and needs a request alone
const around = ServerErrors.middleware()(app)
const within = ServerDeadline.middleware({ max: "1 second" })(app)
const named = ServerRequestId.middleware(app)
const shed = Effect.flatMap(LoadShedding.make(), (middleware) => middleware(app))
type Wrapped = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  "own",
  Set<1> | HttpServerRequest.HttpServerRequest | Scope.Scope
>

const server = Server.layer()
const errors = ServerErrors.layer({ details: true })
const requestId = ServerRequestId.layer
const deadline = ServerDeadline.layer()
const shedding = LoadShedding.layer({ priority: () => "sheddable", except: ({ method }) => method === "OPTIONS" })
const rates = CallerRateLimit.layer({ limit: { kind: "fixed-window", permits: 1, per: 1 }, key: (_, caller) => caller })
const tokens = TokenCheck.layer({ tokens: { a: Redacted.make("a") } })
const body = BodyLimit.layer({ maxBytes: 1 })
const drain = Drain.layer()
const readiness = Drain.layerReadiness("/ready")
const onStop = Drain.layerOnStop({ wait: "1 second" })
const problem = ServerErrors.toProblem(new Error())
const drained = Effect.flatMap(Drain.Drain, (_) => _.drain({ wait: "1 second" }))

export type Assertions = [
  Expect<Equal<typeof around, Wrapped>>,
  Expect<Equal<typeof within, Wrapped>>,
  Expect<Equal<typeof named, Wrapped>>,
  Expect<Equal<typeof shed, Wrapped>>,
  Expect<Equal<typeof server, Layer.Layer<Router | Drain.Drain, never, Router>>>,
  Expect<Equal<typeof errors, Layer.Layer<Router, never, Router>>>,
  Expect<Equal<typeof requestId, Around>>,
  Expect<Equal<typeof deadline, Around>>,
  Expect<Equal<typeof shedding, Around>>,
  Expect<Equal<typeof rates, Around>>,
  Expect<Equal<typeof tokens, Around>>,
  Expect<Equal<typeof body, Around>>,
  Expect<Equal<typeof drain, Layer.Layer<never, never, Router | Drain.Drain>>>,
  Expect<Equal<typeof readiness, Layer.Layer<never, never, Router | Drain.Drain>>>,
  Expect<Equal<typeof onStop, Layer.Layer<never, never, Drain.Drain>>>,
  Expect<Equal<typeof problem, Problem.Problem | undefined>>,
  Expect<Equal<typeof drained, Effect.Effect<number, never, Drain.Drain>>>
]

// @ts-expect-error: a token is a secret, and no string
TokenCheck.layer({ tokens: { a: "a" } })
// @ts-expect-error: there is no such option
Server.layer({ deadlines: {} })
// @ts-expect-error: an option has the name of its module
Server.layer({ tokens: {} })
// @ts-expect-error: there is no such priority
LoadShedding.layer({ priority: () => "low" })
// @ts-expect-error: a rate limit has a limit
CallerRateLimit.layer({})
// @ts-expect-error: a key is a string
CallerRateLimit.layer({ limit: { kind: "fixed-window", permits: 1, per: 1 }, key: () => 1 })
