/** A real Prometheus for tests, on a free port, with all of its files in a folder of its own. */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as programs from "../../scripts/programs.ts"

/** Where they are installed, if they are. */
export const executable: string | undefined = programs.find("prometheus")
export const promtool: string | undefined = programs.find("promtool")

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

export interface Found {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

interface Answer {
  readonly data?: {
    readonly result: ReadonlyArray<{ readonly metric: Record<string, string>; readonly value: [number, string] }>
  }
}

/** Scrapes a port four times a second, and answers queries; with nothing, as long as it is not there yet. */
export const scraping = (
  executable: string,
  target: number
): Effect.Effect<(query: string) => Effect.Effect<ReadonlyArray<Found>>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const port = yield* freePort
    const folder = mkdtempSync(join(tmpdir(), "prometheus-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
    writeFileSync(
      join(folder, "prometheus.yml"),
      `scrape_configs:
  - job_name: app
    scrape_interval: 250ms
    scrape_timeout: 250ms
    static_configs: [{ targets: ["127.0.0.1:${target}"] }]
`
    )
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(executable, [
          `--config.file=${join(folder, "prometheus.yml")}`,
          `--storage.tsdb.path=${join(folder, "data")}`,
          `--web.listen-address=127.0.0.1:${port}`
        ], { stdio: "ignore" })
      ),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    return (query) =>
      Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`)
          // the documented form of Prometheus' answers
          .then((response) => response.json() as Promise<Answer>)
          .catch((): Answer => ({}))
          .then(({ data }) => (data?.result ?? []).map(({ metric, value }) => ({ metric, value: Number(value[1]) })))
      )
  })
