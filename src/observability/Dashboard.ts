/**
 * A page that shows how all services are, live: for whoever is on call.
 *
 * It follows the status API, so `StatusServer.layer` belongs on the same router. The
 * page is served from the library: nothing is built, and nothing comes from another
 * address. Plots are drawn by uPlot where the package `uplot` is installed beside this
 * one; without it the page says so, and all else works.
 *
 * Its Content-Security-Policy allows its own script, style and stream, and nothing
 * else. Names of services are shown as text, whatever is in them. The page itself is
 * the same for everybody and holds nothing: where the API has `readTokens`, it asks for
 * one, and keeps it as long as it is open. Otherwise it belongs, like the API, on an
 * address that only one's own can reach.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { onlyKeys, refuse } from "../internal/options.ts"
import { page } from "./internal/dashboard/page.ts"
import { scripts } from "./internal/dashboard/scripts.ts"
import { style } from "./internal/dashboard/style.ts"
import { Landing } from "./internal/landing.ts"

/**
 * What a dashboard is made from. All of it is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where the page is: letters, digits, `-`, `_`, `.` and `/`. Default: `/dashboard`. */
  readonly path?: `/${string}` | undefined
  /** Its heading, of at most 100 characters. Default: `Services`. */
  readonly title?: string | undefined
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'"
].join("; ")

const headers = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // a page of another version would not know what the API says
  "cache-control": "no-cache"
}

const answer = (text: string, contentType: string) =>
  Effect.succeed(HttpServerResponse.text(text, { contentType: `${contentType}; charset=utf-8`, headers }))

const pathOf = (path: `/${string}` = "/dashboard"): `/${string}` =>
  typeof path === "string" && /^(\/[\w.-]+)+$/.test(path)
    ? path
    : refuse("Dashboard", "path", "a path like \"/dashboard\", of letters, digits, -, _ and .", path)

const titleOf = (title: string = "Services"): string =>
  typeof title === "string" && title.trim() !== "" && title.length <= 100
    ? title
    : refuse("Dashboard", "title", "text of 1 to 100 characters", title)

/** A file of uPlot; `undefined` where it is not installed, or there are no files. */
const fileOfUplot = (name: string): Effect.Effect<string | undefined, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // not every platform can resolve packages: it throws there, and also where the package is missing
    const url = yield* Effect.try(() => new URL(import.meta.resolve(`uplot/dist/${name}`)))
    return yield* fs.readFileString(yield* path.fromFileUrl(url))
  }).pipe(Effect.catchCause(() => Effect.undefined))

/**
 * The page, its script and its style, as routes. A bad option throws a `RangeError`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 * import { Resilience } from "effect-resilience"
 * import { Dashboard, Recoveries, StatusServer } from "effect-resilience/observability"
 *
 * const app = Layer.mergeAll(StatusServer.layer(), Dashboard.layer({ title: "Shop" })).pipe(
 *   Layer.provide(Recoveries.layer),
 *   Layer.provide(Resilience.layer),
 *   Layer.provide(HttpServer.layerServices)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(app, { disableLogger: true })
 *
 * const answer = await handler(new Request("http://localhost/dashboard"))
 * console.log(/<h1>(.*)<\/h1>/.exec(await answer.text())?.[1]) // => Shop
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | FileSystem.FileSystem | Path.Path> => {
  onlyKeys("Dashboard", options, ["path", "title"])
  const path = pathOf(options.path)
  const title = titleOf(options.title)
  const segments = path.split("/").slice(1)
  // relative, so that the page also works behind a proxy that puts something before the path
  const assets = segments.at(-1) ?? ""
  const api = `${"../".repeat(segments.length - 1)}v1/api/status`
  return HttpRouter.use(Effect.fnUntraced(function*(router) {
    const landing = yield* Landing
    if (landing !== undefined) landing.path ??= path
    const plots = yield* fileOfUplot("uPlot.esm.js")
    const plotsStyle = yield* fileOfUplot("uPlot.min.css")
    const hasPlots = plots !== undefined && plotsStyle !== undefined
    const html = page({ title, assets, modules: Object.keys(scripts), api, hasPlots })
    // from `/dashboard/` the page would look for its parts in a place below; a router may take both for the same
    yield* router.add(
      "GET",
      path,
      (request) =>
        /\/([?#]|$)/.test(request.url)
          ? Effect.succeed(HttpServerResponse.redirect(`../${assets}`, { status: 308, headers }))
          : answer(html, "text/html")
    )
    for (const [name, script] of Object.entries(scripts)) {
      yield* router.add("GET", `${path}/${name}`, answer(script, "text/javascript"))
    }
    yield* router.add("GET", `${path}/style.css`, answer(style, "text/css"))
    if (!hasPlots) return
    yield* router.add("GET", `${path}/uplot.js`, answer(plots, "text/javascript"))
    yield* router.add("GET", `${path}/uplot.css`, answer(plotsStyle, "text/css"))
  }))
}
