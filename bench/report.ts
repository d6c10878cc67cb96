/** What is printed: a table per group, or JSON. */
import { cpus } from "node:os"
import type { Verdict } from "./budget.ts"
import * as http from "./groups/http.ts"
import * as status from "./groups/status.ts"
import { callsPerSample, type Measured, ratio, type Row } from "./measure.ts"
import type * as memory from "./memory.ts"

/** What there is to print, each where it was asked for. */
export interface Results {
  readonly measured: ReadonlyArray<Measured>
  readonly memory: memory.Measured | undefined
  readonly http: http.Measured | undefined
  readonly status: status.Measured | undefined
  readonly verdicts: ReadonlyArray<Verdict> | undefined
}

const machine = () => {
  const cores = cpus()
  return { node: process.version, cpu: cores[0]?.model.trim() ?? "unknown", cores: cores.length, arch: process.arch }
}

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")

const comparison = (row: Row, ours: Row | undefined): string => {
  if (ours === undefined || row.role === "bare") return ""
  if (row === ours) return "1"
  const times = ratio(row, ours)
  return times >= 1 ? `${times.toFixed(2)}x slower` : `${(1 / times).toFixed(2)}x faster`
}

/** What a row is compared with: itself where it is ours, else the last row of ours before it. */
const oursFor = ({ rows }: Measured, row: Row): Row | undefined =>
  rows.slice(0, rows.indexOf(row) + 1).findLast(({ role }) => role === "ours")

const aligned = (lines: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines.map((line) =>
    line.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
}

const table = (measured: Measured): string => {
  const { control } = measured
  return [
    `${measured.group}: ${measured.title}`,
    "",
    ...aligned([
      ["ns per call", "median", "p25 - p75", "over bare", "than ours"],
      ...measured.rows.map((row) => [
        row.name,
        whole(row.median),
        `${whole(row.p25)} - ${whole(row.p75)}`,
        row.overhead === undefined ? "" : whole(row.overhead),
        comparison(row, oursFor(measured, row))
      ])
    ]),
    `${control.ratios.length} rounds; ${control.name} beside itself: off by a factor of ${control.scatter.toFixed(2)}`
  ].join("\n")
}

const memoryTable = ({ group, rows, title }: memory.Measured): string =>
  [
    `${group}: ${title}`,
    "",
    ...aligned([["", "bytes each"], ...rows.map(({ bytes, name }) => [name, whole(bytes)])])
  ].join("\n")

const machineLine = (): string => {
  const { arch, cores, cpu, node } = machine()
  return `Node ${node}, ${cpu}, ${cores} cores, ${arch}`
}

const preface =
  `One process, one call after the other. Nanoseconds are those that processors have spent on it, the collection of
garbage included: waiting for other programs is none. A sample is ${
    whole(callsPerSample)
  } calls, divided: effects in a loop within one
fiber, so Effect.runPromise is paid once per sample; async functions awaited in a loop within one async function.
"over bare" is over the bare work of the same kind. Ratios are medians of rounds in which all rows take turns.`

const verdictLine = ({ because, bound, isSecond, name, outcome, value }: Verdict): string => {
  const limit = "atMost" in bound ? `at most ${bound.atMost}` : `at least ${bound.atLeast}`
  const shown = value >= 100 ? whole(value) : value.toFixed(3)
  const notes = [...(because === undefined ? [] : [because]), ...(isSecond ? ["measured again"] : [])]
  const what = outcome === "kept" ? "kept        " : outcome === "lost" ? "LOST        " : "inconclusive"
  return `${what}  ${shown} (${limit})  ${name}${notes.length === 0 ? "" : ` (${notes.join("; ")})`}`
}

const summary = (verdicts: ReadonlyArray<Verdict>): string => {
  const count = (outcome: Verdict["outcome"]) => verdicts.filter((verdict) => verdict.outcome === outcome).length
  const [lost, inconclusive] = [count("lost"), count("inconclusive")]
  if (lost > 0) return `${lost} of ${verdicts.length} lost`
  if (inconclusive > 0) {
    return `${inconclusive} of ${verdicts.length} inconclusive: this machine is too busy to tell, and another run may`
  }
  return `all ${verdicts.length} kept`
}

/** Too few pairs say nothing either way. */
const httpNote = ({ http, verdicts }: Results): ReadonlyArray<string> =>
  http === undefined || verdicts?.some(({ group }) => group === http.group) !== false
    ? []
    : ["http is not judged: it takes more pairs than --quick has"]

export const text = (results: Results): string => {
  const { http: overHttp, measured, memory, status: watched, verdicts } = results
  return [
    machineLine(),
    ...(measured.length === 0 ? [] : [preface, ...measured.map(table)]),
    ...(memory === undefined ? [] : [memoryTable(memory)]),
    ...(overHttp === undefined ? [] : [http.text(overHttp)]),
    ...(watched === undefined ? [] : [status.text(watched)]),
    ...(verdicts === undefined
      ? []
      : [["budget", "", ...verdicts.map(verdictLine), ...httpNote(results), "", summary(verdicts)].join("\n")])
  ].join("\n\n")
}

export const json = ({ http: overHttp, measured, memory, status: watched, verdicts }: Results): string => {
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
    { machine: machine(), unit: "ns per call", groups, memory, http: overHttp, status: watched, budget: verdicts },
    undefined,
    2
  )
}
