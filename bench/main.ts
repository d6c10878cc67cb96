/** `npm run bench`: the cost of a call under our policies, beside others of their kind, of requests over HTTP, and of being watched. */
import { parseArgs } from "node:util"
import { judge, judgeHttp, judgeMemory, type Verdict } from "./budget.ts"
import { alone } from "./groups/alone.ts"
import { breaker } from "./groups/breaker.ts"
import { five, fiveFromOutside, fiveSuspending } from "./groups/five.ts"
import * as http from "./groups/http.ts"
import { listening } from "./groups/listening.ts"
import { refusal } from "./groups/refusal.ts"
import { contention, keyed, window } from "./groups/scale.ts"
import * as status from "./groups/status.ts"
import { measureAll, type Measured, prepareAll, type Prepared, quick, type Sampling, thorough } from "./measure.ts"
import * as memory from "./memory.ts"
import * as report from "./report.ts"

const groups = [breaker, alone, five, fiveSuspending, fiveFromOutside, refusal, listening, keyed, window, contention]
const all = [...groups, memory, http, status]

const help = `npm run bench -- [options]

  --group NAME  only this group; may be repeated
${all.map(({ name, title }) => `                  ${name}: ${title}`).join("\n")}
  --quick       sample less: ends within a minute
  --check       compare with bench/budget.json, and measure again what is not kept. Exit code 1: something is lost;
                3: nothing is lost, but the machine is too busy to tell about all of it
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

const progress = (line: string) => console.error(`${line} ...`)

const isKept = ({ outcome }: Verdict): boolean => outcome === "kept"

/** The verdicts, those of groups where something was not kept from measuring them once more. */
const check = async (
  prepared: ReadonlyArray<Prepared>,
  measured: ReadonlyArray<Measured>,
  sampling: Sampling
): Promise<ReadonlyArray<Verdict>> => {
  const first = judge(measured)
  const doubtful = new Set(first.filter((verdict) => !isKept(verdict)).map(({ group }) => group))
  if (doubtful.size === 0) return first
  progress(`measuring again: ${[...doubtful].join(", ")}`)
  const again = await measureAll(prepared.filter(({ group }) => doubtful.has(group.name)), sampling, progress)
  return [...first.filter(({ group }) => !doubtful.has(group)), ...judge(again, true)]
}

const checkHttp = async (measured: http.Measured, sampling: http.Sampling): Promise<ReadonlyArray<Verdict>> => {
  const first = judgeHttp(measured)
  return first.every(isKept) ? first : judgeHttp(await http.measure(sampling, progress), true)
}

const exitCode = (verdicts: ReadonlyArray<Verdict>): number =>
  verdicts.every(isKept) ? 0 : verdicts.some(({ outcome }) => outcome === "lost") ? 1 : 3

const main = async (): Promise<number> => {
  const options = readOptions()
  if (options.help) {
    console.log(help)
    return 0
  }
  const names = all.map(({ name }) => name)
  const unknown = options.group.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new Misuse(`no group ${JSON.stringify(unknown)}; there are ${names.join(", ")}`)
  if (globalThis.gc === undefined) throw new Misuse("needs node --expose-gc; run it as npm run bench")

  const isChosen = ({ name }: { readonly name: string }) => options.group.length === 0 || options.group.includes(name)
  const sampling = options.quick ? quick : thorough
  const httpSampling = options.quick ? http.quick : http.thorough
  const verdicts: Array<Verdict> = []

  // first, while there is nothing else on the heap
  const held = isChosen(memory) ? await memory.measure(progress) : undefined
  const chosen = groups.filter(isChosen)
  const prepared = chosen.length === 0 ? [] : await prepareAll(chosen, sampling, progress)
  const measured = chosen.length === 0 ? [] : await measureAll(prepared, sampling, progress)
  if (options.check) verdicts.push(...await check(prepared, measured, sampling))
  if (options.check && held !== undefined) verdicts.push(...judgeMemory(held))
  const overHttp = isChosen(http) ? await http.measure(httpSampling, progress) : undefined
  if (options.check && overHttp !== undefined) verdicts.push(...await checkHttp(overHttp, httpSampling))

  const watched = isChosen(status)
    ? await status.measure(options.quick ? status.quick : status.thorough, progress)
    : undefined

  const results = {
    measured,
    memory: held,
    http: overHttp,
    status: watched,
    verdicts: options.check ? verdicts : undefined
  }
  console.log(options.json ? report.json(results) : `\n${report.text(results)}`)
  return exitCode(verdicts)
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
