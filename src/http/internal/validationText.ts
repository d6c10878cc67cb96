/** A message and its hint as one text, so that every formatter of schema issues shows both. */
import type { FieldError } from "../Problem.ts"

const mark = ". Hint: "

export const join = (message: string, hint: string | undefined): string =>
  hint === undefined ? message : `${message}${mark}${hint}`

/** What the messages of the schemas themselves leave to guess. */
const guessed = (text: string): string | undefined =>
  text.startsWith("Missing key")
    ? "Give a value"
    : text === "Expected no excess property"
    ? "Leave it out"
    : text.startsWith("Expected ")
    ? `Give ${text.slice("Expected ".length)}`
    : undefined

export const split = (field: string, text: string): FieldError => {
  const at = text.indexOf(mark)
  if (at >= 0) return { field, message: text.slice(0, at), hint: text.slice(at + mark.length) }
  const hint = guessed(text)
  return { field, message: text, ...(hint !== undefined && { hint }) }
}

/** The error of a field as one of a part of a request, such as `params`. */
export const inPart = (part: string, error: FieldError): FieldError => ({
  ...error,
  field: error.field === "" ? part : `${part}.${error.field}`
})
