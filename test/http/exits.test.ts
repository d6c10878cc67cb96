import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as Server from "./server.ts"

it.live("a program that has met every failure ends by itself, and leaves no connection", () =>
  Effect.gen(function*() {
    const server = yield* Server.make
    server.answer((request, response) => {
      switch (request.url) {
        case "/ok":
          return Server.json(response, 200, { ok: true })
        case "/stall":
          response.writeHead(200, { "content-type": "application/json" })
          return void response.write("\"half")
        case "/error":
          return Server.json(response, 500, { a: "body nobody reads" })
        case "/reset":
          response.writeHead(200, { "content-type": "application/json", "content-length": "100" })
          response.write("\"half")
          return void setImmediate(() => response.destroy())
      }
    })
    const stdout = yield* Effect.callback<string>((resume) => {
      execFile(
        "node",
        ["--conditions=effect-resilience-source", "test/http/exits.ts", server.url],
        // a process that does not end by itself is killed, and fails
        { timeout: 15_000 },
        (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
      )
    })
    assert.strictEqual(stdout, "TimedOut TimedOut Internal ServiceUnavailable TimedOut\n")
    yield* Server.eventually(Effect.map(server.connections, (count) => count === 0))
  }), 20_000)
