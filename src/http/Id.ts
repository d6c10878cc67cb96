/**
 * Ids as branded schemas: the id of a project is no id of a task, although both
 * are strings.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { integer, nonEmpty, onlyKeys } from "../internal/options.ts"

/**
 * The schema of an id: a string with a brand.
 *
 * @category models
 * @since 0.1.0
 */
export interface Id<Name extends string> extends Schema.brand<Schema.String, `${Name}Id`> {}

/**
 * Makes the schema of an id. It takes letters, digits and `-`, `.`, `_`, `~`, the
 * characters that a url does not change, at most `maxLength` of them (default
 * 128). The first is a letter, a digit or `_`, so that no id is a way up (`..`).
 * Bad options throw a `RangeError`.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Id } from "effect-resilience/http"
 *
 * const ProjectId = Id.make("Project")
 *
 * console.log(ProjectId.make("house-7")) // => house-7
 * console.log(Schema.is(ProjectId)("../secrets")) // => false
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string>(
  name: Name,
  options: { readonly maxLength?: number | undefined } = {}
): Id<Name> => {
  nonEmpty("Id.make", "name", name)
  onlyKeys("Id.make", options, ["maxLength"])
  const rest = integer("Id.make", "maxLength", options.maxLength ?? 128, 1, 1_024) - 1
  const identifier = `${name}Id` as const
  const pattern = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9._~-]{0,${rest}}$`)
  const schema = Schema.String.check(Schema.isPattern(pattern, {
    message: `Expected an id of at most ${rest + 1} letters, digits and -._~`
  })).annotate({ identifier })
  // Schema.brand takes names that are one literal, and to it a generic name is none yet; the caller's is
  return schema.pipe(Schema.brand(identifier as never)) as unknown as Id<Name>
}
