import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Pipeline, Resilience } from "../../src/index.ts"
import { ErrorReports, Notify } from "../../src/observability/index.ts"
import { assertRefused, boom, present } from "../support.ts"
import { hostileNames } from "./names.ts"

const reporting = (options: ErrorReports.Options = {}) => {
  const reports: Array<ErrorReports.Report> = []
  const keep: Notify.Handler<ErrorReports.Report> = (report) => Effect.sync(() => reports.push(report))
  const layer = ErrorReports.layer({ ...options, handlers: [...options.handlers ?? [], keep] }).pipe(
    Layer.provideMerge(Resilience.layerTest())
  )
  return { layer, reports }
}

/** Lets others run until something holds. */
const until = (holds: () => boolean) =>
  Effect.gen(function*() {
    for (let turns = 0; turns < 20_000 && !holds(); turns++) yield* Effect.yieldNow
    assert.isTrue(holds())
  })

const seconds = (n: number) => TestClock.adjust(Duration.seconds(n))

const here = (message: string) => new TypeError(message)
const there = (message: string) => new TypeError(message)

describe("ErrorReports", () => {
  it.effect("D7: report a new kind of error at once, and again at intervals with how often it was seen", () => {
    const { layer, reports } = reporting({ every: "1 minutes" })
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("billing", {})
      const fail = Effect.exit(protect(Effect.suspend(() => Effect.fail(here("no"))), { operation: "charge" }))
      yield* fail
      yield* until(() => reports.length === 1)
      const [first] = reports
      const { frames, id, text, ...rest } = present(first)
      assert.deepStrictEqual(rest, {
        _tag: "ErrorReport",
        pipeline: "billing",
        operation: "charge",
        kind: "TypeError",
        level: "Error",
        count: 1,
        since: 1,
        firstSeen: 0,
        lastSeen: 0
      })
      assert.match(id, /^[0-9a-f]{16}$/)
      assert.match(present(frames[0]), /^here \(observability\/ErrorReports\.test\.ts:\d+:\d+\)$/)
      assert.strictEqual(text, `billing charge: TypeError at ${frames[0]}`)

      for (let n = 0; n < 50; n++) {
        yield* fail
        yield* seconds(1)
      }
      assert.strictEqual(reports.length, 1)
      yield* seconds(15)
      yield* until(() => reports.length === 2)
      assert.deepInclude(reports[1], { id, count: 51, since: 50, firstSeen: 0, lastSeen: 49_000 })
      assert.include(reports[1]?.text, ", 50 more, 51 in all")
      // nothing is seen, nothing is reported
      yield* seconds(300)
      assert.strictEqual(reports.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("group by kind, pipeline, operation and place, and not by message or line", () => {
    const { layer } = reporting()
    return Effect.gen(function*() {
      const a = yield* Pipeline.make("a", {})
      const b = yield* Pipeline.make("b", {})
      const fail = (pipeline: typeof a, error: () => unknown, operation?: string) =>
        Effect.exit(pipeline.protect(Effect.suspend(() => Effect.fail(error())), { operation }))
      yield* fail(a, () => here("1"))
      yield* fail(a, () => here("2"))
      yield* fail(a, () => there("1"))
      yield* fail(a, () => here("1"), "o")
      yield* fail(b, () => here("1"))
      yield* fail(a, () => "a string")
      yield* Effect.exit(a.protect(boom))
      // these are nobody's fault
      yield* Effect.exit(a.protect(Effect.interrupt))
      yield* TestClock.adjust(0)
      const { groups } = yield* ErrorReports.ErrorReports
      const seen = (yield* groups).map(({ count, kind, operation, pipeline }) => [pipeline, operation, kind, count])
      assert.sameDeepMembers(seen, [
        ["a", undefined, "TypeError", 2],
        ["a", undefined, "TypeError", 1],
        ["a", "o", "TypeError", 1],
        ["b", undefined, "TypeError", 1],
        ["a", undefined, "string", 1],
        ["a", undefined, "Boom", 1]
      ])
      assert.strictEqual(new Set((yield* groups).map(({ id }) => id)).size, 6)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are alike whatever the lines, the folder, the messages, the causes and the order of attempts are", () => {
    const { layer } = reporting()
    const failing = (folder: string, line: number, message: string) => {
      const error: Error & { cause?: unknown } = new TypeError(message)
      error.stack = `TypeError: ${message}
    at charge (${folder}/app/billing.ts:${line}:${line + 7})
    at async pay (${folder}/app/pay.ts?v=${line}:${line}:1)
    at ${folder}/app/main.ts:${line}:2`
      error.cause = error
      return error
    }
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      const folders = ["", "/srv", "file:///srv", "C:\\Users\\A B", "/home/a b", "/home/a b/c"]
      for (const [n, folder] of folders.entries()) {
        yield* Effect.exit(protect(Effect.fail(failing(folder, n + 1, `user ${n} of ${folder}`))))
      }
      yield* TestClock.adjust(0)
      const groups = yield* (yield* ErrorReports.ErrorReports).groups
      assert.deepStrictEqual(groups.map(({ count, frames, kind }) => [kind, count, frames.length]), [
        ["TypeError", folders.length, 3]
      ])
      assert.deepStrictEqual(groups[0]?.frames, [
        "charge (app/billing.ts:1:8)",
        "pay (app/pay.ts:1:1)",
        "(app/main.ts:1:2)"
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("count every error, whatever its parts do when they are read", () => {
    const { layer } = reporting({ messages: true })
    const throwing = (...keys: ReadonlyArray<string>) => {
      const error = new Error("m")
      for (const key of keys) {
        Object.defineProperty(error, key, {
          get: () => {
            throw new Error(`do not read ${key}`)
          }
        })
      }
      return error
    }
    const odd = (fields: object) => Object.assign(new Error("m"), fields)
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    const errors: ReadonlyArray<unknown> = [
      throwing("_tag"),
      throwing("name"),
      throwing("message"),
      throwing("stack"),
      throwing("cause", "toString"),
      throwing("_tag", "name", "message", "stack", "cause"),
      odd({ name: 1 }),
      odd({ name: Symbol("s"), stack: 5 }),
      odd({ _tag: { toString: () => "no" }, stack: null }),
      odd({ message: {}, stack: "x".repeat(10_000_000) }),
      odd({ stack: `\n    at ${"a (".repeat(5_000)}`.repeat(100) }),
      odd({ _tag: "\uD83D".repeat(1_000) }),
      Object.create(null),
      cyclic,
      Symbol("s"),
      10n,
      null,
      undefined,
      () => "a function",
      Object.freeze([Object.freeze(new Error("frozen"))])
    ]
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      for (const error of errors) {
        yield* Effect.exit(protect(Effect.fail(error)))
        yield* Effect.exit(protect(Effect.die(error)))
      }
      yield* TestClock.adjust(0)
      const groups = yield* (yield* ErrorReports.ErrorReports).groups
      assert.strictEqual(groups.reduce((sum, { count }) => sum + count, 0), 2 * errors.length)
      for (const group of groups) {
        assert.isBelow(JSON.stringify(group).length, 5_000)
        assert.notMatch(group.text, /[\p{Cc}\p{Cs}]/u)
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("hold no message, even one that looks like a stack, unless that is asked for", () => {
    const quiet = reporting()
    const open = reporting({ messages: true })
    const fail = Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      yield* Effect.exit(protect(Effect.fail(here("hunter2\n    at hunter2 (/etc/hunter2:1:1)\n"))))
      yield* TestClock.adjust(0)
      return yield* (yield* ErrorReports.ErrorReports).groups
    })
    return Effect.gen(function*() {
      const groups = yield* Effect.provide(fail, quiet.layer)
      assert.strictEqual(groups.length, 1)
      assert.notInclude(JSON.stringify([groups, quiet.reports]), "hunter2")
      const [group] = yield* Effect.provide(fail, open.layer)
      assert.strictEqual(group?.message, "hunter2\\n    at hunter2 (/etc/hunter2:1:1)\\n")
    })
  })

  it.effect("are bounded, however many groups there are", () => {
    const { layer, reports } = reporting({ groups: 50, reports: 10, every: "1 minutes" })
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      for (let n = 0; n < 1_000; n++) {
        yield* Effect.exit(protect(Effect.fail({ _tag: `Kind${n}` }), { operation: `${n}` }))
        if (n % 50 === 0) yield* TestClock.adjust(0)
      }
      yield* TestClock.adjust(0)
      yield* until(() => reports.length >= 10)
      assert.strictEqual(reports.length, 10)
      const groups = yield* (yield* ErrorReports.ErrorReports).groups
      assert.strictEqual(groups.length, 50)
      assert.isTrue(groups.every(({ operation }) => operation === "other"))
      yield* seconds(61)
      yield* until(() => reports.length >= 20)
      assert.strictEqual(reports.length, 20)
    }).pipe(Effect.provide(layer))
  })

  it.effect("read few stacks while a dependency is down, and count all errors", () => {
    let read = 0
    class Costly extends Error {
      readonly _tag = "Costly"
      constructor() {
        super()
        Object.defineProperty(this, "stack", {
          get: () => {
            read++
            return "Costly\n    at f (/app/src/a.ts:1:2)"
          }
        })
      }
    }
    const { layer } = reporting()
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      for (let n = 0; n < 1_000; n++) {
        yield* Effect.exit(protect(Effect.fail(new Costly())))
        if (n % 100 === 0) yield* TestClock.adjust(0)
      }
      yield* TestClock.adjust(0)
      const groups = yield* (yield* ErrorReports.ErrorReports).groups
      assert.deepStrictEqual(groups.map(({ count, frames }) => [count, frames]), [[1_000, ["f (src/a.ts:1:2)"]]])
      assert.isAtMost(read, 100)
    }).pipe(Effect.provide(layer))
  })

  it.effect("go through the same handlers as alerts, which touch no call and lose no other report", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => logged.push(`${logLevel} ${message}`))
    const { layer, reports } = reporting({ handlers: [() => Effect.die("bug"), Notify.log] })
    return Effect.gen(function*() {
      const { protect } = yield* Pipeline.make("p", {})
      yield* Effect.exit(protect(boom))
      yield* until(() => reports.length === 1 && logged.length === 2)
      assert.isTrue(logged.some((line) => line.startsWith("Warn could not tell of \"p: Boom")))
      assert.isTrue(logged.some((line) => line.startsWith("Error p: Boom")))
    }).pipe(Effect.provide(Layer.provide(layer, Logger.layer([logger]))))
  })

  it.effect("are plain data that a schema describes, whatever the names and the errors are", () => {
    const { layer, reports } = reporting()
    return Effect.gen(function*() {
      const evil = new Proxy({}, {
        get: () => {
          throw new Error("do not look")
        }
      })
      for (const name of hostileNames) {
        const { protect } = yield* Pipeline.make(name, {})
        yield* Effect.exit(
          protect(Effect.fail({ _tag: name, stack: `${name}\n    at ${name} (${name}:1:1)` }), { operation: name })
        )
        yield* Effect.exit(protect(Effect.fail(evil)))
        yield* TestClock.adjust(0)
      }
      yield* until(() => reports.length === 2 * hostileNames.length)
      for (const report of reports) {
        const json: unknown = JSON.parse(JSON.stringify(report))
        assert.deepStrictEqual(Schema.decodeUnknownSync(ErrorReports.Report)(json), report)
        assert.notMatch(report.text, /[\p{Cc}\p{Bidi_Control}]/u)
      }
    }).pipe(Effect.provide(layer))
  })

  it("refuse bad options when the layer is made", () => {
    assertRefused([
      [() => ErrorReports.layer({ every: 0 }), "ErrorReports.layer: every must be a finite duration above zero"],
      [() => ErrorReports.layer({ reports: 0 }), "reports must be an integer >= 1"],
      [() => ErrorReports.layer({ groups: 1.5 }), "groups must be an integer >= 1"],
      [() => ErrorReports.layer({ handlers: {} } as never), "ErrorReports.layer: handlers must be a list of functions"],
      [() => ErrorReports.layer({ message: true } as never), "unknown option \"message\""],
      [() => ErrorReports.layer(null as never), "ErrorReports.layer: options must be an object, got null"]
    ])
  })
})
