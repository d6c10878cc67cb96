import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

/** What every example prints, in a file of its name. */
const outputs = "test/examples-output"

const names = (folder: string, ending: string) =>
  readdirSync(folder).filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length)).toSorted()

describe("examples", () => {
  it("all have their output checked here", () => {
    assert.deepStrictEqual(names("examples", ".ts"), names(outputs, ".txt"))
  })

  it("are listed, each with a sentence that says what it shows", async () => {
    const { stdout } = await promisify(execFile)("npm", ["run", "--silent", "example", "--", "--list"])
    for (const name of [...names("examples", ".ts"), "drill"]) {
      assert.match(stdout, new RegExp(`^  ${name} +[A-Z][^\\n]+\\.$`, "m"))
    }
  })

  for (const name of names("examples", ".ts")) {
    it(`${name} runs, importing the package by its name, and says what it should`, async () => {
      const { stderr, stdout } = await promisify(execFile)("npm", ["run", "--silent", "example", "--", name])
      assert.strictEqual(stdout, readFileSync(`${outputs}/${name}.txt`, "utf8"))
      assert.notInclude(stderr, "Error")
    })
  }
})
