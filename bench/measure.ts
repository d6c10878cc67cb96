/** Takes the time of cases with mitata, in turns. */
import { measure } from "mitata"
import type { Case, Group } from "./groups/group.ts"
import type { Role } from "./subject.ts"

/** How long to look, in milliseconds per case and round. */
export interface Sampling {
  readonly rounds: number
  readonly millis: number
}

export const thorough: Sampling = { rounds: 7, millis: 400 }
export const quick: Sampling = { rounds: 5, millis: 120 }

/** Calls per sample: enough to make what a sample itself costs, some microseconds, disappear. */
export const callsPerSample = 1_000

/** Nanoseconds per call. */
export interface Row {
  readonly name: string
  readonly role: Role
  readonly median: number
  readonly p25: number
  readonly p75: number
  /** What the median is above that of the bare work; undefined for the bare work itself. */
  readonly overhead: number | undefined
  /** The lower quartile of each round: what else the machine does makes samples longer, and never shorter. */
  readonly rounds: ReadonlyArray<number>
}

export interface Measured {
  readonly group: string
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

const sample = async ({ loop }: Case, millis: number) => {
  const { p25, samples } = await measure(() => loop(callsPerSample), {
    min_cpu_time: millis * 1e6,
    // a sample is a batch already
    batch_threshold: 0,
    warmup_threshold: 0
  })
  return { low: p25 / callsPerSample, samples: samples.map((nanos) => nanos / callsPerSample) }
}

const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  const value = sorted[Math.floor(q * (sorted.length - 1))]
  if (value === undefined) throw new Error("no samples")
  return value
}

const ascending = (numbers: ReadonlyArray<number>): ReadonlyArray<number> => numbers.toSorted((a, b) => a - b)

export const median = (numbers: ReadonlyArray<number>): number => quantile(ascending(numbers), 0.5)

/**
 * How many times as long `one` takes as `other`. A round holds both within a few
 * seconds, so what else the machine does meanwhile cancels out within a round and
 * not between rounds.
 */
export const ratio = (one: Row, other: Row): number =>
  median(one.rounds.map((nanos, round) => nanos / (other.rounds[round] ?? Number.NaN)))

/** What has been taken of a case. */
interface Taken {
  readonly one: Case
  readonly rounds: Array<number>
  readonly samples: Array<number>
}

const toRows = (taken: ReadonlyArray<Taken>): ReadonlyArray<Row> => {
  const rows = taken.map(({ one: { subject }, rounds, samples }) => {
    const sorted = ascending(samples)
    const [p25, middle, p75] = [quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)]
    return { subject, row: { name: subject.name, role: subject.role, median: middle, p25, p75, rounds } }
  })
  return rows.map(({ row, subject }) => {
    const bare = rows.find((other) => other.row.role === "bare" && other.subject.family === subject.family)
    return { ...row, overhead: row.role === "bare" || bare === undefined ? undefined : row.median - bare.row.median }
  })
}

const measureGroup = async (group: Group, cases: ReadonlyArray<Case>, sampling: Sampling): Promise<Measured> => {
  const taken = cases.map((one): Taken => ({ one, rounds: [], samples: [] }))
  for (let round = 0; round < sampling.rounds; round++) {
    for (const { one, rounds, samples } of taken) {
      const next = await sample(one, sampling.millis)
      rounds.push(next.low)
      for (const nanos of next.samples) samples.push(nanos)
    }
  }
  for (const one of cases) await one.checkAgain()
  return { group: group.name, title: group.title, rows: toRows(taken) }
}

/** Prepares all groups, warms all of them up, so that each is compiled knowing of the others, and measures. */
export const measureAll = async (
  groups: ReadonlyArray<Group>,
  sampling: Sampling,
  progress: (line: string) => void
): Promise<ReadonlyArray<Measured>> => {
  progress("checking that every case does what it says")
  const prepared = []
  for (const group of groups) prepared.push({ group, cases: await group.cases() })
  progress("warming up")
  for (const { cases } of prepared) for (const one of cases) await sample(one, sampling.millis)
  const measured: Array<Measured> = []
  for (const { cases, group } of prepared) {
    progress(`measuring ${group.name}`)
    measured.push(await measureGroup(group, cases, sampling))
  }
  return measured
}
