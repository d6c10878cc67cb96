/** What kind of error a value is, in one word that holds nothing of its message. */
import { guarded } from "./guarded.ts"

/** Longer ones are cut: a kind is a label, and there is one for each. */
const longest = 100

const stringAt = (value: object, key: "_tag" | "name"): string | undefined => {
  const found: unknown = Reflect.get(value, key)
  return typeof found === "string" && found !== "" ? found : undefined
}

/** The tag of an error or its name, and the type of a value that has neither. */
export const errorKind = (reason: unknown): string =>
  guarded(() => {
    if (typeof reason !== "object" || reason === null) return typeof reason
    // what is no error may have the name of somebody
    const name = reason instanceof Error ? stringAt(reason, "name") : undefined
    return (stringAt(reason, "_tag") ?? name ?? "unknown").slice(0, longest)
  }) ?? "unknown"
