/** The tokens that a server knows, by the name of who holds them. */
import * as Redacted from "effect/Redacted"
import { isWord } from "../../internal/headerText.ts"

const isToken = (text: unknown): text is string => isWord(text, 8192)

/** Checks them. The module and its option are named where one is bad; no message may show what was given: they are secrets. */
export const knownTokens = (
  module: string,
  option: string,
  tokens: { readonly [Name in string]: Redacted.Redacted<string> }
): ReadonlyArray<readonly [name: string, token: string]> => {
  const entries = typeof tokens === "object" && tokens !== null ? Object.entries(tokens) : []
  if (entries.length === 0) throw new RangeError(`${module}: ${option} must have at least one token by name`)
  return entries.map(([name, token]) => {
    const text: unknown = Redacted.isRedacted(token) ? Redacted.value(token) : undefined
    if (!isToken(text)) {
      throw new RangeError(
        `${module}: ${option}: the token of ${
          JSON.stringify(name)
        } must be a Redacted string of 1 to 8192 printable ASCII characters`
      )
    }
    return [name, text]
  })
}
