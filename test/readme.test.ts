/** What README.md says of the package as a whole. Its examples are run by `npm run check:docs`. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { StatusApi } from "../src/observability/index.ts"
import { present } from "./support.ts"

const readme = readFileSync("README.md", "utf8")

const entries = {
  "effect-resilience": "src/index.ts",
  "effect-resilience/http": "src/http/index.ts",
  "effect-resilience/observability": "src/observability/index.ts",
  "effect-resilience/node": "src/node/index.ts"
}

describe("README.md", () => {
  for (const [entry, file] of Object.entries(entries)) {
    it(`names every module of ${entry}, and none that there is not`, () => {
      const item = new RegExp(`^- \\*\\*\`${entry}\`\\*\\*(.*?)(?=^- |^$)`, "ms")
      const prose = present(item.exec(readme)?.[1])
      const named = Array.from(prose.matchAll(/`([A-Z]\w+)`/g), ([, name]) => name)
      const modules = Array.from(readFileSync(file, "utf8").matchAll(/^export \* as (\w+)/gm), ([, name]) => name)
      assert.deepStrictEqual(named.toSorted(), modules.toSorted())
    })
  }

  it("shows control by hand in the form that the status API takes", () => {
    const actions = Array.from(readme.matchAll(/(?<=['`])\{ "action": .*?\}(?=['`])/g), ([action]) => action)
    assert.strictEqual(actions.length, 2)
    for (const action of actions) Schema.decodeUnknownSync(StatusApi.Action)(JSON.parse(action))
  })

  it("links to headings and files that there are", () => {
    const prose = readme.replaceAll(/^```[^]*?^```/gm, "")
    const anchors = Array.from(
      prose.matchAll(/^#+ (.*)$/gm),
      ([, heading = ""]) => heading.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
    )
    for (const [, target = ""] of prose.matchAll(/\]\(([^)]+)\)/g)) {
      if (target.startsWith("https://")) continue
      if (target.startsWith("#")) assert.include(anchors, target.slice(1))
      else assert.isNotEmpty(readFileSync(target), target)
    }
  })
})
