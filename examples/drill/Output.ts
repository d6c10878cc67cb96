/** Lines on a terminal, in a file, or into a pipe that somebody may close. */
import { Effect } from "effect"
import process from "node:process"
import { styleText } from "node:util"

export interface Line {
  /** Milliseconds since the start. */
  readonly at: number
  /** What the line is about, in one word. */
  readonly subject: string
  readonly text: string
  readonly tone: Tone
}

export type Tone = "plain" | "dim" | "good" | "warn" | "bad"

const styles = { dim: "dim", good: "green", warn: "yellow", bad: "red" } as const

export interface Output {
  readonly print: (text: string, tone?: Tone) => void
  readonly line: (line: Line) => void
}

/** Colour is for people: not for files and pipes, nor for those who asked for none (https://no-color.org). */
export const painter = (stream: { readonly isTTY?: boolean }) => {
  const isColoured = stream.isTTY === true && !process.env["NO_COLOR"]
  return (text: string, tone: Tone): string =>
    tone === "plain" || !isColoured ? text : styleText(styles[tone], text, { validateStream: false })
}

export const to = (stream: NodeJS.WriteStream): Output => {
  const paint = painter(stream)
  return {
    print: (text, tone = "plain") => {
      stream.write(`${paint(text, tone)}\n`)
    },
    line: ({ at, subject, text, tone }) => {
      stream.write(`${(at / 1000).toFixed(2).padStart(7)} s  ${subject.padEnd(8)} ${paint(text, tone)}\n`)
    }
  }
}

/** Ends when nobody reads the output any more, as after `| head -3`. */
export const readerGone: Effect.Effect<void> = Effect.callback((resume) => {
  // The listeners stay: what is written until the end fails as well, and that is no crash.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", () => resume(Effect.void))
  }
})
