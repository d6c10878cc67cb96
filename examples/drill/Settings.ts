/**
 * The settings of the application: what the environment says, and defaults where it says nothing.
 *
 * All times are written as in production. The drill divides them by one factor, so that an opening and a recovery
 * fit into seconds; nothing else about them changes.
 *
 * | variable                   | means                                   | default      |
 * | -------------------------- | --------------------------------------- | ------------ |
 * | `CHROMA_SERVER_URL`        | where the service lives                 | none         |
 * | `CHROMA_MAX_RETRIES`       | retries after the first attempt         | 3            |
 * | `CHROMA_TIMEOUT`           | the longest that one attempt may take   | `15 seconds` |
 * | `CHROMA_FAILURE_THRESHOLD` | failures in a row that open the breaker | 5            |
 * | `CHROMA_RECOVERY_TIMEOUT`  | how long it stays open                  | `60 seconds` |
 * | `INTERNAL_TOKEN`           | the token that services show each other | none         |
 * | `DRILL_FACTOR`             | by what all times are divided           | 1            |
 *
 * The same with `FILESYSTEM_`, `BILLING_` and `GIT_`, whose defaults are in `declared`.
 */
import { Config, Duration, type Redacted, Schema } from "effect"
import { urlVariables } from "./Messages.ts"
import { eachService, type Operation, type Service } from "./Recording.ts"

/** How the client of one service behaves. Times are milliseconds. */
export interface ServiceSettings {
  /** Retries after the first attempt. */
  readonly retries: number
  /** The longest that one attempt may take. */
  readonly timeout: number
  /** Failures in a row that open the breaker. */
  readonly failures: number
  /** How long it stays open. */
  readonly recovery: number
}

/** The defaults, undivided. */
export const declared: Readonly<Record<Service, ServiceSettings>> = {
  vectorStore: { retries: 3, timeout: 15_000, failures: 5, recovery: 60_000 },
  fileSystem: { retries: 3, timeout: 20_000, failures: 5, recovery: 60_000 },
  billing: { retries: 2, timeout: 5_000, failures: 10, recovery: 30_000 },
  git: { retries: 3, timeout: 30_000, failures: 5, recovery: 90_000 }
}

/** How long a user waits for each operation before he gives up, in milliseconds. */
export const deadlines = (factor: number): Readonly<Record<Operation, number>> => ({
  chat: 20_000 / factor,
  file: 25_000 / factor,
  charge: 10_000 / factor,
  snapshot: 30_000 / factor
})

/** The timeout that everybody writes first, in seconds, undivided: that of the two gateways without protection. */
export const usualTimeout = 30

/** The names of a service's variables begin with these. */
const prefixes = {
  vectorStore: "CHROMA",
  fileSystem: "FILESYSTEM",
  billing: "BILLING",
  git: "GIT"
} as const satisfies Record<Service, string>

/** The settings of a gateway. */
export interface Settings {
  readonly factor: number
  readonly token: Redacted.Redacted
  /** Divided by the factor. */
  readonly services: Readonly<Record<Service, ServiceSettings & { readonly url: URL }>>
  /** Seconds of production as milliseconds of the drill. */
  readonly time: (seconds: number) => number
}

const PositiveDuration = Schema.DurationFromString.check(
  Schema.makeFilter((duration) => {
    const millis = Duration.toMillis(duration)
    return millis > 0 && Number.isFinite(millis) || "Expected a finite duration above zero"
  })
)

/** By what all times are divided. Default: 1. */
export const factor: Config.Config<number> = Config.schema(
  Schema.FiniteFromString.check(Schema.isGreaterThan(0)),
  "DRILL_FACTOR"
).pipe(Config.withDefault(1))

const HeaderText = Schema.String.check(
  Schema.isPattern(/^[!-~]{1,8192}$/, { message: "Expected printable ASCII without spaces, as headers carry it" })
)

/** The token that services show each other. */
export const token: Config.Config<Redacted.Redacted> = Config.schema(
  Schema.RedactedFromValue(HeaderText),
  "INTERNAL_TOKEN"
)

const millis = (name: string, orElse: number): Config.Config<number> =>
  Config.schema(PositiveDuration, name).pipe(Config.map(Duration.toMillis), Config.withDefault(orElse))

const count = (name: string, atLeast: number, orElse: number): Config.Config<number> =>
  Config.schema(Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(atLeast)), name).pipe(
    Config.withDefault(orElse)
  )

const service = (name: Service) => {
  const prefix = prefixes[name]
  const { failures, recovery, retries, timeout } = declared[name]
  return Config.all({
    url: Config.URL(urlVariables[name]),
    retries: count(`${prefix}_MAX_RETRIES`, 0, retries),
    timeout: millis(`${prefix}_TIMEOUT`, timeout),
    failures: count(`${prefix}_FAILURE_THRESHOLD`, 1, failures),
    recovery: millis(`${prefix}_RECOVERY_TIMEOUT`, recovery)
  })
}

/** The settings of a gateway, from the environment. */
export const settings: Config.Config<Settings> = Config.all({
  factor,
  token,
  services: Config.all(eachService(service))
}).pipe(
  Config.map(({ factor, services, token }): Settings => ({
    factor,
    token,
    services: eachService((service) => ({
      ...services[service],
      timeout: services[service].timeout / factor,
      recovery: services[service].recovery / factor
    })),
    time: (seconds) => seconds * 1000 / factor
  }))
)
