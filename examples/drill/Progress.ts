/** A drill while it runs: what those who watch it, like the live view, may look at whenever they like. */
import type { Recording } from "./Recording.ts"

export interface Progress {
  /** What has been written down until now. Its arrays grow at their ends, nothing in them changes. */
  readonly recording: Recording
  /** Milliseconds since the start of the traffic; negative before it. */
  readonly now: () => number
}
