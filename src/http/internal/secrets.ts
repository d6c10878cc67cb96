/** Takes the tokens that have been sent out of what a service says, should it repeat them. */

/** What has less than so many characters is no secret, and may be a part of any word. */
const least = 4

/** The forms in which tokens come back: whole, without the scheme before them, and encoded as in a url. */
const formsOf = (token: string): ReadonlyArray<string> => {
  const [first = "", ...further] = token.split(" ")
  // of several parts, the first is a scheme like `Bearer`, unless it is too long for one
  const parts = [...(first.length > 8 ? [first] : []), ...further].filter((part) => part.length >= least)
  return [token, ...parts].flatMap((text) => {
    const encoded = encodeURIComponent(text)
    return [text, encoded, encoded.replace(/%../g, (hex) => hex.toLowerCase())]
  })
}

/** Replaces the tokens in a text. */
export const redacting = (tokens: ReadonlyArray<string>): (text: string) => string => {
  if (tokens.length === 0) return (text) => text
  // the longest first, so that none is left of which another is a part
  const forms = [...new Set(tokens.flatMap(formsOf))].toSorted((a, b) => b.length - a.length)
  return (text) => forms.reduce((text, form) => text.replaceAll(form, "<redacted>"), text)
}
