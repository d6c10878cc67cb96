/** The options of the command line. */
import { Data, Result } from "effect"
import { closeSync, existsSync, openSync, unlinkSync } from "node:fs"
import { parseArgs } from "node:util"
import * as Scenario from "./Scenario.ts"

export interface Options {
  readonly scenario: Scenario.Name
  readonly seconds: number
  readonly rate: number
  readonly seed: number
  readonly json: boolean
  /** Where the report goes. `undefined`: nowhere. */
  readonly report: string | undefined
  /** The port of the live dashboard, 0 for one that is free. `undefined`: there is none. */
  readonly dashboard: number | undefined
}

/** What is wrong with the command line, in words for the one who typed it. */
export class WrongOption extends Data.TaggedError("WrongOption")<{ readonly message: string }> {}

export const help =
  `The outage drill: an application and its four services on real sockets, three gateways to them (plain, naive
retries, this toolkit), and an outage for all three at once.

Usage: npm start -- [options]

  --scenario NAME   ${Scenario.names.join(", ")} (default tour: every fault once)
  --seconds N       how long the gateways are called, ${Scenario.shortest} to ${Scenario.longest}; everything scales with it (default 22)
  --rate N          calls a second to each gateway, 1 to 200 (default 50, or more in a short drill)
  --seed N          a whole number; the same seed gives the same calls at the same instants (default 1)
  --report FILE     writes the plots as one HTML file
  --json            one JSON document on stdout at the end, everything else on stderr
                    (npm: npm start --silent -- --json)
  --dashboard [PORT]
                    serves the live dashboard of the toolkit's gateway on 127.0.0.1 (default: a free port), also after
                    the table, until Ctrl-C, which ends the drill with the exit code that the table gave it
  --help            this text

The settings of the services come from the environment, as CHROMA_TIMEOUT="10 seconds": see examples/drill/Settings.ts.

Exit code: 0 when the toolkit's gateway met its targets, 1 when it missed one or the drill could not run, 2 for a wrong
option or setting or a port that is taken, 3 when it missed one and the machine was too busy to judge, 130 when
interrupted before the table, 141 when nobody reads the output any more.
`

// effect/cli prints its whole help on stdout for every wrong option, and brings flags that a drill does not have.
export const parse = (args: ReadonlyArray<string>): Result.Result<Options | "help", WrongOption> =>
  Result.try({ try: () => parseOrThrow(args), catch: wrongOnly })

/** A defect stays one. */
const wrongOnly = (error: unknown): WrongOption => {
  if (error instanceof WrongOption) return error
  throw error
}

const options = {
  scenario: { type: "string" },
  seconds: { type: "string" },
  rate: { type: "string" },
  seed: { type: "string" },
  report: { type: "string" },
  json: { type: "boolean" },
  // its value is optional, which parseArgs does not know: it is taken from the argument that follows, see below
  dashboard: { type: "boolean" },
  help: { type: "boolean", short: "h" }
} as const

const isOption = (name: string): name is keyof typeof options => Object.hasOwn(options, name)

const parseOrThrow = (args: ReadonlyArray<string>): Options | "help" => {
  const { tokens } = parseArgs({
    args: [...args],
    // not strict: we say what is wrong ourselves, and what would be right
    strict: false,
    tokens: true,
    options
  })
  const given = new Map<string, string | undefined>()
  for (const token of tokens) {
    if (token.kind === "positional") {
      const before = tokens.find(({ index }) => index === token.index - 1)
      if (before?.kind !== "option" || before.name !== "dashboard" || before.value !== undefined) {
        throw wrong(`there is no argument ${JSON.stringify(token.value)}`)
      }
      given.set("dashboard", token.value)
      continue
    }
    if (token.kind === "option-terminator") continue
    const { name, rawName, value } = token
    if (!isOption(name)) throw wrong(`there is no option ${rawName}`)
    if (options[name].type === "boolean" && name !== "dashboard" && value !== undefined) {
      throw wrong(`${rawName} takes no value`)
    }
    if (given.has(name) && (options[name].type === "string" || name === "dashboard")) {
      throw wrong(`${rawName} is given twice`)
    }
    given.set(name, value)
  }
  if (given.has("help")) return "help"

  const text = (name: string, otherwise: string, what: string, holds: (text: string) => boolean): string => {
    if (!given.has(name)) return otherwise
    const value = given.get(name)
    if (value !== undefined && holds(value)) return value
    throw wrong(`--${name} takes ${what}${value === undefined ? "" : `, not ${JSON.stringify(value)}`}`)
  }
  const number = (name: string, otherwise: number, what: string, holds: (n: number) => boolean): number =>
    Number(text(name, String(otherwise), what, (value) => /^-?\d+(\.\d+)?$/.test(value) && holds(Number(value))))

  const { longest, shortest } = Scenario
  const scenario = text("scenario", "tour", `one of ${Scenario.names.join(", ")}`, Scenario.isName)
  const seconds = number("seconds", 22, `a number from ${shortest} to ${longest}`, (n) => n >= shortest && n <= longest)
  const least = Scenario.leastRate(seconds)
  const rate = number("rate", Math.max(50, least), "a number from 1 to 200", (n) => n >= 1 && n <= 200)
  if (rate < least) {
    throw wrong(
      `--rate takes at least ${least} in a drill of ${seconds} s, or too few calls meet each fault to notice it`
    )
  }
  return {
    // what is not a name has been refused above
    scenario: Scenario.isName(scenario) ? scenario : "tour",
    seconds,
    rate,
    seed: number("seed", 1, "a whole number, zero or more", (n) => Number.isSafeInteger(n) && n >= 0),
    json: given.has("json"),
    report: given.has("report")
      ? text("report", "", "the name of a file that can be written", isWritable)
      : undefined,
    dashboard: given.has("dashboard") ? port(given.get("dashboard")) : undefined
  }
}

const port = (value: string = "0"): number => {
  const port = Number(value)
  if (/^\d+$/.test(value) && port <= 65_535) return port
  throw wrong(`--dashboard takes a port from 0 to 65535, or nothing, not ${JSON.stringify(value)}`)
}

/** Better found out now than at the end of the drill: only who opens a file knows whether he may write it. */
const isWritable = (file: string): boolean => {
  try {
    const isThere = existsSync(file)
    closeSync(openSync(file, "a"))
    // a drill that is interrupted leaves no empty report
    if (!isThere) unlinkSync(file)
    return true
  } catch {
    return false
  }
}

const wrong = (message: string) => new WrongOption({ message })
