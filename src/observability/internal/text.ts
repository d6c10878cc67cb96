/** Text from anywhere, made fit for one line of a log. */

// control characters, line and paragraph separators, and what turns the direction of writing
const unfit = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

const escaped: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** Escapes what would break a line or the terminal that shows it, and cuts what is longer than `longest`. */
export const clean = (text: string, longest = 200): string => {
  const cut = text.length > longest ? `${text.slice(0, longest).replace(/[\uD800-\uDBFF]$/, "")}…` : text
  return cut.replace(
    unfit,
    (character) => escaped[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
}
