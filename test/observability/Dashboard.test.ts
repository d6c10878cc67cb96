import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem, Layer, Logger, Redacted, Scope } from "effect"
import { HttpServer } from "effect/http"
import { readFileSync } from "node:fs"
import type { Page } from "playwright-core"
import { generated, target } from "../../scripts/dashboard.ts"
import { Resilience } from "../../src/index.ts"
import { StatusPort } from "../../src/node/index.ts"
import { Dashboard, Recoveries, StatusServer } from "../../src/observability/index.ts"
import { eventually } from "../http/server.ts"
import { serve } from "../http/server/support.ts"
import { assertRefused, draws, present, start } from "../support.ts"
import { executable, open, seriousIn } from "./chromium.ts"
import { fail, hostileNames, pipelines, quick, secret } from "./statusSupport.ts"

const routes = Layer.mergeAll(
  StatusServer.layer({ controlTokens: { olga: Redacted.make(secret) } }),
  Dashboard.layer()
).pipe(Layer.provide(Recoveries.layer))

const live = (port = 0) => StatusPort.layer(routes, { port }).pipe(Layer.provide(Logger.layer([])))
const provided = Effect.provide(live().pipe(Layer.provideMerge(Resilience.layer)))

const url = Effect.map(HttpServer.HttpServer, ({ address }) => `${HttpServer.formatAddress(address)}/dashboard`)

const wide = { width: 1_600, height: 1_000 }
const narrow = { width: 360, height: 740 }

const opens = (seconds: number) =>
  ({
    ...quick,
    circuitBreaker: { trip: { kind: "consecutive", failures: 2 }, open: `${seconds} seconds` }
  }) as const

/** The row of a service, by its whole name. */
const rowOf = (page: Page, name: string) =>
  page.locator("#rows > li").filter({ has: page.locator(".name").getByText(name, { exact: true }) })

const reaches = (page: Page, name: string, state: string) =>
  Effect.promise(() => rowOf(page, name).and(page.locator(`[data-state="${state}"]`)).waitFor({ timeout: 8_000 }))

const textOf = (page: Page, name: string) => Effect.promise(() => rowOf(page, name).locator(".row").innerText())

/** What axe finds that is serious or worse, in both colour schemes. */
const seriousInBoth = (page: Page) =>
  Effect.forEach(["light", "dark"] as const, (colorScheme) =>
    Effect.gen(function*() {
      yield* Effect.promise(() => page.emulateMedia({ colorScheme, reducedMotion: "reduce" }))
      yield* Effect.sleep("400 millis")
      return yield* seriousIn(page)
    }))

describe("Dashboard", () => {
  it.effect("has a policy that allows its own script, style and stream alone", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Dashboard.layer({ path: "/ops/board", title: "A \"<b>shop</b>\" & 'co'" }).pipe(
          Layer.provide(HttpServer.layerServices)
        )
      )
      const { headers, text } = yield* ask("/ops/board")
      const policy = headers.get("content-security-policy") ?? ""
      assert.include(policy, "default-src 'none'")
      assert.include(policy, "script-src 'self';")
      assert.notInclude(policy, "unsafe")
      assert.include(text, "<h1>A &quot;&lt;b&gt;shop&lt;/b&gt;&quot; &amp; &#39;co&#39;</h1>")
      assert.include(text, "src=\"board/app.js\"")
      assert.include(text, "data-api=\"../v1/api/status\"")
      // nothing stands in the page that the policy would forbid, nor comes from elsewhere
      assert.notMatch(text, /<script(?![^>]* src=)|<style| style=| on\w+=|https?:/)
      const modules = [...text.matchAll(/modulepreload" href="(board\/\w+\.js)"/g)].map(([, module]) => module)
      assert.isAbove(modules.length, 10)
      for (const module of modules) {
        const script = yield* ask(`/ops/${module}`)
        assert.strictEqual(script.headers.get("content-type"), "text/javascript; charset=utf-8")
        assert.notMatch(script.text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:/)
      }
      assert.strictEqual((yield* ask("/ops/board/style.css")).status, 200)
    }))

  it("serves what its source compiles to: `npm run dashboard` writes it anew", () => {
    assert.strictEqual(readFileSync(target, "utf8"), generated())
  })

  it.effect("sends who asks with a slash at the end to the page, which would not find its parts there", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Dashboard.layer({ path: "/ops/board" }).pipe(Layer.provide(HttpServer.layerServices)))
      for (const path of ["/ops/board/", "/ops/board/?from=mail"]) {
        const { headers, status } = yield* ask(path)
        assert.deepStrictEqual([status, headers.get("location")], [308, "../board"])
      }
      const { headers } = yield* ask("/ops/board?from=mail/")
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      assert.strictEqual(headers.get("cross-origin-resource-policy"), "same-origin")
      assert.include(headers.get("content-security-policy"), "frame-ancestors 'none'")
    }))

  it.effect("says so where uPlot is missing, and serves all else (B8)", () =>
    Effect.gen(function*() {
      const missing = Layer.provideMerge(FileSystem.layerNoop({}), HttpServer.layerServices)
      const ask = yield* serve(Dashboard.layer().pipe(Layer.provide(missing)))
      const { text } = yield* ask("/dashboard")
      assert.include(text, "Plots need the package uplot")
      assert.include(text, "data-plots=\"false\"")
      assert.notInclude(text, "uplot.css")
      assert.strictEqual((yield* ask("/dashboard/uplot.js")).status, 404)
    }))

  it("refuses options that it cannot use", () => {
    assertRefused([
      [() => Dashboard.layer({ path: "dashboard" } as never), "Dashboard: path must be"],
      [() => Dashboard.layer({ path: "/a b" }), "Dashboard: path must be"],
      [() => Dashboard.layer({ path: "/a/" }), "Dashboard: path must be"],
      [() => Dashboard.layer({ title: "" }), "Dashboard: title must be"],
      [() => Dashboard.layer({ titel: "x" } as never), "unknown option \"titel\""]
    ])
  })
})

if (executable === undefined) {
  describe.skip("Dashboard in Chromium (B8): Chromium is not installed", () => {
    it("is not tested here", () => {})
  })
} else {
  const path = executable

  describe("Dashboard in Chromium", () => {
    for (const [words, viewport] of [["1,600 pixels", wide], ["360 pixels", narrow]] as const) {
      it.live(`shows an outage at ${words}: open, half-open and closed in turn, with since when and the next probe (B8, B9)`, () =>
        Effect.gen(function*() {
          const of = yield* pipelines({ git: quick, billing: opens(5) })
          yield* of("git").protect(Effect.void)
          const { complaints, page } = yield* open(path, yield* url, viewport)
          yield* reaches(page, "billing", "Closed")
          assert.strictEqual(yield* Effect.promise(() => page.locator("#link").innerText()), "Live")

          yield* fail(of("billing"), 2)
          yield* reaches(page, "billing", "Open")
          yield* Effect.sleep("1200 millis")
          const open_ = yield* textOf(page, "billing")
          assert.match(open_, /Open/)
          assert.match(open_, /since .* \(\d s\), probe in \d s/)
          assert.match(open_, /Boom/)
          assert.strictEqual(yield* Effect.promise(() => page.locator("#sums div").nth(1).innerText()), "Open\n1")
          assert.match(yield* Effect.promise(() => page.title()), /^\(1\) /)
          // what is in trouble stands first
          assert.match(yield* Effect.promise(() => page.locator("#rows > li").first().innerText()), /billing/)

          yield* Effect.sleep("4 seconds")
          const answered = Deferred.makeUnsafe<void>()
          const probe = yield* start(of("billing").protect(Deferred.await(answered)))
          yield* reaches(page, "billing", "HalfOpen")
          assert.match(yield* textOf(page, "billing"), /Half-open/)
          assert.deepStrictEqual((yield* seriousInBoth(page)).flat(), [])
          yield* Deferred.succeed(answered, undefined)
          yield* Fiber.join(probe)
          yield* reaches(page, "billing", "Closed")

          yield* Effect.promise(() => rowOf(page, "billing").locator(".row").click())
          const more = rowOf(page, "billing").locator(".more")
          yield* Effect.promise(() => more.locator(".uplot").nth(1).waitFor({ timeout: 5_000 }))
          const facts = yield* Effect.promise(() => more.locator(".facts").innerText())
          assert.match(facts, /Recoveries\s+1/)
          assert.match(facts, /Mean time to recovery\s+\d+ s/)
          assert.match(facts, /Last error\s+Boom\s+Last error at\s+\d/)
          assert.match(
            yield* Effect.promise(() => more.locator(".log").first().innerText()),
            /closed[^]*half-open[^]*open/
          )
          assert.isAtMost(
            yield* Effect.promise(() => page.evaluate<number>("document.documentElement.scrollWidth")),
            viewport.width
          )
          assert.deepStrictEqual((yield* seriousInBoth(page)).flat(), [])
          assert.deepStrictEqual(complaints, [])
        }).pipe(Effect.scoped, provided))
    }

    it.live("shows whatever name a service has as text", () =>
      Effect.gen(function*() {
        yield* pipelines(Object.fromEntries(hostileNames.map((name) => [name, quick])))
        for (const viewport of [wide, narrow]) {
          const { complaints, page } = yield* open(path, yield* url, viewport)
          yield* Effect.promise(() => page.locator("#rows > li").nth(hostileNames.length - 1).waitFor())
          const names = yield* Effect.promise(() => page.locator("#rows .name").allTextContents())
          assert.deepStrictEqual(names.toSorted(), hostileNames.toSorted())
          assert.strictEqual(yield* Effect.promise(() => page.locator("#rows img, #rows script").count()), 0)
          for (let n = 0; n < hostileNames.length; n++) {
            yield* Effect.promise(() => page.locator("#rows .row").nth(n).click())
          }
          assert.isAtMost(
            yield* Effect.promise(() => page.evaluate<number>("document.documentElement.scrollWidth")),
            viewport.width
          )
          assert.deepStrictEqual(complaints, [])
        }
      }).pipe(Effect.scoped, provided))

    it.live("is used by keyboard: search, rows, details, and back", () =>
      Effect.gen(function*() {
        yield* pipelines({ billing: quick, git: quick, "git-mirror": quick })
        const { complaints, page } = yield* open(path, yield* url, wide)
        yield* reaches(page, "git", "Closed")
        yield* Effect.promise(async () => {
          await page.keyboard.press("/")
          await page.keyboard.type("GIT")
        })
        assert.strictEqual(yield* Effect.promise(() => page.locator("#rows > li:visible").count()), 2)
        assert.strictEqual(yield* Effect.promise(() => page.locator("#shown").innerText()), "2 of 3 services")
        yield* Effect.promise(async () => {
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("Enter")
        })
        const row = rowOf(page, "git-mirror").locator(".row")
        assert.strictEqual(yield* Effect.promise(() => row.getAttribute("aria-expanded")), "true")
        yield* Effect.promise(() => page.keyboard.press("Escape"))
        assert.strictEqual(yield* Effect.promise(() => row.getAttribute("aria-expanded")), "false")
        // a screen reader is told what stands in a row
        const spoken = yield* Effect.promise(() => page.locator("#rows").ariaSnapshot())
        assert.match(spoken, /button "git-mirror .*Closed.*requests a second: .*Success: .*In flight: 0\/3/)
        assert.deepStrictEqual(complaints, [])
      }).pipe(Effect.scoped, provided))

    it.live("controls a breaker by hand with a token, which it keeps to itself", () =>
      Effect.gen(function*() {
        yield* pipelines({ billing: quick })
        const { page } = yield* open(path, yield* url, wide)
        yield* reaches(page, "billing", "Closed")
        const answer = page.locator(".by-hand output")
        const token = page.locator(".by-hand").getByLabel("Token")
        yield* Effect.promise(async () => {
          await page.locator(".row").click()
          await page.getByText("Control by hand").click()
          await page.getByRole("button", { name: "Force open" }).click()
          await answer.getByText("type your token first").waitFor()
          await token.fill("guessed")
          await page.getByRole("button", { name: "Force open" }).click()
          await answer.getByText("does not know this token").waitFor()
          await token.fill(secret)
          await page.getByRole("button", { name: "Force open" }).click()
          await answer.getByText("Done: force open.").waitFor()
        })
        yield* reaches(page, "billing", "Forced")
        const row = (yield* textOf(page, "billing")).replaceAll("\n", " ")
        assert.match(row, /Forced open .*by hand since .* \(\d+ s\)/)
        yield* Effect.promise(() => page.getByRole("button", { name: "Release" }).click())
        yield* reaches(page, "billing", "Closed")
        const kept = yield* Effect.promise(() =>
          page.evaluate<string>(
            "document.documentElement.outerHTML + JSON.stringify([localStorage, sessionStorage, document.cookie])"
          )
        )
        assert.notInclude(kept, secret)
      }).pipe(Effect.scoped, provided))

    it.live("says when the stream has dropped, and goes on when the server is back", () =>
      Effect.gen(function*() {
        const first = yield* Effect.gen(function*() {
          yield* pipelines({ billing: quick })
          const at = yield* url
          const { page } = yield* open(path, at, wide)
          yield* reaches(page, "billing", "Closed")
          return { at, page }
        }).pipe(provided, Effect.provideService(Scope.Scope, yield* Effect.scope))
        const { at, page } = first
        const link = page.locator("#link")
        yield* Effect.promise(() =>
          link.getByText(/Connection lost. What you see is from .*Trying again/).waitFor({ timeout: 5_000 })
        )
        yield* Effect.gen(function*() {
          const of = yield* pipelines({ billing: opens(30), git: quick })
          yield* fail(of("billing"), 2)
          yield* reaches(page, "billing", "Open")
          yield* reaches(page, "git", "Closed")
          assert.strictEqual(yield* Effect.promise(() => link.innerText()), "Live")
        }).pipe(Effect.provide(live(Number(new URL(at).port)).pipe(Layer.provideMerge(Resilience.layer))))
      }).pipe(Effect.scoped))

    it.live(
      "shows the last state of each of 1,000 services with 10 updates a second each",
      () =>
        Effect.gen(function*() {
          const names = Array.from({ length: 1_000 }, (_, n) => `service-${n}`)
          const of = yield* pipelines(Object.fromEntries(names.map((name) => [name, opens(300)])))
          const { complaints, page } = yield* open(path, yield* url, wide)
          yield* Effect.promise(() => page.locator("#rows > li").nth(999).waitFor({ timeout: 10_000 }))
          const { below } = yield* draws
          // a tenth of the services at a time, so that each comes by ten times a second
          for (let turn = 0; turn < 300; turn++) {
            for (const name of names.slice((turn % 10) * 100, (turn % 10) * 100 + 100)) {
              const pipeline = of(name)
              const what = below(12)
              if (what === 0) yield* fail(pipeline, 2)
              else if (what === 1) yield* present(pipeline.circuitBreaker).reset
              else yield* Effect.ignore(pipeline.protect(Effect.void))
            }
            yield* Effect.sleep("10 millis")
          }
          const last = new Map<string, string>()
          for (const name of names) last.set(name, (yield* present(of(name).circuitBreaker).snapshot).state)
          assert.isAbove([...last.values()].filter((state) => state === "Open").length, 100)
          const shown = Effect.promise(() =>
            page.evaluate<ReadonlyArray<readonly [string, string, string]>>(
              "[...document.querySelectorAll('#rows > li')].map((row) => [row.querySelector('.name').textContent, row.dataset.state, row.querySelector('.word').textContent])"
            )
          )
          const isShown = Effect.map(shown, (rows) => rows.every(([name, state]) => state === last.get(name)))
          yield* eventually(isShown)
          for (const [name, state, word] of yield* shown) {
            assert.strictEqual(state, last.get(name), name)
            assert.strictEqual(word, state)
          }
          assert.lengthOf(yield* shown, 1_000)
          assert.deepStrictEqual(complaints, [])
        }).pipe(Effect.scoped, provided),
      60_000
    )
  })
}
