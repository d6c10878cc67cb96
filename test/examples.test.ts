import { execFile } from "node:child_process"
import { readdirSync } from "node:fs"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const expected: Record<string, ReadonlyArray<string>> = {
  "one-effect": ["a quote, at call 4", "3 failures, 1 success, the circuit is Closed"],
  "pipeline-by-name": [
    "  (Retrying)",
    "  (RetriesExhausted)",
    "no quote: the service refuses",
    "  (Retrying)",
    "  (CircuitOpened)",
    "  (RetriesExhausted)",
    "no quote: the service refuses",
    "  (Refused)",
    "no quote: nobody was even asked",
    "  (CircuitHalfOpened)",
    "  (CircuitClosed)",
    "a quote"
  ],
  "service-client": [
    "well:    Move house",
    "unknown: there is no plan 9",
    "flaky:   Move house",
    "down:    planning is down, ask again in 60s",
    "refused: Planning plans.create: the request is invalid: title: Expected a value with a length of at least 1"
  ]
}

describe("examples", () => {
  it("all have their output checked here", () => {
    const names = readdirSync("examples").filter((name) => name.endsWith(".ts")).map((name) => name.slice(0, -3))
    assert.deepStrictEqual(names.toSorted(), Object.keys(expected).toSorted())
  })

  for (const [name, lines] of Object.entries(expected)) {
    it(`${name} runs, importing the package by its name, and says what it should`, async () => {
      const { stderr, stdout } = await promisify(execFile)("npm", ["run", "--silent", "example", "--", name])
      assert.deepStrictEqual(stdout.trimEnd().split("\n"), lines)
      assert.notInclude(stderr, "Error")
    })
  }
})
