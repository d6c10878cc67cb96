/** Takes the time of cases with mitata, in turns. */
import { measure } from "mitata"
import { setTimeout } from "node:timers/promises"
import type { Case, Group } from "./groups/group.ts"
import type { Role } from "./subject.ts"

/** How much is looked at. */
export interface Sampling {
  readonly rounds: number
  /** Per case and round. */
  readonly millis: number
  /** No further round is begun after so many seconds, once there are `fewestRounds`. */
  readonly within: number
}

const fewestRounds = 3
const warmUpMillis = 40

export const thorough: Sampling = { rounds: 9, millis: 100, within: 180 }
export const quick: Sampling = { rounds: 5, millis: 12, within: 12 }

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
  /** The mean of each round, collections of garbage included. */
  readonly rounds: ReadonlyArray<number>
}

/** What the same row, measured at the beginning and at the end of each round, differs from itself. */
export interface Control {
  readonly name: string
  /** The end over the beginning, by round. */
  readonly ratios: ReadonlyArray<number>
  /** How far off 1 the quartiles are, as a factor: 1 is calm. */
  readonly scatter: number
}

export interface Measured {
  readonly group: string
  readonly title: string
  readonly rows: ReadonlyArray<Row>
  readonly control: Control
}

/**
 * The time that the processor has spent on this process, in nanoseconds: on a busy
 * machine the time on the wall says more about the others.
 */
const now = (): number => {
  const { system, user } = process.cpuUsage()
  return (user + system) * 1_000
}

/** Other threads go on collecting the garbage of a row when it has been measured: that is none of the next one's. */
const settleMillis = 10

/** Nanoseconds per call, ascending, and their mean. */
const sample = async ({ calls = callsPerSample, loop }: Case, millis: number) => {
  await setTimeout(settleMillis)
  const { avg, samples } = await measure(() => loop(calls), {
    now,
    gc: false,
    min_samples: calls > callsPerSample ? 1 : 2,
    min_cpu_time: millis * 1e6,
    // a sample is a batch already
    batch_threshold: 0,
    warmup_threshold: 0
  })
  return { mean: avg / calls, samples: samples.map((nanos) => nanos / calls) }
}

export const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  const value = sorted[Math.floor(q * (sorted.length - 1))]
  if (value === undefined) throw new Error("no samples")
  return value
}

export const ascending = (numbers: ReadonlyArray<number>): ReadonlyArray<number> => numbers.toSorted((a, b) => a - b)

export const median = (numbers: ReadonlyArray<number>): number => quantile(ascending(numbers), 0.5)

/**
 * How many times as long `one` takes as `other`. A round of a group holds both within
 * a few seconds, so what else the machine does meanwhile cancels out within a round
 * and not between rounds.
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

/** A group whose cases are checked and ready. */
export interface Prepared {
  readonly group: Group
  readonly cases: ReadonlyArray<Case>
}

/** Prepares all groups and warms all of them up, so that each is compiled knowing of the others. */
export const prepareAll = async (
  groups: ReadonlyArray<Group>,
  { millis }: Sampling,
  progress: (line: string) => void
): Promise<ReadonlyArray<Prepared>> => {
  progress("checking that every case does what it says")
  const prepared: Array<Prepared> = []
  for (const group of groups) prepared.push({ group, cases: await group.cases() })
  progress("warming up")
  for (const { cases } of prepared) for (const one of cases) await sample(one, Math.max(millis, warmUpMillis))
  return prepared
}

/** The first of the bare rows. */
const bareOf = ({ cases, group }: Prepared): Case => {
  const bare = cases.find(({ subject }) => subject.role === "bare")
  if (bare === undefined) throw new Error(`group ${group.name} has nothing bare`)
  return bare
}

/** Measures in rounds. All groups take turns in each, so that a busy moment is not the fate of one. */
export const measureAll = async (
  prepared: ReadonlyArray<Prepared>,
  { millis, rounds, within }: Sampling,
  progress: (line: string) => void
): Promise<ReadonlyArray<Measured>> => {
  const started = performance.now()
  const taking = prepared.map((one) => ({
    group: one.group,
    bare: bareOf(one),
    taken: one.cases.map((one): Taken => ({ one, rounds: [], samples: [] })),
    ratios: Array<number>()
  }))
  for (let round = 0; round < rounds; round++) {
    if (round >= fewestRounds && performance.now() - started > within * 1_000) break
    progress(`round ${round + 1} of ${rounds}`)
    for (const { bare, ratios, taken } of taking) {
      const before = await sample(bare, millis)
      for (const { one, rounds, samples } of taken) {
        const next = await sample(one, millis)
        rounds.push(next.mean)
        for (const nanos of next.samples) samples.push(nanos)
      }
      ratios.push((await sample(bare, millis)).mean / before.mean)
    }
  }
  for (const { cases } of prepared) for (const one of cases) await one.checkAgain()
  return taking.map(({ bare, group, ratios, taken }) => {
    const sorted = ascending(ratios)
    return {
      group: group.name,
      title: group.title,
      rows: toRows(taken),
      control: {
        name: bare.subject.name,
        ratios,
        scatter: Math.max(quantile(sorted, 0.75), 1 / quantile(sorted, 0.25), 1)
      }
    }
  })
}
