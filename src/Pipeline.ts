/**
 * Policies in their standard order, under one name.
 *
 * From the outside in: total timeout, retry, circuit breaker, attempt timeout,
 * the work. So the total timeout covers every wait, the breaker sees every
 * attempt, and a retry that meets an open circuit ends at once. Each part is
 * optional; for another order compose the policies by hand.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import { DeadlineExceeded } from "./Deadline.ts"
import { nonEmpty, onlyKeys, type OnlyKnown, optionalFunction, positiveMillis } from "./internal/options.ts"
import * as Outcome from "./Outcome.ts"
import * as Resilience from "./Resilience.ts"
import * as Retry from "./Retry.ts"
import * as Timeout from "./Timeout.ts"

/**
 * What a pipeline is made from: plain data. A part that is left out, or `false`,
 * is not there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The longest a call may take, from entry, all waits included. */
  readonly totalTimeout?: Duration.Input | false | undefined
  readonly retry?: Retry.Options | false | undefined
  readonly circuitBreaker?: CircuitBreaker.Options | false | undefined
  /** The longest one attempt may take. */
  readonly attemptTimeout?: Duration.Input | false | undefined
  /** What exits mean, for all calls that do not say so themselves. */
  readonly classify?: Outcome.Classifier | undefined
}

type Has<O, K extends keyof Options> = K extends keyof O ?
  [Exclude<O[K], false | undefined>] extends [never] ? false : true
  : false

/**
 * The errors that a pipeline of these options can add, and no others.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<O> =
  | (Has<O, "totalTimeout"> extends true ? Timeout.TimedOut | DeadlineExceeded : never)
  | (Has<O, "attemptTimeout"> extends true ? Timeout.TimedOut | DeadlineExceeded : never)
  | (Has<O, "circuitBreaker"> extends true ? CircuitBreaker.CircuitOpen : never)
  | ("retry" extends keyof O ? Retry.ErrorOf<O["retry"]> : never)

/**
 * Our own refusals, made before the work ran.
 *
 * @category models
 * @since 0.1.0
 */
export type Rejection = CircuitBreaker.CircuitOpen

/**
 * Every error that any pipeline can add.
 *
 * @category models
 * @since 0.1.0
 */
export type PipelineError = Rejection | Timeout.TimedOut | DeadlineExceeded | Retry.RetriesExhausted

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<in A, in E> extends Retry.CallOptions<A, E> {
  /** What is being done, for events. */
  readonly operation?: string | undefined
  /** Whether the work may be run more than once. Default: `true`; with `false` it is never retried. */
  readonly idempotent?: boolean | undefined
}

/**
 * Policies in their standard order, under one name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pipeline<out PE> {
  readonly name: string
  readonly settings: Settings
  /** Its breaker, where it has one. */
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
  /**
   * Runs an effect under the pipeline. It is a `Policy` where the second argument
   * is left out.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ) => Effect.Effect<A, E | PE, R>
}

/** Refuses, at compile time, keys that the options do not have. */
export type OnlyKnownKeys<O> = OnlyKnown<O, Options>

/**
 * Options that have been checked, under a name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly name: string
  readonly totalTimeout: number | undefined
  readonly retry: Retry.Settings | undefined
  readonly circuitBreaker: CircuitBreaker.Settings | undefined
  readonly attemptTimeout: number | undefined
  readonly classify: Outcome.Classifier | undefined
}

const present = <A>(part: A | false | undefined): part is A => part !== undefined && part !== false

/**
 * Checks options: throws a `RangeError` that names what is wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (name: string, options: Options): Settings => {
  onlyKeys("Pipeline", options, ["totalTimeout", "retry", "circuitBreaker", "attemptTimeout", "classify"])
  const { attemptTimeout, circuitBreaker, classify, retry, totalTimeout } = options
  const infinite = { infinite: true } as const
  return {
    name: nonEmpty("Pipeline", "name", name),
    totalTimeout: present(totalTimeout)
      ? positiveMillis("Pipeline", "totalTimeout", totalTimeout, infinite)
      : undefined,
    retry: present(retry) ? Retry.settings(retry) : undefined,
    circuitBreaker: present(circuitBreaker) ? CircuitBreaker.settings(circuitBreaker) : undefined,
    attemptTimeout: present(attemptTimeout)
      ? positiveMillis("Pipeline", "attemptTimeout", attemptTimeout, infinite)
      : undefined,
    classify: optionalFunction("Pipeline", "classify", classify)
  }
}

/**
 * Makes a pipeline. Its breaker belongs to `Resilience`, under the pipeline's
 * name: made twice, it is still one breaker.
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
): Effect.Effect<Pipeline<ErrorOf<O>>, never, Resilience.Resilience> => {
  // `fromSettings` adds the errors of the parts that are there, which is what ErrorOf<O> says
  return fromSettings(settings(name, options)) as Effect.Effect<Pipeline<ErrorOf<O>>, never, Resilience.Resilience>
}

/**
 * Makes a pipeline from checked settings. `circuitBreaker` names the breaker where
 * it is not the pipeline's own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSettings = (
  settings: Settings,
  names?: { readonly circuitBreaker: string }
): Effect.Effect<Pipeline<PipelineError>, never, Resilience.Resilience> =>
  Effect.flatMap(Resilience.Resilience, (resilience) =>
    Effect.map(
      settings.circuitBreaker === undefined
        ? Effect.undefined
        : resilience.circuitBreaker(names?.circuitBreaker ?? settings.name, settings.circuitBreaker),
      (circuitBreaker) => compose(settings, resilience, circuitBreaker)
    ))

/**
 * The straight composition: one policy around the other. It is the definition of
 * what a pipeline means.
 */
const compose = (
  settings: Settings,
  resilience: Resilience.Resilience["Service"],
  circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
): Pipeline<PipelineError> => {
  const { attemptTimeout, name, retry, totalTimeout } = settings
  const timeout = (limit: "attempt" | "total", duration: number | undefined) =>
    duration === undefined ? undefined : Timeout.make({ policy: name, limit, duration })
  const total = timeout("total", totalTimeout)
  const attempt = timeout("attempt", attemptTimeout)
  const { publish, test } = resilience

  const protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E> = {}
  ): Effect.Effect<A, E | PipelineError, R> => {
    if (test?.passThrough === true) return self
    const call = { pipeline: name, operation: options.operation ?? "" }
    return Effect.withFiber((fiber) => {
      const classify = forWork(name, Outcome.orElse(options.classify, settings.classify))
      let effect: Effect.Effect<A, E | PipelineError, R> = test === undefined ? self : withFault(self, name, test)
      if (attempt !== undefined) effect = attempt(effect)
      // what an attempt forks as children must not live on into the next one; a timeout gives it a fiber anyway
      else if (retry !== undefined) effect = Effect.raceAllFirst([effect])
      if (circuitBreaker !== undefined) effect = circuitBreaker.protect(effect, { classify, attemptTimeout })
      effect = onError(effect, name, (error) => {
        if (error._tag === "CircuitOpen") {
          const retryAfter = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }
          publish((at) => ({ _tag: "Refused", at, ...call, by: "circuitBreaker", ...retryAfter }), fiber)
        } else if (error._tag === "TimedOut" && error.limit === "attempt") {
          publish((at) => ({ _tag: "TimedOut", at, ...call, limit: "attempt" }), fiber)
        }
      })
      if (retry !== undefined && options.idempotent !== false) {
        effect = Retry.run(effect, retry, { classify, retryIf: options.retryIf, dispose: options.dispose }, {
          policy: name,
          sleeps: test === undefined || test.delays,
          retrying: (progress) => publish((at) => ({ _tag: "Retrying", at, ...call, ...progress }), fiber),
          exhausted: ({ attempt, reason }) =>
            publish((at) => ({ _tag: "RetriesExhausted", at, ...call, attempts: attempt, reason }), fiber)
        })
      }
      if (total !== undefined) effect = total(effect)
      return onError(effect, name, (error) => {
        if (error._tag === "DeadlineExceeded" || (error._tag === "TimedOut" && error.limit === "total")) {
          const limit = error._tag === "TimedOut" ? "total" : "deadline"
          publish((at) => ({ _tag: "TimedOut", at, ...call, limit }), fiber)
        }
      })
    })
  }

  return { name, settings, circuitBreaker, protect }
}

/** The error that this pipeline itself has added to a cause. */
const ownError = (cause: Cause.Cause<unknown>, name: string): PipelineError | undefined => {
  const found = Cause.findError(cause)
  if (Result.isFailure(found)) return undefined
  const error = found.success
  return (error instanceof CircuitBreaker.CircuitOpen || error instanceof Timeout.TimedOut ||
      error instanceof DeadlineExceeded || error instanceof Retry.RetriesExhausted) && error.policy === name
    ? error
    : undefined
}

const onError = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  name: string,
  f: (error: PipelineError) => void
): Effect.Effect<A, E, R> =>
  Effect.onExitPrimitive(self, (exit) => {
    const error = exit._tag === "Failure" ? ownError(exit.cause, name) : undefined
    if (error !== undefined) f(error)
    return undefined
  })

/** A classifier of the work alone: what the pipeline itself adds says what it is. */
const forWork = <A, E>(
  name: string,
  classify: Outcome.Classifier<A, E> | undefined
): Outcome.Classifier<A, E | PipelineError> | undefined =>
  classify === undefined ?
    undefined :
    (exit, clock) =>
      exit._tag === "Failure" && ownError(exit.cause, name) !== undefined
        ? undefined
        // the errors of the pipeline have just been ruled out
        : classify(exit as Exit.Exit<A, E>, clock)

const withFault = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  name: string,
  test: Resilience.TestMode
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const fault = test.takeFault(name)
    switch (fault?.kind) {
      case "hang":
        return Effect.never
      case "fail":
        // a test fails an attempt with whatever it likes; that it is an E is the test's business
        return Effect.fail(fault.error as E)
      case "die":
        return Effect.die(fault.defect)
    }
    return self
  })

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
  readonly circuitBreaker?: "Closed" | "Open" | "HalfOpen" | undefined
  /** What becomes of its attempts: one fault each, then none. */
  readonly faults?: ReadonlyArray<Resilience.Fault> | undefined
}

/**
 * A pipeline as a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, PE> extends Context.ServiceClass<Self, Id, Pipeline<PE>> {
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
): ServiceClass<Self, Id, ErrorOf<O>> => {
  const made = make<O>(id, options)
  const Tag = Context.Service<Self, Pipeline<ErrorOf<O>>>()(id)
  const layer = Layer.effect(Tag, made)
  return Object.assign(Tag, {
    layer,
    layerTest: ({ circuitBreaker, faults, ...rest }: TestOptions = {}) =>
      Layer.provideMerge(
        layer,
        Resilience.layerTest({
          ...rest,
          ...(circuitBreaker === undefined ? {} : { circuitBreakers: { [id]: circuitBreaker } }),
          ...(faults === undefined ? {} : { faults: { [id]: faults } })
        })
      )
  })
}
