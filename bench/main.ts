/** `npm run bench`: the cost of a call under our policies, beside Effect's own, cockatiel and opossum, of requests over HTTP, and of being watched. */
import { parseArgs } from "node:util"
import { judge } from "./budget.ts"
import { alone } from "./groups/alone.ts"
import { breaker } from "./groups/breaker.ts"
import { five, fiveSuspending } from "./groups/five.ts"
import * as http from "./groups/http.ts"
import { refusal } from "./groups/refusal.ts"
import { stack, stackSuspending } from "./groups/stack.ts"
import * as status from "./groups/status.ts"
import { measureAll, quick, thorough } from "./measure.ts"
import * as report from "./report.ts"

const groups = [breaker, alone, stack, stackSuspending, five, fiveSuspending, refusal]

const help = `npm run bench -- [options]

  --group NAME  only this group; may be repeated
${[...groups, http, status].map(({ name, title }) => `                  ${name}: ${title}`).join("\n")}
  --quick       sample less: ends within a minute
  --check       compare ratios with bench/budget.json; exit code 1 if one is lost
  --json        print JSON
  --help        print this`

class Misuse extends Error {}

const readOptions = () => {
  try {
    return parseArgs({
      options: {
        group: { type: "string", multiple: true, default: [] },
        quick: { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : String(error))
  }
}

const main = async (): Promise<number> => {
  const options = readOptions()
  if (options.help) {
    console.log(help)
    return 0
  }
  const names = [...groups, http, status].map(({ name }) => name)
  const unknown = options.group.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new Misuse(`no group ${JSON.stringify(unknown)}; there are ${names.join(", ")}`)
  // mitata allocates a gigabyte instead
  if (globalThis.gc === undefined) throw new Misuse("needs node --expose-gc; run it as npm run bench")

  const isChosen = (name: string) => options.group.length === 0 || options.group.includes(name)
  const progress = (line: string) => console.error(`${line} ...`)
  const chosen = groups.filter(({ name }) => isChosen(name))
  const measured = chosen.length === 0 ? [] : await measureAll(chosen, options.quick ? quick : thorough, progress)
  const overHttp = isChosen(http.name)
    ? await http.measure(options.quick ? http.quick : http.thorough, progress)
    : undefined
  const watched = isChosen(status.name)
    ? await status.measure(options.quick ? status.quick : status.thorough, progress)
    : undefined
  const verdicts = options.check ? judge(measured, overHttp) : undefined
  console.log(
    options.json
      ? report.json(measured, overHttp, watched, verdicts)
      : `\n${report.text(measured, overHttp, watched, verdicts)}`
  )
  return verdicts?.some(({ verdict }) => verdict === "lost") ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  // a check that failed may have left work behind that would keep the process alive
  if (!(error instanceof Misuse)) {
    console.error(error)
    process.exit(1)
  }
  console.error(`bench: ${error.message}\n\n${help}`)
  process.exitCode = 2
}
