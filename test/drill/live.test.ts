import { describe, expect, it } from "vitest"
import * as Live from "../../examples/drill/Live.ts"
import type { Line, Output } from "../../examples/drill/Output.ts"
import type { Recording } from "../../examples/drill/Recording.ts"
import { empty, tour } from "./synthetic.ts"

/** A drill that is watched at the instants that a test chooses, on a screen that keeps what it was given. */
const watch = (screen: { readonly isTTY?: boolean; readonly columns?: number }, whole = tour()) => {
  const lines: Array<Line> = []
  const written: Array<string> = []
  const output: Output = { print: () => {}, line: (line) => lines.push(line) }
  const size = { ...screen }
  const arrays = { calls: [...empty.calls], attempts: [...empty.attempts], changes: [...empty.changes] }
  const recording: Recording = { ...whole, ...arrays }
  let now = -1
  const live = Live.make({
    progress: { recording, now: () => now },
    output,
    screen: {
      ...size,
      get columns() {
        return size.columns ?? 80
      },
      write: (text) => written.push(text)
    }
  })
  const at = (instant: number) => {
    const isNew = ({ at }: { readonly at: number }) => at > now && at <= instant
    const ended = whole.calls.filter(({ due, ended }) => isNew({ at: ended ?? due + 1700 }))
    arrays.calls.push(...ended)
    arrays.attempts.push(...whole.attempts.filter(isNew))
    arrays.changes.push(...whole.changes.filter(isNew))
    now = instant
    written.length = 0
    live.tick()
    return written.join("")
  }
  return { at, live, lines, size, written }
}

// oxlint-disable-next-line no-control-regex
const plainText = (text: string) => text.replaceAll(/\u001B\[[\d;]*[A-Za-z]|\r/g, "")

const steps = (until: number, at: (instant: number) => string) => {
  let last = ""
  for (let instant = 100; instant <= until; instant += 100) last = at(instant)
  return plainText(last)
}

describe("elsewhere than on a terminal", () => {
  it("events are lines, in the order of time, and nothing else is written", () => {
    const { at, lines, live, written } = watch({})
    steps(25_000, at)
    live.end()
    expect(written.join("")).toBe("")
    expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).toSorted((a, b) => a - b))
    const texts = lines.map(({ text }) => text)
    expect(texts[0]).toBe("1: vector store refuses connections")
    expect(texts[1]).toBe("vector store: open, 0.30 s into the outage")
    expect(texts).toContain("1: vector store is well again after 2.50 s")
    expect(texts).toContain("vector store: closed, 0.40 s after the outage")
    expect(texts.find((text) => text.startsWith("3: charge"))).toMatch(
      /plain client 0\.0 %, retries only .* %, effect-resilience 0\.0 % \(100 % or told why not\)$/
    )
    for (const number of [1, 2, 3, 4, 5, 6, 7, 8]) {
      expect(texts.filter((text) => text.startsWith(`${number}: `))).toHaveLength(3)
    }
  })

  it("what came late is told at the end, once", () => {
    const { at, lines, live } = watch({})
    steps(21_000, at)
    live.end()
    const told = lines.length
    live.end()
    expect(lines).toHaveLength(told)
    expect(lines.some(({ text }) => text === "8: git is well again after 2.50 s")).toBe(true)
  })

  it("a drill that was interrupted tells nothing that it did not come to", () => {
    const { at, lines, live } = watch({}, { ...tour(), interrupted: true })
    steps(3000, at)
    live.end()
    expect(lines.map(({ text }) => text)).toEqual([
      "1: vector store refuses connections",
      "vector store: open, 0.30 s into the outage"
    ])
  })
})

describe("on a terminal", () => {
  it("each service has a line with its state, its rate, a bar and its latency", () => {
    const { at } = watch({ isTTY: true, columns: 100 })
    expect(at(-1)).toBe("")
    const before = steps(1900, at).trimEnd().split("\n")
    expect(before).toHaveLength(6)
    expect(before[0]).toMatch(/^ {3}1\.9 of 25 s +█+░+$/)
    expect(before[1]).toContain("effect-resilience 100 %")
    expect(before[2]).toMatch(/^ vector store +well +closed +\d+\/s [█░]{10} +chat +100 % +p95 \d+ ms$/)
    const during = steps(2900, at).split("\n")
    expect(during[2]).toMatch(/^ vector store +refuses +OPEN +/)
    expect(during[3]).toMatch(/^ file system +well +closed +/)
  })

  it("what was drawn is taken away before anything else is written", () => {
    const { at, live, written } = watch({ isTTY: true, columns: 100 })
    at(100)
    expect(at(200).startsWith("\u001B[6A\r\u001B[J")).toBe(true)
    written.length = 0
    live.end()
    expect(written[0]).toBe("\u001B[6A\r\u001B[J")
  })

  it("no line is broken by the edge, and those that a narrower window has broken are taken away whole", () => {
    const { at, size } = watch({ isTTY: true, columns: 80 })
    const lines = steps(3000, at).split("\n")
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(79)
    Object.assign(size, { columns: 40 })
    const cleared = at(3100)
    expect(cleared.startsWith("\u001B[12A")).toBe(true)
    expect(Math.max(...plainText(cleared).trim().split("\n").map((line) => line.length))).toBeLessThanOrEqual(39)
  })

  it("it neither hides the cursor nor switches the screen, which a killed drill could not undo", () => {
    const { at } = watch({ isTTY: true, columns: 100 })
    let all = ""
    for (let instant = 100; instant <= 5000; instant += 100) all += at(instant)
    expect(all).not.toContain("\u001B[?")
  })
})
