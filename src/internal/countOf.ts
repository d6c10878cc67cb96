/** Under which name a policy counts the calls of an outcome. */
export const countOf = { Success: "success", Failure: "failure", Overload: "overload", Ignored: "ignored" } as const
