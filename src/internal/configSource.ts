/**
 * Reads what a `ConfigProvider` has under a path, as plain data.
 *
 * A composed provider lists the keys of the first of its providers that knows a
 * path: were it asked as a whole, one variable of the environment would hide all
 * that a file says beside it. So each of its providers is read by itself, and what
 * they say is laid over each other here.
 */
import type * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { isObject } from "effect/Predicate"
import type { Path, Problem } from "./configProblems.ts"

type Load = ConfigProvider.ConfigProvider["load"]

/** What was found: `undefined` where there is nothing. */
interface Found {
  readonly data: unknown
  readonly problems: ReadonlyArray<Problem>
}

/** A path that no source has. */
const nowhere = ["not a path of any configuration"]

/**
 * Asks one of the providers that a provider is composed of, by its number, in the
 * order in which they are asked. A transformation of paths reaches each of them
 * when it is asked, and sends the others where they find nothing.
 */
const asking = (provider: ConfigProvider.ConfigProvider, number: number) => {
  let asked = 0
  const one = provider.mapInput((path) => asked++ === number ? path : nowhere)
  const load: Load = (path) =>
    Effect.suspend(() => {
      asked = 0
      return one.load(path)
    })
  /** Whether there is a provider of that number. Known once something has been loaded. */
  const exists = () => asked > number
  return { load, exists }
}

/** Below this depth there are no options. */
const maxDepth = 16

/** No list of options is longer; one variable of the environment can ask for a list of billions. */
const maxLength = 100

const readAll = (load: Load, problems: Array<Problem>) => {
  const read: (path: ConfigProvider.Path) => Effect.Effect<unknown, ConfigProvider.SourceError> = Effect.fnUntraced(
    function*(path) {
      const node = yield* load(path)
      if (node === undefined || node._tag === "Value") return node?.value
      // whatever is there stands below an unknown key
      if (path.length > maxDepth) return {}
      if (node.value !== undefined) {
        problems.push({ path, message: "has a value, and options of its own as well" })
      }
      if (node._tag === "Array") {
        if (node.length > maxLength) {
          problems.push({ path, message: `must be a list of at most ${maxLength}, got one of ${node.length}` })
          return undefined
        }
        const list: Array<unknown> = []
        for (let n = 0; n < node.length; n++) list.push(yield* read([...path, n]))
        return list
      }
      const entries: Array<readonly [string, unknown]> = []
      for (const key of node.keys) {
        const value = yield* read([...path, key])
        if (value !== undefined) entries.push([key, value])
      }
      // what is empty says nothing: neither does a block of it
      return entries.length === 0 && node.keys.size > 0 ? undefined : Object.fromEntries(entries)
    }
  )
  return read
}

type Block = { readonly [key: string]: unknown }

// options of another kind mean nothing to it
const isOtherKind = (upper: Block, lower: Block): boolean =>
  upper["kind"] !== undefined && lower["kind"] !== undefined && upper["kind"] !== lower["kind"]

/** Lays one source over another, value by value. */
const lay = (upper: unknown, lower: unknown): unknown => {
  if (upper === undefined) return lower
  if (Array.isArray(upper) && Array.isArray(lower)) {
    return Array.from({ length: Math.max(upper.length, lower.length) }, (_, n) => lay(upper[n], lower[n]))
  }
  if (!isObject(upper) || !isObject(lower) || isOtherKind(upper, lower)) return upper
  const keys = new Set([...Object.keys(lower), ...Object.keys(upper)])
  const at = (block: Block, key: string) => Object.hasOwn(block, key) ? block[key] : undefined
  return Object.fromEntries(Array.from(keys, (key) => [key, lay(at(upper, key), at(lower, key))]))
}

/** Names that differ from those of the path by their capitals alone, and have something below them. */
const misspelt = Effect.fnUntraced(function*(load: Load, path: Path) {
  const problems: Array<Problem> = []
  for (const [n, segment] of path.entries()) {
    const above = path.slice(0, n).map(String)
    const node = yield* load(above)
    if (node?._tag !== "Record") break
    for (const key of node.keys) {
      if (key === segment || key.toLowerCase() !== String(segment).toLowerCase()) continue
      const child = yield* load([...above, key])
      if (child !== undefined && child._tag !== "Value") {
        problems.push({ path: [...above, key], message: `is written ${String(segment)}, and all below it as in JSON` })
      }
    }
  }
  return problems
})

/** Reads a path; of several sources, the first that says something about a value is right. */
export const read = Effect.fnUntraced(function*(
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.fn.Return<Found, ConfigProvider.SourceError> {
  const problems: Array<Problem> = []
  let data: unknown
  for (let number = 0;; number++) {
    const source = asking(provider, number)
    yield* source.load(path)
    if (!source.exists()) return { data, problems }
    problems.push(...yield* misspelt(source.load, path))
    data = lay(data, yield* readAll(source.load, problems)(path))
  }
})
