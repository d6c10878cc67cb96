/** What the server of the status bench and its clients both know. */
export const services = 1_000
/** Updates of each service in a second. */
export const updates = 10

/** What the server is asked by message, and what it answers. */
export interface Usage {
  /** Microseconds of CPU since it started, all threads. */
  readonly cpu: number
  /** Milliseconds since it started. */
  readonly at: number
  /** Updates since it started. */
  readonly made: number
}
