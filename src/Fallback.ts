/**
 * Answers in place of work that has failed.
 *
 * A fallback is a {@link Handler}: a function from an error to an effect. So the
 * types say exactly what is left: {@link on} takes the errors that it handles out
 * of the error type, {@link except} keeps in it what must not be masked, and
 * {@link chain} threads what one provider leaves to the next. What a handler
 * leaves alone fails on as it was.
 *
 * Only typed errors are handled. A defect is a mistake in the program and an
 * interruption the caller's wish: no handler is asked about them. Who wants to
 * answer for a defect says so with `Effect.catchDefect` or `Effect.catchCause`.
 *
 * There are three ways to take a failure, each of them one line:
 *
 * - fail open, with a substitute: `Fallback.value(noSuggestions)`
 * - fail closed, with a typed refusal: no fallback at all, since the errors of
 *   the policies are typed and answer 503 or 504; or
 *   `(error) => Effect.fail(new Unavailable({ ... }))`
 * - best effort, log and go on: `(error) => Effect.logWarning("not sent", error)`
 *
 * The fallback is the outermost part of a pipeline, and sees a call once, after
 * its retries. Within the work it would hide failures from retry and breaker.
 * For the same work on another implementation of a service it needs, make a
 * provider of an `ExecutionPlan`: `effect(Effect.withExecutionPlan(work, plan))`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual, identity } from "effect/Function"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type { ExtractTag, Tags } from "effect/Types"
import type { Fixed } from "./internal/fixed.ts"
import { guarded, running } from "./internal/guarded.ts"
import { nonEmpty, oneOf, refuse } from "./internal/options.ts"
import { outcomeTags } from "./internal/outcomeTags.ts"
import * as Outcome from "./Outcome.ts"

/**
 * What answers in place of work that has failed: a function from its error to an
 * effect. What it fails with is what is left of the errors. Any function of that
 * shape is one, also where a pipeline takes a `fallback`.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<in E, out B, out E2, out R2> = (error: E) => Effect.Effect<B, E2, R2>

/** An error with one of these tags. */
interface Tagged<Tag extends string> {
  readonly _tag: Tag
}

/** The members of `E` that may be an `X`: those that are one, and `X` for those that are wider. */
type MayBe<E, X> = E extends X ? E : X extends E ? X : never

/** The members of `E` that may have one of these tags. */
type MayHave<E, Tag extends string> = Tagged<Tag> extends E ? Tagged<Tag> : ExtractTag<E, Tag>

/** Compiles where a handler of `Handled` takes every member of `E` that has one of these tags. */
type Takes<E, Tag extends string, Handled> = [ExtractTag<E, Tag>] extends [Handled] ? unknown : never

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Answers every error with one value.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fallback } from "effect-resilience"
 *
 * const suggestions = Effect.fail("connection refused").pipe(Fallback.orElse(Fallback.value([])))
 *
 * console.log((await Effect.runPromise(suggestions)).length) // => 0
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const value = <B>(value: B): <E>(error: E) => Effect.Effect<B> => {
  const answer = Effect.succeed(value)
  return () => answer
}

/**
 * Answers every error with an effect: a provider. It may fail with errors of its
 * own, which take the place of the one that it was to answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const effect: {
  <B, E2, R2>(provider: Effect.Effect<B, E2, R2>): <E>(error: E) => Effect.Effect<B, E2, R2>
  <E, B, E2, R2>(provider: (error: E) => Effect.Effect<B, E2, R2>): (error: E) => Effect.Effect<B, E2, R2>
} = <E, B, E2, R2>(provider: Effect.Effect<B, E2, R2> | ((error: E) => Effect.Effect<B, E2, R2>)) =>
  Effect.isEffect(provider) ? () => provider : checked("effect", provider)

/**
 * Handles these errors and leaves the others: those that have one of the tags, or
 * that a refinement finds. One that throws leaves the error.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Fallback } from "effect-resilience"
 *
 * const quote = Effect.fail(new CircuitBreaker.CircuitOpen({ policy: "quotes" })).pipe(
 *   Fallback.orElse(Fallback.on(["CircuitOpen"], Fallback.value("yesterday's quote")))
 * )
 *
 * console.log(await Effect.runPromise(quote)) // => yesterday's quote
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const on: {
  <Handled, B, E2, R2>(
    refinement: (error: unknown) => error is Handled,
    handler: Handler<Handled, B, E2, R2>
  ): <E>(error: E) => Effect.Effect<B, E2 | Exclude<E, Handled>, R2>
  <In, Handled extends In, B, E2, R2>(
    refinement: (error: In) => error is Handled,
    handler: Handler<Handled, B, E2, R2>
  ): <E extends In>(error: E) => Effect.Effect<B, E2 | Exclude<E, Handled>, R2>
  <E, const Tag extends Tags<E>, B, E2, R2>(
    tags: ReadonlyArray<Tag>,
    handler: Handler<Fixed<Extract<E, Tagged<Tag>>>, B, E2, R2>
  ): (error: E) => Effect.Effect<B, E2 | Exclude<E, Tagged<Tag>>, R2>
  <const Tag extends string, Handled extends Tagged<Tag>, B, E2, R2>(
    tags: ReadonlyArray<Tag>,
    handler: Handler<Handled, B, E2, R2>
  ): <E>(error: E & Takes<E, Tag, Handled>) => Effect.Effect<B, E2 | Exclude<E, Tagged<Tag>>, R2>
} = (condition: Condition, handler: Answering): never =>
  // what the overloads promise: handled where it holds, else failed with as it was
  select("on", condition, handler, true) as never

/**
 * Leaves these errors, which must not be masked, and handles all others: a caller
 * who has used up an account has to know, and not be given yesterday's answer.
 * They have one of the tags, or a refinement finds them. One that throws leaves
 * the error. What is left is in the type of the result: a tag that is misspelt is
 * not.
 *
 * @category combinators
 * @since 0.1.0
 */
export const except: {
  <E, const Tag extends Tags<E>, B, E2, R2>(
    tags: ReadonlyArray<Tag>,
    handler: Handler<Fixed<Exclude<E, Tagged<Tag>>>, B, E2, R2>
  ): (error: E) => Effect.Effect<B, E2 | Extract<E, Tagged<Tag>>, R2>
  <const Tag extends string, E, B, E2, R2>(
    tags: ReadonlyArray<Tag>,
    handler: Handler<E, B, E2, R2>
  ): (error: E) => Effect.Effect<B, E2 | MayHave<E, Tag>, R2>
  <Left, E, B, E2, R2>(
    refinement: (error: unknown) => error is Left,
    handler: Handler<E, B, E2, R2>
  ): (error: E) => Effect.Effect<B, E2 | MayBe<E, Left>, R2>
} = (condition: Condition, handler: Answering): never =>
  // what the overloads promise: failed with as it was where it holds, else handled
  select("except", condition, handler, false) as never

/**
 * Handles errors of these outcomes and leaves the others. The outcome is the one
 * that the failed work was judged by, `Outcome.annotate` and a pipeline's
 * `classify` included. Outcomes are not in types, so all errors stay in the type.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fallback, Outcome } from "effect-resilience"
 *
 * const page = (error: string, outcome: Outcome.Outcome) =>
 *   Effect.fail(error).pipe(
 *     Outcome.annotate(() => outcome),
 *     Fallback.orElse(Fallback.onOutcome(["Failure", "Overload"], Fallback.value("a plain page"))),
 *     Effect.catch((left) => Effect.succeed(`left alone: ${left}`))
 *   )
 *
 * console.log(await Effect.runPromise(page("connection refused", Outcome.failure()))) // => a plain page
 * console.log(await Effect.runPromise(page("no such page", Outcome.success))) // => left alone: no such page
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const onOutcome = <E, B, E2, R2>(
  outcomes: ReadonlyArray<Outcome.Outcome["_tag"]>,
  handler: Handler<E, B, E2, R2>
): (error: E) => Effect.Effect<B, E2 | E, R2> => {
  const handled = listed("onOutcome", "outcomes", outcomes)
  for (const outcome of handled) oneOf("Fallback.onOutcome", "an outcome", outcome, outcomeTags)
  checked("onOutcome", handler)
  return (error) =>
    Effect.withFiber<B, E2 | E, R2>((fiber) =>
      handled.includes(outcomeOf(error, fiber.getRef(Handling), fiber.getRef(Clock.Clock))._tag)
        ? handler(error)
        : Effect.fail(error)
    )
}

/**
 * Providers in the order in which they are asked. Each is asked about the error
 * that the one before it has left: the same one where its condition did not hold,
 * its own where it failed. So the chain fails with the error of its last
 * provider, and the type is what that one leaves.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Fallback } from "effect-resilience"
 *
 * class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
 * class NotCached extends Schema.TaggedError<NotCached>()("NotCached", {}) {}
 *
 * const answer = Effect.fail(new Busy()).pipe(
 *   Fallback.orElse(Fallback.chain(
 *     Fallback.on(["Busy"], Fallback.effect(Effect.fail(new NotCached()))),
 *     Fallback.on(["NotCached"], Fallback.value("a plain answer"))
 *   ))
 * )
 *
 * console.log(await Effect.runPromise(answer)) // => a plain answer
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const chain: {
  <E, A1, E1, R1, A2, E2, R2>(
    first: Handler<E, A1, E1, R1>,
    second: Handler<E1, A2, E2, R2>
  ): (error: E) => Effect.Effect<A1 | A2, E2, R1 | R2>
  <E, A1, E1, R1, A2, E2, R2, A3, E3, R3>(
    first: Handler<E, A1, E1, R1>,
    second: Handler<E1, A2, E2, R2>,
    third: Handler<E2, A3, E3, R3>
  ): (error: E) => Effect.Effect<A1 | A2 | A3, E3, R1 | R2 | R3>
  <E, A1, E1, R1, A2, E2, R2, A3, E3, R3, A4, E4, R4>(
    first: Handler<E, A1, E1, R1>,
    second: Handler<E1, A2, E2, R2>,
    third: Handler<E2, A3, E3, R3>,
    fourth: Handler<E3, A4, E4, R4>
  ): (error: E) => Effect.Effect<A1 | A2 | A3 | A4, E4, R1 | R2 | R3 | R4>
  <E, A1, E1, R1, A2, E2, R2, A3, E3, R3, A4, E4, R4, A5, E5, R5>(
    first: Handler<E, A1, E1, R1>,
    second: Handler<E1, A2, E2, R2>,
    third: Handler<E2, A3, E3, R3>,
    fourth: Handler<E3, A4, E4, R4>,
    fifth: Handler<E4, A5, E5, R5>
  ): (error: E) => Effect.Effect<A1 | A2 | A3 | A4 | A5, E5, R1 | R2 | R3 | R4 | R5>
} = (
  ...providers: ReadonlyArray<Provider>
): (error: unknown) => Effect.Effect<never, never, never> => {
  for (const provider of providers) checked("chain", provider)
  // what the overloads promise: each one takes what the one before it leaves
  return listed("chain", "providers", providers).reduce(handOn) as never
}

/**
 * Runs an effect, and where it fails with a typed error, the handler.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orElse: {
  <E, B, E2, R2>(
    handler: Handler<E, B, E2, R2>
  ): <A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A | B, E2, R | R2>
  <A, E, R, B, E2, R2>(
    self: Effect.Effect<A, E, R>,
    handler: Handler<E, B, E2, R2>
  ): Effect.Effect<A | B, E2, R | R2>
} = /*#__PURE__*/ dual(
  2,
  <A, E, R, B, E2, R2>(
    self: Effect.Effect<A, E, R>,
    handler: Handler<E, B, E2, R2>
  ): Effect.Effect<A | B, E2, R | R2> => run(self, checked("orElse", handler))
)

// -----------------------------------------------------------------------------
// running
// -----------------------------------------------------------------------------

/**
 * What a pipeline says and is told about one fallback.
 *
 * @internal
 */
export interface Watch<in A, in E> {
  /** Overrides what exits mean. */
  readonly classify?: Outcome.Classifier<A, E> | undefined
  /** Called when the handler has answered in place of this error; not when it left it alone, or failed itself. */
  readonly fellBack?: ((error: E) => void) | undefined
}

/**
 * Runs an effect, and where it fails with a typed error, the handler.
 *
 * @internal
 */
export const run = <A, E, R, B, E2, R2>(
  self: Effect.Effect<A, E, R>,
  handler: Handler<E, B, E2, R2>,
  watch?: Watch<A, E>
): Effect.Effect<A | B, E2, R | R2> =>
  handle(
    self,
    handler,
    // the classifier is asked about an exit of this work and no other
    (error, cause) => ({ error, cause, classify: watch?.classify as Outcome.Classifier | undefined }),
    watch?.fellBack
  )

const handle = <A, E, R, B, E2, R2>(
  self: Effect.Effect<A, E, R>,
  handler: Handler<E, B, E2, R2>,
  failureOf: (error: E, cause: Cause.Cause<E>, fiber: Fiber.Fiber<unknown, unknown>) => Failure,
  fellBack?: (error: E) => void
): Effect.Effect<A | B, E2, R | R2> =>
  Effect.catchCause(self, (cause) => {
    const found = Cause.findError(cause)
    // beside a defect there is nothing to be handled: a typed error becomes one too, as `Effect.catch` knows to do
    if (Result.isFailure(found) || Cause.hasDies(cause)) return Effect.catch(Effect.failCause(cause), handler)
    const error = found.success
    return Effect.withFiber<B, E2, R2>((fiber) =>
      Effect.provideService(running(() => handler(error)), Handling, failureOf(error, cause, fiber)).pipe(
        // left alone, it keeps its cause, and what is noted there; being the handler's error it is an E2
        Effect.catchCause((left) => Effect.failCause(isOnly(error, left) ? cause as Cause.Cause<never> : left)),
        fellBack === undefined ? identity : Effect.tap(() => Effect.sync(() => fellBack(error)))
      )
    )
  })

/** The next provider is asked about what the one before it has left of `error`. */
const handOn = (before: Provider, next: Provider): Provider => (error) =>
  handle(before(error), next, (left, cause, fiber) => {
    const failure = fiber.getRef(Handling)
    // what was left alone has been judged already
    return failure !== undefined && Object.is(left, error) && Object.is(failure.error, error)
      ? failure
      : { error: left, cause, classify: undefined }
  })

type Provider = Handler<unknown, unknown, unknown, unknown>

const isOnly = (error: unknown, cause: Cause.Cause<unknown>): boolean => {
  const [reason, ...others] = cause.reasons
  return others.length === 0 && reason?._tag === "Fail" && Object.is(reason.error, error)
}

/** The failure that a handler is asked about: more is known of it than its error says. */
interface Failure {
  readonly error: unknown
  readonly cause: Cause.Cause<unknown>
  readonly classify: Outcome.Classifier | undefined
}

const Handling = Context.Reference<Failure | undefined>("effect-resilience/Fallback/Handling", {
  defaultValue: () => undefined
})

// a handler may be asked about another error than that of the work, by whoever calls it by hand
const outcomeOf = (error: unknown, failure: Failure | undefined, clock: Clock.Clock): Outcome.Outcome =>
  failure !== undefined && Object.is(failure.error, error)
    ? Outcome.classify(Exit.failCause(failure.cause), failure.classify, clock)
    : Outcome.fromError(error)

/** What is asked about those errors alone that its types allow, which the overloads see to. */
type Condition = ReadonlyArray<string> | ((error: never) => boolean)
type Answering = Handler<never, unknown, unknown, unknown>

const select = (combinator: string, condition: Condition, handler: Answering, handles: boolean) => {
  const matches = typeof condition === "function" ? condition : hasTag(combinator, condition)
  checked(combinator, handler)
  return (error: never) => guarded(() => matches(error)) === handles ? handler(error) : Effect.fail(error)
}

const hasTag = (combinator: string, tags: ReadonlyArray<string>) => {
  const known = listed(combinator, "tags", tags)
  for (const tag of known) nonEmpty(`Fallback.${combinator}`, "a tag", tag)
  return (error: unknown) => hasProperty(error, "_tag") && known.some((tag) => tag === error._tag)
}

/** A copy of a list that must have something in it. */
const listed = <A>(combinator: string, option: string, list: ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.isArray(list) && list.length > 0
    ? [...list]
    : refuse(`Fallback.${combinator}`, option, "a list that is not empty", list)

const checked = <H>(combinator: string, handler: H): H =>
  typeof handler === "function"
    ? handler
    : refuse(`Fallback.${combinator}`, "a handler", "a function from an error to an effect", handler)
