/**
 * The outage drill: a real HTTP service breaks in five ways, and a resilient client lives through all of them.
 */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Exit, Layer, Random, Result, Stream } from "effect"
import { Resilience } from "effect-resilience"
import process from "node:process"
import * as FaultyServer from "./FaultyServer.ts"
import * as Journal from "./Journal.ts"
import * as Narrator from "./Narrator.ts"
import * as Options from "./Options.ts"
import * as Output from "./Output.ts"
import * as Scenario from "./Scenario.ts"
import * as Shop from "./Shop.ts"
import * as Summary from "./Summary.ts"
import * as Traffic from "./Traffic.ts"
import { time } from "./Words.ts"

const intro = (output: Output.Output, options: Options.Options, protection: Shop.Protection, url: string) => {
  const { attemptTimeout, circuitBreaker, retry, totalTimeout } = protection
  output.print(`Outage drill: ${options.rate} calls a second for ${options.seconds} s to ${url}, seed ${options.seed}`)
  output.print(
    `The client: ${time(attemptTimeout)} for an attempt, ${time(totalTimeout)} for a call with all its waits; ` +
      `a GET has up to ${retry.times} retries, a POST none.`
  )
  output.print(
    `Its breaker: opens at ${circuitBreaker.trip.failures} failures in a row, for ${time(circuitBreaker.open)} ` +
      `or as long as the service asks; then one call may try.\n`
  )
}

const drill = Effect.fnUntraced(function*(options: Options.Options, output: Output.Output, stdout: Output.Output) {
  const scenario = Scenario.make(options.seconds)
  const protection = Shop.protection(scenario)
  const schedule = yield* Traffic.schedule({ end: scenario.end, rate: options.rate, seed: options.seed })

  const server = yield* FaultyServer.make(yield* Shop.service)
  const Client = Shop.client(server.url, protection)
  const context = yield* Layer.build(Client.layer.pipe(
    Layer.provide(Traffic.layerCounting),
    Layer.provide(NodeHttpClient.layerUndici),
    Layer.provideMerge(Resilience.layer)
  ))
  const shop = Context.get(context, Client)
  const { events } = Context.get(context, Resilience.Resilience)

  // The first calls load code, and say nothing about the service.
  yield* Effect.forEach([0, 1, 2, 3], (n) => Effect.ignore(Shop.call(shop, n).run), { discard: true })

  intro(output, options, protection, server.url)
  const journal = yield* Journal.make
  const narrator = Narrator.make(journal, protection, output.line)

  const report = (isFinished: boolean) =>
    Effect.andThen(
      narrator.finish,
      Effect.sync(() => {
        const made = isFinished ? schedule.length : schedule.filter((due) => due <= journal.now()).length
        const summary = Summary.make(journal, scenario.phases, made)
        const verdict = !isFinished ? "interrupted" : summary.missing.length === 0 ? "passed" : "failed"
        Summary.print(summary, output, isFinished)
        if (options.json) {
          const script = scenario.phases.map(({ at, fault, says }) => ({ at, fault: fault ?? null, server: says }))
          const document = { verdict, options, client: protection, script, schedule, ...summary }
          stdout.print(JSON.stringify(document, null, 2))
        }
        return verdict === "passed" ? 0 : 1
      })
    )

  return yield* Effect.gen(function*() {
    // They listen before the first call, so that no event is missed.
    yield* Effect.forkScoped(Stream.runForEach(events, (event) => Effect.sync(() => journal.event(event))), {
      startImmediately: true
    })
    yield* Effect.forkScoped(narrator.follow)
    const script = Effect.forEach(
      scenario.phases,
      (phase) =>
        Effect.suspend(() => Effect.sleep(Math.max(0, phase.at - journal.now()))).pipe(
          Effect.andThen(Effect.sync(() => journal.phase(phase))),
          Effect.andThen(server.become(phase.mode))
        ),
      { discard: true }
    )
    const traffic = Traffic.run({
      schedule,
      journal,
      seed: options.seed,
      call: (n) => Shop.call(shop, n),
      patience: protection.totalTimeout + 1000
    })
    yield* Effect.all([script, traffic], { concurrency: "unbounded", discard: true })
    return yield* report(true)
  }).pipe(Effect.onInterrupt(() => report(false)))
}, Effect.scoped)

/** The exit code of a program whose output nobody reads: that of one ended by SIGPIPE. */
const brokenPipe = 141

const program = Effect.suspend(() => {
  const parsed = Options.parse(process.argv.slice(2))
  if (Result.isFailure(parsed)) {
    process.stderr.write(`drill: ${parsed.failure.message}\nTry: npm start -- --help\n`)
    return Effect.succeed(2)
  }
  const options = parsed.success
  if (options === "help") {
    process.stdout.write(Options.help)
    return Effect.succeed(0)
  }
  const stdout = Output.to(process.stdout)
  // with --json nothing but the document goes to stdout
  const output = options.json ? Output.to(process.stderr) : stdout
  return drill(options, output, stdout).pipe(
    Effect.onInterrupt(() => Effect.sync(() => output.print("interrupted"))),
    Random.withSeed(options.seed),
    Effect.raceFirst(Effect.as(Output.readerGone, brokenPipe))
  )
})

NodeRuntime.runMain(program, {
  // Ctrl-C interrupts the program: its server and its connections are closed before this.
  teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? exit.value as number : Exit.hasInterrupts(exit) ? 130 : 1)
})
