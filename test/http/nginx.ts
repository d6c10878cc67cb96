/** A real nginx for tests, on a free port, with all of its files in a folder of its own. */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createConnection, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as programs from "../../scripts/programs.ts"
import * as Server from "./server.ts"

/** Where nginx is installed, if it is. */
export const executable: string | undefined = programs.find("nginx")

/** One answered request, as nginx logs it. */
export interface Logged {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly status: number
}

export interface Nginx {
  readonly url: string
  /** The same server under another name. */
  readonly otherUrl: string
  /** What it has answered at a path, in order; a request appears once its answer has ended. */
  readonly log: (path: string) => ReadonlyArray<Logged>
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const accepts = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = createConnection(port, "127.0.0.1")
    const done = (answer: boolean) => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.once("connect", () => done(true))
    socket.once("error", () => done(false))
  })

const configuration = (folder: string, port: number, httpBlock: string, locations: (port: number) => string) => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  log_format times '$msec $status $request_uri';
  access_log ${folder}/access.log times;
  default_type application/json;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  ${httpBlock}
  server {
    listen 127.0.0.1:${port};
    root ${folder};
    ${locations(port)}
  }
}
`

/** Starts nginx with what stands in its `http` block and in its `server` block, and files to serve. */
export const start = Effect.fnUntraced(function*(options: {
  readonly http: string
  readonly server: (port: number) => string
  readonly files: Readonly<Record<string, string>>
}): Effect.fn.Return<Nginx, never, Scope.Scope> {
  if (executable === undefined) return yield* Effect.die(new Error("nginx is not installed"))
  const nginx = executable
  const folder = mkdtempSync(join(tmpdir(), "effect-resilience-nginx-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
  const port = yield* freePort
  writeFileSync(join(folder, "nginx.conf"), configuration(folder, port, options.http, options.server))
  for (const [name, content] of Object.entries(options.files)) writeFileSync(join(folder, name), content)
  let said = ""
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(nginx, ["-p", folder, "-e", join(folder, "error.log"), "-c", join(folder, "nginx.conf")], {
        stdio: ["ignore", "ignore", "pipe"]
      })
      child.stderr.on("data", (chunk) => {
        said += String(chunk)
      })
      return child
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || !child.kill("SIGTERM")) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
      })
  )
  yield* Server.eventually(
    Effect.flatMap(
      Effect.suspend(() => child.exitCode === null ? Effect.void : Effect.die(new Error(`nginx has ended: ${said}`))),
      () => accepts(port)
    )
  )
  return {
    url: `http://127.0.0.1:${port}`,
    otherUrl: `http://localhost:${port}`,
    log: (path) =>
      readFileSync(join(folder, "access.log"), "utf8").split("\n").flatMap((line) => {
        const [seconds, status, uri] = line.split(" ")
        return uri === path ? [{ at: Number(seconds) * 1000, status: Number(status) }] : []
      })
  }
})
