/** Checks where a service lives, and finds it. */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { configError } from "../../internal/configError.ts"
import { onlyKeys, refuse } from "../../internal/options.ts"
import type { BaseUrl, Discovery } from "../BaseUrl.ts"

/** A base url that has been checked, or the way to one; `undefined` is none that could be used. */
export type Address = URL | Effect.Effect<URL | undefined>

const mustBe = "an absolute url that begins with http:// or https://, without credentials, query or fragment"

const isBaseUrl = ({ href, password, protocol, username }: URL): boolean =>
  (protocol === "http:" || protocol === "https:") && `${username}${password}` === "" && !/[?#]/.test(href)

/** What may be shown of a url: `localhost:3000` is one, whose protocol is `localhost:`. */
const shown = (url: URL | undefined): string | undefined =>
  url === undefined || url.origin !== "null" ? url?.origin : `${url.protocol}...`

const parse = (url: URL | string): URL | undefined =>
  url instanceof URL ? url : URL.canParse(url) ? new URL(url) : undefined

const usable = (found: URL | string): URL | undefined => {
  const url = parse(found)
  return url !== undefined && isBaseUrl(url) ? url : undefined
}

/** Checks a base url when a client is declared; what is left is to be done when its layer is built. */
export const checked = (
  where: string,
  baseUrl: BaseUrl
): Effect.Effect<Address, Config.ConfigError, unknown> => {
  if (Config.isConfig(baseUrl)) return fromConfig(baseUrl)
  if (typeof baseUrl === "object" && "discover" in baseUrl) return discovering(where, baseUrl)
  const url = parse(baseUrl)
  // the value may hold a password, so nothing is shown of one that is a url
  return Effect.succeed(
    url !== undefined && isBaseUrl(url) ? url : refuse(where, "baseUrl", mustBe, shown(url) ?? baseUrl)
  )
}

const fromConfig = (baseUrl: Config.Config<URL>): Effect.Effect<URL, Config.ConfigError> =>
  Effect.flatMap(
    baseUrl,
    (url) => isBaseUrl(url) ? Effect.succeed(url) : Effect.fail(configError(`Expected ${mustBe}`, shown(url)))
  )

const discovering = (
  where: string,
  baseUrl: Discovery<unknown>
): Effect.Effect<Effect.Effect<URL | undefined>, never, unknown> => {
  onlyKeys(`${where}: baseUrl`, baseUrl, ["discover"])
  if (!Effect.isEffect(baseUrl.discover)) refuse(where, "baseUrl.discover", "an effect", baseUrl.discover)
  return Effect.contextWith((built: Context.Context<unknown>) =>
    Effect.succeed(
      baseUrl.discover.pipe(
        Effect.map(usable),
        Effect.catch(() => Effect.undefined),
        // what the call has of its own, its deadline perhaps, goes before what the layer was built with
        Effect.updateContext((own: Context.Context<never>) => Context.merge(built, own))
      )
    )
  )
}
