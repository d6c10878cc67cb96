import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Layer, Logger, Random, References, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { AdaptiveLimit, Pipeline, Resilience, RetryBudget } from "../../src/index.ts"
import { Alerts, Notify } from "../../src/observability/index.ts"
import { assertRefused, boom, draws, present, until } from "../support.ts"
import { hostileNames } from "./names.ts"

const trip = { kind: "consecutive", failures: 1 } as const

/** Alerts into a list. */
const watched = (rules: ReadonlyArray<Alerts.Rule>, further: ReadonlyArray<Notify.Handler<Alerts.Alert>> = []) => {
  const alerts: Array<Alerts.Alert> = []
  const keep: Notify.Handler<Alerts.Alert> = (alert) => Effect.sync(() => alerts.push(alert))
  const layer = Alerts.layer({ rules, handlers: [...further, keep] }).pipe(Layer.provideMerge(Resilience.layerTest()))
  const told = () => alerts.map(({ kind, pipeline, state }) => `${pipeline} ${kind} ${state}`)
  return { alerts, layer, told }
}

const seconds = (n: number) => TestClock.adjust(Duration.seconds(n))

describe("Alerts", () => {
  it.effect("B9: tell once when a breaker opens, and once when it has recovered", () => {
    const { alerts, layer } = watched([{ kind: "opened" }])
    return Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const { protect } = yield* Pipeline.make("billing", { circuitBreaker: { trip, open: "30 seconds" } })
      yield* Effect.exit(protect(boom))
      yield* seconds(10)
      for (let n = 0; n < 10; n++) yield* Effect.exit(protect(boom))
      // two probes that fail belong to the same episode
      for (let n = 0; n < 2; n++) {
        yield* seconds(30)
        yield* Effect.exit(protect(boom))
      }
      yield* seconds(30)
      yield* protect(Effect.void)
      yield* seconds(10)
      const id = present(alerts[0]).id
      assert.deepStrictEqual(alerts, [
        {
          _tag: "Alert",
          id,
          state: "raised",
          rule: "opened",
          kind: "opened",
          pipeline: "billing",
          level: "Error",
          since: 1_000_000,
          at: 1_000_000,
          text: "billing: circuit breaker open (Boom)"
        },
        {
          _tag: "Alert",
          id,
          state: "recovered",
          rule: "opened",
          kind: "opened",
          pipeline: "billing",
          level: "Info",
          since: 1_000_000,
          at: 1_100_000,
          lasted: 100_000,
          text: "billing: circuit breaker closed after 1m 40s"
        }
      ])
      // another episode has another id
      yield* Effect.exit(protect(boom))
      yield* seconds(1)
      assert.notStrictEqual(present(alerts[2]).id, id)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell of a breaker that stays open, and end when somebody resets it", () => {
    const { alerts, layer, told } = watched([{ kind: "open-longer", than: "5 minutes" }])
    return Effect.gen(function*() {
      const { circuitBreaker, protect } = yield* Pipeline.make("p", { circuitBreaker: { trip, open: "1 hours" } })
      yield* Effect.exit(protect(boom))
      yield* seconds(299)
      assert.deepStrictEqual(told(), [])
      yield* seconds(2)
      assert.deepStrictEqual(told(), ["p open-longer raised"])
      yield* seconds(1_000)
      yield* present(circuitBreaker).reset
      yield* seconds(1)
      assert.deepStrictEqual(told(), ["p open-longer raised", "p open-longer recovered"])
      assert.strictEqual(alerts[0]?.text, "p: circuit breaker open for 5m")
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell of a breaker that flaps, and of its peace", () => {
    const { layer, told } = watched([{ kind: "flapping", openings: 3, within: "1 minutes", name: "unsteady" }])
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip, open: "5 seconds" } })
      const flap = Effect.gen(function*() {
        yield* Effect.exit(protect(boom))
        yield* seconds(5)
        yield* protect(Effect.void)
        yield* seconds(5)
      })
      yield* flap
      yield* flap
      assert.deepStrictEqual(told(), [])
      yield* flap
      assert.deepStrictEqual(told(), ["p flapping raised"])
      yield* flap
      yield* seconds(45)
      assert.strictEqual(told().length, 1)
      yield* seconds(10)
      assert.deepStrictEqual(told(), ["p flapping raised", "p flapping recovered"])
      // once a minute is no flapping
      for (let n = 0; n < 5; n++) {
        yield* flap
        yield* seconds(50)
      }
      assert.strictEqual(told().length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell of a rate of errors, of refusals too, and only when it was well for the whole time", () => {
    const { alerts, layer, told } = watched([
      { kind: "error-rate", threshold: 0.5, within: "1 minutes", minimumCalls: 10 }
    ])
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {
        circuitBreaker: { trip: { kind: "consecutive", failures: 5 }, open: "10 minutes" }
      })
      for (let n = 0; n < 9; n++) yield* Effect.exit(protect(boom))
      yield* seconds(2)
      assert.deepStrictEqual(told(), [])
      // refused by now
      yield* Effect.exit(protect(boom))
      yield* seconds(2)
      assert.deepStrictEqual(told(), ["p error-rate raised"])
      assert.strictEqual(alerts[0]?.text, "p: 100% of 10 calls failed within 1m")
      for (let n = 0; n < 120; n++) {
        yield* Effect.exit(protect(boom))
        yield* seconds(1)
      }
      assert.strictEqual(told().length, 1)
      yield* seconds(500)
      yield* protect(Effect.void)
      yield* seconds(1)
      assert.deepStrictEqual(told(), ["p error-rate raised", "p error-rate recovered"])
      // half of a hundred is at the threshold, a third is below
      for (let n = 0; n < 99; n++) yield* Effect.exit(protect(n % 3 === 0 ? boom : Effect.void))
      yield* seconds(2)
      assert.strictEqual(told().length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell of an empty budget, and of a limit that shrinks", () => {
    const { alerts, layer, told } = watched([
      { kind: "budget-empty", within: "10 seconds" },
      { kind: "limit-shrinking", to: 0.5, within: "1 minutes" }
    ])
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const budget = yield* resilience.part("retryBudget", "b", RetryBudget.settings({ share: 0.01, minimum: 1 }))
      const limit = yield* resilience.part(
        "adaptiveLimit",
        "l",
        AdaptiveLimit.settings({ initial: 100, min: 10, max: 200 })
      )
      yield* seconds(1)
      assert.isTrue(yield* budget.withdraw)
      yield* seconds(1)
      assert.deepStrictEqual(told(), [])
      for (let n = 0; n < 5; n++) yield* budget.withdraw
      yield* seconds(2)
      assert.deepStrictEqual(told(), ["b budget-empty raised"])
      yield* seconds(12)
      assert.deepStrictEqual(told(), ["b budget-empty raised", "b budget-empty recovered"])

      yield* limit.reconfigure(AdaptiveLimit.settings({ initial: 40, min: 10, max: 40 }))
      yield* seconds(2)
      assert.strictEqual(told().at(-1), "l limit-shrinking raised")
      assert.strictEqual(alerts.at(-1)?.text, "l: the adaptive limit fell from 100 to 40 within 1m")
      yield* seconds(300)
      assert.strictEqual(told().length, 3)
      yield* limit.reconfigure(AdaptiveLimit.settings({ initial: 60, min: 60, max: 200 }))
      yield* seconds(50)
      assert.strictEqual(told().length, 3)
      yield* seconds(15)
      assert.strictEqual(told().at(-1), "l limit-shrinking recovered")
    }).pipe(Effect.provide(layer))
  })

  it.effect("are only about the pipelines that a rule names, and about each key for itself", () => {
    const { alerts, layer } = watched([{ kind: "opened", pipelines: ["hosts"] }])
    return Effect.gen(function*() {
      const hosts = yield* Pipeline.make("hosts", { keyedCircuitBreaker: { trip } })
      const other = yield* Pipeline.make("other", { circuitBreaker: { trip } })
      yield* Effect.exit(other.protect(boom))
      for (const key of ["a", "b", "a"]) yield* Effect.exit(hosts.protect(boom, { key }))
      yield* seconds(1)
      assert.deepStrictEqual(alerts.map(({ key, pipeline, text }) => [pipeline, key, text]), [
        ["hosts", "a", "hosts [a]: circuit breaker open (Boom)"],
        ["hosts", "b", "hosts [b]: circuit breaker open (Boom)"]
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("see an opening and a closing among any number of other events", () => {
    const { layer, told } = watched([{ kind: "opened" }])
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const { circuitBreaker, protect } = yield* Pipeline.make("p", { circuitBreaker: { trip } })
      const others = Effect.sync(() => {
        for (let n = 0; n < 10_000; n++) {
          resilience.publish("CircuitHalfOpened", (at) => ({ _tag: "CircuitHalfOpened", at, pipeline: "q" }))
        }
      })
      yield* Effect.exit(protect(boom))
      yield* others
      yield* seconds(0)
      assert.deepStrictEqual(told(), ["p opened raised"])
      yield* present(circuitBreaker).reset
      yield* others
      yield* seconds(0)
      assert.deepStrictEqual(told(), ["p opened raised", "p opened recovered"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("see a breaker that was open before they were there", () =>
    Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip } })
      yield* Effect.exit(protect(boom))
      const told: Array<string> = []
      const alerts = Alerts.layer({
        rules: [{ kind: "opened" }],
        handlers: [({ text }) => Effect.sync(() => told.push(text))]
      })
      yield* Effect.provide(seconds(1), alerts)
      assert.deepStrictEqual(told, ["p: circuit breaker open"])
    }).pipe(Effect.provide(Resilience.layer)))

  it.effect("end when a key is dropped that nobody calls any more, and when one is restored as closed", () => {
    const { layer, told } = watched([{ kind: "opened" }, { kind: "open-longer", than: "1 minutes" }])
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      yield* Pipeline.make("hosts", {
        keyedCircuitBreaker: { trip, open: "30 seconds", idle: "2 minutes" }
      })
      const hosts = present((yield* resilience.parts("keyedCircuitBreaker")).get("hosts"))
      for (const key of ["a", "b"]) yield* Effect.exit(hosts.protect(boom, { key }))
      yield* seconds(61)
      assert.deepStrictEqual(told().slice(0, 2), ["hosts opened raised", "hosts opened raised"])
      assert.strictEqual(told().length, 4)
      const snapshot = present((yield* hosts.snapshot).find(({ key }) => key === "b"))
      const { retryAfter: _, openSince: __, ...rest } = snapshot
      yield* hosts.of("b").restore({ ...rest, state: "Closed", openings: 0 })
      yield* seconds(600)
      yield* hosts.keys
      yield* seconds(2)
      assert.strictEqual(told().filter((line) => line.endsWith("recovered")).length, 4)
    }).pipe(Effect.provide(layer))
  })

  it.effect("do not come and go with a limit that sways about the threshold", () => {
    const { layer, told } = watched([{ kind: "limit-shrinking", to: 0.5, within: "1 minutes" }])
    return Effect.gen(function*() {
      const resilience = yield* Resilience.Resilience
      const settings = (max: number) => AdaptiveLimit.settings({ initial: max, min: max, max })
      const limit = yield* resilience.part("adaptiveLimit", "l", settings(100))
      yield* seconds(1)
      for (let n = 0; n < 10; n++) {
        yield* limit.reconfigure(settings(50))
        yield* seconds(2)
        yield* limit.reconfigure(settings(51))
        yield* seconds(2)
      }
      assert.deepStrictEqual(told(), ["l limit-shrinking raised"])
      yield* seconds(61)
      assert.deepStrictEqual(told(), ["l limit-shrinking raised", "l limit-shrinking recovered"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell a handler of no end whose beginning it was not told of, and of how many were lost", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => {
      logged.push(String(message))
    })
    const slow: Array<Alerts.Alert> = []
    const { alerts, layer } = watched([{ kind: "opened" }], [
      (alert) => Effect.andThen(Effect.sleep(1), Effect.sync(() => slow.push(alert)))
    ])
    const keys = 3_000
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("hosts", {
        keyedCircuitBreaker: { trip, open: "30 seconds", idle: "1 hours" }
      })
      const each = (work: Effect.Effect<void, unknown>, before: number) =>
        Effect.gen(function*() {
          for (let n = 1; n <= keys; n++) {
            yield* Effect.exit(protect(work, { key: `${n}` }))
            // the other handler keeps up
            if (n % 500 === 0) yield* until(() => alerts.length === before + n)
          }
        })
      yield* each(boom, 0)
      yield* TestClock.adjust(10)
      yield* seconds(30)
      yield* each(Effect.void, keys)
      assert.strictEqual(alerts.length, 2 * keys)
      yield* seconds(60)
      yield* until(() => slow.filter(({ state }) => state === "recovered").length > 1_000)
      const raised = new Set<string>()
      for (const { id, state } of slow) {
        if (state === "raised") raised.add(id)
        else assert.isTrue(raised.delete(id))
      }
      // nor is it left with an episode that has no end
      assert.strictEqual(raised.size, 0)
      const lost = logged.flatMap((line) => /^(\d+) notifications were lost/.exec(line)?.[1] ?? [])
      assert.strictEqual(lost.reduce((sum, n) => sum + Number(n), 0) + slow.length / 2, keys)
    }).pipe(Effect.provide(Layer.provide(layer, Logger.layer([logger]))))
  })

  it.effect("go by the time that passes, and not by a clock that is set", () => {
    const { alerts, layer, told } = watched([{ kind: "open-longer", than: "5 minutes" }, { kind: "opened" }])
    return Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let ahead = 0
      const swaying: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + ahead,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        sleep: (duration) => clock.sleep(duration)
      }
      yield* Effect.gen(function*() {
        const { protect } = yield* Pipeline.make("p", { circuitBreaker: { trip, open: "10 minutes" } })
        yield* Effect.exit(protect(boom))
        ahead = 3_600_000
        yield* seconds(200)
        ahead = -3_600_000
        yield* seconds(50)
        assert.deepStrictEqual(told(), ["p opened raised"])
        yield* seconds(60)
        assert.deepStrictEqual(told(), ["p opened raised", "p open-longer raised"])
        yield* seconds(300)
        yield* protect(Effect.void)
        yield* seconds(1)
        assert.deepStrictEqual(alerts.slice(2).map(({ lasted }) => lasted), [310_000, 610_000])
      }).pipe(Effect.provide(layer), Effect.provideService(Clock.Clock, swaying))
    })
  })

  it.effect("stay within their lines in a log, whatever the names are", () => {
    const logged: Array<unknown> = []
    const logger = Logger.make(({ fiber, message }) => {
      logged.push(message, ...Object.values(fiber.getRef(References.CurrentLogAnnotations)))
    })
    const { layer } = watched([{ kind: "opened" }], [Notify.log])
    return Effect.gen(function*() {
      for (const name of [...hostileNames, "half \uD83D"]) {
        const { protect } = yield* Pipeline.make(name, { keyedCircuitBreaker: { trip } })
        yield* Effect.exit(protect(boom, { key: name }))
      }
      yield* until(() => logged.length > 8 * hostileNames.length)
      for (const value of logged) assert.notMatch(String(value), /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
    }).pipe(Effect.provide(Layer.provide(layer, Logger.layer([logger]))))
  })

  it.effect("begin and end by turns for each rule and subject, and all end, whatever is done to breakers", () => {
    const { alerts, layer } = watched([
      { kind: "opened" },
      { kind: "open-longer", than: "5 seconds" },
      { kind: "flapping", openings: 2, within: "30 seconds" },
      { kind: "error-rate", minimumCalls: 3, within: "20 seconds" },
      { kind: "budget-empty", within: "10 seconds" },
      { kind: "limit-shrinking", within: "10 seconds" }
    ])
    return Effect.gen(function*() {
      const { below, pick } = yield* draws
      const p = yield* Pipeline.make("p", {
        circuitBreaker: { trip, open: "2 seconds" },
        retry: { times: 1 },
        retryBudget: { minimum: 1, share: 0.1 },
        adaptiveLimit: { initial: 20, min: 1, max: 50 }
      })
      const hosts = yield* Pipeline.make("hosts", {
        keyedCircuitBreaker: { trip, open: "2 seconds", idle: "8 seconds" }
      })
      const breaker = present(p.circuitBreaker)
      const held: Array<Scope.Closeable> = []
      const step = Effect.suspend((): Effect.Effect<unknown> => {
        switch (below(14)) {
          case 0:
            return breaker.reset
          case 1:
            return Effect.flatMap(breaker.snapshot, (was) => Effect.andThen(seconds(below(3)), breaker.restore(was)))
          case 2:
            return Effect.gen(function*() {
              const scope = yield* Scope.make()
              held.push(scope)
              yield* Scope.provide(pick([breaker.forceOpen, breaker.disable, breaker.forceClosed]), scope)
            })
          case 3: {
            const scope = held.pop()
            return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
          }
          case 4:
            return p.reconfigure(pick([{}, { circuitBreaker: false }, { retryBudget: { minimum: 3 } }]))
          case 5:
          case 6:
            return Effect.exit(hosts.protect(pick([boom, Effect.void]), { key: `${below(5)}` }))
          case 7:
          case 8:
          case 9:
            return seconds(below(4))
        }
        return Effect.exit(p.protect(pick([boom, boom, Effect.void])))
      })
      for (let n = 0; n < 2_000; n++) yield* step
      for (const scope of held) yield* Scope.close(scope, Exit.void)
      for (let n = 0; n < 100; n++) {
        yield* seconds(2)
        yield* Effect.exit(p.protect(Effect.void))
        yield* Effect.exit(hosts.protect(Effect.void, { key: `${n % 5}` }))
      }
      const on = new Map<string, string>()
      for (const { id, key, pipeline, rule, state } of alerts) {
        const subject = JSON.stringify([rule, pipeline, key])
        if (state === "raised") {
          assert.isFalse(on.has(subject), subject)
          on.set(subject, id)
        } else {
          assert.strictEqual(on.get(subject), id)
          on.delete(subject)
        }
      }
      assert.strictEqual(new Set(alerts.map(({ id }) => id)).size, alerts.length / 2)
      assert.deepStrictEqual([...on.keys()], [])
      for (const kind of ["opened", "open-longer", "flapping", "error-rate", "budget-empty"]) {
        assert.isTrue(alerts.some((alert) => alert.kind === kind), kind)
      }
    }).pipe(Effect.provide(layer), Random.withSeed("alerts"))
  })

  it.effect("never touch a call, and reach all others, where handlers fail, die, throw or hang", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => {
      // the test clock has something to say, too
      if (String(message).startsWith("could not tell")) logged.push(String(message))
    })
    const handlers: ReadonlyArray<Notify.Handler> = [
      () => Effect.fail({ _tag: "NoRoute", message: "secret" }),
      () => Effect.die("bug"),
      () => {
        throw new Error("no effect at all")
      },
      () => Effect.never
    ]
    const { alerts, layer } = watched([{ kind: "opened" }], handlers)
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("hosts", { keyedCircuitBreaker: { trip } })
      for (let n = 1; n <= 3_000; n++) {
        const exit = yield* Effect.exit(protect(boom, { key: `${n}` }))
        assert.isTrue(Exit.isFailure(exit))
        if (n % 500 === 0) yield* until(() => alerts.length === n)
      }
      assert.strictEqual(alerts.length, 3_000)
      yield* until(() => logged.length === 9_000)
      assert.strictEqual(logged.length, 9_000)
      assert.notInclude(logged.join(), "secret")
      // the one that hangs is given up
      yield* seconds(61)
      yield* until(() => logged.length > 9_000)
      assert.include(logged.at(-1), "could not tell of")
      assert.include(logged.at(-1), "TimeoutError")
    }).pipe(Effect.provide(Layer.provide(layer, Logger.layer([logger]))))
  })

  it.effect("are plain data that a schema describes, whatever the names are", () => {
    const { alerts, layer } = watched([{ kind: "opened" }, { kind: "error-rate", minimumCalls: 1 }])
    return Effect.gen(function*() {
      for (const name of hostileNames) {
        const { protect } = yield* Pipeline.make(name, { circuitBreaker: { trip } })
        yield* Effect.exit(protect(boom))
      }
      yield* seconds(2)
      yield* until(() => alerts.length === 2 * hostileNames.length)
      assert.strictEqual(alerts.length, 2 * hostileNames.length)
      for (const alert of alerts) {
        const json: unknown = JSON.parse(JSON.stringify(alert))
        assert.deepStrictEqual(Schema.decodeUnknownSync(Alerts.Alert)(json), alert)
        assert.include(hostileNames, alert.pipeline)
        assert.notMatch(alert.text, /[\p{Cc}\p{Bidi_Control}]/u)
      }
    }).pipe(Effect.provide(layer))
  })

  it("refuse bad rules when the layer is made", () => {
    const of = (rule: unknown) => () => Alerts.layer({ rules: [rule as Alerts.Rule], handlers: [] })
    assertRefused([
      [of({ kind: "closed" }), "kind must be one of opened, open-longer"],
      [of({ kind: "opened", within: "1 minutes" }), "Alerts.layer: opened: unknown option \"within\""],
      [of({ kind: "open-longer", than: 0 }), "than must be a finite duration above zero"],
      [of({ kind: "flapping", openings: 1 }), "openings must be an integer from 2"],
      [of({ kind: "error-rate", threshold: 0 }), "threshold must be above 0 and at most 1"],
      [of({ kind: "limit-shrinking", to: 2 }), "to must be above 0 and at most 1"],
      [of({ kind: "opened", pipelines: "p" }), "pipelines must be a list of names"],
      [() => Alerts.layer({ handlers: [] } as never), "Alerts.layer: rules must be a list of rules, got undefined"],
      [() => Alerts.layer({ rules: [] } as never), "Alerts.layer: handlers must be a list of functions"],
      [() => Alerts.layer({ rules: [], handlers: ["hunter2"] } as never), "such as Notify.webhook(...)"],
      [of(null), "Alerts.layer: rules must be a list of rules, got [null]"]
    ])
  })
})
