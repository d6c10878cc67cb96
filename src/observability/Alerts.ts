/**
 * Alerts: rules over what pipelines do, and whom to tell.
 *
 * An alert is raised once when something begins, and a notice follows when it is
 * over: both carry the same `id`. A rule that looks at a time span is over only
 * when the whole span was well, so that it does not come and go.
 *
 * Breakers tell by events of their changes, and are looked at besides: one that was
 * open before anybody watched, and a key that is dropped, tell of nothing. All else is
 * read at intervals from the policies' own counters. Handlers run apart from all that;
 * see `Notify`.
 *
 * Keys of breakers are subjects of their own, at most 10,000 of them at a time.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isObject } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as CircuitBreaker from "../CircuitBreaker.ts"
import * as RequestId from "../http/RequestId.ts"
import { guarded } from "../internal/guarded.ts"
import { integer, nonEmpty, oneOf, onlyKeys, positiveMillis, refuse, share } from "../internal/options.ts"
import { monotonicMillis } from "../internal/time.ts"
import { Resilience } from "../Resilience.ts"
import {
  type Episodes,
  maxSubjects,
  noted,
  Outages,
  type RuleSettings,
  type Subject,
  subjectKey,
  type View,
  watching
} from "./internal/alertRules.ts"
import { checkedHandlers, delivering } from "./internal/delivery.ts"
import type { Handlers, Services } from "./Notify.ts"

/** What all rules have. */
interface OfAll {
  /** What alerts call the rule. Default: its kind. */
  readonly name?: string | undefined
  /** The pipelines that it is about, or, of an operation with parts of its own, `pipeline/operation`. Default: all. */
  readonly pipelines?: ReadonlyArray<string> | undefined
}

/**
 * When somebody is told.
 *
 * - `opened`: a breaker opens; over when it has closed
 * - `open-longer`: a breaker has not been closed for longer than `than`
 * - `flapping`: a breaker that was closed opens `openings` times (default 3) within
 *   `within` (default 10 minutes); over when it has not for as long
 * - `error-rate`: at least `threshold` (default 0.5) of the calls within `within`
 *   (default 1 minute) failed or were refused, before any fallback, from
 *   `minimumCalls` on (default 20)
 * - `budget-empty`: a retry or a hedge was not made for want of budget; over when
 *   that has not been for `within` (default 1 minute)
 * - `limit-shrinking`: an adaptive limit has fallen to `to` (default 0.5) of the
 *   highest within `within` (default 5 minutes), or below; over when it was above that
 *   for as long
 *
 * What somebody does by hand raises nothing: a breaker that is forced or disabled is
 * judged by where it stands beneath, and an outage goes on until that has closed.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule =
  & OfAll
  & (
    | { readonly kind: "opened" }
    | { readonly kind: "open-longer"; readonly than: Duration.Input }
    | {
      readonly kind: "flapping"
      readonly openings?: number | undefined
      readonly within?: Duration.Input | undefined
    }
    | {
      readonly kind: "error-rate"
      readonly threshold?: number | undefined
      readonly within?: Duration.Input | undefined
      readonly minimumCalls?: number | undefined
    }
    | { readonly kind: "budget-empty"; readonly within?: Duration.Input | undefined }
    | {
      readonly kind: "limit-shrinking"
      readonly to?: number | undefined
      readonly within?: Duration.Input | undefined
    }
  )

const kinds = ["opened", "open-longer", "flapping", "error-rate", "budget-empty", "limit-shrinking"] as const

/**
 * Something has begun, or is over.
 *
 * @category models
 * @since 0.1.0
 */
export const Alert = Schema.TaggedStruct("Alert", {
  /** The same when it begins and when it is over. */
  id: Schema.String,
  state: Schema.Literals(["raised", "recovered"]),
  /** The name of the rule. */
  rule: Schema.String,
  kind: Schema.Literals(kinds),
  /** The pipeline, or `pipeline/operation` where the operation has a part of its own. */
  pipeline: Schema.String,
  /** The key, where the breaker has many. */
  key: Schema.optionalKey(Schema.String),
  /** `Error` when it begins, `Info` when it is over. */
  level: Schema.Literals(["Error", "Info"]),
  /** When it was raised, in milliseconds since the epoch. */
  since: Schema.Finite,
  /** When this is told, in milliseconds since the epoch. */
  at: Schema.Finite,
  /** How long it has lasted, in milliseconds. Only when it is over. */
  lasted: Schema.optionalKey(Schema.Finite),
  /** In one line, for people. */
  text: Schema.String
})

/**
 * Something has begun, or is over.
 *
 * @category models
 * @since 0.1.0
 */
export type Alert = typeof Alert.Type

/**
 * What is watched, and who is told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<H extends Handlers<Alert, unknown> = Handlers<Alert>> {
  readonly rules: ReadonlyArray<Rule>
  /** Who is told of each alert; see `Notify` for the log and webhooks. */
  readonly handlers: H
  /** How often is looked at what does not tell of itself. Default: 1 second. */
  readonly every?: Duration.Input | undefined
}

/** So many keys that are down are looked at each time, whether they still are. */
const maxKeys = 200

const optionsOf: { readonly [K in Rule["kind"]]: ReadonlyArray<string> } = {
  "opened": [],
  "open-longer": ["than"],
  "flapping": ["openings", "within"],
  "error-rate": ["threshold", "within", "minimumCalls"],
  "budget-empty": ["within"],
  "limit-shrinking": ["to", "within"]
}

interface Checked {
  readonly name: string
  readonly concerns: (pipeline: string) => boolean
  readonly settings: RuleSettings
}

const checked = (rule: Rule): Checked => {
  oneOf("Alerts.layer", "kind", rule.kind, kinds)
  const module_ = `Alerts.layer: ${rule.kind}`
  onlyKeys(module_, rule, ["kind", "name", "pipelines", ...optionsOf[rule.kind]])
  const { pipelines } = rule
  if (pipelines !== undefined && !(Array.isArray(pipelines) && pipelines.every((name) => typeof name === "string"))) {
    refuse(module_, "pipelines", "a list of names", pipelines)
  }
  const names = pipelines === undefined ? undefined : new Set(pipelines)
  return {
    name: nonEmpty(module_, "name", rule.name ?? rule.kind),
    concerns: (pipeline) => names === undefined || names.has(pipeline),
    settings: settingsOf(module_, rule)
  }
}

const settingsOf = (module_: string, rule: Rule): RuleSettings => {
  const millis = (option: string, input: Duration.Input) => positiveMillis(module_, option, input)
  switch (rule.kind) {
    case "opened":
      return { kind: rule.kind }
    case "open-longer":
      return { kind: rule.kind, than: millis("than", rule.than) }
    case "flapping":
      return {
        kind: rule.kind,
        openings: integer(module_, "openings", rule.openings ?? 3, 2, 1_000),
        within: millis("within", rule.within ?? "10 minutes")
      }
    case "error-rate":
      return {
        kind: rule.kind,
        threshold: share(module_, "threshold", rule.threshold ?? 0.5),
        within: millis("within", rule.within ?? "1 minutes"),
        minimumCalls: integer(module_, "minimumCalls", rule.minimumCalls ?? 20, 1)
      }
    case "budget-empty":
      return { kind: rule.kind, within: millis("within", rule.within ?? "1 minutes") }
    case "limit-shrinking":
      return {
        kind: rule.kind,
        to: share(module_, "to", rule.to ?? 0.5),
        within: millis("within", rule.within ?? "5 minutes")
      }
  }
}

/**
 * Watches by rules, and tells handlers. Provide it with the pipelines, once. It
 * listens to breakers alone, and costs calls nothing. A bad option throws a
 * `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { Alerts } from "effect-resilience/observability"
 *
 * const told: Array<string> = []
 * const alerts = Alerts.layer({
 *   rules: [{ kind: "opened" }, { kind: "error-rate", threshold: 0.2, within: "5 minutes" }],
 *   handlers: [({ text }) => Effect.sync(() => told.push(text))]
 * })
 *
 * const program = Effect.gen(function*() {
 *   const billing = yield* Pipeline.make("billing", { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } })
 *   yield* Effect.ignore(billing.protect(Effect.fail({ _tag: "FetchFailed" })))
 *   yield* Effect.sleep("100 millis")
 * })
 * await program.pipe(Effect.provide(Layer.provideMerge(alerts, Resilience.layer)), Effect.runPromise)
 *
 * console.log(told[0]) // => billing: circuit breaker open (FetchFailed)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const H extends Handlers<Alert, unknown>>(
  options: Options<H>
): Layer.Layer<never, never, Resilience | Services<H>> => {
  onlyKeys("Alerts.layer", options, ["rules", "handlers", "every"])
  const isRules = Array.isArray(options.rules) && options.rules.every((rule) => isObject(rule))
  if (!isRules) refuse("Alerts.layer", "rules", "a list of rules", options.rules)
  const rules = options.rules.map(checked)
  const handlers = checkedHandlers("Alerts.layer", options.handlers)
  const every = positiveMillis("Alerts.layer", "every", options.every ?? "1 seconds")
  return Layer.effectDiscard(Effect.gen(function*() {
    const resilience = yield* Resilience
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const tell = yield* delivering<Alert, H>(handlers)

    const watches = rules.map(({ concerns, name, settings }) =>
      watching(settings, episodes(name, settings.kind, concerns))
    )
    const outages = new Outages(watches)

    /** The episodes of one rule. */
    function episodes(rule: string, kind: Alert["kind"], concerns: (pipeline: string) => boolean): Episodes {
      const on = new Map<string, { readonly id: string; readonly since: number; readonly began: number }>()
      const alert = (subject: Subject, of: Pick<Alert, "id" | "state" | "level" | "since" | "text">): Alert => ({
        _tag: "Alert",
        ...of,
        rule,
        kind,
        pipeline: subject.pipeline,
        ...(subject.key === undefined ? {} : { key: subject.key }),
        at: clock.currentTimeMillisUnsafe()
      })
      return {
        isOn: (subject) => on.has(subjectKey(subject)),
        raise: (subject, text) => {
          const key = subjectKey(subject)
          if (!concerns(subject.pipeline) || on.has(key) || on.size >= maxSubjects) return
          const id = Effect.runSyncWith(context)(RequestId.make)
          const since = clock.currentTimeMillisUnsafe()
          on.set(key, { id, since, began: monotonicMillis(clock) })
          tell(alert(subject, { id, state: "raised", level: "Error", since, text }))
        },
        recover: (subject, text) => {
          const key = subjectKey(subject)
          const episode = on.get(key)
          if (episode === undefined) return
          on.delete(key)
          const { began, id, since } = episode
          tell({
            ...alert(subject, { id, state: "recovered", level: "Info", since, text }),
            lasted: Math.round(monotonicMillis(clock) - began)
          })
        }
      }
    }

    const read = Effect.gen(function*(): Effect.fn.Return<View> {
      const keyed = yield* resilience.parts("keyedCircuitBreaker")
      const keys: Array<CircuitBreaker.Snapshot> = []
      for (const { key, pipeline } of outages.next(maxKeys)) {
        const breaker = keyed.get(pipeline)
        if (key !== undefined && breaker !== undefined) keys.push(yield* breaker.of(key).snapshot)
      }
      return {
        breakers: [...(yield* snapshots(yield* resilience.parts("circuitBreaker"))).values(), ...keys],
        counts: yield* forAll(yield* resilience.pipelines, ({ counts }) => counts),
        budgets: yield* snapshots(yield* resilience.parts("retryBudget")),
        limits: yield* snapshots(yield* resilience.parts("adaptiveLimit"))
      }
    })
    const look = Effect.map(read, (view) => {
      const now = monotonicMillis(clock)
      guarded(() => outages.look(view.breakers, now))
      for (const watch of watches) guarded(() => watch.look?.(view, outages.all, now))
    })

    yield* look
    yield* resilience.listen(noted, (event) => outages.note(event, monotonicMillis(clock)))
    // what breaks for one look is there for the next
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(every), Effect.exit(look))))
  }))
}

const forAll = <A, B>(
  all: ReadonlyMap<string, A>,
  read: (one: A) => Effect.Effect<B>
): Effect.Effect<ReadonlyMap<string, B>> =>
  Effect.gen(function*() {
    const found = new Map<string, B>()
    for (const [name, one] of all) found.set(name, yield* read(one))
    return found
  })

const snapshots = <S>(parts: ReadonlyMap<string, { readonly snapshot: Effect.Effect<S> }>) =>
  forAll(parts, ({ snapshot }) => snapshot)
