/**
 * Checks the examples in the documentation: every block fenced as `ts` in README.md and in the doc comments of src
 * is type-checked and run as a module of its own, and what it says after `// =>` must hold.
 *
 * - `console.log(a, b) // => text`: the call prints exactly `text` (so does `yield* Console.log(...)`).
 * - `expression // => text`: `util.inspect` of the value gives exactly `text`.
 *
 * A block fenced as `ts no-check` is left alone.
 */
import { execFile } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join, relative } from "node:path"
import process from "node:process"
import { parseAst } from "vitest/node"

const root = join(import.meta.dirname, "..")
// Inside the repository, so that an example can import the package by its own name.
const folder = join(root, ".docs")
const failures: Array<string> = []

interface Example {
  /** The source file, and the line of the first line of code in it. */
  readonly source: string
  readonly line: number
  readonly code: string
}

/** The documentation of a file, line by line: all of a Markdown file, the doc comments of a TypeScript file. */
const documentation = (file: string): ReadonlyArray<string> => {
  const lines = readFileSync(join(root, file), "utf8").split("\n")
  if (file.endsWith(".md")) return lines
  let inside = false
  return lines.map((line) => {
    if (/^\s*\/\*\*/.test(line)) inside = true
    const text = inside ? line.replace(/^\s*\/?\*+ ?/, "") : ""
    if (line.includes("*/")) inside = false
    return text
  })
}

const extract = (file: string): { readonly examples: ReadonlyArray<Example>; readonly skipped: number } => {
  const examples: Array<Example> = []
  let skipped = 0
  let open:
    | { readonly fence: string; readonly info: string; readonly line: number; readonly code: Array<string> }
    | undefined
  for (const [index, line] of documentation(file).entries()) {
    const [, fence, info] = /^\s*(`{3,})\s*(.*?)\s*$/.exec(line) ?? []
    if (open === undefined) {
      if (fence !== undefined) open = { fence, info: info ?? "", line: index + 2, code: [] }
    } else if (fence === open.fence && info === "") {
      if (/^ts\b.*\bno-check\b/.test(open.info)) skipped += 1
      else if (/^ts(\s|$)/.test(open.info)) examples.push({ source: file, line: open.line, code: open.code.join("\n") })
      open = undefined
    } else {
      open.code.push(line)
    }
  }
  if (open !== undefined) failures.push(`${file}:${open.line - 1}: the code block is not closed`)
  return { examples, skipped }
}

/** A node of the syntax tree, as far as this script looks into it. */
interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value

const expressionStatements = (value: unknown): ReadonlyArray<Node> => {
  if (Array.isArray(value)) return value.flatMap(expressionStatements)
  if (!isNode(value)) return []
  const inner = Object.values(value).flatMap(expressionStatements)
  return value.type === "ExpressionStatement" ? [value, ...inner] : inner
}

/** What does not parse is left to tsc to report. */
const parse = (code: string): unknown => {
  try {
    return parseAst(code, { lang: "ts" })
  } catch {
    return undefined
  }
}

/** Turns each assertion into a call of `check.ts`, without moving any line, and puts the header on a line of its own. */
const toModule = ({ code, line, source }: Example): { readonly text: string; readonly assertions: number } => {
  const locations: Array<string> = []
  const edits: Array<{ readonly start: number; readonly end: number; readonly text: string }> = []
  for (const { end, start } of expressionStatements(parse(code))) {
    const expected = /^[ \t]*\/\/ =>[ \t]*(.*?)[ \t]*(?:\n|$)/.exec(code.slice(end))?.[1]
    if (expected === undefined) continue
    const statement = code.slice(start, end)
    const location = `${source}:${line + code.slice(0, end).split("\n").length - 1}`
    const given = `${JSON.stringify(location)}, ${JSON.stringify(expected)}`
    const print = /^(?:yield\*\s*C|c)onsole\.log\(/.exec(statement)?.[0]
    // Separate edits of both ends, as a statement within this one may carry an assertion too.
    if (print !== undefined) {
      edits.push({ start, end: start + print.length, text: `$check.log(${given}, ` })
    } else {
      const last = statement.endsWith(";") ? end - 1 : end
      edits.push({ start, end: start, text: `$check.value(${given}, ` }, { start: last, end: last, text: ")" })
    }
    locations.push(location)
  }
  const stray = (code.match(/\/\/ =>/g)?.length ?? 0) - locations.length
  if (stray > 0) failures.push(`${source}:${line}: ${stray} "// =>" in this example do not follow a statement`)
  const body = edits.toSorted((a, b) => b.start - a.start).reduce(
    (text, edit) => text.slice(0, edit.start) + edit.text + text.slice(edit.end),
    code
  )
  const header = `/* ${source}:${line} */ import * as $check from "./check.ts"; $check.plan(${
    JSON.stringify(locations)
  })`
  return { text: `${header}\n${body}\n`, assertions: locations.length }
}

/** What each example imports: it compares, and reports as the example ends, so that an assertion not reached fails. */
const check = `import { formatWithOptions, inspect } from "node:util"
const options = { breakLength: Infinity, compact: true }
const left = new Set<string>()
let failed = false
const fail = (message: string) => {
  failed = true
  console.error(message)
}
export const plan = (locations: Array<string>) => locations.forEach((location) => left.add(location))
const compare = (location: string, expected: string, actual: Array<string>) => {
  left.delete(location)
  if (actual.includes(expected)) return
  fail(\`\${location}: expected \${expected}\\n    but got \${actual[0]}\`)
}
export const log = (location: string, expected: string, ...args: Array<unknown>) =>
  compare(location, expected, [formatWithOptions(options, ...args)])
export const value = (location: string, expected: string, actual: unknown) =>
  compare(location, expected, [inspect(actual, options), ...(typeof actual === "string" ? [JSON.stringify(actual)] : [])])
process.on("exit", () => {
  for (const location of left) fail(\`\${location}: the example ended without reaching this assertion\`)
  // Set last, so that no exit code of the example's own hides a failure.
  if (failed) process.exitCode = 1
})
`

const run = (args: ReadonlyArray<string>, timeout?: number) =>
  new Promise<{ readonly output: string; readonly errors: string; readonly problem: string | undefined }>((resolve) => {
    execFile(process.execPath, args, { cwd: root, timeout, killSignal: "SIGKILL" }, (error, output, errors) => {
      const problem = error?.killed ? `stopped after ${timeout} ms` : error && `exit code ${error.code}`
      resolve({ output, errors, problem: problem ?? undefined })
    })
  })

const files = ["README.md", ...globSync("src/**/*.ts", { cwd: root }).toSorted()]
const extracted = files.map(extract)
const examples = extracted.flatMap(({ examples }) => examples)
const skipped = extracted.reduce((sum, file) => sum + file.skipped, 0)

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
writeFileSync(join(folder, "check.ts"), check)
let assertions = 0
const modules = new Map<string, Example>()
for (const example of examples) {
  const name = `${example.source.replace(/\W+/g, "-")}-${example.line}.ts`
  const module = toModule(example)
  writeFileSync(join(folder, name), module.text)
  modules.set(name, example)
  assertions += module.assertions
}

// An example may leave a value unused that it only shows how to make.
const config = {
  extends: "../tsconfig.json",
  compilerOptions: { noUnusedLocals: false },
  include: [],
  files: [...modules.keys()]
}
writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))

/** A line of a generated module as the line of its source: the header takes the first line of the module. */
const locate = (name: string, line: number): string => {
  const example = modules.get(name)
  return example === undefined ? `.docs/${name}:${line}` : `${example.source}:${example.line + line - 2}`
}

const tsc = await run(["node_modules/typescript/bin/tsc", "-p", relative(root, folder), "--pretty", "false"])
if (tsc.problem !== undefined) {
  const message = (tsc.output + tsc.errors).replace(
    /^\.docs\/(.+?)\((\d+),(\d+)\)/gm,
    (_, name, line, column) => `${locate(name, Number(line))}:${column}`
  )
  failures.push(message)
}

const queue = Array.from(modules)
const worker = async () => {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [name, { line, source }] = next
    const result = await run(["--conditions=effect-resilience-source", join(folder, name)], 20_000)
    if (result.problem === undefined) continue
    const errors = result.errors.replace(
      /\S*\.docs[\\/]([\w-]+\.ts):(\d+)/g,
      (_, file, at) => locate(basename(file), Number(at))
    )
    failures.push(`${source}:${line}: ${result.problem}\n${errors}`)
  }
}
// Each example starts a Node of its own; two at a time keep a small machine busy and its clock honest.
await Promise.all([worker(), worker()])

for (const failure of failures) console.error(failure)
const counts = `docs: ${examples.length} examples, ${assertions} assertions, ${skipped} skipped`
console.log(failures.length === 0 ? `${counts}, ok` : `${counts}, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1
