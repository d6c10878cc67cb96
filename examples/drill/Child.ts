/** What the processes of a gateway and of its back ends have in common: see Messages.ts. */
import { Cause, Effect, Exit, Logger, type Scope } from "effect"
import { flushCompileCache } from "node:module"
import process from "node:process"
import * as LoopDelay from "./LoopDelay.ts"
import type { Command, Notice } from "./Messages.ts"

/** Collects notices for a moment: one message for each would be more work than the work itself. */
export class Batch<A> {
  private held: Array<A> = []
  private timer: NodeJS.Timeout | undefined
  private readonly notice: (records: ReadonlyArray<A>) => Notice

  constructor(notice: (records: ReadonlyArray<A>) => Notice) {
    this.notice = notice
  }

  readonly add = (record: A): void => {
    this.held.push(record)
    this.timer ??= setTimeout(this.flush, 40)
  }

  readonly flush = (): void => {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.held.length > 0) send(this.notice(this.held))
    this.held = []
  }
}

/** Runs this process: starts, says that it is ready, and does what the conductor says until he is gone. */
export const run = (
  start: Effect.Effect<
    {
      readonly ready: Notice
      readonly batches: ReadonlyArray<Pick<Batch<never>, "flush">>
      readonly handle: (command: Command) => Effect.Effect<void>
    },
    unknown,
    Scope.Scope
  >
): void => {
  const delay = LoopDelay.make()
  let handle: (command: Command) => void = () => {}
  // from the first moment, so that this process is gone with the conductor also where it has not yet started
  listen((command) => handle(command))
  const main = Effect.gen(function*() {
    const started = yield* start
    handle = (command) => {
      if (command._tag === "Started") delay.reset()
      else if (command._tag === "Stopped") {
        for (const { flush } of started.batches) flush()
        send({ _tag: "Busy", loopDelayP99: delay.p99() })
      }
      Effect.runFork(started.handle(command)).addObserver((exit) => {
        // as a port that somebody else has taken meanwhile: without its services there is no drill
        if (Exit.isFailure(exit)) fail(exit.cause)
      })
    }
    // the processes that start next load the same modules
    flushCompileCache()
    send(started.ready)
    return yield* Effect.never
  })
  Effect.runFork(main.pipe(
    Effect.scoped,
    // the conductor tells what happens, and nobody reads the log of a child
    Effect.provide(Logger.layer([]))
  )).addObserver((exit) => {
    if (Exit.isFailure(exit)) fail(exit.cause)
  })
}

/** Says why this process cannot go on, and ends it. */
const fail = (cause: Cause.Cause<unknown>): void => {
  const message = Cause.prettyErrors(cause).map(({ message }) => message).join("; ")
  const leave = () => process.exit(1)
  if (process.send === undefined) {
    process.stderr.write(`${message}\n`)
    leave()
  } else process.send({ _tag: "Failed", message } satisfies Notice, undefined, undefined, leave)
}

/**
 * Sends a notice. What cannot be sent is lost: the conductor is gone then, and so is this process in a moment.
 */
const send = (notice: Notice): void => {
  if (process.connected) process.send?.(notice, undefined, undefined, () => {})
}

/**
 * Takes the conductor's commands from here on, and ends this process at once when the conductor is gone.
 * Ctrl-C reaches every process of a terminal: only the conductor decides what it means.
 */
const listen = (handle: (command: Command) => void): void => {
  const leave = () => process.exit(0)
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => {})
  process.on("disconnect", leave)
  // only the conductor, whose messages have this type, is at the other end
  process.on("message", (command) => handle(command as Command))
  // it may have gone while this process was loading
  if (!process.connected) leave()
}
