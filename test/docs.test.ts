/** What README.md and docs/*.md say of the package as a whole. Their examples are run by `npm run check:docs`. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { StatusApi } from "../src/observability/index.ts"
import { present } from "./support.ts"

const read = (file: string) => readFileSync(file, "utf8")
const guides = globSync("docs/*.md").toSorted()

const entries = {
  "effect-resilience": "src/index.ts",
  "effect-resilience/http": "src/http/index.ts",
  "effect-resilience/observability": "src/observability/index.ts",
  "effect-resilience/node": "src/node/index.ts"
}

/** A document without its blocks of code. */
const prose = (file: string) => read(file).replaceAll(/^```[^]*?^```/gm, "")

/** Where links to the headings of a document go, by the level of the headings. */
const anchors = (file: string, levels = "#+") =>
  Array.from(
    prose(file).matchAll(new RegExp(`^${levels} (.*)$`, "gm")),
    ([, heading = ""]) => heading.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
  )

describe("README.md", () => {
  for (const [entry, file] of Object.entries(entries)) {
    it(`names every module of ${entry}, and none that there is not`, () => {
      const item = new RegExp(`^- \\*\\*\`${entry}\`\\*\\*(.*?)(?=^- |^$)`, "ms")
      const text = present(item.exec(read("README.md"))?.[1])
      const named = Array.from(text.matchAll(/`([A-Z]\w+)`/g), ([, name]) => name)
      const modules = Array.from(read(file).matchAll(/^export \* as (\w+)/gm), ([, name]) => name)
      assert.deepStrictEqual(named.toSorted(), modules.toSorted())
    })
  }

  it("links to every document in docs", () => {
    for (const guide of guides) assert.include(read("README.md"), `](${guide})`)
  })
})

describe("docs/*.md", () => {
  it("has a list of its sections at the top of each document", () => {
    for (const guide of guides) {
      const [top = ""] = prose(guide).split(/^## /m)
      const listed = Array.from(top.matchAll(/^ *- \[.*\]\(#(.*)\)$/gm), ([, anchor]) => anchor)
      assert.isNotEmpty(listed, guide)
      assert.deepStrictEqual(listed, anchors(guide, "##+"), guide)
    }
  })

  it("shows control by hand in the form that the status API takes", () => {
    const text = read("docs/observability.md")
    const actions = Array.from(text.matchAll(/(?<=['`])\{ "action": .*?\}(?=['`])/g), ([action]) => action)
    assert.strictEqual(actions.length, 2)
    for (const action of actions) Schema.decodeUnknownSync(StatusApi.Action)(JSON.parse(action))
  })
})

describe("README.md and docs/*.md", () => {
  it("link to headings and files that there are", () => {
    for (const file of ["README.md", ...guides]) {
      assert.strictEqual(new Set(anchors(file)).size, anchors(file).length, `a heading stands twice in ${file}`)
      for (const [, target = ""] of prose(file).matchAll(/\]\(([^)]+)\)/g)) {
        if (target.startsWith("https://")) continue
        const [path = "", anchor] = target.split("#")
        const linked = path === "" ? file : join(file, "..", path)
        if (anchor === undefined) assert.isNotEmpty(readFileSync(linked), target)
        else assert.include(anchors(linked), anchor, `${file} links to ${target}`)
      }
    }
  })
})
