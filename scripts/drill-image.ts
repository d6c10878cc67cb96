/**
 * Renders the picture of the drill that the README shows, from a report:
 *
 *     npm start -- --report report.html
 *     node scripts/drill-image.ts report.html
 *
 * The picture goes to docs/drill.png, or to where a second argument says; `--dark` takes the dark colours. It needs a
 * Chromium: the first on the path, or that of the environment variable CHROMIUM.
 */
import { mkdirSync, readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import process from "node:process"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import * as Chromium from "./chromium.ts"

const render = async (): Promise<string> => {
  const { positionals: [report, picture = join(import.meta.dirname, "..", "docs", "drill.png")], values: { dark } } =
    parseArgs({ allowPositionals: true, options: { dark: { type: "boolean", default: false } } })
  if (report === undefined) {
    throw new Error("which report? Usage: node scripts/drill-image.ts REPORT.html [PICTURE.png] [--dark]")
  }
  if (!readFileSync(report, "utf8").includes("id=\"picture\"")) throw new Error(`${report} is no report of the drill`)
  const executable = Chromium.find()
  if (executable === undefined) throw new Error("there is no Chromium; install one, or name it in CHROMIUM")
  const browser = await Chromium.launch(executable)
  try {
    const page = await browser.newPage({
      // so high that the slider, which sticks to the lower edge, is below the picture
      viewport: { width: 1200, height: 3000 },
      deviceScaleFactor: 1.25,
      colorScheme: dark ? "dark" : "light",
      reducedMotion: "reduce"
    })
    await page.goto(pathToFileURL(resolve(report)).href)
    await page.locator("html[data-drawn]").waitFor({ timeout: 10_000 })
    const box = await page.locator("#picture").boundingBox()
    if (box === null) throw new Error(`the picture of ${report} is not shown`)
    mkdirSync(dirname(resolve(picture)), { recursive: true })
    const margin = 20
    await page.screenshot({
      path: picture,
      clip: { x: box.x - margin, y: box.y - margin, width: box.width + 2 * margin, height: box.height + margin }
    })
    return picture
  } finally {
    await browser.close()
  }
}

try {
  process.stdout.write(`${await render()}\n`)
} catch (error) {
  const [line] = (error instanceof Error ? error.message : String(error)).split("\n")
  process.stderr.write(`drill-image: ${line}\n`)
  process.exitCode = 2
}
