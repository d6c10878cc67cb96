/** Looks after the paths that `HttpApiClient` fills in, which lets a parameter be empty. */

/** Whether a url has all that its template has: `DELETE /things/:id` with an empty id would be sent to all things. */
export const isWhole = (url: string, template: string): boolean => emptySegments(url) <= emptySegments(template)

const emptySegments = (path: string): number => {
  let empty = 0
  for (let from = 0;;) {
    const slash = path.indexOf("/", from)
    if (from === (slash === -1 ? path.length : slash)) empty++
    if (slash === -1) return empty
    from = slash + 1
  }
}
