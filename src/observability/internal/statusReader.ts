/** Reads how all services are off their policies. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import { monotonicMillis } from "../../internal/time.ts"
import type * as Pipeline from "../../Pipeline.ts"
import type { Resilience } from "../../Resilience.ts"
import type { Recoveries, Recovery } from "../Recoveries.ts"
import type * as Status from "../Status.ts"
import { LatencyWindow } from "./latencyWindow.ts"
import { timelineOf, worseFirst } from "./worst.ts"

export interface Reader {
  /** Since when, by the wall clock. */
  readonly since: number
  /** All services, without the counters of their breakers. */
  readonly states: Effect.Effect<{ readonly at: number; readonly services: ReadonlyArray<Status.ServiceState> }>
  /** All services, with everything. */
  readonly status: Effect.Effect<Status.Status>
  /** One service. */
  readonly service: (name: string) => Effect.Effect<Status.Service | undefined>
  /** All services in few words, by name. */
  readonly brief: Effect.Effect<ReadonlyMap<string, Status.Brief>>
  /** The service that a breaker belongs to. */
  readonly serviceOf: (breaker: string) => Effect.Effect<string>
}

/** So many breakers of one service are told. */
const maxBreakers = 50

/** A time that is worked out anew from two clocks stays what it was within this, in milliseconds. */
const sameTime = 250

const statedParts = [
  "circuitBreaker",
  "keyedCircuitBreaker",
  "bulkhead",
  "adaptiveLimit",
  "retryBudget"
] as const

/** The pipeline that each part with a state belongs to, by the name of the part. */
const ownersOf = (pipelines: ReadonlyMap<string, Pipeline.Pipeline<unknown>>): ReadonlyMap<string, string> => {
  const owners = new Map<string, string>()
  for (const [name, { settings }] of pipelines) {
    for (const { options: _, ...own } of [settings, ...settings.operations.values()]) {
      for (const kind of statedParts) {
        const part = own[kind]
        if (part !== undefined && !owners.has(part.name)) owners.set(part.name, name)
      }
    }
    owners.set(name, name)
  }
  return owners
}

/** What is put together about one service. */
interface Draft {
  /** Whether it has a breaker with keys, of which perhaps nothing has been heard yet. */
  isKeyed: boolean
  counts: Pipeline.Counts | null
  readonly recoveries: Array<Recovery>
  load: { inFlight: number; limit: number | null; waiting: number } | null
  budgetLeft: number | null
}

export const make = Effect.fnUntraced(function*(
  resilience: Resilience["Service"],
  recoveries: Recoveries["Service"]
): Effect.fn.Return<Reader, never, Scope.Scope> {
  const since = yield* Clock.currentTimeMillis
  const latencies = new Map<string, LatencyWindow>()
  const clock = yield* Clock.Clock
  yield* resilience.listen(["CallEnded"], (event) => {
    // the sooner it refuses, the better the others would look
    if (event.refusedBy !== undefined) return
    const now = monotonicMillis(clock)
    let window = latencies.get(event.pipeline)
    if (window === undefined) latencies.set(event.pipeline, window = new LatencyWindow(now))
    window.add(Duration.toMillis(event.elapsed), now)
  })

  /** When probes are due, as it was told last: keys come and go, so only what the last reading has told is kept. */
  let probes = new Map<string, number>()

  /** Timelines are long and change seldom: the same one is told as long as nothing has been added. */
  const timelines = new Map<string, { readonly ends: string; readonly timeline: Status.ServiceState["timeline"] }>()
  const timelineAt = (name: string, all: ReadonlyArray<Recovery>): Status.ServiceState["timeline"] => {
    const ends = all.map(({ timeline }) => {
      const last = timeline.at(-1)
      return last === undefined ? "" : `${timeline.length} ${last.at} ${last.to}`
    }).join()
    const known = timelines.get(name)
    if (known?.ends === ends) return known.timeline
    const timeline = timelineOf(all)
    timelines.set(name, { ends, timeline })
    return timeline
  }

  const probeOf = ({ key, name, nextProbe }: Recovery, told: Map<string, number>): number | null => {
    if (nextProbe === undefined) return null
    const id = JSON.stringify([name, key])
    const known = probes.get(id)
    const probe = known !== undefined && Math.abs(known - nextProbe) <= sameTime ? known : Math.round(nextProbe)
    told.set(id, probe)
    return probe
  }

  const stateOf = (recovery: Recovery, told: Map<string, number>): Status.BreakerState => ({
    name: recovery.name,
    key: recovery.key ?? null,
    state: recovery.state,
    mode: recovery.mode ?? null,
    openSince: recovery.openSince ?? null,
    nextProbe: probeOf(recovery, told)
  })

  const drafts = Effect.gen(function*() {
    const pipelines = yield* resilience.pipelines
    const owners = ownersOf(pipelines)
    const drafts = new Map<string, Draft>()
    const at = (part: string): Draft => {
      const name = owners.get(part) ?? part
      let draft = drafts.get(name)
      if (draft === undefined) {
        drafts.set(name, draft = { isKeyed: false, counts: null, recoveries: [], load: null, budgetLeft: null })
      }
      return draft
    }
    for (const [name, pipeline] of pipelines) at(name).counts = yield* pipeline.counts
    for (const recovery of yield* recoveries.all) at(recovery.name).recoveries.push(recovery)
    for (const name of (yield* resilience.parts("keyedCircuitBreaker")).keys()) at(name).isKeyed = true
    const loaded = (name: string, inFlight: number, limit: number, waiting: number) => {
      const draft = at(name)
      const before = draft.load ?? { inFlight: 0, limit: 0, waiting: 0 }
      draft.load = {
        inFlight: before.inFlight + inFlight,
        limit: (before.limit ?? 0) + limit,
        waiting: before.waiting + waiting
      }
    }
    for (const bulkhead of (yield* resilience.parts("bulkhead")).values()) {
      const { concurrency, inFlight, name, waiting } = yield* bulkhead.snapshot
      loaded(name, inFlight, concurrency, waiting)
    }
    for (const adaptive of (yield* resilience.parts("adaptiveLimit")).values()) {
      const { inFlight, limit, name, waiting } = yield* adaptive.snapshot
      loaded(name, inFlight, limit, waiting)
    }
    for (const [name, budget] of yield* resilience.parts("retryBudget")) {
      const { left } = yield* budget.snapshot
      at(name).budgetLeft = Number.isFinite(left) ? left : null
    }
    return drafts
  })

  const states: Reader["states"] = Effect.gen(function*() {
    const now = monotonicMillis(clock)
    const lastErrors = yield* recoveries.lastErrors
    const services: Array<Status.ServiceState> = []
    const told = new Map<string, number>()
    for (const [name, draft] of yield* drafts) {
      const found = worseFirst(draft.recoveries)
      const breakers = found.slice(0, maxBreakers).map((recovery) => stateOf(recovery, told))
      const [worst] = breakers
      const took = found.flatMap(({ meanTimeToRecovery, recoveries }) =>
        meanTimeToRecovery === undefined ? [] : [{ mean: Duration.toMillis(meanTimeToRecovery), recoveries }]
      )
      const recovered = took.reduce((sum, { recoveries }) => sum + recoveries, 0)
      services.push({
        name,
        state: worst?.state ?? (draft.isKeyed ? "Closed" : null),
        mode: worst?.mode ?? null,
        openSince: worst?.openSince ?? null,
        nextProbe: worst?.nextProbe ?? null,
        counts: draft.counts,
        latency: latencies.get(name)?.read(now) ?? null,
        load: draft.load,
        budgetLeft: draft.budgetLeft,
        recovery: {
          openings: found.reduce((sum, { openings }) => sum + openings, 0),
          recoveries: found.reduce((sum, { recoveries }) => sum + recoveries, 0),
          meanTimeToRecovery: recovered === 0
            ? null
            : Math.round(took.reduce((sum, { mean, recoveries }) => sum + mean * recoveries, 0) / recovered)
        },
        lastError: lastErrors.get(name) ?? null,
        timeline: timelineAt(name, draft.recoveries),
        breakers,
        breakerCount: found.length
      })
    }
    probes = told
    return { at: clock.currentTimeMillisUnsafe(), services }
  })

  /** What reads a breaker, by what there is now: to be made once for all services. */
  const snapshots = Effect.gen(function*() {
    const single = yield* resilience.parts("circuitBreaker")
    const keyed = yield* resilience.parts("keyedCircuitBreaker")
    return ({ key, name }: Status.BreakerState): Effect.Effect<CircuitBreaker.Snapshot | undefined> =>
      (key === null ? single.get(name) : keyed.get(name)?.of(key))?.snapshot ?? Effect.undefined
  })

  const whole = Effect.fnUntraced(function*(
    state: Status.ServiceState,
    snapshotOf: Effect.Success<typeof snapshots>
  ) {
    const breakers: Array<Status.Breaker> = []
    for (const breaker of state.breakers) {
      const snapshot = yield* snapshotOf(breaker)
      if (snapshot === undefined) continue
      const { calls, inFlight, timing, transitions, windows } = snapshot
      breakers.push({
        ...breaker,
        calls,
        inFlight,
        windows,
        timing: timing === undefined ? null : {
          calls: timing.calls,
          slow: timing.slow,
          total: Duration.toMillis(timing.total),
          longest: Duration.toMillis(timing.longest)
        },
        transitions
      })
    }
    return { ...state, breakers }
  })

  const status: Reader["status"] = Effect.gen(function*() {
    const { at, services } = yield* states
    const all: Array<Status.Service> = []
    const snapshotOf = yield* snapshots
    for (const state of services) all.push(yield* whole(state, snapshotOf))
    return { at, since, services: all }
  })

  return {
    since,
    states,
    status,
    service: (name) =>
      Effect.flatMap(states, ({ services }) => {
        const state = services.find((service) => service.name === name)
        return state === undefined ? Effect.undefined : Effect.flatMap(snapshots, (of) => whole(state, of))
      }),
    brief: Effect.map(status, ({ services }) => new Map(services.map((service) => [service.name, briefOf(service)]))),
    serviceOf: (breaker) => Effect.map(resilience.pipelines, (pipelines) => ownersOf(pipelines).get(breaker) ?? breaker)
  }
})

const words = { Closed: "CLOSED", Open: "OPEN", HalfOpen: "HALF_OPEN" } as const

const briefOf = (service: Status.Service): Status.Brief => {
  const { lastError, mode, name, nextProbe, openSince, state } = service
  return {
    service: name,
    state: state === null ? "NONE" : state === "Forced" ? (mode === "forcedOpen" ? "OPEN" : "CLOSED") : words[state],
    forced: state === "Forced",
    failures: Math.max(
      0,
      // a slow call is no failure
      ...service.breakers.flatMap(({ windows }) => windows.map(({ against, trip }) => trip === "slow" ? 0 : against))
    ),
    openSince,
    nextProbe,
    lastError: lastError?.kind ?? null
  }
}
