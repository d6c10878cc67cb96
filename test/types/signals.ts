/** What the types of metrics, log lines, alerts and error reports promise. Checked by the compiler alone. */
import { Context, Effect, type Layer } from "effect"
import type { HttpClient, HttpRouter } from "effect/http"
import type { Resilience } from "../../src/index.ts"
import {
  Alerts,
  ErrorReports,
  LogLines,
  Metrics,
  Notify,
  Observability,
  type Recoveries
} from "../../src/observability/index.ts"
import type { Equal, Expect } from "./assert.ts"

const metrics = Metrics.layer({ maxOperations: 10 })
const route = Metrics.layerRoute({ path: "/internal/metrics" })
const lines = LogLines.layer()
const webhook = Notify.webhook({ url: "https://chat.example/hook" })
export type Layers = [
  Expect<Equal<typeof metrics, Layer.Layer<Metrics.Metrics, never, Resilience.Resilience>>>,
  Expect<Equal<typeof route, Layer.Layer<never, never, Metrics.Metrics | HttpRouter.HttpRouter>>>,
  Expect<Equal<typeof lines, Layer.Layer<never, never, Resilience.Resilience>>>,
  Expect<Equal<typeof webhook, Effect.Effect<Notify.Handler, never, HttpClient.HttpClient | Resilience.Resilience>>>,
  Expect<Equal<typeof Recoveries.layer, Layer.Layer<Recoveries.Recoveries, never, Resilience.Resilience>>>
]

// handlers may need services, which the layer then asks for, and may fail with anything
class Pager
  extends Context.Service<Pager, { readonly page: (text: string) => Effect.Effect<void, "busy"> }>()("Pager")
{}
const page: Notify.Handler<Alerts.Alert, Pager> = ({ text }) => Effect.flatMap(Pager, (pager) => pager.page(text))
const alerts = Alerts.layer({ rules: [{ kind: "open-longer", than: "5 minutes" }], handlers: [page, Notify.log] })
const reports = ErrorReports.layer({ handlers: [Notify.log] })
// what makes a handler stands for it, and the layer asks for what it needs
const posted = Alerts.layer({ rules: [], handlers: [Notify.log, webhook, page] })
const bothPosted = ErrorReports.layer({ handlers: [webhook, Notify.log] })
export type Handlers = [
  Expect<Equal<typeof posted, Layer.Layer<never, never, Resilience.Resilience | HttpClient.HttpClient | Pager>>>,
  Expect<
    Equal<
      typeof bothPosted,
      Layer.Layer<ErrorReports.ErrorReports, never, Resilience.Resilience | HttpClient.HttpClient>
    >
  >,
  Expect<Equal<typeof alerts, Layer.Layer<never, never, Resilience.Resilience | Pager>>>,
  Expect<Equal<typeof reports, Layer.Layer<ErrorReports.ErrorReports, never, Resilience.Resilience>>>
]

// all at once: what is given and what is asked for is the sum of the parts
type All = Metrics.Metrics | Recoveries.Recoveries | ErrorReports.ErrorReports
const all = Observability.layer()
const told = Observability.layer({
  alerts: { handlers: [page] },
  errorReports: { handlers: [webhook] },
  logLines: false
})
export type AtOnce = [
  Expect<Equal<typeof all, Layer.Layer<All, never, Resilience.Resilience>>>,
  Expect<Equal<typeof told, Layer.Layer<All, never, Resilience.Resilience | HttpClient.HttpClient | Pager>>>
]

// handlers on the spot know what they are told, and what they need is asked for
const onTheSpot = Observability.layer({
  alerts: { handlers: [({ state }) => Effect.map(Pager, () => state === "raised")] },
  errorReports: { handlers: [({ frames }) => Effect.succeed(frames.length)] }
})
const reportedOnTheSpot = ErrorReports.layer({ handlers: [({ frames }) => Effect.map(Pager, () => frames.length)] })
export type OnTheSpot = [
  Expect<Equal<typeof onTheSpot, Layer.Layer<All, never, Resilience.Resilience | Pager>>>,
  Expect<
    Equal<typeof reportedOnTheSpot, Layer.Layer<ErrorReports.ErrorReports, never, Resilience.Resilience | Pager>>
  >
]

// @ts-expect-error alerts without anybody to tell
Observability.layer({ alerts: {} })
// @ts-expect-error there is no such option
Observability.layer({ traces: true })
// @ts-expect-error a token in the clear
Observability.layerRoutes({ controlTokens: { olga: "secret" } })

// a rule has its own options and no others
export const rules: ReadonlyArray<Alerts.Rule> = [
  { kind: "opened", pipelines: ["billing"] },
  // @ts-expect-error how long is not optional
  { kind: "open-longer" },
  // @ts-expect-error there is no such rule
  { kind: "closed" },
  // @ts-expect-error the option belongs to another rule
  { kind: "budget-empty", threshold: 1 }
]

// @ts-expect-error there is no such option
Metrics.layer({ latency: true })

// a handler of alerts alone cannot be told of errors
// @ts-expect-error an error report is no alert
ErrorReports.layer({ handlers: [page] })
