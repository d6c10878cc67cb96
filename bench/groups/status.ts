/**
 * What it costs a program to be watched: 1,000 services with 10 updates a second
 * each, in a process of its own, and clients that follow all changes.
 *
 * CPU is that of the whole program, in percent of one core. The rows without the
 * status API, and with it but without clients, say how much of it the watching is.
 */
import assert from "node:assert/strict"
import { type ChildProcess, fork } from "node:child_process"
import { get, type IncomingMessage } from "node:http"
import { median } from "../measure.ts"
import { services, updates, type Usage } from "../status/plan.ts"

export const name = "status"
export const title = `${
  services.toLocaleString("en-US")
} services with ${updates} updates a second each, and who follows them`

/** How much is looked at. */
export interface Sampling {
  /** For each row, in milliseconds. */
  readonly millis: number
  readonly rounds: number
  /** Numbers of clients. */
  readonly clients: ReadonlyArray<number>
}

export const thorough: Sampling = { millis: 5_000, rounds: 5, clients: [1, 10, 100] }
export const quick: Sampling = { millis: 1_500, rounds: 1, clients: [1] }

export interface Row {
  readonly name: string
  readonly clients: number
  /** Updates that were made in a second, of all services: the pace, if the program keeps it. */
  readonly updatesPerSecond: number
  /** Percent of one core. */
  readonly cpu: number
  /** Of one client. */
  readonly framesPerSecond: number
  /** Of one frame, in thousand bytes. */
  readonly kilobytes: number
  /** Milliseconds from the reading of the services until a client has the frame. */
  readonly delay: number
}

export interface Measured {
  readonly group: string
  readonly title: string
  readonly sampling: Sampling
  readonly rows: ReadonlyArray<Row>
}

const message = <A>(from: ChildProcess, ask?: string): Promise<A> =>
  new Promise((resolve, reject) => {
    from.once("message", (answer) => resolve(answer as A))
    from.once("exit", (code) => reject(new Error(`the server of the bench ended: ${code}`)))
    if (ask !== undefined) from.send(ask)
  })

interface Follower {
  frames: number
  bytes: number
  readonly delays: Array<number>
  readonly states: Map<string, string>
  readonly stop: () => void
}

interface Frame {
  readonly at: number
  readonly services: ReadonlyArray<{ readonly name: string; readonly state?: string }>
}

/** Follows the changes; only one that is `close` reads what is in them, since that costs this process time. */
const follow = (port: number, isClose: boolean): Promise<Follower> =>
  new Promise((resolve, reject) => {
    const request = get({ port, host: "127.0.0.1", path: "/v1/api/status/changes", agent: false }, (response) => {
      read(response)
      resolve(follower)
    })
    request.on("error", reject)
    const follower: Follower = { frames: 0, bytes: 0, delays: [], states: new Map(), stop: () => request.destroy() }
    const read = (response: IncomingMessage) => {
      let rest = ""
      response.on("error", () => {})
      response.on("data", (chunk: Buffer) => {
        follower.bytes += chunk.length
        if (!isClose) {
          // the two newlines that end a frame stand nowhere else in it
          if (chunk.at(-1) === 10 && (chunk.length === 1 || chunk.at(-2) === 10)) follower.frames++
          return
        }
        const frames = (rest + chunk.toString()).split("\n\n")
        rest = frames.pop() ?? ""
        for (const text of frames) {
          const frame: Frame = JSON.parse(text.slice("data: ".length))
          follower.frames++
          follower.delays.push(Date.now() - frame.at)
          for (const { name, state } of frame.services) if (state !== undefined) follower.states.set(name, state)
        }
      })
    }
  })

interface Setting {
  readonly name: string
  readonly clients: number
  readonly isInstalled: boolean
}

const settingsOf = ({ clients }: Sampling): ReadonlyArray<Setting> => [
  { name: "without the status API", clients: 0, isInstalled: false },
  { name: "with it, nobody follows", clients: 0, isInstalled: true },
  ...clients.map((clients) => ({
    name: `${clients} ${clients === 1 ? "client" : "clients"}`,
    clients,
    isInstalled: true
  }))
]

/** A client must have gathered a state of every service from its frames, and the API must know as many. */
const check = async (port: number, close: Follower) => {
  assert.equal(close.states.size, services)
  for (const state of close.states.values()) assert.match(state, /^(Closed|Open|HalfOpen)$/)
  const response = await fetch(`http://127.0.0.1:${port}/v1/api/status`)
  const status = await response.json() as { readonly services: ReadonlyArray<unknown> }
  assert.equal(status.services.length, services)
}

const once = async (of: Setting, sampling: Sampling): Promise<Row> => {
  const server = fork(new URL("../status/server.ts", import.meta.url), of.isInstalled ? ["installed"] : [], {
    stdio: ["ignore", "inherit", "inherit", "ipc"]
  })
  try {
    const { port } = await message<{ readonly port: number }>(server)
    const followers: Array<Follower> = []
    for (let n = 0; n < of.clients; n++) followers.push(await follow(port, n === 0))
    // what is new is compiled, and full frames are gone
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    for (const follower of followers) {
      follower.frames = 0
      follower.bytes = 0
      follower.delays.length = 0
    }
    const before = await message<Usage>(server, "usage")
    await new Promise((resolve) => setTimeout(resolve, sampling.millis))
    const after = await message<Usage>(server, "usage")
    const seconds = (after.at - before.at) / 1000
    const frames = followers.reduce((sum, follower) => sum + follower.frames, 0)
    const bytes = followers.reduce((sum, follower) => sum + follower.bytes, 0)
    const [close] = followers
    if (close !== undefined) await check(port, close)
    for (const { stop } of followers) stop()
    return {
      name: of.name,
      clients: of.clients,
      updatesPerSecond: (after.made - before.made) / seconds,
      cpu: (after.cpu - before.cpu) / 1e4 / seconds,
      framesPerSecond: of.clients === 0 ? 0 : frames / of.clients / seconds,
      kilobytes: frames === 0 ? 0 : bytes / frames / 1000,
      delay: close === undefined ? 0 : median(close.delays)
    }
  } finally {
    server.removeAllListeners("exit")
    server.kill()
  }
}

/** Measures all rows, in turns. */
export const measure = async (sampling: Sampling, progress: (line: string) => void): Promise<Measured> => {
  const taken = settingsOf(sampling).map((of) => ({ of, rows: Array<Row>() }))
  for (let round = 1; round <= sampling.rounds; round++) {
    progress(`measuring ${name}, round ${round} of ${sampling.rounds}`)
    for (const { of, rows } of taken) rows.push(await once(of, sampling))
  }
  return {
    group: name,
    title,
    sampling,
    rows: taken.map(({ of, rows }) => {
      const middle = (read: (row: Row) => number) => median(rows.map(read))
      return {
        name: of.name,
        clients: of.clients,
        updatesPerSecond: middle((row) => row.updatesPerSecond),
        cpu: middle((row) => row.cpu),
        framesPerSecond: middle((row) => row.framesPerSecond),
        kilobytes: middle((row) => row.kilobytes),
        delay: middle((row) => row.delay)
      }
    })
  }
}

const header = ["", "updates/s", "CPU % of a core", "frames/s per client", "kB per frame", "ms until read"]

/** A table. */
export const text = ({ rows, sampling }: Measured): string => {
  const lines = [
    header,
    ...rows.map((row) => [
      row.name,
      Math.round(row.updatesPerSecond).toLocaleString("en-US"),
      row.cpu.toFixed(1),
      row.clients === 0 ? "" : row.framesPerSecond.toFixed(2),
      row.clients === 0 ? "" : row.kilobytes.toFixed(0),
      row.clients === 0 ? "" : row.delay.toFixed(0)
    ])
  ]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const aligned = lines.map((line) =>
    line.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))
      .join("  ").trimEnd()
  )
  return [
    `${name}: ${title}`,
    "",
    `Medians of ${sampling.rounds} runs of ${
      sampling.millis / 1000
    } s each, every one in a new process. CPU is of all that the program does.`,
    "",
    ...aligned
  ].join("\n")
}
