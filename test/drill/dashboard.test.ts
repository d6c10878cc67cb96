/** The drill with its live dashboard, as a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { createServer } from "node:net"
import type { Page } from "playwright-core"
import * as Verdict from "../../examples/drill/Verdict.ts"
import * as Chromium from "../../scripts/chromium.ts"
import { canLookForProcesses, drill, processesOf, type Running, until } from "./processes.ts"

const exitCodes = new Map<string, number>(Object.entries(Verdict.exitCodes))

/** A drill with a dashboard, short, and what it says of it. */
const watched = (args: ReadonlyArray<string>) => {
  let said = ""
  const running = drill(["--seconds", "12", "--scenario", "dead", ...args], 55_000, {
    watch: (stdout, stderr) => {
      said = stdout + stderr
    }
  })
  const urls = () => [...said.matchAll(/^(http:\/\/127\.0\.0\.1:\d+\/dashboard) is /gm)].map(([, url]) => url ?? "")
  return {
    running,
    said: () => said,
    urls,
    /** Its url, as soon as it is told. */
    url: async () => {
      await until(() => urls().length > 0, 25_000, "a url")
      return urls()[0] ?? ""
    },
    toldAgain: () => until(() => said.includes("until Ctrl-C"), 45_000, "the url at the end")
  }
}

/** Ctrl-C, after which nothing is left. */
const interrupt = async (running: Running, url: string) => {
  const interrupted = performance.now()
  running.kill("SIGINT")
  const ended = await running.ended
  assert.isBelow(performance.now() - interrupted, 1000)
  if (canLookForProcesses) assert.deepStrictEqual(processesOf(running.mark), [])
  assert.isFalse(await fetch(url).then(() => true, () => false))
  return ended
}

/** Somebody who follows the changes, and is not waited for. */
const follower = async (url: string) => {
  const response = await fetch(new URL("/v1/api/status/changes", url))
  assert.strictEqual(response.status, 200)
  // cut off when the gateway ends
  return response.text().then(() => "ended", () => "cut off")
}

/** A port of loopback that somebody has. */
const take = (port: number): Promise<{ readonly port: number; readonly free: () => Promise<void> }> =>
  new Promise((resolve, reject) => {
    const server = createServer().on("error", reject)
    server.listen(port, "127.0.0.1", () => {
      const address = server.address()
      resolve({
        port: typeof address === "object" && address !== null ? address.port : port,
        free: () => new Promise((done) => server.close(() => done()))
      })
    })
  })

describe("the drill with a dashboard", () => {
  it(
    "answers from before the traffic until Ctrl-C, which ends it with the code of the verdict, and stdout is the document",
    async () => {
      const { free, port } = await take(0)
      await free()
      const { running, said, toldAgain, url, urls } = watched(["--dashboard", String(port), "--json"])
      const at = await url()
      assert.strictEqual(at, `http://127.0.0.1:${port}/dashboard`)
      assert.notInclude(said(), "outage   1")
      const page = await fetch(at)
      assert.strictEqual(page.status, 200)
      assert.include(await page.text(), "<h1>Outage drill</h1>")
      await until(() => said().includes("outage   3"), 40_000, "the last outage")
      const status = new URL("/v1/api/status/services", at)
      assert.hasAllKeys(await (await fetch(status)).json(), ["vectorStore", "fileSystem", "billing", "git"])

      await toldAgain()
      assert.deepStrictEqual(urls(), [at, at])
      assert.strictEqual((await fetch(at)).status, 200)
      // it had its reasons to open
      assert.match(await (await fetch(status)).text(), /"vectorStore":\{[^}]*"lastError":"\w+"/)
      const follows = follower(at)
      // control by hand has no token, and is off
      const control = await fetch(new URL("/v1/api/status/control", at), { method: "POST" })
      assert.isAtLeast(control.status, 400)

      const { code, stderr, stdout } = await interrupt(running, at)
      await follows
      const document = JSON.parse(stdout)
      assert.strictEqual(code, exitCodes.get(document.verdict))
      assert.notMatch(stderr, /^\s+at /m)
      assert.notInclude(stdout + stderr, running.mark)
      // told once
      assert.lengthOf(stderr.match(/^Services failed/gm) ?? [], 1)
      await (await take(port)).free()
    },
    60_000
  )

  it("ends with 130 and leaves nothing when interrupted while calls are made", async () => {
    const { running, said, url } = watched(["--dashboard"])
    const at = await url()
    const follows = follower(at)
    await until(() => said().includes("outage   1"), 20_000, "the first outage")
    const { code, stderr } = await interrupt(running, at)
    await follows
    assert.deepStrictEqual([code, stderr], [130, ""])
    assert.notInclude(said(), "until Ctrl-C")
  }, 60_000)

  it("refuses a port that is taken before it starts anything", async () => {
    const { free, port } = await take(0)
    try {
      const { code, stderr, stdout } = await drill(["--dashboard", String(port)], 25_000).ended
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.include(stderr, `port ${port} of 127.0.0.1 is taken`)
      assert.lengthOf(stderr.trimEnd().split("\n"), 2)
    } finally {
      await free()
    }
  }, 30_000)
})

const chromium = Chromium.find()
if (chromium === undefined) {
  console.log("There is no Chromium: the test of the drill's dashboard in a browser is skipped.")
}

describe.skipIf(chromium === undefined)("the dashboard in Chromium", () => {
  const state = (page: Page, service: string, state: string) =>
    page.locator("#rows > li").filter({ has: page.locator(".name").getByText(service, { exact: true }) })
      .and(page.locator(`[data-state="${state}"]`)).waitFor({ timeout: 20_000 })

  it("shows a service open, and closed again, and stays after the table", async () => {
    const browser = await Chromium.launch(chromium ?? "")
    try {
      const page = await browser.newPage()
      const complaints: Array<string> = []
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
      })
      page.on("pageerror", (error) => complaints.push(String(error)))
      const { running, said, toldAgain, url } = watched(["--dashboard"])
      const at = await url()
      await page.goto(at)
      await state(page, "vectorStore", "Open")
      await state(page, "vectorStore", "Closed")
      assert.notInclude(said(), "until Ctrl-C")

      await toldAgain()
      assert.strictEqual(await page.locator("#link").innerText(), "Live")
      assert.strictEqual(await page.locator("#rows > li").count(), 4)
      assert.deepStrictEqual(complaints, [])
      const { code } = await interrupt(running, at)
      const [, verdict = ""] = /^(Passed|Missed|Inconclusive):/m.exec(said()) ?? []
      assert.strictEqual(code, exitCodes.get(verdict.toLowerCase()))
      await page.locator("#link").getByText(/Connection lost/).waitFor({ timeout: 10_000 })
    } finally {
      await browser.close()
    }
  }, 80_000)
})
