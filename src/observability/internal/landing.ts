/** Where a port of its own sends whoever asks for `/`. */
import * as Context from "effect/Context"

/** The path that `/` leads to, once there is one; `undefined` where `/` is not for this to say. */
export const Landing: Context.Reference<{ path: string | undefined } | undefined> = Context.Reference<
  { path: string | undefined } | undefined
>("effect-resilience/observability/Landing", { defaultValue: () => undefined })
