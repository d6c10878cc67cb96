/** The conductor: starts the processes, breaks the services by the script while calls come in, and writes it down. */
import { Deferred, Effect, Scope } from "effect"
import { randomBytes } from "node:crypto"
import process from "node:process"
import * as DeadService from "./DeadService.ts"
import type * as Journal from "./Journal.ts"
import * as LoopDelay from "./LoopDelay.ts"
import {
  backEndsEntry,
  type ChildEnvironment,
  type Command,
  gatewayEntry,
  type Notice,
  urlVariables
} from "./Messages.ts"
import * as Processes from "./Processes.ts"
import { type Gateway, gateways, operations, type Recording, services } from "./Recording.ts"
import * as Traffic from "./Traffic.ts"

/** A gateway and its back ends, up and ready. */
interface Side {
  readonly gateway: Gateway
  readonly user: Traffic.User
  /** A user of the gateway that serves nobody else. */
  readonly lonelyUser: Traffic.User
  readonly backEnds: Processes.Child
  readonly children: ReadonlyArray<Processes.Child>
  /** How late the event loop of a process was while the traffic ran. Ends when both have said it. */
  readonly busy: Effect.Effect<void>
  readonly dashboardUrl: string | undefined
}

/** All three sides, ready to be called. */
export interface Stage {
  readonly sides: ReadonlyArray<Side>
  /** Fails when a process ends before its time. */
  readonly died: Effect.Effect<never, Processes.ProcessDied>
  /** The page that shows how the toolkit's gateway sees its services, where one was asked for. */
  readonly dashboardUrl: string | undefined
}

/** How long a process may take until it listens. A machine that is busy needs some. */
const startLimit = "20 seconds"

/** How long a process may take to say how busy it was. */
const busyLimit = "1 second"

/** Calls of each operation that are made of each gateway before the drill: the first ones load code, and say nothing. */
const rehearsals = 12

/** Starts the six processes. They end with the scope. `dashboard`: the port of one, see Options. */
export const stage = Effect.fnUntraced(function*(journal: Journal.Journal, dashboard: number | undefined) {
  const token = process.env["INTERNAL_TOKEN"] ?? randomBytes(16).toString("hex")
  // they end at the same time, since one that is busy with its start takes a moment to notice
  const scope = yield* Effect.acquireRelease(Scope.make("parallel"), Scope.close)
  const sides = yield* Effect.forEach(gateways, (gateway) => side(gateway, token, journal, dashboard), {
    concurrency: "unbounded"
  }).pipe(Scope.provide(scope))
  const died = Effect.raceAllFirst(sides.flatMap(({ children }) => children.map(({ died }) => died)))
  yield* Effect.raceFirst(Effect.forEach(sides, rehearse, { concurrency: "unbounded" }), died)
  const dashboardUrl = sides.find(({ gateway }) => gateway === "resilient")?.dashboardUrl
  return { sides, died, dashboardUrl } satisfies Stage
})

const rehearse = ({ lonelyUser, user }: Side) => {
  const calls = Effect.forEach(
    operations.flatMap((operation) => Array.from({ length: rehearsals }, (_, n) => user.ask(operation, n))),
    (call) => call,
    { concurrency: 4, discard: true }
  )
  // not with a chat: the breaker that DeadService.refusing is about has to be as new
  const refused = Effect.forEach(Array.from({ length: rehearsals }, (_, n) => n), (n) => lonelyUser.ask("snapshot", n))
  return Effect.timeoutOption(Effect.all([calls, refused], { concurrency: "unbounded" }), "5 seconds")
}

const side = Effect.fnUntraced(function*(
  gateway: Gateway,
  token: string,
  journal: Journal.Journal,
  dashboard: number | undefined
) {
  const common = {
    DRILL_GATEWAY: gateway,
    DRILL_FACTOR: String(journal.recording.factor),
    INTERNAL_TOKEN: token,
    // the other gateways have no breakers to show
    DRILL_DASHBOARD: gateway === "resilient" && dashboard !== undefined ? String(dashboard) : "none"
  } satisfies ChildEnvironment
  const backEndsReady = yield* Deferred.make<Extract<Notice, { readonly _tag: "BackEndsReady" }>>()
  const gatewayReady = yield* Deferred.make<Extract<Notice, { readonly _tag: "GatewayReady" }>>()

  const start = Effect.fnUntraced(function*(name: string, entry: string, environment: Record<string, string>) {
    const busy = yield* Deferred.make<void>()
    const child = yield* Processes.start({
      name,
      entry,
      environment: { ...common, ...environment },
      onNotice: (notice) => {
        switch (notice._tag) {
          case "BackEndsReady":
            return Deferred.doneUnsafe(backEndsReady, Effect.succeed(notice))
          case "GatewayReady":
            return Deferred.doneUnsafe(gatewayReady, Effect.succeed(notice))
          case "Busy":
            journal.busy({ process: name, loopDelayP99: notice.loopDelayP99 })
            return Deferred.doneUnsafe(busy, Effect.void)
          default:
            return journal.notice(gateway, notice)
        }
      }
    })
    return { child, busy: Deferred.await(busy) }
  })

  const ready = <A>(deferred: Deferred.Deferred<A>, { died, name }: Processes.Child) =>
    Effect.timeoutOrElse(Effect.raceFirst(Deferred.await(deferred), died), {
      duration: startLimit,
      orElse: () =>
        Effect.fail(new Processes.ProcessDied({ process: name, message: `it was not ready within ${startLimit}` }))
    })

  const backEnds = yield* start(`back ends of ${gateway}`, backEndsEntry, {})
  const { urls } = yield* ready(backEndsReady, backEnds.child)
  const environment = Object.fromEntries(services.map((service) => [urlVariables[service], urls[service]]))
  const server = yield* start(`gateway ${gateway}`, gatewayEntry, environment)
  const { dashboardUrl, lonelyUrl, url } = yield* ready(gatewayReady, server.child)
  return {
    gateway,
    user: yield* Traffic.user(url),
    lonelyUser: yield* Traffic.user(lonelyUrl),
    backEnds: backEnds.child,
    children: [backEnds.child, server.child],
    busy: Effect.andThen(backEnds.busy, server.busy),
    dashboardUrl
  } satisfies Side
})

/** Runs the drill on a stage. The journal's time starts with it. */
export const run = Effect.fnUntraced(function*({ died, sides }: Stage, journal: Journal.Journal) {
  const { deadlines, factor, phases, rate, seconds, seed } = journal.recording
  const { now } = journal
  const plan = yield* Traffic.plan({ seconds, rate, seed })
  const everyone = sides.flatMap(({ children }) => children)
  const tell = (command: Command) => {
    for (const child of everyone) child.tell(command)
  }

  const sleepUntil = (at: number) => Effect.suspend(() => Effect.sleep(Math.max(0, at - now())))
  const script = Effect.forEach(
    steps(phases),
    ({ at, command }) =>
      Effect.andThen(
        sleepUntil(at),
        Effect.sync(() => {
          for (const { backEnds } of sides) backEnds.tell(command)
        })
      ),
    { discard: true }
  )
  const traffic = Traffic.run({ plan, users: sides, deadlines, now, onCall: journal.call })
  const phase = DeadService.phaseFor(phases, factor)
  const end = Math.max(0, ...phases.map(({ until }) => until))
  const dead = Effect.forEach(
    sides.flatMap(({ gateway, lonelyUser, user }) => [
      ...(phase === undefined ? [] : [DeadService.hanging({ phase, factor, gateway, user, now })]),
      // after the last outage, when there is the least to do and all code has been run
      Effect.andThen(sleepUntil(end), DeadService.refusing({ gateway, user: lonelyUser, now }))
    ]),
    Effect.map((measured) => {
      if (measured !== undefined) journal.dead(measured)
    }),
    { concurrency: "unbounded", discard: true }
  )

  tell({ _tag: "Started" })
  const loopDelay = LoopDelay.make()
  journal.start()
  yield* Effect.raceFirst(Effect.all([script, traffic, dead], { concurrency: "unbounded", discard: true }), died)
  journal.busy({ process: "traffic", loopDelayP99: loopDelay.p99() })
  tell({ _tag: "Stopped" })
  yield* Effect.all(sides.map(({ busy }) => busy), { concurrency: "unbounded", discard: true }).pipe(
    Effect.timeoutOption(busyLimit)
  )
  return journal.recording
})

const steps = (phases: Recording["phases"]) =>
  phases.flatMap(({ at, fault, service, until }) =>
    [
      { at, command: { _tag: "Become", service, fault } },
      { at: until, command: { _tag: "Become", service, fault: undefined } }
    ] satisfies ReadonlyArray<{ readonly at: number; readonly command: Command }>
  ).toSorted((a, b) => a.at - b.at)
