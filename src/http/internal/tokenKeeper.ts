/** Keeps the token of a service, and renews it once for all who have found it refused. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import { configError } from "../../internal/configError.ts"
import { guarded } from "../../internal/guarded.ts"
import { onlyKeys, refuse } from "../../internal/options.ts"
import * as InternalToken from "../InternalToken.ts"
import { isHeaderName } from "./headerText.ts"

/** What a header can carry, and never a line break. */
const isToken = (token: Redacted.Redacted): boolean => tokenOf(token) !== undefined

const tokenOf = (token: Redacted.Redacted): string | undefined => {
  // what has been wiped throws
  const value: unknown = guarded(() => Redacted.value(token))
  return typeof value === "string" && value.length <= 8192 && /^[!-~](?:[ -~]*[!-~])?$/.test(value) ? value : undefined
}

const mustBe = "1 to 8192 printable ASCII characters, with no space at either end"

/** Where the token comes from. Nothing is shown of a bad one. */
export const checkedToken = (
  where: string,
  token: InternalToken.InternalToken | undefined
): InternalToken.Source | Config.Config<InternalToken.Source> | undefined => {
  const fixed = (token: Redacted.Redacted): InternalToken.Source => ({ get: Effect.succeed(token) })
  if (token === undefined) return undefined
  if (Config.isConfig(token)) {
    return Config.mapEffect(
      token,
      (token) => isToken(token) ? Effect.succeed(fixed(token)) : Effect.fail(configError(`Expected a token: ${mustBe}`))
    )
  }
  if (!Redacted.isRedacted(token)) return checkedSource(where, token)
  if (!isToken(token)) throw new RangeError(`${where}: token must be ${mustBe}`)
  return fixed(token)
}

/** Checks what can be checked of a source before it is asked. */
const checkedSource = (where: string, source: InternalToken.Source): InternalToken.Source => {
  onlyKeys(`${where}: token`, source, ["get", "refresh", "header"])
  if (!Effect.isEffect(source.get)) refuse(where, "token.get", "an effect", source.get)
  const { header = InternalToken.header } = source
  return isHeaderName(header) ? source : refuse(where, "token.header", "the name of a header", header)
}

export class TokenKeeper {
  readonly header: string
  private readonly source: InternalToken.Source
  private token: string | undefined
  /** How often it has been renewed, or tried to be. */
  private renewals = 0
  /** One at a time reads or renews it; who is interrupted lets the next one do it. */
  private readonly lock = Semaphore.makeUnsafe(1)

  constructor(source: InternalToken.Source) {
    this.source = source
    this.header = (source.header ?? InternalToken.header).toLowerCase()
  }

  /** The token; `undefined` where there is none to be had. */
  readonly current: Effect.Effect<string | undefined> = Effect.suspend(() =>
    this.token !== undefined ? Effect.succeed(this.token) : this.lock.withPermit(
      Effect.suspend(() => this.token !== undefined ? Effect.succeed(this.token) : this.keep(this.source.get))
    )
  )

  /** Another token than the one that was refused; `undefined` where there is none. */
  renewed(refused: string): Effect.Effect<string | undefined> {
    const { refresh } = this.source
    if (refresh === undefined) return Effect.undefined
    const seen = this.renewals
    return this.lock.withPermit(
      Effect.suspend(() => {
        // somebody has renewed it meanwhile, or could not
        if (this.token !== refused || this.renewals !== seen) return Effect.succeed(this.token)
        return Effect.tap(this.keep(refresh), () =>
          Effect.sync(() => {
            this.renewals++
          }))
      })
    ).pipe(Effect.map((token) => token === refused ? undefined : token))
  }

  private keep(source: Effect.Effect<Redacted.Redacted, unknown>): Effect.Effect<string | undefined> {
    return source.pipe(
      Effect.map((token) => {
        const value = tokenOf(token)
        if (value !== undefined) this.token = value
        return value
      }),
      Effect.catch(() => Effect.undefined)
    )
  }
}
