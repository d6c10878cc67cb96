// `npm run example -- NAME [arguments]` runs examples/NAME.ts or examples/NAME/main.ts against the sources.
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "examples")

// Maps the name of each example to its file.
const examples = new Map()
for (const entry of readdirSync(folder, { withFileTypes: true })) {
  const main = join(folder, entry.name, "main.ts")
  if (entry.isFile() && entry.name.endsWith(".ts")) examples.set(entry.name.slice(0, -3), join(folder, entry.name))
  else if (entry.isDirectory() && existsSync(main)) examples.set(entry.name, main)
}

// The first sentence of a file's opening comment says what the example shows.
const summary = (file) => {
  const [, comment = ""] = /^\/\*\*(.*?)\*\//s.exec(readFileSync(file, "utf8")) ?? []
  const text = comment.replaceAll(/\s*\n\s*\*\s*/g, " ").trim()
  return /^.*?\.(?=\s|$)/.exec(text)?.[0] ?? text
}

const usage = () => {
  const width = Math.max(0, ...Array.from(examples.keys(), (name) => name.length))
  const lines = Array.from(examples, ([name, file]) => `  ${name.padEnd(width)}  ${summary(file)}`.trimEnd())
  return ["Usage: npm run example -- NAME [arguments]", "", ...lines.toSorted()].join("\n")
}

const [name, ...args] = process.argv.slice(2)
if (name === "--help" || name === "--list") {
  console.log(usage())
  process.exit(0)
}
const file = examples.get(name)
if (file === undefined) {
  if (name !== undefined) console.error(`There is no example named ${JSON.stringify(name)}.\n`)
  console.error(usage())
  process.exit(2)
}

const command = ["--conditions=effect-resilience-source", file, ...args]
// Where the system can, this process becomes the example: exit code and signals, Ctrl-C among them, are its own.
if (process.platform !== "win32") process.execve(process.execPath, [process.execPath, ...command], process.env)
// On Windows Ctrl-C reaches both processes, and this one must outlive the example to pass on its exit code.
process.on("SIGINT", () => {})
process.exit(spawnSync(process.execPath, command, { stdio: "inherit" }).status ?? 1)
