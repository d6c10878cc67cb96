/**
 * `npm run dashboard`: writes what runs in the browser, compiled from the TypeScript of
 * `dashboard/browser`, into the one module that the dashboard serves it from. So users build
 * nothing, no file is read where the library runs, and bundlers carry it like any other code.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const dashboard = "observability/internal/dashboard"

export const target = join(root, "src", dashboard, "scripts.ts")

/** The modules by name, as the browser gets them. Throws where they do not compile. */
const compiled = (): ReadonlyMap<string, string> => {
  const out = mkdtempSync(join(tmpdir(), "dashboard-"))
  try {
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const project = join(root, "src", dashboard, "browser")
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", project, "--outDir", out], { encoding: "utf8" })
    if (status !== 0) throw new Error(`the script of the dashboard does not compile:\n${stdout}`)
    const folder = join(out, dashboard, "browser")
    return new Map(readdirSync(folder).toSorted().map((name) => [name, readFileSync(join(folder, name), "utf8")]))
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

/** What the module is to be. */
export const generated = (): string => {
  const modules = [...compiled()].map(([name, text]) =>
    `  ${JSON.stringify(name)}: \`${text.replace(/\\|`|\$\{/g, "\\$&")}\``
  )
  return `/** What runs in the browser, by the name of its module. Made by \`npm run dashboard\` from the folder \`browser\`. */
export const scripts: { readonly [Name in string]: string } = {
${modules.join(",\n")}
}
`
}

if (import.meta.main) writeFileSync(target, generated())
