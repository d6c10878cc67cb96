/** What is printed: a table per group, or JSON. */
import { cpus } from "node:os"
import type { Verdict } from "./budget.ts"
import * as http from "./groups/http.ts"
import * as status from "./groups/status.ts"
import { callsPerSample, type Measured, ratio, type Row } from "./measure.ts"

const machine = () => {
  const cores = cpus()
  return { node: process.version, cpu: cores[0]?.model.trim() ?? "unknown", cores: cores.length, arch: process.arch }
}

const nanos = (value: number): string => Math.round(value).toLocaleString("en-US")

const comparison = (row: Row, ours: Row | undefined): string => {
  if (ours === undefined || row.role === "bare") return ""
  if (row === ours) return "1"
  const times = ratio(row, ours)
  return times >= 1 ? `${times.toFixed(2)}x slower` : `${(1 / times).toFixed(2)}x faster`
}

/** What a row is compared with: the last row of ours before it, and before the first of them that one. */
const oursFor = ({ rows }: Measured, row: Row): Row | undefined =>
  rows.slice(0, rows.indexOf(row) + 1).findLast(({ role }) => role === "ours") ??
    rows.find(({ role }) => role === "ours")

const header = ["ns per call", "median", "p25 - p75", "over bare", "than ours"]

const table = (measured: Measured): string => {
  const lines = [
    header,
    ...measured.rows.map((row) => [
      row.name,
      nanos(row.median),
      `${nanos(row.p25)} - ${nanos(row.p75)}`,
      row.overhead === undefined ? "" : nanos(row.overhead),
      comparison(row, oursFor(measured, row))
    ])
  ]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const aligned = lines.map((line) =>
    line.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)).join(
      "  "
    )
      .trimEnd()
  )
  return [`${measured.group}: ${measured.title}`, "", ...aligned].join("\n")
}

const machineLine = (): string => {
  const { arch, cores, cpu, node } = machine()
  return `Node ${node}, ${cpu}, ${cores} cores, ${arch}`
}

const preface = `One process, one call after the other. A sample is ${
  nanos(callsPerSample)
} calls, divided: effects in a loop within one
fiber, so Effect.runPromise is paid once per sample; async functions awaited in a loop within one async
function. "over bare" is over the bare work of the same kind. Ratios are medians of rounds in which all
rows take turns, of their lower quartiles: other programs make a sample longer, and never shorter.`

const verdictLine = ({ bound, name, ratio, verdict }: Verdict): string =>
  `${verdict === "lost" ? "LOST" : verdict}  ${ratio.toFixed(3)} (${
    "atMost" in bound ? `at most ${bound.atMost}` : `at least ${bound.atLeast}`
  })  ${name}`

export const text = (
  measured: ReadonlyArray<Measured>,
  overHttp: http.Measured | undefined,
  watched: status.Measured | undefined,
  verdicts: ReadonlyArray<Verdict> | undefined
): string =>
  [
    machineLine(),
    ...(measured.length === 0 ? [] : [preface, ...measured.map(table)]),
    ...(overHttp === undefined ? [] : [http.text(overHttp)]),
    ...(watched === undefined ? [] : [status.text(watched)]),
    ...(verdicts === undefined
      ? []
      : [["budget: ratios of ours to a peer", "", ...verdicts.map(verdictLine)].join("\n")])
  ].join("\n\n")

export const json = (
  measured: ReadonlyArray<Measured>,
  overHttp: http.Measured | undefined,
  watched: status.Measured | undefined,
  verdicts: ReadonlyArray<Verdict> | undefined
): string => {
  const groups = measured.map((one) => {
    return {
      ...one,
      rows: one.rows.map((row) => {
        const ours = oursFor(one, row)
        return { ...row, toOurs: ours === undefined || row.role === "bare" ? undefined : ratio(row, ours) }
      })
    }
  })
  return JSON.stringify(
    { machine: machine(), unit: "ns per call", groups, http: overHttp, status: watched, budget: verdicts },
    undefined,
    2
  )
}
