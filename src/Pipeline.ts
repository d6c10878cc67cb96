/**
 * Policies in their standard order, under one name.
 *
 * From the outside in: total timeout, retry, circuit breaker, attempt timeout,
 * the work. So the total timeout covers every wait, and the breaker sees every
 * attempt. A retry is not waited for where the breaker is open beyond the wait:
 * the call ends at once, with the error of its last attempt. Each part is
 * optional; for another order compose the policies by hand.
 *
 * A duration is written like `"2 seconds"`; a number counts milliseconds.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as MutableRef from "effect/MutableRef"
import * as Result from "effect/Result"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import { DeadlineExceeded } from "./Deadline.ts"
import type { OnlyKnown } from "./internal/onlyKnown.ts"
import { nonEmpty, onlyKeys, optionalFunction, positiveMillis, within } from "./internal/options.ts"
import { inOwnFiber } from "./internal/timeLimit.ts"
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
export type ErrorOf<O> = O extends unknown ? (
    | (Has<O, "totalTimeout"> extends true ? Timeout.TimedOut | DeadlineExceeded : never)
    | (Has<O, "attemptTimeout"> extends true ? Timeout.TimedOut | DeadlineExceeded : never)
    | (Has<O, "circuitBreaker"> extends true ? CircuitBreaker.CircuitOpen : never)
    | ("retry" extends keyof O ? Retry.ErrorOf<O["retry"]> : never)
    // so that editors show the errors instead of this type
  ) extends infer Errors ? Errors : never
  : never

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
   * is left out. Each attempt runs in a fiber of its own: a `restore` of a mask
   * belongs around `protect`, not inside.
   */
  readonly protect: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: CallOptions<A, E>
  ) => Effect.Effect<A, E | PE, R>
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
export type OnlyKnownKeys<O> = OnlyKnown<O, Options>

/**
 * Options that have been checked, under a name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly name: string
  /** The name of its breaker, where it has one: that of the pipeline, unless it is shared with another. */
  readonly breakerName: string
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
  nonEmpty("Pipeline", "name", name)
  return within(`Pipeline ${JSON.stringify(name)}`, () => {
    onlyKeys("Pipeline", options, ["totalTimeout", "retry", "circuitBreaker", "attemptTimeout", "classify"])
    const { attemptTimeout, circuitBreaker, classify, retry, totalTimeout } = options
    // one that is infinite is none
    const timeout = (option: string, duration: Duration.Input | false | undefined) => {
      const millis = present(duration) ? positiveMillis("Pipeline", option, duration, { infinite: true }) : Infinity
      return millis === Infinity ? undefined : millis
    }
    return {
      name,
      breakerName: name,
      totalTimeout: timeout("totalTimeout", totalTimeout),
      retry: present(retry) ? Retry.settings(retry) : undefined,
      circuitBreaker: present(circuitBreaker) ? CircuitBreaker.settings(circuitBreaker) : undefined,
      attemptTimeout: timeout("attemptTimeout", attemptTimeout),
      classify: optionalFunction("Pipeline", "classify", classify)
    }
  })
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
 * Makes a pipeline from checked settings.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSettings = (
  settings: Settings
): Effect.Effect<Pipeline<PipelineError>, never, Resilience.Resilience> =>
  Effect.flatMap(Resilience.Resilience, (resilience) =>
    Effect.map(
      settings.circuitBreaker === undefined
        ? Effect.undefined
        : resilience.circuitBreaker(settings.breakerName, settings.circuitBreaker),
      (circuitBreaker) => compose(settings, resilience, circuitBreaker)
    ))

/**
 * The straight composition: one policy around the other. It is the definition of
 * what a pipeline means.
 */
const compose = (
  settings: Settings,
  { publish, test }: Resilience.Resilience["Service"],
  circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
): Pipeline<PipelineError> => {
  const { attemptTimeout, name, retry, totalTimeout } = settings
  const timeout = (limit: "attempt" | "total", duration: number | undefined) =>
    duration === undefined ? undefined : Timeout.make({ policy: name, limit, duration })
  const total = timeout("total", totalTimeout)
  const attempt = timeout("attempt", attemptTimeout)
  const classifyAll = forWork(settings, settings.classify)
  const due: CircuitBreaker.CallOptions<unknown, unknown> = {
    // no attempt is given more than the total timeout
    attemptTimeout: attemptTimeout === undefined ? undefined : Math.min(attemptTimeout, totalTimeout ?? Infinity),
    totalTimeoutOf: totalTimeout === undefined ? undefined : name
  }

  const willRefuse = (at: number): boolean => {
    const phase = circuitBreaker === undefined ? undefined : MutableRef.get(circuitBreaker.phase.ref)
    return phase?._tag === "Open" && at < phase.until
  }

  const protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: CallOptions<A, E> = {}
  ): Effect.Effect<A, E | PipelineError, R> => {
    const call = { pipeline: name, operation: options.operation ?? "" }
    const classify = options.classify === undefined
      ? classifyAll
      : forWork(settings, Outcome.orElse(options.classify, settings.classify))

    const work = test === undefined ? self : withFault(self, name, test)
    let effect: Effect.Effect<A, E | PipelineError, R> = attempt === undefined ? inOwnFiber(work) : attempt(work)
    if (circuitBreaker !== undefined) effect = circuitBreaker.protect(effect, { ...due, classify })
    if (circuitBreaker !== undefined || attempt !== undefined) {
      effect = onError(effect, settings, (error) => {
        if (error._tag === "CircuitOpen") {
          const retryAfter = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }
          publish((at) => ({ _tag: "Refused", at, ...call, by: "circuitBreaker", ...retryAfter }))
        } else if (error._tag === "TimedOut" && error.limit === "attempt") {
          publish((at) => ({ _tag: "TimedOut", at, ...call, limit: "attempt" }))
        }
      })
    }
    if (retry !== undefined && options.idempotent !== false) {
      effect = Retry.run(effect, retry, { classify, retryIf: options.retryIf, dispose: options.dispose }, {
        policy: name,
        sleeps: test === undefined || test.delays,
        willRefuse,
        retrying: (progress) => publish((at) => ({ _tag: "Retrying", at, ...call, ...progress })),
        exhausted: ({ attempt, reason }) =>
          publish((at) => ({ _tag: "RetriesExhausted", at, ...call, attempts: attempt, reason }))
      })
    }
    if (total !== undefined) effect = total(effect)
    if (total === undefined && attempt === undefined) return effect
    return onError(effect, settings, (error) => {
      if (error._tag === "DeadlineExceeded" || (error._tag === "TimedOut" && error.limit === "total")) {
        const limit = error._tag === "TimedOut" ? "total" : "deadline"
        publish((at) => ({ _tag: "TimedOut", at, ...call, limit }))
      }
    })
  }

  return { name, settings, circuitBreaker, protect: test?.passThrough === true ? (self) => self : protect }
}

type OwnError = CircuitBreaker.CircuitOpen | Timeout.TimedOut | DeadlineExceeded

/** The error that this pipeline itself has added to a cause. */
const ownError = (cause: Cause.Cause<unknown>, { breakerName, name }: Settings): OwnError | undefined => {
  const found = Cause.findError(cause)
  if (Result.isFailure(found)) return undefined
  const error = found.success
  try {
    if (error instanceof CircuitBreaker.CircuitOpen) return error.policy === breakerName ? error : undefined
    return (error instanceof Timeout.TimedOut || error instanceof DeadlineExceeded) && error.policy === name
      ? error
      : undefined
  } catch {
    // an error may be anything, even a proxy that must not be asked
    return undefined
  }
}

const onError = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  settings: Settings,
  f: (error: OwnError) => void
): Effect.Effect<A, E, R> =>
  Effect.onExitPrimitive(self, (exit) => {
    const error = exit._tag === "Failure" ? ownError(exit.cause, settings) : undefined
    if (error !== undefined) f(error)
    return undefined
  })

/** A classifier of the work alone: what the pipeline itself adds says what it is. */
const forWork = <A, E>(
  settings: Settings,
  classify: Outcome.Classifier<A, E> | undefined
): Outcome.Classifier<A, E | PipelineError> | undefined =>
  classify === undefined ?
    undefined :
    (exit, clock) =>
      exit._tag === "Failure" && ownError(exit.cause, settings) !== undefined
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
  readonly circuitBreaker?: CircuitBreaker.Phase["_tag"] | undefined
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
