/** Ratios that must not be lost, and bytes. Never absolute times: those belong to a machine. */
import budget from "./budget.json" with { type: "json" }
import type * as http from "./groups/http.ts"
import { type Measured, ratio } from "./measure.ts"
import type * as memory from "./memory.ts"

export interface Verdict {
  readonly group: string
  readonly name: string
  readonly value: number
  readonly bound: { readonly atMost: number } | { readonly atLeast: number }
  /** `inconclusive`: on this machine, at this time, the control does not equal itself either. */
  readonly outcome: "kept" | "lost" | "inconclusive"
  /** Why it is inconclusive. */
  readonly because?: string
  /** It was not kept at first, and this is from measuring once more. */
  readonly isSecond: boolean
}

/** Where the control scatters by no more than this factor, what is lost is lost. */
const calm = 1.1

const find = <A extends { readonly name: string }>(group: string, rows: ReadonlyArray<A>, name: string): A => {
  const found = rows.find((row) => row.name === name)
  if (found === undefined) throw new Error(`bench/budget.json: group ${group} has no row ${JSON.stringify(name)}`)
  return found
}

const kept = (isKept: boolean): Verdict["outcome"] => isKept ? "kept" : "lost"

/** Beyond its bound, a ratio is lost if the control is calm, or if even its scatter does not explain it. */
const outcomeOf = (value: number, atMost: number, scatter: number): Verdict["outcome"] =>
  value <= atMost ? "kept" : scatter <= calm || value > atMost * scatter ? "lost" : "inconclusive"

/** The verdict on every ratio whose group was measured. */
export const judge = (measured: ReadonlyArray<Measured>, isSecond = false): ReadonlyArray<Verdict> =>
  budget.ratios.flatMap(({ atMost, group, ours, peer }): ReadonlyArray<Verdict> => {
    const found = measured.find((one) => one.group === group)
    if (found === undefined) return []
    const { control, rows } = found
    const value = ratio(find(group, rows, ours), find(group, rows, peer))
    const outcome = outcomeOf(value, atMost, control.scatter)
    const verdict = { group, name: `${group}: ${ours} / ${peer}`, value, bound: { atMost }, outcome, isSecond }
    if (outcome !== "inconclusive") return [verdict]
    return [{
      ...verdict,
      because: `${control.name} beside itself is off by a factor of ${control.scatter.toFixed(2)}`
    }]
  })

/** The verdict on memory, which nothing disturbs. */
export const judgeMemory = ({ group, rows }: memory.Measured): ReadonlyArray<Verdict> =>
  budget.bytes.map(({ atMost, row }) => {
    const value = find(group, rows, row).bytes
    return {
      group,
      name: `${group}: bytes of a ${row}`,
      value,
      bound: { atMost },
      outcome: kept(value <= atMost),
      isSecond: false
    }
  })

/**
 * The verdict on requests over HTTP; none where there are fewer pairs than it takes. Beside
 * a bare client that is not as fast as itself, no share of it means anything.
 */
export const judgeHttp = ({ group, rows, sampling }: http.Measured, isSecond = false): ReadonlyArray<Verdict> => {
  const { aheadOf, control, ofBare, pairs } = budget.http
  if (sampling.pairs < pairs) return []
  return ofBare.flatMap(({ atLeast, ours }): ReadonlyArray<Verdict> => {
    const own = find(group, rows, ours)
    const beside = find(group, rows, own.beside).ratio.median
    const isOff = beside < control.from || beside > control.to
    const share = {
      group,
      name: `${group}: ${ours} / ${own.beside}`,
      value: own.ratio.median,
      bound: { atLeast },
      isSecond
    }
    return [
      isOff
        ? { ...share, outcome: "inconclusive", because: `${own.beside} beside itself is at ${beside.toFixed(3)}` }
        : { ...share, outcome: kept(own.ratio.median >= atLeast) },
      ...aheadOf.map((peer): Verdict => {
        const value = find(group, rows, peer).processor / own.processor
        return {
          group,
          name: `${group}: ${ours} / ${peer}`,
          value,
          bound: { atLeast: 1 },
          outcome: kept(value >= 1),
          isSecond
        }
      })
    ]
  })
}
