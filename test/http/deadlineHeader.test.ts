import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as DeadlineHeader from "../../src/http/DeadlineHeader.ts"
import { ServiceClient } from "../../src/http/index.ts"
import { Deadline, Resilience } from "../../src/index.ts"
import { answering, json } from "./answering.ts"
import { plan, Planning, PlanningApi } from "./planning.ts"

const day = Duration.days(1)

describe("DeadlineHeader", () => {
  it("reads whole milliseconds, keeps them within a day, and takes nothing else for a deadline", () => {
    const read = (text: string | undefined) => {
      const duration = DeadlineHeader.parse(text)
      return duration === undefined ? undefined : Duration.toMillis(duration)
    }
    assert.strictEqual(read("1500"), 1500)
    // one that has passed still can be given to `Deadline.within`
    assert.strictEqual(read("0"), 1)
    assert.strictEqual(read("9".repeat(32)), Duration.toMillis(day))
    for (
      const bad of ["", " ", "-1", "NaN", "Infinity", "1e99", "1.5", "0x10", "12ms", "1\r\nx: y", "9".repeat(33), "١"]
    ) {
      assert.isUndefined(read(bad), bad)
    }
    assert.isUndefined(read(undefined))
  })

  it("writes whole milliseconds, rounded down, and nothing for what never ends", () => {
    assert.strictEqual(DeadlineHeader.encode(Duration.millis(1999.9)), "1999")
    assert.strictEqual(DeadlineHeader.encode(Duration.zero), "1")
    assert.strictEqual(DeadlineHeader.encode(Duration.days(30)), String(Duration.toMillis(day)))
    assert.isUndefined(DeadlineHeader.encode(Duration.infinity))
  })

  it.effect("each attempt says what is left then, of whatever ends first", () => {
    const upstream = answering((_, count) => count === 1 ? "hang" : json(plan("1")))
    const sent = () => upstream.sent.map(({ headers }) => headers[DeadlineHeader.header])
    return Effect.gen(function*() {
      // the attempt has two seconds, the caller two and a half
      const call = Effect.flatMap(Planning, ({ plans }) => plans.get({ params: { id: "1" } }))
      const fiber = yield* Effect.forkChild(call.pipe(Deadline.within("2500 millis")))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(sent(), ["2000", "500"])
      assert.strictEqual((yield* Fiber.join(fiber)).id, "1")
    }).pipe(Effect.provide(Planning.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })

  it.effect("a call without any limit says nothing", () => {
    const upstream = answering(() => json(plan("1")))
    class Unlimited extends ServiceClient.Service<Unlimited>()("Unlimited", {
      api: PlanningApi,
      baseUrl: "http://unlimited.invalid",
      pipeline: { retry: {}, circuitBreaker: {} }
    }) {}
    return Effect.gen(function*() {
      yield* Effect.flatMap(Unlimited, ({ plans }) => plans.get({ params: { id: "1" } }))
      assert.isFalse(DeadlineHeader.header in (upstream.sent[0]?.headers ?? {}))
    }).pipe(Effect.provide(Unlimited.layer.pipe(Layer.provide([upstream.layer, Resilience.layerTest()]))))
  })
})
