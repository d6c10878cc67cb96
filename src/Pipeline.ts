/**
 * Policies in their standard order, under one name.
 *
 * From the outside in, around a call: fallback, cache, total timeout, retry with
 * its budget, hedge. Around each attempt: throttle, rate limit, bulkhead or
 * adaptive limit, circuit breaker, attempt timeout, chaos, the work. Each part is
 * optional.
 *
 * So the total timeout covers every wait, no permit is held during a backoff, and
 * the breaker sees every attempt. An open breaker is looked at before anything is
 * spent or awaited, and decides after the waits. A retry is not waited for where
 * the breaker is open beyond the wait: the call ends at once, with the error of
 * its last attempt. For another order compose the policies by hand.
 *
 * Where the calling fiber has been given a `Tracer`, a call is a span named after
 * its operation, or else after the pipeline, and each attempt a child of it, with
 * `resilience.attempt`, `resilience.outcome`, `resilience.refused_by` and
 * `error.type` among its attributes. Waits, fallbacks and answers from a cache are
 * events of the call's span. Spans hold no messages and no values.
 *
 * A duration is written like `"2 seconds"`; a number counts milliseconds.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type * as AdaptiveLimit from "./AdaptiveLimit.ts"
import type * as Bulkhead from "./Bulkhead.ts"
import type * as CacheFallback from "./CacheFallback.ts"
import type * as Chaos from "./Chaos.ts"
import type * as CircuitBreaker from "./CircuitBreaker.ts"
import type { DeadlineExceeded } from "./Deadline.ts"
import type * as Hedge from "./Hedge.ts"
import * as describing from "./internal/describe.ts"
import type { Fixed } from "./internal/fixed.ts"
import * as live from "./internal/livePipeline.ts"
import type { OnlyKnown } from "./internal/onlyKnown.ts"
import { refuse } from "./internal/options.ts"
import * as pipelineSettings from "./internal/pipelineSettings.ts"
import * as wrapping from "./internal/protectService.ts"
import type * as KeyedCircuitBreaker from "./KeyedCircuitBreaker.ts"
import type * as Outcome from "./Outcome.ts"
import type { Policy } from "./Policy.ts"
import type * as RateLimit from "./RateLimit.ts"
import * as Resilience from "./Resilience.ts"
import type * as Retry from "./Retry.ts"
import type * as RetryBudget from "./RetryBudget.ts"
import type * as Throttle from "./Throttle.ts"
import type * as Timeout from "./Timeout.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * The parts that one operation, or configuration, may change about a pipeline. A
 * part that is left out stays as it is; `false` is to do without it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Overrides {
  /** The longest a call may take, from entry, all waits included. */
  readonly totalTimeout?: Duration.Input | false | undefined
  readonly retry?: Retry.Options | false | undefined
  /** What retries and hedges together may add to the load. */
  readonly retryBudget?: RetryBudget.Options | false | undefined
  readonly hedge?: Hedge.Options | false | undefined
  readonly throttle?: Throttle.Options | false | undefined
  readonly rateLimit?: RateLimit.Options | false | undefined
  /** Not together with an adaptive limit. */
  readonly bulkhead?: Bulkhead.Options | false | undefined
  readonly adaptiveLimit?: AdaptiveLimit.Options | false | undefined
  readonly circuitBreaker?: CircuitBreaker.Options | false | undefined
  /** A breaker for each `key` that calls name. Not together with one for all. */
  readonly keyedCircuitBreaker?: KeyedCircuitBreaker.Options | false | undefined
  /** The longest one attempt may take. */
  readonly attemptTimeout?: Duration.Input | false | undefined
  readonly chaos?: Chaos.Options | false | undefined
  /** Where calls that name a cache key keep their answers. */
  readonly cache?: CacheFallback.Options | false | undefined
  /** Limits of streams, for `protectStream`. */
  readonly streams?: StreamLimits | false | undefined
  /** Whether the work may be run more than once, for all calls that do not say so themselves. Default: `true`. */
  readonly idempotent?: boolean | undefined
}

/**
 * Limits of a protected stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamLimits {
  /** The longest wait for the first element. Default: the attempt timeout. */
  readonly firstElement?: Duration.Input | undefined
  /** The longest wait for any further element. Default: none. */
  readonly idle?: Duration.Input | undefined
}

/**
 * What configuration may change about a pipeline: its parts, and those of its
 * operations.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tuning extends Overrides {
  /**
   * What single operations change, by the `operation` that calls name. One that
   * changes a part with a state has a state of its own, named `pipeline/operation`.
   */
  readonly operations?: Readonly<Record<string, Overrides>> | undefined
}

/**
 * Policies of one's own, at named places. The errors of a `Policy` are known, those
 * of any other function are not: `Policy.compose(f)` makes it one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Around {
  /** Around the whole call, outside of the total timeout. */
  readonly call?: AnyPolicy | undefined
  /** Around each attempt, outside of all its limits. */
  readonly attempt?: AnyPolicy | undefined
  /** Around the work, inside of the attempt timeout. */
  readonly work?: AnyPolicy | undefined
}

/** What is known of a policy whose errors are known elsewhere. */
type AnyPolicy = Policy<unknown>

/**
 * What a pipeline is made from: data, but for functions and policies of one's own.
 * A part that is left out, or `false`, is not there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<Tuning, "chaos"> {
  readonly chaos?: Chaos.Options<unknown> | false | undefined
  /** Policies of one's own. Their errors are judged like those of the work, also by `classify`. */
  readonly around?: Around | undefined
  /** What exits mean, for all calls that do not say so themselves. */
  readonly classify?: Outcome.Classifier | undefined
}

type Has<O, K extends keyof Options> = K extends keyof O ?
  [Exclude<O[K], false | undefined>] extends [never] ? false : true
  : false

type When<Condition, Error> = Condition extends true ? Error : never

/** The errors that the policies of one's own add. */
type ErrorOfAround<O> = O extends object ? { [K in keyof O]-?: ErrorOfPolicy<O[K]> }[keyof O] : never

type ErrorOfPolicy<P> = P extends Policy<infer PE> ? PE : never

/**
 * The errors that a pipeline of these options can add, and no others.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<O> = O extends unknown ? (
    | When<Has<O, "totalTimeout">, Timeout.TimedOut | DeadlineExceeded>
    | When<Has<O, "attemptTimeout">, Timeout.TimedOut | DeadlineExceeded>
    | When<Has<O, "throttle">, Throttle.Throttled>
    | When<Has<O, "rateLimit">, RateLimit.RateLimited>
    | When<Has<O, "bulkhead">, Bulkhead.BulkheadFull>
    | When<Has<O, "adaptiveLimit">, AdaptiveLimit.LimitExceeded>
    | When<Has<O, "circuitBreaker">, CircuitBreaker.CircuitOpen>
    | When<Has<O, "keyedCircuitBreaker">, CircuitBreaker.CircuitOpen>
    | ("retry" extends keyof O ? Retry.ErrorOf<O["retry"]> : never)
    | ("chaos" extends keyof O ? Chaos.ErrorOf<O["chaos"]> : never)
    | ("around" extends keyof O ? ErrorOfAround<O["around"]> : never)
    // so that editors show the errors instead of this type
  ) extends infer Errors ? Errors : never
  : never

/**
 * The errors that a pipeline of these options can add to streams, and no others.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamErrorOf<O> = O extends unknown ? ErrorOf<O> | When<Has<O, "streams">, Timeout.TimedOut> : never

/**
 * Our own refusals, made before the work ran.
 *
 * @category models
 * @since 0.1.0
 */
export type Rejection =
  | CircuitBreaker.CircuitOpen
  | Bulkhead.BulkheadFull
  | RateLimit.RateLimited
  | AdaptiveLimit.LimitExceeded
  | Throttle.Throttled

/**
 * Every error that any pipeline made from data can add.
 *
 * @category models
 * @since 0.1.0
 */
export type PipelineError =
  | Rejection
  | Timeout.TimedOut
  | DeadlineExceeded
  | Retry.RetriesExhausted
  | Chaos.ChaosInjected

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<A, E> extends Retry.CallOptions<A, E> {
  /** What is being done: for events, spans, and `operations` of the pipeline. */
  readonly operation?: string | undefined
  /** Whether the work may be run more than once. Default: as the pipeline says, which is `true`. With `false` it is neither retried nor hedged. */
  readonly idempotent?: boolean | undefined
  /** On whose behalf: limits that are kept by key keep it apart from others, and a bulkhead's queue is fair between keys. */
  readonly key?: string | undefined
  /** What an adaptive limit sheds last. Default: `"critical"`. */
  readonly priority?: AdaptiveLimit.Priority | undefined
  /** What each attempt takes from the rate limits. Default: 1 of each. */
  readonly cost?: RateLimit.Cost | undefined
  /** What an attempt has really cost, once that is known. */
  readonly settle?: ((exit: Exit.Exit<A, unknown>) => RateLimit.Cost | undefined) | undefined
  /** Where the answer is kept. Without a cache in the pipeline it does nothing. */
  readonly cache?: CacheUse<A> | undefined
}

/**
 * How one call uses its pipeline's cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheUse<A> extends CacheFallback.Entry<A> {
  /** Whether an error may be answered from the cache. Default: by its outcome, if that is not a success. */
  readonly staleIf?: ((error: unknown) => boolean) | undefined
  /** Told where the answer comes from and how old it is. */
  readonly onAnswer?: ((answer: CacheFallback.Answer<A>) => void) | undefined
}

/**
 * What the run of one stream says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions<E> extends Omit<CallOptions<unknown, E>, "retryIf" | "dispose" | "cache"> {}

/**
 * What a pipeline has done since it was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** Calls that were not answered from the cache. */
  readonly calls: number
  /** These by how they ended, as `Outcome` sees it, before any fallback. */
  readonly success: number
  readonly failure: number
  readonly overload: number
  readonly ignored: number
  readonly attempts: number
  readonly retries: number
  readonly exhausted: number
  readonly hedges: number
  /** Attempts that were refused. */
  readonly refused: number
  /** Calls that were refused in the end: of those that are `ignored`. */
  readonly refusedCalls: number
  readonly timedOut: number
  readonly fellBack: number
  readonly cacheHits: number
}

/**
 * Policies in their standard order, under one name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pipeline<out PE, out SE = PE> {
  readonly name: string
  /** The options that it was made with. */
  readonly declared: Options
  /** How configuration has changed them, or `reconfigure`. */
  readonly tuning: Tuning
  /** What holds now. */
  readonly settings: Settings
  /** Its breaker, where it has one. */
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
  readonly counts: Effect.Effect<Counts>
  /**
   * Runs an effect under the pipeline. It is a `Policy` where the second argument
   * is left out. Each attempt runs in a fiber of its own: a `restore` of a mask
   * belongs around `protect`, not inside.
   *
   * With a `fallback`, the errors are those that it leaves; see `Fallback`. It is
   * there or it is not: the type cannot tell of one that is there at times.
   */
  // one signature, which leaves it usable point-free: without a fallback, the last three are their defaults
  readonly protect: <A, E, R, B = never, E2 = E | PE, R2 = never>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E> & {
      /** Answers in place of a failed call. It is given the errors of the work and of the pipeline. */
      readonly fallback?: (error: Fixed<E> | PE) => Effect.Effect<B, E2, R2>
    }
  ) => Effect.Effect<A | B, E2, R | R2>
  /**
   * Runs a stream under the pipeline: permits and probes are held until it ends,
   * and nothing is replayed after its first element. The attempt timeout limits
   * the wait for the first element, the total timeout the whole stream. An adaptive
   * limit, and a breaker that trips on slow calls, see how long the whole stream
   * takes.
   */
  readonly protectStream: <A, E, R>(
    self: Stream.Stream<A, E, R>,
    options?: StreamOptions<E>
  ) => Stream.Stream<A, E | SE, R>
  /**
   * Changes the options while calls are in flight: these end under the former
   * ones, and policies keep their state. Parts may be changed and left out, but
   * not added to those that it was made with. Bad options throw a `RangeError`.
   *
   * The changes lie over the options that the code declares, in place of all
   * former changes, those of configuration included: to add to these, spread
   * `tuning`.
   */
  readonly reconfigure: (options: Tuning) => Effect.Effect<void>
}

/**
 * Refuses, at compile time, keys that the options do not have. A function of
 * one's own that is generic in the options passes their type on:
 *
 * @example
 * ```ts
 * import { Pipeline } from "effect-resilience"
 *
 * const forDatabase = <const O extends Pipeline.Options>(options: O & Pipeline.OnlyKnownKeys<O>) =>
 *   Pipeline.make<O>("database", options)
 *
 * console.log(typeof forDatabase({ retry: { times: 2 } })) // => object
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type OnlyKnownKeys<O> = OnlyKnown<O, Options> & WithKnownErrors<O>

/** Refuses policies of one's own whose errors the compiler cannot tell. */
type WithKnownErrors<O> = O extends { readonly around: infer Around } ? {
    readonly around: {
      readonly [K in keyof Around]: unknown extends ErrorOfPolicy<Around[K]>
        ? "wrap it in Policy.compose, so that its errors are known"
        : Around[K]
    }
  }
  : unknown

/**
 * The settings of a part, and the name under which it keeps its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stated<out S> {
  readonly name: string
  readonly settings: S
}

/**
 * Options that have been checked, under a name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly name: string
  readonly options: Options
  readonly totalTimeout: number | undefined
  readonly retry: Retry.Settings | undefined
  readonly retryBudget: Stated<RetryBudget.Settings> | undefined
  readonly hedge: Stated<Hedge.Settings> | undefined
  readonly throttle: Stated<Throttle.Settings> | undefined
  readonly rateLimit: Stated<RateLimit.Settings> | undefined
  readonly bulkhead: Stated<Bulkhead.Settings> | undefined
  readonly adaptiveLimit: Stated<AdaptiveLimit.Settings> | undefined
  readonly circuitBreaker: Stated<CircuitBreaker.Settings> | undefined
  readonly keyedCircuitBreaker: Stated<KeyedCircuitBreaker.Settings> | undefined
  readonly attemptTimeout: number | undefined
  readonly chaos: Chaos.Settings | undefined
  readonly cache: Stated<CacheFallback.Settings> | undefined
  readonly streams: { readonly firstElement: number | undefined; readonly idle: number | undefined }
  readonly around: { readonly [K in keyof Around]-?: Around[K] }
  readonly classify: Outcome.Classifier | undefined
  readonly idempotent: boolean
  /** Those of operations that differ, by name. */
  readonly operations: ReadonlyMap<string, Settings>
}

/**
 * Checks options: throws a `RangeError` that names what is wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (name: string, options: Options): Settings => pipelineSettings.settings(name, options)

/**
 * Makes a pipeline. Its state belongs to `Resilience`, under the pipeline's name:
 * made twice, it still has one breaker.
 *
 * The options are checked at once, and a bad one throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const quotes = yield* Pipeline.make("quotes", {
 *     totalTimeout: "10 seconds",
 *     retry: { times: 2 },
 *     circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "30 seconds" },
 *     attemptTimeout: "2 seconds"
 *   })
 *   return yield* quotes.protect(Effect.succeed(42), { operation: "latest", idempotent: true })
 * })
 *
 * console.log(await program.pipe(Effect.provide(Resilience.layer), Effect.runPromise)) // => 42
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options>(
  name: string,
  options: O & OnlyKnownKeys<O>
): Effect.Effect<Pipeline<ErrorOf<O>, StreamErrorOf<O>>, never, Resilience.Resilience> => {
  // `fromSettings` adds the errors of the parts that are there, which is what the two types say
  type Made = Effect.Effect<Pipeline<ErrorOf<O>, StreamErrorOf<O>>, never, Resilience.Resilience>
  return fromSettings(settings(name, options)) as Made
}

/**
 * Makes a pipeline from checked settings, as configuration changes them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSettings = (
  settings: Settings
): Effect.Effect<Pipeline<PipelineError>, never, Resilience.Resilience> => live.make(settings)

/**
 * A pipeline in words: its parts from the outside in, and those of operations that
 * differ.
 *
 * @example
 * ```ts
 * import { Pipeline } from "effect-resilience"
 *
 * const settings = Pipeline.settings("quotes", { retry: { times: 2 }, attemptTimeout: "2 seconds" })
 *
 * const [name, retry, attempt] = Pipeline.describe(settings).split("\n")
 * console.log(name) // => quotes
 * console.log(retry?.trim()) // => retry            { times: 2 }
 * console.log(attempt?.trim()) // => attempt timeout  2 seconds
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const describe = (pipeline: Settings | Pipeline<unknown>): string =>
  describing.describe("settings" in pipeline ? pipeline.settings : pipeline)

// -----------------------------------------------------------------------------
// services
// -----------------------------------------------------------------------------

/**
 * What a test may change about one pipeline.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestOptions extends Pick<Resilience.TestOptions, "delays" | "passThrough"> {
  /** The state that its breaker starts in. */
  readonly circuitBreaker?: Resilience.InitialState | undefined
  /** What becomes of its attempts: one fault each, then none. */
  readonly faults?: ReadonlyArray<Resilience.Fault> | undefined
}

/**
 * A pipeline as a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, PE, SE = PE>
  extends Context.ServiceClass<Self, Id, Pipeline<PE, SE>>
{
  /** The pipeline, with its state in `Resilience`. */
  readonly layer: Layer.Layer<Self, never, Resilience.Resilience>
  /** The pipeline for tests, with a `Resilience` of its own: retries do not wait. */
  readonly layerTest: (options?: TestOptions) => Layer.Layer<Self | Resilience.Resilience>
}

/**
 * Declares a pipeline as a service. Its options are checked here, and a bad one
 * throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 *
 * class Quotes extends Pipeline.Service<Quotes>()("quotes", {
 *   retry: { times: 2 },
 *   attemptTimeout: "2 seconds"
 * }) {}
 *
 * const program = Effect.flatMap(Quotes, (quotes) => quotes.protect(Effect.succeed(42)))
 *
 * console.log(await program.pipe(Effect.provide(Quotes.layerTest()), Effect.runPromise)) // => 42
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const Id extends string, const O extends Options>(
  id: Id,
  options: O & OnlyKnownKeys<O>
): ServiceClass<Self, Id, ErrorOf<O>, StreamErrorOf<O>> => {
  const made = make<O>(id, options)
  const Tag = Context.Service<Self, Pipeline<ErrorOf<O>, StreamErrorOf<O>>>()(id)
  const layer = Layer.effect(Tag, made)
  return Object.assign(Tag, {
    layer,
    layerTest: ({ circuitBreaker, faults, ...rest }: TestOptions = {}) => {
      if (circuitBreaker !== undefined && !options.circuitBreaker) {
        refuse(
          `Pipeline ${JSON.stringify(id)}.layerTest`,
          "circuitBreaker",
          "left out where there is none",
          circuitBreaker
        )
      }
      const test = Resilience.layerTest({
        ...rest,
        ...(circuitBreaker === undefined ? {} : { circuitBreakers: { [id]: circuitBreaker } }),
        ...(faults === undefined ? {} : { faults: { [id]: faults } })
      })
      return Layer.provideMerge(layer, test)
    }
  })
}

// -----------------------------------------------------------------------------
// protecting services
// -----------------------------------------------------------------------------

/**
 * A pipeline, or the service that is one.
 *
 * @category models
 * @since 0.1.0
 */
export type Source<PE> = Pipeline<PE> | Context.Key<unknown, Pipeline<PE>>

// of a method with several signatures, these are those of the last
type AnswerOf<Method> = NonNullable<Method> extends (...args: never) => infer Answer ? Answer : NonNullable<Method>
type ArgumentsOf<Method> = NonNullable<Method> extends (...args: infer Arguments) => unknown ? Arguments : []
type SuccessOfMethod<Method> = AnswerOf<Method> extends Effect.Effect<infer A, unknown, unknown> ? A : never
type ErrorOfMethod<Method> = AnswerOf<Method> extends Effect.Effect<unknown, infer E, unknown> ? E
  : AnswerOf<Method> extends Stream.Stream<unknown, infer E, unknown> ? E
  : never

/**
 * How one method of a service is protected: by a pipeline whose errors its callers
 * know already, or by any pipeline, whose errors are mapped to those. `options`
 * are those of a call, from the arguments of the method.
 *
 * @category models
 * @since 0.1.0
 */
export type Protection<Method> = AnswerOf<Method> extends
  Effect.Effect<unknown, unknown, unknown> | Stream.Stream<unknown, unknown, unknown> ?
    | Source<ErrorOfMethod<Method>>
    | {
      readonly pipeline: Source<ErrorOfMethod<Method>>
      readonly options?: ((...args: ArgumentsOf<Method>) => MethodOptions<Method>) | undefined
    }
    | {
      readonly pipeline: Source<PipelineError>
      readonly mapError: (error: PipelineError) => ErrorOfMethod<Method>
      readonly options?: ((...args: ArgumentsOf<Method>) => MethodOptions<Method>) | undefined
    }
  : never

/**
 * What a call of a method says about itself: that of a stream what a stream can,
 * any other also what answers in place of a failed call, before `mapError`.
 *
 * @category models
 * @since 0.1.0
 */
export type MethodOptions<Method> = AnswerOf<Method> extends Stream.Stream<unknown, infer E, unknown> ? StreamOptions<E>
  : CallOptions<SuccessOfMethod<Method>, ErrorOfMethod<Method>> & {
    readonly fallback?: (
      error: ErrorOfMethod<Method> | PipelineError
    ) => Effect.Effect<SuccessOfMethod<Method>, ErrorOfMethod<Method>>
  }

type RequirementOf<Chosen> = Chosen extends { readonly pipeline: infer Source } ? RequirementOf<Source>
  : Chosen extends Context.Key<infer Id, unknown> ? Id
  : never

/**
 * Puts methods of a service under pipelines, and leaves the others as they are: a
 * layer from the service to itself, whose callers do not change. A method may
 * answer with an effect or with a stream, or be one. Its operation is named after
 * it.
 *
 * @example
 * ```ts
 * import { Context, Effect, Layer, Schema } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 *
 * class GeocoderError extends Schema.TaggedError<GeocoderError>()("GeocoderError", { reason: Schema.String }) {}
 *
 * class Geocoder extends Context.Service<Geocoder, {
 *   readonly locate: (address: string) => Effect.Effect<string, GeocoderError>
 * }>()("Geocoder") {}
 *
 * let calls = 0
 * const Real = Layer.succeed(Geocoder, {
 *   locate: (address) =>
 *     Effect.suspend(() =>
 *       ++calls < 3 ? Effect.fail(new GeocoderError({ reason: "busy" })) : Effect.succeed(`${address}: here`)
 *     )
 * })
 *
 * class Patient extends Pipeline.Service<Patient>()("geocoder", { retry: { times: 3 }, attemptTimeout: "2 seconds" }) {}
 *
 * const Safe = Pipeline.protectService(Geocoder, {
 *   locate: { pipeline: Patient, mapError: (error) => new GeocoderError({ reason: error.message }) }
 * })
 *
 * const program = Effect.flatMap(Geocoder, (geocoder) => geocoder.locate("Main Street 1"))
 *
 * const layer = Safe.pipe(Layer.provide(Real), Layer.provide(Patient.layerTest()))
 *
 * console.log(await program.pipe(Effect.provide(layer), Effect.runPromise)) // => Main Street 1: here
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const protectService = <I, S extends object, const M extends { readonly [K in keyof S]?: Protection<S[K]> }>(
  service: Context.Key<I, S>,
  methods: M & { readonly [K in keyof M]: K extends keyof S ? unknown : never }
): Layer.Layer<I, never, I | { [K in keyof M]: RequirementOf<M[K]> }[keyof M]> =>
  // what a service and its pipelines are is written down in `M`; the wrapping looks at values alone
  wrapping.protectService(service, methods as wrapping.Protections) as Layer.Layer<I>
