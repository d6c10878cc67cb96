/** Values as text and back: what is kept is JSON, by the schema that reads it again. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { done } from "./exit.ts"
import { guarded } from "./guarded.ts"

export interface TextCodec<A> {
  /** The text of a value; `undefined` where the schema has none for it. */
  readonly encode: (value: A) => Effect.Effect<string | undefined>
  /**
   * The value of a text; `undefined` where the schema does not read it. It is a new
   * one each time: whoever is given it may change it, and whether that can be done a
   * schema does not say.
   */
  readonly decode: (text: string) => Effect.Effect<{ readonly value: A } | undefined>
}

const made = new WeakMap<Schema.Codec<unknown, unknown>, unknown>()

/** The codec of a schema, made once. */
export const codecOf = <A>(schema: Schema.Codec<A, unknown>): TextCodec<A> => {
  const existing = made.get(schema)
  // it is kept under the schema that it was made from
  if (existing !== undefined) return existing as TextCodec<A>
  const codec = make(schema)
  made.set(schema, codec)
  return codec
}

const make = <A>(schema: Schema.Codec<A, unknown>): TextCodec<A> => {
  const json = Schema.toCodecJson(schema)
  const encode = Schema.encodeEffect(json)
  const decode = Schema.decodeUnknownEffect(json)
  return {
    encode: (value) =>
      Effect.catchCause(
        Effect.map(Effect.suspend(() => encode(value)), (json): string | undefined => JSON.stringify(json)),
        () => Effect.undefined
      ),
    decode: (text) => {
      const decoding = guarded(() => decode(JSON.parse(text)))
      if (decoding === undefined) return none
      // most schemas have nothing to wait for
      const exit = done(decoding)
      if (exit === undefined) return Effect.catchCause(Effect.map(decoding, (value) => ({ value })), () => none)
      return exit._tag === "Success" ? Exit.succeed({ value: exit.value }) : none
    }
  }
}

const none = Exit.succeed(undefined)
