import type { Subject } from "../subject.ts"

/** A row, checked and ready to be measured. */
export interface Case {
  readonly subject: Pick<Subject, "name" | "role" | "family">
  readonly loop: (calls: number) => Promise<unknown>
  /** Calls per sample, where not as many as elsewhere. */
  readonly calls?: number
  /** Whether it still did what it says while it was measured. */
  readonly checkAgain: () => Promise<void>
}

export interface Group {
  readonly name: string
  readonly title: string
  readonly cases: () => Promise<ReadonlyArray<Case>>
}

/** One after the other: a check that fails should name its subject alone. */
export const prepare = async (
  subjects: ReadonlyArray<Subject>,
  one: (subject: Subject) => Promise<Omit<Case, "subject">>
): Promise<ReadonlyArray<Case>> => {
  const cases: Array<Case> = []
  for (const subject of subjects) cases.push({ subject, ...await one(subject) })
  return cases
}
