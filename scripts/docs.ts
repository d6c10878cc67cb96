/**
 * Checks the examples in the documentation: every block fenced as `ts` in README.md, in docs/*.md and in the doc
 * comments of src is type-checked, is run as a module of its own, and must print what its calls of `console.log` say
 * after `// =>`: these lines, in the order in which they are written, and nothing else.
 */
import { execFile } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"

const root = join(import.meta.dirname, "..")
// Inside the repository, so that an example can import the package by its own name.
const folder = join(root, ".docs")
const failures: Array<string> = []

interface Example {
  /** The source file, and the line of the first line of code in it. */
  readonly source: string
  readonly line: number
  readonly code: ReadonlyArray<string>
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

const extract = (source: string): ReadonlyArray<Example> => {
  const examples: Array<Example> = []
  let open: { readonly fence: string; readonly info: string; readonly line: number; code: Array<string> } | undefined
  const unclosed = (line: number) => failures.push(`${source}:${line - 1}: the code block is not closed`)
  for (const [index, text] of documentation(source).entries()) {
    const [, fence, info = ""] = /^\s*(`{3,})\s*(.*?)\s*$/.exec(text) ?? []
    if (open !== undefined && fence !== open.fence) {
      open.code.push(text)
    } else if (open !== undefined && info === "") {
      if (/^ts(\s|$)/.test(open.info)) examples.push({ source, line: open.line, code: open.code })
      open = undefined
    } else if (fence !== undefined) {
      if (open !== undefined) unclosed(open.line)
      open = { fence, info, line: index + 2, code: [] }
    }
  }
  if (open !== undefined) unclosed(open.line)
  return examples
}

/** The lines that an example says it prints, and where it says so. */
const assertionsOf = ({ code, line, source }: Example) =>
  code.flatMap((last, index) => {
    if (!last.includes("// =>")) return []
    const at = `${source}:${line + index}`
    const [, indent, text = ""] = /^(\s*).*\);?\s*\/\/ =>\s*(.*?)\s*$/.exec(last) ?? []
    // A statement begins on the last line that has the indent of its end and does not itself begin with what closes.
    const first = code.slice(0, index + 1).findLast((line) => /^(\s*)[^\s)\]}]/.exec(line)?.[1] === indent)
    if (indent !== undefined && first?.startsWith(`${indent}console.log(`)) return [{ at, text }]
    failures.push(`${at}: "// =>" stands only at the end of a console.log statement`)
    return []
  })

const sources = ["README.md", "docs/*.md", "src/**/*.ts"].flatMap((glob) => globSync(glob, { cwd: root }).toSorted())
const modules = new Map(
  sources.flatMap(extract).map(
    (example) => [`${example.source.replace(/\W+/g, "-")}-${example.line}.ts`, example] as const
  )
)

/** Runs Node. In its output, places in the examples are places in the documentation. */
const run = (args: ReadonlyArray<string>, timeout?: number) =>
  new Promise<{ readonly stdout: string; readonly failure: string | undefined }>((resolve) => {
    // No colours, even if the environment asks for them.
    const env = { ...process.env, FORCE_COLOR: "0" }
    execFile(process.execPath, args, { cwd: root, env, timeout, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      if (error === null) return resolve({ stdout, failure: undefined })
      const problem = error.killed ? `stopped after ${timeout} ms` : `exit code ${error.code}`
      // tsc writes a place as FILE(1,2), Node as FILE:1:2.
      const output = (stdout + stderr).replace(/^(\S+)\((\d+),(\d+)\)/gm, "$1:$2:$3")
      const mapped = output.replace(/\S*\.docs[\\/]([\w-]+\.ts):(\d+)/g, (place, name, line) => {
        const example = modules.get(name)
        // The first line of a module is its header.
        return example === undefined ? place : `${example.source}:${example.line + Number(line) - 2}`
      })
      resolve({ stdout, failure: `${problem}\n${mapped}` })
    })
  })

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
for (const [name, { code, line, source }] of modules) {
  writeFileSync(join(folder, name), [`// ${source}:${line}`, ...code, ""].join("\n"))
}
// An example may leave a value unused that it only shows how to make.
const config = { extends: "../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] }
writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
const types = await run(["node_modules/typescript/bin/tsc", "-p", folder, "--pretty", "false"])
if (types.failure !== undefined) failures.push(`tsc: ${types.failure}`)

let assertions = 0
const check = async (name: string, example: Example) => {
  const expected = assertionsOf(example)
  assertions += expected.length
  const { failure, stdout } = await run(["--conditions=effect-resilience-source", join(folder, name)], 20_000)
  if (failure !== undefined) return failures.push(`${example.source}:${example.line}: ${failure}`)
  const printed = (stdout.match(/.*\n|.+$/g) ?? []).map((line) => line.trimEnd())
  const wrong = expected.find(({ text }, n) => text !== printed[n])
  if (wrong !== undefined) {
    failures.push(`${wrong.at}: expected ${wrong.text}\n    but got ${printed[expected.indexOf(wrong)] ?? "nothing"}`)
  } else if (printed.length > expected.length) {
    failures.push(`${example.source}:${example.line}: prints more than it says: ${printed[expected.length]}`)
  }
}
const queue = Array.from(modules)
const worker = async () => {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) await check(...next)
}
// Each example starts a Node of its own; two at a time keep a small machine busy and its clock honest.
await Promise.all([worker(), worker()])

for (const failure of failures) console.error(failure)
const result = failures.length === 0 ? "ok" : `${failures.length} failed`
console.log(`docs: ${modules.size} examples, ${assertions} assertions, ${result}`)
process.exitCode = failures.length === 0 ? 0 : 1
