/** Values as text and back: what is kept is JSON, by the schema that reads it again. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export interface TextCodec<A> {
  /** The text of a value; `undefined` where the schema has none for it. */
  readonly encode: (value: A) => Effect.Effect<string | undefined>
  /** The value of a text, a new one each time; `undefined` where the schema does not read it. */
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
    decode: (text) =>
      Effect.catchCause(
        Effect.map(Effect.suspend(() => decode(JSON.parse(text))), (value) => ({ value })),
        () => Effect.undefined
      )
  }
}
