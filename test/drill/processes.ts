/** The drill as a process of its own, and what it leaves behind. */
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const main = fileURLToPath(new URL("../../examples/drill/main.ts", import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  /** All processes of this drill carry it in their environment. */
  readonly mark: string
  readonly kill: (signal: NodeJS.Signals) => void
  /** Nobody reads its output any more. */
  readonly closeStdout: () => void
  readonly ended: Promise<Ended>
}

/** Starts the drill. It is killed, and the test fails, if it has not ended by the deadline (milliseconds). */
export const drill = (
  args: ReadonlyArray<string>,
  deadline: number,
  options: {
    readonly environment?: Readonly<Record<string, string>>
    /** Told of all that it has said, on stdout and on stderr, whenever that is more. */
    readonly watch?: (stdout: string, stderr: string) => void
  } = {}
): Running => {
  const mark = randomUUID()
  const child = spawn(process.execPath, ["--conditions=effect-resilience-source", main, ...args], {
    cwd: root,
    env: { ...process.env, ...options.environment, INTERNAL_TOKEN: mark },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    const output = { stdout: "", stderr: "" }
    const timer = setTimeout(() => {
      child.kill("SIGKILL")
      reject(new Error(`still running after ${deadline} ms\n${output.stdout}\n${output.stderr}`))
    }, deadline)
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text
        options.watch?.(output.stdout, output.stderr)
      })
    }
    child.on("error", reject)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, ...output })
    })
  })
  return {
    mark,
    kill: (signal) => child.kill(signal),
    closeStdout: () => child.stdout.destroy(),
    ended
  }
}

/** Where the system tells which processes there are. */
export const canLookForProcesses = process.platform === "linux"

/** The processes that carry the mark. */
export const processesOf = (mark: string): ReadonlyArray<number> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark)
    } catch {
      // it has gone meanwhile, or it is somebody else's
      return false
    }
  }).map(Number)

/** Waits until it holds. Fails at the deadline, in milliseconds. */
export const until = async (holds: () => boolean, deadline: number, what: string): Promise<void> => {
  const end = performance.now() + deadline
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${deadline} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
