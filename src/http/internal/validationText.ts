/** A message and its hint as one text, so that every formatter of schema issues shows both. */
import type { FieldError } from "../Problem.ts"

const mark = ". Hint: "

export const join = (message: string, hint: string | undefined): string =>
  hint === undefined ? message : `${message}${mark}${hint}`

/** What the messages of the schemas themselves leave to guess. */
const known: ReadonlyArray<readonly [start: string, hint: string]> = [
  ["Missing key", "Give a value"],
  ["Unexpected key", "Leave it out"]
]

export const split = (field: string, text: string): FieldError => {
  const at = text.indexOf(mark)
  if (at >= 0) return { field, message: text.slice(0, at), hint: text.slice(at + mark.length) }
  const hint = known.find(([start]) => text.startsWith(start))?.[1]
  return { field, message: text, ...(hint !== undefined && { hint }) }
}
