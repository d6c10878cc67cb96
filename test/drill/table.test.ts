import { describe, expect, it } from "vitest"
import { gateways, services } from "../../examples/drill/Recording.ts"
import * as Summary from "../../examples/drill/Summary.ts"
import * as Table from "../../examples/drill/Table.ts"
import { empty, tour } from "./synthetic.ts"

const text = (recording = tour(), width?: number) =>
  Table.lines(Summary.make(recording), recording, width).map(({ text }) => text)

describe("the table", () => {
  it("has a row for every figure that was promised, and a column for each gateway", () => {
    const rows = Table.rows(Summary.make(tour()))
    const names = rows.map(({ name }) => name)
    for (
      const name of [
        "answered overall",
        "chat",
        "file",
        "charge",
        "snapshot",
        "callers waited, p50",
        "p95",
        "p99",
        "requests while down",
        "wasted requests",
        "time to detect (worst)",
        "time to recover (worst)",
        "vector store",
        "file system",
        "billing",
        "git"
      ]
    ) expect(names).toContain(name)
    for (const { texts } of rows) for (const gateway of gateways) expect(texts[gateway]).not.toBe("")
  })

  it("hides no outage that was not detected or not recovered from, and no refusal without an outage", () => {
    const recording = tour()
    const texts = (name: string) =>
      Table.rows(Summary.make(recording)).filter((row) => row.name === name).map(({ texts }) => texts.resilient)
    // no breaker opens at 429
    expect(texts("outages")).toEqual(["7 of 8", "8 of 8"])
    expect(Number(texts("refused while well")[0])).toBeGreaterThan(0)
  })

  it("leaves out services that were never down", () => {
    const recording = tour()
    const phases = recording.phases.filter(({ service }) => service === "billing")
    const names = Table.rows(Summary.make({ ...recording, phases })).map(({ name }) => name)
    expect(names).toContain("billing")
    expect(services.length).toBe(4)
    expect(names).not.toContain("vector store")
  })

  it("begins with what matters most, and ends with the verdict", () => {
    const lines = text()
    expect(lines[0]).toMatch(/^Services failed 8 times\. Of the \d+ calls that needed them/)
    expect(lines.at(-1)).toBe("Passed: effect-resilience kept all of its 5 targets.")
  })

  it("fits into 80 columns, and into what is wider", () => {
    for (const width of [undefined, 20, 80, 200]) {
      expect(Math.max(...text(tour(), width).map((line) => line.length))).toBeLessThanOrEqual(width === 200 ? 120 : 80)
    }
  })

  it("says when callers waited in vain rather than how long", () => {
    const { texts } = Table.rows(Summary.make(tour())).find(({ name }) => name === "p99") ?? { texts: undefined }
    expect(texts?.plain).toMatch(/^over /)
    expect(texts?.resilient).not.toMatch(/^over /)
  })

  it("tells what one caller of a dead service gets, before and after, in undivided times (B11)", () => {
    expect(Table.deadRows(Summary.make(tour()), empty.factor)).toEqual([
      { name: "hangs: retries only", first: "error after 90.2 s", later: "error after 90.2 s" },
      { name: "hangs: effect-resilience", first: "fallback after 8.06 s", later: "fallback at once" },
      { name: "refuses: retries only", first: "error at once", later: "error at once" },
      { name: "refuses: effect-resilience", first: "fallback after 7.04 s", later: "fallback at once" }
    ])
    expect(text().some((line) => line.includes(Table.deadTitle))).toBe(true)
    expect(text(empty).some((line) => line.includes(Table.deadTitle))).toBe(false)
  })

  it("says what was missed, and which process was too busy", () => {
    const busy = [{ process: "gateway of plain", loopDelayP99: 80 }]
    expect(text(empty).at(-1)).toMatch(/^Missed: effect-resilience did not keep \d of its 5 targets\.$/)
    expect(text({ ...empty, busy }).join("\n")).toMatch(/Inconclusive: .*too busy/)
    expect(text({ ...empty, busy }).join(" ")).toContain("gateway of plain was 80 ms late")
    expect(text({ ...empty, interrupted: true }).join(" ")).toContain("Interrupted")
  })

  it("can be made of a drill in which nothing happened", () => {
    expect(text(empty)[0]).toBe("Nothing has failed.")
  })
})
