/** The codes of network errors. Their messages are not for showing: they may quote a url with credentials, or a header. */
import { hasProperty } from "effect/Predicate"

/** The code of an error, such as `ECONNRESET`, or of what it was caused by. */
export const networkCode = (error: unknown): string | undefined => {
  // fetch wraps the error that has the code, once or twice
  let cause = error
  for (let depth = 0; depth < 3 && hasProperty(cause, "cause") && !hasProperty(cause, "code"); depth++) {
    cause = cause.cause
  }
  return hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined
}

/** Whether undici has left a body alone that is larger than its pool allows. */
export const isTooLarge = (error: unknown): boolean => networkCode(error) === "UND_ERR_RES_EXCEEDED_MAX_SIZE"
