/** The page where something is wrong with the server, the names, the reader's system, or who may read. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, Scope } from "effect"
import { HttpServer } from "effect/http"
import type { Page } from "playwright-core"
import { Resilience } from "../../src/index.ts"
import { StatusPort } from "../../src/node/index.ts"
import { Dashboard, Recoveries, StatusServer } from "../../src/observability/index.ts"
import { eventually } from "../http/server.ts"
import { executable, open, seriousIn } from "./chromium.ts"
import { fail, hostileNames, pipelines, quick, secret } from "./statusSupport.ts"

const live = (options: StatusServer.Options = {}, port = 0) =>
  StatusPort.layer(
    Layer.mergeAll(StatusServer.layer(options), Dashboard.layer()).pipe(Layer.provide(Recoveries.layer)),
    { port }
  ).pipe(Layer.provide(Logger.layer([])))
const provided = (options?: StatusServer.Options) =>
  Effect.provide(live(options).pipe(Layer.provideMerge(Resilience.layer)))

const url = Effect.map(HttpServer.HttpServer, ({ address }) => `${HttpServer.formatAddress(address)}/dashboard`)

const wide = { width: 1_600, height: 1_000 }

const says = (page: Page, id: string, words: RegExp) =>
  Effect.promise(() => page.locator(`#${id}`).getByText(words).waitFor({ timeout: 10_000 }))

const names = (page: Page) => Effect.promise(() => page.locator("#rows .name").allTextContents())

const isAsWideAs = (page: Page, width: number, what: string) =>
  Effect.map(
    Effect.promise(() => page.evaluate<number>("document.documentElement.scrollWidth")),
    (scrollWidth) => assert.isAtMost(scrollWidth, width, what)
  )

/** A row cuts what is wider, and what is out of sight is laid out when it comes into it. */
const nothingIsCut = `(async () => {
  for (const row of document.querySelectorAll("#rows > li")) {
    row.scrollIntoView({ block: "end" })
    for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame)
    if ([row, ...row.querySelectorAll(".more, .row")].some((part) => part.scrollWidth > part.clientWidth)) return false
  }
  return true
})()`

if (executable === undefined) {
  describe.skip("Dashboard under attack (B8): Chromium is not installed", () => {
    it("is not tested here", () => {})
  })
} else {
  const path = executable

  describe("Dashboard under attack", () => {
    it.live("asks for a token where reading needs one, tries no other, and keeps it nowhere (B4)", () =>
      Effect.gen(function*() {
        yield* pipelines({ billing: quick })
        const { complaints, page } = yield* open(path, yield* url, wide)
        const asked: Array<string> = []
        page.on("request", (request) => asked.push(request.url()))
        yield* says(page, "token-note", /asks for a token/)
        assert.deepStrictEqual(yield* seriousIn(page), [])
        yield* Effect.sleep("1 second")
        // nobody has shown one, so nothing is tried
        assert.lengthOf(asked, 0)
        const show = (token: string) =>
          Effect.promise(async () => {
            await page.locator("#read-token").fill(token)
            await page.keyboard.press("Enter")
          })
        yield* show("gu essed \n")
        yield* says(page, "token-note", /no spaces/)
        yield* show("guessed")
        yield* says(page, "token-note", /does not know this token/)
        yield* show(secret)
        yield* says(page, "link", /^Live$/)
        assert.isFalse(yield* Effect.promise(() => page.locator("#ask-token").isVisible()))
        assert.deepStrictEqual(yield* names(page), ["billing"])
        const kept = yield* Effect.promise(() =>
          page.evaluate<string>(
            "document.documentElement.outerHTML + JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
          )
        )
        assert.notInclude(kept + asked.join(), secret)
        // what the browser itself says of an answer 401, and nothing else
        for (const complaint of complaints) assert.include(complaint, "401")
        yield* Effect.promise(() => page.reload())
        yield* says(page, "token-note", /asks for a token/)
      }).pipe(Effect.scoped, provided({ readTokens: { team: Redacted.make(secret) } })))

    it.live("says that there is no room for it, and comes in when there is", () =>
      Effect.gen(function*() {
        yield* pipelines({ billing: quick })
        const first = yield* Scope.fork(yield* Effect.scope)
        const at = yield* url
        const { page: watching } = yield* Effect.provideService(open(path, at, wide), Scope.Scope, first)
        yield* says(watching, "link", /^Live$/)
        const { page } = yield* open(path, at, wide)
        yield* says(page, "link", /no room for one more reader. Asking again in 5 s/)
        assert.match(yield* Effect.promise(() => page.title()), /^\(not live\) /)
        yield* Effect.promise(() => watching.close())
        yield* says(page, "link", /^Live$/)
        assert.notMatch(yield* Effect.promise(() => page.title()), /not live/)
      }).pipe(Effect.scoped, provided({ maxClients: 1 })))

    it.live("shows what another server has that comes up at the same address, and nothing of the one before", () =>
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        const at = yield* Effect.gen(function*() {
          const of = yield* pipelines({ billing: quick, git: quick })
          yield* fail(of("billing"), 3)
          const at = yield* url
          const { page } = yield* open(path, at, wide)
          yield* says(page, "link", /^Live$/)
          yield* Effect.promise(() => page.locator("#rows .row").first().click())
          return { at, page }
        }).pipe(provided(), Effect.provideService(Scope.Scope, scope))
        const { page } = at
        yield* says(page, "link", /Connection lost. What you see is from .*Trying again/)
        assert.match(yield* Effect.promise(() => page.title()), /^\(not live\) /)
        assert.deepStrictEqual(yield* seriousIn(page), [])
        yield* Effect.gen(function*() {
          yield* pipelines({ git: quick, mail: quick })
          yield* says(page, "link", /^Live$/)
          assert.deepStrictEqual((yield* names(page)).toSorted(), ["git", "mail"])
          assert.strictEqual(yield* Effect.promise(() => page.locator("#rows .more").count()), 0)
        }).pipe(Effect.provide(live({}, Number(new URL(at.at).port)).pipe(Layer.provideMerge(Resilience.layer))))
      }).pipe(Effect.scoped))

    it.live(
      "connects anew after sleep, when nothing has been heard for long, and when the server is not understood",
      () =>
        Effect.gen(function*() {
          yield* pipelines({ billing: quick })
          const { complaints, page } = yield* open(path, "about:blank", wide)
          let asked = 0
          page.on("request", (request) => {
            if (request.url().endsWith("/changes")) asked++
          })
          yield* Effect.promise(() => page.clock.install())
          const at = yield* url
          yield* Effect.promise(() => page.goto(at))
          yield* says(page, "link", /^Live$/)
          assert.strictEqual(asked, 1)
          yield* Effect.promise(() => page.clock.fastForward(13_000))
          yield* eventually(Effect.sync(() => asked === 2))
          yield* says(page, "link", /^Live$/)
          assert.deepStrictEqual(complaints, [])

          // a server of another time
          yield* Effect.promise(async () => {
            await page.route(
              "**/changes",
              (route) =>
                route.fulfill({ contentType: "text/event-stream", body: "data: {\"old\": true}\n\ndata: not json\n\n" })
            )
            await page.reload()
          })
          yield* says(page, "link", /not understood: reload this page/)
          yield* Effect.promise(() => page.unroute("**/changes"))
          yield* says(page, "link", /^Live$/)
        }).pipe(Effect.scoped, provided()),
      40_000
    )

    it.live("shows names of services, operations, keys and errors as text, at every width (B8)", () =>
      Effect.gen(function*() {
        const threshold = { trip: { kind: "consecutive", failures: 1 }, open: "1 minute" } as const
        const of = yield* pipelines({
          ...Object.fromEntries(
            hostileNames.map((name) => [name, { retry: false, circuitBreaker: threshold }] as const)
          ),
          operations: {
            retry: false,
            circuitBreaker: threshold,
            operations: Object.fromEntries(hostileNames.map((name) => [name, { circuitBreaker: threshold }] as const))
          },
          tenants: { retry: false, keyedCircuitBreaker: threshold }
        })
        for (const name of hostileNames) {
          const error = { _tag: name }
          yield* Effect.ignore(of(name).protect(Effect.fail(error)))
          yield* Effect.ignore(of("operations").protect(Effect.fail(error), { operation: name }))
          yield* Effect.ignore(of("tenants").protect(Effect.fail(error), { key: name }))
        }
        const { complaints, page } = yield* open(path, yield* url, wide)
        yield* says(page, "link", /^Live$/)
        const all = [...hostileNames, "operations", "tenants"]
        assert.deepStrictEqual((yield* names(page)).toSorted(), all.toSorted())
        for (let n = 0; n < all.length; n++) {
          yield* Effect.promise(() => page.locator("#rows .row").nth(n).click())
        }
        const told = yield* Effect.promise(() => page.locator("#rows > li").allTextContents())
        for (const name of hostileNames) {
          assert.isAtLeast(told.filter((text) => text.includes(`operations/${name}`)).length, 1, name)
          assert.isAtLeast(told.filter((text) => text.includes(`tenants ${JSON.stringify(name)}`)).length, 1, name)
        }
        assert.strictEqual(yield* Effect.promise(() => page.locator("#rows img, #rows script").count()), 0)
        for (const width of [360, 400, 800, 1_240, 1_241, 1_600, 2_000]) {
          yield* Effect.promise(() => page.setViewportSize({ width, height: 900 }))
          yield* isAsWideAs(page, width, `${width} pixels`)
          yield* eventually(Effect.promise(() => page.evaluate<boolean>(nothingIsCut)))
        }
        assert.deepStrictEqual(complaints, [])
      }).pipe(Effect.scoped, provided()))

    it.live("tells at one glance which service fails, since when, what its callers get, and whether it recovers (B8, B9)", () =>
      Effect.gen(function*() {
        const of = yield* pipelines({
          billing: { ...quick, circuitBreaker: { ...quick.circuitBreaker, open: "6 seconds" } },
          git: quick,
          mail: quick
        })
        const { page } = yield* open(path, yield* url, wide)
        yield* says(page, "link", /^Live$/)
        const story = (n: number) => Effect.promise(() => page.locator("#rows .story").nth(n).innerText())
        const first = Effect.promise(() => page.locator("#rows .name").first().innerText())
        yield* fail(of("billing"), 2)
        // its callers are refused, and get a fallback
        const refused = Effect.ignore(of("billing").protect(Effect.void, { fallback: () => Effect.void }))
        for (let n = 0; n < 30; n++) yield* Effect.andThen(refused, Effect.sleep("100 millis"))
        assert.strictEqual(yield* first, "billing")
        const down = (yield* story(0)).replaceAll("\n", " ")
        assert.match(down, /since .* \(\d s\), probe in \d s/)
        assert.match(down, /100% of calls fail, [\d.]+\/s refused, [\d.]+\/s answered by a fallback/)
        assert.match(down, /Boom/)
        yield* Effect.sleep("4 seconds")
        yield* of("billing").protect(Effect.void)
        yield* Effect.promise(() =>
          page.locator("#rows .when").getByText(/recovered at .*, after \d+ s/).waitFor({ timeout: 5_000 })
        )
        assert.strictEqual(yield* Effect.promise(() => page.locator("#sums div").nth(1).innerText()), "Open\n0")
      }).pipe(Effect.scoped, provided()))

    it.live("is read at 200 % zoom, in forced colours and without motion, with nothing serious for axe (B8)", () =>
      Effect.gen(function*() {
        const of = yield* pipelines({ billing: quick, git: quick })
        const { complaints, page } = yield* open(path, yield* url, wide)
        yield* fail(of("billing"), 2)
        yield* Effect.promise(() => page.locator("#rows > li[data-state=Open]").waitFor())
        yield* Effect.promise(() => page.locator("#rows .row").first().click())
        for (const forcedColors of ["none", "active"] as const) {
          for (const colorScheme of ["light", "dark"] as const) {
            yield* Effect.promise(() => page.emulateMedia({ forcedColors, colorScheme, reducedMotion: "reduce" }))
            // what 200 % leaves of 800 and of 1,280 pixels
            for (const width of [400, 640]) {
              yield* Effect.promise(() => page.setViewportSize({ width, height: 500 }))
              yield* isAsWideAs(page, width, `${width} pixels`)
            }
            assert.deepStrictEqual(yield* seriousIn(page), [], `${forcedColors} ${colorScheme}`)
          }
        }
        const moving = yield* Effect.promise(() => page.evaluate<number>("document.getAnimations().length"))
        assert.strictEqual(moving, 0)
        assert.deepStrictEqual(complaints, [])
      }).pipe(Effect.scoped, provided()))

    it.live("brings up what fails where a pointer rests on the list and a row has the focus, but not under moving hands", () =>
      Effect.gen(function*() {
        const of = yield* pipelines({ a: quick, b: quick, z: quick })
        const { page } = yield* open(path, yield* url, wide)
        yield* says(page, "link", /^Live$/)
        const first = Effect.promise(() => page.locator("#rows .name").first().innerText())
        const moves = (x: number) => Effect.promise(() => page.mouse.move(x, 260))
        yield* Effect.promise(() => page.locator("#rows .row").first().focus())
        yield* moves(400)
        yield* fail(of("z"), 2)
        for (let n = 0; n < 5; n++) {
          yield* Effect.andThen(moves(400 + n), Effect.sleep("400 millis"))
          assert.strictEqual(yield* first, "a")
        }
        yield* eventually(Effect.map(first, (name) => name === "z"))
        // what had the focus has it still
        const focused = yield* Effect.promise(() => page.evaluate<string>("document.activeElement.textContent"))
        assert.match(focused, /^a/)
      }).pipe(Effect.scoped, provided()))

    it.live("says that there is no service yet, and shows the first when it comes", () =>
      Effect.gen(function*() {
        const { page } = yield* open(path, yield* url, wide)
        yield* says(page, "empty", /No services yet/)
        yield* pipelines({ billing: quick })
        yield* Effect.promise(() => page.locator("#rows .name").getByText("billing").waitFor({ timeout: 5_000 }))
        assert.isFalse(yield* Effect.promise(() => page.locator("#empty").isVisible()))
      }).pipe(Effect.scoped, provided()))
  })
}
