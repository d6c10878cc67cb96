/** What a schema error says of each field: without the values, and no more of it than can be read. */
import * as SchemaIssue from "effect/SchemaIssue"

// keys come from whoever sent the value: neither their number nor their length may blow up an answer
const maxFound = 100
const maxKey = 200

export interface Found {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** The issue without the value that was found, which may be a secret: formatters look for an own `input`. */
const withoutValue = <I extends SchemaIssue.Issue>(issue: I): I =>
  Object.create(issue, issue._tag === "Filter" ? { issue: { value: withoutValue(issue.issue) } } : {})

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The message of an issue that has no others inside. */
const messageOf = (issue: SchemaIssue.Issue): string => format(withoutValue(issue)).issues[0]?.message ?? "Invalid"

/** What takes secrets out of the keys of a value. */
type Redact = (key: string) => string

/** Looks at one issue after the other, and stops where there are too many: an array of wrong values has millions. */
const walk = (
  issue: SchemaIssue.Issue,
  path: ReadonlyArray<string>,
  found: Array<Found>,
  message: string | undefined,
  redact: Redact
): void => {
  switch (issue._tag) {
    case "Pointer":
      // before they are cut, which would leave a part of a secret
      return walk(
        issue.issue,
        [...path, ...issue.path.map((key) => redact(String(key)).slice(0, maxKey))],
        found,
        message,
        redact
      )
    case "Encoding":
      return walk(issue.issue, path, found, message, redact)
    case "Filter":
      // a check that has a message of its own speaks for all that is inside
      return issue.issue._tag === "InvalidValue"
        ? walkLeaf(issue, path, found, message)
        : walk(issue.issue, path, found, message ?? SchemaIssue.defaultCheckHook(issue), redact)
    case "Composite":
    case "AnyOf":
      if (issue.issues.length === 0) return walkLeaf(issue, path, found, message)
      for (const inner of issue.issues) {
        if (found.length >= maxFound) return
        walk(inner, path, found, message, redact)
      }
      return
    default:
      return walkLeaf(issue, path, found, message)
  }
}

const walkLeaf = (
  issue: SchemaIssue.Issue,
  path: ReadonlyArray<string>,
  found: Array<Found>,
  message: string | undefined
): void => {
  found.push({ path, message: message ?? messageOf(issue) })
}

/** The first hundred things that are wrong. */
export const foundIn = (issue: SchemaIssue.Issue, redact: Redact = (key) => key): ReadonlyArray<Found> => {
  const found: Array<Found> = []
  walk(issue, [], found, undefined, redact)
  return found
}
