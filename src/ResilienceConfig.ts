/**
 * Policies that are chosen and tuned by configuration.
 *
 * What configuration says is data: under the names of pipelines, the options that
 * `Pipeline.make` takes, but for functions, schedules and policies of one's own. A
 * duration is text like `"2 seconds"`, or a number of milliseconds; any value may
 * be text, as it is in the environment; `false` is to do without a part.
 *
 * Data lies over what code declares. It may change the parts of a pipeline and
 * switch them off, and adds none, so that the errors of a pipeline are still those
 * that its types say. Within a part, an option that is left out is as declared; a
 * part, or an option, that has a `kind` is said in full. Pipelines can also be made
 * from data alone, see {@link pipelines}.
 *
 * A mistake never passes in silence, and never hides another: unknown options are
 * refused, and {@link ConfigInvalid} lists all that is wrong, each with its path.
 * What is of no use to anybody is listed by {@link unclaimed}.
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { refusalOf } from "./internal/configOptions.ts"
import { PipelineSchema, PipelinesSchema } from "./internal/configParts.ts"
import { decode as decodeAll, formatPath, type Path, type Problem } from "./internal/configProblems.ts"
import { read } from "./internal/configSource.ts"
import { differences } from "./internal/differences.ts"
import { tune } from "./internal/pipelineSettings.ts"
import * as PipelineModule from "./Pipeline.ts"
import * as Resilience from "./Resilience.ts"

// -----------------------------------------------------------------------------
// schemas
// -----------------------------------------------------------------------------

/**
 * What configuration says of one pipeline, decoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export type Pipeline = typeof PipelineSchema.Type

/**
 * What configuration says of one pipeline, with the checks of all its options. For
 * a schema of one's own that holds it; decode that with `onExcessProperty: "error"`,
 * or misspelt options pass. {@link decode} does.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Pipeline: Schema.Codec<Pipeline, typeof PipelineSchema.Encoded> = PipelineSchema

/**
 * What configuration says of pipelines, by name, decoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export type Pipelines = typeof PipelinesSchema.Type

/**
 * What configuration says of pipelines, by name. See {@link Pipeline}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Pipelines: Schema.Codec<Pipelines, typeof PipelinesSchema.Encoded> = PipelinesSchema

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/**
 * Decodes data, from code or from a file: plain objects by the names of pipelines.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ResilienceConfig } from "effect-resilience"
 *
 * const { problems } = await ResilienceConfig.decode({
 *   quotes: {
 *     retry: { times: -1 },
 *     circuitBreaker: { trip: { kind: "rate", threshold: 0.5, minimumCalls: 20, window: { calls: 10 } } }
 *   },
 *   orders: { atemptTimeout: "2 seconds" }
 * }).pipe(Effect.flip, Effect.runPromise)
 *
 * console.log(problems[0]?.path, problems[0]?.message) // => quotes.retry.times must be an integer >= 0, got -1
 * console.log(problems[1]?.path) // => quotes.circuitBreaker.trip.minimumCalls
 * console.log(problems[2]?.path) // => orders.atemptTimeout
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const decode = (data: unknown): Effect.Effect<Pipelines, ConfigInvalid> => decodeAt([], { data, problems: [] })

/**
 * Reads what the `ConfigProvider` has under a path, and decodes it. Where there is
 * nothing, the answer is empty, and all is as declared in code.
 *
 * In the environment a value is named by its path, joined by `_`, and spelt as in
 * JSON: `policies_payments_retry_times=3`, `policies_payments_circuitBreaker=false`,
 * `policies_payments_circuitBreaker_trip_0_failures=7` in a list. Lists of tags may
 * also be one value, with commas. Capitals matter, since names of pipelines are
 * told apart by them; the path in other capitals is refused. A name with a `_` in
 * it can only stand in a file.
 *
 * Of providers composed with `ConfigProvider.orElse`, the first that has a value
 * is right, value by value, also in lists; a block of another `kind` takes the
 * place of the whole block. Whatever is empty, or `null`, is left out.
 *
 * @category reading
 * @since 0.1.0
 */
export const load = (path = "policies"): Effect.Effect<Pipelines, ConfigInvalid> => {
  const segments = path.split("_")
  return Effect.flatMap(ConfigProvider.ConfigProvider, (provider) => read(provider, segments)).pipe(
    Effect.catchTag(
      "SourceError",
      ({ message }) => Effect.fail(invalid([{ path: segments, message: `cannot be read: ${message}` }]))
    ),
    Effect.flatMap(({ data = {}, problems }) => decodeAt(segments, { data, problems }))
  )
}

const decodeAt = (
  path: Path,
  { data, problems }: { readonly data: unknown; readonly problems: ReadonlyArray<Problem> }
): Effect.Effect<Pipelines, ConfigInvalid> =>
  Effect.suspend(() => {
    const result = decodeAll(PipelinesSchema, data)
    if (Result.isSuccess(result) && problems.length === 0) return Effect.succeed(result.success)
    const found = Result.isSuccess(result) ? [] : result.failure
    return Effect.fail(invalid([...problems, ...found.map((problem) => within(path, problem))]))
  })

const within = (path: Path, problem: Problem): Problem => ({ ...problem, path: [...path, ...problem.path] })

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * State in memory, as `Resilience.layer`, with pipelines tuned by data.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (data: unknown): Layer.Layer<Resilience.Resilience, ConfigInvalid> =>
  Layer.unwrap(Effect.map(decode(data), Resilience.layerTuned))

/**
 * State in memory, as `Resilience.layer`, with pipelines tuned by what the
 * `ConfigProvider` has under a path. See {@link load}.
 *
 * @example
 * ```ts
 * import { ConfigProvider, Effect, Layer } from "effect"
 * import { Pipeline, ResilienceConfig } from "effect-resilience"
 *
 * class Quotes extends Pipeline.Service<Quotes>()("quotes", { retry: { times: 3 }, attemptTimeout: "2 seconds" }) {}
 *
 * const file = ConfigProvider.fromUnknown({ policies: { quotes: { retry: { times: 1 }, attemptTimeout: "5 seconds" } } })
 * const environment = ConfigProvider.fromEnv({ env: { policies_quotes_retry_times: "2" } })
 *
 * const live = Quotes.layer.pipe(
 *   Layer.provide(ResilienceConfig.layerConfig()),
 *   Layer.provide(ConfigProvider.layer(ConfigProvider.orElse(environment, file)))
 * )
 * const { settings } = await Quotes.pipe(Effect.provide(live), Effect.runPromise)
 *
 * console.log(settings.retry?.times) // => 2
 * console.log(settings.attemptTimeout) // => 5000
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (path?: string): Layer.Layer<Resilience.Resilience, ConfigInvalid> =>
  Layer.unwrap(Effect.map(load(path), Resilience.layerTuned))

/**
 * The names that the configuration of {@link layer} or {@link layerConfig} has
 * something to say about, and that no pipeline has had until now. Look at it when
 * all pipelines are there: what is left is misspelt, or of no use any more.
 *
 * @category reading
 * @since 0.1.0
 */
export const unclaimed: Effect.Effect<ReadonlyArray<string>, never, Resilience.Resilience> = Effect.gen(function*() {
  const resilience = yield* Resilience.Resilience
  const pipelines = yield* resilience.pipelines
  return [...resilience.tuning.keys()].filter((name) => !pipelines.has(name))
})

// -----------------------------------------------------------------------------
// live pipelines
// -----------------------------------------------------------------------------

/**
 * Tunes running pipelines by other data. Calls in flight end as they began, and
 * policies keep their state. The data lies over what code declares: what other data
 * said before about a pipeline of these names holds no longer. Pipelines that it
 * does not name stay as they are.
 *
 * If anything is wrong, nothing is changed. A name that no pipeline has by now is
 * wrong as well.
 *
 * @category reconfiguring
 * @since 0.1.0
 */
export const reconfigure = (data: unknown): Effect.Effect<void, ConfigInvalid, Resilience.Resilience> =>
  Effect.gen(function*() {
    const live = yield* Effect.flatMap(Resilience.Resilience, ({ pipelines }) => pipelines)
    const decoded = decodeAll(PipelinesSchema, data)
    if (Result.isFailure(decoded)) {
      const unknown = Object.keys(Object(data)).filter((name) => !live.has(name))
      return yield* invalid([...decoded.failure, ...unknown.map(unknownName)])
    }
    const tunings = decoded.success
    const problems: Array<Problem> = []
    const changes: Array<Effect.Effect<void>> = []
    for (const [name, tuning] of Object.entries(tunings)) {
      const pipeline = live.get(name)
      if (pipeline === undefined) {
        problems.push(unknownName(name))
        continue
      }
      problems.push(...problemsOf(name, tuning, (tuning) => tune(name, pipeline.declared, tuning)))
      changes.push(Effect.suspend(() => pipeline.reconfigure(tuning)))
    }
    if (problems.length > 0) return yield* invalid(problems)
    yield* Effect.uninterruptible(Effect.all(changes, { discard: true }))
  })

const unknownName = (name: string): Problem => ({ path: [name], message: "is not the name of any pipeline" })

/**
 * Makes pipelines from data alone, or finds those that have been made from the same
 * data before. They can fail with all that any pipeline can fail with. A name that
 * another pipeline has is wrong; what {@link layer} says of the names lies over it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Resilience, ResilienceConfig } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const pipelines = yield* ResilienceConfig.pipelines({
 *     quotes: { retry: { times: 2 }, attemptTimeout: "2 seconds" },
 *     orders: { circuitBreaker: { open: "1 minute" } }
 *   })
 *   const quotes = pipelines.get("quotes")
 *   return quotes === undefined ? "no quotes" : yield* quotes.protect(Effect.succeed("a quote"))
 * })
 *
 * console.log(await program.pipe(Effect.provide(Resilience.layer), Effect.runPromise)) // => a quote
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pipelines = (
  data: unknown
): Effect.Effect<
  ReadonlyMap<string, PipelineModule.Pipeline<PipelineModule.PipelineError>>,
  ConfigInvalid,
  Resilience.Resilience
> =>
  Effect.gen(function*() {
    const all = yield* decode(data)
    const resilience = yield* Resilience.Resilience
    const live = yield* resilience.pipelines
    const problems: Array<Problem> = []
    for (const [name, options] of Object.entries(all)) {
      const found = [
        ...problemsOf(name, options, (options) => PipelineModule.settings(name, options), true),
        ...nameProblems(name, options, live.get(name))
      ]
      const tuning = resilience.tuning.get(name)
      problems.push(
        ...found.length > 0 || tuning === undefined
          ? found
          : problemsOf(name, tuning, (tuning) => tune(name, options, tuning))
      )
    }
    if (problems.length > 0) return yield* invalid(problems)
    const made = yield* Effect.forEach(
      Object.entries(all),
      ([name, options]) =>
        Effect.map(
          PipelineModule.fromSettings(PipelineModule.settings(name, options)),
          (pipeline) => [name, pipeline] as const
        )
    )
    return new Map(made)
  })

const nameProblems = (
  name: string,
  options: Pipeline,
  existing: PipelineModule.Pipeline<PipelineModule.PipelineError> | undefined
): ReadonlyArray<Problem> => {
  const differing = existing === undefined ? [] : differences(existing.declared, options)
  return differing.length === 0
    ? []
    : [{ path: [name], message: `is the name of another pipeline: ${differing.join("; ")}` }]
}

/** What a pipeline has against options: against each by itself, so that none hides another, then against all together. */
const problemsOf = (
  name: string,
  tuning: PipelineModule.Tuning,
  check: (tuning: PipelineModule.Tuning) => unknown,
  isWhole = false
): ReadonlyArray<Problem> => {
  const problem = (path: Path, part: PipelineModule.Tuning): ReadonlyArray<Problem> => {
    const refusal = refusalOf(() => check(part))
    if (refusal === undefined) return []
    const { message, option: [first, ...further] } = refusal
    // a pipeline says which part it means, a part only what is in it
    const inside = first === undefined ? [] : first === path.at(-1) ? further : [first, ...further]
    return [{ path: [name, ...path, ...inside], message }]
  }
  const { operations = {}, ...parts } = tuning
  const right: Record<string, unknown> = {}
  const problems: Array<Problem> = []
  for (const [part, options] of Object.entries(parts)) {
    const found = problem([part], { [part]: options })
    if (found.length === 0) right[part] = options
    problems.push(...found)
  }
  for (const [operation, overrides] of Object.entries(operations)) {
    for (const [part, options] of Object.entries(overrides)) {
      // of a whole pipeline, what an operation changes is not there as long as it is wrong
      if (isWhole && part in parts && !(part in right)) continue
      problems.push(
        ...problem(["operations", operation, part], { ...right, operations: { [operation]: { [part]: options } } })
      )
    }
  }
  return problems.length > 0 ? problems : problem([], tuning)
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/** So many problems are in a message; all of them are in the error. */
const shown = 50

/**
 * All that is wrong with some configuration. Its messages name unknown options, and
 * never show their values.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  /** Each with the path to it, such as `payments.circuitBreaker.trip.failures`; empty for all of the data. */
  problems: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    const { problems } = this
    const lines = problems.slice(0, shown).map(({ message, path }) =>
      `  ${path === "" ? "all of it" : path} ${message}`
    )
    const more = problems.length > shown ? [`  and ${problems.length - shown} more`] : []
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`
    return [`ResilienceConfig: ${count}`, ...lines, ...more].join("\n")
  }
}

const invalid = (problems: ReadonlyArray<Problem>): ConfigInvalid =>
  new ConfigInvalid({ problems: problems.map(({ message, path }) => ({ path: formatPath(path), message })) })
