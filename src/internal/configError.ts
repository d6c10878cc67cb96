/** The error of a configuration whose value is read and cannot be meant. */
import * as Config from "effect/Config"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** `shown` stands in the error's issue: it must be no secret. */
export const configError = (message: string, shown?: unknown): Config.ConfigError =>
  new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message }, shown)))
