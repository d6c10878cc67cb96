// `npm run check`: every check in turn, cheapest first, up to the first that fails, which the last line names.
import { spawnSync } from "node:child_process"

for (const script of ["check:format", "check:lint", "check:types", "test", "check:docs"]) {
  // npm is a .cmd file on Windows, which only a shell can start.
  const { status } = spawnSync("npm", ["run", script], { stdio: "inherit", shell: process.platform === "win32" })
  if (status !== 0) {
    console.error(`\ncheck: \`npm run ${script}\` failed`)
    process.exit(1)
  }
}
console.log("\ncheck: ok")
