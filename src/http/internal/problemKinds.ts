/** What is known of the kinds of problem beforehand. */
import * as Problem from "../Problem.ts"

const describe = (Kind: typeof Problem.kinds[keyof typeof Problem.kinds]) => {
  const { code, status, title, type } = new Kind({})
  return { Kind, type, status, title, code }
}

let all: ReadonlyArray<ReturnType<typeof describe>> | undefined

/** The kind of a status; where there are two, the code decides. */
export const kindOf = (status: number, code?: unknown): ReturnType<typeof describe> | undefined => {
  const same = (all ??= Object.values(Problem.kinds).map(describe)).filter((kind) => kind.status === status)
  return same.find((kind) => kind.code === code) ?? same[0]
}
