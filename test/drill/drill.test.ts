/** The drill as a whole, as a process that starts six others. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { DeadService } from "../../examples/drill/Recording.ts"
import * as Scenario from "../../examples/drill/Scenario.ts"
import { canLookForProcesses, drill, processesOf, until } from "./processes.ts"

describe("the drill", () => {
  it("explains itself", async () => {
    const { code, stderr, stdout } = await drill(["--help"], 25_000).ended
    assert.deepStrictEqual([code, stderr], [0, ""])
    for (
      const option of [
        "--scenario",
        "--seconds",
        "--rate",
        "--seed",
        "--report",
        "--json",
        "--dashboard",
        "--help",
        ...Scenario.names
      ]
    ) {
      assert.include(stdout, option)
    }
  })

  it("ends with 2 for what it does not understand, in two lines on stderr", async () => {
    const { code, stderr, stdout } = await drill(["--rate", "many"], 25_000).ended
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.lengthOf(stderr.trimEnd().split("\n"), 2)
  })

  it("B2: ends with 2 for a setting in the environment that it does not understand", async () => {
    const { code, stderr, stdout } = await drill([], 25_000, { environment: { CHROMA_TIMEOUT: "soon" } }).ended
    assert.strictEqual(code, 2)
    assert.include(stderr, "CHROMA_TIMEOUT")
    assert.lengthOf(stderr.trimEnd().split("\n"), 2)
    assert.strictEqual(stdout, "")
  })

  it(
    "A20, B10, B11: under the tour the toolkit's gateway keeps its targets, and one document says all of it",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "drill-"))
      const report = join(folder, "report.html")
      try {
        const running = drill(["--seconds", "18", "--seed", "7", "--json", "--report", report], 55_000)
        const { code, stderr, stdout } = await running.ended
        const document = JSON.parse(stdout)
        // on a machine that is too busy there is no verdict to test
        assert.include([0, 3], code, stderr)
        assert.strictEqual(document.verdict, code === 0 ? "passed" : "inconclusive")
        assert.deepInclude(document, { scenario: "tour", seconds: 18, rate: 54, seed: 7 })
        assert.lengthOf(document.outages, 8)
        // B11: three timeouts of 30 seconds before; after, one wait that a user has the patience for, and then none
        const dead = (gateway: string, fault: string) =>
          document.deadService.find((row: DeadService) => row.gateway === gateway && row.fault === fault)
        assert.isAtLeast(dead("retries", "hang").first * document.factor, 89_900)
        assert.isBelow(dead("resilient", "hang").first, dead("plain", "hang").first)
        // waits of 1, 2 and 4 seconds, give or take a tenth, where the service refuses connections
        assert.isAtLeast(dead("resilient", "refuse").first * document.factor, 6_200)
        for (const fault of ["hang", "refuse"]) {
          assert.isBelow(dead("resilient", fault).later, dead("resilient", fault).first)
          assert.strictEqual(dead("retries", fault).answeredBy, "error")
          assert.strictEqual(dead("resilient", fault).answeredBy, "fallback")
        }
        assert.notMatch(stderr, /^\s+at /m)
        assert.include(readFileSync(report, "utf8"), "<!doctype html>")
        // the token is nobody's business
        assert.notInclude(stdout + stderr + readFileSync(report, "utf8"), running.mark)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
    60_000
  )

  describe.skipIf(!canLookForProcesses)("leaves nothing behind", () => {
    // early, while processes start, and late, in an outage
    it.each([300, 900, 1600, 2600, 5000])("ends within a second when interrupted after %d ms", async (after) => {
      const running = drill(["--seconds", "12"], 30_000)
      await new Promise((resolve) => setTimeout(resolve, after + Math.random() * 300))
      const interrupted = performance.now()
      running.kill("SIGINT")
      const { code, signal, stderr, stdout } = await running.ended
      assert.isBelow(performance.now() - interrupted, 1000)
      // before it has loaded, nothing but the signal itself ends it
      if (signal === null) assert.strictEqual(code, 130)
      else assert.strictEqual(signal, "SIGINT")
      assert.strictEqual(stderr, "")
      assert.notMatch(stdout, /^(Passed|Missed)/m)
      assert.deepStrictEqual(processesOf(running.mark), [])
    }, 40_000)

    it("ends its processes even when it is killed", async () => {
      const running = drill(["--seconds", "12"], 30_000)
      await until(() => processesOf(running.mark).length === 7, 20_000, "seven processes")
      running.kill("SIGKILL")
      await running.ended
      // those that are still loading see it when they have loaded
      await until(() => processesOf(running.mark).length === 0, 20_000, "no process")
    }, 40_000)

    it("says so in a line when one of its processes dies", async () => {
      let isRunning = false
      const running = drill(["--seconds", "12"], 30_000, {
        watch: (stdout) => {
          isRunning ||= stdout.includes("hangs")
        }
      })
      await until(() => isRunning, 20_000, "the first outage")
      const [, child] = processesOf(running.mark).toSorted((a, b) => a - b)
      assert.isDefined(child)
      process.kill(child, "SIGKILL")
      const { code, stderr } = await running.ended
      assert.strictEqual(code, 1)
      assert.match(stderr, /^drill: [^\n]+SIGKILL[^\n]*\n$/)
      assert.deepStrictEqual(processesOf(running.mark), [])
    }, 40_000)

    it("ends with 141 when nobody reads its output any more", async () => {
      const running = drill(["--seconds", "12"], 30_000, {
        watch: (stdout) => {
          if (stdout.length > 0) running.closeStdout()
        }
      })
      const { code } = await running.ended
      assert.strictEqual(code, 141)
      assert.deepStrictEqual(processesOf(running.mark), [])
    }, 40_000)
  })
})
