/** What can be said in a header, and what headers can be called. */

/** Whether it is a text of 1 to `max` printable ASCII characters without spaces. */
export const isWord = (text: unknown, max: number): text is string =>
  typeof text === "string" && text.length <= max && /^[!-~]+$/.test(text)

/** Whether it is the name of a header (RFC 9110, section 5.6.2). */
export const isHeaderName = (name: unknown): name is string =>
  typeof name === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)

/**
 * Whether a header can be sent: of a value, only what is in Latin-1, and no control
 * characters but tabs (RFC 9110, section 5.5). Each client refuses others in a way of
 * its own, and says them then.
 */
export const isHeader = (name: string, value: string): boolean =>
  isHeaderName(name) && /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value)

/** The type of some content without its parameters; where it is not said, RFC 9110 takes it for any bytes. */
export const mediaType = (contentType: string | undefined): string =>
  (contentType ?? "application/octet-stream").replace(/;[\s\S]*$/, "").trim().toLowerCase()
