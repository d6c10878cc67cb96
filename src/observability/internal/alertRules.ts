/** What each rule watches, and when its episodes begin and end. Times are monotonic milliseconds. */
import * as Duration from "effect/Duration"
import type * as AdaptiveLimit from "../../AdaptiveLimit.ts"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import { errorKind } from "../../internal/errorKind.ts"
import type * as Pipeline from "../../Pipeline.ts"
import type { OfKind } from "../../ResilienceEvent.ts"
import type * as RetryBudget from "../../RetryBudget.ts"
import { clean } from "./text.ts"

/** A breaker or a pipeline. */
export interface Subject {
  readonly pipeline: string
  readonly key?: string | undefined
}

/** What is read at intervals; what is a map is by name. */
export interface View {
  /** All breakers without keys, and, of the others, some keys that were down. */
  readonly breakers: ReadonlyArray<CircuitBreaker.Snapshot>
  readonly counts: ReadonlyMap<string, Pipeline.Counts>
  readonly budgets: ReadonlyMap<string, RetryBudget.Snapshot>
  readonly limits: ReadonlyMap<string, AdaptiveLimit.Snapshot>
}

/** Begins and ends episodes; there is one at most for each subject. */
export interface Episodes {
  readonly raise: (subject: Subject, text: string) => void
  readonly recover: (subject: Subject, text: string) => void
  readonly isOn: (subject: Subject) => boolean
}

export interface Watch {
  readonly opened?: (subject: Subject, now: number, because: OfKind<"CircuitOpened"> | undefined) => void
  readonly ended?: (subject: Subject, now: number, downFor: number) => void
  readonly look?: (view: View, down: Iterable<readonly [Subject, since: number]>, now: number) => void
}

export type RuleSettings =
  | { readonly kind: "opened" }
  | { readonly kind: "open-longer"; readonly than: number }
  | { readonly kind: "flapping"; readonly openings: number; readonly within: number }
  | { readonly kind: "error-rate"; readonly threshold: number; readonly within: number; readonly minimumCalls: number }
  | { readonly kind: "budget-empty"; readonly within: number }
  | { readonly kind: "limit-shrinking"; readonly to: number; readonly within: number }

const time = (millis: number): string => millis < 0.5 ? "0ms" : Duration.format(Duration.millis(Math.round(millis)))

export const subjectKey = ({ key, pipeline }: Subject): string => JSON.stringify([pipeline, key])

/** How many breakers, or keys, are watched at once. */
export const maxSubjects = 10_000

/** The kinds of events that say whether a breaker is down. */
export const noted = ["CircuitOpened", "CircuitClosed", "CircuitReset", "CircuitReleased", "CircuitRestored"] as const

/** Which breakers are down, by events and, where none has told of it, by looking. */
export class Outages {
  private readonly down = new Map<string, readonly [Subject, number]>()
  private hand = this.down.values()
  private readonly watches: ReadonlyArray<Watch>

  constructor(watches: ReadonlyArray<Watch>) {
    this.watches = watches
  }

  get all(): Iterable<readonly [Subject, number]> {
    return this.down.values()
  }

  /** Some of those that are down, and further ones each time. */
  next(most: number): ReadonlyArray<Subject> {
    const some: Array<Subject> = []
    while (some.length < Math.min(most, this.down.size)) {
      const { value } = this.hand.next()
      if (value === undefined) this.hand = this.down.values()
      else some.push(value[0])
    }
    return some
  }

  note(event: OfKind<typeof noted[number]>, now: number): void {
    switch (event._tag) {
      case "CircuitOpened":
        return this.begin(event, now, event)
      case "CircuitClosed":
      case "CircuitReset":
        return this.end(event, now)
      case "CircuitReleased":
      case "CircuitRestored":
        if (event.state === "Closed") return this.end(event, now)
        return event._tag === "CircuitRestored" ? this.begin(event, now, undefined) : undefined
    }
  }

  look(breakers: View["breakers"], now: number): void {
    for (const { beneath, key, name, state } of breakers) {
      const subject = { pipeline: name, key }
      // what somebody has forced is judged by what lies beneath
      const standing = state === "Forced" ? beneath?.state : state
      // a key that was dropped, since nobody has called it, stands as if it were new
      if (standing === "Closed") this.end(subject, now)
      else this.begin(subject, now, undefined)
    }
  }

  /** `because` of the event that has told of it, if one has. */
  private begin({ key, pipeline }: Subject, now: number, because: OfKind<"CircuitOpened"> | undefined): void {
    const subject: Subject = key === undefined ? { pipeline } : { pipeline, key }
    const id = subjectKey(subject)
    if (this.down.has(id) || this.down.size >= maxSubjects) return
    this.down.set(id, [subject, now])
    for (const watch of this.watches) watch.opened?.(subject, now, because)
  }

  private end(of: Subject, now: number): void {
    const id = subjectKey({ pipeline: of.pipeline, key: of.key })
    const outage = this.down.get(id)
    if (outage === undefined) return
    this.down.delete(id)
    for (const watch of this.watches) watch.ended?.(outage[0], now, now - outage[1])
  }
}

const breakerOf = ({ key, pipeline }: Subject): string =>
  `${clean(pipeline)}${key === undefined ? "" : ` [${clean(key)}]`}: circuit breaker`

const closed = (on: Episodes, subject: Subject, downFor: number): void =>
  on.recover(subject, `${breakerOf(subject)} closed after ${time(downFor)}`)

const opened = (on: Episodes): Watch => ({
  opened: (subject, _, because) => {
    const slow = because?.because === "slow" ? ", calls are slow" : ""
    const error = because?.reason === undefined ? "" : ` (${clean(errorKind(because.reason))})`
    on.raise(subject, `${breakerOf(subject)} open${slow}${error}`)
  },
  ended: (subject, _, downFor) => closed(on, subject, downFor)
})

const openLonger = (on: Episodes, { than }: { readonly than: number }): Watch => ({
  look: (_, down, now) => {
    for (const [subject, since] of down) {
      if (now - since >= than && !on.isOn(subject)) {
        on.raise(subject, `${breakerOf(subject)} open for ${time(now - since)}`)
      }
    }
  },
  ended: (subject, _, downFor) => closed(on, subject, downFor)
})

const flapping = (
  on: Episodes,
  { openings, within }: { readonly openings: number; readonly within: number }
): Watch => {
  const recent = new Map<string, { readonly subject: Subject; times: ReadonlyArray<number> }>()
  return {
    opened: (subject, now) => {
      const id = subjectKey(subject)
      if (!recent.has(id) && recent.size >= maxSubjects) return
      // no more are needed than raise it
      const times = [...recent.get(id)?.times ?? [], now].filter((at) => now - at < within).slice(-openings)
      recent.set(id, { subject, times })
      if (times.length < openings) return
      on.raise(subject, `${breakerOf(subject)} opened ${openings} times within ${time(within)}`)
    },
    look: (_, down, now) => {
      const isDown = new Set(Array.from(down, ([subject]) => subjectKey(subject)))
      for (const [id, { subject, times }] of recent) {
        if (isDown.has(id) || times.some((at) => now - at < within)) continue
        recent.delete(id)
        on.recover(subject, `${breakerOf(subject)} steady for ${time(within)}`)
      }
    }
  }
}

/** Calls and errors since a pipeline was made, at one time. */
interface Sample {
  readonly at: number
  readonly calls: number
  readonly errors: number
}

/** How many samples there are of the time within which errors count. */
const resolution = 60

const errorRate = (
  on: Episodes,
  { minimumCalls, threshold, within }: {
    readonly threshold: number
    readonly within: number
    readonly minimumCalls: number
  }
): Watch => {
  const known = new Map<string, { samples: Array<Sample>; lastOver: number }>()
  let isFirst = true
  return {
    look: ({ counts }, _, now) => {
      for (const [pipeline, count] of counts) {
        // who was refused was not served, although nobody is to blame
        const errors = count.failure + count.overload + count.refusedCalls
        const sample: Sample = { at: now, calls: count.success + errors, errors }
        let one = known.get(pipeline)
        if (one === undefined) {
          // what was before anybody watched is left alone; who comes later is watched from the beginning
          one = { samples: [isFirst ? sample : { at: now, calls: 0, errors: 0 }], lastOver: -Infinity }
          known.set(pipeline, one)
        }
        const { samples } = one
        while (samples.length > 1 && (samples[1]?.at ?? now) <= now - within) samples.shift()
        const first = samples[0] ?? sample
        const calls = sample.calls - first.calls
        const failed = sample.errors - first.errors
        if (now - (samples.at(-1)?.at ?? 0) >= within / resolution) samples.push(sample)
        const subject = { pipeline }
        if (calls >= minimumCalls && failed / calls >= threshold) {
          one.lastOver = now
          const share = `${Math.round(100 * failed / calls)}%`
          if (!on.isOn(subject)) {
            on.raise(subject, `${clean(pipeline)}: ${share} of ${calls} calls failed within ${time(within)}`)
          }
        } else if (on.isOn(subject) && now - one.lastOver >= within) {
          on.recover(
            subject,
            `${clean(pipeline)}: fewer than ${Math.round(100 * threshold)}% of calls failed for ${time(within)}`
          )
        }
      }
      isFirst = false
    }
  }
}

const budgetEmpty = (on: Episodes, { within }: { readonly within: number }): Watch => {
  const known = new Map<string, { refused: number; lastEmpty: number }>()
  let isFirst = true
  return {
    look: ({ budgets }, _, now) => {
      for (const [pipeline, { refused }] of budgets) {
        let one = known.get(pipeline)
        if (one === undefined) known.set(pipeline, one = { refused: isFirst ? refused : 0, lastEmpty: -Infinity })
        const subject = { pipeline }
        if (refused > one.refused) {
          one.lastEmpty = now
          one.refused = refused
          if (!on.isOn(subject)) on.raise(subject, `${clean(pipeline)}: the retry budget is empty`)
        } else if (on.isOn(subject) && now - one.lastEmpty >= within) {
          on.recover(subject, `${clean(pipeline)}: the retry budget was not empty for ${time(within)}`)
        }
      }
      isFirst = false
    }
  }
}

const limitShrinking = (
  on: Episodes,
  { to, within }: { readonly to: number; readonly within: number }
): Watch => {
  interface Limit {
    readonly peaks: Array<{ readonly at: number; readonly limit: number }>
    /** The highest before it fell, and when it was last as low as that is too low. */
    had: number
    lastLow: number
  }
  const known = new Map<string, Limit>()
  return {
    look: ({ limits }, _, now) => {
      for (const [pipeline, { limit }] of limits) {
        let one = known.get(pipeline)
        if (one === undefined) known.set(pipeline, one = { peaks: [], had: limit, lastLow: now })
        const { peaks } = one
        // the highest of the recent ones comes first: what is lower and older can never be it
        while ((peaks.at(-1)?.limit ?? Infinity) <= limit) peaks.pop()
        peaks.push({ at: now, limit })
        while ((peaks[0]?.at ?? now) < now - within) peaks.shift()
        const subject = { pipeline }
        const highest = peaks[0]?.limit ?? limit
        if (on.isOn(subject)) {
          if (limit <= to * one.had) one.lastLow = now
          else if (now - one.lastLow >= within) {
            on.recover(subject, `${clean(pipeline)}: the adaptive limit is back at ${limit}`)
          }
        } else if (highest > 1 && limit <= to * highest) {
          one.had = highest
          one.lastLow = now
          on.raise(
            subject,
            `${clean(pipeline)}: the adaptive limit fell from ${highest} to ${limit} within ${time(within)}`
          )
        }
      }
    }
  }
}

export const watching = (rule: RuleSettings, on: Episodes): Watch => {
  switch (rule.kind) {
    case "opened":
      return opened(on)
    case "open-longer":
      return openLonger(on, rule)
    case "flapping":
      return flapping(on, rule)
    case "error-rate":
      return errorRate(on, rule)
    case "budget-empty":
      return budgetEmpty(on, rule)
    case "limit-shrinking":
      return limitShrinking(on, rule)
  }
}
