/** What is written about the metrics holds: the table in docs/observability.md, and the rules for Prometheus. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Pipeline, Resilience } from "../../src/index.ts"
import { Metrics } from "../../src/observability/index.ts"
import { present } from "../support.ts"
import { fresh } from "./freshRegistry.ts"
import { promtool } from "./prometheus.ts"
import { parsePrometheus } from "./prometheusText.ts"

const rules = "docs/prometheus-rules.yml"

interface Row {
  readonly names: ReadonlyArray<string>
  /** The labels besides the pipeline, with their values where these are listed. */
  readonly labels: ReadonlyMap<string, ReadonlyArray<string>>
}

/** The rows of the table. */
const written = (): ReadonlyArray<Row> => {
  const section = present(/^## Metrics$(.*?)^## /ms.exec(readFileSync("docs/observability.md", "utf8"))?.[1])
  return Array.from(section.matchAll(/^\| (`[^|]*)\|([^|]*)\|$/gm), ([, names = "", labels = ""]) => ({
    names: Array.from(names.matchAll(/`(\w+)`/g), ([, name = ""]) => `resilience_${name}`),
    labels: new Map(
      Array.from(labels.matchAll(/`(\w+)`(?: \(([^)]*)\))?/g), ([, label = "", values]) => [
        label,
        values?.split(", ") ?? []
      ])
    )
  }))
}

/** Pipelines with every policy, and calls of all of them. */
const exported = Effect.gen(function*() {
  const every = yield* Pipeline.make("every", {
    circuitBreaker: {
      trip: [
        { kind: "consecutive", failures: 10 },
        { kind: "slow", threshold: 1, slowerThan: "1 minute", window: { calls: 10 } }
      ]
    },
    bulkhead: { concurrency: 2 },
    rateLimit: { kind: "token-bucket", permits: 10, per: "1 second" },
    retry: { times: 1 },
    retryBudget: {},
    hedge: { delay: "1 minute" },
    throttle: {},
    cache: { strategy: "cache-first", fresh: "1 minute" }
  })
  const keyed = yield* Pipeline.make("keyed", { keyedCircuitBreaker: {}, adaptiveLimit: {} })
  yield* every.protect(Effect.succeed(1), { operation: "charge" })
  // enough for the adaptive limit to have a baseline
  const slow = Effect.forEach(
    Array.from({ length: 50 }),
    () => keyed.protect(Effect.sleep("10 millis"), { key: "a", operation: "charge" })
  )
  const calls = yield* Effect.forkChild(slow)
  for (let n = 0; n < 50; n++) yield* TestClock.adjust("10 millis")
  yield* Fiber.join(calls)
  const { samples, types } = parsePrometheus(yield* (yield* Metrics.Metrics).prometheus())
  return { names: Array.from(types.keys()), samples }
}).pipe(
  Effect.provide(Metrics.layer().pipe(Layer.provideMerge(Resilience.layer))),
  fresh
)

describe("Metrics, as they are documented", () => {
  it.effect("D7: the table in docs/observability.md has every metric, every label and every value, and none that there is not", () =>
    Effect.gen(function*() {
      const { names, samples } = yield* exported
      const table = written()
      // the one that has no pipeline stands below the table
      const others = names.filter((name) => name !== "resilience_pipelines")
      assert.deepStrictEqual(table.flatMap(({ names }) => names).toSorted(), others.toSorted())
      for (const row of table) {
        const parts = new Set(row.names.flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]))
        const found = samples.filter(({ name }) => parts.has(name))
        for (const { labels, name } of found) {
          const further = Object.keys(labels).filter((label) => label !== "pipeline" && label !== "le")
          assert.sameMembers(further, Array.from(row.labels.keys()), name)
        }
        for (const [label, values] of row.labels) {
          const seen = new Set(found.map(({ labels }) => present(labels[label])))
          // calls and attempts are timed as they come, of all others there are series from the beginning
          const isWhole = !row.names.some((name) => name.endsWith("_duration_seconds"))
          if (values.length > 0 && isWhole) assert.sameMembers(Array.from(seen), Array.from(values), row.names.join())
        }
      }
    }))

  it.effect("D7: the rules for Prometheus name only metrics that there are", () =>
    Effect.gen(function*() {
      const { names } = yield* exported
      const used = readFileSync(rules, "utf8").match(/resilience_\w+/g) ?? []
      assert.isAbove(used.length, 5)
      for (const name of used) assert.include(names, name.replace(/_bucket$/, ""))
    }))

  it("D7: the rules for Prometheus raise what they should", ({ skip }) => {
    if (promtool === undefined) return skip("promtool is not installed")
    const folder = mkdtempSync(join(tmpdir(), "rules-"))
    try {
      const file = join(folder, "test.yml")
      const cases = readFileSync("test/observability/prometheusRules.yml", "utf8")
      writeFileSync(file, cases.replace("[RULES]", JSON.stringify([resolve(rules)])))
      const { status, stderr, stdout } = spawnSync(promtool, ["test", "rules", file], { encoding: "utf8" })
      assert.strictEqual(status, 0, stdout + stderr)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
