import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Report from "../../examples/drill/Report.ts"
import { json, markup } from "../../examples/drill/report/Html.ts"
import * as Series from "../../examples/drill/report/Series.ts"
import * as Summary from "../../examples/drill/Summary.ts"
import * as Chromium from "../../scripts/chromium.ts"
import { empty, tour } from "./synthetic.ts"

const nasty = `</script><script>document.title="got you"</script><img src=x onerror=alert(1)>"'&`

describe("what is put into the page", () => {
  it("is escaped in text and in attributes", () => {
    expect(markup`<p title="${nasty}">${nasty}</p>`.toString()).not.toMatch(/<script|<img|"'/)
    expect(markup`${"a & b"}`.toString()).toBe("a &amp; b")
    expect(markup`<i>${[markup`<b>${"<"}</b>`, markup`c`]}</i>`.toString()).toBe("<i><b>&lt;</b>c</i>")
  })

  it("cannot end the element that holds the data", () => {
    const text = json({ nasty, comment: "<!--" }).toString()
    expect(text).not.toMatch(/[<>]/)
    expect(JSON.parse(text)).toEqual({ nasty, comment: "<!--" })
  })

  it("refers to nothing outside the file", () => {
    const page = Report.html(tour())
    expect(page).not.toMatch(/<(link|img|script|iframe)[^>]*(src|href)="(?!data:,)/)
    expect(page).not.toMatch(/@import|url\(/)
    expect(page).toContain("default-src &#39;none&#39;")
  })
})

describe("the series", () => {
  it("cut time where outages begin and end", () => {
    const recording = tour()
    const { edges, answered, load, waits } = Series.make(recording, Summary.make(recording).outages)
    for (const { at, until } of recording.phases) {
      expect(edges).toContain(at / 1000)
      expect(edges).toContain(until / 1000)
    }
    expect(edges).toEqual(edges.toSorted((a, b) => a - b))
    expect([edges[0], edges.at(-1)]).toEqual([0, recording.seconds])
    for (const values of [answered, waits, load]) expect(values.plain).toHaveLength(edges.length - 1)
    expect(Math.max(...answered.resilient.map((value) => value ?? 0))).toBe(100)
  })

  it("have a hole where nobody called", () => {
    expect(new Set(Series.make(empty, []).answered.plain)).toEqual(new Set([null]))
  })
})

describe("the picture of the README", () => {
  const script = fileURLToPath(new URL("../../scripts/drill-image.ts", import.meta.url))
  it.each([
    ["no report", [], /which report\? Usage: /],
    ["a report that is not there", ["/nowhere/report.html"], /ENOENT/],
    ["something else", [script], /is no report of the drill/],
    ["an option that it does not know", ["--bright"], /--bright/]
  ])("is refused in one line for %s", (_, args, reason) => {
    const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" })
    expect(status).toBe(2)
    expect(stderr).toMatch(reason)
    expect(stderr).toMatch(/^drill-image: .*\n$/)
  })
})

const chromium = Chromium.find()
if (chromium === undefined) console.log("There is no Chromium: the tests of the page in a browser are skipped.")

describe.skipIf(chromium === undefined)("the page in Chromium", () => {
  const folder = mkdtempSync(join(tmpdir(), "drill-report-"))
  const files = {
    tour: { ...tour(), scenario: nasty },
    empty,
    interrupted: { ...tour(), interrupted: true }
  }
  let browser: Browser | undefined

  beforeAll(async () => {
    for (const [name, recording] of Object.entries(files)) {
      writeFileSync(join(folder, `${name}.html`), Report.html(recording))
    }
    browser = await Chromium.launch(chromium ?? "")
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Opens a page, and fails if it says anything on its console or asks for anything but itself. */
  const open = async (
    name: keyof typeof files,
    { colorScheme = "light", width = 1600 }: { readonly colorScheme?: "light" | "dark"; readonly width?: number },
    test: (page: Page) => Promise<void>
  ) => {
    if (browser === undefined) throw new Error("Chromium has not started")
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme })
    try {
      const page = await context.newPage()
      const said: Array<string> = []
      page.on("console", (message) => said.push(message.text()))
      page.on("pageerror", (error) => said.push(error.message))
      page.on("request", (request) => {
        if (!request.url().startsWith("file:") && !request.url().startsWith("data:")) said.push(request.url())
      })
      await page.goto(pathToFileURL(join(folder, `${name}.html`)).href)
      await page.locator("html[data-drawn]").waitFor({ timeout: 20_000 })
      await test(page)
      expect(said).toEqual([])
    } finally {
      await context.close()
    }
  }

  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
  const run = "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))"

  for (const width of [400, 1600]) {
    for (const colorScheme of ["light", "dark"] as const) {
      it(`draws without a word on the console, fits, and has no fault that axe finds: ${width} pixels, ${colorScheme}`, () =>
        open("tour", { colorScheme, width }, async (page) => {
          expect(await page.locator(".plot canvas").count()).toBe(4)
          const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
          expect(await page.evaluate(overflow)).toBe(0)
          await page.evaluate(axe)
          expect(await page.evaluate(run)).toEqual([])
          expect(await page.title()).toContain("</script><script>document.title")
        }))
    }
  }

  it("is read by keyboard: the slider leads one crosshair through all plots", () =>
    open("tour", {}, async (page) => {
      const overall = await page.locator("output[data-of=answered][data-gateway=plain]").textContent()
      await page.keyboard.press("Tab")
      expect(await page.evaluate("document.activeElement.id")).toBe("time")
      for (let n = 0; n < 8; n++) await page.keyboard.press("ArrowRight")
      const slider = page.locator("#time")
      const text = await slider.getAttribute("aria-valuetext")
      expect(text).toMatch(/^4\.\d s: vector store refuses, breaker open$/)
      expect(await page.locator("#readout").textContent()).toBe(text)
      const crosshairs = page.locator(".u-cursor-x")
      const places = new Set(await crosshairs.evaluateAll((all) => all.map((one) => one.getBoundingClientRect().x)))
      expect(await crosshairs.count()).toBe(4)
      expect(places.size).toBe(1)
      expect(await page.locator("output[data-of=answered][data-gateway=resilient]").textContent()).toBe("100 %")
      await page.keyboard.press("Tab")
      expect(await page.locator("output[data-of=answered][data-gateway=plain]").textContent()).toBe(overall)
    }))

  it("is read by pointer: what is pointed at in one plot is shown in all", () =>
    open("tour", {}, async (page) => {
      const plot = page.locator("#plot-breakers .u-over")
      await plot.scrollIntoViewIfNeeded()
      const width = (await plot.boundingBox())?.width ?? 0
      await plot.hover({ position: { x: width * 14.2 / 25, y: 10 } })
      await page.locator("#readout", { hasText: "vector store slow, breaker open; billing resets" }).waitFor({
        timeout: 5000
      })
      expect(await page.locator("output[data-of=waits][data-gateway=plain]").textContent()).toBe("1 s")
    }))

  it("draws anew in another width and in other colours", () =>
    open("tour", {}, async (page) => {
      const width = () => page.locator("#plot-waits canvas").evaluate((canvas) => canvas.getBoundingClientRect().width)
      const before = await width()
      await page.setViewportSize({ width: 400, height: 800 })
      await page.emulateMedia({ colorScheme: "dark" })
      await expect.poll(width).toBeLessThan(before / 2)
    }))

  it("can be made of a drill in which nothing happened, and of one that was interrupted", async () => {
    await open("empty", { width: 400 }, async (page) => {
      expect(await page.locator(".headline").textContent()).toBe("Nothing has failed.")
    })
    await open("interrupted", { width: 400 }, async (page) => {
      expect(await page.locator(".verdict").textContent()).toContain("Interrupted")
    })
  })

  it("becomes the picture of the README by the documented command", () => {
    const picture = join(folder, "docs", "drill.png")
    const script = fileURLToPath(new URL("../../scripts/drill-image.ts", import.meta.url))
    execFileSync(process.execPath, [script, join(folder, "interrupted.html"), picture], { timeout: 60_000 })
    expect(statSync(picture).size).toBeGreaterThan(20_000)
  }, 70_000)
})
