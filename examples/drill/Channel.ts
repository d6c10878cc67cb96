/** A child's end of the channel to the conductor: see Messages.ts. */
import process from "node:process"
import type { Command, Report } from "./Messages.ts"

/**
 * Sends a report. What cannot be sent is lost: the conductor is gone then, and so is this process in a moment.
 */
export const send = (report: Report): void => {
  if (process.connected) process.send?.(report, undefined, undefined, () => {})
}

/**
 * Takes the conductor's commands from here on, and ends this process at once when the conductor is gone.
 * Ctrl-C reaches every process of a terminal: only the conductor decides what it means.
 */
export const listen = (handle: (command: Command) => void): void => {
  const leave = () => process.exit(0)
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => {})
  process.on("disconnect", leave)
  // only the conductor, whose messages have this type, is at the other end
  process.on("message", (command) => handle(command as Command))
  // it may have gone while this process was loading
  if (!process.connected) leave()
}
