/** The first frames of an error's stack, without anything that its message says. */
import { guarded } from "../../internal/guarded.ts"
import { clean } from "./text.ts"

export interface Frame {
  /** The function, where it has a name, and its file: what stays the same when lines are added above it. */
  readonly place: string
  /** The same, with line and column. */
  readonly exact: string
}

/** How many frames tell one error from another. */
const most = 3

// what lies between the code that fails and whoever asked for it
const ours = /node_modules[\\/]effect[\\/]|^node:/

const pattern =
  /^\s+at (?:(async )?(.+?) \()?((?:file:|node:|[\w+-]+:\/\/|\/|[A-Za-z]:\\|<anonymous>)[^()]*):(\d+):(\d+)\)?$/

/** A path from the package on, or its last two parts: it says nothing of whose machine it is. */
const shortened = (file: string): string => {
  const parts = file.replace(/[?#].*$/, "").split(/[\\/]/)
  const modules = parts.lastIndexOf("node_modules")
  return (modules === -1 ? parts.slice(-2) : parts.slice(modules + 1)).join("/")
}

const stackOf = (reason: unknown): string => {
  if (typeof reason !== "object" || reason === null || !("stack" in reason)) return ""
  const { stack } = reason
  if (typeof stack !== "string") return ""
  // a message may have lines that look like frames
  const message = "message" in reason && typeof reason.message === "string" ? reason.message : ""
  const at = message === "" ? -1 : stack.indexOf(message)
  return at === -1 ? stack : stack.slice(at + message.length)
}

export const framesOf = (reason: unknown): ReadonlyArray<Frame> =>
  guarded(() => {
    const frames: Array<Frame> = []
    for (const line of stackOf(reason).split("\n", 50)) {
      const [, , name = "", file, row, column] = line.length > 1_000 ? [] : pattern.exec(line) ?? []
      if (file === undefined) continue
      if (ours.test(file)) {
        // what lies below ran the effect, and is another each time
        if (frames.length > 0) break
        continue
      }
      const place = clean(`${name === "" ? "" : `${name} `}(${shortened(file)})`)
      frames.push({ place, exact: `${place.slice(0, -1)}:${row}:${column})` })
      if (frames.length === most) break
    }
    return frames
  }) ?? []
