/** What runs a drill: its scripts, its traffic, its options, and its processes one by one. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Result, Schedule } from "effect"
import { Problem } from "effect-resilience/http"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DeadService from "../../examples/drill/DeadService.ts"
import * as LoopDelay from "../../examples/drill/LoopDelay.ts"
import { backEndsEntry, gatewayEntry, urlVariables } from "../../examples/drill/Messages.ts"
import * as Options from "../../examples/drill/Options.ts"
import * as Processes from "../../examples/drill/Processes.ts"
import { type Call, type Operation, operations, type Service, services } from "../../examples/drill/Recording.ts"
import * as Scenario from "../../examples/drill/Scenario.ts"
import * as Settings from "../../examples/drill/Settings.ts"
import * as Traffic from "../../examples/drill/Traffic.ts"

const answer = (status: number, source: Traffic.Answer["source"]): Traffic.Answer => ({
  status,
  source,
  code: undefined
})

const all = ["tour", "dead", "slow", "flapping", "overload", "partial"] as const

describe("the scripts", () => {
  it("has the scenarios it promises, the tour first", () => {
    assert.deepStrictEqual(Scenario.names, all)
  })

  it("shows every fault, on every service, in the tour, and two services down at once", () => {
    const phases = Scenario.phases("tour", 22)
    assert.deepStrictEqual(
      phases.map(({ fault }) => fault).toSorted(),
      ["busy", "flap", "hang", "malformed", "refuse", "reset", "slow", "throttle"]
    )
    assert.deepStrictEqual([...new Set(phases.map(({ service }) => service))].toSorted(), services.toSorted())
    const isTogether = phases.some((one) =>
      phases.some((other) => other.service !== one.service && other.at < one.until && one.at < other.until)
    )
    assert.isTrue(isTogether)
  })

  it.each(all)("%s: each service is well again, within the run, before its next fault", (name) => {
    for (const seconds of [Scenario.shortest, 22, Scenario.longest]) {
      const phases = Scenario.phases(name, seconds)
      for (const { at, service, until } of phases) {
        assert.isTrue(at > 0 && at < until && until < seconds * 1000)
        const next = phases.find((other) => other.service === service && other.at > at)
        if (next !== undefined) assert.isAbove(next.at, until)
      }
      assert.deepStrictEqual(Scenario.phases(name, seconds), phases)
    }
  })

  it("B11: has a service that is dead for long enough to measure what it costs", () => {
    for (const name of ["tour", "dead"] as const) {
      for (const seconds of [18, 22, Scenario.longest]) {
        assert.isDefined(DeadService.phaseFor(Scenario.phases(name, seconds), Scenario.factor(seconds)))
      }
    }
  })

  it("divides the times of the application by 20 in 22 seconds, and never by more than 25", () => {
    assert.strictEqual(Scenario.factor(22), 20)
    assert.strictEqual(Scenario.factor(12), 25)
    assert.strictEqual(Scenario.factor(600), 1)
    assert.deepStrictEqual(Settings.deadlines(20), { chat: 1000, file: 1250, charge: 500, snapshot: 1500 })
  })
})

describe("the traffic", () => {
  it.effect("is the same for the same seed, and another for another", () =>
    Effect.gen(function*() {
      const plan = (seed: number) => Traffic.plan({ seconds: 100, rate: 100, seed })
      const one = yield* plan(1)
      assert.deepStrictEqual(yield* plan(1), one)
      assert.notDeepEqual(yield* plan(2), one)
      assert.approximately(one.length, 10_000, 400)
      assert.isTrue(one.every(({ due }, n) => due >= (one[n - 1]?.due ?? 0) && due < 100_000))
      for (const [operation, part] of [["chat", 0.5], ["file", 0.25], ["charge", 0.15], ["snapshot", 0.1]] as const) {
        assert.approximately(one.filter((call) => call.operation === operation).length / one.length, part, 0.02)
      }
    }))

  it.effect("goes on while nobody answers, and counts a wait from the instant at which a call was due", () =>
    Effect.gen(function*() {
      const start = yield* Clock.currentTimeMillis
      const clock = yield* Clock.Clock
      const calls: Array<Call> = []
      const plan = yield* Traffic.plan({ seconds: 10, rate: 20, seed: 3 })
      let asked = 0
      const user: Traffic.User = {
        ask: (_, n) =>
          Effect.suspend(() => {
            asked++
            return n % 2 === 0
              ? Effect.never
              : Effect.delay(Effect.succeed({ status: 200, code: undefined, source: "service" } as const), 400)
          })
      }
      const fiber = yield* Effect.forkChild(
        Traffic.run({
          plan,
          users: [{ gateway: "plain", user }],
          deadlines: { chat: 1000, file: 1000, charge: 1000, snapshot: 1000 },
          now: () => clock.currentTimeMillisUnsafe() - start,
          onCall: (call) => calls.push(call)
        })
      )
      // half of all callers wait in vain all the time, and nobody is late for that
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(asked, plan.length)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(calls.length, plan.length)
      for (const { due, ended, sent, status } of calls) {
        assert.isBelow(sent - due, 1.001)
        if (status === undefined) assert.isUndefined(ended)
        else assert.approximately((ended ?? 0) - due, 400, 1.001)
      }
      assert.strictEqual(calls.filter(({ status }) => status === undefined).length, Math.ceil(plan.length / 2))
      assert.deepStrictEqual([...new Set(calls.map(({ operation }) => operation))].toSorted(), operations.toSorted())
    }))
})

describe("a user of a gateway", () => {
  const { status, title, type } = new Problem.CircuitBroken({})
  const problem = { code: "circuit_open", status, title, type }
  const answers: ReadonlyArray<readonly [string, Operation, number, object, Traffic.Answer]> = [
    [
      "an answer of the service",
      "chat",
      200,
      { answer: "yes", source: "vectors", saved: true },
      answer(200, "service")
    ],
    ["a fallback", "chat", 200, { answer: "yes", source: "full-text", saved: false }, answer(200, "fallback")],
    ["a file of the cache", "file", 200, { name: "a", text: "b", source: "cache" }, answer(200, "fallback")],
    ["a snapshot that is lost", "snapshot", 202, { queued: false }, answer(202, "fallback")],
    ["a problem by its code", "charge", 503, problem, { ...answer(503, undefined), code: "circuit_open" }],
    ["an error without one", "charge", 500, {}, answer(500, undefined)]
  ]
  it.effect.each(answers)("knows %s", ([, operation, status, body, expected]) =>
    Effect.gen(function*() {
      const user = yield* Traffic.user("http://gateway").pipe(
        Effect.provideService(
          HttpClient.HttpClient,
          HttpClient.make((request) =>
            Effect.succeed(
              HttpClientResponse.fromWeb(
                request,
                Response.json(body, {
                  status,
                  headers: { "content-type": status === 503 ? "application/problem+json" : "application/json" }
                })
              )
            )
          )
        )
      )
      assert.deepStrictEqual(yield* user.ask(operation, 0), expected)
    }))
})

describe("how busy a process is", () => {
  it("is told for every instant of a halt, and not only once", async () => {
    const delay = LoopDelay.make()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const end = performance.now() + 100
    while (performance.now() < end) {}
    await new Promise((resolve) => setTimeout(resolve, 20))
    // a hundredth of the time is within the first milliseconds of the halt
    assert.isAtLeast(delay.p99(), 80)
    delay.reset()
    assert.isBelow(delay.p99(), 80)
  })
})

describe("the options", () => {
  it("has defaults", () => {
    assert.deepStrictEqual(
      Options.parse([]),
      Result.succeed({
        scenario: "tour",
        seconds: 22,
        rate: 50,
        seed: 1,
        json: false,
        report: undefined,
        dashboard: undefined
      })
    )
  })

  it.each([
    [["--dashboard"], 0],
    [["--dashboard", "--json"], 0],
    [["--dashboard", "8080", "--json"], 8080],
    [["--json", "--dashboard=8080"], 8080]
  ])("takes a port for the dashboard, or none: %j", (args, dashboard) => {
    const parsed = Result.getOrThrow(Options.parse(args))
    assert.deepInclude(parsed, { dashboard, json: args.includes("--json") })
  })

  it.each([
    [["--minutes", "1"], "there is no option --minutes"],
    [["-x"], "there is no option -x"],
    [["--__proto__", "1"], "there is no option --__proto__"],
    [["10"], "there is no argument \"10\""],
    [["--scenario", "calm"], "--scenario takes one of tour, dead, slow, flapping, overload, partial, not \"calm\""],
    [["--scenario", "toString"], "--scenario takes one of"],
    [["--scenario"], "--scenario takes one of tour, dead, slow, flapping, overload, partial"],
    [["--seconds", "abc"], "--seconds takes a number from 12 to 600, not \"abc\""],
    [["--seconds", "1e2"], "--seconds takes a number from 12 to 600, not \"1e2\""],
    [["--seconds", "11"], "--seconds takes a number from 12 to 600, not \"11\""],
    [["--seconds", "601"], "--seconds takes a number from 12 to 600, not \"601\""],
    [["--seconds"], "--seconds takes a number from 12 to 600"],
    [["--seconds", "20", "--seconds", "30"], "--seconds is given twice"],
    [["--rate", "-5"], "--rate takes a number from 1 to 200, not \"-5\""],
    [["--rate", "2"], "--rate takes at least 44 in a drill of 22 s"],
    [["--seed", "x"], "--seed takes a whole number"],
    [["--seed=1.5"], "--seed takes a whole number"],
    [["--report", ""], "--report takes the name of a file"],
    [["--report", "/nowhere/at/all.html"], "--report takes the name of a file that can be written"],
    [["--report", tmpdir()], "--report takes the name of a file"],
    // a folder in which nobody may write, root included
    [["--report", "/proc/report.html"], "--report takes the name of a file that can be written, not"],
    [["--json=yes"], "--json takes no value"],
    [["--dashboard", "http"], "--dashboard takes a port from 0 to 65535, or nothing, not \"http\""],
    [["--dashboard=65536"], "--dashboard takes a port"],
    [["--dashboard="], "--dashboard takes a port"],
    [["--dashboard", "8080", "8081"], "there is no argument \"8081\""],
    [["--dashboard", "8080", "--dashboard"], "--dashboard is given twice"],
    [["--dashboard=8080", "8081"], "there is no argument \"8081\""],
    [["--dashboard", "--", "8080"], "there is no argument \"8080\""]
  ])("refuses %j", (args, message) => {
    const parsed = Options.parse(args)
    assert.isTrue(Result.isFailure(parsed))
    if (Result.isFailure(parsed)) assert.include(parsed.failure.message, message)
  })
})

it("a report is tried before the drill, and what is there already is left alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "drill-options-"))
  try {
    const [there, fresh] = [join(folder, "there.html"), join(folder, "fresh.html")]
    writeFileSync(there, "an older report")
    for (const report of [there, fresh]) assert.isTrue(Result.isSuccess(Options.parse(["--report", report])))
    assert.strictEqual(readFileSync(there, "utf8"), "an older report")
    assert.isFalse(existsSync(fresh))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

describe("the processes", () => {
  /** The back ends of a gateway, and the port of one of them taken by somebody else while it refuses connections. */
  const takenPort = Effect.gen(function*() {
    const ready = yield* Deferred.make<Readonly<Record<Service, string>>>()
    const child = yield* Processes.start({
      name: "back ends",
      entry: backEndsEntry,
      environment: { DRILL_GATEWAY: "plain", DRILL_FACTOR: "20", INTERNAL_TOKEN: "secret" },
      onNotice: (notice) => {
        if (notice._tag === "BackEndsReady") Deferred.doneUnsafe(ready, Effect.succeed(notice.urls))
      }
    })
    const url = new URL((yield* Effect.raceFirst(Deferred.await(ready), child.died)).billing)
    const answers = Effect.promise(() => fetch(url).then(() => true, () => false))
    assert.isTrue(yield* answers)
    child.tell({ _tag: "Become", service: "billing", fault: "refuse" })
    yield* Effect.repeat(answers, { while: (isUp) => isUp })
    const intruder = createServer((socket) => socket.destroy())
    const close = Effect.callback<void>((resume) => void intruder.close(() => resume(Effect.void)))
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void intruder.listen(Number(url.port), "127.0.0.1", () => resume(Effect.void))),
      () => close
    )
    child.tell({ _tag: "Become", service: "billing", fault: undefined })
    return { answers, child, close }
  })

  it.live("says that a port was taken meanwhile, and ends", () =>
    Effect.gen(function*() {
      const { child } = yield* takenPort
      const { message } = yield* Effect.flip(Effect.timeout(child.died, "10 seconds"))
      assert.include(message, "EADDRINUSE")
    }))

  it.live("takes its port again when whoever had it for a moment lets go", () =>
    Effect.gen(function*() {
      const { answers, child, close } = yield* takenPort
      yield* Effect.sleep("200 millis")
      yield* close
      const isUp = Effect.repeat(answers, { until: (isUp) => isUp, schedule: Schedule.spaced("20 millis") })
      yield* Effect.timeout(Effect.raceFirst(isUp, child.died), "10 seconds")
    }))

  it.live("says that the port of the dashboard was taken meanwhile, and ends", () =>
    Effect.gen(function*() {
      const intruder = createServer()
      const port = yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          intruder.listen(0, "127.0.0.1", () => {
            const address = intruder.address()
            resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
          })
        }),
        () => Effect.callback<void>((resume) => void intruder.close(() => resume(Effect.void)))
      )
      const urls = Object.values(urlVariables).map((name) => [name, "http://127.0.0.1:1"])
      const child = yield* Processes.start({
        name: "gateway",
        entry: gatewayEntry,
        environment: {
          ...Object.fromEntries(urls),
          DRILL_GATEWAY: "resilient",
          DRILL_FACTOR: "20",
          INTERNAL_TOKEN: "secret",
          DRILL_DASHBOARD: String(port)
        },
        onNotice: () => {}
      })
      const { message } = yield* Effect.flip(Effect.timeout(child.died, "20 seconds"))
      assert.match(message, new RegExp(`^no dashboard: .*EADDRINUSE.*:${port}$`))
    }), 30_000)

  it.live("tells why one could not start", () =>
    Effect.gen(function*() {
      const child = yield* Processes.start({
        name: "gateway",
        entry: gatewayEntry,
        environment: { DRILL_GATEWAY: "brave", DRILL_FACTOR: "20", INTERNAL_TOKEN: "secret" },
        onNotice: () => {}
      })
      const { message } = yield* Effect.flip(Effect.timeout(child.died, "20 seconds"))
      assert.include(message, "DRILL_GATEWAY")
      assert.notInclude(message, "secret")
    }), 30_000)
})
