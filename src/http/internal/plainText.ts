/** What others say, as it may be shown: in logs, on terminals, in messages. */

/** Without line breaks and what else controls terminals, and cut to so many characters. */
export const plainText = (text: string, most: number): string =>
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  text.replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, " ").trim().slice(0, most)
