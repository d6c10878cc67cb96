// Makes `npm start`, `npm test` and the like work as the first command on a fresh clone.
// It runs under whatever Node the machine has, so it is plain JavaScript without dependencies;
// the commands after it run under the Node that this installs into node_modules/.bin.
import { spawnSync } from "node:child_process"
import { existsSync, lstatSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, sep } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const windows = process.platform === "win32"
const modules = join(root, "node_modules")
const installed = join(modules, ".package-lock.json")
const localNode = join(modules, "node", "bin", windows ? "node.exe" : "node")

const modified = (path) => statSync(path).mtimeMs

// The reason to install, if there is one.
const reason = () => {
  // Linked modules belong to another checkout: an install would empty that one.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return undefined
  if (!existsSync(installed)) return "they are not installed"
  if (modified(installed) < modified(join(root, "package-lock.json"))) return "package-lock.json has changed"
  // An install with --ignore-scripts leaves this package empty, and so does one that was cut short.
  if (!existsSync(localNode) || !existsSync(join(modules, ".bin", "node"))) return "the Node to run them is missing"
  return undefined
}

const fail = (message) => {
  console.error(`\n${message}`)
  process.exit(1)
}

const npm = (args, env) => {
  const result = spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    env,
    // Quiet on success: npm reports its errors on standard error.
    stdio: ["ignore", "ignore", "inherit"],
    // npm is a .cmd file on Windows, which only a shell can start.
    shell: windows
  })
  if (result.error !== undefined) fail(`npm did not start: ${result.error.message}`)
  if (result.status !== 0) {
    fail(`The development dependencies could not be installed: \`npm ${args[0]}\` failed, see above.`)
  }
}

// Under an old Node, npm leaves out optional packages that ask for a newer one, and the tools lack their native parts.
// So it is run by a Node that is new enough, fetched for that. (On Windows npm brings its own Node.)
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const isTooOld = !windows &&
  (major < 20 || major === 21 || (major === 20 && minor < 19) || (major === 22 && minor < 19))

const install = () => {
  if (!isTooOld) return npm(["ci"], process.env)
  const folder = mkdtempSync(join(tmpdir(), "effect-resilience-"))
  try {
    const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    npm(["install", "--no-save", "--prefix", folder, `node@${devDependencies.node}`], process.env)
    const bin = join(folder, "node_modules", "node", "bin")
    npm(["ci"], { ...process.env, PATH: bin + delimiter + process.env.PATH })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const why = reason()
if (why !== undefined) {
  // Windows cannot delete a program while it runs, and this may be the very Node that `npm ci` deletes.
  if (windows && realpathSync(process.execPath).startsWith(modules + sep)) {
    fail(`The development dependencies must be installed: ${why}. Run \`npm ci\`, then repeat the command.`)
  }
  console.error(`Installing the development dependencies (npm ci): ${why}.`)
  install()
  if (!existsSync(localNode)) {
    fail(
      "`npm ci` ran without install scripts, so the package `node` has no Node in it.\n" +
        "Allow them for this project, as in `npm ci --ignore-scripts=false`, and repeat the command."
    )
  }
}
