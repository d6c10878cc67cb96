/** Ratios that must not be lost. Never absolute times: those belong to a machine. */
import budget from "./budget.json" with { type: "json" }
import { type Measured, ratio, type Row } from "./measure.ts"

export interface Verdict {
  readonly name: string
  readonly ratio: number
  readonly atMost: number
  readonly kept: boolean
}

const row = ({ group, rows }: Measured, name: string): Row => {
  const found = rows.find((row) => row.name === name)
  if (found === undefined) throw new Error(`bench/budget.json: group ${group} has no row ${JSON.stringify(name)}`)
  return found
}

/** The verdict on every bound whose group was measured. */
export const judge = (measured: ReadonlyArray<Measured>): ReadonlyArray<Verdict> =>
  budget.flatMap(({ atMost, group, name, ours, peer }) => {
    const found = measured.find((one) => one.group === group)
    if (found === undefined) return []
    const value = ratio(row(found, ours), row(found, peer))
    return [{ name, ratio: value, atMost, kept: value <= atMost }]
  })
