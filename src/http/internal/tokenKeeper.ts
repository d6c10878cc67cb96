/** Keeps the token of a service, and renews it once for all who have found it refused. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Deadline from "../../Deadline.ts"
import { configError } from "../../internal/configError.ts"
import { guarded } from "../../internal/guarded.ts"
import { onlyKeys, positiveMillis, refuse } from "../../internal/options.ts"
import * as InternalToken from "../InternalToken.ts"
import { isHeaderName } from "./headerText.ts"

const defaultTimeout = "30 seconds"

/** How much of the time that it has left a call waits for a token. */
const patience = 0.9

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
  onlyKeys(`${where}: token`, source, ["get", "refresh", "header", "timeout"])
  if (!Effect.isEffect(source.get)) refuse(where, "token.get", "an effect", source.get)
  if (source.timeout !== undefined) positiveMillis(where, "token.timeout", source.timeout)
  const { header = InternalToken.header } = source
  return isHeaderName(header) ? source : refuse(where, "token.header", "the name of a header", header)
}

export class TokenKeeper {
  readonly header: string
  private readonly source: InternalToken.Source
  private readonly timeout: Duration.Duration
  private token: string | undefined
  /** What reads or renews it now, or has done so last. */
  private asking: Fiber.Fiber<string | undefined> | undefined

  constructor(source: InternalToken.Source) {
    this.source = source
    this.header = (source.header ?? InternalToken.header).toLowerCase()
    this.timeout = Duration.fromInputUnsafe(source.timeout ?? defaultTimeout)
  }

  /** The token; `undefined` where there is none to be had. */
  readonly current: Effect.Effect<string | undefined> = Effect.suspend(() =>
    this.token !== undefined ? Effect.succeed(this.token) : this.shared(this.source.get)
  )

  /** Another token than the one that was refused; `undefined` where there is none. */
  renewed(refused: string): Effect.Effect<string | undefined> {
    const { refresh } = this.source
    if (refresh === undefined) return Effect.undefined
    return Effect.suspend(() =>
      // somebody may have renewed it meanwhile
      this.token !== refused ? Effect.succeed(this.token) : this.shared(refresh)
    ).pipe(Effect.map((token) => token === refused ? undefined : token))
  }

  /**
   * What is asked for once by all who wait, in a fiber of its own: a call that gives
   * up leaves it to the others, and to the next, since it may have spent a refresh
   * token. A call that would wait to the end of its time goes without before that:
   * it is the issuer that is slow, and not the service.
   */
  private shared(source: Effect.Effect<Redacted.Redacted, unknown>): Effect.Effect<string | undefined> {
    return Effect.flatMap(Deadline.remaining, (remaining) =>
      Effect.withFiber((fiber) => {
        if (this.asking === undefined || this.asking.pollUnsafe() !== undefined) {
          this.asking = Effect.runForkWith(fiber.context)(Deadline.detach(this.keep(source)))
        }
        const left = Option.match(remaining, {
          onNone: () => this.timeout,
          onSome: (left) => Duration.min(this.timeout, Duration.millis(Duration.toMillis(left) * patience))
        })
        return Effect.map(
          Effect.timeoutOption(Fiber.await(this.asking), left),
          (ended) => Option.isSome(ended) && Exit.isSuccess(ended.value) ? ended.value.value : undefined
        )
      }))
  }

  /** Its errors may hold secrets, and so may what it dies of. */
  private keep(source: Effect.Effect<Redacted.Redacted, unknown>): Effect.Effect<string | undefined> {
    return source.pipe(
      Effect.timeout(this.timeout),
      Effect.map((token) => {
        const value = tokenOf(token)
        if (value !== undefined) this.token = value
        return value
      }),
      Effect.catchCause(() => Effect.undefined)
    )
  }
}
