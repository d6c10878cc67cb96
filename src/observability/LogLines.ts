/**
 * Log lines that a person can follow and a program can search, made from the events
 * of `Resilience`: who was called, which attempt of how many, how it ended, what is
 * waited for, and how breakers change.
 *
 * What somebody must look at is an error: a breaker that opens, a call whose
 * attempts are used up. What went wrong and was dealt with is a warning, what a
 * breaker does by itself is information, and all else is for debugging: every
 * attempt, every hedge, every fresh answer from a cache.
 *
 * While a dependency is down its lines are many and alike. Each pipeline may log a
 * number of lines of each kind within an interval; the others are counted, and told
 * in one line at its end. So are events that came faster than they were taken.
 *
 * Lines hold the kind of an error and not its message, which may hold anything.
 * Names are cut and escaped, so that they stay within their line.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { kinds } from "../internal/listeners.ts"
import { flag, integer, onlyKeys, positiveMillis } from "../internal/options.ts"
import type * as Pipeline from "../Pipeline.ts"
import { Resilience, type Subscription } from "../Resilience.ts"
import type { ResilienceEvent } from "../ResilienceEvent.ts"
import { type Line, lineOf as line, withMessage } from "./internal/eventLine.ts"
import { clean } from "./internal/text.ts"

/**
 * How much is logged. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many lines of one kind a pipeline may log within `every`. `Infinity` for all. Default: 10. */
  readonly lines?: number | undefined
  /** The interval, at the end of which lines that were left out are told. Default: 10 seconds. */
  readonly every?: Duration.Input | undefined
  /**
   * Whether the messages of errors are logged, too. They may hold what should be in
   * no log: addresses, names, tokens. What a call has answered is never logged, even
   * where it was tried again for it. Default: `false`.
   */
  readonly messages?: boolean | undefined
}

/**
 * An event as a line for people, and as annotations for programs.
 *
 * @category models
 * @since 0.1.0
 */
export type { Line } from "./internal/eventLine.ts"

/**
 * What an event is in a log.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { LogLines } from "effect-resilience/observability"
 *
 * const { level, text } = LogLines.lineOf({
 *   _tag: "Retrying",
 *   at: 0,
 *   pipeline: "planning",
 *   operation: "GET /plans",
 *   call: 1,
 *   attempt: 1,
 *   attempts: 4,
 *   delay: Duration.millis(500),
 *   reason: new TypeError("fetch failed")
 * })
 *
 * console.log(level, text) // => Warn planning GET /plans: attempt 1 of 4 failed (TypeError), next in 500ms
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const lineOf = (event: ResilienceEvent): Line => line(event)

const module_ = "LogLines.layer"

/** How many kinds of lines are told apart within an interval. */
const maxKinds = 10_000

/** Lines of one kind in the present interval. */
interface Kind {
  logged: number
  leftOut: number
  /** The last that was left out. */
  last: ResilienceEvent | undefined
}

/**
 * Logs what happens, by the loggers and the level that are set where the layer is
 * built. It needs events: pipelines tell of every attempt where it is installed. A
 * bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Logger } from "effect"
 * import { Pipeline, Resilience } from "effect-resilience"
 * import { LogLines } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function*() {
 *   const quotes = yield* Pipeline.make("quotes", { circuitBreaker: { trip: { kind: "consecutive", failures: 1 } } })
 *   yield* Effect.ignore(quotes.protect(Effect.fail({ _tag: "FetchFailed" }), { operation: "latest" }))
 *   yield* Effect.sleep("10 millis")
 * })
 *
 * const lines: Array<string> = []
 * const logger = Logger.layer([Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${message}`))])
 * const logged = LogLines.layer().pipe(Layer.provide(logger), Layer.provideMerge(Resilience.layer))
 * await program.pipe(Effect.provide(logged), Effect.runPromise)
 *
 * console.log(lines[0]) // => Error quotes: circuit breaker opened (FetchFailed), next probe in 30s
 * console.log(lines[1]?.replace(/\d+ms/, "1ms")) // => Warn quotes latest: attempt 1 failed after 1ms (FetchFailed)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never, never, Resilience> => {
  onlyKeys(module_, options, ["lines", "every", "messages"])
  const lines = options.lines === Infinity ? Infinity : integer(module_, "lines", options.lines ?? 10, 1)
  const every = positiveMillis(module_, "every", options.every ?? "10 seconds")
  const messages = flag(module_, "messages", options.messages ?? false)
  const interval = Duration.format(Duration.millis(every))
  return Layer.effectDiscard(Effect.gen(function*() {
    const resilience = yield* Resilience
    let kinds = new Map<string, Kind>()
    /** Lines of kinds that are too many to be told apart. */
    let further = 0
    /** Those that came faster than they were read, when that was told last. */
    let lost = 0
    let subscription: Pick<Subscription<ResilienceEvent>, "lost"> = { lost }

    let pipelines: ReadonlyMap<string, Pipeline.Pipeline<Pipeline.PipelineError>> = new Map()

    /** An attempt that fails is a warning where nobody tells that it is tried again. */
    const levelOf = Effect.fnUntraced(function*(event: ResilienceEvent, made: Line) {
      if (event._tag !== "Attempted" || isWell(event)) return made.level
      if (!pipelines.has(event.pipeline)) pipelines = yield* resilience.pipelines
      const settings = pipelines.get(event.pipeline)?.settings
      const { retry } = settings?.operations.get(event.operation) ?? settings ?? {}
      return retry === undefined ? "Warn" : made.level
    })

    const write = Effect.fnUntraced(function*(event: ResilienceEvent, leftOut: number) {
      const made = messages ? withMessage(event) : line(event)
      const level = yield* levelOf(event, made)
      if (!(yield* LogLevel.isEnabled(level))) return
      if (leftOut === 0) {
        if (!admit(event)) return
        yield* Effect.annotateLogs(Effect.logWithLevel(level)(made.text), made.annotations)
      } else {
        const text = `${clean(event.pipeline)}: ${leftOut} more of these in ${interval}, the last: ${made.text}`
        yield* Effect.annotateLogs(Effect.logWithLevel(level)(text), { ...made.annotations, leftOut })
      }
    })

    /** Whether a line may be written; it is counted where not. */
    const admit = (event: ResilienceEvent): boolean => {
      const name = kindOf(event)
      let kind = kinds.get(name)
      if (kind === undefined) {
        // names that nobody declares could be without end
        if (kinds.size >= maxKinds) {
          further++
          return false
        }
        kinds.set(name, kind = { logged: 0, leftOut: 0, last: undefined })
      }
      if (kind.logged < lines) {
        kind.logged++
        return true
      }
      kind.leftOut++
      kind.last = event
      return false
    }

    const sum = (event: string, leftOut: number, text: string) =>
      leftOut === 0 ? Effect.void : Effect.annotateLogs(Effect.logWarning(`${leftOut} ${text}`), { event, leftOut })

    const tellLeftOut = Effect.gen(function*() {
      const over = kinds
      const beyond = further
      const before = lost
      kinds = new Map()
      further = 0
      lost = subscription.lost
      for (const { last, leftOut } of over.values()) {
        if (last !== undefined) yield* Effect.exit(write(last, leftOut))
      }
      yield* Effect.exit(sum("LeftOut", beyond, `more lines in ${interval}, of too many kinds to tell them apart`))
      yield* Effect.exit(sum("EventsLost", lost - before, "events came faster than they were taken, and were lost"))
    })

    let reader: Fiber.Fiber<void> | undefined = undefined
    // at the end what has been told is written, and then what was left out last
    yield* Effect.addFinalizer(() =>
      Effect.andThen(reader === undefined ? Effect.void : Fiber.await(reader), tellLeftOut)
    )
    const debugs = yield* LogLevel.isEnabled("Debug")
    // most are attempts that went well, which nobody wants to read
    const subscribed = yield* resilience.subscribe(debugs ? told : quiet, (event) => debugs || !isWell(event))
    subscription = subscribed
    // a logger that breaks has lost a line, and gets the next
    const reading = Stream.runForEach(subscribed.events, (event) => Effect.exit(write(event, 0)))
    // it ends with its events
    reader = yield* Effect.forkDetach(reading, { startImmediately: true })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(every), tellLeftOut)))
  }))
}

/** Of calls, their attempts tell enough. */
const told = kinds.filter((kind) => kind !== "CallEnded")

/** What is logged where nobody debugs. */
const quiet = told.filter((kind) => kind !== "Hedged" && kind !== "HedgeWon")

/** Whether it is of an attempt that did not fail. */
const isWell = (event: ResilienceEvent): boolean =>
  event._tag === "Attempted" && (event.outcome === "Success" || event.outcome === "Ignored")

const kindOf = (event: ResilienceEvent): string => {
  const { _tag, pipeline } = event
  const further = "outcome" in event ? event.outcome : "by" in event ? event.by : "limit" in event ? event.limit : ""
  return JSON.stringify([_tag, further, pipeline])
}
