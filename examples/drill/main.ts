/**
 * The outage drill: an application, its four services and three gateways to them, on real sockets, and an outage.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Effect, Exit, Result } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:net"
import process from "node:process"
import * as Drill from "./Drill.ts"
import * as Journal from "./Journal.ts"
import * as Live from "./Live.ts"
import { urlVariables } from "./Messages.ts"
import { gatewayNames } from "./Names.ts"
import * as Options from "./Options.ts"
import * as Output from "./Output.ts"
import { gateways, type Recording } from "./Recording.ts"
import * as Report from "./Report.ts"
import * as Scenario from "./Scenario.ts"
import * as Settings from "./Settings.ts"
import * as Summary from "./Summary.ts"
import * as Table from "./Table.ts"
import * as Verdict from "./Verdict.ts"
import { time } from "./Words.ts"

type Screen = NodeJS.WriteStream

const intro = (output: Output.Output, { deadlines, factor, phases, rate, scenario, seconds, seed }: Recording) => {
  const { charge, chat, file, snapshot } = deadlines
  output.print(
    `Outage drill "${scenario}": ${phases.length} outages in ${seconds} s. Three gateways (${
      gateways.map((gateway) => gatewayNames[gateway]).join(", ")
    }),\n` +
      `each with four services of its own, get the same ${rate} calls a second. The breakers are those of ` +
      `${gatewayNames.resilient}.\n` +
      `Seed ${seed}; the application's times are divided by ${Table.factorText(factor)}: users wait ` +
      `${time(chat)} for a chat, ${time(file)} for a file,\n` +
      `${time(charge)} for a charge, ${time(snapshot)} for a snapshot. Starting six processes ...\n`
  )
}

const pageOf = `the live dashboard of ${gatewayNames.resilient}'s gateway`

/** Everything that a drill leaves behind: the table, the page, the document. Gives the exit code. */
const finish = (
  options: Options.Options,
  { now, recording }: Journal.Progress,
  output: Output.Output,
  screen: Screen
) =>
  Effect.sync(() => {
    const summary = Summary.make(recording)
    output.print("")
    if (now() > 0) {
      for (const { text, tone } of Table.lines(summary, recording, screen.columns)) output.print(text, tone)
    } else output.print("Interrupted before the first call.", "warn")
    if (options.json) {
      const { deadlines, factor, rate, scenario, seconds, seed } = recording
      process.stdout.write(`${Summary.json(summary, { scenario, seconds, rate, seed, factor, deadlines })}\n`)
    }
    if (options.report !== undefined) {
      try {
        writeFileSync(options.report, Report.html(recording))
        output.print(`The plots are in ${options.report}`)
      } catch (error) {
        output.print(`The plots could not be written: ${error instanceof Error ? error.message : String(error)}`, "bad")
        return 1
      }
    }
    return Verdict.exitCodes[summary.verdict]
  })

const drill = Effect.fnUntraced(function*(options: Options.Options, output: Output.Output, screen: Screen) {
  const { rate, scenario, seconds, seed } = options
  const factor = Scenario.factor(seconds)
  const deadlines = Settings.deadlines(factor)
  const phases = Scenario.phases(scenario, seconds)
  const journal = yield* Journal.make({ scenario, seconds, rate, seed, factor, deadlines, phases })
  intro(output, journal.recording)
  // once: what comes after it changes nothing about what was seen
  const told = yield* Effect.cached(finish(options, journal, output, screen))
  return yield* Effect.gen(function*() {
    const stage = yield* Drill.stage(journal, options.dashboard)
    if (stage.dashboardUrl !== undefined) output.print(`${stage.dashboardUrl} is ${pageOf}.\n`)
    yield* Effect.scoped(
      Effect.andThen(watch(journal, output, screen), Drill.run(stage, journal)).pipe(
        // said before the live view ends, so that it tells no more than what has happened
        Effect.onError(() => Effect.sync(journal.interrupt))
      )
    )
    if (stage.dashboardUrl === undefined) return
    process.exitCode = yield* told
    output.print(`\n${stage.dashboardUrl} is ${pageOf}, until Ctrl-C.`)
    return yield* stage.died
  }).pipe(
    // also where there is no view yet
    Effect.onError(() => Effect.sync(journal.interrupt)),
    Effect.scoped,
    Effect.andThen(told),
    Effect.onInterrupt(() => told)
  )
})

/** A port that is taken is told before anything is started, as all that is wrong with the options. */
const isFree = (port: number): Effect.Effect<void, Options.WrongOption> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.on("error", ({ message }) => {
      const reason = message.includes("EADDRINUSE") ? "is taken" : `cannot be had: ${message}`
      resume(Effect.fail(new Options.WrongOption({ message: `--dashboard: port ${port} of 127.0.0.1 ${reason}` })))
    })
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.void)))
    return Effect.sync(() => server.close())
  })

/** What the environment says of the services must be right before anything is started. Urls and factor are the drill's own. */
const environment = Effect.suspend(() => {
  const urls = Object.fromEntries(Object.values(urlVariables).map((name) => [name, "http://127.0.0.1"]))
  const env = { INTERNAL_TOKEN: "any", ...process.env, DRILL_FACTOR: "1", ...urls }
  return Effect.provideService(Settings.settings, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
}).pipe(
  Effect.mapError(({ message }) =>
    new Options.WrongOption({
      message: `in the environment: ${message.replace(/\s+/g, " ").replace(/^SchemaError\((.*)\)$/, "$1")}`
    })
  )
)

/** Shows what happens until the scope ends. */
const watch = (progress: Journal.Progress, output: Output.Output, screen: Screen) =>
  Effect.forkScoped(Live.follow(Live.make({ progress, output, screen })), { startImmediately: true })

/** The exit code of a program whose output nobody reads: that of one ended by SIGPIPE. */
const brokenPipe = 141

const wrong = ({ message }: Options.WrongOption) =>
  Effect.sync(() => {
    process.stderr.write(`drill: ${message}\nTry: npm start -- --help\n`)
    return 2
  })

const program = Effect.suspend(() => {
  const parsed = Options.parse(process.argv.slice(2))
  if (Result.isFailure(parsed)) return wrong(parsed.failure)
  const options = parsed.success
  if (options === "help") {
    process.stdout.write(Options.help)
    return Effect.succeed(0)
  }
  // with --json nothing but the document goes to stdout
  const screen = options.json ? process.stderr : process.stdout
  const output = Output.to(screen)
  return environment.pipe(
    Effect.andThen(options.dashboard === undefined ? Effect.void : isFree(options.dashboard)),
    Effect.andThen(drill(options, output, screen)),
    Effect.provide(NodeHttpClient.layerUndici),
    Effect.catchTag("WrongOption", wrong),
    Effect.catchTag("ProcessDied", ({ message, process: name }) =>
      Effect.sync(() => {
        process.stderr.write(`drill: ${name}: ${message}\n`)
        return 1
      })),
    Effect.raceFirst(Effect.as(Output.readerGone, brokenPipe))
  )
})

NodeRuntime.runMain(program, {
  // Ctrl-C interrupts the program: its processes are gone before this. It is how a drill ends that has told its verdict
  // and kept its dashboard.
  teardown: (exit, onExit) =>
    onExit(
      Exit.isSuccess(exit) && typeof exit.value === "number"
        ? exit.value
        : Exit.hasInterrupts(exit)
        ? Number(process.exitCode ?? 130)
        : 1
    )
})
