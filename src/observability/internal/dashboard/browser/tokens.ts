/** The tokens that somebody has typed: kept as long as the page is open, and nowhere else. */

export const tokens = {
  /** For reading the status. */
  read: "",
  /** For control by hand. */
  control: ""
}

/** The header that shows a token. */
export const authorization = (token: string): { readonly authorization?: string } =>
  token === "" ? {} : { authorization: `Bearer ${token}` }

/** A header cannot hold anything else, and no token has it. */
export const isToken = (text: string): boolean => /^[!-~]+$/.test(text)
