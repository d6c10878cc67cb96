/**
 * Error reports: the errors of attempts in groups, with how often each was seen,
 * since when, and where in the code, for a service that collects them.
 *
 * Errors are alike when they have the same fingerprint: their kind, which is the
 * tag or the name, the pipeline, the operation, and the first frames of the stack
 * without line numbers. A new one is reported at once, and again at intervals as
 * long as it is seen. Only what the dependency is to blame for is reported, as
 * `Outcome` judges it: no refusals, no interruptions, no overload.
 *
 * A report holds no messages and no values, unless the message is asked for.
 *
 * It is bounded: so many groups, so many reports within an interval, so many
 * operations of a pipeline (further ones are `other`), and so many stacks read:
 * what is beyond is counted in the group that was seen last.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { flag, integer, onlyKeys, positiveMillis } from "../internal/options.ts"
import { Resilience } from "../Resilience.ts"
import { checkedHandlers, delivering } from "./internal/delivery.ts"
import { ErrorGroups } from "./internal/errorGroups.ts"
import type { Handlers, Services } from "./Notify.ts"

/**
 * Errors that are alike. Times are milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export const Report = Schema.TaggedStruct("ErrorReport", {
  /** The fingerprint: 16 hexadecimal digits. */
  id: Schema.String,
  pipeline: Schema.String,
  operation: Schema.optionalKey(Schema.String),
  /** The tag or the name of the error. */
  kind: Schema.String,
  level: Schema.Literal("Error"),
  /** The first frames of the stack of one of them, those of Effect and Node left out. */
  frames: Schema.Array(Schema.String),
  /** How many were seen. */
  count: Schema.Natural,
  /** How many of them since the last report. */
  since: Schema.Natural,
  firstSeen: Schema.Finite,
  lastSeen: Schema.Finite,
  /** The message of one of them. Only where it is asked for. */
  message: Schema.optionalKey(Schema.String),
  /** In one line, for people. */
  text: Schema.String
})

/**
 * Errors that are alike.
 *
 * @category models
 * @since 0.1.0
 */
export type Report = typeof Report.Type

/**
 * What is reported, and to whom.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<H extends Handlers<Report, unknown> = Handlers<Report>> {
  /** Who gets each report; see `Notify` for the log and webhooks. Default: nobody; `groups` can be read. */
  readonly handlers?: H | undefined
  /** How often a group that is still seen is reported again. Default: 1 minute. */
  readonly every?: Duration.Input | undefined
  /** How many reports are made within that time. Groups that are too many wait for the next. Default: 100. */
  readonly reports?: number | undefined
  /** How many groups are remembered; the one not seen for longest is forgotten. Default: 500. */
  readonly groups?: number | undefined
  /**
   * Whether reports hold the message of an error. It may hold what should go
   * nowhere: addresses, names, tokens. Default: `false`.
   */
  readonly messages?: boolean | undefined
}

/**
 * The groups of errors.
 *
 * @category services
 * @since 0.1.0
 */
export class ErrorReports extends Context.Service<ErrorReports, {
  /** All groups, the one seen last first. */
  readonly groups: Effect.Effect<ReadonlyArray<Report>>
}>()("effect-resilience/observability/ErrorReports") {}

const module_ = "ErrorReports.layer"

/**
 * Groups the errors of all pipelines, and reports them. Provide it with the
 * pipelines, once. It needs events: pipelines tell of every attempt where it is
 * installed. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { ErrorReports } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function*() {
 *   const billing = yield* Pipeline.make("billing", {})
 *   for (let n = 0; n < 3; n++) {
 *     yield* Effect.ignore(billing.protect(Effect.fail({ _tag: "NoRoute", secret: n }), { operation: "charge" }))
 *   }
 *   yield* Effect.sleep("10 millis")
 *   return yield* (yield* ErrorReports.ErrorReports).groups
 * })
 *
 * const reported = ErrorReports.layer().pipe(Layer.provideMerge(Resilience.layer))
 * const [group] = await program.pipe(Effect.provide(reported), Effect.runPromise)
 *
 * console.log(group?.pipeline, group?.operation, group?.kind, group?.count) // => billing charge NoRoute 3
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const H extends Handlers<Report, unknown> = Handlers<Report>>(
  options: Options<H> = {}
): Layer.Layer<ErrorReports, never, Resilience | Services<H>> => {
  onlyKeys(module_, options, ["handlers", "every", "reports", "groups", "messages"])
  const handlers = checkedHandlers<H | readonly []>(module_, options.handlers ?? [])
  const every = positiveMillis(module_, "every", options.every ?? "1 minutes")
  const reports = integer(module_, "reports", options.reports ?? 100, 1)
  const most = integer(module_, "groups", options.groups ?? 500, 1)
  const messages = flag(module_, "messages", options.messages ?? false)
  return Layer.effect(
    ErrorReports,
    Effect.gen(function*() {
      const resilience = yield* Resilience
      const report = yield* delivering<Report, H | readonly []>(handlers)
      const groups = new ErrorGroups({ most, reports, messages, report })
      yield* resilience.listen(["Attempted"], (event) => {
        if (event.outcome === "Failure") groups.add(event)
      })
      const again = Effect.sync(() => groups.endInterval())
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(every), again)))
      return ErrorReports.of({ groups: Effect.sync(() => groups.all) })
    })
  )
}
