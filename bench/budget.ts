/** Ratios that must not be lost. Never absolute times: those belong to a machine. */
import budget from "./budget.json" with { type: "json" }
import type * as http from "./groups/http.ts"
import { type Measured, ratio, type Row } from "./measure.ts"

export interface Verdict {
  readonly name: string
  readonly ratio: number
  /** What it may be. */
  readonly bound: { readonly atMost: number } | { readonly atLeast: number }
  /** Inconclusive is a ratio beside a control that is off: a bare client that is not as fast as itself. */
  readonly verdict: "kept" | "lost" | "inconclusive"
}

/** Where the control must be. */
const control = { atLeast: 0.97, atMost: 1.03 }

const named = <R extends { readonly name: string }>(
  { group, rows }: { readonly group: string; readonly rows: ReadonlyArray<R> },
  name: string
): R => {
  const found = rows.find((row) => row.name === name)
  if (found === undefined) throw new Error(`bench/budget.json: group ${group} has no row ${JSON.stringify(name)}`)
  return found
}

const judgeTime = (ours: Row, peer: Row, name: string, atMost: number): Verdict => {
  const value = ratio(ours, peer)
  return { name, ratio: value, bound: { atMost }, verdict: value <= atMost ? "kept" : "lost" }
}

/** By requests per second: in pairs beside the bare client of its kind, with the control, or over those of another. */
const judgeRate = (ours: http.Row, peer: http.Row, name: string, atLeast: number): Verdict => {
  const isPaired = ours.beside === peer.name
  const value = isPaired ? ours.ratio.median : ours.requestsPerSecond / peer.requestsPerSecond
  const isOff = isPaired && (peer.ratio.median < control.atLeast || peer.ratio.median > control.atMost)
  return {
    name,
    ratio: value,
    bound: { atLeast },
    verdict: isOff ? "inconclusive" : value >= atLeast ? "kept" : "lost"
  }
}

/** The verdict on every bound whose group was measured. */
export const judge = (
  measured: ReadonlyArray<Measured>,
  overHttp: http.Measured | undefined
): ReadonlyArray<Verdict> =>
  budget.flatMap(({ atLeast, atMost, group, name, ours, peer }) => {
    if (atLeast !== undefined) {
      return overHttp === undefined || overHttp.group !== group
        ? []
        : [judgeRate(named(overHttp, ours), named(overHttp, peer), name, atLeast)]
    }
    const found = measured.find((one) => one.group === group)
    return found === undefined ? [] : [judgeTime(named(found, ours), named(found, peer), name, atMost)]
  })
