/** What the server of the HTTP group says, and what its clients ask for. */

export const plan = { id: "1", title: "Move house", hours: 8 }

export const body = JSON.stringify(plan)

export const planPath = "/plans/1"

/** Below it, every path fails once. */
export const flakyPath = "/plans/flaky-"

/** Requests that are under way at a time. Every client may have as many connections. */
export const concurrency = 32
