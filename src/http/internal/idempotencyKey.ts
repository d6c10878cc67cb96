/** The keys by which a service knows a request that it has seen before. */
import * as Context from "effect/Context"
import { isWord } from "./headerText.ts"

/**
 * The header that carries the key.
 *
 * @category headers
 * @since 0.1.0
 */
export const header = "idempotency-key"

/**
 * The annotation of an endpoint, or a group, whose POST and PATCH requests carry an
 * `Idempotency-Key`: made once for each call, and the same on every attempt, so
 * that they may be sent again. For services that know such keys.
 *
 * @category annotations
 * @since 0.1.0
 */
export const IdempotencyKey: Context.Reference<boolean> = Context.Reference<boolean>(
  "effect-resilience/http/IdempotencyKey",
  { defaultValue: () => false }
)

/** Whether a key that somebody gives can be sent: 1 to 255 printable ASCII characters without spaces. */
export const isKey = (key: string): boolean => isWord(key, 255)
