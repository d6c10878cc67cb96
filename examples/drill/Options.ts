/** The options of the command line. */
import { Data, Result } from "effect"
import { parseArgs } from "node:util"
import * as Scenario from "./Scenario.ts"

export interface Options {
  readonly seconds: number
  readonly rate: number
  readonly seed: number
  readonly json: boolean
}

/** What is wrong with the command line, in words for the one who typed it. */
export class WrongOption extends Data.Error<{ readonly message: string }> {}

export const help =
  `The outage drill: a real HTTP service breaks in five ways, and a resilient client lives through all of them.

Usage: npm start -- [options]

  --seconds N   how long the service is called, ${Scenario.shortest} to ${Scenario.longest}; everything scales with it (default 10)
  --rate N      calls a second, 1 to 500 (default 50); a short drill needs many
  --seed N      a whole number; the same seed gives the same calls at the same instants (default 1)
  --json        one JSON document on stdout at the end, the lines on stderr (npm: npm start --silent -- --json)
  --help        this text

Exit code: 0 when all was seen that had to be seen, 1 when not, 2 for a wrong option, 130 when interrupted.
`

// effect/cli prints its whole help on stdout for every wrong option, and brings flags that a drill does not have.
export const parse = (args: ReadonlyArray<string>): Result.Result<Options | "help", WrongOption> =>
  Result.try({ try: () => parseOrThrow(args), catch: (error) => error as WrongOption })

const options = {
  seconds: { type: "string" },
  rate: { type: "string" },
  seed: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" }
} as const

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
    if (token.kind === "positional") throw wrong(`there is no argument ${JSON.stringify(token.value)}`)
    if (token.kind === "option-terminator") continue
    if (!Object.hasOwn(options, token.name)) throw wrong(`there is no option ${token.rawName}`)
    if (options[token.name as keyof typeof options].type === "boolean" && token.value !== undefined) {
      throw wrong(`${token.rawName} takes no value`)
    }
    given.set(token.name, token.value)
  }
  if (given.has("help")) return "help"

  const number = (name: string, otherwise: number, what: string, holds: (n: number) => boolean): number => {
    if (!given.has(name)) return otherwise
    const text = given.get(name)
    const value = text === undefined || !/^-?\d+(\.\d+)?$/.test(text) ? Number.NaN : Number(text)
    if (holds(value)) return value
    throw wrong(`--${name} takes ${what}${text === undefined ? "" : `, not ${JSON.stringify(text)}`}`)
  }
  const { longest, shortest } = Scenario
  const seconds = number("seconds", 10, `a number from ${shortest} to ${longest}`, (n) => n >= shortest && n <= longest)
  const rate = number("rate", 50, "a number from 1 to 500", (n) => n >= 1 && n <= 500)
  const least = Scenario.leastRate(seconds)
  if (rate < least) {
    throw wrong(
      `--rate takes at least ${least} in a drill of ${seconds} s, or too few calls meet each fault to notice it`
    )
  }
  return {
    seconds,
    rate,
    seed: number("seed", 1, "a whole number, zero or more", (n) => Number.isSafeInteger(n) && n >= 0),
    json: given.has("json")
  }
}

const wrong = (message: string) => new WrongOption({ message })
