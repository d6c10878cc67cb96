import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect } from "effect"
import { Headers } from "effect/http"
import { TestClock } from "effect/testing"
import { RetryAfter } from "../../src/http/index.ts"

const now = Date.parse("Sun, 06 Nov 1994 08:49:00 GMT")
const seconds = (value: string, date?: string): number | undefined => {
  const wait = RetryAfter.parse(value, { now, date })
  return wait === undefined ? undefined : Duration.toSeconds(wait)
}

describe("RetryAfter", () => {
  it("reads seconds", () => {
    assert.strictEqual(seconds("0"), 0)
    assert.strictEqual(seconds("120"), 120)
    assert.strictEqual(seconds(" 2 "), 2)
    assert.strictEqual(seconds("31536000"), 31_536_000)
    assert.strictEqual(seconds("2, 3"), 3)
  })

  it("reads the three forms of an HTTP date", () => {
    assert.strictEqual(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), 37)
    assert.strictEqual(seconds("Sunday, 06-Nov-94 08:49:37 GMT"), 37)
    assert.strictEqual(seconds("Sun Nov  6 08:49:37 1994"), 37)
  })

  it("counts a date from the response's own Date, whatever the clock here says", () => {
    assert.strictEqual(seconds("Sun, 06 Nov 1994 10:00:05 GMT", "Sun, 06 Nov 1994 10:00:00 GMT"), 5)
    assert.strictEqual(seconds("Sun, 06 Nov 1994 08:49:37 GMT", "yesterday"), 37)
  })

  it("takes a date that has passed for zero", () => {
    assert.strictEqual(seconds("Sun, 06 Nov 1994 08:48:00 GMT"), 0)
  })

  it("leaves rubbish alone", () => {
    const rubbish = [
      "",
      " ",
      "-1",
      "+1",
      "1.5",
      "1e3",
      "0x10",
      "NaN",
      "Infinity",
      "2 seconds",
      "2, soon",
      "soon",
      "2026-11-22",
      "2026-11-22T00:00:00Z",
      "Sun, 06 Nov 1994 08:49:37 PST",
      "Sun, 99 Nov 1994 99:99:99 GMT",
      "Sun Nov 6 08:49:37 1994 GMT+2",
      "\u0662"
    ]
    for (const value of rubbish) assert.isUndefined(seconds(value), JSON.stringify(value))
  })

  it("never gives a duration that is negative, or none", () => {
    for (const digits of [30, 400, 10_000]) {
      assert.strictEqual(seconds("9".repeat(digits)), 1e9)
      assert.strictEqual(seconds(`1, ${"9".repeat(digits)}`), 1e9)
    }
  })

  it.effect("reads the headers of a response against the wall clock", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const read = (headers: Record<string, string>) =>
        Clock.clockWith((clock) => Effect.sync(() => RetryAfter.fromHeaders(Headers.fromInput(headers), clock)))
      assert.deepStrictEqual(
        yield* read({ "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT" }),
        Duration.seconds(37)
      )
      assert.isUndefined(yield* read({}))
    }))
})
