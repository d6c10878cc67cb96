/** What can be said in a header, and what headers can be called. */

/** Whether it is a text of 1 to `max` printable ASCII characters without spaces. */
export const isWord = (text: unknown, max: number): text is string =>
  typeof text === "string" && text.length <= max && /^[!-~]+$/.test(text)

/** Whether it is the name of a header (RFC 9110, section 5.6.2). */
export const isHeaderName = (name: unknown): name is string =>
  typeof name === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)
