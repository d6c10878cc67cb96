/**
 * Requests per second over real sockets, to one server in a process of its own.
 *
 * Each client is measured in pairs with the bare client of its kind, in turns and
 * in alternating order, so that what else the machine does hits both. The bare
 * clients are measured beside themselves too: an A/A control.
 *
 * Clients are compared by the time of processors that a request takes this process,
 * all its threads, which is what bounds their requests per second: on a machine that
 * has other work too, the clock on the wall measures that work.
 */
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { fork } from "node:child_process"
import { type Ask, type Client, clients, runtime } from "../http/clients.ts"
import { concurrency, flakyPath, plan, planPath } from "../http/plan.ts"
import { median } from "../measure.ts"

export const name = "http"
export const title = "requests over HTTP to a local server, clients in pairs with the bare client of their kind"

/** How much is looked at. */
export interface Sampling {
  readonly pairs: number
  /** Requests of one client in one pair. */
  readonly requests: number
}

// many short pairs: what else happens, a collection of garbage too, hits few of them, which the median leaves out
export const thorough: Sampling = { pairs: 401, requests: 100 }
export const quick: Sampling = { pairs: 31, requests: 100 }

export interface Row {
  readonly name: string
  readonly beside: string
  /** Whether it stands beside itself. */
  readonly isControl: boolean
  /** On the wall clock. */
  readonly requestsPerSecond: number
  /** Microseconds of processors that a request takes. */
  readonly processor: number
  /** Milliseconds, of all requests of all pairs. */
  readonly p50: number
  readonly p99: number
  /** Requests per second of processor time over those of the bare client, by pair. */
  readonly ratio: { readonly median: number; readonly p25: number; readonly p75: number }
}

export interface Measured {
  readonly group: string
  readonly title: string
  readonly sampling: Sampling
  readonly rows: ReadonlyArray<Row>
}

/** Starts the server, and ends it. */
const withServer = async <A>(use: (url: string) => Promise<A>): Promise<A> => {
  const server = fork(new URL("../http/server.ts", import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] })
  try {
    const port = await new Promise<number>((resolve, reject) => {
      server.once("message", (message) => resolve(Number(message)))
      server.once("error", reject)
      server.once("exit", (code) => reject(new Error(`the server of the bench ended: ${code}`)))
    })
    return await use(`http://127.0.0.1:${port}`)
  } finally {
    server.removeAllListeners("exit")
    server.kill()
  }
}

const once = ({ ask, family }: Ask, path: string): Promise<typeof plan> =>
  family === "effect" ? runtime.runPromise(ask(path)) : ask(path)

/** Milliseconds on the wall clock, and of processors. */
interface Spent {
  readonly wall: number
  readonly processor: number
}

/** Sends so many requests, and puts down how long each took; returns what they took in all. */
const batch = async (client: Ask, requests: number, latencies: Array<number>): Promise<Spent> => {
  let sent = 0
  const before = process.cpuUsage()
  const started = performance.now()
  if (client.family === "effect") {
    const call = Effect.suspend(() => {
      const at = performance.now()
      return Effect.map(client.ask(planPath), () => {
        latencies.push(performance.now() - at)
      })
    })
    const caller = Effect.suspend(() =>
      Effect.whileLoop({ while: () => sent++ < requests, body: () => call, step: () => {} })
    )
    // as in a program: no caller has an empty context there, which would spare the bare client some of its work
    await runtime.runPromise(
      Effect.all(Array.from({ length: concurrency }, () => caller), { concurrency: "unbounded", discard: true })
    )
  } else {
    const caller = async () => {
      while (sent++ < requests) {
        const at = performance.now()
        await client.ask(planPath)
        latencies.push(performance.now() - at)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, caller))
  }
  const wall = performance.now() - started
  const { system, user } = process.cpuUsage(before)
  return { wall, processor: (system + user) / 1_000 }
}

/** It answers, and tries again where the other does not. */
const check = async ({ beside, name }: Client, client: Ask): Promise<void> => {
  assert.deepEqual({ ...await once(client, planPath) }, plan, `${name}: another answer`)
  const flaky = once(client, `${flakyPath}${name.replaceAll(/\W/g, "")}`)
  if (name === beside) await assert.rejects(flaky, `${name}: a failure is none`)
  else assert.deepEqual({ ...await flaky }, plan, `${name}: a failure is not tried again`)
}

const at = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN

const ascending = (numbers: ReadonlyArray<number>): ReadonlyArray<number> => numbers.toSorted((a, b) => a - b)

/** Measures all clients. */
export const measure = (sampling: Sampling, progress: (line: string) => void): Promise<Measured> =>
  withServer(async (url) => {
    progress("checking that every client does what it says")
    const made = new Map<string, Ask>()
    for (const client of clients) {
      const ask = await client.make(url)
      await check(client, ask)
      made.set(client.name, ask)
    }
    const askOf = (name: string): Ask => {
      const ask = made.get(name)
      if (ask === undefined) throw new Error(`no client ${name}`)
      return ask
    }
    progress("warming up")
    for (const ask of made.values()) await batch(ask, 20 * sampling.requests, [])
    progress(`measuring ${name}`)
    const taken = clients.map((client) => ({
      client,
      rates: Array<number>(),
      processor: Array<number>(),
      ratios: Array<number>(),
      latencies: Array<number>()
    }))
    for (let pair = 0; pair < sampling.pairs; pair++) {
      for (const { client, latencies, processor, rates, ratios } of taken) {
        const own = () => batch(askOf(client.name), sampling.requests, latencies)
        const other = () => batch(askOf(client.beside), sampling.requests, [])
        // what the pair before has left behind, its garbage too, is nobody's in this one
        await other()
        const [spent, bare] = pair % 2 === 0
          ? [await own(), await other()]
          : await other().then(async (bare) => [await own(), bare] as const)
        rates.push(sampling.requests / spent.wall * 1_000)
        processor.push(spent.processor / sampling.requests * 1_000)
        ratios.push(bare.processor / spent.processor)
      }
    }
    return {
      group: name,
      title,
      sampling,
      rows: taken.map(({ client, latencies, processor, rates, ratios }) => {
        const [sortedRatios, sortedLatencies] = [ascending(ratios), ascending(latencies)]
        return {
          name: client.name,
          beside: client.beside,
          isControl: client.name === client.beside,
          requestsPerSecond: median(rates),
          processor: median(processor),
          p50: at(sortedLatencies, 0.5),
          p99: at(sortedLatencies, 0.99),
          ratio: { median: median(ratios), p25: at(sortedRatios, 0.25), p75: at(sortedRatios, 0.75) }
        }
      })
    }
  })

const header = ["client", "requests/s", "p50 ms", "p99 ms", "CPU us", "of bare", "p25 - p75", "beside"]

/** A table. */
export const text = ({ rows, sampling, title }: Measured): string => {
  const lines = [
    header,
    ...rows.map((row) => [
      row.name,
      Math.round(row.requestsPerSecond).toLocaleString("en-US"),
      row.p50.toFixed(2),
      row.p99.toFixed(2),
      row.processor.toFixed(1),
      row.ratio.median.toFixed(3),
      `${row.ratio.p25.toFixed(3)} - ${row.ratio.p75.toFixed(3)}`,
      row.isControl ? "itself (control)" : row.beside
    ])
  ]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const isText = (column: number) => column === 0 || column === header.length - 1
  const aligned = lines.map((line) =>
    line.map((cell, column) => {
      const width = widths[column] ?? 0
      return isText(column) ? cell.padEnd(width) : cell.padStart(width)
    }).join("  ").trimEnd()
  )
  const { pairs, requests } = sampling
  return [
    `${name}: ${title}`,
    "",
    `${concurrency} requests at a time; ${pairs} pairs of ${requests} requests each, in alternating order.`,
    "Rates, processor time per request and ratios are medians of pairs, the ratios by processor time; latencies are of all requests.",
    "",
    ...aligned
  ].join("\n")
}
