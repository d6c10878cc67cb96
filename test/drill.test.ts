import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { connect } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import type { CallRecord } from "../examples/drill/Journal.ts"
import * as Scenario from "../examples/drill/Scenario.ts"
import * as Summary from "../examples/drill/Summary.ts"
import * as Traffic from "../examples/drill/Traffic.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const main = join(root, "examples", "drill", "main.ts")

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the drill as a process of its own. It is killed, and the test fails, if it has not ended by the deadline. */
const drill = (args: ReadonlyArray<string>, deadline: number, watch?: (stdout: string, kill: () => void) => void) =>
  new Promise<Ended>((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=effect-resilience-source", main, ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"]
    })
    const output = { stdout: "", stderr: "" }
    const timer = setTimeout(() => {
      child.kill("SIGKILL")
      reject(new Error(`still running after ${deadline} ms\n${output.stdout}\n${output.stderr}`))
    }, deadline)
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text
        if (name === "stdout") watch?.(output.stdout, () => child.kill("SIGINT"))
      })
    }
    child.on("error", reject)
    child.on("close", (code) => {
      clearTimeout(timer)
      resolve({ code, ...output })
    })
  })

const Millis = Schema.NullOr(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Quantiles = Schema.Struct({ p50: Millis, p95: Millis, p99: Millis, max: Millis })

const Document = Schema.fromJsonString(Schema.Struct({
  verdict: Schema.Literals(["passed", "failed", "interrupted"]),
  options: Schema.Struct({ seconds: Schema.Finite, rate: Schema.Finite, seed: Schema.Int, json: Schema.Boolean }),
  script: Schema.Array(
    Schema.Struct({ at: Schema.Finite, fault: Schema.NullOr(Schema.String), server: Schema.String })
  ),
  schedule: Schema.Array(Schema.Finite),
  calls: Schema.Struct({
    made: Count,
    answered: Count,
    answeredAfterRetry: Count,
    refused: Count,
    failed: Count,
    refusedOnRetry: Count,
    wrong: Count,
    unfinished: Count
  }),
  retries: Count,
  latency: Quantiles,
  refusal: Quantiles,
  faults: Schema.Array(Schema.Struct({
    fault: Schema.String,
    began: Schema.Finite,
    ended: Schema.Finite,
    detected: Millis,
    recovered: Millis,
    openings: Count,
    halfOpenings: Count,
    refused: Count,
    errors: Schema.Record(Schema.String, Count)
  })),
  missing: Schema.Array(Schema.String)
}))

const faults = ["refusing", "hanging", "overwhelmed", "resetting", "malformed"]

describe("the drill", () => {
  it("passes, and says all it has seen in one JSON document", async () => {
    const { code, stderr, stdout } = await drill(["--seconds", "5", "--seed", "7", "--json"], 25_000)
    const document = Schema.decodeUnknownSync(Document)(stdout)
    expect(document.missing, stderr).toEqual([])
    expect(document.verdict).toBe("passed")
    expect(code).toBe(0)
    expect(document.faults.map(({ fault }) => fault)).toEqual(faults)
    expect(document.faults.map(({ errors }) => Object.keys(errors))).toEqual([
      expect.arrayContaining(["ServiceUnavailable"]),
      expect.arrayContaining(["TimedOut"]),
      expect.arrayContaining(["Unavailable"]),
      expect.arrayContaining(["ServiceUnavailable"]),
      expect.arrayContaining(["ResponseInvalid"])
    ])
    const { answered, failed, made, refused, unfinished, wrong } = document.calls
    expect(answered + failed + refused).toBe(made)
    expect([unfinished, wrong]).toEqual([0, 0])
    // the script and the traffic are those of the options
    expect(document.script.map(({ at }) => at)).toEqual(Scenario.make(5).phases.map(({ at }) => at))
    const schedule = await Effect.runPromise(Traffic.schedule({ end: 5000, rate: 50, seed: 7 }))
    expect(document.schedule).toEqual(schedule)
    expect(stderr).toContain("now refuses connections")
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  it("ends within a second when interrupted, and leaves nothing behind", async () => {
    let interruptedAt: number | undefined
    const { code, stderr, stdout } = await drill(["--seconds", "10"], 25_000, (stdout, interrupt) => {
      if (interruptedAt !== undefined || !stdout.includes("server")) return
      interruptedAt = Number.POSITIVE_INFINITY
      setTimeout(() => {
        interruptedAt = performance.now()
        interrupt()
      }, 1500)
    })
    expect(performance.now() - (interruptedAt ?? 0)).toBeLessThan(1000)
    expect(code).toBe(130)
    expect(stderr).toBe("")
    expect(stdout).toMatch(/^interrupted$/m)
    expect(stdout).not.toMatch(/^(Passed|FAILED)/m)
    const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(stdout)?.[1])
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy()
        resolve(undefined)
      })
      socket.on("error", resolve)
    })
    expect(error?.code).toBe("ECONNREFUSED")
  })

  it("is the same for the same seed, and another for another", async () => {
    const schedule = (seed: number) => Effect.runPromise(Traffic.schedule({ end: 10_000, rate: 50, seed }))
    const one = await schedule(1)
    expect(one).toHaveLength(500)
    expect(one).toEqual(one.toSorted((a, b) => a - b))
    expect(await schedule(1)).toEqual(one)
    expect(await schedule(2)).not.toEqual(one)
    expect(Scenario.make(10)).toEqual(Scenario.make(10))
  })

  it.each([5, 7.5, 10, 14.9, 15, 60, 600])("has a script of %d s that fills its time", (seconds) => {
    const { askedSeconds, end, phases, unit } = Scenario.make(seconds)
    expect(phases.flatMap(({ fault }) => fault ?? [])).toEqual(faults)
    expect(Number.isInteger(askedSeconds)).toBe(true)
    const lengths = phases.map(({ at }, index) => (phases[index + 1]?.at ?? end) - at)
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(2 * unit - 0.001)
  })

  it("does not pass when what had to be seen was not", () => {
    const { phases } = Scenario.make(10)
    const entries = phases.map((phase) => ({ _tag: "Phase", at: phase.at, phase }) as const)
    const wrong: CallRecord = {
      operation: "products.get",
      due: 9900,
      started: 9900,
      ended: 9910,
      attempts: 1,
      result: { _tag: "Answered", isRight: false }
    }
    const { missing } = Summary.make({ entries: [...entries, { _tag: "Call", at: 9910, call: wrong }] }, phases, 2)
    for (const fault of faults) {
      for (const what of ["the breaker opening", "the breaker half-open", "the breaker closing again"]) {
        expect(missing).toContain(`${fault}: ${what}`)
      }
    }
    expect(missing).toContain("hanging: a call that fails with TimedOut")
    expect(missing).toContain("malformed: a call that fails with ResponseInvalid")
    expect(missing).toContain("a retry")
    expect(missing).toContain("a refusal")
    expect(missing).toContain("right answers only: 1 were wrong")
    expect(missing).toContain("an end of every call: 1 had none")
    expect(Summary.make({ entries: [] }, phases, 0).missing).toContain("the server at 0.0 ms: it is healthy")
  })

  it("explains itself", async () => {
    const { code, stderr, stdout } = await drill(["--help"], 25_000)
    expect(code).toBe(0)
    expect(stderr).toBe("")
    for (const option of ["--seconds", "--rate", "--seed", "--json", "--help"]) expect(stdout).toContain(option)
  })

  it.each([
    [["--minutes", "1"], "there is no option --minutes"],
    [["-x"], "there is no option -x"],
    [["10"], "there is no argument \"10\""],
    [["--seconds", "abc"], "--seconds takes a number from 5 to 600, not \"abc\""],
    [["--seconds", "1"], "--seconds takes a number from 5 to 600, not \"1\""],
    [["--seconds", "601"], "--seconds takes a number from 5 to 600, not \"601\""],
    [["--seconds"], "--seconds takes a number from 5 to 600"],
    [["--rate", "-5"], "--rate takes a number from 1 to 500, not \"-5\""],
    [["--rate", "2"], "--rate takes at least"],
    [["--seed", "x"], "--seed takes a whole number"],
    [["--seed=1.5"], "--seed takes a whole number"],
    [["--json=yes"], "--json takes no value"]
  ])("refuses %j", async (args, message) => {
    const { code, stderr, stdout } = await drill(args, 25_000)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split("\n")).toHaveLength(2)
  })
})
