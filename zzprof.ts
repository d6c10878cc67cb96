import { fork } from "node:child_process"
import { clients } from "./bench/http/clients.ts"
import { planPath, concurrency } from "./bench/http/plan.ts"
import * as Effect from "effect/Effect"
const name = process.argv[2]!
const server = fork(new URL("./bench/http/server.ts", import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] })
const port = await new Promise<number>((r) => server.once("message", (m) => r(Number(m))))
const url = `http://127.0.0.1:${port}`
const N = 12000
const run = async (n: string, N: number) => {
  const client = await clients.find((c) => c.name === n)!.make(url)
  let sent = 0
  const t = performance.now(), c = process.cpuUsage()
  if (client.family === "effect") {
    const call = Effect.suspend(() => client.ask(planPath))
    const caller = Effect.suspend(() => Effect.whileLoop({ while: () => sent++ < N, body: () => call, step: () => {} }))
    await Effect.runPromise(Effect.all(Array.from({ length: concurrency }, () => caller), { concurrency: "unbounded", discard: true }))
  } else {
    await Promise.all(Array.from({ length: concurrency }, async () => { while (sent++ < N) await client.ask(planPath) }))
  }
  const cpu = process.cpuUsage(c)
  console.log(n, "cpu us/request", ((cpu.user + cpu.system) / N).toFixed(1), "wall", ((performance.now() - t) * 1000 / N).toFixed(1))
}
if (name === "all") for (let i = 0; i < 3; i++) for (const n of ["bare Effect client", "ResilientHttpClient", "bare HttpApiClient", "ServiceClient", "bare undici", "cockatiel around undici"]) await run(n, N)
else { await run(name, 3000); await run(name, N * 2) }
server.kill(); process.exit(0)
