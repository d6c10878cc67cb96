/** What a function of the user's answers; `undefined` where it throws, which must not change a call's result. */
export const guarded = <A>(f: () => A): A | undefined => {
  try {
    return f()
  } catch {
    return undefined
  }
}
