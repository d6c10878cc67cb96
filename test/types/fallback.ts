/** What the types of `Fallback` promise. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off
import { Effect, ExecutionPlan, type Layer, pipe, Schema } from "effect"
import * as Fallback from "../../src/Fallback.ts"
import { CircuitBreaker, type Timeout } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

type Open = CircuitBreaker.CircuitOpen
type Late = Timeout.TimedOut

class Missing extends Schema.TaggedError<Missing>()("Missing", { id: Schema.String }) {}
class QuotaUsedUp extends Schema.TaggedError<QuotaUsedUp>()("QuotaUsedUp", {}) {}
class Offline extends Schema.TaggedError<Offline>()("Offline", {}) {}

interface CallOptions<A, E> {
  readonly operation?: string | undefined
  readonly retryIf?: ((result: A) => boolean) | undefined
  readonly classify?: ((error: E) => boolean) | undefined
}

/** The shape of a pipeline's `protect`, for one that adds `CircuitOpen` and `TimedOut`. */
declare const protect: {
  <A, E, R, B, E2, R2>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E> & { readonly fallback: (error: E | Open | Late) => Effect.Effect<B, E2, R2> }
  ): Effect.Effect<A | B, E2, R | R2>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E> & { readonly fallback?: undefined }
  ): Effect.Effect<A, E | Open | Late, R>
}

declare const work: Effect.Effect<"answer", Missing | QuotaUsedUp, "database">
declare const second: Effect.Effect<"second", Offline, "network">
declare const third: Effect.Effect<"third", never, "disk">
declare const isMissing: (error: unknown) => error is Missing
declare const isOpen: (error: Open | Late) => error is Open

type All = Missing | QuotaUsedUp | Open | Late

// -----------------------------------------------------------------------------
// in a pipeline
// -----------------------------------------------------------------------------

export const inPipeline = {
  value: protect(work, { fallback: Fallback.value(0) }),
  effect: protect(work, { fallback: Fallback.effect(second) }),
  effectOf: protect(work, { fallback: Fallback.effect((error) => Effect.succeed(error._tag)) }),
  plain: protect(work, { fallback: (error) => Effect.succeed(error) }),
  on: protect(work, { fallback: Fallback.on(["CircuitOpen"], Fallback.value(0)) }),
  onTwo: protect(work, { fallback: Fallback.on(["CircuitOpen", "TimedOut"], Fallback.effect(second)) }),
  onLambda: protect(work, { fallback: Fallback.on(["CircuitOpen", "Missing"], (error) => Effect.succeed(error)) }),
  onAnnotated: protect(work, { fallback: Fallback.on(["Missing"], (error: Missing) => Effect.succeed(error.id)) }),
  onRefinement: protect(work, { fallback: Fallback.on(isMissing, (error) => Effect.succeed(error.id)) }),
  onSchema: protect(work, { fallback: Fallback.on(Schema.is(Missing), Fallback.value(0)) }),
  except: protect(work, { fallback: Fallback.except(["QuotaUsedUp"], Fallback.value(0)) }),
  exceptEffect: protect(work, { fallback: Fallback.except(["QuotaUsedUp", "Missing"], Fallback.effect(second)) }),
  exceptThunk: protect(work, { fallback: Fallback.except(["QuotaUsedUp"], () => second) }),
  exceptLambda: protect(work, { fallback: Fallback.except(["QuotaUsedUp"], (error) => Effect.succeed(error)) }),
  exceptRefinement: protect(work, { fallback: Fallback.except(isMissing, (error) => Effect.succeed(error._tag)) }),
  onOutcome: protect(work, { fallback: Fallback.onOutcome(["Failure", "Overload"], Fallback.value(0)) }),
  chain: protect(work, { fallback: Fallback.chain(Fallback.effect(second), Fallback.effect(third)) }),
  chainLeaves: protect(work, {
    fallback: Fallback.chain(
      Fallback.on(["CircuitOpen"], Fallback.effect(second)),
      Fallback.on(["TimedOut", "Offline"], Fallback.effect(third))
    )
  }),
  chainLambda: protect(work, {
    fallback: Fallback.chain(
      Fallback.on(["Missing"], (error) => Effect.succeed(error.id)),
      Fallback.on(["CircuitOpen", "TimedOut"], (error) => Effect.succeed(error.policy))
    )
  }),
  nested: protect(work, {
    fallback: Fallback.except(
      ["QuotaUsedUp"],
      Fallback.chain(
        Fallback.on(["CircuitOpen"], Fallback.effect(second)),
        Fallback.onOutcome(["Failure"], Fallback.value(0))
      )
    )
  }),
  exceptOn: protect(work, { fallback: Fallback.except(["QuotaUsedUp"], Fallback.on(["TimedOut"], Fallback.value(0))) }),
  options: protect(work, {
    operation: "a",
    retryIf: () => true,
    fallback: Fallback.on(["TimedOut"], Fallback.value(0))
  }),
  none: protect(work)
}

type InPipeline = typeof inPipeline

export type InPipelineIs = [
  Expect<Equal<InPipeline["value"], Effect.Effect<"answer" | number, never, "database">>>,
  Expect<Equal<InPipeline["effect"], Effect.Effect<"answer" | "second", Offline, "database" | "network">>>,
  Expect<Equal<InPipeline["effectOf"], Effect.Effect<"answer" | All["_tag"], never, "database">>>,
  Expect<Equal<InPipeline["plain"], Effect.Effect<"answer" | All, never, "database">>>,
  Expect<Equal<InPipeline["on"], Effect.Effect<"answer" | number, Missing | QuotaUsedUp | Late, "database">>>,
  Expect<
    Equal<
      InPipeline["onTwo"],
      Effect.Effect<"answer" | "second", Missing | QuotaUsedUp | Offline, "database" | "network">
    >
  >,
  Expect<Equal<InPipeline["onLambda"], Effect.Effect<"answer" | Open | Missing, QuotaUsedUp | Late, "database">>>,
  Expect<Equal<InPipeline["onAnnotated"], Effect.Effect<string, QuotaUsedUp | Open | Late, "database">>>,
  Expect<Equal<InPipeline["onRefinement"], Effect.Effect<string, QuotaUsedUp | Open | Late, "database">>>,
  Expect<Equal<InPipeline["onSchema"], Effect.Effect<"answer" | number, QuotaUsedUp | Open | Late, "database">>>,
  Expect<Equal<InPipeline["except"], Effect.Effect<"answer" | number, QuotaUsedUp, "database">>>,
  Expect<
    Equal<
      InPipeline["exceptEffect"],
      Effect.Effect<"answer" | "second", QuotaUsedUp | Missing | Offline, "database" | "network">
    >
  >,
  Expect<
    Equal<InPipeline["exceptThunk"], Effect.Effect<"answer" | "second", QuotaUsedUp | Offline, "database" | "network">>
  >,
  Expect<Equal<InPipeline["exceptLambda"], Effect.Effect<"answer" | Missing | Open | Late, QuotaUsedUp, "database">>>,
  Expect<
    Equal<
      InPipeline["exceptRefinement"],
      Effect.Effect<"answer" | All["_tag"], Missing, "database">
    >
  >,
  Expect<Equal<InPipeline["onOutcome"], Effect.Effect<"answer" | number, All, "database">>>,
  Expect<
    Equal<InPipeline["chain"], Effect.Effect<"answer" | "second" | "third", never, "database" | "network" | "disk">>
  >,
  Expect<
    Equal<
      InPipeline["chainLeaves"],
      Effect.Effect<"answer" | "second" | "third", Missing | QuotaUsedUp, "database" | "network" | "disk">
    >
  >,
  Expect<Equal<InPipeline["chainLambda"], Effect.Effect<string, QuotaUsedUp, "database">>>,
  Expect<
    Equal<
      InPipeline["nested"],
      Effect.Effect<
        "answer" | "second" | number,
        QuotaUsedUp | Missing | Late | Offline,
        "database" | "network"
      >
    >
  >,
  Expect<
    Equal<InPipeline["exceptOn"], Effect.Effect<"answer" | number, Missing | QuotaUsedUp | Open, "database">>
  >,
  Expect<
    Equal<InPipeline["options"], Effect.Effect<"answer" | number, Missing | QuotaUsedUp | Open, "database">>
  >,
  Expect<Equal<InPipeline["none"], Effect.Effect<"answer", All, "database">>>,
  Expect<Not<IsAny<InPipeline[keyof InPipeline]>>>
]

// -----------------------------------------------------------------------------
// made first, used later
// -----------------------------------------------------------------------------

const openOnly = Fallback.on(["CircuitOpen"], Fallback.value(0))
const byTag = Fallback.on(["CircuitOpen", "TimedOut"], (error) => Effect.succeed(error._tag))
const readsTheError = Fallback.on(["CircuitOpen"], (error: Open) => Effect.succeed(error.policy))
const notQuota = Fallback.except(["QuotaUsedUp"], Fallback.effect(second))
const whole = Fallback.chain(openOnly, notQuota)
const narrow = Fallback.on(isOpen, (error) => Effect.succeed(error.policy))
const bySchema = Fallback.on(Schema.is(Missing), (error) => Effect.succeed(error.id))
const anything = Fallback.except(["QuotaUsedUp"], (_error: unknown) => second)

export const made = {
  openOnly: protect(work, { fallback: openOnly }),
  byTag: protect(work, { fallback: byTag }),
  readsTheError: protect(work, { fallback: readsTheError }),
  notQuota: protect(work, { fallback: notQuota }),
  whole: protect(work, { fallback: whole }),
  bySchema: protect(work, { fallback: bySchema }),
  anything: anything(new Missing({ id: "1" })),
  narrow: protect(third, { fallback: narrow })
}

export type MadeIs = [
  Expect<Equal<typeof made.openOnly, Effect.Effect<"answer" | number, Missing | QuotaUsedUp | Late, "database">>>,
  Expect<
    Equal<
      typeof made.byTag,
      Effect.Effect<"answer" | "CircuitOpen" | "TimedOut", Missing | QuotaUsedUp, "database">
    >
  >,
  Expect<Equal<typeof made.readsTheError, Effect.Effect<string, Missing | QuotaUsedUp | Late, "database">>>,
  Expect<
    Equal<typeof made.notQuota, Effect.Effect<"answer" | "second", QuotaUsedUp | Offline, "database" | "network">>
  >,
  Expect<
    Equal<
      typeof made.whole,
      Effect.Effect<"answer" | "second" | number, QuotaUsedUp | Offline, "database" | "network">
    >
  >,
  Expect<Equal<typeof made.bySchema, Effect.Effect<string, QuotaUsedUp | Open | Late, "database">>>,
  // of an error that nothing is known of, one that must not be masked may be left
  Expect<Equal<typeof made.anything, Effect.Effect<"second", Offline | { readonly _tag: "QuotaUsedUp" }, "network">>>,
  Expect<Equal<typeof made.narrow, Effect.Effect<string, Late, "disk">>>
]

// -----------------------------------------------------------------------------
// on one effect
// -----------------------------------------------------------------------------

declare const open: Effect.Effect<"answer", Open | Missing, "database">
declare const plan: ExecutionPlan.ExecutionPlan<{
  provides: "network"
  input: unknown
  error: Offline
  requirements: never
}>
declare const network: Layer.Layer<"network", Offline>

export const onOne = {
  first: Fallback.orElse(open, Fallback.on(["CircuitOpen"], Fallback.value(0))),
  last: open.pipe(Fallback.orElse(Fallback.on(["CircuitOpen"], Fallback.value(0)))),
  piped: pipe(open, Fallback.orElse(Fallback.except(["Missing"], Fallback.effect(second)))),
  made: open.pipe(Fallback.orElse(whole)),
  lambda: open.pipe(Fallback.orElse((error) => Effect.succeed(error._tag))),
  lambdaOn: open.pipe(Fallback.orElse(Fallback.on(["Missing"], (error) => Effect.succeed(error.id)))),
  log: open.pipe(Fallback.orElse((error) => Effect.logWarning("not sent", error))),
  plan: Fallback.orElse(open, Fallback.effect(Effect.withExecutionPlan(second, plan))),
  literalPlan: Fallback.orElse(
    open,
    Fallback.effect(Effect.withExecutionPlan(second, ExecutionPlan.make({ provide: network, attempts: 2 })))
  )
}

export type OnOneIs = [
  Expect<Equal<typeof onOne.first, Effect.Effect<"answer" | number, Missing, "database">>>,
  Expect<Equal<typeof onOne.last, Effect.Effect<"answer" | number, Missing, "database">>>,
  Expect<Equal<typeof onOne.piped, Effect.Effect<"answer" | "second", Missing | Offline, "database" | "network">>>,
  Expect<Equal<typeof onOne.made, Effect.Effect<"answer" | number | "second", Offline, "database" | "network">>>,
  Expect<Equal<typeof onOne.lambda, Effect.Effect<"answer" | "CircuitOpen" | "Missing", never, "database">>>,
  Expect<Equal<typeof onOne.lambdaOn, Effect.Effect<string, Open, "database">>>,
  Expect<Equal<typeof onOne.log, Effect.Effect<"answer" | void, never, "database">>>,
  Expect<Equal<typeof onOne.plan, Effect.Effect<"answer" | "second", Offline, "database">>>,
  Expect<Equal<typeof onOne.literalPlan, Effect.Effect<"answer" | "second", Offline, "database">>>
]

/** Work whose error is a type parameter keeps what is not handled. */
export const generic = <A, E, R>(
  self: Effect.Effect<A, E | Open, R>
): Effect.Effect<A | null, Exclude<E | Open, Open>, R> =>
  Fallback.orElse(self, Fallback.on(Schema.is(CircuitBreaker.CircuitOpen), Fallback.value(null)))

/** A handler's type can be written down. */
export const written: Fallback.Handler<Open | Late, number, Late, never> = Fallback.on(
  ["CircuitOpen"],
  Fallback.value(0)
)

// -----------------------------------------------------------------------------
// misuse
// -----------------------------------------------------------------------------

// @ts-expect-error the handler takes another error than the one that has this tag
protect(work, { fallback: Fallback.on(["CircuitOpen"], (error: Missing) => Effect.succeed(error.id)) })
// @ts-expect-error the tags come in a list
Fallback.on("CircuitOpen", Fallback.value(0))
// @ts-expect-error a condition that the compiler cannot read belongs into a handler of one's own
Fallback.on((error: Missing) => error.id === "1", Fallback.value(0))
// @ts-expect-error a handler answers with an effect
Fallback.on(["CircuitOpen"], () => 0)
// @ts-expect-error a value is not a handler
Fallback.orElse(open, 0)
// @ts-expect-error there is no such outcome
Fallback.onOutcome(["Fatal"], Fallback.value(0))
// @ts-expect-error a chain has at least two providers
Fallback.chain(Fallback.value(0))
// @ts-expect-error the second provider takes another error than the first one leaves
protect(work, { fallback: Fallback.chain(Fallback.effect(second), (error: Missing) => Effect.succeed(error.id)) })
// @ts-expect-error this refinement takes fewer errors than there may be
protect(work, { fallback: narrow })
