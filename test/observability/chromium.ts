/** A real Chromium for tests, driven from outside, with a profile of its own. */
import axe from "axe-core"
import { Effect, type Scope } from "effect"
import type { Page } from "playwright-core"
import * as Chromium from "../../scripts/chromium.ts"

/** Where it is installed, if it is. */
export const executable: string | undefined = Chromium.find()

export interface Opened {
  readonly page: Page
  /** What the console and the page have complained about. */
  readonly complaints: ReadonlyArray<string>
}

/** Opens a page, and ends with the scope. */
export const open = (
  executablePath: string,
  url: string,
  viewport: { readonly width: number; readonly height: number }
): Effect.Effect<Opened, never, Scope.Scope> =>
  Effect.gen(function*() {
    const browser = yield* Effect.acquireRelease(
      Effect.promise(() => Chromium.launch(executablePath)),
      (browser) => Effect.promise(() => browser.close())
    )
    const page = yield* Effect.promise(() => browser.newPage({ viewport }))
    const complaints: Array<string> = []
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
    })
    page.on("pageerror", (error) => complaints.push(String(error)))
    page.on("dialog", (dialog) => {
      complaints.push(`a dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    yield* Effect.promise(() => page.goto(url))
    return { page, complaints }
  })

/** What axe finds that is serious or worse. */
export const seriousIn = (page: Page): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    await page.evaluate(axe.source)
    // its source has put it there
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run())
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(
      ({ help, id, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(", ")}`
    )
  })
