/** Text from anywhere, made fit for one line of a log. */
import { guarded } from "../../internal/guarded.ts"

/** What stands for names that nobody has declared, or that are too many. */
export const other = "other"

// control characters, line and paragraph separators, halves of characters, and what turns the direction of writing
const unfit = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/gu

const escaped: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** Escapes what would break a line or the terminal that shows it, and cuts what is longer than `longest`. */
export const clean = (text: string, longest = 200): string => {
  const cut = text.length > longest ? `${text.slice(0, longest).replace(/[\uD800-\uDBFF]$/, "")}…` : text
  return cut.replace(unfit, (character) => escaped[character] ?? codeOf(character))
}

const codeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Escapes halves of characters: no encoding has them, and two names could become one. */
export const wellFormed = (text: string): string => text.replace(/\p{Cs}/gu, codeOf)

/** The message of an error as it is, which may be anything; `undefined` where it has none. */
export const messageOf = (reason: unknown): string | undefined =>
  guarded(() =>
    typeof reason === "object" && reason !== null && "message" in reason && typeof reason.message === "string"
      ? reason.message
      : undefined
  )
