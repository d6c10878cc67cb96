/** The processes of a drill, as resources: when the scope ends, they are gone, and so are their ports. */
import { Data, Deferred, Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import type { Command, Notice } from "./Messages.ts"

/** A process that could not start, or that ended before its time. */
export class ProcessDied extends Data.TaggedError("ProcessDied")<{
  readonly process: string
  readonly message: string
}> {}

export interface Child {
  readonly name: string
  readonly tell: (command: Command) => void
  /** Fails when the process ends by itself, which it does not do unless something is wrong. */
  readonly died: Effect.Effect<never, ProcessDied>
}

/**
 * Six processes load the same modules: those that come later, and later drills, find them compiled. No other folder
 * is as private to this checkout, and as sure to be ignored by everybody.
 */
const compileCache = fileURLToPath(new URL("../../node_modules/.cache/drill", import.meta.url))

/** How long a process that was left by the conductor may take to notice, in milliseconds. */
const patience = 300

/** How much of what a process has said on stderr is told when it died, in characters. */
const tail = 2000

/** Starts a process. What it says goes to `onNotice`, in its order. */
export const start = (options: {
  readonly name: string
  /** A file of this folder, or a URL. */
  readonly entry: string
  readonly environment: Readonly<Record<string, string>>
  readonly onNotice: (notice: Notice) => void
}): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { name, onNotice } = options
    const died = yield* Deferred.make<never, ProcessDied>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        fork(fileURLToPath(new URL(options.entry, import.meta.url)), [], {
          execArgv: ["--conditions=effect-resilience-source"],
          env: { NODE_COMPILE_CACHE: compileCache, ...process.env, ...options.environment },
          // a group of its own: Ctrl-C reaches the conductor alone, who knows what to do about it
          detached: process.platform !== "win32",
          // its stdout is nobody's business; its stderr tells why it died
          stdio: ["ignore", "ignore", "pipe", "ipc"]
        })
      ),
      leave
    )
    let said = ""
    let reason: string | undefined
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-tail)
    })
    // what comes in is what Child.ts sends
    child.on("message", (message) => {
      const notice = message as Notice
      if (notice._tag === "Failed") reason = notice.message
      onNotice(notice)
    })
    const fail = (message: string) =>
      Deferred.doneUnsafe(died, Effect.fail(new ProcessDied({ process: name, message })))
    // a command for a process that has just gone
    child.on("error", (error) => fail(error.message))
    child.on("close", (code, signal) =>
      fail(reason ?? `it ended (${signal ?? `code ${code}`})${said === "" ? "" : `:\n${said.trimEnd()}`}`))
    return {
      name,
      tell: (command) => {
        if (child.connected) {
          child.send(command, () => {})
        }
      },
      died: Deferred.await(died)
    }
  })

/** Lets go of a process, which ends by that. One that does not is killed. */
const leave = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resume(Effect.void)
    const timer = setTimeout(() => child.kill("SIGKILL"), patience)
    child.once("exit", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
    if (child.connected) child.disconnect()
  })
